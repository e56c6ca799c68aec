# SPDX-License-Identifier: MIT
"""Parse a coprocessor's core dump: segments, facts, and a summary for people. Pure.

Ref: Linux drivers/remoteproc/remoteproc_coredump.c (ELF32 or ELF64, ET_CORE, PT_LOAD with p_vaddr = device
address), Documentation of the ELF format; firmware/coprocessor/lib/firmware.h (trace buffer).
"""

import hashlib
import struct
from collections.abc import Iterable

from attrs import field, frozen

from mpbench.core.errors import BoardFailure
from mpbench.core.sanitize import decoded
from mpbench.deployment.parse import BEAT, beat, identity
from mpbench.recovery.facts import DumpFacts

EHDR = struct.Struct("<4s5B7xHHIIIIIHHHHHH")
PHDR = struct.Struct("<8I")
ELFCLASS32, ELFDATA2LSB, ET_CORE, PT_LOAD = 1, 1, 4, 1
MACHINES = 40, 0
"""EM_ARM; EM_NONE, as drivers have it that do not give the core a machine: mainline's and ST's."""
LOG_LINES = 6


@frozen
class Segment:
    """Memory of the core: device address and bytes."""

    da: int
    data: bytes = field(repr=False)

    @property
    def end(self) -> int:
        """End address (exclusive)."""
        return self.da + len(self.data)


def segments(dump: bytes) -> tuple[Segment, ...]:
    """PT_LOADs of a core dump. BoardFailure if it is not a complete ELF32 core dump of an Arm core."""
    if len(dump) < EHDR.size:
        raise BoardFailure(f"a core dump of {len(dump)} bytes has no ELF header")
    ehdr = EHDR.unpack_from(dump)
    magic, elf_class, order, kind, machine = ehdr[0], ehdr[1], ehdr[2], ehdr[6], ehdr[7]
    phoff, phentsize, phnum = ehdr[10], ehdr[14], ehdr[15]
    known = (magic, elf_class, order, kind) == (b"\x7fELF", ELFCLASS32, ELFDATA2LSB, ET_CORE)
    if not known or machine not in MACHINES:
        raise BoardFailure(f"not an ELF32 core dump of an Arm core: {dump[:20].hex()}")
    return tuple(_segment(dump, phoff + n * phentsize) for n in range(phnum))


def _segment(dump: bytes, at: int) -> Segment:
    if at + PHDR.size > len(dump):
        raise BoardFailure(f"core dump ends before its program header at {at:#x}")
    kind, offset, vaddr, _, filesz, memsz, _, _ = PHDR.unpack_from(dump, at)
    if kind != PT_LOAD or filesz != memsz or offset + filesz > len(dump):
        raise BoardFailure(
            f"core dump of {len(dump)} bytes: segment at {vaddr:#x} has type {kind}, "
            f"{filesz:#x} of {memsz:#x} bytes at offset {offset:#x}"
        )
    return Segment(vaddr, dump[offset : offset + filesz])


def part(found: Iterable[Segment], da: int, size: int) -> bytes | None:
    """`size` bytes at device address `da`, None if the dump lacks them."""
    for segment in found:
        if segment.da <= da and da + size <= segment.end:
            return segment.data[da - segment.da : da - segment.da + size]
    return None


def trace_of(found: Iterable[Segment]) -> str:
    """The firmware's trace buffer, which is at the start of a segment; "" if there is none."""
    for segment in found:
        text = decoded(segment.data[:0x1000].split(b"\0")[0])
        if identity(text) and BEAT.search(text):
            return text
    return ""


def facts(found: tuple[Segment, ...], predicted: DumpFacts) -> DumpFacts:
    """Facts of a dump, at the addresses that the prediction names."""
    trace = trace_of(found)
    boot_and_beat = beat(trace)
    return DumpFacts(
        segments=" ".join(f"{s.da:#x}+{len(s.data):#x}" for s in found),
        unchanged=" ".join(_hash(found, place) for place in (predicted.unchanged or "").split()),
        vectors=_vectors(found, predicted.vectors),
        identity=identity(trace) or "",
        boot=boot_and_beat[0] if boot_and_beat else None,
    )


def _hash(found: tuple[Segment, ...], place: str) -> str:
    """`da+size:sha256` of the memory whose address and size a prediction of this form names."""
    da, size = (int(n, 16) for n in place.partition(":")[0].split("+"))
    data = part(found, da, size)
    return f"{da:#x}+{size:#x}:{hashlib.sha256(data).hexdigest() if data is not None else 'missing'}"


def _vectors(found: tuple[Segment, ...], predicted: str | None) -> str | None:
    if predicted is None:
        return None
    da = int(predicted.split(":")[0], 16)
    data = part(found, da, 8)
    words = " ".join(f"{word:#010x}" for word in struct.unpack("<2I", data)) if data else "missing"
    return f"{da:#x}: {words}"


def summary(found: tuple[Segment, ...], seen: DumpFacts) -> str:
    """Text for people: memory, vector table, firmware, its boot and heartbeat, its last log lines."""
    trace = trace_of(found)
    boot_and_beat = beat(trace)
    heart = f"life {boot_and_beat[0]}, beat {boot_and_beat[1]}" if boot_and_beat else "unknown"
    rows = [
        *(f"memory   {s.da:#010x} .. {s.end:#010x}  {len(s.data):>9,} bytes" for s in found),
        f"vectors  {seen.vectors or 'unknown'}  (initial stack, reset)",
        f"firmware {seen.identity or 'unknown: no trace buffer'}",
        f"heart    {heart}",
        *(f"log      {line}" for line in trace.splitlines()[2:][-LOG_LINES:]),
    ]
    return "".join(f"{row}\n" for row in rows)
