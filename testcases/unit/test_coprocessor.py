# SPDX-License-Identifier: MIT
"""The emulated co-processors with the firmware that is built for silicon; no board is started."""

import itertools
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from mpbench.core.errors import UsageError
from mpbench_virtual.coprocessor import SLOT, Coprocessor
from mpbench_virtual.memory import MP15_CORES, MP25_CORES, MemoryRegion, SharedRam
from testcases.unit.coprocessor_rig import CORES, Rig, code


def test_alive_names_itself_and_beats(rig: Rig, built: Path) -> None:
    """The firmware of silicon runs on its core, names itself in the trace, and its beat advances."""
    rig.load(built / rig.core.name / "alive.elf")
    rig.release()
    rig.until(lambda: rig.beat() > 3)
    assert rig.trace() == [f"mpbench alive {rig.core.name} 1", f"boot 00000001 beat {rig.beat():08x}"]
    assert rig.levels == []


def test_a_stop_is_acknowledged_and_ends_the_beats(rig: Rig, built: Path) -> None:
    """Once run is 0 the emulator acknowledges, and the core's memory changes no more."""
    rig.load(built / rig.core.name / "alive.elf")
    rig.release()
    rig.until(lambda: rig.word(SLOT.ACK) == 1 and rig.beat() > 1)
    rig.hold()
    still, served = rig.trace(), rig.word(SLOT.BEAT)
    rig.until(lambda: rig.word(SLOT.BEAT) > served + 20)
    assert rig.trace() == still


def has_beaten(rig: Rig, boot: int) -> bool:
    return rig.boot() == boot and rig.beat() > 1


def test_a_restart_counts_a_boot_and_resets_the_heartbeat(rig: Rig, built: Path) -> None:
    """The boot counter survives a reload of the firmware; the heartbeat count does not."""
    for boot in (1, 2, 3):
        rig.load(built / rig.core.name / "alive.elf")
        rig.release()
        rig.until(partial(has_beaten, rig, boot))
        rig.hold()


def test_the_m0_runs_in_translated_memory(ram: SharedRam, built: Path) -> None:
    """The M0 executes at 0x200c0000, where the board has no memory; its bytes lie at 0x81600000."""
    rig = Rig(CORES["m0"], ram)
    rig.load(built / "m0" / "alive.elf")
    stack, entry = (int.from_bytes(ram.read(0x8160_0000 + 4 * i, 4), "little") for i in range(2))
    assert (stack, entry & ~0xFFF) == (0x200C_0800, 0x200C_0000)


def test_a_new_generation_resets_a_core_whose_stop_was_missed(m33: Rig, built: Path) -> None:
    """A release that follows a hold too short to be seen still resets the core."""
    m33.load(built / "m33" / "alive.elf")
    m33.release()
    m33.until(lambda: m33.beat() > 1)
    m33.ram.set_word(m33.core.slot_pa + SLOT.GENERATION, 7)
    m33.until(lambda: m33.boot() == 2)


def test_the_emulator_beats_while_it_serves_and_not_after(m33: Rig) -> None:
    """emulator_beat shows the secure world whether the slot is served."""
    first = m33.word(SLOT.BEAT)
    m33.until(lambda: m33.word(SLOT.BEAT) > first)
    m33.coprocessor.stop()
    last = m33.word(SLOT.BEAT)
    m33.coprocessor.stop()
    assert m33.word(SLOT.BEAT) == last


def test_stopping_the_emulator_acknowledges_for_a_running_core(m33: Rig, built: Path) -> None:
    """After power off no slot reports a running core."""
    m33.load(built / "m33" / "alive.elf")
    m33.release()
    m33.until(lambda: m33.beat() > 1)
    m33.coprocessor.stop()
    assert m33.word(SLOT.ACK) == 0


def test_a_fault_enters_the_hard_fault_handler_and_a_second_is_lockup(rig: Rig) -> None:
    """An undefined instruction is logged with its address; again in the handler it locks the core up."""
    code(rig, 0xDE00)
    rig.release()
    rig.until(lambda: rig.logged("lockup: fault in a fault handler"))
    assert rig.logged(f"fault at pc 0x{rig.core.vector_da + 0x40:08x}")
    assert rig.word(SLOT.ACK) == 1
    rig.hold()


def test_an_access_outside_the_core_s_memory_faults(rig: Rig) -> None:
    """A core has access to its regions and its peripherals, and to no other part of the board's RAM."""
    code(rig, 0x4801, 0x6800, 0xE7FE, 0x0000, 0x0000, 0x8140)
    rig.release()
    rig.until(lambda: rig.logged("lockup"))
    assert rig.logged("UC_ERR_READ_UNMAPPED")


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ((0x8010_0800, 0x8010_0040), "reset vector 0x80100040 has no Thumb bit"),
        ((0x8010_0800, 0x0000_0000), "reset vector 0x00000000 has no Thumb bit"),
    ],
)
def test_a_bad_vector_table_is_lockup(m33: Rig, table: tuple[int, int], why: str) -> None:
    """A reset vector that no Cortex-M accepts leaves the core released, executing nothing."""
    m33.ram.write(m33.core.regions[0].pa, b"".join(v.to_bytes(4, "little") for v in table))
    m33.release()
    m33.until(lambda: m33.logged(why))
    m33.hold()


def test_a_loop_at_the_very_start_of_memory_runs(m33: Rig) -> None:
    """The vector table's first halfword can be code as well: a branch to itself at the region's start."""
    m33.ram.write(
        m33.core.regions[0].pa, (0x8010_E7FE).to_bytes(4, "little") + (0x8010_0001).to_bytes(4, "little")
    )
    m33.release()
    served = m33.word(SLOT.BEAT)
    m33.until(lambda: m33.word(SLOT.BEAT) > served + 20)
    assert not m33.logged("fault")
    m33.hold()


