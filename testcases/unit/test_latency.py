# SPDX-License-Identifier: MIT
"""Counts and durations of notifications: from what the kernel printed to percentiles and verdicts."""

import gzip
import random
from itertools import pairwise

import pytest
from attrs import evolve

from mpbench.core.errors import InfrastructureError, InvalidRun, UsageError
from mpbench.core.facts import Verdict
from mpbench.core.histogram import (
    BANDS,
    BUCKET_ERROR,
    LONGEST_NS,
    Histogram,
    band_of,
    interval,
    of_values,
)
from mpbench.notification import run
from mpbench.notification.cpu_activity import slowest
from mpbench.notification.ftrace_hist import tables
from mpbench.notification.measure import Counts, Result, balance, measurements, merged, shifts
from mpbench.notification.parse import interrupts, readout, unpacked
from mpbench.notification.trace_events import Role, TraceEvent, follow, lost_in_text, of_text
from testcases.stand_in import StandIn

LINE = "optee_pcpu_notification"


# --- histograms -------------------------------------------------------------------------------------------


def test_buckets_are_as_fine_as_promised():
    """From a microsecond on, a bucket's middle is within 0.8 % of everything in it; below, within 8 ns."""
    rng = random.Random(1)
    for _ in range(20_000):
        value = int(2 ** rng.uniform(0, 36))
        middle = of_values([value]).quantile(50)
        assert abs(middle - value) <= max(8, BUCKET_ERROR * value)
    assert BUCKET_ERROR < 0.008


def test_bands_follow_each_other():
    """Every duration has one bucket: the bands leave no gap, do not overlap and begin at a bucket's edge."""
    for band, following in pairwise(BANDS):
        assert band.high_ns == following.low_ns
        assert following.low_ns % following.width_ns == 0
    assert BANDS[0].low_ns == 0
    assert BANDS[-1].high_ns == LONGEST_NS


def test_a_negative_duration_is_refused():
    """What ends before it begins is no duration, nor is what the kernel shows without its sign."""
    with pytest.raises(UsageError, match="-1 ns"):
        band_of(-1)
    with pytest.raises(UsageError, match="are counted"):
        band_of(2**64 - 1)


@pytest.mark.parametrize(
    ("p", "needed"), [(50, 1), (90, 100), (99, 1000), (99.9, 10_000)], ids=["p50", "p90", "p99", "p99.9"]
)
def test_percentiles_are_withheld_when_samples_are_few(p, needed):
    """A percentile takes ten samples beyond it: with one fewer it is withheld; the median takes one."""
    assert of_values([100] * (needed - 1)).percentile(p) is None
    assert of_values([100] * needed).percentile(p) == pytest.approx(100, abs=8)


def test_percentiles_of_known_values():
    """p50, p90 and p99 of 1 to 1000 µs are those values, within the bucket."""
    found = of_values(range(1000, 1_001_000, 1000))
    for p in (50, 90, 99):
        assert found.percentile(p) == pytest.approx(p * 10_000, rel=BUCKET_ERROR)
    assert found.quantile(0) == pytest.approx(1000, abs=8)
    assert found.quantile(100) == pytest.approx(1_000_000, rel=BUCKET_ERROR)
    assert [statistic for statistic, _ in found.summary()] == ["min", "p50", "p90", "p99", "max"]


def test_nothing_has_no_percentile():
    """No samples: no minimum, no percentile, no distribution."""
    empty = Histogram()
    assert (list(empty.summary()), empty.percentile(50)) == ([], None)
    with pytest.raises(UsageError, match="no quantile"):
        empty.quantile(50)


def test_histograms_are_added_and_taken_away():
    """Runs are joined by their counts; what was there before is taken away from what is there after."""
    a, b = of_values([10, 500, 90_000]), of_values([500, 7_000_000])
    assert (a + b).total == 5
    assert (a + b).since(a) == b
    with pytest.raises(UsageError, match="a later one of the same run lacks"):
        a.since(b)


def test_a_confidence_interval_narrows():
    """A percentile's interval holds it, and is narrower of more samples."""
    a = of_values(range(0, 100_000, 100))
    few, many = interval(of_values(range(0, 100_000, 1000)), 50), interval(a, 50)
    assert few[0] <= 50_000 * (1 + BUCKET_ERROR) <= few[1] * (1 + BUCKET_ERROR)
    assert many[1] - many[0] < few[1] - few[0]


