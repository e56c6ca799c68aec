# SPDX-License-Identifier: MIT
"""A suspend on a stand-in of a board: one that loses the connection, does not wake up, or refuses."""

import time

import pytest

from mpbench.board.session.shell_protocol import Reply
from mpbench.core.errors import BoardFailure, InfrastructureError, InvalidRun
from mpbench.suspend import collect, parse, predict
from mpbench.suspend.collect import NotAwake, Request
from mpbench.suspend.fixture import Suspends
from mpbench.twin.profile import load_profile
from testcases.stand_in import StandIn
from testcases.unit.test_suspend import EXPECTED, FACILITIES, evidence_of


class Clock:
    """Seconds that pass, so many at every look."""

    def __init__(self, step_s=1.0):
        self.now, self.step_s = 0.0, step_s

    def __call__(self):
        self.now += self.step_s
        return self.now


class Session(StandIn):
    """A session that loses the call; reconnects to `boot`, or not at all (""); its files hold `text`.

    answered: what the call returns before the connection is lost, None: nothing
    """

    def __init__(self, boot, *texts, answered=None):
        super().__init__()
        self.boot_id, self._after, self.texts, self.asked = "a", boot, list(texts), []
        self._answered, self._lost = answered, True

    def call(self, command, timeout_s):
        assert "setsid sh -c" in command
        assert timeout_s > 0
        if self._answered is None:
            raise InfrastructureError("the link is lost")
        return Reply(0, self._answered, b"")

    def reconnect(self, deadline_s):
        assert deadline_s >= 1.0
        if not self._after:
            raise InfrastructureError("no SSH server answers")
        changed, self.boot_id, self._lost = self._after != self.boot_id, self._after, False
        return changed

    def execute(self, command):
        self.asked.append(command)
        if self._lost:
            raise InfrastructureError("no answer to a keepalive")
        if command.startswith("cat"):
            return Reply(0, (self.texts.pop(0) if len(self.texts) > 1 else self.texts[0]).encode(), b"")
        return Reply(0, b"", b"")


REQUEST = Request("/sys/class/rtc/rtc0", "/trace0")


def test_a_lost_connection_loses_no_answer():
    """After a new connection the script's file is read until it has ended."""
    session = Session("a", "@fill\n", "@errno\nOK\n@end\n")
    assert collect.sleep(session, REQUEST, Clock()) == "@errno\nOK\n@end\n"
    assert session.asked[-1] == f"rm -f {REQUEST.file}"


def test_a_connection_that_is_lost_after_the_answer():
    """The script has ended, and then a keepalive's time is over that was sent while the board slept."""
    session = Session("a", "@errno\nOK\n@end\n", answered=b"@end\n")
    assert collect.sleep(session, REQUEST, Clock()) == "@errno\nOK\n@end\n"
    assert session.asked == [":", f"cat {REQUEST.file} 2>/dev/null; :", f"rm -f {REQUEST.file}"]


def test_a_board_that_sleeps_on():
    """No connection before the deadline: the board did not wake up."""
    with pytest.raises(NotAwake, match="the link is lost; no SSH server answers"):
        collect.sleep(Session("", ""), REQUEST, Clock())


def test_a_board_that_was_reset_in_the_sleep():
    """Another boot_id makes the run invalid."""
    with pytest.raises(InvalidRun, match="the board was reset"):
        collect.sleep(Session("b", "@end\n"), REQUEST, Clock())


def test_a_script_that_does_not_end():
    """Its end is missing at the deadline: the last of what it printed is in the message."""
    with pytest.raises(InfrastructureError, match="did not end: '@fill"):
        collect.sleep(Session("a", "@fill\n"), REQUEST, Clock(10.0))


@pytest.mark.parametrize(
    ("sections", "found"),
    [
        ({"count": "OK\n", "alarm": "OK\n", "errno": "OK\n"}, "OK"),
        ({"count": "OK\n", "alarm": "OK\n", "errno": "dd: state: Device or resource busy\n"}, "EBUSY"),
        ({"count": "dd: wakeup_count: Invalid argument\n", "alarm": "OK\n"}, "EINVAL"),
    ],
)
def test_the_result_of_the_write(sections, found):
    """It is that of the state, or of the count before it."""
    assert collect.errno_of(sections) == found


