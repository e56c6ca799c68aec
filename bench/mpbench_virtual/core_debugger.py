# SPDX-License-Identifier: MIT
"""A coprocessor of QEMU under its GDB stub: where it stops, and what it executes.

The stub stops the whole machine: at a breakpoint for as long as it takes to read the core's registers.
Ref: QEMU docs/system/gdb.rst; GDB manual, "Remote Serial Protocol"; Arm v7-M B1.5.6, B1.5.8 (EXC_RETURN)
"""

import contextlib
import re
import select
import socket
import struct
import threading
from collections.abc import Collection, Iterator
from pathlib import Path

from attrs import frozen

from mpbench.core.errors import InfrastructureError
from mpbench_virtual.qemu import ANSWER_S, MONITOR, qmp

SOCKET = "gdb.sock"
FRAME = struct.Struct("<8I")
REGISTERS = {"sp": 13, "lr": 14, "pc": 15, "xpsr": 25}
"""Numbers in QEMU's arm-m-profile.xml; those of the two stack pointers are chosen by QEMU,
which has them since 8.0."""
INTERRUPT = b"\x03"
VTOR = 0xE000_ED08
STATUS = {"cfsr": 0xE000_ED28, "hfsr": 0xE000_ED2C, "mmfar": 0xE000_ED34, "bfar": 0xE000_ED38}
STACK_BYTES = 1024
EXCEPTION = 0x1FF
"""Of xPSR: the exception that the core handles, 0 for none."""


@frozen
class Stop:
    """A core's state at one moment.

    registers: sp, lr, pc, xpsr, msp, psp; frame: r0 to r3, r12, lr, pc, xpsr that it has saved, at the entry
    of an exception, else (); status: its fault status registers; vectors: where VTOR points; stack: words
    from sp on
    """

    registers: dict[str, int]
    frame: tuple[int, ...]
    status: dict[str, int]
    vectors: int
    stack: tuple[int, ...]

    @property
    def exception(self) -> int:
        """Number of the exception that the core handles, 0 for none."""
        return self.registers["xpsr"] & EXCEPTION