# --- conservation -----------------------------------------------------------------------------------------

GOOD = Counts(
    {0: 500, 1: 501}, {0: 500, 1: 501}, requests=502, queued=501, started=501, ended=501, samples=501
)


def test_every_interrupt_is_explained():
    """500 + 501 interrupts are 501 bottom halves, one merged with another, and 499 that found nothing."""
    found = balance(GOOD)
    assert (found.interrupts, found.bottom_halves, found.coalesced, found.spurious) == (1001, 501, 1, 499)
    assert found.holds
    assert found.line == "1001 interrupts = 501 bottom halves + 1 coalesced + 499 spurious; 0 unexplained"


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"dropped": 3}, "the kernel dropped 3 records"),
        ({"table": {0: 500, 1: 502}}, "CPU 1: /proc/interrupts counts 502, the handler ran 501 times"),
        ({"ended": 500, "samples": 500}, "501 bottom halves started, 500 ended"),
        ({"queued": 502}, "502 bottom halves were requested, 501 started"),
        ({"requests": 400}, "501 bottom halves started, but only 400 were requested"),
        ({"requests": 1002}, "1002 requests came from 1001 interrupts"),
        ({"samples": 502}, "502 samples of 501 bottom halves"),
        ({"started": 1002, "ended": 1002}, "1002 bottom halves, but only 1001 interrupts"),
    ],
)
def test_what_does_not_add_up_is_told(changed, words):
    """Each contradiction between the counts is named with its numbers."""
    found = balance(evolve(GOOD, **changed))
    assert not found.holds
    assert words in found.unexplained
    assert words in found.line


def test_counts_that_a_board_cannot_have():
    """Without a probe for requests, merged interrupts and those that found nothing can't be told apart."""
    found = balance(evolve(GOOD, requests=None))
    assert found.holds
    assert "cannot be distinguished" in found.line


def result(values, **changed):
    segments = {"total": of_values(values)}
    counts = evolve(GOOD, **changed)
    return Result("hist triggers", "per-CPU", counts, segments, {0: segments["total"]}, sent=500, moved=100)


def test_limits_decide():
    """Inside the limit passes, close to it is marginal, beyond it fails; no limit, no verdict."""
    limits = {"total": {"p50": 115.0, "max": 90.0, "min": 500.0}}
    found = [m for m in measurements(result([100_000] * 100), limits) if m.statistic]
    assert {m.statistic: m.verdict for m in found} == {
        "min": Verdict.PASS,
        "p50": Verdict.PASS,
        "p90": None,
        "max": Verdict.FAIL,
    }
    assert {(m.name, m.n, m.conditions["segment"]) for m in found} == {
        ("notification latency", 100, "total: hard IRQ entry → bottom half end")
    }
    near = measurements(result([110_000] * 20), limits)
    assert next(m for m in near if m.statistic == "p50").verdict is Verdict.MARGINAL


def test_conditions_are_part_of_every_measurement():
    """What a run was made under is a field of all its figures, and no part of a name."""
    found = list(measurements(result([100_000]), {}, {"load": "cpu"}))
    assert all(m.conditions["load"] == "cpu" for m in found)
    assert {m.conditions["CPU"] for m in found if "CPU" in m.conditions} == {"0", "1"}
    assert {m.name for m in found} & {"interrupts", "coalesced interrupts", "bottom halves not timed"}


def test_contradictions_fail():
    """A run that does not add up has a measurement that fails."""
    bad = {m.name: m for m in measurements(result([1], ended=500, samples=1), {})}
    assert bad["conservation errors"].verdict is Verdict.FAIL


def test_runs_are_merged():
    """Two runs of a board as one: counts and distributions are added; what one has not stays unknown."""
    both = merged(result([100]), result([200], requests=None))
    assert both.segments["total"].total == 2
    assert both.by_cpu[0].total == 2
    assert both.counts.table == {0: 1000, 1: 1002}
    assert both.counts.requests is None
    assert (both.sent, both.moved) == (1000, 200)


