# SPDX-License-Identifier: MIT
"""Signing for a board: its key, and the platform records that its target file names."""

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from mpbench.core.errors import UsageError
from mpbench.harness.signer import Signer, records_of
from mpbench.twin.loader import load
from mpbench.twin.profile import load_profile
from testcases.peer.elves import Elf, Segment

KEY = rsa.generate_private_key(65537, 2048)
ELF = Elf([Segment(0x80100000, bytes(64))]).build()


def test_a_core_has_its_records_and_the_others_have_none():
    """BOOTADDR of the M33 is in its image, in the signed part, and the M0's is as it was."""
    signed = Signer(KEY, records_of({"m33": {"BOOTADDR": 0x80100000, 0x10002: 0}}))
    profile = load_profile("st-4.0-r2-mp257f-dk").with_key(KEY.public_key())
    assert b"\x01\x00\x01\x00\x04\x00\x00\x00\x00\x00\x10\x80" in signed("m33", ELF)
    assert load(signed("m33", ELF), profile, "m33").accepted
    assert signed("m0", ELF) == Signer(KEY)("m0", ELF)
    assert not load(signed("m33", ELF, key=rsa.generate_private_key(65537, 2048)), profile, "m33").accepted


def test_without_the_option_nothing_is_added():
    """A target that names no records signs as the format's own tool does."""
    assert records_of({}) == {}


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ([], "is not a mapping by core; e.g. `options"),
        ({"m33": 0x80100000}, "is not a mapping by core"),
        ({"m33": {"BOOTADR": 1}}, "unknown record 'BOOTADR'"),
        ({"m33": {"BOOTADDR": "0x80100000"}}, "BOOTADDR is '0x80100000'; expected a number of 32 bits"),
        ({"m33": {"BOOTADDR": 1 << 32}}, "expected a number of 32 bits"),
    ],
)
def test_a_wrong_record_is_one_line(option, message):
    """A wrong option is one line that shows a right one."""
    with pytest.raises(UsageError, match=message):
        records_of(option)