class CoreDebugger:
    """Follows one core from outside until close(): one per start of QEMU, which takes no second one."""

    def __init__(self, directory: Path, process: int, addresses: Collection[int] = ()) -> None:
        """directory: the board's; process: GDB's number of the core's cluster; addresses: see watch().

        InfrastructureError: no such process, or QEMU does not answer.
        """
        self._log, self._log_at = directory / "qemu.log", 0
        self._lock, self._closed = threading.Lock(), threading.Event()
        self._watched: set[int] = set()
        self._stops: list[Stop] = []
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._connect(directory, process)
            self._watch(addresses)
            self._send(b"c")
        except BaseException as e:
            self._socket.close()
            if isinstance(e, OSError):
                raise InfrastructureError(f"QEMU's GDB stub: {e}") from e
            raise
        self._follower = threading.Thread(target=self._follow, daemon=True)
        self._follower.start()

    def _connect(self, directory: Path, process: int) -> None:
        """Have QEMU listen, and take the core: the machine stops."""
        path = directory / SOCKET
        command = {"command-line": f"gdbserver unix:{path},server=on,wait=off"}
        qmp(directory / MONITOR, "human-monitor-command", **command)
        self._socket.settimeout(ANSWER_S)
        self._socket.connect(str(path))
        self._ask(b"qSupported:multiprocess+")
        stopped = self._ask(b"vAttach;%x" % process)
        found = re.search(rb"thread:(p[0-9a-f]+\.[0-9a-f]+);", stopped)
        if not found:
            raise InfrastructureError(f"QEMU's GDB stub has no process {process}: {stopped!r}")
        self._thread = found[1]
        self._ask(b"Hg" + self._thread)
        self._ask(b"qXfer:features:read:target.xml:0,ffb")
        system = self._ask(b"qXfer:features:read:arm-m-system.xml:0,ffb")
        numbers = re.findall(rb'name="(msp|psp)"[^>]*regnum="(\d+)"', system)
        self._numbers = REGISTERS | {name.decode(): int(number) for name, number in numbers}

    # ------------------------------------------------------------- packets
    def _send(self, packet: bytes) -> None:
        """Send a packet and take its acknowledgement: QEMU has no QStartNoAckMode."""
        self._socket.sendall(b"$%s#%02x" % (packet, sum(packet) % 256))
        while self._byte() != b"+":
            pass

    def _byte(self) -> bytes:
        found = self._socket.recv(1)
        if not found:
            raise ConnectionError("QEMU has ended")
        return found

    def _packet(self) -> bytes:
        while self._byte() != b"$":
            pass
        found = bytearray()
        while (byte := self._byte()) != b"#":
            found += byte
        self._byte()
        self._byte()
        self._socket.sendall(b"+")
        return bytes(found)

    def _ask(self, packet: bytes) -> bytes:
        self._send(packet)
        return self._packet()

    # ------------------------------------------------------------- the core, while the machine is stopped
    def _word(self, name: str) -> int:
        return int.from_bytes(bytes.fromhex(self._ask(b"p%x" % self._numbers[name]).decode()), "little")

    def _memory(self, address: int, size: int) -> bytes:
        answer = self._ask(b"m%x,%x" % (address, size))
        return b"" if answer.startswith(b"E") else bytes.fromhex(answer.decode())

    def _state(self) -> Stop:
        self._ask(b"Hg" + self._thread)
        registers = {name: self._word(name) for name in self._numbers}
        saved = registers.get("psp" if registers["lr"] & 4 else "msp", registers["sp"])
        frame = self._memory(saved, FRAME.size) if registers["xpsr"] & EXCEPTION else b""
        sp = registers["sp"]  # 0: not started; memory there may be another's, and the firewall reports a read
        stack = self._memory(sp, STACK_BYTES) if sp else b""
        return Stop(
            registers,
            FRAME.unpack(frame) if len(frame) == FRAME.size else (),
            {name: int.from_bytes(self._memory(at, 4), "little") for name, at in STATUS.items()},
            int.from_bytes(self._memory(VTOR, 4), "little"),
            struct.unpack(f"<{len(stack) // 4}I", stack[: len(stack) // 4 * 4]),
        )

    def _stopped(self) -> Stop:
        """The core's state after the machine has stopped; a breakpoint that it has reached is done with."""
        found = self._state()
        if (pc := found.registers["pc"]) in self._watched:
            self._watched.discard(pc)
            self._ask(b"z0,%x,2" % pc)
            self._stops.append(found)
        return found

    def _follow(self) -> None:
        """Let the machine run on after each breakpoint, until QEMU ends or close()."""
        while not self._closed.is_set():
            select.select([self._socket], [], [])
            with self._lock:
                try:
                    if not self._closed.is_set() and select.select([self._socket], [], [], 0)[0]:
                        self._packet()
                        self._stopped()
                        self._send(b"c")
                except OSError:  # QEMU has ended
                    self._closed.set()

    # ------------------------------------------------------------- what others use
    def watch(self, addresses: Collection[int]) -> None:
        """Stop once at each of these addresses, from now on."""
        with self._paused():
            self._watch(addresses)

    def _watch(self, addresses: Collection[int]) -> None:
        for address in set(addresses) - self._watched:
            self._ask(b"Z0,%x,2" % address)
            self._watched.add(address)

    def stops(self) -> tuple[Stop, ...]:
        """Where the core has stopped since the start, in order."""
        with self._lock:
            return tuple(self._stops)

    def sample(self) -> Stop:
        """The core's state now. InfrastructureError if QEMU has ended."""
        with self._paused():
            return self._state()

    def read(self, address: int, size: int) -> bytes:
        """Memory as the core sees it; b"" where there is none. InfrastructureError if QEMU has ended."""
        with self._paused():
            return self._memory(address, size)

    @contextlib.contextmanager
    def _paused(self) -> Iterator[None]:
        """The machine is stopped during the block."""
        with self._lock:
            try:
                self._socket.sendall(INTERRUPT)
                self._packet()
                self._stopped()
                yield
                self._send(b"c")
            except OSError as e:
                raise InfrastructureError(f"QEMU's GDB stub: {e}") from e

    def printed(self) -> str:
        """What QEMU has printed since forget(); if it has ended, why."""
        return self._log.read_bytes()[self._log_at :].decode(errors="replace")

    def forget(self) -> None:
        """Watch nothing any more; forget where the core has stopped and what QEMU has printed."""
        with self._paused():
            self._log_at = self._log.stat().st_size
            for address in self._watched:
                self._ask(b"z0,%x,2" % address)
            self._watched.clear()
            self._stops.clear()

    def close(self) -> None:
        """Remove the breakpoints, let the machine run, and leave."""
        with contextlib.suppress(InfrastructureError):
            self.forget()
        with self._lock:
            self._closed.set()
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
        self._follower.join()
        self._socket.close()
