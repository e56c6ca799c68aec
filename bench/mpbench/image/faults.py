# SPDX-License-Identifier: MIT
"""Faults of signed images: named ones, and random ones from a seed, chosen field by field.

A fault either leaves the signature as it is (tampering) or signs again (a firmware that was built wrong).
No header length ever reaches 2^31: such an image may hang a board.
"""

import hashlib
import itertools
import random
from collections.abc import Callable

from attrs import frozen

from mpbench import layout
from mpbench.core.errors import UsageError
from mpbench.image.fields import ImageField, fields, header, images_at, signature_at
from mpbench.image.keys import PrivateKey
from mpbench.image.sign import signature

Change = Callable[[bytearray, ImageField], None]


@frozen
class ImageFault:
    """A named fault. field: the one it changes; what: description.

    signs: whether the image is signed again; hashes: whether its hash table is made again before that.
    """

    name: str
    field: str
    change: Change
    what: str
    signs: bool = False
    hashes: bool = False


def flip(image: bytearray, field: ImageField) -> None:
    """The lowest bit of the field's first byte."""
    image[field.at] ^= 1


def flip_last(image: bytearray, field: ImageField) -> None:
    """The lowest bit of the field's last byte."""
    image[field.end - 1] ^= 1


def set_to(value: int) -> Change:
    """The field becomes this number."""
    return lambda image, field: put(image, field, value)


def add(amount: int) -> Change:
    """The field grows by this number."""
    return lambda image, field: put(image, field, field.number(image) + amount)


def put(image: bytearray, field: ImageField, value: int) -> None:
    """Number written into a field, cut to its size."""
    image[field.at : field.end] = (value % (1 << 8 * field.size)).to_bytes(field.size, "little")


def cut(image: bytearray, _: ImageField) -> None:
    """The last 8 bytes of the file are lost."""
    del image[-8:]


def grow(image: bytearray, _: ImageField) -> None:
    """8 bytes are appended."""
    image += bytes(8)


def cut_to_header(image: bytearray, field: ImageField) -> None:
    """Only the bytes before the field are left."""
    del image[field.at :]


def raw_elf(image: bytearray, field: ImageField) -> None:
    """The ELF alone, unsigned."""
    del image[: field.at]


def to_the_end(image: bytearray, field: ImageField) -> None:
    """A table 16 bytes before the end. (Further out the loader reads wild memory and the TA may panic.)"""
    start = images_at(bytes(image))
    put(image, field, (len(image) - start - 16) & ~3)


without_tlv = set_to(0x7FFF)
"""The record's type becomes one that is never looked up."""

FaultRow = tuple[str, str, Change, str]

