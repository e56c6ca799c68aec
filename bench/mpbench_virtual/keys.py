# SPDX-License-Identifier: MIT
"""This user's keys for virtual boards: made once, kept in the user's configuration directory.

Ref: dropbear src/ed25519.c, buf_put_ed25519_priv_key; PROTOCOL.key of OpenSSH; RFC 8709.
"""

import contextlib
import struct
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mpbench.core.directories import config_dir
from mpbench.core.files import write_whole

SIGNING_KEY_BITS, LOGIN_KEY_BITS = 2048, 3072


def signing_key() -> Path:
    """PEM of the private RSA key that signs firmware for this user's virtual boards."""
    form = serialization.PrivateFormat.PKCS8
    return _made_once("firmware_key.pem", form, lambda: rsa.generate_private_key(65537, SIGNING_KEY_BITS))


def signing_public_key() -> Path:
    """PEM of the public part, which is compiled into the board's OP-TEE."""
    path = config_dir() / "firmware_key.pub.pem"
    private = serialization.load_pem_private_key(signing_key().read_bytes(), None)
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    public = private.public_key().public_bytes(serialization.Encoding.PEM, form)
    if not path.exists() or path.read_bytes() != public:
        write_whole(path, public, mode=0o644)
    return path


def ssh_key() -> Path:
    """OpenSSH private key with which this user logs in to the boards.

    An emulated Cortex-A7 verifies RSA in a third of the time that it takes for Ed25519.
    """
    form = serialization.PrivateFormat.OpenSSH
    return _made_once("ssh_key", form, lambda: rsa.generate_private_key(65537, LOGIN_KEY_BITS))


def ssh_public_line(key_file: Path) -> bytes:
    """The public part as a line of authorized_keys."""
    key = serialization.load_ssh_private_key(key_file.read_bytes(), None)
    openssh = serialization.Encoding.OpenSSH
    return key.public_key().public_bytes(openssh, serialization.PublicFormat.OpenSSH)


def host_key() -> Path:
    """OpenSSH private key that is the host key of this user's boards; pinned in known_hosts files."""
    return _made_once("host_key", serialization.PrivateFormat.OpenSSH, Ed25519PrivateKey.generate)


def dropbear_host_key() -> bytes:
    """The host key in dropbear's own file format."""
    key = serialization.load_ssh_private_key(host_key().read_bytes(), None)
    assert isinstance(key, Ed25519PrivateKey)
    both = key.private_bytes_raw() + key.public_key().public_bytes_raw()
    return b"".join(struct.pack(">I", len(part)) + part for part in (b"ssh-ed25519", both))


def _made_once(
    name: str, form: serialization.PrivateFormat, make: Callable[[], rsa.RSAPrivateKey | Ed25519PrivateKey]
) -> Path:
    """PEM of a private key, readable by this user only; if two runs make it at once, the first is kept."""
    path = config_dir() / name
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        data = make().private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
        with contextlib.suppress(FileExistsError):
            write_whole(path, data, mode=0o600, exclusive=True)
    return path
