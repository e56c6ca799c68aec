# SPDX-License-Identifier: MIT
"""Faults 49 and 50: secrets by value, and bytes of a board, in whatever leaves the bench, terminal included.

Canaries are planted in every input: environment, options, target file, a resource's URL and password. Tests
do their worst with them: exceptions, differences, captured output, warnings, skips, a file that cannot be
imported. Afterwards every output is searched: both streams, all files of the run, pytest's own JUnit file.
"""

import json
import random
import re
import string
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mpbench.core.secrets import forget
from mpbench.lab.plan import load
from testcases.contract.test_plugin import ENVIRONMENT, Place

pytestmark = pytest.mark.slow

RESOURCES = """
    resources:
      - NetworkPowerPort: {{model: rest, host: 'http://admin:{power}@192.0.2.1/power/{{index}}', index: 0}}
      - NetworkService: {{address: 192.0.2.1, username: root, password: '{password}'}}
"""
WORST = """
import logging, os, warnings
TEXT = "; ".join([os.environ["LG_TOKEN"], os.environ["MY_API_KEY"], os.environ["RELAY"], os.environ["NOTE"],
                  open("played.yaml").read()])
def test_passes(bench):
    print(TEXT)
def test_assertion(bench):
    assert TEXT == "nothing"
def test_exception(bench):
    local = TEXT
    raise ValueError(local)
def test_lab(bench):
    raise InfrastructureError(f"GET {os.environ['RELAY']}: 500 Internal Server Error for {TEXT}")
def test_resource(bench, target):
    port = target.get_resource("NetworkPowerPort", wait_avail=False)
    raise BoardFailure(f"{port} {vars(port)} {vars(target.get_resource('NetworkService', wait_avail=False))}")
def test_skipped(bench):
    pytest.skip(TEXT)
def test_warning(bench):
    warnings.warn(TEXT)
def test_logged(bench):
    logging.getLogger("lab").warning(TEXT)
def test_property(bench, record_property):
    record_property("relay", TEXT)
def test_captured_and_failed(bench):
    import sys
    print(TEXT); print(TEXT, file=sys.stderr)
    assert False, TEXT
@pytest.fixture
def broken(bench):
    yield
    raise RuntimeError(TEXT)
def test_teardown(bench, broken):
    pass
@pytest.mark.parametrize("value", [TEXT[:40].encode().hex()])
def test_names(bench, value):
    raise KeyError(TEXT)
"""
UNIMPORTABLE = 'import os\nraise RuntimeError(os.environ["RELAY"] + os.environ["LG_TOKEN"])\n'


@pytest.fixture(scope="module")
def pem() -> bytes:
    """A signing key."""
    private = rsa.generate_private_key(65537, 2048)
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.fixture
def place(tmp_path: Path, pem: bytes) -> Place:
    return Place(tmp_path, pem)


def canary(chance: random.Random, odd: str = "") -> str:
    """A secret of 12 characters, some of them odd."""
    letters = string.ascii_letters + string.digits
    odd = odd or letters
    return "c4" + "".join(chance.choice(odd if n % 4 == 3 else letters) for n in range(10))


def outputs(directory: Path, done: "subprocess.CompletedProcess[str]") -> dict[str, bytes]:
    """Everything that left the bench, by name."""
    files = [p for folder in ("runs", "out") for p in (directory / folder).rglob("*") if p.is_file()]
    found = {str(p.relative_to(directory)): p.read_bytes() for p in files}
    return found | {"stdout": done.stdout.encode(), "stderr": done.stderr.encode()}


def test_49_planted_secrets_appear_nowhere(place: Place, chance: random.Random):
    """No output contains a canary, or its forms in URLs, JSON, HTML and repr(); the rest of it is there."""
    found = {
        "token": canary(chance, "!%+=,;"),
        "key": canary(chance),
        "relay": canary(chance, "!=,;"),
        "note": canary(chance),
        "power": canary(chance),
        "password": canary(chance, "!+=,;"),
    }
    (place.path / "played.yaml").write_text(
        ENVIRONMENT.replace("    resources: {}", RESOURCES.format_map(found).strip("\n"))
    )
    (place.path / "test_unimportable.py").write_text(UNIMPORTABLE)
    variables: dict[str, Any] = {
        "LG_TOKEN": found["token"],
        "MY_API_KEY": found["key"],
        "RELAY": f"http://user:{found['relay']}@192.0.2.7:8080/set",
        "NOTE": found["note"],
    }
    (place.path / "out").mkdir()
    done = place.run(
        WORST,
        *("--lg-env", "played.yaml", "--junitxml", "out/junit.xml", "-rA", "-vv", "--showlocals"),
        *("--debug", "out/debug.log", "--log-file=out/log.txt", "--setup-show", "--log-cli-level=INFO"),
        *("--continue-on-collection-errors", f"--bench-note=lab_token={found['note']}", "--durations=3"),
        *chance.choice([(), ("--tb=short",), ("-q",)]),
        **variables,
    )
    assert done.returncode in (1, 2), done.stdout + done.stderr
    everything = outputs(place.path, done)
    assert {"stdout", "out/junit.xml"} < set(everything)
    (record,) = (data for name, data in everything.items() if name.endswith("record.jsonl"))
    assert record.count(b"***") > 20
    for name in ("stdout", "out/junit.xml", "out/debug.log"):
        assert everything[name].count(b"***") > 20
    assert b"***" in everything["out/log.txt"]
    for name, secret in found.items():
        for form in {secret, json.dumps(secret)[1:-1], repr(secret)[1:-1]}:
            leaks = [where for where, data in everything.items() if form.encode() in data]
            assert leaks == [], f"{name} {form} is in {leaks}"


