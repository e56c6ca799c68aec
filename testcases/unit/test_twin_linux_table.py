# SPDX-License-Identifier: MIT
"""What Linux makes of a resource table, entry by entry, on the boards that profiles describe."""

import struct

import pytest

from mpbench.twin.kernels import KERNELS
from mpbench.twin.linux_table import LOST, OOPS, handle
from mpbench.twin.linux_values import Carveout, LinuxSide, linux_side, vring_bytes
from mpbench.twin.profile import load_profile
from testcases.tables import ANY, RPMSG, carveout, devmem, entry, table, trace, vdev

OLD, NEW = KERNELS["6.12.107"], KERNELS["6.12.117"]
RINGS = (
    Carveout("vdev0vring0", 0x1004_0000, 0x1000, 0x1004_0000),
    Carveout("vdev0vring1", 0x1004_1000, 0x1000, 0x1004_1000),
)
BUFFER = Carveout("vdev0buffer", 0x1004_2000, 0x4000, 0, mapped=False)
MP15 = LinuxSide((*RINGS, BUFFER), False, OLD, 32)
BARE = LinuxSide((), False, OLD)
DARK = LinuxSide(None, None, OLD)
OWN = LinuxSide((), True, OLD)
NO_MEMORY = (
    "failed to allocate dma memory: len 0x1000",
    "Unable to allocate carveout vdev0vring0: -12",
    "Failed to allocate associated carveouts: -12",
)
PROBE = "probe with driver rproc-virtio failed with error -{}"


def words(answer, at, count=1):
    """Numbers of the table that the core gets."""
    return struct.unpack_from(f"<{count}I", answer.table, at)


@pytest.mark.parametrize(
    ("data", "errno", "line"),
    [
        (table(), "OK", ""),
        (table(trace()), "OK", ""),
        (table(trace(), trace()), "OK", ""),
        (table(trace())[:-1], "EINVAL", "trace rsc is truncated"),
        (table(trace(reserved=1)), "EINVAL", "trace rsc has non zero reserved bytes"),
        (table(trace(), offsets=(1000,)), "EINVAL", "rsc table is truncated"),
        (table(trace(), offsets=(0x8000_0000,)), "EINVAL", "rsc table is truncated"),
        (table(devmem(0, 0, 0)), "EINVAL", "Failed to process resources: -22"),
        (table(entry(99, 7)), "OK", "unsupported resource 99"),
        (table(entry(0xFFFF_FFFE, 7)), "OK", "unsupported resource -2"),
        (table(entry(513, 7)), "OK", "unsupported resource 513"),
        (table(carveout(b"x", 0, 1, reserved=1)), "EINVAL", "carveout rsc has non zero reserved bytes"),
        (table(carveout(b"x", 0, 1))[:-1], "EINVAL", "carveout rsc is truncated"),
        (table(RPMSG)[:-1], "EINVAL", "vdev rsc is truncated"),
        (table(entry(3, 7)), "EINVAL", "vdev rsc is truncated"),
        (table(vdev([], config_len=ANY)), "EINVAL", "vdev rsc is truncated"),
        (table(vdev([], reserved=1)), "EINVAL", "vdev rsc has non zero reserved bytes"),
        (table(vdev([(ANY, 16, 16)] * 3)), "EINVAL", "too many vrings: 3"),
    ],
)  # fmt: skip
def test_an_entry_is_checked(data, errno, line):
    """Truncated or reserved entries, devmem without an IOMMU, too many vrings fail the start anywhere."""
    for linux in (MP15, BARE, DARK, OWN):
        answer = handle(data, linux)
        assert answer.errno == errno
        assert line in ("", *answer.lines)
        assert (answer.lines[-1:] == ("Failed to process resources: -22",)) == (errno == "EINVAL")


@pytest.mark.parametrize(
    ("data", "old", "new"),
    [
        (table(entry(128, 7)), "EINVAL", "OK"),
        (table(entry(512, 7), entry(99, 7)), "EINVAL", "OK"),
        (table(entry(128, 7), trace()), "OK", "OK"),
        (table(trace(), offsets=(4,)), "EINVAL", "EINVAL"),  # old: the number of entries, 1, is a devmem
        (
            table(trace(), offsets=(8,)),
            "EINVAL",
            "EINVAL",
        ),  # old: a carve-out of reserved words and what follows
        (table(trace(), offsets=(0xFFFF_FFF0,)), None, "EINVAL"),
    ],
)
def test_kernels_walk_the_table_differently(data, old, new):
    """Newer ones pass over what no driver takes, and refuse an offset outside of the entries."""
    assert handle(data, BARE).errno == old
    assert handle(data, LinuxSide((), False, NEW)).errno == new


