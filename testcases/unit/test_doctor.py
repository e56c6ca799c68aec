# SPDX-License-Identifier: MIT
"""`mpbench doctor`: every check reports what it found, and a remedy if it failed."""

import re
import socket
import time
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from attrs import evolve
from labgrid.strategy import StrategyError

from mpbench.board import power
from mpbench.board.session.shell_protocol import Reply
from mpbench.board.trace.tracefs import TRACING
from mpbench.commands import doctor, doctor_board, doctor_host, doctor_linux, main
from mpbench.commands.doctor import Section
from mpbench.core import directories
from mpbench.core.causes import words
from mpbench.core.errors import InfrastructureError, UsageError
from mpbench.core.shared_files import TARGETS
from mpbench.layout import TA_UUID
from mpbench.twin.profile import load_profile
from testcases.unit.image_rig import key, write_key, write_public
from testcases.unit.test_documents import anchors


def result(check):
    """The finding of one check."""
    (finding,) = doctor.examine([doctor.HealthCheck("check", check)])
    return finding


def raising(error):
    def check():
        raise error

    return check


def test_what_needs_a_failed_check_is_skipped():
    """A skipped check names the failed one, at any distance; all others are run."""
    checks = [
        doctor.HealthCheck("a", lambda: "fine"),
        doctor.HealthCheck("b", raising(InfrastructureError("no power")), ("a",)),
        doctor.HealthCheck("c", lambda: "fine", ("a", "b")),
        doctor.HealthCheck("d", lambda: "fine", ("c",)),
        doctor.HealthCheck("e", lambda: "fine", ("a",)),
    ]
    found = list(doctor.examine(checks))
    assert [(f.name, f.ok, f.tried) for f in found] == [
        ("a", True, True),
        ("b", False, True),
        ("c", False, False),
        ("d", False, False),
        ("e", True, True),
    ]
    assert found[1].found == "no power"
    assert found[1].remedy == "look it up in the table"
    assert found[1].section is Section.CHECKS
    assert found[2].found == found[3].found == "skipped: `b` must pass first"


def all_checks():
    """Every check of host and board."""
    return [*doctor_host.host_checks(TARGETS), *doctor_board.BoardCheck("x.yaml").checks()]


def test_every_check_needs_earlier_ones():
    """So that each is reached after what it needs."""
    names = list[str]()
    for check in all_checks():
        assert set(check.needs) <= set(names), check.name
        names.append(check.name)
    assert len(set(names)) == len(names) == 32


def test_every_section_is_in_the_guide():
    """A remedy ends with a heading of targets/README.md: each of them exists, and each is used."""
    headings = anchors((TARGETS / "README.md").read_text())
    assert [s.name for s in Section if f"#{s.value}" not in headings] == []


def test_a_broken_strategy_is_reported_by_its_cause():
    """labgrid's "is in broken state" hides what broke it."""
    error = StrategyError("STM32MPStrategy is in broken state")
    error.__cause__ = InfrastructureError("no SSH server answers")
    assert result(raising(error)).found == "no SSH server answers"


def test_a_mistake_in_the_target_file_is_corrected_there():
    """The message names file and mistake, which is no fault of board or lab."""
    finding = result(raising(UsageError("x.yaml: unknown driver 'NoSuchDriver'")))
    assert finding.found == "x.yaml: unknown driver 'NoSuchDriver'"
    assert (finding.remedy, finding.usage) == ("correct it there, or set its variables", True)


@pytest.mark.parametrize(
    ("check", "words"),
    [
        (lambda: doctor_host.python((3, 10, 1)), "Python 3.10.1"),
        (lambda: doctor_host.program("make", lambda _: None), "not found"),
        (lambda: doctor_host.serial_library({"pyserial-labgrid": "3", "pyserial": "3.5"}.__getitem__), ""),
    ],
)
def test_a_failed_check_of_the_host_has_a_remedy(check, words):
    """Version or name of what is wrong, and a command that repairs it."""
    finding = result(check)
    assert not finding.ok
    assert words in finding.found
    assert finding.remedy


def versions(**found):
    def version(name):
        if name.replace("-", "_") not in found:
            raise metadata.PackageNotFoundError(name)
        return found[name.replace("-", "_")]

    return version


