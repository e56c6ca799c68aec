# SPDX-License-Identifier: MIT
"""TLB maintenance of two Cortex-A7: once a DSB has completed it, no CPU uses what a page was before."""

from pathlib import Path

import pytest

from testcases.contract.dk2_program import assembled, running

pytestmark = pytest.mark.slow

SOURCE = Path(__file__).with_name("tlb.S")
ROUNDS = 300


@pytest.mark.parametrize(
    ("pages", "descending", "any_asid", "cp15"),
    [(1, 0, 0, 0), (1, 0, 1, 1), (4, 0, 0, 0), (4, 1, 0, 0), (16, 0, 1, 0), (17, 0, 0, 1), (17, 1, 1, 0)],
)
def test_no_old_translation_is_used_after_a_dsb(
    tmp_path: Path, pages: int, descending: int, any_asid: int, cp15: int
) -> None:
    """In 300 changes of pages that the other CPU reads all the time, neither CPU has read an old one."""
    symbols = {"PAGES": pages, "DESCENDING": descending, "ANY_ASID": any_asid, "CP15": cp15, "ROUNDS": ROUNDS}
    with running(assembled(SOURCE, tmp_path, **symbols), tmp_path) as run:
        other, own = run.words()[:2]
    assert (other, own) == (0, 0)
