# SPDX-License-Identifier: MIT
"""Runs pytest in a child process that is interrupted, and tears down, when its parent ends."""

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import Awaitable, Mapping, Sequence
from pathlib import Path

from attrs import frozen

from mpbench.core.errors import InfrastructureError
from mpbench.core.files import lock, open_own
from mpbench.core.shared_files import CHECKOUT, board_case
from mpbench.lab.plan import Job

HERE = CHECKOUT or Path.cwd()
"""Where tests are run: own ones are relative to it."""
WRAPPER = ("env", "--default-signal=INT", "setpriv", "--pdeathsig", "INT")
"""The child accepts SIGINT, which a shell's background job ignores, and receives it if the parent dies.

Not set by a function between fork and exec: Python code in a fork of a process with gRPC's threads crashes.
"""


def command(job: Job, runs: Path) -> list[str]:
    """Command line of a pytest that records into `runs` and resumes the runs in it."""
    where = [f"--bench-reports={runs}", f"--bench-resume={runs}"]
    tests = [
        test if (HERE / test.partition("::")[0]).exists() else board_case(test) or test for test in job.tests
    ]
    pytest = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-v", "--lg-env", str(job.target)]
    return [*pytest, *where, *job.options, *tests]


PLACEHOLDER = b" " * 20
"""Reserves the space of a process id."""
PROCESS_ID = re.compile(rb"[1-9]\d{0,9}")


@frozen
class Child:
    """A process in a group of its own, which a Ctrl-C for the night does not reach."""

    process: asyncio.subprocess.Process

    @classmethod
    async def start(
        cls, arguments: Sequence[str], variables: Mapping[str, str], log: Path, mark: Path
    ) -> "Child":
        """Start it; what it prints is appended to `log`. InfrastructureError if it cannot be started.

        mark: a file that it holds locked as long as it lives, with its process id: see `outlived`.
        """
        try:
            with open_own(log, append=True) as file, open_own(mark) as held:
                lock(held, wait=False)
                held.truncate(0)
                held.write(PLACEHOLDER)  # a full disk is an error before anything runs
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
                os.pwrite(held.fileno(), b"%d" % process.pid, 0)
        except OSError as e:
            raise InfrastructureError(f"cannot start {arguments[0]}: {e.strerror}") from e
        return cls(process)

    async def wait(self) -> int:
        """Wait for its end; returns its exit code."""
        return await self.process.wait()

    async def end(self, grace_s: float) -> int:
        """Interrupt it as Ctrl-C does, so that it tears down; kill it and its children after `grace_s`."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGINT)
        try:
            return await asyncio.wait_for(self.process.wait(), grace_s)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            return await self.process.wait()


async def wait_for_orphan(mark: Path, grace_s: float) -> int | None:
    """Wait for the child of a killed night, which the kernel has interrupted; kill it after `grace_s`.

    mark: see Child.start(). Returns its process id, 0 if that was not written, None without a child.
    """
    with open_own(mark) as held:
        if lock(held, wait=False):
            return None
        released = asyncio.create_task(asyncio.to_thread(lock, held))
        ended, _ = await asyncio.wait([released], timeout=grace_s)
        held.seek(0)
        text = held.read(len(PLACEHOLDER) + 1).strip()
        pid = int(text) if PROCESS_ID.fullmatch(text) else 0  # it holds the lock: the number is still its own
        if not ended and pid:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
            await released
        return pid


async def first_of(*waits: Awaitable[object], timeout_s: float | None = None) -> bool:
    """Whether one of them ended in time. Coroutines that did not are cancelled, tasks go on."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    done, pending = await asyncio.wait(tasks, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    for task, wait in zip(tasks, waits, strict=True):
        if task in pending and task is not wait:
            task.cancel()
    return bool(done)