def test_baseline_is_compared_by_confidence():
    """A shift counts when intervals are apart: half as fast is slower, the same again is no difference."""
    rng = random.Random(2)
    before = {"total": of_values(int(rng.gauss(100_000, 5_000)) for _ in range(2000))}
    again = {"total": of_values(int(rng.gauss(100_000, 5_000)) for _ in range(2000))}
    slow = {"total": of_values(int(rng.gauss(200_000, 5_000)) for _ in range(2000))}
    assert {s.word for s in shifts(before, again)} == {"no difference"}
    assert {s.statistic: s.word for s in shifts(before, slow)} == {
        "p50": "slower",
        "p90": "slower",
        "p99": "slower",
    }
    assert {s.word for s in shifts(slow, before)} == {"faster"}


@pytest.mark.parametrize(
    ("now_us", "allowed", "verdict"),
    [
        (100, 1.0, Verdict.PASS),
        (50, 1.0, Verdict.PASS),
        (200, 1.0, Verdict.FAIL),
        (200, 1.5, Verdict.FAIL),
        (200, 2.5, Verdict.MARGINAL),
        (100, 2.5, Verdict.PASS),
    ],
)
def test_a_regression_has_a_verdict(now_us, allowed, verdict):
    """Slower for certain is a FAIL, MARGINAL as far as the target allows it; the same or faster is a PASS."""
    rng = random.Random(3)
    before = {"total": of_values(int(rng.gauss(100_000, 5_000)) for _ in range(2000))}
    now = {"total": of_values(int(rng.gauss(now_us * 1000, 5_000)) for _ in range(2000))}
    found = [shift.measurement(allowed) for shift in shifts(before, now)]
    assert len(found) == 3
    assert {m.verdict for m in found} == {verdict}


@pytest.mark.slow
def test_equal_runs_are_rarely_called_slower():
    """Of 200 pairs of runs of the same board at most one has a percentile that is called slower."""
    rng = random.Random(4)
    runs = [{"total": of_values(int(rng.lognormvariate(11, 0.5)) for _ in range(1000))} for _ in range(201)]
    wrong = [pair for pair in pairwise(runs) if any(s.word == "slower" for s in shifts(*pair))]
    assert len(wrong) <= 1


# --- what the kernel prints -------------------------------------------------------------------------------

HIST = """# event histogram
#
# trigger info: hist:keys=cpu,total.buckets=256:vals=hitcount:sort=total:size=4096 if total >= 16384 [active]
#

{ cpu:          1, total: ~ 58624-58879 } hitcount:          2
{ cpu:          0, total: ~ 59136-59391 } hitcount:          1

Totals:
    Hits: 3
    Entries: 2
    Dropped: 0
"""
COUNTED = """# event histogram
#
# trigger info: hist:keys=common_cpu:vals=hitcount:ti=common_timestamp:size=2048:clock=local [active]
#

{ common_cpu:          1 } hitcount:         44
{ common_cpu:          0 } hitcount:         43

Totals:
    Hits: 87
    Entries: 2
    Dropped: 1
"""
TABLE = """           CPU0       CPU1
 14:         11          0 GIC-0  78 Edge      virtio0
 17:         43         44 GIC-0  31 Edge      optee_pcpu_notification
Err:          0
"""


def said(first: str = TABLE, last: str = TABLE) -> str:
    return (
        f"@@ interrupts\n{first}@@ irqs\n{COUNTED}@@ durations\n{HIST}"
        f"@@ missed\n  run/ask  12  5\n@@ interrupts\n{last}"
    )


def test_histograms_of_the_kernel_are_read():
    """Buckets, counts by CPU, what was dropped or missed, and that all of it is of one moment."""
    found = readout(said(), LINE)
    assert found.table == {0: 43, 1: 44}
    assert found.hits == {"irqs": {0: 43, 1: 44}}
    assert found.durations == {"total": {(1, 58624, 256): 2, (0, 59136, 256): 1}}
    assert found.dropped == 1 + 5
    assert found.consistent


def test_rows_that_the_board_shortened():
    """Rows are the same as the kernel prints them and without what is not needed."""
    short = HIST.replace(
        "{ cpu:          1, total: ~ 58624-58879 } hitcount:          2", "=cpu:1,total:~58624=2"
    )
    assert short != HIST
    assert next(tables(short)) == next(tables(HIST))


def test_links_of_the_chain_do_not_count():
    """Of two histograms of an event the one without a link counts: the other leaves out what led nowhere."""
    link = COUNTED.replace("clock=local", "clock=local:onmatch(irq.irq_handler_entry).trace(q,$w)")
    both = said().replace(COUNTED, link.replace("44", "4").replace("87", "47") + "\n\n" + COUNTED)
    assert readout(both, LINE).hits == {"irqs": {0: 43, 1: 44}}


