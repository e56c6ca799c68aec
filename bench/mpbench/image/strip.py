# SPDX-License-Identifier: MIT
"""An ELF without symbols and debug information, everything the loader reads left where it is.

Program headers and segment data keep their offsets; of the sections only those that occupy memory stay, with
a name table and section headers of their own after the data: the loader refuses an ELF without them.
"""

from mpbench import layout
from mpbench.core.errors import UsageError
from mpbench.image.sign import program_headers

SHF_ALLOC = 2
SHT_STRTAB = 3


def strip(elf: bytes, name: str) -> bytes:
    """The stripped ELF. UsageError: not an ELF the signer takes, or its section headers are broken."""
    heads = program_headers(elf, name)
    head = list(layout.EHDR.unpack_from(elf))
    phoff, shoff, phnum, shnum, shstrndx = head[5], head[6], head[10], head[12], head[13]
    if shnum == 0:
        return elf
    if shoff + shnum * layout.SHDR.size > len(elf) or shstrndx >= shnum:
        raise UsageError(f"{name}: offset {shoff:#x}: {shnum} section headers do not fit the file")
    end = max([layout.EHDR.size, phoff + phnum * layout.PHDR.size, *(h[1] + h[4] for h in heads)])
    if end > len(elf):
        raise UsageError(
            f"{name}: a program header takes data up to {end:#x}, the file ends at {len(elf):#x}"
        )
    rows = [layout.SHDR.unpack_from(elf, shoff + i * layout.SHDR.size) for i in range(shnum)]
    kept = [row for row in rows if row[2] & SHF_ALLOC]
    text, table = names_and_headers(elf, rows[shstrndx], kept, end)
    head[6], head[12], head[13] = end + len(text), len(kept) + 2, len(kept) + 1
    return layout.EHDR.pack(*head) + elf[layout.EHDR.size : end] + text + table


def names_and_headers(
    elf: bytes, strtab: tuple[int, ...], kept: list[tuple[int, ...]], end: int
) -> tuple[bytes, bytes]:
    """Name table (padded to 4 bytes) and section headers for the kept sections, for position `end`."""
    old = elf[strtab[4] : strtab[4] + strtab[5]]
    text, table = bytearray(b"\0"), bytearray(layout.SHDR.size)
    for row in kept:
        table += layout.SHDR.pack(len(text), *row[1:6], 0, *row[7:])
        end_of_name = old.find(b"\0", row[0])
        text += old[row[0] : end_of_name if end_of_name >= 0 else len(old)] + b"\0"
    own = len(text)
    text += b".shstrtab\0"
    size = len(text)
    text += bytes(-(end + size) % 4)
    return bytes(text), bytes(table) + layout.SHDR.pack(own, SHT_STRTAB, 0, 0, end, size, 0, 0, 1, 0)
