# SPDX-License-Identifier: MIT
"""ST's platform (PTA and driver of OpenSTLinux): translation, boot address, keys, decryption, by release.

Ref: OP-TEE 3.19.0-stm32mp, 4.0.0-stm32mp-r1 and -r2 (public vendor copies),
     core/pta/stm32mp/remoteproc_pta.c, core/drivers/remoteproc/stm32_remoteproc.c; r2's
     core/lib/libtomcrypt/cbc.c and ecc.c for what the platform's ciphers refuse.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from mpbench import layout
from mpbench.layout import PtaCommand, StPtaCommand, Tee, Tlv
from mpbench.twin.image import Stop, View
from mpbench.twin.openstlinux_keys import key_refusal
from mpbench.twin.openstlinux_release import RELEASES, Boot
from mpbench.twin.platform import DIGEST, Digest, Platform
from mpbench.twin.profile import Profile
from mpbench.twin.reasons import REASONS
from mpbench.twin.values import Entry, Refusal, Written

ENCRYPTED: Final = 10
"""Members of an entry of ENCTABLE; the last one is the initialisation vector."""
M33: Final = 1
"""STM32MP2_M33_RPROC_ID: the core that needs a boot address. An STM32MP15's M4 starts at 0."""

PLATFORM_TLVS: Final = {int(Tlv.BOOTADDR): 4, int(Tlv.BOOTSEC): 4}
"""Lengths by type that rproc_pta_tlv_param wants."""


