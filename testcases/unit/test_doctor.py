# SPDX-License-Identifier: MIT
"""`mpbench doctor`: every check reports what it found, and a remedy if it failed."""

import re
import time
from importlib import metadata
from types import SimpleNamespace
from typing import Any

import pytest
from labgrid.strategy import StrategyError

from mpbench.board.session.shell_protocol import Reply
from mpbench.commands import doctor, main
from mpbench.core.errors import InfrastructureError, UsageError
from mpbench.layout import TA_UUID


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
    assert found[1].remedy == "see `b` in targets/README.md, When something is wrong"
    assert found[2].found == found[3].found == "skipped: `b` must pass first"


def test_every_check_needs_earlier_ones():
    """So that each is reached after what it needs."""
    names = list[str]()
    for check in doctor.BoardCheck("x.yaml").checks():
        assert set(check.needs) <= set(names), check.name
        names.append(check.name)


def test_a_dead_switch_leaves_a_board_that_is_up(checked):
    """Consoles and SSH are tried whatever the switch does; OP-TEE's log since power on is not."""
    board = checked(power="dead", strategy="used")
    before = ("environment", "profile", "place", "signing key", "firmware")
    checks = [check for check in board.checks() if check.name not in before]
    found = {finding.name: finding for finding in doctor.examine(checks)}
    assert found["power"].found == "the switch does not answer"
    assert found["secure console"].found == "skipped: `power` must pass first"
    assert {f.name for f in found.values() if not f.ok} == {"power", "secure console"}


def test_a_broken_strategy_is_reported_by_its_cause():
    """labgrid's "is in broken state" hides what broke it."""
    error = StrategyError("STM32MPStrategy is in broken state")
    error.__cause__ = InfrastructureError("no SSH server answers")
    assert result(raising(error)).found == "no SSH server answers"
    assert result(raising(KeyError("x"))).found == "KeyError: 'x'"


def test_a_mistake_in_the_target_file_is_corrected_there():
    """The message names file and mistake, which is no fault of board or lab."""
    finding = result(raising(UsageError("x.yaml: unknown driver 'NoSuchDriver'")))
    assert finding.found == "x.yaml: unknown driver 'NoSuchDriver'"
    assert finding.remedy.startswith("correct the target file, or set its variables; see `")


