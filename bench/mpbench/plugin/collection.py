# SPDX-License-Identifier: MIT
"""Which tests a run has: options, the environment's check, cores as parameters."""

import os
import sys
from pathlib import Path

import pytest

from mpbench.core.errors import InfrastructureError, UsageError
from mpbench.core.shared_files import SHARED, TESTCASES
from mpbench.harness.cores import select_cores
from mpbench.harness.environment import (
    check_environment,
    env_of,
    lab_environment,
    profile_of,
    reports,
    target_name,
)
from mpbench.harness.resume import Resumed, of_runs
from mpbench.harness.run_state import MARKER, RUN, RunState, id_of, is_board_test, of
from mpbench.plugin import progress

OWN = frozenset(TESTCASES / name for name in ("unit", "contract", "peer", "performance", "faults", "virtual"))
"""The bench's own tests: with a board they are collected only if they are named."""

FLIPS = 20


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("mpbench")
    group.addoption(
        "--bench-reports",
        metavar="DIR",
        default=os.environ.get("MPBENCH_REPORTS"),
        help="where runs are recorded (default: reports/runs of the checkout; MPBENCH_REPORTS)",
    )
    group.addoption(
        "--bench-progress",
        choices=("auto", "no"),
        default="auto",
        help="how far the run is: a line kept up to date on a terminal, some lines elsewhere (auto)",
    )
    group.addoption(
        "--bench-resume",
        metavar="DIR",
        help="take up the runs that are recorded below DIR: only tests without a verdict there are run",
    )
    group.addoption(
        "--bench-flips", type=int, metavar="N", default=FLIPS, help=f"random bit flips per core ({FLIPS})"
    )
    group.addoption("--bench-seed", metavar="TEXT", default="1", help="first part of their seeds (1)")
    group.addoption(
        "--bench-corpus",
        metavar="FILE",
        help="JSON Lines of flips that this board answered as predicted: they are not tried again",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config, args: list[str]) -> None:
    """From a directory without tests, `pytest --lg-env ...` means the bench's own board cases."""
    known = early_config.known_args_namespace
    here = early_config.invocation_params.dir
    if lab_environment(known.lg_env) and not known.file_or_dir and not _has_tests(here):
        args.append(str(TESTCASES))
        known.file_or_dir = [str(TESTCASES)]
    if lab_environment(known.lg_env):
        sys.path.append(str(SHARED))  # the board cases import helpers as testcases.NAME


def _has_tests(directory: Path) -> bool:
    names = ("test_*.py", "*/test_*.py", "testcases")
    return any(next(directory.glob(name), None) for name in names)


def pytest_configure(config: pytest.Config) -> None:
    """Check the environment before labgrid does: one line instead of a traceback."""
    config.addinivalue_line("markers", "slow: takes more than a second")
    config.addinivalue_line(
        "markers", "cores(name, ...): cores for which a test with `core` is run, default: all"
    )
    config.addinivalue_line(
        "markers", f"{MARKER}(id, ...): ids of the requirements that a test case traces to"
    )
    config.stash[RUN] = RunState()
    path = lab_environment(config.option.lg_env)
    if path:
        try:
            profile_of(check_environment(path))
        except UsageError as e:
            raise pytest.UsageError(str(e)) from e


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With a board, the bench's own tests stand back unless they are asked for."""
    if collection_path.resolve() not in OWN or not env_of(config):
        return None
    return True if not _is_named(collection_path, config) else None


def _is_named(path: Path, config: pytest.Config) -> bool:
    here = config.invocation_params.dir
    named = [Path(os.path.abspath(here / arg.split("::")[0])) for arg in config.args]
    return any(name.is_relative_to(path) for name in named)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """In a test that uses a board, `core` is every core of the target, or those of the mark `cores`."""
    if not {"core", "env"} <= set(metafunc.fixturenames):
        return
    env = env_of(metafunc.config)
    profile = profile_of(env.config) if env else None
    try:
        wanted, why_not = select_cores(metafunc.definition.iter_markers("cores"), profile)
    except UsageError as e:
        pytest.fail(f"{metafunc.definition.nodeid}: {e}", pytrace=False)
    skip = [pytest.mark.skip(reason=why_not)] if why_not else []
    found = [pytest.param(name, marks=skip) for name in wanted]
    metafunc.parametrize("core", found if env else [pytest.param(None, id="no-board")])


def pytest_collection_finish(session: pytest.Session) -> None:
    """Open the record as soon as it is known that a board will be tested."""
    found = [item for item in session.items if is_board_test(item)]
    if session.config.option.collectonly:
        return
    state = of(session.config)
    state.waiting = {item.nodeid: item for item in found}
    if found and env_of(session.config):
        try:
            continues = resumed(session.config).run
            state.open(reports(session.config), target_name(session.config), continues)
            progress.attach(session.config, state)
        except InfrastructureError as e:
            raise pytest.UsageError(str(e)) from e


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A run that takes others up leaves out what has a verdict there."""
    settled = resumed(config).settled
    done = [item for item in items if is_board_test(item) and id_of(item) in settled]
    if done:
        config.hook.pytest_deselected(items=done)
        items[:] = [item for item in items if item not in done]


def resumed(config: pytest.Config) -> Resumed:
    """What the runs that this one takes up have left."""
    option: str | None = config.option.bench_resume
    if not option:
        return Resumed()
    try:
        return of_runs(config.invocation_params.dir / option)
    except UsageError as e:
        raise pytest.UsageError(str(e)) from e
