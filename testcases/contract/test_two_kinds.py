# SPDX-License-Identifier: MIT
"""Two kinds of board at the same time on one machine: 64 and 32 bit, each with its own record, one page."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from testcases.contract import labs

pytestmark = pytest.mark.slow

KINDS = {"virtual-mp25": {"m33", "m0"}, "virtual-mp15": {"m4"}}
CASES = ("testcases/test_identity.py", "testcases/test_deploy.py", "-k", "identity or signed_firmware")


def moment(bench: labs.Bench, kind: str) -> int:
    """When the record got its line of that kind, monotonic nanoseconds of this machine."""
    return next(line["mono_ns"] for line in bench.record() if line["kind"] == kind)


def test_two_kinds_run_at_once_and_one_page_shows_both(tmp_path: Path):
    """Boards of two kinds boot, run firmware and are judged at once; the page has both, by their names."""
    benches = {}
    for target in KINDS:
        (tmp_path / target).mkdir()
        file = labs.CHECKOUT / "targets" / f"{target}.yaml"
        benches[target] = labs.Bench(file, tmp_path / target, {})
    with ThreadPoolExecutor(len(KINDS)) as pool:
        found = list(pool.map(lambda bench: bench.run(*CASES), benches.values()))
    for done in found:
        assert done.returncode == 0, done.stdout + done.stderr
    for target, cores in KINDS.items():
        ends = benches[target].ends()
        assert {f"test_signed_firmware_runs[{core}]" for core in cores} <= set(ends)
        assert {verdict for verdict, _ in ends.values()} == {"PASS"}
    began = max(moment(bench, "provenance") for bench in benches.values())
    assert began < min(moment(bench, "run-end") for bench in benches.values()), "one after the other"
    runs = [str(next(bench.runs.iterdir())) for bench in benches.values()]
    made = next(iter(benches.values())).mpbench("report", *runs, "-o", str(tmp_path / "page"))
    assert made.returncode == 0, made.stderr
    page = (tmp_path / "page/index.html").read_text()
    for name in ("mpbench virtual STM32MP25", "mpbench virtual STM32MP15", *KINDS):
        assert name in page
