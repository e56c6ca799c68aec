# SPDX-License-Identifier: MIT
"""QEMU: its command line, its process, its monitor.

Ref: QMP reference.
"""

import json
import os
import socket
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from attrs import frozen

from mpbench.core.errors import InfrastructureError, UsageError
from mpbench_virtual.tools import DIE_WITH_PARENT

MONITOR = "qmp.sock"
"""Socket of QEMU's monitor, in the board's directory."""
ANSWER_S = 50.0
"""An idle host gives QEMU the time for an answer in a tenth of a second, a full one when its turn comes."""
ICOUNT, ICOUNT_SHIFTS = "MPBENCH_ICOUNT", range(11)
"""Environment: on a machine of ours an instruction takes 2^N ns of the guest's time, whatever the host does.
All cores then share one of the host's. Ref: QEMU docs/devel/tcg-icount.rst"""


@frozen
class Parts:
    """What makes up a board: files, QEMU's first arguments, Linux's command line.

    loaders: directory with the boot loaders of an SD card that the board starts from, or Linux alone
    card: image of that card
    program: QEMU itself
    firmware: TF-A with what it loads, or OP-TEE; None where QEMU starts Linux
    one_console: firmware prints on Linux' console
    """

    program: Path
    machine: tuple[str, ...]
    kernel: Path
    initrd: Path
    device_tree: Path
    append: str
    firmware: Path | None = None
    one_console: bool = False
    loaders: Path | None = None
    card: Path | None = None

    @property
    def files(self) -> dict[str, Path]:
        """The files by what they are."""
        named = {
            "qemu": self.program,
            "firmware": self.firmware,
            "kernel": self.kernel,
            "initrd": self.initrd,
            "device_tree": self.device_tree,
            "card": self.card,
        }
        return {name: path for name, path in named.items() if path is not None}


def command_line(parts: Parts, directory: Path, ssh: str) -> list[str]:
    """QEMU's argv, but for its monitor. ssh: ADDRESS:PORT that leads to the guest's port 22."""
    return [
        str(parts.program),
        *parts.machine,
        *_common(parts, directory, ssh),
        *(("-bios", str(parts.firmware)) if parts.firmware else ()),
        *(_secure(directory) if _has_secure_console(parts) else ()),
        "-serial", "chardev:console",
    ]  # fmt: skip


def icount_arguments() -> tuple[str, ...]:
    """QEMU's arguments for ICOUNT; UsageError for another value."""
    given = os.environ.get(ICOUNT, "")
    if given in ("", *map(str, ICOUNT_SHIFTS)):
        return ("-icount", f"shift={given}") if given else ()
    raise UsageError(
        f"{ICOUNT}={given!r}: a number N from 0 to {ICOUNT_SHIFTS[-1]}, for 2^N ns an instruction; "
        "without it the guest's time is the host's"
    )


def _has_secure_console(parts: Parts) -> bool:
    return parts.firmware is not None and not parts.one_console


def _secure(directory: Path) -> list[str]:
    """Secure firmware, to which the first of the machine's UARTs belongs, and entropy for Linux."""
    return [
        "-chardev", f"socket,id=secure,path={directory / 'secure.sock'}",
        "-serial", "chardev:secure",
        "-device", "virtio-rng-device",
    ]  # fmt: skip


def _common(parts: Parts, directory: Path, ssh: str) -> list[str]:
    return [
        "-nodefaults", "-display", "none", "-no-shutdown", "-S",
        *(_card(parts, parts.card) if parts.card else _linux(parts)),
        "-chardev", f"socket,id=console,path={directory / 'console.sock'}",
        "-netdev", f"user,id=net,hostfwd=tcp:{ssh}-:22",
        "-device", "virtio-net-device,netdev=net",
    ]  # fmt: skip


def _monitor(fd: int) -> list[str]:
    return ["-chardev", f"socket,id=qmp,fd={fd},server=on,wait=off", "-mon", "chardev=qmp,mode=control"]


