# SPDX-License-Identifier: MIT
"""Life cycle of a core: start, stop, replaced firmware, invalid requests, memory that must be cleared."""

import re
from typing import NamedTuple

import pytest

from mpbench.core.evidence import KMSG, text_of
from mpbench.core.facts import Measurement
from mpbench.deployment.facts import ZEROS, DeployFacts
from mpbench.deployment.predict import table_answer
from mpbench.harness.bench import RECOVERED_S
from mpbench.image.faults import apply
from mpbench.image.fields import fields
from mpbench.layout import Tee
from mpbench.twin.loader import load
from testcases.elf_edit import data_only, end_address, patch_table, rebuild, segments, table
from testcases.field_sets import ANSWER, OUTCOME, outcome_of
from testcases.peer.elves import Elf, Segment
from testcases.requirements import LIFECYCLE
from testcases.tables import ANY, RPMSG, carveout, trace, vdev
from testcases.tables import table as table_of

pytestmark = LIFECYCLE

MANY = 3
"""Repetitions of a start or stop; two would already show that they are counted."""


class Room(NamedTuple):
    """Memory of a core that its firmware does not use: `size` bytes from device address `da`."""

    core: str
    da: int
    size: int


@pytest.fixture
def room(bench, core, alive):
    """Memory after the firmware, up to the end of its last region."""
    start = end_address(alive)
    region = next(r for r in bench.profile.core(core).regions if r.da <= start < r.da + r.size)
    return Room(core, start, region.da + region.size - start)


@pytest.fixture
def table_room(bench, core, room):
    """As `room`, where Linux may read a resource table: behind a firewall half of the shared memory."""
    regions = bench.profile.core(core).regions
    readable = [r for r in regions if r.may("linux")]
    if any(r.da <= room.da < r.da + r.size for r in readable):
        return room
    if not readable:
        pytest.skip("the firewall closes all memory of this core to Linux")
    half = readable[-1].size // 2
    return Room(core, readable[-1].da + half, half)


@pytest.fixture
def neighbour(bench, core):
    """Another core of the board."""
    names = [c.name for c in bench.profile.cores if c.name != core]
    if not names:
        pytest.skip("this board has one co-processor")
    return names[0]


def running(core, errno="OK"):
    """Prediction: the core runs `alive`, and the write gives `errno`."""
    return DeployFacts(errno, "running", beating=True, identity=f"alive {core}")


def off(errno):
    """Prediction: the core is offline, and the write gives `errno`."""
    return DeployFacts(errno, "offline", beating=False, identity="")


def deploy_running(bench, core, image):
    """Deploy an image that must run, as predicted."""
    step = bench.deploy(core, image, f"alive {core}")
    step.check(*outcome_of(bench.profile, core))
    assert step.observed.state == "running"


def command(bench, core, word, predicted, file="state"):
    """A sysfs write that Linux answers without the TEE, compared with its prediction."""
    bench.command(core, word, predicted, file=file).check("errno", "state", "beating")


# ------------------------------------------------------------------------------------ start and stop


@pytest.fixture
def good(alive, loadable):
    """The firmware `alive` as the core's loader takes it: signed, or a plain ELF."""
    return loadable(alive)


def test_start_stop_start(bench, core, good):
    """A core is started, stopped and started again with one file, which is checked again, and runs."""
    deploy_running(bench, core, good)
    bench.stop(core)
    again = bench.deploy(
        core, good, f"alive {core}", name="start again", start=lambda: bench.write(core, "state", "start")
    )
    again.check(*outcome_of(bench.profile, core))
    assert again.observed.state == "running"


def test_firmware_is_replaced(bench, core, good, firmware, loadable):
    """While firmware runs, its name cannot be changed; a new file runs after the next start."""
    deploy_running(bench, core, good)
    command(bench, core, "another.fw", running(core, "EBUSY"), "firmware")
    bench.stop(core)
    other = loadable(firmware("starve", core))
    step = bench.deploy(core, other, f"starve {core}")
    step.check(*outcome_of(bench.profile, core))
    assert step.observed.identity == f"starve {core}"


def test_starts_are_counted(bench, core, good):
    """A start of a running core is refused or counted: each start that succeeded needs one stop."""
    deploy_running(bench, core, good)
    starts = 1
    for _ in range(MANY):
        errno = bench.write(core, "state", "start")
        assert errno in ("OK", "EBUSY")
        starts += errno == "OK"
    for _ in range(starts - 1):
        command(bench, core, "stop", running(core))
    command(bench, core, "stop", off("OK"))


