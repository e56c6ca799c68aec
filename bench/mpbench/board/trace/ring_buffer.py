# SPDX-License-Identifier: MIT
"""Decode the kernel's raw trace buffer (per_cpu/cpuN/trace_pipe_raw), driven by the board's own descriptions.

A page is a header (time stamp, bytes committed) and data, a sequence of events: a word with 5 bits of type
or length and 27 bits of time since the previous event, then the payload. The start of an event is known only
from the previous one, so pages are decoded in parallel: each step decodes the n-th event of all pages.

Ref: Linux include/linux/ring_buffer.h, kernel/trace/ring_buffer.c (rb_read_data_buffer, RB_MISSED_*),
     Documentation/trace/ring-buffer-map.rst; events/header_page, events/header_event, events/*/*/format
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import define, field, frozen

from mpbench.core.errors import InfrastructureError

PADDING, TIME_EXTEND, TIME_STAMP = 29, 30, 31
DISCARDED = 1
"""time_delta of a discarded event: it adds no time."""
DELTA_BITS = 27
STAMP_BITS = DELTA_BITS + 32
MISSED, MISSED_STORED = 1 << 31, 1 << 30
PAGES_AT_ONCE = 4096
"""Pages decoded at once, 16 MiB: bounds the memory for a capture of any length."""

Numbers = npt.NDArray[Any]


@frozen
class Layout:
    """Offsets and sizes of the parts of a page, in bytes."""

    commit_at: int
    commit_size: int
    data_at: int
    page_size: int


FIELD = re.compile(r"field:([^;]+);\s*offset:(\d+);\s*size:(\d+);\s*signed:([01]);")


def layout(header_page: str) -> Layout:
    """From events/header_page: `commit` has 8 bytes on arm64, 4 on arm32.

    InfrastructureError for an unknown layout.
    """
    found = {words.split()[-1]: (int(at), int(size)) for words, at, size, _ in FIELD.findall(header_page)}
    stamp, commit, data = found.get("timestamp"), found.get("commit"), found.get("data")
    if stamp != (0, 8) or commit is None or data is None or commit[1] not in (4, 8):
        raise InfrastructureError(f"unknown page layout in events/header_page: {header_page[:200]!r}")
    return Layout(*commit, data[0], data[0] + data[1])


@frozen
class EventField:
    """A field of an event. kind: number, chars (text of fixed size), or text (at an offset in the event)."""

    name: str
    at: int
    size: int
    signed: bool
    kind: str


@frozen
class Format:
    """Format of an event's payload."""

    name: str
    id: int
    fields: Mapping[str, EventField] = field(repr=False)

    @property
    def size(self) -> int:
        """Least size of a payload, in bytes."""
        return max((f.at + f.size for f in self.fields.values()), default=0)


def event_format(text: str) -> Format:
    """From the text of events/SYSTEM/EVENT/format. InfrastructureError if it cannot be parsed."""
    name = re.search(r"^name: (\S+)$", text, re.M)
    number = re.search(r"^ID: (\d+)$", text, re.M)
    if name is None or number is None:
        raise InfrastructureError(f"not the format of an event: {text[:80]!r}")
    fields = [_field(*parts) for parts in FIELD.findall(text)]
    return Format(name[1], int(number[1]), {f.name: f for f in fields})


def _field(declaration: str, at: str, size: str, signed: str) -> EventField:
    name = re.sub(r"\[.*\]$", "", declaration.rsplit(maxsplit=1)[-1])
    if declaration.startswith("__data_loc"):
        kind = "text"
    elif re.search(r"\bchar\b.*\[\w+\]$", declaration):
        kind = "chars"
    else:
        kind = "number"
    return EventField(name, int(at), int(size), signed == "1", kind)


