# SPDX-License-Identifier: MIT
"""Facts of a deployment: predicted by the twin, or observed."""

from collections.abc import Iterable

from attrs import frozen

ZEROS = "zeros"


@frozen
class MemoryRange:
    """Bytes of a core's memory: physical address, size in bytes, SHA-256 in hex or ZEROS if all are zero."""

    pa: int
    size: int
    sha256: str

    @property
    def line(self) -> str:
        """Address, size and content; of a hash the first 16 digits."""
        return f"{self.pa:#x}+{self.size:#x} {self.sha256[:16]}"


def memory_word(lines: Iterable[str]) -> str | None:
    """Value of field `memory` for the lines of some ranges: ZEROS if all are zero; None without ranges."""
    found = tuple(lines)
    if not found:
        return None
    return ZEROS if all(line.endswith(f" {ZEROS}") for line in found) else "; ".join(found)


@frozen
class DeployFacts:
    """Facts of a deployment, predicted by the twin or parsed from evidence; None: not known.

    errno:      "OK", or the errno name that the write of `start` to sysfs returned, e.g. "EIO"
    state:      sysfs state afterwards, e.g. "running", "offline"
    tee_code:   TEE_Result in the kernel log; 0 if the TEE refused nothing
    secure_log: the reason on the secure console (the loader's line without its prefix), "" without one
    beating:    whether the firmware's heartbeat advances
    identity:   name and core that the firmware prints, e.g. "alive m33", "" if it does not run
    memory:     content of the core's memory, see memory_word: all of it after a refusal, while firmware runs
                only what it can't write to
    """

    errno: str | None = None
    state: str | None = None
    tee_code: int | None = None
    secure_log: str | None = None
    beating: bool | None = None
    identity: str | None = None
    memory: str | None = None
