# SPDX-License-Identifier: MIT
pytest_plugins = ["bench.plugin"]