@frozen
class Events:
    """Events of one CPU in order: type, time in ns of the trace clock, offset of the payload in `data`.

    lost: number of events lost before these for lack of space; at least 1 if the kernel did not count them
    """

    ids: Numbers = field(repr=False)
    times_ns: Numbers = field(repr=False)
    at: Numbers = field(repr=False)
    data: Numbers = field(repr=False)
    lost: int = 0

    def __len__(self) -> int:
        return len(self.ids)

    def of(self, kind: Format) -> "Events":
        """Events of one type."""
        chosen = self.ids == kind.id
        return Events(self.ids[chosen], self.times_ns[chosen], self.at[chosen], self.data, self.lost)

    def numbers(self, f: EventField) -> Numbers:
        """Values of a numeric field, one per event. InfrastructureError for any other field."""
        if f.kind != "number" or f.size not in (1, 2, 4, 8):
            raise InfrastructureError(f"field {f.name} is not a number: {f.kind} of {f.size} bytes")
        raw = self.data[(self.at + f.at)[:, None] + np.arange(f.size)]
        return raw.view(f"<{'i' if f.signed else 'u'}{f.size}")[:, 0]

    def texts(self, f: EventField) -> list[str]:
        """Values of a text field, one per event."""
        places = self._places(f) if f.kind == "text" else [(int(a) + f.at, f.size) for a in self.at]
        found = (self.data[a : a + n].tobytes().split(b"\0")[0] for a, n in places)
        return [text.decode("utf-8", "backslashreplace") for text in found]

    def _places(self, f: EventField) -> list[tuple[int, int]]:
        """Offset in `data` and length of each text; the field holds both, 16 bits each."""
        words = self.numbers(EventField(f.name, f.at, 4, False, "number"))
        found = [(int(a) + (int(w) & 0xFFFF), int(w) >> 16) for a, w in zip(self.at, words, strict=True)]
        if any(a + n > len(self.data) for a, n in found):
            raise InfrastructureError(f"field {f.name}: text outside of the capture")
        return found


