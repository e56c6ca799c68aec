# SPDX-License-Identifier: MIT
"""Messages that C sources print: the format strings of the calls that report errors, warnings and states."""

import re
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

LINUX = (
    *(
        "drivers/remoteproc/remoteproc_" + n + ".c"
        for n in ("core", "sysfs", "coredump", "elf_loader", "virtio")
    ),
    "drivers/remoteproc/stm32_rproc.c",
    *("drivers/rpmsg/" + n + ".c" for n in ("rpmsg_core", "rpmsg_char", "rpmsg_ctrl", "rpmsg_ns")),
    *("drivers/rpmsg/virtio_rpmsg_bus.c", "drivers/tty/rpmsg_tty.c", "drivers/mailbox/stm32-ipcc.c"),
    *("drivers/tee/" + n + ".c" for n in ("tee_core", "tee_shm", "tee_shm_pool")),
    *("drivers/tee/optee/" + n + ".c" for n in ("call", "core", "device", "notif", "rpc", "smc_abi", "supp")),
)
OPTEE = (
    *(
        "core/kernel/" + n + ".c"
        for n in (
            "panic",
            "user_ta",
            "ldelf_loader",
            "tee_ta_manager",
            "pseudo_ta",
            "notif",
            "assert",
            "scall",
        )
    ),
    *("core/kernel/" + n + ".c" for n in ("user_mode_ctx", "early_ta", "assert", "scall")),
    *(
        "core/arch/arm/kernel/" + n + ".c"
        for n in ("abort", "boot", "thread", "thread_optee_smc", "unwind_arm64")
    ),
    "core/kernel/thread.c",
    *("core/drivers/firewall/" + n + ".c" for n in ("firewall", "stm32_etzpc", "stm32_iac", "stm32_rif")),
    *("core/drivers/firewall/stm32_" + n + ".c" for n in ("rifsc", "risab", "risaf", "serc")),
    *("ldelf/" + n + ".c" for n in ("main", "dl", "sys", "ta_elf", "ta_elf_rel")),
    *("core/drivers/remoteproc/stm32_remoteproc.c", "core/pta/stm32mp/remoteproc_pta.c"),
    *("ta/remoteproc/src/elf_parser.c", "ta/remoteproc/src/remoteproc_core.c"),
)

CALL = re.compile(
    r"\b(?P<call>"
    r"(?:dev|rpmsg_dev|netdev)_(?:emerg|alert|crit|err|warn|notice|info)(?:_once|_ratelimited|_probe)?"
    r"|pr_(?:emerg|alert|crit|err|warn|notice|info)(?:_once|_ratelimited)?"
    r"|WARN(?:_ONCE)?|EMSG(?:_RAW)?|IMSG(?:_RAW)?|MSG|panic|err"
    r")\s*\((?P<rest>[^;{}]*?)\)\s*;",
    re.S,
)
STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')
MACROS = {
    **dict.fromkeys(("PRIx64", "PRIxPA", "PRIxPASZ", "PRIxVA", "PRIxVA_WIDTH", "PRIxREG", "PRIxPTR"), "x"),
    **dict.fromkeys(("PRIu32", "PRIu64", "PRIuSZ"), "u"),
    **dict.fromkeys(("PRId32", "PRId64", "PRIdPTR"), "d"),
    **{"PRIx32": "x", "PRIX32": "X", "TEE_ALGO": "", "PRIuVA": "u"},
}


@frozen
class SourceMessage:
    """place: file and line; call: what prints; text: its format string, without the line's end."""

    place: str
    call: str
    text: str


def messages(root: Path, files: tuple[str, ...]) -> Iterator[SourceMessage]:
    """Messages of the files below root that exist, each text once per file."""
    for name in files:
        path = root / name
        if not path.is_file():
            continue
        source = path.read_text()
        seen = set()
        for call in CALL.finditer(source):
            text = _format(call["rest"])
            if text and text not in seen:
                seen.add(text)
                line = source.count("\n", 0, call.start()) + 1
                yield SourceMessage(f"{name}:{line}", call["call"], text)


def _format(arguments: str) -> str:
    """The first run of adjacent string literals, with the format macros between them."""
    start = STRING.search(arguments)
    if start is None:
        return ""
    text, at = start[1], start.end()
    while more := re.compile(r"\s*(?:([A-Z][A-Za-z0-9_]*)\s*)?").match(arguments, at):
        following = STRING.match(arguments, more.end())
        if more[1]:
            text += MACROS.get(more[1], "x")
        at = more.end()
        if following is None:
            break
        text += following[1]
        at = following.end()
    return text.replace("\\n", "").strip()
