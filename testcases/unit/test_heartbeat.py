# SPDX-License-Identifier: MIT
"""The watcher of heartbeats: when it reads the trace buffer, with the script that runs on boards.

The trace buffer and the core's state are FIFOs: whether they are read shows when they are opened for writing.
"""

import errno
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from attrs import define

from mpbench.deployment.heartbeat import WATCH

DEADLINE_S = 10.0
UP = "6,{n},{n}000,-;remoteproc remoteproc0: remote processor m33 is now up\n"
SHELLS = [shell for shell in ("dash", "busybox", "bash") if shutil.which(shell)]


@define
class Watcher:
    """The script: a FIFO is the kernel log that it reads, a file takes what it writes there."""

    directory: Path
    kmsg: int

    def log(self, record: str) -> None:
        os.write(self.kmsg, record.encode())

    def opened(self, name: str) -> int | None:
        """Open a FIFO for a reader that waits; None if there is none."""
        try:
            return os.open(self.directory / name, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as e:
            if e.errno != errno.ENXIO:
                raise
            return None

    def answer(self, name: str, text: str) -> None:
        """Give the next reading of a FIFO this content."""
        end = time.monotonic() + DEADLINE_S
        while (writer := self.opened(name)) is None:
            assert time.monotonic() < end, f"nobody reads {name}"
            time.sleep(0.001)
        os.write(writer, text.encode())
        os.close(writer)

    def await_unread(self, name: str) -> None:
        """Until a FIFO's last reader has closed it."""
        end = time.monotonic() + DEADLINE_S
        while (writer := self.opened(name)) is not None:
            os.close(writer)
            assert time.monotonic() < end, f"{name} is still read"

    def shows(self, boot: int, beat: int) -> None:
        """The core runs, and its trace buffer has this heartbeat."""
        self.answer("state", "running\n")
        self.answer("trace", f"mpbench alive m33 1\nboot {boot:08x} beat {beat:08x}\n")

    def await_written(self, text: str) -> None:
        end = time.monotonic() + DEADLINE_S
        while text not in (self.directory / "written").read_text():
            assert time.monotonic() < end, (self.directory / "written").read_text()
            time.sleep(0.001)

    def reads_nothing(self) -> bool:
        return self.opened("trace") is None and self.opened("state") is None


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> list[str]:
    """Shells that boards have."""
    return [request.param, "sh"] if request.param == "busybox" else [request.param]


@pytest.fixture(params=["", "1"], ids=["kept", "cleared"])
def watcher(tmp_path: Path, request: pytest.FixtureRequest, shell: list[str]) -> Iterator[Watcher]:
    """On a loader that keeps the firmware's memory over a stop, and one that clears it."""
    for name in ("trace", "kmsg", "state"):
        os.mkfifo(tmp_path / name)
    (tmp_path / "written").write_text("")
    script = WATCH.format(
        tag=tmp_path.name,
        trace=tmp_path / "trace",
        state=tmp_path / "state",
        core="m33",
        cleared=request.param,
        readings=50,
    )
    script = script.replace("6</dev/kmsg", f"6<{tmp_path}/kmsg")
    script = script.replace(">/dev/kmsg", f">>{tmp_path}/written")
    process = subprocess.Popen([*shell, "-c", script], start_new_session=True)
    found = Watcher(tmp_path, os.open(tmp_path / "kmsg", os.O_RDWR))
    found.await_written(f"<15>mpbench watch {tmp_path.name}\n")
    found.log(UP.format(n=1))  # an old record, of before the watcher
    found.log(f"15,2,2000,-;mpbench watch {tmp_path.name}\n")
    found.await_written("<15>mpbench watches m33\n")
    found.log("15,3,3000,-;mpbench watches m33\n")
    found.shows(1, 5)
    found.await_written("<15>mpbench beat m33 00000001\n")
    yield found
    with suppress(ProcessLookupError):
        os.killpg(process.pid, 9)
    process.wait(DEADLINE_S)
    os.close(found.kmsg)


def test_it_reads_from_up_to_the_first_heartbeat(watcher: Watcher) -> None:
    """Nothing is read between a heartbeat and the next boot, where a recovery would close the memory."""
    assert watcher.reads_nothing()
    watcher.log("6,3,3000,-;remoteproc remoteproc0: stopped remote processor m33\n")
    watcher.log(" SUBSYSTEM=remoteproc\n")
    watcher.log("6,4,4000,-;remoteproc remoteproc1: remote processor m0 is now up\n")
    assert watcher.reads_nothing()
    watcher.log(UP.format(n=5))
    watcher.shows(2, 0)
    watcher.shows(2, 1)
    watcher.await_written("<15>mpbench beat m33 00000002\n")
    assert watcher.reads_nothing()


def test_it_reads_nothing_of_a_core_that_does_not_run(watcher: Watcher) -> None:
    """A core that crashed again before its first heartbeat is being stopped: its memory may be closed."""
    watcher.log(UP.format(n=5))
    watcher.answer("state", "crashed\n")
    watcher.await_unread("state")
    watcher.log(UP.format(n=6))
    watcher.answer("state", "running\n")  # that of the next record: the first was given up
    watcher.answer("trace", "mpbench alive m33 1\nboot 00000002 beat 00000001\n")
    watcher.await_written("beat m33 00000002\n")


@pytest.mark.parametrize("watcher", [""], indirect=True)
def test_a_heartbeat_of_the_boot_before_is_none(watcher: Watcher) -> None:
    """The buffer still shows the old boot until the new firmware writes."""
    watcher.log(UP.format(n=5))
    watcher.shows(1, 6)
    watcher.shows(2, 1)
    watcher.await_written("beat m33 00000002\n")
    assert (watcher.directory / "written").read_text().count("mpbench beat") == 2


@pytest.mark.parametrize("watcher", ["1"], indirect=True)
def test_a_boot_counter_that_was_cleared_counts_again(watcher: Watcher) -> None:
    """Where the loader clears the memory at every stop, every boot is the first."""
    watcher.log(UP.format(n=5))
    watcher.shows(1, 1)
    end = time.monotonic() + DEADLINE_S
    while (watcher.directory / "written").read_text().count("mpbench beat m33 00000001") < 2:
        assert time.monotonic() < end
        time.sleep(0.001)
