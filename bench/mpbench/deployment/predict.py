# SPDX-License-Identifier: MIT
"""Predict the facts of a deployment from the twin's outcome."""

from attrs import evolve

from mpbench.deployment.facts import ZEROS, DeployFacts, MemoryRange, memory_word
from mpbench.layout import TaCommand
from mpbench.twin import boot_address, linux, linux_table
from mpbench.twin.kernels import RELEASES
from mpbench.twin.linux_elf import LinuxOutcome, cut
from mpbench.twin.linux_values import LinuxSide, TableAnswer, linux_side
from mpbench.twin.memory import Core
from mpbench.twin.openstlinux_machine import loader_of
from mpbench.twin.profile import Profile
from mpbench.twin.reasons import REASONS
from mpbench.twin.values import Outcome, flatten, hashed, zeros_sha256

Place = tuple[int, int]
"""Physical address and size."""


def expect(outcome: Outcome, *, identity: str | None = None, profile: Profile | None = None) -> DeployFacts:
    """Facts of a deployment (LOAD_FW, then START_FW) through sysfs.

    identity: name and core that the firmware in the image prints, e.g. "alive m33"; None: neither that nor
    its heartbeat is predicted
    profile: of the board, for its driver's errno and checks; without it every refusal is EIO
    An undefined outcome predicts nothing.
    """
    if outcome.code is None:
        return DeployFacts()
    errno = profile.errno if profile else "EIO"
    if outcome.code:
        line = outcome.console[-1] if outcome.console else ""
        return DeployFacts(errno, "offline", outcome.code, line, False, "", ZEROS)
    released = release_code(profile)
    memory = ZEROS if released == 0 else None
    if refused := outcome.start_refusal:
        line = refused.console[-1] if refused.console else ""
        return DeployFacts(errno, "offline", refused.code, line, False, "", memory)
    answer = table_answer(outcome, profile)
    if answer.errno is None:
        return DeployFacts(tee_code=None if released else 0, secure_log="")
    if answer.errno != "OK":
        return DeployFacts(answer.errno, "offline", released or 0, "", False, "", memory)
    beating, printed = heartbeat(outcome, identity, profile)
    kept = memory_word(MemoryRange(r.pa, r.size, r.sha256).line for r in constant(outcome, answer))
    return DeployFacts("OK", "running", 0, "", beating, printed, kept)


def release_code(profile: Profile | None) -> int | None:
    """The TEE's code for RELEASE_FW, by which most drivers of Linux give back an image that Linux refuses.

    ST's application does not know the command, and ST's drivers do not ask for it (None): it keeps the image.
    """
    if profile is None:
        return 0
    if not RELEASES[profile.driver]:
        return None
    known = TaCommand.RELEASE_FW in loader_of(profile).COMMANDS
    return 0 if known else REASONS["unknown-command"].code


def expect_of_linux(found: LinuxOutcome, core: Core, *, identity: str | None = None) -> DeployFacts:
    """Facts of a start by Linux alone: no secure console, and a refusal does not clear the memory."""
    if found.errno is None:
        return DeployFacts()
    if found.errno != "OK":
        return DeployFacts(found.errno, "offline", 0, None, False, "")
    vectors = core.pa_of(core.vectors or 0)
    traced = found.unshown is not None or linux.has_trace(found.table)
    observable = identity is not None and traced
    loaded = (w for w in found.writes if w.offset is not None)
    beating = vectors is not None and any(w.pa <= vectors < w.pa + w.size for w in loaded)
    kept = [hashed(w, found.image) for w in flatten(found.constant)]
    memory = memory_word(MemoryRange(r.pa, r.size, ZEROS if r.zeros else r.sha256).line for r in kept)
    facts = DeployFacts("OK", "running", 0, memory=memory)
    if not observable:
        return facts
    return evolve(facts, beating=beating, identity=identity if beating else "")


def table_answer(outcome: Outcome, profile: Profile | None = None) -> TableAnswer:
    """What Linux makes of the resource table that an accepted image has left in memory."""
    if outcome.table_offset is None:
        return TableAnswer("OK")
    if closed := closed_table(outcome, profile):
        return TableAnswer(None, closed)
    checked = profile is not None and profile.checks_table
    if checked and not _in_a_carveout(outcome, profile):
        return TableAnswer("EINVAL", lines=("is outside the memory",))
    if not checked and not table_is_loaded(outcome):
        why = f"no segment has loaded the resource table to {outcome.table.pa:#x}: Linux reads what is there"
        return TableAnswer(None, why)
    table = linux.table_in_memory(outcome)
    if not linux.is_sound(table):
        return TableAnswer("EINVAL", lines=("resource table is malformed",))
    return linux_table.handle(table, _linux_side(outcome, profile))


