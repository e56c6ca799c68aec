# SPDX-License-Identifier: MIT
"""The loader over time: commands of the TA on several cores, as an object without I/O.

Ref: OP-TEE 4.10 ta/remoteproc/src/remoteproc_core.c (TA_InvokeCommandEntryPoint and the commands),
     core/pta/stm32mp/remoteproc_pta.c (rproc_ta_state: one for all cores upstream, see Profile.pta_state).
"""

from attrs import define

from bench.layout import PtaCommand, Tee
from bench.twin.loader import load_off
from bench.twin.platform import Platform
from bench.twin.profile import Profile
from bench.twin.values import NO_TABLE, Call, Outcome, State, Table, Write, outcome


@define
class _Core:
    """What the TA keeps for a core once LOAD_FW named it."""

    state: State = State.OFF
    table: Table = NO_TABLE


class Loader:
    """TA and platform of one board. Cores are given by name or by processor id, known or not."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.cores: dict[int, _Core] = {}
        self.running: set[int] = set()

    def number(self, core: str | int) -> int:
        """Processor id of a core."""
        return core if isinstance(core, int) else self.profile.core(core).id

    def state(self, core: str | int) -> State:
        """State of a core, OFF if nothing was ever loaded."""
        known = self.cores.get(self.number(core))
        return known.state if known else State.OFF

    def busy(self, number: int) -> bool:
        """Whether the platform's state that counts for this core is on."""
        return bool(self.running) if self.profile.pta_state == "shared" else number in self.running

    def load(self, core: str | int, image: bytes | bytearray | memoryview) -> Outcome:
        """LOAD_FW."""
        number = self.number(core)
        known = self.cores.setdefault(number, _Core())
        if known.state is State.LOADED:
            return self._said("already-loaded", known)
        if known.state is State.STARTED:
            return self._said("core-is-running", known)
        platform = Platform(self.profile, number, running=self.busy(number))
        answer = load_off(image, platform, contexts=len(self.cores))
        known.state, known.table = answer.state, answer.table
        return answer

    def start(self, core: str | int) -> Outcome:
        """START_FW."""
        number = self.number(core)
        known = self.cores.get(number)
        if known is None:
            return outcome("never-loaded", State.OFF)
        if known.state is State.OFF:
            return self._said("nothing-loaded", known)
        if known.state is State.STARTED:
            return self._said("already-started", known)
        if self.busy(number):
            return self._asked(
                "platform-busy", known, Call(PtaCommand.FIRMWARE_START, number, result=Tee.BAD_STATE)
            )
        self.running.add(number)
        known.state = State.STARTED
        return self._asked("started", known, Call(PtaCommand.FIRMWARE_START, number))

    def stop(self, core: str | int) -> Outcome:
        """STOP_FW."""
        number = self.number(core)
        known = self.cores.get(number)
        if known is None:
            return outcome("never-loaded", State.OFF)
        if known.state is State.LOADED:
            return self._said("not-running", known)
        if known.state is State.OFF:
            return self._said("already-off", known)
        self.running.discard(number)
        known.state = State.OFF
        return self._asked("stopped", known, Call(PtaCommand.FIRMWARE_STOP, number))

    def release(self, core: str | int) -> Outcome:
        """RELEASE_FW: clears all memories of the core."""
        number = self.number(core)
        known = self.cores.get(number)
        if known is None:
            return outcome("never-loaded", State.OFF)
        if known.state is State.STARTED:
            return self._said("core-is-running", known)
        if self.busy(number):
            return self._asked("platform-busy", known, Call(PtaCommand.RELEASE, number, result=Tee.BAD_STATE))
        if not self.profile.has_core(number):
            refused = Call(PtaCommand.RELEASE, number, result=Tee.BAD_PARAMETERS)
            return self._asked("release-unknown-core", known, refused)
        known.state = State.OFF
        cleared = tuple(Write(r.pa, r.size) for r in self.profile.core(number).regions)
        return self._asked("released", known, Call(PtaCommand.RELEASE, number), cleared)

    def get_rsc_table(self, core: str | int) -> Outcome:
        """GET_RSC_TABLE: `table` of the outcome."""
        known = self.cores.get(self.number(core))
        if known is None:
            return outcome("never-loaded", State.OFF)
        if known.state is State.OFF:
            return outcome("nothing-loaded", State.OFF)
        return self._said("table", known)

    def get_coredump(self) -> Outcome:
        """GET_COREDUMP."""
        return outcome("no-core-dump", State.OFF)

    def _said(self, name: str, known: _Core) -> Outcome:
        return outcome(name, known.state, table=shown(known))

    def _asked(self, name: str, known: _Core, call: Call, writes: tuple[Write, ...] = ()) -> Outcome:
        return outcome(name, known.state, table=shown(known), calls=(call,), writes=writes)


def shown(core: _Core) -> Table:
    """What GET_RSC_TABLE would say."""
    return NO_TABLE if core.state is State.OFF else core.table
