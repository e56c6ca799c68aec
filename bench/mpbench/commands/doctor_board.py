# SPDX-License-Identifier: MIT
"""Checks of the way to a board: target file, place, keys, power, consoles, SSH. Nothing is deployed.

The board is switched on, and stays on. Consoles and SSH are tried whatever the switch does.
"""

import re
import time
from typing import Any

from attrs import define, evolve, field
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from mpbench.board import power
from mpbench.board.protocols import Session
from mpbench.commands.doctor import CheckFailed, HealthCheck, Section
from mpbench.commands.doctor_linux import BoardLinux, linux_checks
from mpbench.core.causes import words
from mpbench.core.errors import UsageError
from mpbench.core.evidence import Artefact, Evidence
from mpbench.core.provenance import ASSUMED, DIFFERS, provenance
from mpbench.harness import place_lock
from mpbench.harness.environment import check_environment, profile_of, target_of
from mpbench.harness.firmware import make
from mpbench.harness.fixture import secure_console, signing_key_path
from mpbench.harness.host_lock import HostLock, host_lock
from mpbench.harness.profile_fit import REVISION, BoardIdentity, candidates, fit, identity_of
from mpbench.image.keys import load_private_key

COMPATIBLE = "/proc/device-tree/compatible"
OPTEE = "OP-TEE"
PROGRAMS = {
    "TF-A": re.compile(rb"(?:NOTICE|INFO|WARNING|ERROR): +(?:BL[0-9]|Booting Trusted|CPU:|Model:)"),
    "U-Boot": re.compile(rb"U-Boot (?:SPL )?20\d\d\."),
    "Linux": re.compile(
        rb"Linux version \d|^\[ *\d+\.\d{6}\] |login: |^[^\r\n]*[@:][^\r\n]*[#$] \Z", re.MULTILINE
    ),
    OPTEE: re.compile(rb"[A-Z]/T[CA]: ?[^\n]"),
}
"""A line of each program that prints on a UART.

Ref: TF-A common/tf_log.c; U-Boot's banner; Linux kernel/printk; getty's and a shell's prompt; OP-TEE
lib/libutils/ext/trace.c, trace_printf()
"""
ANSWER_S = 10.0
"""For a console to answer to Return."""
POWER_S = 20.0
"""For the power switch to answer."""
NO_TEXT = 0.3
"""A console with a larger share of bytes that are no text has the wrong speed."""


