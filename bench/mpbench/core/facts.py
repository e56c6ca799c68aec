# SPDX-License-Identifier: MIT
"""The values every stage speaks. Frozen, without behaviour beyond their own arithmetic."""

import enum
import hashlib
import math
from collections.abc import Iterable, Mapping

from attrs import field, frozen

Value = str | int | bool | None
"""What a field of a prediction or an observation may hold; None: nobody looked."""


class Verdict(enum.Enum):
    """Verdict of a test case; the words are those of the report."""

    PASS = "PASS"
    FAIL = "FAIL"
    MARGINAL = "MARGINAL"
    INFRA = "INFRA"
    INVALID = "INVALID"
    BLOCKED = "BLOCKED"
    NOT_RUN = "NOT-RUN"


_WORST_FIRST = (
    Verdict.FAIL,
    Verdict.INFRA,
    Verdict.BLOCKED,
    Verdict.INVALID,
    Verdict.MARGINAL,
    Verdict.PASS,
)


def overall(verdicts: Iterable[Verdict]) -> Verdict:
    """Verdict of a run: its worst; NOT-RUN only if nothing was executed at all."""
    found = set(verdicts)
    return next((v for v in _WORST_FIRST if v in found), Verdict.NOT_RUN)


class Agreement(enum.Enum):
    """Verdict of one field: predicted against observed."""

    AGREES = "agrees"
    DIFFERS = "differs"
    UNDECIDED = "undecided"


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
    """Everything gathered about one step: artefacts by name."""

    artefacts: tuple[Artefact, ...] = ()

    def get(self, name: str) -> bytes | None:
        """Bytes of the artefact `name`, or None if nobody gathered it."""
        return next((a.data for a in self.artefacts if a.name == name), None)


# Names of the artefacts of one deployment: gather writes them, observe reads them.
IMAGE = "image"
"""The bytes that were uploaded."""
START_ERRNO = "sysfs.start"
"""What the write of `start` returned: "OK" or an errno name."""
STATE = "sysfs.state"
KMSG = "kmsg"
"""Kernel log from before the write until the board had answered, in the format of /dev/kmsg."""
SECURE_CONSOLE = "secure-console"
TRACE_FIRST = "trace0.first"
"""Two samples of debugfs trace0, the second taken when it had changed or the deadline was over."""
TRACE_SECOND = "trace0.second"
NO_TRACE = "trace0.absent"
"""Gathered when the board has no trace0 for this core: why not."""
MEMORY = "memory"
"""What the core's memory held when the board had answered: a line per range, as in MemoryRange.line."""

ZEROS = "zeros"


@frozen
class MemoryRange:
    """Bytes of a core's memory: physical address, size, SHA-256 in hex or ZEROS if all are zero."""

    pa: int
    size: int
    sha256: str

    @property
    def line(self) -> str:
        """Place and content; of a hash the first 16 digits."""
        return f"{self.pa:#x}+{self.size:#x} {self.sha256[:16]}"


def memory_word(lines: Iterable[str]) -> str | None:
    """A field's value for the lines of some ranges: ZEROS if all are that; None for no range."""
    found = tuple(lines)
    if not found:
        return None
    return ZEROS if all(line.endswith(f" {ZEROS}") for line in found) else "; ".join(found)


@frozen
class DeployFacts:
    """What a deployment shows on the board, predicted by the twin or observed from evidence.

    errno:      "OK", or the errno name that the write of `start` to sysfs returned, e.g. "EIO"
    state:      sysfs state afterwards, e.g. "running", "offline"
    tee_code:   TEE_Result that the kernel log shows; 0 when the TEE refused nothing
    secure_log: the reason on the secure console (the loader's line without its prefix), "" for none
    beating:    whether the firmware's heartbeat advances
    identity:   who the firmware says it is, e.g. "alive m33", "" when it does not run
    memory:     what the core's memory holds: see memory_word. After a refusal all of it is looked at, while
                firmware runs only what it can't write to.
    """

    errno: str | None = None
    state: str | None = None
    tee_code: int | None = None
    secure_log: str | None = None
    beating: bool | None = None
    identity: str | None = None
    memory: str | None = None


# Names of the artefacts of one crash, beside KMSG, SECURE_CONSOLE, STATE and the trace samples.
CORE = "core"
"""Name of the core that was crashed; the kernel's lines name it."""
TRACE_BEFORE = "trace0.before"
INTERRUPTS_BEFORE = "interrupts.before"
"""/proc/interrupts before and after."""
INTERRUPTS_AFTER = "interrupts.after"
WATCHDOG_LINE = "interrupts.watchdog"
"""How /proc/interrupts calls the line of the core's watchdog."""
FTRACE = "ftrace"
"""What the bench's tracing instance recorded: calls of the TA, the recovery's work, interrupts."""


@frozen
class Cause:
    """Why Linux believes in a crash.

    name:       the kernel's word for it; "" when a step provokes no new one
    interrupts: how often the watchdog's line comes with it; 0 if Linux is only told
    """

    name: str
    interrupts: int = 0


WATCHDOG = Cause("watchdog", 1)
"""The core's own watchdog expired."""

INJECTED = (Cause("mmufault"), Cause("watchdog"), Cause("fatal error"), Cause("unknown"))
"""By the number that is written to debugfs `crash`. Ref: Linux remoteproc_core.c, rproc_crash_names"""

NO_CRASH = Cause("")


