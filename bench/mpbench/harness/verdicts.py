# SPDX-License-Identifier: MIT
"""Verdict of a test from the outcome of its phases, by whose fault it is. Pure."""

import sysconfig
import traceback
from collections.abc import Iterable
from pathlib import Path

import pytest
from attrs import frozen
from labgrid.strategy import StrategyError

from mpbench.core.errors import BoardFailure, InfrastructureError, InvalidRun, UsageError
from mpbench.core.facts import Measurement, Verdict, limits, overall
from mpbench.core.shared_files import PACKAGE

BLOCKED = "BLOCKED: "
"""Prefix of a skip's reason if the test did not run because of an earlier failure."""

_STRONGEST_FIRST = (
    Verdict.INVALID,
    Verdict.FAIL,
    Verdict.ERROR,
    Verdict.INFRA,
    Verdict.BLOCKED,
    Verdict.NOT_RUN,
)
"""Inside one test INVALID outranks FAIL: what was observed on a board that was reset does not count."""

_BY_FAULT: tuple[tuple[type[BaseException], Verdict, str], ...] = (
    (InvalidRun, Verdict.INVALID, ""),
    (BoardFailure, Verdict.FAIL, ""),
    (InfrastructureError, Verdict.INFRA, ""),
    (KeyboardInterrupt, Verdict.INVALID, "interrupted: "),
    (pytest.exit.Exception, Verdict.INVALID, "interrupted: "),
)

LOST_RESOURCE = "the place has lost a resource: its exporter has gone, or was started again without it"
_RESOURCES = "labgrid/remote/common.py"

_FILE_ERRORS = (FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError, PermissionError)
"""What a test's own use of files raises; other errors of the system are the network's or the host's."""

STDLIB = Path(traceback.__file__).parent

TIME_LIMIT = " from pytest-timeout."
"""End of the message by which that plug-in fails a test."""

NOT_CALLED = "async def functions are not natively supported"
"""Start of the message by which pytest fails a test that it cannot call."""

_LAB_PACKAGES = {"labgrid", "paramiko", "pexpect", "serial", "requests", "urllib3", "grpc", "subprocess"}
"""Packages that reach the board; what they raise is the lab's fault, and so are OSError and EOFError."""


_NOT_A_TEST = (str(PACKAGE), sysconfig.get_path("stdlib"), "<")
"""Starts of file names that are no test's; contextlib is in many tracebacks."""


@frozen
class PhaseVerdict:
    """Verdict of a phase (setup, call, teardown) or of a whole test, and why it is not a PASS."""

    verdict: Verdict
    reason: str = ""


def cause(exception: BaseException) -> BaseException:
    """The exception that broke a labgrid strategy; any other exception itself."""
    while isinstance(exception, StrategyError) and exception.__cause__ is not None:
        exception = exception.__cause__
    return exception


def is_broken_strategy(exception: BaseException) -> bool:
    """Whether a labgrid strategy broke, so that the board's state is unknown."""
    return isinstance(exception, StrategyError)


def is_of_lab(exception: BaseException) -> bool:
    """Whether the lab is at fault: network, console, power, host.

    So is any exception inside a package that reaches the board, as labgrid's KeyError for a lost resource.
    """
    if _is_of_authors_file(exception):
        return False
    if _has_lost_resource(exception):
        return True
    packages = {kind.__module__.partition(".")[0] for kind in type(exception).__mro__}
    frames = traceback.extract_tb(exception.__traceback__)
    packages |= set(Path(frames[-1].filename).parts) if frames and not _location(exception) else set()
    return isinstance(exception, (InfrastructureError, OSError, EOFError)) or bool(packages & _LAB_PACKAGES)


def _has_lost_resource(exception: BaseException) -> bool:
    """Whether labgrid met a resource that the coordinator has deleted.

    Ref: labgrid remote/common.py, ResourceEntry.args; remote/client.py, on_resource_changed()
    """
    frames = traceback.extract_tb(exception.__traceback__)
    return isinstance(exception, KeyError) and bool(frames) and frames[-1].filename.endswith(_RESOURCES)


