# SPDX-License-Identifier: MIT
"""Which tests a run has: the target file is checked, cores are parameters, settled tests are left out."""

import os
from collections.abc import Generator
from pathlib import Path

import pytest

from mpbench.core.errors import InfrastructureError, UsageError
from mpbench.core.shared_files import SHARED, TESTCASES
from mpbench.core.version import bench_version
from mpbench.harness.cores import select_cores
from mpbench.harness.environment import (
    asked_lines,
    check_environment,
    env_of,
    profile_of,
    reports,
    target_name,
)
from mpbench.harness.fixtures_used import OURS, is_of
from mpbench.harness.resume import Resumed, of_runs
from mpbench.harness.run_state import RUN, UNIT, RunState, id_of, is_board_test, of
from mpbench.plugin import other_plugins, progress, target_file
from mpbench.plugin.scope import SCOPE, Scope, neighbours

OWN = frozenset(path for path in TESTCASES.glob("*") if path.is_dir())
"""The bench's own tests, beside the board cases: with a board they are collected only if they are named."""


def pytest_configure(config: pytest.Config) -> None:
    """Check the target file before labgrid does: one line instead of a traceback."""
    config.stash[RUN] = RunState()
    if path := target_file(config.option):
        try:
            other_plugins.check_options(config)
            env = check_environment(path)
            profile_of(env)
            asked_lines(env, config.option.bench_note)
        except UsageError as e:
            raise pytest.UsageError(str(e)) from e
        # `return x == y` in a test asserts nothing
        config.addinivalue_line("filterwarnings", "error::pytest.PytestReturnNotNoneWarning")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With a board, the bench's own tests are collected only if they are named."""
    if collection_path.resolve() not in OWN or not env_of(config):
        return None
    return True if not _is_named(collection_path, config) else None


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    """Ids of the board cases are those of a checkout (testcases/...), whichever directory is the root."""
    if parent.config.rootpath == SHARED or not module_path.is_relative_to(TESTCASES):
        return None
    return pytest.Module.from_parent(
        parent, path=module_path, nodeid=module_path.relative_to(SHARED).as_posix()
    )


def pytest_report_header(config: pytest.Config) -> str | None:
    """pytest looks for its root also where the word after `--lg-env` is; what to write instead."""
    here, root = config.invocation_params.dir, config.rootpath
    if "--lg-env" not in config.invocation_params.args or config.inipath or config.option.rootdir:
        return None
    if root == here or not here.is_relative_to(root):
        return None
    why = "pytest takes the file after --lg-env for a test"
    return f"mpbench: rootdir is not {here}: {why}; write --lg-env=FILE"


def _is_named(path: Path, config: pytest.Config) -> bool:
    here = config.invocation_params.dir
    named = [Path(os.path.abspath(here / arg.split("::")[0])) for arg in config.args]
    return any(name.is_relative_to(path) for name in named)


@pytest.fixture(scope="session")
def core() -> str:
    """Name of the core under test: each core of the board in turn, or those that the mark `cores` names."""
    raise UsageError("`core` has to be an argument of the test, or of a fixture that is one")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`core` is every core of the target, or those of the mark `cores`."""
    env = env_of(metafunc.config)
    if not env or not is_of(metafunc._arg2fixturedefs, "core", OURS):
        return
    try:
        wanted, why_not = select_cores(metafunc.definition.iter_markers("cores"), profile_of(env.config))
    except UsageError as e:
        pytest.fail(f"{metafunc.definition.nodeid}: {e}", pytrace=False)
    skip = [pytest.mark.skip(reason=why_not)] if why_not else []
    metafunc.parametrize("core", [pytest.param(name, marks=skip) for name in wanted])


def pytest_collection_finish(session: pytest.Session) -> None:
    """Open the record as soon as it is known that a board will be tested."""
    option = session.config.option
    if option.collectonly or option.showfixtures or option.show_fixtures_per_test:
        return
    found = [item for item in session.items if is_board_test(item)]
    state = of(session.config)
    state.waiting = list(found)
    if found:
        try:
            for item in found:
                other_plugins.check_item(item)
        except UsageError as e:
            raise pytest.UsageError(str(e)) from e
        scope = session.config.stash[SCOPE]
        scope.add(neighbours(session, session.items))
        try:
            earlier = resumed(session.config)
            earlier.check_same({"bench": bench_version()})
            asked = asked_lines(env_of(session.config).config, option.bench_note)
            plan = scope.plan(found)
            state.open(reports(session.config), target_name(session.config), plan, earlier.run, asked)
            state.continued = earlier
            progress.attach(session.config, state)
        except (InfrastructureError, UsageError) as e:
            raise pytest.UsageError(str(e)) from e


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> Generator[None, object, object]:
    """Note what there is before options deselect; a run that takes others up leaves out what they settled."""
    config.stash[SCOPE] = scope = Scope(skipped=of(config).skipped)
    scope.add(items)
    result = yield
    found = resumed(config)
    done = [item for item in items if is_board_test(item) and id_of(item) in found.settled]
    scope.settled = {id_of(item): found.verdicts[id_of(item)] for item in done}
    if done:
        config.hook.pytest_deselected(items=done)
        items[:] = [item for item in items if item not in done]
    return result


def resumed(config: pytest.Config) -> Resumed:
    """What the runs that this one takes up have left."""
    option: str | None = config.option.bench_resume
    if not option:
        return Resumed()
    try:
        directory, unit = config.invocation_params.dir / option, of(config).variables.get(UNIT, "")
        return of_runs(directory, target_name(config) if env_of(config) else "", unit)
    except UsageError as e:
        raise pytest.UsageError(str(e)) from e
