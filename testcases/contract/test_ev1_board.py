# SPDX-License-Identifier: MIT
"""The machine of an STM32MP257F-EV1: BL31 and OP-TEE of ST's platforms, firewalls, Linux' drivers."""

import socket
import subprocess

import pytest

from mpbench.board.tee_panic import PERIPHERALS, tee_panic_in
from mpbench_virtual import boards
from mpbench_virtual.cli import power
from mpbench_virtual.fetch import own_tree
from mpbench_virtual.models import KINDS
from mpbench_virtual.recipes_ev1 import steps_of
from mpbench_virtual.recipes_machine import QEMU
from mpbench_virtual.steps import build, quiet
from testcases.contract.machine_parts import require_built
from testcases.contract.over_ssh import over_ssh
from testcases.contract.test_virtual_board import read_until

pytestmark = pytest.mark.slow

EV1 = KINDS["mp25"]
RNG = 92
"""Its id in RIFSC, by which OP-TEE reports it. Ref: OP-TEE dt-bindings/firewall/stm32mp25-rifsc.h"""
RISAF4 = 137
"""IAC's line of the firewall in front of the memory. Ref: RM0457, IAC"""
OPTEE = 0x8200_0000
REFUSED_TO_LINUX = [
    (0x42020008, RNG),
    (0x80000000, RISAF4),  # TF-M's code, the secure M33's
    (OPTEE, RISAF4),
    (0x0E000000, 128),  # BL31, in SYSRAM
    (0x0E080000, 132),  # RETRAM
    (0x42090080, 127),  # IAC_ISR0
    (0x44201018, 156),  # RCC_XBAR0CFGR
]
"""By the firewall that OP-TEE sets. Ref: core/arch/arm/dts/stm32mp257f-ev1-ca35tdcid-rif.dtsi"""


@pytest.fixture(scope="module")
def parts():
    """Results of the board's build steps; what takes minutes is left to `mpbench virtual build mp25`."""
    require_built(EV1)
    return build(steps_of(EV1), quiet)


@pytest.fixture(scope="module")
def board(parts, tmp_path_factory):
    """The board at its login prompt, its secure console, and what that printed since power on."""
    assert parts
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("run")))
        found = boards.start("mp25", "board", quiet, lifeline=True)
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
    """TF-A's and OP-TEE's STM32MP2 platforms print their lines, OP-TEE with the bench's cores in its tree."""
    _, _, said = board
    for line in (
        b"NOTICE:  BL31: v2.12.1",
        b"I/TC: OP-TEE version: 4.10.0",
        b"I/TC: Platform stm32mp2: flavor 257F_EV1 - DT mp25-optee.dts",
        b"I/TC: m33: processor 1",
        b"I/TC: m0: processor 2",
        b"I/TC: Primary CPU switching to normal world boot",
    ):
        assert line in said


def test_linux_has_its_drivers(execute):
    """The EV1's tree with the cores over it; OP-TEE's driver, with a per-CPU notification; ST's mailbox."""
    assert execute("cat /proc/device-tree/model").rstrip("\0") == "mpbench virtual STM32MP257F-EV1"
    assert set(execute("cat /sys/class/remoteproc/*/name").split()) == {"m33", "m0"}  # probed in any order
    assert "stm32-ipcc 40490000.mailbox: ipcc rev:1.0 enabled, 16 chans, proc 0" in execute("dmesg")
    assert "31 Level     optee_pcpu_notification" in execute("cat /proc/interrupts")
    assert execute("dmesg").count("optee: initialized driver") == 1


def test_st_s_drivers_have_their_blocks(execute):
    """Linux' own drivers of ST's blocks bind, with fixed clocks; the watchdog is OP-TEE's, on IWDG1."""
    drivers = "/sys/bus/platform/drivers"
    bound = execute(f"cd {drivers}; ls -d stm*/4*.* stm*/soc*pinctrl@4* arm_smc_wdt/watchdog").split()
    assert set(bound) >= {
        "stm32-rifsc/42080000.bus",
        "stm32_rtc/46000000.rtc",
        "stm32mp257-pinctrl/soc@0:pinctrl@44240000",
        "stm32mp257-pinctrl/soc@0:pinctrl@46200000",
        "stm32mp_exti/44220000.interrupt-controller",
        "stm32mp_exti/46230000.interrupt-controller",
        "arm_smc_wdt/watchdog",
    }
    assert execute("ls -d /sys/bus/gpio/devices/gpiochip* | wc -l") == "12\n"