def decode(data: bytes, where: Layout, formats: Mapping[int, Format] | None = None) -> Iterator[Events]:
    """Events of a capture of one CPU, PAGES_AT_ONCE pages at a time.

    formats: by type number; if given, every event's type and size are checked.
    InfrastructureError, with page and offset, for data that no kernel writes.
    """
    size = where.page_size
    if len(data) % size:
        raise InfrastructureError(
            f"truncated capture: {len(data)} bytes are {len(data) // size} pages of {size} bytes and "
            f"{len(data) % size} bytes more"
        )
    last_ns = 0
    for start in range(0, len(data), PAGES_AT_ONCE * size):
        walk = _Walk(data[start : start + PAGES_AT_ONCE * size], where, start // size)
        events = walk.run(last_ns)
        if formats is not None:
            _check(events, formats, walk)
        if len(events):
            last_ns = int(events.times_ns[-1])
        yield events


def _check(events: Events, formats: Mapping[int, Format], walk: "_Walk") -> None:
    """InfrastructureError unless every event has a known type and at least the size of its format."""
    sizes = np.full(1 << 16, -1, np.int64)
    for number, kind in formats.items():
        sizes[number] = kind.size
    needed = sizes[events.ids]
    for wrong in np.flatnonzero((needed < 0) | (walk.lengths < needed))[:1]:
        number = int(events.ids[wrong])
        what = "has no format" if needed[wrong] < 0 else f"needs {needed[wrong]} bytes"
        raise InfrastructureError(f"{walk.place(int(events.at[wrong]))}: an event of type {number} {what}")


@define
class _Walk:
    """Decodes pages in parallel."""

    raw: bytes
    where: Layout
    first_page: int
    lengths: Numbers = field(init=False)

    def run(self, last_ns: int) -> Events:
        data = np.frombuffer(self.raw, np.uint8)
        pages = data.reshape(-1, self.where.page_size)
        commit, lost = self._commits(pages)
        times = np.ascontiguousarray(pages[:, :8]).view("<u8")[:, 0]
        ids, stamps, at, self.lengths = self._walk(data, times.copy(), commit)
        self._in_order(stamps, at, last_ns)
        return Events(ids, stamps, at, data, lost)

    def _commits(self, pages: Numbers) -> tuple[Numbers, int]:
        """Bytes of data per page, and the number of events lost before them."""
        at = self.where.commit_at
        word = np.ascontiguousarray(pages[:, at : at + 4]).view("<u4")[:, 0].astype(np.int64)
        commit = word & (MISSED_STORED - 1)
        room = self.where.page_size - self.where.data_at
        for wrong in np.flatnonzero((commit > room) | (commit % 4 != 0))[:1]:
            raise InfrastructureError(
                f"page {self.first_page + wrong}: {commit[wrong]} bytes committed; a page has {room}, "
                "in words of 4"
            )
        return commit, sum(
            self._lost(pages[p], int(word[p]), int(commit[p])) for p in np.flatnonzero(word >> 30)
        )

    def _lost(self, page: Numbers, word: int, commit: int) -> int:
        """The count follows the data if there was space for it."""
        size, at = self.where.commit_size, self.where.data_at + commit
        if not word & MISSED_STORED or at + size > len(page):
            return 1
        return max(1, int.from_bytes(page[at : at + size].tobytes(), "little"))

    def _walk(self, data: Numbers, now: Numbers, commit: Numbers) -> tuple[Numbers, ...]:
        """All events as columns, in order: type, time, offset and length of the payload."""
        words, halves = data.view("<u4"), data.view("<u2")
        base = np.arange(len(commit), dtype=np.int64) * self.where.page_size + self.where.data_at
        pos, count = np.zeros(len(commit), np.int64), np.zeros(len(commit), np.int64)
        steps: list[tuple[Numbers, ...]] = []
        live = np.flatnonzero(commit > 0)
        while len(live):
            here = base[live] + pos[live]
            word = words[here >> 2].astype(np.int64)
            kind, delta = word & 31, word >> 5
            extra = words[np.minimum((here >> 2) + 1, len(words) - 1)].astype(np.int64)
            length = self._length(kind, delta, extra, commit[live] - pos[live])
            self._fits(live, pos, commit, kind, length)
            now[live] = _time(now[live], kind, delta, extra)
            is_data = kind < PADDING
            pages = live[is_data]
            payload = here[is_data] + np.where(kind[is_data] == 0, 8, 4)
            steps.append((pages, count[pages], halves[payload >> 1], now[pages], payload,
                          here[is_data] + length[is_data] - payload))  # fmt: skip
            count[pages] += 1
            pos[live] += length
            live = live[pos[live] < commit[live]]
        return _ordered(steps, count)

    @staticmethod
    def _length(kind: Numbers, delta: Numbers, extra: Numbers, rest: Numbers) -> Numbers:
        """Bytes of each event with its header: from its type, or from the next word."""
        stored = np.where((kind == 0) | (kind == PADDING), 4 + extra, 4 + 4 * kind)
        length = np.where(kind >= TIME_EXTEND, 8, stored)
        return np.where((kind == PADDING) & (delta == 0), rest, length)

    def _fits(self, live: Numbers, pos: Numbers, commit: Numbers, kind: Numbers, length: Numbers) -> None:
        end = pos[live] + length
        wrong = (end > commit[live]) | (length % 4 != 0) | (length < 4) | ((kind == 0) & (length < 12))
        for i in np.flatnonzero(wrong)[:1]:
            page, left = live[i], commit[live[i]] - pos[live[i]]
            raise InfrastructureError(
                f"page {self.first_page + page}, offset {self.where.data_at + pos[page]}: an event of "
                f"{length[i]} bytes (type {kind[i]}), but only {left} bytes of data remain in the page"
            )

    def _in_order(self, stamps: Numbers, at: Numbers, last_ns: int) -> None:
        """InfrastructureError if times of one CPU decrease, inside of a page or between pages."""
        back = np.flatnonzero(stamps[1:] < stamps[:-1]) + 1
        if len(stamps) and int(stamps[0]) < last_ns:
            back = np.concatenate(([0], back))
        for i in back[:1]:
            before = int(stamps[i - 1]) if i else last_ns
            raise InfrastructureError(
                f"{self.place(int(at[i]))}: time goes back from {before} to {int(stamps[i])} ns"
            )

    def place(self, at: int) -> str:
        """Page and offset of a byte, for messages."""
        page, offset = divmod(at, self.where.page_size)
        return f"page {self.first_page + page}, offset {offset}"


def _time(now: Numbers, kind: Numbers, delta: Numbers, extra: Numbers) -> Numbers:
    """Time of each event: the previous event's plus a short or extended delta, or an absolute stamp."""
    long = (extra << DELTA_BITS) + delta
    since = np.where(kind == TIME_EXTEND, long, np.where((kind == PADDING) & (delta == DISCARDED), 0, delta))
    high = (now >> np.uint64(STAMP_BITS)) << np.uint64(STAMP_BITS)
    return np.where(kind == TIME_STAMP, high | long.astype(np.uint64), now + since.astype(np.uint64))


def _ordered(steps: list[tuple[Numbers, ...]], count: Numbers) -> tuple[Numbers, ...]:
    """Columns of all steps, sorted by the first two (page and number in it), which are dropped."""
    if not steps:
        return tuple(np.zeros(0, kind) for kind in (np.uint16, np.uint64, np.int64, np.int64))
    page, number, *columns = (np.concatenate(column) for column in zip(*steps, strict=True))
    first = np.concatenate(([0], np.cumsum(count)[:-1]))
    order = np.empty(len(page), np.int64)
    order[first[page] + number] = np.arange(len(order))
    return tuple(column[order] for column in columns)
