# SPDX-License-Identifier: MIT
"""The bench's own trusted application (firmware/ta) for a virtual board, signed with OP-TEE's public key.

Ref: OP-TEE documentation, "Building Trusted Applications"; OP-TEE 4.10 ta/mk/ta_dev_kit.mk
"""

import os
import shutil
import sys
from collections.abc import Iterable
from inspect import getsource
from pathlib import Path

from bench.virtual.fetch import source_tree
from bench.virtual.kinds import BoardKind
from bench.virtual.paths import FIRMWARE
from bench.virtual.recipes import JOBS, platform_settings, steps_of, version_of
from bench.virtual.steps import Place, Step, build, hash_files
from bench.virtual.tools import run_logged

SOURCE = FIRMWARE / "ta"


def application(kind: BoardKind) -> Path:
    """UUID.ta, to be put where the board's tee-supplicant looks; made once."""
    optee = next(step for step in steps_of(kind) if step.name == "optee")
    work = f"application-{kind.soc.name}"
    own = Step(
        "application", lambda: _inputs(kind), lambda place: _make(kind, optee, place), ("optee",), work
    )
    return next(build([optee, own], lambda *_: None)["application"].glob("*.ta"))


def _inputs(kind: BoardKind) -> Iterable[str]:
    return [
        getsource(sys.modules[__name__]),
        hash_files(SOURCE),
        version_of(kind.soc.cross + "gcc", "--version"),
        kind.soc.name,
    ]


def _make(kind: BoardKind, optee: Step, place: Place) -> None:
    env = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}  # its scripts' Python
    kit = _exported(place.work.parent / (optee.work or optee.name) / "tree") or _make_kit(kind, place, env)
    made = place.work / "made"
    shutil.rmtree(made, ignore_errors=True)
    named = [f"TA_DEV_KIT_DIR={kit}", f"CROSS_COMPILE={kind.soc.cross}", f"O={made}"]
    run_logged(["make", "-C", SOURCE, *named], place.log, env=env)
    shutil.copy(next(made.glob("*.ta")), place.out)


def _exported(tree: Path) -> Path | None:
    """What a build of OP-TEE gives to those who build applications, if it has come so far."""
    found = next(tree.glob("out/export-ta_*"), None)
    return found if found and (found / "mk/ta_dev_kit.mk").is_file() else None


def _make_kit(kind: BoardKind, place: Place, env: dict[str, str]) -> Path:
    """Where the tree that OP-TEE was built in is gone: its libraries once more."""
    tree = place.work / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    shutil.copytree(source_tree("optee"), tree, symlinks=True)
    cross = [f"{name}={kind.soc.cross}" for name in ("CROSS_COMPILE", "CROSS_COMPILE64")]
    settings = [
        *platform_settings(kind.soc),
        *cross,
        "TEE_IMPL_VERSION=kit",
        "CFG_BUILD_IN_TREE_TA=n",
        "O=out",
    ]
    run_logged(["make", "-C", tree, JOBS, *settings, "ta_dev_kit"], place.log, env=env)
    return next(tree.glob("out/export-ta_*"))
