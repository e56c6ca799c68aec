# SPDX-License-Identifier: MIT
"""The bench inside pytest: fixtures for boards and cores, verdicts by whose fault, the record of a run.

Options are `--bench-*` and variables `MPBENCH_*`; `--lg-*` and `LG_*` belong to labgrid. Everything here
concerns only tests that ask for a board, i.e. that use labgrid's fixture `env`, mostly through `bench`.
"""

from mpbench.deployment.flips import flips
from mpbench.harness.bench import bench, board, firmware, profile, signing_key
from mpbench.harness.signer import signed
from mpbench.plugin.collection import (
    pytest_addoption,
    pytest_collection_finish,
    pytest_collection_modifyitems,
    pytest_configure,
    pytest_generate_tests,
    pytest_ignore_collect,
    pytest_load_initial_conftests,
)
from mpbench.plugin.hooks import (
    pytest_report_teststatus,
    pytest_runtest_makereport,
    pytest_runtest_protocol,
    pytest_runtest_setup,
    pytest_sessionfinish,
    pytest_terminal_summary,
)
from mpbench.recovery.fixture import crash_trace, crashes

pytest_plugins = [
    "mpbench.plugin.signals",
    "mpbench.harness.soak",
    "mpbench.notification.fixture",
    "mpbench.tee.fixture",
]

__all__ = [
    "bench",
    "board",
    "crash_trace",
    "crashes",
    "firmware",
    "flips",
    "profile",
    "pytest_addoption",
    "pytest_collection_finish",
    "pytest_collection_modifyitems",
    "pytest_configure",
    "pytest_generate_tests",
    "pytest_ignore_collect",
    "pytest_load_initial_conftests",
    "pytest_report_teststatus",
    "pytest_runtest_makereport",
    "pytest_runtest_protocol",
    "pytest_runtest_setup",
    "pytest_sessionfinish",
    "pytest_terminal_summary",
    "signed",
    "signing_key",
]
