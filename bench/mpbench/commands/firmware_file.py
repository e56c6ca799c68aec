# SPDX-License-Identifier: MIT
"""What kind of firmware an ELF file is, and for which cores: machine, architecture, resource table.

Ref: ELF for the Arm Architecture, build attributes (Addenda 32): Tag_CPU_arch, Tag_CPU_arch_profile.
"""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import evolve, frozen
from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from mpbench.commands.firmware_elf import FirmwareElf
from mpbench.core.errors import UsageError
from mpbench.image.inspect import only_elf
from mpbench.image.resource_table import entries
from mpbench.layout import ELF_MAGIC, SIGNED_MAGIC

ARCHITECTURES = {
    10: "v7",
    11: "v6-M",
    12: "v6S-M",
    13: "v7E-M",
    14: "v8",
    16: "v8-M.base",
    17: "v8-M.main",
    21: "v8.1-M.main",
}
EXECUTED: Mapping[str, tuple[str, ...]] = {
    "m0": ("v6-M", "v6S-M"),
    "m4": ("v6-M", "v6S-M", "v7-M", "v7E-M"),
    "m33": ("v6-M", "v6S-M", "v7-M", "v7E-M", "v8-M.base", "v8-M.main"),
}
"""Architectures whose code a core executes, by its name."""
SUFFIXES = (".elf", ".axf", ".out")
VECTORS = 7
"""Words of a vector table: stack pointer, reset, NMI, HardFault, MemManage, BusFault, UsageFault."""


@frozen
class Firmware:
    """A firmware file.

    architecture: as "v7E-M", "" if the file does not say
    table: types of the entries of its resource table, None without one
    main: address of its function main, None without symbols
    loaded: (physical address, bytes) of each segment
    signed: the whole file, if the ELF file was found in a signed image, else b""
    """

    data: bytes
    elf: FirmwareElf
    architecture: str
    table: tuple[str, ...] | None
    main: int | None
    loaded: tuple[tuple[int, bytes], ...]
    signed: bytes = b""

    @property
    def kind(self) -> str:
        """Architecture and resource table in words."""
        table = "no table" if self.table is None else f"table: {', '.join(self.table) or 'empty'}"
        return f"{'signed, ' if self.signed else ''}Arm {self.architecture or '?'}, {table}"

    def fits(self, core: str) -> str:
        """Why the core cannot execute it, "" if it can or if that is not known."""
        known = EXECUTED.get(core)
        if not self.architecture or known is None or self.architecture in known:
            return ""
        return f"for another core: code for Arm {self.architecture}, which {core} does not execute"

    def vectors(self, da: int) -> tuple[int, ...]:
        """The first words of a vector table at a device address, () if nothing is loaded there."""
        for start, data in self.loaded:
            if start <= da and da + 4 * VECTORS <= start + len(data):
                return words_of(data[da - start : da - start + 4 * VECTORS])
        return ()


def words_of(memory: bytes) -> tuple[int, ...]:
    """Memory of a core as words of 32 bits."""
    return tuple(int.from_bytes(memory[at : at + 4], "little") for at in range(0, len(memory), 4))


def firmware_files(directory: Path) -> dict[str, Path]:
    """ELF files and signed images of a directory and those below it, by path in it. UsageError: none."""
    if not directory.is_dir():
        raise UsageError(f"{directory}: no such directory")
    found = sorted(p for p in directory.rglob("*") if p.is_file() and _is_firmware(p))
    if not found:
        names = ", ".join("*" + suffix for suffix in SUFFIXES)
        raise UsageError(f"{directory}: no file named {names}, and no signed image")
    return {path.relative_to(directory).as_posix(): path for path in found}


def _is_firmware(path: Path) -> bool:
    if path.suffix.lower() in SUFFIXES:
        return True
    with path.open("rb") as file:  # a signed image may have any name
        return file.read(len(SIGNED_MAGIC)) == SIGNED_MAGIC


def read_firmware(data: bytes, name: str, path: Path) -> Firmware:
    """An ELF file, or a signed image of one.

    UsageError of one line: no ELF, not one of 32-bit Arm, no executable, or one that cannot be read; a
    signed image of several ELF files, or of an encrypted one.
    """
    if data.startswith(SIGNED_MAGIC):
        if not (inner := only_elf(data, name)):
            raise UsageError(f"{name}: a signed image of several ELF files, or of an encrypted one")
        return evolve(read_firmware(inner, name, path), signed=data)
    if not data.startswith(ELF_MAGIC):
        raise UsageError(f"{name}: not an ELF file")
    elf = FirmwareElf.read(data, name).with_lines(path)
    file = ELFFile(io.BytesIO(data))
    machine, kind = str(file["e_machine"]), str(file["e_type"])
    if machine != "EM_ARM":
        raise UsageError(f"{name}: for another core: ELF of machine {machine}, not EM_ARM")
    if kind != "ET_EXEC":
        raise UsageError(f"{name}: no executable: ELF of type {kind}")
    try:
        architecture = _architecture(file)
        section = file.get_section_by_name(".resource_table")
        table = tuple(str(one["type"]) for one in entries(section.data())) if section else None
        loaded = tuple(
            (s["p_paddr"], s.data())
            for s in file.iter_segments()
            if s["p_type"] == "PT_LOAD" and s["p_filesz"]
        )
    except (ELFError, ValueError, KeyError, UnicodeError, OSError) as error:
        raise UsageError(f"{name}: an ELF that cannot be read: {error or type(error).__name__}") from error
    main = next((start for start, _, function in elf.functions if function == "main"), None)
    return Firmware(data, elf, architecture, table, main, loaded)


def _architecture(file: Any) -> str:
    """Of the first build attributes, "" without them."""
    section = file.get_section_by_name(".ARM.attributes")
    found: dict[str, Any] = {}
    for one in section.iter_subsections() if section else ():
        for part in one.iter_subsubsections():
            for attribute in part.iter_attributes():
                found.setdefault(attribute.tag, attribute.value)
    number = found.get("TAG_CPU_ARCH")
    if number is None:
        return ""
    name = ARCHITECTURES.get(number, f"architecture {number}")
    if name == "v7":  # of all profiles
        return "v7-M" if found.get("TAG_CPU_ARCH_PROFILE") == ord("M") else "v7-A"
    return name
