# SPDX-License-Identifier: MIT
"""Suspend: what a board printed is read, what is predicted, and a board that does not wake up."""

import pytest

from mpbench.core import evidence as artefact
from mpbench.core.errors import InfrastructureError
from mpbench.core.evidence import Artefact, Evidence
from mpbench.suspend import measure, memory, parse, predict
from mpbench.suspend.facts import ERRNO, LOOKS, PLACES, Place, Sleep, SuspendFacts
from mpbench.twin.profile import load_profile

# A virtual STM32MP25, whose alarm was a timer: counts and times as it printed them.
LOOKED = """@fill
0 open errno=0
0 hash errno=0 hash=8b277efc
0 fill errno=0
@before.stats
fail 0
last_failed_dev 
last_failed_step 
success 0
@before.events
0 9010000.pl031
0 alarmtimer.0.auto
@count
OK
@alarm
OK
@before.uptime
6.19 2.56
@before.trace
mpbench alive m33 1
boot 00000001 beat 0000000e
@errno
OK
@after.uptime
9.26 8.54
@after.trace
mpbench alive m33 1
boot 00000001 beat 000000a8
@irq
@interrupts
           CPU0       CPU1
 16:          1          0 GIC-0  34 Level     rtc-pl031
 18:          0          0 GIC-0 209 Level     0.m0
 30:          1          0 stm32mp-exti-direct  61 Level     4c001000.mailbox
 31:          1          0 stm32mp-exti  68 Edge      10000000.m4
 32:          1          0 GIC-0  40 Level
@after.stats
fail 0
last_failed_dev 
last_failed_step 
success 1
@after.events
1 9010000.pl031
0 alarmtimer.0.auto
@memory
0 open errno=0
0 hash errno=0 hash=8b277efc
0 check errno=0 different=0 first=0 last=0 pattern=0 found=0
@later.uptime
9.78 9.00
@later.trace
mpbench alive m33 1
boot 00000001 beat 000000c2
@end
"""  # noqa: W291 - as the kernel prints it
LOG = """6,601,6200000,-;mpbench suspend 0a0b0c
6,602,6210000,-;PM: suspend entry (s2idle)
6,603,9230000,-;PM: suspend exit
"""
PLACED = "constant 0x80100000+0x40\nspare 0x812f0000+0x10000\n"
EXPECTED = predict.slept("alive m33")


def evidence_of(looked=LOOKED, log=LOG, errno="OK", placed=PLACED, trace="beat 000000c3"):
    """Evidence of a suspend."""
    second = f"mpbench alive m33 1\nboot 00000001 {trace}\n"
    return Evidence(
        (
            Artefact(ERRNO, errno.encode()),
            Artefact(LOOKS, looked.encode()),
            Artefact(artefact.TRACE_FIRST, b"mpbench alive m33 1\nboot 00000001 beat 000000c2\n"),
            Artefact(artefact.TRACE_SECOND, second.encode()),
            Artefact(artefact.STATE, b"running"),
            Artefact(artefact.CORE, b"m33"),
            Artefact(artefact.KMSG, log.encode()),
            *([Artefact(PLACES, placed.encode())] if placed else []),
        )
    )


def test_a_suspend_is_as_predicted():
    """Every field of a board that slept agrees with the prediction."""
    assert parse.suspend_facts(evidence_of()) == EXPECTED


@pytest.mark.parametrize(
    ("old", "new", "field", "found"),
    [
        ("beat 0000000e", "beat 000000a8", "worked", False),
        ("beat 0000000e", "beat 00000060", "worked", False),
        ("beat 0000000e", "beat 00000058", "worked", True),
        ("boot 00000001 beat 000000a8", "boot 00000002 beat 00000001", "worked", None),
        ("@irq\n", "@irq\n16\n", "woken_by", "alarm"),
        ("@irq\n", "@irq\n30\n", "woken_by", "mailbox"),
        ("@irq\n", "@irq\n31\n", "woken_by", "watchdog"),
        ("@irq\n", "@irq\n18\n", "woken_by", "watchdog"),
        ("@irq\n", "@irq\n99\n", "woken_by", "99"),
        ("1 9010000.pl031", "0 9010000.pl031", "woken_by", None),
        ("1 9010000.pl031", "0 9010000.pl031\n2 usb1", "woken_by", "usb1"),
        ("hash=8b277efc\n0 check", "hash=8b277efd\n0 check", "memory", "constant memory 0x80100000+0x40"),
        (
            "different=0 first=0 last=0 pattern=0 found=0",
            "different=2 first=812f0010 last=812f0014 pattern=1 found=beef",
            "memory",
            "2 words in 0x812f0010..0x812f0014, the first is 0x0000beef and was 0x00000001",
        ),
    ],
)
def test_what_differs_is_seen(old, new, field, found):
    """One change in what the board printed changes one field."""
    assert LOOKED.count(old) >= 1
    looked = LOOKED.replace(old, new)
    assert getattr(parse.suspend_facts(evidence_of(looked)), field) == found


