# SPDX-License-Identifier: MIT
"""The bench's own trusted application (firmware/ta) for a virtual board, signed with OP-TEE's public key.

Ref: OP-TEE documentation, "Building Trusted Applications"; OP-TEE 4.10 ta/mk/ta_dev_kit.mk
"""

import shutil
import sys
from collections.abc import Iterable
from functools import partial
from inspect import getsource
from pathlib import Path

from mpbench.core.shared_files import FIRMWARE
from mpbench_virtual.models import BoardKind
from mpbench_virtual.parts import optee_settings, steps_of
from mpbench_virtual.recipes import copied_source, make_optee, optee_environment, version_of
from mpbench_virtual.steps import BuildStep, Place, build, hash_files, quiet
from mpbench_virtual.tools import run_logged

SOURCE = FIRMWARE / "ta"


def application(kind: BoardKind) -> Path:
    """UUID.ta, to be put where the board's tee-supplicant looks; made once."""
    work = f"application-{kind.soc.name}"
    optee = optee_of(kind)
    inputs, make = partial(_inputs, kind), partial(_make, kind)
    own = BuildStep("application", inputs, make, (optee.name,), work)
    return next(build([optee, own], quiet)["application"].glob("*.ta"))


def optee_of(kind: BoardKind) -> BuildStep:
    """How the board's OP-TEE is made: what kit_of() needs."""
    return next(step for step in steps_of(kind) if step.name.endswith("-optee"))


def _inputs(kind: BoardKind) -> Iterable[str]:
    return [
        getsource(sys.modules[__name__]),
        hash_files(SOURCE),
        version_of(kind.soc.cross + "gcc", "--version"),
        kind.soc.name,
    ]


def _make(kind: BoardKind, place: Place) -> None:
    made = place.work / "made"
    shutil.rmtree(made, ignore_errors=True)
    named = [f"TA_DEV_KIT_DIR={kit_of(kind, place)}", f"CROSS_COMPILE={kind.soc.cross}", f"O={made}"]
    run_logged(["make", "-C", SOURCE, *named], place.log, env=optee_environment())
    shutil.copy(next(made.glob("*.ta")), place.out)


def kit_of(kind: BoardKind, place: Place) -> Path:
    """What OP-TEE's build exports: libraries for applications, and those of its own, below `ta`.

    Taken from where OP-TEE was built; made once more where that is gone.
    """
    optee = optee_of(kind)
    left = place.work.parent / (optee.work or optee.name) / "tree"
    found = next(left.glob("out/export-ta_*/mk/ta_dev_kit.mk"), None)
    return found.parents[1] if found else _make_kit(kind, place)


def _make_kit(kind: BoardKind, place: Place) -> Path:
    tree = copied_source("optee", place)
    make_optee(tree, optee_settings(kind), kind.soc, place, "ta_dev_kit")
    return next(tree.glob("out/export-ta_*"))
