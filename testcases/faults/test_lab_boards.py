# SPDX-License-Identifier: MIT
"""Faults of a lab (22, 23, 25, 27) with three virtual boards as places and targets/mp25.yaml as it is.

Exporter, coordinator, night and runs are killed at random points of a night over all three. Whatever happens:
no board is driven by two runs, no fault becomes a verdict, done stays done, and nothing is left over.
"""

import contextlib
import itertools
import json
import os
import random
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from mpbench_virtual import boards, keys
from mpbench_virtual.cli import is_on
from mpbench_virtual.steps import quiet
from testcases.contract import labs
from testcases.contract.nightlab import NightLab, finished
from testcases.faults.conftest import SEEDS, THOROUGH

pytestmark = pytest.mark.slow

KINDS = {"mp25-1": "mp25", "mp25-2": "mp25", "mp25-3": "mp25-spi"}
"""Places and their boards; the last one notifies through an interrupt that a thread serves."""
TARGET = labs.CHECKOUT / "targets" / "mp25.yaml"
CASES = ["testcases/test_identity.py", "testcases/test_deploy.py::test_unsigned_elf_is_refused"]
TESTS = 7
"""What the cases are on a board with two cores: three about the board, two about each core."""
JUDGED = {"PASS", "INVALID"}
"""Never asked again. No other verdict ends a test on a board that is as it should be."""
LINES = 45
"""The lab is touched before a night has recorded at most this number of lines, of about 135."""


class BoardLab(NightLab):
    """A lab with the three boards; nights are plans over all of them or one."""

    def __init__(self, directory: Path, up: dict[str, boards.StartedBoard]) -> None:
        super().__init__(directory)
        self.up = up
        config = directory / "config"
        config.mkdir(mode=0o700)
        shutil.copy(keys.ssh_key(), config / "ssh_key")
        shutil.copy(keys.signing_key(), config / "firmware_key.pem")
        pins = "".join(board.known_hosts.read_text() for board in up.values())  # as `mpbench enrol` would
        (config / "known_hosts").write_text(pins)
        self.variables |= {"MPBENCH_CONFIG": str(config), "MPBENCH_PROFILE": "virtual-mp25"}

    def export_boards(self, *places: str, wait: bool = True) -> None:
        """Start an exporter for each board, as on three lab hosts; one that runs dies first."""
        for host in {f"host-{place}" for place in places} & set(self.processes):
            self.kill(host)
        hosts = {f"host-{place}": {place: exported(self.up[place])} for place in places}
        self.export_side_by_side(hosts, wait=wait)

    def night(self, name: str, *cases: str, **job: object) -> Path:
        """A plan: cases on every place, or on those that the job's tags say."""
        content = {"name": "mp25", "target": str(TARGET), "tags": {"what": "mp25"}, "tests": list(cases)}
        plan = {"coordinator": self.coordinator, "reports": f"nights-{name}", "jobs": [content | job]}
        path = self.directory / f"{name}.yaml"
        path.write_text(json.dumps(plan | {"retry_after_s": 0.5, "wait_minutes": 3}))
        return path

    # --- what the records say -------------------------------------------------------------------------------

    def logs(self, name: str = "*") -> list[Path]:
        """Records of a plan's nights, of all by default."""
        return sorted(self.directory.glob(f"nights-{name}/*/runs/*/*/record.jsonl"))

    def reach(self, name: str, line: int) -> None:
        """Wait until the runs of a plan have recorded `line` lines."""
        self.until(lambda: sum(log.read_bytes().count(b"\n") for log in self.logs(name)) >= line, f"{line}")

    def spans(self) -> dict[str, list[tuple[int, int, str]]]:
        """When which run had each board: first and last line, in the clock of all runs; its record."""
        found: dict[str, list[tuple[int, int, str]]] = {}
        for log in self.logs():
            lines = whole(log)
            times = [line["mono_ns"] for line in lines if line["epoch"] is not None]
            if times:
                (place,) = {line["epoch"].split()[0] for line in lines if line["epoch"]}
                assert log.parents[1].name.startswith(f"mp25-{place}-"), "names end in a hash"
                found.setdefault(place, []).append((min(times), max(times), str(log)))
        return {place: sorted(spans) for place, spans in found.items()}

    # --- what is left ---------------------------------------------------------------------------------------

    def runs_alive(self) -> list[int]:
        """Processes of this lab's nights: their command lines name its directory."""
        mine = f"--bench-reports={self.directory}/".encode()
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if any(word.startswith(mine) for word in path.read_bytes().split(b"\0")):
                    found.append(int(path.parent.name))
            except OSError:
                continue  # ended by itself
        return found

    def check_left(self) -> None:
        """No board was driven by two runs, every place is free, no run is left, every board is on."""
        for place, spans in self.spans().items():
            for before, after in itertools.pairwise(spans):
                assert before[1] < after[0], f"{place} was driven by two runs: {before} {after}"
        assert set(self.who().values()) == {"None"}
        assert self.runs_alive() == []
        assert list(self.directory.glob("nights-*/*/logs/*.pid")) == []
        assert all(is_on(board) for board in self.up.values())


