# SPDX-License-Identifier: MIT
pytest_plugins = ["mpbench.plugin"]