def test_the_serial_library_is_labgrids():
    """The original package overwrites the fork under its import name: it is found and named."""
    assert result(lambda: doctor_host.serial_library(versions(pyserial_labgrid="3.5"))).ok
    both = result(lambda: doctor_host.serial_library(versions(pyserial_labgrid="3.5", pyserial="3.4")))
    assert both.found == "pyserial 3.4 overwrites labgrid's pyserial-labgrid"
    assert both.remedy.startswith("pip uninstall pyserial;")
    assert result(lambda: doctor_host.serial_library(versions())).found == "pyserial-labgrid is missing"


def test_a_shared_private_key_is_found(tmp_path):
    """Only private keys count; virtual boards need none."""
    none = result(lambda: doctor_host.configuration(tmp_path / "none"))
    assert none.found == f"no {tmp_path / 'none'}, which virtual boards do not need"
    (tmp_path / "known_hosts").write_text("x")
    assert result(lambda: doctor_host.configuration(tmp_path)).ok
    (tmp_path / "firmware_key.pub.pem").write_text("-----BEGIN PUBLIC KEY-----\n")
    (tmp_path / "firmware_key.pub.pem").chmod(0o664)
    assert result(lambda: doctor_host.configuration(tmp_path)).ok
    key = tmp_path / "ssh_key"
    key.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    key.chmod(0o644)
    finding = result(lambda: doctor_host.configuration(tmp_path))
    assert finding.found == f"private key {key} is readable by others"
    assert finding.remedy == f"chmod 600 {key}"
    key.chmod(0o600)
    assert result(lambda: doctor_host.configuration(tmp_path)).ok


def test_a_full_disk_is_reported_in_numbers(tmp_path):
    """Free megabytes, where, and how many are needed; the directory need not exist yet."""
    full = result(lambda: doctor_host.disk(tmp_path / "a" / "b", lambda _: SimpleNamespace(free=3_000_000)))
    assert full.found == f"3 MB free below {tmp_path}"
    assert "500 MB" in full.remedy
    assert result(lambda: doctor_host.disk(tmp_path, lambda _: SimpleNamespace(free=10**12))).ok


class PlayedSession:
    """Session with a board that is up: answers by a word of the command, files by path."""

    boot_id = "b-1"

    def __init__(self, **wrong) -> None:
        self.answers = {
            "date +%s": f"{time.time() - 3650:.0f}\n",
            "id -un": "root\n",
            "/sys/bus/tee": f"/dev/tee0\n/sys/bus/tee/devices/optee-ta-{TA_UUID}\n",
            "readlink": "../../../0.m33\n",
            "ls -d": "/d/remoteproc\n/d/remoteproc/remoteproc0\n",
            "df -Pk": "Filesystem 1024-blocks Used Available\n/dev/root 1000000 1 900000 1% /\n",
            "mkdir /sys/kernel/tracing": " ".join(doctor_linux.MISSING),
            "command -v devmem": "",
            "/dev/mem": "",
        } | {word: text for word, text in wrong.items() if not word.startswith("/") or "README" not in word}
        self.files: dict[str, bytes | str] = {
            f"{TRACING}/README": b"kprobe_events uprobe_events onmatch snapshot()",
            "/proc/interrupts": b"     CPU0\n 36:  0  GIC-0 36 Level  0.m33\n",
            doctor_board.COMPATIBLE: b"st,stm32mp257f-dk-ca35tdcid-ostl\0st,stm32mp257f-dk\0st,stm32mp257\0",
        } | {path: text for path, text in wrong.items() if path.startswith("/")}

    def execute(self, command, _timeout_s=None):
        text = next((text for word, text in self.answers.items() if word in command), "")
        if isinstance(text, Exception):
            raise text
        return Reply(1, b"", b"") if text is None else Reply(0, text.encode(), b"")

    def read_many(self, paths):
        return {path: self.files.get(path, "ENOENT") for path in paths}

    def read(self, path):
        return self.files.get(path, "ENOENT")


