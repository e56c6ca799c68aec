# SPDX-License-Identifier: MIT
"""The twin of Linux' own ELF loader, on the firmware of the bench, changed field by field."""

import struct
import subprocess
import sys

import pytest
from attrs import evolve

from mpbench import layout
from mpbench.commands.main import main
from mpbench.core.shared_files import firmware_build
from mpbench.deployment import run
from mpbench.deployment.facts import DeployFacts
from mpbench.image.sign import sign
from mpbench.twin.linux_elf import NO_TABLE, UNREAD, start
from mpbench.twin.linux_table import LOST
from mpbench.twin.profile import load_profile
from mpbench.twin.values import Write
from testcases.elf_edit import patch_table, rebuild, segments
from testcases.elf_edit import table as table_of
from testcases.peer.elves import Elf, Segment
from testcases.tables import ANY, RPMSG, carveout, table, trace
from testcases.test_plain_elf import DAMAGES, program_header, put
from testcases.unit import image_rig

PROFILE = load_profile("linux-mp15")
M4 = PROFILE.core("m4")
ALIVE = (firmware_build() / "m4/alive.elf").read_bytes()
PAST = put(ALIVE, 28, "<I", len(ALIVE) - 8)
"""Its program headers leave the file."""
REFUSED = DeployFacts("EINVAL", "offline", 0, None, False, "")


def test_the_benchs_firmware_starts():
    """Vectors go to RETRAM, code to MCUSRAM, and what the firmware can write to is not constant."""
    found = start(ALIVE, PROFILE, M4)
    assert (found.errno, found.lines, found.notes, found.boot_address) == ("OK", (), (), 0x1000_0829)
    assert [write.pa for write in found.writes] == [
        0x3800_0000,
        0x1000_0800,
        *(w.pa for w in found.writes[2:]),
    ]
    assert found.constant == found.writes[:2]
    assert found.table[:8] == struct.pack("<2I", 1, 1)
    assert found.installed == (table_of(ALIVE)[1], found.table)


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_elf_is_refused(name):
    """Each damage of the board's cases has its errno and the kernel's line."""
    damage, line = DAMAGES[name]
    found = start(damage(ALIVE), PROFILE, M4)
    assert (found.errno, found.constant, found.installed) == ("EINVAL", (), None)
    assert found.lines[0].startswith(line)
    assert run.predict(PROFILE, "m4", damage(ALIVE), "alive m4") == REFUSED


@pytest.mark.parametrize(
    ("change", "errno", "line"),
    [
        (lambda elf: elf[:0], "EINVAL", "Image is too small"),
        (lambda elf: b"\x7fELF\2" + elf[5:60], "EINVAL", "elf64 header is too small"),
        (lambda elf: put(elf, 28, "<I", len(elf) + 1), "EINVAL", "Firmware size is too small"),
        (lambda _: PAST, None, None),
        (lambda elf: patch_table(elf, 20, 1), "EINVAL", "Failed to process resources: -22"),
        (lambda elf: patch_table(elf, 20, 3), "EINVAL", "vdev rsc is truncated"),
    ],
    ids=["nothing", "short-elf64", "phoff", "phdr-past-file", "devmem", "vdev"],
)
def test_other_answers(change, errno, line):
    """What Linux checks, and what it reads without checking: that is undetermined and predicts nothing."""
    found = start(change(ALIVE), PROFILE, M4)
    assert found.errno == errno
    assert found.why == ("" if errno else "Linux reads past the file")
    assert line is None or found.lines[0] == line
    facts = run.predict(PROFILE, "m4", change(ALIVE), "alive m4")
    assert facts == (REFUSED if errno else DeployFacts())


@pytest.mark.parametrize(("name", "where"), [(1 << 24, "past"), ((1 << 32) - (1 << 16), "in front of")])
def test_section_names_outside_of_the_file_are_undetermined(name, where):
    """strcmp would read on after the file; in 32 bits an offset of nearly 4 GiB leads in front of it."""
    head = layout.EHDR.unpack_from(ALIVE)
    first = head[6]
    found = start(put(ALIVE, first, "<I", name), evolve(PROFILE, word_bits=32), M4)
    assert (found.errno, found.why, found.lines) == (None, f"Linux reads {where} the file", ())


def test_what_linux_writes_to_the_table_is_not_constant():
    """A vdev in it gets notify ids, and later addresses and status: the rest of its segment stays."""
    data = table(RPMSG)
    segment = Segment(0x1000_0000, b"code" * 8 + data + b"more" * 4, 48 + len(data))
    found = start(Elf([segment], data, 0x1000_0020).build(), PROFILE, M4)
    assert (found.errno, found.notes) == ("OK", ())
    assert found.installed[0] == 0x1000_0020
    assert found.installed[1] != data
    assert [(w.pa, w.size) for w in found.constant] == [(0x1000_0000, 32), (0x1000_0020 + len(data), 16)]