@pytest.mark.parametrize(
    ("sections", "found"),
    [
        ({"held": "1-0033\nusb1\n"}, "wake-up sources are active: 1-0033 usb1"),
        ({"held": ""}, "wake-up sources are active: its count of events cannot be read"),
        ({"count": "OK\n", "alarm": "dd: wakealarm: Invalid argument\n"}, "alarm: dd: wakealarm: Invalid"),
        ({"count": "OK\n", "deep": "dd: mem_sleep: Device or resource busy\n"}, "deep: dd: mem_sleep"),
        ({"count": "OK\n", "alarm": "OK\n", "errno": "Segmentation fault\n"}, "errno: Segmentation fault"),
    ],
)
def test_what_keeps_the_bench_from_asking(sections, found):
    """Without an alarm the board is not asked to sleep, and what dd printed is shown."""
    with pytest.raises(InfrastructureError, match=f"the board is not suspended: {found}"):
        collect.errno_of(sections)


class Bench(StandIn):
    """A bench whose board sleeps on; `failed`: why it cannot be switched off and on."""

    def __init__(self, failed):
        super().__init__()
        self.failed, self.revived = failed, 0
        self.board, self.session, self.remoteproc, self.kmsg = self, Session("", ""), self, self
        self.profile = load_profile("linux-mp15")

    def execute(self, command):
        assert command == ":"

    def debug_path(self, core, file):
        return f"/sys/kernel/debug/remoteproc/{core}/{file}"

    def mark(self):
        return 0

    def revive(self):
        self.revived += 1
        return self.failed


@pytest.mark.parametrize(
    ("failed", "after"),
    [("", "it was switched off and on"), ("no power", "it could not be switched off and on: no power")],
)
def test_a_board_that_does_not_wake_up_fails(monkeypatch, failed, after):
    """The test fails with the time it waited, and the board is switched off and on for those that follow."""

    def asleep(*_, **__):
        raise NotAwake("the link is lost")

    monkeypatch.setattr("mpbench.suspend.run.suspend", asleep)
    bench = Bench(failed)
    suspends = Suspends(bench, parse.facilities(FACILITIES), "")
    with pytest.raises(BoardFailure, match=rf"60 s after its alarm.*`freeze`.*{after}$"):
        suspends.sleep("m4", EXPECTED)
    assert bench.revived == 1


def test_an_alarm_that_came_early_is_set_for_later(monkeypatch):
    """The board is asked again with a later alarm, and only what it then does is recorded and judged."""
    asked: list = []
    recorded: list = []

    class Asleep(StandIn):
        def __init__(self, errno):
            super().__init__()
            self.evidence = evidence_of(errno=errno)

    def suspend(*words, **_):
        asked.append(words[3])
        return Asleep("EBUSY" if len(asked) < 3 else "OK")

    monkeypatch.setattr("mpbench.suspend.run.suspend", suspend)
    bench = Bench("")
    bench.append = recorded.append
    suspends = Suspends(bench, parse.facilities(FACILITIES), "")
    step = suspends.sleep("m4", EXPECTED, seconds=2)
    assert [request.seconds for request in asked] == [2, 6, 18]
    assert len({request.nonce for request in asked}) == 3
    assert recorded == [step]
    asked.clear()
    suspends.sleep("m4", predict.refused("alive m4", "EBUSY", "freeze"))
    assert len(asked) == 1


def test_files_are_read_anew_after_a_test(monkeypatch):
    """After a sleep the test waits until Linux has dropped its cache, if it has one."""
    waits = []
    monkeypatch.setattr("threading.Event.wait", lambda _, seconds: waits.append(seconds))
    for text, slept in ((FACILITIES, True), (FACILITIES, False), (FACILITIES + "configuration 0\n", True)):
        suspends = Suspends(Bench(""), parse.facilities(text), "")
        suspends._awake_s = time.monotonic() if slept else None
        suspends.await_uncached()
    assert len(waits) == 1
    assert 11 < waits[0] <= 12
