# SPDX-License-Identifier: MIT
"""How far a firmware came, on a stand-in of a board and of a debugger."""

import pytest

from mpbench.board.session.shell_protocol import Reply
from mpbench.commands import firmware_trial
from mpbench.commands.firmware_file import read_firmware
from mpbench.commands.firmware_trial import FirmwareTrial
from mpbench.core.errors import InfrastructureError
from mpbench.core.shared_files import firmware_build
from mpbench_virtual.core_debugger import Stop
from mpbench_virtual.lines import Output
from testcases.stand_in import StandIn

PATH = firmware_build() / "m4/rpmsg-echo.elf"
FIRMWARE = read_firmware(PATH.read_bytes(), "echo", PATH)
LISTING = b"rpmsg-raw 0x401 rpmsg_chrdev rpmsg0\nrpmsg_ns 0x35 rpmsg_ns -\n"
TTYS = b"rpmsg-tty 0x400 rpmsg_tty ttyRPMSG0\nrpmsg-tty 0x401 rpmsg_tty ttyRPMSG1\n"
UP = b"6,1,5,-;remoteproc remoteproc0: powering up m4\n"
LOG = UP + b"3,2,6,-;remoteproc remoteproc0: crash detected in m4: type watchdog\n"


class Session(StandIn):
    """A session: the core's channels, and files that can be written."""

    def __init__(self):
        super().__init__()
        self.listing, self.answers = LISTING, {}

    def put_bytes(self, data, path):
        assert (data, path) == (FIRMWARE.data, "/lib/firmware/mpbench-m4.fw")

    def execute(self, command, timeout_s=None):  # noqa: ARG002 - the protocol's
        return Reply(
            0, next((text for tty, text in self.answers.items() if tty in command), self.listing), b""
        )


class Remoteproc(StandIn):
    """One core."""

    def __init__(self):
        super().__init__()
        self.state, self.content, self.answers = "offline", None, {}

    def firmware_path(self, name):
        return f"/lib/firmware/{name}"

    def write(self, core, file, text, deadline_s):  # noqa: ARG002 - the protocol's
        answer = self.answers.get(text, "OK")
        if isinstance(answer, Exception):
            raise answer
        if answer == "OK" and file == "state":
            self.state = {"start": "running", "stop": "offline"}[text]
        return answer

    def core_state(self, core):
        assert core == "m4"
        return self.state

    def index(self, core):
        return {"m4": "remoteproc0"}[core]

    def trace(self, core):
        assert core == "m4"
        return self.content


class Kmsg(StandIn):
    """A kernel log."""

    def __init__(self):
        super().__init__()
        self.text = UP

    def mark(self):
        return 0

    def since(self, mark):
        assert mark == 0
        return self.text


class Board(StandIn):
    """A board."""

    def __init__(self):
        super().__init__()
        self.session, self.remoteproc, self.kmsg = Session(), Remoteproc(), Kmsg()


class Debugger(StandIn):
    """A debugger that has seen these stops, and whose samples are the last of them."""

    def __init__(self, *stops, log=""):
        super().__init__()
        self.seen, self.log, self.watched = stops, log, set()

    def watch(self, addresses):
        self.watched |= set(addresses)

    def stops(self):
        return self.seen

    def sample(self):
        return self.seen[-1]

    def read(self, address, size):
        assert (address, size) == (0x1000_0000, 28)
        return bytes(12) + (0x1000_0041).to_bytes(4, "little") + bytes(12)

    def printed(self):
        return self.log


class Pins(StandIn):
    """Pins and USARTs that have done this since clear()."""

    def __init__(self):
        super().__init__()
        self.events = []

    def clear(self):
        self.events.append("clear")

    def press(self, pin):
        self.events.append(pin)

    def type(self, usart, text):
        self.events.append(f"{usart} {text}")

    def outputs(self):
        return {"PH7": Output(1, 3), "PA14": Output(0, 1)}

    def sent(self):
        return {"usart3": "first\n\nlast\r\n"}