def test_an_offset_in_front_of_the_table_is_named():
    """Older kernels take it as negative, and read what is there."""
    assert "0xfffffff0: Linux reads in front of" in handle(table(trace(), offsets=(0xFFFF_FFF0,)), BARE).why


def test_rpmsg_gets_its_memory_and_its_notify_ids():
    """Both vrings fit memory of the device tree: the core starts, and its table has the notify ids."""
    answer = handle(table(RPMSG, trace()), MP15)
    assert (answer.errno, answer.lines, answer.notes) == ("OK", (), ())
    assert words(answer, 24 + 4 + 24 + 12) == (0,)
    assert words(answer, 24 + 4 + 24 + 20 + 12) == (1,)
    assert answer.table[: 24 + 40] == table(RPMSG, trace())[: 24 + 40]


def test_without_such_memory_there_is_none():
    """dma-ranges of the core's bus leaves Linux' memory out: ENOMEM, as boards say."""
    answer = handle(table(RPMSG), BARE)
    assert (answer.errno, answer.lines) == ("ENOMEM", NO_MEMORY)


def test_armv7_s_linux_takes_memory_that_it_cannot_give_back():
    """It does not notice that no address of the core's bus leads there: the start is never asked for."""
    answer = handle(table(carveout(b"text", ANY, 0x1000)), LinuxSide((), "lost"))
    assert (answer.errno, answer.why) == (None, LOST)


def test_linux_may_allocate_it_in_its_own_memory():
    """Then the core starts, and whether it can reach that memory is another question."""
    answer = handle(table(vdev([(0x1000, 16, 16), (ANY, 16, 16)])), OWN)
    assert answer.errno == "OK"
    assert answer.notes[-2:] == (
        "vdev0vring0 is allocated in Linux' own memory, not at 0x1000: can the core reach it?",
        "vdev0vring1 is allocated in Linux' own memory: can the core reach it?",
    )


def test_what_is_not_known_of_the_board_is_named():
    """Of a board whose device tree nobody described: which node decides, and whether it may be allocated."""
    answer = handle(table(RPMSG), DARK)
    assert answer.errno is None
    assert answer.why == (
        "depends on memory-region of the core in Linux' device tree: is vdev0vring0 there, and does it fit?"
    )
    assert "is shm there" in handle(table(carveout(b"shm", ANY, 16)), DARK).why
    unsure = handle(table(carveout(b"shm", ANY, 16)), LinuxSide((), None))
    assert (unsure.errno, unsure.why) == (None, "depends on whether Linux can allocate 0x10 bytes for shm")


@pytest.mark.parametrize(
    ("rings", "line", "error"),
    [
        ([(ANY, 16, 0), (ANY, 16, 16)], "invalid qsz (0) or alignment (16)", 22),
        ([(ANY, 16, 16), (ANY, 0, 16)], "invalid qsz (16) or alignment (0)", 22),
        ([(ANY, 16, 512), (ANY, 16, 16)], "Registered carveout doesn't fit len request", 12),
        ([(0x1003_F000, 16, 16), (ANY, 16, 16)], "Registered carveout doesn't fit da request", 12),
        ([(0x1004_0010, 16, 16), (ANY, 16, 16)], "Registered carveout doesn't fit len request", 12),
        ([(ANY, 16, 16), (0, 16, 16)], "Registered carveout doesn't fit da request", 12),
    ],
)  # fmt: skip
def test_a_vring_that_does_not_fit_leaves_the_core_without_rpmsg(rings, line, error):
    """The driver's probe fails, which the core of remoteproc does not notice: the start succeeds."""
    answer = handle(table(vdev(rings), trace()), MP15)
    assert (answer.errno, answer.lines) == ("OK", (line, PROBE.format(error)))
    assert answer.notes == ("vdev0 is not there: no RPMsg through it",)


def test_a_vring_is_given_back_when_the_next_does_not_fit():
    """Its address becomes 0 and its notify id -1 in the table; the next vdev gets notify id 0."""
    bad = vdev([(0x1004_0000, 16, 16), (0, 16, 16)])
    answer = handle(table(bad, vdev([(ANY, 16, 16)] * 2)), LinuxSide(MP15.carveouts, True))
    assert words(answer, 24 + 28) == (0,)
    assert words(answer, 24 + 28 + 12) == (ANY,)
    assert words(answer, 24 + len(bad) + 28 + 12) == (0,)


def test_an_older_kernel_words_the_probe_differently():
    """So the line that a log is searched for depends on the kernel."""
    old = LinuxSide(MP15.carveouts, False, KERNELS["6.1"])
    answer = handle(table(vdev([(ANY, 0, 16)] * 2)), old)
    assert answer.lines[-1] == "probe of rproc-virtio.N.auto failed with error -22"


