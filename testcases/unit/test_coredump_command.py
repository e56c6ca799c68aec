# SPDX-License-Identifier: MIT
"""`mpbench coredump` on dumps as Linux makes them: memory, tables, trace, and where the firmware failed."""

import json
import struct
import subprocess
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from mpbench.commands.main import main
from mpbench.core.shared_files import firmware_build
from testcases.tables import RPMSG, table, trace
from testcases.unit.test_coredump import elf as dump_of

HARDFAULT = firmware_build() / "m33/hardfault.elf"
TRACE_DA = 0x8120_0000
STACK_DA = 0x8110_0000
TEXT = b"mpbench hardfault m33 1\nboot 00000001 beat 00000003\nfault 00000003\npc %08x\n\0"
SOURCE = """
#include <stdint.h>
void deep(volatile uint32_t *p);
void reset(void);
__attribute__((noinline)) void deep(volatile uint32_t *p)
{
\t*p = 1;
\t__asm volatile("udf #0");
}
__attribute__((noinline)) void reset(void)
{
\tdeep((void *)4);
\tfor (;;)
\t\t;
}
"""


def loaded(path: Path) -> list[tuple[int, bytes]]:
    """The segments of an ELF that have data."""
    with path.open("rb") as file:
        parts = [(s["p_paddr"], s.data()) for s in ELFFile(file).iter_segments() if s["p_type"] == "PT_LOAD"]
    return [(da, data) for da, data in parts if data]


def symbol(path: Path, name: str) -> int:
    """Address of a function, with Thumb's bit."""
    with path.open("rb") as file:
        symbols = ELFFile(file).get_section_by_name(".symtab").iter_symbols()  # type: ignore[attr-defined]
        return next(int(one["st_value"]) for one in symbols if one.name == name)


def shown(capsys, *words: str) -> list[str]:
    """Lines of the command."""
    assert main(["coredump", *words]) == 0
    return capsys.readouterr().out.splitlines()


@pytest.fixture
def built(tmp_path):
    """A firmware with debug information: reset() calls deep(), which fails."""
    source = tmp_path / "fail.c"
    source.write_text(SOURCE)
    options = "-mcpu=cortex-m33 -mthumb -g -Os -ffreestanding -nostdlib -Wl,-Ttext=0x80100000 -Wl,-e,reset"
    subprocess.run(["arm-none-eabi-gcc", *options.split(), source, "-o", tmp_path / "fail.elf"], check=True)
    return tmp_path / "fail.elf"


def crash(path: Path, text: bytes, stack: bytes, *, machine: int = 40) -> bytes:
    """A dump of a firmware with a trace buffer and a stack."""
    data = table(trace(TRACE_DA + 0x100, 0x400))
    memory = (data.ljust(0x100, b"\0") + text).ljust(0x800, b"\0")
    return dump_of(*loaded(path), (STACK_DA, stack), (TRACE_DA, memory), machine=machine)


def frame(pc: int, lr: int) -> bytes:
    """What the core saves: r0 to r3, r12, lr, pc, xpsr in Thumb state."""
    return struct.pack("<8I", 4, 1, 2, 3, 12, lr, pc, 1 << 24)


