# SPDX-License-Identifier: MIT
"""What a deployment shows: predicted by the twin, or observed."""

from collections.abc import Iterable

from attrs import frozen

ZEROS = "zeros"


@frozen
class MemoryRange:
    """Bytes of a core's memory: physical address, size, SHA-256 in hex or ZEROS if all are zero."""

    pa: int
    size: int
    sha256: str

    @property
    def line(self) -> str:
        """Place and content; of a hash the first 16 digits."""
        return f"{self.pa:#x}+{self.size:#x} {self.sha256[:16]}"


def memory_word(lines: Iterable[str]) -> str | None:
    """A field's value for the lines of some ranges: ZEROS if all are that; None for no range."""
    found = tuple(lines)
    if not found:
        return None
    return ZEROS if all(line.endswith(f" {ZEROS}") for line in found) else "; ".join(found)


@frozen
class DeployFacts:
    """What a deployment shows on the board, predicted by the twin or observed from evidence.

    errno:      "OK", or the errno name that the write of `start` to sysfs returned, e.g. "EIO"
    state:      sysfs state afterwards, e.g. "running", "offline"
    tee_code:   TEE_Result that the kernel log shows; 0 when the TEE refused nothing
    secure_log: the reason on the secure console (the loader's line without its prefix), "" for none
    beating:    whether the firmware's heartbeat advances
    identity:   who the firmware says it is, e.g. "alive m33", "" when it does not run
    memory:     what the core's memory holds: see memory_word. After a refusal all of it is looked at, while
                firmware runs only what it can't write to.
    """

    errno: str | None = None
    state: str | None = None
    tee_code: int | None = None
    secure_log: str | None = None
    beating: bool | None = None
    identity: str | None = None
    memory: str | None = None
