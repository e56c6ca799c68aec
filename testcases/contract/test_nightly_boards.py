# SPDX-License-Identifier: MIT
"""A night over three virtual boards behind labgrid's coordinator, with targets/mp25.yaml as it is."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.virtual import boards, keys
from testcases.contract import labs
from testcases.contract.nightlab import NightLab, finished

pytestmark = pytest.mark.slow

KINDS = {"mp25-1": "mp25", "mp25-2": "mp25", "mp25-3": "mp25-spi"}
"""Places and the boards behind them; the last one notifies through an interrupt that a thread serves."""
TARGET = labs.CHECKOUT / "targets" / "mp25.yaml"
VICTIM = "mp25-mp25-2"
CASES = ["testcases/test_identity.py", "testcases/test_deploy.py::test_unsigned_elf_is_refused"]


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, boards.Board]]:
    """Three virtual boards, off."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("boards")))
        found: dict[str, boards.Board] = {}
        try:
            for place, kind in KINDS.items():
                found[place] = boards.start(kind, place, lambda *_: None, lifeline=True)
            yield found
        finally:
            for board in found.values():
                boards.stop(board)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, up: dict[str, boards.Board]) -> Iterator[NightLab]:
    """A coordinator, an exporter for each board, and an operator with keys."""
    found = NightLab(tmp_path_factory.mktemp("lab"))
    config = found.directory / "config"
    config.mkdir(mode=0o700)
    shutil.copy(keys.ssh_key(), config / "ssh_key")
    shutil.copy(keys.signing_key(), config / "firmware_key.pem")
    found.variables |= {"MPBENCH_CONFIG": str(config), "MPBENCH_PROFILE": "virtual-mp25"}
    try:
        found.places(*KINDS)
        found.coordinate()
        for place, board in up.items():
            found.export({place: exported(board)}, f"host-{place}")
        yield found
    finally:
        found.close()


def exported(board: boards.Board) -> dict[str, dict]:
    """What a lab host exports of a board: raw consoles, SSH, a power port."""
    serial = {"cls": "NetworkSerialPort", "host": board.address, "protocol": "raw", "speed": 115200}
    service = {"cls": "NetworkService", "address": board.address, "port": board.ports["ssh"]}
    return {
        "console": {**serial, "port": board.ports["console"]},
        "secure": {**serial, "port": board.ports["secure"]},
        "ssh": {**service, "username": "root"},
        "power": {"cls": "NetworkPowerPort", "model": "rest", "host": board.power_url, "index": 0},
    }


def plan(lab: NightLab) -> Path:
    """Every place with such a board runs the cases."""
    job = {"name": "mp25", "target": str(TARGET), "tags": {"what": "mp25"}, "tests": CASES}
    content = {
        "coordinator": lab.coordinator,
        "reports": "nights-boards",
        "retry_after_s": 0.5,
        "jobs": [job],
    }
    path = lab.directory / "boards.yaml"
    path.write_text(json.dumps(content))
    return path


def test_a_night_over_three_boards_with_one_exporter_killed(lab: NightLab, up: dict[str, boards.Board]):
    """Three boards side by side, one page; an exporter that dies in the middle gives no verdict.

    Each line of each record names the lock that it was written under, and every place is free afterwards.
    """
    for board in up.values():
        labs.boot(board)
        with (lab.directory / "config" / "known_hosts").open("a") as file:
            file.write(board.known_hosts.read_text())  # as `mpbench enrol` would
    night_plan = plan(lab)
    night = lab.begin(night_plan)
    records = lab.directory / "nights-boards"
    lab.until(lambda: is_up(records), "the run on the board whose exporter will die")
    lab.kill("host-mp25-2")
    code, said = finished(night)
    ends = lab.ends(night_plan)
    assert {unit for unit, _ in ends} == {f"mp25-{place}" for place in KINDS}
    assert {v for (unit, _), found in ends.items() if unit != VICTIM for v in found} == {"PASS"}, said
    assert {v for found in ends.values() for v in found} <= {"PASS", "INFRA", "BLOCKED"}, said
    summary = lab.summary(night_plan)
    assert (code, summary["verdict"]) in ((0, "PASS"), (3, "INFRA"), (3, "BLOCKED")), said
    assert {run["provenance"]["place"] for run in summary["runs"]} == set(KINDS)
    assert all(run["virtual"] for run in summary["runs"])
    page = lab.page(night_plan)
    assert all(f"mp25 {place}" in page for place in KINDS)
    for log in records.glob("*/runs/*/*/record.jsonl"):
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        known = [line for line in lines if line["kind"] == "step"]
        assert known
        assert all(line["epoch"].startswith(log.parents[1].name.removeprefix("mp25-")) for line in known)
    assert set(lab.who().values()) == {"None"}


def is_up(records: Path) -> bool:
    """Whether the victim's run knows its board: it is in its middle then."""
    logs = records.glob(f"*/runs/{VICTIM}/*/record.jsonl")
    return any('"kind": "provenance"' in log.read_text() for log in logs)
