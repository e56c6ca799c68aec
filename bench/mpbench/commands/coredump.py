# SPDX-License-Identifier: MIT
"""`mpbench coredump`: what a co-processor's core dump holds, and with the firmware's ELF where it failed."""

import argparse
import json
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpbench.core.errors import BoardFailure, UsageError
from mpbench.core.zeros import all_zeros

if TYPE_CHECKING:
    from mpbench.recovery.parse_backtrace import Fault, Place
    from mpbench.recovery.parse_coredump import Segment

# Imports in the functions: pyelftools takes longer to import than `--help` may take.
# ruff: noqa: PLC0415

Report = dict[str, Any]
ANY_MACHINE = 0
"""EM_NONE, which mainline Linux and ST's write into a dump unless the driver says more."""


def add_commands(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `coredump`."""
    one = subparsers.add_parser(
        "coredump",
        help="content of a co-processor's core dump: memory, resource table, trace, backtrace",
        description="Content of a core dump that Linux made of a core: memory, resource table, trace. "
        "With the ELF of the firmware also where it failed, if it recorded that.",
    )
    one.add_argument("dump", type=Path)
    one.add_argument(
        "--elf",
        type=Path,
        help="the firmware that ran: names functions and lines; NAME.debug beside it is read too",
    )
    one.add_argument("--json", action="store_true", help="print JSON")
    one.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from mpbench.core.files import read_bounded

    elf = read_bounded(args.elf) if args.elf else None
    report = coredump(read_bounded(args.dump), str(args.dump), elf, args.elf)
    print(json.dumps(report, indent=2) if args.json else "\n".join(as_lines(report)))
    return 0


def coredump(dump: bytes, name: str, elf: bytes | None = None, elf_path: Path | None = None) -> Report:
    """Everything about a dump as plain values. elf: bytes of the file at elf_path.

    UsageError: no core dump, no ELF.
    """
    from mpbench.commands.firmware_elf import FirmwareElf
    from mpbench.recovery.parse_backtrace import fault
    from mpbench.recovery.parse_coredump import segments

    try:
        found = segments(dump)
    except BoardFailure as failure:
        raise UsageError(f"{name}: {failure}") from failure
    firmware = None
    if elf is not None and elf_path is not None:
        firmware = FirmwareElf.read(elf, str(elf_path)).with_lines(elf_path)
    table = _table(found, firmware.table if firmware else None)
    traces = [_trace(found, entry) for entry in table["entries"] if entry["type"] == "trace"] if table else []
    seen = fault(found, "\n".join(one["text"] for one in traces), firmware.code) if firmware else None
    return {
        "file": name,
        "size": len(dump),
        "machine": struct.unpack_from("<H", dump, 18)[0],
        "memory": [_memory(one) for one in found],
        "resource_table": table,
        "traces": traces,
        "fault": None if seen is None or firmware is None else _fault(seen, firmware.places(seen)),
        "elf": None if firmware is None else {"file": str(elf_path), "differs": firmware.differing(found)},
    }


def _memory(one: "Segment") -> Report:
    return {"da": one.da, "size": len(one.data), "zeros": all_zeros(one.data)}


def _table(found: "tuple[Segment, ...]", place: tuple[int, int] | None) -> Report | None:
    """The resource table at its place, else one that looks like it."""
    from mpbench.image.resource_table import entries
    from mpbench.recovery.parse_coredump import part

    da = place[0] if place else None
    data = part(found, *place) if place else None
    if data is None or all_zeros(data):
        da, data = _find_table(found)
    return None if data is None else {"da": da, "size": len(data), "entries": entries(data)}


def _find_table(found: "tuple[Segment, ...]") -> tuple[int, bytes] | tuple[None, None]:
    """A table by its form: version 1, reserved words 0, entries of known types right after the offsets."""
    from mpbench.image.resource_table import entries

    for segment in found:
        at = segment.data.find(b"\1\0\0\0")
        while at >= 0:
            count = int.from_bytes(segment.data[at + 4 : at + 8], "little")
            if at % 4 == 0 and 0 < count <= 32 and not any(segment.data[at + 8 : at + 16]):
                data = segment.data[at : at + 4096]
                known = entries(data)
                if known[0]["offset"] == 16 + 4 * count and all("da" in e or "id" in e for e in known):
                    return segment.da + at, data
            at = segment.data.find(b"\1\0\0\0", at + 1)
    return None, None


def _trace(found: "tuple[Segment, ...]", entry: Report) -> Report:
    from mpbench.core.sanitize import decoded
    from mpbench.recovery.parse_coredump import part

    data = part(found, entry["da"], entry["len"]) if "da" in entry else None
    text = None if data is None else decoded(data.split(b"\0")[0])
    place = {"name": entry.get("name", ""), "da": entry.get("da"), "length": entry.get("len")}
    return {**place, "text": text or "", "in_dump": data is not None}


def _fault(seen: "Fault", places: "list[Place]") -> Report:
    calls = [{"address": p.address, "by": p.known_by, "function": p.function, "line": p.line} for p in places]
    return {"exception": seen.exception, "name": seen.name, "registers": seen.registers, "calls": calls}


def as_lines(report: Report) -> list[str]:
    """The report for a person."""
    from mpbench.image.resource_table import as_text

    machine = "no machine (EM_NONE)" if report["machine"] == ANY_MACHINE else f"machine {report['machine']}"
    lines = [f"{report['file']}: core dump, {report['size']} bytes, {machine}", ""]
    for one in report["memory"]:
        zeros = ", all zeros: cleared before the dump?" if one["zeros"] else ""
        lines.append(
            f"  memory {one['da']:#010x} .. {one['da'] + one['size']:#010x}, {one['size']:#x} bytes{zeros}"
        )
    if (table := report["resource_table"]) is None:
        lines += ["  no resource table: not in this memory, or cleared"]
    else:
        lines += [f"  resource table at {table['da']:#010x}"]
        lines += [f"    {line}" for entry in table["entries"] for line in as_text(entry)]
    for trace in report["traces"]:
        where = "" if trace["in_dump"] else ": not in this dump"
        lines += [
            "",
            f"trace {trace['name']!r}{where}",
            *(f"  {line}" for line in trace["text"].splitlines()),
        ]
    return lines + _elf_lines(report["elf"]) + _fault_lines(report["fault"], report["elf"])


def _elf_lines(elf: Report | None) -> list[str]:
    if not elf or not elf["differs"]:
        return []
    where = ", ".join(f"{da:#010x}" for da in elf["differs"])
    return ["", f"{elf['file']}: code at {where} differs from the dump: another build, or overwritten"]


def _fault_lines(fault: Report | None, elf: Report | None) -> list[str]:
    if fault is None:
        return ["", "no fault recorded in the trace"] if elf else []
    registers = " ".join(f"{name} {value:#010x}" for name, value in fault["registers"].items())
    lines = ["", f"{fault['name']}: {registers or 'no program counter recorded'}"]
    for call in fault["calls"]:
        sure = {"pc": "at", "lr": "called from (lr)", "stack": "maybe called from (stack)"}[call["by"]]
        line = f", {call['line']}" if call["line"] else ""
        lines.append(f"  {sure} {call['address']:#010x} {call['function'] or '?'}{line}")
    return lines
