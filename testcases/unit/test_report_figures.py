# SPDX-License-Identifier: MIT
"""The page's pictures: where things stand on the canvas, and what is said to those who don't see it."""

from collections import Counter
from typing import Any

import pytest
from attrs import evolve

from mpbench.core.facts import METHOD, limits, number
from mpbench.core.lines import HistogramLine, MapLine, SegmentsLine, SeriesLine, TimelineLine
from mpbench.notification.measure import EMULATED
from mpbench.report.figures import COLUMNS, FARTHEST, LEFT, MAX_BUCKETS, PLOT, WIDTH, figure, pictures

SAID: Any = {"name": "latency", "source": "hist", "unit": "µs"}


def points(found) -> list[tuple[int, ...]]:
    return [tuple(map(int, pair.split(","))) for pair in found.points.split()]


def test_a_short_series_has_every_value():
    """From the left edge to the right one, higher values higher up, the extremes inside the canvas."""
    found = points(figure(SeriesLine(**SAID, values=(1, 9, 5))))
    assert [x for x, _ in found] == [LEFT, LEFT + (WIDTH - LEFT) // 2, WIDTH]
    heights = [y for _, y in found]
    assert heights[0] > heights[2] > heights[1]
    assert all(0 <= y <= PLOT for y in heights)


def test_a_long_series_loses_no_extreme():
    """Of a million samples one outlier is still seen, and the picture stays small."""
    values = [5.0] * 1_000_000
    values[123_456] = 500.0
    found = figure(SeriesLine(**SAID, values=tuple(values)))
    assert len(points(found)) <= 2 * COLUMNS + 2
    assert min(y for _, y in points(found)) == pytest.approx(PLOT * 0.05, abs=2)
    assert found.alt == "1000000 samples: min 5, mean 5, max 500 µs"


@pytest.mark.parametrize("values", [[3.0], [2, 2, 2], [0, 0], [-1, -1]])
def test_a_series_that_never_changes_is_drawn(values):
    """One value, or the same all the time: a line in the middle."""
    assert {y for _, y in points(figure(SeriesLine(**SAID, values=tuple(values))))} == {PLOT // 2}


@pytest.mark.parametrize(
    "line",
    [SeriesLine(**SAID, values=()), HistogramLine(**SAID, buckets=()), TimelineLine("crash", (), "log")],
)
def test_nothing_measured_is_a_sentence(line):
    """No samples is a sentence, no empty picture."""
    found = figure(line)
    assert found.alt in ("no samples", "no time stamps recorded")
    assert not found.bars
    assert not found.points


def test_a_histogram_has_a_log_scale():
    """A bucket of one is seen beside one of a million; the quantiles are said as far as samples reach."""
    buckets = ((1, 2, 1_000_000), (2, 4, 2000), (512, 1024, 1))
    found = figure(HistogramLine(**SAID, buckets=buckets))
    heights = [bar.height for bar in found.bars]
    assert heights[0] == PLOT
    assert 0 < heights[2] < heights[1] < heights[0]
    assert [tick.label for tick in found.y][-1] == "1 000 000"
    assert found.alt == (
        "1002001 samples from 1 to 1024 µs; p50 ≤ 2, p90 ≤ 2, p99 ≤ 2, p99.9 ≤ 4, p99.99 ≤ 4 µs"
    )
    assert found.bars[0].x == LEFT
    assert found.bars[-1].x + found.bars[-1].width == WIDTH


def test_long_durations_are_in_microseconds():
    """Nanoseconds of a kernel's histogram are shown as they are measured; few decades have ticks between."""
    found = figure(HistogramLine("latency", ((400_000, 410_000, 9), (4_000_000, 4_100_000, 1)), "ns", "hist"))
    assert found.alt == "10 samples from 400 to 4100 µs; p50 ≤ 410 µs"
    assert [tick.label for tick in found.x] == ["500 µs", "2000 µs"]
    short = figure(HistogramLine("latency", ((400, 410, 9),), "ns", "hist"))
    assert short.alt.startswith("9 samples from 400 to 410 ns")


def test_pictures_of_compared_methods_are_next_to_each_other():
    """Segment by segment, its methods in a row; pictures that compare nothing keep their order."""
    of = [
        SeriesLine(**SAID, values=(1.0,), conditions={"segment": segment, METHOD: method})
        for method in ("hist", "raw")
        for segment in ("a", "b")
    ]
    found = pictures([*of, TimelineLine("crash", (("irq", 1),), "log")])
    assert [drawn.name for drawn in found] == [
        "latency (segment a, method hist)",
        "latency (segment a, method raw)",
        "latency (segment b, method hist)",
        "latency (segment b, method raw)",
        "crash",
    ]


def test_few_samples_promise_no_tail():
    """Three samples have a median and no p99."""
    found = figure(HistogramLine(**SAID, buckets=((10, 11, 2), (11, 12, 1))))
    assert found.alt == "3 samples from 10 to 12 µs; p50 ≤ 11 µs"
    found = figure(HistogramLine(**SAID, buckets=((10, 11, 1000), (11, 12, 1))))
    assert found.alt.endswith("p50 ≤ 11, p90 ≤ 11, p99 ≤ 11 µs")


def test_narrow_buckets_share_a_column():
    """Ten thousand buckets make a picture of a hundred columns, and no sample is lost in the sum."""
    found = figure(HistogramLine(**SAID, buckets=tuple((n, n + 1, 1) for n in range(1, 10_001))))
    assert len(found.bars) <= MAX_BUCKETS + 1
    assert found.alt.startswith("10000 samples")


def test_segments_fill_the_width():
    """Parts stand side by side in order; one too short to see is still in the list."""
    parts = (("entry", 30.0), ("secure", 70.0), ("exit", 0.001))
    found = figure(SegmentsLine(**SAID, parts=parts))
    assert [bar.label for bar in found.bars] == ["entry", "secure", "exit"]
    assert found.bars[1].x == found.bars[0].width == 192
    assert found.bars[2].width == 1
    assert found.rows[0] == ("entry", "30 µs", "30%")


def test_a_timeline_dates_events_from_the_first():
    """Each bar is as long as what went before the event took."""
    events = (("irq", 1_000_000), ("detected", 1_500_000), ("up", 11_000_000))
    found = figure(TimelineLine("crash", events, "log"))
    assert found.rows == (("irq", "+0 ms"), ("detected", "+0.5 ms"), ("up", "+10 ms"))
    assert found.bars[1].x + found.bars[1].width == pytest.approx(found.bars[2].x, abs=2)
    assert found.bars[2].width == pytest.approx(19 * found.bars[1].width, rel=0.1)


def test_an_image_map_shows_small_ranges():
    """A header of 24 bytes is as visible as a payload of 40000; marks stand in their range."""
    ranges = ((0, 24, "header (0xffff0007)"), (24, 40_000, "hash"), (40_000, 40_100, "header (0xffff0007)"))
    found = figure(MapLine("image", 40_100, ranges, ((3, True), (50, False))))
    header, payload, again = found.bars
    assert header.width > WIDTH // 8
    assert payload.x == header.x + header.width
    assert header.hue == again.hue != payload.hue
    assert [m.label for m in found.marks] == ["good", "bad"]
    assert header.x <= found.marks[0].at < payload.x <= found.marks[1].at < again.x
    assert found.alt == "40100 bytes in 3 ranges; 2 changed, 1 answered differently"
    assert found.rows[0] == ("0x000000", "24 bytes", "header (0xffff0007)", "1")


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (0.00012, "0.00012"), (3.14159, "3.142"), (12345, "12 345"), (-2, "-2")]
)
def test_numbers_have_four_digits_that_count(value, text):
    """Short, and large ones in groups of three."""
    assert number(value) == text


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (None, None, "no limit"),
        (None, 10, "≤ 10"),
        (512, None, "≥ 512"),
        (1, 10.5, "1 … 10.5"),
        (None, 0, "≤ 0"),
    ],
)
def test_limits_have_one_form(low, high, text):
    """A side that is open is not written; page, reasons and messages share this form."""
    assert limits(low, high) == text


