# SPDX-License-Identifier: MIT
"""Fault 27, step by step: a process killed before any of its changes to files, or in the middle of a line.

A child of fork() does the work and ends, without a word, at its n-th change. Whatever n is, nothing that is
left is green or signed that should not be, and doing it again gives what an undisturbed process gives.
"""

import contextlib
import json
import os
import shutil
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mpbench.core.errors import UsageError
from mpbench.core.facts import Verdict
from mpbench.core.files import AppendFile
from mpbench.core.record import LOG, read
from mpbench.core.verdict import of_unit, outcome
from mpbench.harness.resume import of_runs
from mpbench.lab.assignment import JobRun
from mpbench.lab.history import History
from mpbench.lab.journal import NightJournal
from mpbench.lab.night import Night
from mpbench.lab.plan import Job, NightPlan
from mpbench.report import amend, publish, signoff
from mpbench.report.manifest import MANIFEST, SIGNATURES
from testcases.unit.test_verdict_outlets import Attempt, execute, run_all

pytestmark = pytest.mark.slow
KILLED = 9
NEVER = 1000
"""More changes than any operation here makes."""
CHANGES = {"os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "sqlite3.connect"}
STARTED_S = 1_795_000_000.0
PASSES = Attempt((0, 1), (Verdict.PASS, Verdict.PASS), 9, "regular")
FAILS = Attempt((0, 1), (Verdict.PASS, Verdict.FAIL), 9, "regular")


def kills(operation: Callable[[], object], prepare: Callable[[], object] = lambda: None) -> Iterator[int]:
    """Prepare, and do it in a child that is killed at its first, second, ... change, until one is not."""
    for n in range(NEVER):
        prepare()
        if _killed(n, operation):
            yield n
        else:
            assert n > 1
            return
    raise AssertionError("the operation has no end")


def _killed(n: int, operation: Callable[[], object]) -> bool:
    """Whether a child was killed at its n-th change; it must not fail otherwise."""
    child = os.fork()
    if not child:
        code = 1
        try:
            _kill_at(n)
            operation()
            code = 0
        except BaseException:
            traceback.print_exc(file=sys.__stderr__)
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, KILLED)
    return code == KILLED


def _kill_at(n: int) -> None:
    """End this process at its n-th change of a file; a line that is being written is torn."""
    left = n
    append = AppendFile.append

    def step() -> None:
        nonlocal left
        left -= 1
        if left < 0:
            os._exit(KILLED)

    def hook(event: str, arguments: Any) -> None:
        writes = (
            event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        )
        if event in CHANGES or writes:
            step()

    def torn(file: AppendFile, entry: Any) -> None:
        if left == 0:
            file._file.write(json.dumps(dict(entry)).encode()[:9])
        step()
        append(file, entry)

    vars(os)["fsync"] = lambda _: step()
    mock.patch.object(AppendFile, "append", torn).start()
    sys.addaudithook(hook)


def signed(directory: Path, key: Ed25519PrivateKey) -> str:
    """Verdict that can be signed of a directory, "" if none can."""
    with contextlib.suppress(UsageError):
        return signoff.sign(directory, key, "Ann", "tested")[1].verdict
    return ""


@pytest.fixture
def key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


def test_27_a_run_that_is_killed_anywhere_is_green_only_at_its_end(tmp_path, key):
    """Its record is absent, or says what is missing; what it says can be resumed."""
    root = tmp_path / "runs"

    def run() -> None:
        state = execute(PASSES, root, None)
        assert state.directory
        publish.write([state.directory], state.directory)

    for n in kills(run):
        for directory in root.glob("*") if root.exists() else ():
            if (directory / LOG).exists():
                found = read(directory)
                assert (of_unit([outcome(found)]).verdict is Verdict.PASS) == found.ended, n
                assert found.ended or not signed(directory, key)
                of_runs(directory)
                if found.ended:
                    publish.write([directory], directory)
                assert not found.ended or signed(directory, key) == "PASS", n
        root.rename(tmp_path / f"killed-{n}") if root.exists() else None


def test_27_a_night_whose_end_is_killed_anywhere_ends_as_any_other(tmp_path, key):
    """Its page, its journal and its history: made again by the next night, and then signed."""
    begun, reports = tmp_path / "begun", tmp_path / "reports"
    job = Job("job", tmp_path, {}, ("t",))
    plan = NightPlan(tmp_path / "plan.yaml", "plan", reports, (job,), keep_nights=1)
    run = JobRun(job, "place")
    with contextlib.closing(NightJournal.open(begun, plan.name, STARTED_S)) as journal:
        directory = reports / journal.directory.name
        run_all([FAILS], journal.directory / "runs" / run.name)

    def begin() -> None:
        shutil.rmtree(reports, ignore_errors=True)
        shutil.copytree(begun, reports)

    def end() -> None:
        with contextlib.closing(NightJournal.open(reports, plan.name, STARTED_S)) as journal:
            night: Any = Night(
                plan, lambda _: None, mock.Mock(), History(reports / "history.sqlite"), journal
            )
            night.runs = (run,)
            night._merge()

    for n in kills(end, begin):
        assert signed(directory, key) in ("", "FAIL"), n
        for name in (MANIFEST, SIGNATURES):
            (directory / name).unlink(missing_ok=True)
        with contextlib.closing(NightJournal.open(reports, plan.name, STARTED_S)) as journal:
            ended = journal.directory != directory
        assert ended or not _killed(NEVER, end), n
        assert signed(directory, key) == "FAIL", n
    assert signed(directory, key) == "FAIL"


def test_27_a_sign_off_that_is_killed_anywhere_is_done_again(tmp_path, key):
    """No signature, or a whole one."""
    state = execute(PASSES, tmp_path, None)
    assert state.directory
    directory = state.directory
    publish.write([directory], directory)
    trusted = {signoff.fingerprint(key.public_key()): key.public_key()}
    for n in kills(lambda: signoff.sign(directory, key, "Ann", "tested")):
        with contextlib.suppress(UsageError):
            found = signoff.verify(directory, trusted)
            assert found.wrong or found.signed, n
        (directory / SIGNATURES).unlink(missing_ok=True)
    assert signoff.verify(directory, trusted).wrong == ()


def test_27_a_waiver_that_is_killed_anywhere_is_there_or_not(tmp_path, key):
    """The record is whole, or its torn line is not signed; its page can be made again."""
    state = execute(FAILS, tmp_path, None)
    assert state.directory
    directory = state.directory
    publish.write([directory], directory)
    good = (directory / LOG).read_bytes()
    for n in kills(lambda: amend.waive(directory, ["t.py::test_1"], "Ann", "known")):
        found = read(directory)
        assert found.ended, n
        publish.write([directory], directory)
        assert signed(directory, key) == ("" if found.notes else "FAIL"), n
        for name in (MANIFEST, SIGNATURES):
            (directory / name).unlink(missing_ok=True)
        (directory / LOG).write_bytes(good)
        publish.write([directory], directory)