class PlayedTarget:
    """Drivers of a board that is up, with faults: an exception is raised by the driver of that name."""

    CONSOLE = b"NOTICE:  BL2: v2.10\r\nU-Boot 2025.01\r\nboard login: "

    def __init__(self, **wrong) -> None:
        self.wrong = wrong
        self.drivers = [SimpleNamespace(name="console"), SimpleNamespace(name="secure")]
        self.env = self.resources = None
        self.session = PlayedSession(**wrong.get("session", {}))
        self.written = b""

    def get_driver(self, cls, name=None, activate=True):
        fault = self.wrong.get(name or cls)
        if isinstance(fault, Exception) and activate:
            raise fault
        if cls == "SessionDriver":
            return self.session
        return SimpleNamespace(
            name=name,
            port=SimpleNamespace(port=SimpleNamespace(host="lab", port=7000)),
            transition=lambda _: None,
            cores=lambda: self.wrong.get("cores", ["m33"]),
            core_state=lambda _: self.wrong.get("state", "offline"),
            manager=lambda _: SimpleNamespace(name=self.wrong.get("manager", "TEE")),
            drivers=lambda: {"m33": self.wrong.get("driver", "stm32-rproc")},
            attributes=lambda *_: {"recovery": self.wrong.get("recovery", "enabled")},
            path=lambda _, file: f"/sys/class/remoteproc/remoteproc0/{file}",
            debugfs="/d",
            firmware_path=lambda name: f"/lib/firmware/{name}",
            since=lambda _: self.wrong.get(f"{name} output", self.CONSOLE if name == "console" else OPTEE),
            write=self.write,
            wait_for=lambda *_: False,
        )

    def write(self, data):
        self.written += data


OPTEE = b"I/TC: OP-TEE version: 4.0.0-stm32mp-r2 (gcc 13)\r\nI/TC: Primary CPU\r\n"
PROFILE = load_profile("st-4.0-r2-mp257f-dk")


@pytest.fixture
def checked(monkeypatch):
    """Findings of the checks of a board that is up, with faults, by name; what is before `power` passes."""
    monkeypatch.setattr(doctor_board, "profile_of", lambda _: PROFILE)
    monkeypatch.setattr(power, "state", lambda driver, _: driver.name is None)

    def make(**wrong):
        found = doctor_board.BoardCheck("x.yaml")
        target: Any = PlayedTarget(**wrong)
        found._target = target
        names = ("environment", "profile", "place", "signing key", "firmware")
        checks = [check for check in found.checks() if check.name not in names]
        return {finding.name: finding for finding in doctor.examine(checks)}

    return make


def test_a_board_without_faults_passes_all(checked):
    """What each check found, in words."""
    found = {name: finding.found for name, finding in checked().items()}
    assert re.fullmatch(r"-36\d\d\.\d s from the host's clock", found.pop("clock"))
    assert found == {
        "power": "SimpleNamespace: the board is on",
        "console": "console, secure",
        "boot": "0 s from off to SSH",
        "ssh": "boot_id b-1",
        "release": "profile st-4.0-r2-mp257f-dk fits: the board reports st,stm32mp257f-dk, "
        "OP-TEE 4.0.0-stm32mp-r2",
        "linux console": "TF-A, U-Boot, Linux",
        "secure console": "2 lines of OP-TEE since power on",
        "permissions": "root may write sysfs, tracefs and the TEE's devices",
        "tee": "OP-TEE, with its remoteproc application",
        "cores": "m33 offline (driver stm32-rproc)",
        "manager": "m33 by TEE",
        "recovery": "enabled for m33",
        "watchdog": "m33 as 0.m33 in /proc/interrupts; "
        "IWDG3 of m33 is not for its firmware by profile st-4.0-r2-mp257f-dk",
        "debugfs": "/d/remoteproc: remoteproc0",
        "devmem": "devmem, /dev/mem",
        "tracing": "kprobes, uprobes, histogram triggers, snapshots; all events and probes of a recovery",
        "firmware directory": "/lib/firmware",
        "space": "/lib/firmware: 900 MB free, /tmp: 900 MB free",
    }