def test_op_tee_serves_scmi_to_linux(board, execute):
    """Linux' own drivers of SCMI's clocks and resets bind, over OP-TEE, and the RTC has its clock there."""
    if own_tree("scp") is None:
        pytest.skip("OP-TEE serves no SCMI: MPBENCH_SCP_FIRMWARE names no SCP-firmware")
    _, _, said = board
    assert b"SCP-firmware" in said
    assert "SCMI Protocol v2.0 'ST:ST'" in execute("dmesg")
    bound = execute("cd /sys/bus/scmi_protocol/drivers; ls -d */scmi_dev.*").split()
    assert {name.partition("/")[0] for name in bound} >= {"scmi-clocks", "scmi-reset"}
    clocks = "/sys/kernel/debug/clk"
    assert {"ck_bus_ipcc1", "ck_ker_ospi2", "timg1_ck"} <= set(execute(f"ls {clocks}").split())
    rtc = execute(f"cat {clocks}/rtc_ck/clk_rate {clocks}/rtc_ck/clk_enable_count")
    assert (rtc, execute("cat /sys/class/rtc/rtc0/name")) == ("32768\n1\n", "stm32_rtc 46000000.rtc\n")


def test_an_illegal_access_of_linux_reads_zero_and_is_reported(board, execute):
    """The RNG is OP-TEE's: Linux reads 0, and OP-TEE's own handler reports the peripheral's id."""
    _, secure, _ = board
    assert execute("devmem 0x42020008") == "0x00000000\n"
    assert read_until(secure, f"IAC exception ID: {RNG}".encode())


@pytest.mark.parametrize(("address", "number"), REFUSED_TO_LINUX)
def test_the_bench_reads_op_tee_s_report(board, execute, address, number):
    """Linux reads 0 of memory, a peripheral, registers that are not its own; OP-TEE names it and goes on."""
    _, secure, _ = board
    assert execute(f"devmem {address:#x}") == "0x00000000\n"
    found = tee_panic_in(read_until(secure, f"IAC exception ID: {number}\r\n".encode()))
    assert (found.text, found.stopped) == (
        f"the firewall refused an access: IAC exception {number}, {PERIPHERALS[number]}",
        False,
    )


def test_a_write_of_linux_is_refused_and_reported(board, execute):
    """RIFSC: what each peripheral is for is OP-TEE's to say; Linux reads it."""
    _, secure, _ = board
    before = execute("devmem 0x42080010")
    assert execute("devmem 0x42080010 32 0; devmem 0x42080010") == before
    assert read_until(secure, b"IAC exception ID: 158\r\n")


def test_memory_of_the_m33_is_not_linux(board, execute):
    """Where OP-TEE loads the M33's code, Linux reads 0, and OP-TEE reports the firewall in front of it."""
    _, secure, _ = board
    assert execute("devmem 0x80100000") == "0x00000000\n"
    assert read_until(secure, f"IAC exception ID: {RISAF4}".encode())


def test_the_host_looks_past_the_firewall(board, execute):
    """By the monitor OP-TEE's memory is read whole, and no access is reported, as one of Linux at once is."""
    found, secure, _ = board
    assert execute(f"devmem {OPTEE:#x}") == "0x00000000\n"
    assert read_until(secure, f"IAC exception ID: {RISAF4}".encode())
    assert boards.read_memory(found, OPTEE, 64).strip(b"\0")
    assert execute("devmem 0x42020008") == "0x00000000\n"
    reported = read_until(secure, f"IAC exception ID: {RNG}".encode())
    assert f"IAC exception ID: {RISAF4}".encode() not in reported


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
    command = [parts["qemu"] / QEMU, "-M", EV1.machine, "-display", "none", "-bios", fip]
    command += ["-kernel", parts["linux"] / "kernel", "-dtb", parts["ev1-device-tree"] / EV1.device_tree]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == f"qemu-system-aarch64: {message.format(fip=fip)}\n"


def test_the_machine_wants_its_images(parts):
    """Without boot ROM there is nothing to start."""
    command = [parts["qemu"] / QEMU, "-M", EV1.machine, "-display", "none"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == (
        "qemu-system-aarch64: stm32mp257f-ev1 wants -bios, and -kernel and -dtb if that has no "
        "BL33: it has no boot ROM\n"
    )
