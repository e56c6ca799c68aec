# SPDX-License-Identifier: MIT
"""Pinned host keys: one OpenSSH known_hosts file per lab or board; only `mpbench enrol` writes it.

Ref: sshd(8), SSH_KNOWN_HOSTS FILE FORMAT
"""

import base64
import contextlib
import fnmatch
import stat
from collections.abc import Iterator
from pathlib import Path

import paramiko
from attrs import frozen
from paramiko.pkey import UnknownKeyType

from mpbench.board.session.shell_protocol import one_line
from mpbench.core import files
from mpbench.core.errors import InfrastructureError
from mpbench.core.files import locked_directory, os_errors, read_bounded, real_path, write_whole

LIMIT_BYTES = 16 << 20


def names_of(address: str, port: int) -> str:
    """Name of a host in a known_hosts file: the address alone for port 22, else `[address]:port`."""
    return address if port == 22 else f"[{address}]:{port}"


@frozen
class KnownHost:
    """A line of the file: its marker ("", "@revoked", "@cert-authority"), names as written, key, comment."""

    marker: str
    names: str
    kind: str
    key: str
    comment: str = ""

    @classmethod
    def parse(cls, line: str) -> "KnownHost | None":
        """None for a comment, an empty line, and one with too few words."""
        words = line.split(None, 4 if line.startswith("@") else 3)
        marker = words.pop(0) if line.startswith("@") else ""
        return None if line.startswith("#") or len(words) < 3 else cls(marker, *words)

    def is_for(self, name: str) -> bool:
        """Whether one of its names, patterns or hashes is `name`, and no negated pattern."""
        patterns = self.names.split(",")
        denied = any(_matches(p[1:], name) for p in patterns if p.startswith("!"))
        return not denied and any(_matches(p, name) for p in patterns)

    def without(self, name: str) -> str:
        """The line without `name`, "" if none is left. Patterns for several hosts get it as an exception."""
        rest = [
            p
            for p in self.names.split(",")
            if p.lower() != name.lower() and not (p.startswith("|") and _matches(p, name))
        ]
        if any(_matches(p, name) for p in rest):
            rest.append(f"!{name}")
        return " ".join([",".join(rest), self.kind, self.key, self.comment]).rstrip() if rest else ""


def _matches(pattern: str, name: str) -> bool:
    if pattern.startswith("|1|"):
        return paramiko.HostKeys.hash_host(name, pattern) == pattern
    # brackets belong to a name with a port; fnmatch's patterns never go back, however many stars there are
    return fnmatch.fnmatchcase(name.lower(), pattern.lower().replace("[", "[[]"))


def _lines(path: Path) -> list[str]:
    """Lines of the file, none if there is no file. InfrastructureError if it cannot be read."""
    with os_errors(f"{path}: invalid known_hosts file"):
        try:
            _check_file(path.stat().st_mode)
        except FileNotFoundError:
            return []
    data = read_bounded(path, InfrastructureError, LIMIT_BYTES)
    return data.decode("utf-8", "surrogateescape").split("\n")


def pinned(path: Path, names: list[str]) -> list[paramiko.PKey]:
    """Keys that `path` pins for any of `names`, without revoked ones; empty if there is no such file.

    Authorities of host certificates, which the bench does not use, pin nothing. InfrastructureError for a
    file that cannot be read, or whose line for these names cannot be parsed.
    """
    revoked = _keys(path, names, "@revoked")
    return [key for key in _keys(path, names, "") if key not in revoked]


def is_revoked(path: Path, names: list[str], key: paramiko.PKey) -> bool:
    """Whether a line `@revoked` has this key for one of `names`. InfrastructureError as pinned()."""
    return key in _keys(path, names, "@revoked")


def _keys(path: Path, names: list[str], marker: str) -> list[paramiko.PKey]:
    """Keys of the lines with this marker for any of `names`, without kinds that paramiko does not know."""
    found = []
    for number, line in enumerate(_lines(path), 1):
        known = KnownHost.parse(line)
        if known is None or known.marker != marker or not any(known.is_for(name) for name in names):
            continue
        try:
            key = paramiko.PKey.from_type_string(known.kind, base64.b64decode(known.key, validate=True))
        except UnknownKeyType:
            continue
        except Exception as e:  # paramiko's parsers raise many kinds of exceptions for a malformed key
            raise InfrastructureError(f"{path}:{number}: invalid known_hosts file: {one_line(e)}") from e
        if key.get_base64() != known.key:  # paramiko reads a key whose last part has too large a length
            raise InfrastructureError(f"{path}:{number}: invalid known_hosts file: the key is damaged")
        found.append(key)
    return found


def check(key: paramiko.PKey, pins: list[paramiko.PKey], path: Path, address: str, port: int) -> None:
    """InfrastructureError, with the command that pins it, unless `key` is one of `pins`."""
    if any(pin.asbytes() == key.asbytes() for pin in pins):
        return
    what = "has changed" if pins else "is not pinned"
    raise InfrastructureError(
        f"{address} port {port}: the host key {what}: {key.get_name()} {key.fingerprint}, pinned in {path}: "
        f"{', '.join(str(p.fingerprint) for p in pins) or 'none'}; for a new or re-installed board: "
        f"mpbench enrol {'--replace ' if pins else ''}{address} {port} {path}"
    )


def _check_file(mode: int) -> None:
    """OSError unless it is a regular file: opening a pipe would block."""
    if not stat.S_ISREG(mode):
        raise OSError("not a regular file")


def check_private(path: Path) -> None:
    """InfrastructureError unless the private key `path` is a regular file that only its owner can read."""
    with os_errors(f"cannot read private key {path}"):
        _check_file(path.stat().st_mode)
    files.check_private(path, InfrastructureError)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Nobody else pins a key in this file during the block; its directory is made."""
    with os_errors(f"cannot write {path}"):
        real = real_path(path)
        real.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with locked_directory(real.parent):
        yield


def pin(path: Path, address: str, port: int, key: paramiko.PKey) -> None:
    """Make `key` the only one pinned for the address; every other line of the file stays as it is.

    A link to the file stays one. Several at once: call it inside of locked().
    """
    name, kept = names_of(address, port), []
    for line in _lines(path):
        known = KnownHost.parse(line)
        mine = known is not None and not known.marker and known.is_for(name)
        kept.append(known.without(name) if known and mine else line)
        if mine and not kept[-1]:
            kept.pop()
    while kept and not kept[-1]:
        kept.pop()
    text = "\n".join([*kept, f"{name} {key.get_name()} {key.get_base64()}", ""])
    write_whole(real_path(path), text.encode("utf-8", "surrogateescape"))