README = f"{TRACING}/README"
NODE = "/sys/class/remoteproc/remoteproc0/device/of_node/interrupts"
NO_INTERRUPT = {"/proc/interrupts": b" CPU0\n"}
WRONG: list[tuple[str, dict, str, str]] = [
    ("power", {"PowerProtocol": OSError(113, "x")}, "No route to host", "ask it by hand: `curl` its address"),
    (
        "console",
        {"console": OSError(2, "could not open port"), "secure": TimeoutError()},
        "cannot open `console` at lab:7000: No such file or directory; "
        "`secure` at lab:7000: no answer in time",
        "the port by id, its cable, group `dialout`; close terminal programs",
    ),
    (
        "boot",
        {"Strategy": InfrastructureError("no SSH server answers 120 s after power on")},
        "no SSH server answers 120 s after power on",
        "read what the consoles show, and the table of failures",
    ),
    (
        "ssh",
        {"SessionDriver": InfrastructureError("192.0.2.1 port 22: the host key is not pinned")},
        "192.0.2.1 port 22: the host key is not pinned",
        "an `ssh_key`, `ssh-copy-id`, `mpbench enrol ADDRESS`; then try `ssh -v`",
    ),
    (
        "linux console",
        {"console output": b""},
        "no line of TF-A, U-Boot or Linux, 0 bytes",
        "check wiring and speed; `console=` of the kernel and a getty; names of the consoles",
    ),
    (
        "linux console",
        {"console output": OPTEE},
        "no line of TF-A, U-Boot or Linux, 68 bytes of OP-TEE",
        "check wiring and speed; `console=` of the kernel and a getty; names of the consoles",
    ),
    (
        "linux console",
        {"console output": b"\xff\x80\x00\xfe"},
        "no line of TF-A, U-Boot or Linux, 4 bytes that are no text: wrong speed?",
        "check wiring and speed; `console=` of the kernel and a getty; names of the consoles",
    ),
    (
        "secure console",
        {"secure output": b"hello"},
        "no line of OP-TEE since power on, 5 bytes",
        "check its wiring and speed; build OP-TEE with CFG_TEE_CORE_LOG_LEVEL=2 or more",
    ),
    (
        "secure console",
        {"secure output": PlayedTarget.CONSOLE, "console output": PlayedTarget.CONSOLE},
        "no line of OP-TEE since power on, 50 bytes of TF-A, U-Boot, Linux",
        "check its wiring and speed; build OP-TEE with CFG_TEE_CORE_LOG_LEVEL=2 or more",
    ),
    (
        "secure console",
        {"secure output": b"", "console output": OPTEE + PlayedTarget.CONSOLE},
        "`secure` has no line of OP-TEE since power on; `console` has",
        "exchange the ports of the two in the target file, or remove `secure` if they share one",
    ),
    (
        "permissions",
        {"session": {"id -un": "debian\n/dev/tee0\n/sys/kernel/tracing\n"}},
        "debian may not write /dev/tee0, /sys/kernel/tracing",
        "log in as root (`username` of NetworkService), and mount these file systems writable",
    ),
    (
        "tee",
        {"session": {"/sys/bus/tee": ""}},
        "no /dev/tee0",
        "CONFIG_OPTEE in the kernel, and the node `optee` in the device tree",
    ),
    (
        "tee",
        {"session": {"/sys/bus/tee": "/dev/tee0\n"}},
        f"no application {TA_UUID} on the TEE bus",
        f"OP-TEE with CFG_REMOTEPROC_PTA=y and CFG_IN_TREE_EARLY_TAS+=remoteproc/{TA_UUID}",
    ),
    (
        "cores",
        {"cores": ["m4"]},
        "Linux has m4; missing: m33",
        'status = "okay" in the device tree, or another profile: MPBENCH_PROFILE',
    ),
    (
        "cores",
        {"state": "running"},
        "m33 is running",
        "stop it: echo stop >/sys/class/remoteproc/remoteprocN/state; no auto-boot",
    ),
    (
        "manager",
        {"manager": "LINUX"},
        "Linux manages m33 itself",
        "a compatible that ends in -tee in the device trees of Linux and OP-TEE; "
        "or a profile for plain ELF: see `release`",
    ),
    (
        "release",
        {"session": {doctor_board.COMPATIBLE: b"st,stm32mp257f-ev1\0st,stm32mp257\0"}},
        "profile st-4.0-r2-mp257f-dk does not fit: the board is st,stm32mp257f-ev1, "
        "the profile is for st,stm32mp257f-dk",
        "in the target file, or MPBENCH_PROFILE: bench_profile: st-4.0-r2-mp257f-ev1",
    ),
    (
        "release",
        {"secure output": b"I/TC: OP-TEE version: 3.19.0-stm32mp-r2 #1\r\n"},
        "profile st-4.0-r2-mp257f-dk does not fit: the board's OP-TEE is 3.19.0-stm32mp-r2, "
        "the profile's is 4.0.0-stm32mp-r2",
        "in the target file, or MPBENCH_PROFILE: bench_profile: st-3.19-mp257f-dk",
    ),
    (
        "release",
        {"secure output": b"", "session": {"dmesg": "optee: revision 3.19 (d6c5d003)\n"}},
        "profile st-4.0-r2-mp257f-dk does not fit: the board's OP-TEE is 3.19, "
        "the profile's is 4.0.0-stm32mp-r2",
        "in the target file, or MPBENCH_PROFILE: bench_profile: st-3.19-mp257f-dk",
    ),
    (
        "release",
        {"manager": "LINUX"},
        "profile st-4.0-r2-mp257f-dk does not fit: m33 is loaded by Linux, in the profile by OP-TEE",
        "in the target file, or MPBENCH_PROFILE: derive one from st-4.0-r2-mp257f-dk: `derives`",
    ),
    (
        "recovery",
        {"recovery": "disabled"},
        "recovery is not enabled: m33: disabled",
        "echo enabled >/sys/class/remoteproc/remoteprocN/recovery, and find what disables it",
    ),
    (
        "recovery",
        {"recovery": "[ENOENT]"},
        "recovery is not enabled: m33: ENOENT",
        "echo enabled >/sys/class/remoteproc/remoteprocN/recovery, and find what disables it",
    ),
    (
        "watchdog",
        {"session": NO_INTERRUPT},
        "m33: neither /proc/interrupts nor the core's node has an interrupt",
        "`interrupts` in the core's node; without it Linux sees no crash that only a watchdog reports",
    ),
    ("debugfs", {"session": {"ls -d": ""}}, "no /d/remoteproc", "CONFIG_DEBUG_FS=y in the kernel"),
    (
        "devmem",
        {"session": {"command -v devmem": None}},
        "no program `devmem`",
        "busybox with CONFIG_DEVMEM=y, or another `devmem`",
    ),
    (
        "devmem",
        {"session": {"/dev/mem": None}},
        "no /dev/mem that can be written",
        "CONFIG_DEVMEM=y in the kernel; log in as root",
    ),
    (
        "tracing",
        {"session": {README: "ENOENT"}},
        "no tracefs: /sys/kernel/tracing/README: ENOENT",
        "CONFIG_FTRACE=y in the kernel",
    ),
    (
        "tracing",
        {"session": {README: b"onmatch"}},
        "no kprobes",
        "CONFIG_KPROBE_EVENTS=y in the kernel",
    ),
    (
        "tracing",
        {"session": {README: b"kprobe_events"}},
        "no histogram triggers",
        "CONFIG_HIST_TRIGGERS=y and CONFIG_SYNTH_EVENTS=y in the kernel",
    ),
    (
        "tracing",
        {"session": {"mkdir /sys/kernel/tracing": " ".join({*doctor_linux.MISSING} - {"irq", "ta"})}},
        "recoveries cannot be dated without a probe on tee_client_invoke_func or optee_from_msg_param; "
        "event irq/irq_handler_entry",
        "CONFIG_KPROBE_EVENTS=y, CONFIG_KALLSYMS=y and OP-TEE's driver in the kernel",
    ),
    (
        "space",
        {"session": {"df -Pk": "Filesystem\n/dev/root 1000000 1 3000 1% /\n"}},
        "3 MB free in /lib/firmware",
        "free 20 MB: firmware images, core dumps",
    ),
]


