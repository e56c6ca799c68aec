# SPDX-License-Identifier: MIT
"""The machine of an STM32MP157C-DK2 with upstream's own OP-TEE: PSCI, and signed firmware for the M4."""

import socket
import struct

import pytest

from mpbench.core.directories import cache_dir
from mpbench_virtual import boards
from mpbench_virtual.cli import power
from mpbench_virtual.models import KINDS
from mpbench_virtual.qemu import MONITOR
from mpbench_virtual.recipes_tee import steps_of
from mpbench_virtual.steps import build, quiet
from testcases.contract import labs
from testcases.contract.machine_parts import UNPACKED_S, refusal, require_qemu
from testcases.contract.over_ssh import over_ssh
from testcases.contract.test_virtual_board import read_until

pytestmark = pytest.mark.slow

TEE = KINDS["mp15-debian-tee"]
CARD = KINDS["mp15-debian-tee-sd"]
TARGET = labs.CHECKOUT / "targets/virtual-mp15-debian-tee.yaml"
M4 = "/sys/class/remoteproc/remoteproc0"


@pytest.fixture(scope="module")
def parts():
    """Results of the board's build steps, where it was built once: OP-TEE and modules take minutes."""
    require_qemu(TEE)
    if not any((cache_dir() / "built").glob("tee-modules-*.hash")):
        pytest.skip(f"it is not built: mpbench virtual build {TEE.name}")
    return build(steps_of(TEE), quiet)


@pytest.fixture(scope="module")
def console(parts, tmp_path_factory):
    """The board, powered on, at its login, and a connection to its console."""
    assert parts
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("run")))
        board = boards.start(TEE.name, "board", quiet, lifeline=True)
        with socket.create_connection((board.address, board.ports["console"])) as console:
            power(board, True)
            started = read_until(console, b" login: ", UNPACKED_S)
            yield board, console, started
        boards.stop(board)


def test_op_tee_starts_linux(console):
    """OP-TEE prints before Linux, on the same UART; its driver, its PSCI and both CPUs are there."""
    board, _, started = console
    text = started.decode(errors="replace")
    assert "Platform stm32mp1: flavor 157C_DK2" in text
    assert "Primary CPU switching to normal world boot" in text
    execute = over_ssh(board)
    log = execute("dmesg")
    assert "psci: PSCIv1.0 detected in firmware." in log
    assert "optee: initialized driver" in log
    assert execute("ls /dev/tee0; nproc") == "/dev/tee0\n2\n"
    assert execute(f"cat {M4}/name {M4}/state") == "m4\noffline\n"


def test_a_cpu_goes_and_comes(console):
    """OP-TEE resets the second CPU by RCC, and wakes it from the boot ROM's loop."""
    execute = over_ssh(console[0])
    switch = "/sys/devices/system/cpu/cpu1/online"
    once = f"echo 0 >{switch}; nproc; echo 1 >{switch}; nproc"
    assert execute(f"for i in 1 2 3 4 5; do {once}; done") == "1\n2\n" * 5


@pytest.mark.thorough
def test_reset_and_power_off(console):
    """A reboot starts OP-TEE and Linux again; power off goes to the PMIC by OP-TEE, and ends the machine."""
    board, stream, _ = console
    execute = over_ssh(board)
    before = execute("cat /proc/sys/kernel/random/boot_id")
    execute("reboot")
    read_until(stream, b"Primary CPU switching to normal world boot", UNPACKED_S)
    read_until(stream, b" login: ", UNPACKED_S)
    assert execute("cat /proc/sys/kernel/random/boot_id") != before
    with socket.socket(socket.AF_UNIX) as monitor:
        monitor.connect(str(board.directory / MONITOR))
        monitor.sendall(b'{"execute": "qmp_capabilities"}')
        execute("poweroff")
        read_until(monitor, b'"guest-shutdown"', UNPACKED_S)


@pytest.mark.thorough
def test_signed_firmware_runs_and_a_damaged_image_is_refused(parts, tmp_path):
    """Board cases pass: what the twin predicts of upstream's application, its own PTA answers."""
    assert parts
    done = labs.Bench(TARGET, tmp_path, {}).run("testcases/test_deploy.py", "-k", "runs or flipped")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "verdict PASS" in done.stdout