def test_a_sleep_without_systick_ends_by_itself(m33: Rig) -> None:
    """WFI with nothing to wait for ends after a while, so that the loop around it continues."""
    code(m33, 0x4802, 0xBF30, 0x3101, 0x6001, 0xE7FB, 0x0000, 0x0000, 0x8120)
    m33.release()
    m33.until(lambda: m33.ram.word(0x8120_0000) > 3)
    m33.hold()


def test_vectors_outside_the_core_s_memory_are_lockup(m33: Rig) -> None:
    """A vector address outside the core's memory cannot start it."""
    m33.ram.set_word(m33.core.slot_pa + SLOT.VECTOR_DA, 0x4000_0000)
    m33.ram.set_word(m33.core.slot_pa + SLOT.RUN, 1)
    m33.until(lambda: m33.logged("no vector table at 0x40000000"))
    m33.hold()


def test_a_failure_of_the_host_is_kept_for_the_board_to_read(ram: SharedRam) -> None:
    """An error in the emulator's own process ends the core's thread visibly, with the slot acknowledged."""
    rig = Rig(CORES["m33"], ram)

    def broken(line: str) -> None:
        rig.lines.append(line)
        if "released" in line:
            raise OSError("the log is gone")

    rig.coprocessor = Coprocessor(rig.core, ram, rig.levels.append, broken)
    code(rig, 0xE7FE)
    rig.release()
    rig.coprocessor.start()
    rig.until(lambda: rig.coprocessor.failure is not None)
    rig.coprocessor.stop()
    assert rig.logged("the emulator failed: OSError('the log is gone')")
    assert rig.word(SLOT.ACK) == 0


def test_an_emulator_that_hangs_in_a_callback_is_reported(ram: SharedRam) -> None:
    """Power off waits for a limited time and then reports that the RAM is still in use."""
    rig = Rig(CORES["m33"], ram)
    resume = threading.Event()

    def hang(line: str) -> None:
        rig.lines.append(line)
        if "released" in line:
            resume.wait()

    rig.coprocessor = Coprocessor(rig.core, ram, rig.levels.append, hang)
    code(rig, 0xE7FE)
    rig.release()
    rig.coprocessor.start()
    rig.until(lambda: rig.logged("released"))
    assert not rig.coprocessor.stop(timeout_s=0.01)
    assert rig.logged("the emulator did not stop within 0.01 s")
    resume.set()
    assert rig.coprocessor.stop()


def test_code_that_mostly_accesses_registers_is_stopped_as_well(m33: Rig) -> None:
    """A loop that only reads SysTick gets shorter slices, and its refused writes are reported once."""
    code(m33, 0x4802, 0x6801, 0x6041, 0x6081, 0xE7FB, 0x0000, 0xE100, 0xE000)
    m33.release()
    m33.until(lambda: m33.logged("write at 0x104"))
    served = m33.word(SLOT.BEAT)
    m33.until(lambda: m33.word(SLOT.BEAT) > served + 20)
    m33.hold()
    assert len([line for line in m33.lines if "0x104" in line]) == 1


def test_refusals_without_end_are_reported_up_to_a_bound(m33: Rig) -> None:
    """A firmware that sweeps through a register page doesn't fill the evidence."""
    code(m33, 0x4802, 0x6001, 0x3004, 0x3101, 0xE7FB, 0x0000, 0xE200, 0xE000)
    m33.release()
    m33.until(lambda: m33.logged("further refused accesses are not reported"))
    m33.hold()
    assert len([line for line in m33.lines if "only SysTick" in line]) == 100


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda ram: ram.word(0x8400_0000), "outside the RAM 0x40000000..0x84000000"),
        (lambda ram: ram.read(0x3FFF_FFFF, 2), "2 bytes at 0x3fffffff"),
        (lambda ram: ram.write(0x83FF_FFFF, b"xy"), "2 bytes at 0x83ffffff"),
        (lambda ram: ram.set_word(0x4000_0002, 1), "not aligned to 4"),
        (lambda _: CORES["m0"].pa_of(0x200C_5FFF, 2), "m0: 2 bytes at 0x200c5fff lie in none of its regions"),
        (lambda _: CORES["m0"].region("vdev"), "m0 has no region 'vdev'"),
    ],
)
def test_an_address_outside_is_refused_with_its_bounds(
    ram: SharedRam, call: Callable[[SharedRam], object], says: str
) -> None:
    """The shared memory checks every range and names value and bounds."""
    with pytest.raises(UsageError, match=says):
        call(ram)


def test_memory_is_shared_by_file_descriptor_and_closes_once(ram: SharedRam) -> None:
    """Two mappings of one descriptor share their words; a second close does nothing."""
    other = SharedRam(ram.fd)
    other.set_word(0x8140_0000, 0x1_0000_0005)
    assert ram.word(0x8140_0000) == 5
    other.close()
    other.close()


def test_regions_are_pages_apart() -> None:
    """Every region can be mapped by pages, and no two of a board's cores share one."""
    for cores in (MP25_CORES, MP15_CORES):
        regions: list[MemoryRegion] = sorted(
            (r for c in cores.values() for r in c.regions), key=lambda r: r.pa
        )
        assert all(r.da % 0x1000 == r.pa % 0x1000 == r.size % 0x1000 == 0 for r in regions)
        assert all(a.pa + a.size <= b.pa for a, b in itertools.pairwise(regions))
