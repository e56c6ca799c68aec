# SPDX-License-Identifier: MIT
"""Random inputs through every command that reads them: a part of the campaign."""

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mpbench.core.errors import InfrastructureError, UsageError
from testcases.fuzz import campaign as fuzz
from testcases.fuzz.campaign import campaign, complaint, desk, kind_of, run_case, summary
from testcases.fuzz.mutate import mutated
from testcases.fuzz.readers import Kind

CASES = 200


@pytest.mark.slow
def test_random_inputs_end_with_an_exit_code_and_one_line():
    """No traceback, no control character, 10 s and 256 MiB at most: of every kind of input."""
    tally = campaign(0, CASES, jobs=1)
    assert tally.wrong == []
    assert tally.cases == CASES
    assert {code for _, code in tally.codes} == {0, 1, 2, 3}
    assert len({kind for kind, _ in tally.codes}) == 20


@pytest.mark.parametrize(
    ("code", "out", "err", "wrong"),
    [
        (0, "ok\n", "", ""),
        (0, "", "mpbench: warning: x\n", ""),
        (2, "", "mpbench: error: x\n", ""),
        (3, "", "mpbench: infrastructure: x\n", ""),
        (2, "", "", "exit code 2 with 0 lines: []"),
        (3, "", "a\nb\n", "exit code 3 with 2 lines: ['a', 'b']"),
        (0, "", "noise\n", "exit code 0 with lines on standard error: ['noise']"),
        (1, "Traceback (most recent call last):\n", "", "a traceback"),
        (1, "a\x1b[31m", "", "prints '\\x1b'"),
        (2, "", "\u202etxt.exe\n", "prints '\\u202e'"),
        (70, "", "", "exit code 70"),
    ],
)
def test_what_a_command_must_not_do_is_noticed(code, out, err, wrong):
    """Each rule of the campaign refuses something."""
    assert complaint(code, out, err) == wrong


def hangs(_: random.Random) -> int:
    while True:
        pass


def raises(error: BaseException) -> Callable[[random.Random], int]:
    def command(_: random.Random) -> int:
        raise error

    return command


@pytest.mark.parametrize(
    ("command", "code", "wrong"),
    [
        (raises(UsageError("x")), 2, ""),
        (raises(InfrastructureError("x")), 3, ""),
        (raises(SystemExit(2)), 2, "exit code 2 with 0 lines: []"),
        (raises(KeyError("x")), None, "KeyError: 'x' at ?"),
        (raises(RecursionError()), None, "RecursionError:  at ?"),
        (hangs, None, "more than 1 s"),
    ],
)
def test_a_command_that_fails_is_a_violation(tmp_path, monkeypatch, command, code, wrong):
    """Whatever it raises, and if it does not end."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(fuzz, "CASE_S", 1)
    found = run_case(Kind("planted", [b"x"], "file", [command], 1), 7)
    assert (found.code, found.wrong) == (code, wrong)


@pytest.mark.slow
def test_a_worker_that_dies_or_hangs_is_a_violation_and_is_replaced(monkeypatch):
    """The rest of its cases is still run."""
    real = run_case

    def planted(kind: Kind, seed: int) -> fuzz.Result:
        if seed == 3:
            raise SystemExit(9)
        if seed == 5:
            time.sleep(60)
        return real(kind, seed)

    monkeypatch.setattr(fuzz, "run_case", planted)
    monkeypatch.setattr(fuzz, "HANG_S", 15)
    tally = campaign(0, 8, jobs=1)
    assert tally.cases == 8
    assert [(r.seed, r.wrong) for r in tally.wrong] == [
        (3, "the worker has died: 9"),
        (5, "no answer for 15 s"),
    ]
    assert summary(tally, 1.0)[-1] == "8 cases in 1 s, 2 violations"


def test_a_seed_is_a_case(tmp_path, monkeypatch):
    """The same seed makes the same input, so that a violation can be looked at again."""
    monkeypatch.chdir(tmp_path)
    assert mutated(b"abc: d\n" * 9, [b"x"], random.Random(1)) == mutated(
        b"abc: d\n" * 9, [b"x"], random.Random(1)
    )
    with desk() as kinds:
        kind = kind_of(4, kinds)
        assert run_case(kind, 4) == run_case(kind, 4)
        assert Path(kind.file).exists()
    assert Path.cwd() == tmp_path
