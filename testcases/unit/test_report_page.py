# SPDX-License-Identifier: MIT
"""The page as it is read: the first screen, every measurement in its row, words without markup."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from mpbench.core.facts import METHOD, Measurement, Verdict, number
from mpbench.core.lines import (
    HistogramLine,
    MeasurementLine,
    ProvenanceLine,
    RunEnd,
    RunStart,
    SeriesLine,
    TestEnd,
    TestStart,
    TimelineLine,
)
from mpbench.core.record import Clock, Record, new_directory, read
from mpbench.report import page
from mpbench.report.measured import MeasuredRow, glances, measured, moves
from mpbench.report.prose import ended, prose
from mpbench.report.quantities import headroom, margin, quantities
from mpbench.report.summarize import summarize
from mpbench.report.tables import hashes

CLOCK = Clock(utc_s=lambda: 1_795_000_000.0, mono_ns=lambda: 42)
SAMPLE = Path(__file__).resolve().parents[2] / "reports" / "sample"
CORE = {"core": "m33"}


def run_of(tmp_path, name, tests, *, target="mp25", entries=None):
    """A record of tests: name → (verdict, lines)."""
    record = Record(new_directory(tmp_path, target, CLOCK), name, CLOCK)
    record.append(RunStart(target=target, command=("pytest",), bench="0.1.0", continues=None))
    record.append(ProvenanceLine(entries=entries or {}, virtual=True, evidence=()))
    for test, (verdict, lines) in tests.items():
        record.append(
            TestStart(test=test, core="m33", title=f"`{test}` works.", requirements=("RP-1: It works.",))
        )
        for make in lines:
            record.append(make(test))
        record.append(TestEnd(test=test, verdict=verdict, reason="", duration_ns=1))
    record.append(RunEnd(counts={}))
    record.close()
    return read(record.directory)


def figure(value, statistic="", *, name="latency", n=None, high=None, low=None, conditions=None):
    """A measurement, as a function from the id of its test to its line."""
    m = Measurement(
        name, value, "ms", "hist", low, high, statistic=statistic, n=n, conditions=conditions or {}
    )
    return lambda test: evolve(MeasurementLine.of(m), test=test)


def spread(values, n, *, high=None, conditions=None, name="latency"):
    """The lines of a distribution: values of min, p50, max."""
    words = ("min", "p50", "max")
    return [
        figure(value, word, name=name, n=n, high=high, conditions=conditions)
        for word, value in zip(words, values, strict=True)
    ]


def rows(*runs) -> list[MeasuredRow]:
    return list(measured(summarize(runs).runs).rows)


def figures_of(row: MeasuredRow) -> list[dict[str, float]]:
    """Of each reading of a row its values by statistic."""
    return [{name: m.value for name, m in reading.quantity.lines.items()} for reading in row.readings]


def test_statistics_of_a_quantity_are_one_row(tmp_path):
    """min, p50 and max of one quantity under one condition in one test are one row, with its limits."""
    run = run_of(tmp_path, "r1", {"a.py::t[m33]": ("PASS", spread((1, 2, 3), 5, high=10, conditions=CORE))})
    (row,) = rows(run)
    assert (row.name, row.unit, row.conditions, row.test) == ("latency", "ms", "core m33", "a.py::t[m33]")
    (reading,) = row.readings
    q = reading.quantity
    assert figures_of(row) == [{"min": 1, "p50": 2, "max": 3}]
    assert (q.n, q.limits, q.margin, q.verdict) == ("5", "≤ 10", "70 %", Verdict.PASS)


def test_equal_names_are_told_apart_by_their_test(tmp_path):
    """Two tests that measure the same have a row each, one test that measures twice too; no FAIL is lost."""
    run = run_of(
        tmp_path,
        "r1",
        {
            "t0": ("PASS", [figure(5, high=10), figure(6, high=10)]),
            "t1": ("FAIL", [figure(99, high=10), figure(7)]),
        },
    )
    found = [(row.test, figures_of(row), row.readings[0].quantity.limits, row.verdict) for row in rows(run)]
    assert found == [
        ("t0", [{"": 5}], "≤ 10", Verdict.PASS),
        ("t0 (2)", [{"": 6}], "≤ 10", Verdict.PASS),
        ("t1", [{"": 99}], "≤ 10", Verdict.FAIL),
        ("t1 (2)", [{"": 7}], "", None),
    ]


def test_each_run_has_its_own_limits_in_a_row(tmp_path):
    """Two boards share a row with a line each: its own limits and verdict, and the factor between them."""
    runs = [
        run_of(tmp_path, "r1", {"t": ("PASS", spread((1, 4, 8), 5, high=10))}, target="mp15"),
        run_of(tmp_path, "r2", {"t": ("PASS", spread((1, 8, 8), 9))}, target="mp25"),
    ]
    (row,) = rows(*runs)
    found = [
        (r.run, r.quantity.n, r.quantity.limits, r.quantity.verdict, dict(r.ratios)) for r in row.readings
    ]
    assert found == [
        ("mp15", "5", "≤ 10", Verdict.PASS, {}),
        ("mp25", "9", "", None, {"p50": 2.0}),
    ]


def test_methods_stand_next_to_each_other(tmp_path):
    """Of three methods that measured the same, two that agree share a line, the third has its own below."""
    lines = [
        line
        for method, values in (("hist", (1, 2, 3)), ("text", (1, 2, 3)), ("raw", (1, 2, 4)))
        for line in spread(values, 7, conditions={METHOD: method, **CORE})
    ]
    (row,) = rows(run_of(tmp_path, "r1", {"t": ("PASS", lines)}))
    assert row.conditions == "core m33"
    assert [(r.methods, r.quantity.lines["max"].value) for r in row.readings] == [
        (("hist", "text"), 3),
        (("raw",), 4),
    ]


def test_limits_of_one_statistic_name_it(tmp_path):
    """A limit that only the median has is not shown as one of the whole distribution."""
    lines = [figure(1, "min", n=9), figure(2, "p50", n=9, high=4), figure(3, "max", n=9, low=1)]
    (row,) = rows(run_of(tmp_path, "r1", {"t": ("PASS", lines)}))
    assert row.readings[0].quantity.limits == "p50 ≤ 4\nmax ≥ 1"


def test_statistics_without_a_column_are_in_the_row():
    """p99.9 and bounds of an interval have no column, and are beside the name."""
    (q,) = quantities([figure(1, "p50")("t"), figure(2, "p99.9")("t"), figure(3)("t")])
    assert q.others == "p99.9 2, value 3"


@pytest.mark.parametrize(
    ("value", "low", "high", "share", "text"),
    [
        (5, None, 10, 0.5, "50 %"),
        (0.14, None, 500, 0.99972, "99.9 %"),
        (12, None, 10, -0.2, "-20 %"),
        (768, 512, None, 0.5, "50 %"),
        (3, 2, 12, 0.1, "10 %"),
        (0, None, 0, None, "0"),
        (2, None, 0, None, "2"),
        (1, None, None, None, ""),
        (float("nan"), None, 10, None, ""),
        (1e308, None, 500, -2e305, number(1e308)),
        (5e-324, None, 5e-324, 0, "0 %"),
    ],
)
def test_margin_is_the_share_of_the_limit_that_is_left(value, low, high, share, text):
    """Rounded down, negative outside; of a limit of 0 the distance itself."""
    line = MeasurementLine("t", value, "ms", "s", low, high)
    assert headroom(line) == (None if share is None else pytest.approx(share))
    assert margin(line) == text


def test_a_row_has_the_picture_of_its_quantity():
    """Its histogram, else its series, else the timelines of its test; a single value has none."""
    more: Any = {"unit": "ms", "source": "hist", "test": "t"}
    drawn = [
        HistogramLine("latency", ((10, 11, 10), (11, 12, 1000)), conditions=CORE, **more),
        SeriesLine("recovery", (1, 9, 5), **more),
        TimelineLine("crash", (("irq", 0), ("up", 2_000_000)), "log", test="t"),
    ]
    lines = [
        *[make("t") for make in spread((1, 2, 3), 9, conditions=CORE)],
        *[make("t") for make in spread((1, 2, 3), 9, name="recovery")],
        *[make("t") for make in spread((1, 2, 3), 9, name="detection")],
        figure(4, name="interrupts")("t"),
    ]
    pictures = {q.name: q.spark for q in quantities([*lines, *drawn])}
    assert (pictures["latency"].kind, pictures["latency"].path) == ("area", "M0 22V14H60V22M60 22V0H120V22")
    assert pictures["latency"].alt == "histogram: p50 ≤ 12, p90 ≤ 12, p99 ≤ 12 ms"
    assert (pictures["recovery"].kind, pictures["recovery"].path) == ("line", "M0 20L60 2L120 11")
    assert pictures["detection"].alt == "1 timelines of up to 2 ms"
    assert pictures["interrupts"] is None


def test_the_first_figures_are_those_closest_to_their_limit(tmp_path):
    """FAIL before MARGINAL before PASS, then by margin; those without limits are not among them."""
    run = run_of(
        tmp_path,
        "r1",
        {
            "t0": ("PASS", [figure(1, name="far", high=10), figure(9, name="near", high=10)]),
            "t1": (
                "FAIL",
                [figure(11, name="over", high=10), figure(3, name="free"), figure(0, name="none", high=0)],
            ),
        },
    )
    found = glances(measured(summarize([run]).runs))
    assert [(g.name, g.value, g.limits, g.verdict.value) for g in found] == [
        ("over", 11, "≤ 10", "FAIL"),
        ("near", 9, "≤ 10", "PASS"),
        ("far", 1, "≤ 10", "PASS"),
        ("none", 0, "≤ 0", "PASS"),
    ]


def test_what_moved_is_named_with_its_factor(tmp_path):
    """Against a baseline what is slower for certain; between runs of a page medians from 10 % on."""
    against = "latency, by the baseline's"
    run = run_of(
        tmp_path,
        "r1",
        {"t": ("PASS", [figure(1.3, "p50", name=against, high=2), figure(0.9, "p90", name=against, high=2)])},
    )
    found = moves(measured(summarize([run]).runs))
    assert [(m.name, m.against, m.factor) for m in found] == [("latency, p50", "baseline", 1.3)]
    runs = [
        run_of(tmp_path, f"r{n}", {"t": ("PASS", spread((1, p50, 9), 5) + spread((1, 5, 9), 5, name="same"))},
               target=f"mp{n}")
        for n, p50 in ((2, 4), (3, 5))
    ]  # fmt: skip
    found = moves(measured(summarize(runs).runs))
    assert [(m.name, m.against, m.factor) for m in found] == [("latency, p50", "mp2", 1.25)]
    text = " ".join(Text(page.render(summarize(runs))).text.split())
    assert "Moved against the baseline latency, p50 x 1.25 of mp2" in text


class Text(HTMLParser):
    """What a reader sees: text outside of style, script and evidence; and rows of tables as cells."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text, self._quiet = "", 0
        self.rows: list[list[str]] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):  # noqa: ARG002
        self._quiet += tag in ("style", "script", "pre")
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th") and self.rows:
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        self._quiet -= tag in ("style", "script", "pre")

    def handle_data(self, data):
        if not self._quiet:
            self.text += data
            if self.rows and self.rows[-1]:
                self.rows[-1][-1] += data