def test_a_fault_is_named_with_function_and_line(tmp_path, capsys, built):
    """pc and lr by the saved frame, a caller that the stack suggests, with lines of the source."""
    deep, reset = symbol(built, "deep") & ~1, symbol(built, "reset") & ~1
    code = dict(loaded(built))
    start = next(da for da, data in code.items() if da <= reset < da + len(data))
    at = next(i for i in range(reset, reset + 32, 2) if code[start][i - start + 1] & 0xF8 == 0xF0) + 4
    pc = code[start].index(struct.pack("<H", 0xDE00), deep - start) + start
    stack = bytes(16) + frame(pc, at | 1) + struct.pack("<3I", 7, at | 1, 0)
    (tmp_path / "dump").write_bytes(crash(built, TEXT % pc, stack))
    lines = shown(capsys, str(tmp_path / "dump"), "--elf", str(built))
    assert f"  at {pc:#010x} deep+{pc - deep:#x}, fail.c:8" in lines
    assert f"  called from (lr) {at:#010x} reset+{at - reset:#x}, fail.c:12" in lines
    assert any(line.startswith("HardFault: r0 0x00000004 r1 0x00000001") for line in lines)
    assert main(["coredump", str(tmp_path / "dump"), "--elf", str(built), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["fault"]["registers"]["sp"] == STACK_DA + 16 + 32
    assert report["elf"]["differs"] == []


@pytest.fixture
def of_the_bench():
    """A dump of the bench's own firmware that failed at the start of main; that address; the table's."""
    main_at = symbol(HARDFAULT, "main") & ~1
    with HARDFAULT.open("rb") as file:
        section = ELFFile(file).get_section_by_name(".resource_table")
        entry = section.data()
        at = struct.unpack_from("<I", entry, 24)[0]
    memory = bytearray(0x4000)
    memory[at - TRACE_DA : at - TRACE_DA + len(TEXT) + 7] = TEXT % main_at
    start = section["sh_addr"] - TRACE_DA
    memory[start : start + len(entry)] = entry
    kept = [one for one in loaded(HARDFAULT) if not TRACE_DA <= one[0] < TRACE_DA + 0x4000]
    dump = dump_of(*kept, (STACK_DA, frame(main_at, 0xFFFF_FFFF)), (TRACE_DA, bytes(memory)))
    return dump, main_at, section["sh_addr"]


def test_the_benchs_firmware_is_read(tmp_path, capsys, of_the_bench):
    """Its resource table is where its ELF says; its trace is text; symbols and NAME.debug name the place."""
    dump, main_at, table_da = of_the_bench
    (tmp_path / "dump").write_bytes(dump)
    lines = shown(capsys, str(tmp_path / "dump"), "--elf", str(HARDFAULT))
    assert any(line.startswith(f"  at {main_at:#010x} main+0x0, hardfault.c:") for line in lines)
    assert "  fault 00000003" in lines
    assert f"  resource table at {table_da:#010x}" in lines


@pytest.mark.parametrize(
    "other", [None, HARDFAULT.with_name("alive.debug"), b"junk"], ids=["none", "of-another", "junk"]
)
def test_lines_are_of_the_same_build_only(tmp_path, capsys, of_the_bench, other):
    """Without NAME.debug, or with another firmware's, no line is named; a file that is none is refused."""
    elf = tmp_path / "fw.elf"
    elf.write_bytes(HARDFAULT.read_bytes())
    if other is not None:
        (tmp_path / "fw.debug").write_bytes(other if isinstance(other, bytes) else other.read_bytes())
    dump, main_at, _ = of_the_bench
    (tmp_path / "dump").write_bytes(dump)
    if other == b"junk":
        assert main(["coredump", str(tmp_path / "dump"), "--elf", str(elf)]) == 2
        assert "fw.debug: an ELF that cannot be read" in capsys.readouterr().err
    else:
        assert f"  at {main_at:#010x} main+0x0" in shown(capsys, str(tmp_path / "dump"), "--elf", str(elf))


def test_without_an_elf_the_table_is_found_by_its_form(tmp_path, capsys):
    """EM_NONE is a dump as well; a vdev's vrings are shown, and the trace that the table names."""
    data = table(RPMSG, trace(TRACE_DA + 0x100, 0x400))
    memory = bytes(0x40) + data.ljust(0xC0, b"\0") + b"hello\0".ljust(0x400, b"\xff")
    (tmp_path / "dump").write_bytes(dump_of((TRACE_DA, memory), (0x1000, bytes(64)), machine=0))
    lines = shown(capsys, str(tmp_path / "dump"))
    assert "no machine (EM_NONE)" in lines[0]
    assert f"  resource table at {TRACE_DA + 0x40:#010x}" in lines
    assert any("vdev id 7 (RPMsg)" in line for line in lines)
    assert lines[-2:] == ["trace 'trace'", "  hello"]
    assert "  memory 0x00001000 .. 0x00001040, 0x40 bytes, all zeros: cleared before the dump?" in lines


def test_what_a_dump_lacks_is_named(tmp_path, capsys, built):
    """Linux dumps its carve-outs, not the firmware's own memory: a trace elsewhere, no table, no fault."""
    memory = table(trace(0x1000, 16)).ljust(0x200, b"\0")
    (tmp_path / "dump").write_bytes(dump_of((TRACE_DA, memory)))
    assert shown(capsys, str(tmp_path / "dump"))[-1] == "trace 'trace': not in this dump"
    (tmp_path / "dump").write_bytes(dump_of((TRACE_DA, bytes(64))))
    lines = shown(capsys, str(tmp_path / "dump"), "--elf", str(built))
    assert "  no resource table: not in this memory, or cleared" in lines
    assert lines[-1] == "no fault recorded in the trace"


def test_a_fault_without_a_program_counter(tmp_path, capsys, built):
    """The stack pointer led nowhere, so the firmware recorded the exception alone."""
    (tmp_path / "dump").write_bytes(crash(built, b"fault 00000006\n\0", bytes(32)))
    lines = shown(capsys, str(tmp_path / "dump"), "--elf", str(built))
    assert lines[-1] == "UsageFault: no program counter recorded"


def test_a_frame_that_is_not_in_the_dump(tmp_path, capsys, built):
    """The stack was in the firmware's own memory: the program counter of the trace is all that is known."""
    deep = symbol(built, "deep") & ~1
    (tmp_path / "dump").write_bytes(crash(built, TEXT % deep, bytes(32)))
    lines = shown(capsys, str(tmp_path / "dump"), "--elf", str(built))
    assert lines[-2:] == [f"HardFault: pc {deep:#010x}", f"  at {deep:#010x} deep+0x0, fail.c:7"]


def test_another_build_is_noticed(tmp_path, capsys, built):
    """Code that differs from the ELF's: addresses would lead astray."""
    dump = bytearray(crash(built, b"\0", bytes(32)))
    code = loaded(built)[-1][1]
    dump[dump.index(code) + 4] ^= 1
    (tmp_path / "dump").write_bytes(bytes(dump))
    assert any(
        "differs from the dump: another build" in x
        for x in shown(capsys, str(tmp_path / "dump"), "--elf", str(built))
    )


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"", "has no ELF header"),
        (b"\x7fELF" + bytes(60), "not an ELF32 core dump"),
        (dump_of(machine=3), "core dump of an Arm"),
    ],
)
def test_what_is_no_dump_is_refused(tmp_path, capsys, data, line):
    """Exit code 2 and the reason."""
    (tmp_path / "dump").write_bytes(data)
    assert main(["coredump", str(tmp_path / "dump")]) == 2
    assert line in capsys.readouterr().err


def test_an_elf_that_is_none_is_refused(tmp_path, capsys):
    """The dump alone would do."""
    (tmp_path / "dump").write_bytes(dump_of((0x1000, bytes(4))))
    (tmp_path / "elf").write_bytes(b"nothing")
    assert main(["coredump", str(tmp_path / "dump"), "--elf", str(tmp_path / "elf")]) == 2
    assert "an ELF that cannot be read" in capsys.readouterr().err
