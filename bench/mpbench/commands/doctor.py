# SPDX-License-Identifier: MIT
"""Checks with remedies: run in order, each with what it found and a section of the guide.

What needs a failed check is skipped, all others are run. Checks of this host are in doctor_host.py, of the
way to a board in doctor_board.py, of its Linux in doctor_linux.py.
"""

import enum
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from attrs import frozen

from mpbench.core.causes import words
from mpbench.core.errors import UsageError
from mpbench.core.shared_files import TARGETS
from mpbench.harness.verdicts import cause

UNEXPECTED = "`mpbench doctor --traceback` shows where; "


class Section(enum.Enum):
    """Headings of the guide, targets/README.md, as anchors."""

    START = "add-your-board"
    WIRE = "1-wire-it"
    KEYS = "2-keys"
    SOFTWARE = "3-op-tee-and-linux-on-the-board"
    SSH = "4-ssh-access"
    RECOVERY = "crash-and-recovery"
    NOTIFICATIONS = "notifications"
    FAILURES = "6-what-each-failure-looks-like"
    LAB = "7-into-a-lab"
    CHECKS = "when-something-is-wrong"


def guide(here: Path) -> str:
    """Path of the guide, relative if it is below `here`."""
    path = TARGETS / "README.md"
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


class CheckFailed(Exception):
    """A failed check. usage: because of the configuration; section: of the guide, else the check's own."""

    def __init__(
        self, found: str, remedy: str, section: Section | None = None, *, usage: bool = False
    ) -> None:
        super().__init__(found, remedy)
        self.found, self.remedy, self.section, self.usage = found, remedy, section, usage


@frozen
class Finding:
    """Result of a check. found: what it saw; remedy: what to do, "" if it passed; tried: False if skipped.

    section: of the guide; usage: the configuration is wrong, neither board nor lab; error: what was raised
    """

    name: str
    found: str
    remedy: str = ""
    section: Section = Section.CHECKS
    tried: bool = True
    usage: bool = False
    error: BaseException | None = None

    @property
    def ok(self) -> bool:
        return self.tried and not self.remedy


@frozen
class HealthCheck:
    """A check. run: returns what it found, or raises; needs: names of the checks that must pass before it.

    advice, section: what to do, and where the guide has more, if it raises something else than CheckFailed
    """

    name: str
    run: Callable[[], str]
    needs: tuple[str, ...] = ()
    section: Section = Section.CHECKS
    advice: str = "look it up in the table"


def examine(checks: Iterable[HealthCheck]) -> Iterator[Finding]:
    """Run checks in order; one that needs a failed check, or needs one that was skipped, is skipped."""
    reasons: dict[str, str] = {}  # check that did not pass → the failed check that is the reason
    for check in checks:
        if failed := next((reasons[name] for name in check.needs if name in reasons), ""):
            reasons[check.name] = failed
            yield Finding(check.name, f"skipped: `{failed}` must pass first", tried=False)
            continue
        finding = _run(check)
        if not finding.ok:
            reasons[check.name] = check.name
        yield finding


def _run(check: HealthCheck) -> Finding:
    try:
        return Finding(check.name, check.run(), section=check.section)
    except CheckFailed as failure:
        section = failure.section or check.section
        return Finding(check.name, failure.found, failure.remedy, section, usage=failure.usage)
    except Exception as e:
        # labgrid's drivers raise exceptions of any type; all of them mean that the check failed.
        found = cause(e)
        usage = isinstance(found, UsageError)
        text = words(found)
        if usage:
            remedy = "correct it there, or set its variables"
        else:
            remedy = f"{UNEXPECTED if text.startswith('unexpected ') else ''}{check.advice}"
        return Finding(check.name, text, remedy, check.section, usage=usage, error=found)