SLOW_LSI = ("-global", "stm32mp15-rcc.lsi-hz=4000")
"""The watchdog that U-Boot starts has eight times its period, 256 s: on a host with other work the kernel
takes longer to unpack than 32 s."""


def _card(parts: Parts, image: Path) -> list[str]:
    return ["-drive", f"if=sd,format=raw,file={image}", *(() if parts.firmware else SLOW_LSI)]


def _linux(parts: Parts) -> list[str]:
    return [
        "-kernel", str(parts.kernel),
        "-initrd", str(parts.initrd),
        "-dtb", str(parts.device_tree),
        "-append", parts.append,
    ]  # fmt: skip


def last_line(log: Path) -> str:
    """The last line of a log; "" for an empty or missing one, also if it goes just now."""
    try:
        lines = log.read_text(errors="replace").strip().splitlines()
    except FileNotFoundError:
        return ""
    return lines[-1] if lines else ""


class Qemu:
    """A running QEMU. Ends with the process (and its main thread) that started it."""

    def __init__(self, argv: list[str], directory: Path) -> None:
        """Start it; InfrastructureError with QEMU's own words when it does not come up."""
        monitor = directory / MONITOR
        monitor.unlink(missing_ok=True)
        # It is there before QEMU: whoever connects waits for QEMU's greeting, or learns that QEMU has ended.
        with socket.socket(socket.AF_UNIX) as listener, (directory / "qemu.log").open("wb") as log:
            listener.bind(str(monitor))
            listener.listen()
            fd = listener.fileno()
            self.process = subprocess.Popen(
                [*DIE_WITH_PARENT, *argv, *_monitor(fd)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=[fd],
            )  # fmt: skip
        try:
            # Started paused: output on consoles that are not read yet would block the monitor as well.
            qmp(monitor, "cont")
        except BaseException as error:
            self.kill()
            if isinstance(error, OSError):
                reason = last_line(directory / "qemu.log") or error
                raise InfrastructureError(f"QEMU did not start: {reason}") from error
            raise

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        self.process.kill()
        self.process.wait()


@frozen
class Answers:
    """QEMU's monitor without its events: labgrid's client takes one for the answer to its first command."""

    stream: Iterable[bytes]

    def readline(self) -> bytes:
        """The next line that is no event; b"" at the end."""
        for line in self.stream:
            try:
                message = json.loads(line)
            except ValueError:
                return line
            if not isinstance(message, dict) or "event" not in message:
                return line
        return b""


def qmp(monitor: Path, command: str, **arguments: Any) -> Any:
    """One QMP command by labgrid's client, on a connection of its own; its `return`.

    InfrastructureError for an error of QEMU, OSError if the monitor is closed or sends nothing for ANSWER_S:
    labgrid's client reads without a time-out, so the socket has one.
    """
    # Here, not above: labgrid takes half a second, which QEMU needs to start as well.
    from labgrid.util.qmp import QMPError, QMPMonitor  # noqa: PLC0415

    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(ANSWER_S)
        connection.connect(str(monitor))
        with connection.makefile("rwb") as stream:
            try:
                return QMPMonitor(Answers(stream), stream).execute(command, arguments)
            except TimeoutError as e:
                raise TimeoutError(f"no answer to {command} within {ANSWER_S:g} s") from e
            except (QMPError, ValueError) as e:  # no line, half a line, no greeting
                raise ConnectionError(f"QEMU's monitor failed during {command}: {e}") from e
            except TypeError as e:  # labgrid's QMPError accepts text only, and QEMU's error is a mapping
                raise InfrastructureError(f"QMP: {e.args[-1]['desc']}") from e


def version(monitor: Path) -> str:
    """Version of a running QEMU and of its package: "7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)"."""
    found = qmp(monitor, "query-version")
    number = ".".join(str(found["qemu"][part]) for part in ("major", "minor", "micro"))
    return f"{number} ({found['package']})" if found["package"] else number
