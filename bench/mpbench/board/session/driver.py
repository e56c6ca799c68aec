# SPDX-License-Identifier: MIT
"""SessionDriver: commands and files over one SSH transport that stays open for the whole run.

It replaces labgrid's SSHDriver, implements the same protocols, and adds what a run on a board needs: pinned
host keys, many reads in one round trip, deadlines, atomic uploads, and boot_id.
"""

import contextlib
import secrets
import shlex
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import attr
import paramiko
from attrs import evolve
from labgrid.driver import Driver
from labgrid.factory import target_factory
from labgrid.protocol import CommandProtocol, FileTransferProtocol

from mpbench.board.labgrid_decorators import active
from mpbench.board.session import batch_read, transfer
from mpbench.board.session.batch_read import BatchRead
from mpbench.board.session.channel import RemoteCommand, SshProcess
from mpbench.board.session.labgrid_forms import CommandForms, FileForms
from mpbench.board.session.link import Address, Link, greeted
from mpbench.board.session.proxy import endpoint
from mpbench.board.session.shell import CommandHangs, FramedShell
from mpbench.board.session.shell_protocol import Reply, one_line
from mpbench.core.errors import InfrastructureError, InvalidRun

Read = bytes | str
"""Result of read_many per path: the file's bytes, or the errno's name."""


class Look(NamedTuple):
    """Result of look(): stdout of the first command, the files, stdout of the second command."""

    before: bytes
    files: dict[str, Read]
    after: bytes


