# SPDX-License-Identifier: MIT
"""Write raw trace pages into a trace.dat file, for `trace-cmd report` as an independent decoder.

Ref: trace-cmd 3.1, Documentation/trace-cmd/trace-cmd.dat.v6.5.txt
"""

import re
import struct
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

PAGE = 4096
HEADER_EVENT = (
    "# compressed entry header\n\ttype_len    :    5 bits\n\ttime_delta  :   27 bits\n"
    "\tarray       :   32 bits\n\n"
    "\tpadding     : type == 29\n\ttime_extend : type == 30\n\ttime_stamp : type == 31\n"
    "\tdata max type_len  == 28\n"
)


def _sized(text: bytes, kind: str = "<Q") -> bytes:
    return struct.pack(kind, len(text)) + text


def write(path: Path, header_page: str, formats: Sequence[str], raw: Mapping[int, bytes], word: int) -> None:
    """Write a trace.dat: `raw` holds the pages of each CPU, `word` is the kernel's word size in bytes."""
    head = b"\x17\x08\x44tracing6\0" + struct.pack("<BBI", 0, word, PAGE)
    head += b"header_page\0" + _sized(header_page.encode())
    head += b"header_event\0" + _sized(HEADER_EVENT.encode())
    head += struct.pack("<I", 0)
    head += struct.pack("<I", 1) + b"bench\0" + struct.pack("<I", len(formats))
    head += b"".join(_sized(text.encode()) for text in formats)
    head += _sized(b"", "<I") + _sized(b"", "<I") + _sized(b"") + struct.pack("<I", len(raw)) + b"flyrecord\0"
    at = -(-(len(head) + 16 * len(raw)) // PAGE) * PAGE
    places, body = b"", b""
    for data in raw.values():
        places += struct.pack("<QQ", at + len(body), len(data))
        body += data
    path.write_bytes((head + places).ljust(at, b"\0") + body)


LINE = re.compile(r"^ *(.+)-(\d+) +\[(\d+)\]\S* +(\d+)\.(\d{9}): +(\w+): +(.*)$")
"""trace-cmd 3.3 prints the flags of an event directly after the CPU, in hexadecimal."""


def report(path: Path) -> list[tuple[int, int, int, str, str]]:
    """(CPU, time in ns, process id, event, raw fields) of every event, as trace-cmd decodes it."""
    done = subprocess.run(
        ["trace-cmd", "report", "-R", "-t", "-i", str(path)], capture_output=True, text=True, check=True
    )
    found = [LINE.match(line) for line in done.stdout.splitlines() if not line.startswith("cpus=")]
    assert all(found), done.stdout[:500]
    return [(int(m[3]), int(m[4] + m[5]), int(m[2]), m[6], m[7]) for m in found if m]
