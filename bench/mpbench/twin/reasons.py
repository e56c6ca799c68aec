# SPDX-License-Identifier: MIT
"""Every reason for an answer of the loader, by name: OP-TEE has few codes, and many reasons for each.

A check is "<number> <subject>"; the numbers are the order of the loader's checks. A reason is decided in the
method of twin/upstream.py (P, D: twin/platform.py) that is named after its C function, or says so.
Ref: OP-TEE 4.10 ta/remoteproc/src/remoteproc_core.c (C), ta/remoteproc/src/elf_parser.c (E),
     core/pta/stm32mp/remoteproc_pta.c (P), core/drivers/remoteproc/stm32_remoteproc.c (D);
     S, Q, R: ST's remoteproc_core.c, remoteproc_pta.c and stm32_remoteproc.c of OP-TEE 4.0.0-stm32mp-r2,
     decided in twin/openstlinux.py, openstlinux_elf.py, openstlinux_platform.py, openstlinux_machine.py.
"""

from typing import NamedTuple

from mpbench.layout import Tee


class Reason(NamedTuple):
    """name: in kebab case; check: number and subject; code: TEE result, None for undefined behaviour;
    text: the reason in words; where: the C function that decides, by the letters above.
    """

    name: str
    check: str
    code: int | None
    text: str
    where: str


