# SPDX-License-Identifier: MIT
"""Files in and out: an output is complete or absent, a pass phrase never comes from the command line."""

import getpass
import os
import tempfile
import warnings
from pathlib import Path

from mpbench.core.errors import UsageError
from mpbench.image.keys import PassphraseNeeded, PrivateKey, load_private_key


def read_file(path: Path | str) -> bytes:
    """Content of a file. UsageError if it can't be read."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error


def write_file(path: Path | str, data: bytes) -> None:
    """The file with this content, or as it was: written beside, synced, renamed. UsageError if it can't be."""
    path = Path(path)
    if path.is_dir():
        raise UsageError(f"{path}: Is a directory")
    fresh = ""
    try:
        handle, fresh = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), 0o666 & ~_umask())
            os.fsync(file.fileno())
        os.replace(fresh, path)
        fresh = ""
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    finally:
        if fresh:
            os.unlink(fresh)


def _umask() -> int:
    """The process's umask; reading it means setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def open_key(path: Path | str, passphrase_file: Path | None, passphrase_env: str | None) -> PrivateKey:
    """The signing key; its pass phrase from a file, an environment variable, or else a prompt."""
    given = passphrase(passphrase_file, passphrase_env)
    try:
        return load_private_key(path, given)
    except PassphraseNeeded:
        return load_private_key(path, asked(path))


def asked(path: Path | str) -> bytes:
    """The pass phrase from the terminal, never shown. UsageError if there is none."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", getpass.GetPassWarning)
        try:
            return getpass.getpass(f"Pass phrase of {path}: ").encode()
        except (getpass.GetPassWarning, EOFError) as error:
            where = "--passphrase-file (/dev/stdin for a pipe) or --passphrase-env"
            raise UsageError(
                f"{path}: the key is encrypted, no terminal to ask for it; give {where}"
            ) from error


def passphrase(file: Path | None, env: str | None) -> bytes | None:
    """The pass phrase in a file's first line or an environment variable; None when neither is named."""
    if file is not None:
        lines = read_file(file).splitlines()
        if not lines:
            raise UsageError(f"{file}: no pass phrase in it")
        return lines[0]
    if env is not None:
        value = os.environ.get(env)
        if value is None:
            raise UsageError(f"environment variable {env} is not set; it should hold the pass phrase")
        return value.encode()
    return None