def stop(pc, exception=0, frame=(), vectors=0):
    """A core at an address."""
    registers = {"sp": 0x1002_0000, "lr": 0xFFFF_FFF9, "pc": pc, "xpsr": exception}
    return Stop(registers, frame, {"cfsr": 0x10000, "hfsr": 0x40000000, "bfar": 0}, vectors, ())


@pytest.fixture
def board(monkeypatch):
    """A board on which nothing is waited for."""
    monkeypatch.setattr(firmware_trial, "_pause", lambda _: None)
    return Board()


def trial(board, debugger=None, deadline_s=0.05):
    """What came of the firmware on it."""
    return FirmwareTrial(board, "m4", FIRMWARE, 0, debugger, deadline_s).run(FIRMWARE.data)


def test_a_channel_shows_main(board):
    """Without a debugger a channel, or text in the trace buffer, is the sign; the core is stopped again."""
    found = trial(board)
    assert (found.main, found.channels) == ("channel", ("rpmsg-raw 0x401 rpmsg_chrdev",))
    assert found.sound
    board.remoteproc.content = b"hello\n\0junk"
    assert (trial(board).main, trial(board).trace) == ("trace", "hello\n")


def test_what_it_did(board):
    """Answers of ttys, levels of pins with their changes, number of lines and the last one of each text."""
    board.session.listing, board.remoteproc.content = TTYS, b"boot\n\0"
    board.session.answers = {"/dev/ttyRPMSG0": b"mpbench probe\n", "/dev/ttyRPMSG1": b"empty\n"}
    pins = Pins()
    found = FirmwareTrial(board, "m4", FIRMWARE, 0, None, 0.05, pins, "PA14", typed="usart3=c").run(
        FIRMWARE.data
    )
    assert found.did == (
        "ttyRPMSG0 echoes",
        "ttyRPMSG1 answers 'empty'",
        "PH7 high (3)",
        "PA14 low (1)",
        "usart3 2 lines, last 'last'",
        "trace 1 lines, last 'boot'",
    )
    assert found.sent == {"usart3": "first\n\nlast\r\n"}
    assert pins.events == ["clear", "usart3 c", "PA14"]


def test_a_channel_without_a_driver_gets_the_kernels_device(board):
    """And is asked as a tty is; one that has its own driver is left alone."""
    board.session.listing = b"rpmsg-client-sample 0x400 - -\n"
    bound = b"rpmsg-client-sample 0x400 rpmsg_chrdev rpmsg0\n"
    board.session.answers = {"driver_override": b"", "/dev/rpmsg0": b"goodbye!\n"}
    execute = board.session.execute

    def bind(command, timeout_s=None):
        if "driver_override" in command:
            assert "*.rpmsg-client-sample.*" in command
            board.session.listing = bound
        return execute(command, timeout_s)

    board.session.execute = bind
    assert trial(board).did == ("rpmsg0 answers 'goodbye!'",)


def test_a_tty_without_an_answer_is_left_out(board):
    """Nothing came back within the command's deadline."""
    board.session.listing, board.session.answers = TTYS, {"/dev/ttyRPMSG": b""}
    assert trial(board).did == ()


def test_nothing_shows_main(board):
    """No channel, no trace: not observed within the deadline."""
    board.session.listing = b""
    found = trial(board)
    assert (found.main, found.state, found.sound) == ("", "offline", False)


def test_a_refused_start_has_the_kernels_reason(board):
    """Nothing else is looked at."""
    board.remoteproc.answers["start"] = "EINVAL"
    board.kmsg.text = b"3,2,6,-;remoteproc remoteproc0: bad phdr da 0x0 mem 0x1\n"
    found = trial(board)
    assert (found.started, found.state) == ("EINVAL", "offline")
    assert found.kernel_log == ("remoteproc remoteproc0: bad phdr da 0x0 mem 0x1",)


