# SPDX-License-Identifier: MIT
"""A co-processor from the release of its reset to the next reset.

Unicorn executes Arm code out of the board's RAM, at the core's own addresses. It has no NVIC, no MPU
and no alignment faults (a real Cortex-M0+ refuses unaligned words). This module adds what the firmware of
this bench needs beyond instructions: WFI sleeps until SysTick is pending, a fault enters the HardFault
handler as in hardware, and a fault in that handler is lockup.

Ref: Arm v7-M Architecture Reference Manual (DDI 0403) B1.5: reset, exception entry, lockup; v8-M
(DDI 0553) for the stack limit.
"""

import struct
from collections.abc import Callable
from typing import Any

import unicorn
from unicorn import arm_const as arm
from unicorn.unicorn_py3 import Uc, UcError

from mpbench_virtual.memory import CoreSpec, SharedRam
from mpbench_virtual.peripherals.bus import NowNs, Peripheral, Watchdog
from mpbench_virtual.peripherals.firewall import Firewall
from mpbench_virtual.peripherals.gate import PAGE, ClockGate, always_on
from mpbench_virtual.peripherals.iwdg import Iwdg
from mpbench_virtual.peripherals.systick import SysTick
from mpbench_virtual.peripherals.wwdg import Wwdg

CPU_MODELS = {
    "cortex-m33": arm.UC_CPU_ARM_CORTEX_M33,
    "cortex-m0": arm.UC_CPU_ARM_CORTEX_M0,
    "cortex-m4": arm.UC_CPU_ARM_CORTEX_M4,
}
NEVER = 0xFFFF_FFFF
"""Unicorn's `until`: an address no firmware reaches."""

SPURIOUS_WAKE_NS = 2_000_000
"""A WFI may end without a reason (B1.5.19); this one does when SysTick is off."""

WFI = b"\x30\xbf"

WATCHDOGS: dict[str, type[Watchdog]] = {"iwdg": Iwdg, "wwdg": Wwdg}

REFUSALS = 100

FRAME = [getattr(arm, f"UC_ARM_REG_{name}") for name in ("R0", "R1", "R2", "R3", "R12", "LR", "PC", "XPSR")]
HARD_FAULT = 3
STACK_OVERFLOW = 19
"""QEMU's EXCP_STKOF (target/arm/cpu.h): the v8-M stack limit was reached; no frame is pushed then."""
EXC_RETURN_THREAD_MSP = 0xFFFF_FFF9


