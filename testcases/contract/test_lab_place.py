# SPDX-License-Identifier: MIT
"""A lab's target file as it is, on a virtual board that a coordinator and an exporter offer as a place."""

import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mpbench_virtual import boards, keys
from mpbench_virtual.paths import BASE_PORT
from mpbench_virtual.process import PORTS
from mpbench_virtual.steps import quiet
from testcases.contract import labs

pytestmark = pytest.mark.slow

TARGET = labs.CHECKOUT / "targets" / f"{labs.SOC.name}.yaml"
EXAMPLE = labs.CHECKOUT / "targets" / "exporter-example.yaml"
PLACE = "virtual-1"
EXPORTED = ["NetworkPowerPort", "NetworkSerialPort", "NetworkSerialPort", "NetworkService"]
READY_S = 180.0


class Lab:
    """A coordinator, an exporter with one virtual board, and a user with keys."""

    def __init__(self, directory: Path, board: boards.StartedBoard) -> None:
        self.directory = directory
        self.board = board
        self.config = directory / "config"
        variables = {"LG_PLACE": PLACE, "MPBENCH_CONFIG": str(self.config), "MPBENCH_PROFILE": labs.PROFILE}
        self.bench = labs.Bench(TARGET, directory, variables)
        self.processes: list[subprocess.Popen[str]] = []

    def open(self) -> None:
        """Start everything; the place is there, and is not acquired."""
        self.coordinator = self.bench.variables["LG_COORDINATOR"] = self._coordinate()
        self._export()
        self.client("create")
        self.client("add-match", f"*/{PLACE}/*")

    def _coordinate(self) -> str:
        """Start the coordinator on a free port; where it listens."""
        process = self._start("labgrid-coordinator", "-l", "127.0.0.1:0", stdout=subprocess.PIPE)
        watchdog = threading.Timer(READY_S, process.kill)
        watchdog.start()
        found = re.match(r"listening on (127\.0\.0\.1:\d+)$", process.stdout.readline())
        watchdog.cancel()
        assert found, self._log("labgrid-coordinator")
        return found[1]

    def _export(self) -> None:
        """Export the group of the example that is about a virtual board, at this board's address.

        Where Linux and OP-TEE share a UART, it is exported under both names.
        """
        group = EXAMPLE.read_text().partition(f"\n{PLACE}:")[2].replace("127.0.0.1", self.board.address)
        if "secure" not in self.board.ports:
            group = group.replace(str(BASE_PORT + PORTS["secure"]), str(self.board.ports["console"]))
        file = self.directory / "exporter.yaml"
        file.write_text(f"{PLACE}:{group}")
        self._start("labgrid-exporter", "-c", self.coordinator, "--name", "labhost", str(file))
        for _ in range(20):  # no event announces an exporter's resources; each try is a process
            known = re.findall(rf"^labhost/{PLACE}/(\w+)", self.client("resources"), re.MULTILINE)
            if sorted(known) == EXPORTED:
                return
        raise AssertionError(self._log("labgrid-exporter"))

    def _start(self, name: str, *arguments: str, stdout: int | None = None) -> "subprocess.Popen[str]":
        """A program of labgrid that doesn't outlive this test, whatever becomes of it."""
        (self.directory / name).mkdir()
        command = ["setpriv", "--pdeathsig", "KILL", str(labs.program(name)), *arguments]
        with (self.directory / f"{name}.log").open("w") as log:
            process = subprocess.Popen(
                command, cwd=self.directory / name, stdout=stdout or log, stderr=log, text=True
            )
        self.processes.append(process)
        return process

    def _log(self, name: str) -> str:
        return (self.directory / f"{name}.log").read_text()

    def client(self, *arguments: str) -> str:
        """What labgrid-client printed."""
        done = self.bench.call(labs.COMMAND_S, str(labs.program("labgrid-client")), *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def close(self) -> None:
        """End the programs, the last one first."""
        for process in reversed(self.processes):
            process.terminate()
            try:
                process.wait(READY_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout:
                process.stdout.close()


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[boards.StartedBoard]:
    """A virtual board, off."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("boards")))
        up = boards.start(labs.KIND.name, PLACE, quiet, lifeline=True)
        yield up
        boards.stop(up)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, board: boards.StartedBoard) -> Iterator[Lab]:
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


def test_a_place_that_nobody_acquired_is_told_in_one_line(lab: Lab):
    """The bench never acquires a place; the first test says so and how to do it, the others are blocked."""
    done = lab.bench.run("testcases/test_identity.py")
    assert done.returncode == 3, done.stdout + done.stderr
    reason = (
        f"coordinator {lab.coordinator}: place {PLACE} is not acquired; "
        f"first `labgrid-client -p {PLACE} acquire`, afterwards `release`"
    )
    ends = lab.bench.ends()
    assert ends.pop("test_identity_is_recorded") == ("INFRA", reason)
    assert set(ends.values()) == {("BLOCKED", reason)}
    assert f"INFRA: {reason}" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_a_place_that_does_not_exist_is_told_in_one_line(lab: Lab):
    """A misspelt place is named, with the command that lists those there are."""
    done = lab.bench.run("testcases/test_identity.py", LG_PLACE="none")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "place pattern none matches nothing; `labgrid-client places` lists all places" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_a_coordinator_that_is_not_there_is_told_in_one_line(lab: Lab):
    """No coordinator: its address is named, and nothing else is tried."""
    done = lab.bench.run("testcases/test_identity.py", LG_COORDINATOR="127.0.0.1:1")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "INFRA: coordinator 127.0.0.1:1: Could not connect to coordinator" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_a_lab_s_file_runs_as_it_is_on_a_virtual_board_behind_a_place(lab: Lab, board: boards.StartedBoard):
    """Enrolled, acquired, run, released: every verdict is PASS, and the report names the board as virtual."""
    labs.boot(board)
    enrolled = lab.bench.mpbench("enrol", board.address, str(board.ports["ssh"]))
    assert enrolled.returncode == 0, enrolled.stderr
    assert f"pinned in {lab.config / 'known_hosts'}: ssh-ed25519 SHA256:" in enrolled.stdout
    lab.client("acquire")
    try:
        cases = ("testcases/test_identity.py", "testcases/test_deploy.py")
        done = lab.bench.run(*cases, "-k", "not flipped and not wrong_key")
    finally:
        lab.client("release")
    assert done.returncode == 0, done.stdout + done.stderr
    ends = lab.bench.ends()
    for case in ("test_signed_firmware_runs", "test_unsigned_elf_is_refused"):
        assert {f"{case}[{core}]" for core in labs.KIND.cores} <= set(ends)
    assert "test_identity_is_recorded" in ends
    assert {verdict for verdict, _ in ends.values()} == {"PASS"}
    about = next(line for line in lab.bench.record() if line["kind"] == "provenance")
    assert about["virtual"] is True
    assert about["entries"]["place"] == PLACE
    assert re.match(rf"{PLACE} \S+/\S+ \d{{4}}-\d\d-\d\dT", about["epoch"])
    assert about["entries"]["model"].startswith(f"mpbench virtual STM32{labs.SOC.name.upper()}")
    assert about["entries"]["profile"] == labs.PROFILE
    assert about["entries"]["target file"].startswith(f"{labs.SOC.name}.yaml sha256 ")
    assert "proven under emulation" in lab.bench.page()
