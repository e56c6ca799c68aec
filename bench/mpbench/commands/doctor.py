# SPDX-License-Identifier: MIT
"""What is wrong with this host or this board, step by step, and what to do about it.

Steps stand in an order in which each needs those before it; after the first board step that fails the others
are not tried. Nothing is deployed. The board is switched on, and left on.
"""

import shutil
import stat
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from attrs import define, field, frozen

from mpbench import layout
from mpbench.board.tee import tee
from mpbench.core import directories
from mpbench.core.errors import BoardFailure, InfrastructureError, UsageError
from mpbench.harness import place_lock
from mpbench.harness.environment import check_environment, profile_of, target_of
from mpbench.harness.firmware import make
from mpbench.harness.fixture import secure_console, signing_key_path
from mpbench.harness.verdicts import cause

TOOLS: Mapping[str, str] = {
    "make": "builds the firmware: apt-get install make",
    "arm-none-eabi-gcc": "builds the firmware: apt-get install gcc-arm-none-eabi",
    "git": "names the bench's commit in records: apt-get install git",
    "setpriv": "ends the runs of a night with it: apt-get install util-linux",
}
FORK, ORIGINAL = "pyserial-labgrid", "pyserial"
LEAST_FREE_MB = 500
CLOCK_S = 60.0
TRACING = ("/sys/kernel/tracing/README", "/sys/kernel/debug/tracing/README")
RECIPE = "targets/README.md"


class CheckFailed(Exception):
    """A step that failed: what was found, and what to do."""

    def __init__(self, found: str, remedy: str) -> None:
        super().__init__(found)
        self.found = found
        self.remedy = remedy


@frozen
class Finding:
    """One step. found: what was seen; remedy: what to do, "" if it is ok; tried: False if not reached."""

    name: str
    found: str
    remedy: str = ""
    tried: bool = True

    @property
    def ok(self) -> bool:
        return self.tried and not self.remedy


Step = tuple[str, Callable[[], str]]


def examine(steps: Sequence[Step], *, all_of_them: bool) -> Iterator[Finding]:
    """Go through steps. all_of_them: they don't need each other; else the first that fails ends it."""
    failed = ""
    for name, look in steps:
        if failed and not all_of_them:
            yield Finding(name, f"skipped: `{failed}` must pass first", tried=False)
            continue
        finding = _looked(name, look)
        failed = failed or ("" if finding.ok else name)
        yield finding