def test_a_crash_and_a_stop_that_fails_are_faults(board):
    """As the kernel and sysfs have them."""
    board.kmsg.text, board.remoteproc.answers["stop"] = LOG, "EINVAL"
    assert trial(board).faults == (
        "remoteproc remoteproc0: crash detected in m4: type watchdog",
        "m4 does not stop: writing `stop` returned EINVAL, the state is running",
    )


def test_a_breakpoint_shows_main_and_a_fault_has_its_place(board):
    """A handler of a fault that was reached is one with the place of the saved program counter."""
    assert FIRMWARE.main is not None
    handler = FIRMWARE.vectors(0)[3] & ~1
    pc = FIRMWARE.main + 4
    debugger = Debugger(stop(FIRMWARE.main), stop(handler, 3, (0, 0, 0, 0, 0, 0, pc, 0)))
    found = trial(board, debugger)
    assert found.main == "breakpoint"
    assert found.faults[0].startswith("HardFault at main+0x4 (rpmsg-echo.c:")
    assert found.faults[0].endswith("(cfsr 0x00010000, hfsr 0x40000000, bfar 0x00000000)")
    assert {FIRMWARE.main, handler} <= debugger.watched


def test_an_interrupt_in_a_handler_of_faults_has_no_handler(board):
    """One handler for everything, as a start-up file has it: its interrupt is named."""
    handler = FIRMWARE.vectors(0)[3] & ~1
    (fault,) = trial(board, Debugger(stop(handler, 16 + 103))).faults
    assert fault.startswith("interrupt 103 has no handler of its own: it enters ")


def test_a_firmware_that_gives_up_has_the_caller(board, monkeypatch):
    """By the name that such a function has; here one of our firmware is taken for it."""
    assert FIRMWARE.main is not None
    monkeypatch.setattr(firmware_trial, "FAILURES", ("main",))
    called = stop(FIRMWARE.main)
    called.registers["lr"] = FIRMWARE.main + 9
    (fault,) = trial(board, Debugger(called)).faults
    assert fault.startswith("main, called from main+0x8 (rpmsg-echo.c:")


def test_vectors_that_were_moved_are_watched(board):
    """A firmware that sets VTOR has other handlers from then on."""
    assert FIRMWARE.main is not None
    debugger = Debugger(stop(FIRMWARE.main, vectors=0x1000_0000))
    trial(board, debugger)
    assert 0x1000_0040 in debugger.watched


WHY = "can't escalate 3 to HardFault (current priority -1)"
LOCKUP = f"qemu: fatal: Lockup: {WHY}\n\nR12=0 R13=1 R14=2 R15={{:08x}}\n"


def test_a_lost_board_has_qemus_reason(board):
    """A lockup is named with its place; without it the board itself is at fault."""
    assert FIRMWARE.main is not None
    board.remoteproc.answers["start"] = InfrastructureError("no answer")
    debugger = Debugger(stop(FIRMWARE.main), log=LOCKUP.format(FIRMWARE.main))
    found = trial(board, debugger)
    assert (found.state, found.main, found.sound) == ("lost", "breakpoint", False)
    assert found.faults[0].startswith("lockup at main+0x0")
    assert found.faults[0].endswith(WHY)
    assert trial(board).faults == ("the board was lost: no answer",)


def test_a_lockup_that_qemu_survives_is_a_fault(board):
    """The machine of ours holds the core and reports its address."""
    assert FIRMWARE.main is not None
    log = f"qemu-system-arm: info: coprocessor: pc {FIRMWARE.main:#010x}: Lockup: {WHY}\n"
    found = trial(board, Debugger(stop(FIRMWARE.main), log=log))
    assert found.faults[0].startswith("lockup at main+0x0")
    assert found.faults[0].endswith(WHY)
    assert (found.state, found.sound) == ("offline", False)
