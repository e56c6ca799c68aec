# SPDX-License-Identifier: MIT
"""Checks of this host and of a board, each with a remedy.

What needs a failed check is skipped, all others are run. Nothing is deployed. The board is switched on,
and stays on.
"""

import re
import shutil
import stat
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

from attrs import define, field, frozen

from mpbench import layout
from mpbench.board.protocols import Session
from mpbench.board.tee import tee
from mpbench.core import directories
from mpbench.core.errors import BoardFailure, InfrastructureError, UsageError
from mpbench.harness import place_lock
from mpbench.harness.environment import check_environment, profile_of, target_of
from mpbench.harness.firmware import make
from mpbench.harness.fixture import secure_console, signing_key_path
from mpbench.harness.host_lock import HostLock, host_lock
from mpbench.harness.verdicts import cause

TOOLS: Mapping[str, str] = {
    "make": "builds the firmware: apt-get install make",
    "arm-none-eabi-gcc": "builds the firmware: apt-get install gcc-arm-none-eabi",
    "git": "records the commit of bench and tests: apt-get install git",
    "setpriv": "stops child runs when `nightly` exits: apt-get install util-linux",
}
FORK, ORIGINAL = "pyserial-labgrid", "pyserial"
LEAST_FREE_MB = 500
FIRST_DATE_S = 1_577_836_800
"""2020: a board whose clock is earlier has no date at all."""
TRACING = ("/sys/kernel/tracing/README", "/sys/kernel/debug/tracing/README")
GUIDE = "targets/README.md"
SECTION = "When something is wrong"
"""Section of the guide with a row for every check of a board."""
WHERE = f"{GUIDE}, {SECTION}"
OPTEE_LINE = re.compile(rb"[A-Z]/T[CA]: ?[^\n]")
"""A line of OP-TEE's log. Ref: OP-TEE lib/libutils/ext/trace.c trace_printf()."""


class CheckFailed(Exception):
    """A failed check. args: what was found, and the remedy."""


@frozen
class Finding:
    """Result of a check. found: what it saw; remedy: what to do, "" if it passed; tried: False if skipped.

    usage: the configuration is wrong, neither board nor lab
    """

    name: str
    found: str
    remedy: str = ""
    tried: bool = True
    usage: bool = False

    @property
    def ok(self) -> bool:
        return self.tried and not self.remedy


@frozen
class HealthCheck:
    """A check. run: returns what it found, or raises; needs: names of the checks that must pass before it."""

    name: str
    run: Callable[[], str]
    needs: tuple[str, ...] = ()


def examine(checks: Iterable[HealthCheck]) -> Iterator[Finding]:
    """Run checks in order; one that needs a failed check, or needs one that was skipped, is skipped."""
    reasons: dict[str, str] = {}  # check that did not pass → the failed check that is the reason
    for check in checks:
        if failed := next((reasons[name] for name in check.needs if name in reasons), ""):
            reasons[check.name] = failed
            yield Finding(check.name, f"skipped: `{failed}` must pass first", tried=False)
            continue
        finding = _run(check.name, check.run)
        if not finding.ok:
            reasons[check.name] = check.name
        yield finding


def _run(name: str, run: Callable[[], str]) -> Finding:
    try:
        return Finding(name, run())
    except CheckFailed as failure:
        return Finding(name, *failure.args)
    except Exception as e:
        # labgrid's drivers raise exceptions of any type; all of them mean that the check failed.
        found = cause(e)
        ours = isinstance(found, InfrastructureError | BoardFailure | UsageError)
        text = str(found).strip() if ours else f"{type(found).__name__}: {found}".strip()
        usage = isinstance(found, UsageError)
        mend = "correct the target file, or set its variables; " if usage else ""
        return Finding(name, text, f"{mend}see `{name}` in {WHERE}", usage=usage)


def host_checks(reports: Path, find: Callable[[str], str | None] = shutil.which) -> list[HealthCheck]:
    """Checks of a lab host, independent of each other."""
    return [
        HealthCheck("python", python),
        HealthCheck("serial library", serial_library),
        *[HealthCheck(f"tool {tool}", partial(program, tool, find)) for tool in TOOLS],
        HealthCheck("configuration", lambda: configuration(directories.config_dir())),
        HealthCheck("disk", lambda: disk(reports)),
    ]


