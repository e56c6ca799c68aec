# SPDX-License-Identifier: MIT
"""`mpbench nightly` on labgrid's own coordinator and exporters, with boards that are played."""

import json
from collections.abc import Iterator

import pytest

from testcases.contract.nightlab import NightLab, played

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NightLab]:
    """A coordinator and three places."""
    found = NightLab(tmp_path_factory.mktemp("lab"))
    try:
        names = ("played-1", "played-2", "played-3")
        found.places(*names)
        found.coordinate()
        found.export({name: played(number) for number, name in enumerate(names)})
        yield found
    finally:
        found.close()


def test_a_night_over_three_places_ends_with_one_page(lab):
    """Three places side by side: INFRA is repeated once, a verdict never, a dead board is quarantined.

    The first place passes, the second has a FAIL and an INFRA that is gone the second time, the third never
    answers: it is quarantined and reported. Afterwards every place is free.
    """
    plan = lab.plan(
        """
@pytest.fixture
def answers():
    if PLACE == "played-3":
        raise InfrastructureError("no SSH server answers")
def test_good(answers, bench): pass
def test_wrong(answers, bench): assert PLACE != "played-2"
def test_flaky(answers, bench):
    if PLACE == "played-2" and first_time("flaky"):
        raise InfrastructureError("the network had a hiccup")
""",
        name="three",
    )
    code, said = lab.nightly(plan)
    assert code == 1, said
    assert lab.ends(plan) == {
        ("job-played-1", "test_good"): ["PASS"],
        ("job-played-1", "test_wrong"): ["PASS"],
        ("job-played-1", "test_flaky"): ["PASS"],
        ("job-played-2", "test_good"): ["PASS"],
        ("job-played-2", "test_wrong"): ["FAIL"],
        ("job-played-2", "test_flaky"): ["INFRA", "PASS"],
        ("job-played-3", "test_good"): ["INFRA", "INFRA"],
        ("job-played-3", "test_wrong"): ["INFRA", "INFRA"],
        ("job-played-3", "test_flaky"): ["INFRA", "INFRA"],
    }
    summary = lab.summary(plan)
    assert summary["verdict"] == "FAIL"
    assert summary["counts"] == {"PASS": 5, "FAIL": 1, "INFRA": 3}
    assert {run["provenance"].get("place") for run in summary["runs"]} >= {"played-1", "played-2"}
    assert "place played-3 is quarantined until" in lab.page(plan)
    assert set(lab.who().values()) == {"None"}
    assert "Traceback" not in said

    quick = lab.plan("def test_good(bench): pass\n", name="next")
    (lab.directory / "nights-next").symlink_to(lab.directory / "nights-three")
    code, said = lab.nightly(quick)
    assert code == 3, said
    assert "job on played-3: in quarantine: since " in said
    assert "no SSH server answers" in said
    code, said = lab.nightly(quick, "--readmit", "played-3")
    assert (code, said) == (0, "place played-3 is readmitted\n")
    assert lab.nightly(quick, "--readmit", "played-3")[0] == 2


def test_a_place_that_somebody_has_is_waited_for_in_vain(lab):
    """An acquired place stays its owner's: after the waiting time he is named, and the night is not green."""
    plan = lab.plan(
        "def test_good(bench): pass\n",
        name="busy",
        wait_minutes=0.03,
        quarantine={"played-2": "its fan is loud", "played-3": "in use for demos"},
    )
    lab.client("-p", "played-1", "acquire")
    try:
        code, said = lab.nightly(plan)
    finally:
        lab.client("-p", "played-1", "release")
    assert code == 3, said
    assert "place played-1 was not free within 0.03 min, it is acquired by " in said
    assert "job on played-2: in quarantine: its fan is loud" in said
    assert lab.ends(plan) == {}


def test_a_disk_that_is_almost_full_takes_no_work(lab):
    """Below `free_mb` nothing begins, and it is said with both numbers."""
    plan = lab.plan("def test_good(bench): pass\n", name="full", free_mb=1_000_000_000)
    code, said = lab.nightly(plan)
    assert code == 3, said
    assert "MB left, `free_mb` is 1000000000: no further job" in said


def test_a_lab_without_a_coordinator_is_told(lab):
    """An address without a server is one line and code 3; an invalid plan, one line and code 2."""
    plan = lab.plan("def test_good(bench): pass\n", name="offline", wait_minutes=1)
    content = json.loads(plan.read_text()) | {"coordinator": "127.0.0.1:1"}
    plan.write_text(json.dumps(content))
    code, said = lab.nightly(plan)
    assert code == 3, said
    assert "the night was aborted: coordinator 127.0.0.1:1" in said
    assert "Traceback" not in said
