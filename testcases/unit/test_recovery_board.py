# SPDX-License-Identifier: MIT
"""What recovery needs of a board: memory by device address, watchdog lines, the recorder of recoveries."""

import pytest

from mpbench.board.core_memory import CoreMemory, DmaRange, dma_ranges, translate
from mpbench.board.interrupts import watchdog_line
from mpbench.board.session.shell_protocol import Reply
from mpbench.core.errors import InfrastructureError, InvalidRun, UsageError
from mpbench.harness.configuration import configured
from mpbench.recovery.collect_trace import CALLS, CLEAN, WORK_END, CrashTrace
from mpbench.recovery.firmware import FirmwareUnderTest, parameters
from mpbench.recovery.fixture import Crashes
from mpbench.twin.profile import load_profile
from testcases.stand_in import StandIn


class Shell(StandIn):
    """A session that knows some files and answers of commands."""

    boot_id = "a"

    def __init__(self, files=None, **answers) -> None:
        self.asked: list[str] = []
        self.files, self.answers = files or {}, answers

    def read_many(self, paths):
        return {path: self.files.get(path, "ENOENT") for path in paths}

    def read(self, path):
        return self.files.get(path, "ENOENT")

    def execute(self, command, _timeout_s=None):
        self.asked.append(command)
        code, out = next((a for word, a in self.answers.items() if word in command), (0, b""))
        return Reply(code, out, b"x: No such file or directory\n" if code else b"")

    def call(self, command, timeout_s):
        return self.execute(command, timeout_s)

    def path(self, core, file):
        return f"/sys/{core}/{file}"


M0 = bytes.fromhex("200c0000 00000000 81600000 00006000 200c6000 00000000 81800000 00002000")
BUS = "/sys/m0/device/of_node/.."
TREE = {
    f"{BUS}/dma-ranges": M0,
    f"{BUS}/#address-cells": b"\0\0\0\1",
    f"{BUS}/#size-cells": b"\0\0\0\1",
    f"{BUS}/../#address-cells": b"\0\0\0\2",
}


def test_device_addresses_are_translated_by_the_device_tree():
    """The words of the M0's mailbox are written where its bus puts them, not where the core sees them."""
    shell = Shell(TREE, devmem=(0, b"0x00000007\n0x00000008\n"))
    memory = CoreMemory(shell, shell, "m0")
    memory.write({0x200C7000: 0x4D420001})
    assert shell.asked[-1] == "devmem 0x81801000 32 0x4d420001"
    assert memory.read(0x200C7000, 2) == (7, 8)
    with pytest.raises(
        UsageError, match="4 bytes at 0x20000000 are outside of the core's memory: 0x200c0000"
    ):
        memory.read(0x20000000)


def test_a_bus_without_ranges_translates_nothing():
    """On a bus that has no dma-ranges, both sides use the same addresses."""
    assert translate((), 0x81200000, 4) == 0x81200000
    shell = Shell()
    CoreMemory(shell, shell, "m33").write({0x81201000: 1})
    assert shell.asked == ["devmem 0x81201000 32 0x1"]


def test_a_malformed_device_tree_is_refused():
    """dma-ranges of a wrong length, or cells that are no number, are named."""
    assert dma_ranges(M0, 1, 2, 1)[1] == DmaRange(0x200C6000, 0x81800000, 0x2000)
    with pytest.raises(UsageError, match="dma-ranges has 31 bytes, not a multiple of 16"):
        dma_ranges(M0[1:], 1, 2, 1)
    shell = Shell(TREE | {f"{BUS}/#size-cells": b"\1"})
    with pytest.raises(InfrastructureError, match="#size-cells: not a number of cells"):
        CoreMemory(shell, shell, "m0")


def test_a_board_without_dev_mem_is_the_labs_fault():
    """Without /dev/mem a firmware can't be given parameters, and the error names /dev/mem."""
    shell = Shell(devmem=(1, b""))
    with pytest.raises(InfrastructureError, match=r"/dev/mem access failed .* No such file or directory"):
        CoreMemory(shell, shell, "m33").write({0: 0})


def test_the_watchdog_line_is_named_like_the_cores_device():
    """/proc/interrupts names the device that the core's sysfs directory links to."""
    good = Shell(readlink=(0, b"../../../0.m33\n"))
    assert watchdog_line(good, good, "m33") == "0.m33"
    bad = Shell(readlink=(1, b""))
    with pytest.raises(InfrastructureError, match="m33: cannot determine its device"):
        watchdog_line(bad, bad, "m33")


def test_a_kernel_that_cannot_trace_leaves_fields_undecided():
    """Nothing is recorded, `missing` names what, and the fields are not decided as "no calls"."""
    shell = Shell(mkdir=(1, b""))
    trace = CrashTrace(shell, ["0.m33"])
    trace.start()
    assert trace.take() is None
    assert {"ta", "queue_work", "irq"} <= trace.missing
    assert shell.asked[0] == CLEAN