def python(version: tuple[int, ...] = sys.version_info[:3]) -> str:
    """Python is 3.11 or newer."""
    text = ".".join(map(str, version))
    if version < (3, 11):
        raise CheckFailed(f"Python {text}", "mpbench needs Python 3.11: make PYTHON=python3.11 setup")
    return f"Python {text}"


def serial_library(version: Callable[[str], str] = metadata.version) -> str:
    """labgrid's fork is installed and not overwritten by the original: both are imported as `serial`."""
    found = {}
    for name in (FORK, ORIGINAL):
        try:
            found[name] = version(name)
        except metadata.PackageNotFoundError:
            continue
    if ORIGINAL in found:
        remedy = f"pip uninstall {ORIGINAL}; pip install --force-reinstall --no-deps {FORK}"
        raise CheckFailed(f"{ORIGINAL} {found[ORIGINAL]} overwrites labgrid's {FORK}", remedy)
    if FORK not in found:
        raise CheckFailed(f"{FORK} is missing", "pip install --force-reinstall labgrid")
    return f"{FORK} {found[FORK]}"


def program(name: str, find: Callable[[str], str | None]) -> str:
    """The program is installed on this host."""
    path = find(name)
    if path is None:
        raise CheckFailed("not found", TOOLS[name])
    return path


def configuration(directory: Path) -> str:
    """Private keys are readable by their owner only; virtual boards need none."""
    if not directory.is_dir():
        return f"no {directory}, which virtual boards do not need"
    for path in sorted(p for p in directory.iterdir() if p.is_file()):
        private = b"PRIVATE KEY" in path.read_bytes()[:64]
        if private and stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise CheckFailed(f"private key {path} is readable by others", f"chmod 600 {path}")
    return str(directory)


def disk(reports: Path, usage: Callable[[Path], Any] = shutil.disk_usage) -> str:
    """There is space for records."""
    existing = next(p for p in (reports, *reports.resolve().parents) if p.exists())
    free_mb = usage(existing).free // 1_000_000
    found = f"{free_mb} MB free below {existing}"
    if free_mb < LEAST_FREE_MB:
        raise CheckFailed(found, f"free {LEAST_FREE_MB} MB, or set MPBENCH_REPORTS to another disk")
    return found


