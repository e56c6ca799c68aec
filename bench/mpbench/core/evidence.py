# SPDX-License-Identifier: MIT
"""Raw bytes of a step, by name: collect writes them, parse reads them, the record keeps them by hash."""

import hashlib

from attrs import field, frozen

from mpbench.core.sanitize import decoded


@frozen
class Artefact:
    """Raw bytes as they came from a device or were sent to it; kept by hash, never interpreted here."""

    name: str
    data: bytes = field(repr=False)

    @property
    def sha256(self) -> str:
        """Hex digest under which the record keeps these bytes."""
        return hashlib.sha256(self.data).hexdigest()


@frozen
class Evidence:
    """Everything collected about one step: artefacts by name."""

    artefacts: tuple[Artefact, ...] = ()

    def get(self, name: str) -> bytes | None:
        """Bytes of the artefact `name`, or None if not collected."""
        return next((a.data for a in self.artefacts if a.name == name), None)


# Names of the artefacts of one deployment: collect writes them, parse reads them.
IMAGE = "image"
"""The bytes that were uploaded."""


START_ERRNO = "sysfs.start"
"""Result of the write of `start`: "OK" or an errno name."""


STATE = "sysfs.state"


KMSG = "kmsg"
"""Kernel log from before the write until the board had answered, in the format of /dev/kmsg."""


SECURE_CONSOLE = "secure-console"


TRACE_FIRST = "trace0.first"
"""Two samples of debugfs trace0, the second taken when it had changed or the deadline was over."""


TRACE_SECOND = "trace0.second"


NO_TRACE = "trace0.absent"
"""Reason why there is no trace buffer for this core."""


MEMORY = "memory"
"""Content of the core's memory after the board had answered: a line per range, as in MemoryRange.line."""


# Names of the artefacts of one crash, beside KMSG, SECURE_CONSOLE, STATE and the trace samples.
CORE = "core"
"""Name of the core that was crashed; the kernel's lines name it."""


TRACE_BEFORE = "trace0.before"


INTERRUPTS_BEFORE = "interrupts.before"
"""/proc/interrupts before and after."""


INTERRUPTS_AFTER = "interrupts.after"


WATCHDOG_LINE = "interrupts.watchdog"
"""Name of the core's watchdog in /proc/interrupts."""


FTRACE = "ftrace"
"""Text of the bench's tracing instance: calls of the TA, the recovery's work item, interrupts."""


TAMPER = "tamper"
"""Hashes that prove that an image was tampered with, and that the board had it."""


DUMP = "coredump"
"""A core dump of the core as the board gave it, and its summary for people."""


DUMP_SUMMARY = "coredump.summary"


EXACT = frozenset({IMAGE, DUMP})
"""Artefacts in which no secret is hidden: hashes elsewhere are those of their bytes."""


def text_of(evidence: Evidence, name: str) -> str | None:
    """Text of an artefact; what is not UTF-8, and control characters, are escaped: see decoded()."""
    data = evidence.get(name)
    return None if data is None else decoded(data)


def word_of(evidence: Evidence, name: str) -> str | None:
    text = text_of(evidence, name)
    return None if text is None else text.strip()
