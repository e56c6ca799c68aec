# SPDX-License-Identifier: MIT
"""ST's loader over time: a boot address that stays set, a core that stays loaded after a failed start.

Ref: OP-TEE 4.0.0-stm32mp-r2, ta/remoteproc/src/remoteproc_core.c (remoteproc_load_fw, remoteproc_start_fw,
     remoteproc_stop_fw), core/pta/stm32mp/remoteproc_pta.c (one rproc_ta_state for all cores).
"""

from collections.abc import Mapping
from typing import ClassVar

from attrs import evolve

from mpbench.layout import PtaCommand, TaCommand
from mpbench.twin.image import Stop
from mpbench.twin.machine import Loader, TaCore
from mpbench.twin.openstlinux_platform import StPlatform
from mpbench.twin.openstlinux_release import Boot
from mpbench.twin.profile import Profile
from mpbench.twin.values import Call, Outcome, State, outcome


def loader_of(profile: Profile) -> Loader:
    """The loader of any board."""
    return Loader(profile) if profile.loader == "upstream" else StLoader(profile)


class StLoader(Loader):
    """TA and platform of a board with ST's OP-TEE, which has no RELEASE_FW."""

    COMMANDS: ClassVar[Mapping[TaCommand, str]] = {
        command: name for command, name in Loader.COMMANDS.items() if command is not TaCommand.RELEASE_FW
    }
    LOADED_AGAIN = "still-loaded"

    def __init__(self, profile: Profile) -> None:
        super().__init__(profile)
        self.boots: dict[int, Boot] = {}

    def platform(self, number: int) -> StPlatform:
        """The platform as a command finds it, with what the driver keeps of the core."""
        boot = self.boots.setdefault(number, Boot())
        return StPlatform(self.profile, number, running=self.busy(number), boot=boot)

    def release(self, core: str | int) -> Outcome:
        """RELEASE_FW: ST's TA does not know it."""
        return outcome("unknown-command", self.state(core))

    def start(self, core: str | int) -> Outcome:
        """START_FW, remoteproc_start_fw: after a refusal the memory is cleaned and the core stays loaded."""
        number = self.number(core)
        known = self._known(number, {State.OFF: "nothing-loaded", State.STARTED: "already-started"})
        if isinstance(known, Outcome):
            return known
        platform = self.platform(number)
        refusal = platform.start()
        platform.asked.append(Call(PtaCommand.FIRMWARE_START, number, result=refusal.code if refusal else 0))
        if refusal is not None:
            answer = self._cleaned(refusal.reason.name, known, platform)
            return (
                answer if answer.code is None else evolve(answer, code=refusal.code, console=refusal.console)
            )
        known.state = State.STARTED
        self.running.add(number)
        return evolve(self._answer("started", known), asked=tuple(platform.asked))

    def stop(self, core: str | int) -> Outcome:
        """STOP_FW, remoteproc_stop_fw: for a core that stays loaded it is the cure, and an error."""
        number = self.number(core)
        known = self._known(number, {State.OFF: "already-off"})
        if isinstance(known, Outcome):
            return known
        platform = self.platform(number)
        if known.state is State.LOADED:
            known.state = State.OFF
            return self._cleaned("stopped-unstarted", known, platform)
        if fault := self.profile.faults.get(PtaCommand.FIRMWARE_STOP, 0):
            call = Call(PtaCommand.FIRMWARE_STOP, number, result=fault)
            return evolve(self._answer("platform-fault", known), asked=(call,), code=fault)
        platform.asked.append(Call(PtaCommand.FIRMWARE_STOP, number))
        platform.boot.forget()
        platform.running = False
        self.running.discard(number)
        known.state = State.OFF
        return self._cleaned("stopped", known, platform)

    def _cleaned(self, name: str, known: TaCore, platform: StPlatform) -> Outcome:
        """The answer after remoteproc_clean_resources."""
        try:
            platform.clean()
        except Stop as stop:
            name = stop.name
        answer = self._answer(name, known)
        return evolve(answer, asked=tuple(platform.asked), written=tuple(platform.written))
