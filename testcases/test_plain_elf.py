# SPDX-License-Identifier: MIT
"""A core that Linux manages by itself: a plain ELF file runs, a damaged one is refused, a crash is recovered.

What a signature would do is NOT-RUN on such a board; these cases are NOT-RUN where a TEE loads the cores.
"""

import re
import struct
import time
from collections.abc import Callable

import pytest

from mpbench import layout
from mpbench.board.resource_snapshot import resource_counters
from mpbench.core import evidence
from mpbench.core.evidence import text_of
from mpbench.deployment.facts import DeployFacts
from mpbench.deployment.leaks import persistent_leaks, snapshot, steady
from mpbench.deployment.parse import beat
from mpbench.harness.configuration import without_watchdog
from mpbench.twin import linux_elf
from testcases.field_sets import OUTCOME
from testcases.requirements import LIFECYCLE

pytestmark = LIFECYCLE

WHOLE = tuple(name for name in OUTCOME if name != "secure_log")
"""Every field of a deployment but that of the secure console, on which nothing is printed, and the memory."""
CRASHED = re.compile(rb"crash detected in \S+: type watchdog")
HANDLED = re.compile(rb"handling crash #\d+ in")
RECOVERED = re.compile(rb"remote processor \S+ is now up")
FATAL = 2
"""A crash of this kind, reported through debugfs. Ref: remoteproc_debugfs.c, rproc_crash_write()"""
DEADLINE_S = 30.0
SNAPSHOTS = 5


@pytest.fixture(autouse=True)
def linux_manages(profile, core):
    """Skips the test where a TEE loads the core."""
    if not profile.by_linux(core):
        pytest.skip(f"a TEE loads {core}: it takes signed images only")


def test_elf_runs(bench, core, alive):
    """A plain ELF is loaded and runs: it reports its name, beats, and can be stopped."""
    step = bench.deploy(core, alive, f"alive {core}")
    step.check(*WHOLE)
    assert step.observed.state == "running"
    assert step.observed.beating
    bench.stop(core)
    assert bench.state(core) == "offline"


def test_constant_memory_is_as_in_the_file(bench, core, alive):
    """Code and vectors of the running firmware are in the core's memory as they are in the file."""
    if bench.board.memory is None:
        pytest.skip("this board's memory can't be read from outside")
    step = bench.deploy(core, alive, f"alive {core}")
    step.check("memory")
    assert step.observed.memory


def put(elf: bytes, at: int, form: str, value: int) -> bytes:
    """The ELF with a number written at a position."""
    changed = bytearray(elf)
    struct.pack_into(form, changed, at, value)
    return bytes(changed)


def program_header(elf: bytes, field: str) -> int:
    """Position of a field of the last program header."""
    head = layout.EHDR.unpack_from(elf)
    number = layout.PHDR_FIELDS.index(field)
    return int(head[5] + (head[10] - 1) * layout.PHDR.size + 4 * number)


