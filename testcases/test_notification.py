# SPDX-License-Identifier: MIT
"""OP-TEE's asynchronous notifications, from the hard interrupt to the end of the bottom half.

`pytest --lg-env ... testcases/test_notification.py --bench-samples 100000 --bench-rate 200`
"""

import json
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack

import pytest
from attrs import asdict, evolve

from mpbench.board import stress
from mpbench.board.trace import raw_trace
from mpbench.board.trace.recorder import leftovers
from mpbench.core.facts import METHOD
from mpbench.core.histogram import BUCKET_ERROR, interval
from mpbench.core.shared_files import SHARED
from mpbench.notification import collect, run
from mpbench.notification.measure import merged
from mpbench.notification.run import HISTOGRAM, RAW, TEXT
from mpbench.notification.trace_events import of_text
from testcases.event_order import interleaved, text_is_early
from testcases.requirements import NOTIFICATION

pytestmark = NOTIFICATION

MOST_MOVED = 64 << 10
"""Most bytes read from the board for a run of any length: none are moved per sample."""

UNDER_LOAD = 120
"""Notifications per condition."""


def test_every_interrupt_is_explained(notifications):
    """Every interrupt led to a bottom half, was merged with one, or had no work; no event was dropped."""
    found = notifications.run()
    notifications.record(found)
    assert found.balance.holds
    assert found.counts.ended >= notifications.samples
    assert found.counts.samples > 0.9 * found.counts.ended
    assert found.counts.dropped == 0
    if found.method == HISTOGRAM:
        assert found.moved <= MOST_MOVED
    if notifications.found.snapshots:
        assert found.outliers
        assert all(whole(o) for o in found.outliers)


def whole(outlier) -> bool:
    """Whether CPU activity is known for all of its time, on the CPU of its bottom half."""
    ran_ns = sum(part.ns for part in outlier.ran if part.cpu == outlier.cpu)
    return ran_ns == outlier.total_ns


TEXT_RESOLUTION_NS = 2000
"""Both ends of a duration are truncated to a microsecond in the trace text."""

RECORDINGS = 5
"""At most this many, until the notifications of one are the same for all methods."""


def test_three_methods_agree(notifications):
    """Hist triggers, raw ring buffer and trace text of one run give equal distributions."""
    with notifications.traced(count=True, record=True) as trace:
        found = comparable(notifications, trace, 300)
    by_kernel, by_raw, by_text = (found[name] for name in (HISTOGRAM, RAW, TEXT))
    for result in found.values():
        notifications.record(result, {METHOD: result.method})
    for result in (by_raw, by_text):
        explained = [o for o in result.outliers if o.ran]
        assert explained
        assert all(whole(o) for o in explained)
    assert by_raw.counts == by_kernel.counts
    assert by_text.counts.samples == by_kernel.counts.samples
    for name, histogram in by_kernel.segments.items():
        for p in (0, 10, 50, 90, 100):
            exact, other = histogram.quantile(p), by_text.segments[name].quantile(p)
            assert by_raw.segments[name].quantile(p) == pytest.approx(exact, rel=BUCKET_ERROR, abs=16)
            assert other == pytest.approx(exact, rel=2 * BUCKET_ERROR, abs=TEXT_RESOLUTION_NS)


def comparable(notifications, trace, samples):
    """Results by method of a recording whose events decide which times belong to which notification.

    One sample with other times moves a median of widely spread times by more than a bucket.
    """
    place, session = notifications.found, notifications.bench.board.session
    for _ in range(RECORDINGS):
        before, after, sent = run.recorded(trace, place, notifications.send, samples)
        text = raw_trace.text(session, trace.instance).decode("utf-8", "backslashreplace")
        if interleaved(of_text(text, collect.roles_of(trace.plan.recorded))):
            continue
        by_text = collect.text(session, trace)
        by_raw = collect.raw(session, trace)  # removes the events
        table = after.since(before).table
        found = {
            HISTOGRAM: run.result(place, before, after, sent, trace.moved),
            TEXT: run.followed(place, by_text, table, method=TEXT, sent=sent),
            RAW: run.followed(place, by_raw, table, method=RAW, sent=sent),
        }
        if not text_is_early(by_raw.followed.samples, by_text.followed.samples):
            return found
    pytest.skip(
        f"in each of {RECORDINGS} recordings a bottom half was requested while another started, "
        "or the text dates an event earlier than the raw pages"
    )


def test_without_histograms(notifications):
    """Without hist triggers, events are recorded one by one, and every interrupt is explained."""
    other = evolve(notifications, found=evolve(notifications.found, histograms=False), trace=None)
    found = other.run(UNDER_LOAD)
    other.record(found, {METHOD: found.method})
    assert found.method == RAW
    assert found.balance.holds
    assert found.counts.ended >= UNDER_LOAD


# --- conditions -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["cpu", "memory", "interrupts"])
def test_under_load(notifications, name):
    """Under load of CPUs, memory or interrupts no notification is lost or unexplained."""
    with getattr(stress, name)(notifications.bench.board.session):
        found = notifications.run(UNDER_LOAD)
    notifications.record(found, {"load": name})
    assert found.balance.holds


