# SPDX-License-Identifier: MIT
"""The slowest notifications with CPU activity: from raw events, text and snapshots."""

import contextlib
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from mpbench.board.session.shell_protocol import Reply
from mpbench.board.trace.ring_buffer import decode, event_format, layout
from mpbench.core.errors import InfrastructureError, InvalidRun
from mpbench.core.lines import OutliersLine
from mpbench.notification import collect, ftrace_plan, run
from mpbench.notification.capabilities import parse
from mpbench.notification.cpu_activity import (
    IRQ,
    IRQ_END,
    SOFTIRQ,
    SOFTIRQ_END,
    SWITCH,
    UNKNOWN,
    Mark,
    marks_of_raw,
    marks_of_text,
    of_snapshot,
    ran,
    shortened,
    slowest,
)
from mpbench.notification.facts import CpuActivity, Outlier
from mpbench.notification.fixture import Notifications
from mpbench.notification.ftrace_session import FtraceSession
from mpbench.notification.live_histogram import Live
from mpbench.notification.measure import OUTLIERS, Counts, Result, as_sample, row, worst
from mpbench.notification.parse import Readout
from mpbench.notification.run import BUCKETS
from mpbench.notification.trace_events import Role, follow, of_raw, of_text
from mpbench.report.figures import figure
from testcases.unit.test_notification_board import OUTPUT, SPI, Session

CAPTURE = Path(__file__).parents[1] / "captures/context-arm64"
TEXT, SNAPSHOT = ((CAPTURE / name).read_text() for name in ("trace", "snapshot"))


def roles() -> dict[str, Role]:
    rows = [line.split() for line in (CAPTURE / "events").read_text().splitlines()]
    return {
        event: Role(
            "" if role == "-" else role.replace("_", " "),
            "" if key == "-" else key,
            None if only == "-" else int(only),
        )
        for event, role, key, only in rows
    }


def pages():
    """Decoded pages by CPU, and formats by event."""
    formats = [event_format(text) for text in (CAPTURE / "formats").read_text().split("@@\n")]
    where, by_id = layout((CAPTURE / "header_page").read_text()), {f.id: f for f in formats}
    found = [
        (cpu, events)
        for cpu in (0, 1)
        for events in decode((CAPTURE / f"cpu{cpu}.raw").read_bytes(), where, by_id)
    ]
    return found, dict(zip(roles(), formats, strict=True))


# --- what ran ---------------------------------------------------------------------------------------------


def mark(ns, event, what="", before="a (1)", cpu=0):
    return Mark(ns, cpu, event, what, before)


def test_interrupts_run_on_top_of_softirqs_on_top_of_tasks():
    """Every nanosecond belongs to the innermost: handler, else softirq, else task; other CPUs don't count."""
    marks = [
        mark(0, SWITCH, "b (2)"),
        mark(10, IRQ, "irq 5 timer"),
        mark(15, IRQ_END),
        mark(15, SOFTIRQ, "softirq RCU"),
        mark(18, SWITCH, "z (9)", cpu=1),
        mark(20, IRQ, "irq 6 net"),
        mark(22, IRQ_END),
        mark(30, SOFTIRQ_END),
        mark(40, SWITCH, "c (3)"),
    ]
    assert list(ran(marks, 0, 5, 50)) == [
        CpuActivity(0, 0, 5, "b (2)"),
        CpuActivity(0, 5, 5, "irq 5 timer"),
        CpuActivity(0, 10, 5, "softirq RCU"),
        CpuActivity(0, 15, 2, "irq 6 net"),
        CpuActivity(0, 17, 8, "softirq RCU"),
        CpuActivity(0, 25, 10, "b (2)"),
        CpuActivity(0, 35, 10, "c (3)"),
    ]


