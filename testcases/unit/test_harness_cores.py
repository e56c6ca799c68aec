# SPDX-License-Identifier: MIT
"""The mark `cores`: for which cores of a board a test is run."""

import pytest

from mpbench.core.errors import UsageError
from mpbench.harness.cores import select_cores
from mpbench.twin.profile import load_profile

MP25 = load_profile("virtual-mp25")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], (["m33", "m0"], "")),
        ([("m33",)], (["m33"], "")),
        ([("m0", "m33")], (["m0", "m33"], "")),
        ([("m0",), ("m33", "m0")], (["m0", "m33"], "")),
        ([("m4", "m33")], (["m33"], "")),
        ([("m4",)], (["m4"], "profile virtual-mp25 has no m4")),
    ],
)
def test_a_test_is_run_for_the_cores_of_its_mark(names, expected):
    """Without a mark all cores; cores that other boards have are left out, with a reason if none is left."""
    marks = [pytest.mark.cores(*args).mark for args in names]
    assert select_cores(marks, MP25) == expected


def test_a_core_of_no_profile_is_a_mistake():
    """The error names the core, the profile and its cores; without a board, the cores of all profiles."""
    marks = [pytest.mark.cores("m33", "m7").mark]
    with pytest.raises(UsageError) as raised:
        select_cores(marks, MP25)
    assert str(raised.value) == "mark `cores`: unknown core m7; profile virtual-mp25 has m33, m0"
    with pytest.raises(UsageError) as raised:
        select_cores(marks, None)
    assert str(raised.value) == "mark `cores`: unknown core m7; the bench's profiles have m0, m33, m4"


def test_without_a_board_the_mark_selects_nothing():
    """The test is collected once, and skipped for want of a board."""
    assert select_cores([pytest.mark.cores("m4").mark], None) == (["m4"], "")


def test_a_core_of_an_own_profile_is_known(tmp_path):
    """A profile of the user's may have cores that no profile of the bench has."""
    (tmp_path / "own.yaml").write_text(
        "derives: virtual-mp25\nname: own\n"
        "cores: {dsp: {id: 7, regions: {firmware: {da: 0x80100000, size: 0x1000}}}}\n"
    )
    names, reason = select_cores([pytest.mark.cores("dsp").mark], load_profile(tmp_path / "own.yaml"))
    assert (names, reason) == (["dsp"], "")
