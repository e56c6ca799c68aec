# SPDX-License-Identifier: MIT
"""SCP-firmware of the user's own, by which OP-TEE serves SCMI: needs, and what is built otherwise."""

from pathlib import Path

import pytest

from mpbench.core.errors import UsageError
from mpbench.core.shared_files import FIRMWARE
from mpbench_virtual import fetch, recipes, recipes_ev1
from mpbench_virtual.models import KINDS, MP15, MP25

VARIABLE, FILE = fetch.OWN_TREES["scp"]


@pytest.fixture
def tree(monkeypatch, tmp_path):
    """A made-up tree that MPBENCH_SCP_FIRMWARE names."""
    (mark := tmp_path / FILE).parent.mkdir(parents=True)
    mark.touch()
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("trees", "expected"),
    [
        ([], "CFG_SCMI_SCPFW=n"),
        (["optee"], "CFG_SCMI_SCPFW=n"),
        (["optee", "inside"], ""),
        (["scp"], "CFG_SCMI_SCPFW=y CFG_SCP_FIRMWARE=/trees/scp"),
        (["optee", "inside", "scp"], "CFG_SCMI_SCPFW=y CFG_SCP_FIRMWARE=/trees/scp"),
    ],
)
def test_scmi_is_served_where_scp_firmware_is(monkeypatch, tmp_path, trees, expected):
    """By a tree of its own, or by the one inside ST's OP-TEE."""
    if "inside" in trees:
        inside = tmp_path / "core/lib/scmi-server/SCP-firmware/CMakeLists.txt"
        inside.parent.mkdir(parents=True)
        inside.touch()
    own = {"optee": tmp_path, "scp": Path("/trees/scp")}
    monkeypatch.setattr(recipes_ev1, "own_tree", lambda name: own[name] if name in trees else None)
    monkeypatch.setattr(recipes_ev1, "require", lambda *_: None)
    assert " ".join(recipes_ev1._scmi_settings()) == expected


def test_scp_firmware_needs_cmake(monkeypatch, tree):
    """OP-TEE's build configures it by that: without, one line with the package, before anything is built."""
    monkeypatch.setenv("PATH", str(tree))
    with pytest.raises(UsageError, match="missing on this machine: cmake; install with: apt-get install"):
        recipes_ev1._scmi_settings()


def test_scp_firmware_of_another_product_is_refused(tree):
    """A tree of 2024 has the framework, and no product of the STM32MP2 that OP-TEE would include."""
    (tree / FILE).unlink()
    with pytest.raises(UsageError, match=rf"{VARIABLE}='.*' is no source tree .* has no product/optee/stm32"):
        recipes_ev1._scmi_settings()


@pytest.mark.usefixtures("tree")
def test_linux_reaches_scmi_that_is_served(monkeypatch):
    """Its transport and its node are on where OP-TEE serves SCMI, on the machine of the EV1 alone."""
    settings = {soc.name: recipes._kernel_settings(soc, False)[1:] for soc in (MP15, MP25)}
    assert settings == {"mp15": [], "mp25": [FIRMWARE / "linux/scmi.config"]}
    assert recipes_ev1._overlays(KINDS["mp25"])[-1] == FIRMWARE / "boot/mp25-scmi.dtso"
    monkeypatch.delenv(VARIABLE)
    assert FIRMWARE / "boot/mp25-scmi.dtso" not in recipes_ev1._overlays(KINDS["mp25"])
