# SPDX-License-Identifier: MIT
"""What several lines of a log say together: which core is meant, what did not follow, who touched what."""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from itertools import islice

from mpbench.knowledge.episodes import ATTEMPT, Event, Trouble, same_core
from mpbench.knowledge.matching import DEVICE, core_of
from mpbench.knowledge.meaning import Explanation, tee_code
from mpbench.knowledge.others import MAX_DUMP_LINES, OUR_FUNCTION
from mpbench.layout import Tee

CORE_MEMORY = {
    "m33": ((0x8000_0000, 0x8130_0000), (0x0A04_0000, 0x0A0A_0000)),
    "m4": (
        (0x0, 0x1_0000),
        (0x1000_0000, 0x1006_0000),
        (0x3000_0000, 0x3006_0000),
        (0x3800_0000, 0x3801_0000),
    ),
    "m0": ((0x200C_0000, 0x200C_4000),),
}
"""Where each core's firmware is linked. Ref: RM0457 and RM0436, memory map; dt-stm32mp, reserved memory."""
LINUX = 1
COMPARTMENTS = {LINUX: "the Cortex-A35 (Linux, U-Boot or OP-TEE)", 2: "the M33", 3: "the M0"}
"""Compartments of the STM32MP2's processors. Ref: RM0457, RIF; stm32mp2xx_hal_rif.h RIF_MCID_CPU1 to 3."""
MOVED = "numbers of /sys/class/remoteproc may move from boot to boot: choose the core by its `name` file"
SIGN_IT = "sign it: the TEE takes signed images only (`mpbench sign FILE.elf`)"
BEGAN = "the kernel began to recover it; the log does not show how it ended"
NO_END = "the attempt has no end in this log: it was cut here, or the board stopped"


class Context:
    """All events of a log, and by their messages' ids."""

    def __init__(self, events: list[Event]) -> None:
        self.events = events
        self.by_id: dict[str, list[Event]] = {}
        for event in events:
            self.by_id.setdefault(event.id, []).append(event)

    def before(self, one: Event, *ids: str) -> Event | None:
        """The last event with one of the ids before one, of the same core and boot, as far as is known."""
        found = (next(self._earlier(i, one), None) for i in ids)
        return max((e for e in found if e), key=_number, default=None)

    def _earlier(self, event_id: str, one: Event) -> Iterator[Event]:
        same = self.by_id.get(event_id, [])
        earlier = islice(reversed(same), len(same) - bisect_right(same, one.number, key=_number), None)
        return (e for e in earlier if e is not one and self._same(e, one))

    def after(self, one: Event, number: int, *ids: str) -> Event | None:
        """The first event with one of the ids after a line, of the same core."""
        found = (next(self._later(i, number, one.core), None) for i in ids)
        return min((e for e in found if e), key=_number, default=None)

    def _later(self, event_id: str, number: int, core: str) -> Iterator[Event]:
        same = self.by_id.get(event_id, [])
        later = islice(same, bisect_right(same, number, key=_number), None)
        return (e for e in later if same_core(e.core, core))

    @staticmethod
    def _same(one: Event, other: Event) -> bool:
        return one.boot == other.boot and same_core(one.core, other.core)


def _number(event: Event) -> int:
    return event.number


def in_context(found: list[Trouble], events: list[Event], *, about_cores: bool) -> list[Explanation]:
    """The explanations, each with what the lines around it add: those that still matter first.

    about_cores: does the log name remoteproc at all? A shell's `write error` may be about anything else.
    """
    context, explained = Context(events), []
    for trouble in found:
        if (trouble.one.id.startswith("shell-") and not about_cores) or _listed(trouble, context):
            continue
        add = next((f for start, f in ADDED.items() if trouble.one.id.startswith(start)), None)
        one = add(trouble.explained(), trouble.event, context) if add else trouble.explained()
        explained.append(_ended_well(one, trouble, context))
    return [one for _, one in sorted(explained, key=lambda ranked: ranked[0])]


def _listed(trouble: Trouble, context: Context) -> bool:
    """U-Boot's `rproc list`, if something follows from it: a core, or an error of its own."""
    if trouble.one.id != "uboot-rproc-list":
        return False
    found = (e for name in ("uboot-rproc-listed", "uboot-rproc-class") for e in context.by_id.get(name, ()))
    return any(trouble.last < e.number <= trouble.last + MAX_LISTED for e in found)


MAX_LISTED = 5
"""Lines after `rproc list`: as many cores, and what else comes in between."""


