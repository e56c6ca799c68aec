# SPDX-License-Identifier: MIT
"""The machine of an STM32MP257F-EV1: BL31 and OP-TEE of ST's platforms, firewalls, M cores with our ELF."""

import socket
import subprocess

import pytest
from elftools.elf.elffile import ELFFile

from mpbench.core.shared_files import FIRMWARE
from mpbench_virtual import boards
from mpbench_virtual.cli import power
from mpbench_virtual.models import MACHINE_KINDS
from mpbench_virtual.recipes_ev1 import steps_of
from mpbench_virtual.recipes_machine import program_of
from mpbench_virtual.steps import build, built, keys_of, quiet
from testcases.contract.over_ssh import over_ssh
from testcases.contract.test_virtual_board import read_until

pytestmark = pytest.mark.slow

EV1 = MACHINE_KINDS["mp25-ev1"]
RNG = 92
"""Its id in RIFSC, by which OP-TEE reports it. Ref: OP-TEE dt-bindings/firewall/stm32mp25-rifsc.h"""
RELEASE = {
    "m33": (
        "devmem 0x488020a0 32 0",  # CA35SS_SYSCFG_M33_TZEN_CR: no secure world
        "devmem 0x488020a8 32 0x80100000",  # ..._INITNSVTOR_CR: its vectors
        "devmem 0x44200434 32 1",  # RCC_CPUBOOTCR.BOOT_CPU2
    ),
    "m0": ("devmem 0x44200490 32 2",),  # RCC_C3CFGR: C3EN, C3RST is off
}
"""What lets a core go. Linux writes what ST's PTA in OP-TEE would: upstream has none for this SoC."""
TRACE_PA = {"m33": 0x8120_0000, "m0": 0x200C_6000}


@pytest.fixture(scope="module")
def parts():
    """Results of the board's build steps; what takes minutes is left to `mpbench virtual build mp25-ev1`."""
    steps = steps_of(EV1)
    keys = keys_of(steps)
    missing = [step.name for step in steps if not built(step.name, keys[step.name]).is_dir()]
    if missing:
        pytest.skip(f"not built: {', '.join(missing)}; mpbench virtual build mp25-ev1")
    return build(steps, quiet)


@pytest.fixture(scope="module")
def board(parts, tmp_path_factory):
    """The board at its login prompt, its secure console, and what that printed since power on."""
    assert parts
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("run")))
        found = boards.start("mp25-ev1", "board", quiet, lifeline=True)
        with (
            socket.create_connection((found.address, found.ports["console"])) as console,
            socket.create_connection((found.address, found.ports["secure"])) as secure,
        ):
            power(found, True)
            read_until(console, b" login: ")
            yield found, secure, read_until(secure, b"Asynchronous notifications are enabled")
        boards.stop(found)


@pytest.fixture(scope="module")
def execute(board):
    """`execute(command, data)` → what a command prints on the board, by SSH."""
    found, *_ = board
    return over_ssh(found)


def test_bl31_and_op_tee_come_up_on_their_own_platforms(board):
    """TF-A's and OP-TEE's STM32MP2 platforms print their lines, OP-TEE with the board's own device tree."""
    _, _, said = board
    for line in (
        b"NOTICE:  BL31: v2.12.1",
        b"I/TC: OP-TEE version: 4.10.0",
        b"I/TC: Platform stm32mp2: flavor 257F_EV1 - DT stm32mp257f-ev1.dts",
        b"I/TC: Primary CPU switching to normal world boot",
    ):
        assert line in said


def test_linux_runs_with_its_own_tree(execute):
    """The EV1's device tree; OP-TEE's driver, with ST's per-CPU notification, interrupt 31."""
    assert execute("cat /proc/device-tree/model").rstrip("\0") == (
        "STMicroelectronics STM32MP257F-EV1 Evaluation Board"
    )
    assert "31 Level     optee_pcpu_notification" in execute("cat /proc/interrupts")
    assert execute("dmesg").count("optee: initialized driver") == 1


def test_an_illegal_access_of_linux_reads_zero_and_is_reported(board, execute):
    """The RNG is OP-TEE's: Linux reads 0, and OP-TEE's own handler reports the peripheral's id."""
    _, secure, _ = board
    assert execute("devmem 0x42020008") == "0x00000000\n"
    assert read_until(secure, f"IAC exception ID: {RNG}".encode())


def words_of(elf):
    """Shell commands that write a firmware's segments, a word each: /dev/mem writes no reserved memory."""
    with elf.open("rb") as file:
        for segment in ELFFile(file).iter_segments("PT_LOAD"):
            data = segment.data() + bytes(-len(segment.data()) % 4)
            for at in range(0, len(data), 4):
                word = int.from_bytes(data[at : at + 4], "little")
                yield f"devmem {segment['p_paddr'] + at:#x} 32 {word:#x}\n"


@pytest.mark.parametrize("core", RELEASE)
def test_a_core_runs_the_elf_of_silicon(execute, core):
    """RCC releases it, and its line is in the memory that it shares with Linux."""
    execute("sh", "".join(words_of(FIRMWARE / f"build/{core}/alive.elf")).encode())
    execute("; ".join(RELEASE[core]))
    pa = TRACE_PA[core]
    until = f"for i in $(seq 300); do [ $(devmem {pa:#x}) = 0x6562706D ] && break; usleep 100000; done"
    reads = "; ".join(f"devmem {pa + at:#x}" for at in range(0, 20, 4))
    words = execute(f"{until}; {reads}").split()
    text = b"".join(int(word, 16).to_bytes(4, "little") for word in words)
    assert text.startswith(f"mpbench alive {core} 1\n".encode())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "-bios: {fip} is no firmware image package (FIP)"),
        (b"\1\0\x64\xaa" + bytes(12), "-bios: {fip} has no whole BL31"),
    ],
)
def test_a_damaged_firmware_package_is_refused(parts, tmp_path, content, message):
    """A file that is no FIP, or lacks an image, is named before anything runs."""
    fip = tmp_path / "fip.bin"
    fip.write_bytes(content)
    command = [parts["qemu"] / program_of(EV1), "-M", EV1.machine, "-display", "none", "-bios", fip]
    command += ["-kernel", parts["linux"] / "kernel", "-dtb", parts["ev1-device-tree"] / EV1.device_tree]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == f"qemu-system-aarch64: {message.format(fip=fip)}\n"


def test_the_machine_wants_its_images(parts):
    """Without boot ROM there is nothing to start."""
    command = [parts["qemu"] / program_of(EV1), "-M", EV1.machine, "-display", "none"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == (
        "qemu-system-aarch64: stm32mp257f-ev1 wants -bios, -kernel and -dtb: it has no boot ROM\n"
    )
