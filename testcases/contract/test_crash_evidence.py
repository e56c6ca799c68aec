# SPDX-License-Identifier: MIT
"""Evidence of a crash, collected through every kind of server and shell; files replace the board's."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from attrs import define, evolve

from mpbench.board.session.driver import SessionDriver
from mpbench.core.errors import InfrastructureError
from mpbench.core.evidence import FTRACE, KMSG, NO_TRACE, STATE, TRACE_BEFORE, TRACE_FIRST, TRACE_SECOND
from mpbench.deployment import collect
from mpbench.recovery.collect import Subject, after, before
from testcases.stand_in import StandIn

TRACE = "mpbench alive m33 1\nboot {:08x} beat {:08x}\n"
UP = "remote processor m33 is now up\n"


@define(slots=False)
class Log(StandIn):
    """A kernel log in a file."""

    path: Path
    command: str = ""
    proves_silence: bool = True

    def append_command(self, text: str) -> str:
        return f"printf '{text}' >>{self.path}"

    def marker(self):
        return Log(self.path, self.append_command("flag\\n"))

    def mark(self):
        return len(self.path.read_bytes())

    def position(self, _flag):
        return self.mark()

    def since(self, mark):
        return self.path.read_bytes()[mark:]

    def until(self, _flag, mark):
        return self.since(mark)

    def wait_for(self, pattern, mark, _deadline_s):
        return re.search(pattern, self.since(mark)) is not None


class Late(Log):
    """A kernel log in which the line that is waited for appears."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.waited: list[str] = []

    def wait_for(self, pattern, mark, deadline_s):
        line = UP if UP.strip().encode() in pattern.pattern else "mpbench beat m33 2\n"
        self.waited.append(" ".join(line.split()[:2]))
        with self.path.open("a") as file:
            file.write(line)
        return super().wait_for(pattern, mark, deadline_s)


class Recorder(StandIn):
    """A recorder with one recorded TA call, or one that can't record."""

    def __init__(self, can: bool) -> None:
        self.can = can

    def take_command(self):
        return "echo ' 1.0: ta: call'" if self.can else ":"

    def complete(self, taken):
        return taken if self.can else None


def subject(session: SessionDriver, root: Path, can: bool = True) -> Subject:
    for name in ("kmsg", "secure"):
        (root / name).write_bytes(b"")
    (root / "state").write_bytes(b"running\n")
    log, secure = Log(root / "kmsg"), Log(root / "secure")
    return Subject(
        "m33", "0.m33", str(root / "state"), str(root / "trace"), session, log, secure, Recorder(can)
    )


@contextmanager
def beating(trace: Path, boot: int) -> Iterator[None]:
    """The trace of a firmware that beats."""
    ended = threading.Event()

    def beat() -> None:
        beats = 0
        while not ended.wait(0.01):
            beats += 1
            fresh = trace.with_suffix(".new")
            fresh.write_text(TRACE.format(boot, beats) + "log\n")
            fresh.rename(trace)

    thread = threading.Thread(target=beat, name="firmware")
    thread.start()
    yield
    ended.set()
    thread.join()


def test_evidence_of_a_crash_is_whole(session: SessionDriver, tmp_path: Path):
    """Samples before it, in the round trip that provokes it, and after it: all that parse needs."""
    found, trace = subject(session, tmp_path), tmp_path / "trace"
    trace.write_text(TRACE.format(1, 7))
    seq = session._shell()._seq
    earlier = before(found, f"echo x >{tmp_path}/provoked")
    assert session._shell()._seq - seq == 1, "one round trip"
    with (tmp_path / "kmsg").open("a") as log:
        log.write(UP)
    with beating(trace, 2):
        evidence = after(earlier).evidence
    assert (tmp_path / "provoked").exists()
    assert evidence.get(TRACE_BEFORE) == TRACE.format(1, 7).encode()
    first, second = (collect.BOOT_AND_BEAT.match(evidence.get(name)) for name in (TRACE_FIRST, TRACE_SECOND))
    assert first[1] == second[1] == b"mpbench alive m33 1\nboot 00000002 "
    assert first[0] != second[0]
    assert evidence.get(TRACE_SECOND).endswith(b"log\n"), "the second sample is the whole buffer"
    assert evidence.get(STATE) == b"running\n"
    assert b"ta: call\n" in evidence.get(FTRACE)
    assert evidence.get(KMSG).startswith(UP.encode())


def test_a_dead_core_is_sampled_until_the_deadline(session: SessionDriver, tmp_path: Path):
    """Firmware that does not beat, or has no trace at all, leaves evidence of that, not an error."""
    found, clock = subject(session, tmp_path, can=False), iter(range(100))
    (tmp_path / "trace").write_text(TRACE.format(1, 0))
    evidence = after(before(found), now_s=lambda: next(clock)).evidence
    assert evidence.get(TRACE_FIRST) == evidence.get(TRACE_SECOND) == TRACE.format(1, 0).encode()
    assert evidence.get(FTRACE) is None
    (tmp_path / "trace").unlink()
    evidence = after(before(found), now_s=lambda: next(clock)).evidence
    assert evidence.get(NO_TRACE)
    assert evidence.get(TRACE_BEFORE) is None


def test_a_crash_that_cannot_be_provoked_is_the_labs_fault(session: SessionDriver, tmp_path: Path):
    """The error shows the command and its output: no crash was provoked."""
    with pytest.raises(
        InfrastructureError, match=r"m33: the command 'cat /nowhere' failed on the board: .*No such file"
    ):
        before(subject(session, tmp_path), "cat /nowhere")


def test_the_first_beat_is_waited_for_where_a_watcher_dates_it(session: SessionDriver, tmp_path: Path):
    """The watcher's line, which comes a moment after the heartbeat, belongs to the evidence."""
    found = subject(session, tmp_path)
    log = Late(tmp_path / "kmsg")
    with beating(tmp_path / "trace", 2):
        evidence = after(before(evolve(found, kmsg=log)), then="mpbench beat {core} ").evidence
    assert log.waited == ["remote processor", "mpbench beat"]
    assert b"mpbench beat m33 2\n" in evidence.get(KMSG)