class Machine:
    """A core after reset, with its peripherals. `log` gets a line per fault and per refused access.

    on_illegal: called with the number of an exception when the board's firewall refuses an access
    """

    def __init__(
        self,
        core: CoreSpec,
        ram: SharedRam,
        now_ns: NowNs,
        log: Callable[[str], None],
        vector_da: int,
        *,
        on_illegal: Callable[[int], None],
    ) -> None:
        self._core = core
        self._on_illegal = on_illegal
        self._log = log
        self._vector_da = vector_da
        self._uc: Any = Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
        self._uc.ctl_set_cpu_model(CPU_MODELS[core.cpu])
        for region in core.regions:
            address = ram.address(region.pa, region.size)
            self._uc.mem_map_ptr(region.da, region.size, unicorn.UC_PROT_ALL, address)
        self._uc.hook_add(unicorn.UC_HOOK_INTR, self._note_exception)
        self._exception: int | None = None
        self._refused: set[str] = set()
        self.systick = SysTick(core.cpu_hz, now_ns, self.refuse)
        self.watchdog = self._add_watchdog(now_ns)
        self.add(self.systick)
        self._resume_at = 0
        self._asleep = False
        self._locked_up = False
        self._reset()

    def wakes_in_ns(self) -> int | None:
        """Time in ns until the core executes again: 0 if it is awake, None after a lockup."""
        if self._locked_up:
            return None
        if not self._asleep:
            return 0
        due_ns = self.systick.until_pending_ns()
        self._asleep = due_ns is not None  # with nothing to wait for, the sleep ends after this one time
        return SPURIOUS_WAKE_NS if due_ns is None else due_ns

    def run(self, instructions: int) -> None:
        """Execute at most `instructions`; fewer when the core goes to sleep or faults."""
        self._exception = None
        try:
            self._uc.emu_start(self._resume_at | 1, NEVER, count=instructions)
        except UcError as error:
            self._fault(str(error))
            return
        if self._exception is not None:
            self._fault(f"exception {self._exception}")
            return
        self._resume_at = self._register(arm.UC_ARM_REG_PC)
        # Unicorn returns after a WFI without an event. A slice that happens to end there costs one sleep.
        try:
            self._asleep = bytes(self._uc.mem_read(self._resume_at - 2, 2)) == WFI
        except UcError:  # the first instruction of a region has nothing before it
            self._asleep = False

    def refuse(self, line: str) -> None:
        """Log an access that hardware refuses: each line once per release, at most REFUSALS lines."""
        if line in self._refused or len(self._refused) > REFUSALS:
            return
        self._refused.add(line)
        full = len(self._refused) > REFUSALS
        self._log("further refused accesses are not reported" if full else line)

    def _add_watchdog(self, now_ns: NowNs) -> Watchdog:
        spec = self._core.watchdog
        clocked = always_on
        if spec.gate:
            gate = ClockGate(spec.gate, self.refuse)
            clocked = gate.enabled
            self.add(gate)
        watchdog = WATCHDOGS[spec.name.rstrip("0123456789")](spec, now_ns, self.refuse, clocked)
        self.add(Firewall(spec.da, self._illegal) if spec.illegal_id else watchdog)
        return watchdog

    def _illegal(self, access: str) -> None:
        spec = self._core.watchdog
        self.refuse(f"firewall: {access} of {spec.name} refused, exception {spec.illegal_id}")
        self._on_illegal(spec.illegal_id)

    def add(self, peripheral: Peripheral) -> None:
        """Map a peripheral's page into the core's address space."""

        def read(_uc: Any, offset: int, size: int, _data: Any) -> int:
            return peripheral.read(offset, size)

        def write(_uc: Any, offset: int, size: int, value: int, _data: Any) -> None:
            peripheral.write(offset, size, value)

        self._uc.mmio_map(peripheral.da, PAGE, read, None, write, None)

    def _reset(self) -> None:
        """Take stack and entry from the vector table; a table outside memory is lockup at once."""
        try:
            stack, entry = struct.unpack("<2I", self._uc.mem_read(self._vector_da, 8))
        except UcError:
            self._lock_up(f"no vector table at 0x{self._vector_da:08x}")
            return
        self._uc.reg_write(arm.UC_ARM_REG_SP, stack & ~3)
        self._uc.reg_write(arm.UC_ARM_REG_LR, 0xFFFF_FFFF)
        self._jump(entry, "reset vector")

    def _note_exception(self, uc: Any, number: int, _data: Any) -> None:
        self._exception = number
        uc.emu_stop()

    def _fault(self, what: str) -> None:
        pc, sp = self._register(arm.UC_ARM_REG_PC), self._register(arm.UC_ARM_REG_SP)
        self._log(f"{self._core.name}: fault at pc 0x{pc:08x}, sp 0x{sp:08x}: {what}")
        if self._register(arm.UC_ARM_REG_IPSR):
            self._lock_up("fault in a fault handler")
        elif not self._push_frame(sp) and self._core.cpu == "cortex-m0":
            self._lock_up(f"no room for the exception frame below 0x{sp:08x}")
        else:
            self._enter_hard_fault()

    def _push_frame(self, sp: int) -> bool:
        frame = struct.pack("<8I", *(self._register(r) for r in FRAME))
        at = (sp - len(frame)) & ~7
        if self._exception == STACK_OVERFLOW:
            return False
        try:
            self._uc.mem_write(at, frame)
        except UcError:
            return False
        self._uc.reg_write(arm.UC_ARM_REG_SP, at)
        return True

    def _enter_hard_fault(self) -> None:
        (handler,) = struct.unpack("<I", self._uc.mem_read(self._vector_da + 4 * HARD_FAULT, 4))
        self._uc.reg_write(arm.UC_ARM_REG_IPSR, HARD_FAULT)
        self._uc.reg_write(arm.UC_ARM_REG_LR, EXC_RETURN_THREAD_MSP)
        self._jump(handler, "HardFault vector")

    def _jump(self, vector: int, what: str) -> None:
        if not vector & 1:
            self._lock_up(f"{what} 0x{vector:08x} has no Thumb bit")
        self._resume_at = vector & ~1

    def _lock_up(self, why: str) -> None:
        self._log(f"{self._core.name}: lockup: {why}; the core stays released and does nothing")
        self._locked_up = True

    def _register(self, register: int) -> int:
        return int(self._uc.reg_read(register))
