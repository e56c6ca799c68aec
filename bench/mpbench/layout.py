# SPDX-License-Identifier: MIT
"""Numbers and names of the signed image, of the ELF inside it and of the TEE's answers.

Ref: OP-TEE 4.10 ta/remoteproc/src/remoteproc_core.c (header, TLVs, hash table, states),
     ta/remoteproc/include/ta_remoteproc.h (commands), ta/remoteproc/src/elf_parser.h (resource table),
     lib/libutee/include/remoteproc_pta.h (platform commands), lib/libutee/include/tee_api_defines.h
     (results, algorithms), lib/libutee/include/elf32.h; Tool Interface Standard ELF 1.2 for the ELF.
Everything on the wire is little endian.
"""

import struct
from collections.abc import Mapping
from enum import IntEnum
from typing import Final

# ---------------------------------------------------------------- header (struct remoteproc_fw_hdr)
HEADER_MAGIC: Final = 0x3543A468
SIGNED_MAGIC: Final = HEADER_MAGIC.to_bytes(4, "little")
"""How a signed image begins."""
HEADER_VERSION: Final = 1
HEADER: Final = struct.Struct("<5I")  # magic, version, tlv_len, sign_len, img_len
HEADER_FIELDS: Final = ("magic", "version", "tlv_len", "sign_len", "img_len")
CHUNK_ALIGN: Final = 8  # every chunk after the header is padded to this
LENGTH_LIMIT: Final = 1 << 31  # header lengths from here on are outside anything we promise


def pad8(length: int) -> int:
    """Length of a chunk with its padding."""
    return (length + CHUNK_ALIGN - 1) & -CHUNK_ALIGN


# ---------------------------------------------------------------- TLVs (struct remoteproc_tlv)
TLV_HEAD: Final = struct.Struct("<2I")  # type, length


class Tlv(IntEnum):
    """Types of the TLV records. ENCTYPE, ENCTABLE, BOOTADDR and BOOTSEC are ST's (OpenSTLinux)."""

    SIGNTYPE = 0x01
    HASHTYPE = 0x02
    NUM_IMG = 0x03
    IMGTYPE = 0x04
    IMGSIZE = 0x05
    ENCTYPE = 0x06
    HASHTABLE = 0x10
    PKEYINFO = 0x11
    ENCTABLE = 0x12
    BOOTADDR = 0x10001
    BOOTSEC = 0x10002


PLAT_TLV_MIN: Final = 0x10000
PLAT_TLV_MAX: Final = 0x1FFFF


class SignType(IntEnum):
    """Value of SIGNTYPE (enum remoteproc_sign_type)."""

    RSASSA_PKCS1_V1_5_SHA256 = 1
    ECDSA_P256_SHA256 = 2


HASH_SHA256: Final = 1  # value of HASHTYPE
IMG_ELF: Final = 1  # value of IMGTYPE
IMG_ENCRYPTED_ELF: Final = 2  # ST's
ENC_AES_CBC: Final = 1  # value of ENCTYPE, ST's
ECDSA_P256_SIGN_LEN: Final = 64  # raw r, s
SHA256_SIZE: Final = 32

# ---------------------------------------------------------------- ELF, 32 bit
EHDR: Final = struct.Struct("<16s2H5I6H")
EHDR_FIELDS: Final = (
    "e_ident", "e_type", "e_machine", "e_version", "e_entry", "e_phoff", "e_shoff", "e_flags",
    "e_ehsize", "e_phentsize", "e_phnum", "e_shentsize", "e_shnum", "e_shstrndx",
)  # fmt: skip
PHDR: Final = struct.Struct("<8I")
PHDR_FIELDS: Final = ("p_type", "p_offset", "p_vaddr", "p_paddr", "p_filesz", "p_memsz", "p_flags", "p_align")
SHDR: Final = struct.Struct("<10I")
SHDR_FIELDS: Final = (
    "sh_name", "sh_type", "sh_flags", "sh_addr", "sh_offset", "sh_size", "sh_link", "sh_info",
    "sh_addralign", "sh_entsize",
)  # fmt: skip
ELF_MAGIC: Final = b"\x7fELF"
EI_CLASS: Final = 4
EI_VERSION: Final = 6
ELFCLASS32: Final = 1
EV_CURRENT: Final = 1
EM_ARM: Final = 40
PT_LOAD: Final = 1
PF_W: Final = 2
PT_ARM_EXIDX: Final = 0x70000001
HASH_ENTRY: Final = struct.Struct("<8I32s")  # struct remoteproc_segment: program header, SHA-256
ENC_ENTRY: Final = struct.Struct("<8I32s16s")  # ST's: program header, SHA-256 of the encrypted data, AES IV
ENC_IV_SIZE: Final = 16

