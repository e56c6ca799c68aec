# SPDX-License-Identifier: MIT
"""The board that starts from an SD card: boot loaders of Debian's package, and what happens to a bad card."""

import hashlib
import socket
import struct
import subprocess
from contextlib import contextmanager

import pytest
from attrs import evolve

from mpbench_virtual import boards, card
from mpbench_virtual.cli import power
from mpbench_virtual.models import KINDS
from mpbench_virtual.qemu import Parts
from mpbench_virtual.steps import quiet
from testcases.contract.machine_parts import UNPACKED_S, command, parts_of, recorded_sums
from testcases.contract.over_ssh import over_ssh
from testcases.contract.test_machine_board import M4
from testcases.contract.test_virtual_board import read_until

pytestmark = pytest.mark.slow

SD = KINDS["mp15-debian-sd"]
FSBL1, FSBL2 = (part.first * card.BLOCK for part in card.PARTITIONS[:2])
HEADER_SIZE = 256


@pytest.fixture(scope="module")
def parts():
    """Results of the board's build steps."""
    return parts_of(SD)


def test_boot_loaders_are_the_packages_own(parts):
    """SPL and U-Boot have the checksums that Debian's package gives for their paths."""
    loaders = parts["sd-loaders"]
    recorded = recorded_sums(loaders)
    for part in card.PARTITIONS[:-1]:
        data = (loaders / part.file).read_bytes()
        assert hashlib.md5(data).hexdigest() == recorded[f"usr/lib/u-boot/{SD.loaders_of}/{part.file}"]


@pytest.fixture
def image(parts, tmp_path):
    """A good card, whose Linux is not started."""
    for name in ("kernel", "initrd", "tree.dtb"):
        (tmp_path / name).write_bytes(b"x")
    made = Parts(
        program=tmp_path / "qemu",
        machine=(),
        kernel=tmp_path / "kernel",
        initrd=tmp_path / "initrd",
        device_tree=tmp_path / "tree.dtb",
        append="",
        loaders=parts["sd-loaders"],
    )
    card.write_card(evolve(made, card=tmp_path / "card.img"), tmp_path / "log")
    return tmp_path / "card.img"


@contextmanager
def started(parts, image):
    """The serial port of a board that starts from this card and ends with the block."""
    ours, theirs = socket.socketpair()
    argv = command(parts, SD, "-nodefaults", "-drive", f"if=sd,format=raw,file={image}", "-serial", "stdio")
    port = theirs.fileno()
    with ours, theirs, subprocess.Popen(argv, stdin=port, stdout=port) as process:
        try:
            yield ours
        finally:
            process.kill()


def test_spl_and_u_boot_follow_each_other_to_the_prompt(parts, image):
    """Each prints its banner with what it found: memory, board, clocks; a key stops at U-Boot's prompt."""
    with started(parts, image) as port:
        printed = read_until(port, b"Hit any key")
        port.sendall(b" ")
        printed += read_until(port, b"STM32MP> ")
    found = printed.decode(errors="replace")
    banners = (
        "U-Boot SPL 2",
        "RAM: DDR3",
        "U-Boot 2",
        "Model: STMicroelectronics STM32MP157C-DK2",
        "DRAM:  512 MiB",
    )
    places = [found.find(banner) for banner in banners]
    assert -1 not in places
    assert places == sorted(places)
    assert "- MPU : 650 MHz" in found
    assert "- MCU : 208.878 MHz" in found


def test_linux_starts_from_the_card(parts, tmp_path, monkeypatch):
    """U-Boot finds extlinux.conf; Debian's kernel has both CPUs and the M4."""
    assert parts
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    board = boards.start(SD.name, "board", quiet, lifeline=True)
    try:
        with socket.create_connection((board.address, board.ports["console"])) as console:
            power(board, True)
            assert b"U-Boot SPL 2" in read_until(console, b" login: ", UNPACKED_S)
        execute = over_ssh(board)
        assert execute(f"nproc; cat {M4}/name") == "2\nm4\n"
    finally:
        boards.stop(board)


def erased(data):
    """No partition table."""
    data[: 34 * card.BLOCK] = bytes(34 * card.BLOCK)


def nameless(data):
    """Partitions that are not called fsbl."""
    for n in range(2):
        at = 2 * card.BLOCK + n * card.ENTRY_SIZE + 56
        data[at : at + 8] = "boot".encode("utf-16le")


def without_header(data):
    """Both copies of the first loader lack their header."""
    for at in (FSBL1, FSBL2):
        data[at : at + 4] = bytes(4)


def changed(data):
    """One bit of each copy is another."""
    for at in (FSBL1, FSBL2):
        data[at + HEADER_SIZE + 1000] ^= 1


def too_long(data):
    """Both headers claim more than SYSRAM has."""
    for at in (FSBL1, FSBL2):
        struct.pack_into("<I", data, at + 76, 1 << 20)


def halved(data):
    """The image ends in the middle of the last partition."""
    del data[card.SIZE // 2 :]


BAD = {
    erased: "the SD card has no GPT",
    halved: "the SD card is cut short: it ends at block 65535, its partition table at 131038",
    nameless: "the SD card has no first stage boot loader: no partition fsbl1 or fsbl2",
    without_header: "the SD card has no first stage boot loader: no STM32 header",
    changed: "the SD card has no first stage boot loader: wrong checksum",
    too_long: "the SD card has no first stage boot loader: longer than its partition or SYSRAM",
}


@pytest.mark.parametrize("damage", BAD, ids=lambda f: f.__name__)
def test_a_bad_card_is_named(parts, image, damage):
    """One line says what is wrong with it, and nothing is started."""
    data = bytearray(image.read_bytes())
    damage(data)
    image.write_bytes(data)
    argv = command(parts, SD, "-drive", f"if=sd,format=raw,file={image}")
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert done.stderr == f"qemu-system-aarch64: {BAD[damage]}\n"


def test_the_second_copy_of_the_loader_is_taken(parts, image):
    """The boot ROM goes on with fsbl2 where fsbl1 is damaged."""
    data = bytearray(image.read_bytes())
    data[FSBL1 + HEADER_SIZE] ^= 1
    image.write_bytes(data)
    with started(parts, image) as port:
        read_until(port, b"U-Boot SPL")
