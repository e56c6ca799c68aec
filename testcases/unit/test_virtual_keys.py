# SPDX-License-Identifier: MIT
"""This user's keys: made once, readable by the user only, in the formats of the programs that read them."""

import stat
import struct
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from mpbench_virtual import keys


@pytest.fixture(autouse=True)
def config(tmp_path, monkeypatch):
    """A configuration directory of this test only."""
    monkeypatch.setenv("MPBENCH_CONFIG", str(tmp_path / "config"))


@pytest.mark.parametrize("make", [keys.signing_key, keys.ssh_key, keys.host_key])
def test_a_private_key_is_made_once_and_private(make):
    """The second call returns the first call's key, which only its owner can read."""
    path = make()
    before = path.read_bytes()
    assert make().read_bytes() == before
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_public_key_follows_the_private_one():
    """What is compiled into OP-TEE is the public half of what signs, also after the key was replaced."""
    first = keys.signing_public_key().read_bytes()
    keys.signing_key().unlink()
    second = keys.signing_public_key().read_bytes()
    assert first != second
    private = serialization.load_pem_private_key(keys.signing_key().read_bytes(), None)
    public = serialization.load_pem_public_key(second)
    assert private.public_key() == public


def test_dropbears_host_key_is_the_same_key():
    """The board's host key in dropbear's format holds the pair whose public half is pinned."""
    data = keys.dropbear_host_key()
    (name_len,) = struct.unpack_from(">I", data)
    (pair_len,) = struct.unpack_from(">I", data, 4 + name_len)
    assert data[4 : 4 + name_len] == b"ssh-ed25519"
    assert pair_len == 64
    public = data[-32:]
    openssh: Any = serialization.load_ssh_public_key(keys.ssh_public_line(keys.host_key()))
    assert openssh.public_bytes_raw() == public