# ---------------------------------------------------------------- resource table (Linux remoteproc.h)
RESOURCE_SECTION: Final = b".resource_table"
RESOURCE_HEAD: Final = struct.Struct("<4I")  # ver, num, reserved[2]; then num offsets of 4 bytes
RESOURCE_VERSION: Final = 1
RESOURCE_TYPES: Final = {0: "carveout", 1: "devmem", 2: "trace", 3: "vdev"}  # enum fw_resource_type


# ---------------------------------------------------------------- the TA and the PTA
TA_UUID: Final = "80a4c275-0a47-4905-8285-1486a9771a08"


class TaCommand(IntEnum):
    """Commands of the remoteproc TA (ta_remoteproc.h)."""

    LOAD_FW = 1
    START_FW = 2
    STOP_FW = 3
    GET_RSC_TABLE = 4
    GET_COREDUMP = 5
    RELEASE_FW = 6


class PtaCommand(IntEnum):
    """Commands of the remoteproc PTA (remoteproc_pta.h)."""

    HW_CAPABILITIES = 1
    FIRMWARE_LOAD = 2
    LOAD_SEGMENT_SHA256 = 3
    SET_MEMORY = 4
    FIRMWARE_START = 5
    FIRMWARE_STOP = 6
    FIRMWARE_DA_TO_PA = 7
    VERIFY_DIGEST = 8
    RELEASE = 9


class StPtaCommand(IntEnum):
    """Commands of ST's PTA (OpenSTLinux) beside 1 to 8, which it shares; its 9 is not upstream's."""

    TLV_PARAM = 9
    CLEAN = 10
    GET_MEM = 11
    RELEASE_MEM = 12


HWCAP_FMT_ELF: Final = 1 << 0
HWCAP_FMT_ENC_ELF: Final = 1 << 1  # ST's
HWCAP_PROT_HASH_TABLE: Final = 1 << 0
ALG_RSASSA_PKCS1_V1_5_SHA256: Final = 0x70004830
ALG_AES_CBC_NOPAD: Final = 0x10000110
ALG_ECDSA_P256: Final = 0x70003042  # TEE_ALG_ECDSA_P256, an alias of TEE_ALG_ECDSA_SHA256


class Tee(IntEnum):
    """TEE_Result values that this loader can answer (tee_api_defines.h)."""

    SUCCESS = 0x00000000
    CORRUPT_OBJECT = 0xF0100001
    GENERIC = 0xFFFF0000
    ACCESS_DENIED = 0xFFFF0001
    BAD_FORMAT = 0xFFFF0005
    BAD_PARAMETERS = 0xFFFF0006
    BAD_STATE = 0xFFFF0007
    ITEM_NOT_FOUND = 0xFFFF0008
    NOT_IMPLEMENTED = 0xFFFF0009
    NOT_SUPPORTED = 0xFFFF000A
    NO_DATA = 0xFFFF000B
    OUT_OF_MEMORY = 0xFFFF000C
    BUSY = 0xFFFF000D
    COMMUNICATION = 0xFFFF000E
    SECURITY = 0xFFFF000F
    SHORT_BUFFER = 0xFFFF0010
    SIGNATURE_INVALID = 0xFFFF3072
    TARGET_DEAD = 0xFFFF3024


def tee_name(code: int) -> str:
    """TEE_ERROR_... of a code, as the TEE's own headers write it."""
    if code not in Tee._value2member_map_:
        return f"TEE result {code:#010x}"
    return "TEE_SUCCESS" if code == Tee.SUCCESS else f"TEE_ERROR_{Tee(code).name}"


# ---------------------------------------------------------------- keys that anybody has: signing, decryption
TEST_DECRYPTION_KEY: Final = bytes.fromhex("2a2b01b175ffe8266d9e8d31c57e93b51fe0559349a69a4c4ff63623333efb3d")
"""AES-256 key of ST's test builds (CFG_REMOTEPROC_ENC_TESTKEY), public: remoteproc_pta.c, aes_test_key."""

DEFAULT_KEY_SHA256: Final = "cac7bcfaf8674a57e5eaa8ef1a7c9b67af1fd5562a06440d88d5e3c632e88c48"
"""SHA-256 of the DER SubjectPublicKeyInfo of OP-TEE's keys/default.pem."""
PUBLISHED_KEYS: Final[Mapping[str, str]] = {
    DEFAULT_KEY_SHA256: "OP-TEE's public default key",
    "3a21983aeeda3a503f4d3de2ff6fedbaa8b4389ab6ef7261cbdb1de85434fcc3": "ST's published key",
}
"""SHA-256 as above → name. ST's: keys/default.pem of ST's optee_os 3.19.0-stm32mp and 4.0.0-stm32mp-r2, the
key in ST's images, and Utilities/optee_os/keys/default.pem of STM32CubeMP2, which signs ST's firmware."""