def test_a_board_that_was_reset_is_recorded_again():
    """Its tracing ended with it; without a reset nothing is asked."""
    shell = Shell(mkdir=(0, b"ta"))
    trace = CrashTrace(shell, [])
    trace.start()
    asked = list(shell.asked)
    trace.resume()
    assert shell.asked == asked
    shell.boot_id = "b"
    trace.resume()
    assert shell.asked == asked * 2


@pytest.mark.parametrize(("needed", "command"), [(CALLS, ":"), (WORK_END, "trace_marker")])
def test_without_a_tee_its_calls_are_not_needed(needed, command):
    """A kernel that records all but those: nothing is taken where they count, else what there is."""
    trace = CrashTrace(Shell(mkdir=(0, b"queue_work execute_start execute_end irq")), [], needed=needed)
    trace.start()
    assert CALLS in trace.missing
    assert WORK_END not in trace.missing
    assert command in trace.take_command()


class Recorder(Shell):
    """A board whose trace_pipe gives these pieces, one per read; None: nothing comes in time."""

    def __init__(self, *pieces) -> None:
        super().__init__()
        self.pieces = list(pieces)

    def execute(self, command, _timeout_s=None):
        super().execute(command)
        if "trace_pipe" not in command:
            return Reply(0, b"ta", b"")
        piece = self.pieces.pop(0)
        return Reply(int(piece is None), piece or b"", b"")


def recorder(*pieces, now_s=lambda: 0.0):
    trace = CrashTrace(Recorder(*pieces), [], now_s)
    trace.start()
    return trace


OLD, NEW = b" 4.0: ta: old\n", b" 4.2: ta: new\n"
FIRST, SECOND = (b" 4.%d: tracing_mark_write: mpbench mark %d\n" % (n, n) for n in (1, 2))
STARTED = b" 4.1: workqueue_execute_start: work struct 00aa: function rproc_crash_handler_work\n"
ENDED = STARTED.replace(b"start", b"end")
OTHER = STARTED.replace(b"00aa", b"00bb")


def test_a_recording_is_taken_up_to_a_mark():
    """A long record comes in pieces; each mark is another, so that of an earlier crash ends nothing."""
    trace = recorder(OLD, FIRST, NEW + SECOND)
    assert trace.take() == OLD + FIRST
    assert trace.take() == NEW + SECOND


def test_events_after_the_mark_are_taken_too():
    """An event between the mark and its reader is no reason to wait for one more."""
    assert recorder(FIRST + NEW).take() == FIRST + NEW


def test_a_handler_that_started_is_waited_for():
    """A worker that waits for a CPU after the kernel's last line still has the end of its handler taken."""
    trace = recorder(STARTED + FIRST, OTHER, ENDED, ENDED.replace(b"00aa", b"00bb"))
    assert trace.take() == STARTED + FIRST + OTHER + ENDED + ENDED.replace(b"00aa", b"00bb")
    assert not trace._session.pieces


def test_a_handler_is_waited_for_until_the_deadline():
    """The wait for a handler that an inline core dump blocks ends with its read, or at the deadline."""
    assert recorder(STARTED + FIRST, None).take() == STARTED + FIRST
    times = iter([0.0, 1.0, 99.0])
    trace = recorder(STARTED + FIRST, OTHER, ENDED, now_s=lambda: next(times))
    assert trace.take() == STARTED + FIRST + OTHER
    assert "timeout 9 dd " in trace._session.asked[-1]


@pytest.mark.parametrize(("lost", "words"), [(b"42 ", "lost 42 events of CPU 1"), (b"", "lost some events")])
def test_lost_events_are_invalid(lost, words):
    """A recording with lost events proves nothing: the step is INVALID, and the error says why."""
    with pytest.raises(InvalidRun, match=words):
        recorder(b"CPU:1 [LOST " + lost + b"EVENTS]\n" + NEW + FIRST).take()


@pytest.mark.parametrize(("answer", "words"), [((1, b""), "can't be read"), ((0, b"x\n"), "no end after")])
def test_a_trace_that_cannot_be_read_is_the_labs_fault(answer, words):
    """A recorder that is gone, or floods, does not mean "no calls"."""
    trace = CrashTrace(Shell(mkdir=(0, b"ta"), trace_pipe=answer), [])
    trace.start()
    with pytest.raises(InfrastructureError, match=words):
        trace.take()


def test_counts_of_probes_are_read_by_name():
    """Only the counted functions are taken from the kernel's table of probes."""
    shell = Shell(
        {"/sys/kernel/tracing/kprobe_profile": b"  shm_in   3  0\n  foreign  9  0\n  shm_out  2  0\n"}
    )
    assert CrashTrace(shell, []).counts() == {"shm_in": 3, "shm_out": 2}


class Nothing(StandIn):
    """What a test does not reach."""


