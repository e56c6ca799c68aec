# SPDX-License-Identifier: MIT
"""Upstream's trusted application: LOAD_FW on a core that is off, every check in its order, with the reason.

Ref: OP-TEE 4.10 ta/remoteproc/src/remoteproc_core.c and elf_parser.c; methods and functions are named after
their C functions. A position is absolute in the file. C compares addresses; the buffer itself is aligned, so
the alignment of an address is that of its position. Comments name what wraps in a 32-bit build.
"""

import hashlib
import struct
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from mpbench import layout
from mpbench.layout import SignType, Tlv, pad8
from mpbench.twin.heap import Heap
from mpbench.twin.image import Members, Stop, View, tlv_index
from mpbench.twin.platform import Platform
from mpbench.twin.reasons import REASONS
from mpbench.twin.values import NO_TABLE, HashEntry, Outcome, ResourceTable, State, Written

# Index of a number in the row of its table.
P_TYPE: Final = 0
P_OFFSET: Final = 1
P_PADDR: Final = 3
P_FILESZ: Final = 4
P_MEMSZ: Final = 5
P_FLAGS: Final = 6
DIGEST: Final = 8  # follows the words of a program header in a hash entry
SH_ADDR: Final = 3
SH_OFFSET: Final = 4
SH_SIZE: Final = 5

HEAD = struct.Struct("<28x2I8xH2x2H")
E_PHOFF, E_SHOFF, E_PHNUM, E_SHNUM, E_SHSTRNDX = range(5)
"""The only numbers that the loader reads from the ELF header of every image."""

NAME = struct.Struct("<I36x")
"""The name of a section header."""

# Looked up once: these are needed for every segment.
_ADDRESS_SIGN = 1 << 31
_HASHTABLE, _NUM_IMG, _IMGTYPE, _IMGSIZE = Tlv.HASHTABLE, Tlv.NUM_IMG, Tlv.IMGTYPE, Tlv.IMGSIZE
_PHDR, _PHDR_SIZE, _PT_LOAD, _PF_W = layout.PHDR, layout.PHDR.size, layout.PT_LOAD, layout.PF_W
_SHDR, _SHDR_SIZE = layout.SHDR, layout.SHDR.size
_TABLE_NAME = layout.RESOURCE_SECTION + b"\0"
_TABLE_NAME_SIZE = len(_TABLE_NAME)
_PARSE = "Failed to parse firmware, res = 0xffff0005"
_SIGNTYPE, _PKEYINFO = Tlv.SIGNTYPE, Tlv.PKEYINFO
_HEADER_SIZE = layout.HEADER.size
_NOTHING = memoryview(b"")
_LOADED, _OFF, _ACCEPTED = State.LOADED, State.OFF, REASONS["loaded"]
_ALGORITHMS = {  # rproc_ta_sign_algo
    int(SignType.RSASSA_PKCS1_V1_5_SHA256): layout.ALG_RSASSA_PKCS1_V1_5_SHA256,
    int(SignType.ECDSA_P256_SHA256): layout.ALG_ECDSA_P256,
}