def test_activity_that_was_not_recorded_is_unknown():
    """Activity before a CPU's first event is unknown; without any event, all of it."""
    assert list(ran([mark(8, IRQ, "irq 5 timer"), mark(9, IRQ_END)], 0, 5, 20)) == [
        CpuActivity(0, 0, 3, UNKNOWN),
        CpuActivity(0, 3, 1, "irq 5 timer"),
        CpuActivity(0, 4, 11, "a (1)"),
    ]
    assert list(ran([], 0, 5, 20)) == [CpuActivity(0, 0, 15, UNKNOWN)]


def test_a_handler_without_an_end_is_over_at_the_next_event():
    """An exit that the filter leaves out doesn't make the handler run for ever."""
    marks = [mark(0, IRQ, "irq 9"), mark(5, SWITCH, "b (2)"), mark(6, IRQ, "irq 9"), mark(8, SOFTIRQ, "RCU")]
    assert [part.what for part in ran(marks, 0, 0, 10)] == ["irq 9", "b (2)", "irq 9", "RCU"]


def test_many_parts_are_shortened():
    """Equal neighbours are merged; the longest are listed in order, the others counted."""
    parts = [CpuActivity(0, n, 1 + n % 7, f"task {n // 2}") for n in range(40)]
    found = shortened(parts, 3)
    assert len(found) == 4
    assert found[-1].what == "17 others"
    assert sum(p.ns for p in found) == sum(p.ns for p in parts)
    assert shortened(parts[:2]) == (CpuActivity(0, 0, 3, "task 0"),)


# --- from the board ---------------------------------------------------------------------------------------


def test_raw_pages_and_text_agree():
    """Equal slowest notifications, tasks, handlers and softirqs, within the text's microsecond."""
    decoded, formats = pages()
    trace_events = [h for cpu, events in decoded for h in of_raw(cpu, events, formats, roles())]
    by_raw = slowest(follow(trace_events).samples, 3, marks_of_raw(decoded, formats))
    by_text = slowest(follow(of_text(TEXT, roles())).samples, 3, marks_of_text(TEXT))
    assert len(by_raw) == len(by_text) == 3
    for one, other in zip(by_raw, by_text, strict=True):
        assert other.total_ns == pytest.approx(one.total_ns, abs=2000)
        assert (one.irq_cpu, one.cpu, one.segment) == (other.irq_cpu, other.cpu, other.segment)
        assert {r.what for r in one.ran} & {r.what for r in other.ran} >= {"irq 17 optee_pcpu_notification"}
        ours = [r for r in one.ran if r.cpu == one.cpu]
        assert sum(r.ns for r in ours) == pytest.approx(one.total_ns, rel=0.01)
        assert any(r.what.startswith("kworker/") for r in ours)


def test_other_interrupts_are_no_notifications():
    """Of all interrupts that are recorded only those with our number are counted."""
    every = TEXT.count("irq_handler_entry:")
    ours = TEXT.count("irq_handler_entry: irq=17")
    decoded, formats = pages()
    raw = follow(h for cpu, events in decoded for h in of_raw(cpu, events, formats, roles()))
    assert every > ours == raw.hits["irqs"].total() == follow(of_text(TEXT, roles())).hits["irqs"].total()


def test_without_context_an_outlier_has_only_times():
    """A kernel without sched_switch: how long and which part, and nothing that ran."""
    (found,) = slowest(follow(of_text(TEXT, roles())).samples, 1, lambda _, __: [])
    assert found.ran == ()
    assert found.segment in found.durations_ns


def test_a_snapshot_holds_its_outlier():
    """The kernel's duration selects the notification, whose events are in the snapshot."""
    (found,) = of_snapshot(SNAPSHOT, roles())
    assert found.total_ns == pytest.approx(5_561_760, rel=0.1)
    assert found.irq_cpu == 0
    assert sum(r.ns for r in found.ran if r.cpu == found.cpu) == pytest.approx(found.total_ns, rel=0.01)


def test_a_snapshot_that_lost_the_start():
    """Where the buffer has lost the start, duration and CPU are the kernel's; the rest is unknown."""
    text = SNAPSHOT.replace("5561760", "900000000")
    (found,) = of_snapshot(text, roles())
    assert (found.total_ns, found.segment) == (900_000_000, "total")
    assert found.ran[0].what == UNKNOWN
    assert row(found)[1] == "its parts were not recorded"
    (nothing,) = of_snapshot(text[: text.index("# tracer") + 14], roles())
    assert nothing == Outlier({"total": 900_000_000}, 0, 0)


