# SPDX-License-Identifier: MIT
"""Checks of a board's Linux, through its session: what the test cases need of kernel, file system, TEE."""

import re
import shlex
import time
from collections.abc import Callable, Iterable
from pathlib import PurePosixPath
from typing import Any

from attrs import frozen

from mpbench import layout
from mpbench.board.interrupts import watchdog_line
from mpbench.board.protocols import Session
from mpbench.board.tee import tee
from mpbench.board.trace.tracefs import MOUNT, TRACING
from mpbench.commands.doctor import CheckFailed, HealthCheck, Section
from mpbench.core.proc_interrupts import by_cpu
from mpbench.recovery.collect_trace import COUNTED, recording
from mpbench.twin.profile import Profile

FIRST_DATE_S = 1_577_836_800
"""2020: a clock that is earlier was never set."""
LEAST_FREE_KB = 20_000
"""Firmware images, core dumps, and what the bench uploads."""
WRITTEN = (
    f"/sys/class/remoteproc/*/state /sys/class/remoteproc/*/firmware /dev/tee[0-9]* {TRACING}/kprobe_events"
)
FACILITIES = {
    "kprobe_events": "kprobes",
    "uprobe_events": "uprobes",
    "onmatch": "histogram triggers",
    "snapshot()": "snapshots",
}
"""Words in tracefs' README → facility. Ref: Linux kernel/trace/trace.c, readme_msg"""
MANAGERS = {"tee": "TEE", "linux": "Linux"}
MISSING = {
    "ta": "a probe on tee_client_invoke_func or optee_from_msg_param",
    "irq": "event irq/irq_handler_entry",
    **{name: f"event workqueue/workqueue_{name}" for name in ("queue_work", "execute_start", "execute_end")},
    **{name: f"a probe on {function}" for name, function in COUNTED.items()},
}
"""What the recorder of recoveries calls missing, in words."""


@frozen
class BoardLinux:
    """Linux of a board. remoteproc: labgrid's driver; profile: what the target file assumes of the board."""

    session: Session
    remoteproc: Any
    profile: Profile

    @property
    def cores(self) -> tuple[str, ...]:
        """Names of the cores in the profile."""
        return tuple(core.name for core in self.profile.cores)

    def managers(self) -> dict[str, str]:
        """Who loads each of these cores that Linux has: "tee" or "linux"."""
        there = self.remoteproc.cores()
        return {n: self.remoteproc.manager(n).name.lower() for n in self.cores if n in there}


def linux_checks(linux: Callable[[], BoardLinux]) -> Iterable[HealthCheck]:
    """All of them, in order; `linux` is called when a check runs."""

    def one(
        name: str, check: Callable[[BoardLinux], str], section: Section, advice: str, *needs: str
    ) -> HealthCheck:
        return HealthCheck(name, lambda: check(linux()), ("ssh", *needs), section, advice)

    return [
        one("clock", clock, Section.CHECKS, "set the board's date, or leave it: the bench needs none"),
        one("permissions", permissions, Section.SSH, "log in as root"),
        one("tee", optee, Section.SOFTWARE, "look for OP-TEE in the kernel's log: dmesg | grep -i optee"),
        one("cores", cores, Section.SOFTWARE, "look for the cores: cat /sys/class/remoteproc/*/name"),
        one("manager", manager, Section.SOFTWARE, "look for the core's node in /proc/device-tree", "cores"),
        one("recovery", recovery, Section.RECOVERY, "look for it in /sys/class/remoteproc", "cores"),
        one("watchdog", watchdog, Section.RECOVERY, "look for the core in /proc/interrupts", "cores"),
        one("debugfs", debugfs, Section.RECOVERY, "mount -t debugfs none /sys/kernel/debug"),
        one("devmem", devmem, Section.RECOVERY, "look for `devmem` and /dev/mem on the board"),
        one("tracing", tracing, Section.RECOVERY, f"mount -t tracefs none {TRACING}"),
        one("firmware directory", firmware_directory, Section.SOFTWARE, "mount /lib/firmware writable"),
        one("space", space, Section.SOFTWARE, "look at `df` on the board", "firmware directory"),
    ]


def clock(linux: BoardLinux, host_s: Callable[[], float] = time.time) -> str:
    """The board's date, compared with the host's, if both have one; the bench itself needs none."""
    text = linux.session.execute("date +%s").text.strip()
    if not text.isdigit():
        return "the board has no `date`; the bench needs none"
    date_s, now_s = int(text), host_s()
    if date_s < FIRST_DATE_S:
        return "the board has no date; the bench needs none"
    if now_s < FIRST_DATE_S:
        raise CheckFailed("this host has no date", "set it: every record bears its date", Section.START)
    return f"{date_s - now_s:+.1f} s from the host's clock"