def test_a_disturbed_readout_is_not_consistent():
    """A notification came while the histograms were read: the numbers are not of one moment."""
    assert not readout(said(last=TABLE.replace(" 44 GIC", " 45 GIC")), LINE).consistent
    assert not readout(said().replace("Hits: 3", "Hits: 4"), LINE).consistent


def test_readings_are_taken_from_each_other():
    """What came in a run is the difference of two readings; what did not change is not in it."""
    before = readout(said(), LINE)
    more = said().replace("hitcount:          2", "hitcount:          7").replace("Hits: 3", "Hits: 8")
    came = readout(more, LINE).since(before)
    assert came.durations == {"total": {(1, 58624, 256): 5}}
    assert (came.hits["irqs"], came.table, came.dropped) == ({}, {}, 0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (said().replace("    Dropped: 0\n", ""), "truncated"),
        (said().rpartition("@@ ")[0], "1 copies of /proc/interrupts instead of 2"),
        (said().replace("total.buckets=256", "total"), "without buckets"),
        (said().replace("optee_pcpu", "other"), "/proc/interrupts no longer lists 'optee_pcpu_notification'"),
    ],
)
def test_damaged_answers_are_refused(text, words):
    """An answer that is cut or lacks something is an error, never a count."""
    with pytest.raises(InfrastructureError, match=words):
        readout(text, LINE)


def test_compressed_answers():
    """The board's answer comes compressed; a damaged one is an error."""
    packed = gzip.compress(b"x" * 100)
    assert unpacked(packed) == "x" * 100
    for damaged in (packed[:-4], b"", packed[:12] + b"\0" + packed[13:]):
        with pytest.raises(InfrastructureError, match="damaged"):
            unpacked(damaged)


def test_an_offline_cpu_has_no_column():
    """/proc/interrupts lists CPUs that are online: counts go by the column's name."""
    assert interrupts("      CPU1\n 17:  5 GIC-0 31 Edge  optee_notification\n", "optee_notification") == {
        1: 5
    }
    assert [t.hits for t in tables(HIST + "\n" + COUNTED)] == [3, 87]


# --- events one by one ------------------------------------------------------------------------------------

ROLES = {
    "irq/irq_handler_entry": Role("irqs"),
    "workqueue/workqueue_queue_work": Role("queued", "work"),
    "workqueue/workqueue_execute_start": Role("started", "work"),
    "optee/optee_invoke_fn_begin": Role("begins"),
    "optee/optee_invoke_fn_end": Role("returns of calls"),
    "workqueue/workqueue_execute_end": Role("ended"),
}
TEXT = """# tracer: nop
#
# entries-in-buffer/entries-written: 8/8   #P:2
#
          <idle>-0       [000] D.H4.  2039.185395: irq_handler_entry: irq=17 name=optee_pcpu_notification
          <idle>-0       [000] D.H5.  2039.185833: workqueue_queue_work: work struct=000a function=fn cpu=0
     kworker/0:1-10      [001] .....  2039.188835: workqueue_execute_start: work struct 000a: function fn
     kworker/0:1-10      [001] .....  2039.188920: optee_invoke_fn_begin: param=0 (32000013, 0)
     kworker/0:1-10      [001] .....  2039.189000: optee_invoke_fn_end: param=0 ret (ffff0004, 0, 0, 0)
     kworker/0:1-10      [001] .....  2039.189100: optee_invoke_fn_begin: param=0 (32000003, 0)
     kworker/0:1-10      [001] .....  2039.190167: optee_invoke_fn_end: param=0 ret (0, 0, 0, 0)
     kworker/0:1-10      [001] .....  2039.190189: workqueue_execute_end: work struct 000a: function fn
"""


def test_a_notification_is_followed_through_the_text():
    """First call and last return of the secure world count: an RPC in between belongs to the round trip."""
    found = follow(of_text(TEXT, ROLES))
    (sample,) = found.samples
    assert sample.durations == {
        "queue": 438_000,
        "start": 3_002_000,
        "smc": 85_000,
        "round": 1_247_000,
        "total": 4_772_000,
    }
    assert (sample.irq_cpu, sample.cpu) == (0, 1)
    assert lost_in_text(TEXT) == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (TEXT[:-1], "its last line does not end"),
        (TEXT[:-30] + "\n" + "cut\n", "cannot parse trace line 13"),
    ],
)
def test_cut_text_is_refused(text, words):
    """Text that is cut short is an error."""
    with pytest.raises(InfrastructureError, match=words):
        of_text(text, ROLES)


