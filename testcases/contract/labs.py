# SPDX-License-Identifier: MIT
"""Runs of the bench as a user starts them, on a board that is up already: commands, environment, record."""

import json
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from mpbench.board.session.link import greeted
from mpbench_virtual import boards
from mpbench_virtual.cli import power
from mpbench_virtual.models import KINDS

CHECKOUT = Path(__file__).resolve().parents[2]
KIND = KINDS[os.environ.get("MPBENCH_KIND", "mp25")]
"""Kind of virtual board in these tests of labs and desks; `make mp15` selects another."""
SOC = KIND.soc
PROFILE = f"virtual-{SOC.name}"
BOOT_S, COMMAND_S, RUN_S = 120.0, 60.0, 300.0
LOOK_S = 0.2


def program(name: str) -> Path:
    """A program of this Python's environment."""
    return Path(sys.executable).with_name(name)


def boot(board: boards.StartedBoard) -> None:
    """Switch the board on and poll its SSH server until it answers."""
    power(board, True)
    pause = threading.Event()
    for _ in range(int(BOOT_S / LOOK_S)):
        if connection := greeted(board.address, board.ports["ssh"], 1.0):
            connection.close()
            return
        pause.wait(LOOK_S)
    raise AssertionError(f"the virtual board has not booted within {BOOT_S:g} s")


class Bench:
    """Runs of the bench with one target file and set of variables, without the variables of this run."""

    def __init__(self, target: Path, directory: Path, variables: dict[str, str]) -> None:
        self.target = target
        self.directory = directory
        self.variables = variables
        self.runs = directory / "none"

    def run(self, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        """Run pytest on the board; record(), ends() and page() then read what it wrote."""
        self.runs = Path(tempfile.mkdtemp(prefix="runs-", dir=self.directory))
        plugins = ["-p", "no:cacheprovider", "-p", "no:hypothesispytest"]
        command = [sys.executable, "-m", "pytest", *plugins, "--lg-env", str(self.target)]
        return self.call(RUN_S, *command, *arguments, MPBENCH_REPORTS=str(self.runs), **variables)

    def mpbench(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run the command mpbench."""
        return self.call(COMMAND_S, str(program("mpbench")), *arguments)

    def call(self, timeout_s: float, *command: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        """Run a command in the environment of these runs."""
        env = {k: v for k, v in os.environ.items() if not k.startswith(("LG_", "MPBENCH_", "PYTEST_"))}
        return subprocess.run(
            command,
            cwd=CHECKOUT,
            env=env | self.variables | variables,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
        )

    def record(self) -> list[dict]:
        """The lines of the last run's record."""
        (file,) = self.runs.glob("*/record.jsonl")
        return [json.loads(line) for line in file.read_text().splitlines()]

    def ends(self) -> dict[str, tuple[str, str]]:
        """Verdict and reason of each test."""
        found = [line for line in self.record() if line["kind"] == "test-end"]
        return {line["test"].split("::")[1]: (line["verdict"], line["reason"]) for line in found}

    def page(self) -> str:
        """The last run's page."""
        (file,) = self.runs.glob("*/index.html")
        return file.read_text()