def test_second_stop_is_refused(bench, core, good):
    """A core that is offline cannot be stopped."""
    deploy_running(bench, core, good)
    bench.stop(core)
    command(bench, core, "stop", off("EINVAL"))


@pytest.mark.parametrize("word", ["detach", "recover", "START", ""])
def test_unknown_words_are_refused(bench, core, word):
    """The state accepts only start, stop and detach, and a core that is not attached cannot be detached."""
    command(bench, core, f"{word}\n", off("EINVAL"))


def test_starting_and_stopping_many_times(bench, core, good):
    """Started and stopped repeatedly, the core runs each time and is offline in between."""
    for _ in range(MANY):
        deploy_running(bench, core, good)
        bench.stop(core)
        assert bench.state(core) == "offline"


# ------------------------------------------------------------------------------------ files


def test_missing_file(bench, core):
    """Starting a firmware file that does not exist gives ENOENT, and the core stays offline."""
    assert bench.write(core, "firmware", "mpbench-missing.fw") == "OK"
    command(bench, core, "start", off("ENOENT"))


def test_empty_name(bench, core):
    """An empty firmware name is refused."""
    command(bench, core, "\n", off("EINVAL"), "firmware")


def test_empty_file(bench, core):
    """An empty file is refused by Linux; the TEE is not called."""
    start = starts_file(bench, core, "mpbench-empty.fw", b"")
    step = bench.act(core, off("EINVAL"), "start an empty file", start)
    step.check("errno", "state", "beating")
    kmsg = step.evidence.get(KMSG)
    assert b"remoteproc" in kmsg, "the refusal is not in the kernel log"
    assert b"TEE err" not in kmsg


@pytest.mark.parametrize(
    "name",
    ["with space.fw", "-dash.fw", "'quote\"$(id)`.fw", "fírmware.fw", "a" * 200, "mpbench/below/it.fw", "."],
    ids=["space", "dash", "shell", "utf-8", "long", "directory", "dot"],
)
def test_odd_names(bench, core, good, name):
    """A firmware file may have any valid file name; a name that is no file name starts nothing."""
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
    step = bench.deploy(
        core, good, f"alive {core}", name=f"deploy as {name}", start=starts_file(bench, core, name, good)
    )
    step.check(*outcome_of(bench.profile, core))


def test_a_name_does_not_lead_out_of_the_firmware_directory(bench, core, good):
    """A firmware name with `..` is refused with EINVAL; kernels without that check load the file it names.

    Linux 6.12 and its stable branches of that time refuse it. Which of the two a board does is measured.
    """
    outside = "../mpbench-outside.fw"
    start = starts_file(bench, core, outside, good)
    step = bench.deploy(core, good, f"alive {core}", name="deploy from outside", start=start)
    errno = step.observed.errno
    assert errno in ("OK", "EINVAL")
    if errno == "OK":
        step.check(*outcome_of(bench.profile, core))
    else:
        assert (step.observed.state, step.observed.beating) == ("offline", False)
    bench.measure(
        Measurement(
            "firmware name out of the directory is refused",
            float(errno != "OK"),
            "",
            f"errno {errno}",
            conditions={"core": core},
        )
    )


def starts_file(bench, core, name, data):
    """Function that writes a firmware file of that name, starts it, and removes the file."""
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
    deploy_running(bench, core, signed(core, alive, more))


def test_two_resource_tables_are_refused(bench, core, alive, room, signed):
    """Two images in one file that both have a resource table are refused."""
    second = rebuild(data_table(alive, room.da))
    step = bench.deploy(core, signed(core, alive, second), f"alive {core}")
    step.check(*OUTCOME)
    assert step.observed.tee_code == Tee.BAD_FORMAT


def data_table(alive, da):
    """An ELF file that holds only a copy of the resource table, at another address."""
    return Elf([Segment(da, table(alive)[0])], table(alive)[0], da).build()


