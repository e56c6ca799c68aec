# SPDX-License-Identifier: MIT
"""A firmware's ELF beside its core dump: code, functions and lines by address.

Ref: ELF for the Arm Architecture; DWARF Debugging Information Format, 6.2 (line numbers).
"""

import io
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from attrs import evolve, frozen
from elftools.common.exceptions import DWARFError, ELFError
from elftools.elf.elffile import ELFFile

from mpbench.core.errors import UsageError
from mpbench.core.files import read_bounded
from mpbench.recovery.parse_backtrace import Fault, Place
from mpbench.recovery.parse_coredump import Segment, part


@frozen
class FirmwareElf:
    """code: (device address, end) of sections with instructions, with their content in `constant`;
    functions: (address, end, name) in order; lines: (address, "file:line", end of a sequence) in order;
    table: (device address, bytes) of the resource table, None without one.
    """

    code: tuple[tuple[int, int], ...]
    constant: tuple[tuple[int, bytes], ...]
    functions: tuple[tuple[int, int, str], ...]
    lines: tuple[tuple[int, str], ...]
    table: tuple[int, int] | None

    @classmethod
    def read(cls, elf: bytes, name: str) -> "FirmwareElf":
        """UsageError: no ELF, or one that cannot be read."""
        try:
            file = ELFFile(io.BytesIO(elf))
            sections = list(file.iter_sections())
            code = [s for s in sections if s["sh_flags"] & 4 and s["sh_type"] == "SHT_PROGBITS"]
            table = file.get_section_by_name(".resource_table")
            return cls(
                tuple((s["sh_addr"], s["sh_addr"] + s["sh_size"]) for s in code),
                tuple((s["sh_addr"], s.data()) for s in code),
                tuple(sorted(_functions(file))),
                tuple(sorted(_lines(file))),
                (table["sh_addr"], table["sh_size"]) if table else None,
            )
        except (ELFError, DWARFError, ValueError, KeyError, UnicodeError, OSError) as error:
            raise UsageError(
                f"{name}: an ELF that cannot be read: {error or type(error).__name__}"
            ) from error

    def with_lines(self, path: Path) -> "FirmwareElf":
        """With the lines of NAME.debug beside NAME.elf, where the firmware's Makefile puts them.

        As it is without such a file, or if that is of another build. UsageError: one that cannot be read.
        """
        beside = path.with_suffix(".debug")
        if self.lines or not beside.is_file():
            return self
        found = FirmwareElf.read(read_bounded(beside), str(beside))
        return evolve(self, lines=found.lines) if found.constant == self.constant else self

    def places(self, seen: Fault) -> list[Place]:
        """Where the fault was and what called it: pc, lr, then what the stack suggests."""
        if "pc" not in seen.registers:
            return []
        found = [self.place(seen.registers["pc"], "pc", 0)]
        lr = seen.registers.get("lr", 0)
        if any(start <= lr & ~1 < end for start, end in self.code):
            found.append(self.place(lr & ~1, "lr", 2))
        return found + [self.place(address & ~1, "stack", 2) for address in seen.calls if address != lr]

    def place(self, address: int, known_by: str, back: int) -> Place:
        """Function and line of an address; back: bytes to the instruction that it is behind."""
        at = address - back
        index = bisect_right(self.functions, (at, 1 << 32, "")) - 1
        function = ""
        if index >= 0 and self.functions[index][0] <= at < self.functions[index][1]:
            start, _, function = self.functions[index]
            function = f"{function}+{address - start:#x}"
        row = bisect_right(self.lines, (at, "\U0010ffff")) - 1
        return Place(address, known_by, function, self.lines[row][1] if row >= 0 else "")

    def differing(self, dump: Sequence[Segment]) -> list[int]:
        """Device addresses of code that is in the dump with another content."""
        held = [(da, data, part(dump, da, len(data))) for da, data in self.constant if data]
        return [da for da, data, seen in held if seen is not None and seen != data]


def _functions(file: Any) -> Iterator[tuple[int, int, str]]:
    """Symbols of functions; Thumb's lowest bit is no part of the address."""
    table = file.get_section_by_name(".symtab")
    for symbol in table.iter_symbols() if table else ():
        if symbol["st_info"]["type"] == "STT_FUNC":
            start = symbol["st_value"] & ~1
            yield start, start + max(symbol["st_size"], 2), symbol.name


def _lines(file: Any) -> Iterator[tuple[int, str]]:
    """Rows of all line tables; "" where a sequence ends."""
    dwarf: Any = file.get_dwarf_info() if file.has_dwarf_info() else None
    for unit in dwarf.iter_CUs() if dwarf else ():
        program = dwarf.line_program_for_CU(unit)
        if program is None:
            continue
        first = 0 if program["version"] >= 5 else 1
        names = [entry.name.decode(errors="replace") for entry in program["file_entry"]]
        for entry in program.get_entries():
            state = entry.state
            if state is not None:
                name = names[state.file - first] if 0 <= state.file - first < len(names) else "?"
                yield state.address, "" if state.end_sequence else f"{name}:{state.line}"