def test_a_crash_in_the_sleep_is_seen():
    """The kernel's line after the script's marker counts, an earlier one does not."""
    line = "3,604,9240000,-;remoteproc remoteproc0: crash detected in m33: type watchdog\n"
    assert parse.suspend_facts(evidence_of(log=LOG + line)).crash == "watchdog"
    assert parse.suspend_facts(evidence_of(log=line + LOG)).crash == ""
    other = LOG + line.replace("m33", "m0")
    assert parse.suspend_facts(evidence_of(log=other)).crash == ""


def test_a_log_that_was_read_twice():
    """A new connection reads the kernel's log from its start: the last marker counts."""
    earlier = "6,1,1,-;PM: suspend entry (deep)\n"
    assert parse.suspend_facts(evidence_of(log=earlier + LOG + earlier + LOG)).entered == "s2idle"


@pytest.mark.parametrize(
    ("step", "device", "found"),
    [
        ("suspend", "alarmtimer.0.auto", "suspend alarmtimer.0.auto"),
        ("freeze", "alarmtimer.0.auto", "freeze"),
        ("", "", ""),
    ],
)
def test_a_refusal_names_step_and_device(step, device, found):
    """The step that failed, and for steps of devices the device; nothing for a write that comes to none."""
    failed = f"fail {int(bool(step))}\nlast_failed_dev {device}\nlast_failed_step {step}\nsuccess 0\n"
    head, _, rest = LOOKED.partition("@after.stats\n")
    looked = head + "@after.stats\n" + failed + rest.partition("success 1\n")[2]
    facts = parse.suspend_facts(evidence_of(looked, errno="EBUSY"))
    assert (facts.errno, facts.refused_by, facts.woken_by) == ("EBUSY", found, "")


@pytest.mark.parametrize(
    ("errno", "old", "new", "early"),
    [
        ("EBUSY", "", "", True),
        ("OK", "", "", False),
        ("EBUSY", "1 9010000.pl031", "0 9010000.pl031", False),
        ("EBUSY", "1 9010000.pl031", "0 9010000.pl031\n1 usb1", False),
        (
            "EBUSY",
            "@after.stats\nfail 0\nlast_failed_dev \nlast_failed_step ",
            "@after.stats\nfail 1\nlast_failed_dev alarmtimer.0.auto\nlast_failed_step suspend",
            True,
        ),
        ("EBUSY", "@after.uptime", "@nothing", False),
    ],
)
def test_an_alarm_before_the_sleep(errno, old, new, early):
    """EBUSY with an event of the clock, or by the timer: only that is a reason to set the alarm for later."""
    looked = LOOKED.replace(old, new) if old else LOOKED
    assert parse.came_early(evidence_of(looked, errno=errno)) == early


def test_a_core_without_a_trace_buffer_or_memory():
    """What cannot be seen is not known."""
    looked = LOOKED.replace("mpbench alive m33 1\nboot 00000001 beat", "something else")
    facts = parse.suspend_facts(evidence_of(looked, placed=""))
    assert (facts.worked, facts.boots, facts.memory) == (None, None, None)


def test_memory_that_cannot_be_read():
    """A place that Linux does not map makes no statement about the memory."""
    looked = LOOKED.replace("0 fill errno=0", "0 fill errno=1")
    with pytest.raises(InfrastructureError, match=r"spare 0x812f0000\+0x10000: EPERM, OK"):
        parse.suspend_facts(evidence_of(looked))


