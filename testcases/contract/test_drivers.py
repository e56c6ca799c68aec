# SPDX-License-Identifier: MIT
"""The drivers on top of the session, on real SSH servers with artificial sysfs trees and power ports."""

import re
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mpbench.board import tee
from mpbench.board.core_memory import CoreMemory
from mpbench.board.kernel_log import KernelLogFollower
from mpbench.board.remoteproc import (
    CHUNK_WORDS,
    MOST_WORDS,
    Manager,
    RemoteprocDriver,
    Transition,
    manager_of,
)
from mpbench.core.errors import BoardFailure, InfrastructureError
from testcases.contract.conftest import Serve, active, session_on

NEVER_S = 3.0
"""Deadline of a state that does not come, within which a busy host has to answer a call."""


@pytest.fixture
def sysfs(tmp_path: Path) -> Path:
    """A sysfs tree with two cores, m0 as remoteproc0 and m33 as remoteproc1."""
    for index, name in enumerate(("m0", "m33")):
        core = tmp_path / f"class/remoteproc/remoteproc{index}"
        (core / "device/of_node").mkdir(parents=True)
        (core / "name").write_text(f"{name}\n")
        (core / "state").write_text("offline\n")
        (core / "device/of_node/compatible").write_bytes(f"st,stm32mp2-{name}-tee\0".encode())
        (tmp_path / f"debug/remoteproc/remoteproc{index}").mkdir(parents=True)
    (tmp_path / "module/firmware_class/parameters").mkdir(parents=True)
    (tmp_path / "module/firmware_class/parameters/path").write_text("\n")
    return tmp_path


@pytest.fixture(params=["openssh", "dropbear-busybox-no-sftp"])
def remoteproc(request: pytest.FixtureRequest, serve: Serve, sysfs: Path) -> Iterator[RemoteprocDriver]:
    """A RemoteprocDriver on the artificial tree."""
    with active(session_on(serve(request.param))) as session:
        driver = RemoteprocDriver(  # type: ignore[misc]  # labgrid's own two are not seen
            session.target,
            "remoteproc",
            sysfs=str(sysfs),
            debugfs=str(sysfs / "debug"),
            firmware=str(sysfs / "firmware"),
        )
        session.target.activate(driver)
        yield driver


def test_cores_are_found_by_name(remoteproc: RemoteprocDriver, sysfs: Path):
    """Cores are found by name; swapped indices are detected."""
    assert remoteproc.cores() == ["m0", "m33"]
    assert remoteproc.index("m33") == "remoteproc1"
    (sysfs / "class/remoteproc/remoteproc0/name").write_text("m33\n")
    (sysfs / "class/remoteproc/remoteproc0/state").write_text("running\n")
    (sysfs / "class/remoteproc/remoteproc1/name").write_text("m0\n")
    assert remoteproc.core_state("m33") == "running"
    assert remoteproc.index("m33") == "remoteproc0"
    with pytest.raises(BoardFailure, match="no core 'm4'; the kernel knows: m0, m33"):
        remoteproc.core_state("m4")


def test_writes_return_their_errno(remoteproc: RemoteprocDriver, sysfs: Path):
    """OK for a write that the kernel accepts, the errno's name for a refusal or a missing file."""
    assert remoteproc.write("m33", "firmware", "x", 5) == "ENOENT"
    assert remoteproc.write("m33", "state", "start", 5) == "OK"
    assert (sysfs / "class/remoteproc/remoteproc1/state").read_text().startswith("start")
    (sysfs / "class/remoteproc/remoteproc1/full").symlink_to("/dev/full")
    assert remoteproc.write("m33", "full", "x", 5) == "ENOSPC"
    (sysfs / "class/remoteproc/remoteproc1/score").symlink_to("/proc/self/oom_score_adj")
    assert remoteproc.write("m33", "score", "not a number", 5) == "EINVAL"