@pytest.mark.parametrize(("name", "wrong", "found", "remedy"), WRONG)
def test_a_failed_check_of_the_board_has_a_remedy(checked, name, wrong, found, remedy):
    """What the board shows, what to do, and a section of the guide."""
    finding = checked(**wrong)[name]
    assert (finding.found, finding.remedy) == (found, remedy)
    assert f"#{finding.section.value}" in anchors((TARGETS / "README.md").read_text())


def test_every_check_of_a_board_can_fail():
    """Each that has a remedy of its own is in the list above; the date and the firmware have none."""
    names = {check.name for check in doctor_board.BoardCheck("x.yaml").checks()}
    before = {"environment", "profile", "place", "signing key", "firmware"}
    assert names - before - {name for name, *_ in WRONG} == {"clock", "firmware directory"}


def test_a_dead_switch_leaves_a_board_that_is_up(checked):
    """Consoles, SSH and Linux are tried whatever the switch does; OP-TEE's log since power on is not."""
    found = checked(PowerProtocol=InfrastructureError("the switch does not answer"))
    assert found["power"].found == "the switch does not answer"
    for name in ("boot", "secure console"):
        assert found[name].found == "skipped: `power` must pass first"
    assert {f.name for f in found.values() if not f.ok} == {"power", "boot", "secure console"}


