# SPDX-License-Identifier: MIT
"""The SD card of a virtual board, read by tools of others: sfdisk and debugfs."""

import shutil
import subprocess
from pathlib import Path

import pytest

from mpbench_virtual import card
from mpbench_virtual.qemu import Parts

SEARCH = "/usr/sbin:/sbin:/usr/bin:/bin"
LOADERS = {"u-boot-spl.stm32": b"first stage", "u-boot.img": b"second stage", "virtio.dtbo": b"overlay"}
LINUX = {"kernel": b"kernel", "initrd": b"initrd", "board.dtb": b"tree"}


def parts(directory, loaders, append):
    """A board's parts in a directory, and its card there."""
    return Parts(
        program=directory / "qemu",
        machine=(),
        kernel=directory / "kernel",
        initrd=directory / "initrd",
        device_tree=directory / "board.dtb",
        append=append,
        loaders=loaders,
        card=directory / "card.img",
    )


@pytest.fixture
def image(tmp_path):
    """A card of made-up parts."""
    for name, data in (LOADERS | LINUX).items():
        (tmp_path / name).write_bytes(data)
    card.write_card(parts(tmp_path, tmp_path, "console=ttySTM0 quiet"), tmp_path / "log")
    assert not (tmp_path / "card.boot").exists()
    return tmp_path / "card.img"


def test_a_card_with_tf_a_has_its_package(tmp_path):
    """BL2 is there twice, and its firmware image package on a partition of the name that it looks for."""
    data = {"tf-a.stm32": b"BL2", "fip.bin": b"package", "virtio.dtbo": b"overlay"}
    for name, text in (data | LINUX).items():
        (tmp_path / name).write_bytes(text)
    card.write_card(parts(tmp_path, tmp_path, ""), tmp_path / "log")
    said = run("sfdisk", "--dump", tmp_path / "card.img")
    found = [line.split(", name=")[1].split(",")[0] for line in said.splitlines() if "name=" in line]
    assert found == ['"fsbl1"', '"fsbl2"', '"fip"', '"boot"']
    assert "No errors detected." in run("sfdisk", "--verify", tmp_path / "card.img")
    image = (tmp_path / "card.img").read_bytes()
    for part in card.FIP_PARTITIONS[:-1]:
        assert image[part.first * card.BLOCK :].startswith(data[part.file])


def run(program, *words):
    """What a program prints; the test is skipped without it."""
    if shutil.which(program, path=SEARCH) is None:
        pytest.skip(f"no program {program}")
    return subprocess.run(
        [program, *words], env={"PATH": SEARCH}, capture_output=True, text=True, check=True
    ).stdout


def test_partitions_are_those_that_debian_names(image):
    """sfdisk finds no fault in the table, and the partitions of Debian's README for an STM32MP15."""
    said = run("sfdisk", "--dump", image)
    found = [line.split(", name=")[1] for line in said.splitlines() if "name=" in line]
    assert [line.split(",")[0] for line in found] == ['"fsbl1"', '"fsbl2"', '"ssbl"', '"boot"']
    assert [line for line in found if "LegacyBIOSBootable" in line] == found[3:]
    assert "No errors detected." in run("sfdisk", "--verify", image)


def test_boot_loaders_are_at_their_partitions(image):
    """Each boot loader starts at its partition's first block, unchanged."""
    data = image.read_bytes()
    for part in card.PARTITIONS[:-1]:
        expected = LOADERS[part.file]
        assert data[part.first * card.BLOCK :][: len(expected)] == expected


def test_linux_is_on_the_last_partition(image, tmp_path):
    """debugfs reads kernel, root file system, trees and extlinux.conf as they were given."""
    at = card.PARTITIONS[-1].first * card.BLOCK
    part = tmp_path / "boot.img"
    part.write_bytes(image.read_bytes()[at:])
    names = {
        "vmlinuz": "kernel",
        "initrd.img": "initrd",
        "board.dtb": "board.dtb",
        "virtio.dtbo": "virtio.dtbo",
    }
    for name, given in names.items():
        assert run("debugfs", "-R", f"cat /{name}", part) == (LOADERS | LINUX)[given].decode()
    text = run("debugfs", "-R", "cat /extlinux/extlinux.conf", part)
    assert "  fdt /board.dtb\n" in text
    assert text.endswith("  append console=ttySTM0 quiet\n")


def test_the_card_is_of_a_size_that_qemu_takes(image):
    """A power of two."""
    size = Path(image).stat().st_size
    assert size == card.SIZE
    assert size & (size - 1) == 0


def test_a_card_without_loaders_has_linux_alone(tmp_path):
    """One partition, for U-Boot to look at; no overlay in extlinux.conf where there is none."""
    for name, data in LINUX.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "loaders").mkdir()
    card.write_card(parts(tmp_path, tmp_path / "loaders", "quiet"), tmp_path / "log")
    (only,) = card.partitions_of(tmp_path / "loaders")
    part = tmp_path / "boot.img"
    part.write_bytes((tmp_path / "card.img").read_bytes()[only.first * card.BLOCK :])
    text = run("debugfs", "-R", "cat /extlinux/extlinux.conf", part)
    assert text.endswith("  fdt /board.dtb\n  append quiet\n")
