# SPDX-License-Identifier: MIT
"""Configuration of the bench's firmware: which watchdog a target gives it, and its parameters."""

import io
import re
import struct
from pathlib import Path

import pytest
from attrs import evolve
from elftools.elf.elffile import ELFFile

from mpbench.core.errors import UsageError
from mpbench.harness.configuration import configured, reported_watchdog, watchdogs_of, without_watchdog
from mpbench.harness.firmware import FirmwareFiles
from mpbench.recovery.firmware import parameters
from mpbench.twin.memory import Watchdog
from mpbench.twin.profile import load_profile

MP25 = load_profile("virtual-mp25")


def words(elf: bytes) -> tuple[int, ...]:
    return struct.unpack("<4I", ELFFile(io.BytesIO(elf)).get_section_by_name(".configuration").data())


def test_only_the_configuration_changes(built: Path) -> None:
    """Watchdog and parameters are words of one section; every other byte is that of the build."""
    elf = (built / "m33" / "starve.elf").read_bytes()
    found = configured(elf, "m33", "iwdg3", parameters(live_ms=60, failures=0, beats=None))
    assert words(found) == (3, 0x4D42003C, 0x4D420000, 0)
    at = ELFFile(io.BytesIO(elf)).get_section_by_name(".configuration")["sh_offset"]
    assert (found[:at], found[at + 16 :]) == (elf[:at], elf[at + 16 :])
    assert configured(found, "m33") == elf, "configured again without anything"


def test_an_elf_of_others_stays_as_it_is(built: Path) -> None:
    """Firmware without the section is not the bench's."""
    elf = (built / "m33" / "alive.elf").read_bytes().replace(b".configuration\0", b".confIguration\0")
    assert configured(elf, "m33", "iwdg3") == elf


def test_a_profile_of_st_s_boards_gives_no_watchdog() -> None:
    """ST's firewall gives the M33's watchdog to the secure world: the default is to touch none."""
    assert watchdogs_of({}, load_profile("st-4.0-r2-mp257f-dk")) == {"m33": ""}
    assert watchdogs_of({}, load_profile("st-4.0-r1-mp257f-ev1")) == {"m33": ""}
    assert watchdogs_of({}, load_profile("st-4.0-r2-mp157f-dk2")) == {"m4": "wwdg1"}
    assert watchdogs_of({}, MP25) == {"m33": "iwdg3", "m0": "iwdg5"}


def test_the_target_file_overrides_the_profile() -> None:
    """By core; `none` takes a watchdog away."""
    assert watchdogs_of({"m33": "none"}, MP25) == {"m33": "", "m0": "iwdg5"}
    assert watchdogs_of({"m33": "iwdg4"}, MP25)["m33"] == "iwdg4"


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (["m33"], "['m33'] is no mapping by core; e.g. `bench_watchdogs: {m33: iwdg3}`"),
        ({"m4": "wwdg1"}, "no core 'm4' in profile virtual-mp25: m33, m0"),
        ({"m33": "iwdg1"}, "the firmware of m33 cannot use 'iwdg1'; it can use iwdg3, iwdg4, wwdg1, none"),
        ({"m0": 5}, "the firmware of m0 cannot use '5'; it can use iwdg5, none"),
    ],
)
def test_a_wrong_option_is_a_usage_error(option: object, words: str) -> None:
    """The message names the value and what would be right."""
    with pytest.raises(UsageError, match=rf"^bench_watchdogs: .*{re.escape(words)}$"):
        watchdogs_of(option, MP25)


def test_firmware_is_given_the_target_s_watchdog(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fixture's ELF differs from the file by the watchdog; the provenance names both."""
    monkeypatch.setattr("mpbench.harness.firmware.make", lambda: built)
    files = FirmwareFiles(Path(), {}, {"m33": "iwdg3"})
    assert words(files("alive", "m33"))[0] == 3
    assert words(files("alive", "m0"))[0] == 0
    assert (files.hashes["watchdog m33"], files.hashes["watchdog m0"]) == ("iwdg3", "none")


def test_what_is_not_proven_without_a_watchdog_names_what_would_allow_it() -> None:
    """For the M33 the line of OP-TEE's device tree; an expiry of IWDG4 is no interrupt of Linux."""
    assert [reported_watchdog(core) for core in ("m33", "m0", "m4", "m7")] == ["iwdg3", "iwdg5", "wwdg1", ""]
    ev1 = load_profile("st-4.0-r2-mp257f-ev1")
    reason = without_watchdog("m33", "", ev1)
    assert reason.startswith("m33: the target gives its firmware no watchdog that Linux hears of, so its ")
    for given in ("iwdg4", "wwdg1"):
        assert without_watchdog("m33", given, ev1) == reason.replace(
            "the target gives its firmware no watchdog that Linux hears of",
            f"{given}, which the target gives its firmware, is no interrupt of Linux",
        )
    assert "RIFPROT(STM32MP25_RIFSC_IWDG3_ID, RIF_UNUSED, RIF_UNLOCK, RIF_NSEC," in reason
    assert reason.endswith("then `options: {bench_watchdogs: {m33: iwdg3}}`")
    assert without_watchdog("m33", "iwdg3", MP25) == ""
    own = evolve(ev1.core("m33"), watchdog=Watchdog("IWDG4", "firmware"))
    reason = without_watchdog("m33", "iwdg4", evolve(ev1, cores=(own,)))  # a profile that has another
    assert reason.endswith("; where it may use one: `options: {bench_watchdogs: {m33: iwdg3}}`")
    reason = without_watchdog("m0", "", MP25)
    assert reason.endswith("not proven; where it may use one: `options: {bench_watchdogs: {m0: iwdg5}}`")
    assert without_watchdog("m33", "", load_profile("virtual-mp25-st")) == without_watchdog("m33", "", ev1)
    own = evolve(own, watchdog=Watchdog("IWDG3", "secure-firmware"))  # and no line of a device tree is known
    reason = without_watchdog("m33", "", evolve(ev1, cores=(own,)))
    assert reason.endswith("the time of detection are not proven")
    assert without_watchdog("m7", "", MP25).endswith("the time of detection are not proven")


def test_a_core_without_a_line_for_its_watchdog_has_none() -> None:
    """Data of the profile: nothing is known."""
    m33 = evolve(MP25.core("m33"), watchdog=None)
    assert watchdogs_of({}, evolve(MP25, cores=(m33,))) == {"m33": ""}