def test_a_release_that_the_board_does_not_report_is_assumed(checked):
    """Without OP-TEE's version the releases of the revision that Linux logs are named, the newest first."""
    finding = checked(**{"secure output": b"", "session": {"dmesg": "optee: revision 4.0 (8de9a6fe)"}})[
        "release"
    ]
    assert finding.ok
    assert finding.found == (
        "profile st-4.0-r2-mp257f-dk assumed: st,stm32mp257f-dk, OP-TEE 4.0.0-stm32mp-r2; "
        "OP-TEE's version was not seen on a console, Linux logs revision 4.0; "
        "st-4.0-r3-mp257f-dk, st-4.0-r2-mp257f-dk, st-4.0-r1-mp257f-dk would fit"
    )


def test_a_board_whose_cores_linux_loads_needs_no_tee(checked, monkeypatch):
    """With such a profile `tee` asks for nothing, and `manager` wants Linux."""
    own = evolve(PROFILE, manager="linux", name="plain")
    monkeypatch.setattr(doctor_board, "profile_of", lambda _: own)
    found = checked(manager="LINUX", session={"/sys/bus/tee": ""})
    assert found["tee"].found == "not needed: Linux loads the cores of profile plain"
    assert found["manager"].found == "m33 by Linux"
    assert found["release"].found == "profile plain fits: the board reports st,stm32mp257f-dk"
    refused = checked()["manager"]
    assert refused.found == "OP-TEE manages m33, in the profile it is Linux"
    assert refused.remedy.startswith("a profile with OP-TEE: see `release`")


def test_a_driver_that_is_not_named_is_unknown(checked):
    """A kernel without the name of a core's driver passes."""
    assert checked(driver="")["cores"].found == "m33 offline (driver unknown)"


def test_each_core_is_managed_as_in_the_profile(checked, monkeypatch):
    """One that OP-TEE loads and the profile does not is reported by its name, on a board that has a TEE."""
    core = PROFILE.core("m33")
    own = evolve(PROFILE, cores=(evolve(core, manager="linux"),))
    monkeypatch.setattr(doctor_board, "profile_of", lambda _: own)
    assert checked(manager="LINUX")["manager"].found == "m33 by Linux"
    assert checked()["manager"].found == "OP-TEE manages m33, in the profile it is Linux"


def test_a_board_that_does_not_boot_is_still_asked(checked):
    """A switch that fails when it switches: SSH of a board that is up works, and its consoles are judged."""
    found = checked(Strategy=InfrastructureError("power command `off` failed"))
    assert {f.name for f in found.values() if not f.ok} == {"boot"}


def test_a_switch_that_cannot_be_asked_passes():
    """labgrid's ManualPowerDriver has no state to report."""
    driver = SimpleNamespace(name=None)
    board = doctor_board.BoardCheck("x.yaml")
    target: Any = SimpleNamespace(get_driver=lambda _: driver)
    board._target = target
    assert result(board.power).found == "SimpleNamespace: cannot be asked for its state"


def test_a_watchdog_may_be_in_the_device_tree_only(checked):
    """A node with an interrupt that the driver has not requested is found, and named as that."""
    finding = checked(session={**NO_INTERRUPT, NODE: b"\0\0\0\4"})["watchdog"]
    assert finding.ok
    assert finding.found.startswith("m33 in its node only: the driver has not requested it; IWDG3 of m33")


def test_a_silent_console_is_asked(checked, monkeypatch):
    """A board that was not switched on prints nothing: Return brings the prompt."""
    asked = []

    def write(self, data):
        asked.append(data)
        self.wrong["console output"] = b"\r\nroot@board:~# "

    monkeypatch.setattr(PlayedTarget, "write", write)
    assert checked(**{"console output": b""})["linux console"].found == "Linux"
    assert asked == [b"\r"]