def test_the_first_screen_says_what_a_reader_asks_first(tmp_path):
    """In this order: verdict, how much ran, requirements, figures with limits, what moved; then the rest."""
    run = run_of(
        tmp_path,
        "r1",
        {"a.py::t0": ("PASS", spread((1, 2, 3), 5, high=10)), "a.py::t1": ("NOT-RUN", [])},
        entries={"model": "a board", "kernel": "6.12", "firmware alive m33": f"sha256 {'ab' * 32}"},
    )
    html = page.render(summarize([run]))
    words = [
        *("stamp", "<b>1 of 2 tests ran</b>", "RP-1: It works.", "latency", "≤ 10", "70 %", "Moved against"),
        *('id="attention"', 'id="provenance"', "abababababab…"),
        *('id="measurements"', 'id="tests"', 'id="sign"'),
    ]
    places = [html.index(word, html.index("<body>")) for word in words]
    assert places == sorted(places)
    assert "Not compared: this page has one run, and no baseline was given (--bench-baseline)." in html


def test_what_failed_is_on_the_first_screen(tmp_path):
    """FAIL before INFRA, and how many more; a page without them has no such list."""
    run = run_of(tmp_path, "r1", {"t0": ("INFRA", []), "t1": ("FAIL", []), "t2": ("FAIL", [])})
    html = page.render(summarize([run])).replace("<li>", " <li>")
    text = " ".join(Text(html).text.split())
    assert "2 FAIL, 1 INFRA. FAIL “t1” works. m33 FAIL “t2” works. m33 1 more" in text
    good = page.render(summarize([run_of(tmp_path, "r2", {"t0": ("PASS", []), "t1": ("NOT-RUN", [])})]))
    assert summarize([run]).failed
    assert 'class="why">m33<' not in good[: good.index('id="attention"')]


