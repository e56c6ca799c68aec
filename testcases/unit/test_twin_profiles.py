# SPDX-License-Identifier: MIT
"""The profiles that come with the bench: releases and boards, rights of memory, vectors, carve-outs."""

import re
from pathlib import Path

import pytest
from attrs import evolve

from mpbench.core.errors import UsageError
from mpbench.core.shared_files import FIRMWARE
from mpbench.deployment.predict import expect
from mpbench.image.sign import sign
from mpbench.layout import Tlv
from mpbench.recovery.predict_coredump import closed, dump
from mpbench.twin.boot_address import boot_address, vectors, vectors_pa
from mpbench.twin.loader import load
from mpbench.twin.memory import LOADING, Watchdog
from mpbench.twin.profile import PARTS, PROFILES, load_profile, profile_names
from testcases.peer.elves import Elf, Segment, resource_table
from testcases.unit.image_rig import board, key

ST = [name for name in profile_names() if name.startswith("st-") and "linux" not in name]
MP25 = [name for name in ST if "mp257f" in name]
BOOT, IPC = 0x80100000, 0x81200000
WORDS = b"\x00\x10\xa0\x80\x09\x00\x10\x80"


def signed(**records: int) -> bytes:
    """Vectors at BOOT, a resource table in the memory that Linux may read; signed, with platform records."""
    table = resource_table()
    segments = [Segment(BOOT, WORDS + bytes(56), 64), Segment(IPC, table, len(table))]
    plat = {int(Tlv[name]): value.to_bytes(4, "little") for name, value in records.items()}
    return sign([Elf(segments, table, IPC).build()], key(), plat_tlvs=plat)


@pytest.mark.parametrize("name", profile_names())
def test_a_profile_has_the_name_of_its_file_and_a_source(name: str):
    """Its name is the file's; the memory of a board that can be bought has a source."""
    found = load_profile(name)
    assert found.name == name
    assert all(core.source for core in found.cores) or name in ("optee-4.10", "optee-4.10-32")
    assert all(core.carveouts and core.regions for core in found.cores)


def test_every_release_is_there_for_every_board():
    """Four releases of ST's OP-TEE on three boards, each with the words by which a board is known."""
    releases = {"3.19": "3.19.0-stm32mp"} | {f"4.0-r{n}": f"4.0.0-stm32mp-r{n}" for n in (1, 2, 3)}
    boards = ("mp157f-dk2", "mp257f-dk", "mp257f-ev1")
    assert sorted(f"st-{release}-{one}" for release in releases for one in boards) == ST
    for name in ST:
        release, one = next((r, b) for r in releases for b in boards if name == f"st-{r}-{b}")
        found = load_profile(name)
        assert (found.optee, found.board) == (releases[release], (f"st,stm32{one}",))
        assert (found.word_bits, found.pta_state, found.manager) == (
            32 if "mp15" in one else 64,
            "shared",
            "tee",
        )
        assert found.loader == ("st-4.0-r2" if release == "4.0-r3" else f"st-{release}"), "r3's TA is r2's"
        assert found.formats == (1 if release == "3.19" else 3)
        assert len(found.dma_ranges) == (3 if "mp15" in one else 4)


def test_a_core_may_have_a_manager_of_its_own():
    """The M33 is the TEE's, the M0 Linux': the TEE knows no such processor, and no session is held for it."""
    found = load_profile("virtual-mp25-st")
    assert {core.name: found.manager_of(core) for core in found.cores} == {"m33": "tee", "m0": "linux"}
    assert (found.by_linux("m0"), found.by_linux(1), found.by_linux("m33")) == (True, False, False)
    assert (found.has_core(1), found.has_core(2), found.sessions) == (True, False, 1)
    assert (
        load(signed(BOOTADDR=BOOT), found.with_key(key().public_key()), "m0").reason.name
        == "memory-of-no-core"
    )
    with pytest.raises(UsageError, match="no core 'm4'"):
        found.manager_of("m4")
    assert [core.name for core in load_profile("virtual-mp25-st-r1").cores] == ["m33", "m0"]


