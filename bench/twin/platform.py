# SPDX-License-Identifier: MIT
"""The platform's side (PTA and driver): what it answers to the TA, and what it does to memory.

Ref: OP-TEE 4.10 core/pta/stm32mp/remoteproc_pta.c, core/drivers/remoteproc/stm32_remoteproc.c.
The data of a segment are hashed where they lie in the image; on the board they are hashed after the copy.
"""

import hashlib

from bench import layout
from bench.errors import Misuse
from bench.layout import PtaCommand, Tee
from bench.twin.image import Stop, View
from bench.twin.profile import Profile, Region
from bench.twin.reasons import REASONS
from bench.twin.values import Call, Write

# Looking up a member of an enumeration costs more than anything else here: once is enough.
_CAPABILITIES, _VERIFY = PtaCommand.HW_CAPABILITIES, PtaCommand.VERIFY_DIGEST
_LOAD, _SET, _TRANSLATE = PtaCommand.LOAD_SEGMENT_SHA256, PtaCommand.SET_MEMORY, PtaCommand.FIRMWARE_DA_TO_PA
_SUCCESS, _NOT_SUPPORTED = int(Tee.SUCCESS), int(Tee.NOT_SUPPORTED)
_ACCESS_DENIED, _SECURITY = int(Tee.ACCESS_DENIED), int(Tee.SECURITY)

WORK_FACTOR = 16
"""How many times its own size an image may make us hash; beyond that an answer would take unbounded time."""


class Platform:
    """Commands for one core; `calls` and `writes` grow in order.

    running: whether the platform's state for this core (or for all of them) is on.
    """

    def __init__(self, profile: Profile, core: int, *, running: bool = False) -> None:
        self.profile, self.core, self.running = profile, core, running
        self.known = False
        self.regions: tuple[Region, ...] = ()
        for one in profile.cores:
            if one.id == core:
                self.known, self.regions = True, one.regions
        self.calls: list[Call] = []
        self.writes: list[Write] = []
        self.hashed: dict[tuple[int, int], bytes] = {}
        self.work = 0

    def fault(self, command: PtaCommand) -> int:
        """TEE result of a platform command that fails by itself, 0 for none."""
        return self.profile.faults.get(command, 0) if self.profile.faults else 0

    def capabilities(self) -> tuple[int, int]:
        """rproc_pta_capabilities: formats and protection."""
        fault = self.fault(_CAPABILITIES)
        code = fault or (_SUCCESS if self.known else _NOT_SUPPORTED)
        self.calls.append(Call(_CAPABILITIES, self.core, result=code))
        if code:
            raise Stop("platform-fault" if fault else "unknown-core", f"id {self.core}", code=code)
        return self.profile.formats, self.profile.protection

    def verify(self, algorithm: int, info: bytes, digest: bytes, signature: bytes) -> None:
        """rproc_pta_verify_digest."""
        code = self.fault(_VERIFY)
        name = "platform-fault" if code else self._verdict(algorithm, digest, signature)
        if name and not code:
            code = REASONS[name].code or 0
        command = _VERIFY
        self.calls.append(Call(command, self.core, 0, 0, digest, signature, info, algorithm, 0, code))
        if name:
            raise Stop(name, "", f"Failed to verify signature, res = {code:#x}", code=code)

    def _verdict(self, algorithm: int, digest: bytes, signature: bytes) -> str:
        if self.running:
            return "platform-busy"
        if algorithm != layout.ALG_RSASSA_PKCS1_V1_5_SHA256:
            return "algorithm-unsupported"
        if self.profile.verify is None:
            raise Misuse(f"profile {self.profile.name} has no key; give the board's public key")
        return "" if self.profile.verify(digest, signature) else "signature-invalid"

    def to_pa(self, da: int, size: int) -> int | None:
        """stm32_rproc_da_to_pa: physical address; None outside the core's memory and for nothing."""
        if not size:
            return None
        for region in self.regions:
            if region.da <= da and da + size <= region.da + region.size:
                return region.pa + da - region.da
        return None

    def load_segment(self, view: View, offset: int, segment: tuple[int, int], expected: bytes) -> None:
        """rproc_pta_load_segment: the copy stays if the hash is right, else zeros take its place."""
        da, size = segment
        pa = self.to_pa(da, size)
        code, name = self.fault(_LOAD), "platform-fault"
        if not code and pa is None:
            code, name = _ACCESS_DENIED, "segment-outside-memory"
        elif not code and pa is not None:
            good = self.digest(view, offset, size) == expected
            code, name = (0, "") if good else (_SECURITY, "segment-hash")
            self.writes.append(Write(pa, size, offset if good else None))
        command = _LOAD
        self.calls.append(Call(command, self.core, da, size, expected, b"", b"", 0, offset, code))
        if code:
            line = f"Fails to load segment, res = 0x{code:#x}"
            raise Stop(name, f"{size:#x} bytes at {da:#x}", line, code=code)

    def digest(self, view: View, offset: int, size: int) -> bytes:
        """SHA-256 of a part of the image, each part once; Stop(work-limit) if parts overlap absurdly."""
        found = self.hashed.get((offset, size))
        if found is None:
            self.work += size
            if self.work > WORK_FACTOR * view.size:
                raise Stop("work-limit", f"{self.work:#x} bytes out of {view.size:#x}")
            found = self.hashed[offset, size] = hashlib.sha256(view.data[offset : offset + size]).digest()
        return found

    def set_memory(self, da: int, size: int) -> None:
        """rproc_pta_set_memory with value 0."""
        pa, code = self._placed(_SET, da, size)
        if code:
            name = "platform-fault" if self.fault(_SET) else "clear-outside-memory"
            line = f"Fails to clear segment, res = {code:#x}"
            raise Stop(name, f"{size:#x} bytes at {da:#x}", line, code=code)
        self.writes.append(Write(pa, size))

    def translate(self, da: int, size: int) -> int:
        """rproc_pta_da_to_pa for the resource table; the TA makes ACCESS_DENIED of every failure."""
        pa, code = self._placed(_TRANSLATE, da, size)
        if code:
            line = f"Failed to translate device address {hex(da) if da else 0}"  # as C prints %#x of 0
            raise Stop("table-outside-memory", f"{size:#x} bytes at {da:#x}", line)
        return pa

    def _placed(self, command: PtaCommand, da: int, size: int) -> tuple[int, int]:
        pa = self.to_pa(da, size)
        code = self.fault(command) or (_SUCCESS if pa is not None else _ACCESS_DENIED)
        self.calls.append(Call(command, self.core, da, size, result=code))
        return pa or 0, code
