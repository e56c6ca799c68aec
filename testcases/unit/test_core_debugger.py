# SPDX-License-Identifier: MIT
"""A core under QEMU's GDB stub: Debian's QEMU with a Cortex-M4, and small programs for it."""

import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

from mpbench.commands.firmware_file import Firmware, read_firmware
from mpbench.commands.firmware_trial import FirmwareTrial
from mpbench.core.errors import InfrastructureError
from mpbench_virtual.core_debugger import CoreDebugger
from mpbench_virtual.qemu import MONITOR
from mpbench_virtual.tools import DIE_WITH_PARENT

pytestmark = pytest.mark.slow

FLASH = 0x0800_0000
SOURCE = """
#include <stdint.h>
__attribute__((noinline)) void work(void) { for (;;) WORK; }
__attribute__((noinline)) int main(void) { work(); return 0; }
void reset(void) { main(); for (;;) ; }
void fault(void) { for (;;) ; }
void fails(void) { __asm volatile("udf #1"); }
__attribute__((section(".vectors"), used)) void *const vectors[16] = {
\t(void *)0x20010000, reset, fault, FAULT, fault, fault, fault
};
"""
LAYOUT = """
SECTIONS { . = 0x08000000; .vectors : { KEEP(*(.vectors)) } .text : { *(.text.startup) *(.text*) }
 /DISCARD/ : { *(.ARM.exidx*) *(.comment) *(.note*) } }
"""
DEADLINE_S = 300.0


def program(directory: Path, work: str, fault: str = "fault") -> Firmware:
    """A program whose main works for ever; `fault`: its handler of HardFault."""
    (directory / "fw.c").write_text(SOURCE.replace("WORK", work).replace("FAULT", fault))
    (directory / "fw.ld").write_text(LAYOUT)
    words = "-mcpu=cortex-m4 -mthumb -g -Os -ffreestanding -nostdlib -fno-toplevel-reorder"
    command = ["arm-none-eabi-gcc", *words.split(), "-T", "fw.ld", "fw.c", "-o", "fw.elf"]
    subprocess.run(command, cwd=directory, check=True)
    return read_firmware((directory / "fw.elf").read_bytes(), "fw.elf", directory / "fw.elf")


@pytest.fixture
def start(tmp_path):
    """Start a program, followed from its reset on: `start(firmware)` gives its FirmwareTrial."""
    if shutil.which("qemu-system-arm") is None:
        pytest.skip("needs qemu-system-arm (Debian: qemu-system-arm)")
    begun: list[subprocess.Popen[bytes]] = []

    def begin(firmware: Firmware, process: int = 1) -> FirmwareTrial:
        monitor = f"socket,id=qmp,path={tmp_path / MONITOR},server=on,wait=off"
        argv = ["qemu-system-arm", "-M", "netduinoplus2", "-nodefaults", "-display", "none", "-S", "-kernel",
                tmp_path / "fw.elf", "-chardev", monitor, "-mon", "chardev=qmp,mode=control"]  # fmt: skip
        with (tmp_path / "qemu.log").open("wb") as log:
            begun.append(subprocess.Popen([*DIE_WITH_PARENT, *argv], stdout=log, stderr=log))
        await_monitor(tmp_path / MONITOR)
        handlers = {firmware.vectors(FLASH)[3] & ~1: 3}
        debugger = CoreDebugger(tmp_path, process, [*handlers, firmware.main or 0])
        return FirmwareTrial(None, "m4", firmware, FLASH, debugger, DEADLINE_S, handlers=handlers)

    yield begin
    for process in begun:
        process.kill()
        process.wait()


def await_monitor(path: Path) -> None:
    """Wait until QEMU listens."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        with socket.socket(socket.AF_UNIX) as tried:
            if tried.connect_ex(str(path)) == 0:
                return
    pytest.fail("QEMU has no monitor")


def await_(condition):
    """Wait until it holds."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline


def test_main_is_seen_by_a_breakpoint_and_a_sample_names_the_line(tmp_path, start):
    """The core stops once at main and goes on; a sample is in work(), called from main()."""
    trial = start(program(tmp_path, '__asm volatile("nop")'))
    await_(trial._at_main)
    samples = trial._samples()
    assert trial._main((), "", samples) == "breakpoint"
    place, *callers = trial._executes(samples)
    assert place.startswith("work+")
    assert "(fw.c:3)" in place
    assert any(caller.startswith("main+") for caller in callers)
    assert trial._faults() == ()
    trial.debugger.close()


def test_without_a_stack_pointer_no_stack_is_read(tmp_path, start, monkeypatch):
    """A core that never started has 0 there: it is not its memory, and a firewall would report the read."""
    monkeypatch.setattr(f"{__name__}.SOURCE", SOURCE.replace("0x20010000", "0").replace("main();", ""))
    read, memory = [], CoreDebugger._memory

    def noted(debugger, address, size):
        read.append(address)
        return memory(debugger, address, size)

    monkeypatch.setattr(CoreDebugger, "_memory", noted)
    trial = start(program(tmp_path, '__asm volatile("nop")'))
    assert trial.debugger.sample().stack == ()
    assert read
    assert 0 not in read
    trial.debugger.close()


def test_a_fault_has_its_place(tmp_path, start):
    """An undefined instruction is named with function, line and fault status, from the saved registers."""
    trial = start(program(tmp_path, '__asm volatile("udf #0")'))
    await_(trial._faults)
    (fault,) = trial._faults()
    assert fault.startswith("HardFault at work+")
    assert "(fw.c:3) (cfsr 0x00010000, hfsr 0x40000000" in fault
    trial.debugger.close()


def test_a_lockup_ends_qemu_and_has_its_place(tmp_path, start):
    """A fault whose handler faults: QEMU ends, and its last words give the reason and the place."""
    trial = start(program(tmp_path, '__asm volatile("udf #0")', fault="fails"))

    def ended() -> str:
        try:
            trial.debugger.sample()
        except InfrastructureError:
            return "".join(trial._lockup())
        return ""

    await_(ended)
    assert ended().startswith("lockup at fails+0x0 (fw.c:")
    assert "can't escalate 3 to HardFault" in ended()
    trial.debugger.close()


def test_memory_is_that_of_the_core(tmp_path, start):
    """Bytes at the core's addresses; none where there is no memory."""
    firmware = program(tmp_path, '__asm volatile("nop")')
    trial = start(firmware)
    first = trial.debugger.read(FLASH, 4)
    assert int.from_bytes(first, "little") == firmware.vectors(FLASH)[0] == 0x2001_0000
    trial.debugger.close()


def test_what_was_watched_is_forgotten(tmp_path, start):
    """For the next firmware: no breakpoint, no stop; the core goes on."""
    trial = start(program(tmp_path, '__asm volatile("nop")'))
    await_(trial._at_main)
    trial.debugger.forget()
    assert trial.debugger.stops() == ()
    assert trial.firmware.elf.place(trial.debugger.sample().registers["pc"], "pc", 0).function
    trial.debugger.close()


def test_without_a_process_there_is_no_debugger(tmp_path, start):
    """A number that no cluster of the machine has is refused."""
    firmware = program(tmp_path, '__asm volatile("nop")')
    with pytest.raises(InfrastructureError, match="QEMU's GDB stub has no process 9"):
        start(firmware, 9)