@pytest.mark.parametrize("line", [b"Linux version 6.12", b"[    0.000000] Booting", b"login: ", b"a@b:~$ "])
def test_lines_of_linux(line):
    """Kernel messages, getty's and a shell's prompt."""
    assert doctor_board.seen(b"x\r\n" + line) == ["Linux"]


ERRORS = (
    OSError(113, "RAW TEXT"),
    KeyError("RAW TEXT"),
    ValueError("RAW TEXT"),
    TypeError("RAW TEXT"),
    AssertionError("RAW TEXT"),
    RuntimeError("RAW TEXT\nof two lines"),
    EOFError("RAW TEXT"),
    TimeoutError("RAW TEXT"),
    StrategyError("RAW TEXT"),
)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize(
    "name", [check.name for check in all_checks() if check.name not in ("python", "serial library")]
)
def test_a_raw_exception_is_never_the_answer(monkeypatch, name, error):
    """Every check, with everything that it uses raising: one line in words, a remedy, a section."""

    def broken(*_args, **_more):
        raise error

    board = doctor_board.BoardCheck("x.yaml")
    board._target = SimpleNamespace(get_driver=broken, env=None, resources=(), drivers=())
    session: Any = SimpleNamespace(execute=broken, read=broken, read_many=broken)
    remoteproc = SimpleNamespace(cores=broken, core_state=broken, manager=broken, attributes=broken)
    remoteproc.path = remoteproc.firmware_path = broken
    remoteproc.debugfs = "/d"
    board._linux = doctor_linux.BoardLinux(session, remoteproc, PROFILE)
    for function in ("check_environment", "profile_of", "target_of", "signing_key_path", "make", "host_lock"):
        monkeypatch.setattr(doctor_board, function, broken)
    directory: Any = SimpleNamespace(is_dir=broken, resolve=broken)
    monkeypatch.setattr(directories, "config_dir", lambda: directory)
    host = doctor_host.host_checks(directory, broken)
    (check,) = [check for check in [*host, *board.checks()] if check.name == name]
    (finding,) = doctor.examine([doctor.HealthCheck(name, check.run, (), check.section, check.advice)])
    assert not finding.ok
    assert "RAW TEXT" not in finding.found
    assert "\n" not in finding.found
    assert finding.remedy


def test_reasons_are_in_words():
    """errno, timeouts, unknown hosts, HTTP, wrapped errors; else type and file."""
    wrapped = RuntimeError("HTTPConnectionPool(...): [Errno 111] Connection refused'))")
    response = RuntimeError("401 Client Error")
    response.response = SimpleNamespace(status_code=401)  # type: ignore[attr-defined]
    cause = ValueError("x")
    cause.__cause__ = OSError(5, "x")
    assert [words(e) for e in (OSError(13, "x"), wrapped, response, cause)] == [
        "Permission denied",
        "Connection refused",
        "HTTP status 401",
        "Input/output error",
    ]
    assert words(socket.gaierror(-2, "Name or service not known")) == "unknown host name"
    assert words(InfrastructureError("port 7000 is busy")) == "port 7000 is busy"
    assert words(KeyError("x")) == "unexpected KeyError"
    finding = result(raising(KeyError("x")))
    assert finding.found == "unexpected KeyError in unit/test_doctor.py"
    assert finding.remedy == "`mpbench doctor --traceback` shows where; look it up in the table"


def test_a_board_without_a_date_passes(checked):
    """A board without a clock counts from 1970, which is no difference worth a number; nor is a host's."""
    for text in ("0\n", "31536000\n"):
        finding = checked(session={"date +%s": text})["clock"]
        assert (finding.ok, finding.found) == (True, "the board has no date; the bench needs none")
    finding = checked(session={"date +%s": "date: not found"})["clock"]
    assert (finding.ok, finding.found) == (True, "the board has no `date`; the bench needs none")
    linux: Any = SimpleNamespace(session=PlayedSession())
    with pytest.raises(doctor.CheckFailed) as raised:
        doctor_linux.clock(linux, lambda: 100.0)
    assert (raised.value.found, raised.value.section) == ("this host has no date", Section.START)


def board_with_key(path, name):
    """Checks of a board whose target file names a key."""
    (path / "x.yaml").write_text(f"targets: {{main: {{}}}}\noptions: {{bench_signing_key: {name}}}\n")
    board = doctor_board.BoardCheck(str(path / "x.yaml"))
    board.environment()
    board._target = SimpleNamespace(env=SimpleNamespace(config=board._config), resources=[])
    return board


