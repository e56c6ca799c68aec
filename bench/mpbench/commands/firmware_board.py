# SPDX-License-Identifier: MIT
"""The board on which `mpbench firmware` starts one firmware after the other."""

from typing import Any

from attrs import asdict, define, field, frozen
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from mpbench.board.protocols import Board
from mpbench.commands.firmware_file import Firmware
from mpbench.commands.firmware_trial import FirmwareTrial, Trial
from mpbench.core.errors import UsageError
from mpbench.deployment.facts import DeployFacts
from mpbench.deployment.run import predict
from mpbench.harness import place_lock
from mpbench.harness.environment import check_environment, profile_of, target_of
from mpbench.harness.fixture import board_of, signing_key_path
from mpbench.harness.host_lock import HostLock, host_lock
from mpbench.harness.signer import OPTION, Signer, records_of
from mpbench.harness.verdicts import cause
from mpbench.image.keys import load_private_key
from mpbench.rpmsg import collect
from mpbench.twin import linux_elf
from mpbench.twin.profile import Profile


@frozen
class Wait:
    """How long a trial takes, in seconds, what is pressed and said in it: see FirmwareTrial."""

    deadline_s: float
    watch_s: float
    press: str = ""
    say: str = "mpbench probe"
    typed: str = ""


@define
class FirmwareBoard:
    """A board of a target file, held until close().

    profile: the twin's; signer: None where Linux loads plain ELF files
    """

    profile: Profile
    signer: Signer | None
    _target: Any
    _locks: list[place_lock.PlaceLock | HostLock]
    _board: Board | None = field(init=False, default=None)
    _debuggers: dict[str, Any] = field(init=False, factory=dict)

    @classmethod
    def open(cls, path: str) -> "FirmwareBoard":
        """Read the target file and lock the board. UsageError, InfrastructureError."""
        config = check_environment(path)
        with place_lock.coordinator_errors(config):
            target = target_of(path)
        profile, signer = profile_of(config), None
        if profile.manager == "tee":
            key = load_private_key(path_of_key := signing_key_path(target.env, target))
            if not isinstance(key, RSAPrivateKey):
                raise UsageError(f"{path_of_key}: OP-TEE verifies RSA signatures only")
            profile = profile.with_key(key.public_key())
            signer = Signer(key, records_of(config.get_option(OPTION, {})))
        locks = [lock for lock in (host_lock(target), place_lock.lock_of(target)) if lock is not None]
        return cls(profile, signer, target, locks)

    def close(self) -> None:
        """Stop following the board, and give it back as it is."""
        self._leave()
        for lock in self._locks:
            lock.close()
        self._target.cleanup()

    def image(self, core: str, firmware: Firmware) -> bytes:
        """The firmware as this board takes it. UsageError: signed, for a core that Linux loads."""
        if self.signer is None or self.profile.by_linux(core):
            if firmware.signed:
                raise UsageError(f"a signed image, but Linux loads {core}, from an ELF file")
            return firmware.data
        return firmware.signed or self.signer(core, firmware.data)

    def predict(self, core: str, image: bytes) -> tuple[str, tuple[str, ...]]:
        """Errno's name of a start, "" if it is not determined, and the kernel's lines with it."""
        facts: DeployFacts = predict(self.profile, core, image, None)
        lines = linux_elf.start(image, self.profile, core).lines if self.signer is None else ()
        return facts.errno or "", lines

    def run(self, core: str, firmware: Firmware, image: bytes, wait: Wait) -> Trial:
        """Start the firmware; one that fails on a board that has run others again, after a power cycle.

        UsageError: something is to be pressed or typed, and the board is no virtual one.
        """
        if (wait.press or wait.typed) and self._with("lines") is None:
            raise UsageError("--press, --type: only a virtual board has pins and USARTs that can be set")
        used = self._board is not None
        found = self._try(core, firmware, image, wait)
        if used and not found.sound:
            self._board = None
            found = self._try(core, firmware, image, wait)
        return found

    def _try(self, core: str, firmware: Firmware, image: bytes, wait: Wait) -> Trial:
        board = self._booted()
        debugger = self._debugger_of(core)
        vectors = self.profile.core(core).vectors
        if vectors is None:  # the image's BOOTADDR names it, which is the first address of ST's projects
            vectors = min((da for da, _ in firmware.loaded), default=0)
        virtual = self._with("lines")
        lines = None if virtual is None else virtual.lines()
        trial = FirmwareTrial(board, core, firmware, vectors, debugger, lines=lines, **asdict(wait))
        found = trial.run(image)
        if found.state != "offline":
            self._board = None
        return found

    def _with(self, method: str) -> Any:
        """The resource that has this method, which a virtual board's has; None for another board."""
        return next((r for r in self._target.resources if hasattr(r, method)), None)

    def _debugger_of(self, core: str) -> Any:
        """The core's debugger, the same one until the board is switched off; None for a board without."""
        if core not in self._debuggers:
            virtual = self._with("debugger")
            self._debuggers[core] = None if virtual is None else virtual.debugger(core)
        elif self._debuggers[core] is not None:
            self._debuggers[core].forget()
        return self._debuggers[core]

    def _leave(self) -> None:
        """Close the debuggers."""
        for debugger in self._debuggers.values():
            if debugger is not None:
                debugger.close()
        self._debuggers.clear()

    def _booted(self) -> Board:
        """The board, switched off and on unless it can go on from the last firmware."""
        if self._board is not None:
            return self._board
        self._leave()
        strategy = self._target.get_driver("Strategy")
        try:
            strategy.transition("off")
            strategy.transition("shell")
        except Exception as broken:
            raise cause(broken) from broken
        self._target.activate(self._target.get_driver("RemoteprocDriver"))
        collect.drivers(self._target.get_driver("SessionDriver"))
        self._board = board_of(self._target)
        return self._board

    def core_for(self, firmware: Firmware, name: str) -> str:
        """The core to start it on. UsageError of one line if no core, or not the one named, executes it."""
        cores = [one.name for one in self.profile.cores]
        if name and name not in cores:
            raise UsageError(f"no core {name!r}; profile {self.profile.name} has {', '.join(cores)}")
        reasons = {core: firmware.fits(core) for core in ([name] if name else cores)}
        for core, reason in reasons.items():
            if not reason:
                return core
        raise UsageError(next(iter(reasons.values())))