def test_lost_events_are_read_from_the_text():
    """The text's head and its own lines say what is missing."""
    text = TEXT.replace("8/8", "8/11").replace("     kworker", "CPU:1 [LOST 4 EVENTS]\n     kworker", 1)
    assert lost_in_text(text) == 3 + 4
    assert len(follow(of_text(text, ROLES)).samples) == 1


def test_nothing_is_linked_twice():
    """An interrupt or a bottom half without a request gives no sample; each time is used once."""
    steps = [
        TraceEvent(1, 0, "irqs", 0, 0),
        TraceEvent(2, 1, "irqs", 0, 0),
        TraceEvent(3, 0, "queued", 0, 7),
        TraceEvent(4, 0, "started", 9, 7),
        TraceEvent(5, 0, "begins", 9, 0),
        TraceEvent(6, 0, "returns of calls", 9, 0),
        TraceEvent(7, 0, "ended", 9, 0),
        TraceEvent(8, 0, "queued", 0, 7),
        TraceEvent(9, 0, "started", 9, 7),
        TraceEvent(10, 0, "begins", 9, 0),
        TraceEvent(11, 0, "returns of calls", 9, 0),
        TraceEvent(12, 0, "ended", 9, 0),
    ]
    found = follow(steps)
    assert [s.irq for s in found.samples] == [1]
    assert found.hits["started"] == {0: 2}
    assert [(s.irq, s.done) for s in found.samples] == [(1, 6)]
    assert [o.total_ns for o in slowest(found.samples, 5, lambda *_: ())] == [5]


# --- the run ----------------------------------------------------------------------------------------------


class Scripted(StandIn):
    """A trace whose readings are given."""

    def __init__(self, *texts: str) -> None:
        self.texts = list(texts)
        self.moved = 0
        self.restarted = 0
        self.halted = 0

    def read(self, *, durations: bool = True, restart: bool = False, halt: bool = False) -> bytes:  # noqa: ARG002
        self.moved += 1
        self.restarted += restart
        self.halted += halt
        return gzip.compress((self.texts.pop(0) if len(self.texts) > 1 else self.texts[0]).encode())


class Place(StandIn):
    path, line = "per-CPU", LINE


def reading(n: int, *, quiet: bool = True, queued: int | None = None, ended: int | None = None) -> str:
    table = TABLE.replace("43", str(43 + n))

    def hist(hits: int) -> str:
        rows = f"{{ work:  7 }} hitcount: {hits}\n" if hits else ""
        totals = f"Totals:\n    Hits: {hits}\n    Entries: {int(hits > 0)}\n    Dropped: 0\n"
        return f"# trigger info: hist:keys=work [active]\n{rows}{totals}"

    asked = n if queued is None else queued
    counted = (
        COUNTED.replace("43", str(43 + n)).replace("Hits: 87", f"Hits: {87 + n}").replace(": 1\n", ": 0\n")
    )
    body = f"@@ started\n{hist(n)}@@ ended\n{hist(n if ended is None else ended)}"
    body += f"@@ queued\n{hist(asked)}@@ requests\n{hist(asked)}@@ irqs\n{counted}"
    last = table if quiet else table.replace(" 44 GIC", " 99 GIC")
    return f"@@ interrupts\n{table}{body}@@ interrupts\n{last}"


def test_bytes_that_share_a_notification_are_made_up_for():
    """Rounds of sending go on until enough notifications came, and everything that was sent is counted."""
    asked = []

    def send(n: int) -> int:
        asked.append(n)
        return n

    trace = Scripted(reading(0), reading(0), reading(6), reading(10), reading(10))
    found = run.measure(trace, Place(), send, 10)
    assert asked == [10, 4]
    assert (found.sent, found.counts.ended, found.counts.irqs) == (14, 10, {0: 10})
    assert found.balance.holds


def test_no_source_ends_after_one_round():
    """Where nothing comes, one round is enough to know; nothing was counted, and the caller says why."""
    found = run.measure(Scripted(reading(0)), Place(), lambda _: None, 10)
    assert (found.counts.ended, found.sent) == (0, None)


