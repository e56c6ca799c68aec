# SPDX-License-Identifier: MIT
"""Two kinds of board at the same time on one machine: 64 and 32 bit, each with its own record, one page."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from testcases.contract import labs

pytestmark = [pytest.mark.slow, pytest.mark.thorough]

KINDS = {"virtual-mp25": {"m33", "m0"}, "virtual-mp15": {"m4"}}
CASES = (
    "testcases/test_identity.py",
    "testcases/test_deploy.py",
    "-k",
    "both or identity or signed_firmware",
)
MEETING = """
import os, threading, time
from pathlib import Path

def test_both_boards_are_up(bench):
    place = Path(os.environ["MEETING"])
    (place / bench.profile.name).touch()
    end = time.monotonic() + 240
    while len(list(place.iterdir())) < 2:
        assert time.monotonic() < end, "the other board is not up"
        threading.Event().wait(0.1)
    assert bench.read("/proc/version")
"""
"""The first test of both runs: each waits until the other's board is up, however slow this host is."""


def test_two_kinds_run_at_once_and_one_page_shows_both(tmp_path: Path):
    """Boards of two kinds are up and tested at the same time; one page has both, by their names."""
    place, meeting = tmp_path / "meeting", tmp_path / "test_meeting.py"
    place.mkdir()
    meeting.write_text(MEETING)
    benches = {}
    for target in KINDS:
        (tmp_path / target).mkdir()
        file = labs.CHECKOUT / "targets" / f"{target}.yaml"
        benches[target] = labs.Bench(file, tmp_path / target, {"MEETING": str(place)})
    with ThreadPoolExecutor(len(KINDS)) as pool:
        found = list(pool.map(lambda bench: bench.run(str(meeting), *CASES), benches.values()))
    for done in found:
        assert done.returncode == 0, done.stdout + done.stderr
    for target, cores in KINDS.items():
        ends = benches[target].ends()
        wanted = {"test_both_boards_are_up", *(f"test_signed_firmware_runs[{core}]" for core in cores)}
        assert wanted <= set(ends)
        assert {verdict for verdict, _ in ends.values()} == {"PASS"}
    runs = [str(next(bench.runs.iterdir())) for bench in benches.values()]
    made = next(iter(benches.values())).mpbench("report", *runs, "-o", str(tmp_path / "page"))
    assert made.returncode == 0, made.stderr
    page = (tmp_path / "page/index.html").read_text()
    for name in ("mpbench virtual STM32MP257F-", "mpbench virtual STM32MP157C-", *KINDS):
        assert name in page
