# SPDX-License-Identifier: MIT
"""The co-processor firmware as ELF files: what the loaders, ST's and Linux' own, require of them."""

import io
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from mpbench.twin.memory import Core
from mpbench.twin.profile import load_profile, profile_names

CORES = {"m33": "virtual-mp25", "m0": "virtual-mp25", "m4": "virtual-mp15"}
"""The profile of a board that has the core."""
IPC_DA = {"m33": 0x8120_0000, "m0": 0x200C_6000, "m4": 0x1004_0000}
"""Of firmware/coprocessor/soc: memory that Linux reads, which has to survive a reload."""
IPC_SIZE = 0x2000
FIRMWARE = Path(__file__).parents[2] / "firmware"
NAMES = sorted(source.stem for source in (FIRMWARE / "coprocessor").glob("*.c"))
OWN = {core: [file.stem for file in (FIRMWARE / "coprocessor" / core).glob("*.c")] for core in CORES}
IMAGES = [(core, name) for core in sorted(CORES) for name in sorted([*NAMES, *OWN[core]])]
TABLE_OFFSET, TABLE_SIZE = 0x1200, 0x200
"""Of the resource table from the start of the IPC area: after trace, mailbox and boot record."""

pytestmark = pytest.mark.parametrize(("core", "name"), IMAGES, ids=["-".join(i) for i in IMAGES])


@pytest.fixture
def spec(core: str) -> Core:
    return load_profile(CORES[core]).core(core)


@pytest.fixture
def elf(built: Path, core: str, name: str) -> ELFFile:
    return ELFFile(io.BytesIO((built / core / f"{name}.elf").read_bytes()))


def test_segments_load_where_they_run_inside_the_core_s_memory(elf: ELFFile, spec: Core, core: str) -> None:
    """VMA = LMA; of the IPC area, which has to survive a reload, only the resource table is loaded."""
    ipc_da = IPC_DA[core]
    tables = set[int]()
    for segment in elf.iter_segments():
        assert segment["p_type"] == "PT_LOAD"
        assert segment["p_vaddr"] == segment["p_paddr"]
        assert segment["p_memsz"] >= segment["p_filesz"] > 0
        pa = spec.pa_of(segment["p_paddr"])
        assert pa is not None
        assert spec.region(pa, segment["p_memsz"]) is not None
        if ipc_da <= segment["p_paddr"] < ipc_da + IPC_SIZE:
            tables.add(segment["p_paddr"])
            assert segment["p_memsz"] <= TABLE_SIZE
    assert tables == {elf.get_section_by_name(".resource_table")["sh_addr"]} == {ipc_da + TABLE_OFFSET}


@pytest.mark.parametrize("profile", profile_names())
def test_linux_may_read_table_and_trace(elf: ELFFile, core: str, profile: str) -> None:
    """On every board the table and the trace buffer are in one region each that Linux may read.

    Where a TEE firewalls the core's memory, that is shared memory only.
    """
    known = {found.name: found for found in load_profile(profile).cores}
    if core not in known:
        return
    section = elf.get_section_by_name(".resource_table")
    da, size = struct.unpack_from("<2I", section.data(), 24)
    for at, length in ((section["sh_addr"], section["sh_size"]), (da, size)):
        pa = known[core].pa_of(at)
        assert pa is not None
        assert known[core].region(pa, length) is not None
        assert known[core].linux_may_read(pa, length)


def test_it_gives_no_watchdog_as_built(elf: ELFFile) -> None:
    """The configuration is all zeros until the bench writes the target's into the file."""
    assert elf.get_section_by_name(".configuration").data() == bytes(16)


def test_no_segment_holds_elf_headers(elf: ELFFile) -> None:
    """Headers in a segment would be copied in front of the vectors."""
    headers = elf["e_phoff"] + elf["e_phnum"] * elf["e_phentsize"]
    assert all(segment["p_offset"] >= headers for segment in elf.iter_segments())


def test_vectors_come_first_with_stack_and_thumb_entry(elf: ELFFile, spec: Core) -> None:
    """The core takes its stack and entry from the first bytes of its memory."""
    vectors = next(elf.iter_segments())
    stack, reset, *faults = struct.unpack("<16I", vectors.data())
    code = elf.get_section_by_name(".text")
    inside = range(code["sh_addr"], code["sh_addr"] + code["sh_size"])
    assert vectors["p_paddr"] == spec.regions[0].da
    assert stack % 8 == 0
    assert spec.pa_of(stack - 4) is not None
    assert all(v & 1 and v & ~1 in inside for v in (reset, *faults))
    assert elf["e_entry"] == reset


def test_the_resource_table_is_loaded_and_names_the_trace_buffer(elf: ELFFile, core: str) -> None:
    """One RSC_TRACE entry of 4 KiB at the start of the IPC area, inside a PT_LOAD."""
    section = elf.get_section_by_name(".resource_table")
    start, end = section["sh_offset"], section["sh_offset"] + section["sh_size"]
    loads = [(s["p_offset"], s["p_offset"] + s["p_filesz"]) for s in elf.iter_segments("PT_LOAD")]
    assert any(a <= start and end <= b for a, b in loads)
    expected = struct.pack("<9I32s", 1, 1, 0, 0, 20, 2, IPC_DA[core], 0x1000, 0, b"trace")
    assert section.data() == expected


def test_sections_are_only_those_a_loader_expects(elf: ELFFile) -> None:
    """No .ARM.exidx, no notes, no build id, no debug information; symbols stay for the reader of a dump."""
    names = {section.name for section in elf.iter_sections()}
    ours = {".vectors", ".text", ".configuration", ".data", ".bss", ".resource_table"}
    allowed = {"", *ours, ".ARM.attributes"}
    assert names - allowed == {".symtab", ".strtab", ".shstrtab"}


def test_lines_are_in_a_file_beside_it(built: Path, elf: ELFFile, core: str, name: str) -> None:
    """NAME.debug has the line tables of the same segments, and no path of the directory it was built in."""
    data = (built / core / f"{name}.debug").read_bytes()
    beside = ELFFile(io.BytesIO(data))
    assert beside.has_dwarf_info()
    assert [s.data() for s in beside.iter_segments()] == [s.data() for s in elf.iter_segments()]
    assert str(FIRMWARE).encode() not in data


@pytest.fixture(scope="session")
def elsewhere(tmp_path_factory: pytest.TempPathFactory, built: Path) -> Path:  # noqa: ARG001 - for its skip
    copy = tmp_path_factory.mktemp("elsewhere") / "a much longer path"
    shutil.copytree(FIRMWARE, copy, ignore=shutil.ignore_patterns("build", "linux", "optee", "boot"))
    subprocess.run(["make", "-s", "-j2"], cwd=copy, check=True, stdout=subprocess.DEVNULL)
    return copy / "build"


@pytest.mark.slow
def test_any_directory_gives_identical_bytes(built: Path, elsewhere: Path, core: str, name: str) -> None:
    """The build is reproducible in any directory, so a signature can be compared between builders."""
    path = Path(core) / f"{name}.elf"
    assert (built / path).read_bytes() == (elsewhere / path).read_bytes()