def test_a_source_that_is_too_slow_is_a_lab_fault():
    """Rounds are bounded."""
    with pytest.raises(InfrastructureError, match="only 1 of 10 notifications came in 3 rounds of sending"):
        run.measure(Scripted(reading(0), reading(0), reading(1)), Place(), lambda n: n, 10, rounds=3)


@pytest.mark.parametrize("busy", [{"queued": 6}, {"ended": 4}], ids=["queued", "running"])
def test_nothing_is_under_way_at_the_first_readout(busy):
    """A bottom half that was requested or began before it would be counted as one too many."""
    trace = Scripted(reading(5, **busy), reading(6), reading(6), reading(16), reading(16))
    found = run.measure(trace, Place(), lambda n: n, 10)
    assert (found.counts.requests, found.counts.started, found.counts.ended) == (10, 10, 10)
    assert found.balance.holds


def test_what_a_trace_saw_the_end_of_alone_stays_so():
    """It was set up between two of its events: that difference is no notification under way."""
    for less in (-1, 1):
        idle = [reading(1, queued=1 + less, ended=1 - less)] * 2
        found = run.measure(
            Scripted(*idle, reading(3, queued=3 + less, ended=3 - less)), Place(), lambda n: n, 2
        )
        assert (found.counts.started, found.counts.ended) == (2, 2)
        assert found.balance.holds


def test_a_board_with_something_always_under_way_is_invalid():
    """It is never seen idle."""
    restless = Scripted(*(reading(k, queued=k + k % 2) for k in range(99)))
    with pytest.raises(InvalidRun, match="bottom halves were under way at all 12 reads"):
        run.settled(restless, LINE, pause=lambda _: None)


def test_a_board_that_always_notifies_is_invalid():
    """Readouts during which notifications arrive can't be compared; after some tries the run is INVALID."""
    with pytest.raises(InvalidRun, match="no consistent snapshot: notifications arrived during all 36 reads"):
        run.consistent(Scripted(reading(0, quiet=False)), LINE, pause=lambda _: None)


def test_a_bottom_half_that_a_busy_tee_lets_wait_is_waited_for():
    """Clients take its threads for longer than a few reads; one that never ends makes the run INVALID."""
    waiting = [reading(2, ended=1)] * (run.READS + 1)
    found = run.consistent(Scripted(*waiting, reading(2)), LINE, (0, 0), pause=lambda _: None)
    assert run.under_way(found) == (0, 0)
    with pytest.raises(InvalidRun, match="at each of 100 reads a bottom half had not started or not ended"):
        run.consistent(Scripted(reading(2, ended=1)), LINE, (0, 0), pause=lambda _: None)


def test_less_under_way_than_at_first_is_idle_too():
    """The first readout was within a bottom half, which has ended since."""
    found = run.consistent(Scripted(reading(2)), LINE, (0, 1), pause=lambda _: None)
    assert run.under_way(found) == (0, 0)


def test_a_recording_with_another_notification_at_its_end_is_repeated():
    """A watchdog's notification between the last readout and the recording's end is in only one of them."""
    first = [reading(0), reading(0), reading(3), reading(4, quiet=False)]
    trace = Scripted(*first, reading(4), reading(4), reading(7), reading(7))
    before, after, sent = run.recorded(trace, Place(), lambda n: n, 3)
    assert (trace.restarted, trace.halted, sent) == (4, 2, 3)
    assert sum(after.since(before).table.values()) == 3
    restless = Scripted(*(reading(k, quiet=q) for k in range(99) for q in (True, True, True, False)))
    with pytest.raises(InvalidRun, match="all 12 recordings ended inside a bottom half"):
        run.recorded(restless, Place(), lambda n: n, 3)


def test_listening_counts_what_comes_by_itself():
    """Interrupts between two readings, however long that takes; none where there is no source."""
    waited: list[float] = []
    assert run.listen(Scripted(reading(2), reading(5)), Place(), 5.0, waited.append) == 3
    assert run.listen(Scripted(reading(2)), Place(), 5.0, waited.append) == 0
    assert waited == [5.0, 5.0]


def test_threads_ask_for_themselves():
    """On the threaded path the handler's end is the request, and nothing is queued beside it."""
    hits = {"irqs": {0: 5}, "queued": {0: 4}, "started": {17: 3}, "ended": {39: 3}}
    found = run.counts("threaded", hits, {0: 5}, 3, 0)
    assert (found.requests, found.queued) == (4, None)
    assert balance(found).coalesced == 1
