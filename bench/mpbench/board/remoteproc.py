# SPDX-License-Identifier: MIT
"""RemoteprocDriver: the board's co-processors as Linux presents them in sysfs and debugfs.

The result of a write proves little (see `write`), so transitions are read back. Cores are identified by name:
their index changes between boots and images.

Ref: Linux Documentation/ABI/testing/sysfs-class-remoteproc, drivers/remoteproc/remoteproc_sysfs.c
"""

import enum
import shlex
import threading
import time
from collections.abc import Callable

import attr
from attrs import frozen
from labgrid.driver import Driver
from labgrid.factory import target_factory

from mpbench.board import tee
from mpbench.board.core_memory import CoreMemory
from mpbench.board.labgrid_decorators import active
from mpbench.board.protocols import Session
from mpbench.board.session import errnos
from mpbench.board.session.shell_protocol import Reply, one_line
from mpbench.core.errors import BoardFailure, InfrastructureError
from mpbench.core.sanitize import decoded
from mpbench.layout import TA_UUID

POLL_S = 0.01
"""Polling period of a core's state: remoteproc calls no sysfs_notify when it changes."""

MOVED = 75
"""Exit code of a write whose directory belongs to another core now. Ref: sysexits.h, EX_TEMPFAIL"""


CHUNK_WORDS, MOST_WORDS = 16, 256
"""Of a trace buffer that is read through /dev/mem, a process for each: at once, and at most."""


class Manager(enum.Enum):
    """Who loads, authenticates and starts a core's firmware."""

    LINUX = "Linux"
    TEE = "TEE"


@frozen
class Transition:
    """Result of a write to `state` ("OK" or the errno's name), and the state read afterwards."""

    errno: str
    state: str


