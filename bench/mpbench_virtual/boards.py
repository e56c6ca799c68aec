# SPDX-License-Identifier: MIT
"""Virtual boards: start, find by name, stop."""

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from time import monotonic as clock_s
from typing import IO

import cattrs
from attrs import evolve, frozen

from mpbench.core.errors import InfrastructureError, UsageError
from mpbench.core.files import lock
from mpbench_virtual import keys
from mpbench_virtual.card import write_card
from mpbench_virtual.models import KINDS
from mpbench_virtual.parts import build_parts
from mpbench_virtual.paths import BASE_PORT, run_dir
from mpbench_virtual.process import Spec
from mpbench_virtual.qemu import MONITOR, last_line, qmp
from mpbench_virtual.recipes import write_cpio
from mpbench_virtual.steps import Report

LOOK = 1 << 45
"""Where QEMU has memory without its firewall, which would report the access. Ref: stm32mp.h, STM32MP_LOOK"""
M4 = 2
"""QEMU's number of the M4 of an STM32MP15: after two Cortex-A7."""
CLOSED_S, CLOSED_POLL_S = 10.0, 0.05
"""An isolated memory is OP-TEE's alone while it loads or clears it, which takes a fraction of a second."""
START_S = 20.0
STOP_S = 20.0
"""A board that is asked to end kills QEMU and joins its threads in a second or two."""


@frozen
class StartedBoard:
    """A virtual board whose process runs: where it listens and where its files are."""

    name: str
    kind: str
    pid: int
    address: str
    ports: dict[str, int]
    directory: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def power_url(self) -> str:
        """URL for the `host` of labgrid's NetworkPowerPort (model `rest`)."""
        return f"http://{self.address}:{self.ports['power']}/power/{{index}}/value"

    @property
    def known_hosts(self) -> Path:
        """known_hosts file with the pinned key of this board."""
        return self.directory / "known_hosts"


def start(
    kind_name: str,
    name: str,
    report: Report,
    *,
    lifeline: bool,
    address: str | None = None,
    base_port: int = BASE_PORT,
) -> StartedBoard:
    """Start the process of a board, powered off.

    lifeline: the board ends with this process; otherwise it runs until stop().
    UsageError when the name is taken; InfrastructureError when a port is busy.
    """
    parts = build_parts(kind_name, report)
    directory, held = _claim(name)
    with held:
        try:
            parts = evolve(parts, initrd=_with_keys(parts.initrd, directory))
            if parts.loaders:
                parts = evolve(parts, card=directory / "card.img")
                write_card(parts, directory / "card.log")
            return _launch(
                Spec(name, kind_name, directory, address, base_port, parts, lifeline), held.fileno()
            )
        except BaseException:
            shutil.rmtree(directory, ignore_errors=True)
            raise


def _claim(name: str) -> tuple[Path, IO[str]]:
    """Directory of a new board, and its lock, which is held until the board's process ends."""
    if not name or "/" in name or name.startswith(".") or len(name) > 40:
        raise UsageError(f"board name {name!r}: 1 to 40 characters, no slash, no leading dot")
    directory = run_dir() / name
    with _cleanup_lock():
        _remove_stale()
        try:
            directory.mkdir(mode=0o700)
        except FileExistsError:
            raise UsageError(f"a board named {name!r} is up already; see mpbench virtual status") from None
        held = (directory / "lock").open("w")
        lock(held)
    return directory, held


@contextlib.contextmanager
def _cleanup_lock() -> Iterator[None]:
    """Excludes other runs of this user from removing stale directories: one without its lock looks stale."""
    with (run_dir() / ".lock").open("a") as file:
        lock(file)
        yield


def _with_keys(rootfs: Path, directory: Path) -> Path:
    """The root file system, followed by this user's keys: an initramfs may consist of several archives."""
    root = directory / "keys"
    for path, data, mode in (
        ("root/.ssh/authorized_keys", keys.ssh_public_line(keys.ssh_key()) + b"\n", 0o600),
        ("etc/dropbear/host_key", keys.dropbear_host_key(), 0o600),
    ):
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode)
        file.write_bytes(data)
    (root / "root/.ssh").chmod(0o700)
    (root / "root").chmod(0o700)
    (root / "etc").chmod(0o755)
    overlay = directory / "keys.cpio"
    write_cpio(root, overlay, directory / "cpio.log")
    both = directory / "initrd.cpio"
    both.write_bytes(rootfs.read_bytes() + overlay.read_bytes())
    shutil.rmtree(root)
    overlay.unlink()
    return both


def _launch(spec: Spec, lock_fd: int) -> StartedBoard:
    text = json.dumps(cattrs.unstructure(spec))
    with (spec.directory / "board.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "mpbench_virtual.process", text],
            stdin=subprocess.PIPE if spec.lifeline else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            pass_fds=[lock_fd],
            # Ctrl-C at the terminal is for the run, whose teardown ends the board.
            start_new_session=True,
        )
    try:
        _await_ready(process, spec)
        return _read_board(spec.directory / "board.json", process)
    except BaseException:
        process.kill()
        _reap(process)
        raise