@pytest.mark.thorough
def test_the_whole_chain_starts_from_a_card(parts, tmp_path, monkeypatch):
    """BL2, OP-TEE, U-Boot and Linux follow each other, each as upstream has it; OP-TEE has the M4."""
    assert parts
    if not any((cache_dir() / "built").glob("tee-loaders-*.hash")):
        pytest.skip(f"it is not built: mpbench virtual build {CARD.name}")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    board = boards.start(CARD.name, "board", quiet, lifeline=True)
    try:
        with socket.create_connection((board.address, board.ports["console"])) as console:
            power(board, True)
            started = read_until(console, b" login: ", UNPACKED_S).decode(errors="replace")
        banners = (
            "BL2: Booting BL32",
            "Primary CPU switching to normal world boot",
            "Board: stm32mp1 in trusted mode",
            "Starting kernel ...",
            "Secondary CPU 1 switching to normal world boot",
        )
        places = [started.find(banner) for banner in banners]
        assert -1 not in places
        assert places == sorted(places)
        assert over_ssh(board)(f"ls /dev/tee0; cat {M4}/name") == "/dev/tee0\nm4\n"
    finally:
        boards.stop(board)


def header(version, arch, init, paged):
    """Header of a tee.bin. Ref: OP-TEE scripts/gen_tee_bin.py"""
    return struct.pack("<4sBBH5I", b"OPTE", version, arch, 0, init, 0, 0x2FFC0000, 0x1000, paged)


IMAGES = {
    "missing": (None, "Failed to open file “{file}”: No such file or directory"),
    "empty": (b"", "{file} is no tee.bin of OP-TEE"),
    "other": (b"ELF" * 20, "{file} is no tee.bin of OP-TEE"),
    "64-bit": (header(1, 1, 4, 0) + b"code", "{file}: header of version 1, for 32 bit, wanted, not 1, 1"),
    "version-2": (header(2, 0, 4, 0) + b"code", "{file}: header of version 1, for 32 bit, wanted, not 2, 0"),
    "short": (header(1, 0, 4, 8) + b"code", "{file} is cut short: its header says 12 bytes follow, not 4"),
}


@pytest.mark.parametrize("name", IMAGES)
def test_what_is_no_op_tee_is_refused(parts, tmp_path, name):
    """One line names the file and what is wrong with it."""
    data, why = IMAGES[name]
    file = tmp_path / "tee.bin"
    if data is not None:
        file.write_bytes(data)
    said = refusal(parts, TEE, "-bios", file, *linux(parts))
    assert said == f"qemu-system-aarch64: -bios: {why.format(file=file)}\n"


def test_op_tee_alone_or_with_other_memory_is_refused(parts, tmp_path):
    """It wants a kernel to start, and the memory that it is built for."""
    file = tmp_path / "tee.bin"
    file.write_bytes(header(1, 0, 4, 0) + b"code")
    assert refusal(parts, TEE, "-bios", file).endswith("and -bios for an OP-TEE before them\n")
    assert refusal(parts, TEE, "-bios", file, "-m", "1G", *linux(parts)) == (
        "qemu-system-aarch64: -bios: OP-TEE for this board wants 512 MiB of memory\n"
    )


def test_an_image_that_does_not_fit_is_refused(parts, tmp_path):
    """Kernel and initramfs have their places in the memory."""
    tee, large = tmp_path / "tee.bin", tmp_path / "large"
    tee.write_bytes(header(1, 0, 4, 0) + b"code")
    with large.open("wb") as file:
        file.truncate(512 << 20)
    said = refusal(parts, TEE, "-bios", tee, "-initrd", large, *linux(parts))
    assert said == (f"qemu-system-aarch64: -initrd: cannot load {large} into 432013312 bytes at 0xc4400000\n")


def linux(parts):
    """QEMU's words for the kernel and its device tree."""
    tree = parts["tee-device-tree"] / TEE.device_tree
    return "-kernel", parts["debian-kernel"] / "kernel", "-dtb", tree
