# SPDX-License-Identifier: MIT
"""Content of a signed image, and integrity coverage by byte range. Plain values, ready for JSON."""

import hashlib
from collections.abc import Iterator, Sequence
from itertools import count as count_up
from itertools import takewhile
from typing import Any

from attrs import frozen

from mpbench import layout
from mpbench.core.errors import UsageError
from mpbench.core.sanitize import one_line
from mpbench.image.bounds import MAX_ENTRIES, refuse_overlaps
from mpbench.image.default_key import default_key
from mpbench.image.elf_report import place_text
from mpbench.image.fields import (
    ImageField,
    fields,
    header,
    images_at,
    signature_at,
    tlv_count,
    tlv_name,
)
from mpbench.image.keys import PublicKey, fingerprint, made_by
from mpbench.image.resource_table import as_text as entry_text
from mpbench.image.resource_table import entries
from mpbench.layout import SignType

SIGNED, HASHED, PARTLY, NONE = "signature", "hash", "hash table, in part", "none"

Report = dict[str, Any]


def inspect(image: bytes, name: str, keys: Sequence[tuple[str, PublicKey]] = ()) -> Report:
    """Everything about an image. keys: public keys that may have made its signature, by name.

    UsageError: not a signed image, with the offset of the evidence.
    """
    refuse_unsigned(image, name)
    known = fields(image)
    refuse_too_much(image, known, name)
    tables = Tables.of(image, known)
    return {
        "file": name,
        "size": len(image),
        "sha256": hashlib.sha256(image).hexdigest(),
        "header": {field: known[f"header.{field}"].number(image) for field in layout.HEADER_FIELDS},
        "tlvs": tlvs(image, known),
        "signature": signature(image, known, keys),
        "images": [elf(image, known, i, tables) for i in range(count(known))],
        "ranges": ranges(image, known),
    }


def refuse_unsigned(image: bytes, name: str) -> None:
    """UsageError unless header and lengths are those of a signed image."""
    if len(image) < layout.HEADER.size:
        raise UsageError(
            f"{name}: offset {len(image):#x}: the file ends inside the header of {layout.HEADER.size} bytes"
        )
    magic, version, _, _, img_len = header(image)
    if magic != layout.HEADER_MAGIC:
        what = "an unsigned ELF" if image.startswith(layout.ELF_MAGIC) else "not a signed image"
        raise UsageError(
            f"{name}: offset 0x0: magic {magic:#010x} instead of {layout.HEADER_MAGIC:#010x}; {what}"
        )
    if version != layout.HEADER_VERSION:
        raise UsageError(f"{name}: offset 0x4: version {version} instead of {layout.HEADER_VERSION}")
    expected = images_at(image) + layout.pad8(img_len)
    if len(image) != expected:
        raise UsageError(
            f"{name}: offset {len(image):#x}: the header's lengths add up to {expected:#x} bytes"
        )


def refuse_too_much(image: bytes, known: dict[str, ImageField], name: str) -> None:
    """UsageError if there is more than is listed, or than can be hashed in linear time."""
    elfs = [f"elf{i}" for i in range(count(known))]

    def number(field: str) -> int:
        return known[field].number(image) if field in known else 0

    def headers(member: str, total: str) -> int:
        """Number of headers, if those that are listed are not all."""
        listed = sum(1 for field in known if field.startswith("elf") and field.endswith(f".{member}"))
        return sum(number(f"{elf}.{total}") for elf in elfs) if listed >= MAX_ENTRIES else listed

    counts = {
        "TLVs": tlv_count(image),
        "program headers": headers("p_type", "e_phnum"),
        "section headers": headers("sh_name", "e_shnum"),
        "entries in HASHTABLE": number("tlv.HASHTABLE.length") // layout.HASH_ENTRY.size,
        "entries in ENCTABLE": number("tlv.ENCTABLE.length") // layout.ENC_ENTRY.size,
    }
    for what, found in counts.items():
        if found > MAX_ENTRIES:
            raise UsageError(f"{name}: {found} {what}; at most {MAX_ENTRIES} can be shown")
    refuse_overlaps(sum(f.size for f in known.values() if ".data" in f.name), len(image), name)


def count(known: dict[str, ImageField]) -> int:
    """Number of ELF files that can be read."""
    return sum(1 for field in known if field.startswith("elf") and field.endswith(".e_ident"))


def tlvs(image: bytes, known: dict[str, ImageField]) -> list[Report]:
    """Type, length and value of every TLV, long values shortened."""
    rows = []
    for field in known.values():
        if field.name.startswith("tlv.") and field.name.endswith(".value"):
            kind, length = layout.TLV_HEAD.unpack_from(image, field.at - layout.TLV_HEAD.size)
            value = image[field.at : field.end]
            row = {"type": kind, "name": tlv_name(kind), "length": length, "offset": field.at}
            if length == 4:
                row["number"] = field.number(image)
            rows.append({**row, "value": value.hex() if length <= 64 else f"{value[:16].hex()}..."})
    return rows


