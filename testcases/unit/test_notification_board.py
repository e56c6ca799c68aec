# SPDX-License-Identifier: MIT
"""A board's facilities for notifications, the plan for its kernel, stimuli, options and live display."""

import re

import pytest

from mpbench.board.session.shell_protocol import Reply
from mpbench.board.trace import raw_trace
from mpbench.core.errors import InfrastructureError
from mpbench.notification.capabilities import parse
from mpbench.notification.facts import PER_CPU, SEGMENTS, THREADED
from mpbench.notification.ftrace_plan import plan
from mpbench.notification.ftrace_session import FtraceSession
from mpbench.notification.run import BUCKETS
from testcases.stand_in import StandIn

INTERRUPTS = """           CPU0       CPU1
 16:          0          0 GIC-0  34 Level     rtc-pl031
 17:         31         31 GIC-0  31 Edge      optee_pcpu_notification
"""
OUTPUT = f"""# interrupts
{INTERRUPTS}# symbols
ffffffc08031767c notif_pcpu_irq_work_fn
ffffffc080317694 notif_irq_thread_fn
# readme
  kprobe_events
            .buckets=size  display values in groups
        onmatch(matching.event)
  events/synthetic_events
# events
irq/irq_handler_entry
irq/irq_handler_exit
workqueue/workqueue_queue_work
optee/optee_invoke_fn_begin
# clocks
[local] global mono
# timer
timer(s) running at 62.50MHz
# online
0-1
# governor
performance
performance
# machine
aarch64
# thread
# log
optee: Asynchronous notifications enabled
"""
SPI = OUTPUT.replace("optee_pcpu_notification", "optee_notification").replace("# thread\n", "# thread\n39\n")


def test_a_board_with_everything():
    """Path, interrupt, addresses, clock and timer are found, and nothing is missing."""
    found = parse(OUTPUT)
    assert (found.path, found.irq, found.line) == (PER_CPU, 17, "optee_pcpu_notification")
    assert found.symbols["notif_pcpu_irq_work_fn"] == 0xFFFFFFC08031767C
    assert found.tick_ns == 16
    assert (found.governor, found.online, found.bits, found.thread) == ("performance", "0-1", 64, 0)
    assert found.clocks == ("local", "global", "mono")
    assert found.methods == ("histogram", "raw", "text")
    assert found.missing == ()


def test_a_board_with_the_threaded_path():
    """The shared interrupt has a thread, which is found by its name."""
    found = parse(SPI.replace("aarch64", "armv7l"))
    assert (found.path, found.thread, found.bits) == (THREADED, 39, 32)
    assert found.missing == ()


LACKS = {
    "no interrupt": ("optee_pcpu_notification\n", "other\n", "OP-TEE needs CFG_CORE_ASYNC_NOTIF=y"),
    "why": ("optee_pcpu_notification\n", "other\n", 'the kernel log has: "optee: Asynchronous'),
    "no event": ("workqueue/workqueue_queue_work\n", "", "no trace event workqueue/workqueue_queue_work"),
    "no address": (
        "ffffffc08031767c notif",
        "0 notif",
        "no address of notif_pcpu_irq_work_fn: CONFIG_KALLSYMS",
    ),
    "no tracing": (
        OUTPUT[OUTPUT.index("# readme") : OUTPUT.index("# events")],
        "",
        "no tracefs: the kernel needs",
    ),
}


@pytest.mark.parametrize("name", LACKS)
def test_missing_parts_of_a_board_are_named(name):
    """Each thing that is missing is named with what a board's image must enable."""
    old, new, words = LACKS[name]
    found = parse(OUTPUT.replace(old, new))
    assert any(words in line for line in found.missing), found.missing
    assert found.methods == ()


def test_threads_need_kprobes():
    """Bottom halves on the threaded path can't be counted without kprobes."""
    found = parse(SPI.replace("  kprobe_events\n", ""))
    assert any("CONFIG_KPROBE_EVENTS" in line for line in found.missing)


def test_methods_follow_what_the_kernel_can():
    """Without synthetic events, or without buckets, the raw buffer is next; nothing is missing for that."""
    for feature in ("events/synthetic_events", ".buckets=size", "onmatch(matching.event)"):
        assert parse(OUTPUT.replace(feature, "")).methods == ("raw", "text")


def test_an_empty_answer_lacks_everything():
    """Without any output of the board the missing parts are reported, and nothing is raised."""
    assert len(parse("").missing) == 2
    assert parse("").timer_hz is None
    assert parse("").tick_ns is None


