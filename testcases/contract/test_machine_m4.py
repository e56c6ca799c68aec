# SPDX-License-Identifier: MIT
"""The M4 of the machine without Linux: a few instructions on a Cortex-A7 release it."""

import io
import re
import struct
import subprocess
import time
from contextlib import contextmanager

import pytest
from elftools.elf.elffile import ELFFile

from mpbench.core.shared_files import FIRMWARE
from mpbench.harness.configuration import configured
from mpbench_virtual.models import KINDS
from mpbench_virtual.qemu import qmp
from testcases.contract.machine_parts import await_monitor, command, parts_of

pytestmark = pytest.mark.slow

KIND = KINDS["mp15-debian"]
RETRAM, TRACE, TRACE_SIZE = 0x3800_0000, 0x1004_0000, 0x1000
BEATS = 2
"""Word of a parameter, whose value has PARAMETER_TAG. Ref: firmware/coprocessor/lib/firmware.h"""
DEADLINE_S = 300.0
RELEASE = struct.pack(
    "<7I",
    0xE59F000C,  # ldr r0, bootcr
    0xE3A01001,  # mov r1, #1
    0xE5801000,  # str r1, [r0]
    0xE320F003,  # wait: wfi
    0xEAFFFFFD,  # b wait
    0x5000010C,  # bootcr: RCC_MP_BOOTCR
    0,
)


@contextmanager
def machine(parts, name, directory, parameters=None):
    """`trace()` → text of the trace buffer; the M4 runs this firmware, with parameters by their words."""
    elf = directory / "firmware.elf"
    elf.write_bytes(configured((FIRMWARE / f"build/m4/{name}.elf").read_bytes(), "m4", words=parameters))
    found = ELFFile(io.BytesIO(elf.read_bytes()))
    vectors = next(segment for segment in found.iter_segments("PT_LOAD") if segment["p_paddr"] == 0)
    (directory / "vectors").write_bytes(vectors.data())
    (directory / "release").write_bytes(RELEASE)
    monitor = directory / "qmp.sock"
    argv = command(
        parts, KIND, "-nodefaults",
        "-kernel", directory / "release", "-dtb", parts["debian-kernel"] / KIND.device_tree,
        "-device", f"loader,file={directory / 'vectors'},addr={RETRAM:#x},force-raw=on",
        "-device", f"loader,file={elf}",
        "-qmp", f"unix:{monitor},server=on,wait=off",
    )  # fmt: skip
    with (directory / "qemu.log").open("wb") as log, subprocess.Popen(argv, stderr=log) as process:

        def trace():
            file = directory / "trace"
            qmp(monitor, "pmemsave", val=TRACE, size=TRACE_SIZE, filename=str(file))
            return file.read_bytes().split(b"\0")[0].decode()

        try:
            await_monitor(monitor, process)
            yield trace
        finally:
            process.kill()


def await_text(read, text):
    """What `read` returns once it has `text`."""
    until_s = time.monotonic() + DEADLINE_S
    while time.monotonic() < until_s:
        if text in (seen := read()):
            return seen
    raise AssertionError(f"no {text!r}: {seen}")


@pytest.fixture(scope="module")
def parts():
    """Results of the board's build steps."""
    return parts_of(KIND)


def test_instructions_and_exceptions(parts, tmp_path):
    """The firmware's checks of interrupts, priorities, fault classes, MPU, FPU and events are all good."""
    with machine(parts, "exceptions", tmp_path) as trace:
        seen = await_text(trace, "done")
    results = [line for line in seen.splitlines() if line.startswith(("ok ", "bad "))]
    assert [line for line in results if line.startswith("bad")] == []
    assert len(results) == 16


def test_sysresetreq_of_the_m4_resets_the_system(parts, tmp_path):
    """The Cortex-A7 starts again and releases the M4, whose boot counter, in memory that is kept, goes up."""
    with machine(parts, "exceptions", tmp_path, {BEATS: 0x4D42_0001}) as trace:
        await_text(trace, "boot 00000003")


def test_a_core_that_locks_up_ends_nothing_else(parts, tmp_path):
    """A fault that the M4 cannot take stops it, with a line of where; QEMU and the other core go on."""
    with machine(parts, "double-fault", tmp_path) as trace:
        said = await_text((tmp_path / "qemu.log").read_text, "Lockup")
        beats = re.findall(r"beat (\w+)", await_text(trace, "fails now"))
        assert re.findall(r"beat (\w+)", trace()) == beats
    where = re.search(r"info: coprocessor: pc 0x(\w+): Lockup: can't escalate 3 to HardFault", said)
    assert where
    assert int(where[1], 16) >> 18 == 0x1000_0000 >> 18