class StPlatform(Platform):
    """Commands of ST's PTA for one core, beside those of upstream's."""

    def __init__(
        self,
        profile: Profile,
        core: int,
        *,
        running: bool = False,
        digest: Digest | None = None,
        boot: Boot | None = None,
    ) -> None:
        super().__init__(profile, core, running=running, digest=digest)
        self.release = RELEASES[profile.loader]
        self.boot = boot or Boot()
        self.regions = profile.core(core).regions if self.known else ()
        self.plain: list[bytes] = []

    def data(self, view: View) -> bytes | memoryview:
        """The file, then what was decrypted."""
        return b"".join([view.data, *self.plain]) if self.plain else view.data

    # ------------------------------------------------------------------------------------- memory
    def to_pa(self, da: int, size: int) -> int | None:
        """stm32_rproc_da_to_pa. In 32 bits the end of a buffer may wrap to 0."""
        if not self.release.by_range:
            return super().to_pa(da, size)
        if not self.profile.dma_ranges:
            return da
        for one in self.profile.dma_ranges:
            if one.da <= da and da + size <= one.da + one.size:
                return one.pa + da - one.da
        return None

    def mapped(self, pa: int, size: int) -> bool:
        """stm32_rproc_map: only what lies in one region."""
        return any(r.pa <= pa and pa + size <= r.pa + r.size for r in self.regions)

    def get_mem(self) -> None:
        """rproc_pta_get_mem, the first thing that the TA asks for."""
        code = self.faults.get(StPtaCommand.GET_MEM, 0)
        name = "platform-fault" if code else "platform-busy" if self.running else ""
        if not name and not self.known:
            name, code = "memory-of-no-core", Tee.BAD_PARAMETERS if self.release.encryption else Tee.GENERIC
        code = int(code or (REASONS[name].code if name else 0) or 0)
        self._note(StPtaCommand.GET_MEM, code)
        if name:
            raise Stop(name, f"id {self.core}", "Can't get access right to memories", code=code)

    def release_mem(self) -> int:
        """rproc_pta_release_mem: its result."""
        code = self.faults.get(StPtaCommand.RELEASE_MEM, 0)
        self._note(StPtaCommand.RELEASE_MEM, code)
        return code

    def clean(self) -> None:
        """rproc_pta_clean: all memory becomes zeros. The TA asserts that it succeeds: Stop(ta-panics)."""
        code = self.faults.get(StPtaCommand.CLEAN, 0) or (int(Tee.BAD_STATE) if self.running else 0)
        self._note(StPtaCommand.CLEAN, code)
        if code:
            raise Stop("ta-panics", f"cleaning the core's memory gives {code:#x}")
        self.written += [(r.pa, r.size, None) for r in self.regions]
        if self.release.clean_forgets_boot:
            self.boot.forget()

    def set_memory(self, da: int, size: int) -> None:
        """rproc_pta_set_memory; upstream's differs in memory that no region holds."""
        pa = self.to_pa(da, size)
        if PtaCommand.SET_MEMORY in self.faults or pa is None or self.mapped(pa, size):
            super().set_memory(da, size)
            return
        code = int(Tee.GENERIC)
        self.asked.append((PtaCommand.SET_MEMORY, self.core, da, size, b"", b"", b"", 0, 0, code))
        lines = (cannot_map(pa, size), f"Fails to clear segment, res = {code:#x}")
        raise Stop("clear-unmapped", f"{size:#x} bytes at {da:#x}, physical {pa:#x}", *lines)

    def translate(self, da: int, size: int) -> int:
        """rproc_pta_da_to_pa for remoteproc_da_to_pa, which asserts that no address is 0."""
        pa = super().translate(da, size)
        if not pa:
            raise Stop("ta-panics", f"the resource table at {da:#x} has the physical address 0")
        return pa

    # ----------------------------------------------------------------------------------- segments
    def load_segment(self, view: View, offset: int, da: int, size: int, entry: Entry) -> Written:
        """rproc_pta_load_segment: copied, hashed, decrypted where it lies; zeros if that fails."""
        iv = entry[-1] if len(entry) == ENCRYPTED else b""
        expected, algorithm = entry[DIGEST] + iv, layout.ALG_AES_CBC_NOPAD if iv else 0
        head = (PtaCommand.LOAD_SEGMENT_SHA256, self.core, da, size, expected, b"", b"", algorithm, offset)
        try:
            write = self._copied(view, offset, da, size, entry)
        except Stop as stop:
            code = stop.code if stop.code is not None else REASONS[stop.name].code or 0
            self.asked.append((*head, code))
            lines = (*stop.console, f"Fails to load segment, res = 0x{code:#x}")
            raise Stop(stop.name, stop.detail or f"{size:#x} bytes at {da:#x}", *lines, code=code) from None
        self.asked.append((*head, int(Tee.SUCCESS)))
        self.written.append(write)
        return write

    def _copied(self, view: View, offset: int, da: int, size: int, entry: Entry) -> Written:
        if fault := self.faults.get(PtaCommand.LOAD_SEGMENT_SHA256, 0):
            raise Stop("platform-fault", code=fault)
        pa = self.to_pa(da, size)
        if pa is None:
            raise Stop("segment-outside-memory")
        if not self.mapped(pa, size):
            where = f"{size:#x} bytes at {da:#x}, physical {pa:#x}"
            raise Stop("segment-unmapped", where, cannot_map(pa, size))
        self.written.append((pa, size, None))  # stays if anything fails from here on
        if self.digest(view, offset, size) != entry[DIGEST]:
            raise Stop("segment-hash")
        if len(entry) == ENCRYPTED:
            plain = self.decrypted(bytes(view.data[offset : offset + size]), entry[-1])
            offset = view.size + sum(map(len, self.plain))
            self.plain.append(plain)
        self.written.pop()
        return pa, size, offset

    def decrypted(self, data: bytes, iv: bytes) -> bytes:
        """rproc_pta_decrypt_aes: AES-256-CBC without padding."""
        if not self.release.decrypts:
            raise Stop("decryption-unsupported", "", "Decryption not supported!")
        key = self.profile.decryption_key
        if not any(key):
            raise Stop("decryption-key-blank", "", "null encrypted key not supported")
        if len(data) % 16:
            raise Stop("encrypted-length", f"{len(data)} bytes")
        cipher = Cipher(algorithms.AES(key), modes.CBC(iv)).decryptor()
        return cipher.update(data) + cipher.finalize()

    # ------------------------------------------------------------------------- signature and boot
    def verify(self, algorithm: int, info: bytes, digest: bytes, signature: bytes) -> None:
        """rproc_pta_verify_digest; the number of ECDSA is the release's."""
        number = self.release.ecdsa if algorithm == layout.ALG_ECDSA_P256 else algorithm
        super().verify(number, info, digest, signature)

    def _verdict(self, algorithm: int, info: bytes, digest: bytes, signature: bytes) -> tuple[str, ...]:
        """rproc_pta_verify_digest; with the key in the image also ECDSA, rproc_pta_verify_ecc_signature."""
        if self.running or not self.profile.key_in_image:
            return super()._verdict(algorithm, info, digest, signature)
        name, *lines = key_refusal(algorithm, info, self.profile.key_hash)
        if name:
            return name, *lines
        if algorithm == layout.ALG_ECDSA_P256 and len(signature) != layout.ECDSA_P256_SIGN_LEN:
            return ("ecdsa-length",)
        return ("" if self.signed(digest, signature) else "signature-invalid",)

    def tlv_param(self, kind: int, value: bytes, length: int) -> None:
        """rproc_pta_tlv_param: BOOTADDR and BOOTSEC; length: of the TLV, value: its first bytes."""
        name, fault = "", self.faults.get(StPtaCommand.TLV_PARAM, 0)
        if fault:
            name = "platform-fault"
        elif kind not in PLATFORM_TLVS:
            name = "plat-tlv-unknown"
        elif length != PLATFORM_TLVS[kind]:
            name = "plat-tlv-length"
        elif kind == Tlv.BOOTADDR and self.boot.address:
            name = "boot-address-set"
        elif kind == Tlv.BOOTADDR:
            self.boot.address = int.from_bytes(value, "little")
        elif self.boot.secure:
            name = "secure-boot-set"
        else:
            self.boot.secure = True  # whatever its value: the PTA looks at the pointer
        code = int(fault or (REASONS[name].code if name else 0) or 0)
        self.asked.append((StPtaCommand.TLV_PARAM, self.core, kind, length, b"", b"", b"", 0, 0, code))
        if name:
            line = BOOT_LINES.get(name, ()) if self.release.boot_line else ()
            raise Stop(name, f"{kind:#x}: {length} bytes", *line, code=code)

    def start(self) -> Refusal | None:
        """rproc_pta_start: why it is refused."""
        if fault := self.faults.get(PtaCommand.FIRMWARE_START, 0):
            return Refusal(REASONS["platform-fault"], fault)
        if self.running:
            return Refusal(REASONS["platform-busy"], int(Tee.BAD_STATE))
        return self._boot_refusal() if self.core == M33 else None

    def _boot_refusal(self) -> Refusal | None:
        """stm32mp2_rproc_start."""
        if not self.boot.address:
            return Refusal(REASONS["no-boot-address"], int(Tee.GENERIC))
        if (pa := self.vectors()) is None:
            return Refusal(REASONS["boot-address-outside"], int(Tee.ACCESS_DENIED))
        if not self.mapped(pa, 1):
            return Refusal(REASONS["boot-address-unmapped"], int(Tee.GENERIC), ("Invalid boot address",))
        return None

    def vectors(self) -> int | None:
        """Physical address of the boot address; r1 and 3.19 take it for one."""
        if not self.release.by_range:
            return self.boot.address
        return self.to_pa(self.boot.address, self.profile.word_bits // 8)

    def start_of(self) -> tuple[int | None, Refusal | None]:
        """Outcome.vectors and Outcome.start_refusal after an image was loaded."""
        return self.vectors() if self.core == M33 and self.boot.address else None, self.start()

    def _note(self, command: StPtaCommand, code: int) -> None:
        self.asked.append((command, self.core, 0, 0, b"", b"", b"", 0, 0, code))


BOOT_LINES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "boot-address-set": ("Firmware boot address already set",),
        "secure-boot-set": ("Firmware TrustZone already enabled",),
    }
)


def cannot_map(pa: int, size: int) -> str:
    """The PTA's line; C prints %#x of 0 as 0."""
    return f"Can't map region {hex(pa) if pa else 0} size {size}"