def test_the_default_of_a_documented_variable_is_known(tmp_path, monkeypatch):
    """A target file may name $MPBENCH_CONFIG, whether or not it is set."""
    monkeypatch.setenv("MPBENCH_CONFIG", "")  # so that it is restored
    monkeypatch.delenv("MPBENCH_CONFIG")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    finding = result(board_with_key(tmp_path, "$MPBENCH_CONFIG/firmware_key.pem").signing_key)
    missing = tmp_path / "mpbench" / "firmware_key.pem"
    assert finding.found == f"cannot read {missing}: No such file or directory"
    assert finding.remedy == "put the key there, or change `bench_signing_key` in the target file"
    assert finding.usage


def test_the_signing_key_is_a_private_rsa_key(tmp_path):
    """Readable by its owner only; a public key in its place is named as what it is not."""
    write_key(tmp_path / "k.pem", key())
    board = board_with_key(tmp_path, "k.pem")
    assert result(board.signing_key).found == str(tmp_path / "k.pem")
    (tmp_path / "k.pem").chmod(0o640)
    words = f"private key {tmp_path / 'k.pem'}: mode 0640 lets others read it; run `chmod 600 "
    assert result(board.signing_key).found == f"{words}{tmp_path / 'k.pem'}`"
    write_public(tmp_path / "k.pem", key())
    assert result(board.signing_key).found == f"{tmp_path / 'k.pem'}: no private key in PEM form"


def test_an_unreadable_directory_of_keys_is_a_finding(tmp_path, monkeypatch):
    """The file, the reason, and whose it should be."""

    def refused(self, *_):
        raise PermissionError(13, "Permission denied", str(self))

    (tmp_path / "ssh_key").touch()
    monkeypatch.setattr(Path, "open", refused)
    finding = result(lambda: doctor_host.configuration(tmp_path))
    assert finding.found == f"cannot read {tmp_path / 'ssh_key'}: Permission denied"
    assert (finding.remedy, finding.usage) == (f"make it yours: chown -R $USER {tmp_path}", True)


def test_an_unknown_driver_is_a_mistake_in_the_target_file(tmp_path):
    """It is found when the file is read; it is no fault of the place."""
    path = tmp_path / "x.yaml"
    path.write_text("targets: {main: {drivers: {NoSuchDriver: {}}}}\n")
    finding = result(doctor_board.BoardCheck(str(path)).environment)
    assert finding.found == (
        f"{path}: no driver class `NoSuchDriver`; if it is yours, add its module to `imports`"
    )
    assert finding.remedy == "correct it there, or set its variables"


def test_a_missing_target_file_skips_all_checks_of_the_board(tmp_path, capsys):
    """The first check fails, the others are skipped, the exit code is 2; the remedy's section exists."""
    assert main.main(["doctor", "--lg-env", str(tmp_path / "none.yaml")]) == 2
    output = capsys.readouterr().out
    assert "WRONG environment: " in output
    assert "none.yaml: no such file" in output
    assert output.count("skipped: `environment` must pass first") == 23
    (anchor,) = re.findall(
        r"→ correct it there, or set its variables; see \S*targets/README.md(#\S+)", output
    )
    assert anchor in anchors((TARGETS / "README.md").read_text())


def test_a_traceback_is_shown_if_it_is_asked_for(capsys, monkeypatch):
    """What an unexpected exception was, and where."""
    for options, lines in ([], 0), (["--traceback"], 1):
        monkeypatch.setattr(doctor_host, "disk", lambda _: raising(KeyError("here"))())
        assert main.main(["doctor", *options]) == 3
        assert capsys.readouterr().err.count("KeyError: 'here'") == lines


def test_marks_have_colours(capsys, monkeypatch):
    """`ok` and `WRONG`, as the words of verdicts."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr(doctor_host, "disk", lambda _: raising(KeyError("here"))())
    assert main.main(["doctor"]) == 3
    output = capsys.readouterr().out
    assert "  \x1b[32mok\x1b[0m    python: " in output
    assert "  \x1b[31mWRONG\x1b[0m disk: unexpected KeyError in unit/test_doctor.py" in output