@target_factory.reg_driver
@attr.s(eq=False)
class SessionDriver(CommandForms, FileForms, Driver):
    """Commands and files over one SSH transport.

    keyfile:     private key, relative to the target file; accessible to its owner only
    known_hosts: pinned host keys (OpenSSH format), relative to the target file; default: "known_hosts" next
                 to it. A resource with keys of its own (a virtual board) needs neither
    alias:       further name in known_hosts, for boards whose address changes
    connect_timeout_s: for one connection attempt; command_timeout_s: for commands without their own timeout

    Every failure between the lab host and the board raises InfrastructureError with a message of one line.
    """

    unanswered = "no SSH server answers"
    """What it means that answers() is False."""
    skip_deactivate_on_export = True  # other clients may use the board's SSH server at the same time
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
        self._greeted: socket.socket | None = None
        self._main: FramedShell | None = None
        self._spare: FramedShell | None = None
        self._one_channel = False
        self._read_tool = batch_read.TOOLS[0]
        self._lock = threading.RLock()
        self._listeners: list[Callable[[], None]] = []
        self.boot_id = ""

    def on_activate(self) -> None:
        self._connect(self.connect_timeout_s)

    def on_deactivate(self) -> None:
        self._close()

    @property
    def _where(self) -> str:
        return f"{self.networkservice.address} port {self.networkservice.port}"

    def get_status(self) -> int:
        """1 while the transport is connected."""
        return int(self._link is not None and self._link.alive)

    def address(self) -> Address:
        """Where and as which user to connect, through labgrid's proxy if the place requires one."""
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

    def _endpoint(self) -> tuple[str, int]:
        return endpoint(self.networkservice)

    def drop(self) -> None:
        """Deactivate this driver, and what of its connection a board without power forgets."""
        self._hang_up()
        self.target.deactivate(self)

    def wake(self) -> None:
        """Have a board that is up answer: an SSH server does so by itself."""

    def answers(self, timeout_s: float) -> bool:
        """Whether the board's SSH server sends its greeting; needs no login, usable in every state.

        The connection is kept for the next login: a booting board is slow to accept another.
        """
        self._hang_up()
        with contextlib.suppress(InfrastructureError):
            self._greeted = greeted(*self._endpoint(), timeout_s)
        return self._greeted is not None

    def _hang_up(self) -> None:
        """Close the connection that answers() has kept."""
        if self._greeted is not None:
            self._greeted.close()
        self._greeted = None

    def _file(self, attribute: str) -> Path | None:
        """The file that this driver is configured with, else the one of the board's resource."""
        if configured := getattr(self, attribute):
            return self._path(configured)
        of_resource = getattr(self.networkservice.parent, attribute, None)
        return Path(of_resource) if of_resource else None

    def _path(self, path: str) -> Path:
        return Path(self.target.env.config.resolve_path(path) if self.target.env else path)

    def _connect(self, timeout_s: float) -> None:
        self._link = self._dial(timeout_s)
        try:
            self._shell()
        except BaseException:
            self._close()
            raise

    def _dial(self, timeout_s: float) -> Link:
        try:
            link = Link.dial(self.address(), timeout_s, self._greeted)
        except BaseException:
            self._hang_up()
            raise
        self._greeted = None  # it is the link's now
        return link

    def _close(self) -> None:
        self._hang_up()
        if self._link is not None:
            self._link.close()
        self._link = self._main = self._spare = None
        self._one_channel = False

    def on_reconnect(self, listener: Callable[[], None]) -> None:
        """Call `listener` after every reconnect(), so that it opens its channels again."""
        self._listeners.append(listener)

    def notify_listeners(self) -> None:
        """Reconnected: owners of channels open them again."""
        for listener in self._listeners:
            listener()

    @active
    def reconnect(self, deadline_s: float, *, same_boot: bool = False) -> bool:
        """Connect again, with retries; whether the board has rebooted.

        same_boot: raise InvalidRun if it has. InfrastructureError if no attempt succeeds within deadline_s.
        """
        before = self.boot_id
        self._close()
        self._connect_until(time.monotonic() + deadline_s)
        self.notify_listeners()
        rebooted = before != self.boot_id
        if rebooted and same_boot:
            raise InvalidRun(f"reset: {self._where} rebooted (boot_id {before} → {self.boot_id})")
        return rebooted

    def _connect_until(self, deadline: float) -> None:
        """A booting board sends no event when it is ready: short tries; raises the error of the last one."""
        pause = threading.Event()
        while True:
            left_s = deadline - time.monotonic()
            try:
                return self._connect(max(0.2, min(left_s, self.connect_timeout_s)))
            except InfrastructureError:
                if deadline - time.monotonic() <= 0.05:
                    raise
            pause.wait(0.05)

    @active
    def execute(self, command: str, timeout_s: float | None = None) -> Reply:
        """Run a command line in the board's shell; the reply holds its output unchanged.

        Background jobs should redirect their output, or use spawn(). InfrastructureError if the command does
        not end within timeout_s (it is killed) or the link is lost.
        """
        return self._run_in(self._shell(), command, timeout_s or self.command_timeout_s)

    @active
    def call(self, command: str, timeout_s: float) -> Reply:
        """As execute(), for commands that may hang: other commands run concurrently."""
        return self._run_in(self._spare_shell(), command, timeout_s)

    @active
    def spawn(self, command: str) -> SshProcess:
        """Start a command that runs concurrently with others; it is killed with its channel."""
        with self._too_many_channels(f"cannot start {one_line(command, 120)}"):
            return SshProcess(self._alive(), command)

    @active
    def read_many(self, paths: Iterable[str]) -> dict[str, Read]:
        """Content of files: bytes, or the errno's name where reading failed.

        One round trip for up to 512 files; if the board's tool does not name the file of an error, each file
        is then read individually.
        """
        wanted = list(dict.fromkeys(paths))
        found: dict[str, Read] = {}
        for at in range(0, len(wanted), batch_read.PATHS_PER_COMMAND):
            batch = BatchRead(tuple(wanted[at : at + batch_read.PATHS_PER_COMMAND]))
            found |= self._named(batch, *self._read_at_once(batch))
        return found

    @active
    def look(self, paths: Sequence[str], *, first: str = "", then: str = "") -> Look:
        """In one round trip: stdout of the command `first`, the files, stdout of the command `then`.

        stderr and exit codes of both commands are dropped.
        """
        batch, end = BatchRead(tuple(paths)), secrets.token_hex(16)
        one, two = (f"{{ {command or ':'}\n}} 2>/dev/null" for command in (first, then))
        reply = self.execute(f"{one}; echo {end}; {batch.command(self._read_tool)}; {two}")
        before, _, rest = reply.stdout.partition(f"{end}\n".encode())
        reply = evolve(reply, stdout=rest)
        pieces, after = batch.split(reply)
        return Look(before, self._named(batch, pieces, reply), after)

    def read(self, path: str) -> Read:
        """One file: its bytes, or the errno's name."""
        return self.read_many([path])[path]

    def _named(self, batch: BatchRead, pieces: Sequence[bytes | None], reply: Reply) -> dict[str, Read]:
        failed = batch.failures(reply)
        if failed is None:
            return {path: self._read_alone(path) for path in batch.paths}
        found = ((path, failed.get(path, data)) for path, data in zip(batch.paths, pieces, strict=True))
        return {path: self._read_alone(path) if data is None else data for path, data in found}

    def _read_at_once(self, batch: BatchRead) -> tuple[list[bytes | None], Reply]:
        reply = self.execute(batch.command(self._read_tool))
        try:
            return batch.split(reply)[0], reply
        except InfrastructureError:
            if self._read_tool == batch_read.TOOLS[-1]:
                raise
        self._read_tool = batch_read.TOOLS[-1]  # head of a small busybox lacks the options
        return self._read_at_once(batch)

    def _read_alone(self, path: str) -> Read:
        reply = self.execute(f"cat {shlex.quote(path)}")
        if reply.code == 0:
            return reply.stdout
        if reply.errno is None:
            raise InfrastructureError(f"{one_line(path)}: cannot read, unknown error: {reply.error}")
        return reply.errno

    def _run_in(self, shell: FramedShell, command: str, timeout_s: float) -> Reply:
        try:
            return shell.execute(command, timeout_s)
        except CommandHangs:
            shell.close()
            killer = threading.Thread(target=self._kill, args=(self._link, shell.kill_target), daemon=True)
            killer.start()  # not joined: the network itself may hang, and the deadline is over
            raise

    def _kill(self, link: Link, kill_target: str) -> None:
        """Kill a hanging command on the board: closing its channel ends no process."""
        with contextlib.suppress(InfrastructureError, paramiko.SSHException):
            RemoteCommand(link, f"kill -KILL {kill_target}").finish(time.monotonic() + self.connect_timeout_s)

    def _alive(self) -> Link:
        if self._link is None:
            raise InfrastructureError(f"{self._where}: not connected; reconnect() is needed")
        self._link.check()
        return self._link

    def _shell(self) -> FramedShell:
        """The shell shared by all commands; a new one on the open transport if a command broke it."""
        with self._lock:
            if self._main is None or not self._main.usable:
                with self._too_many_channels("cannot start a shell"):
                    self._main = self._open_shell()
            return self._main

    def _spare_shell(self) -> FramedShell:
        """A shell for commands that may hang; the shared one if the server allows only one channel."""
        with self._lock:
            if self._one_channel:
                return self._shell()
            if self._spare is None or not self._spare.usable or self._spare.busy:
                try:
                    self._spare = self._open_shell()
                except paramiko.ChannelException as e:
                    self._use_one_channel(e)
                    return self._shell()
            return self._spare

    def _open_shell(self) -> FramedShell:
        """A shell; tried twice. What was wrong the first time is raised if the second has no channel:

        a server that allows one only may not have closed the first one yet.
        """
        try:
            return self._new_shell()
        except InfrastructureError as first:
            self._alive()
            # dropbear 2022.83 closes a channel that is opened while it reaps another channel's process
            try:
                return self._new_shell()
            except paramiko.ChannelException:
                raise first from None

    def _new_shell(self) -> FramedShell:
        shell = FramedShell(self._alive())
        self.boot_id = shell.hello(self.connect_timeout_s)
        return shell

    def _use_one_channel(self, why: Exception) -> None:
        if not self._one_channel:
            self.logger.warning("the server allows only one channel (%s)", one_line(why))
        self._one_channel = True

    @contextlib.contextmanager
    def _too_many_channels(self, what: str) -> Iterator[None]:
        try:
            yield
        except paramiko.ChannelException as e:
            raise InfrastructureError(
                f"{self._where}: {what}: the server refuses a channel ({one_line(e)})"
            ) from e

    @active
    def put_bytes(self, data: bytes, path: str, timeout_s: float = 60.0) -> None:
        """Write `data` to the board's file `path`, atomically and verified by hash."""
        new = transfer.Upload(data, path)
        if not self._one_channel:
            try:
                return new.send(self._alive(), timeout_s)
            except paramiko.ChannelException as e:
                self._use_one_channel(e)
        return new.send_as_text(self.execute, timeout_s)

    @active
    def get_bytes(self, path: str, timeout_s: float = 60.0) -> bytes:
        """Bytes of a file on the board, verified by hash; the file must not change during the download."""
        return transfer.download(self.execute, path, timeout_s)