def test_no_snapshot_no_outlier():
    """Nothing was slower than nothing: the kernel took none."""
    assert of_snapshot(SNAPSHOT[SNAPSHOT.index("# tracer") :], roles()) == ()


# --- asked of the board -----------------------------------------------------------------------------------

MORE = "sched/sched_switch\nirq/softirq_entry\nirq/softirq_exit\n# clocks"
SNAPS = "        onmatch(matching.event)\n  onmax(var)\n  snapshot()\n"


def able(output: str) -> str:
    """Output of a board whose kernel can also record CPU activity."""
    return output.replace("# clocks", MORE).replace("        onmatch(matching.event)\n", SNAPS)


def test_the_plan_has_a_context_where_the_kernel_can():
    """All interrupts and switches are recorded beside; on the threaded path no wake-up is left out."""
    bare = ftrace_plan.plan(parse(OUTPUT), "t", BUCKETS)
    assert (bare.context, bare.worst) == ((), None)
    found = {r.event: r for r in ftrace_plan.plan(parse(able(OUTPUT)), "t", BUCKETS).context}
    assert (found["irq/irq_handler_entry"].condition, found["irq/irq_handler_entry"].only) == ("", 17)
    assert found[SWITCH].role == found[IRQ_END].role == ""
    threaded = {r.event: r for r in ftrace_plan.plan(parse(able(SPI)), "t", BUCKETS).context}
    assert threaded[IRQ_END].condition == "irq!=17 || ret==2"
    assert threaded[IRQ_END].only == 17


def test_context_has_a_buffer_of_its_own():
    """Small for a snapshot, as large as that of the events if all is recorded; none if it isn't wanted."""
    small, whole, without = (Session({}) for _ in range(3))
    traces = [FtraceSession(s, parse(able(OUTPUT)), BUCKETS) for s in (small, whole, without)]
    traces[0].start()
    traces[1].start(record=True)
    traces[2].start(context=False)
    assert "onmax($m).snapshot()" in small.commands[-1]
    assert f"echo 8 >{traces[0].context}/buffer_size_kb" in small.commands[-1]
    assert "snapshot" not in whole.commands[-1].partition("mpb_refused()")[2]
    assert f"echo 8192 >{traces[1].context}/buffer_size_kb" in whole.commands[-1]
    assert traces[2].context not in without.commands[-1]
    traces[1].read(restart=True)
    assert f"{traces[1].context}/trace" in whole.commands[-1]
    assert traces[1].worst() == traces[2].worst() == b""


def test_a_snapshot_that_cannot_be_read_is_a_lab_fault():
    """The error quotes the board; bytes that came are counted."""
    session = Session({"triggering": Reply(1, b"xy", b"no gzip")})
    trace = FtraceSession(session, parse(able(OUTPUT)), BUCKETS)
    trace.start()
    with pytest.raises(
        InfrastructureError, match="the snapshot of the slowest notification can't be read: no gzip"
    ):
        trace.worst()
    assert trace.moved == 2


# --- shown ------------------------------------------------------------------------------------------------

ONE = Outlier(
    {"queue": 1_000, "start": 70_000, "smc": 2_000, "round": 7_000, "total": 80_000},
    0,
    1,
    (CpuActivity(0, 0, 1_000, "irq 17 n"), CpuActivity(1, 0, 80_000, "dd (7)")),
)


def test_the_slowest_of_all_are_kept():
    """Of many only some are listed, slowest first."""
    many = [evolve(ONE, durations_ns={"total": n}) for n in range(20)]
    assert [o.total_ns for o in worst(many)] == [19, 18, 17, 16, 15]
    assert len(worst(many)) == OUTLIERS