DAMAGES: dict[str, tuple[Callable[[bytes], bytes], str | tuple[str, ...]]] = {
    "signed": (lambda elf: b"ST\x32M" + elf, "Image is corrupted (bad magic)"),
    "empty": (lambda elf: elf[:20], "Image is too small"),
    "truncated": (
        lambda elf: elf[: len(elf) // 2], ("Section header table is out of bounds", "Image is too small")
    ),
    "truncated-sections": (lambda elf: elf[:-40], "Section headers are out of bounds"),
    "no-names": (lambda elf: put(elf, 50, "<H", 999), "Image is too small"),
    "class": (lambda elf: put(elf, 4, "B", 0), "Unsupported class: 0"),
    "big-endian": (lambda elf: put(elf, 5, "B", 2), "Unsupported firmware endianness"),
    "no-segments": (lambda elf: put(elf, 44, "<H", 0), "No loadable segments"),
    "segment-too-long": (
        lambda elf: put(elf, program_header(elf, "p_filesz"), "<I", 1 << 20), "bad phdr filesz"
    ),
    "segment-truncated": (
        lambda elf: put(elf, program_header(elf, "p_offset"), "<I", len(elf)), "truncated fw: need"
    ),
    "segment-outside": (
        lambda elf: put(elf, program_header(elf, "p_paddr"), "<I", 0x2000_0000), "bad phdr da 0x20000000"
    ),
}  # fmt: skip
"""Ways to damage an ELF, each with what kernels print of it."""


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_elf_is_refused(bench, core, alive, profile, name):
    """Linux refuses a damaged ELF with EINVAL and the reason that the twin predicts, and nothing runs.

    What neither the kernel nor the core's driver looks at changes nothing: the core runs.
    """
    damage, line = DAMAGES[name]
    image = damage(alive)
    found = linux_elf.start(image, profile, core)
    step = bench.deploy(core, image, f"alive {core}")
    if found.errno == "OK":
        step.check("errno", "state")
        assert (profile.core(core).reads_table, step.observed.state) == (False, "running")
        return
    predicted = found.lines
    assert predicted[0].startswith(line)
    step.check(*WHOLE)
    assert step.observed.errno == "EINVAL"
    assert step.observed.state == "offline"
    log = text_of(step.evidence, evidence.KMSG)
    assert [printed for printed in predicted if printed not in log] == []


def test_elf_of_another_machine_is_not_noticed(bench, core, alive):
    """Linux does not compare e_machine: an ELF that calls itself one for RISC-V is loaded and runs."""
    step = bench.deploy(core, put(alive, 18, "<H", 243), f"alive {core}")
    step.check(*WHOLE)
    assert step.observed.state == "running"


def test_watchdog_expiry_is_recovered(bench, core, firmware, soak):
    """Firmware that stops kicking its watchdog is reset by it, again and again; Linux starts it each time.

    `--bench-soak 25x` for 25 crashes; three by default.
    """
    if why := without_watchdog(core, firmware.watchdogs.get(core, ""), bench.profile):
        pytest.skip(why)
    kmsg, image = bench.board.kmsg, firmware("starve", core)
    bench.deploy(core, image).check("errno", "state")  # a first time: shells are opened, caches fill
    bench.stop(core)
    mark, before, crashes = kmsg.mark(), held(bench), 0
    bench.deploy(core, image).check("errno", "state")
    for number in soak.cycles():
        start_s = time.monotonic()
        assert kmsg.find(CRASHED, mark, DEADLINE_S), f"crash {number} was not reported"
        handled = kmsg.find(HANDLED, mark, DEADLINE_S)  # the report may be printed after it
        assert handled, f"crash {number} was not handled"
        recovered = kmsg.find(RECOVERED, handled.end, DEADLINE_S)
        assert recovered, f"the core was not started again after crash {number}"
        mark = recovered.end
        soak.journal.add(took_s=time.monotonic() - start_s)
        crashes += 1
    bench.stop(core)
    assert bench.state(core) == "offline"
    assert persistent_leaks(before, lambda: held(bench), crashes) == []


def test_starts_and_stops_leave_nothing(bench, core, alive, soak):
    """Started and stopped again and again, a core leaves no resource behind on the board.

    `--bench-soak 500x` for 500 cycles; three by default.
    """

    def cycle():
        bench.deploy(core, alive).check("errno", "state")
        bench.stop(core)

    cycle()  # a first time: shells are opened, caches fill
    before, cycles = held(bench), 0
    for _ in soak.cycles():
        start_s = time.monotonic()
        cycle()
        soak.journal.add(took_s=time.monotonic() - start_s)
        cycles += 1
    assert persistent_leaks(before, lambda: held(bench), cycles) == []


def test_reported_crash_is_recovered(bench, core, alive):
    """After a crash that is reported through debugfs Linux starts the core again with the same file."""
    kmsg, remoteproc = bench.board.kmsg, bench.board.remoteproc
    bench.deploy(core, alive, f"alive {core}").check(*WHOLE)
    first, mark = boot_number(bench, core), kmsg.mark()
    assert remoteproc.crash(core, FATAL, DEADLINE_S) == "OK"
    recovered = kmsg.find(RECOVERED, mark, DEADLINE_S)
    assert recovered, "the core was not started again"
    assert f"crash detected in {core}: type fatal error" in kmsg.since(mark).decode()
    assert remoteproc.await_state(core, "running", DEADLINE_S) == "running"
    predicted = DeployFacts("OK", "running", beating=True, identity=f"alive {core}")
    after = bench.act(core, predicted, "state after the recovery", lambda: "OK")
    after.check("state", "beating", "identity")
    assert boot_number(bench, core) == first + 1


def boot_number(bench, core):
    """How often the firmware has started, by its trace buffer."""
    found = beat((bench.board.remoteproc.trace(core) or b"").decode("ascii", "replace"))
    assert found, "no heartbeat in the trace buffer"
    return found[0]


def held(bench):
    """Resources that the board uses now."""
    session = bench.board.session
    return steady([snapshot(resource_counters(session), {}) for _ in range(SNAPSHOTS)])
