# SPDX-License-Identifier: MIT
"""The twin over time, its profiles, and its explanations."""

import pytest
from attrs import evolve
from cryptography.hazmat.primitives.asymmetric import ec

from mpbench.core.errors import UsageError
from mpbench.image import faults
from mpbench.layout import TEST_DECRYPTION_KEY, PtaCommand, TaCommand, Tee
from mpbench.twin.machine import Loader
from mpbench.twin.profile import load_profile, profile_names
from mpbench.twin.values import ResourceTable, State
from testcases.unit.image_rig import board, ec_key, image, key, write_key, write_public

ACTIONS = {"L": "load", "S": "start", "P": "stop", "R": "release", "G": "get_rsc_table"}


def walk(loader: Loader, script: str, core: str = "m33") -> list[str]:
    """Reasons of a sequence of commands: L load, S start, P stop, R release, G resource table."""
    answers = [loader.load(core, image()) if s == "L" else getattr(loader, ACTIONS[s])(core) for s in script]
    return [a.reason.name for a in answers]


@pytest.mark.parametrize(
    ("script", "last", "state"),
    [
        ("S", "never-loaded", State.OFF),
        ("P", "never-loaded", State.OFF),
        ("R", "never-loaded", State.OFF),
        ("G", "never-loaded", State.OFF),
        ("L", "loaded", State.LOADED),
        ("LL", "already-loaded", State.LOADED),
        ("LP", "not-running", State.LOADED),
        ("LR", "released", State.OFF),
        ("LRS", "nothing-loaded", State.OFF),
        ("LRP", "already-off", State.OFF),
        ("LRG", "nothing-loaded", State.OFF),
        ("LRR", "released", State.OFF),
        ("LG", "table", State.LOADED),
        ("LS", "started", State.STARTED),
        ("LSL", "core-is-running", State.STARTED),
        ("LSS", "already-started", State.STARTED),
        ("LSR", "core-is-running", State.STARTED),
        ("LSG", "table", State.STARTED),
        ("LSP", "stopped", State.OFF),
        ("LSPS", "nothing-loaded", State.OFF),
    ],
)
def test_every_command_in_every_state_answers_as_the_table_says(script, last, state):
    """OFF, LOADED, STARTED against load, start, stop, release and resource table."""
    loader = Loader(board())
    assert walk(loader, script)[-1] == last
    assert loader.state("m33") is state


def test_a_loaded_core_takes_any_image_unseen():
    """LOAD in LOADED is success without a look: the reason a failed release must never be ignored."""
    loader = Loader(board())
    walk(loader, "L")
    answer = loader.load("m33", b"rubbish")
    assert (answer.code, answer.calls, answer.reason.name) == (0, (), "already-loaded")
    assert answer.table.size > 0


def test_the_resource_table_is_known_until_the_core_is_off():
    """After a stop GET_RSC_TABLE refuses and shows nothing."""
    loader = Loader(board())
    walk(loader, "LS")
    assert loader.get_rsc_table("m33").table.pa == 0x80100100
    walk(loader, "P")
    assert loader.get_rsc_table("m33").table == ResourceTable()


def test_a_refused_image_leaves_the_core_off_but_known():
    """From then on the other commands answer for a core that is off."""
    loader = Loader(board())
    loader.load("m33", faults.apply("header-magic", image()))
    assert walk(loader, "SPG") == ["nothing-loaded", "already-off", "nothing-loaded"]


def test_release_clears_all_memories_of_the_core():
    """Physical addresses of the M0, which the virtual board translates."""
    loader = Loader(board())
    walk(loader, "L", "m0")
    cleared = loader.release("m0").memory
    assert [(r.pa, r.size, r.zeros) for r in cleared] == [
        (0x81600000, 0x6000, True),
        (0x81800000, 0x2000, True),
    ]


def test_with_one_state_for_all_cores_a_running_core_blocks_the_others():
    """Upstream's PTA: the second core can't be verified, started or released while the first runs."""
    loader = Loader(evolve(board(), pta_state="shared"))
    loader.load("m33", image())
    loader.put("m0", "loaded")
    assert walk(loader, "S") == ["started"]
    assert walk(loader, "SR", "m0") == ["platform-busy"] * 2
    walk(loader, "P")
    assert walk(loader, "SP", "m0") == ["started", "stopped"]
    busy = Loader(evolve(board(), pta_state="shared"))
    busy.put("m0", "started")
    assert walk(busy, "L") == ["platform-busy"]


def test_with_a_state_per_core_two_cores_run_at_once():
    """The virtual STM32MP25."""
    loader = Loader(board())
    loader.put("m0", "started")
    assert walk(loader, "LS") == ["loaded", "started"]


