# SPDX-License-Identifier: MIT
"""Meaning of known lines of kernel log, secure console, sysfs and signing tools: causes, and what to try."""

import re
from collections.abc import Callable

from attrs import frozen

from mpbench.layout import Tee, tee_name
from mpbench.twin.reasons import REASONS


@frozen
class Explanation:
    """line: the text that is explained; meaning; causes; advice: what to try, in this order."""

    line: str
    meaning: str
    causes: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()


ADVICE: dict[int, tuple[str, ...]] = {
    Tee.BAD_PARAMETERS: (
        "this is not a wrong key: a wrong key gives TEE_ERROR_SIGNATURE_INVALID (0xffff3072)",
        "`mpbench inspect FILE`: is it a signed image at all, complete, and not signed twice?",
        "if the file is sound: does a PT_ARM_EXIDX share its address with a PT_LOAD? Discard it when linking",
        "on OpenSTLinux sign as ST does: the stripped ELF, `--plat-tlv BOOTADDR=0x80100000` for the M33",
    ),
    Tee.SIGNATURE_INVALID: (
        "sign with the private half of the key that is built into this board's OP-TEE (RPROC_SIGN_KEY)",
        "`mpbench inspect FILE --key PUBLIC.pem` shows whether this key made the signature",
        "rebuild and reflash OP-TEE after a change of RPROC_SIGN_KEY: the public key is compiled in",
    ),
    Tee.SECURITY: (
        "the file was changed after it was signed (a copy that broke, a tool that stripped it): sign again",
        "compare sha256sum on the board and on the host",
    ),
    Tee.ACCESS_DENIED: (
        "compare the addresses of `mpbench inspect FILE` with the core's memory regions in the device tree",
        "link the firmware for this core's memory",
    ),
    Tee.BAD_FORMAT: (
        "sign the ELF file itself: not a binary, not a 64-bit ELF, not one without section headers",
        "`readelf -hlS` of the ELF: program headers, sections, a .resource_table of version 1",
    ),
    Tee.NO_DATA: (
        "program headers were changed after signing, or another tool signed",
    ),
    Tee.OUT_OF_MEMORY: (
        "fewer program headers, or a larger CFG_REMOTEPROC_TA_HEAP_SIZE (4 KiB hold about 24)",
    ),
    Tee.NOT_SUPPORTED: (
        "OP-TEE's STM32 platform verifies RSA only: sign with an RSA key",
        "is the processor id one that this board has (M4 0, M33 1, M0 2)?",
    ),
    Tee.BAD_STATE: (
        "stop the core first (`echo stop` to its state file); if it is stopped, unbind and bind the driver",
    ),
    Tee.NOT_IMPLEMENTED: ("this board's OP-TEE and its remoteproc TA have different versions",),
    Tee.CORRUPT_OBJECT: ("align .resource_table to 4 bytes in the linker script",),
    Tee.ITEM_NOT_FOUND: ("the remoteproc TA is not installed: /lib/optee_armtz, or built into OP-TEE",),
    Tee.TARGET_DEAD: (
        "the TA panicked; only a reboot brings it back when it is a single instance",
        "an ELF whose e_phoff points outside the file does that: `mpbench predict` answers `reads-outside`",
    ),
}  # fmt: skip


NOT_OF_A_LOAD = {
    *("never-loaded", "unknown-command", "wrong-parameters", "release-unknown-core"),
    *("nothing-loaded", "not-running", "no-core-dump"),
}

Explains = Callable[[str, re.Match[str]], Explanation]
"""(line, match of the pattern in it) → its explanation."""


def known(meaning: str, causes: tuple[str, ...] = (), advice: tuple[str, ...] = ()) -> Explains:
    """Explains a line whose meaning does not depend on its numbers."""
    return lambda line, _: Explanation(line, meaning, causes, advice)


def of_reasons(*names: str) -> Explains:
    """Explains a line that only certain reasons print."""
    reasons = [REASONS[n] for n in names]
    code = reasons[0].code or 0
    meaning = f"{tee_name(code)} ({code:#010x}), check {reasons[0].check}"
    return known(meaning, tuple(r.text for r in reasons), ADVICE.get(code, ()))


def _coded(line: str, found: re.Match[str]) -> Explanation:
    """All reasons with a TEE result; for a line that names LOAD_FW, only those of that command."""
    code = int(found[1], 16)
    same = [r for r in REASONS.values() if r.code == code and not r.name.startswith("platform")]
    if "LOAD_FW" in line:
        same = [r for r in same if r.name not in NOT_OF_A_LOAD] or same
    causes = tuple(f"{r.text} ({r.name})" for r in same)
    return Explanation(line, f"{tee_name(code)} ({code:#010x})", causes, ADVICE.get(code, ()))


_LINUX_ELF = known(
    "Linux's own ELF loader found no ELF in the file: this core is managed by Linux, not by OP-TEE",
    ("a signed image was given to the plain remoteproc driver", "the file is not an ELF at all"),
    (
        "to load signed images, the core's device tree node must be the TEE variant (compatible ...-tee)",
        "to load without OP-TEE, give the plain ELF instead of the signed image",
    ),
)
_BOOT_ERRNO = {
    2: (
        "the firmware file was not found below /lib/firmware",
        "check the name in /sys/class/remoteproc/*/firmware",
    ),
    5: ("the TEE refused the firmware; its code is in the line before (`TEE err: ...`)", "explain that line"),
    12: (
        "no memory: a carve-out or a resource is too large",
        "check the resource table and the reserved memory",
    ),
    16: (
        "the core is busy, or was left loaded by a failed recovery",
        "unbind and bind the driver, or reboot",
    ),
    517: ("the driver waits for another one", "is OP-TEE's driver loaded, and tee-supplicant running?"),
}