@pytest.mark.parametrize("tree", ["mp25-ostl-optee.dts", "mp25-st-optee.dts", "mp25-st.dtso"])
def test_the_memory_of_the_stm32mp25_with_st_s_answers_is_the_twin_s(tree):
    """By label: OP-TEE's in both its trees, Linux' carve-outs in its own."""
    text = (FIRMWARE / "boot" / tree).read_text()
    names = re.findall(r"&(\w+)>", text[(start := text.index("memory-region =")) : text.index(";", start)])
    core = load_profile("virtual-mp25-st").core("m33")
    known = core.carveouts if tree.endswith(".dtso") else core.regions
    assert names == [{"ipc_shmem_1": "ipc_shmem"}.get(one.name, one.name) for one in known]


def test_a_part_is_no_profile():
    """A release or a board alone is neither offered nor loaded."""
    parts = {file.stem for file in PARTS.glob("*.yaml")}
    assert {"st-4.0-r2", "mp257f-dk"} <= parts
    assert not parts & set(profile_names())
    with pytest.raises(UsageError, match=r"^mp257f-dk: neither a profile file nor one of linux-mp15, "):
        load_profile("mp257f-dk")


def test_rights_of_an_stm32mp257f_dk():
    """Linux reads the IPC memory, and that not while the TEE loads or clears; the rest is closed to it."""
    core = load_profile("st-4.0-r2-mp257f-dk").core("m33")
    readable = {r.name for r in core.regions if r.may("linux")}
    assert readable == {"ipc_shmem"}
    assert not any(r.may("linux", LOADING) or r.may("core", LOADING) for r in core.regions)
    assert all(r.may("tee", LOADING) for r in core.regions)
    assert [r.name for r in core.regions if r.may("core-secure")] == ["tfm_code", "tfm_data"]
    assert core.linux_may_read(IPC, 0x100000)
    assert not core.linux_may_read(IPC, 4, LOADING)
    assert not core.linux_may_read(BOOT)
    assert core.linux_may_read(0x90000000), "memory that is not the core's"
    assert core.watchdog is not None
    assert evolve(core.watchdog, given_by="") == Watchdog("IWDG3", "secure-firmware")
    assert core.watchdog.given_by.startswith("RIFPROT(")


def test_memory_of_sts_boards():
    """Address and size of every region, as ST's device trees of OP-TEE give them to the M33."""
    kit = {
        "cm33_cube_fw": (0x8010_0000, 8 << 20),
        "cm33_cube_data": (0x80A0_0000, 8 << 20),
        "ipc_shmem": (0x8120_0000, 1 << 20),
        "tfm_code": (0x8000_0000, 1 << 20),
        "tfm_data": (0x8090_0000, 1 << 20),
        "cm33_sram2": (0x0A06_0000, 128 << 10),
    }
    more = {"cm33_sram1": (0x0A04_1000, 124 << 10), "cm33_retram": (0x0A08_0000, 124 << 10)}
    for name, regions in (("dk", kit), ("ev1", kit | more)):
        core = load_profile(f"st-4.0-r2-mp257f-{name}").core("m33")
        assert {r.name: (r.pa, r.size) for r in core.regions} == regions


def test_memory_that_st_s_first_release_writes_at_boot():
    """The channel of r1's SCMI server for the M33; r2 has it elsewhere."""
    for name in ("st-4.0-r1-mp257f-dk", "st-4.0-r1-mp257f-ev1", "virtual-mp25-st-r1"):
        assert load_profile(name).core("m33").written_at_boot == ("ipc_shmem",)
    assert load_profile("st-4.0-r2-mp257f-ev1").core("m33").written_at_boot == ()


def test_memory_written_at_boot_has_a_region(tmp_path):
    """A name of none is refused with those there are."""
    path = tmp_path / "own.yaml"
    path.write_text("derives: st-4.0-r2-mp257f-dk\nname: own\ncores: {m33: {written_at_boot: [ipc]}}\n")
    with pytest.raises(
        UsageError, match=r"no region 'ipc' that is written at boot; its regions: cm33_cube_fw, "
    ):
        load_profile(path)


def test_rights_of_an_stm32mp157f_dk2():
    """ST's OP-TEE 4.0 isolates all but SRAM3; 3.19 and upstream's isolate nothing."""
    core = load_profile("st-4.0-r1-mp157f-dk2").core("m4")
    assert [r.name for r in core.regions if r.may("linux")] == ["mcusram3"]
    assert not core.linux_may_read(0x10000000, 0x40000), "in two regions, both closed"
    for name in ("st-3.19-mp157f-dk2", "optee-4.10-mp15", "linux-mp15", "st-linux-mp157f-dk2"):
        core = load_profile(name).core("m4")
        assert all(r.may("linux", LOADING) and r.may("core") for r in core.regions)
        assert core.watchdog == Watchdog("WWDG1", "firmware")


