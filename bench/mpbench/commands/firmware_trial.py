# SPDX-License-Identifier: MIT
"""Starts one firmware on a board and finds out how far it came: main, channels, trace, faults by place.

On a virtual board whose core QEMU has, a debugger follows the core from outside: it stops at main and at the
handlers of faults, and samples what is executed. Elsewhere a trace buffer or a channel show that main was
reached. What the firmware did is what left its core: channels and echo, pins, USARTs, the trace.
"""

import re
import shlex
import threading
import time
from typing import Any, Final

from attrs import define, field, frozen

from mpbench.board.kernel_log import HEAD
from mpbench.board.protocols import Board
from mpbench.commands.firmware_file import VECTORS, Firmware, words_of
from mpbench.core.errors import BoardFailure, InfrastructureError
from mpbench.core.sanitize import decoded
from mpbench.deployment.deploy import deploy
from mpbench.harness.bench import stop_core
from mpbench.recovery.parse_backtrace import EXCEPTIONS, calls, exception_name
from mpbench.recovery.parse_coredump import Segment
from mpbench.rpmsg import collect
from mpbench.rpmsg.parse import channels

FAILURES: Final = ("Error_Handler", "assert_failed", "z_fatal_error")
"""Functions in which firmware ends that gives up. Ref: ST's Cube projects, main.c; Zephyr kernel/fatal.c"""
INTERRUPTS: Final = 16
"""Exception number of interrupt 0."""
SAMPLES: Final = 5
SAMPLE_EVERY_S: Final = 0.2
WARNING: Final = 4
"""Kernel log level."""
LOCKUP: Final = re.compile(r"(?:qemu: fatal|coprocessor: pc 0x([0-9a-f]{8})): Lockup: (.*)")
"""QEMU ends, or holds the core where the machine is ours and has its address."""
QEMU_PC: Final = re.compile(r"^R12=.*R15=([0-9a-f]{8})", re.MULTILINE)
TTY: Final = "rpmsg_tty"
ASK: Final = (
    "(exec 3<>/dev/{device} && {{ stty raw -echo <&3; echo {text} >&3 && timeout 5 dd bs=512 count=1 <&3; }}"
    " 2>/dev/null); :"
)
"""A line to a channel's device, and the message that comes back. A device that is no tty has no stty."""
BIND: Final = (
    "for d in /sys/bus/rpmsg/devices/*.{name}.*; do [ -e $d/driver ] || {{"
    " echo rpmsg_chrdev >$d/driver_override;"
    " echo ${{d##*/}} >/sys/bus/rpmsg/drivers/rpmsg_chrdev/bind; }}; done 2>/dev/null; :"
)
"""A channel that no driver has taken gets the kernel's character device."""
LAST_LINE: Final = 60
"""Characters of a last line that are shown."""
_pause = threading.Event().wait


def _last_lines(texts: dict[str, str]) -> tuple[str, ...]:
    """Of each text its number of lines and the last one."""
    lines = {name: [line for line in text.splitlines() if line.strip()] for name, text in texts.items()}
    return tuple(
        f"{name} {len(found)} lines, last {found[-1].strip()[:LAST_LINE]!r}"
        for name, found in lines.items()
        if found
    )


@frozen
class Trial:
    """How far a firmware came.

    started: "OK" or the errno's name of the write of `start`; state: of the core at the end
    main: how it is known that main was reached, "" if it was not or is not known
    executes: function and line of the last sample, with its callers, "" without a debugger
    faults: each in words, with its place
    kernel_log: warnings and errors of the kernel since the start
    did: what it did, in words: echo on a tty, changes of pins, last lines of USARTs and trace
    sent: what each USART without a line to the host sent, its last 4096 bytes
    """

    started: str
    state: str = ""
    main: str = ""
    executes: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    trace: str = ""
    faults: tuple[str, ...] = ()
    kernel_log: tuple[str, ...] = ()
    did: tuple[str, ...] = ()
    sent: dict[str, str] = field(factory=dict)

    @property
    def sound(self) -> bool:
        """Whether it reached main, did not fail, and was stopped."""
        return self.state == "offline" and not self.faults and bool(self.main)