def test_a_table_that_is_linked_elsewhere_is_installed_where_it_is_linked():
    """Linux reads it in the file and writes it to sh_addr: outside of the core's memory, nowhere."""
    data = table(RPMSG)
    elf = Elf([Segment(0x1000_0000, data, len(data))], data, 0x2000_0000)
    assert start(elf.build(), PROFILE, M4).installed is None
    assert start(evolve(elf, table_da=0x1000_1000).build(), PROFILE, M4).installed[0] == 0x1000_1000


def test_a_bad_table_is_no_table():
    """The driver warns and starts the core without a trace buffer: nothing is predicted of its heartbeat."""
    image = patch_table(ALIVE, 0, 2)
    found = start(image, PROFILE, M4)
    reported = ("unsupported fw ver: 2", NO_TABLE, "unsupported fw ver: 2")
    assert (found.table, found.lines) == (b"", reported)
    facts = run.predict(PROFILE, "m4", image, "alive m4")
    assert (facts.errno, facts.state, facts.beating, facts.identity) == ("OK", "running", None, None)


def test_without_a_table_the_core_starts():
    """Not having a resource table is acceptable."""
    assert start(rebuild(ALIVE, with_table=False), PROFILE, M4).errno == "OK"


def test_without_vectors_it_does_not_beat():
    """A firmware that brings no vector table runs, as Linux sees it, and writes nothing."""
    at = program_header(ALIVE, "p_paddr") - 3 * layout.PHDR.size
    image = put(ALIVE, at, "<I", 0x3000_0000)
    facts = run.predict(PROFILE, "m4", image, "alive m4")
    assert (facts.state, facts.beating, facts.identity) == ("running", False, "")


def test_an_elf_of_64_bits_is_loaded():
    """The fields are read where that class has them."""
    data = b"code"
    program = struct.pack("<2I6Q", 1, 4, 64 + 56, 0, 0x1000_0000, len(data), 8, 4)
    head = struct.pack("<16s2HI3QI6H", b"\x7fELF\2\1\1", 2, 183, 1, 0, 64, 124, 0, 64, 56, 1, 64, 1, 0)
    found = start(head + program + data + bytes(64), PROFILE, M4)
    assert (found.errno, found.writes) == ("OK", (Write(0x1000_0000, 4, 120), Write(0x1000_0004, 4)))
    large = struct.pack("<2I6Q", 1, 4, 64 + 56, 0, 0x1000_0000, len(data), 1 << 32, 4)
    assert (
        start(head + large + data + bytes(64), PROFILE, M4).lines[-2]
        == "size (100000000) does not fit in size_t type"
    )


@pytest.mark.parametrize(
    ("da", "errno"), [(0x1004_2000, "EINVAL"), (0x1003_FFFE, "EINVAL"), (0x1004_0000, "OK")]
)
def test_a_segment_lies_in_one_region(da, errno):
    """vdev0buffer is not mapped for segments, and no segment crosses from one region to the next."""
    assert start(Elf([Segment(da, b"data", 4)], None).build(), PROFILE, M4).errno == errno


def test_where_to_look_are_the_constant_segments():
    """Linux does not clear memory after a refusal, so nothing is read back then."""
    assert run.places(PROFILE, "m4", ALIVE)[1] == (0x3800_0000, 0x40)
    assert run.places(PROFILE, "m4", b"") == ()


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (ALIVE, ["  write of `start`: OK"]),
        (b"ST\x32M" + ALIVE, ["  write of `start`: EINVAL", "  kernel log: Image is corrupted (bad magic)"]),
        (PAST, ["  write of `start`: undetermined: Linux reads past the file"]),
    ],
    ids=["elf", "signed", "past"],
)
def test_predict_tells_what_linux_answers(tmp_path, capsys, data, lines):
    """`mpbench predict` on such a board names the errno and the kernel's line, not the TEE's."""
    (tmp_path / "image").write_bytes(data)
    assert main(["predict", str(tmp_path / "image"), "--profile", "linux-mp15"]) == 0
    first, *rest = capsys.readouterr().out.splitlines()
    assert first == "profile linux-mp15, core m4 (id 0): Linux 6.12.117 loads a plain ELF"
    assert rest == lines


def test_predict_refuses_a_tees_options(tmp_path, capsys):
    """States and the map of flips are the TEE's: exit code 2 and the reason."""
    (tmp_path / "image").write_bytes(ALIVE)
    assert main(["predict", str(tmp_path / "image"), "--profile", "linux-mp15", "--map"]) == 2
    assert "profile linux-mp15: --state and --map are for a TEE" in capsys.readouterr().err