@define
class BoardCheck:
    """Checks of a board, each of which keeps here what the next ones need."""

    path: str
    _config: Any = field(init=False, default=None)
    _target: Any = field(init=False, default=None)
    _session: Session = field(init=False)
    _host_lock: HostLock | None = field(init=False, default=None)
    _place_lock: place_lock.PlaceLock | None = field(init=False, default=None)
    _switched: bool = field(init=False, default=False)

    def checks(self) -> list[HealthCheck]:
        """All of them, in order."""
        return [
            HealthCheck("environment", self.environment),
            HealthCheck("profile", self.profile, ("environment",)),
            HealthCheck("place", self.place, ("environment",)),
            HealthCheck("signing key", self.signing_key, ("place",)),
            HealthCheck("firmware", self.firmware, ("environment",)),
            HealthCheck("power", self.power, ("place",)),
            HealthCheck("console", self.console, ("place",)),
            HealthCheck("ssh", self.ssh, ("place",)),
            HealthCheck("clock", self.clock, ("ssh",)),
            HealthCheck("tee", self.tee, ("ssh",)),
            HealthCheck("cores", self.cores, ("ssh", "profile")),
            HealthCheck("manager", self.manager, ("cores",)),
            HealthCheck("tracing", self.tracing, ("ssh",)),
            HealthCheck("firmware directory", self.firmware_directory, ("ssh",)),
            HealthCheck("secure console", self.optee_console, ("power", "console", "ssh")),
        ]

    def close(self) -> None:
        """Release the place, close consoles and session."""
        if self._place_lock is not None:
            self._place_lock.close()
        if self._target is not None:
            self._target.cleanup()

    def environment(self) -> str:
        """labgrid can read the target file."""
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
        if not path.is_file():
            remedy = "put the key there, or change `bench_signing_key` in the target file"
            raise CheckFailed(f"no {path}", remedy)
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise CheckFailed(f"private key {path} is readable by others", f"chmod 600 {path}")
        return str(path)

    def firmware(self) -> str:
        """The bench's firmware can be built."""
        built = make()
        return f"{len(list(built.glob('*/*.elf')))} ELFs in {built}"

    def power(self) -> str:
        """The power switch answers."""
        driver = self._target.get_driver("PowerProtocol")
        state = "on" if driver.get() else "off"
        self._switched = True
        return f"{type(driver).__name__}: the board is {state}"

    def console(self) -> str:
        """The consoles can be opened."""
        names = dict.fromkeys(("console", secure_console(self._target)))
        return ", ".join(str(self._target.get_driver("ConsoleRecorder", name=name).name) for name in names)

    def ssh(self) -> str:
        """The board boots, and login works with the pinned host key; without a power switch it must be up."""
        if self._switched:
            self._target.get_driver("Strategy").transition("shell")
        self._session = self._target.get_driver("SessionDriver")
        return f"boot_id {self._session.boot_id}"

    def clock(self) -> str:
        """The board's date, compared with the host's; the bench itself needs none."""
        date_s = float(self._session.execute("date +%s").stdout.decode().strip())
        if date_s < FIRST_DATE_S:
            return "the board has no date; the bench needs none"
        return f"{date_s - time.time():+.1f} s from the host's clock"

    def tee(self) -> str:
        """OP-TEE and its remoteproc application are there."""
        found = tee(self._session)
        if not found.present:
            remedy = "CONFIG_OPTEE in the kernel, and the node `optee` in the device tree"
            raise CheckFailed("no /dev/tee0", remedy)
        if not found.has(layout.TA_UUID):
            remedy = (
                f"OP-TEE with CFG_REMOTEPROC_PTA=y and CFG_IN_TREE_EARLY_TAS+=remoteproc/{layout.TA_UUID}"
            )
            raise CheckFailed(f"no application {layout.TA_UUID} on the TEE bus", remedy)
        return "OP-TEE, with its remoteproc application"

    def cores(self) -> str:
        """Linux has all cores of the profile, and all are offline."""
        remoteproc = self._target.get_driver("RemoteprocDriver")
        wanted, there = [core.name for core in profile_of(self._config).cores], remoteproc.cores()
        if missing := [name for name in wanted if name not in there]:
            remedy = 'status = "okay" in the device tree, or another profile: MPBENCH_PROFILE'
            found = f"Linux has {', '.join(there) or 'no core'}; missing: {', '.join(missing)}"
            raise CheckFailed(found, remedy)
        states = {name: remoteproc.core_state(name) for name in wanted}
        if busy := [f"{name} is {state}" for name, state in states.items() if state != "offline"]:
            remedy = "stop it: echo stop >/sys/class/remoteproc/remoteprocN/state; no auto-boot"
            raise CheckFailed(", ".join(busy), remedy)
        return ", ".join(f"{name} offline" for name in wanted)

    def manager(self) -> str:
        """The TEE manages all cores; OP-TEE does not authenticate what Linux loads by itself."""
        remoteproc = self._target.get_driver("RemoteprocDriver")
        found = {core.name: remoteproc.manager(core.name).name for core in profile_of(self._config).cores}
        if bare := [name for name, manager in found.items() if manager != "TEE"]:
            remedy = f"a compatible that ends in -tee: see `manager` in {WHERE}"
            raise CheckFailed(f"Linux manages {', '.join(bare)} itself", remedy)
        return ", ".join(f"{name} by {manager}" for name, manager in found.items())

    def tracing(self) -> str:
        """The kernel has the tracing that recovery and notifications are timed with."""
        for path, content in self._session.read_many(TRACING).items():
            if isinstance(content, bytes):
                if b"hist" not in content:
                    raise CheckFailed("no histogram triggers", "CONFIG_HIST_TRIGGERS=y in the kernel")
                return str(Path(path).parent)
        raise CheckFailed("no tracing", "CONFIG_FTRACE; mount -t tracefs none /sys/kernel/tracing")

    def firmware_directory(self) -> str:
        """The kernel's firmware directory is writable."""
        return str(Path(self._target.get_driver("RemoteprocDriver").firmware_path("x")).parent)

    def optee_console(self) -> str:
        """OP-TEE has logged a line since power on."""
        recorder = self._target.get_driver("ConsoleRecorder", name=secure_console(self._target))
        output = recorder.since(0)
        lines = len(OPTEE_LINE.findall(output))
        if not lines:
            remedy = "check its wiring and speed; build OP-TEE with CFG_TEE_CORE_LOG_LEVEL=2 or more"
            raise CheckFailed(f"{len(output)} bytes since power on, no line of OP-TEE", remedy)
        return f"{lines} lines of OP-TEE since power on"