def _looked(name: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(name, look())
    except CheckFailed as failure:
        return Finding(name, failure.found, failure.remedy)
    except Exception as e:
        # labgrid raises what it likes: whatever it is, the step failed, and its words are the best there are.
        found = cause(e)
        kind = (
            ""
            if isinstance(found, InfrastructureError | BoardFailure | UsageError)
            else f"{type(found).__name__}: "
        )
        return Finding(name, f"{kind}{found}".strip(), f"see `{name}` in {RECIPE}")


# --- the host ---------------------------------------------------------------------------------------------


def host_steps(reports: Path, find: Callable[[str], str | None] = shutil.which) -> list[Step]:
    """What a lab host needs."""
    return [
        ("python", python),
        ("serial library", serial_library),
        *[(f"tool {tool}", lambda tool=tool: program(tool, find)) for tool in TOOLS],
        ("configuration", lambda: configuration(directories.config_dir())),
        ("disk", lambda: disk(reports)),
    ]


def python(version: tuple[int, ...] = sys.version_info[:3]) -> str:
    """3.11 or newer."""
    text = ".".join(map(str, version))
    if version < (3, 11):
        raise CheckFailed(f"Python {text}", "mpbench needs Python 3.11: make PYTHON=python3.11 setup")
    return f"Python {text}"


def serial_library(version: Callable[[str], str] = metadata.version) -> str:
    """labgrid's fork, and not the original over it: both are imported as `serial`."""
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
    """A program of this host."""
    path = find(name)
    if path is None:
        raise CheckFailed("not found", TOOLS[name])
    return path


def configuration(directory: Path) -> str:
    """Keys that nobody else reads; none are needed for virtual boards."""
    if not directory.is_dir():
        return f"{directory} is not there: enough for virtual boards"
    for path in sorted(p for p in directory.iterdir() if p.is_file()):
        private = b"PRIVATE KEY" in path.read_bytes()[:64]
        if private and stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise CheckFailed(f"{path} is a private key that others may read", f"chmod 600 {path}")
    return str(directory)


def disk(reports: Path, usage: Callable[[Path], Any] = shutil.disk_usage) -> str:
    """Room for records."""
    existing = next(p for p in (reports, *reports.resolve().parents) if p.exists())
    free_mb = usage(existing).free // 1_000_000
    if free_mb < LEAST_FREE_MB:
        raise CheckFailed(
            f"{free_mb} MB left below {existing}", f"free {LEAST_FREE_MB} MB, or MPBENCH_REPORTS=elsewhere"
        )
    return f"{free_mb} MB left below {existing}"


# --- the board --------------------------------------------------------------------------------------------


@define
class BoardCheck:
    """A board under examination; every step leaves here what the next ones need."""

    path: str
    _config: Any = field(init=False, default=None)
    _target: Any = field(init=False, default=None)
    _session: Any = field(init=False, default=None)
    _alone: Any = field(init=False, default=None)
    _lock: Any = field(init=False, default=None)

    def steps(self) -> list[Step]:
        """In the order in which they need each other."""
        return [
            ("environment", self.environment),
            ("profile", self.profile),
            ("place", self.place),
            ("signing key", self.signing_key),
            ("firmware", self.firmware),
            ("power", self.power),
            ("console", self.console),
            ("ssh", self.ssh),
            ("clock", self.clock),
            ("tee", self.tee),
            ("cores", self.cores),
            ("manager", self.manager),
            ("tracing", self.tracing),
            ("firmware directory", self.firmware_directory),
            ("secure console", self.secure),
        ]

    def close(self) -> None:
        """Let go of consoles and session."""
        if self._lock is not None:
            self._lock.close()
        if self._target is not None:
            self._target.cleanup()

    def environment(self) -> str:
        """The target file."""
        self._config = check_environment(self.path)
        return self.path

    def profile(self) -> str:
        """The twin's profile."""
        found = profile_of(self._config)
        return f"{found.name}: {', '.join(core.name for core in found.cores)}"

    def place(self) -> str:
        """labgrid's resources, and nobody else on the board."""
        with place_lock.coordinator_errors(self._config):
            self._target = target_of(self.path)
        self._alone = place_lock.host_lock(self._target)
        self._lock = place_lock.lock_of(self._target)
        return self._lock.epoch if self._lock else "no coordinator: this board is on the desk"

    def signing_key(self) -> str:
        """The private key whose public half is in the board's OP-TEE."""
        path = signing_key_path(self._target.env, self._target)
        if not path.is_file():
            raise CheckFailed(
                f"{path} is not there", "put the key there, or change `bench_signing_key` in the target"
            )
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise CheckFailed(f"others may read {path}", f"chmod 600 {path}")
        return str(path)

    def firmware(self) -> str:
        """The co-processors' own ELFs."""
        built = make()
        return f"{len(list(built.glob('*/*.elf')))} ELFs in {built}"

    def power(self) -> str:
        """A power switch that answers."""
        driver = self._target.get_driver("PowerProtocol")
        return f"{type(driver).__name__}: the board is {'on' if driver.get() else 'off'}"

    def console(self) -> str:
        """Both UARTs can be opened."""
        names = dict.fromkeys(("console", secure_console(self._target)))
        return ", ".join(str(self._target.get_driver("ConsoleRecorder", name=name).name) for name in names)

    def ssh(self) -> str:
        """The board boots, and the pinned host key lets us in."""
        self._target.get_driver("Strategy").transition("shell")
        self._session = self._target.get_driver("SessionDriver")
        return f"boot_id {self._session.boot_id}"

    def clock(self) -> str:
        """About the host's time: certificates and logs need it, durations don't."""
        reply = self._session.execute("date +%s")
        off_s = float(reply.stdout.decode().strip()) - time.time()
        if abs(off_s) > CLOCK_S:
            return f"{off_s:+.0f} s off the host's: fine for the bench, whose durations need no date"
        return f"{off_s:+.1f} s off the host's"

    def tee(self) -> str:
        """OP-TEE and its remoteproc application."""
        found = tee(self._session)
        if not found.present:
            raise CheckFailed(
                "no /dev/tee0", "CONFIG_OPTEE in the kernel, and the node `optee` in the device tree"
            )
        if not found.has(layout.TA_UUID):
            raise CheckFailed(
                f"no application {layout.TA_UUID} on the TEE bus",
                f"OP-TEE with CFG_REMOTEPROC_PTA=y and CFG_IN_TREE_EARLY_TAS+=remoteproc/{layout.TA_UUID}",
            )
        return "OP-TEE, with its remoteproc application"

    def cores(self) -> str:
        """What the profile names is there, and nothing runs."""
        remoteproc = self._target.get_driver("RemoteprocDriver")
        wanted, there = [core.name for core in profile_of(self._config).cores], remoteproc.cores()
        if missing := [name for name in wanted if name not in there]:
            raise CheckFailed(
                f"the kernel knows {', '.join(there) or 'no core'}; missing: {', '.join(missing)}",
                'status = "okay" in the device tree, or another profile: MPBENCH_PROFILE',
            )
        states = {name: remoteproc.core_state(name) for name in wanted}
        if busy := [f"{name} is {state}" for name, state in states.items() if state != "offline"]:
            raise CheckFailed(
                ", ".join(busy), "stop it: echo stop >/sys/class/remoteproc/remoteprocN/state; no auto-boot"
            )
        return ", ".join(f"{name} offline" for name in wanted)

    def manager(self) -> str:
        """The TEE manages them; what Linux loads by itself, OP-TEE never authenticates."""
        remoteproc = self._target.get_driver("RemoteprocDriver")
        found = {core.name: remoteproc.manager(core.name).name for core in profile_of(self._config).cores}
        if bare := [name for name, manager in found.items() if manager != "TEE"]:
            raise CheckFailed(
                f"Linux manages {', '.join(bare)} itself", "a compatible that ends in -tee: see " + RECIPE
            )
        return ", ".join(f"{name} by {manager}" for name, manager in found.items())

    def tracing(self) -> str:
        """What recovery and notifications are dated with."""
        found = self._session.read_many(TRACING)
        path = next((p for p in TRACING if isinstance(found[p], bytes)), None)
        if path is None:
            raise CheckFailed("no tracing", "CONFIG_FTRACE; mount -t tracefs none /sys/kernel/tracing")
        if b"hist" not in bytes(found[path]):
            raise CheckFailed("no histogram triggers", "CONFIG_HIST_TRIGGERS=y in the kernel")
        return str(Path(path).parent)

    def firmware_directory(self) -> str:
        """Where the kernel looks for firmware, and we can write."""
        return str(Path(self._target.get_driver("RemoteprocDriver").firmware_path("x")).parent)

    def secure(self) -> str:
        """OP-TEE has said something since the board was switched on."""
        recorder = self._target.get_driver("ConsoleRecorder", name=secure_console(self._target))
        heard = recorder.since(0)
        if not heard:
            raise CheckFailed(
                "not a byte", "wire it, check its speed, CFG_TEE_CORE_LOG_LEVEL=2 or more in OP-TEE"
            )
        return f"{len(heard)} bytes since power on"
