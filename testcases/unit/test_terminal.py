# SPDX-License-Identifier: MIT
"""What commands print: hostile names, streams that are full or closed, a user without a home."""

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mpbench.commands import main
from mpbench.core import directories
from mpbench.core.colour import paint
from mpbench.core.errors import InfrastructureError
from mpbench.core.terminal import SafeOutput, safe_output
from testcases.unit.image_rig import firmware
from testcases.unit.test_signoff import run_in

CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
HOSTILE = (
    "\x1b[2Jx",
    "a\nverdict PASS",
    "\u202egnp",
    "\x9b31m",
    "\x1b[32mPASS\x1b[0m",
    os.fsdecode(b"\xff"),
    "\r\nx",
)
MPBENCH = [sys.executable, "-c", "import sys; from mpbench.commands.main import main; sys.exit(main())"]


@pytest.mark.parametrize("name", HOSTILE)
def test_names_of_files_do_not_control_the_terminal(tmp_path, monkeypatch, capsys, name):
    """A run's directory, an ELF file and a key, in results and in errors: on one line each, escaped."""
    made = run_in(tmp_path / "runs")
    (tmp_path / name).mkdir()
    for path in made.iterdir():
        path.rename(tmp_path / name / path.name)
    (tmp_path / f"{name}.elf").write_bytes(firmware())
    monkeypatch.chdir(tmp_path)
    for words, lines in (
        (["report", name], 1),
        (["record", name], 1),
        (["inspect", f"{name}.elf"], None),
        (["signoff", "--new-key", f"{name}.pem"], 1),
        (["note", name, "a=b", "--by", "Ann"], 1),
        (["verify", name], 1),
        (["inspect", f"{name}.missing"], 1),
    ):
        main.main(words)
        out, err = capsys.readouterr()
        assert CONTROL.findall(out + err) == [], words
        assert "verdict PASS" not in (out + err).splitlines(), words
        assert lines in (None, (out + err).count("\n")), (words, out, err)


def test_own_colours_reach_a_terminal_only(monkeypatch):
    """Elsewhere the codes of colours are escaped as all others are."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    parent, child = pty.openpty()
    with open(child, "w") as terminal:
        stream = SafeOutput(terminal)
        stream.write(f"{paint('PASS', 'green', terminal)} \x1b[32;8mx \x1b[2J\x1b]0;t\x07\n")
        stream.flush()
        assert os.read(parent, 1000) == "\x1b[32mPASS\x1b[0m ␛[32;8mx ␛[2J␛]0;t␇\r\n".encode()
    os.close(parent)


def run(redirection: str, *words: str) -> "subprocess.CompletedProcess[str]":
    """A command with a stream that a shell redirects."""
    command = ["sh", "-c", f'"$@" {redirection}', "sh", *MPBENCH, *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("words", [["--version"], ["--help"], ["explain", "TEE err: ffff0006"]])
def test_a_standard_output_that_is_full_is_one_line(words):
    """Exit code 3, as for any other disk; both full: no line, and no traceback in any log."""
    done = run("> /dev/full", *words)
    assert (done.returncode, done.stderr.count("\n")) == (3, 1), done
    assert done.stderr.startswith(
        "mpbench: infrastructure: cannot write to <stdout>: No space left on device"
    )
    assert run("> /dev/full 2>&1", *words).returncode == 3


@pytest.mark.slow
def test_a_standard_stream_that_is_closed_takes_everything():
    """`>&-` is what a service manager may do: the exit code is that of the command."""
    done = run(">&-", "--version")
    assert (done.returncode, done.stderr) == (0, "")
    done = run("2>&-", "inspect", "missing")
    assert (done.returncode, done.stdout) == (2, "")


def test_an_error_of_a_stream_is_the_hosts(tmp_path):
    """In a write and in a flush."""
    with open("/dev/full", "w") as full:
        stream = SafeOutput(full)
        stream.write("x")
        with pytest.raises(InfrastructureError, match="cannot write to /dev/full: No space left"):
            stream.flush()
    with safe_output():
        assert sys.stdout.writelines(["a", "b"]) is None
    assert not list(tmp_path.iterdir())


def test_a_user_without_a_home(monkeypatch):
    """A user id without a name, in a container: paths that name what is missing."""

    def none() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", none)
    for name in ("MPBENCH_CONFIG", "MPBENCH_CACHE", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert directories.config_dir() == Path("/nonexistent/.config/mpbench")
    assert directories.cache_dir() == Path("/nonexistent/.cache/mpbench")