class UpstreamLoad:
    """One run of remoteproc_load_fw; the steps raise Stop.

    ST's trusted application differs in `takes`, `after_signature` and `not_elf`: see openstlinux.py.
    """

    authenticated = False
    signed: Mapping[int, HashEntry] = MappingProxyType({})
    table = NO_TABLE
    table_offset: int | None = None

    def __init__(self, view: View, platform: Platform, contexts: int, aligned: bool) -> None:
        profile = platform.profile
        self.view, self.platform, self.profile, self.aligned = view, platform, profile, aligned
        self.heap = Heap(profile.word_bits, profile.heap_bytes, profile.sessions, contexts)
        self.kept: list[Written] = []

    def accepted(self) -> Outcome:
        """The outcome when every check has passed."""
        return Outcome(
            _ACCEPTED, 0, _ACCEPTED.text, tuple(self.platform.asked), _LOADED, self.table, (),
            tuple(self.platform.written), self.table_offset, tuple(self.kept), self.signed, self.view.data,
        )  # fmt: skip

    def refused(self, stop: Stop) -> Outcome:
        """The outcome when a check has failed."""
        reason, console = REASONS[stop.name], stop.console
        code = reason.code if stop.code is None else stop.code
        if code and not self.authenticated:
            console = (*console, f"Can't Authenticate the firmware (res = {code:#x})")
        text = f"{reason.text}: {stop.detail}" if stop.detail else reason.text
        return Outcome(
            reason, code, text, tuple(self.platform.asked), _OFF, NO_TABLE, console,
            tuple(self.platform.written), image=self.view.data,
        )  # fmt: skip

    def all(self) -> None:
        """remoteproc_load_fw."""
        if not self.view.size:
            self.authenticated = True  # refused before anything is printed
            raise Stop("empty-image")
        self.capabilities()
        self.save_header()
        self.verify_header()
        self.verify_signature()
        self.authenticated = True
        self.load_elf()

    # ------------------------------------------------------------- remoteproc_verify_firmware
    def capabilities(self) -> None:
        """get_rproc_pta_capabilities and the test of its answer."""
        formats, protection = self.platform.capabilities()
        if not self.takes(formats) or not protection & layout.HWCAP_PROT_HASH_TABLE:
            raise Stop("capabilities", f"formats {formats:#x}, protection {protection:#x}")

    def save_header(self) -> None:
        """remoteproc_save_fw_header_and_tlvs."""
        size = self.view.size
        if not self.aligned:
            raise Stop("unaligned-buffer")
        if size < _HEADER_SIZE:  # the C code reads on, then refuses whatever it has read
            raise Stop("too-short", f"{size} bytes, the header alone has {layout.HEADER.size}")
        self.magic, self.version, tlv_len, sign_len, img_len = layout.HEADER.unpack(
            self.view.part(0, _HEADER_SIZE)
        )
        self.tlv_len, self.sign_len, self.img_len = tlv_len, sign_len, img_len
        if tlv_len | sign_len | img_len >= layout.LENGTH_LIMIT:
            raise Stop("length-limit", f"tlv_len {tlv_len:#x}, sign_len {sign_len:#x}, img_len {img_len:#x}")
        self.signature_at = _HEADER_SIZE + pad8(tlv_len)
        self.images_at = images_at = self.signature_at + pad8(sign_len)
        self.images_end = images_at + img_len
        if images_at >> 32:
            raise Stop("lengths-overflow", f"{tlv_len:#x} + {sign_len:#x}")
        if size <= images_at:
            raise Stop("too-short", f"{size:#x} bytes, images would start at {images_at:#x}")
        if not sign_len or not tlv_len:
            raise Stop("zero-length", f"tlv_len {tlv_len}, sign_len {sign_len}")
        if not self.heap.take(images_at):
            raise Stop("heap", f"no room for {images_at} bytes of header, TLVs and signature")

    def verify_header(self) -> None:
        """remoteproc_verify_header."""
        if self.magic != layout.HEADER_MAGIC:
            raise Stop("bad-magic", f"{self.magic:#010x} instead of {layout.HEADER_MAGIC:#010x}")
        if self.version != layout.HEADER_VERSION:
            raise Stop("bad-version", f"{self.version} instead of {layout.HEADER_VERSION}")
        expected = self.images_at + pad8(self.img_len)
        if self.view.size != expected:
            raise Stop("wrong-size", f"{self.view.size} bytes instead of {expected}")

    def verify_signature(self) -> None:
        """remoteproc_verify_signature, remoteproc_pta_verify."""
        signed = self.view.part(0, self.signature_at)
        self.tlvs = tlv_index(signed, _HEADER_SIZE, self.tlv_len, self.profile.word_bits)
        kind = self.value(_SIGNTYPE)
        if len(kind) != 1:
            raise Stop("no-signtype", f"{len(kind)} bytes")
        if kind[0] not in _ALGORITHMS:
            raise Stop("unknown-signtype", f"{kind[0]}", f"Unsupported signature type {kind[0]}")
        algorithm = _ALGORITHMS[kind[0]]
        info = self.value(_PKEYINFO)
        if not self.heap.can_verify(len(info)):
            raise Stop("heap", f"no room for {len(info)} bytes of key information and the digest")
        digest = hashlib.sha256(signed).digest()
        signature = bytes(self.view.part(self.signature_at, self.signature_at + self.sign_len))
        self.platform.verify(algorithm, bytes(info), digest, signature)
        self.after_signature()

    def takes(self, formats: int) -> bool:
        """Whether the platform's image formats are those that this application knows."""
        return formats == layout.HWCAP_FMT_ELF

    def after_signature(self) -> None:
        """Checks between the signature and the ELF files: upstream has none."""

    def not_elf(self, index: int, kind: int) -> Stop:
        """Why image `index` (from 0) of type `kind` is refused."""
        return Stop("imgtype-not-elf", f"image {index + 1} is of type {kind}")

    def value(self, kind: Tlv) -> memoryview:
        """Value of the TLV that the loader finds; empty when it finds none (or an empty one)."""
        return self.tlvs.get(kind, _NOTHING)

    # ------------------------------------------------------------- remoteproc_load_elf
    def load_elf(self) -> None:
        """remoteproc_load_elf."""
        parse_header(self.view, self.images_at, self.img_len, self.profile.word_bits)
        entries = self.signed = self.hash_table()
        count = self.image_count()
        offset = 0
        for index in range(count):
            self.image_type(count, index)
            size = self.image_size(count, index)
            at = self.images_at + offset
            head = self.view.row(HEAD, at)
            self.load_segments((at, size), head, entries)
            self.resource_table((at, size), head)
            offset = (offset + size + _ADDRESS_SIGN) % (1 << 32) - _ADDRESS_SIGN  # int32_t offset

    def hash_table(self) -> dict[int, HashEntry]:
        """get_hash_table: the first entry for each p_paddr."""
        table = self.value(_HASHTABLE)
        if not table:
            raise Stop("no-hashtable")
        if len(table) % layout.HASH_ENTRY.size:
            raise Stop("hashtable-length", f"{len(table)} bytes")
        if not self.heap.take(len(table)):
            raise Stop("heap", f"no room for a copy of the hash table, {len(table)} bytes")
        entries: dict[int, HashEntry] = {}
        for entry in layout.HASH_ENTRY.iter_unpack(table):
            entries.setdefault(entry[P_PADDR], entry)
        return entries

    def image_count(self) -> int:
        """NUM_IMG."""
        value = self.value(_NUM_IMG)
        if not value:
            raise Stop("no-num-img")
        if len(value) != 1:
            raise Stop("num-img-length", f"{len(value)} bytes")
        if not value[0]:
            raise Stop("num-img-zero")
        return value[0]

    def image_type(self, count: int, index: int) -> None:
        """get_tlv_images_type and the test of its answer."""
        value = self.value(_IMGTYPE)
        if not value:
            raise Stop("no-imgtype")
        if len(value) != count:
            raise Stop("imgtype-length", f"{len(value)} bytes for {count} images")
        if value[index] != layout.IMG_ELF:
            raise self.not_elf(index, value[index])

    def image_size(self, count: int, index: int) -> int:
        """get_tlv_images_size."""
        value = self.value(_IMGSIZE)
        if not value:
            raise Stop("no-imgsize")
        if len(value) != 4 * count:
            raise Stop("imgsize-length", f"{len(value)} bytes for {count} images")
        return int.from_bytes(value[4 * index : 4 * index + 4], "little")

    def load_segments(self, image: tuple[int, int], head: Members, entries: dict[int, HashEntry]) -> None:
        """e32_parser_load_elf_image; image: position and size, head: of its ELF header."""
        view, (at, size) = self.view, image
        headers = at + head[E_PHOFF]
        if size == 0 or (self.profile.word_bits == 32 and size >= _ADDRESS_SIGN):
            raise Stop("imgsize-zero", f"{size:#x}")
        if headers % 4:
            raise Stop("phdr-unaligned", f"offset {headers - at:#x}")
        end = at + size
        view.spend(max(0, min(headers + head[E_PHNUM] * _PHDR_SIZE, end, view.size) - headers))
        for here in range(headers, headers + head[E_PHNUM] * _PHDR_SIZE, _PHDR_SIZE):
            if here + _PHDR_SIZE > end:
                self.read_too_early(here)
                raise Stop("phdr-outside", f"header at {here - at:#x} of {size:#x}")
            row = view.row(_PHDR, here)
            da = row[P_PADDR]
            if row[P_TYPE] == _PT_LOAD:
                start, filesz = at + row[P_OFFSET], row[P_FILESZ]
                if start + filesz > end:
                    raise Stop("segment-outside-image", f"{filesz:#x} bytes at {start - at:#x} of {size:#x}")
                self.load_segment(start, row, entries.get(da))

    def read_too_early(self, header: int) -> None:
        """`uint32_t dst = phdr->p_paddr` precedes the check of phdr, and compilers leave it there.

        Where a header lies outside its image but this word inside the file, nothing happens; else the TA dies
        or continues, depending on what is mapped there. In 32 bits a large e_phoff is a small negative one.
        """
        wraps = self.profile.word_bits == 32 and header - self.images_at >= _ADDRESS_SIGN
        self.view.inside(header - ((1 << 32) if wraps else 0) + 12, 4)

    def load_segment(self, at: int, row: Members, entry: HashEntry | None) -> None:
        """remoteproc_load_segment with get_segment_hash; row: program header, at: of its data."""
        da, size, mem_size = row[P_PADDR], row[P_FILESZ], row[P_MEMSZ]
        if entry is None:
            raise Stop("segment-not-signed", f"p_paddr {da:#x}")
        if entry[P_TYPE] != _PT_LOAD:
            raise Stop("hash-entry-not-load", f"p_paddr {da:#x}, p_type {entry[P_TYPE]:#x}")
        if entry[P_FILESZ] != size or entry[P_MEMSZ] != mem_size:
            signed = f"{entry[P_FILESZ]:#x}/{entry[P_MEMSZ]:#x}"
            raise Stop("segment-sizes-differ", f"{size:#x}/{mem_size:#x}, signed {signed} at {da:#x}")
        if at < self.images_at or at + size > self.images_end:
            what = f"{size:#x} bytes at {at:#x}, images end at {self.images_end:#x}"
            raise Stop("segment-outside-images", what)
        if size:
            write = self.platform.load_segment(self.view, at, da, size, entry[DIGEST])
            if not entry[P_FLAGS] & _PF_W:
                self.kept.append(write)
        if size < mem_size:
            self.platform.set_memory((da + size) % (1 << 32), mem_size - size)

    def resource_table(self, image: tuple[int, int], head: Members) -> None:
        """remoteproc_parse_rsc_table, and that only one image has a table."""
        found = find_table(self.view, image, head, self.profile.word_bits)
        if found is None:
            return
        da, length, offset = found
        pa = self.platform.translate(da, length)
        if self.table is not NO_TABLE:
            raise Stop("second-table", f"at {da:#x}", "More than one resource table found")
        self.table, self.table_offset = ResourceTable(pa, length), offset