def _await_ready(process: "subprocess.Popen[bytes]", spec: Spec) -> None:
    assert process.stdout is not None
    answered, _, _ = select.select([process.stdout], [], [], START_S)
    line = process.stdout.readline().decode().strip() if answered else f"no answer within {START_S:.0f} s"
    if line != "ready":
        # A process that printed no message ended with a traceback; its log goes with its directory.
        said = line.removeprefix("failed ") or last_line(spec.directory / "board.log")
        raise InfrastructureError(f"virtual board {spec.name}: {said or 'its process printed nothing'}")


def _read_board(file: Path, process: "subprocess.Popen[bytes] | None" = None) -> StartedBoard:
    found = StartedBoard(**json.loads(file.read_text()), directory=file.parent, process=process)
    if not isinstance(found.pid, int) or not isinstance(found.ports, dict):
        raise ValueError(f"{file}: damaged")
    return found


def boards() -> Iterator[StartedBoard]:
    """This user's boards that are up."""
    remove_stale()
    for file in sorted(run_dir().glob("*/board.json")):
        try:
            found = _read_board(file)
        except (OSError, ValueError, TypeError):  # going down just now, or the file is damaged
            continue
        yield found


def find(name: str) -> StartedBoard:
    """The board of that name; otherwise UsageError that lists the boards that are up."""
    up = {b.name: b for b in boards()}
    if name not in up:
        raise UsageError(f"no virtual board {name!r} is up; boards that are up: {', '.join(up) or 'none'}")
    return up[name]


def read_memory(board: StartedBoard, pa: int, size: int) -> bytes:
    """`size` bytes of a board's RAM at physical address `pa`. InfrastructureError if the board is off.

    Where ETZPC isolates the M4's memory it is read as the M4 sees it. Ref: QMP reference, pmemsave
    """
    kind, monitor = KINDS[board.kind], board.directory / MONITOR
    with tempfile.NamedTemporaryFile(dir=board.directory) as file:
        try:
            if kind.st_optee and not kind.secure:
                _save_isolated(monitor, pa, size, file.name)
            else:
                past_firewall = LOOK if kind.secure else 0
                qmp(monitor, "pmemsave", val=past_firewall + pa, size=size, filename=file.name)
        except OSError as e:
            raise InfrastructureError(f"virtual board {board.name}: its memory cannot be read: {e}") from e
        return Path(file.name).read_bytes()


def _save_isolated(monitor: Path, pa: int, size: int, file: str) -> None:
    """Save memory as the M4 sees it; again for CLOSED_S while OP-TEE has it, of which QEMU reports nothing.

    Ref: QMP reference, memsave
    """
    deadline_s, pause = clock_s() + CLOSED_S, threading.Event()
    while True:
        try:
            qmp(monitor, "memsave", val=pa, size=size, filename=file, **{"cpu-index": M4})
            return
        except InfrastructureError:
            if clock_s() > deadline_s:
                raise
        pause.wait(CLOSED_POLL_S)


def stop(board: StartedBoard) -> None:
    """End a board's process, and wait until it and its children have exited; kill them after STOP_S."""
    if board.process is not None:
        board.process.terminate()
        try:
            board.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            _kill(board)
        _reap(board.process)
        return
    with contextlib.suppress(FileNotFoundError), (board.directory / "lock").open() as file:
        if lock(file, wait=False):  # its process has gone: the number may be another's
            return
        try:
            os.kill(board.pid, signal.SIGTERM)
            if not _has_exited(board.pid, STOP_S):
                _kill(board)
        except ProcessLookupError:
            pass
        lock(file)


def _has_exited(pid: int, timeout_s: float) -> bool:
    """Whether a process, not necessarily a child, ends in time. Ref: pidfd_open(2)."""
    descriptor = os.pidfd_open(pid)
    try:
        return bool(select.select([descriptor], [], [], timeout_s)[0])
    finally:
        os.close(descriptor)


def _kill(board: StartedBoard) -> None:
    """Kill a board that does not end by itself, with its children, and remove what it leaves."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(board.pid, signal.SIGKILL)
    shutil.rmtree(board.directory, ignore_errors=True)


def _reap(process: "subprocess.Popen[bytes]") -> None:
    process.wait(START_S)
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()


def remove_stale() -> None:
    """Remove the directories of killed boards: those whose lock is free."""
    with _cleanup_lock():
        _remove_stale()


def _remove_stale() -> None:
    """Under the cleanup lock a directory has its lock as soon as it is there: without one it is stale."""
    for directory in [path for path in run_dir().iterdir() if path.is_dir()]:
        try:
            file = (directory / "lock").open()
        except OSError:
            shutil.rmtree(directory, ignore_errors=True)
            continue
        with file:
            if lock(file, wait=False):
                shutil.rmtree(directory, ignore_errors=True)
