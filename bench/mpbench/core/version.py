# SPDX-License-Identifier: MIT
"""Which bench, and which commit of a repository, is in use."""

import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path

from mpbench.core.shared_files import CHECKOUT


def made_by() -> str:
    """Name and version of the program, for what it makes: two commits of one version make the same."""
    return f"mpbench {metadata.version('mpbench')}"


@cache
def bench_version() -> str:
    """Version of mpbench, and commit of its checkout if it is used from one, as this process began."""
    version, commit = metadata.version("mpbench"), commit_of(CHECKOUT) if CHECKOUT else ""
    return f"{version} ({commit})" if commit else version


def commit_of(directory: Path) -> str:
    """Commit of the git repository around a directory, with "+" if files differ from it; "" without one."""
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--abbrev=12", "--dirty=+"],
            cwd=directory,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return described.stdout.strip()
