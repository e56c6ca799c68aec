# SPDX-License-Identifier: MIT
"""Parse evidence into facts: text and bytes in, values out. Pure; a fixed parser can read old evidence again.

Ref: Linux 6.12 drivers/remoteproc/remoteproc_core.c (kernel lines), OP-TEE 4.10
     ta/remoteproc/src/remoteproc_core.c and lib/libutils/ext/trace.c trace_printf() (secure console),
     firmware/coprocessor (trace buffer).
"""

import re

from mpbench.core import evidence as artefact
from mpbench.core.evidence import Evidence, text_of, word_of
from mpbench.core.zeros import all_zeros
from mpbench.deployment.facts import DeployFacts, memory_word

TEE_ERROR = re.compile(r"TEE err: (?:0x)?([0-9a-f]{8})")
"""How the remoteproc driver reports a refusal by the TEE (ST's kernel and the bench's)."""

BOOT_FAILED = "Boot failed: "
"""Kernel line of every start that fails, refused by the TEE or by Linux."""

TA_ERROR = re.compile(r"E/TA:\s.*?\b\w+:\d+ (.+)")
"""An error line of the trusted application: `E/TA:  function:line message`."""

IDENTITY = re.compile(r"mpbench ([\w-]+ \w+) \w+")
"""First line of the trace buffer: firmware, core, version."""

BEAT = re.compile(r"boot ([0-9a-f]{8}) beat ([0-9a-f]{8})")
"""Second line of the trace buffer, rewritten in place."""


def deploy_facts(evidence: Evidence) -> DeployFacts:
    """Facts of a deployment; None for each field that the evidence does not decide."""
    errno = word_of(evidence, artefact.START_ERRNO)
    return DeployFacts(
        errno=errno,
        state=word_of(evidence, artefact.STATE),
        tee_code=tee_code(text_of(evidence, artefact.KMSG), errno),
        secure_log=reason(text_of(evidence, artefact.SECURE_CONSOLE)),
        beating=_beating(evidence),
        identity=_identity(evidence),
        memory=memory_word((text_of(evidence, artefact.MEMORY) or "").splitlines()),
    )


def tee_code(kernel_log: str | None, errno: str | None) -> int | None:
    """First TEE_Result in the kernel log; 0 if a complete log has none, None if undetermined."""
    found = TEE_ERROR.search(kernel_log or "")
    if found:
        return int(found[1], 16)
    whole = kernel_log is not None and (errno == "OK" or BOOT_FAILED in kernel_log)
    return 0 if whole else None


def reason(secure_console: str | None) -> str | None:
    """Last error line of the trusted application, its conclusion; "" without one, None without a log."""
    if secure_console is None:
        return None
    found = TA_ERROR.findall(secure_console)
    return found[-1].rstrip() if found else ""


def identity(trace: str) -> str | None:
    """Name and core that the firmware prints, e.g. "alive m33"; None if the buffer holds no such line."""
    found = IDENTITY.match(trace)
    return found[1] if found else None


def beat(trace: str) -> tuple[int, int] | None:
    """(boot, beat) of the trace buffer's second line, None without that line."""
    found = BEAT.search(trace)
    return (int(found[1], 16), int(found[2], 16)) if found else None


def _beating(evidence: Evidence) -> bool | None:
    if not _writes_trace(evidence):
        return None if _heartbeat_unreadable(evidence) else False
    samples = [beat(text_of(evidence, n) or "") for n in (artefact.TRACE_FIRST, artefact.TRACE_SECOND)]
    return None if None in samples else samples[0] != samples[1]


def _identity(evidence: Evidence) -> str | None:
    if not _writes_trace(evidence):
        return None if _heartbeat_unreadable(evidence) else ""
    trace = text_of(evidence, artefact.TRACE_FIRST)
    return None if trace is None else identity(trace)


def _heartbeat_unreadable(evidence: Evidence) -> bool:
    """Whether the core runs but has no trace buffer to read its heartbeat from."""
    return evidence.get(artefact.NO_TRACE) is not None and word_of(evidence, artefact.STATE) == "running"


def _writes_trace(evidence: Evidence) -> bool:
    """False without a trace buffer, and if it was still empty at the deadline of its second sample."""
    samples = [evidence.get(name) for name in (artefact.TRACE_FIRST, artefact.TRACE_SECOND)]
    empty = all(data is not None and all_zeros(data) for data in samples)
    return evidence.get(artefact.NO_TRACE) is None and not empty
