# SPDX-License-Identifier: MIT
"""Every field of a signed image by name, with its position: shown by inspect, changed by faults.

Names: header.magic; tlv.SIGNTYPE.type, .length, .value, .padding; hash0.p_paddr, hash0.sha256; enc0.iv
(ST's ENCTABLE); signature, signature.padding; elf0.e_phoff; elf0.ph1.p_filesz; elf0.data1 (file data of
program header 1); elf0.sh2.sh_name; elf0.rsc.ver; elf0.rschead.sh_addr (section header of
the resource table). Fields that do not fit the file are left out; nothing raises.
"""

from collections.abc import Iterator
from struct import Struct

from attrs import frozen

from mpbench import layout
from mpbench.image.bounds import MAX_IMAGES, Room
from mpbench.layout import Tlv


@frozen
class ImageField:
    """Bytes `at` .. `at + size` of the file."""

    name: str
    at: int
    size: int

    @property
    def end(self) -> int:
        """End of the field (exclusive)."""
        return self.at + self.size

    def number(self, image: bytes | bytearray) -> int:
        """The field as a little-endian number."""
        return int.from_bytes(image[self.at : self.end], "little")


_NAME = layout.RESOURCE_SECTION + b"\0"  # or without the zero, where the names end


def fields(image: bytes) -> dict[str, ImageField]:
    """All fields that lie inside the file, in the order of the format."""
    return {f.name: f for f in _all(image) if f.size >= 0 and f.end <= len(image)}


def header(image: bytes) -> tuple[int, int, int, int, int]:
    """magic, version, tlv_len, sign_len, img_len; zeros where the file is too short."""
    filled = image[: layout.HEADER.size].ljust(layout.HEADER.size, b"\0")
    return layout.HEADER.unpack(filled)


def signature_at(image: bytes) -> int:
    """Offset of the signature."""
    return layout.HEADER.size + layout.pad8(header(image)[2])


def images_at(image: bytes) -> int:
    """Offset of the first ELF file."""
    return signature_at(image) + layout.pad8(header(image)[3])


def _all(image: bytes) -> Iterator[ImageField]:
    for i, name in enumerate(layout.HEADER_FIELDS):
        yield ImageField(f"header.{name}", 4 * i, 4)
    found = {f.name: f for f in tlvs(image)}
    yield from found.values()
    start, length = signature_at(image), header(image)[3]
    yield ImageField("signature", start, length)
    if layout.pad8(length) > length:
        yield ImageField("signature.padding", start + length, layout.pad8(length) - length)
    at, room = images_at(image), Room()
    for index, size in enumerate(image_sizes(image, found.get("tlv.IMGSIZE.value"))):
        yield from elf(image, f"elf{index}", (at, size), room)
        at += size


