# SPDX-License-Identifier: MIT
"""Results of the twin: outcome of a command, with all commands to the platform and their effects."""

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from enum import Enum
from functools import cached_property, lru_cache
from typing import NamedTuple

from attrs import define, field, frozen

from mpbench.layout import PT_LOAD, PtaCommand, StPtaCommand
from mpbench.twin.reasons import REASONS, Reason


class State(Enum):
    """State of a core in the TA (enum remoteproc_state)."""

    OFF = "off"
    LOADED = "loaded"
    STARTED = "started"


class Call(NamedTuple):
    """One command that the TA sends to the PTA, in order.

    da, size: device address and bytes of LOAD_SEGMENT, SET_MEMORY and DA_TO_PA; TLV_PARAM: type, length
    data:     the expected hash of LOAD_SEGMENT (and its initialisation vector), the digest of VERIFY_DIGEST
    extra:    the signature of VERIFY_DIGEST; info: its key information; algorithm: TEE_ALG_...
    offset:   where in the file the segment's data lie
    result:   what the platform answers
    """

    command: PtaCommand | StPtaCommand
    core: int
    da: int = 0
    size: int = 0
    data: bytes = b""
    extra: bytes = b""
    info: bytes = b""
    algorithm: int = 0
    offset: int = 0
    result: int = 0


Asked = tuple[PtaCommand | StPtaCommand, int, int, int, bytes, bytes, bytes, int, int, int]
"""Raw tuple form of Call: a named tuple takes several times as long to make."""


class ResourceTable(NamedTuple):
    """The resource table by GET_RSC_TABLE: physical address and bytes; (0, 0) for none."""

    pa: int = 0
    size: int = 0


NO_TABLE = ResourceTable()


class Write(NamedTuple):
    """What the platform does to memory: `size` bytes from `offset` of the image, or zeros (offset None)."""

    pa: int
    size: int
    offset: int | None = None


HashEntry = tuple[int, int, int, int, int, int, int, int, bytes]
"""layout.HASH_ENTRY: words of a program header, SHA-256 of its data."""

EncEntry = tuple[int, int, int, int, int, int, int, int, bytes, bytes]
"""layout.ENC_ENTRY: words of a program header, SHA-256 of its encrypted data, initialisation vector."""

Entry = HashEntry | EncEntry

Written = tuple[int, int, int | None]
"""Raw tuple form of Write."""


@frozen
class Range:
    """Bytes of a core's memory: physical address, size, SHA-256."""

    pa: int
    size: int
    sha256: str
    zeros: bool


class Refusal(NamedTuple):
    """A refusal known beforehand: reason, TEE result, lines on the secure console."""

    reason: Reason
    code: int
    console: tuple[str, ...] = ()


@define(frozen=True, slots=False)
class Outcome:
    """Answer of the loader to one command.

    reason: see mpbench.twin.reasons; code: TEE result, None where the loader's behaviour is undefined;
    detail: the numbers of the case in words; state: of the core afterwards;
    table: answer of GET_RSC_TABLE afterwards; console: lines on the secure console, without prefix;
    table_offset: where in the file the resource table was read.
    signed: entries of the hash table by p_paddr;
    image: the file, and after it what segments of an encrypted one were decrypted to: offsets point into it;
    vectors: physical address of the vector table where the image gives one;
    start_refusal: what START_FW would answer next if it would refuse.
    What the platform did is in `calls`, `writes`, `constant`, named tuples made on first access.
    """

    reason: Reason
    code: int | None
    detail: str
    asked: tuple[Asked, ...]
    state: State
    table: ResourceTable = NO_TABLE
    console: tuple[str, ...] = ()
    written: tuple[Written, ...] = ()
    table_offset: int | None = None
    kept: tuple[Written, ...] = ()
    signed: Mapping[int, Entry] = field(factory=dict, repr=False, eq=False)
    image: bytes | memoryview = field(default=b"", repr=False, eq=False)
    vectors: int | None = None
    start_refusal: Refusal | None = None

    @property
    def check(self) -> str:
        """The check that decided."""
        return self.reason.check

    @property
    def accepted(self) -> bool:
        """Whether the command succeeded."""
        return self.code == 0

    @cached_property
    def calls(self) -> tuple[Call, ...]:
        """What the platform was asked to do, in order."""
        return tuple(map(Call._make, self.asked))

    @cached_property
    def writes(self) -> tuple[Write, ...]:
        """Memory operations in order."""
        return tuple(map(Write._make, self.written))

    @cached_property
    def constant(self) -> tuple[Write, ...]:
        """The copies among them that the firmware cannot write to, by the signed program headers."""
        return tuple(map(Write._make, self.kept))

    @property
    def complete(self) -> bool:
        """Whether every segment with data that the hash table names was loaded."""
        loaded = {c.da for c in self.calls if c.command is PtaCommand.LOAD_SEGMENT_SHA256}
        wanted = {da for da, entry in self.signed.items() if entry[0] == PT_LOAD and entry[4]}
        return wanted <= loaded

    @cached_property
    def memory(self) -> tuple[Range, ...]:
        """Content of the memory that this command wrote: disjoint ranges in order of address."""
        return tuple(hashed(w, self.image) for w in flatten(self.writes))


def outcome(
    name: str, state: State, *, table: ResourceTable = NO_TABLE, asked: tuple[Asked, ...] = ()
) -> Outcome:
    """Outcome of a command that reads no image."""
    reason = REASONS[name]
    return Outcome(reason, reason.code, reason.text, asked, state, table)


def flatten(writes: tuple[Write, ...]) -> list[Write]:
    """Disjoint writes with the effect of `writes`: a later one covers the earlier."""
    kept: list[Write] = []
    starts: list[int] = []  # of what later writes cover: disjoint ranges in order, `ends` are their ends
    ends: list[int] = []
    for write in reversed(writes):
        if not write.size:
            continue
        at, end = write.pa, write.pa + write.size
        first, last = bisect_left(ends, at), bisect_right(starts, end)
        for covered_from, covered_to in zip(starts[first:last], ends[first:last], strict=True):
            kept += part(write, at, covered_from)
            at = max(at, covered_to)
        kept += part(write, at, end)
        joined = (min([write.pa, *starts[first:last]]), max([end, *ends[first:last]]))
        starts[first:last], ends[first:last] = [joined[0]], [joined[1]]
    return sorted(kept, key=lambda w: w.pa)


def part(write: Write, start: int, end: int) -> list[Write]:
    """What a write does to the physical addresses `start` .. `end` (exclusive): one write, or none."""
    if start >= end:
        return []
    return [Write(start, end - start, None if write.offset is None else write.offset + start - write.pa)]


def hashed(write: Write, image: bytes | memoryview) -> Range:
    """The range a write leaves, with its hash."""
    if write.offset is None:
        return Range(write.pa, write.size, zeros_sha256(write.size), True)
    data = memoryview(image)[write.offset : write.offset + write.size]
    return Range(write.pa, write.size, hashlib.sha256(data).hexdigest(), False)


@lru_cache(maxsize=64)
def zeros_sha256(size: int) -> str:
    """SHA-256 of `size` zeros, without holding them at once."""
    digest, block = hashlib.sha256(), bytes(65536)
    for _ in range(size // len(block)):
        digest.update(block)
    digest.update(bytes(size % len(block)))
    return digest.hexdigest()
