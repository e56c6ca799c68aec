# SPDX-License-Identifier: MIT
"""SessionDriver: commands and files over one SSH transport that stays open for the whole run.

It stands where labgrid's SSHDriver stands, behind the same protocols, and adds what a run on a board
needs: pinned host keys, many reads in one round trip, deadlines, atomic uploads, and boot_id.
"""

import contextlib
import os
import secrets
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import attr
import paramiko
from attrs import evolve
from labgrid.driver import Driver, ExecutionError
from labgrid.driver.commandmixin import CommandMixin
from labgrid.factory import target_factory
from labgrid.protocol import CommandProtocol, FileTransferProtocol
from labgrid.resource.common import NetworkResource
from labgrid.util.proxy import proxymanager
from labgrid.util.ssh import sshmanager

from mpbench.board.labgrid_decorators import active, stepped
from mpbench.board.session import batch_read, transfer
from mpbench.board.session.batch_read import Reading
from mpbench.board.session.channel import RemoteCommand, SshProcess
from mpbench.board.session.link import Address, Link, answers, lab_faults
from mpbench.board.session.shell import CommandHangs, FramedShell
from mpbench.board.session.shell_protocol import Reply, one_line
from mpbench.core.errors import InfrastructureError, InvalidRun

Read = bytes | str
"""What read_many gives per path: the file's bytes, or the name of the errno."""


class Look(NamedTuple):
    """What a look gave: what a command wrote before, the files, and what one wrote after that."""

    before: bytes
    files: dict[str, Read]
    after: bytes


