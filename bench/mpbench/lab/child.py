# SPDX-License-Identifier: MIT
"""The pytest of one place, as a process that ends in an orderly way when the night does, killed or not."""

import asyncio
import contextlib
import fcntl
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from attrs import frozen

from mpbench.core.errors import InfrastructureError
from mpbench.core.shared_files import CHECKOUT, board_case
from mpbench.lab.plan import Job

HERE = CHECKOUT or Path.cwd()
"""Where tests are run: own ones are relative to it."""
WRAPPER = ("env", "--default-signal=INT", "setpriv", "--pdeathsig", "INT")
"""SIGINT works in the child (a shell's background job ignores it), and comes when the night is killed.

Not by a function between fork and exec: with gRPC's threads a fork that runs Python ends in a crash.
"""


def command(job: Job, runs: Path) -> list[str]:
    """The command line of a run that records into `runs`, and takes up what is there."""
    where = [f"--bench-reports={runs}", f"--bench-resume={runs}"]
    tests = [
        test if (HERE / test.partition("::")[0]).exists() else board_case(test) or test for test in job.tests
    ]
    pytest = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-v", "--lg-env", str(job.target)]
    return [*pytest, *where, *job.options, *tests]


ROOM = " " * 20
"""Where a process id will stand."""


@frozen
class Child:
    """A process in a group of its own, so that a Ctrl-C for the night is not one for it."""

    process: asyncio.subprocess.Process

    @classmethod
    async def start(
        cls, arguments: Sequence[str], variables: Mapping[str, str], log: Path, mark: Path
    ) -> "Child":
        """Start it; what it prints is appended to `log`. InfrastructureError if it cannot be started.

        mark: a file that it holds locked as long as it lives, with its process id: see `outlived`.
        """
        try:
            with log.open("ab") as file, mark.open("w") as held:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                held.write(ROOM)
                held.flush()  # a disk that is full says so before anything runs
                process = await asyncio.create_subprocess_exec(
                    *WRAPPER,
                    *arguments,
                    cwd=HERE,
                    env=os.environ | dict(variables),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=file,
                    stderr=file,
                    start_new_session=True,
                    pass_fds=[held.fileno()],
                )
                os.pwrite(held.fileno(), str(process.pid).encode(), 0)
        except OSError as e:
            raise InfrastructureError(f"cannot start {arguments[0]}: {e.strerror}") from e
        return cls(process)

    async def wait(self) -> int:
        """Its exit code, when it has ended."""
        return await self.process.wait()

    async def end(self, grace_s: float) -> int:
        """Ask it to end as Ctrl-C does, which runs its teardowns; kill it and its children if it does not."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGINT)
        try:
            return await asyncio.wait_for(self.process.wait(), grace_s)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            return await self.process.wait()


async def outlived(mark: Path, grace_s: float) -> int | None:
    """Wait for the process of a night that was killed, which the kernel told to end; kill it if it does not.

    Its process id, 0 if the night did not live to write it down; None if there was none any more.
    """
    with mark.open("r+") as held:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return None
        free = asyncio.create_task(asyncio.to_thread(fcntl.flock, held, fcntl.LOCK_EX))
        ended, _ = await asyncio.wait([free], timeout=grace_s)
        pid = int(held.read().strip() or 0)  # it holds the lock, so the number is still its own
        if not ended and pid:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
            await free
        return pid