class OneCore(StandIn):
    """A bench with a core of which the kernel has logged `log`, and that board: what is done to it."""

    reachable = firewalled = True

    def __init__(self, log: bytes, state: str) -> None:
        self.log, self.now = log, state
        self.done: list[str] = []
        self.board = self.kmsg = self.remoteproc = self.session = self.profile = self

    def since(self, mark):
        return self.log[mark:]

    def state(self, _core):
        return self.now

    def core(self, _name):
        return self

    def execute(self, _command):
        return Reply(0, b"", b"")

    def write(self, _core, file, text, _deadline_s):
        self.done.append(f"{file}: {text}")
        return "OK"

    def power_cycle(self):
        self.done.append("power cycle")

    def booted(self):
        return

    start = booted


RECOVERING = b"6,1,4000000,-;remoteproc remoteproc0: recovering m33\n"
MISSING = b"3,2,4000001,-;remoteproc remoteproc0: request_firmware failed: -2\n"
SETTINGS = ["coredump: disabled", "recovery: enabled"]


@pytest.mark.parametrize(
    ("log", "state", "done"),
    [
        (RECOVERING + MISSING, "offline", ["power cycle"]),
        (RECOVERING + MISSING, "crashed", SETTINGS),
        (RECOVERING, "offline", SETTINGS),
        (MISSING, "offline", SETTINGS),
    ],
)
def test_a_recovery_that_failed_is_no_later_tests_affair(log, state, done):
    """A core that nothing else can start again is left behind switched off and on; others are not."""
    bench, nothing = OneCore(log, state), Nothing()
    crashes = Crashes(bench, nothing, nothing, bench, {})
    image = FirmwareUnderTest("starve", b"", 0, nothing, nothing, mark=0)
    crashes._firmware_under_test["m33"] = image
    crashes.restore()
    assert bench.done == done


def test_a_mailbox_is_cleared_when_the_core_is_off():
    """Where no loader clears the memory, the words that made firmware fail are not later firmware's."""

    class Kept(OneCore, Shell):
        firewalled, files = False, {}

        def leave_offline(self, core):
            self.done.append(f"{core} off")

        def execute(self, command, _timeout_s=None):
            self.done += [command] if "devmem" in command else []
            return Reply(0, b"", b"")

    bench, nothing = Kept(b"", "running"), Nothing()
    crashes = Crashes(bench, nothing, nothing, bench, {})
    memory = CoreMemory(bench, bench, "m4")
    crashes._firmware_under_test["m4"] = FirmwareUnderTest("starve", b"", 0x1000, nothing, memory, mark=0)
    crashes.restore()
    none = "devmem 0x1000 32 0x0 && devmem 0x1004 32 0x0 && devmem 0x1008 32 0x0"
    assert bench.done == ["devmem 0x1004 32 0x4d420000", *SETTINGS, "m4 off", none]


class Known(StandIn):
    """A bench of which only the profile is asked."""

    def __init__(self, profile) -> None:
        self.profile = profile


def test_a_watchdog_that_linux_does_not_hear_of_is_given_on_request(built):
    """Recovery cases let firmware fail and tell Linux: a reset by IWDG4 would come before that."""
    elf = (built / "m33" / "starve.elf").read_bytes()
    nothing = Nothing()
    bench = Known(load_profile("virtual-mp25-st"))
    crashes = Crashes(bench, lambda _name, _core: elf, None, nothing, {"m33": "iwdg4"})
    words = parameters(live_ms=0, failures=0)
    found = crashes.image("starve", "m33", live_ms=0, failures=0)
    assert found == configured(elf, "m33", "", words)
    found = crashes.image("starve", "m33", unheard=True, live_ms=0, failures=0)
    assert found == configured(elf, "m33", "iwdg4", words)
    crashes.needs_unheard_watchdog("m33")
    with pytest.raises(
        pytest.skip.Exception, match=r"^m33: iwdg4, which the target gives its firmware, is no "
    ):
        crashes.needs_watchdog("m33")
    for given in ("iwdg3", ""):
        crashes = Crashes(bench, lambda _name, _core: elf, None, nothing, {"m33": given})
        with pytest.raises(
            pytest.skip.Exception, match=f"firmware {given or 'no watchdog'}: not one unheard"
        ):
            crashes.needs_unheard_watchdog("m33")


@pytest.mark.parametrize(
    ("beats", "boots", "reset"),
    [([True, False], [1], True), ([True, True], [1, 2], True), ([True], [1], False)],
)
def test_a_core_that_was_reset_stops_or_starts_again(monkeypatch, beats, boots, reset):
    """The heartbeat ends, or has a higher count of boots; one that goes on was not reset."""
    monkeypatch.setattr("mpbench.recovery.fixture.RESET_S", 10.0 if reset else 0.05)
    nothing = Nothing()
    crashes = Crashes(nothing, nothing, nothing, nothing, {})
    seen = {"beats": list(beats), "boots": list(boots)}

    def following(name):
        return seen[name].pop(0) if len(seen[name]) > 1 else seen[name][0]

    monkeypatch.setattr(Crashes, "is_beating", lambda _self, _core: following("beats"))
    monkeypatch.setattr(Crashes, "beat", lambda _self, _core: (following("boots"), 7))
    assert crashes.is_reset("m33", 1) is reset
