# SPDX-License-Identifier: MIT
"""P8: decoding a raw trace buffer, against trace-cmd report and parsing its text. Needs no board.

Times are CPU times, since decoding is computation only: other load of the host does not matter.
"""

import resource
import shutil
import struct
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from mpbench.board.trace.ring_buffer import decode, event_format, layout
from testcases import trace_cmd_file
from testcases.performance.rows import Board, Row

NUMBERS = ("P8",)
CAPTURE = Path(__file__).parents[1] / "captures/notifications-arm64"
COPIES = 4000
TARGET_PER_S = 3e6
PEER = "trace-cmd report + parsing"


def benchmarks(board: Board | None) -> Iterator[Row]:  # noqa: ARG001 - it needs no board
    """Captured events, repeated; both methods read every event's time, type and process."""
    header = (CAPTURE / "header_page").read_text()
    formats = (CAPTURE / "formats").read_text().split("@@\n")
    data = _repeated((CAPTURE / "cpu0.raw").read_bytes(), header, formats)
    number, ours_s = sorted(_ours(data, header, formats) for _ in range(9))[4]
    peer_s = None
    if shutil.which("trace-cmd"):
        peer_number, peer_s = _peer(data, header, formats)
        assert peer_number == number
    what = f"decode {number} events, {number / ours_s / 1e6:.1f} M/s of CPU time"
    yield Row("P8", what, PEER, peer_s, ours_s, "≥ 3 M events/s", number / ours_s >= TARGET_PER_S)


def _repeated(page: bytes, header: str, formats: list[str]) -> bytes:
    """Full pages of the events of a captured page, without their texts, a microsecond apart."""
    kinds = {f.id: f for f in map(event_format, formats)}
    (events,) = decode(page, layout(header), kinds)
    data = b""
    for number, at in zip(events.ids.tolist(), events.at.tolist(), strict=True):
        size = -(-kinds[number].size // 4) * 4
        payload = bytearray(page[at : at + size])
        for text in (f for f in kinds[number].fields.values() if f.kind == "text"):
            payload[text.at : text.at + text.size] = bytes(text.size)
        data += struct.pack("<I", size // 4 | 1000 << 5) + payload
    body = data * (4080 // len(data))
    head = struct.pack("<Q", len(body))
    pages = [struct.pack("<Q", (n + 1) * 10**9) + head + body.ljust(4080, b"\0") for n in range(COPIES)]
    return b"".join(pages)


def _ours(data: bytes, header: str, formats: list[str]) -> tuple[int, float]:
    start, number = time.process_time(), 0
    by_id = {f.id: f for f in map(event_format, formats)}
    pid = next(iter(by_id.values())).fields["common_pid"]
    for events in decode(data, layout(header), by_id):
        number += len(events.numbers(pid))
    return number, time.process_time() - start


def _cpu_s() -> float:
    """CPU seconds of this process and of its children that have ended."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime


def _peer(data: bytes, header: str, formats: list[str]) -> tuple[int, float]:
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "trace.dat"
        trace_cmd_file.write(path, header, formats, {0: data}, 8)
        start = _cpu_s()
        return len(trace_cmd_file.report(path)), _cpu_s() - start
