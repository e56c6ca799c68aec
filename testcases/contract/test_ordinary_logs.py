# SPDX-License-Identifier: MIT
"""`mpbench explain` finds no trouble in what boards print when all is well: at least 10,000 lines."""

import lzma
from collections.abc import Iterator
from pathlib import Path

import pytest
from labgrid import Environment

from mpbench.core.shared_files import CHECKOUT
from mpbench.knowledge.explain import answer
from mpbench_virtual import boards

pytestmark = pytest.mark.slow

CAPTURES = Path(__file__).parents[1] / "captures"
ENOUGH = 10_000


def recorded() -> Iterator[tuple[str, str]]:
    """(name, text) of the kernel logs and consoles of boots that were recorded."""
    for path in sorted([*CAPTURES.glob("boot-*/*"), *CAPTURES.glob("ordinary/*/*")]):
        data = path.read_bytes()
        data = lzma.decompress(data) if path.suffix == ".xz" else data
        yield f"{path.parent.name}/{path.name}", data.decode(errors="backslashreplace")


def troubles(log: str) -> list[str]:
    """What is explained as a trouble: in the log, in each line as a log, and in each line by itself."""
    forms = [log, *(form for line in log.splitlines() for form in (line, f"{line}\n"))]
    return [f"{one.id}: {one.line}" for form in forms for one in answer(form).explained]


def test_nothing_is_explained_in_10_000_lines_of_ordinary_boots(capsys):
    """Whole, and line by line; several boards, some with the kernel's debug messages."""
    logs = dict(recorded())
    found = {name: trouble for name, log in logs.items() if (trouble := troubles(log))}
    count = sum(log.count("\n") for log in logs.values())
    with capsys.disabled():
        print(f"\n{count} lines of {len(logs)} logs: {sum(map(len, found.values()))} explained")
    assert found == {}
    assert count >= ENOUGH


@pytest.mark.parametrize(("kind", "known"), [("mp25", set()), ("mp15", {"etzpc-insecure"})])
def test_nothing_is_explained_in_a_boot_of_today(kind, known, tmp_path, monkeypatch, capsys):
    """Kernel log and consoles of a board that was just switched on; its states are found in them.

    known: what is true of the board: RCC is not secure, as Linux' tree of a DK2 wants it, and OP-TEE warns.
    """
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    target = Environment(str(CHECKOUT / f"targets/virtual-{kind}.yaml")).get_target("main")
    board = target.get_resource("VirtualBoard", name="board").board
    try:
        target.get_strategy().transition("shell")
        dmesg = "\n".join(target.get_driver("SessionDriver").run_check("dmesg"))
        files = (board.directory / f"{name}.log" for name in ("console", "secure") if name in board.ports)
        consoles = [file.read_text(errors="backslashreplace") for file in files]
    finally:
        target.cleanup()
        boards.stop(board)
    logs = [dmesg, *consoles]
    with capsys.disabled():
        print(f"\n{kind}: {sum(log.count(chr(10)) for log in logs)} lines of {len(logs)} logs")
    assert {trouble.partition(":")[0] for log in logs for trouble in troubles(log)} == known
    assert {state.id for state in answer(dmesg).states} >= {"rproc-available", "optee-ready"}