@define
class FirmwareTrial:
    """One firmware on one core.

    deadline_s: for main, and for the first channel if the table has a vdev; lines: pins and USARTs of a
    virtual board, else None; press: a pin that is pulled low for a moment after main, "" for none
    watch_s: how long it is observed after that; say: the line that its channels get; typed: USART and
    text, as `usart3=c`, that it receives after main, "" for none
    """

    board: Board
    core: str
    firmware: Firmware
    vectors: int
    debugger: Any
    deadline_s: float
    lines: Any = None
    press: str = ""
    watch_s: float = SAMPLES * SAMPLE_EVERY_S
    say: str = "mpbench probe"
    typed: str = ""
    _handlers: dict[int, int] = field(factory=dict)

    @property
    def _failures(self) -> dict[int, str]:
        return {start: name for start, _, name in self.firmware.elf.functions if name in FAILURES}

    def run(self, image: bytes) -> Trial:
        """Start, look, stop. `image`: the firmware as the board takes it, signed where a TEE loads it.

        A board that is lost on the way is reported as a fault of the firmware, if QEMU said so.
        """
        mark = self.board.kmsg.mark()
        if self.debugger is not None:
            self._watch(self.firmware.vectors(self.vectors))
        if self.lines is not None:
            self.lines.clear()
        try:
            started = deploy(self.board.session, self.board.remoteproc, self.core, image)
            if started != "OK":
                return Trial(started, self._state(), kernel_log=self._log(mark))
            return self._look(mark)
        except InfrastructureError as lost:
            ended = () if self._lockup() else (f"the board was lost: {lost}",)
            return Trial("OK", "lost", self._main(()), faults=(*self._faults(), *ended))

    def _watch(self, vectors: tuple[int, ...]) -> None:
        """Stop at main, at the handlers of NMI and faults, and where a firmware gives up."""
        self._handlers |= {
            word & ~1: number for number, word in enumerate(vectors) if number in EXCEPTIONS and word
        }
        main = [] if self.firmware.main is None else [self.firmware.main]
        self.debugger.watch([*main, *self._handlers, *self._failures])

    def _look(self, mark: int) -> Trial:
        deadline = time.monotonic() + self.deadline_s
        seen: tuple[str, ...] = ()
        while time.monotonic() < deadline and not self._settled(seen):
            seen = self._channels()
            _pause(SAMPLE_EVERY_S)
        if self.lines is not None and self.typed:
            usart, _, text = self.typed.partition("=")
            self.lines.type(usart, text)
        if self.lines is not None and self.press:
            self.lines.press(self.press)
        samples = self._samples()
        did = (*self._answers(), *self._outputs())
        seen, trace = self._channels(), self._trace()
        sent = self.lines.sent() if self.lines is not None else {}
        main = self._main(seen, trace, samples)
        log = self._log(mark)
        crashed = [line for line in log if "crash detected" in line]
        state, refused = self._stop()
        return Trial(
            "OK",
            state,
            main,
            self._executes(samples),
            seen,
            trace,
            (*self._faults(), *crashed, *refused),
            log,
            (*did, *_last_lines({**sent, "trace": trace})),
            sent,
        )

    def _settled(self, seen: tuple[str, ...]) -> bool:
        """Whether there is nothing to wait for: main reached, and a channel where the table has a vdev."""
        if self.debugger is None or self.firmware.main is None:
            reached = bool(seen or self._trace())
        else:
            reached = self._at_main() or bool(self._faults())
        return reached and (bool(seen) or "vdev" not in (self.firmware.table or ()) or bool(self._faults()))

    # ------------------------------------------------------------- what the board shows
    def _channels(self) -> tuple[str, ...]:
        return tuple(c.word for c in channels(collect.devices(self.board, self.core)))

    def _trace(self) -> str:
        found = self.board.remoteproc.trace(self.core)
        return decoded((found or b"").split(b"\0")[0])

    def _state(self) -> str:
        return self.board.remoteproc.core_state(self.core)

    def _log(self, mark: int) -> tuple[str, ...]:
        """Warnings and errors."""
        lines = self.board.kmsg.since(mark).split(b"\n")
        heads = [(HEAD.match(line), line) for line in lines]
        return tuple(
            decoded(line[head.end() :]) for head, line in heads if head and int(head[1]) & 7 <= WARNING
        )

    def _stop(self) -> tuple[str, tuple[str, ...]]:
        try:
            stop_core(self.board.remoteproc, self.core)
        except BoardFailure as failure:
            return self._state(), (str(failure),)
        return self._state(), ()

    def _answers(self) -> tuple[str, ...]:
        """What each tty of RPMsg, and each channel that no driver had taken, answered to a line."""
        found = channels(collect.devices(self.board, self.core))
        free = [c.name for c in found if not c.driver]
        for name in free:
            self.board.session.execute(BIND.format(name=shlex.quote(name)))
        if free:
            found = channels(collect.devices(self.board, self.core))
        asked = [c.device for c in found if c.device and (c.driver == TTY or c.name in free)]
        answers = {device: self._answer(device) for device in asked}
        return tuple(
            f"{device} echoes" if text == self.say else f"{device} answers {text!r}"
            for device, text in answers.items()
            if text
        )

    def _answer(self, device: str) -> str:
        command = ASK.format(device=device, text=shlex.quote(self.say))
        return self.board.session.execute(command).text.strip("\r\n\0 ")

    def _outputs(self) -> tuple[str, ...]:
        """Pins that changed, with their level at the end."""
        found = self.lines.outputs() if self.lines is not None else {}
        return tuple(f"{pin} {'high' if one.level else 'low'} ({one.changes})" for pin, one in found.items())

    # ------------------------------------------------------------- what the debugger shows
    def _at_main(self) -> bool:
        stops = self.debugger.stops() if self.debugger is not None else ()
        return any(stop.registers["pc"] == self.firmware.main for stop in stops)

    def _samples(self) -> list[Any]:
        if self.debugger is None:
            _pause(self.watch_s if self.lines is not None else 0)
            return []
        found = [self.debugger.sample()]
        if (vectors := found[0].vectors) != self.vectors:  # the firmware has moved its vectors
            self._watch(words_of(self.debugger.read(vectors, 4 * VECTORS)))
        for _ in range(SAMPLES - 1):
            _pause(self.watch_s / SAMPLES)
            found.append(self.debugger.sample())
        return found

    def _main(self, seen: tuple[str, ...], trace: str = "", samples: "list[Any] | None" = None) -> str:
        """How it is known that main was reached, "" if it is not."""
        if self._at_main():
            return "breakpoint"
        if trace.strip():
            return "trace"
        if seen:
            return "channel"
        if self.firmware.main is not None or not samples:
            return ""
        pc = samples[-1].registers["pc"]
        outside = not any(start <= pc < end for start, end in self.firmware.elf.code)
        if outside or samples[-1].exception in EXCEPTIONS:
            return ""
        return f"executes {pc:#010x}, not in a handler of faults; no symbols"

    def _place(self, address: int, back: int = 0) -> str:
        found = self.firmware.elf.place(address, "pc", back)
        return f"{found.function or f'{address:#010x}'}{f' ({found.line})' if found.line else ''}"

    def _executes(self, samples: list[Any]) -> tuple[str, ...]:
        """The last sample's place, then its callers as lr and the stack suggest them."""
        if not samples:
            return ()
        last = samples[-1]
        words = (last.registers["lr"], *last.stack)
        data = b"".join(word.to_bytes(4, "little") for word in words)
        memory = [Segment(da, content) for da, content in self.firmware.elf.constant]
        found = calls(memory, Segment(0, data), 0, self.firmware.elf.code)
        places = dict.fromkeys(self._place(word & ~1, 2) for word in found)
        return (self._place(last.registers["pc"]), *places)

    def _faults(self) -> tuple[str, ...]:
        if self.debugger is None:
            return ()
        ends = self._handlers.keys() | self._failures.keys()
        stops = [stop for stop in self.debugger.stops() if stop.registers["pc"] in ends]
        return (*map(self._fault, stops), *self._lockup())

    def _fault(self, stop: Any) -> str:
        if name := self._failures.get(stop.registers["pc"]):
            return f"{name}, called from {self._place(stop.registers['lr'] & ~1, 2)}"
        number = stop.exception
        if number >= INTERRUPTS:
            where = self._place(stop.registers["pc"])
            return f"interrupt {number - INTERRUPTS} has no handler of its own: it enters {where}"
        where = f" at {self._place(stop.frame[6])}" if stop.frame else ""
        status = ", ".join(f"{key} {stop.status[key]:#010x}" for key in ("cfsr", "hfsr", "bfar"))
        return f"{exception_name(number)}{where} ({status})"

    def _lockup(self) -> tuple[str, ...]:
        """A fault in a handler of faults, as QEMU reports it."""
        printed = self.debugger.printed() if self.debugger is not None else ""
        found = LOCKUP.search(printed)
        if not found:
            return ()
        pc = found[1] or next(iter(QEMU_PC.findall(printed)), "")
        where = f" at {self._place(int(pc, 16))}" if pc else ""
        return (f"lockup{where}: {found[2]}",)