def _is_of_authors_file(exception: BaseException) -> bool:
    """Whether the test itself, by no call of a package, used a file of this host that it should not have."""
    if not isinstance(exception, _FILE_ERRORS):
        return False
    frames = [Path(frame.filename) for frame in traceback.extract_tb(exception.__traceback__)]
    own = [n for n, path in enumerate(frames) if _is_own(path)]
    return bool(own) and not any(map(_is_of_package, frames[own[-1] :]))


def _is_own(path: Path) -> bool:
    """Whether a source file belongs to the test, and not to the bench, a package or Python."""
    return not _is_of_package(path) and STDLIB.name not in path.parts


def _is_of_package(path: Path) -> bool:
    """Whether it belongs to the bench or a package. A checkout may have any name, "mpbench" too."""
    return path.is_relative_to(PACKAGE) or "site-packages" in path.parts


def needs_no_traceback(exception: BaseException) -> bool:
    """Whether the message suffices: for faults of board, lab and configuration."""
    found = cause(exception)
    of_configuration = isinstance(found, UsageError) and not _location(found)
    return isinstance(found, (BoardFailure, InvalidRun)) or of_configuration or is_of_lab(found)


def of_exception(exception: BaseException, when: str) -> PhaseVerdict:
    """Verdict of a phase that ended with an exception.

    Only a failed assertion of the test and a BoardFailure are FAIL. ERROR is a mistake in the test, or in the
    bench: a UsageError, or an exception that neither the board nor the lab explains.
    """
    exception = cause(exception)
    reason = str(exception).strip() or type(exception).__name__
    if isinstance(exception, pytest.skip.Exception):
        return of_skip(reason)
    if isinstance(exception, pytest.fail.Exception) and reason.endswith(TIME_LIMIT):
        return PhaseVerdict(Verdict.INVALID, f"{reason} The lab or the board was slow: no verdict")
    failed = isinstance(exception, (AssertionError, pytest.fail.Exception))
    if when == "call" and failed and not reason.startswith(NOT_CALLED):
        return PhaseVerdict(Verdict.FAIL, reason)
    for kind, verdict, prefix in _BY_FAULT:
        if isinstance(exception, kind):
            return PhaseVerdict(verdict, prefix + reason)
    named = reason if isinstance(exception, UsageError) else f"{type(exception).__name__}: {reason}"
    if _has_lost_resource(exception):
        named = LOST_RESOURCE
    if is_of_lab(exception):
        return PhaseVerdict(Verdict.INFRA, named)
    return PhaseVerdict(Verdict.ERROR, named + _location(exception))


def _location(exception: BaseException) -> str:
    """Where the test or its fixture made a mistake, as " (FILE:LINE)"; "" if only packages were involved."""
    for frame in reversed(traceback.extract_tb(exception.__traceback__)):
        if not frame.filename.startswith(_NOT_A_TEST) and "site-packages" not in frame.filename:
            return f" ({Path(frame.filename).name}:{frame.lineno})"
    return ""


def of_skip(reason: str) -> PhaseVerdict:
    """NOT-RUN with the skip's reason, or BLOCKED if an earlier failure is the reason."""
    if reason.startswith(BLOCKED):
        return PhaseVerdict(Verdict.BLOCKED, reason.removeprefix(BLOCKED))
    return PhaseVerdict(Verdict.NOT_RUN, reason)


def of_measurement(m: Measurement) -> PhaseVerdict | None:
    """Verdict of a measurement, reason with value, unit and limits; None for a PASS, and without limits."""
    if m.verdict is None or m.verdict is Verdict.PASS:
        return None
    where = "outside its limit" if m.verdict is Verdict.FAIL else "close to its limit"
    value = f"{m.value:g} {m.unit}".rstrip()
    return PhaseVerdict(m.verdict, f"{m.label}: {value} is {where} {limits(m.low, m.high)}")


def of_test(phases: Iterable[PhaseVerdict]) -> PhaseVerdict:
    """Verdict of a test: the strongest of its phases, with the reasons of all of them."""
    found = list(phases)
    verdict = next((v for v in _STRONGEST_FIRST if v in {f.verdict for f in found}), None)
    reasons = "\n".join(f.reason for f in found if f.reason)
    return PhaseVerdict(verdict or overall(f.verdict for f in found), reasons)