@frozen
class RecoveryFacts:
    """What a crash shows on the board, predicted by the twin or observed from evidence.

    cause:      the kernel's word for the crash, "" if it reported none
    interrupts: how often the line of the core's watchdog came
    sequence:   what the kernel log tells of this core, in order, e.g. "detected, handling"
    commands:   what Linux asked of the trusted application for this core, in order, e.g. "stop, load"
    ta_states:  the core's state in the trusted application after each of them, by its answers
    tee_code:   first refusal by the TEE, 0 for none
    secure_log: the reason on the secure console, "" for none
    state:      sysfs state afterwards
    boots:      how often the firmware began anew
    beating:    whether its heart beats afterwards
    identity:   who the firmware says it is
    """

    cause: str | None = None
    interrupts: int | None = None
    sequence: str | None = None
    commands: str | None = None
    ta_states: str | None = None
    tee_code: int | None = None
    secure_log: str | None = None
    state: str | None = None
    boots: int | None = None
    beating: bool | None = None
    identity: str | None = None


TAMPER = "tamper"
"""Hashes that prove that an image was tampered with, and that the board had it."""

DUMP = "coredump"
"""A core dump of the core, as the board gave it, and what a person reads first of it."""
DUMP_SUMMARY = "coredump.summary"


@frozen
class DumpFacts:
    """What a core dump holds, predicted by the twin or observed.

    segments:  device address and size of every segment, e.g. "0x80100000+0x800000"
    unchanged: device address, size and SHA-256 of what the loader wrote and the firmware can't change
    vectors:   device address of the vector table, initial stack pointer and reset vector
    identity:  who the firmware says it is, in the trace buffer
    boot:      which of its lives crashed
    """

    segments: str | None = None
    unchanged: str | None = None
    vectors: str | None = None
    identity: str | None = None
    boot: int | None = None


Facts = DeployFacts | RecoveryFacts | DumpFacts


@frozen
class Timeline:
    """When what happened in a recovery, in nanoseconds of the board's clock; None: nobody saw it.

    Kernel log and trace buffer have the same clock (sched_clock) with a resolution of a microsecond.
    irq: the watchdog's handler begins; queued, executed, ended: the recovery's work item; the others are
    the kernel's lines; beat: first beat of the new life, as a watcher on the board wrote it into the log.
    """

    irq_ns: int | None = None
    detected_ns: int | None = None
    queued_ns: int | None = None
    executed_ns: int | None = None
    handling_ns: int | None = None
    stopped_ns: int | None = None
    up_ns: int | None = None
    ended_ns: int | None = None
    beat_ns: int | None = None


@frozen
class Ran:
    """Something that ran on a CPU, e.g. "kworker/1:1 (35)" or "irq 11 arch_timer".

    begin_ns: after the interrupt that is looked at; ns: for so long
    """

    cpu: int
    begin_ns: int
    ns: int
    what: str


@frozen
class Outlier:
    """One of a run's slowest notifications.

    durations_ns: by segment; irq_cpu, cpu: those of its interrupt and of its bottom half
    ran: what ran on these CPUs from the interrupt on, by CPU in order; empty if nobody recorded it
    """

    durations_ns: Mapping[str, int]
    irq_cpu: int
    cpu: int
    ran: tuple[Ran, ...] = ()

    @property
    def total_ns(self) -> int:
        """From the interrupt to the end of the bottom half."""
        return self.durations_ns["total"]

    @property
    def segment(self) -> str:
        """The part that took longest; "total" if the parts are not known."""
        parts = {name: ns for name, ns in self.durations_ns.items() if name != "total"}
        return max(parts, key=parts.__getitem__) if parts else "total"


@frozen
class FieldVerdict:
    """One field, predicted against observed."""

    name: str
    predicted: Value
    observed: Value
    agreement: Agreement


@frozen
class Comparison:
    """All fields of one step."""

    fields: tuple[FieldVerdict, ...]

    @property
    def verdict(self) -> Verdict:
        """FAIL if a field differs; INVALID if nothing was decided; else PASS."""
        found = {f.agreement for f in self.fields}
        if Agreement.DIFFERS in found:
            return Verdict.FAIL
        return Verdict.PASS if Agreement.AGREES in found else Verdict.INVALID

    @property
    def differing(self) -> int:
        """How many fields differ."""
        return sum(f.agreement is Agreement.DIFFERS for f in self.fields)


@frozen
class Measurement:
    """A number with its unit, its limits and where it came from.

    margin: share of the limits' distance, or of the only limit, that counts as close to a limit
    """

    name: str
    value: float
    unit: str
    source: str
    low: float | None = None
    high: float | None = None
    margin: float = 0.0

    @property
    def verdict(self) -> Verdict:
        """FAIL outside the limits, MARGINAL inside but close to one, else PASS; bounds are inside."""
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        if not low <= self.value <= high:
            return Verdict.FAIL
        reach = self._reach()
        close = self.value < low + reach or self.value > high - reach
        return Verdict.MARGINAL if close else Verdict.PASS

    def _reach(self) -> float:
        """How near to a limit is close, in the unit."""
        known = [limit for limit in (self.low, self.high) if limit is not None]
        distance = known[1] - known[0] if len(known) == 2 else abs(known[0]) if known else 0.0
        return self.margin * distance


@frozen
class Provenance:
    """Who and what was tested: name → text, e.g. "kernel" → "Linux version 6.12.107 ..."."""

    entries: Mapping[str, str]
