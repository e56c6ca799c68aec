# SPDX-License-Identifier: MIT
"""The decoder of the kernel's raw trace buffer, against recorded pages, made ones, and trace-cmd."""

import random
import re
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
from attrs import evolve, frozen

from mpbench.board.trace.ring_buffer import Format, decode, event_format, layout
from mpbench.core.errors import InfrastructureError
from mpbench.notification.trace_events import Role, follow, lost_in_text, of_raw, of_text
from testcases import trace_cmd_file

CAPTURES = Path(__file__).parents[1] / "captures"
CAPTURE = CAPTURES / "notifications-arm64"
HEADER = (CAPTURE / "header_page").read_text()
FORMATS = (CAPTURE / "formats").read_text().split("@@\n")
RAW = {cpu: (CAPTURE / f"cpu{cpu}.raw").read_bytes() for cpu in (0, 1)}

HEADER_32 = (
    "\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;\n"
    "\tfield: local_t commit;\toffset:8;\tsize:4;\tsigned:1;\n"
    "\tfield: int overwrite;\toffset:8;\tsize:1;\tsigned:1;\n"
    "\tfield: char data;\toffset:12;\tsize:4084;\tsigned:0;\n"
)
COMMON = (
    "\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n"
    "\tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;\n"
    "\tfield:unsigned char common_preempt_count;\toffset:3;\tsize:1;\tsigned:0;\n"
    "\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n"
)
FORMAT_32 = (
    "name: work_item\nID: 42\nformat:\n" + COMMON + "\tfield:void * work;\toffset:8;\tsize:4;\tsigned:0;\n"
    "\tfield:int cpu;\toffset:12;\tsize:4;\tsigned:1;\n"
    "\tfield:__data_loc char[] name;\toffset:16;\tsize:4;\tsigned:0;\n\n"
    'print fmt: "work=%p cpu=%d name=%s", REC->work, REC->cpu, __get_str(name)\n'
)


@frozen
class Made:
    """An event as a test wants it: nanoseconds since the one before, work, cpu, name."""

    delta: int
    work: int
    cpu: int
    name: bytes

    def payload(self) -> bytes:
        text = self.name + b"\0"
        place = 20 | len(text) << 16
        return struct.pack("<HBBiIiI", 42, 0, 0, 7, self.work, self.cpu, place) + text + bytes(-len(text) % 4)