def parse_header(view: View, at: int, size: int, word_bits: int) -> None:
    """e32_parse_ehdr, with the length that the header gives for all images."""
    if size < layout.EHDR.size:
        raise Stop("elf-too-small", f"{size} bytes", _PARSE)
    ident, _, _, _, _, _, shoff, _, _, phentsize, phnum, shentsize, _, _ = layout.EHDR.unpack(
        view.part(at, at + layout.EHDR.size)
    )
    sections = shoff + _SHDR_SIZE
    if size < (sections if word_bits == 64 else sections % (1 << 32)):
        raise Stop("elf-sections-outside", f"they would end at {sections:#x} of {size:#x}", _PARSE)
    good = ident.startswith(layout.ELF_MAGIC) and ident[layout.EI_VERSION] == layout.EV_CURRENT
    good = good and ident[layout.EI_CLASS] == layout.ELFCLASS32
    if not good or phentsize != _PHDR_SIZE or shentsize != _SHDR_SIZE:
        what = f"e_ident {ident[:8].hex()}, entry sizes {phentsize} and {shentsize}"
        raise Stop("elf-ident", what, "Invalid header", _PARSE)
    if phnum == 0:
        raise Stop("elf-no-segments", "", "No loadable segment found", _PARSE)


def find_table(
    view: View, image: tuple[int, int], head: Members, word_bits: int
) -> tuple[int, int, int] | None:
    """e32_parser_find_rsc_table: device address, size, position; None when the image has none."""
    (at, size), section_offset = image, head[E_SHOFF]
    if word_bits == 32 and section_offset >= _ADDRESS_SIGN:
        raise Stop("sections-wrap", f"e_shoff {section_offset:#x}")
    headers = at + section_offset
    if headers % 4:
        raise Stop("sections-unaligned", f"e_shoff {section_offset:#x}")
    count = head[E_SHNUM]
    if section_offset + count * _SHDR_SIZE > size:
        raise Stop("sections-outside", f"{count} headers at {section_offset:#x} of {size:#x}")
    names_index = head[E_SHSTRNDX]
    if names_index >= count:
        raise Stop("no-section-names", f"index {names_index} of {count} sections")
    names = view.row(_SHDR, headers + names_index * _SHDR_SIZE)
    names_size, names_offset = names[SH_SIZE], names[SH_OFFSET]
    if names_offset + names_size > size:
        raise Stop("names-outside", f"{names_size:#x} bytes at {names_offset:#x} of {size:#x}")
    index = section_called_table(view, (headers, count), at + names_offset, names_size)
    if index is None:
        return None
    section = view.row(_SHDR, headers + index * _SHDR_SIZE)
    return check_table(view, image, (section[SH_ADDR], section[SH_OFFSET], section[SH_SIZE]))


