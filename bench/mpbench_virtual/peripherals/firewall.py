# SPDX-License-Identifier: MIT
"""A page of registers that the firewall keeps from a core: reads give zero, writes are lost.

Ref: RM0457, RIF: illegal access events are collected by the IAC.
"""

from collections.abc import Callable

from attrs import define


@define
class Firewall:
    """Registers at `da` of which `illegal` gets every access."""

    da: int
    _illegal: Callable[[str], None]

    def read(self, offset: int, size: int) -> int:
        """Zero."""
        self._illegal(f"{size}-byte read at 0x{offset:03x}")
        return 0

    def write(self, offset: int, size: int, value: int) -> None:
        """Lost."""
        self._illegal(f"{size}-byte write of 0x{value:x} at 0x{offset:03x}")