_TAMPERED: tuple[FaultRow, ...] = (
    ("header-magic", "header.magic", flip, "one bit of the magic number"),
    ("header-version", "header.version", set_to(2), "version 2"),
    ("header-tlv-len", "header.tlv_len", add(8), "tlv_len grows by 8"),
    ("header-tlv-len-zero", "header.tlv_len", set_to(0), "no TLVs"),
    ("header-sign-len", "header.sign_len", add(8), "sign_len grows by 8"),
    ("header-sign-len-zero", "header.sign_len", set_to(0), "no signature"),
    ("header-img-len", "header.img_len", add(8), "img_len grows by 8"),
    ("header-img-len-odd", "header.img_len", add(-1), "img_len shrinks by 1: the padded size is unchanged"),
    ("lengths-overflow", "header.tlv_len", set_to(0x7FFFFFF8), "TLVs of almost 2 GiB"),
    ("truncated", "header.magic", cut, "the last 8 bytes are missing"),
    ("truncated-to-signature", "elf0.e_ident", cut_to_header, "truncated after the signature"),
    ("truncated-in-header", "header.img_len", cut_to_header, "16 bytes in all"),
    ("longer", "header.magic", grow, "8 bytes appended"),
    ("raw-elf", "elf0.e_ident", raw_elf, "an unsigned ELF"),
    ("signature-first", "signature", flip, "one bit of the signature's first byte"),
    ("signature-last", "signature", flip_last, "one bit of the signature's last byte"),
    ("tlv-value-unsigned", "tlv.IMGSIZE.value", flip, "a TLV changed without signing again"),
    ("tlv-padding", "tlv.SIGNTYPE.padding", flip, "padding of a TLV: it is signed as well"),
    ("hash-unsigned", "hash0.sha256", flip, "a hash changed without signing again"),
    ("elf-magic", "elf0.e_ident", flip, "one bit of the ELF's magic number"),
    ("elf-type", "elf0.e_type", set_to(9), "e_type: ignored by the loader"),
    ("elf-machine", "elf0.e_machine", set_to(3), "e_machine: ignored by the loader"),
    ("elf-entry", "elf0.e_entry", flip, "e_entry: ignored by the loader"),
    ("elf-phoff", "elf0.e_phoff", add(4), "e_phoff: the headers are read one word too late"),
    ("elf-phoff-unaligned", "elf0.e_phoff", add(1), "e_phoff not aligned"),
    ("elf-phoff-outside", "elf0.e_phoff", to_the_end, "the program headers run past the file"),
    ("elf-shoff-outside", "elf0.e_shoff", set_to(0x7FFFFFF0), "e_shoff outside the file"),
    ("elf-shoff-unaligned", "elf0.e_shoff", add(-1), "e_shoff not aligned"),
    ("elf-phentsize", "elf0.e_phentsize", set_to(56), "e_phentsize of a 64-bit ELF"),
    ("elf-shentsize", "elf0.e_shentsize", set_to(64), "e_shentsize of a 64-bit ELF"),
    ("elf-phnum-zero", "elf0.e_phnum", set_to(0), "no program headers"),
    ("elf-phnum-less", "elf0.e_phnum", add(-1), "the last segment silently left out"),
    ("elf-shnum-zero", "elf0.e_shnum", set_to(0), "no section headers"),
    ("elf-shnum-huge", "elf0.e_shnum", set_to(0xFFFF), "section headers run past the file"),
    ("elf-shstrndx", "elf0.e_shstrndx", set_to(0xFFFF), "no section name table"),
    ("segment-type", "elf0.ph0.p_type", set_to(0), "a PT_LOAD turned into PT_NULL is left out"),
    ("segment-offset", "elf0.ph0.p_offset", add(4), "data taken from elsewhere"),
    ("segment-offset-outside", "elf0.ph0.p_offset", set_to(0x7FFFFFF0), "data outside the file"),
    ("segment-paddr", "elf0.ph0.p_paddr", add(4), "another load address"),
    ("segment-filesz", "elf0.ph0.p_filesz", add(-4), "less data than signed"),
    ("segment-memsz", "elf0.ph0.p_memsz", add(4), "more memory than signed"),
    ("payload-first", "elf0.data0", flip, "one bit of a segment's first byte"),
    ("payload-last", "elf0.data0", flip_last, "one bit of a segment's last byte"),
    ("section-name-outside", "elf0.sh1.sh_name", set_to(0x7FFFFFF0), "a name outside the name table"),
    ("rsc-address", "elf0.rschead.sh_addr", set_to(0x1000), "resource table outside the core's memory"),
    ("rsc-moved", "elf0.rschead.sh_addr", add(-4), "resource table moved inside the memory: accepted"),
    ("rsc-empty", "elf0.rschead.sh_size", set_to(0), "resource table of 0 bytes: as if there were none"),
    ("rsc-short", "elf0.rschead.sh_size", set_to(12), "resource table shorter than its header"),
    ("rsc-cut", "elf0.rschead.sh_size", set_to(16), "resource table shorter than its entries"),
    ("rsc-outside", "elf0.rschead.sh_offset", set_to(0x7FFFFFF0), "resource table outside the file"),
    ("rsc-unaligned", "elf0.rschead.sh_offset", add(1), "resource table not aligned"),
    ("rsc-nameless", "elf0.rschead.sh_name", set_to(0), "no section is named .resource_table"),
    ("rsc-version", "elf0.rsc.ver", set_to(2), "resource table of version 2"),
    ("rsc-num", "elf0.rsc.num", set_to(0x10000), "more entries than room"),
    ("rsc-reserved", "elf0.rsc.reserved0", set_to(1), "a reserved word is not 0"),
    ("rsc-reserved-second", "elf0.rsc.reserved1", set_to(1), "the other reserved word is not 0"),
)
"""The signature is not renewed: faults of an attacker or of a transfer."""

