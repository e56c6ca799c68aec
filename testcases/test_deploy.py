# SPDX-License-Identifier: MIT
"""Signed firmware is loaded and runs; every other image is refused as predicted, and nothing runs."""

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from mpbench.image.faults import apply
from mpbench.layout import Tee
from testcases.field_sets import OUTCOME
from testcases.requirements import AUTHENTICATION

pytestmark = AUTHENTICATION


def test_signed_firmware_runs(bench, core, image):
    """Signed firmware is accepted and runs: it reports its name, beats, and can be stopped."""
    step = bench.deploy(core, image, f"alive {core}")
    step.check(*OUTCOME)
    assert step.observed.state == "running"
    assert step.observed.beating
    bench.stop(core)
    assert bench.state(core) == "offline"


def refused(bench, core, image, code):
    """Deploy `image`: the board refuses it with `code`, as the twin predicted, and nothing runs."""
    step = bench.deploy(core, image, f"alive {core}")
    step.check(*OUTCOME)
    assert step.observed.tee_code == code
    assert step.observed.errno != "OK"
    assert step.observed.state == "offline"
    assert not step.observed.beating
    assert step.observed.secure_log, "the secure console gave no reason"


@pytest.mark.parametrize("where", ["first", "last"])
def test_flipped_payload_bit_is_refused(bench, core, image, where):
    """One flipped bit in code or data is detected by the TEE after loading, and nothing runs."""
    refused(bench, core, apply(f"payload-{where}", image), Tee.SECURITY)


@pytest.mark.parametrize("where", ["first", "last"])
def test_flipped_signature_bit_is_refused(bench, core, image, where):
    """One flipped bit in the signature makes the TEE refuse the image, and nothing runs."""
    refused(bench, core, apply(f"signature-{where}", image), Tee.SIGNATURE_INVALID)


def test_wrong_key_is_refused(bench, core, alive, signed):
    """Firmware signed with another key of the same size is refused, and nothing runs."""
    stranger = rsa.generate_private_key(65537, signed.key.key_size)
    refused(bench, core, signed(core, alive, key=stranger), Tee.SIGNATURE_INVALID)


@pytest.mark.usefixtures("signed")
def test_unsigned_elf_is_refused(bench, core, alive):
    """A plain ELF file without a signature is refused, and nothing runs."""
    refused(bench, core, alive, Tee.BAD_PARAMETERS)
