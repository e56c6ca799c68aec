# SPDX-License-Identifier: MIT
"""`mpbench latency`: its pytest command, live display, baselines and options."""

import contextlib
from pathlib import Path

import pytest

import mpbench.commands.main
from mpbench.core.errors import UsageError
from mpbench.core.histogram import Histogram, of_values
from mpbench.core.lines import HistogramLine, ProvenanceLine
from mpbench.core.record import Record
from mpbench.notification import command
from mpbench.notification.facts import SEGMENTS
from mpbench.notification.fixture import baseline, baselines
from mpbench.notification.live_histogram import Live, bars
from mpbench.notification.measure import LATENCY
from mpbench.notification.target_options import limits, slower


def test_the_command_is_the_test_case():
    """`mpbench latency` runs the test case with its options; exit codes and record are those of pytest."""
    words = mpbench.commands.main.parser().parse_args(
        ["latency", "--lg-env", "x.yaml", "--samples", "100000", "--rate", "200", "--baseline", "runs/1"]
    )
    made = command.command(words)
    assert made[1:4] == ["-P", "-m", "pytest"]
    assert made[4].startswith("--rootdir=")
    file, test = made[5].split("::")
    assert (Path(file).is_file(), test) == (True, "test_every_interrupt_is_explained")
    wanted = [
        "--lg-env",
        "x.yaml",
        "-q",
        "--bench-samples",
        "100000",
        "--bench-rate",
        "200.0",
        "--bench-live",
    ]
    assert made[6:] == [*wanted, "--bench-baseline", "runs/1"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--samples", "0"], "--samples 0"),
        (["--rate", "0"], "--rate 0"),
        (["--rate", "20000"], "up to 10000"),
    ],
)
def test_numbers_that_are_none_are_refused(given, words, capsys):
    """A count or a rate that can't be is one line and exit code 2."""
    assert mpbench.commands.main.main(["latency", "--lg-env", "x.yaml", *given]) == 2
    assert words in capsys.readouterr().err


class Shown:
    """A capture manager and a place to write to."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> None:
        self.text += text

    def global_and_fixture_disabled(self):
        return contextlib.nullcontext()


def test_the_live_histogram_draws_over_itself():
    """A row per quarter octave between the first and the last duration, percentiles; drawn again in place."""
    found = of_values([100_000] * 30 + [200_000] * 10)
    rows = list(bars(found, 10))
    assert len(rows) == 5
    assert rows[0].split()[2:] == ["30", "█" * 10]
    assert rows[-1].split()[2:] == ["10", "█" * 4]
    shown = Shown()
    live = Live(40, shown, out=shown.write, terminal=True)
    live.show(found)
    assert "40 of 40 notifications" in shown.text
    assert "p50 99.8 µs" in shown.text
    live.show(found)
    assert "\033[7A" in shown.text
    assert list(bars(Histogram())) == []


def test_without_a_terminal_progress_is_a_few_lines():
    """At every tenth of the way one line."""
    shown = Shown()
    live = Live(100, shown, out=shown.write)
    for number in range(0, 101, 5):
        live.show(of_values([1000] * number))
    assert shown.text.count("notifications") == 11


def timed(made: Record, conditions: dict[str, str]) -> None:
    """A histogram of notifications."""
    buckets = ((16, 32, 7),)
    made.append(
        HistogramLine(test="t", name=LATENCY, buckets=buckets, unit="ns", source="s", conditions=conditions)
    )


def test_a_baseline_is_of_the_same_board(tmp_path):
    """Distributions of an earlier run are read from its record; another kernel, or no timing, is refused."""
    here = {"op-tee": "4.10", "kernel": "6.12"}
    (tmp_path / "1" / "evidence").mkdir(parents=True)
    made = Record(tmp_path / "1", "r")
    made.append(ProvenanceLine(entries={"op-tee": "4.10"}, virtual=True, evidence=()))
    made.append(ProvenanceLine(entries={"kernel": "6.12"}, virtual=True, evidence=()))
    with pytest.raises(UsageError, match="no notification was timed in this run, or by an older version"):
        baseline(str(tmp_path / "1"), here)
    timed(made, {"segment": SEGMENTS["total"]})
    timed(made, {"segment": SEGMENTS["total"], "load": "cpu"})
    made.close()
    assert baseline(str(tmp_path / "1"), here) == {"total": Histogram({(16, 16): 7})}
    with pytest.raises(UsageError, match="it is '6\\.13' now"):
        baseline(str(tmp_path / "1"), {**here, "kernel": "6.13"})


class Config:
    """An environment with one option."""

    def __init__(self, value: object) -> None:
        self.value = value

    def get_option(self, name: str, default: object) -> object:  # noqa: ARG002
        return self.value


def test_baselines_are_joined(tmp_path):
    """Several earlier runs are one baseline; none is no baseline."""
    for number in ("1", "2"):
        (tmp_path / number / "evidence").mkdir(parents=True)
        made = Record(tmp_path / number, "r")
        timed(made, {"segment": SEGMENTS["smc"]})
        made.close()
    both = baselines([str(tmp_path / "1"), str(tmp_path / "2")], {})
    assert both == {"smc": Histogram({(16, 16): 14})}
    assert baselines([], {}) is None


def test_how_much_slower_is_allowed():
    """A number from 1 on; nothing that would call an equal run slower."""
    assert slower(Config(1.1)) == 1.1
    for wrong in (0.9, "10 %"):
        with pytest.raises(UsageError, match="a number from 1 on"):
            slower(Config(wrong))


def test_limits_name_segments():
    """Limits of a target file go by segment and statistic; an unknown name is refused."""
    assert limits(Config({"total": {"p99": 900}})) == {"total": {"p99": 900}}
    with pytest.raises(UsageError, match="segments are queue, start, smc, round, total"):
        limits(Config({"totl": {"p99": 900}}))