def test_what_is_meant_for_one_core_never_reaches_another(remoteproc: RemoteprocDriver, sysfs: Path):
    """When indices change, a write and a read of the trace find the core by its name again."""
    assert remoteproc.index("m33") == "remoteproc1"
    trees = [sysfs / f"class/remoteproc/remoteproc{n}" for n in (0, 1)]
    for tree, name in zip(trees, ("m33", "m0"), strict=True):
        (tree / "name").write_text(f"{name}\n")
    (sysfs / "debug/remoteproc/remoteproc0/trace0").write_bytes(b"mpbench alive m33 1\n")
    (sysfs / "debug/remoteproc/remoteproc1/trace0").write_bytes(b"mpbench alive m0 1\n")
    assert remoteproc.write("m33", "state", "start", 5) == "OK"
    assert [(tree / "state").read_text() for tree in trees] == ["startne\n", "offline\n"]
    remoteproc._directories = {"m0": "remoteproc0", "m33": "remoteproc1"}
    assert remoteproc.trace("m33") == b"mpbench alive m33 1\n"


def test_a_directory_that_changes_twice_is_an_error(
    remoteproc: RemoteprocDriver, monkeypatch: pytest.MonkeyPatch
):
    """If the directory belongs to another core twice, nothing is written and an error names it."""
    monkeypatch.setattr(remoteproc, "index", lambda _core: "remoteproc0")
    with pytest.raises(BoardFailure, match="changed while it was written to"):
        remoteproc.write("m33", "state", "start", 5)
    with pytest.raises(BoardFailure, match="changed while its trace was read"):
        remoteproc.trace("m33")


def test_transitions_are_read_back(remoteproc: RemoteprocDriver, sysfs: Path):
    """The state is read back after a write, and awaited."""
    state = sysfs / "class/remoteproc/remoteproc1/state"
    assert remoteproc.transition("m33", "start", "running", NEVER_S) == Transition("OK", "startne")
    later = sysfs / "later"
    later.write_text("running\n")
    timer = threading.Timer(0.1, later.replace, [state])  # at once, as in sysfs: no reader sees an empty file
    timer.start()
    assert remoteproc.await_state("m33", "running", 5) == "running"
    timer.join()


def test_attributes_of_one_core_take_one_round_trip(remoteproc: RemoteprocDriver):
    """Several files are read at once; an unreadable one has its errno in brackets."""
    found = remoteproc.attributes("m0", "state", "fw_format")
    assert found == {"state": "offline", "fw_format": "[ENOENT]"}


def test_the_drivers_of_the_cores_are_named(remoteproc: RemoteprocDriver, sysfs: Path):
    """By the device's uevent; "" where that has no driver, or is not there."""
    device = sysfs / "class/remoteproc/remoteproc1/device"
    (device / "uevent").write_text("DRIVER=stm32-rproc\nOF_NAME=m33\n")
    assert remoteproc.drivers() == {"m0": "", "m33": "stm32-rproc"}
    (device / "uevent").write_text("OF_NAME=m33\n")
    assert remoteproc.drivers() == {"m0": "", "m33": ""}


def test_the_trace_is_bytes_or_none(remoteproc: RemoteprocDriver, sysfs: Path):
    """trace() returns the buffer's bytes, None for a core without a buffer."""
    (sysfs / "debug/remoteproc/remoteproc1/trace0").write_bytes(b"mpbench\0\xff")
    assert remoteproc.trace("m33") == b"mpbench\0\xff"
    assert remoteproc.trace("m0") is None


def test_a_trace_that_linux_does_not_show_is_read_in_memory(
    remoteproc: RemoteprocDriver, sysfs: Path, monkeypatch: pytest.MonkeyPatch
):
    """Word by word at its device address, up to its end or a limit, while the core is not offline."""
    text = b"mpbench " + b"x" * 100
    asked: list[tuple[int, int]] = []

    def read(_: CoreMemory, da: int, count: int) -> tuple[int, ...]:
        asked.append((da, count))
        at = da - 0x200C_6000
        return struct.unpack(f"<{count}I", (text + bytes(200))[at : at + 4 * count])

    monkeypatch.setattr(CoreMemory, "read", read)
    remoteproc.unshown_traces["m0"] = 0x200C_6000
    assert remoteproc.trace("m0") is None
    assert asked == []
    (sysfs / "class/remoteproc/remoteproc0/state").write_text("running\n")
    assert remoteproc.trace("m0") == text
    assert asked == [(0x200C_6000, CHUNK_WORDS), (0x200C_6040, CHUNK_WORDS)]
    text *= 20
    assert remoteproc.trace("m0") == text[: 4 * MOST_WORDS]
    assert remoteproc.trace("m33") is None


