# SPDX-License-Identifier: MIT
"""How far a run is, in a line."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mpbench.core.facts import Verdict
from mpbench.core.secrets import forget, learn
from mpbench.core.verdict import Execution
from mpbench.harness.run_state import RunState
from mpbench.plugin.progress import Progress


class Clock:
    """Seconds that a test sets."""

    now_s = 100.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def run(tmp_path):
    """A run of `total` tests whose events go to a Progress; `written` is its output."""

    def make(total, *, terminal, columns=200):
        written: list[str] = []
        state, clock = RunState(), Clock()
        live = Progress(state, written.append, terminal, clock, lambda: columns)
        items: list[Any] = [
            SimpleNamespace(nodeid=f"t.py::test_{n}[m33]", path=tmp_path / "t.py") for n in range(total)
        ]
        state.waiting = list(items)

        def test(verdict=Verdict.PASS, seconds=2.0):
            item = items[len(state.executions)]
            state.waiting.remove(item)
            live.note(item, "")
            live.note(item, "deploy on m33")
            clock.now_s += seconds
            state.executions.append(Execution(item.nodeid, verdict))
            live.note(None, verdict.value)

        return SimpleNamespace(state=state, written=written, live=live, test=test)

    return make


def test_a_terminal_has_one_line_that_is_kept_up_to_date(run):
    """Every event rewrites the line: tests, verdicts other than PASS, the board, time left, current step."""
    found = run(10, terminal=True)
    for verdict in (Verdict.PASS, Verdict.FAIL, Verdict.INFRA):
        found.test(verdict)
    found.state.board = object()
    found.test()
    assert all(text.startswith("\r\033[K") and "\n" not in text for text in found.written)
    assert found.written[1] == "\r\033[K0/10 tests · board not asked yet · t.py::test_0[m33]: deploy on m33"
    parts = found.written[-1].removeprefix("\r\033[K").split(" · ")
    assert parts[:3] == ["4/10 tests", "1 FAIL", "1 INFRA"]
    assert parts[3:] == ["board up", "about 0 min 12 s left", "t.py::test_3[m33]: deploy on m33"]
    found.live.clear()
    assert found.written[-1] == "\r\033[K"


def test_names_do_not_control_the_terminal_and_have_no_secrets(run):
    """The line goes past pytest's own output: what a test or a board calls something is escaped here."""
    found = run(10, terminal=True)
    learn({"TOKEN": "c4n4ry-s3cret"})
    item = SimpleNamespace(nodeid="a/t.py::test_x[/dev/a::b]", path=Path("t.py"))
    found.live.note(item, "deploy on \x1b[2Jm33\n with c4n4ry-s3cret")
    forget()
    assert found.written[-1].endswith(" · t.py::test_x[/dev/a::b]: deploy on ␛[2Jm33␊ with ***")


def test_a_narrow_terminal_is_not_overflown(run):
    """The line ends before the last column."""
    found = run(10, terminal=True, columns=20)
    found.test()
    assert max(len(text.removeprefix("\r\033[K")) for text in found.written) == 19


def test_elsewhere_a_run_is_twenty_lines(run):
    """Log files get a plain line now and then, however many tests there are."""
    found = run(200, terminal=False)
    for _ in range(200):
        found.test()
    assert len(found.written) == 20
    assert all(text[0].isdigit() and "\033" not in text and "\n" not in text for text in found.written)
    assert found.written[-1].startswith("200/200 tests")
    found.live.clear()
    assert len(found.written) == 20


def test_a_run_of_two_tests_needs_no_line(run):
    """Its summary is enough."""
    found = run(2, terminal=False)
    found.test()
    found.test()
    assert found.written == []


def test_an_unusable_board_is_shown(run):
    """While tests are blocked, the line shows it."""
    found = run(5, terminal=True)
    found.state.blocked = "no SSH"
    found.test(Verdict.BLOCKED)
    assert "board not usable" in found.written[-1]
