# SPDX-License-Identifier: MIT
"""Which profile fits a board, by what it reports of itself."""

import pytest

from mpbench.core.provenance import ASSUMED, DIFFERS, FITS, unconfirmed
from mpbench.harness.profile_fit import BoardIdentity, candidates, fit, identity_of, is_release
from mpbench.twin.profile import load_profile

DK = ("st,stm32mp257f-dk-ca35tdcid-ostl", "st,stm32mp257f-dk", "st,stm32mp257")
DK2 = ("st,stm32mp157f-dk2", "st,stm32mp157")

VIRTUAL = ["virtual-mp25"]  # those with ST's releases differ in what OP-TEE prints


@pytest.mark.parametrize(
    ("release", "printed", "same"),
    [
        ("4.0.0-stm32mp-r1", "4.0.0-stm32mp-r1", True),
        ("4.0.0-stm32mp-r1", "4.0.0-stm32mp-r1.2-dev", True),
        ("4.0.0-stm32mp-r1", "4.0.0-stm32mp-r10", False),
        ("4.0.0-stm32mp-r1", "4.0.0-stm32mp-r2", False),
        ("4.0.0-stm32mp-r3", "4.0.0-stm32mp-r3.1", True),
        ("3.19.0-stm32mp", "3.19.0-stm32mp-r2", True),
        ("3.19.0-stm32mp", "3.19.0-stm32mp1-r1", True),
        ("4.10", "Unknown_4.10", True),
        ("4.10", "4.10.0-rc1", True),
        ("4.1", "4.10.0", False),
        ("4.0.0-stm32mp-r1", "4.0.0", False),
    ],
)
def test_a_release_is_recognized_by_its_version(release: str, printed: str, same: bool):
    """A build adds to the version; another digit is another release."""
    assert is_release(release, printed) is same


@pytest.mark.parametrize(
    ("board", "names"),
    [
        (BoardIdentity(DK, "4.0.0-stm32mp-r1"), ["st-4.0-r1-mp257f-dk"]),
        (BoardIdentity(DK, "4.0.0-stm32mp-r3.1"), ["st-4.0-r3-mp257f-dk"]),
        (BoardIdentity(DK, "", "4.0"), [f"st-4.0-r{n}-mp257f-dk" for n in (3, 2, 1)]),
        (BoardIdentity(DK), [*(f"st-4.0-r{n}-mp257f-dk" for n in (3, 2, 1)), "st-3.19-mp257f-dk"]),
        (BoardIdentity(DK, "4.0.0-stm32mp-r1", "", {"m33": "linux"}), []),
        (BoardIdentity(DK2, "", "", {"m4": "linux"}), ["st-linux-mp157f-dk2", "linux-mp15"]),
        (BoardIdentity(DK2, "4.10.0", "", {"m4": "tee"}), ["optee-4.10-mp15"]),
        (
            BoardIdentity(("st,stm32mp157c-ev1", "st,stm32mp157"), "4.10", "", {"m4": "tee"}),
            ["optee-4.10-mp15"],
        ),
        (BoardIdentity(("mpbench,virt-stm32mp257f-ev1", "st,stm32mp257"), "Unknown_4.10"), VIRTUAL),
        (BoardIdentity(("ti,am625",)), []),
        (BoardIdentity(), []),
    ],
)
def test_the_profiles_that_would_fit_are_named(board: BoardIdentity, names: list[str]):
    """The most specific board first, then the newest release; none for a board of others."""
    assert candidates(board) == names


def test_a_build_with_a_name_of_its_own_reports_no_release():
    """OP-TEE of a tree outside of git prints what its builder chose: the profile's release is assumed."""
    entries = {"compatible": ", ".join(DK), "op-tee": "own-tree (gcc version 12.2.0)"}
    assert identity_of(entries) == BoardIdentity(DK, "")
    assert fit(load_profile("st-4.0-r2-mp257f-dk"), identity_of(entries)).word == ASSUMED


def test_what_is_not_reported_is_assumed():
    """Board and release of the profile are named, with what the board did not report."""
    profile = load_profile("st-4.0-r2-mp257f-dk")
    assert fit(profile, BoardIdentity(DK, "4.0.0-stm32mp-r2")).word == FITS
    found = fit(profile, BoardIdentity())
    assert (found.word, found.why) == (
        ASSUMED,
        "st,stm32mp257f-dk, OP-TEE 4.0.0-stm32mp-r2; the board reports no `compatible`; "
        "OP-TEE's version was not seen on a console",
    )
    bare = fit(load_profile("optee-4.10"), BoardIdentity(DK, "4.10"))
    assert str(bare) == "assumed: the profile names no board; the profile names no release of OP-TEE"
    assert fit(load_profile("st-linux-mp157f-dk2"), BoardIdentity(DK2)).word == FITS
    assert fit(load_profile("st-linux-mp157f-dk2"), BoardIdentity(DK2, "", "", {"m4": "tee"})).word == DIFFERS


def test_cores_of_one_board_may_have_different_managers():
    """The M0's decides between two kinds of the virtual STM32MP25, whose OP-TEE loads the M33."""
    compatible = ("mpbench,virt-stm32mp257f-ev1",)
    mixed = BoardIdentity(compatible, "4.0.0-stm32mp-r2", "", {"m33": "tee", "m0": "linux"})
    assert candidates(mixed) == ["virtual-mp25-st"]
    assert fit(load_profile("virtual-mp25-st"), mixed).word == FITS
    other = BoardIdentity(compatible, "4.0.0-stm32mp-r2", "", {"m33": "tee", "m0": "tee"})
    found = fit(load_profile("virtual-mp25-st"), other)
    assert str(found) == "differs: m0 is loaded by OP-TEE, in the profile by Linux"


def test_the_stm32mp15_with_st_s_answers_is_told_by_the_revision_that_linux_logs():
    """OP-TEE prints a name without a release there; two other profiles are for the same board."""
    compatible = ("mpbench,virt-stm32mp157c-dk2", "st,stm32mp157c-dk2", "st,stm32mp157")
    assert candidates(BoardIdentity(compatible, "", "4.0", {"m4": "tee"})) == ["virtual-mp15-st"]
    assert candidates(BoardIdentity(compatible, "4.10.0-2", "", {"m4": "tee"})) == [
        "virtual-mp15-debian-tee",
        "virtual-mp15",
        "optee-4.10-mp15",
    ]


def test_an_identity_is_read_from_a_provenance():
    """The words of `compatible` and the version that OP-TEE printed, without its compiler."""
    entries = {"compatible": ", ".join(DK), "op-tee": "4.0.0-stm32mp-r1 (gcc version 13.3.0)"}
    assert identity_of(entries) == BoardIdentity(DK, "4.0.0-stm32mp-r1")
    assert identity_of({}, {"m4": "tee"}) == BoardIdentity(managers={"m4": "tee"})


@pytest.mark.parametrize(
    ("entry", "note"),
    [
        ("fits: the board reports x", ""),
        ("assumed: x, OP-TEE y; not seen", "profile p is assumed: x, OP-TEE y; not seen"),
        ("differs: the board is z", "profile p does not fit: the board is z"),
        ("", ""),
    ],
)
def test_a_report_names_a_profile_that_the_board_did_not_confirm(entry: str, note: str):
    """Records of earlier versions have no such entry, and no note."""
    assert unconfirmed({"profile": "p", "profile fit": entry}) == note
