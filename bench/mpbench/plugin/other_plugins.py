# SPDX-License-Identifier: MIT
"""Plug-ins of a user's own set-up that would change what a verdict means: refused in one line, or honoured.

Honoured: pytest-timeout with its method `signal` (a time limit is INVALID, never FAIL) and --session-timeout
(the run is INCOMPLETE), pytest-randomly, pytest-repeat. Every execution of a test counts.
"""

import os
import sys
from collections.abc import Iterator

import pytest

from mpbench.core.errors import UsageError

NEEDED = ("labgrid", "main", "mark", "python", "fixtures", "runner", "skipping", "terminal", "junitxml")
"""Plug-ins of pytest and labgrid without which tests run unchecked, or not at all."""

XDIST = (
    "pytest-xdist (-n, --dist): a board is tested by one process; "
    "for several boards use `mpbench nightly PLAN`, or one pytest per place with LG_PLACE"
)
RERUNS = (
    "pytest-rerunfailures ({}): a verdict is not retried, since every execution of a test counts; "
    "`--bench-resume DIR` repeats what the lab prevented"
)
FORKED = "pytest-forked (--forked): tests of a board share its session, and cannot run in other processes"
THREAD = (
    "pytest-timeout with the method `thread` ({}) ends the process without teardown; "
    "use --timeout-method=signal"
)

OPTIMIZED = "Python runs without assertions (-O, PYTHONOPTIMIZE): a test could not fail; run it without that"


def missing(config: pytest.Config) -> str:
    """The message about a needed plug-in that is switched off, "" for none."""
    off = next((name for name in NEEDED if not config.pluginmanager.has_plugin(name)), "")
    return f"pytest's plug-in `{off}` is switched off (-p no:{off}), and the bench needs it" if off else ""


def check_options(config: pytest.Config) -> None:
    """UsageError for the first option that cannot be honoured."""
    for text in _refusals(config):
        raise UsageError(text)


def _refusals(config: pytest.Config) -> Iterator[str]:
    option = vars(config.option)
    if sys.flags.optimize:
        yield OPTIMIZED
    if option.get("numprocesses") or option.get("tx") or option.get("dist", "no") != "no":
        yield XDIST
    if reruns := option.get("reruns") or _setting(config, "reruns"):
        yield RERUNS.format(f"--reruns {reruns}")
    if option.get("forked"):
        yield FORKED
    limit = option.get("timeout") or os.environ.get("PYTEST_TIMEOUT") or _setting(config, "timeout")
    if limit and (option.get("timeout_method") or _setting(config, "timeout_method")) == "thread":
        yield THREAD.format(f"a time limit of {limit} s")


def _setting(config: pytest.Config, name: str) -> str:
    """A setting of pytest's configuration file, "" if no plug-in knows its name."""
    try:
        return str(config.getini(name) or "")
    except (ValueError, KeyError):
        return ""


def check_item(item: pytest.Item) -> None:
    """UsageError for a mark of a test that cannot be honoured."""
    manager = item.config.pluginmanager
    if manager.has_plugin("rerunfailures") and item.get_closest_marker("flaky"):
        raise UsageError(RERUNS.format(f"mark `flaky` of {item.nodeid}"))
    limit = item.get_closest_marker("timeout")
    method = (limit.kwargs.get("method") or (limit.args[1:2] or [""])[0]) if limit else ""
    if manager.has_plugin("timeout") and method == "thread":
        raise UsageError(THREAD.format(f"mark of {item.nodeid}"))
