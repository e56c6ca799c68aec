# SPDX-License-Identifier: MIT
"""targets/mp25.yaml as it is, on a virtual board that a labgrid coordinator and exporter offer as a place."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.board.link import answers
from bench.virtual import boards, keys
from bench.virtual.cli import power

pytestmark = pytest.mark.slow

CHECKOUT = Path(__file__).resolve().parents[2]
TARGET = CHECKOUT / "targets" / "mp25.yaml"
EXAMPLE = CHECKOUT / "targets" / "exporter-example.yaml"
PLACE = "virtual-1"
EXPORTED = ["NetworkPowerPort", "NetworkSerialPort", "NetworkSerialPort", "NetworkService"]
BOOT_S, READY_S, COMMAND_S, RUN_S = 120.0, 30.0, 60.0, 300.0


class Lab:
    """A coordinator, an exporter with one virtual board, and a user's directory with its keys."""

    def __init__(self, directory: Path, board: boards.Board) -> None:
        self.directory = directory
        self.board = board
        self.config = directory / "config"
        self.processes: list[subprocess.Popen[str]] = []
        self.coordinator = ""
        self.runs = directory / "none"

    def open(self) -> None:
        """Start everything; the place is there, and nobody has acquired it."""
        self.coordinator = self._coordinate()
        self._export()
        self.client("-p", PLACE, "create")
        self.client("-p", PLACE, "add-match", f"*/{PLACE}/*")

    def _start(self, name: str, *arguments: str) -> "subprocess.Popen[str]":
        """A program of labgrid that doesn't outlive this test, whatever becomes of it."""
        (self.directory / name).mkdir()
        command = ["setpriv", "--pdeathsig", "KILL", str(program(name)), *arguments]
        with (self.directory / f"{name}.log").open("w") as log:
            process = subprocess.Popen(
                command, cwd=self.directory / name, stdout=subprocess.PIPE, stderr=log, text=True
            )
        self.processes.append(process)
        return process

    def _coordinate(self) -> str:
        """Start the coordinator on a free port; where it listens."""
        process = self._start("labgrid-coordinator", "-l", "127.0.0.1:0")
        watchdog = threading.Timer(READY_S, process.kill)
        watchdog.start()
        found = re.match(r"listening on (127\.0\.0\.1:\d+)$", process.stdout.readline())
        watchdog.cancel()
        assert found, (self.directory / "labgrid-coordinator.log").read_text()
        return found[1]

    def _export(self) -> None:
        """Export the group of the example that is about a virtual board, at this board's address."""
        group = EXAMPLE.read_text().partition(f"\n{PLACE}:")[2].replace("127.0.0.1", self.board.address)
        (self.directory / "exporter.yaml").write_text(f"{PLACE}:{group}")
        arguments = ("-c", self.coordinator, "--name", "labhost", str(self.directory / "exporter.yaml"))
        self._start("labgrid-exporter", *arguments)
        for _ in range(20):  # nothing tells that an exporter's resources are known; each try is a process
            known = re.findall(rf"^labhost/{PLACE}/(\w+)", self.client("resources"), re.MULTILINE)
            if sorted(known) == EXPORTED:
                return
        raise AssertionError((self.directory / "labgrid-exporter.log").read_text())

    def client(self, *arguments: str) -> str:
        """What labgrid-client printed."""
        done = self._call(COMMAND_S, str(program("labgrid-client")), *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def mpbench(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return self._call(COMMAND_S, str(program("mpbench")), *arguments)

    def run(self, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        """The bench, as a user of the lab runs it; its record is what record() and ends() are about."""
        self.runs = Path(tempfile.mkdtemp(prefix="runs-", dir=self.directory))
        command = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--lg-env", str(TARGET))
        return self._call(RUN_S, *command, *arguments, **variables)

    def _call(self, timeout_s: float, *command: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        env = {k: v for k, v in os.environ.items() if not k.startswith(("LG_", "MPBENCH_", "PYTEST_"))}
        env |= {"LG_COORDINATOR": self.coordinator, "LG_PLACE": PLACE, "MPBENCH_CONFIG": str(self.config)}
        env |= {"MPBENCH_PROFILE": "virtual-mp25", "MPBENCH_REPORTS": str(self.runs)}
        return subprocess.run(
            command,
            cwd=CHECKOUT,
            env=env | variables,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
        )

    def record(self) -> list[dict]:
        """The lines of the run's record."""
        (file,) = self.runs.glob("*-mp25/record.jsonl")
        return [json.loads(line) for line in file.read_text().splitlines()]

    def ends(self) -> dict[str, tuple[str, str]]:
        """Verdict and reason of each test."""
        found = [line for line in self.record() if line["kind"] == "test-end"]
        return {line["test"].split("::")[1]: (line["verdict"], line["reason"]) for line in found}

    def close(self) -> None:
        for process in reversed(self.processes):
            process.terminate()
            try:
                process.wait(READY_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()


def program(name: str) -> Path:
    """A program of this Python's environment."""
    return Path(sys.executable).with_name(name)


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[boards.Board]:
    """A virtual board that is up, as somebody else left it in the lab: off."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("boards")))
        up = boards.start("mp25", PLACE, lambda *_: None, lifeline=True)
        yield up
        boards.stop(up)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, board: boards.Board) -> Iterator[Lab]:
    """A lab with that board; the user's keys are there, the board's host key is not pinned yet."""
    found = Lab(tmp_path_factory.mktemp("lab"), board)
    found.config.mkdir(mode=0o700)
    shutil.copy(keys.ssh_key(), found.config / "ssh_key")
    shutil.copy(keys.signing_key(), found.config / "firmware_key.pem")
    try:
        found.open()
        yield found
    finally:
        found.close()


def boot(board: boards.Board) -> None:
    """Switch the board on and wait for its SSH server, which sends no event that it is up."""
    power(board, True)
    pause = threading.Event()
    for _ in range(int(BOOT_S / 0.2)):
        if answers(board.address, board.ports["ssh"], 1.0):
            return
        pause.wait(0.2)
    raise AssertionError("the virtual board has not booted")


def test_a_place_that_nobody_acquired_is_told_in_one_line(lab: Lab):
    """The bench never acquires a place; the first test says so and how to do it, the others are blocked."""
    done = lab.run("testcases/test_identity.py")
    assert done.returncode == 3, done.stdout + done.stderr
    reason = (
        f"coordinator {lab.coordinator}: place {PLACE} is not acquired; "
        f"first `labgrid-client -p {PLACE} acquire`, afterwards `release`"
    )
    ends = lab.ends()
    assert ends.pop("test_identity_is_recorded") == ("INFRA", reason)
    assert set(ends.values()) == {("BLOCKED", reason)}
    assert f"INFRA: {reason}" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_a_place_that_does_not_exist_is_told_in_one_line(lab: Lab):
    """A misspelt place is named, with the command that lists those there are."""
    done = lab.run("testcases/test_identity.py", LG_PLACE="none")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "place pattern none matches nothing; `labgrid-client places` lists what there is" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_a_coordinator_that_is_not_there_is_told_in_one_line(lab: Lab):
    """No coordinator: its address is named, and nothing else is tried."""
    done = lab.run("testcases/test_identity.py", LG_COORDINATOR="127.0.0.1:1")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "INFRA: coordinator 127.0.0.1:1: Could not connect to coordinator" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_mp25_runs_as_it_is_on_a_virtual_board_behind_a_place(lab: Lab, board: boards.Board):
    """Enrolled, acquired, run, released: every verdict is PASS, and the report names the board as virtual."""
    where = (board.address, str(board.ports["ssh"]))
    boot(board)
    enrolled = lab.mpbench("enrol", *where)
    assert enrolled.returncode == 0, enrolled.stderr
    assert f"pinned in {lab.config / 'known_hosts'}: ssh-ed25519 SHA256:" in enrolled.stdout
    lab.client("-p", PLACE, "acquire")
    try:
        done = lab.run(
            "testcases/test_identity.py", "testcases/test_deploy.py", "-k", "not flipped and not wrong_key"
        )
    finally:
        lab.client("-p", PLACE, "release")
    assert done.returncode == 0, done.stdout + done.stderr
    ends = lab.ends()
    assert {"test_signed_firmware_runs[m33]", "test_signed_firmware_runs[m0]"} <= set(ends)
    assert {"test_unsigned_elf_is_refused[m33]", "test_identity_is_recorded"} <= set(ends)
    assert {verdict for verdict, _ in ends.values()} == {"PASS"}
    (about,) = [line for line in lab.record() if line["kind"] == "provenance"]
    assert about["virtual"] is True
    assert about["entries"]["model"] == "mpbench virtual STM32MP25"
    assert about["entries"]["profile"] == "virtual-mp25"
    assert about["entries"]["target file"].startswith("mp25.yaml sha256 ")
    assert "proven under emulation" in next(lab.runs.glob("*/index.html")).read_text()
