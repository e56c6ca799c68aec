# SPDX-License-Identifier: MIT
"""The doctor: every step says what it saw, and what to do if it is not well."""

from importlib import metadata
from types import SimpleNamespace

import pytest
from labgrid.strategy import StrategyError

from mpbench.board.session.shell_protocol import Reply
from mpbench.commands import doctor, main
from mpbench.core.errors import InfrastructureError
from mpbench.layout import TA_UUID


def looked(step):
    """The one finding of a step."""
    (finding,) = doctor.examine([("step", step)], all_of_them=True)
    return finding


def raising(error):
    def look():
        raise error

    return look


def test_after_a_failure_the_rest_of_a_board_is_not_tried():
    """What needs a step that failed is named as not tried, with the step that has to be well first."""
    steps = [("a", lambda: "fine"), ("b", raising(InfrastructureError("no power"))), ("c", lambda: "fine")]
    found = list(doctor.examine(steps, all_of_them=False))
    assert [(f.name, f.ok, f.tried) for f in found] == [
        ("a", True, True),
        ("b", False, True),
        ("c", False, False),
    ]
    assert found[1].found == "no power"
    assert found[1].remedy == "see `b` in targets/README.md"
    assert found[2].found == "skipped: `b` must pass first"
    assert [f.ok for f in doctor.examine(steps, all_of_them=True)] == [True, False, True]


def test_a_broken_strategy_is_told_by_its_cause():
    """labgrid's "is in broken state" hides what broke it."""
    error = StrategyError("STM32MPStrategy is in broken state")
    error.__cause__ = InfrastructureError("no SSH server answers")
    assert looked(raising(error)).found == "no SSH server answers"
    assert looked(raising(KeyError("x"))).found == "KeyError: 'x'"


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (lambda: doctor.python((3, 10, 1)), "Python 3.10.1"),
        (lambda: doctor.program("make", lambda _: None), "not found"),
        (lambda: doctor.serial_library({"pyserial-labgrid": "3", "pyserial": "3.5"}.__getitem__), ""),
    ],
)
def test_a_host_that_lacks_something_is_told_what_to_do(step, words):
    """Version or name of what is wrong, and a command that repairs it."""
    finding = looked(step)
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
    """The original package overwrites the fork under the same import name: it is found and named."""
    assert looked(lambda: doctor.serial_library(versions(pyserial_labgrid="3.5"))).ok
    both = looked(lambda: doctor.serial_library(versions(pyserial_labgrid="3.5", pyserial="3.4")))
    assert both.found == "pyserial 3.4 overwrites labgrid's pyserial-labgrid"
    assert both.remedy.startswith("pip uninstall pyserial;")
    assert looked(lambda: doctor.serial_library(versions())).found == "pyserial-labgrid is missing"


def test_a_shared_private_key_is_found(tmp_path):
    """Only private keys count; public ones anybody may read; none at all is enough for virtual boards."""
    assert "enough for virtual boards" in looked(lambda: doctor.configuration(tmp_path / "none")).found
    (tmp_path / "known_hosts").write_text("x")
    assert looked(lambda: doctor.configuration(tmp_path)).ok
    key = tmp_path / "ssh_key"
    key.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    key.chmod(0o644)
    finding = looked(lambda: doctor.configuration(tmp_path))
    assert finding.remedy == f"chmod 600 {key}"
    key.chmod(0o600)
    assert looked(lambda: doctor.configuration(tmp_path)).ok


def test_a_full_disk_is_told_in_numbers(tmp_path):
    """Megabytes that are left, where, and how many are needed; the directory need not be there yet."""
    full = looked(lambda: doctor.disk(tmp_path / "a" / "b", lambda _: SimpleNamespace(free=3_000_000)))
    assert full.found == f"3 MB left below {tmp_path}"
    assert "500 MB" in full.remedy
    assert looked(lambda: doctor.disk(tmp_path, lambda _: SimpleNamespace(free=10**12))).ok