@pytest.mark.parametrize(
    ("check", "words"),
    [
        (lambda: doctor.python((3, 10, 1)), "Python 3.10.1"),
        (lambda: doctor.program("make", lambda _: None), "not found"),
        (lambda: doctor.serial_library({"pyserial-labgrid": "3", "pyserial": "3.5"}.__getitem__), ""),
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
    assert result(lambda: doctor.serial_library(versions(pyserial_labgrid="3.5"))).ok
    both = result(lambda: doctor.serial_library(versions(pyserial_labgrid="3.5", pyserial="3.4")))
    assert both.found == "pyserial 3.4 overwrites labgrid's pyserial-labgrid"
    assert both.remedy.startswith("pip uninstall pyserial;")
    assert result(lambda: doctor.serial_library(versions())).found == "pyserial-labgrid is missing"


def test_a_shared_private_key_is_found(tmp_path):
    """Only private keys count; virtual boards need none."""
    none = result(lambda: doctor.configuration(tmp_path / "none"))
    assert none.found == f"no {tmp_path / 'none'}, which virtual boards do not need"
    (tmp_path / "known_hosts").write_text("x")
    assert result(lambda: doctor.configuration(tmp_path)).ok
    key = tmp_path / "ssh_key"
    key.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    key.chmod(0o644)
    finding = result(lambda: doctor.configuration(tmp_path))
    assert finding.found == f"private key {key} is readable by others"
    assert finding.remedy == f"chmod 600 {key}"
    key.chmod(0o600)
    assert result(lambda: doctor.configuration(tmp_path)).ok


def test_a_full_disk_is_reported_in_numbers(tmp_path):
    """Free megabytes, where, and how many are needed; the directory need not exist yet."""
    full = result(lambda: doctor.disk(tmp_path / "a" / "b", lambda _: SimpleNamespace(free=3_000_000)))
    assert full.found == f"3 MB free below {tmp_path}"
    assert "500 MB" in full.remedy
    assert result(lambda: doctor.disk(tmp_path, lambda _: SimpleNamespace(free=10**12))).ok


class PlayedTarget:
    """Drivers of a board that is up, with faults."""

    def __init__(self, **wrong) -> None:
        self.wrong = wrong
        self.drivers = [SimpleNamespace(name="console"), SimpleNamespace(name="secure")]
        self.files = {doctor.TRACING[0]: b"hist:keys=\n", doctor.TRACING[1]: "ENOENT"}

    def get_driver(self, cls, name=None):
        if cls == "SessionDriver":
            return self
        return SimpleNamespace(
            name=name,
            get=lambda: self.fail("power"),
            transition=lambda _: self.fail("strategy"),
            cores=lambda: self.wrong.get("cores", ["m33", "m0"]),
            core_state=lambda _: self.wrong.get("state", "offline"),
            manager=lambda _: SimpleNamespace(name=self.wrong.get("manager", "TEE")),
            firmware_path=lambda name: f"/lib/firmware/{name}",
            since=lambda _: self.wrong.get("output", b"I/TC: OP-TEE version: 4.10\r\nI/TC: Primary CPU\r\n"),
        )

    boot_id = "b-1"

    def fail(self, part):
        if part in self.wrong:
            raise InfrastructureError("the switch does not answer")
        return True

    def execute(self, command, _timeout_s=None):
        text = self.wrong.get("tee", f"/dev/tee0\n/sys/bus/tee/devices/optee-ta-{TA_UUID}\n")
        date = f"{self.wrong.get('date_s', time.time() - 3650):.0f}\n"
        return Reply(0, (date if "date" in command else text).encode(), b"")

    def read_many(self, paths):
        return {path: self.wrong.get("tracing", self.files[path]) for path in paths}


@pytest.fixture
def checked(monkeypatch):
    """Checks of a board that is up, with faults."""
    cores = [SimpleNamespace(name="m33"), SimpleNamespace(name="m0")]
    monkeypatch.setattr(doctor, "profile_of", lambda _: SimpleNamespace(name="x", cores=cores))

    def make(**wrong):
        found = doctor.BoardCheck("x.yaml")
        played: Any = PlayedTarget(**wrong)
        found._target = found._session = played
        return found

    return make


@pytest.mark.parametrize(
    ("check", "wrong", "found", "remedy"),
    [
        ("tee", {"tee": ""}, "no /dev/tee0", "CONFIG_OPTEE"),
        ("tee", {"tee": "/dev/tee0\n"}, f"no application {TA_UUID}", "CFG_REMOTEPROC_PTA=y"),
        ("cores", {"cores": ["m33"]}, "Linux has m33; missing: m0", "okay"),
        ("cores", {"cores": []}, "Linux has no core; missing: m33, m0", "okay"),
        ("cores", {"state": "running"}, "m33 is running, m0 is running", "no auto-boot"),
        ("manager", {"manager": "LINUX"}, "Linux manages m33, m0 itself", "ends in -tee"),
        ("tracing", {"tracing": "ENOENT"}, "no tracing", "CONFIG_FTRACE"),
        ("tracing", {"tracing": b"nothing"}, "no histogram triggers", "CONFIG_HIST_TRIGGERS"),
        ("optee_console", {"output": b""}, "0 bytes since power on, no line of OP-TEE", "check its wiring"),
        ("optee_console", {"output": b"login: \n"}, "8 bytes since power on, no line of OP-TEE", "LOG_LEVEL"),
    ],
)
def test_a_failed_check_of_the_board_has_a_remedy(checked, check, wrong, found, remedy):
    """What the board shows, and a remedy; without the fault the check passes."""
    finding = result(getattr(checked(**wrong), check))
    assert found in finding.found
    assert remedy in finding.remedy
    assert result(getattr(checked(), check)).ok


def test_a_board_without_a_date_passes(checked):
    """A board without a clock counts from 1970, which is no difference worth a number."""
    for date_s in (0, 86_400 * 365):
        finding = result(checked(date_s=date_s).clock)
        assert (finding.ok, finding.found) == (True, "the board has no date; the bench needs none")
    assert re.fullmatch(r"-36\d\d\.\d s from the host's clock", result(checked().clock).found)


def test_the_default_of_a_documented_variable_is_known(tmp_path, monkeypatch):
    """A target file may name $MPBENCH_CONFIG, whether or not it is set."""
    monkeypatch.setenv("MPBENCH_CONFIG", "")  # so that it is restored
    monkeypatch.delenv("MPBENCH_CONFIG")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    path = tmp_path / "x.yaml"
    path.write_text("targets: {main: {}}\noptions: {bench_signing_key: $MPBENCH_CONFIG/firmware_key.pem}\n")
    board = doctor.BoardCheck(str(path))
    board.environment()
    board._target = SimpleNamespace(env=SimpleNamespace(config=board._config), resources=[])
    finding = result(board.signing_key)
    assert finding.found == f"no {tmp_path / 'mpbench' / 'firmware_key.pem'}"


def test_an_unknown_driver_is_a_mistake_in_the_target_file(tmp_path):
    """It is found when the file is read; it is no fault of the place."""
    path = tmp_path / "x.yaml"
    path.write_text("targets: {main: {drivers: {NoSuchDriver: {}}}}\n")
    finding = result(doctor.BoardCheck(str(path)).environment)
    assert finding.found == (
        f"{path}: no driver class `NoSuchDriver`; if it is yours, add its module to `imports`"
    )
    assert finding.remedy.startswith("correct the target file, or set its variables; see `")


def test_a_missing_target_file_skips_all_checks_of_the_board(tmp_path, capsys):
    """The first check fails, fourteen are skipped, the exit code is 2."""
    assert main.main(["doctor", "--lg-env", str(tmp_path / "none.yaml")]) == 2
    output = capsys.readouterr().out
    assert "WRONG environment: " in output
    assert "none.yaml: no such file" in output
    assert output.count("skipped: `environment` must pass first") == 14
