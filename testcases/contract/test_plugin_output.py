# SPDX-License-Identifier: MIT
"""What a pytest with a board prints while it runs, on a terminal and elsewhere; where its root is."""

import contextlib
import fcntl
import os
import struct
import subprocess
import termios
from pathlib import Path

import pytest

from testcases.contract.test_plugin import HEADER, PYTEST, Place, key, plain_environment, pytest_in

pytestmark = pytest.mark.slow

__all__ = ["key"]


@pytest.fixture
def place(tmp_path: Path, key: bytes) -> Place:
    return Place(tmp_path, key)


def test_fixtures_without_tests_are_no_verdict(place):
    """--setup-only sets fixtures up on the board, and judges nothing: NOT-RUN, exit code 5."""
    done = place.run("def test_one(bench): pass\n", "--lg-env=played.yaml", "--setup-only")
    assert (done.returncode, "\nverdict NOT-RUN: 1 NOT-RUN\n" in done.stdout) == (5, True), done.stdout


SEVEN = """
@pytest.mark.parametrize("n", range(5))
def test_some(bench, n): assert n != 3
def test_own(): pass
def test_last(bench): pass
"""


def test_progress_and_letters_are_apart_without_a_terminal(place):
    """A line per test of the board, letters of other tests on a line of their own, and no percentages."""
    done = place.run(SEVEN, "--lg-env=played.yaml")
    shown = done.stdout.partition("collected 7 items\n")[2].partition("\n===")[0].splitlines()
    assert [line.partition(" · about")[0] for line in shown] == [
        "1/6 tests · board up · test_played.py::test_some[0]",
        "2/6 tests · board up · test_played.py::test_some[1]",
        "3/6 tests · board up",
        "4/6 tests · 1 FAIL · board up",
        "5/6 tests · 1 FAIL · board up",
        ".",
        "6/6 tests · 1 FAIL · board up · test_played.py::test_last",
    ]


def test_letters_stay_where_no_progress_is_shown(place):
    """Two tests need no lines; --bench-progress=no asks for none."""
    two = place.run("def test_one(bench): pass\ndef test_two(bench): assert False\n", "--lg-env=played.yaml")
    assert "\ntest_played.py .F" in two.stdout
    none = place.run(SEVEN, "--lg-env=played.yaml", "--bench-progress=no")
    assert "\ntest_played.py ...F..." in none.stdout


def test_a_terminal_has_no_letters_among_the_progress(place):
    """All that a terminal shows between the first and the last test is the line that is rewritten."""
    (place.path / "test_played.py").write_text(HEADER + SEVEN)
    shown = on_a_terminal(place.path, "--lg-env=played.yaml")
    (line,) = [line for line in shown.split("\n") if "6/6 tests" in line]
    texts = line.rstrip("\r").split("\r\033[K")
    assert all(text == "" or " tests · " in text for text in texts)
    assert texts[1] == "0/6 tests · board not asked yet · test_played.py::test_some[0]"
    assert texts[-2:] == ["6/6 tests · 1 FAIL · board up · test_played.py::test_last", ""]


def on_a_terminal(path: Path, *arguments: str) -> str:
    """What pytest prints on a terminal of 200 columns."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 50, 200, 0, 0))
    env = plain_environment() | {"TERM": "xterm", "NO_COLOR": "1", "TRIES": str(path / "tries")}
    command = [*PYTEST, *arguments]
    with subprocess.Popen(command, cwd=path, env=env, stdin=theirs, stdout=theirs, stderr=theirs) as run:
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # EIO: the last process has closed it. Ref: pty(7)
            while piece := os.read(ours, 65536):
                shown += piece
        run.wait(600)
    os.close(ours)
    return shown.decode()


def test_a_target_file_elsewhere_moves_the_root_only_with_a_note(place):
    """pytest takes the word after --lg-env for a path of tests; the header has the form that works."""
    (place.path / "elsewhere").mkdir()
    (place.path / "elsewhere" / "test_own.py").write_text("def test_own(): pass\n")
    here, file = place.path / "elsewhere", place.path / "played.yaml"
    split = pytest_in(here, "--co", "--lg-env", str(file))
    joined = pytest_in(here, "--co", f"--lg-env={file}")
    advice = f"mpbench: rootdir is not {here}: pytest takes the file after --lg-env for a test; "
    assert {f"rootdir: {place.path}", f"{advice}write --lg-env=FILE"} <= set(split.stdout.splitlines())
    assert f"rootdir: {here}\n" in joined.stdout
    assert "write --lg-env" not in joined.stdout