@pytest.mark.parametrize(
    ("command", "script", "state"),
    [
        (PtaCommand.FIRMWARE_START, "LS", State.LOADED),
        (PtaCommand.FIRMWARE_STOP, "LSP", State.STARTED),
        (PtaCommand.RELEASE, "LR", State.LOADED),
    ],
)
def test_a_platform_command_that_fails_leaves_the_state(command, script, state):
    """A stop that times out leaves the core started; the code is the platform's."""
    loader = Loader(evolve(board(), faults={command: int(Tee.BUSY)}))
    assert walk(loader, script)[-1] == "platform-fault"
    assert loader.state("m33") is state


def test_a_core_nobody_knows_takes_heap_for_ever():
    """Any processor id is remembered before the platform is asked; at last there is no room for another."""
    loader = Loader(evolve(board(), heap_bytes=4096))
    reasons = [loader.load(100 + i, image()).reason.name for i in range(60)]
    assert reasons[0] == "unknown-core"
    assert reasons[-1] == "heap"
    assert loader.release(100).reason.name == "release-unknown-core"


def test_sessions_ask_the_platform_only_once():
    """The first session of an unknown core is refused, a later one isn't."""
    loader = Loader(board())
    assert loader.open_session(9).reason.name == "unknown-core"
    assert loader.open_session("m33").reason.name == "session-open"
    assert loader.open_session(9).accepted
    loader.close_session()
    loader.close_session()
    assert not loader.open_session(9).accepted


@pytest.mark.parametrize(
    ("command", "typed", "reason"),
    [
        (TaCommand.GET_COREDUMP, True, "no-core-dump"),
        (99, True, "unknown-command"),
        (TaCommand.LOAD_FW, False, "wrong-parameters"),
        (TaCommand.LOAD_FW, True, "loaded"),
        (TaCommand.START_FW, True, "never-loaded"),
    ],
)
def test_any_command_number_has_an_answer(command, typed, reason):
    """As TA_InvokeCommandEntryPoint: core dumps aren't implemented, unknown numbers are bad parameters."""
    assert Loader(board()).call(command, 1, image(), typed=typed).reason.name == reason


# ------------------------------------------------------------------------------------------ profiles

SOUND = """\
name: mine
word_bits: 64
heap_bytes: 4096
pta_state: shared
cores:
  m4:
    id: 0
    regions:
      ram: {da: 0, pa: 0x38000000, size: 0x1000}
"""


def test_all_profiles_that_come_with_the_bench_are_sound():
    """Two word sizes of upstream, the virtual board, OpenSTLinux."""
    assert set(profile_names()) >= {"optee-4.10", "optee-4.10-32", "virtual-mp25", "st-4.0-r2-mp257f-dk"}
    for name in profile_names():
        profile = load_profile(name)
        assert profile.name == name
        assert profile.sessions == sum(not profile.by_linux(core) for core in profile.cores)
    assert load_profile("optee-4.10-32").word_bits == 32
    assert load_profile("virtual-mp25").core(2).regions[0].pa == 0x200C0000


@pytest.mark.parametrize(
    ("text", "key"), [("test", TEST_DECRYPTION_KEY), ("blank", bytes(32)), ("'" + "5a" * 32 + "'", b"Z" * 32)]
)
def test_a_profile_names_the_key_of_encrypted_images(tmp_path, text, key):
    """ST's public test key, blank fuses, or a key of one's own in hexadecimal digits."""
    path = tmp_path / "mine.yaml"
    path.write_text(f"derives: st-4.0-r2-mp257f-dk\nname: mine\ndecryption_key: {text}\n")
    assert load_profile(path).decryption_key == key