MIXED = load_profile("virtual-mp25-st")
"""A board whose M33 a TEE loads, and whose M0 is Linux'."""
M0 = (firmware_build() / "m0/alive.elf").read_bytes()
IPC_DA = 0x200C_6000


def test_a_driver_that_reads_no_table_starts_the_core_without():
    """The segments are loaded; nothing comes of the table but where the bench finds the trace buffer."""
    found = start(M0, MIXED, "m0")
    assert (found.errno, found.lines, found.notes) == ("OK", (), (UNREAD,))
    assert (found.table, found.installed, found.unshown) == (b"", None, IPC_DA)
    assert found.writes[0] == Write(0x200C_0000, 0x40, found.writes[0].offset)
    running = DeployFacts("OK", "running", 0, None, True, "alive m0")
    assert evolve(run.predict(MIXED, "m0", M0, "alive m0"), memory=None) == running
    assert run.unshown_trace(MIXED, "m0", M0) == IPC_DA
    assert run.unshown_trace(MIXED, "m33", M0) is None
    assert start(M0, evolve(MIXED, cores=(evolve(MIXED.core("m0"), reads_table=True),)), "m0").unshown is None


@pytest.mark.parametrize(
    "change",
    [
        lambda elf: patch_table(elf, 20, 3),
        lambda elf: rebuild(elf, with_table=False),
        lambda elf: put(elf, 50, "<H", 999),
        lambda elf: elf[:-40],
    ],
    ids=["vdev", "none", "names-past-file", "sections-past-file"],
)
def test_a_table_that_is_not_read_refuses_nothing(change):
    """Without a trace buffer in it heartbeat and identity are not predicted."""
    found = start(change(M0), MIXED, "m0")
    assert (found.errno, found.unshown) == ("OK", None)
    facts = run.predict(MIXED, "m0", change(M0), "alive m0")
    assert (facts.state, facts.beating, facts.identity) == ("running", None, None)


def test_predict_takes_the_loader_of_the_core(tmp_path, capsys):
    """On a board whose cores are managed differently Linux answers for one, the TEE for the other."""
    (tmp_path / "image").write_bytes(M0)
    words = ["predict", str(tmp_path / "image"), "--profile", "virtual-mp25-st", "--core"]
    assert main([*words, "m0"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "profile virtual-mp25-st, core m0 (id 2): Linux 6.12.107 loads a plain ELF",
        "  write of `start`: OK",
        f"  note: {UNREAD}",
    ]
    assert main([*words, "m33"]) == 0
    assert "the file is an ELF, not a signed image" in capsys.readouterr().out
    assert main([*words, "m0", "--map"]) == 2
    assert "--state and --map are for a TEE; Linux manages m0" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("profile", "test", "whose"),
    [
        ("linux-mp15", "def test_it(signed): ...", "this board's cores"),
        ("virtual-mp25-st", "@pytest.mark.parametrize('core', ['m0'])\ndef test_it(core, signed): ...", "m0"),
    ],
    ids=["board", "core"],
)
def test_a_signed_case_is_not_run_where_linux_manages(tmp_path, profile, test, whose):
    """A test that needs a signature is skipped with the reason, without a key."""
    (tmp_path / "conftest.py").write_text(
        "import pytest\n"
        "from mpbench.harness.fixture import signed\n"
        "from mpbench.twin.profile import load_profile\n"
        "env = pytest.fixture(scope='session', name='env')(lambda: None)\n"
        f"profile = pytest.fixture(scope='session', name='profile')(lambda: load_profile('{profile}'))\n"
    )
    (tmp_path / "test_it.py").write_text(f"import pytest\n{test}\n")
    plugins = ["-p", "no:mpbench.plugin", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", "-rs", "--rootdir", tmp_path, *plugins, tmp_path]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    reason = f"Linux manages {whose}: it loads plain ELF files, nothing is signed"
    assert reason in done.stdout
    assert "1 skipped" in done.stdout.splitlines()[-1]


@pytest.mark.parametrize("profile", ["linux-mp15", "virtual-mp15-debian-tee"])
def test_a_carve_out_by_which_linux_crashes_is_not_sent(profile):
    """As a plain ELF file, and as an image for a TEE; what Linux has memory for is sent."""
    known = load_profile(profile)
    entries = {"lost": carveout(b"text", ANY, 0x1000), "": trace(0x1004_0000)}
    for why, entry in entries.items():
        data, da = table(entry), 0x1003_0000
        alive = (firmware_build() / "m4/alive.elf").read_bytes()
        file = Elf([*segments(alive), Segment(da, data, len(data), flags=4)], data, da).build()
        if known.manager == "tee":
            known, file = known.with_key(image_rig.key().public_key()), sign([file], image_rig.key())
        found = run.not_sent(known, "m4", file)
        assert (LOST in found) == bool(why)
        assert bool(found) == bool(why)