@define
class BoardCheck:
    """Checks of a board, each of which keeps here what the next ones need."""

    path: str
    _config: Any = field(init=False, default=None)
    _target: Any = field(init=False, default=None)
    _linux: BoardLinux | None = field(init=False, default=None)
    _recorders: list[Any] = field(init=False, factory=list)
    _host_lock: HostLock | None = field(init=False, default=None)
    _place_lock: place_lock.PlaceLock | None = field(init=False, default=None)

    def checks(self) -> list[HealthCheck]:
        """All of them, in order."""
        here, place = ("environment",), ("place",)
        boots = "read what the consoles show, and the table of failures"
        lab = "start coordinator and exporter, acquire the place; `labgrid-client who` lists the users"
        login = "an `ssh_key`, `ssh-copy-id`, `mpbench enrol ADDRESS`; then try `ssh -v`"
        return [
            HealthCheck("environment", self.environment, (), Section.START),
            HealthCheck("profile", self.profile, here, Section.SOFTWARE),
            HealthCheck("place", self.place, here, Section.LAB, lab),
            HealthCheck("signing key", self.signing_key, place, Section.KEYS),
            HealthCheck("firmware", self.firmware, here, Section.START, "run `make firmware`"),
            HealthCheck("power", self.power, place, Section.FAILURES, "ask it by hand: `curl` its address"),
            HealthCheck("console", self.console, place, Section.WIRE, "look at `ls -l /dev/serial/by-id`"),
            HealthCheck("boot", self.boot, ("power",), Section.FAILURES, boots),
            HealthCheck("ssh", self.ssh, place, Section.SSH, login),
            HealthCheck("linux console", self.linux_console, ("console",), Section.WIRE, boots),
            HealthCheck("secure console", self.optee_console, ("console", "power"), Section.WIRE, boots),
            HealthCheck("release", self.release, ("ssh",), Section.SOFTWARE, "look at /proc/device-tree"),
            *linux_checks(self.linux),
        ]

    def close(self) -> None:
        """Release the place, close consoles and session."""
        for lock in (self._place_lock, self._host_lock):
            if lock is not None:
                lock.close()
        if self._target is not None:
            self._target.cleanup()

    def linux(self) -> BoardLinux:
        """The board's Linux, once `ssh` has passed."""
        assert self._linux is not None
        return self._linux

    def environment(self) -> str:
        """labgrid can read the target file, and it has the drivers of the bench."""
        self._config = check_environment(self.path)
        return self.path

    def profile(self) -> str:
        """The target file names a profile of the twin."""
        found = profile_of(self._config)
        return f"{found.name}: {', '.join(core.name for core in found.cores)}"

    def place(self) -> str:
        """labgrid has the board's resources, and no other run uses the board."""
        with place_lock.coordinator_errors(self._config):
            self._target = target_of(self.path)
        self._host_lock = host_lock(self._target)
        self._place_lock = place_lock.lock_of(self._target)
        return self._place_lock.epoch if self._place_lock else "no coordinator: a board on the desk"

    def signing_key(self) -> str:
        """The private key whose public half is in the board's OP-TEE is there, readable by its owner only."""
        path = signing_key_path(self._target.env, self._target)
        remedy = "put the key there, or change `bench_signing_key` in the target file"
        try:
            key = load_private_key(path)
        except UsageError as e:
            raise CheckFailed(str(e), remedy, usage=True) from e
        if not isinstance(key, RSAPrivateKey):
            raise CheckFailed(f"{path}: OP-TEE verifies RSA signatures only", remedy, usage=True)
        return str(path)

    def firmware(self) -> str:
        """The bench's firmware can be built."""
        built = make()
        return f"{len(list(built.glob('*/*.elf')))} ELFs in {built}"

    def power(self) -> str:
        """The power switch answers."""
        driver = self._target.get_driver("PowerProtocol")
        states = {True: "the board is on", False: "the board is off", None: "cannot be asked for its state"}
        return f"{type(driver).__name__}: {states[power.state(driver, POWER_S)]}"

    def console(self) -> str:
        """Every console can be opened."""
        opened, failed = [], []
        for name in dict.fromkeys(("console", secure_console(self._target))):
            try:
                recorder = self._target.get_driver("ConsoleRecorder", name=name)
                opened.append(str(recorder.name))
                self._recorders.append(recorder)
            except Exception as e:  # labgrid's and the serial library's are of many types
                failed.append(f"`{name}`{self._port(name)}: {words(e)}")
        if failed:
            remedy = "the port by id, its cable, group `dialout`; close terminal programs"
            raise CheckFailed(f"cannot open {'; '.join(failed)}", remedy)
        return ", ".join(opened)

    def _port(self, name: str) -> str:
        """Where a console's UART is, as " at /dev/ttyACM0", "" if that is not known."""
        recorder = self._target.get_driver("ConsoleRecorder", name=name, activate=False)
        resource = getattr(getattr(recorder, "port", None), "port", None)
        parts = [getattr(resource, attribute, None) for attribute in ("host", "port")]
        text = ":".join(str(part) for part in parts if part)
        return f" at {text}" if text else ""

    def boot(self) -> str:
        """The switch switches, and the board boots until its SSH server answers."""
        start_s = time.monotonic()
        self._target.get_driver("Strategy").transition("shell")
        return f"{time.monotonic() - start_s:.0f} s from off to SSH"

    def ssh(self) -> str:
        """Login works with the pinned host key; without a power switch the board must be up."""
        session: Session = self._target.get_driver("SessionDriver")
        remoteproc = self._target.get_driver("RemoteprocDriver")
        self._linux = BoardLinux(session, remoteproc, profile_of(self._config))
        return f"boot_id {session.boot_id}"

    def release(self) -> str:
        """The board is one that the profile is for: device tree, OP-TEE's version, who loads the cores."""
        board, profile = self.identity(), self.linux().profile
        found, others = fit(profile, board), candidates(board)
        if found.word == DIFFERS:
            what = f"bench_profile: {others[0]}" if others else f"derive one from {profile.name}: `derives`"
            also = f"; {', '.join(others[1:])} would fit too" if others[1:] else ""
            remedy = f"in the target file, or MPBENCH_PROFILE: {what}{also}"
            raise CheckFailed(f"profile {profile.name} does not fit: {found.why}", remedy, usage=True)
        also = f"; {', '.join(others)} would fit" if found.word == ASSUMED and others else ""
        return f"profile {profile.name} {found}{also}"

    def identity(self) -> BoardIdentity:
        """What the board reports of itself: device tree, kernel log, consoles, remoteproc."""
        linux = self.linux()
        files = linux.session.read_many([COMPATIBLE])
        logged = REVISION.search(linux.session.execute("dmesg 2>/dev/null | grep 'optee: revision'; :").text)
        printed = b"\n".join(recorder.since(0) for recorder in self._recorders)
        evidence = (Artefact("console", printed), Artefact("about.compatible", _content(files[COMPATIBLE])))
        found = provenance(Evidence(evidence)).entries
        return evolve(identity_of(found, linux.managers()), revision=logged[1] if logged else "")

    def linux_console(self) -> str:
        """The console carries TF-A, U-Boot or Linux: lines since power on, else the answer to Return."""
        recorder = self._target.get_driver("ConsoleRecorder", name="console")
        if not PROGRAMS["Linux"].search(recorder.since(0)):
            recorder.write(b"\r")
            recorder.wait_for(PROGRAMS["Linux"], 0, ANSWER_S)
        output = recorder.since(0)
        found = [name for name in seen(output) if name != OPTEE]
        if not found:
            raise CheckFailed(
                f"no line of TF-A, U-Boot or Linux, {_bytes(output)}",
                "check wiring and speed; `console=` of the kernel and a getty; names of the consoles",
            )
        return f"{', '.join(found)}"

    def optee_console(self) -> str:
        """OP-TEE has logged a line since power on."""
        name = secure_console(self._target)
        output = self._target.get_driver("ConsoleRecorder", name=name).since(0)
        lines = len(PROGRAMS[OPTEE].findall(output))
        if lines:
            return f"{lines} lines of OP-TEE since power on"
        other = self._target.get_driver("ConsoleRecorder", name="console").since(0)
        if PROGRAMS[OPTEE].search(other):
            found = f"`{name}` has no line of OP-TEE since power on; `console` has"
            remedy = "exchange the ports of the two in the target file, or remove `secure` if they share one"
            raise CheckFailed(found, remedy)
        remedy = "check its wiring and speed; build OP-TEE with CFG_TEE_CORE_LOG_LEVEL=2 or more"
        raise CheckFailed(f"no line of OP-TEE since power on, {_bytes(output)}", remedy)


def _content(answer: bytes | str) -> bytes:
    """A file's content, nothing for one that could not be read."""
    return answer if isinstance(answer, bytes) else b""


def seen(output: bytes) -> list[str]:
    """Programs of which a line is in a console's output. Pure."""
    return [name for name, pattern in PROGRAMS.items() if pattern.search(output)]


def _bytes(output: bytes) -> str:
    """How much was received, of which programs, and whether it is text. Pure."""
    text = f"{len(output)} bytes"
    if found := seen(output):
        return f"{text} of {', '.join(found)}"
    strange = sum(byte > 0x7E or (byte < 0x20 and byte not in b"\r\n\t\x1b\b") for byte in output)
    return f"{text} that are no text: wrong speed?" if strange > NO_TEXT * len(output) else text
