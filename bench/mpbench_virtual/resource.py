# SPDX-License-Identifier: MIT
"""The virtual board as a labgrid resource, which expands into the resources of a lab as a RemotePlace does.

Ref: labgrid resource/remote.py, RemotePlaceManager.
"""

import atexit
import itertools
import os
from pathlib import Path
from typing import Any

import attr
from labgrid.factory import target_factory
from labgrid.resource.common import ManagedResource, ResourceManager

from mpbench.core.errors import InfrastructureError, UsageError
from mpbench_virtual import application, boards, keys, qemu, xtest
from mpbench_virtual.core_debugger import CoreDebugger
from mpbench_virtual.lines import Lines
from mpbench_virtual.models import KINDS
from mpbench_virtual.progress import BuildProgress
from mpbench_virtual.recipes_ev1 import own_optee

LINE = "virtual board: {step}: {what}"
"""Layout of a line of a build."""
_STARTED = itertools.count(1)
"""Boards that this process started: each has a name of its own, also where two targets name theirs alike."""


@attr.s(eq=False)
class VirtualBoardManager(ResourceManager):  # type: ignore[misc]
    """Starts the processes of the boards that a target names, powered off; ends them with the run."""

    def on_resource_added(self, resource: Any) -> None:
        """Expand a VirtualBoard into labgrid's own resources."""
        if isinstance(resource, VirtualBoard):
            resource.expand()


@target_factory.reg_resource
@attr.s(eq=False)
class VirtualBoard(ManagedResource):  # type: ignore[misc]
    """A virtual STM32MP board for this run, or one that is up already.

    kind: which kind of board, e.g. `mp25`.
    board_name: a board started by `mpbench virtual up NAME`; None: started by this run and ended with it.

    Offers NetworkSerialPort `console` and `secure`, NetworkPowerPort `power`, NetworkService `ssh`.
    """

    manager_cls = VirtualBoardManager

    kind: str = attr.ib(default="mp25", validator=attr.validators.instance_of(str))
    board_name: str | None = attr.ib(
        default=None, validator=attr.validators.optional(attr.validators.instance_of(str))
    )

    def __attrs_post_init__(self) -> None:
        self.timeout = 10.0
        self.board: boards.StartedBoard | None = None
        super().__attrs_post_init__()

    def expand(self) -> None:
        """Find or start the board and add its resources to the target."""
        self.board = boards.find(self.board_name) if self.board_name else self._start()
        where = {"host": self.board.address, "protocol": "raw", "speed": 115200}
        ports = self.board.ports
        self._add("NetworkSerialPort", "console", {**where, "port": ports["console"]})
        if "secure" in ports:
            self._add("NetworkSerialPort", "secure", {**where, "port": ports["secure"]})
        self._add("NetworkPowerPort", "power", {"model": "rest", "host": self.board.power_url, "index": "0"})
        ssh = {"address": self.board.address, "port": ports["ssh"], "username": "root"}
        self._add("NetworkService", "ssh", ssh)
        self.avail = True

    def _start(self) -> boards.StartedBoard:
        name = f"run-{os.getpid()}-{next(_STARTED)}-{self.name or self.kind}"
        report = BuildProgress(LINE, cached=False)
        board = boards.start(self.kind, name, report, lifeline=True)
        atexit.register(boards.stop, board)
        return board

    def _add(self, cls: str, name: str, arguments: dict[str, object]) -> None:
        resource = target_factory.make_resource(self.target, cls, name, arguments)
        resource.parent = self
        resource.avail = True

    def read_memory(self, pa: int, size: int) -> bytes:
        """`size` bytes of the board's RAM at physical address `pa`; InfrastructureError if it is off."""
        if self.board is None:
            raise InfrastructureError("the virtual board is not up")
        return boards.read_memory(self.board, pa, size)

    def debugger(self, core: str) -> CoreDebugger | None:
        """A debugger for a core of the board, which is on; None where QEMU does not have the core."""
        kind = KINDS.get(self.kind)
        if self.board is None or kind is None or core not in kind.cores:
            return None
        return CoreDebugger(self.board.directory, kind.cores[core])

    def lines(self) -> Lines | None:
        """Pins and USARTs of the board, which is on; None where the board is not up."""
        return None if self.board is None else Lines(self.board.directory)

    @property
    def makes_applications(self) -> bool:
        """Whether application() and xtest() are made for this board: not for an OP-TEE of the user's own."""
        kind = KINDS.get(self.kind)
        return kind is not None and (kind.secure or kind.tee) and not own_optee(kind)

    def xtest(self) -> Path:
        """Archive (tar.gz) with OP-TEE's test suite, built on the first call; arm64 only."""
        return xtest.archive()

    def application(self) -> Path:
        """The bench's own trusted application (UUID.ta), signed for this board, built on the first call."""
        if not self.makes_applications:
            raise UsageError(f"for a board of kind {self.kind!r} no trusted application is made")
        return application.application(KINDS[self.kind])

    @property
    def provenance(self) -> dict[str, str]:
        """Versions of the software that emulates the board, once it is on."""
        if self.board is None:
            return {}
        return {"qemu": qemu.version(self.board.directory / qemu.MONITOR)}

    @property
    def keyfile(self) -> Path:
        """SSH private key that logs in to this board."""
        return keys.ssh_key()

    @property
    def known_hosts(self) -> Path:
        """File with the pinned host key."""
        if self.board is None:
            raise InfrastructureError("the virtual board is not up")
        return self.board.known_hosts

    @property
    def firmware_key(self) -> Path:
        """PEM of the private key whose public part is inside this board's OP-TEE."""
        return keys.signing_key()