@target_factory.reg_driver
@attr.s(eq=False)
class RemoteprocDriver(Driver):
    """Co-processors of the board that a SessionDriver is connected to.

    sysfs, debugfs, firmware: paths of these trees on the board
    unshown_traces: device address of the trace buffer of a core whose driver in Linux reads no resource
    table, so that Linux shows no such buffer; trace() reads it in memory. Set by whoever deploys a firmware
    """

    bindings = {"session": "SessionDriver"}  # noqa: RUF012 - labgrid's convention
    session: Session

    sysfs: str = attr.ib(default="/sys", validator=attr.validators.instance_of(str))
    debugfs: str = attr.ib(default="/sys/kernel/debug", validator=attr.validators.instance_of(str))
    firmware: str = attr.ib(default="/lib/firmware", validator=attr.validators.instance_of(str))

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self.unshown_traces: dict[str, int] = {}
        self._directories: dict[str, str] = {}
        self._firmware_directory = ""
        self._boot_id = ""

    @active
    def cores(self) -> list[str]:
        """Names of the cores that the kernel knows now."""
        return sorted(self._list())

    def _list(self) -> dict[str, str]:
        found = self.session.execute(
            f"for d in {shlex.quote(self.sysfs)}/class/remoteproc/*; do "
            '[ -e "$d/name" ] && read -r n <"$d/name" && echo "${d##*/} $n"; done; :'
        )
        lines = (line.split(" ", 1) for line in found.text.splitlines())
        self._directories = {name: index for index, name in lines}
        self._boot_id = self.session.boot_id
        return self._directories

    def index(self, core: str) -> str:
        """The core's directory name, e.g. "remoteproc1"; valid until its driver is unbound or a reboot."""
        if core not in self._directories or self._boot_id != self.session.boot_id:
            self._list()
        if core not in self._directories:
            raise BoardFailure(
                f"no core {core!r}; the kernel knows: {', '.join(sorted(self._directories)) or 'none'}"
            )
        return self._directories[core]

    def path(self, core: str, file: str) -> str:
        """Path of a core's sysfs file."""
        return f"{self.sysfs}/class/remoteproc/{self.index(core)}/{file}"

    @active
    def attributes(self, core: str, *files: str) -> dict[str, str]:
        """Text of some of a core's sysfs files, in one round trip; "[ENOENT]" or the like if unreadable."""
        found = self._read(core, lambda: [self.path(core, file) for file in files], "it was")
        return {file: _text(data) for file, data in zip(files, found, strict=True)}

    def _read(self, core: str, paths_now: Callable[[], list[str]], what: str) -> list[bytes | str]:
        for _ in range(2):
            name, *paths = self.path(core, "name"), *paths_now()
            found = self.session.read_many([name, *paths])
            if _text(found[name]) == core:
                return [found[path] for path in paths]
            self._directories = {}  # the index belongs to another core now, or is unused
        raise BoardFailure(f"{core}: its sysfs directory changed while {what} read, twice")

    def core_state(self, core: str) -> str:
        """The core's state, e.g. "offline", "running", "crashed"."""
        return self.attributes(core, "state")["state"]

    @active
    def write(self, core: str, file: str, text: str, deadline_s: float) -> str:
        """Write a core's sysfs file: "OK", or the errno's name.

        "OK" means that the kernel accepted the text, not that it acted on it: a second `start` only
        increments a counter, `recover` returns 0 even when recovery failed. InfrastructureError if the write
        does not return within deadline_s; it has a shell of its own, so other commands continue.
        """
        return self._write(core, lambda: self.path(core, file), text, deadline_s)

    def _write(self, core: str, path_now: Callable[[], str], text: str, deadline_s: float) -> str:
        for _ in range(2):
            path = path_now()
            reply = self._write_once(core, path, text, deadline_s)
            if reply.code == 0:
                return errnos.OK
            if reply.code != MOVED:
                if reply.errno is None:
                    raise InfrastructureError(
                        f"{path}: writing {one_line(text)!r} failed for an unknown reason: {reply.error}"
                    )
                return reply.errno
            self._directories = {}  # the index belongs to another core now
        raise BoardFailure(f"{core}: its sysfs directory changed while it was written to, twice")

    def _write_once(self, core: str, path: str, text: str, deadline_s: float) -> Reply:
        """Write if the directory still belongs to this core: indices change when drivers are bound again."""
        quoted, name = shlex.quote(path), shlex.quote(self.path(core, "name"))
        # dd, because its message names the errno of the write; a shell's may not (dash: "I/O error")
        return self.session.call(
            f'read -r n <{name}; [ "$n" = {shlex.quote(core)} ] || exit {MOVED}; '
            f"[ -e {quoted} ] || {{ echo 'x: No such file or directory' >&2; exit 1; }}; "
            f"printf %s {shlex.quote(text)} | dd of={quoted} bs=65536 conv=notrunc",
            deadline_s,
        )

    @active
    def await_state(self, core: str, wanted: str, deadline_s: float) -> str:
        """Wait until the core's state is `wanted`; the last state read, at the latest after deadline_s."""
        deadline = time.monotonic() + deadline_s
        pause = threading.Event()
        while True:
            state = self.core_state(core)
            if state == wanted or time.monotonic() >= deadline:
                return state
            pause.wait(POLL_S)

    def transition(self, core: str, word: str, wanted: str, deadline_s: float) -> Transition:
        """Write `word` to the core's state and read the state back; waits for `wanted` if the write is OK."""
        start = time.monotonic()
        errno = self.write(core, "state", word, deadline_s)
        left_s = deadline_s - (time.monotonic() - start) if errno == errnos.OK else 0.0
        return Transition(errno, self.await_state(core, wanted, left_s))

    def crash(self, core: str, kind: int, deadline_s: float) -> str:
        """Report a crash through debugfs: 0 mmufault, 1 watchdog, 2 fatal error. "OK" or the errno's name."""
        return self._write(core, lambda: self.debug_path(core, "crash"), str(kind), deadline_s)

    @active
    def trace(self, core: str, buffer: int = 0) -> bytes | None:
        """Content of a trace buffer; None if the core has none now.

        Of `unshown_traces` up to its end, or the first MOST_WORDS words, while the core is not offline.
        """
        if core in self.unshown_traces:
            return self._unshown_trace(core, self.unshown_traces[core])

        def read() -> bytes | str:
            return self._read(core, lambda: [self.debug_path(core, f"trace{buffer}")], "its trace was")[0]

        found = read()
        if isinstance(found, bytes):
            return found
        if found != "ENOENT":
            raise InfrastructureError(f"{core}: cannot read trace{buffer}: {found}")
        quoted = shlex.quote(self.debugfs)
        mount = f"[ -d {quoted}/remoteproc ] || mount -t debugfs none {quoted}"
        self.session.execute(mount).checked(f"cannot mount debugfs on {self.debugfs}")
        again = read()
        return again if isinstance(again, bytes) else None

    def _unshown_trace(self, core: str, da: int) -> bytes | None:
        if self.core_state(core) == "offline":
            return None
        memory, found = CoreMemory(self.session, self, core), b""
        while b"\0" not in found and len(found) < 4 * MOST_WORDS:
            words = memory.read(da + len(found), CHUNK_WORDS)
            found += b"".join(word.to_bytes(4, "little") for word in words)
        return found.partition(b"\0")[0]

    def debug_path(self, core: str, file: str) -> str:
        """Path of a core's debugfs file."""
        return f"{self.debugfs}/remoteproc/{self.index(core)}/{file}"

    @active
    def manager(self, core: str) -> Manager:
        """Who manages the core: fw_format where the kernel has it, else the core's node and the TA."""
        found = self.attributes(core, *MANAGER_FILES)
        fw_format, compatible, phandle = (found[name] for name in MANAGER_FILES)
        return manager_of(fw_format, compatible, phandle, tee.tee(self.session).has(TA_UUID))

    def drivers(self) -> dict[str, str]:
        """Name of each core's driver in Linux, "" where sysfs does not name it."""
        events = {core: self.attributes(core, UEVENT)[UEVENT].splitlines() for core in self.cores()}
        return {
            core: next((line.removeprefix("DRIVER=") for line in lines if line.startswith("DRIVER=")), "")
            for core, lines in events.items()
        }

    def firmware_path(self, name: str) -> str:
        """Path at which the kernel finds the firmware file `name`."""
        if not self._firmware_directory or self._boot_id != self.session.boot_id:
            self._firmware_directory = self._find_firmware_directory()
        return f"{self._firmware_directory}/{name}"

    @active
    def _find_firmware_directory(self) -> str:
        """firmware_class.path if set, else /lib/firmware, else a new one that becomes firmware_class.path.

        Ref: Linux drivers/base/firmware_loader/main.c, fw_path
        """
        parameter = f"{self.sysfs}/module/firmware_class/parameters/path"
        reply = self.session.execute(
            f"p={shlex.quote(parameter)}; d=; [ -r $p ] && read -r d <$p; "
            f'for d in "$d" {shlex.quote(self.firmware)}; do '
            '[ -n "$d" ] && mkdir -p "$d" 2>/dev/null && : 2>/dev/null >"$d/.mpbench.probe" && '
            'rm "$d/.mpbench.probe" && echo "$d" && exit; done; '
            "d=/run/mpbench-firmware; mkdir -p $d && printf %s $d >$p && echo $d"
        )
        directory = reply.stdout.decode("utf-8", "surrogateescape").strip()
        if reply.code != 0 or not directory:
            raise InfrastructureError(f"no writable firmware directory (nor {self.firmware}): {reply.error}")
        return directory