@pytest.mark.parametrize("over", [0, 4], ids=["fits", "too-large"])
def test_largest_image(bench, alive, room, over, signed):
    """An image may fill its memory region to the last byte; one word more is refused, as each TEE does it."""
    core, start, size = room
    filled = Segment(start, b"\xa5" * (size + over), size + over)
    step = bench.deploy(core, signed(core, rebuild(alive, filled)), f"alive {core}")
    step.check(*OUTCOME)
    refused = Tee.ACCESS_DENIED if bench.profile.loader == "upstream" else step.predicted.tee_code
    assert step.observed.tee_code == (refused if over else 0)
    assert bool(step.observed.tee_code) is bool(over)


@pytest.fixture
def all_cores_known(bench, firmware, signed):
    """Number of the TEE's cores; each has been loaded once, since the TA keeps heap for each."""
    names = [c.name for c in bench.profile.cores if not bench.profile.by_linux(c)]
    for name in names:
        deploy_running(bench, name, signed(name, firmware("alive", name)))
        bench.stop(name)
    return len(names)


def test_most_segments(bench, alive, room, signed, all_cores_known):
    """The largest number of segments that fit the TA's heap, as predicted, is loaded; one more is refused."""
    core = room.core

    def image(count):
        more = [Segment(room.da + 16 * n, bytes([n % 255 + 1] * 16)) for n in range(count)]
        return signed(core, rebuild(alive, *more))

    def fits(count):
        return load(image(count), bench.profile, core, contexts=all_cores_known).accepted

    low, high = 0, min(room.size // 16, 1000)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    bench.deploy(core, image(low), f"alive {core}", contexts=all_cores_known).check(*OUTCOME)
    bench.stop(core)
    step = bench.deploy(core, image(high), f"alive {core}", contexts=all_cores_known)
    step.check(*OUTCOME)
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
    """Firmware without a resource table is accepted and runs; it has no trace buffer."""
    step = bench.deploy(core, signed(core, rebuild(alive, with_table=False)), f"alive {core}")
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
"""Offset in the resource table, and the word written there; its one entry of 48 bytes is at 0x14."""


@pytest.mark.parametrize("fault", RESOURCES)
def test_resource_entry_faults(bench, core, alive, signed, fault):
    """The TEE checks a resource table's head only; an entry that Linux refuses ends the start cleanly."""
    damaged = signed(core, patch_table(alive, *RESOURCES[fault]))
    bench.deploy(core, damaged, f"alive {core}").check(*ANSWER)


TABLES = {
    "rpmsg": (RPMSG, trace()),
    "vring-of-no-buffers": (vdev([(ANY, 16, 0), (ANY, 16, 16)]), trace()),
    "three-vrings": (trace(), vdev([(ANY, 16, 16)] * 3)),
    "carve-out": (carveout(b"text", ANY, 0x1000), trace()),
    "long-config-space": (trace(), vdev([(ANY, 16, 16)] * 2, config_len=5)),
    "two-traces": (trace(), trace()),
}
"""Entries as firmware for other boards has them; none of them breaks Linux."""


@pytest.fixture(params=TABLES)
def foreign(request, core, alive, table_room, signed):
    """The firmware with a table like that of firmware for another board, signed."""
    data, da = table_of(*TABLES[request.param]), table_room.da
    elf = Elf([*segments(alive), Segment(da, data, len(data), flags=4)], data, da)
    return signed(core, elf.build())


def test_resource_tables_of_other_boards(bench, core, foreign):
    """What Linux makes of each entry: it has no memory for it, refuses it, or starts the core without it."""
    step = bench.deploy(core, foreign, f"alive {core}")
    step.check("errno", "state", "tee_code")
    predicted = table_answer(load(foreign, bench.profile, core), bench.profile).lines
    log = text_of(step.evidence, KMSG)
    assert [printed for printed in predicted if printed not in log] == []


def test_nothing_stays_loaded_when_linux_refuses(bench, core, alive, image, signed):
    """An image that the TEE has loaded and Linux then refuses is released, and the next one is verified.

    A TA that still holds an image answers SUCCESS to LOAD without verifying the new one.
    """
    refused = bench.deploy(core, signed(core, patch_table(alive, 0x20, 1)), f"alive {core}")
    refused.check(*OUTCOME)
    assert (refused.observed.errno, refused.observed.tee_code) == ("EINVAL", 0)
    tampered = bench.deploy(core, apply("payload-first", image), f"alive {core}", original=image)
    tampered.check(*OUTCOME)
    assert tampered.observed.tee_code == Tee.SECURITY


@pytest.mark.parametrize("fault", ["elf-phnum-zero", "payload-first"])
def test_a_good_image_runs_after_a_refused_one(bench, core, image, fault):
    """What a TEE keeps of a refused image is no reason to refuse the next one, or is undone and reported.

    ST's keeps the boot address: of r2's refusals those before it cleans anything, of r1's also later ones.
    """
    bench.deploy(core, apply(fault, image), f"alive {core}", original=image).check(*OUTCOME)
    bench.deploy(core, image, f"alive {core}").check(*OUTCOME)


# ------------------------------------------------------------------------------------ property of the format


@pytest.mark.parametrize("fault", ["elf-entry", "elf-type", "elf-machine"])
def test_unsigned_headers_are_accepted(bench, core, image, fault):
    """A property of the format: ELF headers are not signed, so another entry point or type is accepted."""
    step = bench.deploy(core, apply(fault, image), f"alive {core}", original=image)
    step.check(*OUTCOME)
    assert step.observed.errno == "OK"


def test_segments_can_be_left_out(bench, core, alive, room, signed):
    """A property of the format: a lower e_phnum leaves out signed segments, and the image is accepted."""
    image = signed(core, rebuild(alive, Segment(room.da, b"left out" * 8)))
    step = bench.deploy(core, apply("elf-phnum-less", image), f"alive {core}", original=image)
    step.check(*ANSWER)
    assert (step.observed.errno, step.observed.tee_code) == ("OK", 0)


def test_the_resource_table_can_be_moved(bench, core, alive, table_room, signed):
    """A property of the format: the section header that locates the resource table is not signed.

    The image holds a second, valid table, signed as data. The tampered image makes Linux use that one.
    """
    image = signed(core, rebuild(alive, Segment(table_room.da, table(alive)[0])))
    moved = bytearray(image)
    at = fields(image)["elf0.rschead.sh_addr"]
    moved[at.at : at.end] = table_room.da.to_bytes(4, "little")
    step = bench.deploy(core, bytes(moved), f"alive {core}", original=image)
    step.check(*OUTCOME)
    assert step.observed.errno == "OK"


# ------------------------------------------------------------------------------------ what remains


def test_memory_is_cleared(bench, core, image):
    """After a stop, and after a refusal, the core's memory is all zeros."""
    assert bench.memory(core) == ZEROS
    deploy_running(bench, core, image)
    assert bench.memory(core) != ZEROS
    bench.stop(core)
    assert bench.memory(core) == ZEROS
    bench.deploy(core, apply("payload-last", image), f"alive {core}", original=image).check(*OUTCOME)
    assert bench.memory(core) == ZEROS


def remaining_words(bench, core, image):
    """(number of words that are not zero, address of the first) after memscan in memory, as it reports."""
    bench.deploy(core, image, f"memscan {core}").check(*OUTCOME)
    text = bench.board.remoteproc.trace(core).decode("ascii", "replace")
    bench.stop(core)
    found = re.search(r"words not zero ([0-9a-f]{8})\nfirst at ([0-9a-f]{8})\n", text)
    assert found, f"memscan reports no result: {text!r}"
    return int(found[1], 16), int(found[2], 16)


@pytest.fixture
def scan(firmware, core):
    """ELF of the firmware that searches the memory after itself for words that are not zero."""
    return firmware("memscan", core)


def test_memory_is_cleared_as_the_core_sees_it(bench, room, alive, scan, signed):
    """After a stop, and after a refusal, the core itself reads only zeros where other firmware was."""
    core, start = room.core, max(room.da, end_address(scan))
    size = room.da + room.size - start
    dirt = Segment(start + size - 64, b"\xa5" * 64)
    assert remaining_words(bench, core, signed(core, rebuild(scan, dirt))) == (16, dirt.paddr), (
        "it misses data"
    )
    assert remaining_words(bench, core, signed(core, scan)) == (0, 0)
    filled = signed(core, rebuild(alive, Segment(start, b"\x5a" * min(size, 1 << 20), size)))
    deploy_running(bench, core, filled)
    bench.stop(core)
    assert remaining_words(bench, core, signed(core, scan)) == (0, 0)
    refused = bench.deploy(core, apply("payload-last", filled), f"alive {core}", original=filled)
    refused.check(*OUTCOME)
    assert refused.observed.tee_code == Tee.SECURITY
    assert remaining_words(bench, core, signed(core, scan)) == (0, 0)


def carveouts(bench, core):
    """Number of carve-outs that Linux has registered for the core."""
    path = bench.board.remoteproc.debug_path(core, "carveout_memories")
    found = bench.read(path)
    assert isinstance(found, bytes), f"{path}: {found}"
    return found.count(b"Carveout memory entry")


def test_refused_images_leave_nothing_in_linux(crashes, bench, core, image):
    """Refused images leave no carve-out and no dump segment in Linux.

    A failure is a defect of the kernel's driver: the remoteproc core does not remove what was registered in
    prepare, so a driver must register memory only for accepted images (mainline's stm32_rproc is earlier).
    """
    before = carveouts(bench, core)
    for fault in ("payload-first", "signature-first", "header-magic"):
        bench.deploy(core, apply(fault, image), f"alive {core}", original=image).check(*OUTCOME)
        assert carveouts(bench, core) == before
    crashes.start(core)
    assert carveouts(bench, core) == before + len(bench.profile.core(core).carveouts)
    crashes.enable_dumps(core)
    crashes.failure(core)
    crashes.take_dump(core, 1).check("segments")
    bench.stop(core)
    assert carveouts(bench, core) == before


def test_sessions_and_shared_memory_come_back(crashes, bench, core, image):
    """Accepted and refused images leak neither sessions of the TEE nor shared memory."""
    deploy_running(bench, core, image)
    bench.stop(core)
    before = crashes.trace.counts()
    if not before:
        pytest.skip("this kernel cannot count calls of OP-TEE's driver (kprobes)")
    for one in (image, apply("payload-first", image), apply("signature-first", image)) * 2:
        bench.deploy(core, one, f"alive {core}")
        bench.leave_offline(core)
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


@pytest.mark.parametrize("state", ["offline", "running"])
def test_unbind_and_bind(bench, core, good, device, state):
    """With its driver unbound the core is gone; bound again it is offline and can be loaded."""
    if state == "running":
        deploy_running(bench, core, good)
    driver, name = device
    remoteproc = bench.board.remoteproc
    assert bench.execute(f"echo {name} >{driver}/unbind").code == 0
    assert core not in remoteproc.cores()
    if bench.board.memory is not None and not bench.profile.by_linux(core):
        assert bench.memory(core) == ZEROS
    assert bench.execute(f"echo {name} >{driver}/bind").code == 0
    assert core in remoteproc.cores()
    command(bench, core, "start", off("ENOENT"))
    deploy_running(bench, core, good)


@pytest.fixture
def both(bench, core, neighbour, firmware, signed):
    """Firmware for this core, signed, and for another, which Linux may load."""
    other = firmware("alive", neighbour)
    return {
        core: signed(core, firmware("alive", core)),
        neighbour: other if bench.profile.by_linux(neighbour) else signed(neighbour, other),
    }


def test_cores_are_independent(bench, core, neighbour, both):
    """Two cores run at once; one is stopped, refused and started again, and the other keeps running."""
    image = both[core]
    deploy_running(bench, neighbour, both[neighbour])
    deploy_running(bench, core, image)
    bench.stop(core)
    bench.deploy(core, apply("payload-first", image), f"alive {core}", original=image).check(*OUTCOME)
    still = bench.act(neighbour, running(neighbour), "state of the other core", lambda: "OK")
    still.check("state", "beating", "identity")
    deploy_running(bench, core, image)
    bench.stop(neighbour)
    bench.act(core, running(core), "state of this core", lambda: "OK").check("state", "beating", "identity")


def test_deploy_while_the_other_core_crashes(crashes, bench, core, neighbour, image):
    """One core crashes repeatedly while firmware is loaded onto the other: both run in the end."""
    crashes.start(neighbour, "alive")
    crash = crashes.debug(neighbour, "crash")
    mark = bench.board.kmsg.mark()
    crashing = bench.board.session.spawn(f"for i in $(seq 1 20); do echo 2 >{crash}; done")
    try:
        for _ in range(MANY):
            deploy_running(bench, core, image)
            bench.stop(core)
    finally:
        crashing.close()
    assert bench.board.remoteproc.await_state(neighbour, "running", RECOVERED_S) == "running"
    assert crashes.is_beating(neighbour)
    logged = bench.board.kmsg.since(mark)
    assert f"crash detected in {neighbour}:".encode() in logged, "the other core never crashed"
