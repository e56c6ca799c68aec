# SPDX-License-Identifier: MIT
"""Signing for a board: with its key and the platform records that its target file names."""

from collections.abc import Mapping

from attrs import field, frozen
from cryptography.hazmat.primitives.asymmetric import rsa

from mpbench.core.errors import UsageError
from mpbench.image.keys import PrivateKey
from mpbench.image.sign import sign
from mpbench.layout import Tlv

OPTION = "bench_plat_tlvs"
EXAMPLE = f"options: {{{OPTION}: {{m33: {{BOOTADDR: 0x80100000}}}}}}"

Records = Mapping[str, Mapping[int, bytes]]
"""Core → TLV's number → value."""


@frozen
class Signer:
    """Signs firmware for the cores of a board."""

    key: rsa.RSAPrivateKey = field(repr=False)
    records: Records = field(factory=dict)

    def __call__(self, core: str, *elfs: bytes, key: PrivateKey | None = None) -> bytes:
        """Signed image of ELF files for a core; key: instead of the board's."""
        return sign(elfs, key or self.key, plat_tlvs=self.records.get(core))


def records_of(option: object) -> Records:
    """Records of the option `bench_plat_tlvs`: by core, u32 values by name (BOOTADDR, BOOTSEC) or number.

    UsageError for anything else.
    """
    if not isinstance(option, Mapping) or not all(isinstance(found, Mapping) for found in option.values()):
        raise UsageError(f"{OPTION}: {option!r} is not a mapping by core; e.g. `{EXAMPLE}`")
    return {
        str(core): {_number(name): _value(name, value) for name, value in found.items()}
        for core, found in option.items()
    }


def _number(name: object) -> int:
    if isinstance(name, int):
        return name
    try:
        return Tlv[str(name)]
    except KeyError:
        raise UsageError(f"{OPTION}: unknown record {name!r}; BOOTADDR, BOOTSEC, or a number") from None


def _value(name: object, value: object) -> bytes:
    if not isinstance(value, int) or not 0 <= value < 1 << 32:
        raise UsageError(f"{OPTION}: {name} is {value!r}; expected a number of 32 bits")
    return value.to_bytes(4, "little")
