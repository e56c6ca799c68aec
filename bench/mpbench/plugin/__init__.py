# SPDX-License-Identifier: MIT
"""The bench inside pytest: hooks, options, progress; it judges nothing.

Options are `--bench-*` and variables `MPBENCH_*`; `--lg-*` and `LG_*` belong to labgrid. Everything here
concerns only tests that ask for a board, i.e. that use labgrid's fixture `env`, mostly through `bench`.
"""

pytest_plugins = [
    "mpbench.plugin.collection",
    "mpbench.plugin.hooks",
    "mpbench.plugin.signals",
    "mpbench.harness.fixture",
    "mpbench.harness.soak",
    "mpbench.deployment.fixture",
    "mpbench.deployment.fixture_flips",
    "mpbench.recovery.fixture",
    "mpbench.notification.fixture_options",
    "mpbench.notification.fixture",
    "mpbench.tee.fixture",
]
