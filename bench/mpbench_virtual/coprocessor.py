# SPDX-License-Identifier: MIT
"""Emulates one core of the virtual board: watches its slot in the control page and executes its firmware.

The slot is plain memory that the secure world writes, so nothing can wake this thread when `run`
changes: it is polled every POLL_S while the core is held in reset or sleeps (every REST_S once it has been
in reset for AWAKE_S), and between slices while the core executes. A stop is acknowledged within a slice
or POLL_S. A poll costs some 40 us of host CPU, nearly all of it the sleep.

Slot, little-endian words: run, vector_da, generation, ack, emulator_beat, ipcc (see SLOT).
"""

import enum
import threading
import time
from collections.abc import Callable
from functools import partial

from attrs import define, field

from mpbench_virtual.machine import Machine
from mpbench_virtual.memory import CoreSpec, SharedRam
from mpbench_virtual.peripherals.bus import NS_PER_S, BoardClock, NowNs
from mpbench_virtual.peripherals.ipcc import Ipcc

POLL_S = 0.002
REST_S = 0.005
AWAKE_S = 1.0
SLICE_INSTRUCTIONS = range(1_000, 100_001)
"""At most about a millisecond. A slice limited by time costs ten times as much: Unicorn starts a thread to
end it. Code that mostly accesses registers is a hundred times slower, so long slices are shortened."""

SLICE_S = 0.004
JOIN_S = 5.0


class SLOT(enum.IntEnum):
    """Offsets of a slot's words. IPCC holds the mailbox channels that Linux's side has occupied."""

    RUN = 0x00
    VECTOR_DA = 0x04
    GENERATION = 0x08
    ACK = 0x0C
    BEAT = 0x10
    IPCC = 0x14


@define(eq=False)
class Coprocessor:
    """One core, emulated in a thread of its own.

    `on_line` sets the level of the watchdog's interrupt to Linux; `log` gets lines for the evidence;
    `on_illegal` gets the number of an access that the board's firewall refuses. All are called from the
    core's thread. Power off: stop(); power on: a new object with the new RAM.
    """

    core: CoreSpec
    _ram: SharedRam
    _on_line: Callable[[bool], None]
    _log: Callable[[str], None]
    _on_illegal: Callable[[int], None] = field(default=lambda _number: None)
    _monotonic_ns: NowNs = field(default=time.monotonic_ns, kw_only=True)
    _stopping: threading.Event = field(factory=threading.Event, init=False)
    _thread: threading.Thread = field(init=False)
    failure: Exception | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        name = f"coprocessor-{self.core.name}"
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)

    def start(self) -> None:
        """Start the core's thread."""
        self._thread.start()

    def stop(self, timeout_s: float = JOIN_S) -> bool:
        """Stop the core: its interrupt line falls, the slot shows ack = 0. Safe to call twice.

        False, with a line in the log, if the core's thread hangs in a callback: the RAM is still in use.
        """
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        if not self._thread.is_alive():
            return True
        self._log(f"{self.core.name}: the emulator did not stop within {timeout_s} s")
        return False

    def _serve(self) -> None:
        awake_until = 0.0
        try:
            while not self._stopping.is_set():
                if self._get(SLOT.RUN) == 1:
                    self._serve_one_release()
                    awake_until = time.monotonic() + AWAKE_S
                else:
                    self._idle(POLL_S if time.monotonic() < awake_until else REST_S)
        except Exception as error:  # a thread has no caller: the board reads `failure`
            self.failure = error
            self._log(f"{self.core.name}: the emulator failed: {error!r}")

    def _serve_one_release(self) -> None:
        generation = self._get(SLOT.GENERATION)
        self._set(SLOT.ACK, 1)
        try:
            if self._get(SLOT.RUN) == 1:  # the PTA may have timed out since and reuse the memory
                self._execute(generation)
        finally:
            self._set(SLOT.ACK, 0)

    def _execute(self, generation: int) -> None:
        clock = BoardClock(self._monotonic_ns)
        vector_da = self._get(SLOT.VECTOR_DA)
        instructions = SLICE_INSTRUCTIONS[-1]
        machine = Machine(
            self.core, self._ram, clock.now_ns, self._log, vector_da, on_illegal=self._on_illegal
        )
        mailbox = partial(self._get, SLOT.IPCC), partial(self._set, SLOT.IPCC)
        machine.add(Ipcc(self.core.ipcc_da, self.core.ipcc_processor, *mailbox, machine.refuse))
        self._log(f"{self.core.name}: released, generation {generation}, vectors at 0x{vector_da:08x}")
        while self._released(generation):
            if machine.watchdog.expired():
                self._log(f"{self.core.name}: {machine.watchdog.name} expired, core held in reset")
                self._hold(generation)
            elif (wakes_in_ns := machine.wakes_in_ns()) == 0:
                instructions = self._run_slice(machine, instructions)
            else:
                self._idle(POLL_S if wakes_in_ns is None else min(POLL_S, wakes_in_ns / NS_PER_S))
        self._log(f"{self.core.name}: held in reset, generation {generation}, stalled {clock.stalled_ns} ns")

    def _run_slice(self, machine: Machine, instructions: int) -> int:
        """Execute one slice; returns the length of the next, in instructions."""
        started = time.monotonic()
        machine.run(instructions)
        wanted = instructions // 2 if time.monotonic() - started > SLICE_S else instructions * 2
        return min(max(wanted, SLICE_INSTRUCTIONS[0]), SLICE_INSTRUCTIONS[-1])

    def _hold(self, generation: int) -> None:
        """The watchdog's interrupt is raised until the core is put into reset."""
        try:
            self._on_line(True)
            while self._released(generation):
                self._idle(POLL_S)
        finally:
            self._on_line(False)

    def _released(self, generation: int) -> bool:
        self._beat()
        return (
            not self._stopping.is_set()
            and self._get(SLOT.RUN) == 1
            and self._get(SLOT.GENERATION) == generation
        )

    def _idle(self, seconds: float) -> None:
        self._beat()
        time.sleep(seconds)

    def _beat(self) -> None:
        self._set(SLOT.BEAT, self._get(SLOT.BEAT) + 1)

    def _get(self, word: SLOT) -> int:
        return self._ram.word(self.core.slot_pa + word)

    def _set(self, word: SLOT, value: int) -> None:
        self._ram.set_word(self.core.slot_pa + word, value)
