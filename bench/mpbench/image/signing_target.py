# SPDX-License-Identifier: MIT
"""What a profile has of the core that an image is signed for."""

from collections.abc import Callable, Sequence

from attrs import frozen


@frozen
class LoadableMemory:
    """A range of the core's memory: name, device address, bytes.

    linux: whether Linux may read it while the core runs; secure: whether only secure code of the core may.
    """

    name: str
    da: int
    size: int
    linux: bool = True
    secure: bool = False

    def holds(self, da: int, size: int) -> bool:
        """Whether the whole range is inside."""
        return self.da <= da and da + size <= self.da + self.size


@frozen
class SigningTarget:
    """The core that an image is for, as a profile has it; nothing is known of it by default.

    vectors: device address of its vector table, None if BOOTADDR names it, or if it is not known;
    needs_boot_address: whether it does not start without BOOTADDR; ecdsa: whether its OP-TEE verifies ECDSA;
    profile: the name; answer: what the board says of an image that it does not take whole, line by line.
    """

    memory: Sequence[LoadableMemory] = ()
    vectors: int | None = None
    needs_boot_address: bool = False
    ecdsa: bool = False
    profile: str = ""
    answer: Callable[[bytes], Sequence[str]] = lambda _image: ()

    def holding(self, da: int, size: int) -> LoadableMemory | None:
        """The range with all of these bytes."""
        return next((m for m in self.memory if m.holds(da, size)), None)


ANY_TARGET = SigningTarget()