FACILITIES = """state freeze mem disk
mem_sleep s2idle [deep]
alarm /sys/class/rtc/rtc1
waker alarmtimer.0.auto
0 alarm errno=0
"""
CLOCK = "alarm /sys/class/rtc/rtc1\n"
WAKER = "waker alarmtimer.0.auto\n"
TIMER = "0 alarm errno=0\n"


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("", "", ""),
        ("freeze ", "", "this kernel cannot suspend to idle"),
        ("state freeze mem disk", "state ", "this kernel cannot suspend to idle"),
        (CLOCK, "", ""),
        (CLOCK + WAKER + TIMER, "", "no real-time clock of this board"),
        (CLOCK + WAKER, "", "no real-time clock of this board"),
        (CLOCK + WAKER + TIMER, WAKER + "0 alarm errno=5f\n", "no real-time clock of this"),
    ],
)
def test_what_a_board_lacks_is_said(old, new, found):
    """Suspend needs the kernel's state and an alarm, by sysfs or by a timer."""
    why = parse.facilities(FACILITIES.replace(old, new)).missing
    assert why.startswith(found)
    assert bool(why) == bool(found)


def test_deeper_states_and_the_clock():
    """The words of mem_sleep but for s2idle, and the first clock with an alarm."""
    found = parse.facilities(FACILITIES)
    assert (found.deeper, found.clock, found.timers) == (("deep",), "/sys/class/rtc/rtc1", True)


@pytest.mark.parametrize(
    ("line", "keeps"),
    [("", True), ("configuration 1\n", True), ("configuration 0\n", False)],
)
def test_whether_linux_keeps_firmware_files(line, keeps):
    """By the kernel's configuration; without one it is taken as if it does."""
    assert parse.facilities(FACILITIES + line).keeps_files == keeps


# --- predictions ------------------------------------------------------------------------------------------


def test_spare_memory():
    """The end of regions that the image is loaded to, and the shared one; not an alias, nor what it uses."""
    regions = [
        ("retram", 0x38000000, 0x10000),
        ("mcuram", 0x30000000, 0x40000),
        ("mcuram2", 0x10000000, 0x40000),
        ("vdev0vring0", 0x10040000, 0x1000),
        ("vdev0vring1", 0x10041000, 0x1000),
        ("vdev0buffer", 0x10042000, 0x4000),
    ]
    loaded = [(0x38000000, 0x40), (0x10000800, 0x400), (0x10041200, 0x60)]
    assert [place.line for place in predict.spare(loaded, regions)] == [
        "spare 0x38002000+0xe000",
        "spare 0x10030000+0x10000",
        "spare 0x10043000+0x3000",
    ]


def test_places_of_the_virtual_boards(firmware_elf):
    """The firmware's constant memory, and memory behind it; the words for the board's client are a pair."""
    profile = load_profile("linux-mp15")
    found = memory.places(profile, "m4", firmware_elf)
    assert [place.spare for place in found] == sorted(place.spare for place in found)
    assert any(place.spare for place in found)
    assert not all(place.spare for place in found)
    fill, check = memory.fill(found, 5), memory.check(found, 5)
    assert len(fill) == len(check) == len(found) + 1
    assert [word.replace("fill,", "check,") for word in fill] == list(check)


@pytest.fixture
def firmware_elf():
    """The firmware `alive` for the M4."""
    from mpbench.harness.firmware import make  # noqa: PLC0415 - builds it

    return (make() / "m4" / "alive.elf").read_bytes()


def test_measurements():
    """The length of the write, and the rate asleep as a share of that afterwards, if it is known."""
    found = list(measure.measurements(Sleep(3.0, 49.0, 50.0), {"core": "m33"}))
    assert [(m.value, m.unit) for m in found] == [(3.0, "s"), (0.98, "")]
    assert [m.verdict and m.verdict.value for m in found] == [None, "PASS"]
    assert len(list(measure.measurements(Sleep(3.0), {}))) == 1
    assert list(measure.measurements(None, {})) == []


def test_a_field_that_is_not_predicted_is_undecided():
    """A crash is predicted without the fields that it leaves open."""
    found = predict.crashed("starve m4")
    assert (found.crash, found.boots, found.worked, found.memory) == ("watchdog", None, None, None)
    assert predict.refused("alive m4", "EINVAL").entered == ""
    assert predict.refused("alive m4", "EBUSY", "freeze").refused_by == "freeze"
    assert SuspendFacts().errno is None
    assert Place(0x1000, 0x10, spare=True).line == "spare 0x1000+0x10"
