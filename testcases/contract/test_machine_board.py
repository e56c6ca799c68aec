# SPDX-License-Identifier: MIT
"""The board on a QEMU machine of ours: somebody else's kernel, device tree, drivers, as they are."""

import hashlib
import itertools
import lzma
import re
import shlex
import socket
import subprocess

import pytest

from mpbench.core.shared_files import FIRMWARE
from mpbench.harness.configuration import configured
from mpbench_virtual import boards
from mpbench_virtual.cli import power
from mpbench_virtual.fetch import unpack_deb
from mpbench_virtual.models import KINDS
from mpbench_virtual.steps import quiet
from testcases.contract.machine_parts import UNPACKED_S, parts_of, recorded_sums, refusal, unknown_lines
from testcases.contract.over_ssh import over_ssh
from testcases.contract.test_virtual_board import read_until

pytestmark = pytest.mark.slow

DEBIAN = KINDS["mp15-debian"]
BIND_AGAIN = """cd /sys/bus/i2c/drivers/stpmic1
[ ! -e 0-0033 ] || echo 0-0033 >unbind
dmesg -c >/dev/null
echo 0-0033 >bind; dmesg -r"""
OF_THE_PMIC = re.compile(r"stpmic1\S* .*|\w+: failed to .*: -ETIMEDOUT")
M4 = "/sys/class/remoteproc/remoteproc0"
TRACE = "/sys/kernel/debug/remoteproc/remoteproc0/trace0"


@pytest.fixture(scope="module")
def parts():
    """Results of the board's build steps."""
    return parts_of(DEBIAN)


def test_kernel_tree_and_modules_are_the_packages_own(parts):
    """Every byte that Linux is started from has the checksum that Debian's package gives for its path."""
    kernel = parts["debian-kernel"]
    recorded = recorded_sums(kernel)
    release = (kernel / "release").read_text().strip()
    found = {
        f"boot/vmlinuz-{release}": kernel / "kernel",
        f"usr/lib/linux-image-{release}/{DEBIAN.device_tree}": kernel / DEBIAN.device_tree,
    }
    modules = kernel / "modules"
    found |= {f"usr/lib/modules/{p.relative_to(modules)}": p for p in modules.rglob("*.ko.xz")}
    assert len(found) > 10
    sums = {path: hashlib.md5(file.read_bytes()).hexdigest() for path, file in found.items()}
    assert sums == {path: recorded[path] for path in found}


@pytest.fixture(scope="module")
def board(parts, tmp_path_factory):
    """The board, powered on; `parts` are built."""
    assert parts
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("run")))
        found = boards.start("mp15-debian", "board", quiet, lifeline=True)
        with socket.create_connection((found.address, found.ports["console"])) as console:
            power(found, True)
            read_until(console, b" login: ", UNPACKED_S)
        yield found
        boards.stop(found)


@pytest.fixture(scope="module")
def execute(board):
    """`execute(command, data)` → what a command prints on the board, by SSH."""
    return over_ssh(board)


def test_linux_runs_on_it(execute):
    """Debian's kernel knows the board by its own device tree, and has both CPUs and the M4."""
    assert execute("cat /proc/device-tree/model").rstrip("\0") == (
        "STMicroelectronics STM32MP157C-DK2 Discovery Board"
    )
    assert "-armmp #1 SMP Debian" in execute("uname -rv")
    assert execute("nproc") == "2\n"
    assert execute(f"cat {M4}/name {M4}/state") == "m4\noffline\n"


def test_kernel_log_has_no_line_without_a_reason(execute):
    """Every warning and error of the start is in kernel-log-mp15.toml, and the PMIC's regulators are there.

    On a busy host I2C4's driver times out while modules are loaded (see DEBIAN_ARGUMENTS).  It is bound once
    more then, with nothing beside it, and must not time out again.
    """
    lines = unknown_lines(execute("while pidof modprobe; do usleep 100000; done >/dev/null; dmesg -r"))
    if any(re.search(r"-110\b|-ETIMEDOUT|Unable to read PMIC", line) for line in lines):
        again = unknown_lines(execute(BIND_AGAIN))
        lines = [line for line in lines if not OF_THE_PMIC.fullmatch(line)] + again
    assert lines == []
    assert "regulators" in execute("ls /sys/bus/platform/drivers/stpmic1-regulator")


