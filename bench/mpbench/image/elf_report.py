# SPDX-License-Identifier: MIT
"""Content of a plain ELF or of a core's dump, for `mpbench inspect`. Plain values, ready for JSON.

Ref: ELF specification; Linux drivers/remoteproc/remoteproc_coredump.c (ET_CORE, PT_LOADs, no sections).
"""

import hashlib
import io
from typing import Any

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from mpbench.core.errors import UsageError
from mpbench.core.sanitize import one_line
from mpbench.image.bounds import refuse_overlaps
from mpbench.image.resource_table import as_text as entry_text
from mpbench.image.resource_table import entries

Report = dict[str, Any]
KINDS = {"ET_EXEC": "unsigned firmware", "ET_DYN": "unsigned firmware", "ET_CORE": "core dump"}
MAX_SEGMENTS = 1024


def elf_report(data: bytes, name: str) -> Report:
    """Header, segments and resource table. UsageError: no ELF, or one that cannot be read."""
    try:
        file = ELFFile(io.BytesIO(data))
        number = file.num_segments()
        if number > MAX_SEGMENTS:
            raise UsageError(f"{name}: {number} program headers; at most {MAX_SEGMENTS} can be shown")
        heads = [s.header for s in file.iter_segments()]
        held = (min(h["p_filesz"], max(0, len(data) - h["p_offset"])) for h in heads)
        refuse_overlaps(sum(held), len(data), name)
        segments = [_segment(head, data) for head in heads]
        section = file.get_section_by_name(".resource_table") if file.num_sections() else None
        table = None if section is None else _table(section.header["sh_addr"], section.data())
    except (ELFError, ValueError, KeyError, UnicodeError, OSError) as error:
        raise UsageError(f"{name}: an ELF that cannot be read: {error or type(error).__name__}") from error
    return {
        "file": name,
        "size": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "kind": KINDS.get(file["e_type"], f"ELF of type {file['e_type']}"),
        "class": file.elfclass,
        "machine": str(file["e_machine"]),
        "entry": file["e_entry"],
        "segments": segments,
        "resource_table": table,
    }


def _segment(header: Any, data: bytes) -> Report:
    start, size = header["p_offset"], header["p_filesz"]
    row = {k: header[k] for k in ("p_offset", "p_vaddr", "p_paddr", "p_filesz", "p_memsz", "p_flags")}
    digest = hashlib.sha256(data[start : start + size]).hexdigest()
    return {"p_type": str(header["p_type"]), **row, "complete": start + size <= len(data), "sha256": digest}


def _table(da: int, content: bytes) -> Report:
    return {"da": da, "size": len(content), "entries": entries(content)}


def as_text(report: Report) -> str:
    """The report for a person."""
    lines = [one_line(f"{report['file']}: {report['size']} bytes, sha256 {report['sha256']}")]
    what = f"{report['kind']}, {report['class']} bits, {report['machine']}, entry {report['entry']:#x}"
    lines += [what, ""]
    lines += [_segment_text(s) for s in report["segments"]]
    if (table := report["resource_table"]) is None:
        return "\n".join([*lines, "  no resource table"])
    lines.append(f"  resource table at {table['da']:#010x}, {table['size']} bytes")
    return "\n".join([*lines, *(f"    {line}" for e in table["entries"] for line in entry_text(e))])


def _segment_text(row: Report) -> str:
    cut = "" if row["complete"] else ", ENDS AFTER THE FILE'S END"
    return f"  {row['p_type']} {place_text(row)}, sha256 {row['sha256'][:16]}{cut}"


def place_text(row: Report) -> str:
    """Addresses and sizes of a program header, for a person."""
    virtual = f" (p_vaddr {row['p_vaddr']:#010x})" if row["p_vaddr"] != row["p_paddr"] else ""
    return f"at {row['p_paddr']:#010x}{virtual}, {row['p_filesz']:#x} bytes of {row['p_memsz']:#x}"