class PlayedTarget:
    """Drivers of a board that is up, with what is wrong with it."""

    def __init__(self, **wrong) -> None:
        self.wrong = wrong
        self.drivers = [SimpleNamespace(name="console"), SimpleNamespace(name="secure")]
        self.files = {doctor.TRACING[0]: b"hist:keys=\n", doctor.TRACING[1]: "ENOENT"}

    def get_driver(self, _cls, name=None):
        return SimpleNamespace(
            name=name,
            cores=lambda: self.wrong.get("cores", ["m33", "m0"]),
            core_state=lambda _: self.wrong.get("state", "offline"),
            manager=lambda _: SimpleNamespace(name=self.wrong.get("manager", "TEE")),
            firmware_path=lambda name: f"/lib/firmware/{name}",
            since=lambda _: self.wrong.get("heard", b"D/TC: hello"),
        )

    def execute(self, command, _timeout_s=None):
        text = self.wrong.get("tee", f"/dev/tee0\n/sys/bus/tee/devices/optee-ta-{TA_UUID}\n")
        return Reply(0, ("0\n" if "date" in command else text).encode(), b"")

    def read_many(self, paths):
        return {path: self.wrong.get("tracing", self.files[path]) for path in paths}


@pytest.fixture
def checked(monkeypatch):
    """A checked who came as far as SSH, with something wrong."""
    cores = [SimpleNamespace(name="m33"), SimpleNamespace(name="m0")]
    monkeypatch.setattr(doctor, "profile_of", lambda _: SimpleNamespace(name="x", cores=cores))

    def make(**wrong):
        found = doctor.BoardCheck("x.yaml")
        found._target = found._session = PlayedTarget(**wrong)
        return found

    return make


@pytest.mark.parametrize(
    ("step", "wrong", "found", "remedy"),
    [
        ("tee", {"tee": ""}, "no /dev/tee0", "CONFIG_OPTEE"),
        ("tee", {"tee": "/dev/tee0\n"}, f"no application {TA_UUID}", "CFG_REMOTEPROC_PTA=y"),
        ("cores", {"cores": ["m33"]}, "the kernel knows m33; missing: m0", "okay"),
        ("cores", {"cores": []}, "the kernel knows no core; missing: m33, m0", "okay"),
        ("cores", {"state": "running"}, "m33 is running, m0 is running", "no auto-boot"),
        ("manager", {"manager": "LINUX"}, "Linux manages m33, m0 itself", "ends in -tee"),
        ("tracing", {"tracing": "ENOENT"}, "no tracing", "CONFIG_FTRACE"),
        ("tracing", {"tracing": b"nothing"}, "no histogram triggers", "CONFIG_HIST_TRIGGERS"),
        ("secure", {"heard": b""}, "not a byte", "wire it"),
    ],
)
def test_a_board_that_lacks_something_is_told_what_to_do(checked, step, wrong, found, remedy):
    """What the board shows, and what would make it well; without the fault the same step is well."""
    finding = looked(getattr(checked(**wrong), step))
    assert found in finding.found
    assert remedy in finding.remedy
    assert looked(getattr(checked(), step)).ok


def test_a_board_without_a_clock_is_no_patient(checked):
    """A board that believes in 1970 is fine for the bench, and it is said by how much it is off."""
    finding = looked(checked().clock)
    assert finding.ok
    assert "s off the host's: fine for the bench" in finding.found


def test_a_target_that_is_none_ends_the_examination(tmp_path, capsys):
    """The first step fails, fourteen are not tried, the code is 3."""
    assert main.main(["doctor", "--lg-env", str(tmp_path / "none.yaml")]) == 3
    said = capsys.readouterr().out
    assert "WRONG environment: " in said
    assert "none.yaml: no such file" in said
    assert said.count("skipped: `environment` must pass first") == 14