def test_a_cpu_goes_and_comes(execute):
    """PSCI switches the second CPU off and on."""
    switch = "/sys/devices/system/cpu/cpu1/online"
    assert execute(f"echo 0 >{switch}; nproc; echo 1 >{switch}; nproc") == "1\n2\n"


def test_each_process_has_its_own_floating_point_registers(execute):
    """Linux gives VFP to one process of a CPU at a time: another that wants it finds it disabled."""
    count, divisors = 20000, range(1, 7)
    awk = f"awk 'BEGIN {{ for (i = 1; i <= {count}; i++) s += 1 / (i * %d); printf \"%%.17g\\n\", s }}'"
    run = "".join(f"{awk % divisor} >/tmp/sum{divisor} & " for divisor in divisors)
    printed = execute(f"{run} wait; cat /tmp/sum*").split()
    terms = [[1 / (i * divisor) for i in range(1, count + 1)] for divisor in divisors]
    assert printed == [f"{list(itertools.accumulate(of_one))[-1]:.17g}" for of_one in terms]


def test_an_alarm_of_the_clock_wakes_linux(execute):
    """Linux' driver sets alarm A of the RTC; its interrupt, EXTI's direct event 19, ends a suspend."""
    clock, count = "/sys/class/rtc/rtc0", "/sys/power/wakeup_count"
    alarm = f"c=$(cat {count}); echo $c >{count}; echo 0 >{clock}/wakealarm; echo +8 >{clock}/wakealarm"
    sleep = "echo freeze >/sys/power/state; echo $?; cat /sys/power/pm_wakeup_irq"
    code, irq = execute(f"{alarm}; {sleep}").split()
    assert code == "0"
    (line,) = re.findall(rf"^ *{irq}:.*", execute("cat /proc/interrupts"), re.MULTILINE)
    assert re.search(r"stm32mp-exti-direct +19 Level +5c004000\.rtc", line)


def test_the_crc_unit_passes_linux_own_tests(execute, tmp_path):
    """Debian's driver of it is a module that the root file system lacks; Linux tests what it registers."""
    unpack_deb(DEBIAN.kernel, tmp_path, tmp_path / "log")
    (module,) = tmp_path.rglob("stm32-crc32.ko.xz")
    execute("cat >/tmp/stm32-crc32.ko", lzma.decompress(module.read_bytes()))
    tests = "/sys/module/cryptomgr/parameters/notests"
    assert execute(f"echo 0 >{tests}; cat {tests}; insmod /tmp/stm32-crc32.ko && echo done") == "N\ndone\n"
    algorithms = execute("cat /proc/crypto").split("\n\n")
    found = [text for text in algorithms if re.search(r"^driver *: stm32-crc32-crc32c?$", text, re.MULTILINE)]
    assert len(found) == 2
    assert all(re.search(r"^selftest *: passed$", text, re.MULTILINE) for text in found)
    assert "test failed" not in execute("rmmod stm32_crc32; dmesg")


def start(execute, name):
    """Start the M4 with a firmware of the bench; the kernel log afterwards starts with it."""
    elf = configured((FIRMWARE / f"build/m4/{name}.elf").read_bytes(), "m4", "wwdg1")
    execute(f"cat >/lib/firmware/{name}.elf", elf)
    execute(f"dmesg -c >/dev/null; echo {name}.elf >{M4}/firmware; echo start >{M4}/state")