def test_the_evaluation_board_has_more_memory_than_the_discovery_kit():
    """SRAM1 and RETRAM since OpenSTLinux 6; the carve-outs of Linux are the same five."""
    kit, board_ = (load_profile(f"st-4.0-r2-mp257f-{b}").core("m33") for b in ("dk", "ev1"))
    assert {r.name for r in board_.regions} - {r.name for r in kit.regions} == {"cm33_sram1", "cm33_retram"}
    assert load_profile("st-3.19-mp257f-ev1").core("m33").regions == kit.regions
    names = ["ipc_shmem_1", "vdev0vring0", "vdev0vring1", "vdev0buffer", "cm33_sram2"]
    assert [c.name for c in kit.carveouts] == [c.name for c in board_.carveouts] == names


@pytest.mark.parametrize(
    ("name", "carveouts"),
    [("optee-4.10-mp15", 6), ("linux-mp15", 6), ("st-linux-mp157f-dk2", 7), ("st-4.0-r1-mp157f-dk2", 7)],
)
def test_linux_carve_outs_of_an_stm32mp15(name: str, carveouts: int):
    """Mainline has six, ST's kernel one more, for the resource table."""
    assert len(load_profile(name).core("m4").carveouts) == carveouts


@pytest.mark.parametrize("name", MP25)
def test_a_good_image_starts(name: str):
    """With vectors at BOOTADDR, in any region, the core runs."""
    profile, image = board(name), signed(BOOTADDR=BOOT)
    outcome, core = load(image, profile, "m33"), profile.core("m33")
    assert outcome.accepted
    assert vectors(outcome, core) == WORDS
    facts = expect(outcome, profile=profile)
    assert (facts.errno, facts.state) == ("OK", "running")
    elsewhere = load(signed(BOOTADDR=BOOT + 0x1000), profile, "m33")
    assert vectors_pa(elsewhere, core) == BOOT + 0x1000
    assert vectors(elsewhere, core) is None
    assert vectors(load(signed(), profile, "m33"), core) is None, "no BOOTADDR: not started"


def test_a_resource_table_that_linux_may_not_read_has_no_predicted_errno():
    """OP-TEE accepts the image; what Linux' illegal access to the table leads to is not predicted."""
    profile = board("st-4.0-r2-mp257f-dk")
    table = resource_table()
    segments = [Segment(BOOT, WORDS + bytes(56), 64), Segment(BOOT + 64, table, len(table))]
    plat = {int(Tlv.BOOTADDR): BOOT.to_bytes(4, "little")}
    outcome = load(sign([Elf(segments, table, BOOT + 64).build()], key(), plat_tlvs=plat), profile, "m33")
    assert outcome.accepted
    facts = expect(outcome, profile=profile)
    assert (facts.errno, facts.state, facts.tee_code) == (None, None, 0)
    assert expect(outcome, profile=board()).errno == "OK"


def test_vectors_of_a_core_that_has_its_own_address():
    """An M4 starts at 0, whatever BOOTADDR says; the virtual M33 at the start of its first region."""
    m4 = load_profile("st-4.0-r2-mp157f-dk2").core("m4")
    assert m4.vectors_of(BOOT) == m4.vectors_of(None) == 0
    assert m4.pa_of(0) == 0x38000000
    assert board().core("m33").vectors_of(None) == BOOT


def test_a_boot_address_is_read_from_any_bytes():
    """None for what has no whole record."""
    whole = signed(BOOTADDR=BOOT)
    assert boot_address(whole) == BOOT
    for image in (b"", bytes(20), signed(), *(whole[:size] for size in range(40))):
        assert boot_address(image) is None


