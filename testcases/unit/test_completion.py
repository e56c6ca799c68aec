# SPDX-License-Identifier: MIT
"""Completion in bash, as a user has it after the line in README.md."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mpbench.commands import main

pytest.importorskip("argcomplete", reason="argcomplete is not installed: pip install 'mpbench[completion]'")
pytestmark = pytest.mark.slow

BASH = """
eval "$(register-python-argcomplete mpbench)"
COMP_LINE=$1 COMP_POINT=${#1} COMP_TYPE=9 COMP_KEY=9
read -ra COMP_WORDS <<<"$1"; case $1 in *' ') COMP_WORDS+=('');; esac
COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 ))
compopt() { :; }
_python_argcomplete mpbench mpbench "${COMP_WORDS[COMP_CWORD]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def complete(tmp_path, monkeypatch):
    """Completes a line in a directory with an image, a key and a target file."""
    for name in ("fw.bin", "fw.elf", "k.pem", "mp25.yaml"):
        (tmp_path / name).touch()
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.delenv("LG_ENV", raising=False)

    def completed(line: str) -> list[str]:
        done = subprocess.run(
            ["bash", "-c", BASH, "bash", line], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        return [word.rstrip() for word in done.stdout.splitlines() if word]

    return completed


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("mpbench pre", ["predict"]),
        ("mpbench virtual st", ["status"]),
        ("mpbench predict fw", ["fw.bin", "fw.elf"]),
        ("mpbench sign --key ", ["k.pem"]),
        ("mpbench sign --key_t", ["--key_type"]),
        ("mpbench sign --key-type ", ["RSA", "ECC"]),
        ("mpbench doctor --lg-env ", ["mp25.yaml"]),
        ("mpbench test --lg-env m", ["mp25.yaml"]),
        ("mpbench predict --profile st-4.0-r2-mp257f-d", ["st-4.0-r2-mp257f-dk"]),
        ("mpbench predict --profile m", ["mp25.yaml"]),
        ("mpbench predict --core ", ["m0", "m33", "m4"]),
        ("mpbench predict --profile optee-4.10 --core ", ["m4"]),
        ("mpbench virtual down ", []),
        ("mpbench explain ", []),
    ],
)
def test_a_word_is_completed(complete, line, words):
    """Commands, options, names that the bench knows, and files of the kind that is wanted, in any order."""
    options = line.rpartition(" ")[2].startswith("-")
    assert sorted(word for word in complete(line) if options or not word.startswith("-")) == sorted(words)


def test_without_argcomplete_a_shell_gets_nothing(monkeypatch, capsys):
    """No error: the command line is parsed as ever."""
    monkeypatch.setenv("_ARGCOMPLETE", "1")
    monkeypatch.setitem(sys.modules, "argcomplete", None)
    monkeypatch.delitem(sys.modules, "mpbench.commands.completion", raising=False)
    with pytest.raises(SystemExit) as ended:
        main.main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("mpbench ")