def test_49_commands_hide_what_they_quote(tmp_path: Path, chance: random.Random):
    """Errors of commands quote arguments and files: the secrets in them are hidden."""
    secret = canary(chance)
    plan = tmp_path / "plan.yaml"
    plan.write_text(f"jobs: [{{name: 'http://u:{secret}@h/', target: x, tags: {{a: b}}, tests: [x]}}]\n")
    for arguments in (
        ["nightly", str(plan)],
        ["nightly", f"http://user:{secret}@192.0.2.1/plan"],
        ["report", f"--token={secret}"],
        ["inspect", f"ftp://{secret}:x@192.0.2.1/i"],
        ["doctor", "--lg-env", f"http://user:{secret}@192.0.2.1/x.yaml"],
        ["explain", f"POST http://user:{secret}@192.0.2.1: refused"],
    ):
        done = subprocess.run(
            [str(Path(sys.executable).with_name("mpbench")), *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
        )
        assert secret not in done.stdout + done.stderr, arguments
        assert "Traceback" not in done.stderr


def test_49_a_plans_variables_are_secrets_of_the_night(tmp_path: Path, chance: random.Random):
    """What the plan gives to its jobs is hidden in the night's own lines and in its page."""
    from mpbench.lab.night import Night  # noqa: PLC0415

    secret = canary(chance)
    (tmp_path / "x.yaml").write_text("targets: {}")
    plan = tmp_path / "plan.yaml"
    plan.write_text(
        "jobs: [{name: a, target: x.yaml, tags: {a: b}, tests: [x], "
        f"variables: {{SWITCH_PASSWORD: {secret}}}, options: [--bench-note, relay_token={secret}2]}}]\n"
    )
    lines: list[str] = []
    nothing: Any = None
    night = Night(load(plan), lines.append, nothing, nothing, nothing)
    night.remark(f"place mp25-1: \x1b[2J login with {secret} and {secret}2 failed")
    assert lines == night.remarks == ["place mp25-1: ␛[2J login with *** and *** failed"]
    forget()


HOSTILE = (
    b"\x1b]0;title\x07",
    b"\x1b[2J\x1b[H",
    b"\x1b[31mred",
    b"\r\x1b[A\x1b[2Kverdict PASS: 9 PASS",
    b"\x9b31m\x90x\x9c",
    b"\x08\x08\x08\x7f",
    "\u202egnp.exe\u2066".encode(),
    b"\xff\xfe\x00\x0e",
)
"""Titles, cleared screens, colours, overwritten lines, C1 controls, backspaces, text that runs backwards."""
BOARD = """
import played
from mpbench.core.evidence import Artefact, Evidence, text_of
from mpbench.board.session.shell_protocol import Reply
BYTES = bytes.fromhex("{hex}")
played.SessionDriver.boot = b"b-1" + BYTES + b"\\n"
def test_boot_id(bench):
    assert bench._boot == "b-1"
def test_observation(bench):
    assert text_of(Evidence((Artefact("x", b"E/TA: f:1 " + BYTES + b"\\n"),)), "x") == "E/TA: f:1 nothing\\n"
def test_command(bench):
    assert Reply(0, b"first\\n" + BYTES + b"\\nlast\\n", b"").text == "first\\nlast\\n"
def test_raw(bench):
    raise BoardFailure("printed " + BYTES.decode("utf-8", "surrogateescape"))
def test_raw_assertion(bench):
    assert "printed\\n" + BYTES.decode("latin-1") + "\\nmore" == "printed\\nmore"
def test_captured(bench):
    print(BYTES.decode("latin-1"))
    assert False
def test_skipped(bench):
    pytest.skip(BYTES.decode("latin-1"))
def test_lines(bench):
    raise BoardFailure("printed x\\nverdict PASS: 9 PASS")
def test_reset(bench):
    played.SessionDriver.boot = b"b-2" + BYTES + b"\\n"
"""
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def test_50_bytes_of_a_board_do_not_control_the_terminal(place: Place, chance: random.Random):
    """pytest's output has no control character but line ends, whatever a board prints and a test compares."""
    data = b"".join(chance.sample(HOSTILE, chance.randrange(1, 4)))
    verbosity = chance.choice(["-v", "-q", "-vv"])
    done = place.run(
        BOARD.replace("{hex}", data.hex()),
        *(
            "--lg-env",
            "played.yaml",
            "--junitxml",
            "out/junit.xml",
            "-rA",
            verbosity,
        ),
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert CONTROL.findall(done.stdout + done.stderr) == []
    assert CONTROL.findall((place.path / "out/junit.xml").read_text()) == []
    assert len(re.findall("^verdict ", done.stdout, re.MULTILINE)) == 1
