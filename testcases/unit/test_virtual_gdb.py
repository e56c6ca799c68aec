# SPDX-License-Identifier: MIT
"""`mpbench virtual gdb`: GDB's command line for a core, and what is no core."""

import argparse
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mpbench.core.errors import InfrastructureError, UsageError
from mpbench_virtual import boards, gdb


def board(kind: str) -> Any:
    return SimpleNamespace(name="desk", kind=kind, directory=Path("/run/desk"))


@pytest.mark.parametrize(
    ("kind", "core", "steps"),
    [
        ("mp25", "a35", []),
        ("mp25", "m0", ["-ex", "add-inferior", "-ex", "inferior 2", "-ex", "attach 3"]),
        ("mp15-debian", "m4", ["-ex", "add-inferior", "-ex", "inferior 2", "-ex", "attach 2"]),
    ],
)
def test_a_core_is_a_process_of_qemu_s_stub(
    monkeypatch: pytest.MonkeyPatch, kind: str, core: str, steps: list[str]
):
    """Linux' cores are the first, which GDB has as it connects."""
    monkeypatch.setattr(shutil, "which", {"gdb": "/usr/bin/gdb"}.get)
    start = ["gdb", "-ex", "target extended-remote /run/desk/gdb.sock"]
    assert gdb.command_of(board(kind), core) == start + steps


def test_without_gdb_the_one_for_every_architecture_is_named(monkeypatch: pytest.MonkeyPatch):
    """Debian's package gdb-multiarch."""
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert gdb.command_of(board("mp25"), "m33")[0] == "gdb-multiarch"


@pytest.mark.parametrize(
    ("kind", "core", "message"),
    [
        ("mp15", "m33", "board desk has no core 'm33': a7, m4"),
        ("mp25", "m4", "board desk has no core 'm4': a35, m33, m0"),
    ],
)
def test_another_core_is_refused(kind: str, core: str, message: str):
    """One line, with the cores that there are."""
    with pytest.raises(UsageError) as caught:
        gdb.command_of(board(kind), core)
    assert str(caught.value) == message


def test_qemu_listens_and_the_command_line_is_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """Without a terminal GDB is not started."""
    asked = []
    monkeypatch.setattr(boards, "find", lambda _: board("mp25"))
    monkeypatch.setattr(gdb, "qmp", lambda *words, **named: asked.append((*words, named)))
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert gdb.run_gdb(argparse.Namespace(name="desk", core="a35")) == 0
    line = {"command-line": "gdbserver unix:/run/desk/gdb.sock,server=on,wait=off"}
    assert asked == [(Path("/run/desk/qmp.sock"), "human-monitor-command", line)]
    assert capsys.readouterr().out == "gdb-multiarch -ex 'target extended-remote /run/desk/gdb.sock'\n"


def test_a_board_that_is_off_is_named(monkeypatch: pytest.MonkeyPatch):
    """No monitor, no GDB."""

    def closed(*_words: object, **_named: object) -> None:
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr(boards, "find", lambda _: board("mp25"))
    monkeypatch.setattr(gdb, "qmp", closed)
    with pytest.raises(InfrastructureError, match=r"^board desk is off, or QEMU does not answer: .*refused$"):
        gdb.run_gdb(argparse.Namespace(name="desk", core="a35"))