def _ended_well(one: Explanation, trouble: Trouble, context: Context) -> tuple[int, Explanation]:
    """(rank, explanation): a trouble that ended well, a warning, and another driver's come later."""
    event = trouble.event
    rank = _rank(one)
    if one.id.startswith("rproc-crash") or not event.core:
        return rank, one
    up = context.after(event, trouble.last, "rproc-up", "rproc-attached")
    if up is None:
        return rank, one
    if up.boot != event.boot:
        words = f"in a later boot of this log the {up.core} started (line {up.number})"
        return rank + 1, one._replace(meaning=f"{one.meaning}; {words}")
    again = context.after(event, trouble.last, *ATTEMPT)
    if again is not None and again.number < up.number:
        words = f"a later start of the {up.core} succeeded (line {up.number})"
        return rank + 1, one._replace(meaning=f"{one.meaning}; {words}")
    words = f"the {up.core} started all the same (line {up.number})"
    return max(rank, 1) if rank >= 0 else rank, one._replace(meaning=f"{one.meaning}; {words}")


def _rank(one: Explanation) -> int:
    """What stops the board first, another driver's trouble last."""
    if one.id.startswith(FATAL):
        return -1
    return 2 if one.id.startswith("other-") else int(one.level == "warning" and not one.consequences)


FATAL = ("rif-iac", "rif-serc", "optee-panic", "abort-core", "linux-oops", "linux-panic")


def _other_core(one: Explanation, event: Event, context: Context) -> Explanation:
    """A segment outside the core's memory: is it in another core's, or is the file named after another?"""
    found = re.search(r"da (?:0x)?([0-9a-fA-F]+)", event.match.text)
    da = int(found[1], 16) if found else -1
    file = context.before(event, "rproc-booting", "shell-firmware")
    core = event.core if event.core in CORE_MEMORY else None
    named = core_of(file.match.groups[0]) if file else None
    owner = next((c for c, spans in CORE_MEMORY.items() if any(a <= da < b for a, b in spans)), None)
    other = next((c for c in (named, owner) if c and c != core), None)
    if core is None or other is None:
        return one
    cause = f"the firmware is for the {other}, and this core is the {core}: {MOVED}"
    return one._replace(causes=(cause, *_moved(event, other, context), *one.causes))


def _moved(event: Event, core: str, context: Context) -> tuple[str, ...]:
    """The device of this line was the other core in another boot of the log."""
    device = DEVICE.search(event.match.line.text)
    if device is None:
        return ()
    then = (e for e in context.events if e.boot != event.boot and e.core == core)
    was = next((e for e in then if device[0] in e.match.line.text), None)
    return (f"{device[0]} was the {core} in another boot of this log (line {was.number})",) if was else ()


def _not_recovered(one: Explanation, event: Event, context: Context) -> Explanation:
    """A crash after which the kernel did not recover, although it wrote on."""
    recovering = context.after(event, one.number, "rproc-recovering")
    if recovering is None:
        if context.after(event, one.number, "rproc-handling-crash") is None:
            return one
        return one._replace(
            meaning=f"{one.meaning}; it was not recovered: recovery is disabled for this core",
            advice=("`echo enabled` to its `recovery` file in /sys/class/remoteproc", *one.advice),
        )
    if context.after(event, recovering.number, "rproc-up") is not None:
        again = "the kernel started it again, the TEE authenticates signed firmware anew"
        return one._replace(meaning=f"{one.meaning}; {again}")
    failed = context.after(event, recovering.number, "rproc-cant-start", "rproc-boot-failed", "tee-invoke")
    words = f"the recovery failed (line {failed.number})" if failed else BEGAN
    return one._replace(meaning=f"{one.meaning}; {words}")


def _refused_access(one: Explanation, event: Event, context: Context) -> Explanation:
    """Who touched what: the firewall's registers in later lines, and which core was started before."""
    dumps = context.by_id.get("rif-dump", ())
    texts = [e.match.text for e in dumps if event.number < e.number < event.number + 20]
    status, address = (_register(texts, name) for name in ("IAESR", "IADDR"))
    if status is None:
        return _unclocked(one, event, context)
    ours = status & 7 == LINUX
    start = _loaded_before(event, context) if ours else _started_before(event, context)
    causes = [c for c in one.causes if c.startswith("Linux") == ours]
    return one._replace(causes=(_access(status, address), *([start] if start else []), *causes))


def _unclocked(one: Explanation, event: Event, context: Context) -> Explanation:
    """No register says who it was: the core that was started before, if one was."""
    start = _started_before(event, context)
    return one._replace(causes=(start, *one.causes)) if start else one


def _access(status: int, address: int | None) -> str:
    """From IAESR and IADDR: compartment (bits 2 to 0), secure (5), write (7). Ref: RM0457, RISAF_IAESR."""
    who = COMPARTMENTS.get(status & 7, f"compartment {status & 7}")
    how = f"{'secure' if status & 0x20 else 'non-secure'} {'write' if status & 0x80 else 'read or fetch'}"
    where = "" if address is None else f" at {address:#x}{_memory_of(address)}"
    return f"a {how} by {who}{where}"


