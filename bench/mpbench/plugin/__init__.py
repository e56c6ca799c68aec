# SPDX-License-Identifier: MIT
"""The bench inside pytest: fixtures for boards and cores, verdicts by whose fault, the record of a run.

Options are `--bench-*` and variables `MPBENCH_*`; `--lg-*` and `LG_*` belong to labgrid. Everything here
concerns only tests that ask for a board, i.e. that use labgrid's fixture `env`, mostly through `bench`.
"""

from mpbench.plugin.bitflips import flips
from mpbench.plugin.collecting import (
    pytest_addoption,
    pytest_collection_finish,
    pytest_collection_modifyitems,
    pytest_configure,
    pytest_generate_tests,
    pytest_ignore_collect,
    pytest_load_initial_conftests,
)
from mpbench.plugin.fixtures import bench, board, firmware, profile, signing_key
from mpbench.plugin.recovery import crash_trace, crashes
from mpbench.plugin.running import (
    pytest_report_teststatus,
    pytest_runtest_makereport,
    pytest_runtest_protocol,
    pytest_runtest_setup,
    pytest_sessionfinish,
    pytest_terminal_summary,
)
from mpbench.plugin.signing import signed

pytest_plugins = [
    "mpbench.plugin.ending",
    "mpbench.plugin.soak",
    "mpbench.plugin.latency",
    "mpbench.plugin.tee",
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