_ROWS: dict[tuple[str, Tee | None, str], dict[str, str]] = {
    ("0 state", Tee.SUCCESS, "C remoteproc_load_fw, TA_InvokeCommandEntryPoint"): {
        "loaded": "every check passed; the segments are in the core's memory",
        "already-loaded": "a firmware is loaded already: the new image is not read",
        "started": "the core runs",
        "already-started": "the core runs already: nothing is done",
        "stopped": "the core is held in reset",
        "already-off": "the core is off: nothing is done",
        "released": "the core's memories are cleared",
        "session-open": "a session with the TA is open",
        "table": "address and size of the resource table, zero when there is none",
    },
    (
        "0 state",
        Tee.BAD_STATE,
        "C remoteproc_load_fw, remoteproc_start_fw, remoteproc_stop_fw, remoteproc_release_fw",
    ): {
        "core-is-running": "the core runs: stop it first",
        "nothing-loaded": "no firmware is loaded for this core",
        "not-running": "the firmware is loaded but was never started",
    },
    ("0 state", Tee.BAD_STATE, "S remoteproc_load_fw, remoteproc_stop_fw"): {
        "still-loaded": "a firmware is loaded already, perhaps since a start that failed: STOP_FW clears it",
        "stopped-unstarted": "the core is off now; it was loaded and not started, which counts as an error",
    },
    ("0 state", Tee.BAD_PARAMETERS, "R stm32_rproc_get_mem, rproc_pta_get_mem"): {
        "memory-of-no-core": "the platform has no core with this processor id"
    },
    ("0 start", Tee.GENERIC, "R stm32mp2_rproc_start"): {
        "no-boot-address": "the image has no BOOTADDR, and none is set",
        "boot-address-unmapped": "the boot address lies in no memory region of the core",
    },
    ("0 start", Tee.ACCESS_DENIED, "R stm32mp2_rproc_start"): {
        "boot-address-outside": "the core's bus does not reach the boot address (dma-ranges)"
    },
    ("0 state", Tee.BAD_PARAMETERS, "C remoteproc_find_firmware, TA_InvokeCommandEntryPoint"): {
        "never-loaded": "nothing was loaded for this processor id since boot",
        "unknown-command": "no such command",
        "wrong-parameters": "the parameter types are not those of the command",
    },
    ("0 state", Tee.BAD_PARAMETERS, "D stm32_rproc_clean_up_memories"): {
        "release-unknown-core": "the platform has no core with this processor id"
    },
    ("0 state", Tee.NOT_IMPLEMENTED, "C TA_InvokeCommandEntryPoint"): {
        "no-core-dump": "the core dump command is not implemented"
    },
    ("0 state", Tee.BAD_PARAMETERS, "C remoteproc_load_fw"): {"empty-image": "the image has no bytes"},
    ("1 capabilities", Tee.NOT_SUPPORTED, "P rproc_pta_capabilities, rproc_pta_open_session"): {
        "unknown-core": "the platform has no core with this processor id"
    },
    ("1 capabilities", Tee.NOT_IMPLEMENTED, "C remoteproc_verify_firmware"): {
        "capabilities": "the platform cannot load ELF files protected by a hash table"
    },
    ("2 lengths", Tee.BAD_PARAMETERS, "C remoteproc_save_fw_header_and_tlvs"): {
        "lengths-overflow": "TLV and signature lengths overflow 32 bits",
        "unaligned-buffer": "the image is not aligned to 4 bytes",
        "too-short": "the file ends before the firmware images",
        "zero-length": "the header gives no TLV area or no signature",
    },
    ("3 header", Tee.BAD_PARAMETERS, "C remoteproc_verify_header"): {
        "bad-magic": "the file does not start with the magic number of a signed image",
        "bad-version": "the version of the image format is not 1",
        "wrong-size": "the file is longer or shorter than its header says",
    },
    ("4 signature type", Tee.BAD_PARAMETERS, "C remoteproc_verify_signature"): {
        "no-signtype": "the SIGNTYPE TLV is missing, empty or not one byte"
    },
    ("4 signature type", Tee.NOT_SUPPORTED, "C remoteproc_verify_signature"): {
        "unknown-signtype": "the SIGNTYPE is neither 1 (RSA) nor 2 (ECDSA)"
    },
    ("5 signature", Tee.NOT_SUPPORTED, "P rproc_pta_verify_digest"): {
        "algorithm-unsupported": "the platform verifies RSA only; the image is signed with ECDSA"
    },
    ("5 signature", Tee.BAD_STATE, "P rproc_pta_verify_digest"): {
        "platform-busy": "another core runs, and the platform keeps one state for all cores"
    },
    ("5 signature", Tee.SIGNATURE_INVALID, "P rproc_pta_verify_rsa_signature"): {
        "signature-invalid": "header or TLVs were changed, or another key signed them"
    },
    ("5 signature", Tee.BAD_FORMAT, "Q parse_der_ecc_public_key, parse_der_rsa_public_key"): {
        "key-info-format": "PKEYINFO is no public key as the platform takes it (DER of P-256 or RSA 2048)"
    },
    ("5 signature", Tee.SECURITY, "Q rproc_pta_verify_ecc_signature, rproc_pta_verify_rsa_signature"): {
        "key-not-fused": "the hash of the key in PKEYINFO is not the one in the fuses (oem_rproc_pkh)"
    },
    ("5 signature", Tee.BAD_PARAMETERS, "Q rproc_pta_verify_ecc_signature"): {
        "ecdsa-length": "the ECDSA signature has not 64 bytes"
    },
    ("5b hash type", Tee.NO_DATA, "S get_tlv_hash_type"): {"no-hashtype": "the HASHTYPE TLV is missing"},
    ("5b hash type", Tee.BAD_PARAMETERS, "S get_tlv_hash_type"): {
        "hashtype-length": "HASHTYPE is not one byte"
    },
    ("5b hash type", Tee.NOT_SUPPORTED, "S get_tlv_hash_type"): {
        "hashtype-unknown": "HASHTYPE is not 1 (SHA-256)"
    },
    ("5c platform TLV", Tee.CORRUPT_OBJECT, "Q rproc_pta_tlv_param"): {
        "plat-tlv-length": "a platform TLV has the wrong length"
    },
    ("5c platform TLV", Tee.NOT_IMPLEMENTED, "Q rproc_pta_tlv_param"): {
        "plat-tlv-unknown": "this TLV is unknown to the platform"
    },
    ("5c platform TLV", Tee.GENERIC, "Q rproc_pta_tlv_param"): {
        "boot-address-set": "a boot address is set already, by this image or by one that was refused: "
        "load an image without BOOTADDR, start and stop it",
        "secure-boot-set": "secure boot is set already, by this image or by one that was refused",
    },
    ("6 ELF header", Tee.BAD_FORMAT, "E e32_parse_ehdr"): {
        "elf-too-small": "the images are smaller than an ELF header",
        "elf-sections-outside": "the section headers lie outside the file (e_shoff)",
        "elf-ident": "this is not a 32-bit ELF of version 1, or its table entries have a wrong size",
        "elf-no-segments": "the ELF has no program headers",
    },
    ("6b encryption", Tee.BAD_PARAMETERS, "S remoteproc_load_elf"): {
        "enctype-length": "ENCTYPE is not one byte"
    },
    ("6b encryption", Tee.NOT_SUPPORTED, "S remoteproc_load_elf"): {
        "enctype-unknown": "ENCTYPE is not 1 (AES-CBC)"
    },
    ("7 hash table", Tee.NO_DATA, "S get_enc_table"): {"no-enctable": "the ENCTABLE TLV is missing or empty"},
    ("7 hash table", Tee.BAD_PARAMETERS, "S get_enc_table"): {
        "enctable-length": "the encryption table is not a multiple of 80 bytes"
    },
    ("9 image types and sizes", Tee.BAD_FORMAT, "S remoteproc_load_elf"): {
        "imgtype-encryption": "IMGTYPE and ENCTYPE disagree about encryption"
    },
    ("7 hash table", Tee.NO_DATA, "C get_hash_table"): {
        "no-hashtable": "the HASHTABLE TLV is missing or empty"
    },
    ("7 hash table", Tee.BAD_PARAMETERS, "C get_hash_table"): {
        "hashtable-length": "the hash table is not a multiple of 64 bytes"
    },
    ("8 number of images", Tee.NO_DATA, "C remoteproc_load_elf"): {
        "no-num-img": "the NUM_IMG TLV is missing or empty",
        "num-img-zero": "NUM_IMG is 0",
    },
    ("8 number of images", Tee.BAD_FORMAT, "C remoteproc_load_elf"): {
        "num-img-length": "NUM_IMG is not one byte"
    },
    ("9 image types and sizes", Tee.NO_DATA, "C get_tlv_images_type, get_tlv_images_size"): {
        "no-imgtype": "the IMGTYPE TLV is missing or empty",
        "no-imgsize": "the IMGSIZE TLV is missing or empty",
    },
    ("9 image types and sizes", Tee.BAD_PARAMETERS, "C get_tlv_images_type, get_tlv_images_size"): {
        "imgtype-length": "IMGTYPE is not one byte per image",
        "imgsize-length": "IMGSIZE is not four bytes per image",
    },
    ("9 image types and sizes", Tee.BAD_FORMAT, "C remoteproc_load_elf"): {
        "imgtype-not-elf": "an image is not of type 1 (ELF)"
    },
    ("10 program headers", Tee.BAD_PARAMETERS, "E e32_parser_load_elf_image"): {
        "imgsize-zero": "IMGSIZE is 0, or so large that the address wraps"
    },
    ("10 program headers", Tee.BAD_FORMAT, "E e32_parser_load_elf_image"): {
        "phdr-unaligned": "the program headers are not aligned to 4 bytes",
        "phdr-outside": "a program header lies outside its image",
        "segment-outside-image": "the data of a segment lie outside their image",
    },
    ("11 signed segments", Tee.NO_DATA, "C get_segment_hash"): {
        "segment-not-signed": "the hash table has no entry for this p_paddr"
    },
    ("11 signed segments", Tee.BAD_PARAMETERS, "C get_segment_hash"): {
        "hash-entry-not-load": "the first hash entry at this p_paddr is not a PT_LOAD (often PT_ARM_EXIDX)",
        "segment-sizes-differ": "p_filesz or p_memsz differ from the signed ones",
        "segment-outside-images": "the data of a segment run past the length in the header",
    },
    ("12 load", Tee.ACCESS_DENIED, "D stm32_rproc_da_to_pa"): {
        "segment-outside-memory": "a segment lies outside the core's memory"
    },
    ("12 load", Tee.SECURITY, "P rproc_pta_load_segment"): {
        "segment-hash": "the data of a segment differ from the signed hash"
    },
    ("12 load", Tee.GENERIC, "R stm32_rproc_map"): {
        "segment-unmapped": "a segment lies in no memory region of the core"
    },
    ("12 load", Tee.NOT_SUPPORTED, "Q rproc_pta_decrypt_aes"): {
        "decryption-unsupported": "the platform of this release does not decrypt"
    },
    ("12 load", Tee.SECURITY, "Q rproc_pta_decrypt_aes"): {
        "decryption-key-blank": "the key for encrypted images was never written into the fuses"
    },
    ("12 load", Tee.BAD_STATE, "Q rproc_pta_decrypt_aes"): {
        "encrypted-length": "the size of an encrypted segment is not a multiple of 16"
    },
    ("13 clear", Tee.GENERIC, "R stm32_rproc_map"): {
        "clear-unmapped": "the end of a segment, to be cleared, lies in no memory region of the core"
    },
    ("13 clear", Tee.ACCESS_DENIED, "D stm32_rproc_da_to_pa"): {
        "clear-outside-memory": "the end of a segment, to be cleared, lies outside the core's memory"
    },
    ("14 resource table", Tee.BAD_PARAMETERS, "E e32_parser_find_rsc_table"): {
        "sections-wrap": "e_shoff is so large that the address wraps"
    },
    ("14 resource table", Tee.BAD_FORMAT, "E e32_parser_find_rsc_table"): {
        "sections-unaligned": "the section headers are not aligned to 4 bytes",
        "sections-outside": "the section headers lie outside their image",
        "no-section-names": "there is no section name table; a stripped ELF must keep its sections",
        "names-outside": "the section name table lies outside its image",
        "name-outside": "a section's name lies outside the name table",
        "table-truncated": "the resource table runs past its image",
        "table-too-small": "the resource table is smaller than its own header",
        "table-version": "the resource table's version is not 1",
        "table-reserved": "the resource table's reserved words are not 0",
        "table-incomplete": "the resource table has more entries than fit its size",
    },
    ("14 resource table", Tee.CORRUPT_OBJECT, "E e32_parser_find_rsc_table"): {
        "table-unaligned": "the resource table is not aligned to 4 bytes"
    },
    ("14 resource table", Tee.ACCESS_DENIED, "C remoteproc_parse_rsc_table"): {
        "table-outside-memory": "the resource table's address lies outside the core's memory"
    },
    ("14 resource table", Tee.BAD_FORMAT, "C remoteproc_load_elf"): {
        "second-table": "more than one image has a resource table"
    },
    (
        "heap",
        Tee.OUT_OF_MEMORY,
        "C TEE_Malloc in remoteproc_save_fw_header_and_tlvs, get_hash_table, remoteproc_pta_verify",
    ): {"heap": "the TA's heap is too small for this many segments or TLVs"},
    ("platform", Tee.GENERIC, "P"): {"platform-fault": "the platform itself failed"},
    ("undefined", None, "C, E"): {
        "length-limit": "a header length of 2 GiB or more: may hang the board; not sent",
        "reads-outside": "the loader reads memory outside the image",
        "heap-outside": "the loader reads its own memory past the copy of header, TLVs and signature",
        "address-wraps": "an address plus a size wraps in 32 bits",
        "ta-panics": "the loader stops at an assertion, and no core can be loaded until the board is reset",
        "work-limit": "the loader would hash many times the image's size",
    },
}

REASONS: dict[str, Reason] = {
    name: Reason(name, check, None if code is None else int(code), text, where)
    for (check, code, where), rows in _ROWS.items()
    for name, text in rows.items()
}
