# SPDX-License-Identifier: MIT
"""The pytest of one place, as a process that ends in an orderly way when the night does, killed or not."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from attrs import frozen

import bench
from bench.errors import LabFault
from bench.lab.plan import Job

CHECKOUT = Path(bench.__file__).resolve().parents[1]
WRAPPER = ("env", "--default-signal=INT", "setpriv", "--pdeathsig", "INT")
"""SIGINT works in the child (a shell's background job ignores it), and comes when the night is killed.

Not by a function between fork and exec: with gRPC's threads a fork that runs Python ends in a crash.
"""


def command(job: Job, runs: Path) -> list[str]:
    """The command line of a run that records into `runs`, and takes up what is there."""
    where = [f"--bench-reports={runs}", f"--bench-resume={runs}"]
    pytest = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-v", "--lg-env", str(job.target)]
    return [*pytest, *where, *job.options, *job.tests]


@frozen
class Child:
    """A process in a group of its own, so that a Ctrl-C for the night is not one for it."""

    process: asyncio.subprocess.Process

    @classmethod
    async def start(cls, arguments: Sequence[str], variables: Mapping[str, str], log: Path) -> "Child":
        """Start it in the checkout; what it says goes into `log`. LabFault if that is not possible."""
        try:
            with log.open("ab") as file:
                process = await asyncio.create_subprocess_exec(
                    *WRAPPER,
                    *arguments,
                    cwd=CHECKOUT,
                    env=os.environ | dict(variables),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=file,
                    stderr=file,
                    start_new_session=True,
                )
        except OSError as e:
            raise LabFault(f"cannot start {arguments[0]}: {e.strerror}") from e
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
