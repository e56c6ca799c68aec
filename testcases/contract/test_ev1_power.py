# SPDX-License-Identifier: MIT
"""Power of the machine of an STM32MP257F-EV1: two CPUs, hotplug, sleep, reset and power off by PSCI in BL31.

The board is this module's own: its tests turn it off.
"""

import re
import socket

import pytest

from mpbench_virtual import boards
from mpbench_virtual.cli import power
from mpbench_virtual.qemu import MONITOR
from mpbench_virtual.steps import quiet
from testcases.contract.over_ssh import over_ssh
from testcases.contract.test_ev1_board import EV1, parts
from testcases.contract.test_virtual_board import read_until

pytestmark = pytest.mark.slow

__all__ = ["parts"]

CPUS = "/sys/devices/system/cpu"
CLOCK = "/sys/class/rtc/rtc0"
BOOT_ID = "cat /proc/sys/kernel/random/boot_id"
ASLEEP_S = 5
"""Until the alarm: Linux is asleep before it, on a busy host too."""


@pytest.fixture(scope="module")
def board(parts, tmp_path_factory):
    """The board at its login prompt, and its two consoles."""
    assert parts
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("run")))
        found = boards.start(EV1.name, "board", quiet, lifeline=True)
        with (
            socket.create_connection((found.address, found.ports["console"])) as console,
            socket.create_connection((found.address, found.ports["secure"])) as secure,
        ):
            power(found, True)
            read_until(console, b" login: ")
            yield found, console, secure
        boards.stop(found)


@pytest.fixture(scope="module")
def execute(board):
    """`execute(command, data)` → what a command prints on the board, by SSH."""
    return over_ssh(board[0])


def test_both_cpus_run(board, execute):
    """CPU_ON starts the second Cortex-A35 by RCC; OP-TEE has it as Linux does."""
    _, _, secure = board
    assert execute(f"cat {CPUS}/online") == "0-1\n"
    assert read_until(secure, b"I/TC: Secondary CPU 1 switching to normal world boot")


@pytest.mark.parametrize(("cpu", "other"), [(1, 0), (0, 1)])
def test_a_cpu_goes_and_comes(execute, cpu, other):
    """CPU 1 is reset by RCC, CPU 0 waits for an SGI; a program runs on it afterwards."""
    switch = f"{CPUS}/cpu{cpu}/online"
    once = f"echo 0 >{switch}; cat {CPUS}/online; echo 1 >{switch}; cat {CPUS}/online"
    assert execute(f"for i in 1 2 3 4 5; do {once}; done") == f"{other}\n0-1\n" * 5
    assert execute(f"taskset {1 << cpu:x} sh -c 'cut -d \" \" -f 39 /proc/self/stat'") == f"{cpu}\n"


@pytest.mark.parametrize(("word", "deep"), [("freeze", "s2idle"), ("mem", "s2idle"), ("mem", "deep")])
def test_an_alarm_of_the_clock_wakes_linux(execute, word, deep):
    """Linux' driver sets alarm A of the RTC; its interrupt, EXTI2's direct event 17, ends the sleep."""
    count = "/sys/power/wakeup_count"
    alarm = (
        f"c=$(cat {count}); echo $c >{count}; echo 0 >{CLOCK}/wakealarm; echo +{ASLEEP_S} >{CLOCK}/wakealarm"
    )
    sleep = f"echo {word} >/sys/power/state; echo $?; cat /sys/power/pm_wakeup_irq"
    code, irq = execute(f"echo {deep} >/sys/power/mem_sleep; {alarm}; {sleep}").split()
    assert code == "0"
    (line,) = re.findall(rf"^ *{irq}:.*", execute("cat /proc/interrupts"), re.MULTILINE)
    assert re.search(r"stm32mp-exti-direct +17 Level +46000000\.rtc", line)
    assert execute(f"cat {CPUS}/online") == "0-1\n"


def test_reset_and_power_off(board, execute):
    """A reboot starts BL31, OP-TEE and Linux again; power off goes to the PMIC, and ends the machine."""
    found, console, secure = board
    before = execute(BOOT_ID)
    execute("reboot")
    read_until(secure, rb"Primary CPU initializing[^\0]*Asynchronous notifications are enabled")
    read_until(console, b" login: ")
    assert execute(BOOT_ID) != before
    with socket.socket(socket.AF_UNIX) as monitor:
        monitor.connect(str(found.directory / MONITOR))
        monitor.sendall(b'{"execute": "qmp_capabilities"}')
        execute("poweroff")
        read_until(monitor, b'"guest-shutdown"')
