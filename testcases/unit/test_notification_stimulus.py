# SPDX-License-Identifier: MIT
"""Stimuli of notifications: their rate, what a board needs for them, and which one is selected."""

import pytest

from mpbench.board.session.shell_protocol import Reply
from mpbench.board.stimulus import PassiveStimulus, RtcAlarmStimulus, SecureConsoleStimulus, paced
from mpbench.core.errors import InfrastructureError
from mpbench.notification.stimulus import best_stimulus
from testcases.unit.test_notification_board import Session


class Time:
    """A clock that only pauses move."""

    def __init__(self) -> None:
        self.now = 0.0

    def clock(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize(("burst", "acts"), [(1, 10), (4, 3), (100, 1)])
def test_stimuli_keep_their_rate(burst, acts):
    """10 at 100 Hz take a tenth of a second, one by one or in bursts, and each is counted."""
    sent: list[int] = []
    time = Time()
    number = paced(10, 100.0, burst, sent.append, lambda _: True, clock=time.clock, pause=time.pause)
    assert number == sum(sent) == 10
    assert len(sent) == acts
    assert time.now == pytest.approx(0.1)


def test_a_late_stimulus_is_made_up_for():
    """One that takes too long does not delay later ones: the rate is kept on average."""
    time = Time()
    paced(10, 10.0, 1, lambda _: time.pause(0.3 if time.now == 0 else 0), lambda _: True, clock=time.clock,
          pause=time.pause)  # fmt: skip
    assert time.now == pytest.approx(1.0)


def test_a_stimulus_ends_when_enough_came():
    """Nothing more is sent then."""
    assert paced(10, 1e9, 1, lambda _: None, lambda sent: sent < 4) == 4


def bare(kind, **given):
    """A driver outside of a labgrid target."""
    made = object.__new__(kind)
    vars(made).update(given)
    return made


def test_a_clock_of_the_secure_world_is_looked_for():
    """An RTC alarm needs a clock that OP-TEE owns: without one the reason names what an image must enable."""
    without = bare(RtcAlarmStimulus, session=Session({}))
    assert "CONFIG_RTC_DRV_OPTEE" in without.unavailable()
    found = bare(RtcAlarmStimulus, session=Session({"grep": Reply(0, b"/sys/class/rtc/rtc0/name\n", b"")}))
    assert found.unavailable() == ""
    found._set("/sys/class/rtc/rtc0/wakealarm")
    assert found.session.commands[-1].endswith("echo +1 >/sys/class/rtc/rtc0/wakealarm")
    broken = bare(RtcAlarmStimulus, session=Session({"wakealarm": Reply(1, b"", b"busy")}))
    with pytest.raises(InfrastructureError, match="cannot set an alarm: busy"):
        broken._set("x/wakealarm")


def test_sources_that_the_target_file_promises():
    """A byte on the secure console and listening need nothing of the board that could be asked for."""
    assert bare(SecureConsoleStimulus).unavailable() == bare(PassiveStimulus).unavailable() == ""


def test_the_best_stimulus_of_a_target():
    """The first one that the board supports, or the reasons why there is none."""
    assert best_stimulus(Target([])) == "the target file names no stimulus of notifications"
    no_clock = bare(RtcAlarmStimulus, session=Session({}))
    assert "CONFIG_RTC_DRV_OPTEE" in str(best_stimulus(Target([no_clock])))
    listens = bare(PassiveStimulus)
    assert best_stimulus(Target([no_clock, listens])) is listens


class Target:
    """A target with some drivers."""

    def __init__(self, drivers: list[object]) -> None:
        self.drivers = drivers

    def activate(self, driver: object) -> None:
        """Nothing to do."""
