# SPDX-License-Identifier: MIT
"""Where a user keeps what differs between labs (SSH key, pinned hosts, signing key), and what lasts a run.

Ref: XDG Base Directory Specification 0.8.
"""

import os
import stat
from pathlib import Path

from mpbench.core.errors import InfrastructureError

VARIABLE = "MPBENCH_CONFIG"


def config_dir() -> Path:
    """$MPBENCH_CONFIG, else mpbench in the user's configuration directory."""
    base = os.environ.get("XDG_CONFIG_HOME") or _home() / ".config"
    return Path(os.environ.get(VARIABLE) or Path(base) / "mpbench")


def _home() -> Path:
    """The user's; one that nothing can be in, as Debian's `nobody` has, for a user id without a name."""
    try:
        return Path.home()
    except RuntimeError:
        return Path("/nonexistent")


def known_hosts() -> Path:
    """The host keys that this user pinned."""
    return config_dir() / "known_hosts"


def cache_dir() -> Path:
    """Downloads and built parts; may be deleted at any time, costs a rebuild."""
    base = os.environ.get("XDG_CACHE_HOME") or _home() / ".cache"
    return Path(os.environ.get("MPBENCH_CACHE") or Path(base) / "mpbench")


def runtime_dir() -> Path:
    """What lasts no longer than the runs of this user on this host, under names that bear the user."""
    if found := os.environ.get("XDG_RUNTIME_DIR"):
        return Path(found)
    import tempfile  # noqa: PLC0415 - every pytest imports this module

    return Path(tempfile.gettempdir())


def private_directory(path: Path) -> Path:
    """`path`, a directory that only this user can use; made if it is missing, with its parents.

    InfrastructureError for a link, another user's directory, or one that others may use or replace: below a
    directory that all users share, somebody else may have made it first.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _check_parent(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as e:
        raise InfrastructureError(f"{path}: no directory of this user's own: {e.strerror}") from e
    try:
        found = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    if found.st_uid != os.getuid():
        raise InfrastructureError(
            f"{path}: belongs to user id {found.st_uid}, not to this user ({os.getuid()}), so nothing "
            f"there is used; have it removed, or set XDG_RUNTIME_DIR to a directory of your own"
        )
    if found.st_mode & 0o077:
        mode = stat.S_IMODE(found.st_mode)
        raise InfrastructureError(f"{path}: mode {mode:04o} lets others use it; run `chmod 700 {path}`")
    return path


def _check_parent(path: Path) -> None:
    """Others must not be able to rename what this user makes in it: theirs alone to write, or sticky."""
    found = path.stat()
    if found.st_mode & 0o022 and not found.st_mode & stat.S_ISVTX:
        mode = stat.S_IMODE(found.st_mode)
        raise InfrastructureError(
            f"{path}: mode {mode:04o} lets others replace what is in it; set XDG_RUNTIME_DIR to a directory "
            f"of your own"
        )
