# SPDX-License-Identifier: MIT
"""Motorola S-records: a file as text, which a boot loader takes over its console.

Ref: srec(5); U-Boot common/s_record.c (srec_decode), cmd/load.c (load_serial)
"""

RECORD_BYTES = 128
"""Data bytes of a record: its text fits U-Boot's buffer, SREC_MAXRECLEN."""


def s_records(data: bytes) -> bytes:
    """Lines of type S3 from address 0 on, and the S7 that ends them."""
    places = range(0, len(data), RECORD_BYTES)
    lines = [_record(3, at, data[at : at + RECORD_BYTES]) for at in places]
    return b"".join([*lines, _record(7, 0, b"")])


def _record(kind: int, address: int, data: bytes) -> bytes:
    """Type, count, address and data, and their checksum: the ones' complement of the sum's lowest byte."""
    body = bytes([len(data) + 5]) + address.to_bytes(4, "big") + data
    checksum = ~sum(body) & 0xFF
    return f"S{kind}{body.hex()}{checksum:02x}\n".upper().encode()
