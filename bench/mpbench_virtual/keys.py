# SPDX-License-Identifier: MIT
"""This user's keys for virtual boards: made once, kept in the user's configuration directory.

Ref: dropbear src/ed25519.c, buf_put_ed25519_priv_key; PROTOCOL.key of OpenSSH; RFC 8709.
"""

import contextlib
import struct
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mpbench.core.directories import config_dir
from mpbench.core.files import write_whole

SIGNING_KEY_BITS = 2048


def signing_key() -> Path:
    """PEM of the private RSA key that signs firmware for this user's virtual boards."""
    path = config_dir() / "firmware_key.pem"
    if not path.exists():
        key = rsa.generate_private_key(public_exponent=65537, key_size=SIGNING_KEY_BITS)
        _write(path, _private_pem(key, serialization.PrivateFormat.PKCS8))
    return path


def signing_public_key() -> Path:
    """PEM of the public part, which is compiled into the board's OP-TEE."""
    path = config_dir() / "firmware_key.pub.pem"
    private = serialization.load_pem_private_key(signing_key().read_bytes(), None)
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    public = private.public_key().public_bytes(serialization.Encoding.PEM, form)
    if not path.exists() or path.read_bytes() != public:
        write_whole(path, public, mode=0o600)
    return path


def ssh_key() -> Path:
    """OpenSSH private key with which this user logs in to the boards."""
    path = config_dir() / "ssh_key"
    if not path.exists():
        key = Ed25519PrivateKey.generate()
        _write(path, _private_pem(key, serialization.PrivateFormat.OpenSSH))
    return path


def ssh_public_line(key_file: Path) -> bytes:
    """The public part as a line of authorized_keys."""
    key = serialization.load_ssh_private_key(key_file.read_bytes(), None)
    openssh = serialization.Encoding.OpenSSH
    return key.public_key().public_bytes(openssh, serialization.PublicFormat.OpenSSH)


def host_key() -> Path:
    """OpenSSH private key that is the host key of this user's boards; pinned in known_hosts files."""
    path = config_dir() / "host_key"
    if not path.exists():
        _write(path, _private_pem(Ed25519PrivateKey.generate(), serialization.PrivateFormat.OpenSSH))
    return path


def dropbear_host_key() -> bytes:
    """The host key in dropbear's own file format."""
    key = serialization.load_ssh_private_key(host_key().read_bytes(), None)
    assert isinstance(key, Ed25519PrivateKey)
    both = key.private_bytes_raw() + key.public_key().public_bytes_raw()
    return b"".join(struct.pack(">I", len(part)) + part for part in (b"ssh-ed25519", both))


def _private_pem(key: rsa.RSAPrivateKey | Ed25519PrivateKey, form: serialization.PrivateFormat) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def _write(path: Path, data: bytes) -> None:
    """Write a private key, readable by this user only; if two runs make a key at once, the first is kept."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        write_whole(path, data, mode=0o600, exclusive=True)