def test_a_core_dump_has_linux_carve_outs():
    """The dump of an M33 lacks its firmware, and with it the vectors; code in SRAM2 would be in it."""
    facts = dump(board("st-4.0-r2-mp257f-dk"), "m33", signed(BOOTADDR=BOOT), identity="x", boot=1)
    assert facts.segments is not None
    assert facts.segments == "0x81200000+0xf8000 0x812f8000+0x1000 0x812f9000+0x1000 0xa060000+0x20000", (
        "all but the buffer of virtio, which Linux' driver does not register"
    )
    assert facts.vectors is None
    assert facts.unchanged is not None
    assert "0x80100000" not in facts.unchanged
    at = 0x0A060000
    elf = Elf([Segment(at, WORDS, 8)], b"", 0).build()
    image = sign([elf], key(), plat_tlvs={int(Tlv.BOOTADDR): at.to_bytes(4, "little")})
    facts = dump(board("st-4.0-r2-mp257f-dk"), "m33", image, identity="x", boot=1)
    assert facts.vectors == "0xa060000: 0x80a01000 0x80100009"


@pytest.mark.parametrize(
    ("name", "core", "where"),
    [
        ("st-4.0-r2-mp257f-dk", "m33", "cm33_sram2 at 0xa060000"),
        ("st-4.0-r3-mp157f-dk2", "m4", "retram at 0x38000000"),
        ("st-3.19-mp157f-dk2", "m4", ""),
        ("virtual-mp25", "m33", ""),
    ],
)
def test_a_dump_of_closed_memory_is_not_asked_for(name: str, core: str, where: str):
    """Linux dumps its carve-outs; where the firewall closes one to it, OP-TEE may panic on the first read."""
    why = closed(load_profile(name).core(core))
    assert why == (
        f"{core}: a core dump reads {where}, closed to Linux by the firewall: OP-TEE may panic "
        "(`IAC exception ID`), so core dumps stay disabled"
        if where
        else ""
    )


def test_a_profile_derives_from_several_and_changes_a_core(tmp_path: Path):
    """Later ones are first in rank; a core without `id` keeps what it does not name."""
    path = tmp_path / "own.yaml"
    path.write_text(
        "derives: [virtual-mp15, st-4.0-r2-mp257f-dk]\nname: own\n"
        "cores: {m33: {vectors: 0x80100000, watchdog: {name: IWDG4, user: firmware}}}\n"
    )
    own, origin = load_profile(path), load_profile("st-4.0-r2-mp257f-dk")
    assert (own.heap_bytes, own.word_bits, own.optee) == (4096, 64, "4.0.0-stm32mp-r2")
    assert own.core("m33").regions == origin.core("m33").regions
    assert (own.core("m33").vectors, own.core("m33").watchdog) == (BOOT, Watchdog("IWDG4", "firmware"))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("derives: []", "lacks `name`, `word_bits`"),
        ("derives: {a: 1}", "`derives` is a list or mapping; expected one value"),
        ("board: st", "`board` is not a list"),
        ("cores: {m9: {vectors: 0}}", "`m9` lacks `id`, `regions`"),
        (
            "derives: virtual-mp25\ncores: {m33: {vectors: ROM}}",
            "`vectors` is 'ROM'; expected an integer from 0x0",
        ),
        (
            "derives: virtual-mp25\ncores: {m33: {watchdog: {name: IWDG3}}}",
            "`watchdog` lacks `user`",
        ),
        (
            "derives: virtual-mp25\ncores: {m33: {watchdog: {name: IWDG3, user: linux}}}",
            "`user` is 'linux'; expected one of firmware, secure-firmware, nobody",
        ),
        (
            "derives: virtual-mp25\ncores: {m33: {regions: {a: {da: 0, size: 1, rights: mine}}}}",
            "`rights` is 'mine'; expected one of open, shared, core, core-secure",
        ),
    ],
)
def test_a_wrong_word_is_named(tmp_path: Path, text: str, complaint: str):
    """File, line, key, and what would be right."""
    path = tmp_path / "own.yaml"
    path.write_text(text + "\n")
    with pytest.raises(UsageError, match=r"own\.yaml:\d+: ") as error:
        load_profile(path)
    assert complaint in str(error.value)


def test_no_file_of_a_profile_is_unused():
    """Every part is derived from by a profile or another part."""
    texts = "\n".join(file.read_text() for file in PROFILES.rglob("*.yaml"))
    used = {
        name.strip()
        for line in texts.splitlines()
        if line.startswith("derives: ")
        for name in line.removeprefix("derives: ").strip("[]").split(",")
    }
    assert {file.stem for file in PARTS.glob("*.yaml")} <= used
