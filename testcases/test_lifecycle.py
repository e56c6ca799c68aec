# SPDX-License-Identifier: MIT
"""The life of a core: started, stopped, replaced, asked for what it can't do, and left as it was found."""

import re
from typing import NamedTuple

import pytest

from mpbench.core.facts import Measurement
from mpbench.deployment.facts import ZEROS, DeployFacts
from mpbench.image.faults import apply
from mpbench.image.fields import fields
from mpbench.layout import Tee
from mpbench.twin.loader import load
from testcases.compared import ANSWER, LIFE
from testcases.peer.elves import Elf, Segment
from testcases.rebuilt import data_only, end, rebuilt, segments, table, with_table
from testcases.requirements import LIFECYCLE

pytestmark = LIFECYCLE

MANY = 3
"""Starts and stops where two would be enough to see that they are counted."""


class Room(NamedTuple):
    """Memory of a core that its firmware leaves free."""

    core: str
    da: int
    size: int


@pytest.fixture
def room(bench, core, alive):
    """Memory behind the firmware, to the end of the region it ends in."""
    begin = end(alive)
    region = next(r for r in bench.profile.core(core).regions if r.da <= begin < r.da + r.size)
    return Room(core, begin, region.da + region.size - begin)


@pytest.fixture
def neighbour(bench, core):
    """Another core of the board."""
    names = [c.name for c in bench.profile.cores if c.name != core]
    if not names:
        pytest.skip("this board has one co-processor")
    return names[0]


def running(core, errno="OK"):
    """A core that runs `alive`, whatever the write gave."""
    return DeployFacts(errno, "running", beating=True, identity=f"alive {core}")


def off(errno):
    """A core that doesn't run."""
    return DeployFacts(errno, "offline", beating=False, identity="")


def lives(bench, core, image):
    """Deploy an image that has to run, as the twin predicts."""
    step = bench.deploy(core, image, f"alive {core}")
    step.check(*LIFE)
    assert step.observed.state == "running"


def command(bench, core, word, predicted, file="state"):
    """A write that Linux answers by itself."""
    bench.command(core, word, predicted, file=file).check("errno", "state", "beating")


# ------------------------------------------------------------------------------------ start and stop


def test_start_stop_start(bench, core, image):
    """A core is started, stopped, and started again with the same file: authenticated anew, it runs again."""
    lives(bench, core, image)
    bench.stop(core)
    again = bench.deploy(
        core, image, f"alive {core}", name="start again", start=lambda: bench.write(core, "state", "start")
    )
    again.check(*LIFE)
    assert again.observed.state == "running"


def test_firmware_is_replaced(bench, core, image, firmware, signed):
    """While firmware runs its name can't be changed; a new file is what runs after the next start."""
    lives(bench, core, image)
    command(bench, core, "another.fw", running(core, "EBUSY"), "firmware")
    bench.stop(core)
    other = signed(core, firmware("starve", core))
    step = bench.deploy(core, other, f"starve {core}")
    step.check(*LIFE)
    assert step.observed.identity == f"starve {core}"


def test_starts_are_counted(bench, core, image):
    """A start while it runs is refused or counted, never lost: every one that succeeded needs a stop."""
    lives(bench, core, image)
    starts = 1
    for _ in range(MANY):
        errno = bench.write(core, "state", "start")
        assert errno in ("OK", "EBUSY")
        starts += errno == "OK"
    for _ in range(starts - 1):
        command(bench, core, "stop", running(core))
    command(bench, core, "stop", off("OK"))


def test_second_stop_is_refused(bench, core, image):
    """A core that doesn't run can't be stopped."""
    lives(bench, core, image)
    bench.stop(core)
    command(bench, core, "stop", off("EINVAL"))


@pytest.mark.parametrize("word", ["detach", "recover", "START", ""])
def test_unknown_words_are_refused(bench, core, word):
    """Only start, stop and detach are words for the state, and what isn't attached can't be detached."""
    command(bench, core, f"{word}\n", off("EINVAL"))