def event(delta: int, payload: bytes) -> bytes:
    """An event as the kernel writes it: the length of a short one in its type, else in a word of its own."""
    extend = struct.pack("<II", 30 | (delta & (1 << 27) - 1) << 5, delta >> 27) if delta >> 27 else b""
    low = 0 if extend else delta
    if len(payload) <= 112:
        return extend + struct.pack("<I", len(payload) // 4 | low << 5) + payload
    return extend + struct.pack("<II", low << 5, len(payload) + 4) + payload


def page(stamp: int, data: bytes, *, flags: int = 0, word: int = 4) -> bytes:
    """A page with its header; word: bytes of a local_t."""
    commit = struct.pack("<q" if word == 8 else "<I", len(data) | flags)
    return (struct.pack("<Q", stamp) + commit + data).ljust(4096, b"\0")


def only(data: bytes, header: str = HEADER_32, formats: dict[int, Format] | None = None):
    """The events of a capture that is decoded in one piece."""
    (events,) = decode(data, layout(header), formats)
    return events


WORK = event_format(FORMAT_32)


def made(number: int, seed: int) -> list[Made]:
    rng = random.Random(seed)
    deltas = [rng.choice((0, 16, 90_000, (1 << 27) - 1, 1 << 27, 1 << 40)) for _ in range(number)]
    return [
        Made(d, rng.getrandbits(32), rng.randrange(-2, 3), b"n" * rng.choice((0, 5, 60, 200))) for d in deltas
    ]


def apart(events: list[Made]) -> list[Made]:
    """Events as above, no two of them with one time."""
    return [evolve(e, delta=e.delta or 16) for e in events]


def written(events: list[Made], start: int) -> bytes:
    """Pages that hold the events in order."""
    pages, data, stamp, now = [], b"", start, start
    for e in events:
        piece = event(e.delta, e.payload())
        if len(data) + len(piece) > 4084:
            pages.append(page(stamp, data))
            data, stamp = b"", now + e.delta
            piece = event(0, e.payload())
        data, now = data + piece, now + e.delta
    return b"".join([*pages, page(stamp, data)])


@pytest.mark.parametrize("seed", range(5))
def test_every_kind_of_event_is_decoded(seed):
    """Short and long events, short and long times, on pages of a 32-bit kernel: every field comes back."""
    wanted = made(200, seed)
    found = only(written(wanted, 10**12), formats={42: WORK})
    assert found.times_ns.tolist() == (10**12 + np.cumsum([e.delta for e in wanted])).tolist()
    assert found.numbers(WORK.fields["work"]).tolist() == [e.work for e in wanted]
    assert found.numbers(WORK.fields["cpu"]).tolist() == [e.cpu for e in wanted]
    assert found.numbers(WORK.fields["common_pid"]).tolist() == [7] * len(wanted)
    assert found.texts(WORK.fields["name"]) == [e.name.decode() for e in wanted]


def test_absolute_stamps_padding_and_discarded_events():
    """An absolute stamp sets the time, padding passes it, a discarded event has none, the rest is skipped."""
    payload = Made(0, 1, 1, b"a").payload()
    stamp = 5 << 27
    data = event(3, payload)
    data += struct.pack("<II", 31 | (9 << 5), stamp >> 27)
    data += event(1, payload)
    data += struct.pack("<II", 29 | (1 << 5), 8) + bytes(4)
    data += struct.pack("<II", 29 | (4 << 5), 8) + bytes(4)
    data += event(1, payload)
    data += struct.pack("<I", 29) + bytes(20)
    assert only(page(100, data)).times_ns.tolist() == [103, stamp + 9 + 1, stamp + 9 + 6]


def test_lost_events_are_told():
    """A page with the mark of lost events: their number if it has one, else at least one."""
    data = event(1, Made(0, 1, 1, b"a").payload())
    counted = bytearray(page(5, data, flags=3 << 30))
    struct.pack_into("<I", counted, 12 + len(data), 77)
    assert only(bytes(counted)).lost == 77
    assert only(page(5, data, flags=1 << 31)).lost == 1
    sign_extended = page(5, data, flags=-(1 << 31), word=8)
    assert only(sign_extended, HEADER).lost == 1
    assert only(page(5, data)).lost == 0


def test_empty_pages_hold_no_events():
    """A page without data, and a capture without pages, are no error."""
    assert len(only(page(5, b""))) == 0
    assert list(decode(b"", layout(HEADER_32))) == []


@pytest.mark.parametrize("header", [HEADER, HEADER_32], ids=["arm64", "arm32"])
def test_pages_are_what_the_board_says(header):
    """Both layouts have pages of 4096 bytes; their data starts after a commit field of 8 or of 4 bytes."""
    found = layout(header)
    assert found.page_size == 4096
    assert (found.commit_size, found.data_at) == ((8, 16) if header is HEADER else (4, 12))


WRONG = {
    "cut": (lambda p: p[:-1], "truncated capture: 4095 bytes are 0 pages"),
    "too much committed": (lambda p: p[:8] + struct.pack("<I", 4088) + p[12:], "4088 bytes committed"),
    "odd number committed": (lambda p: p[:8] + struct.pack("<I", 30) + p[12:], "30 bytes committed"),
    "event too long": (
        lambda p: p[:12] + struct.pack("<I", 28) + p[16:],
        "page 0, offset 12: an event of 116",
    ),
    "length too short": (lambda p: p[:12] + bytes(4) + struct.pack("<I", 4) + p[20:], "an event of 8 bytes"),
    "unknown type": (lambda p: p[:16] + struct.pack("<H", 9) + p[18:], "an event of type 9 has no format"),
    "short payload": (
        lambda p: p[:8] + struct.pack("<II", 8, 1) + p[16:],
        "an event of type 42 needs 20 bytes",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_malformed_pages_are_refused(name):
    """Whatever no kernel can have written is an error that names the place, and never a number."""
    spoil, words = WRONG[name]
    whole = page(5, event(1, Made(0, 1, 1, b"a").payload()))
    assert len(only(whole, formats={42: WORK})) == 1
    with pytest.raises(InfrastructureError, match=re.escape(words)):
        list(decode(spoil(whole), layout(HEADER_32), {42: WORK}))


def test_time_that_goes_back_is_refused():
    """Pages of one CPU follow each other; swapped ones are no capture."""
    data = event(1, Made(0, 1, 1, b"a").payload())
    with pytest.raises(InfrastructureError, match="time goes back from 901 to 101 ns"):
        only(page(900, data) + page(100, data))


def test_text_outside_of_the_capture_is_refused():
    """A text outside the capture is an error."""
    payload = bytearray(Made(0, 1, 1, b"a").payload())
    struct.pack_into("<I", payload, 16, 0xFFFF | 9 << 16)
    with pytest.raises(InfrastructureError, match="outside of the capture"):
        only(page(1, event(1, bytes(payload)))).texts(WORK.fields["name"])
    with pytest.raises(InfrastructureError, match="field name is not a number"):
        only(page(1, event(1, bytes(payload)))).numbers(WORK.fields["name"])


@pytest.mark.parametrize("text", ["", "field: u64 x; offset:0; size:8; signed:0;"])
def test_unknown_descriptions_are_refused(text):
    """A page or an event that the board does not describe can't be decoded."""
    with pytest.raises(InfrastructureError, match="unknown page layout"):
        layout(text)
    with pytest.raises(InfrastructureError, match="not the format of an event"):
        event_format(text)


@pytest.mark.parametrize("seed", range(200))
def test_spoiled_captures_never_crash_the_decoder(seed):
    """Random bytes changed in recorded pages: decoded or refused, but no other error and no endless loop."""
    rng = random.Random(seed)
    data = bytearray(RAW[seed % 2])
    for _ in range(rng.randrange(1, 8)):
        data[rng.randrange(400)] = rng.randrange(256)
    formats = {f.id: f for f in map(event_format, FORMATS)}
    try:
        events = only(bytes(data), HEADER, formats)
    except InfrastructureError:
        return
    assert len(events) <= 4080 // 8


@frozen
class Recorded:
    """A recording of captures/."""

    header: str
    formats: list[str]
    raw: dict[int, bytes]
    text: str
    roles: dict[str, Role]


def recorded(name: str) -> Recorded:
    place = CAPTURES / f"notifications-{name}"
    lines = [line.split() for line in (place / "events").read_text().splitlines()]
    return Recorded(
        (place / "header_page").read_text(),
        (place / "formats").read_text().split("@@\n"),
        {cpu: (place / f"cpu{cpu}.raw").read_bytes() for cpu in (0, 1)},
        (place / "trace").read_text(),
        {event: Role(role.replace("_", " "), "".join(key)) for event, role, *key in lines},
    )


@pytest.mark.parametrize("name", ["arm64", "arm32"])
def test_recorded_pages_and_text_tell_the_same(name):
    """Raw pages and text of one recording on a virtual board: equal notifications, to a microsecond."""
    board = recorded(name)
    formats = dict(zip(board.roles, map(event_format, board.formats), strict=True))
    by_id = {f.id: f for f in formats.values()}
    raw = [
        happening
        for cpu, data in board.raw.items()
        for happening in of_raw(cpu, only(data, board.header, by_id), formats, board.roles)
    ]
    printed = of_text(board.text, board.roles)
    # one more notification may have come between the reading of the text and that of the pages
    by_raw, by_text = follow(h for h in raw if h.ns <= max(t.ns for t in printed) + 999), follow(printed)
    assert by_raw.hits == by_text.hits
    assert len(by_raw.samples) == len(by_text.samples) == by_text.hits["ended"].total() > 8
    for exact, cut in zip(by_raw.samples, by_text.samples, strict=True):
        assert all(abs(exact.durations[n] - d) <= 1000 for n, d in cut.durations.items())
    assert lost_in_text(board.text) == 0


@pytest.mark.parametrize("layout_name", ["arm64", "arm32", "made"])
def test_trace_cmd_reads_the_same(layout_name, tmp_path):
    """trace-cmd report, on a file of the same pages, prints every event with the same time and fields."""
    if shutil.which("trace-cmd") is None:
        pytest.skip("trace-cmd is not installed")
    word = 8 if layout_name == "arm64" else 4
    if layout_name == "made":
        raw, header, formats = {0: written(apart(made(300, 1)), 10**12)}, HEADER_32, [FORMAT_32]
    else:
        board = recorded(layout_name)
        raw, header, formats = board.raw, board.header, board.formats
    trace_cmd_file.write(tmp_path / "trace.dat", header, formats, raw, word)
    by_id = {f.id: f for f in map(event_format, formats)}
    ours = []
    for cpu, data in raw.items():
        for events in decode(data, layout(header), by_id):
            for kind in by_id.values():
                chosen = events.of(kind)
                columns = {n: chosen.numbers(f).tolist() for n, f in kind.fields.items() if is_number(f)}
                for i, ns in enumerate(chosen.times_ns.tolist()):
                    ours.append((cpu, ns, kind.name, {n: v[i] for n, v in columns.items()}))
    theirs = trace_cmd_file.report(tmp_path / "trace.dat")
    assert sorted((c, t, columns["common_pid"], n) for c, t, n, columns in ours) == sorted(
        (c, t, p, n) for c, t, p, n, _ in theirs
    )
    fields = {(c, t, n): dict(re.findall(r"(\w+)=(\S+)", rest)) for c, t, _, n, rest in theirs}
    for cpu, ns, name, columns in ours:
        for key, value in columns.items():
            text = fields[cpu, ns, name].get(key)
            assert text is None or int(text, 16 if key.startswith("__") else 0) == value


def is_number(f) -> bool:
    return f.kind == "number" and f.size in (1, 2, 4, 8)
