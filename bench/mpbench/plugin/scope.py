# SPDX-License-Identifier: MIT
"""What a run's tests were selected from: all board cases of the directories of its test files.

Options such as -k and -m deselect collected tests, but a path or an id on the command line, --lf and --ignore
leave the rest uncollected; those files are collected here without running them, so that a partial run can be
called one.
"""

from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path

import pytest
from attrs import define, field

from mpbench.core.facts import Verdict
from mpbench.core.files import real_path
from mpbench.core.lines import PlanLine
from mpbench.harness.run_state import id_of, is_board_test, requirements_of


@define
class Scope:
    """Requirements of every case that there was to select from, by id.

    settled: verdicts of those that a resume left out
    skipped: files that skipped themselves, with their reason
    """

    cases: dict[str, tuple[str, ...]] = field(factory=dict)
    settled: dict[str, Verdict] = field(factory=dict)
    skipped: list[str] = field(factory=list)

    def add(self, items: Iterable[pytest.Item]) -> None:
        """Add the board tests of `items`."""
        self.cases |= {id_of(item): requirements_of(item) for item in items if is_board_test(item)}

    def plan(self, selected: Sequence[pytest.Item]) -> PlanLine:
        """The plan of a run that executes `selected`."""
        self.add(selected)
        traced = (name for names in self.cases.values() for name in names)
        tests = tuple(id_of(item) for item in selected)
        requirements, earlier = tuple(dict.fromkeys(traced)), set(self.settled.values())
        in_order = tuple(v for v in Verdict if v in earlier)
        skipped = tuple(self.skipped)
        return PlanLine(tests, len(self.cases), requirements, len(self.settled), in_order, skipped)


SCOPE = pytest.StashKey[Scope]()


def neighbours(session: pytest.Session, items: Sequence[pytest.Item]) -> Iterator[pytest.Item]:
    """The cases of files that the command line left out, or of which it collected a part."""
    config = session.config
    ignored = [real_path(config.invocation_params.dir / path) for path in config.getoption("ignore") or ()]
    failed_only = bool(config.getoption("lf", False))  # of a file, what failed last is collected
    named = [_path(config, arg) for arg in config.args]
    all_named = all(path.is_dir() and not part for path, part in named)
    if all_named and not (failed_only or ignored or config.getoption("ignore_glob")):
        return
    whole = set() if failed_only else {path for path, part in named if not part}
    complete = {item.path for item in items if whole & {item.path, *item.path.parents}}
    patterns = config.getini("python_files")
    beside = dict.fromkeys(item.path.parent for item in items if is_board_test(item))
    found = [file for directory in beside for file in sorted(directory.glob("*.py"))]
    for path in ignored:
        found += sorted(path.rglob("*.py")) if path.is_dir() else [path]
    for file in dict.fromkeys(found):
        if file not in complete and any(fnmatch(file.name, pattern) for pattern in patterns):
            yield from _cases(pytest.Module.from_parent(session, path=file))


def _path(config: pytest.Config, arg: str) -> tuple[Path, str]:
    """File or directory of an argument, and what it names in there."""
    path, _, part = arg.partition("::")
    return real_path(config.invocation_params.dir / path), part


def _cases(node: pytest.Collector) -> Iterator[pytest.Item]:
    try:
        children = list(node.collect())
    except (Exception, SystemExit, pytest.skip.Exception, pytest.fail.Exception):
        return  # whatever a test file that was not selected does when it is imported
    for child in children:
        if isinstance(child, pytest.Item):
            yield child
        elif isinstance(child, pytest.Collector):
            yield from _cases(child)
