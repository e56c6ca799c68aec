# SPDX-License-Identifier: MIT
"""Whether a profile fits what a board reports of itself, and which of the bench's profiles does. Pure.

Ref: OP-TEE core/arch/arm/kernel/boot.c (`OP-TEE version: `); Linux drivers/tee/optee/smc_abi.c
(`revision MAJOR.MINOR`); the root's `compatible` in Linux' device tree.
"""

import re
from collections.abc import Iterator, Mapping

from attrs import field, frozen

from mpbench.core.provenance import ASSUMED, DIFFERS, FITS
from mpbench.twin.profile import Profile, load_profile, profile_names

REVISION = re.compile(r"optee: revision (\d+\.\d+)")
"""OP-TEE's major and minor number in the kernel's log."""


@frozen
class BoardIdentity:
    """What a board reports of itself.

    compatible: words of the device tree's root, the most specific one first;
    optee: release that OP-TEE printed, e.g. "4.0.0-stm32mp-r2", "" if not seen;
    revision: as Linux logs it, e.g. "4.0", "" if not seen;
    managers: who loads a core, "tee" or "linux", by the core's name.
    """

    compatible: tuple[str, ...] = ()
    optee: str = ""
    revision: str = ""
    managers: Mapping[str, str] = field(factory=dict)


@frozen
class ProfileFit:
    """One of FITS, ASSUMED, DIFFERS, and why, in words."""

    word: str
    why: str

    def __str__(self) -> str:
        return f"{self.word}: {self.why}"


def identity_of(entries: Mapping[str, str], managers: Mapping[str, str] | None = None) -> BoardIdentity:
    """The identity in a provenance. A version without a number, as a build may name itself, is no release."""
    compatible = tuple(word for word in entries.get("compatible", "").split(", ") if word)
    return BoardIdentity(compatible, _release(entries.get("op-tee", "")), "", managers or {})


def _release(printed: str) -> str:
    """The first word of what OP-TEE printed, "" without a number in it."""
    word = next(iter(printed.split()), "")
    return word if re.search(r"\d", word) else ""


def is_release(release: str, printed: str) -> bool:
    """Whether OP-TEE of this release prints that version; what a build adds does not count."""
    version = printed.removeprefix("Unknown_")
    rest = version.removeprefix(release)
    return version.startswith(release) and not (release[-1:].isdigit() and rest[:1].isdigit())


def fit(profile: Profile, board: BoardIdentity) -> ProfileFit:
    """Whether the profile fits; the first difference decides."""
    if wrong := next(_differences(profile, board), ""):
        return ProfileFit(DIFFERS, wrong)
    unknown = list(_unknown(profile, board))
    if unknown:
        release = f"OP-TEE {profile.optee}" if profile.manager == "tee" and profile.optee else ""
        assumed = ", ".join(filter(None, (*profile.board[:1], release)))
        return ProfileFit(ASSUMED, "; ".join(filter(None, (assumed, *unknown))))
    printed = f", OP-TEE {board.optee}" if profile.manager == "tee" else ""
    return ProfileFit(FITS, f"the board reports {_board_word(profile, board)}{printed}")


def candidates(board: BoardIdentity) -> list[str]:
    """Names of the bench's profiles that do not differ from a board; the most specific, newest ones first."""
    found = []
    for name in profile_names():
        profile = load_profile(name)
        if profile.board and board.compatible and fit(profile, board).word != DIFFERS:
            found.append((board.compatible.index(_board_word(profile, board)), name))
    newest = sorted(found, key=lambda row: row[1], reverse=True)
    return [name for _, name in sorted(newest, key=lambda row: row[0])]


def _board_word(profile: Profile, board: BoardIdentity) -> str:
    return next(word for word in board.compatible if word in profile.board)


def _differences(profile: Profile, board: BoardIdentity) -> Iterator[str]:
    if profile.board and board.compatible and not set(profile.board) & set(board.compatible):
        yield f"the board is {board.compatible[0]}, the profile is for {', '.join(profile.board)}"
    for core in profile.cores:
        wanted = profile.manager_of(core)
        if (manager := board.managers.get(core.name, wanted)) != wanted:
            names = {"tee": "OP-TEE", "linux": "Linux"}
            yield f"{core.name} is loaded by {names[manager]}, in the profile by {names[wanted]}"
    if profile.manager == "tee" and profile.optee:
        if board.optee and not is_release(profile.optee, board.optee):
            yield f"the board's OP-TEE is {board.optee}, the profile's is {profile.optee}"
        if not board.optee and board.revision and not is_release(board.revision, profile.optee):
            yield f"the board's OP-TEE is {board.revision}, the profile's is {profile.optee}"


def _unknown(profile: Profile, board: BoardIdentity) -> Iterator[str]:
    if not profile.board:
        yield "the profile names no board"
    elif not board.compatible:
        yield "the board reports no `compatible`"
    if profile.manager == "tee" and not profile.optee:
        yield "the profile names no release of OP-TEE"
    elif profile.manager == "tee" and not board.optee:
        seen = f", Linux logs revision {board.revision}" if board.revision else ""
        yield f"OP-TEE's version was not seen on a console{seen}"
