# SPDX-License-Identifier: MIT
"""From evidence to facts: text and bytes in, values out. Pure; a fixed parser can read old evidence again.

Ref: Linux 6.12 drivers/remoteproc/remoteproc_core.c (kernel lines), OP-TEE 4.10
     ta/remoteproc/src/remoteproc_core.c and lib/libutils/ext/trace.c trace_printf() (secure console),
     firmware/coprocessor (trace buffer).
"""

import re
from collections.abc import Iterator

from mpbench.core.facts import (
    KMSG,
    MEMORY,
    NO_TRACE,
    SECURE_CONSOLE,
    START_ERRNO,
    STATE,
    TRACE_FIRST,
    TRACE_SECOND,
    DeployFacts,
    Evidence,
    Provenance,
    memory_word,
)

TEE_ERROR = re.compile(r"TEE err: (?:0x)?([0-9a-f]{8})")
"""How the remoteproc driver reports a refusal by the TEE (ST's kernel and ours)."""

LINUX_REFUSES = "Boot failed: "
"""What the kernel says of every start that fails, whoever refused."""

TA_ERROR = re.compile(r"E/TA:\s.*?\b\w+:\d+ (.+)")
"""An error line of the trusted application: `E/TA:  function:line message`."""

IDENTITY = re.compile(r"mpbench ([\w-]+ \w+) \w+")
"""First line of the trace buffer: firmware, core, version."""

BEAT = re.compile(r"boot ([0-9a-f]{8}) beat ([0-9a-f]{8})")
"""Second line of the trace buffer, rewritten in place."""


BANNERS = {
    "tf-a": re.compile(r"BL(?:2|31): (v\d\S*)"),  # a 32-bit OP-TEE stands where BL31 would: BL2 is last
    "u-boot": re.compile(r"U-Boot (\d{4}\.\d\d\S*)"),
    "op-tee": re.compile(r"OP-TEE version: (.+?)(?: #|$)", re.MULTILINE),
}
"""Versions that the boot chain prints.

Ref: TF-A bl2/bl2_main.c, bl31/bl31_main.c, U-Boot include/version.h, OP-TEE core/arch/arm/kernel/boot.c
"""


def observe(evidence: Evidence) -> DeployFacts:
    """What a deployment showed; None wherever the evidence does not reach."""
    errno = word_of(evidence, START_ERRNO)
    return DeployFacts(
        errno=errno,
        state=word_of(evidence, STATE),
        tee_code=tee_code(text_of(evidence, KMSG), errno),
        secure_log=reason(text_of(evidence, SECURE_CONSOLE)),
        beating=_beating(evidence),
        identity=_identity(evidence),
        memory=memory_word((text_of(evidence, MEMORY) or "").splitlines()),
    )


def tee_code(kernel_log: str | None, errno: str | None) -> int | None:
    """First TEE_Result in the kernel log; 0 if the log is whole without one, None if nobody can tell."""
    found = TEE_ERROR.search(kernel_log or "")
    if found:
        return int(found[1], 16)
    whole = kernel_log is not None and (errno == "OK" or LINUX_REFUSES in kernel_log)
    return 0 if whole else None


def reason(secure_console: str | None) -> str | None:
    """Last error line of the trusted application, its conclusion; "" for none."""
    if secure_console is None:
        return None
    found = TA_ERROR.findall(secure_console)
    return found[-1].rstrip() if found else ""


def identity(trace: str) -> str | None:
    """Who the firmware says it is, e.g. "alive m33"; None when the buffer does not say."""
    found = IDENTITY.match(trace)
    return found[1] if found else None


def beat(trace: str) -> tuple[int, int] | None:
    """(boot, beat) of the trace buffer's second line, None when it is not there."""
    found = BEAT.search(trace)
    return (int(found[1], 16), int(found[2], 16)) if found else None


def provenance(evidence: Evidence) -> Provenance:
    """Who the board is: what its files say, and the versions that boot loaders and TEE printed."""
    entries = {
        a.name.removeprefix("about."): _plain(a.data) for a in evidence.artefacts if "about." in a.name
    }
    printed = {
        name: text for a in evidence.artefacts for name, text in _banners(text_of(evidence, a.name) or "")
    }
    return Provenance({name: text for name, text in (printed | entries).items() if text})


def _banners(text: str) -> Iterator[tuple[str, str]]:
    """(name, version) of every banner; of several boots the last one stands."""
    for name, pattern in BANNERS.items():
        if found := pattern.findall(text):
            yield name, found[-1].strip()


def _plain(data: bytes) -> str:
    """A file's text on one line: device-tree strings end with NUL, lists are separated by it."""
    return ", ".join(part for part in data.decode("utf-8", "backslashreplace").strip("\0\n").split("\0"))


def is_virtual(found: Provenance) -> bool:
    """Whether the board says of itself that it is emulated."""
    return "mpbench,virt" in found.entries.get("compatible", "")


def _beating(evidence: Evidence) -> bool | None:
    if evidence.get(NO_TRACE) is not None:
        return None if runs_unheard(evidence) else False
    if is_silent(evidence):
        return False
    samples = [beat(text_of(evidence, name) or "") for name in (TRACE_FIRST, TRACE_SECOND)]
    return None if None in samples else samples[0] != samples[1]


def runs_unheard(evidence: Evidence) -> bool:
    """A core that runs without a trace buffer: nobody can hear its heart."""
    return word_of(evidence, STATE) == "running"


def is_silent(evidence: Evidence) -> bool:
    """A trace buffer in which nothing was ever written, at the deadline of the second look."""
    samples = [evidence.get(name) for name in (TRACE_FIRST, TRACE_SECOND)]
    return all(data is not None and not data.strip(b"\0") for data in samples)


def _identity(evidence: Evidence) -> str | None:
    if evidence.get(NO_TRACE) is not None:
        return None if runs_unheard(evidence) else ""
    if is_silent(evidence):
        return ""
    trace = text_of(evidence, TRACE_FIRST)
    return None if trace is None else identity(trace)


def text_of(evidence: Evidence, name: str) -> str | None:
    """Text of an artefact; bytes that are no UTF-8 stay visible and harm no pattern."""
    data = evidence.get(name)
    return None if data is None else data.decode("utf-8", "backslashreplace").replace("\r\n", "\n")


def word_of(evidence: Evidence, name: str) -> str | None:
    text = text_of(evidence, name)
    return None if text is None else text.strip()
