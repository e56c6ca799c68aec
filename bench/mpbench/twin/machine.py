# SPDX-License-Identifier: MIT
"""The loader over time: commands of the TA on several cores, as an object without I/O.

Ref: OP-TEE 4.10 ta/remoteproc/src/remoteproc_core.c (TA_InvokeCommandEntryPoint and the commands),
     core/pta/stm32mp/remoteproc_pta.c (rproc_ta_state: one for all cores upstream, see Profile.pta_state).
"""

from collections.abc import Mapping
from typing import ClassVar

from attrs import define, evolve

from mpbench.layout import PtaCommand, TaCommand
from mpbench.twin.heap import Heap, sizes_of
from mpbench.twin.loader import load_off
from mpbench.twin.platform import Platform
from mpbench.twin.profile import Profile
from mpbench.twin.reasons import REASONS
from mpbench.twin.values import NO_TABLE, Call, Outcome, ResourceTable, State, outcome


@define
class TaCore:
    """State that the TA keeps for a core from its first LOAD_FW on."""

    state: State = State.OFF
    table: ResourceTable = NO_TABLE

    @property
    def shown(self) -> ResourceTable:
        """Answer of GET_RSC_TABLE."""
        return NO_TABLE if self.state is State.OFF else self.table


class Loader:
    """TA and platform of one board. Cores are given by name or by processor id, known or not.

    Of a board with upstream's TA; openstlinux_machine.loader_of() makes that of any board.
    """

    COMMANDS: ClassVar[Mapping[TaCommand, str]] = {
        TaCommand.LOAD_FW: "load",
        TaCommand.START_FW: "start",
        TaCommand.STOP_FW: "stop",
        TaCommand.RELEASE_FW: "release",
        TaCommand.GET_RSC_TABLE: "get_rsc_table",
    }

    LOADED_AGAIN = "already-loaded"
    """Reason of the answer to LOAD_FW for a core that is loaded."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.cores: dict[int, TaCore] = {}
        self.running: set[int] = set()
        self.sessions = 0

    def platform(self, number: int) -> Platform:
        """The platform as a command finds it."""
        return Platform(self.profile, number, running=self.busy(number))

    def number(self, core: str | int) -> int:
        """Processor id of a core."""
        return core if isinstance(core, int) else self.profile.core(core).id

    def state(self, core: str | int) -> State:
        """State of a core, OFF if nothing was ever loaded."""
        known = self.cores.get(self.number(core))
        return known.state if known else State.OFF

    def put(self, core: str | int, state: str) -> None:
        """Put a core into a state ("off", "loaded", "started")."""
        number = self.number(core)
        self.cores[number] = TaCore(State(state))
        if state == State.STARTED.value:
            self.running.add(number)

    def busy(self, number: int) -> bool:
        """Whether the platform's state that counts for this core is on."""
        return bool(self.running) if self.profile.pta_state == "shared" else number in self.running

    def open_session(self, core: str | int) -> Outcome:
        """TA_OpenSessionEntryPoint: the platform is asked for the first session only."""
        number = self.number(core)
        if not self.sessions and not self.profile.has_core(number):
            return outcome("unknown-core", self.state(number))
        self.sessions += 1
        return outcome("session-open", self.state(number))

    def close_session(self) -> None:
        """TA_CloseSessionEntryPoint. What is loaded stays: the instance is kept alive."""
        self.sessions -= 1

    def call(
        self, command: int, core: int, image: bytes = b"", *, typed: bool = True, aligned: bool = True
    ) -> Outcome:
        """TA_InvokeCommandEntryPoint: any command number. typed: whether the parameter types are right."""
        if command == TaCommand.GET_COREDUMP:
            return outcome("no-core-dump", State.OFF)
        if command not in self.COMMANDS:
            return outcome("unknown-command", self.state(core))
        if not typed:
            return outcome("wrong-parameters", self.state(core))
        if command == TaCommand.LOAD_FW:
            return self.load(core, image, aligned=aligned)
        answer: Outcome = getattr(self, self.COMMANDS[TaCommand(command)])(core)
        return answer

    def load(
        self, core: str | int, image: bytes | bytearray | memoryview, *, aligned: bool = True
    ) -> Outcome:
        """LOAD_FW, remoteproc_load_fw."""
        number = self.number(core)
        if number not in self.cores and not self._room_for_core():
            return outcome("heap", State.OFF)
        known = self.cores.setdefault(number, TaCore())
        if known.state is State.LOADED:
            return self._answer(self.LOADED_AGAIN, known)
        if known.state is State.STARTED:
            return self._answer("core-is-running", known)
        answer = load_off(image, self.platform(number), len(self.cores), aligned=aligned)
        known.state, known.table = answer.state, answer.table
        return answer

    def start(self, core: str | int) -> Outcome:
        """START_FW, remoteproc_start_fw."""
        number = self.number(core)
        known = self._known(number, {State.OFF: "nothing-loaded", State.STARTED: "already-started"})
        if isinstance(known, Outcome):
            return known
        refusal = "platform-busy" if self.busy(number) else ""
        answer = self._asked("started", known, (PtaCommand.FIRMWARE_START, number), refusal, State.STARTED)
        if answer.accepted:
            self.running.add(number)
        return answer

    def stop(self, core: str | int) -> Outcome:
        """STOP_FW, remoteproc_stop_fw."""
        number = self.number(core)
        known = self._known(number, {State.LOADED: "not-running", State.OFF: "already-off"})
        if isinstance(known, Outcome):
            return known
        answer = self._asked("stopped", known, (PtaCommand.FIRMWARE_STOP, number), "", State.OFF)
        if answer.accepted:
            self.running.discard(number)
        return answer

    def release(self, core: str | int) -> Outcome:
        """RELEASE_FW, remoteproc_release_fw, stm32_rproc_clean_up_memories: clear all memories."""
        number = self.number(core)
        known = self._known(number, {State.STARTED: "core-is-running"})
        if isinstance(known, Outcome):
            return known
        there = self.profile.has_core(number)
        refusal = "platform-busy" if self.busy(number) else "" if there else "release-unknown-core"
        answer = self._asked("released", known, (PtaCommand.RELEASE, number), refusal, State.OFF)
        if not answer.accepted:
            return answer
        regions = self.profile.core(number).regions
        return evolve(answer, written=tuple((r.pa, r.size, None) for r in regions))

    def get_rsc_table(self, core: str | int) -> Outcome:
        """GET_RSC_TABLE, remoteproc_get_rsc_table: `table` of the outcome."""
        known = self._known(self.number(core), {State.OFF: "nothing-loaded"})
        return known if isinstance(known, Outcome) else self._answer("table", known)

    def _room_for_core(self) -> bool:
        """remoteproc_add_firmware: any processor id takes heap, known to the platform or not, for ever."""
        profile = self.profile
        sizes = sizes_of(profile)
        return Heap(sizes, profile.heap_bytes, profile.sessions, len(self.cores)).take(sizes.context)

    def _known(self, number: int, answers: Mapping[State, str]) -> TaCore | Outcome:
        """A core's state; the outcome where the TA answers without the platform. answers: reason by state."""
        known = self.cores.get(number)
        if known is None:
            return outcome("never-loaded", State.OFF)
        return self._answer(answers[known.state], known) if known.state in answers else known

    def _answer(self, name: str, known: TaCore) -> Outcome:
        return outcome(name, known.state, table=known.shown)

    def _asked(
        self, name: str, known: TaCore, command: tuple[PtaCommand, int], refusal: str, state: State
    ) -> Outcome:
        """A command that the platform has to carry out; `state` is the core's new one if it does."""
        fault = self.profile.faults.get(command[0], 0)
        refusal = "platform-fault" if fault else refusal
        code = fault or (REASONS[refusal].code if refusal else 0) or 0
        if not code:
            known.state = state
        answer = self._answer(refusal or name, known)
        return evolve(answer, asked=(Call(*command, result=code),), code=code)
