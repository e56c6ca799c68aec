# SPDX-License-Identifier: MIT
"""Files that come with the bench beside its code: firmware sources, target files, board cases.

In a checkout they are its directories; a wheel has copies of them in mpbench/share. Nothing is ever written
beside those copies: what is built from them goes to the user's cache.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from mpbench.core.directories import cache_dir

PACKAGE = Path(__file__).resolve().parents[1]
"""The directory mpbench of an installation, or of a checkout."""


def checkout_of(package: Path) -> Path | None:
    """The checkout that has this package in bench/mpbench; None if it is installed from a wheel."""
    root = package.parents[1]
    found = package.parent.name == "bench" and (root / "pyproject.toml").is_file()
    return root if found and (root / "firmware").is_dir() else None


CHECKOUT = checkout_of(PACKAGE)
SHARED = CHECKOUT or PACKAGE / "share"
"""Directory of firmware, targets and testcases; on sys.path the board cases find each other there."""
FIRMWARE, TARGETS, TESTCASES = SHARED / "firmware", SHARED / "targets", SHARED / "testcases"


def example_target(here: Path) -> Path:
    """Target file of a virtual board, which needs no hardware; relative if it lies below `here`."""
    path = max(TARGETS.glob("virtual-*.yaml"))
    return path.relative_to(here) if path.is_relative_to(here) else path


def firmware_build() -> Path:
    """Directory for what is built from FIRMWARE; outside of a checkout one per content of the sources."""
    return FIRMWARE / "build" if CHECKOUT else cache_dir() / f"firmware-{content_hash(FIRMWARE)}"


def content_hash(directory: Path) -> str:
    """First 16 hexadecimal digits of a SHA-256 over names and contents of all files in a directory."""
    import hashlib  # noqa: PLC0415 - every pytest imports this module

    digest = hashlib.sha256()
    for path in sorted(p for p in directory.rglob("*") if p.is_file()):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{path.relative_to(directory).as_posix()}\0{content}\n".encode())
    return digest.hexdigest()[:16]


def reports_dir(here: Path) -> Path:
    """Default directory of runs that are started in `here`: the checkout's, else below `here`."""
    return (CHECKOUT if CHECKOUT and here.is_relative_to(CHECKOUT) else here) / "reports" / "runs"


def board_cases(here: Path, arguments: Sequence[str]) -> list[str]:
    """Command line of a pytest in `here` on the board cases: all, or those that `arguments` name.

    Its root and its cache are in `here`, in a checkout where its own are.
    """
    words = [board_case(word) or word for word in arguments]
    cases = [] if words != list(arguments) else [str(TESTCASES)]
    root = CHECKOUT if CHECKOUT and here.is_relative_to(CHECKOUT) else here
    return [sys.executable, "-P", "-m", "pytest", f"--rootdir={root}", *words, *cases]


def board_case(word: str) -> str:
    """Path of the board cases that an argument of pytest names, "" if it names none.

    They are named as in the checkout: testcases/test_deploy.py::test_signed_firmware_runs, test_deploy.py,
    testcases.
    """
    file, colons, test = word.partition("::")
    path = TESTCASES / file.removeprefix("testcases").lstrip("/")
    known = file == "testcases" or (path.suffix == ".py" and path.is_file())
    return f"{path}{colons}{test}" if known else ""