def whole(log: Path) -> list[dict]:
    """The complete lines of a record."""
    return [json.loads(line) for line in log.read_text().splitlines(keepends=True) if line.endswith("\n")]


def exported(board: boards.StartedBoard) -> dict[str, dict]:
    """What a lab host exports of a board: raw consoles, SSH, a power port."""
    serial = {"cls": "NetworkSerialPort", "host": board.address, "protocol": "raw", "speed": 115200}
    service = {"cls": "NetworkService", "address": board.address, "port": board.ports["ssh"]}
    return {
        "console": {**serial, "port": board.ports["console"]},
        "secure": {**serial, "port": board.ports["secure"]},
        "ssh": {**service, "username": "root"},
        "power": {"cls": "NetworkPowerPort", "model": "rest", "host": board.power_url, "index": 0},
    }


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, boards.StartedBoard]]:
    """Three virtual boards, off: the first run switches them on."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("boards")))
        found: dict[str, boards.StartedBoard] = {}
        try:
            for place, kind in KINDS.items():
                found[place] = boards.start(kind, place, quiet, lifeline=True)
            yield found
        finally:
            for board in found.values():
                boards.stop(board)


@pytest.fixture(scope="module", autouse=True)
def first(up: dict[str, boards.StartedBoard]) -> None:
    """The boards' own processes are there before what may leak is counted."""


@pytest.fixture
def lab(tmp_path: Path, up: dict[str, boards.StartedBoard]) -> Iterator[BoardLab]:
    """A coordinator, an exporter for each board, and an operator with keys; ends with its test."""
    found = BoardLab(tmp_path, up)
    try:
        found.places(*KINDS)
        found.coordinate()
        found.export_boards(*KINDS)
        yield found
    finally:
        found.close()


def test_a_killed_night_over_three_boards_goes_on(lab: BoardLab, chance: random.Random):
    """An exporter is killed and comes back; then night or lab host are killed, and the night is resumed.

    Done stays done, what ran is INVALID, the rest is run, and there is one page of all. A night that is
    killed takes its runs along: they tear down, and the next night waits for them.
    """
    name = f"killed-{chance.randrange(1 << 32):08x}"
    plan = lab.night(name, *CASES)
    first, last = sorted(chance.sample(range(1, LINES), 2))
    night = lab.begin(plan)
    lab.reach(name, first)
    lab.export_boards(chance.choice(list(KINDS)), wait=False)
    lab.reach(name, last)
    late = night.poll() is not None  # on a host so busy that this test slept through the night's end
    if not late:
        killed(night, lab.runs_alive() if chance.random() < 0.5 else [])
    before = lab.ends(plan)
    code, said = finished(night) if late else lab.nightly(plan)
    assert late or "resuming " in said
    ends, summary = lab.ends(plan), lab.summary(plan)
    for key, found in before.items():
        assert found[-1] not in JUDGED or ends[key] == found, f"{key} was done, and asked again: {ends[key]}"
    for key, found in ends.items():
        assert sum(verdict in JUDGED for verdict in found) <= 1, f"{key} has two verdicts: {found}"
    counts = summary["counts"]
    assert set(counts) <= JUDGED, said
    assert sum(counts.values()) == TESTS * len(KINDS), said
    assert counts.get("INVALID", 0) <= len(KINDS), "one test at a time runs on a board"
    assert (code, summary["verdict"]) == ((3, "INVALID") if "INVALID" in counts else (0, "PASS")), said
    assert {run["provenance"]["place"] for run in summary["runs"] if run["provenance"]} == set(KINDS)
    assert all(f"mp25 {place}" in lab.page(plan) for place in KINDS)
    lab.check_left()


def killed(night, runs: list[int]) -> None:
    """SIGKILL to a night and, if the whole host goes, to its runs in the same moment."""
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in (night.pid, *runs):
            with contextlib.suppress(ProcessLookupError):  # a run that has just ended
                os.kill(pid, number)
    night.communicate()


@THOROUGH
def test_a_coordinator_that_is_started_again_in_a_night_over_three_boards(
    lab: BoardLab, chance: random.Random
):
    """It has forgotten who has which board: no board is driven by two runs, also if another night wants one.

    Runs that find their lock lost leave their boards alone, and are tried once more when it can be had again.
    """
    name, contested = f"restart-{chance.randrange(1 << 32):08x}", chance.choice(list(KINDS))
    plan = lab.night(name, *CASES)
    rival = lab.night(f"{name}-rival", CASES[0], tags={"name": contested})
    night = lab.begin(plan)
    lab.reach(name, chance.randrange(1, LINES))
    lab.kill("coordinator")
    lab.coordinate(lab.coordinator)
    lab.export_boards(*KINDS)
    nights = {plan: night} | ({rival: lab.begin(rival)} if SEEDS > 2 else {})
    for one, process in nights.items():
        code, said = finished(process)
        ends = lab.ends(one)
        assert {v for found in ends.values() for v in found} <= {"PASS", "INFRA", "BLOCKED"}, said
        assert code in (0, 3), said
        alone = {found[-1] for (unit, _), found in ends.items() if unit != f"mp25-{contested}"}
        assert alone <= {"PASS"}, said
    lab.check_left()
