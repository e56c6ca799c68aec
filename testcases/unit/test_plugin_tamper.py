# SPDX-License-Identifier: MIT
"""Proof that an image was tampered with."""

import hashlib

import pytest

from mpbench.core.errors import InfrastructureError, UsageError
from mpbench.deployment.collect import tamper_proof


def digest(data):
    return hashlib.sha256(data).hexdigest()


def test_the_proof_names_three_hashes():
    """Of the image before, of the tampered one, and of the board's file."""
    text = tamper_proof(b"good", b"bad", digest(b"bad")).data.decode()
    assert text.splitlines() == [
        f"before {digest(b'good')}",
        f"after {digest(b'bad')}",
        f"board {digest(b'bad')}",
    ]


def test_an_image_that_was_not_changed_is_no_tampering():
    """A fault that changes nothing would pass for a good image that the board accepts."""
    with pytest.raises(UsageError, match=f"the image is unchanged: SHA-256 {digest(b'good')} before and"):
        tamper_proof(b"good", b"good", digest(b"good"))


def test_a_board_with_another_file_has_not_been_tested():
    """The tampered bytes have to be those that the board loaded."""
    with pytest.raises(InfrastructureError, match="the board's file has"):
        tamper_proof(b"good", b"bad", digest(b"good"))