@target_factory.reg_driver
@attr.s(eq=False)
class SessionDriver(CommandMixin, Driver, CommandProtocol, FileTransferProtocol):
    """Commands and files over one SSH transport.

    keyfile:     private key, relative to the target file; nobody else may read it
    known_hosts: pinned host keys (OpenSSH format), relative to the target file, "known_hosts" beside it
                 by default; a resource that brings its own keys (a virtual board) needs neither
    alias:       further name to look up there, for boards whose address changes
    connect_timeout_s, command_timeout_s: of one connection attempt; of a command unless told otherwise

    Whatever fails between here and the board raises InfrastructureError with one line that says what.
    """

    bindings = {"networkservice": "NetworkService"}  # noqa: RUF012 - labgrid's convention
    priorities = {CommandProtocol: 20, FileTransferProtocol: 20}  # noqa: RUF012 - labgrid's convention

    keyfile: str = attr.ib(default="", validator=attr.validators.instance_of(str))
    known_hosts: str = attr.ib(default="", validator=attr.validators.instance_of(str))
    alias: str = attr.ib(default="", validator=attr.validators.instance_of(str))
    connect_timeout_s: float = attr.ib(default=10.0, converter=float)
    command_timeout_s: float = attr.ib(default=30.0, converter=float)

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self._link: Link | None = None
        self._main: FramedShell | None = None
        self._spare: FramedShell | None = None
        self._single = False
        self._read_tool = batch_read.TOOLS[0]
        self._lock = threading.RLock()
        self._listeners: list[Callable[[], None]] = []
        self.boot_id = ""

    # --- life cycle -----------------------------------------------------------------------------

    def on_activate(self) -> None:
        self._connect(self.connect_timeout_s)

    def on_deactivate(self) -> None:
        self._close()

    @property
    def skip_deactivate_on_export(self) -> bool:
        """Others may use the board's SSH server at the same time."""
        return True

    @property
    def _where(self) -> str:
        return f"{self.networkservice.address} port {self.networkservice.port}"

    def get_status(self) -> int:
        """1 while the transport is up."""
        return int(self._link is not None and self._link.alive)

    def address(self) -> Address:
        """Where and as whom to connect, through labgrid's proxy if the place asks for one."""
        service = self.networkservice
        host, port = self._endpoint()
        return Address(
            name=service.address,
            port=service.port,
            host=host,
            tcp_port=port,
            username=service.username,
            known_hosts=self._file("known_hosts") or self._path("known_hosts"),
            keyfile=self._file("keyfile"),
            password=service.password,
            alias=self.alias,
        )

    def answers(self, timeout_s: float) -> bool:
        """Whether the board's SSH server greets, without logging in; usable in every state."""
        try:
            return answers(*self._endpoint(), timeout_s)
        except InfrastructureError:
            return False

    def _endpoint(self) -> tuple[str, int]:
        service = self.networkservice
        resource = NetworkResource(None, None, service.address)
        resource.port, resource.extra = service.port, getattr(service, "extra", {})
        with lab_faults(f"{service.address} port {service.port}: no way through the proxy"):
            try:
                _forget_dead(resource.extra)
                host, port = proxymanager.get_host_and_port(resource)
            except (ExecutionError, subprocess.SubprocessError) as e:
                raise OSError(one_line(e)) from e
        return str(host or service.address), int(port)

    def _file(self, attribute: str) -> Path | None:
        """A file this driver is configured with; else the one that the board's resource brings along."""
        configured = getattr(self, attribute)
        if configured:
            return self._path(configured)
        brought = getattr(self.networkservice.parent, attribute, None)
        return Path(brought) if brought else None

    def _path(self, path: str) -> Path:
        return Path(self.target.env.config.resolve_path(path) if self.target.env else path)

    def _connect(self, timeout_s: float) -> None:
        self._link = Link.dial(self.address(), timeout_s)
        try:
            self._shell()
        except BaseException:
            self._close()
            raise

    def _close(self) -> None:
        if self._link is not None:
            self._link.close()
        self._link = self._main = self._spare = None
        self._single = False

    def on_reconnect(self, listener: Callable[[], None]) -> None:
        """Have `listener` called after every reconnect(): its channels are gone."""
        self._listeners.append(listener)

    def tell_listeners(self) -> None:
        """The session stands anew: whoever had channels of its own opens them again."""
        for listener in self._listeners:
            listener()

    @active
    def reconnect(self, deadline_s: float, *, same_boot: bool = False) -> bool:
        """Dial again until the board answers; whether it has booted since.

        same_boot: the caller has to know of a reboot: raise InvalidRun if there was one.
        InfrastructureError when no attempt succeeds in deadline_s.
        """
        before = self.boot_id
        self._close()
        self._dial_until(time.monotonic() + deadline_s)
        self.tell_listeners()
        rebooted = before != self.boot_id
        if rebooted and same_boot:
            raise InvalidRun(f"reset: {self._where} was booted anew (boot_id {before} → {self.boot_id})")
        return rebooted

    def _dial_until(self, deadline: float) -> None:
        """A booting board sends no event that it is ready: short tries, the last one's reason is raised."""
        pause = threading.Event()
        while True:
            left_s = deadline - time.monotonic()
            try:
                return self._connect(max(0.2, min(left_s, self.connect_timeout_s)))
            except InfrastructureError:
                if deadline - time.monotonic() <= 0.05:
                    raise
            pause.wait(0.05)

    # --- commands -------------------------------------------------------------------------------

    @active
    def execute(self, command: str, timeout_s: float | None = None) -> Reply:
        """Run a command line in the board's shell; bytes in the reply are unchanged.

        Background jobs should redirect their output, or use spawn(). InfrastructureError when the command does not
        end in time (it is killed) and when the link is lost.
        """
        return self._run_in(self._shell(), command, timeout_s or self.command_timeout_s)

    @active
    def call(self, command: str, timeout_s: float) -> Reply:
        """As execute(), for commands that may hang: other work goes on beside them."""
        return self._run_in(self._second(), command, timeout_s)

    @active
    def spawn(self, command: str) -> SshProcess:
        """Start a command that goes on beside others; it dies with its channel."""
        with self._too_many_channels(f"can't start {one_line(command, 120)}"):
            return SshProcess(self._alive(), command)

    @active
    def read_many(self, paths: Iterable[str], timeout_s: float | None = None) -> dict[str, Read]:
        """Files of any kind, sysfs ones above all: bytes, or the errno's name where reading failed.

        One round trip for up to 512 files; where `cat` does not say which file an error is about, each
        is then read by itself.
        """
        wanted = list(dict.fromkeys(paths))
        found: dict[str, Read] = {}
        for at in range(0, len(wanted), batch_read.PATHS_PER_COMMAND):
            found |= self._read(wanted[at : at + batch_read.PATHS_PER_COMMAND], timeout_s)
        return found

    @active
    def look(self, paths: Sequence[str], *, first: str = "", then: str = "") -> Look:
        """In one round trip: what the command `first` writes, some files, what the command `then` writes.

        What the two write to stderr is dropped, and so are their exit codes.
        """
        asked, end = Reading(tuple(paths)), secrets.token_hex(16)
        read = asked.command(self._read_tool)
        reply = self.execute(f"{_quiet(first)}; echo {end}; {read}; {_quiet(then)}")
        before, _, rest = reply.stdout.partition(f"{end}\n".encode())
        reply = evolve(reply, stdout=rest)
        pieces, after = asked.split(reply)
        return Look(before, self._named(asked, pieces, reply, None), after)

    def read(self, path: str, timeout_s: float | None = None) -> Read:
        """One file: its bytes, or the errno's name."""
        return self.read_many([path], timeout_s)[path]

    def _read(self, paths: Sequence[str], timeout_s: float | None) -> dict[str, Read]:
        asked = Reading(tuple(paths))
        pieces, reply = self._read_at_once(asked, timeout_s)
        return self._named(asked, pieces, reply, timeout_s)

    def _named(
        self, asked: Reading, pieces: Sequence[bytes | None], reply: Reply, timeout_s: float | None
    ) -> dict[str, Read]:
        failed = asked.failures(reply)
        if failed is None:
            return {path: self._read_alone(path, timeout_s) for path in asked.paths}
        found = ((path, failed.get(path, data)) for path, data in zip(asked.paths, pieces, strict=True))
        return {path: self._read_alone(path, timeout_s) if data is None else data for path, data in found}

    def _read_at_once(self, asked: Reading, timeout_s: float | None) -> tuple[list[bytes | None], Reply]:
        reply = self.execute(asked.command(self._read_tool), timeout_s)
        try:
            return asked.split(reply)[0], reply
        except InfrastructureError:
            if self._read_tool == batch_read.TOOLS[-1]:
                raise
        self._read_tool = batch_read.TOOLS[-1]  # a small busybox's head has no such options
        return self._read_at_once(asked, timeout_s)

    def _read_alone(self, path: str, timeout_s: float | None) -> Read:
        reply = self.execute(batch_read.command_for_one(path), timeout_s)
        if reply.code == 0:
            return reply.stdout
        if reply.errno is None:
            raise InfrastructureError(f"{one_line(path)}: unreadable for an unknown reason: {reply.error}")
        return reply.errno

    def _run_in(self, shell: FramedShell, command: str, timeout_s: float) -> Reply:
        try:
            return shell.execute(command, timeout_s)
        except CommandHangs:
            shell.close()
            killer = threading.Thread(target=self._kill, args=(self._link, shell.victim), daemon=True)
            killer.start()  # not waited for: the network may be what hangs, and the deadline is over
            raise

    def _kill(self, link: Link, victim: str) -> None:
        """End what hangs on the board: a closed channel alone ends no process."""
        with contextlib.suppress(InfrastructureError, paramiko.SSHException):
            RemoteCommand(link, f"kill -KILL {victim}").finish(time.monotonic() + self.connect_timeout_s)

    def _alive(self) -> Link:
        if self._link is None:
            raise InfrastructureError(f"{self._where}: not connected; reconnect() is needed")
        self._link.check()
        return self._link

    def _shell(self) -> FramedShell:
        """The shell that commands share; a new one on the same transport if a command broke it."""
        with self._lock:
            if self._main is None or not self._main.usable:
                with self._too_many_channels("can't start a shell"):
                    self._main = self._open_shell()
            return self._main

    def _second(self) -> FramedShell:
        """A shell for what may hang; the only one there is on a server that allows one channel."""
        with self._lock:
            if self._single:
                return self._shell()
            if self._spare is None or not self._spare.usable or self._spare.busy:
                try:
                    self._spare = self._open_shell()
                except paramiko.ChannelException as e:
                    self._tell_single(e)
                    return self._shell()
            return self._spare

    def _open_shell(self) -> FramedShell:
        try:
            return self._new_shell()
        except InfrastructureError:
            self._alive()
        # dropbear 2022.83 closes a channel that is opened while it reaps another one's process
        return self._new_shell()

    def _new_shell(self) -> FramedShell:
        shell = FramedShell(self._alive())
        self.boot_id = shell.hello(self.connect_timeout_s)
        return shell

    def _tell_single(self, why: Exception) -> None:
        if not self._single:
            self.logger.warning(
                "the server allows one channel only (%s): working without more", one_line(why)
            )
        self._single = True

    @contextlib.contextmanager
    def _too_many_channels(self, what: str) -> Iterator[None]:
        try:
            yield
        except paramiko.ChannelException as e:
            raise InfrastructureError(
                f"{self._where}: {what}: the server refuses a channel ({one_line(e)})"
            ) from e

    # --- files ----------------------------------------------------------------------------------

    @active
    def put_bytes(self, data: bytes, path: str, timeout_s: float = 60.0) -> None:
        """Make the board's file `path` hold `data`, atomically and proven by hash on both sides."""
        tag = secrets.token_hex(8)
        if not self._single:
            try:
                return transfer.upload(self._alive(), data, path, tag, timeout_s)
            except paramiko.ChannelException as e:
                self._tell_single(e)
        return transfer.upload_as_text(self.execute, data, path, tag, timeout_s)

    @active
    def get_bytes(self, path: str, timeout_s: float = 60.0) -> bytes:
        """Bytes of a file on the board that nobody changes meanwhile, proven by hash."""
        return transfer.download(self.execute, path, timeout_s)

    # --- labgrid's protocols --------------------------------------------------------------------

    @active
    @stepped(args=["cmd"], result=True)
    def run(
        self,
        cmd: str,
        codec: str = "utf-8",
        decodeerrors: str = "surrogateescape",
        timeout: float | None = None,
    ) -> tuple[list[str], list[str], int]:
        """labgrid's form of execute(): lines of stdout, lines of stderr, exit code."""
        return self._run(cmd, codec=codec, decodeerrors=decodeerrors, timeout=timeout)

    def _run(
        self,
        cmd: str,
        *,
        timeout: float | None = None,
        codec: str = "utf-8",
        decodeerrors: str = "surrogateescape",
    ) -> tuple[list[str], list[str], int]:
        reply = self.execute(cmd, timeout)
        return (
            _lines(reply.stdout, codec, decodeerrors),
            _lines(reply.stderr, codec, decodeerrors),
            reply.code,
        )

    @active
    @stepped(args=["filename", "remotepath"])
    def put(self, filename: str, remotepath: str) -> None:
        """Upload a file; a remotepath that ends in / names the directory for it."""
        source = Path(filename)
        path = f"{remotepath}{source.name}" if remotepath.endswith("/") else remotepath
        with lab_faults(f"{filename}: can't read"):
            data = source.read_bytes()
        self.put_bytes(data, path)

    @active
    @stepped(args=["filename", "destination"])
    def get(self, filename: str, destination: str = ".") -> None:
        """Download a file to a file or into a directory."""
        path = Path(destination)
        data = self.get_bytes(filename)
        with lab_faults(f"{destination}: can't write"):
            (path / Path(filename).name if path.is_dir() else path).write_bytes(data)


def _quiet(command: str) -> str:
    """`command`, or nothing, without its errors."""
    return f"{{ {command or ':'}\n}} 2>/dev/null"


def _forget_dead(extra: Mapping[str, object]) -> None:
    """labgrid keeps a connection to a proxy for ever, also one that has ended."""
    proxy = extra.get("proxy") if extra.get("proxy_required") else os.environ.get("LG_PROXY")
    if proxy and not sshmanager.get(proxy).isconnected():
        sshmanager.remove_by_name(proxy)


def _lines(data: bytes, codec: str, errors: str) -> list[str]:
    lines = data.decode(codec, errors).split("\n")
    return lines[:-1] if lines[-1] == "" else lines