def _register(texts: list[str], name: str) -> int | None:
    values = (re.search(rf"\({name}0?\):? *(?:0x)?([0-9a-fA-F]+)", text) for text in texts)
    return next((int(v[1], 16) for v in values if v), None)


def _memory_of(address: int) -> str:
    inside = any(a <= address < b for a, b in CORE_MEMORY["m33"])
    return ", which ST's memory map gives to the M33" if inside else ""


def _started_before(event: Event, context: Context) -> str:
    start = context.before(event, "rproc-powering-up")
    return f"the {start.core} was started before (line {start.number}): its firmware" if start else ""


def _loaded_before(event: Event, context: Context) -> str:
    start = context.before(event, "rproc-powering-up")
    if start is None:
        return ""
    where = f"Linux was starting the {start.core} (line {start.number})"
    return f"{where}: it loads or reads a segment of the firmware there itself"


def _panicked(one: Explanation, event: Event, context: Context) -> Explanation:
    """A panic of OP-TEE without a line that says why."""
    cause = _started_before(event, context)
    return one._replace(causes=(f"{cause} may have caused it", *one.causes)) if cause else one


def _refused_image(one: Explanation, event: Event, context: Context) -> Explanation:
    """A TEE result: what earlier lines say of the file, and of the attempt before."""
    code = tee_code(event.match)
    file = context.before(event, "rproc-booting", "shell-firmware")
    name = file.match.groups[0] if file else ""
    if code == Tee.BAD_PARAMETERS and name.endswith(".elf") and "sign" not in name.lower():
        cause = f"{name} (line {file.number if file else 0}) is an ELF by its name, not a signed image"
        return one._replace(causes=(cause, *one.causes), advice=(SIGN_IT, *one.advice))
    if code == Tee.BAD_STATE and "LOAD_FW" in event.match.text:
        failed = context.before(event, "rproc-cant-start", "rproc-boot-failed")
        if failed is not None:
            cause = f"the failed start before (line {failed.number}) left the firmware loaded in the TEE"
            return one._replace(
                causes=(f"{cause}: {NEVER_RELEASED}", *one.causes), advice=(REBOOT, *one.advice)
            )
    return one


def _whose(one: Explanation, event: Event, context: Context) -> Explanation:
    """A trusted application that was ended: the line with its UUID comes after; another's is not here."""
    status = context.after(event, one.number, "ta-status")
    if status is None or status.number > one.number + MAX_DUMP_LINES:
        return one._replace(unknown=f"which trusted application it is: {NO_UUID}")
    return one._replace(meaning=f"{one.meaning}: it is the remoteproc TA (line {status.number})")


NO_UUID = "no line `Status of TA` follows with its UUID"


def _in_kernel(one: Explanation, event: Event, context: Context) -> Explanation:
    """The function of ours in the dump after an Oops."""
    places = context.by_id.get("linux-function", ())
    near = (e for e in places if event.number < e.number <= event.number + MAX_DUMP_LINES)
    named = next(((e, f[0]) for e in near if (f := OUR_FUNCTION.search(e.match.text))), None)
    if named is None:
        return one if OUR_FUNCTION.search(one.line) else one._replace(unknown=NO_FUNCTION)
    return one._replace(meaning=f"{one.meaning}; here `{named[1]}` (line {named[0].number})")


NO_FUNCTION = "whose fault it is: no line with a function (`pc`, `lr`, call trace) follows"
NEVER_RELEASED = "ST's 6.6 kernel and TA never release it"
REBOOT = (
    "reboot; unbinding the driver does not help. "
    "Then start an image that is complete (with BOOTADDR on the STM32MP2)"
)


def unfinished(state: Explanation, event: Event, context: Context) -> Explanation:
    """A start without its end."""
    end = context.after(event, event.number, *ENDS)
    return state if end else state._replace(unknown=NO_END)


ENDS = ("rproc-up", "rproc-attached", "rproc-boot-failed", "rproc-stopped")
Add = Callable[[Explanation, Event, Context], Explanation]
ADDED: dict[str, Add] = {
    "elf-bad-phdr": _other_core,
    "rproc-crash": _not_recovered,
    "rif-iac": _refused_access,
    "rif-serc": _unclocked,
    "optee-panic": _panicked,
    "abort-core": _panicked,
    "abort-user": _whose,
    "abort-ta-": _whose,
    "linux-oops": _in_kernel,
    "linux-stuck": _in_kernel,
    "tee-invoke": _refused_image,
    "ta-": _refused_image,
}
"""By the start of an explanation's id."""