def test_starting_and_stopping_many_times(bench, core, image):
    """Started and stopped again and again, the core runs each time and is offline in between."""
    for _ in range(MANY):
        lives(bench, core, image)
        bench.stop(core)
        assert bench.state(core) == "offline"


# ------------------------------------------------------------------------------------ files


def test_missing_file(bench, core):
    """A firmware file that doesn't exist is ENOENT, and the core stays off."""
    assert bench.write(core, "firmware", "mpbench-missing.fw") == "OK"
    command(bench, core, "start", off("ENOENT"))


def test_empty_name(bench, core):
    """A core without the name of a firmware is no core that could be started: an empty name is refused."""
    command(bench, core, "\n", off("EINVAL"), "firmware")


def test_empty_file(bench, core):
    """An empty file is refused by Linux, before the TEE hears of it."""
    start = starts_file(bench, core, "mpbench-empty.fw", b"")
    step = bench.act(core, off("EINVAL"), "start an empty file", start)
    step.check("errno", "state", "beating")
    assert b"TEE err" not in (step.evidence.get("kmsg") or b"")


@pytest.mark.parametrize(
    "name",
    ["with space.fw", "-dash.fw", "'quote\"$(id)`.fw", "fírmware.fw", "a" * 200, "mpbench/below/it.fw", "."],
    ids=["space", "dash", "shell", "utf-8", "long", "directory", "dot"],
)
def test_odd_names(bench, core, image, name):
    """A firmware file may have any name that a file can have; a name that can't be one starts nothing."""
    if name == ".":
        bench.write(core, "firmware", name)
        step = bench.act(
            core,
            DeployFacts(state="offline", beating=False),
            "start",
            lambda: bench.write(core, "state", "start"),
        )
        step.check("state", "beating")
        assert step.observed.errno != "OK"
        return
    start = starts_file(bench, core, name, image)
    bench.deploy(core, image, f"alive {core}", name=f"deploy as {name}", start=start).check(*LIFE)


def test_a_name_does_not_lead_out_of_the_firmware_directory(bench, core, image):
    """A name with `..` is refused by Linux, or finds what it says: it is told which."""
    outside = "../mpbench-outside.fw"
    start = starts_file(bench, core, outside, image)
    errno = bench.deploy(core, image, f"alive {core}", name="deploy from outside", start=start).observed.errno
    bench.measure(
        Measurement(
            "firmware name with `..` is refused",
            float(errno != "OK"),
            "",
            f"errno {errno}",
            conditions={"core": core},
        )
    )


def starts_file(bench, core, name, data):
    """Puts a firmware file under a name of its own; what is returned starts it, and removes it again."""
    path = bench.board.remoteproc.firmware_path(name)
    quoted = "'" + path.replace("'", "'\\''") + "'"

    def start():
        bench.execute(f'd={quoted}; mkdir -p "${{d%/*}}"')
        bench.board.session.put_bytes(data, path)
        assert bench.write(core, "firmware", name) == "OK"
        errno = bench.write(core, "state", "start")
        bench.execute(f"rm -f {quoted}")
        return errno

    return start


# ------------------------------------------------------------------------------------ images


def test_several_images_in_one_file(bench, core, alive, room, signed):
    """Two ELF files in one signed file are both loaded, and the firmware runs."""
    more = data_only(Segment(room.da, b"second image" * 10))
    lives(bench, core, signed(core, alive, more))


def test_two_resource_tables_are_refused(bench, core, alive, room, signed):
    """Of several images only one may have a resource table."""
    second = rebuilt(data_table(alive, room.da))
    step = bench.deploy(core, signed(core, alive, second), f"alive {core}")
    step.check(*LIFE)
    assert step.observed.tee_code == Tee.BAD_FORMAT


def data_table(alive, da):
    """An ELF that is nothing but a copy of the resource table, elsewhere."""
    return Elf([Segment(da, table(alive)[0])], table(alive)[0], da).build()