def test_a_profile_may_derive_from_another(tmp_path):
    """What it gives replaces, the rest stays."""
    path = tmp_path / "mine.yaml"
    path.write_text("derives: optee-4.10\nheap_bytes: 65536\nsessions: 3\n")
    profile = load_profile(path)
    assert (profile.heap_bytes, profile.sessions, profile.word_bits) == (65536, 3, 64)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("word_bits: 64", "word_bits: 48"), ":2: `word_bits` is 48; expected one of 64, 32"),
        (
            ("heap_bytes: 4096", "heap_bytes: lots"),
            ":3: `heap_bytes` is 'lots'; expected an integer from 0x400",
        ),
        (("heap_bytes: 4096", "heap_bytes: true"), ":3: `heap_bytes` is True"),
        (
            ("pta_state: shared", "pta_state: mine"),
            ":4: `pta_state` is 'mine'; expected one of shared, per-core",
        ),
        (("name: mine", "name: [1]"), ":1: `name` is a list or mapping; expected one value"),
        (("name: mine", "nam: mine"), ":1: `nam` in the profile is an unknown key; known: derives, name"),
        (("name: mine\n", ""), ":1: the profile lacks `name`"),
        (("name: mine", "name: mine\nname: other"), ":2: `name` in the profile is a duplicate key"),
        (
            ("name: mine", "name: mine\nkey_in_image: 1"),
            ":2: `key_in_image` is 1; expected one of True, False",
        ),
        (
            ("name: mine", "name: mine\nloader: st"),
            ":2: `loader` is 'st'; expected one of upstream, st-3.19",
        ),
        (
            ("name: mine", "name: mine\ndecryption_key: abc"),
            ":2: `decryption_key` is no key; expected test, blank or 64 hexadecimal digits",
        ),
        (("name: mine", "name: mine\ndma_ranges: {a: {da: 0}}"), ":2: `a` lacks `size`"),
        (
            ("name: mine", "1: mine"),
            ":1: `1` in the profile is a key of the wrong type; expected a name",
        ),
        (("name: mine", f"name: {'[' * 33}"), ":1: the profile is nested deeper than 32 levels"),
        (("name: mine", "name: mine\nderives: none"), "none: neither a profile file nor one of"),
        (("id: 0", "id: -1"), ":7: `id` is -1; expected an integer from 0x0 to 0xffffffff"),
        (("id: 0", "number: 0"), ":7: `number` in `m4` is an unknown key; known: id, regions"),
        (("    id: 0\n", ""), ":7: `m4` lacks `id`"),
        (("size: 0x1000", "size: 0"), ":9: `size` is 0"),
        (("size: 0x1000", "length: 1"), ":9: `length` in `ram` is an unknown key; known: da, pa, size"),
        (("da: 0", "da: 0xfffff800"), ":9: `ram` runs past 32 bits"),
        (
            ("ram: {da: 0, pa: 0x38000000, size: 0x1000}", "ram: 1"),
            ":9: `ram` is not a mapping with da, pa, size",
        ),
        (
            ("    regions:\n      ram: {da: 0, pa: 0x38000000, size: 0x1000}\n", ""),
            ":7: `m4` lacks `regions`",
        ),
        (("name: mine", "name: ["), ":3: "),
        (("name: mine", "name: !!python/object:os.system x"), ":1: "),
        (("name: mine", "name: \x00"), "unacceptable character"),
    ],
)
def test_a_profile_that_breaks_the_schema_is_named_with_file_and_line(tmp_path, change, complaint):
    """Wrong values, unknown and missing keys, and YAML that isn't any."""
    path = tmp_path / "p.yaml"
    assert change[0] in SOUND
    path.write_text(SOUND.replace(*change))
    with pytest.raises(UsageError) as error:
        load_profile(path)
    assert complaint in str(error.value)


def test_a_profile_must_be_a_mapping_with_distinct_cores(tmp_path):
    """Lists, empty files, two cores of one id, and a profile that derives from itself."""
    path = tmp_path / "p.yaml"
    for text, words in (("[1]", "is not a mapping with derives, name"), ("", "is empty")):
        path.write_text(text)
        with pytest.raises(UsageError, match=f"p.yaml:1: the profile {words}"):
            load_profile(path)
    for text, words in (("{}", "`cores` is empty"), ("{m4: {id: 0, regions: {}}}", "`regions` is empty")):
        path.write_text(f"derives: optee-4.10\ncores: {text}")
        with pytest.raises(UsageError, match=f"p.yaml:2: {words}"):
            load_profile(path)
    core = SOUND[SOUND.index("  m4") :]
    path.write_text(SOUND + core.replace("m4", "m5"))
    with pytest.raises(UsageError, match=":6: `cores` has two cores with the same id"):
        load_profile(path)
    path.write_text(f"derives: {path}\n")
    with pytest.raises(UsageError, match=r"p.yaml:1: `derives` has more than 8 steps: derived from itself"):
        load_profile(path)


def test_the_boards_key_is_read_from_either_half_and_must_be_rsa(tmp_path):
    """Public or private PEM; ECDSA and rubbish are refused."""
    for path in (write_key(tmp_path / "k.pem", key()), write_public(tmp_path / "p.pem", key())):
        assert Loader(load_profile("virtual-mp25", path)).load("m33", image()).accepted
    with pytest.raises(UsageError, match="verifies RSA only"):
        load_profile("virtual-mp25", write_public(tmp_path / "ec.pem", ec_key()))
    (tmp_path / "rubbish").write_text("rubbish")
    with pytest.raises(UsageError, match="no public key in PEM form"):
        load_profile("virtual-mp25", tmp_path / "rubbish")
    with pytest.raises(UsageError, match="No such file"):
        load_profile("virtual-mp25", tmp_path / "none")
    assert isinstance(ec_key(), ec.EllipticCurvePrivateKey)
