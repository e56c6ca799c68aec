# SPDX-License-Identifier: MIT
"""A board's facilities for notifications, the plan for its kernel, stimuli, options and live display."""

import contextlib
import re
from pathlib import Path

import pytest

import mpbench.commands.main
from mpbench.board.session.shell_protocol import Reply
from mpbench.board.stimulus import PassiveStimulus, RtcAlarmStimulus, SecureConsoleStimulus, paced
from mpbench.board.trace import raw_trace
from mpbench.core.errors import InfrastructureError, UsageError
from mpbench.core.histogram import Histogram, of_values
from mpbench.core.lines import HistogramLine, ProvenanceLine
from mpbench.core.record import Record
from mpbench.notification import command
from mpbench.notification.capabilities import parse
from mpbench.notification.facts import PER_CPU, SEGMENTS, THREADED
from mpbench.notification.fixture import baseline, baselines
from mpbench.notification.ftrace_plan import plan
from mpbench.notification.ftrace_session import FtraceSession
from mpbench.notification.live_histogram import Live, bars
from mpbench.notification.measure import LATENCY
from mpbench.notification.run import BUCKETS
from mpbench.notification.stimulus import best_stimulus
from mpbench.notification.target_options import limits, slower
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


# --- stimuli ----------------------------------------------------------------------------------------------


class Time:
    """A clock that only pauses move."""

    def __init__(self) -> None:
        self.now = 0.0

    def clock(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize(("burst", "acts"), [(1, 10), (4, 3), (100, 1)])
def test_stimuli_keep_their_rate(burst, acts):
    """10 at 100 Hz take a tenth of a second, one by one or in bursts, and each is counted."""
    sent: list[int] = []
    time = Time()
    number = paced(10, 100.0, burst, sent.append, lambda _: True, clock=time.clock, pause=time.pause)
    assert number == sum(sent) == 10
    assert len(sent) == acts
    assert time.now == pytest.approx(0.1)


def test_a_late_stimulus_is_made_up_for():
    """One that takes too long does not delay later ones: the rate is kept on average."""
    time = Time()
    paced(10, 10.0, 1, lambda _: time.pause(0.3 if time.now == 0 else 0), lambda _: True, clock=time.clock,
          pause=time.pause)  # fmt: skip
    assert time.now == pytest.approx(1.0)


def test_a_stimulus_ends_when_enough_came():
    """Nothing more is sent then."""
    assert paced(10, 1e9, 1, lambda _: None, lambda sent: sent < 4) == 4


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


def bare(kind, **given):
    """A driver outside of a labgrid target."""
    made = object.__new__(kind)
    vars(made).update(given)
    return made


def test_a_clock_of_the_secure_world_is_looked_for():
    """An RTC alarm needs a clock that OP-TEE owns: without one the reason names what an image must enable."""
    without = bare(RtcAlarmStimulus, session=Session({}))
    assert "CONFIG_RTC_DRV_OPTEE" in without.unavailable()
    found = bare(RtcAlarmStimulus, session=Session({"grep": Reply(0, b"/sys/class/rtc/rtc0/name\n", b"")}))
    assert found.unavailable() == ""
    found._set("/sys/class/rtc/rtc0/wakealarm")
    assert found.session.commands[-1].endswith("echo +1 >/sys/class/rtc/rtc0/wakealarm")
    broken = bare(RtcAlarmStimulus, session=Session({"wakealarm": Reply(1, b"", b"busy")}))
    with pytest.raises(InfrastructureError, match="cannot set an alarm: busy"):
        broken._set("x/wakealarm")


def test_sources_that_the_target_file_promises():
    """A byte on the secure console and listening need nothing of the board that could be asked for."""
    assert bare(SecureConsoleStimulus).unavailable() == bare(PassiveStimulus).unavailable() == ""


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


# --- mpbench latency --------------------------------------------------------------------------------------


def test_the_command_is_the_test_case():
    """`mpbench latency` runs the test case with its options; exit codes and record are those of pytest."""
    words = mpbench.commands.main.parser().parse_args(
        ["latency", "--lg-env", "x.yaml", "--samples", "100000", "--rate", "200", "--baseline", "runs/1"]
    )
    made = command.command(words)
    assert made[1:4] == ["-P", "-m", "pytest"]
    file, test = made[4].split("::")
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
    assert made[5:] == [*wanted, "--bench-baseline", "runs/1"]


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
    (tmp_path / "1" / "evidence").mkdir(parents=True)
    made = Record(tmp_path / "1", "r")
    made.append(ProvenanceLine(entries={"kernel": "6.12"}, virtual=True, evidence=()))
    with pytest.raises(UsageError, match="no notification was timed in this run, or by an older version"):
        baseline(str(tmp_path / "1"), {"kernel": "6.12"})
    timed(made, {"segment": SEGMENTS["total"]})
    timed(made, {"segment": SEGMENTS["total"], "load": "cpu"})
    made.close()
    assert baseline(str(tmp_path / "1"), {"kernel": "6.12"}) == {"total": Histogram({(16, 16): 7})}
    with pytest.raises(UsageError, match="it is '6\\.13' now"):
        baseline(str(tmp_path / "1"), {"kernel": "6.13"})


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


def test_the_best_stimulus_of_a_target():
    """The first one that the board supports, or the reasons why there is none."""
    assert best_stimulus(Target([])) == "the target file names no stimulus of notifications"
    no_clock = bare(RtcAlarmStimulus, session=Session({}))
    assert "CONFIG_RTC_DRV_OPTEE" in str(best_stimulus(Target([no_clock])))
    listens = bare(PassiveStimulus)
    assert best_stimulus(Target([no_clock, listens])) is listens


class Target:
    """A target with some drivers."""

    def __init__(self, drivers: list[object]) -> None:
        self.drivers = drivers

    def activate(self, driver: object) -> None:
        """Nothing to do."""
