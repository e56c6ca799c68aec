# SPDX-License-Identifier: MIT
"""Parsers on recorded output of boards (testcases/captures)."""

from pathlib import Path

import pytest

from mpbench.core.evidence import Artefact, Evidence
from mpbench.core.provenance import is_virtual, provenance
from mpbench.deployment.facts import DeployFacts
from mpbench.deployment.parse import deploy_facts

CAPTURES = Path(__file__).resolve().parents[1] / "captures"
UNVERIFIED = "Can't Authenticate the firmware (res = 0xffff3072)"


def captured(name: str) -> Evidence:
    files = sorted((CAPTURES / name).iterdir())
    return Evidence(tuple(Artefact(file.name, file.read_bytes()) for file in files))


def refused(code: int, reason: str) -> DeployFacts:
    return DeployFacts("EIO", "offline", code, reason, False, "")


EXPECTED = {
    "signed-m33": DeployFacts("OK", "running", 0, "", True, "alive m33"),
    "signed-m0": DeployFacts("OK", "running", 0, "", True, "alive m0"),
    "payload-flip-m33": refused(0xFFFF000F, "Fails to load segment, res = 0x0xffff000f"),
    "signature-flip-m0": refused(0xFFFF3072, UNVERIFIED),
    "wrong-key-m33": refused(0xFFFF3072, UNVERIFIED),
    "unsigned-elf-m33": refused(0xFFFF0006, "Can't Authenticate the firmware (res = 0xffff0006)"),
}


@pytest.mark.parametrize(("name", "expected"), EXPECTED.items(), ids=str)
def test_a_recorded_deployment_is_parsed(name, expected):
    """Every field of a deployment is parsed from the output of a virtual board."""
    assert deploy_facts(captured(f"virtual-mp25/{name}")) == expected


def test_no_capture_is_left_unread():
    """A recording that no test reads proves nothing."""
    recorded = {path.name for path in (CAPTURES / "virtual-mp25").iterdir()}
    assert recorded == {*EXPECTED, "about"}


def test_a_recorded_board_is_identified():
    """Model, kernel and the versions of the boot chain come from the board's output."""
    found = provenance(captured("virtual-mp25/about"))
    assert found.entries["model"] == "mpbench virtual STM32MP25"
    assert found.entries["kernel"].startswith("Linux version 6.12.107 ")
    assert found.entries["u-boot"].startswith("2025.01")
    assert found.entries["tf-a"] == "v2.12.1(release):mpbench"
    assert found.entries["op-tee"].startswith("Unknown_4.10 ")
    assert is_virtual(found)
