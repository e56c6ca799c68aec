# SPDX-License-Identifier: MIT
"""What a target gives the bench's own firmware: written into section `.configuration` of its ELF file.

The ELF that the Makefile builds is the same for every board and touches no watchdog; a firewall may answer an
access with a panic of the TEE.
Ref: firmware/coprocessor/lib/firmware.h, struct configuration; soc/*.h, WATCHDOGS
"""

import io
import struct
from collections.abc import Mapping

from elftools.elf.elffile import ELFFile

from mpbench.core.errors import UsageError
from mpbench.twin.memory import Core
from mpbench.twin.profile import Profile

OPTION = "bench_watchdogs"
SECTION = ".configuration"
PARAMETERS = 3
"""Number of words after that of the watchdog."""

WATCHDOGS: Mapping[str, Mapping[str, int]] = {
    "m33": {"iwdg3": 3, "iwdg4": 4, "wwdg1": 1},
    "m0": {"iwdg5": 5},
    "m4": {"wwdg1": 1},
}
"""Watchdogs that the firmware of each core can use, and the firmware's number of each."""

REPORTED: Mapping[str, str] = {"m33": "iwdg3", "m0": "iwdg5", "m4": "wwdg1"}
"""The watchdog of each core whose expiry is an interrupt of Linux: `interrupts` in ST's device trees."""


def reported_watchdog(core: str) -> str:
    """Watchdog of a core's firmware whose expiry is an interrupt of Linux, "" if it has none."""
    return REPORTED.get(core, "")


def without_watchdog(core: str, given: str, profile: Profile) -> str:
    """What is not proven where firmware has no watchdog that Linux hears of, and what would allow it.

    given: the watchdog that the target gives the core's firmware, "" for none. Returns "" if Linux hears it.
    """
    watchdog = reported_watchdog(core)
    if given and given == watchdog:
        return ""
    what = (
        f"{given}, which the target gives its firmware, is no interrupt of Linux"
        if given
        else "the target gives its firmware no watchdog that Linux hears of"
    )
    reason = f"{core}: {what}, so its expiry, its interrupt and the time of detection are not proven"
    known = next((found.watchdog for found in profile.cores if found.name == core), None)
    given_by = known.given_by if known else ""
    if not watchdog or (known and known.user != "firmware" and not given_by):
        return reason
    if given_by:
        reason += f"; OP-TEE's device tree would allow it by {given_by}; then"
    else:
        reason += "; where it may use one:"
    return f"{reason} `options: {{{OPTION}: {{{core}: {watchdog}}}}}`"


def watchdogs_of(option: object, profile: Profile) -> dict[str, str]:
    """Watchdog of each core of a board, by the option `bench_watchdogs`, else by the profile; "" for none.

    UsageError for another form, core or watchdog.
    """
    if not isinstance(option, Mapping):
        raise UsageError(f"{OPTION}: {option!r} is no mapping by core; e.g. `{OPTION}: {{m33: iwdg3}}`")
    found = {core.name: _given(core) for core in profile.cores}
    for core, name in option.items():
        if core not in found:
            raise UsageError(f"{OPTION}: no core {core!r} in profile {profile.name}: {', '.join(found)}")
        found[core] = "" if name in (None, "none", "") else str(name)
        _number(core, found[core])
    return found


def _given(core: Core) -> str:
    """The watchdog that the profile gives the core's firmware, "" for none or one of the secure world."""
    return core.watchdog.name.lower() if core.watchdog and core.watchdog.user == "firmware" else ""


def _number(core: str, watchdog: str) -> int:
    """The firmware's number of a watchdog; 0 for "". UsageError if the core's firmware cannot use it."""
    if not watchdog:
        return 0
    known = WATCHDOGS.get(core, {})
    if watchdog not in known:
        listed = ", ".join([*known, "none"])
        raise UsageError(f"{OPTION}: the firmware of {core} cannot use {watchdog!r}; it can use {listed}")
    return known[watchdog]


def configured(elf: bytes, core: str, watchdog: str = "", words: Mapping[int, int] | None = None) -> bytes:
    """An ELF of the bench with a watchdog, "" for none, and parameter words by index; others become 0.

    One without section `.configuration` stays as it is.
    """
    section = ELFFile(io.BytesIO(elf)).get_section_by_name(SECTION)
    if section is None:
        return elf
    given = [_number(core, watchdog), *((words or {}).get(n, 0) for n in range(PARAMETERS))]
    at = section["sh_offset"]
    found = bytearray(elf)
    found[at : at + 4 * len(given)] = struct.pack(f"<{len(given)}I", *given)
    return bytes(found)