def permissions(linux: BoardLinux) -> str:
    """The user may write what the bench writes: sysfs, tracefs, the TEE's devices.

    Each is opened: busybox' `[ -w ]` takes everything for writable by root.
    """
    reply = linux.session.execute(
        f"{MOUNT} 2>/dev/null; id -un 2>/dev/null || id -u; for f in {WRITTEN}; do "
        '[ ! -e "$f" ] || ( : >>"$f" ) 2>/dev/null || echo "$f"; done; :'
    )
    user, *refused = reply.text.split() or ["?"]
    if refused:
        remedy = "log in as root (`username` of NetworkService), and mount these file systems writable"
        raise CheckFailed(f"{user} may not write {', '.join(refused)}", remedy)
    return f"{user} may write sysfs, tracefs and the TEE's devices"


def optee(linux: BoardLinux) -> str:
    """OP-TEE and its remoteproc application are there, if the profile has OP-TEE load the cores."""
    if linux.profile.manager == "linux":
        return f"not needed: Linux loads the cores of profile {linux.profile.name}"
    found = tee(linux.session)
    if not found.present:
        remedy = "CONFIG_OPTEE in the kernel, and the node `optee` in the device tree"
        raise CheckFailed("no /dev/tee0", remedy)
    if not found.has(layout.TA_UUID):
        remedy = f"OP-TEE with CFG_REMOTEPROC_PTA=y and CFG_IN_TREE_EARLY_TAS+=remoteproc/{layout.TA_UUID}"
        raise CheckFailed(f"no application {layout.TA_UUID} on the TEE bus", remedy)
    return "OP-TEE, with its remoteproc application"


def cores(linux: BoardLinux) -> str:
    """Linux has all cores of the profile, by which drivers, and all are offline."""
    there = linux.remoteproc.cores()
    if missing := [name for name in linux.cores if name not in there]:
        remedy = 'status = "okay" in the device tree, or another profile: MPBENCH_PROFILE'
        raise CheckFailed(f"Linux has {', '.join(there) or 'no core'}; missing: {', '.join(missing)}", remedy)
    states = {name: linux.remoteproc.core_state(name) for name in linux.cores}
    if busy := [f"{name} is {state}" for name, state in states.items() if state != "offline"]:
        remedy = "stop it: echo stop >/sys/class/remoteproc/remoteprocN/state; no auto-boot"
        raise CheckFailed(", ".join(busy), remedy)
    drivers = linux.remoteproc.drivers()
    return ", ".join(f"{name} offline (driver {drivers.get(name) or 'unknown'})" for name in linux.cores)


def manager(linux: BoardLinux) -> str:
    """The cores are managed as in the profile; OP-TEE does not authenticate what Linux loads by itself."""
    found = linux.managers()
    other = [name for name, manager in found.items() if manager != linux.profile.manager_of(name)]
    if names := ", ".join(name for name in other if found[name] == "linux"):
        remedy = (
            "a compatible that ends in -tee in the device trees of Linux and OP-TEE; "
            "or a profile for plain ELF: see `release`"
        )
        raise CheckFailed(f"Linux manages {names} itself", remedy)
    if other:
        remedy = "a profile with OP-TEE: see `release`; or a compatible without -tee in Linux' device tree"
        raise CheckFailed(f"OP-TEE manages {', '.join(other)}, in the profile it is Linux", remedy)
    return ", ".join(f"{name} by {MANAGERS[manager]}" for name, manager in found.items())


def recovery(linux: BoardLinux) -> str:
    """Linux restarts a core that crashed."""
    found = {name: linux.remoteproc.attributes(name, "recovery")["recovery"] for name in linux.cores}
    if wrong := [f"{name}: {text.strip('[]')}" for name, text in found.items() if text != "enabled"]:
        remedy = "echo enabled >/sys/class/remoteproc/remoteprocN/recovery, and find what disables it"
        raise CheckFailed(f"recovery is not enabled: {', '.join(wrong)}", remedy)
    return f"enabled for {', '.join(linux.cores)}"


def watchdog(linux: BoardLinux) -> str:
    """Each core's watchdog has an interrupt: one that Linux requested, or one in the core's node."""
    found = {name: _watchdog_of(linux, name) for name in linux.cores}
    if without := [name for name, where in found.items() if not where]:
        remedy = (
            "`interrupts` in the core's node; without it Linux sees no crash that only a watchdog reports"
        )
        text = "neither /proc/interrupts nor the core's node has an interrupt"
        raise CheckFailed(f"{', '.join(without)}: {text}", remedy)
    closed = [
        f"{core.watchdog.name} of {core.name} is not for its firmware by profile {linux.profile.name}"
        for core in linux.profile.cores
        if core.watchdog is not None and core.watchdog.user != "firmware"
    ]
    return "; ".join([", ".join(f"{name} {where}" for name, where in found.items()), *closed])