def _in_a_carveout(outcome: Outcome, profile: Profile | None) -> bool:
    """Whether all of the table is in one memory that Linux has of the core.

    Ref: firmware/linux/mpbench_remoteproc.c, locate_rsc_table()
    """
    number, table = outcome.calls[0].core if outcome.calls else None, outcome.table
    if profile is None or number is None or not profile.has_core(number):
        return True
    cores = (core for core in profile.cores if core.id == number)
    return any(c.holds(table.pa, table.size) for core in cores for c in core.carveouts)


def _linux_side(outcome: Outcome, profile: Profile | None) -> LinuxSide:
    number = outcome.calls[0].core if outcome.calls else None
    if profile is None or number is None or not profile.has_core(number):
        return LinuxSide(None, None)
    return linux_side(profile, number)


def closed_table(outcome: Outcome, profile: Profile | None) -> str:
    """Why Linux may not read the resource table where the TEE reports it, "" if it may."""
    number, table = outcome.calls[0].core if outcome.calls else None, outcome.table
    for core in profile.cores if profile else ():
        region = core.region(table.pa, table.size)
        if core.id == number and region is not None and not region.may("linux"):
            return (
                f"the resource table is in {region.name}, closed to Linux by the firewall: illegal, "
                "and where OP-TEE handles that event it panics (`IAC exception ID`)"
            )
    return ""


def without_code(outcome: Outcome, profile: Profile) -> str:
    """Why a core that is started now would execute what no segment has loaded, "" if that is not known.

    Only where a firewall guards the core's memory: the core leaves it, and nothing else would stop it. Seen
    on a virtual STM32MP257F-EV1, whose M33 fetches at address 0; what silicon fetches is not known.
    """
    core = profile.core(outcome.calls[0].core) if outcome.calls else None
    if core is None or not core.firewalled or outcome.start_refusal:
        return ""
    if table_answer(outcome, profile).errno not in ("OK", None):  # Linux does not start it
        return ""
    found = boot_address.vectors(outcome, core)
    start = core.pa_of(int.from_bytes(found[4:], "little") & ~1) if found else None
    loaded = [write for write in flatten(outcome.writes) if write.offset is not None]
    if found and (start is None or any(w.pa <= start < w.pa + w.size for w in loaded)):
        return ""
    return (
        f"it has no code where the core {'continues after its reset' if found else 'takes its vectors'}: the "
        "firewall stops a core that leaves its memory, and where OP-TEE handles that event it panics "
        "(`IAC exception ID`)"
    )


def heartbeat(
    outcome: Outcome, identity: str | None, profile: Profile | None
) -> tuple[bool, str] | tuple[None, None]:
    """Heartbeat and identity of a core that was started.

    None, None: undetermined, because a segment is missing, or because there is no trace buffer.
    """
    if identity is None or not linux.has_trace(linux.table_in_memory(outcome)):
        return None, None
    if not has_vectors(outcome, profile):
        return False, ""
    return (True, identity) if outcome.complete else (None, None)


def has_vectors(outcome: Outcome, profile: Profile | None) -> bool:
    """Whether a vector table was loaded where the core takes it: at its own address, or at BOOTADDR."""
    number = outcome.calls[0].core if outcome.calls else None
    if profile is None or number is None or not profile.has_core(number):
        return True
    return boot_address.vectors(outcome, profile.core(number)) is not None


def constant(outcome: Outcome, answer: TableAnswer) -> list[MemoryRange]:
    """Memory that stays as it was loaded while the firmware runs: not a table that Linux has changed."""
    writes = flatten(outcome.constant)
    if answer.table and answer.table != linux.table_in_memory(outcome):
        writes = cut(writes, outcome.table.pa, outcome.table.size)
    found = [(w.pa, w.size, hashed(w, outcome.image).sha256) for w in writes]
    return [MemoryRange(pa, n, ZEROS if digest == zeros_sha256(n) else digest) for pa, n, digest in found]


def to_look_at(outcome: Outcome, profile: Profile, core: str) -> tuple[Place, ...]:
    """Memory ranges to read back: those that decide whether the board did as `expect` predicts."""
    if expect(outcome, profile=profile).state == "running":
        return tuple((r.pa, r.size) for r in constant(outcome, table_answer(outcome, profile)))
    found = profile.core(core)
    return tuple((r.pa, r.size) for r in found.regions if r.name not in found.written_at_boot)


def table_is_loaded(outcome: Outcome) -> bool:
    """Whether the resource table's address holds the bytes checked in the file, or there is no table."""
    if outcome.table_offset is None:
        return True
    pa, size = outcome.table.pa, outcome.table.size
    checked = outcome.image[outcome.table_offset : outcome.table_offset + size]
    for write in flatten(outcome.writes):
        if write.pa <= pa and pa + size <= write.pa + write.size and write.offset is not None:
            start = write.offset + pa - write.pa
            return outcome.image[start : start + size] == checked
    return False
