# SPDX-License-Identifier: MIT
"""The platform's side (PTA and driver): what it answers to the TA, and what it does to memory.

Ref: OP-TEE 4.10 core/pta/stm32mp/remoteproc_pta.c, core/drivers/remoteproc/stm32_remoteproc.c.
The data of a segment are hashed where they lie in the image; on the board they are hashed after the copy.
"""

import hashlib
from collections.abc import Callable
from typing import Final

from mpbench import layout
from mpbench.core.errors import UsageError
from mpbench.layout import PtaCommand, Tee
from mpbench.twin.image import Stop, View
from mpbench.twin.profile import Profile
from mpbench.twin.reasons import REASONS
from mpbench.twin.values import Asked, Entry, Refusal, Written

DIGEST: Final = 8
"""Index of the hash in an entry: it follows the words of the program header."""

# Looking up a member of an enumeration costs more than anything else here: once is enough.
_CAPABILITIES, _VERIFY = PtaCommand.HW_CAPABILITIES, PtaCommand.VERIFY_DIGEST
_LOAD, _SET, _TRANSLATE = PtaCommand.LOAD_SEGMENT_SHA256, PtaCommand.SET_MEMORY, PtaCommand.FIRMWARE_DA_TO_PA
_SUCCESS, _NOT_SUPPORTED = int(Tee.SUCCESS), int(Tee.NOT_SUPPORTED)
_ACCESS_DENIED, _SECURITY = int(Tee.ACCESS_DENIED), int(Tee.SECURITY)


Digest = Callable[[View, int, int], bytes]
"""(image, offset, size) → SHA-256 of that part."""


def digest_of(view: View, offset: int, size: int) -> bytes:
    """SHA-256 of a part of the image; Stop(work-limit) if parts overlap absurdly."""
    view.spend(size)
    return hashlib.sha256(view.data[offset : offset + size]).digest()


class Platform:
    """Commands for one core; `asked` and `written` grow in order.

    running: whether the platform's state for this core (or for all of them) is on.
    """

    def __init__(
        self, profile: Profile, core: int, *, running: bool = False, digest: Digest | None = None
    ) -> None:
        self.profile, self.core, self.running = profile, core, running
        self.digest = digest or digest_of
        self.known, self.windows = core in profile.windows, profile.windows.get(core, ())
        self.faults = profile.faults
        self.asked: list[Asked] = []
        self.written: list[Written] = []

    def data(self, view: View) -> bytes | memoryview:
        """What the offsets of `written` point into."""
        return view.data

    def start_of(self) -> tuple[int | None, Refusal | None]:
        """Outcome.vectors and Outcome.start_refusal after an image was loaded."""
        return None, None

    def capabilities(self) -> tuple[int, int]:
        """rproc_pta_capabilities: formats and protection."""
        fault = self.faults.get(_CAPABILITIES, 0)
        code = fault or (_SUCCESS if self.known else _NOT_SUPPORTED)
        self.asked.append((_CAPABILITIES, self.core, 0, 0, b"", b"", b"", 0, 0, code))
        if code:
            raise Stop("platform-fault" if fault else "unknown-core", f"id {self.core}", code=code)
        return self.profile.formats, self.profile.protection

    def verify(self, algorithm: int, info: bytes, digest: bytes, signature: bytes) -> None:
        """rproc_pta_verify_digest."""
        code = self.faults.get(_VERIFY, 0)
        lines: list[str] = []
        name = "platform-fault" if code else ""
        if not code:
            name, *lines = self._verdict(algorithm, info, digest, signature)
            code = (REASONS[name].code or 0) if name else 0
        self.asked.append((_VERIFY, self.core, 0, 0, digest, signature, info, algorithm, 0, code))
        if name:
            raise Stop(name, "", *lines, f"Failed to verify signature, res = {code:#x}", code=code)

    def _verdict(self, algorithm: int, _info: bytes, digest: bytes, signature: bytes) -> tuple[str, ...]:
        """Name of the reason for a refusal, "" for none, and lines on the secure console.

        The last check is rproc_pta_verify_rsa_signature.
        """
        if self.running:
            return ("platform-busy",)
        if algorithm != layout.ALG_RSASSA_PKCS1_V1_5_SHA256:
            return ("algorithm-unsupported",)
        return ("" if self.signed(digest, signature) else "signature-invalid",)

    def signed(self, digest: bytes, signature: bytes) -> bool:
        """Whether the profile's key made the signature. UsageError: it has none."""
        if self.profile.verify is None:  # the caller's mistake, which no image makes
            raise UsageError(f"profile {self.profile.name} has no key; give the board's public key")
        return self.profile.verify(digest, signature)

    def to_pa(self, da: int, size: int) -> int | None:
        """stm32_rproc_da_to_pa of a size that is not 0: physical address; None outside the core's memory."""
        for start, end, shift in self.windows:
            if start <= da and da + size <= end:
                return da + shift
        return None

    def load_segment(self, view: View, offset: int, da: int, size: int, entry: Entry) -> Written:
        """rproc_pta_load_segment: the copy stays if the hash is right, else zeros take its place."""
        pa, expected = self.to_pa(da, size), entry[DIGEST]
        if _LOAD in self.faults:
            name, code = "platform-fault", self.faults[_LOAD]
        elif pa is None:
            name, code = "segment-outside-memory", _ACCESS_DENIED
        elif self.digest(view, offset, size) != expected:
            name, code = "segment-hash", _SECURITY
            self.written.append((pa, size, None))
        else:
            self.asked.append((_LOAD, self.core, da, size, expected, b"", b"", 0, offset, _SUCCESS))
            write = (pa, size, offset)
            self.written.append(write)
            return write
        self.asked.append((_LOAD, self.core, da, size, expected, b"", b"", 0, offset, code))
        line = f"Fails to load segment, res = 0x{code:#x}"
        raise Stop(name, f"{size:#x} bytes at {da:#x}", line, code=code)

    def set_memory(self, da: int, size: int) -> None:
        """rproc_pta_set_memory with value 0."""
        pa, code = self._placed(_SET, da, size)
        if code:
            name = "platform-fault" if _SET in self.faults else "clear-outside-memory"
            line = f"Fails to clear segment, res = {code:#x}"
            raise Stop(name, f"{size:#x} bytes at {da:#x}", line, code=code)
        self.written.append((pa, size, None))

    def translate(self, da: int, size: int) -> int:
        """rproc_pta_da_to_pa for remoteproc_parse_rsc_table, whose failures are all ACCESS_DENIED."""
        pa, code = self._placed(_TRANSLATE, da, size)
        if code:
            line = f"Failed to translate device address {hex(da) if da else 0}"  # as C prints %#x of 0
            raise Stop("table-outside-memory", f"{size:#x} bytes at {da:#x}", line)
        return pa

    def _placed(self, command: PtaCommand, da: int, size: int) -> tuple[int, int]:
        pa = self.to_pa(da, size)
        code = self.faults.get(command, 0) or (_ACCESS_DENIED if pa is None else _SUCCESS)
        self.asked.append((command, self.core, da, size, b"", b"", b"", 0, 0, code))
        return pa or 0, code