@pytest.mark.parametrize(
    "output", [OUTPUT, SPI, OUTPUT.replace("aarch64", "armv7l")], ids=["ppi", "spi", "arm32"]
)
def test_a_plan_refers_only_to_what_it_set_up(output):
    """Each trigger uses variables of earlier ones, and its own synthetic events with all their fields."""
    made = plan(parse(output), "mpb1x2", BUCKETS)
    fields = {
        text.split()[0]: re.findall(r"(\w+)(?:;|$)", text.split(maxsplit=1)[1]) for text in made.synthetic
    }
    known: set[str] = set()
    for trigger in made.triggers:
        assert set(re.findall(r"\$(\w+)", trigger.text)) <= known | set(re.findall(r"(\w+)=", trigger.text))
        known |= set(re.findall(r"[:,](\w+)=", trigger.text))
        for event, given in re.findall(r"\.trace\((\w+),([^)]*)\)", trigger.text):
            assert len(given.split(",")) == len(fields[event])
    assert all("mpb1x2" in text for text in (*made.probes, *made.synthetic))
    durations = [t for t in made.triggers if ".buckets=" in t.text]
    assert len(durations) == len(SEGMENTS) * len(BUCKETS)
    assert not any("$" in t.text for t in made.triggers if t.counts)


@pytest.mark.parametrize("duration_ns", [0, 16_383, 16_384, 300_000, (1 << 30) - 1, 1 << 30, (1 << 32) - 1])
def test_a_32_bit_clock_may_wrap_within_a_duration(duration_ns):
    """A 32-bit kernel subtracts times without their upper halves: either result falls into the same band."""
    made = plan(parse(OUTPUT.replace("aarch64", "armv7l")), "mpb1x2", BUCKETS)
    bands = [t.condition for t in made.triggers if re.search(r"keys=queue\.buckets", t.text)]
    python = [text.replace("&&", "and").replace("||", "or") for text in bands]
    plain = [eval(text, {"queue": duration_ns}) for text in python]
    wrapped = [eval(text, {"queue": duration_ns - (1 << 32) + (1 << 64)}) for text in python]
    assert plain == wrapped
    assert sum(plain) == 1


class Session(StandIn):
    """Answers by the first pattern that a command matches."""

    def __init__(self, answers: dict[str, Reply]) -> None:
        self.answers = answers
        self.commands: list[str] = []
        self.closed = 0
        self.pid = 77

    def execute(self, command: str, timeout_s: float | None = None) -> Reply:  # noqa: ARG002
        self.commands.append(command)
        return next((r for pattern, r in self.answers.items() if pattern in command), Reply(0, b"", b""))

    def spawn(self, command: str) -> "Session":
        self.commands.append(command)
        return self

    def finish(self, timeout_s: float) -> Reply:
        return self.execute(self.commands[-1], timeout_s)

    def close(self) -> None:
        self.closed += 1


# --- what the board refuses -------------------------------------------------------------------------------


def test_a_kernel_that_refuses_is_a_lab_fault_and_leaves_nothing():
    """When a trigger is refused, the error quotes the kernel, and the set-up is removed."""
    session = Session({"mkdir": Reply(1, b"hist: error: Couldn't find field", b"")})
    trace = FtraceSession(session, parse(OUTPUT), BUCKETS)
    with pytest.raises(
        InfrastructureError, match="refuses the trace's set-up: hist: error: Couldn't find field"
    ):
        trace.start()
    assert session.closed == 1
    assert "mpb_remove mpb" in session.commands[-1]
    with pytest.raises(InfrastructureError, match="not set up"):
        trace.read()
    with pytest.raises(InfrastructureError, match="the trace recorder is not started"):
        _ = trace.instance


def test_leftovers_are_an_error():
    """Tracing that can't be removed is an error that names it."""
    session = Session({})
    trace = FtraceSession(session, parse(OUTPUT), BUCKETS)
    trace.start()
    session.answers = {"mpb_remove": Reply(0, f"{trace.plan.tag}\n".encode(), b"busy")}
    with pytest.raises(InfrastructureError, match="can't be removed from the board: mpb"):
        trace.stop()


def test_unreadable_histograms_are_a_lab_fault():
    """A reading that fails is an error with the board's words; bytes that came are counted."""
    session = Session({"gzip": Reply(2, b"xyz", b"gzip: not found")})
    trace = FtraceSession(session, parse(OUTPUT), BUCKETS)
    trace.start()
    with pytest.raises(InfrastructureError, match="can't be read: gzip: not found"):
        trace.read()
    assert trace.moved == 3


@pytest.mark.parametrize(
    "take", [raw_trace.text, lambda s, i: raw_trace.pages(s, i, 0, 4096)], ids=["text", "pages"]
)
def test_an_unreadable_buffer_is_a_lab_fault(take):
    """Text or pages that can't be read are an error with the board's words."""
    with pytest.raises(InfrastructureError, match=r"cannot read .*: no such file"):
        take(Session({"": Reply(1, b"", b"no such file")}), "/tracing/instances/x")


def test_a_board_that_does_not_describe_its_buffer():
    """Without descriptions there is nothing to decode by."""
    with pytest.raises(InfrastructureError, match="cannot read the formats of the trace buffer: gone"):
        raw_trace.descriptions(Session({"": Reply(1, b"@@\n", b"gone")}), ["irq/irq_handler_entry"])
    stats = Session({"stats": Reply(0, b"entries: 5\noverrun: 3\ndropped events: 4\n", b"")})
    assert raw_trace.lost(stats, "/x") == 7
