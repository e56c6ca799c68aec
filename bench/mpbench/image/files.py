# SPDX-License-Identifier: MIT
"""The signing key's file and its pass phrase, which never comes from the command line."""

import getpass
import os
import warnings
from pathlib import Path

from mpbench.core.errors import UsageError
from mpbench.core.files import check_private, read_bounded
from mpbench.core.secrets import learn
from mpbench.image.keys import PassphraseNeeded, PrivateKey, Signer, load_private_key
from mpbench.image.token_key import SCHEME, TokenKey, parse_uri


def open_key(
    path: Path | str, passphrase_file: Path | None, passphrase_env: str | None
) -> PrivateKey | Signer:
    """The signing key of a PEM file or of a token (a PKCS#11 URI); its pass phrase or PIN from a file, an
    environment variable, or else a prompt.
    """
    if str(path).startswith(SCHEME):
        return token_key(str(path), passphrase_file, passphrase_env)
    try:
        return load_private_key(path, passphrase(passphrase_file, passphrase_env))
    except PassphraseNeeded:
        return load_private_key(path, asked(path))


def files_of_key(key: Path | str) -> list[Path]:
    """Files that a key is read from: its own, or those that a PKCS#11 URI names."""
    if not str(key).startswith(SCHEME):
        return [Path(key)]
    found = parse_uri(str(key))
    return [Path(name) for name in (found.module, found.pin_file) if name]


def token_key(uri: str, pin_file: Path | None, pin_env: str | None) -> TokenKey:
    """A token's key; the PIN is asked for once."""
    found = parse_uri(uri)
    if pin_file is None and pin_env is None and found.pin_file:
        pin_file = Path(found.pin_file)
    pin = passphrase(pin_file, pin_env) or asked(uri, "PIN")
    return TokenKey.open(found, lambda: pin.decode(errors="surrogateescape"))


def asked(path: Path | str, what: str = "Pass phrase") -> bytes:
    """The pass phrase or PIN from the terminal, never shown. UsageError if there is none."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", getpass.GetPassWarning)
        try:
            return _learnt(os.fsencode(getpass.getpass(f"{what} of {path}: ")))
        except (getpass.GetPassWarning, EOFError) as error:
            give = "give --passphrase-file (/dev/stdin for a pipe) or --passphrase-env"
            why = "the key is encrypted" if what == "Pass phrase" else "the token wants its PIN"
            raise UsageError(f"{path}: {why}, no terminal to ask for it; {give}") from error


def passphrase(file: Path | None, env: str | None) -> bytes | None:
    """The pass phrase in a file's first line or an environment variable; None when neither is named.

    Bytes, of whatever encoding the key was made with. UsageError: none there, or a file that others may read.
    """
    if file is not None:
        if file.is_file():  # a pipe has the modes of its maker
            check_private(file, what="pass phrase file")
        lines = read_bounded(file).splitlines()
        if not lines:
            raise UsageError(f"{file}: no pass phrase in it")
        return _learnt(lines[0])
    if env is None:
        return None
    if env not in os.environ:
        raise UsageError(f"environment variable {env} is not set; it should hold the pass phrase")
    return _learnt(os.fsencode(os.environ[env]))


def _learnt(secret: bytes) -> bytes:
    """A pass phrase, which nothing prints from now on: in bytes that are no UTF-8, neither form of text."""
    for errors in ("surrogateescape", "backslashreplace", "replace"):
        learn({"passphrase": secret.decode("utf-8", errors)})
    return secret
