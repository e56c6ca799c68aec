# SPDX-License-Identifier: MIT
"""Every file in targets/: labgrid reads it, its profile has its cores, its names exist."""

from pathlib import Path

import pytest
from labgrid import target_factory
from labgrid.remote.config import ResourceConfig

from mpbench.core import directories
from mpbench.core.errors import UsageError
from mpbench.harness.environment import check_environment, empty_attributes, profile_of
from mpbench.harness.place_lock import advice
from mpbench.recovery.measure import INTERVALS

TARGETS = Path(__file__).parents[2] / "targets"
EXAMPLE = TARGETS / "exporter-example.yaml"
FILES = sorted(p for p in TARGETS.glob("*.yaml") if p != EXAMPLE)
BOARDS = [p for p in FILES if not p.name.startswith("virtual")]
FEATURES = {"cpu-hotplug", "remoteproc", "tee", "m4", "m33", "m0"}
CORES = {"m4", "m33", "m0"}
LAB = {
    "LG_PLACE": "mp-1",
    "LG_CONSOLE": "/dev/serial/by-id/usb-STMicroelectronics_STLINK-if02",
    "LG_ADDRESS": "192.0.2.1",
    "LG_POWER_MODEL": "rest",
    "LG_POWER_HOST": "http://192.0.2.2/{index}",
    "LG_POWER_INDEX": "1",
}


@pytest.fixture(autouse=True)
def variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a lab sets, and nothing else."""
    monkeypatch.delenv("MPBENCH_PROFILE", raising=False)
    monkeypatch.setenv("MPBENCH_CONFIG", "/config")
    for name, value in LAB.items():
        monkeypatch.setenv(name, value)


def names_of(path: Path, kind: str) -> set[str]:
    """Classes that a target file names as resources or as drivers."""
    main = check_environment(str(path)).get_targets()["main"]
    return {next(iter(entry)) for entry in main[kind]}


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_a_target_names_what_exists(path: Path):
    """labgrid reads it; features, drivers, resources are known; the twin's profile has the target's cores."""
    config = check_environment(str(path))
    features = set(config.get_targets()["main"]["features"])
    assert features <= FEATURES
    assert names_of(path, "drivers") <= set(target_factory.drivers)
    assert names_of(path, "resources") <= set(target_factory.resources)
    assert {core.name for core in profile_of(config).cores} == features & CORES
    assert set(config.get_option("bench_limits_ms", {})) <= {interval.name for interval in INTERVALS}


def test_a_board_without_remoteproc_runs_no_case(tmp_path):
    """Nothing there loads a core: the bench says so before the board is started."""
    found = tmp_path / "board.yaml"
    whole = (TARGETS / "virtual-mp25.yaml").read_text()
    found.write_text(whole.replace("      - RemoteprocDriver: {}\n", ""))
    with pytest.raises(UsageError, match="no `RemoteprocDriver`: add it to `drivers`"):
        check_environment(str(found))


@pytest.mark.parametrize("path", [p for p in BOARDS if p.name.startswith("mp25")], ids=lambda p: p.stem)
def test_an_stm32mp25_is_assumed_as_st_ships_it(path: Path):
    """Its profile is a release of ST on a board of ST: the M33 by OP-TEE, with a boot address, no M0."""
    config = check_environment(str(path))
    profile = profile_of(config)
    assert (profile.manager, profile.optee, profile.board) == (
        "tee",
        "4.0.0-stm32mp-r2",
        ("st,stm32mp257f-dk",),
    )
    (core,) = profile.cores
    records = config.get_option("bench_plat_tlvs")[core.name]
    assert core.vectors is None
    assert core.pa_of(core.vectors_of(records["BOOTADDR"]) or 0) is not None


MP15_TEE = [TARGETS / "mp15.yaml", TARGETS / "mp15-desk.yaml"]
DEBIAN = [TARGETS / "mp15-debian.yaml", TARGETS / "mp15-debian-desk.yaml"]


@pytest.mark.parametrize("path", DEBIAN, ids=lambda p: p.stem)
def test_a_debian_board_has_neither_a_tee_nor_a_signing_key(path: Path):
    """Linux loads its M4; nothing is signed, and no case of a TEE is selected."""
    config = check_environment(str(path))
    assert profile_of(config).manager == "linux"
    assert "tee" not in config.get_targets()["main"]["features"]
    assert "bench_signing_key" not in config.data["options"]


@pytest.mark.parametrize("path", MP15_TEE, ids=lambda p: p.stem)
def test_sts_image_of_an_stm32mp15_is_a_profile_away(path: Path, monkeypatch: pytest.MonkeyPatch):
    """The file names the profile of ST's image as it comes, where Linux loads the M4."""
    assert profile_of(check_environment(str(path))).manager == "tee"
    assert "MPBENCH_PROFILE=st-linux-mp157f-dk2" in path.read_text()
    monkeypatch.setenv("MPBENCH_PROFILE", "st-linux-mp157f-dk2")
    assert profile_of(check_environment(str(path))).manager == "linux"


