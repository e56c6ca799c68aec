# SPDX-License-Identifier: MIT
"""A lab on loopback: labgrid's own coordinator and exporters, places with tags, and boards that are played.

Every read of a played board is recorded with place and process, which shows who used it and when.
"""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mpbench.lab.unit import DIGITS
from testcases.contract import labs
from testcases.contract.test_plugin import HEADER, PLAYED

READY_S, NIGHT_S = 180.0, 480.0
LOGGED = """
    from mpbench.board.labgrid_decorators import active
    @active
    def read(self, path):
        with open(os.environ["LOOKS"], "a") as f:
            f.write(f"{os.environ['LG_PLACE']} {os.getpid()}\\n")
        return self.boot if path.endswith("boot_id") else b"1\\n"
"""
ENVIRONMENT = """
targets:
  main:
    resources:
      - RemotePlace: {name: !template $LG_PLACE}
    drivers:
      - SessionDriver: {}
      - RemoteprocDriver: {}
      - ConsoleRecorder: {name: console}
      - ConsoleRecorder: {name: secure}
      - PlayedStrategy: {}
options: {bench_profile: virtual-mp25, bench_signing_key: key.pem}
imports: [played.py]
"""
GATES = """
import os, pathlib
PLACE, DIR = os.environ["LG_PLACE"], pathlib.Path(os.environ["GATES"])
def gate(name):
    if (DIR / f"{PLACE}.{name}").exists():
        (DIR / f"{PLACE}.{name}.reached").touch()
        open(DIR / f"{PLACE}.{name}").read()
def first_time(name):
    try:
        (DIR / f"{PLACE}.{name}").touch(exist_ok=False)
    except FileExistsError:
        return False
    return True
"""
"""A gate is a pipe: a test that comes to it waits until it is opened."""