UEVENT = "device/uevent"
"""File of a core whose line DRIVER= names the driver. Ref: Linux drivers/base/core.c, dev_uevent()"""
MANAGER_FILES = ("fw_format", "device/of_node/compatible", "device/of_node/st,rproc-tee")
"""Files of a core that say who manages it: of ST's Linux 6.6, of others, of the patches for mainline, v22."""


def manager_of(fw_format: str, compatible: str, phandle: str, ta_present: bool) -> Manager:
    """Who manages a core, by the contents of MANAGER_FILES. Pure.

    ST's 6.6 has fw_format; elsewhere a compatible ending in -tee, or the phandle of the TEE's service, means
    the TEE, and the driver of such a node binds only when the TA is present.
    """
    if fw_format in ("TEE", "ELF"):
        return Manager.TEE if fw_format == "TEE" else Manager.LINUX
    by_tee = any(word.endswith("-tee") for word in compatible.split("\0")) or phandle != "[ENOENT]"
    return Manager.TEE if ta_present and by_tee else Manager.LINUX


def _text(found: bytes | str) -> str:
    if isinstance(found, str):
        return f"[{found}]"
    strings = found.removesuffix(b"\n").removesuffix(b"\0").split(b"\0")
    return "\0".join(decoded(part) for part in strings)
