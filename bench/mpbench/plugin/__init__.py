# SPDX-License-Identifier: MIT
"""The bench inside pytest: options, and what they switch on; it judges nothing.

pytest imports this module in every run of an environment that has the bench, so it is light: the plug-in
proper (collection, hooks, signals, fixtures of all rooms) is registered only for a target file that is for
the bench, and to list fixtures. Otherwise without_board takes its place, and a test run that uses no fixture
of the bench is as if the bench were not installed.

Options are `--bench-*` and variables `MPBENCH_*`; `--lg-*` and `LG_*` belong to labgrid.
"""

import os
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from mpbench.core import rooms
from mpbench.core.errors import UsageError
from mpbench.core.shared_files import SHARED, TESTCASES
from mpbench.plugin import other_plugins

PLUGIN = (
    "mpbench.plugin.clean_output",
    "mpbench.plugin.collection",
    "mpbench.plugin.hooks",
    "mpbench.plugin.session_end",
    "mpbench.plugin.output",
    "mpbench.plugin.signals",
)
MARKS = (
    "requirement(id, ...): ids of the requirements that a test case traces to",
    "cores(name, ...): cores for which a test with `core` is run, default: all",
)


USAGE = 2
"""Exit code of the bench for a mistake in arguments or configuration; pytest's own is 4."""


@pytest.hookimpl(wrapper=True)
def pytest_cmdline_main(config: pytest.Config) -> Generator[None, object, object]:
    """A mistake in arguments or target file of a board's run ends as in every command of the bench."""
    if text := target_file(config.option) and other_plugins.missing(config):
        print(f"ERROR: {text}", file=sys.stderr)
        raise SystemExit(USAGE)  # labgrid's own hook would end in a traceback
    try:
        return (yield)
    except pytest.UsageError as e:
        if not isinstance(e.__cause__, UsageError) and not config.pluginmanager.has_plugin(PLUGIN[0]):
            raise
        from mpbench.core.sanitize import one_line  # noqa: PLC0415 - see the module's docstring
        from mpbench.plugin.clean_output import learn_all, shown  # noqa: PLC0415 - see the module's docstring

        learn_all(config)
        for text in e.args:
            print(f"ERROR: {one_line(shown(str(text)))}", file=sys.stderr)
        return USAGE


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of all rooms."""
    group = parser.getgroup("mpbench", "test bench for STM32MP boards")
    for module in rooms.modules("options"):
        module.add_options(group)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config, args: list[str]) -> None:
    """From a directory without tests, `pytest --lg-env ...` means the bench's own board cases."""
    known = early_config.known_args_namespace
    if not target_file(known):
        return
    sys.path.append(str(SHARED))  # the board cases import helpers as testcases.NAME
    if not known.file_or_dir and not _has_tests(early_config.invocation_params.dir):
        args.append(str(TESTCASES))
        known.file_or_dir = [str(TESTCASES)]


def target_file(option: object) -> str | None:
    """Path of the target file as labgrid finds it: its option, else LG_ENV."""
    path: str | None = getattr(option, "lg_env", None)
    return os.environ.get("LG_ENV") if path is None else path


def _has_tests(directory: Path) -> bool:
    names = ("test_*.py", "*/test_*.py", "testcases")
    return any(next(directory.glob(name), None) for name in names)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Register the plug-in proper, or without_board; before labgrid reads the target file."""
    for mark in MARKS:
        config.addinivalue_line("markers", mark)
    option = config.option
    path, listing = target_file(option), option.showfixtures or option.show_fixtures_per_test
    if listing or (path and _is_for_the_bench(path)):
        for name in (*PLUGIN, *rooms.names("fixture")):
            config.pluginmanager.import_plugin(name)
            if not config.pluginmanager.has_plugin(name):
                text = f"plug-in `{name}` is switched off (-p no:{name}), and no run is judged without it"
                raise pytest.UsageError(text) from UsageError(text)
    else:
        config.pluginmanager.import_plugin("mpbench.plugin.without_board")


def _is_for_the_bench(path: str) -> bool:
    """Whether a target file names a profile: others belong to tests that use labgrid alone.

    pytest.UsageError in one line if labgrid could not read it.
    """
    from mpbench.harness.environment import has_profile, read_environment  # noqa: PLC0415 - with a target file only

    try:
        return has_profile(read_environment(path))
    except UsageError as e:
        raise pytest.UsageError(str(e)) from e