def _boot_failed(line: str, found: re.Match[str]) -> Explanation:
    number = int(found[1])
    if number == 22:
        return _LINUX_ELF(line, found)
    unknown = (f"errno {number} from the remoteproc driver", "read the lines before")
    meaning, advice = _BOOT_ERRNO.get(number, unknown)
    return Explanation(line, meaning, (), (advice,))


_NO_FILE = known(
    "the kernel found no firmware file of this name",
    ("the file is not below /lib/firmware, or its file system is not mounted yet",),
    ("write its name, relative to /lib/firmware, to the core's `firmware` file in /sys/class/remoteproc",),
)
_EIO = known(
    "the write of `start` failed: the TEE refused the firmware",
    advice=("`dmesg | tail`: explain the line with `TEE err: ...`",),
)
_NO_TA = known(
    "OP-TEE cannot find the remoteproc trusted application",
    ("the image has no 80a4c275-0a47-4905-8285-1486a9771a08.ta (ST's opteemin layouts do not)",),
    (
        "install the TA in /lib/optee_armtz, or build it into OP-TEE as an early TA",
        "is tee-supplicant running?",
        "a core that waits for it stays in deferred probe: /sys/kernel/debug/devices_deferred",
    ),
)
_OUTSIDE = known(
    "Linux's own loader found a segment outside the core's memory regions",
    ("the firmware is linked for another core or another memory map",),
    ("compare `readelf -lW` of the ELF with memory-region of the core's node in the device tree",),
)
_NO_CIPHER_KEY = known(
    "the firmware is encrypted, and this chip's fuses hold no key for it (oem_rproc_enc_key)",
    advice=("write the key to the fuses, or load the firmware that is only signed",),
)
_MISSING_TABLE = known(
    "the firmware has no .resource_table section",
    ("the linker script does not keep it, or --gc-sections dropped it",),
    ("harmless unless trace or rpmsg are wanted; else KEEP(*(.resource_table)) in a PT_LOAD",),
)
_CRASHED = known(
    "the core crashed and the kernel starts it again; the TEE authenticates signed firmware again",
    ("the core's watchdog fired, or the firmware reported a fault",),
    ("read the firmware's trace (debugfs trace0) and the core dump before they are gone",),
)

PATTERNS: tuple[tuple[str, Explains], ...] = (
    (r"TEE err: *(?:0x)?([0-9a-fA-F]{8})", _coded),
    (r"Unsupported signature type", of_reasons("unknown-signtype")),
    (r"Failed to verify signature, res = 0x([0-9a-fA-F]{8})", _coded),
    (r"Fails to load segment, res = (?:0x)+([0-9a-fA-F]{8})", _coded),
    (r"Fails to clear segment, res = (?:0x)+([0-9a-fA-F]{8})", _coded),
    (r"Can't Authenticate the firmware \(res = 0x([0-9a-fA-F]{8})\)", _coded),
    (r"Failed to translate device address", of_reasons("table-outside-memory")),
    (r"More than one resource table found", of_reasons("second-table")),
    (r"Resource table truncated", of_reasons("table-truncated")),
    (r"No header found in resource table", of_reasons("table-too-small")),
    (r"Unsupported firmware version", of_reasons("table-version")),
    (r"Non zero reserved bytes", of_reasons("table-reserved")),
    (r"Resource table incomplete", of_reasons("table-incomplete")),
    (r"No loadable segment found", of_reasons("elf-no-segments")),
    (r"Invalid header", of_reasons("elf-ident")),
    (
        r"Failed to parse firmware",
        of_reasons("elf-ident", "elf-too-small", "elf-sections-outside", "elf-no-segments"),
    ),
    (r"Image is corrupted \(bad magic\)|Image is too small|Unsupported class", _LINUX_ELF),
    (r"Direct firmware load for .* failed with error -2|request_firmware failed: -2", _NO_FILE),
    (r"sys_open_ta_bin\(80a4c275|80a4c275-0a47-4905-8285-1486a9771a08", _NO_TA),
    (r"bad phdr da|Failed to load program segments", _OUTSIDE),
    (r"null encrypted key|Can't find oem_rproc_enc_key", _NO_CIPHER_KEY),
    (r"write error: Input/output error", _EIO),
    (r"Boot failed: -(\d+)", _boot_failed),
    (r"resource table (?:not found|header not found)|No resource table", _MISSING_TABLE),
    (r"crash detected in", _CRASHED),
    (r"\b(?:0x)?([fF]{4}[0-9a-fA-F]{4}|[fF]010000[0-9a-fA-F])\b", _coded),
)


def explain(text: str) -> list[Explanation]:
    """Explanations of the known lines, each meaning once, in the order of the text.

    "Boot failed: -5" only points to the line with the TEE's code: it is left out where that is explained.
    """
    found: dict[str, Explanation] = {}
    for line in text.splitlines():
        for pattern, make in PATTERNS:
            if match := re.search(pattern, line):
                one = make(line.strip(), match)
                found.setdefault(one.meaning, one)
                break
    has_code = any(re.search(PATTERNS[0][0], one.line) for one in found.values())
    return [one for one in found.values() if not (has_code and one.line.endswith("Boot failed: -5"))]
