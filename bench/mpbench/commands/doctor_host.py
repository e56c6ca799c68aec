# SPDX-License-Identifier: MIT
"""Checks of a lab host: Python, libraries, programs, keys, disk."""

import shutil
import stat
import sys
from collections.abc import Callable, Mapping
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

from mpbench.commands.doctor import CheckFailed, HealthCheck, Section
from mpbench.core import directories
from mpbench.core.causes import words
from mpbench.core.files import real_path

TOOLS: Mapping[str, str] = {
    "make": "builds the firmware: apt-get install make",
    "arm-none-eabi-gcc": "builds the firmware: apt-get install gcc-arm-none-eabi",
    "git": "records the commit of bench and tests: apt-get install git",
    "setpriv": "stops child runs when `nightly` exits: apt-get install util-linux",
}
FORK, ORIGINAL = "pyserial-labgrid", "pyserial"
LEAST_FREE_MB = 500


def host_checks(reports: Path, find: Callable[[str], str | None] = shutil.which) -> list[HealthCheck]:
    """Checks of a lab host, independent of each other."""
    keys = partial(configuration, directories.config_dir())
    return [
        HealthCheck("python", python, section=Section.START),
        HealthCheck("serial library", serial_library, section=Section.START),
        *[HealthCheck(f"tool {tool}", partial(program, tool, find), section=Section.START) for tool in TOOLS],
        HealthCheck("configuration", keys, section=Section.KEYS),
        HealthCheck("disk", partial(disk, reports), section=Section.CHECKS, advice="set MPBENCH_REPORTS"),
    ]


def python(version: tuple[int, ...] = sys.version_info[:3]) -> str:
    """Python is 3.11 or newer."""
    text = ".".join(map(str, version))
    if version < (3, 11):
        raise CheckFailed(f"Python {text}", "mpbench needs Python 3.11: make PYTHON=python3.11 setup")
    return f"Python {text}"


def serial_library(version: Callable[[str], str] = metadata.version) -> str:
    """labgrid's fork is installed and not overwritten by the original: both are imported as `serial`."""
    found = {}
    for name in (FORK, ORIGINAL):
        try:
            found[name] = version(name)
        except metadata.PackageNotFoundError:
            continue
    if ORIGINAL in found:
        remedy = f"pip uninstall {ORIGINAL}; pip install --force-reinstall --no-deps {FORK}"
        raise CheckFailed(f"{ORIGINAL} {found[ORIGINAL]} overwrites labgrid's {FORK}", remedy)
    if FORK not in found:
        raise CheckFailed(f"{FORK} is missing", "pip install --force-reinstall labgrid")
    return f"{FORK} {found[FORK]}"


def program(name: str, find: Callable[[str], str | None]) -> str:
    """The program is installed on this host."""
    path = find(name)
    if path is None:
        raise CheckFailed("not found", TOOLS[name])
    return path


def configuration(directory: Path) -> str:
    """Private keys are readable by their owner only; virtual boards need none."""
    try:
        if not directory.is_dir():
            return f"no {directory}, which virtual boards do not need"
        for path in sorted(p for p in directory.iterdir() if p.is_file()):
            with path.open("rb") as file:
                private = b"PRIVATE KEY" in file.read(64)
            if private and stat.S_IMODE(path.stat().st_mode) & 0o077:
                found = f"private key {path} is readable by others"
                raise CheckFailed(found, f"chmod 600 {path}", usage=True)
    except OSError as e:
        remedy = f"make it yours: chown -R $USER {directory}"
        raise CheckFailed(f"cannot read {e.filename or directory}: {words(e)}", remedy, usage=True) from e
    return str(directory)


def disk(reports: Path, usage: Callable[[Path], Any] = shutil.disk_usage) -> str:
    """There is space for records."""
    existing = next(p for p in (reports, *real_path(reports).parents) if p.exists())
    free_mb = usage(existing).free // 1_000_000
    found = f"{free_mb} MB free below {existing}"
    if free_mb < LEAST_FREE_MB:
        raise CheckFailed(found, f"free {LEAST_FREE_MB} MB, or set MPBENCH_REPORTS to another disk")
    return found