def _watchdog_of(linux: BoardLinux, core: str) -> str:
    """Where the interrupt of a core's watchdog was found, "" if nowhere."""
    line = watchdog_line(linux.session, linux.remoteproc, core)
    node = [
        linux.remoteproc.path(core, f"device/of_node/{file}")
        for file in ("interrupts", "interrupts-extended")
    ]
    files = linux.session.read_many(["/proc/interrupts", *node])
    table = files.pop("/proc/interrupts")
    if isinstance(table, bytes) and by_cpu(table.decode("utf-8", "replace"), line) is not None:
        return f"as {line} in /proc/interrupts"
    in_node = any(isinstance(content, bytes) and content for content in files.values())
    return "in its node only: the driver has not requested it" if in_node else ""


def debugfs(linux: BoardLinux) -> str:
    """debugfs has remoteproc's files: trace buffers, `crash`, core dumps' configuration."""
    root = linux.remoteproc.debugfs
    quoted = shlex.quote(root)
    linux.session.execute(f"[ -d {quoted}/remoteproc ] || mount -t debugfs none {quoted}")
    reply = linux.session.execute(f"ls -d {quoted}/remoteproc {quoted}/remoteproc/* 2>/dev/null; :")
    found = reply.text.split()
    if not found:
        raise CheckFailed(f"no {root}/remoteproc", "CONFIG_DEBUG_FS=y in the kernel")
    return f"{root}/remoteproc: {', '.join(PurePosixPath(path).name for path in found[1:])}"


def devmem(linux: BoardLinux) -> str:
    """Programs may write physical memory: the bench crashes its firmware through it."""
    if linux.session.execute("command -v devmem >/dev/null").code != 0:
        raise CheckFailed("no program `devmem`", "busybox with CONFIG_DEVMEM=y, or another `devmem`")
    if linux.session.execute("[ -c /dev/mem ] && ( : >>/dev/mem ) 2>/dev/null").code != 0:
        raise CheckFailed("no /dev/mem that can be written", "CONFIG_DEVMEM=y in the kernel; log in as root")
    return "devmem, /dev/mem"


def tracing(linux: BoardLinux) -> str:
    """The kernel has what recoveries and notifications are dated with: the bench's own recorder is tried."""
    linux.session.execute(f"{MOUNT} 2>/dev/null")
    readme = linux.session.read(f"{TRACING}/README")
    if not isinstance(readme, bytes):
        raise CheckFailed(f"no tracefs: {TRACING}/README: {readme}", "CONFIG_FTRACE=y in the kernel")
    has = [name for word, name in FACILITIES.items() if word.encode() in readme]
    if "kprobes" not in has:
        raise CheckFailed("no kprobes", "CONFIG_KPROBE_EVENTS=y in the kernel")
    if "histogram triggers" not in has:
        remedy = "CONFIG_HIST_TRIGGERS=y and CONFIG_SYNTH_EVENTS=y in the kernel"
        raise CheckFailed("no histogram triggers", remedy, Section.NOTIFICATIONS)
    there = linux.remoteproc.cores()
    lines = [watchdog_line(linux.session, linux.remoteproc, name) for name in linux.cores if name in there]
    with recording(linux.session, lines or ["none"]) as recorder:
        missing = sorted(MISSING[name] for name in recorder.missing)
    if missing:
        remedy = "CONFIG_KPROBE_EVENTS=y, CONFIG_KALLSYMS=y and OP-TEE's driver in the kernel"
        raise CheckFailed(f"recoveries cannot be dated without {'; '.join(missing)}", remedy)
    return f"{', '.join(has)}; all events and probes of a recovery"


def firmware_directory(linux: BoardLinux) -> str:
    """The kernel's firmware directory is writable."""
    return str(PurePosixPath(linux.remoteproc.firmware_path("x")).parent)


def space(linux: BoardLinux) -> str:
    """The file systems that the bench writes to have space; one in RAM without a bound shows none."""
    directory = str(PurePosixPath(linux.remoteproc.firmware_path("x")).parent)
    found = []
    for path in (directory, "/tmp"):
        reply = linux.session.execute(f"df -Pk {shlex.quote(path)}")
        row = re.search(r"^\S+ +(\d+) +(\d+) +(\d+) ", reply.text, re.MULTILINE)
        if row is None:
            found.append(f"{path}: not shown by df")
        elif int(row[1]) and int(row[3]) < LEAST_FREE_KB:
            remedy = f"free {LEAST_FREE_KB // 1000} MB: firmware images, core dumps"
            raise CheckFailed(f"{int(row[3]) // 1000} MB free in {path}", remedy)
        else:
            found.append(f"{path}: {f'{int(row[3]) // 1000} MB free' if int(row[1]) else 'in RAM'}")
    return ", ".join(found)