@pytest.mark.parametrize("rings", [[], [(ANY, 16, 16)]], ids=["none", "one"])
def test_fewer_than_two_vrings_break_linux(rings):
    """When such a vdev is freed, Linux follows a null pointer: at the stop, or at once if the start fails."""
    assert OOPS in handle(table(vdev(rings)), MP15).notes
    failed = handle(table(vdev(rings), devmem(0, 0, 0)), MP15)
    assert (failed.errno, failed.why) == (None, OOPS)
    assert handle(table(vdev(rings), carveout(b"x", 0, 16)), BARE).why == OOPS


@pytest.mark.parametrize(
    ("data", "note"),
    [
        (vdev([(ANY, 16, 24), (ANY, 16, 16)]), "vring 0 of vdev0 has 24 buffers, no power of 2: no RPMsg"),
        (vdev([(ANY, 16, 16)] * 2, device=18), "vdev0 is a virtio device of type 18, not of RPMsg's, 7"),
    ],
    ids=["number", "device"],
)
def test_what_keeps_rpmsg_from_working_is_noted(data, note):
    """The start succeeds all the same."""
    answer = handle(table(data), MP15)
    assert (answer.errno, answer.notes) == ("OK", (note,))


def test_memory_for_buffers_is_missed():
    """Without vdev0buffer the buffers come from somewhere else."""
    assert "no memory vdev0buffer" in handle(table(RPMSG), LinuxSide(RINGS, False)).notes[0]


def test_a_carveout_of_the_device_tree_is_given():
    """Address, size and place in Linux' memory are written into the entry."""
    linux = linux_side(load_profile("linux-mp15"), "m4")
    answer = handle(table(carveout(b"retram", ANY, 0x100)), linux)
    assert (answer.errno, words(answer, 24, 3)) == ("OK", (0, 0x3800_0000, 0x10000))
    pool = handle(table(carveout(b"vdev0buffer", ANY, 0x100)), linux)
    assert words(pool, 24, 3) == (0x1004_2000, 0, 0x4000)


@pytest.mark.parametrize(
    ("entries", "line"),
    [
        ([carveout(b"vdev0vring0", ANY, 0x1001)], "Registered carveout doesn't fit len request"),
        ([carveout(b"vdev0vring0", 0, 0x10)], "Registered carveout doesn't fit da request"),
        ([carveout(b"vdev0vring0", 0x1004_0FFF, 2)], "Registered carveout doesn't fit len request"),
        ([carveout(b"vdev0vring0", ANY, 1)] * 2, "Carveout already associated to resource table"),
    ],
)
def test_a_carveout_that_does_not_fit_fails_the_start(entries, line):
    """Other than a vring: ENOMEM."""
    answer = handle(table(*entries), MP15)
    assert (answer.errno, answer.lines) == ("ENOMEM", (line, "Failed to process resources: -12"))


def test_a_carveout_by_another_name_is_allocated():
    """That is what tables for other boards ask for: here Linux has no memory for it."""
    answer = handle(table(carveout(b"text", 0, 0x1000)), MP15)
    assert answer.lines[1] == "Unable to allocate carveout text: -12"


@pytest.mark.parametrize("name", [b"a%sb", b"x" * 32])
def test_a_name_that_linux_takes_for_a_format_is_not_predicted(name):
    """A % in it, or no end within the table."""
    answer = handle(table(carveout(name, 0, 1)), MP15)
    assert answer.errno is None
    assert answer.why.startswith("the name of a carve-out has ")


def test_a_fixed_address_does_not_fit_memory_of_any_address():
    """A vring at an address, where another entry asked for that memory anywhere: no line says so."""
    data = table(carveout(b"vdev0vring0", ANY, 0x1000), vdev([(0x1000, 16, 16), (ANY, 16, 16)]))
    answer = handle(data, OWN)
    assert (answer.errno, answer.lines) == ("OK", (PROBE.format(12),))


@pytest.mark.parametrize(
    ("num", "align", "size"),
    [
        (16, 16, 0x1000),
        (256, 4096, 0x3000),
        (512, 16, 0x4000),
        (24, 3, 0x1000),
        (1 << 28, 1, 0xA000_1000 % (1 << 32)),
    ],
)
def test_the_size_of_a_vring(num, align, size):
    """In whole pages; with 32 bits, as the kernel's function has it."""
    assert vring_bytes(num, align) == size


def test_a_table_with_too_many_entries_is_read_past_its_end():
    """Only where nobody has checked it before."""
    data = struct.pack("<4I", 1, 3, 0, 0)
    assert handle(data, MP15).why == "Linux reads past the resource table"