def test_a_share_of_a_thousand_is_seen():
    """One FAIL of a thousand has a part of the bar, and the parts fill it."""
    found = page.shares([(Verdict.PASS, 999), (Verdict.FAIL, 1)])
    assert [(bar.label, bar.x, bar.width) for bar in found] == [("PASS", 0, 98), ("FAIL", 98, 2)]


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        (
            "testcases/test_tamper.py::test_fault[m33-bit-0]",
            ["testcases/", "test_tamper.py::", "test_fault", "[m33-bit-", "0]"],
        ),
        ("a.py::t", ["a.py::t"]),
        ("x" * 40, ["x" * 40]),
        ("", []),
    ],
)
def test_a_name_may_break_after_a_separator(name, parts):
    """Lines break between parts of a name that are long enough; joined they are the name."""
    assert page.breakable(name) == parts


def test_hashes_are_told_from_other_text():
    """Only whole digests are folded; commits and versions stay."""
    digest = "0123456789abcdef" * 4
    assert hashes(f"a.yaml sha256 {digest}") == [("a.yaml sha256 ", False), (digest, True)]
    assert hashes("0.1.0 (411ab02ac47f)") == [("0.1.0 (411ab02ac47f)", False)]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("the board runs `alive`", "the board runs “alive”"),
        ("``..`` and `a b`", "“..” and “a b”"),
        ("one ` alone", "one ` alone"),
        ("9.7 ms is close to a limit of -∞ … 10", "9.7 ms is close to a limit of ≤ 10"),
        ("3 is outside 5 … ∞", "3 is outside ≥ 5"),
    ],
)
def test_sentences_of_authors_have_no_markup(text, shown):
    """Backticks become quotation marks, open limits of older records today's form."""
    assert prose(text) == shown