def section_called_table(view: View, table: tuple[int, int], names: int, names_size: int) -> int | None:
    """Index of the first section that strncmp takes for `.resource_table`: equal, or cut by the bound."""
    headers, count = table
    end = headers + count * _SHDR_SIZE
    if names < 0 or headers < 0 or end > view.size or names + names_size > view.size:
        return _at_the_edge(view, table, names, names_size)
    view.spend(end - headers + names_size)
    text = bytes(view.part(names, names + names_size))
    for index, (name,) in enumerate(NAME.iter_unpack(view.part(headers, end))):
        if name >= names_size:
            raise Stop("name-outside", f"section {index}: {name:#x} of {names_size:#x}")
        if _TABLE_NAME.startswith(text[name : name + _TABLE_NAME_SIZE]):
            return index
    return None


def _at_the_edge(view: View, table: tuple[int, int], names: int, names_size: int) -> int | None:
    """As section_called_table(), but byte by byte: names or headers leave the file."""
    headers, count = table
    view.spend(min(count * _SHDR_SIZE, view.size))
    for index in range(count):
        name = view.row(NAME, headers + index * _SHDR_SIZE)[0]
        if name >= names_size:
            raise Stop("name-outside", f"section {index}: {name:#x} of {names_size:#x}")
        if view.starts(names + name, _TABLE_NAME[: names_size - name]):
            return index
    return None


