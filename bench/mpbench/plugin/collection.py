# SPDX-License-Identifier: MIT
"""Which tests a run has: options, the environment's check, cores as parameters."""

import importlib
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from labgrid.config import Config
from labgrid.exceptions import InvalidConfigError, NoConfigFoundError
from labgrid.pytestplugin.hooks import LABGRID_ENV_KEY

from mpbench.core import directories
from mpbench.core.errors import LabFault, Misuse
from mpbench.harness.resume import Resumed, of_runs
from mpbench.harness.run_state import CHECKOUT, MARKER, RUN, RunState, id_of, is_board_test, of
from mpbench.plugin import progress
from mpbench.twin.profile import Profile, load_profile, profile_names

TESTCASES = CHECKOUT / "testcases"
OWN = frozenset(TESTCASES / name for name in ("unit", "contract", "peer", "performance", "faults", "virtual"))
"""The bench's own tests: with a board they are collected only if they are named."""

EXAMPLE = max((CHECKOUT / "targets").glob("virtual-*.yaml")).name
"""Target file of a board that everybody has."""
NO_BOARD = f"no board was named: pytest --lg-env targets/{EXAMPLE}"
MAIN = "main"
FLIPS = 20
PROFILE = "MPBENCH_PROFILE"
"""Environment variable: name or file of a profile, before the one that the target file names."""


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
    """From a directory without tests, `pytest --lg-env ...` means the board cases of this checkout."""
    known = early_config.known_args_namespace
    here = early_config.invocation_params.dir
    if lab_environment(known.lg_env) and not known.file_or_dir and not _has_tests(here):
        args.append(str(TESTCASES))
        known.file_or_dir = [str(TESTCASES)]


def _has_tests(directory: Path) -> bool:
    names = ("test_*.py", "*/test_*.py", "testcases")
    return any(next(directory.glob(name), None) for name in names)


def pytest_configure(config: pytest.Config) -> None:
    """Check the environment before labgrid does: one line instead of a traceback."""
    config.addinivalue_line("markers", "slow: takes more than a second")
    config.addinivalue_line(
        "markers", f"{MARKER}(id, ...): ids of the requirements that a test case traces to"
    )
    config.stash[RUN] = RunState()
    # labgrid expands variables in a target file's paths; this one always has a value, as in `mpbench`.
    os.environ.setdefault(directories.VARIABLE, str(directories.config_dir()))
    path = lab_environment(config.option.lg_env)
    if path:
        try:
            profile_of(check_environment(path))
        except Misuse as e:
            raise pytest.UsageError(str(e)) from e


def lab_environment(option: str | None) -> str | None:
    """The environment's file as labgrid finds it: the option, else LG_ENV."""
    return option if option is not None else os.environ.get("LG_ENV")


def check_environment(path: str) -> Config:
    """The environment, read as labgrid reads it. Misuse with one line for whatever is wrong with it."""
    try:
        config = Config(path)
        targets = config.get_targets()
        for name in config.get_imports():
            _try_import(name)
    except NoConfigFoundError:
        raise Misuse(f"{path}: no such file (looked in {Path.cwd()})") from None
    except InvalidConfigError as e:
        raise Misuse(f"{path}{_line_of(e)}: {_one_line(e)}") from e
    except (OSError, ValueError, KeyError, ImportError, SyntaxError, AttributeError, TypeError) as e:
        raise Misuse(f"{path}: {_one_line(e)}") from e
    if not isinstance(targets, dict) or not isinstance(targets.get(MAIN), dict):
        raise Misuse(f"{path}: no target `{MAIN}`; the bench tests `targets: {MAIN}: ...`")
    for resource, attribute in empty_attributes(targets[MAIN].get("resources")):
        raise Misuse(f"{path}: `{attribute}` of {resource} is empty: give its variable a value")
    return config


def empty_attributes(resources: Any) -> list[tuple[str, str]]:
    """(class, attribute) of what is an empty text; a variable that is set to nothing makes one. Pure."""
    entries = resources if isinstance(resources, list) else [resources]
    found = [item for entry in entries if isinstance(entry, dict) for item in entry.items()]
    return [
        (str(cls), str(name))
        for cls, attributes in found
        if isinstance(attributes, dict)
        for name, value in attributes.items()
        if value == "" and name != "password"
    ]


def _try_import(name: str) -> None:
    """Import a module; labgrid runs files itself, and twice is once too often, so these are compiled only."""
    if name.endswith(".py"):
        compile(Path(name).read_bytes(), name, "exec")
    else:
        importlib.import_module(name)


def _line_of(error: BaseException) -> str:
    mark = getattr(error.__context__, "problem_mark", None)
    return f":{mark.line + 1}" if isinstance(error.__context__, yaml.MarkedYAMLError) and mark else ""


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())


def profile_of(config: Config) -> Profile:
    """The profile that MPBENCH_PROFILE, else the environment's options name. Misuse: none, or no profile."""
    override = os.environ.get(PROFILE)
    name = override or str(config.get_option("bench_profile", ""))
    if not name:
        raise Misuse(
            f"{config.filename}: no profile; e.g. `options: {{bench_profile: {profile_names()[-1]}}}`"
        )
    path = Path(name).expanduser() if override else Path(config.resolve_path(name))
    try:
        return load_profile(path if path.is_file() else name)
    except Misuse as e:
        raise Misuse(f"{PROFILE if override else f'{config.filename}: bench_profile'} {e}") from e


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With a board, the bench's own tests stand back unless they are asked for."""
    if collection_path.resolve() not in OWN or not config.stash[LABGRID_ENV_KEY]:
        return None
    return True if not _is_named(collection_path, config) else None


def _is_named(path: Path, config: pytest.Config) -> bool:
    here = config.invocation_params.dir
    named = [Path(os.path.abspath(here / arg.split("::")[0])) for arg in config.args]
    return any(name.is_relative_to(path) for name in named)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """In a test that asks for a board, `core` stands for every core of the target."""
    if not {"core", "env"} <= set(metafunc.fixturenames):
        return
    env = metafunc.config.stash[LABGRID_ENV_KEY]
    names = [core.name for core in profile_of(env.config).cores] if env else []
    metafunc.parametrize("core", names or [pytest.param(None, id="no-board")])


def pytest_collection_finish(session: pytest.Session) -> None:
    """Open the record as soon as it is known that a board will be tested."""
    found = [item for item in session.items if is_board_test(item)]
    if session.config.option.collectonly:
        return
    state = of(session.config)
    state.waiting = {item.nodeid: item for item in found}
    if found and session.config.stash[LABGRID_ENV_KEY]:
        try:
            continues = resumed(session.config).run
            state.open(reports(session.config), target_name(session.config), continues)
            progress.attach(session.config, state)
        except LabFault as e:
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
    except Misuse as e:
        raise pytest.UsageError(str(e)) from e


def reports(config: pytest.Config) -> Path:
    """Where runs are recorded."""
    named: str | None = config.option.bench_reports
    return config.invocation_params.dir / named if named else CHECKOUT / "reports" / "runs"


def target_name(config: pytest.Config) -> str:
    """Name of the kind of board: the environment's file without its suffix."""
    return Path(config.stash[LABGRID_ENV_KEY].config_file).stem