_BUILT: tuple[FaultRow, ...] = (
    ("signtype-missing", "tlv.SIGNTYPE.type", without_tlv, "no SIGNTYPE"),
    ("signtype-empty", "tlv.SIGNTYPE.length", set_to(0), "SIGNTYPE of 0 bytes"),
    ("signtype-long", "tlv.SIGNTYPE.length", set_to(2), "SIGNTYPE of 2 bytes"),
    ("signtype-unknown", "tlv.SIGNTYPE.value", set_to(3), "SIGNTYPE 3"),
    ("signtype-ecdsa", "tlv.SIGNTYPE.value", set_to(2), "SIGNTYPE ECDSA on an RSA signature"),
    ("tlv-length-runs-past", "tlv.SIGNTYPE.length", set_to(0x10000), "a TLV that runs past the area"),
    ("hashtype-missing", "tlv.HASHTYPE.type", without_tlv, "no HASHTYPE (ignored upstream)"),
    ("hashtype-unknown", "tlv.HASHTYPE.value", set_to(2), "HASHTYPE 2 (ignored upstream)"),
    ("hashtype-long", "tlv.HASHTYPE.length", set_to(2), "HASHTYPE of 2 bytes (ignored upstream)"),
    ("hashtable-missing", "tlv.HASHTABLE.type", without_tlv, "no HASHTABLE"),
    ("hashtable-cut", "tlv.HASHTABLE.length", add(-8), "a hash table of no whole entries"),
    ("num-img-missing", "tlv.NUM_IMG.type", without_tlv, "no NUM_IMG"),
    ("num-img-long", "tlv.NUM_IMG.length", set_to(2), "NUM_IMG of 2 bytes"),
    ("num-img-zero", "tlv.NUM_IMG.value", set_to(0), "NUM_IMG 0"),
    ("num-img-two", "tlv.NUM_IMG.value", add(1), "NUM_IMG one too many"),
    ("imgtype-missing", "tlv.IMGTYPE.type", without_tlv, "no IMGTYPE"),
    ("imgtype-unknown", "tlv.IMGTYPE.value", set_to(7), "IMGTYPE 7"),
    ("imgsize-missing", "tlv.IMGSIZE.type", without_tlv, "no IMGSIZE"),
    ("imgsize-long", "tlv.IMGSIZE.length", set_to(8), "IMGSIZE of 8 bytes for one image"),
    ("imgsize-zero", "tlv.IMGSIZE.value", set_to(0), "IMGSIZE 0"),
    ("imgsize-small", "tlv.IMGSIZE.value", set_to(64), "IMGSIZE smaller than the ELF"),
    ("hash-wrong", "hash0.sha256", flip, "a signed hash that does not fit the data"),
    ("hash-type", "hash0.p_type", set_to(layout.PT_ARM_EXIDX), "PT_ARM_EXIDX hides a PT_LOAD"),
    ("hash-paddr", "hash0.p_paddr", add(4), "the hash table does not know the segment"),
)
"""Signed again: faults of a build."""

_REMADE: tuple[FaultRow, ...] = (
    ("segment-outside-memory", "elf0.ph0.p_paddr", set_to(0x1000), "linked outside every core's memory"),
    ("segment-too-long", "elf0.ph0.p_memsz", set_to(0x7FFFFFFF), "the part to be cleared exceeds the memory"),
    ("rsc-version-signed", "elf0.rsc.ver", set_to(2), "a resource table of version 2, signed"),
    ("rsc-num-signed", "elf0.rsc.num", set_to(0x10000), "more entries than room, signed"),
    ("rsc-num-huge", "elf0.rsc.num", set_to(0xFFFFFFFF), "2^32 - 1 entries, signed"),
    ("rsc-reserved-signed", "elf0.rsc.reserved1", set_to(1), "a reserved word is not 0, signed"),
)
"""Hash table and signature made again: faults of a linker script or of the source."""

_ALL = [ImageFault(*row) for row in _TAMPERED]
_ALL += [ImageFault(*row, signs=True) for row in _BUILT]
_ALL += [ImageFault(*row, signs=True, hashes=True) for row in _REMADE]

FAULTS: dict[str, ImageFault] = {fault.name: fault for fault in _ALL}
"""Every named fault."""


def apply(name: str, image: bytes, key: PrivateKey | None = None) -> bytes:
    """The image with one named fault. `key` signs again where the fault asks for it.

    UsageError: no such fault, no such field in this image, a key is needed.
    """
    fault = FAULTS.get(name)
    if fault is None:
        raise UsageError(f"unknown fault {name!r}; known: {', '.join(FAULTS)}")
    field = fields(image).get(fault.field)
    if field is None or not field.size:
        raise UsageError(f"fault {name}: the image has no {fault.field}")
    if fault.signs and key is None:
        raise UsageError(f"fault {name} needs the signing key")
    changed = bytearray(image)
    fault.change(changed, field)
    if fault.hashes:
        rehash(changed)
    return resigned(bytes(changed), key) if fault.signs and key is not None else bytes(changed)