def check_table(
    view: View, image: tuple[int, int], section: tuple[int, int, int]
) -> tuple[int, int, int] | None:
    """The checks after the name: size, bounds, alignment, version, reserved words, number of entries."""
    (at, size), (da, offset, length) = image, section
    if not length:
        return None
    if offset + length > size:
        what = f"{length:#x} bytes at {offset:#x} of {size:#x}"
        raise Stop("table-truncated", what, "Resource table truncated")
    if length < layout.RESOURCE_HEAD.size:
        raise Stop("table-too-small", f"{length} bytes", "No header found in resource table")
    if (at + offset) % 4:
        raise Stop("table-unaligned", f"offset {offset:#x}")
    head = view.row(layout.RESOURCE_HEAD, at + offset)
    version = head[0]
    if version != layout.RESOURCE_VERSION:
        signed = version - (1 << 32) if version >> 31 else version
        raise Stop("table-version", f"{version}", f"Unsupported firmware version {signed}")
    if head[2] or head[3]:
        raise Stop("table-reserved", "", "Non zero reserved bytes")
    entries = head[1]
    if layout.RESOURCE_HEAD.size + 4 * entries > length:
        raise Stop("table-incomplete", f"{entries} entries in {length} bytes", "Resource table incomplete")
    return da, length, at + offset