@pytest.mark.parametrize(("text", "shown"), [("a", "a."), ("a.", "a."), ("a..", "a."), ("a?", "a?")])
def test_a_sentence_has_one_full_stop(text, shown):
    assert ended(text) == shown


def sample_page() -> tuple[Text, list[MeasuredRow]]:
    shown = summarize([read(SAMPLE)])
    return Text(page.render(shown)), list(measured(shown.runs).rows)


def test_the_sample_has_no_markup_and_no_doubled_stop():
    """No backtick, no "..", no infinity in what a reader sees of the sample; evidence is as it was."""
    text = sample_page()[0].text
    assert "`" not in text
    assert "∞" not in text
    assert [text[m.start() - 40 : m.end() + 5] for m in re.finditer(r"\.\.", text)] == []


def test_every_measurement_of_the_sample_is_in_the_table():
    """Every line of the record is in one row of the table, with its test, statistic, n, value and verdict."""
    run = read(SAMPLE)
    lines = [line for line in run.lines if isinstance(line, MeasurementLine)]
    assert len(lines) > 50
    shown, found = sample_page()
    kept = [
        m
        for row in found
        for reading in row.readings
        for m in reading.quantity.lines.values()
        for _ in reading.methods or ("",)
    ]
    assert sorted(map(_key, kept)) == sorted(map(_key, lines))
    cells = {tuple(cell.strip() for cell in row) for row in shown.rows}
    for row in found:
        if not row.single:
            for reading in row.readings:
                q = reading.quantity
                values = [
                    number(q.lines[s].value) if s in q.lines else ""
                    for s in ("min", "p50", "p90", "p99", "max")
                ]
                assert any(list(c[2:8]) == [q.n, *values] for c in cells), (row.name, row.test)


def _key(m: MeasurementLine) -> tuple[str, ...]:
    conditions = {name: text for name, text in m.conditions.items() if name != METHOD}
    return (
        m.test,
        m.name,
        m.statistic,
        str(m.samples),
        str(m.value),
        str(sorted(conditions.items())),
        str(m.verdict),
    )


def test_the_head_names_a_profile_that_the_board_did_not_confirm(tmp_path):
    """An assumed profile is in a banner of its run; one that the board confirmed is only in the table."""
    entries = {"profile": "st-4.0-r2-mp257f-dk", "profile fit": "assumed: OP-TEE 4.0; not seen"}
    html = page.render(summarize([run_of(tmp_path, "a", {}, entries=entries)]))
    assert "profile st-4.0-r2-mp257f-dk is assumed: OP-TEE 4.0; not seen" in html.partition("<main>")[0]
    confirmed = entries | {"profile fit": "fits: the board reports st,stm32mp257f-dk"}
    html = page.render(summarize([run_of(tmp_path, "b", {}, entries=confirmed)]))
    assert "is assumed" not in html
    assert "fits: the board reports st,stm32mp257f-dk" in " ".join(Text(html).text.split())