def signature(image: bytes, known: dict[str, ImageField], keys: Sequence[tuple[str, PublicKey]]) -> Report:
    """Algorithm, place, and which of the keys made it."""
    field, kind = known["signature"], known.get("tlv.SIGNTYPE.value")
    number = kind.number(image) if kind is not None else 0
    algorithm = SignType(number).name if number in SignType._value2member_map_ else f"unknown ({number})"
    start = signature_at(image)
    candidates = [*keys, ("OP-TEE's public default key", default_key())]
    made = [
        {"key": name, "fingerprint": fingerprint(key)}
        for name, key in candidates
        if made_by(key, image[:start], image[field.at : field.end])
    ]
    return {"algorithm": algorithm, "offset": field.at, "length": field.size, "made_by": made}


def elf(image: bytes, known: dict[str, ImageField], index: int, tables: "Tables") -> Report:
    """Segments with their hashes, and the resource table, of one ELF file."""
    name = f"elf{index}"
    at = known[f"{name}.e_ident"].at
    segments = [segment(image, known, name, i, tables) for i in numbers(known, f"{name}.ph{{}}.p_type")]
    return {
        "offset": at,
        "type": image_type(image, known, index),
        "entry": known[f"{name}.e_entry"].number(image),
        "segments": segments,
        "resource_table": resource_table(image, known, name),
    }


def only_elf(image: bytes, name: str) -> bytes:
    """The ELF file in a signed image, b"" if there are several or it is encrypted."""
    report = inspect(image, name)
    sizes = [tlv["number"] for tlv in report["tlvs"] if tlv["name"] == "IMGSIZE" and tlv.get("number")]
    if [one["type"] for one in report["images"]] != ["ELF"] or len(sizes) != 1:
        return b""
    at = report["images"][0]["offset"]
    return image[at : at + sizes[0]]


def image_type(image: bytes, known: dict[str, ImageField], index: int) -> str:
    """What IMGTYPE calls the image; with its cipher if it is one of ST's encrypted ones."""
    field, cipher = known.get("tlv.IMGTYPE.value"), known.get("tlv.ENCTYPE.value")
    number = image[field.at + index] if field is not None and index < field.size else None
    if number != layout.IMG_ENCRYPTED_ELF:
        return "ELF" if number == layout.IMG_ELF else f"unknown type {number}"
    aes = cipher is not None and image[cipher.at : cipher.end] == bytes([layout.ENC_AES_CBC])
    return f"encrypted ELF ({'AES-CBC' if aes else 'unknown cipher'})"


def numbers(known: dict[str, ImageField], name: str) -> Iterator[int]:
    """The numbers from 0 on for which there is a field of this name, e.g. "hash{}.p_paddr"."""
    return takewhile(lambda i: name.format(i) in known, count_up())


@frozen
class Tables:
    """HASHTABLE and ENCTABLE by p_paddr: number of the first entry for an address, which is what counts."""

    hashes: dict[int, int]
    encrypted: dict[int, int]

    @classmethod
    def of(cls, image: bytes, known: dict[str, ImageField]) -> "Tables":
        """The tables of an image."""

        def first(table: str) -> dict[int, int]:
            found: dict[int, int] = {}
            for i in numbers(known, f"{table}{{}}.p_paddr"):
                found.setdefault(known[f"{table}{i}.p_paddr"].number(image), i)
            return found

        return cls(first("hash"), first("enc"))


def segment(image: bytes, known: dict[str, ImageField], name: str, index: int, tables: Tables) -> Report:
    """One program header; hash: SHA-256 of its data; signed_hash: that in the hash table at its p_paddr."""
    at = known[f"{name}.ph{index}.p_type"].at
    head = dict(zip(layout.PHDR_FIELDS, layout.PHDR.unpack_from(image, at), strict=True))
    data = known.get(f"{name}.data{index}")
    digest = hashlib.sha256(memoryview(image)[data.at : data.end] if data else b"").hexdigest()

    def hexadecimal(field: str) -> str:
        return image[known[field].at : known[field].end].hex()

    entry, cipher = tables.hashes.get(head["p_paddr"]), tables.encrypted.get(head["p_paddr"])
    signed = None if entry is None else hexadecimal(f"hash{entry}.sha256")
    row = {**head, "hash": digest, "signed_hash": signed}
    if cipher is not None:
        row["iv"] = hexadecimal(f"enc{cipher}.iv")
        row["encrypted_hash"] = hexadecimal(f"enc{cipher}.sha256")
    return row