def tlvs(image: bytes) -> Iterator[ImageField]:
    """The records of the TLV area and, inside HASHTABLE, its entries."""
    at, end = layout.HEADER.size, min(layout.HEADER.size + header(image)[2], len(image))
    room = Room()
    while at + layout.TLV_HEAD.size <= end and room.take("tlv", 1):
        kind, length = layout.TLV_HEAD.unpack_from(image, at)
        name = f"tlv.{tlv_name(kind)}"
        yield ImageField(f"{name}.type", at, 4)
        yield ImageField(f"{name}.length", at + 4, 4)
        at += layout.TLV_HEAD.size
        yield ImageField(f"{name}.value", at, length)
        if layout.pad8(length) > length:
            yield ImageField(f"{name}.padding", at + length, layout.pad8(length) - length)
        if kind == Tlv.HASHTABLE and at + length <= end:
            yield from _hashes(
                at, room.take("hash", length // layout.HASH_ENTRY.size), "hash", layout.HASH_ENTRY
            )
        if kind == Tlv.ENCTABLE and at + length <= end:
            yield from _hashes(at, room.take("enc", length // layout.ENC_ENTRY.size), "enc", layout.ENC_ENTRY)
        at += layout.pad8(length)


def tlv_count(image: bytes) -> int:
    """Number of records of the TLV area, also of those that are not listed."""
    at, end, number = layout.HEADER.size, min(layout.HEADER.size + header(image)[2], len(image)), 0
    while at + layout.TLV_HEAD.size <= end:
        at += layout.TLV_HEAD.size + layout.pad8(layout.TLV_HEAD.unpack_from(image, at)[1])
        number += 1
    return number


def tlv_name(kind: int) -> str:
    """SIGNTYPE, or the number of a type without a name."""
    return Tlv(kind).name if kind in Tlv._value2member_map_ else f"{kind:#x}"


def _hashes(at: int, count: int, name: str, form: Struct) -> Iterator[ImageField]:
    for index in range(count):
        start = at + index * form.size
        yield from _struct(f"{name}{index}", layout.PHDR, layout.PHDR_FIELDS, start)
        yield ImageField(f"{name}{index}.sha256", start + layout.PHDR.size, layout.SHA256_SIZE)
        if form is layout.ENC_ENTRY:
            yield ImageField(f"{name}{index}.iv", start + layout.HASH_ENTRY.size, layout.ENC_IV_SIZE)


def image_sizes(image: bytes, field: ImageField | None) -> list[int]:
    """Sizes of the ELF files: IMGSIZE as far as it makes sense, else everything after the signature."""
    rest = max(len(image) - images_at(image), 0)
    if field is None or field.size % 4 or field.end > len(image):
        return [rest]
    end = min(field.end, field.at + 4 * MAX_IMAGES)
    sizes = [int.from_bytes(image[i : i + 4], "little") for i in range(field.at, end, 4)]
    return sizes if sizes and sum(sizes) <= rest else [rest]


def elf(image: bytes, name: str, place: tuple[int, int], room: Room) -> Iterator[ImageField]:
    """Headers, segment data and resource table of one ELF file. place: its position and size."""
    at, size = place
    if size < layout.EHDR.size or at + size > len(image):
        return
    yield from _struct(name, layout.EHDR, layout.EHDR_FIELDS, at)
    head = dict(zip(layout.EHDR_FIELDS, layout.EHDR.unpack_from(image, at), strict=True))
    for index in range(room.take("ph", head["e_phnum"])):
        start = at + head["e_phoff"] + index * layout.PHDR.size
        if start + layout.PHDR.size > at + size:
            break
        yield from _struct(f"{name}.ph{index}", layout.PHDR, layout.PHDR_FIELDS, start)
        _, offset, _, _, filesz, *_ = layout.PHDR.unpack_from(image, start)
        if filesz and offset + filesz <= size:
            yield ImageField(f"{name}.data{index}", at + offset, filesz)
    yield from _sections(image, name, place, head, room.take("sh", head["e_shnum"]))


def _sections(
    image: bytes, name: str, place: tuple[int, int], head: dict[str, int], count: int
) -> Iterator[ImageField]:
    at, size = place
    start, step = at + head["e_shoff"], layout.SHDR.size
    if head["e_shoff"] + count * step > size:
        return
    rows = [layout.SHDR.unpack_from(image, start + i * step) for i in range(count)]
    for index in range(count):
        yield from _struct(f"{name}.sh{index}", layout.SHDR, layout.SHDR_FIELDS, start + index * step)
    if head["e_shstrndx"] >= count:
        return
    names_offset, names_size = rows[head["e_shstrndx"]][4:6]
    if names_offset + names_size > size:
        return
    names = image[at + names_offset : at + names_offset + names_size]
    yield ImageField(f"{name}.names", at + names_offset, names_size)
    for index, row in enumerate(rows):
        if names[row[0] : row[0] + len(_NAME)] in (_NAME, _NAME[:-1]) and row[4] + row[5] <= size:
            yield from _struct(f"{name}.rschead", layout.SHDR, layout.SHDR_FIELDS, start + index * step)
            yield from _resource(f"{name}.rsc", at + row[4], row[5])


def _resource(name: str, at: int, size: int) -> Iterator[ImageField]:
    if size >= layout.RESOURCE_HEAD.size:
        words = ("ver", "num", "reserved0", "reserved1")
        yield from (ImageField(f"{name}.{word}", at + 4 * i, 4) for i, word in enumerate(words))


def _struct(name: str, form: Struct, names: tuple[str, ...], at: int) -> Iterator[ImageField]:
    """One field per member of a packed structure."""
    ehdr = [16, 2, 2, 4, 4, 4, 4, 4, 2, 2, 2, 2, 2, 2]
    sizes = ehdr if form is layout.EHDR else [4] * (form.size // 4)
    for member, size in zip(names, sizes, strict=True):
        yield ImageField(f"{name}.{member}", at, size)
        at += size
