# SPDX-License-Identifier: MIT
"""`mpbench doctor` on a virtual board, as a user runs it, and its checks on one that is spoilt on purpose."""

import contextlib
import subprocess
from collections.abc import Iterator

import pytest
from labgrid import Environment

from mpbench.commands import doctor, doctor_board, doctor_linux
from mpbench.harness.environment import check_environment
from mpbench.twin.profile import load_profile
from mpbench_virtual import boards, keys
from mpbench_virtual.steps import quiet
from testcases.contract import labs

pytestmark = pytest.mark.slow
TARGET = labs.CHECKOUT / "targets" / f"virtual-{labs.KIND.name}.yaml"
CORES = tuple(labs.KIND.cores)


def test_a_virtual_board_passes_all_checks():
    """All checks of host and board pass; the board ends with the command."""
    command = [str(labs.program("mpbench")), "doctor", "--lg-env", str(TARGET)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=labs.RUN_S)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    for check in doctor_board.BoardCheck("").checks():
        assert f"  ok    {check.name}: " in done.stdout
    assert f"  ok    manager: {', '.join(f'{core} by TEE' for core in CORES)}\n" in done.stdout


DEAD_SWITCH = """
targets:
  main:
    resources:
      - NetworkSerialPort: {{name: console, host: {address}, port: {console}, protocol: raw}}
      - NetworkSerialPort: {{name: secure, host: {address}, port: {secure}, protocol: raw}}
      - NetworkService: {{name: ssh, address: {address}, port: {ssh}, username: root}}
      - NetworkPowerPort: {{model: rest, host: 'http://{address}:1/{{index}}', index: '0'}}
    drivers:
      - NetworkPowerDriver: {{}}
      - SerialDriver: {{name: console-port, bindings: {{port: console}}}}
      - SerialDriver: {{name: secure-port, bindings: {{port: secure}}}}
      - ConsoleRecorder: {{name: console, bindings: {{port: console-port}}}}
      - ConsoleRecorder: {{name: secure, bindings: {{port: secure-port}}}}
      - SessionDriver: {{bindings: {{networkservice: ssh}}, keyfile: {keyfile}, known_hosts: {known_hosts}}}
      - RemoteprocDriver: {{}}
      - STM32MPStrategy: {{}}
options: {{bench_profile: {profile}, bench_signing_key: {signing_key}}}
imports: [mpbench.board]
"""


def test_a_dead_switch_hides_nothing_else(tmp_path, monkeypatch):
    """Consoles, SSH and Linux of a board that is up are checked; what needs power is skipped. Exit code 3."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    board = boards.start(labs.KIND.name, "up", quiet, lifeline=True)
    try:
        labs.boot(board)
        files = {
            "keyfile": keys.ssh_key(),
            "known_hosts": board.known_hosts,
            "signing_key": keys.signing_key(),
        }
        text = DEAD_SWITCH.format(address=board.address, profile=labs.PROFILE, **board.ports, **files)
        (tmp_path / "x.yaml").write_text(text)
        command = [str(labs.program("mpbench")), "doctor", "--lg-env", str(tmp_path / "x.yaml")]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=labs.RUN_S)
    finally:
        boards.stop(board)
    assert (done.returncode, done.stderr) == (3, ""), done.stdout + done.stderr
    switch = f"power switch (NetworkPowerDriver, http://{board.address}:1/{{index}}, index 0)"
    assert f"  WRONG power: {switch}: power command `get` failed: Connection refused\n" in done.stdout
    for name in ("boot", "secure console"):
        assert f"  -     {name}: skipped: `power` must pass first\n" in done.stdout
    assert "  ok    linux console: Linux\n" in done.stdout
    assert done.stdout.count("WRONG") == 1
    assert done.stdout.count("skipped") == 2


@pytest.fixture(scope="module")
def linux() -> Iterator[doctor_linux.BoardLinux]:
    """Linux of a virtual board that is up."""
    check_environment(str(TARGET))
    target = Environment(str(TARGET)).get_target("main")
    target.get_driver("Strategy").transition("shell")
    yield doctor_linux.BoardLinux(
        target.get_driver("SessionDriver"),
        target.get_driver("RemoteprocDriver"),
        load_profile(labs.PROFILE),
    )
    target.cleanup()


@contextlib.contextmanager
def spoilt(linux: doctor_linux.BoardLinux, spoil: str, mend: str) -> Iterator[None]:
    """The board after a command, until the block ends."""
    assert linux.session.execute(spoil).code == 0
    try:
        yield
    finally:
        assert linux.session.execute(mend).code == 0


def finding(linux: doctor_linux.BoardLinux, name: str) -> doctor.Finding:
    """Result of one check."""
    (check,) = [check for check in doctor_linux.linux_checks(lambda: linux) if check.name == name]
    (found,) = doctor.examine([doctor.HealthCheck(name, check.run, (), check.section, check.advice)])
    return found


SYSFS = "/sys/class/remoteproc/remoteproc0"
HIDE, SHOW = "mount -t tmpfs -o ro none /sys/kernel", "umount /sys/kernel"
"""A kernel without tracefs and debugfs: there is nowhere to mount them."""
SPOILT = [
    ("devmem", "mv /dev/mem /dev/x", "mv /dev/x /dev/mem", "no /dev/mem that can be written"),
    ("tracing", HIDE, SHOW, "no tracefs: /sys/kernel/tracing/README: ENOENT"),
    ("debugfs", HIDE, SHOW, "no /sys/kernel/debug/remoteproc"),
    (
        "permissions",
        "mount -o remount,ro /sys",
        "mount -o remount,rw /sys",
        f"root may not write {SYSFS}/state, ",
    ),
    ("tee", "mv /dev/tee0 /dev/x", "mv /dev/x /dev/tee0", "no /dev/tee0"),
    (
        "recovery",
        f"echo disabled >{SYSFS}/recovery",
        f"echo enabled >{SYSFS}/recovery",
        "recovery is not enabled: ",
    ),
    (
        "space",
        "dd if=/dev/zero of=/tmp/x bs=1M 2>/dev/null; [ -s /tmp/x ]",
        "rm /tmp/x",
        "0 MB free in /tmp",
    ),
    (
        "firmware directory",
        "mv /lib/firmware /lib/x && ln -s /proc/none /lib/firmware && mv /run /x && ln -s /proc/none /run",
        "rm /run /lib/firmware && mv /x /run && mv /lib/x /lib/firmware",
        "no writable firmware directory (nor /lib/firmware): ",
    ),
]


@pytest.mark.parametrize(("name", "spoil", "mend", "found"), SPOILT, ids=lambda text: text.split()[0])
def test_a_spoilt_board_is_seen(linux: doctor_linux.BoardLinux, name: str, spoil: str, mend: str, found: str):
    """What is wrong is found while it is wrong, and only then."""
    with spoilt(linux, spoil, mend):
        linux.remoteproc._firmware_directory = ""
        seen = finding(linux, name)
    assert not seen.ok
    assert seen.found.startswith(found)
    assert seen.remedy
    linux.remoteproc._firmware_directory = ""
    assert finding(linux, name).ok


def test_a_board_with_a_date_is_compared(linux: doctor_linux.BoardLinux):
    """The difference is one of two dates; without a date there is none."""
    assert finding(linux, "clock").found == "the board has no date; the bench needs none"
    with spoilt(linux, "date -s 2026-11-28", "date -s 1970-01-01"):
        assert finding(linux, "clock").found.endswith(" s from the host's clock")