def test_emulated_numbers_say_so_inside_the_picture():
    """A picture that is taken out of its page still says that it is not silicon's."""
    line = HistogramLine(**SAID, buckets=((10, 11, 2), (11, 12, 1)))
    assert figure(line).stamp == ""
    assert figure(evolve(line, source=f"hist triggers; {EMULATED}")).stamp == "emulated, not silicon"


def test_conditions_are_part_of_a_pictures_name():
    """Pictures of one quantity under several conditions are told apart by their names."""
    line = SeriesLine(**SAID, values=(1.0,), conditions={"core": "m33", "load": "cpu"})
    assert figure(line).name == "latency (core m33, load cpu)"


HUGE, TINY = 1e308, 5e-324


@pytest.mark.parametrize(
    "line",
    [
        MapLine(
            "m", 0, ((10, 0, "reversed"), (5, 5, "empty"), (0, 10**299, "all")), ((-1, True), (7, False))
        ),
        SeriesLine("s", (HUGE, -HUGE, 0.0), "ms", "x"),
        SeriesLine("s", (10**299, TINY), "ms", "x"),
        SegmentsLine("s", (("a", HUGE), ("b", -HUGE), ("c", TINY)), "ms", "x"),
        HistogramLine("h", ((-HUGE, HUGE, 10**299), (HUGE, -HUGE, 0)), "ms", "x"),
        TimelineLine("t", (("a", -(10**299)), ("b", 10**299)), "x"),
    ],
    ids=lambda line: line.kind,
)
def test_numbers_that_no_board_has_are_drawn(line):
    """A record may have any number of a float's range: a quotient of two can be infinite, or none at all."""
    found = figure(line)
    assert all(abs(bar.x) + bar.width <= 3 * FARTHEST for bar in found.bars)


def test_an_image_map_of_many_ranges_takes_linear_time():
    """Every mark finds its range, and every range its marks, without a look at all the others."""
    looks = Counter[str]()

    class Offset(int):
        """A number that counts how often it is compared."""

        def __lt__(self, other: int) -> bool:
            looks["all"] += 1
            return int(self) < int(other)

        def __le__(self, other: int) -> bool:
            looks["all"] += 1
            return int(self) <= int(other)

    count = 1000
    ranges = tuple((4 * n, 4 * n + 4, f"range {n}") for n in range(count))
    found = figure(MapLine("m", 4 * count, ranges, tuple((Offset(4 * n), True) for n in range(count))))
    assert [row[-1] for row in found.rows] == ["1"] * count
    assert looks["all"] < 100 * count
