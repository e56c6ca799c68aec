# SPDX-License-Identifier: MIT
"""Resource tables as Linux and firmware share them: every entry with its fields, or what is wrong with it.

Ref: Linux include/linux/remoteproc.h, struct resource_table, fw_rsc_carveout, fw_rsc_devmem, fw_rsc_trace,
fw_rsc_vdev, fw_rsc_vdev_vring.
"""

import struct
from typing import Any

from mpbench import layout

Entry = dict[str, Any]

VDEV_FIELDS = (
    *("id", "notifyid", "dfeatures", "gfeatures", "config_len"),
    *("status", "vrings", "reserved"),
)
FIELDS = {
    "carveout": ("<5I32s", ("da", "pa", "len", "flags", "reserved", "name")),
    "devmem": ("<5I32s", ("da", "pa", "len", "flags", "reserved", "name")),
    "trace": ("<3I32s", ("da", "len", "reserved", "name")),
    "vdev": (
        "<5IBB2s",
        VDEV_FIELDS,
    ),
}
VRING = struct.Struct("<5I")
VRING_FIELDS = ("da", "align", "num", "notifyid", "pa")
MAX_ENTRIES = 256
ANY_ADDRESS = 0xFFFF_FFFF
"""FW_RSC_ADDR_ANY: Linux chooses the address."""
VENDOR = range(128, 513)
VIRTIO_RPMSG = 7
"""VIRTIO_ID_RPMSG. Ref: include/uapi/linux/virtio_ids.h"""


def entries(table: bytes) -> list[Entry]:
    """Each entry: type, offset, its fields by the structures' names; wrong: why it cannot be read whole.

    table: the bytes of .resource_table from its version on. At most 256 entries are looked at.
    """
    if len(table) < layout.RESOURCE_HEAD.size:
        return []
    number = layout.RESOURCE_HEAD.unpack_from(table)[1]
    fits = (len(table) - layout.RESOURCE_HEAD.size) // 4
    offsets = struct.unpack_from(f"<{min(number, fits, MAX_ENTRIES)}I", table, layout.RESOURCE_HEAD.size)
    return [_entry(table, offset) for offset in offsets]


def _entry(table: bytes, offset: int) -> Entry:
    if offset + 4 > len(table):
        return {
            "type": "unknown",
            "offset": offset,
            "wrong": f"starts at or after the table's end, {len(table)}",
        }
    number = int.from_bytes(table[offset : offset + 4], "little")
    kind = layout.RESOURCE_TYPES.get(number, "vendor" if number in VENDOR else "unknown")
    found: Entry = {"type": kind, "number": number, "offset": offset}
    if kind not in FIELDS:
        return found
    form, names = FIELDS[kind]
    if offset + 4 + struct.calcsize(form) > len(table):
        return {
            **found,
            "wrong": f"its {struct.calcsize(form)} bytes end after the table's end, {len(table)}",
        }
    values = dict(zip(names, struct.unpack_from(form, table, offset + 4), strict=True))
    if values.pop("reserved") not in (0, b"\0\0"):
        found["wrong"] = "its reserved bytes are not zero"
    if "name" in values:
        values["name"] = values["name"].split(b"\0")[0].decode(errors="backslashreplace")
    found.update(values)
    return _with_vrings(table, offset + 4 + struct.calcsize(form), found) if kind == "vdev" else found


def _with_vrings(table: bytes, at: int, vdev: Entry) -> Entry:
    """A vdev with its vrings in place of their number."""
    count = vdev["vrings"]
    fits = max(0, (len(table) - at) // VRING.size)
    rings = [VRING.unpack_from(table, at + i * VRING.size) for i in range(min(count, fits))]
    vdev["vrings"] = [dict(zip(VRING_FIELDS, ring, strict=True)) for ring in rings]
    if count > fits:
        vdev["wrong"] = f"has {count} vrings; the table ends after {fits}"
    return vdev


def as_text(entry: Entry) -> list[str]:
    """Lines for a person: the entry, then its vrings."""
    what = {
        "carveout": "{name!r} da {where}, pa {pa:#010x}, {len:#x} bytes, flags {flags:#x}",
        "devmem": "{name!r} da {da:#010x}, pa {pa:#010x}, {len:#x} bytes, flags {flags:#x}",
        "trace": "{name!r} at {da:#010x}, {len:#x} bytes",
        "vdev": "id {id}{rpmsg}, notifyid {notifyid}, features {dfeatures:#x}, config {config_len} bytes",
    }
    if "da" not in entry and "id" not in entry:
        shown = f"number {entry['number']}" if "number" in entry else ""
    else:
        rpmsg = " (RPMsg)" if entry.get("id") == VIRTIO_RPMSG else ""
        shown = what[entry["type"]].format(**entry, rpmsg=rpmsg, where=_da_text(entry.get("da", 0)))
    wrong = f"; {entry['wrong']}" if "wrong" in entry else ""
    lines = [f"{entry['type']} {shown}".rstrip() + wrong]
    for number, ring in enumerate(entry.get("vrings", ())):
        buffers = f"{ring['num']} buffers, align {ring['align']}, notifyid {ring['notifyid']}"
        lines.append(f"  vring {number}: da {_da_text(ring['da'])}, {buffers}")
    return lines


def _da_text(da: int) -> str:
    return "chosen by Linux" if da == ANY_ADDRESS else f"{da:#010x}"