@pytest.mark.parametrize("over", [0, 4], ids=["fits", "too-large"])
def test_largest_image(bench, alive, room, over, signed):
    """An image may fill its memory region with data to the last byte, and not a word further."""
    core, begin, size = room
    filled = Segment(begin, b"\xa5" * (size + over), size + over)
    step = bench.deploy(core, signed(core, rebuilt(alive, filled)), f"alive {core}")
    step.check(*LIFE)
    assert step.observed.tee_code == (Tee.ACCESS_DENIED if over else 0)


@pytest.fixture
def all_cores_known(bench, firmware, signed):
    """Every core has been loaded once: the TA keeps heap for each. How many they are."""
    for name in (c.name for c in bench.profile.cores):
        lives(bench, name, signed(name, firmware("alive", name)))
        bench.stop(name)
    return len(bench.profile.cores)


def test_most_segments(bench, alive, room, signed, all_cores_known):
    """As many segments are loaded as the TA's heap has room for, by the twin's count; one more is refused."""
    core = room.core

    def image(count):
        more = [Segment(room.da + 16 * n, bytes([n % 255 + 1] * 16)) for n in range(count)]
        return signed(core, rebuilt(alive, *more))

    def fits(count):
        return load(image(count), bench.profile, core, contexts=all_cores_known).accepted

    low, high = 0, min(room.size // 16, 1000)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    bench.deploy(core, image(low), f"alive {core}", contexts=all_cores_known).check(*LIFE)
    bench.stop(core)
    step = bench.deploy(core, image(high), f"alive {core}", contexts=all_cores_known)
    step.check(*LIFE)
    assert step.observed.tee_code == Tee.OUT_OF_MEMORY
    own = len(segments(alive))
    bench.measure(
        Measurement(
            "segments that fit the TA's heap",
            low + own,
            "segments",
            "largest accepted",
            conditions={"core": core},
        )
    )


def test_without_resource_table(bench, core, alive, signed):
    """Firmware without a resource table is accepted and runs; it has no trace, so nobody hears it."""
    step = bench.deploy(core, signed(core, rebuilt(alive, with_table=False)), f"alive {core}")
    step.check(*ANSWER)
    assert step.observed.state == "running"
    assert bench.board.remoteproc.trace(core) is None


RESOURCES = {
    "reserved-word": (0x20, 1),
    "no-iommu": (0x14, 1),
    "entry-outside": (0x10, 0x1000),
    "entry-cut": (0x10, 0x18),
    "unknown-type": (0x14, 77),
    "vendor-type": (0x14, 128),
}
"""Offset in the resource table, and the word put there; one entry of 48 bytes stands at 0x14."""


@pytest.mark.parametrize("fault", RESOURCES)
def test_resource_entry_faults(bench, core, alive, signed, fault):
    """The TEE looks at a resource table's head only; an entry that Linux refuses ends the start, cleanly."""
    spoiled = signed(core, with_table(alive, *RESOURCES[fault]))
    bench.deploy(core, spoiled, f"alive {core}").check(*ANSWER)


def test_nothing_stays_loaded_when_linux_refuses(bench, core, alive, image, signed):
    """The TEE has loaded an image that Linux then refuses: it is released, and the next one is looked at.

    A TA that still holds an image answers SUCCESS to LOAD without looking at the new one.
    """
    refused = bench.deploy(core, signed(core, with_table(alive, 0x20, 1)), f"alive {core}")
    refused.check(*LIFE)
    assert (refused.observed.errno, refused.observed.tee_code) == ("EINVAL", 0)
    tampered = bench.deploy(core, apply("payload-first", image), f"alive {core}", original=image)
    tampered.check(*LIFE)
    assert tampered.observed.tee_code == Tee.SECURITY


# ------------------------------------------------------------------------------------ property of the format


@pytest.mark.parametrize("fault", ["elf-entry", "elf-type", "elf-machine"])
def test_unsigned_headers_are_accepted(bench, core, image, fault):
    """A property of the format: ELF headers aren't signed, so another entry point or type is accepted."""
    step = bench.deploy(core, apply(fault, image), f"alive {core}", original=image)
    step.check(*LIFE)
    assert step.observed.errno == "OK"


def test_segments_can_be_left_out(bench, core, alive, room, signed):
    """A property of the format: a lowered e_phnum leaves out signed segments, and nobody is told."""
    image = signed(core, rebuilt(alive, Segment(room.da, b"left out" * 8)))
    step = bench.deploy(core, apply("elf-phnum-less", image), f"alive {core}", original=image)
    step.check(*ANSWER)
    assert (step.observed.errno, step.observed.tee_code) == ("OK", 0)


def test_the_resource_table_can_be_moved(bench, core, alive, room, signed):
    """A property of the format: an unsigned section header says where the resource table is.

    The image holds a second, sound table, which is signed as data. The tampered image has Linux use that one.
    """
    image = signed(core, rebuilt(alive, Segment(room.da, table(alive)[0])))
    moved = bytearray(image)
    at = fields(image)["elf0.rschead.sh_addr"]
    moved[at.at : at.end] = room.da.to_bytes(4, "little")
    step = bench.deploy(core, bytes(moved), f"alive {core}", original=image)
    step.check(*LIFE)
    assert step.observed.errno == "OK"


# ------------------------------------------------------------------------------------ what stays behind


def test_memory_is_cleared(bench, core, image):
    """After a stop, and after a refusal, no byte of the firmware is left in the core's memory."""
    assert bench.memory(core) == ZEROS
    lives(bench, core, image)
    assert bench.memory(core) != ZEROS
    bench.stop(core)
    assert bench.memory(core) == ZEROS
    bench.deploy(core, apply("payload-last", image), f"alive {core}", original=image).check(*LIFE)
    assert bench.memory(core) == ZEROS


def left_behind(bench, core, image):
    """(words that are not zero, address of the first) in the memory behind memscan, by its own word."""
    bench.deploy(core, image, f"memscan {core}").check(*LIFE)
    text = bench.board.remoteproc.trace(core).decode("ascii", "replace")
    bench.stop(core)
    found = re.search(r"words not zero ([0-9a-f]{8})\nfirst at ([0-9a-f]{8})\n", text)
    assert found, f"memscan says nothing of the memory: {text!r}"
    return int(found[1], 16), int(found[2], 16)


@pytest.fixture
def scan(firmware, core):
    """ELF of the firmware that says what it finds in the memory behind itself."""
    return firmware("memscan", core)


def test_memory_is_cleared_as_the_core_sees_it(bench, room, alive, scan, signed):
    """After a stop, and after a refusal, the core itself finds nothing of the firmware before it."""
    core, begin = room.core, max(room.da, end(scan))
    size = room.da + room.size - begin
    dirt = Segment(begin + size - 64, b"\xa5" * 64)
    assert left_behind(bench, core, signed(core, rebuilt(scan, dirt))) == (16, dirt.paddr), "it sees nothing"
    assert left_behind(bench, core, signed(core, scan)) == (0, 0)
    filled = signed(core, rebuilt(alive, Segment(begin, b"\x5a" * min(size, 1 << 20), size)))
    lives(bench, core, filled)
    bench.stop(core)
    assert left_behind(bench, core, signed(core, scan)) == (0, 0)
    refused = bench.deploy(core, apply("payload-last", filled), f"alive {core}", original=filled)
    refused.check(*LIFE)
    assert refused.observed.tee_code == Tee.SECURITY
    assert left_behind(bench, core, signed(core, scan)) == (0, 0)


def carveouts(bench, core):
    """Memories that Linux holds for the core."""
    path = bench.board.remoteproc.debug_path(core, "carveout_memories")
    found = bench.read(path)
    assert isinstance(found, bytes), f"{path}: {found}"
    return found.count(b"Carveout memory entry")


def test_refused_images_leave_nothing_in_linux(crashes, bench, core, image):
    """Refused images leave no carve-out and no dump segment behind in Linux.

    If this fails the kernel's driver is to blame: the core cleans up nothing that was registered in prepare,
    so a driver has to register memory once the image is accepted (mainline's stm32_rproc does it earlier).
    """
    before = carveouts(bench, core)
    for fault in ("payload-first", "signature-first", "header-magic"):
        bench.deploy(core, apply(fault, image), f"alive {core}", original=image).check(*LIFE)
        assert carveouts(bench, core) == before
    crashes.start(core)
    assert carveouts(bench, core) == before + len(bench.profile.core(core).regions)
    assert crashes.write(core, "coredump", "enabled") == "OK"
    crashes.watchdog(core)
    crashes.take_dump(core, 1).check("segments")
    bench.stop(core)
    assert carveouts(bench, core) == before


def test_sessions_and_shared_memory_come_back(crashes, bench, core, image):
    """Good and refused images leave the TEE's sessions and shared memory as they were."""
    lives(bench, core, image)
    bench.stop(core)
    before = crashes.trace.counts()
    if not before:
        pytest.skip("this kernel can't count calls of OP-TEE's driver (kprobes)")
    for one in (image, apply("payload-first", image), apply("signature-first", image)) * 2:
        bench.deploy(core, one, f"alive {core}")
        if bench.state(core) != "offline":
            bench.stop(core)
    new = {name: number - before[name] for name, number in crashes.trace.counts().items()}
    assert new["shm_in"] >= 6, "the images were not shared through OP-TEE's driver"
    assert new["shm_in"] == new["shm_out"]
    assert new["session_in"] == new["session_out"]


# ------------------------------------------------------------------------------------ driver, other cores


@pytest.fixture
def device(bench, core):
    """(driver's directory, device's name) of the core in sysfs."""
    link = bench.board.remoteproc.path(core, "device")
    reply = bench.execute(f"readlink -f {link}/driver && basename $(readlink -f {link})")
    driver, name = reply.stdout.decode().split()
    yield driver, name
    bench.execute(f"[ -e {driver}/{name} ] || echo {name} >{driver}/bind")


@pytest.mark.parametrize("begin", ["offline", "running"])
def test_unbind_and_bind(bench, core, image, device, begin):
    """The driver is taken from the core and given back: it is gone, then there and off, and can be loaded."""
    if begin == "running":
        lives(bench, core, image)
    driver, name = device
    remoteproc = bench.board.remoteproc
    assert bench.execute(f"echo {name} >{driver}/unbind").code == 0
    assert core not in remoteproc.cores()
    if bench.board.memory is not None:
        assert bench.memory(core) == ZEROS
    assert bench.execute(f"echo {name} >{driver}/bind").code == 0
    assert core in remoteproc.cores()
    command(bench, core, "start", off("ENOENT"))
    lives(bench, core, image)


@pytest.fixture
def both(core, neighbour, firmware, signed):
    """Signed firmware for this core and for another."""
    return {name: signed(name, firmware("alive", name)) for name in (core, neighbour)}


def test_cores_are_independent(bench, core, neighbour, both):
    """Both cores run at once; one is stopped, refused and started again, and the other does not notice."""
    image = both[core]
    lives(bench, neighbour, both[neighbour])
    lives(bench, core, image)
    bench.stop(core)
    bench.deploy(core, apply("payload-first", image), f"alive {core}", original=image).check(*LIFE)
    still = bench.act(neighbour, running(neighbour), "look at the other core", lambda: "OK")
    still.check("state", "beating", "identity")
    lives(bench, core, image)
    bench.stop(neighbour)
    bench.act(core, running(core), "look at this core", lambda: "OK").check("state", "beating", "identity")


def test_deploy_while_the_other_core_crashes(crashes, bench, core, neighbour, image):
    """One core crashes again and again while firmware is loaded onto the other: both run in the end."""
    crashes.start(neighbour, "alive")
    crash = crashes.debug(neighbour, "crash")
    storm = bench.board.session.spawn(f"for i in $(seq 1 20); do echo 2 >{crash}; done")
    try:
        for _ in range(MANY):
            lives(bench, core, image)
            bench.stop(core)
    finally:
        storm.close()
    assert bench.board.remoteproc.await_state(neighbour, "running", 10.0) == "running"
    assert crashes.is_beating(neighbour)
    assert crashes.beat(neighbour)[0] > 1, "the other core never crashed"
