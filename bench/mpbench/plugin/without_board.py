# SPDX-License-Identifier: MIT
"""pytest without a board: tests that use the bench's fixtures are NOT-RUN, and exit code 5 says so.

Fixtures of the bench are registered by name only, so that nothing heavy is imported.
"""

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from mpbench.core.shared_files import example_target
from mpbench.harness.fixtures_used import OURS, uses
from mpbench.plugin import target_file

FIXTURES = (
    "alive",
    "bench",
    "board",
    "core",
    "crash_trace",
    "crashes",
    "firmware",
    "flips",
    "image",
    "loadable",
    "notification_facilities",
    "notification_trace",
    "notifications",
    "profile",
    "rpmsg",
    "signed",
    "signing_key",
    "soak",
    "started_early",
    "suspends",
    "tee_client",
)
NOT_RUN = pytest.StashKey[int]()


def _placeholder(name: str) -> Any:
    @pytest.fixture(scope="session", name=name)
    def placeholder() -> None:
        """Never set up: a test that uses it is skipped before."""

    return placeholder


globals().update({name: _placeholder(name) for name in FIXTURES})


def no_board() -> str:
    """Why the tests did not run, and what to do."""
    return f"no board given: pytest --lg-env {example_target(Path.cwd())}"


def pytest_configure(config: pytest.Config) -> None:
    config.stash[NOT_RUN] = 0


def pytest_collection_finish(session: pytest.Session) -> None:
    """Tests of the bench with a target file that is not for the bench are a mistake of one line."""
    path = target_file(session.config.option)
    if path and any(uses(item, OURS) for item in session.items):
        from mpbench.core.errors import UsageError  # noqa: PLC0415 - a run without a target file needs none of it
        from mpbench.harness.environment import check_environment, profile_of  # noqa: PLC0415

        try:
            profile_of(check_environment(path))
        except UsageError as e:
            raise pytest.UsageError(str(e)) from e


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, None, None]:
    """Skip a test of the bench, inside pytest's own wrapper but before labgrid's hook."""
    if uses(item, OURS):
        item.config.stash[NOT_RUN] += 1
        pytest.skip(no_board())
    return (yield)


def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, str] | None:
    """NOT-RUN instead of SKIPPED."""
    reason = report.longrepr[2] if report.skipped and isinstance(report.longrepr, tuple) else ""
    return ("skipped", "s", "NOT-RUN") if reason.endswith(no_board()) else None


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Nothing was executed on a board that should have been: no success."""
    if session.config.stash[NOT_RUN] and exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """How many tests did not run, and what to do."""
    if config.stash[NOT_RUN]:
        terminalreporter.section("mpbench")
        terminalreporter.write_line(
            f"{config.stash[NOT_RUN]} board tests did not run; {no_board()}", yellow=True
        )