def test_in_bursts(notifications):
    """Notifications in bursts of five are merged in the secure world; every interrupt is explained."""
    found = notifications.run(UNDER_LOAD, burst=5)
    notifications.record(found, {"burst": "5"})
    assert found.balance.holds


def test_on_one_cpu(notifications):
    """An interrupt with affinity to one CPU is handled on that CPU only."""
    if notifications.found.thread == 0:
        pytest.skip("a per-CPU interrupt has no affinity")
    session = notifications.bench.board.session
    if session.execute(f"cat {stress.CPU}/online").text.strip() == "0":
        pytest.skip("this board's Linux has one CPU")
    with stress.affinity(session, notifications.found.irq, 1):
        found = notifications.run(UNDER_LOAD)
    notifications.record(found, {"affinity": "CPU 1"})
    assert {cpu for cpu, n in found.counts.irqs.items() if n} == {1}


def test_while_others_call_the_tee(notifications, tee_client):
    """While clients with several sessions call OP-TEE, no notification is lost or unexplained."""
    with tee_client.busy(clients=3, sessions=2):
        found = notifications.run(UNDER_LOAD)
    notifications.record(found, {"load": "3 TEE clients with 2 sessions each"})
    assert found.balance.holds
    assert found.counts.samples > 0


@pytest.mark.lg_feature("cpu-hotplug")
def test_while_a_cpu_goes_and_comes(notifications):
    """A CPU that goes offline and online during a run loses no notification, and is interrupted again."""
    session = notifications.bench.board.session
    if isinstance(session.read(f"{stress.CPU}/cpu1/online"), str):
        pytest.skip("CPU 1 of this board cannot go offline: Linux has no cpu1/online")

    def toggle():
        stress.online(session, 1, False)
        stress.online(session, 1, True)

    before = interrupted(notifications, 1)
    with ExitStack() as stack:
        stack.callback(stress.online, session, 1, True)
        found = notifications.run(UNDER_LOAD, while_sending=toggle)
    notifications.record(found, {"hotplug": "CPU 1 offline and online again"})
    assert found.balance.holds
    if notifications.found.thread == 0 and before:
        assert interrupted(notifications, 1), "the per-CPU interrupt is not handled on CPU 1 again"


def interrupted(notifications, cpu, tries=3):
    """Whether a CPU handles notifications in one of `tries` runs: which CPU is first is chance."""
    with stress.cpu(notifications.bench.board.session):
        return any(notifications.run(UNDER_LOAD).counts.irqs.get(cpu, 0) for _ in range(tries))


def test_while_a_core_crashes(notifications, crashes, profile):
    """While a crashed core is recovered through the secure world, no notification is lost or unexplained."""
    core = profile.cores[0].name
    crashes.start(core)

    def crash():
        step = crashes.failure(core, record=False)
        step.check("sequence", "state", "beating")

    found = notifications.run(UNDER_LOAD, while_sending=crash)
    notifications.record(found, {"load": f"{core} crashes and is recovered"})
    assert found.balance.holds


def test_cost_of_the_probes(notifications):
    """A second set of probes in the middle of three runs measures what the probes themselves cost."""
    before = notifications.run(UNDER_LOAD)
    with notifications.traced():
        twice = notifications.run(UNDER_LOAD)
    after = notifications.run(UNDER_LOAD)
    once = merged(before, after).segments["total"]
    notifications.cost(once, twice.segments["total"])
    for result in (before, twice, after):
        assert result.balance.holds
    assert interval(once, 50)[0] > 0


# --- nothing remains on the board -------------------------------------------------------------------------


def ours(notifications) -> set[str]:
    """Tags of tracing on the board, without that of this module's own trace."""
    return set(leftovers(notifications.bench.board.session)) - {notifications.trace.plan.tag}


def gone(notifications, deadline_s: float = 60.0) -> bool:
    """Whether other tracing is removed in time; polled, since the board removes it by itself."""
    end, pause = time.monotonic() + deadline_s, threading.Event()
    while ours(notifications):
        if time.monotonic() > end:
            return False
        pause.wait(0.2)
    return True


def child(notifications) -> subprocess.Popen:
    """Another process, which traces on this board."""
    address = asdict(notifications.bench.board.session.address())
    process = subprocess.Popen(
        [sys.executable, "-m", "testcases.tracing_child", json.dumps(address, default=str)],
        cwd=SHARED,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


def test_nothing_stays_after_the_end(notifications):
    """Instance, probes, synthetic events and triggers of a run exist during it, and are removed after it."""
    with notifications.traced():
        assert len(ours(notifications)) == 1
    assert ours(notifications) == set()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-c", "killed"])
def test_nothing_stays_of_an_ended_run(notifications, number):
    """An interrupted run removes its tracing; the board itself removes the tracing of a killed one.

    Tracing of another run on the board is not touched.
    """
    with child(notifications) as process:
        assert len(ours(notifications)) == 1
        process.send_signal(number)
        process.wait(60)
    assert process.returncode == (130 if number is signal.SIGINT else -signal.SIGKILL)
    assert gone(notifications), ours(notifications)
    assert notifications.trace.plan.tag in leftovers(notifications.bench.board.session)
