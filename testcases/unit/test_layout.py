# SPDX-License-Identifier: MIT
"""Numbers of the signed image."""

import pytest

from mpbench import layout


@pytest.mark.parametrize(("length", "padded"), [(0, 0), (1, 8), (8, 8), (9, 16), (0x7FFFFFFF, 0x80000000)])
def test_chunks_are_padded_to_eight_bytes(length, padded):
    """Each chunk after the header takes a multiple of 8 bytes."""
    assert layout.pad8(length) == padded


def test_structures_have_the_sizes_of_the_c_headers():
    """Header 20, TLV head 8, ELF header 52, program header 32, section header 40, hash entry 64 bytes."""
    sizes = [s.size for s in (layout.HEADER, layout.TLV_HEAD, layout.EHDR, layout.PHDR, layout.SHDR)]
    assert sizes == [20, 8, 52, 32, 40]
    assert layout.HASH_ENTRY.size == 64


@pytest.mark.parametrize(
    ("code", "name"),
    [(0, "TEE_SUCCESS"), (0xFFFF0006, "TEE_ERROR_BAD_PARAMETERS"), (0x12345678, "TEE result 0x12345678")],
)
def test_a_result_is_named_as_in_the_tee_headers(code, name):
    """Known results carry the name of tee_api_defines.h, others their number."""
    assert layout.tee_name(code) == name