class NightLab:
    """Directory with everything; `nightly` runs plans in it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.processes: dict[str, subprocess.Popen[str]] = {}
        self.gates = directory / "gates"
        self.gates.mkdir()
        (directory / "run").mkdir(mode=0o700)
        self.variables = {
            "GATES": str(self.gates),
            "LOOKS": str(directory / "looks"),
            "TRIES": str(directory / "tries"),
            "XDG_RUNTIME_DIR": str(directory / "run"),
        }
        self._board()

    def _board(self) -> None:
        """The played board's environment."""
        played = re.sub(
            r"    def read\(self, path\):.*?(?=    def read_many)", lambda _: LOGGED, PLAYED, flags=re.DOTALL
        )
        assert LOGGED in played
        (self.directory / "played.py").write_text(played)
        (self.directory / "played.yaml").write_text(ENVIRONMENT)
        private = rsa.generate_private_key(65537, 2048)
        pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (self.directory / "key.pem").touch(0o600)
        (self.directory / "key.pem").write_bytes(pem)

    # --- labgrid --------------------------------------------------------------------------------------------

    def coordinate(self, address: str = "127.0.0.1:0") -> None:
        """Start the coordinator, or the same one again; it keeps its places in its directory."""
        process = self._start("coordinator", "labgrid-coordinator", "-l", address, stdout=subprocess.PIPE)
        watchdog = threading.Timer(READY_S, process.kill)
        watchdog.start()
        found = re.match(r"listening on (127\.0\.0\.1:\d+)$", process.stdout.readline())
        watchdog.cancel()
        assert found, (self.directory / "coordinator.log").read_text()
        self.coordinator = self.variables["LG_COORDINATOR"] = found[1]

    def places(self, *names: str) -> None:
        """Places that the coordinator finds in its directory when it starts: its own file."""
        content = {
            name: {
                "aliases": [],
                "comment": "",
                "tags": {"board": "played", "name": name, "what": name.partition("-")[0]},
                "matches": [{"exporter": "*", "group": name, "cls": "*", "name": "*", "rename": None}],
                "created": 1_795_000_000.0,
                "changed": 1_795_000_000.0,
            }
            for name in names
        }
        (self.directory / "coordinator.d").mkdir(exist_ok=True)
        (self.directory / "coordinator.d" / "places.yaml").write_text(json.dumps(content))  # JSON is YAML

    def export(self, groups: dict[str, dict], name: str = "exporter") -> None:
        """An exporter of the resources of places."""
        self.export_side_by_side({name: groups})

    def export_side_by_side(self, exporters: dict[str, dict[str, dict]], *, wait: bool = True) -> None:
        """Several of them; each takes a second until the coordinator knows what it has."""
        for name, groups in exporters.items():
            file = self.directory / f"{name}.yaml"
            file.write_text(json.dumps(groups))
            self._start(name, "labgrid-exporter", "-c", self.coordinator, "--name", name, str(file))
        wanted = [f"{name}/{place}/" for name, groups in exporters.items() for place in groups]

        def known() -> bool:
            found = self.client("resources")
            return all(text in found for text in wanted)

        if wait:
            self.until(known, f"resources of {', '.join(exporters)}")

    def _start(self, key: str, name: str, *arguments: str, stdout: int | None = None):
        """A program of labgrid that does not outlive this test."""
        (self.directory / f"{key}.d").mkdir(exist_ok=True)  # its places stand there
        command = ["setpriv", "--pdeathsig", "KILL", str(labs.program(name)), *arguments]
        with (self.directory / f"{key}.log").open("a") as log:
            cwd = self.directory / f"{key}.d"
            process = subprocess.Popen(command, cwd=cwd, stdout=stdout or log, stderr=log, text=True)
        self.processes[key] = process
        return process

    def kill(self, key: str) -> None:
        """SIGKILL to one of labgrid's programs."""
        process = self.processes[key]
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()

    def client(self, *arguments: str) -> str:
        """What labgrid-client printed."""
        command = [str(labs.program("labgrid-client")), *arguments]
        done = subprocess.run(
            command, env=self.env(), capture_output=True, text=True, check=False, timeout=READY_S
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def who(self) -> dict[str, str]:
        """Who has which place."""
        shown = self.client("-v", "places")
        blocks = re.split(r"^Place '([^']+)':$", shown, flags=re.MULTILINE)[1:]
        found = dict(zip(blocks[::2], blocks[1::2], strict=True))
        return {
            name: re.search(r"^\s*acquired: (.*)$", text, re.MULTILINE)[1] for name, text in found.items()
        }

    def close(self) -> None:
        """End everything, the last one first."""
        for key, process in reversed(self.processes.items()):
            if process.poll() is None:
                self.kill(key)
            elif process.stdout:
                process.stdout.close()

    # --- nights ---------------------------------------------------------------------------------------------

    def env(self) -> dict[str, str]:
        """Our variables and none of this run."""
        found = {k: v for k, v in os.environ.items() if not k.startswith(("LG_", "MPBENCH_", "PYTEST_"))}
        return found | self.variables

    def plan(self, tests: str, name: str = "plan", **more: Any) -> Path:
        """A plan of one job for all places, with these tests."""
        file = self.directory / f"test_{name}.py"
        file.write_text(HEADER + GATES + tests)
        job: dict[str, Any] = {
            "name": "job",
            "target": "played.yaml",
            "tags": {"board": "played"},
            "tests": [str(file)],
        }
        job |= more.pop("job", {})
        content = {"coordinator": self.coordinator, "reports": f"nights-{name}", "jobs": [job]}
        content |= {"retry_after_s": 0.5, **more}
        path = self.directory / f"{name}.yaml"
        path.write_text(json.dumps(content))
        return path

    def begin(self, plan: Path, *arguments: str) -> "subprocess.Popen[str]":
        """`mpbench nightly`, started; it is interrupted if this test is killed."""
        code = "import sys; from mpbench.commands.main import main; sys.exit(main(sys.argv[1:]))"
        guard = ["setpriv", "--pdeathsig", "TERM"]
        command = [*guard, sys.executable, "-c", code, "nightly", str(plan), *arguments]
        return subprocess.Popen(
            command,
            env=self.env(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def nightly(self, plan: Path, *arguments: str) -> tuple[int, str]:
        """`mpbench nightly`: its exit code and what it said."""
        return finished(self.begin(plan, *arguments))

    def ends(self, plan: Path) -> dict[tuple[str, str], list[str]]:
        """Verdicts of every test in every run of a plan's nights, by unit and test, in order."""
        found: dict[tuple[str, str], list[str]] = {}
        for log in sorted((self.directory / f"nights-{plan.stem}").glob("*/runs/*/*/record.jsonl")):
            for line in map(json.loads, log.read_text().splitlines()):
                if line["kind"] == "test-end":
                    key = (log.parents[1].name[: -DIGITS - 1], line["test"].rpartition("::")[2])
                    found.setdefault(key, []).append(line["verdict"])
        return found

    def summary(self, plan: Path) -> dict:
        """The merged report, as programs see it."""
        (file,) = (self.directory / f"nights-{plan.stem}").glob("*/summary.json")
        return json.loads(file.read_text())

    def page(self, plan: Path) -> str:
        """The merged page."""
        (file,) = (self.directory / f"nights-{plan.stem}").glob("*/index.html")
        return file.read_text()

    # --- gates and looks ------------------------------------------------------------------------------------

    def shut(self, place: str, name: str) -> None:
        """A gate at which a test will wait."""
        os.mkfifo(self.gates / f"{place}.{name}")

    def reached(self, place: str, name: str) -> None:
        """Wait until a test has come to the gate."""
        self.until((self.gates / f"{place}.{name}.reached").exists, f"the gate {name} of {place}")

    def open(self, place: str, name: str) -> None:
        """Let the test continue; no later test waits there."""
        path = self.gates / f"{place}.{name}"
        with contextlib.suppress(OSError), open(os.open(path, os.O_WRONLY | os.O_NONBLOCK), "w"):
            pass
        path.unlink()

    def looked(self, place: str) -> int:
        """How often anybody looked at a board so far."""
        return len(self._pids(place))

    def _pids(self, place: str) -> list[int]:
        path = self.directory / "looks"
        lines = path.read_text().splitlines() if path.exists() else []
        return [int(line.split()[1]) for line in lines if line.split()[0] == place]

    def looks(self, place: str) -> list[int]:
        """Processes that looked at a board, in order, one entry per turn."""
        pids = self._pids(place)
        return [pid for n, pid in enumerate(pids) if n == 0 or pids[n - 1] != pid]

    def until(self, condition, what: str, deadline_s: float = READY_S) -> None:
        """Poll what has no event: files and answers of other processes."""
        end = time.monotonic() + deadline_s
        while not condition():
            assert time.monotonic() < end, f"{what} did not come within {deadline_s:g} s"
            time.sleep(0.05)


def played(number: int) -> dict[str, dict]:
    """The resources of a played board; the address, this process' alone, is what its lock is named after."""
    high, low = divmod(os.getpid() % (64 << 8), 256)
    address = f"127.{128 + high}.{low}.{10 + number}"
    return {"ssh": {"cls": "NetworkService", "address": address, "username": "root"}}


def finished(process: "subprocess.Popen[str]") -> tuple[int, str]:
    """Exit code and output of a night; it is killed if it does not end."""
    try:
        out, _ = process.communicate(timeout=NIGHT_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, _ = process.communicate()
        raise AssertionError(f"the night did not end within {NIGHT_S:g} s:\n{out}") from None
    return process.returncode, out