def test_an_outlier_in_words():
    """How long, which part was longest, where, and what ran there."""
    assert row(ONE) == (
        "80.0 µs",
        "scheduling latency: woken → running: 70.0 µs",
        "0, then 1",
        "CPU 0 +0.0: irq 17 n 1.0; CPU 1 +0.0: dd (7) 80.0",
    )
    shown: list[str] = []
    Live(1, _Capture(), out=shown.append).outliers([row(ONE), row(evolve(ONE, ran=()))])
    assert "CPU 1 +0.0: dd (7) 80.0" in "".join(shown)
    assert "CPU activity was not recorded" in "".join(shown)


class _Capture:
    def global_and_fixture_disabled(self):
        return contextlib.nullcontext()


def test_the_page_has_a_row_for_each():
    """The table below the histogram: total, longest part, CPU, what ran when for how long."""
    sample = evolve(as_sample(ONE), longest="start: 70 µs")
    line = OutliersLine("slowest", (sample,), "s")
    assert figure(line).rows == (
        (
            "80 µs",
            "start: 70 µs",
            "0, bottom half on 1",
            "+0 µs CPU 0: irq 17 n for 1 µs; +0 µs CPU 1: dd (7) for 80 µs",
        ),
    )
    same = figure(evolve(line, samples=(evolve(sample, cpu=0, ran=()),)))
    assert same.rows[0][2:] == ("0", "not recorded")
    assert figure(evolve(line, samples=())).alt == "none was recorded by itself"


# --- without histograms -----------------------------------------------------------------------------------


def result(started: int, ended: int) -> Result:
    counts = Counts({0: started}, {0: started}, started, started, started, ended, 0)
    return Result(run.RAW, "per-CPU", counts, {}, {}, sent=started)


def one_by_one(monkeypatch, results, samples=10):
    """A measurement on a kernel without histograms, whose recordings are given."""
    made = Notifications(None, None, None, {}, samples, 100.0, None)
    asked: list[int] = []
    found = iter(results)

    def recording_of(_, n, *__):
        asked.append(n)
        return next(found)

    monkeypatch.setattr(Notifications, "_recording_of", recording_of)
    return made.run(), asked


def test_records_are_joined_until_enough_came(monkeypatch):
    """Notifications that shared an interrupt are sent again; a truncated recording is repeated."""
    found, asked = one_by_one(monkeypatch, [result(6, 6), result(4, 3), result(4, 4)])
    assert asked == [10, 4, 4]
    assert (found.counts.ended, found.sent) == (10, 10)
    with pytest.raises(InvalidRun, match="all 20 recordings ended inside a bottom half"):
        one_by_one(monkeypatch, [result(4, 3)] * 99)
    with pytest.raises(pytest.skip.Exception, match="no source of notifications"):
        one_by_one(monkeypatch, [result(0, 0)])


@pytest.mark.parametrize("known", [True, False])
def test_a_buffer_of_an_unknown_layout_is_read_as_text(monkeypatch, known):
    """Raw pages if the board's header_page is one that is known, else the trace's text."""
    page = (CAPTURE / "header_page").read_text() if known else "field: nothing\n"
    board: Any = type(
        "Board", (), {"session": Session({"header_page": Reply(0, page.encode() + b"@@\n", b"")})}
    )
    bench: Any = type("Bench", (), {"board": board})
    made: Any = Notifications(bench, None, None, {}, 1, 1.0, None)
    trace = contextlib.nullcontext()
    readouts = type("Readout", (), {"since": lambda *_: Readout({}, {}, {}, 0, True)})
    monkeypatch.setattr(Notifications, "traced", lambda *_, **__: trace)
    monkeypatch.setattr(run, "recorded", lambda *_: (readouts(), readouts(), 1))
    monkeypatch.setattr(collect, "raw", lambda *_: run.RAW)
    monkeypatch.setattr(collect, "text", lambda *_: run.TEXT)
    monkeypatch.setattr(run, "followed", lambda _, taken, __, method, sent: (taken, method, sent))
    method = run.RAW if known else run.TEXT
    assert made._recording_of(1, 1, lambda: None) == (method, method, 1)
