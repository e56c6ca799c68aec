# SPDX-License-Identifier: MIT
"""Domains of a Cortex-A7: a change of DACR holds for pages that the TLB has, many or few."""

from pathlib import Path

import pytest

from testcases.contract.dk2_program import assembled, running

pytestmark = pytest.mark.slow

SOURCE = Path(__file__).with_name("domains.S")


@pytest.mark.parametrize("pages", [1, 64, 65, 200])
def test_a_change_of_dacr_holds_at_once(tmp_path: Path, pages: int) -> None:
    """Pages that may be read only: a client reads, a manager writes as well, else nobody does either."""
    with running(assembled(SOURCE, tmp_path, PAGES=pages), tmp_path) as run:
        reads_and_writes = run.words()[:8]
    assert reads_and_writes == (pages, 0, pages, 0, pages, 0, 0, pages)