def resource_table(image: bytes, known: dict[str, ImageField], name: str) -> Report | None:
    """Address, size and entries; None without one."""
    head, first = known.get(f"{name}.rschead.sh_name"), known.get(f"{name}.rsc.ver")
    if head is None or first is None:
        return None
    row = dict(zip(layout.SHDR_FIELDS, layout.SHDR.unpack_from(image, head.at), strict=True))
    content = image[first.at : first.at + row["sh_size"]]
    version = layout.RESOURCE_HEAD.unpack_from(content)[0]
    found = {"da": row["sh_addr"], "size": row["sh_size"], "version": version}
    return {**found, "entries": entries(content)}


def ranges(image: bytes, known: dict[str, ImageField]) -> list[Report]:
    """Every byte of the file once: from, to, what it is, by what it is protected."""
    parts = sorted(_claims(image, known), key=lambda p: (p[0], -p[1]))
    rows: list[Report] = []
    at = 0
    for start, end, what, by in parts:
        if end <= at:
            continue
        if start > at:
            rows.append({"from": at, "to": start, "what": "symbols, names, gaps", "by": NONE})
        rows.append({"from": max(start, at), "to": end, "what": what, "by": by})
        at = end
    if at < len(image):
        rows.append({"from": at, "to": len(image), "what": "symbols, names, gaps", "by": NONE})
    return rows


def _claims(image: bytes, known: dict[str, ImageField]) -> list[tuple[int, int, str, str]]:
    claims = [
        (0, layout.HEADER.size, "header", SIGNED),
        (layout.HEADER.size, signature_at(image), "TLVs", SIGNED),
        (signature_at(image), known["signature"].end, "signature", "itself"),
    ]
    if (padding := known.get("signature.padding")) is not None:
        claims.append((padding.at, padding.end, "padding of the signature", NONE))
    for index in range(count(known)):
        claims += _claims_of(image, known, f"elf{index}")
    return claims


def _claims_of(image: bytes, known: dict[str, ImageField], name: str) -> list[tuple[int, int, str, str]]:
    at = known[f"{name}.e_ident"].at
    claims = [(at, at + layout.EHDR.size, f"{name}: ELF header", NONE)]
    for i in numbers(known, f"{name}.ph{{}}.p_type"):
        head, data = known[f"{name}.ph{i}.p_type"], known.get(f"{name}.data{i}")
        loads = head.number(image) == layout.PT_LOAD
        what = f"{name}: program header {i}"
        claims.append((head.at, head.at + layout.PHDR.size, what, PARTLY if loads else NONE))
        if loads and data is not None:
            claims.append((data.at, data.end, f"{name}: data of segment {i}", HASHED))
    sections = [known[f"{name}.sh{i}.sh_name"].at for i in numbers(known, f"{name}.sh{{}}.sh_name")]
    if sections:
        claims.append((sections[0], sections[-1] + layout.SHDR.size, f"{name}: section headers", NONE))
    return claims


def as_text(report: Report) -> str:
    """The report for a person."""
    lines = [one_line(f"{report['file']}: {report['size']} bytes, sha256 {report['sha256']}"), ""]
    lines += [f"  {field:<10} {value:#010x}" for field, value in report["header"].items()]
    made = report["signature"]
    keys = [f"{m['key']} ({m['fingerprint'][:16]})" for m in made["made_by"]] or ["none of the given keys"]
    where = f"{made['length']} bytes at {made['offset']:#x}"
    lines += ["", f"signature: {made['algorithm']}, {where}, made by {', '.join(keys)}", ""]
    lines += [
        f"  {t['name']:<10} {t['length']:>5} bytes at {t['offset']:#06x}  {t['value']}"
        + (f" = {t['number']:#x}" if "number" in t else "")
        for t in report["tlvs"]
    ]
    for index, image in enumerate(report["images"]):
        what = f"{image['type']}, entry {image['entry']:#x}"
        lines += ["", f"image {index + 1} at {image['offset']:#x}, {what}"]
        lines += [_segment_text(s) for s in image["segments"]]
        lines += _table_text(image["resource_table"])
    lines += ["", "integrity coverage by byte range:"]
    lines += [f"  {r['from']:#08x}..{r['to']:#08x}  {r['by']:<20} {r['what']}" for r in report["ranges"]]
    return "\n".join(lines)


def _segment_text(row: Report) -> str:
    fits = "HASH DIFFERS" if row["signed_hash"] or "iv" in row else "NOT SIGNED"
    if row["hash"] in (row["signed_hash"], row.get("encrypted_hash")):
        fits = "hash matches"
    fits += f", encrypted, IV {row['iv']}" if "iv" in row else ""
    return (
        f"  type {row['p_type']:#x} {place_text(row)}, "
        f"offset {row['p_offset']:#x}, sha256 {row['hash'][:16]}, {fits}"
    )


def _table_text(table: Report | None) -> list[str]:
    if table is None:
        return ["  no resource table"]
    lines = [f"  resource table at {table['da']:#010x}, {table['size']} bytes, version {table['version']}"]
    return lines + [f"    {line}" for e in table["entries"] for line in entry_text(e)]