def test_the_firmware_directory_is_where_the_kernel_looks(remoteproc: RemoteprocDriver, sysfs: Path):
    """firmware_class.path comes first when set, else the usual directory."""
    assert remoteproc.firmware_path("a.fw") == f"{sysfs}/firmware/a.fw"
    (sysfs / "module/firmware_class/parameters/path").write_text(f"{sysfs}/elsewhere\n")
    remoteproc._firmware_directory = ""
    assert remoteproc.firmware_path("a.fw") == f"{sysfs}/elsewhere/a.fw"
    assert (sysfs / "elsewhere").is_dir()


def test_a_read_only_firmware_directory_is_replaced(remoteproc: RemoteprocDriver, sysfs: Path):
    """If /lib/firmware is not writable, a new directory is set in firmware_class.path."""
    (sysfs / "firmware").write_text("a file in its place: no directory can be made there")
    assert remoteproc.firmware_path("a.fw") == "/run/mpbench-firmware/a.fw"
    assert (sysfs / "module/firmware_class/parameters/path").read_text() == "/run/mpbench-firmware"
    (sysfs / "module/firmware_class/parameters/path").unlink()
    (sysfs / "module/firmware_class/parameters").rmdir()
    remoteproc._firmware_directory = ""
    with pytest.raises(InfrastructureError, match="no writable firmware directory"):
        remoteproc.firmware_path("a.fw")
    Path("/run/mpbench-firmware").rmdir()


@pytest.mark.parametrize(
    ("fw_format", "compatible", "phandle", "ta", "manager"),
    [
        ("TEE", "", "[ENOENT]", False, Manager.TEE),
        ("ELF", "st,stm32mp1-m4-tee", "[ENOENT]", True, Manager.LINUX),
        ("[ENOENT]", "st,stm32mp2-m33-tee", "[ENOENT]", True, Manager.TEE),
        ("[ENOENT]", "st,stm32mp2-m33-tee", "[ENOENT]", False, Manager.LINUX),
        ("[ENOENT]", "st,stm32mp1-m4", "[ENOENT]", True, Manager.LINUX),
        ("[ENOENT]", "st,stm32mp1-m4", "0005", True, Manager.TEE),
    ],
)
def test_who_manages_a_core(fw_format: str, compatible: str, phandle: str, ta: bool, manager: Manager):
    """fw_format decides if the kernel has it, else the core's node and the TA together."""
    assert manager_of(fw_format, compatible, phandle, ta) is manager


def test_the_tee_is_seen_by_its_files():
    """Devices and trusted applications are distinguished; UUIDs are compared without case."""
    found = tee.parse(["/dev/tee0", f"{tee.BUS}/optee-ta-80A4C275-0a47-4905-8285-1486a9771a08", "/x"])
    assert found.present
    assert found.has("80a4c275-0A47-4905-8285-1486a9771a08")
    assert not found.has("00000000-0000-0000-0000-000000000000")
    assert not tee.parse([]).present


def test_looking_for_a_tee_takes_one_command(serve: Serve):
    """The command that lists the TEE's devices works in the board's shell."""
    with active(session_on(serve())) as session:
        assert tee.tee(session).devices <= set(tee.DEVICES)


def test_a_kernel_log_that_cannot_be_followed(serve: Serve, tmp_path: Path, monkeypatch):
    """Without /dev/kmsg the follower has the reason, and marks fall back without waiting."""
    monkeypatch.setattr("mpbench.board.kernel_log.MARKER_TIMEOUT_S", 0.1)
    monkeypatch.setattr("mpbench.board.kernel_log.PRINTK_DEVKMSG", str(tmp_path / "limit"))
    with active(session_on(serve())) as session:
        log = KernelLogFollower(session, str(tmp_path / "no" / "kmsg"))
        assert log.mark() == 0
        assert log.since(0) == b""
        assert log.wait_for(re.compile(b"x"), 0, 0.05) is False
        for thread in threading.enumerate():
            if thread.name == "kmsg":
                thread.join(60)
        assert "ended" in log.ended_why
        log.close()
