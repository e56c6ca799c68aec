# SPDX-License-Identifier: MIT
"""A kernel tree of the user's own: whose driver is taken for the core that OP-TEE loads."""

from pathlib import Path

import pytest

from mpbench.core.errors import UsageError
from mpbench.core.shared_files import FIRMWARE
from mpbench_virtual import fetch, own_kernel, recipes, recipes_ev1
from mpbench_virtual.models import KINDS, MP25
from mpbench_virtual.own_kernel import COMPATIBLES, OVERLAYS, brings_driver, require_driver
from mpbench_virtual.recipes import linux_step

ST = 'static const struct of_device_id stm32_rproc_match[] = { {.compatible = "st,stm32mp2-m33-tee"}, {} };\n'
MAINLINE = '\t{ .compatible = "st,stm32mp1-m4" },\n/* not st,stm32mp2-m33-tee */ "st,rproc-tee"\n'
OURS = "mpbench_remoteproc.c"


@pytest.fixture
def tree(monkeypatch, tmp_path):
    """A made-up kernel tree that MPBENCH_LINUX_SRC names."""
    core = tmp_path / "linux" / fetch.OWN_TREES["linux"][1]
    core.parent.mkdir(parents=True)
    core.touch()
    monkeypatch.setenv("MPBENCH_LINUX_SRC", str(tmp_path / "linux"))
    return tmp_path / "linux"


@pytest.mark.parametrize(
    ("driver", "kind", "expected"),
    [
        (ST, "mp25-st", True),
        (ST, "mp25", False),
        (MAINLINE, "mp25-st", False),
        ("", "mp25-st", False),
        (None, "mp25-st", False),
        (ST, "mp15", False),
    ],
    ids=["st", "upstream-s-optee", "mainline", "empty", "none", "mp15"],
)
def test_the_driver_of_a_tree_is_taken_if_it_knows_the_core(tree, driver, kind, expected):
    """ST's takes the place of ours where OP-TEE answers as ST's; a tree without one gets ours."""
    if driver is not None:
        (tree / own_kernel.DRIVER).write_text(driver)
    assert brings_driver(KINDS[kind]) is expected


def test_the_recorded_source_brings_no_driver(monkeypatch):
    """Without a tree of the user's own nothing is looked at."""
    monkeypatch.delenv("MPBENCH_LINUX_SRC", raising=False)
    assert not brings_driver(KINDS["mp25-st"])


def test_a_directory_that_is_no_kernel_is_refused(monkeypatch, tmp_path):
    """The error names the variable and the file that a kernel has."""
    monkeypatch.setenv("MPBENCH_LINUX_SRC", str(tmp_path))
    with pytest.raises(UsageError, match=r"MPBENCH_LINUX_SRC='.*' is no source tree .*remoteproc_core\.c"):
        brings_driver(KINDS["mp25-st"])


@pytest.mark.parametrize("own", [False, True])
def test_one_driver_of_the_core_is_built(own):
    """Ours, or that of the tree with the settings that it needs; the driver of the M0 is ours in both."""
    drivers = [path.name for path in recipes._drivers(own)]
    settings = [path.name for path in recipes._kernel_settings(MP25, own)]
    assert (OURS in drivers) is not own
    assert "mpbench_m0_rproc.c" in drivers
    assert settings == ["mp25.config", "own-driver.config"][: 1 + own]


@pytest.mark.usefixtures("tree")
def test_kernels_of_a_tree_do_not_share_a_directory(monkeypatch):
    """A build of one does not throw away the objects of another, nor leave a driver in its Makefile."""
    own = [linux_step(MP25).work, linux_step(MP25, own_driver=True).work]
    monkeypatch.delenv("MPBENCH_LINUX_SRC")
    assert len({linux_step(MP25).work, *own}) == 3


def test_the_device_tree_has_the_node_that_the_driver_wants(monkeypatch, tree):
    """It is the recorded source's, and its last overlay gives the driver its core; else it is the tree's."""
    monkeypatch.setattr(recipes_ev1, "_recorded_id", lambda name: f"recorded {name}")
    monkeypatch.setattr(recipes_ev1, "_source_id", lambda name: f"own {name}")
    kind = KINDS["mp25-st"]
    assert recipes_ev1._device_tree_inputs(kind)[0] == "own linux"
    assert recipes_ev1._overlays(kind)[-1].name == "mp25-st.dtso"
    (tree / own_kernel.DRIVER).write_text(ST)
    assert recipes_ev1._device_tree_inputs(kind)[0] == "recorded linux"
    assert recipes_ev1._overlays(kind)[-1].name == "mp25-own-driver.dtso"


@pytest.mark.parametrize("soc", COMPATIBLES)
def test_overlay_and_driver_call_the_core_alike(soc):
    """The overlay's compatible is the one by which a tree's driver is recognised."""
    text = (FIRMWARE / "boot" / OVERLAYS[soc]).read_text()
    assert f'compatible = "{COMPATIBLES[soc]}";' in text


def test_a_configuration_without_the_driver_is_refused(tmp_path: Path):
    """Its dependencies may differ in a tree: a board without its core would be the result."""
    (tmp_path / ".config").write_text("CONFIG_STM32_RPROC=y\n")
    require_driver(tmp_path)
    (tmp_path / ".config").write_text("# CONFIG_STM32_RPROC is not set\n")
    with pytest.raises(UsageError, match=r"cannot have CONFIG_STM32_RPROC=y: see what it depends on"):
        require_driver(tmp_path)