def applicable(image: bytes) -> list[str]:
    """Names of the faults that this image has the fields for."""
    known = fields(image)
    return [name for name, fault in FAULTS.items() if fault.field in known and known[fault.field].size]


def rehash(image: bytearray) -> None:
    """Rewrite the hash table with headers and hashes of the first ELF file."""
    known = fields(bytes(image))
    for index in itertools.count():
        entry, head = known.get(f"hash{index}.p_type"), known.get(f"elf0.ph{index}.p_type")
        if entry is None or head is None:
            break
        data = known.get(f"elf0.data{index}", ImageField("", 0, 0))
        digest = hashlib.sha256(image[data.at : data.end]).digest()
        image[entry.at : entry.at + layout.HASH_ENTRY.size] = (
            image[head.at : head.at + layout.PHDR.size] + digest
        )


def resigned(image: bytes, key: PrivateKey) -> bytes:
    """The image with a new signature of its header and TLVs."""
    start, length = signature_at(image), header(image)[3]
    made = signature(key, image[:start])
    if start + length > len(image) or len(made) != length:
        return image
    return image[:start] + made + image[start + length :]


INTERESTING = (
    *(0, 1, 2, 3, 4, 7, 8, 16, 31, 32, 39, 40, 51, 52, 63, 64, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000),
    *(0xFFFF, 0x10000, 0x7FFFFFF0, 0x7FFFFFFF, 0x80000000, 0xFFFFFFD8, 0xFFFFFFF0, 0xFFFFFFF8),
    *(0xFFFFFFF9, 0xFFFFFFFC, 0xFFFFFFFF),
)
DELTAS = (-64, -40, -32, -8, -4, -2, -1, 1, 2, 4, 8, 32, 40, 64)


def mutate(
    image: bytes,
    rng: random.Random,
    *,
    key: PrivateKey | None = None,
    known: dict[str, ImageField] | None = None,
) -> tuple[bytes, str]:
    """The image with one random fault, and its description. Half of them are signed again if `key` is given.

    `known` saves finding the fields again when one image is mutated many times.
    """
    known = known if known is not None else fields(image)
    changed = bytearray(image)
    of_length = rng.random() < 0.03 or not known
    what = _mutate_length(changed, rng) if of_length else _mutate_field(changed, rng, known)
    safe = within_domain(bytes(changed), image)
    if key is not None and rng.random() < 0.5:
        return resigned(safe, key), what + ", signed again"
    return safe, what


def _mutate_field(image: bytearray, rng: random.Random, known: dict[str, ImageField]) -> str:
    field = known[rng.choice(list(known))] if rng.random() < 0.5 else rng.choice(_by_group(known, rng))
    if not field.size or field.end > len(image):
        return _mutate_length(image, rng)
    if field.size > 4 or rng.random() < 0.2:
        at = rng.randrange(field.at, field.end)
        image[at] ^= 1 << rng.randrange(8)
        return f"{field.name}: bit in byte {at - field.at}"
    old = field.number(image)
    new = rng.choice(INTERESTING) if rng.random() < 0.5 else old + rng.choice(DELTAS)
    put(image, field, new)
    return f"{field.name}: {old:#x} becomes {field.number(image):#x}"


def _by_group(known: dict[str, ImageField], rng: random.Random) -> list[ImageField]:
    """Fields of one structure, so that a long hash table does not outweigh the header."""
    groups: dict[str, list[ImageField]] = {}
    for field in known.values():
        groups.setdefault(field.name.rsplit(".", 1)[0], []).append(field)
    return groups[rng.choice(list(groups))]


def _mutate_length(image: bytearray, rng: random.Random) -> str:
    if rng.random() < 0.5 and image:
        size = rng.randrange(len(image))
        del image[size:]
        return f"cut to {size} bytes"
    size = rng.choice((1, 4, 7, 8, 64))
    image += bytes(size)
    return f"{size} bytes appended"


def within_domain(changed: bytes, original: bytes) -> bytes:
    """The changed image, but with the original header if a length reaches 2^31."""
    if any(length >= layout.LENGTH_LIMIT for length in header(changed)[2:]):
        return original[:20] + changed[20:]
    return changed
