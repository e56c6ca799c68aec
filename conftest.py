# SPDX-License-Identifier: MIT
"""For every test: Ctrl-C works. In the bench's own tests a warning is an error, and SIGHUP works."""

import signal
from pathlib import Path

import pytest

TESTCASES = Path(__file__).with_name("testcases")
OWN_TESTS = tuple(TESTCASES / name for name in ("unit", "contract", "peer", "faults", "fuzz"))

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell without job control starts a background process like that, and children inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Not a setting of pyproject.toml: a warning of labgrid or of a lab's own driver fails no board test."""
    own = [item for item in items if any(item.path.is_relative_to(directory) for directory in OWN_TESTS)]
    for item in own:
        item.add_marker(pytest.mark.filterwarnings("error"), append=False)
    if own and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        # Under nohup. Tests hang up on processes, which inherit it; a run on a board ignores it as asked.
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