def test_the_m4_runs_the_elf_of_silicon(execute):
    """Linux' own driver starts a plain ELF; it beats, answers the shutdown request, and is offline."""
    start(execute, "alive")
    first = await_line(execute, f"cat {TRACE}", "beat")
    until = (
        f'for i in $(seq 300); do t=$(cat {TRACE}); [ "$t" = "$1" ] || break; usleep 100000; done; echo "$t"'
    )
    second = execute(f"set -- {shlex.quote(first.strip())}; {until}")
    assert second != first
    assert second.startswith("mpbench alive m4 1\n")
    assert execute(f"cat {M4}/state") == "running\n"
    execute(f"echo stop >{M4}/state")
    log = execute(f"cat {M4}/state; dmesg")
    assert log.startswith("offline\n")
    assert "remote processor m4 is now up" in log
    assert "stopped remote processor m4" in log
    assert "shutdown without ack" not in log


def test_the_watchdog_resets_the_m4(execute):
    """WWDG1 expires, which Linux hears by EXTI event 68: a crash of type watchdog, then a recovery."""
    start(execute, "starve")
    log = await_line(execute, "dmesg", "crash detected in m4: type watchdog")
    log = await_line(execute, "dmesg", "handling crash #2 in m4")
    assert log.count("remote processor m4 is now up") >= 2
    execute(f"echo stop >{M4}/state")


def await_line(execute, command, line):
    """Output of a command that is repeated on the board until it has `line`."""
    quoted = (
        f"for i in $(seq 300); do t=$({command}); case $t in *'{line}'*) break;; esac; usleep 100000; done"
    )
    found = execute(f'{quoted}; echo "$t"')
    assert line in found
    return found


TREES = {
    "no-gic": (
        '"st,stm32mp157"',
        "",
        "no interrupt controller /interrupt-controller@a0021000 with a phandle",
    ),
    "gic-without-phandle": (
        '"st,stm32mp151"',
        "interrupt-controller@a0021000 { };",
        "no interrupt controller /interrupt-controller@a0021000 with a phandle",
    ),
    "other": ('"other"', "", 'a tree for "other", not for an STM32MP15'),
}


@pytest.mark.parametrize("name", TREES)
def test_another_boards_device_tree_is_refused(parts, tmp_path, name):
    """A tree of another SoC, or without the interrupt controller, is named before anything runs."""
    compatible, node, why = TREES[name]
    tree = tmp_path / "other.dtb"
    source = f"/dts-v1/; / {{ #address-cells = <1>; #size-cells = <1>; compatible = {compatible}; {node} }};"
    subprocess.run(["dtc", "-q", "-O", "dtb", "-o", tree, "-"], input=source.encode(), check=True)
    said = refusal(parts, DEBIAN, "-kernel", parts["debian-kernel"] / "kernel", "-dtb", tree)
    assert said == f"qemu-system-aarch64: -dtb: {why}\n"


def test_the_tree_of_an_stm32mp13_is_refused(parts, tmp_path):
    """Debian's own tree of an STM32MP135F-DK has the interrupt controller at the same address."""
    unpack_deb(DEBIAN.kernel, tmp_path, tmp_path / "log")
    (tree,) = tmp_path.rglob("stm32mp135f-dk.dtb")
    said = refusal(parts, DEBIAN, "-kernel", parts["debian-kernel"] / "kernel", "-dtb", tree)
    assert said == 'qemu-system-aarch64: -dtb: a tree for "st,stm32mp135f-dk", not for an STM32MP15\n'


def test_the_machine_wants_something_to_start(parts):
    """Without a card, or with a kernel that lacks its tree, there is nothing to start."""
    expected = (
        "qemu-system-aarch64: stm32mp157c-dk2 wants an SD card that it starts from, or -kernel and -dtb, "
        "and -bios for an OP-TEE before them\n"
    )
    assert refusal(parts, DEBIAN) == expected
    assert refusal(parts, DEBIAN, "-kernel", parts["debian-kernel"] / "kernel") == expected