@pytest.mark.parametrize("path", BOARDS, ids=lambda p: p.stem)
def test_keys_of_a_board_come_from_the_users_directory(path: Path, monkeypatch: pytest.MonkeyPatch):
    """No lab's key is named in a file of the checkout: they are in MPBENCH_CONFIG."""
    monkeypatch.setenv(directories.VARIABLE, "/lab")
    config = check_environment(str(path))
    if path not in DEBIAN:
        assert config.resolve_path(config.get_option("bench_signing_key")) == "/lab/firmware_key.pem"
    drivers = config.get_targets()["main"]["drivers"]
    (session,) = [entry["SessionDriver"] for entry in drivers if "SessionDriver" in entry]
    found = [config.resolve_path(session[name]) for name in ("keyfile", "known_hosts")]
    assert found == ["/lab/ssh_key", "/lab/known_hosts"]


@pytest.mark.parametrize("path", BOARDS, ids=lambda p: p.stem)
def test_a_file_that_was_not_run_on_silicon_has_a_note(path: Path):
    """Its head states that it was not run on silicon."""
    head = path.read_text().partition("targets:")[0]
    assert "Not run on silicon yet" in head or "Not run yet, neither on silicon" in head


@pytest.mark.parametrize("path", BOARDS, ids=lambda p: p.stem)
def test_a_variable_that_is_not_set_is_named(path: Path, monkeypatch: pytest.MonkeyPatch):
    """A forgotten variable is one line with its name, before anything is touched."""
    for name in LAB:
        monkeypatch.delenv(name)
    with pytest.raises(UsageError, match=r"refers to unknown variable 'LG_(PLACE|CONSOLE)'"):
        check_environment(str(path))


def test_the_profile_of_a_lab_goes_before_the_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """MPBENCH_PROFILE is a name or a file; the error for a wrong one names the variable."""
    config = check_environment(str(TARGETS / "mp25.yaml"))
    assert profile_of(config).name == "st-4.0-r2-mp257f-dk"
    monkeypatch.setenv("MPBENCH_PROFILE", "virtual-mp25")
    assert profile_of(config).name == "virtual-mp25"
    (tmp_path / "own.yaml").write_text("derives: st-4.0-r1-mp257f-ev1\nname: own\nheap_bytes: 8192\n")
    monkeypatch.setenv("MPBENCH_PROFILE", str(tmp_path / "own.yaml"))
    assert (profile_of(config).name, profile_of(config).heap_bytes) == ("own", 8192)
    monkeypatch.setenv("MPBENCH_PROFILE", "mp99")
    with pytest.raises(UsageError, match=r"^MPBENCH_PROFILE mp99: neither a profile file"):
        profile_of(config)


def test_the_exporters_example_offers_what_the_targets_bind(capsys: pytest.CaptureFixture[str]):
    """labgrid's exporter reads the example, and each of its boards has the four names of a place."""
    groups = ResourceConfig(str(EXAMPLE)).data
    capsys.readouterr()
    assert {tuple(group) for group in groups.values()} == {("console", "secure", "ssh", "power")}
    assert list(groups) == ["mp25-1", "mp15-1", "virtual-1"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("place mp25-1 is not acquired", "first `labgrid-client -p mp25-1 acquire`"),
        ("place pattern mp26 matches nothing", "`labgrid-client places`"),
        ("reservation token ABC matches nothing", "`labgrid-client reservations`"),
    ],
)
def test_what_to_do_about_a_place(text: str, words: str):
    """labgrid's complaint about a place is followed by the command that helps."""
    assert words in advice(text)


def test_labgrids_own_advice_stands_alone():
    """A place that another user holds: labgrid's message has the advice already."""
    assert advice("place a is not acquired by your user, acquired by b. To work simultaneously, ...") == ""


@pytest.mark.parametrize(
    ("file", "variable", "message"),
    [
        ("mp25.yaml", "LG_PLACE", "`name` of RemotePlace is empty"),
        ("mp15.yaml", "LG_PLACE", "`name` of RemotePlace is empty"),
        ("mp25-desk.yaml", "LG_ADDRESS", "`address` of NetworkService is empty"),
        ("mp15-desk.yaml", "LG_CONSOLE", "`port` of RawSerialPort is empty"),
    ],
)
def test_a_variable_set_to_nothing_is_named(monkeypatch, file, variable, message):
    """An empty name, address or port is one line with its name, before anything is connected."""
    monkeypatch.setenv(variable, "")
    with pytest.raises(UsageError, match=message):
        check_environment(str(TARGETS / file))


def test_only_empty_texts_are_empty():
    """Absent attributes, numbers and passwords may be what they are; both forms of labgrid's list count."""
    assert empty_attributes(None) == []
    assert empty_attributes([{"NetworkService": {"password": "", "port": 0}}, {"X": None}]) == []
    assert empty_attributes({"RemotePlace": {"name": ""}}) == [("RemotePlace", "name")]
