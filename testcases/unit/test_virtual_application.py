# SPDX-License-Identifier: MIT
"""The bench's own trusted application: with the kit that OP-TEE's build left, or with one of its own."""

from pathlib import Path

import pytest

from mpbench.core.directories import cache_dir
from mpbench_virtual import application, recipes
from mpbench_virtual.models import KINDS
from mpbench_virtual.parts import optee_settings
from mpbench_virtual.steps import BuildStep

KIND = KINDS["mp15-debian-tee"]
NAME = "c5a8f8a3-2b5c-4b0e-9d3b-7c1f0e6f4a21.ta"


class Make:
    """Replaces the compilers: records the commands, and creates the files that they would."""

    def __init__(self):
        self.commands = []

    def __call__(self, command, log, *, env):  # noqa: ARG002 - the tool's
        _, _, where, *words = map(str, command)
        self.commands.append((Path(where), words))
        found = dict(word.split("=", 1) for word in words if "=" in word)
        if "ta_dev_kit" in words:
            (Path(where) / "out/export-ta_arm32").mkdir(parents=True)
        else:
            Path(found["O"]).mkdir()
            (Path(found["O"]) / NAME).write_text(found["TA_DEV_KIT_DIR"])


@pytest.fixture
def make(tmp_path, monkeypatch):
    """An empty cache, no compilers, and an OP-TEE that is built without them."""
    monkeypatch.setenv("MPBENCH_CACHE", str(tmp_path / "cache"))
    source = tmp_path / "source"
    source.mkdir()
    compiler = Make()
    for module in (application, recipes):
        monkeypatch.setattr(module, "run_logged", compiler)
    monkeypatch.setattr(recipes, "source_tree", lambda _: source)
    monkeypatch.setattr(recipes, "_optee_version", lambda: "4.10")
    optee = BuildStep("tee-optee", lambda: ["any"], lambda _: None)
    monkeypatch.setattr(application, "steps_of", lambda _: [optee])
    return compiler


def test_with_the_kit_of_a_build(make):
    """The application uses the libraries that OP-TEE's own build left."""
    kit = cache_dir() / "work/tee-optee/tree/out/export-ta_arm32"
    (kit / "mk").mkdir(parents=True)
    (kit / "mk/ta_dev_kit.mk").touch()
    found = application.application(KIND)
    assert (found.name, found.read_text()) == (NAME, str(kit))
    assert [where for where, _ in make.commands] == [application.SOURCE]
    assert application.application(KIND) == found
    assert len(make.commands) == 1


@pytest.mark.parametrize("left", [False, True])
def test_with_a_kit_of_its_own(make, left):
    """If that tree is gone or incomplete, the libraries are built again."""
    if left:
        (cache_dir() / "work/tee-optee/tree/out/export-ta_arm32").mkdir(parents=True)
    found = application.application(KIND)
    tree = cache_dir() / "work/application-mp15/tree"
    assert found.read_text() == str(tree / "out/export-ta_arm32")
    (where, words), _ = make.commands
    assert where == tree
    assert {"PLATFORM=stm32mp1-157C_DK2", "CROSS_COMPILE=arm-linux-gnueabihf-", "ta_dev_kit"} <= set(words)


def test_each_soc_has_its_own():
    """Word size and compiler make the difference; kinds that differ in other ways share the application."""
    assert list(application._inputs(KIND)) == list(application._inputs(KINDS["mp15-debian-tee-sd"]))
    assert list(application._inputs(KIND)) != list(application._inputs(KINDS["mp25"]))
    assert optee_settings(KINDS["mp25"])[0] == "PLATFORM=stm32mp2-257F_EV1"
