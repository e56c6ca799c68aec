# SPDX-License-Identifier: MIT
"""The signing key's file and its pass phrase, which never comes from the command line."""

import getpass
import os
import warnings
from pathlib import Path

from mpbench.core.errors import UsageError
from mpbench.core.files import read_bounded
from mpbench.core.secrets import learn
from mpbench.image.keys import PassphraseNeeded, PrivateKey, load_private_key


def open_key(path: Path | str, passphrase_file: Path | None, passphrase_env: str | None) -> PrivateKey:
    """The signing key; its pass phrase from a file, an environment variable, or else a prompt."""
    given = passphrase(passphrase_file, passphrase_env)
    learn({"passphrase": (given or b"").decode("utf-8", "replace")})
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
            give = "give --passphrase-file (/dev/stdin for a pipe) or --passphrase-env"
            raise UsageError(f"{path}: the key is encrypted, no terminal to ask for it; {give}") from error


def passphrase(file: Path | None, env: str | None) -> bytes | None:
    """The pass phrase in a file's first line or an environment variable; None when neither is named."""
    if file is not None:
        lines = read_bounded(file).splitlines()
        if not lines:
            raise UsageError(f"{file}: no pass phrase in it")
        return lines[0]
    if env is None:
        return None
    if env not in os.environ:
        raise UsageError(f"environment variable {env} is not set; it should hold the pass phrase")
    return os.environ[env].encode()
