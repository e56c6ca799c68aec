# SPDX-License-Identifier: MIT
"""What the board's shell makes of the kernel's files: the script itself, on files as Linux has them."""

import subprocess
from pathlib import Path

import pytest

from mpbench.board.session.shell_protocol import Reply
from mpbench.board.trace.tracefs import TRACING
from mpbench.notification import facts
from mpbench.notification.capabilities import parse
from mpbench.notification.ftrace_session import FtraceSession
from mpbench.notification.parse import Readout, readout, unpacked
from mpbench.notification.run import BUCKETS
from testcases.stand_in import StandIn
from testcases.unit.test_latency import COUNTED, HIST, LINE, TABLE
from testcases.unit.test_notification_board import OUTPUT, SPI


class Files(StandIn):
    """Executes commands here, with files below `root` in place of the board's."""

    pid = 77

    def __init__(self, root: Path) -> None:
        self.root = root

    def execute(self, command: str, timeout_s: float | None = None) -> Reply:
        if "mkdir" in command or "mpb_remove" in command:
            return Reply(0, b"", b"")
        command = command.replace(TRACING, str(self.root)).replace("/proc/interrupts", f"{self.root}/irqs")
        done = subprocess.run(["sh", "-c", command], capture_output=True, timeout=timeout_s, check=False)
        return Reply(done.returncode, done.stdout, done.stderr)

    def spawn(self, command: str) -> "Files":  # noqa: ARG002
        return self

    def close(self) -> None:
        """No guard of the tracing runs here."""


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def traced(files: Files, output: str = OUTPUT) -> FtraceSession:
    """A session that is set up, with a file for each of its histograms."""
    trace = FtraceSession(files, parse(output), BUCKETS)
    trace.start()
    instance = trace.instance.replace(TRACING, str(files.root))
    for event in (*(t.event for t in trace.plan.triggers), f"synthetic/{trace.plan.tag}_n"):
        hist = Path(instance) / "events" / event / "hist"
        hist.parent.mkdir(parents=True, exist_ok=True)
        hist.write_text(HIST if event.endswith("_n") else COUNTED)
    (files.root / "irqs").write_text(TABLE)
    (files.root / "kprobe_profile").write_text("")
    return trace


def read(trace: FtraceSession, **wanted: bool) -> Readout:
    return readout(unpacked(trace.read(**wanted)), LINE)


def test_every_histogram_is_read_with_its_role(files):
    """Roles, buckets and both copies of the interrupts' counts are those of the files."""
    found = read(traced(files))
    assert set(found.hits) == {facts.IRQ, facts.REQUEST, facts.QUEUE, facts.START, facts.END}
    assert found.hits[facts.END] == {0: 43, 1: 44}
    assert found.durations == {"total": {(1, 58624, 256): 2, (0, 59136, 256): 1}}
    assert found.table == {0: 43, 1: 44}
    assert found.consistent
    assert read(trace := traced(files), durations=False).durations == {}
    assert trace.moved < 600, "compressed"


@pytest.mark.parametrize(
    ("output", "line", "probe"),
    [(OUTPUT, LINE, "ask"), (SPI, "optee_notification", "end")],
    ids=["per CPU", "thread"],
)
def test_events_that_a_probe_missed_are_counted(files, output, line, probe):
    """kprobe_profile has names without groups: ours are found by the name alone, others' are not counted."""
    trace, profile = traced(files, output), files.root / "kprobe_profile"
    events = [text.split()[0].partition("/")[2] for text in trace.plan.probes]
    ours = next(event for event in events if event.endswith(probe))
    (files.root / "irqs").write_text(TABLE.replace(LINE, line))
    dropped = []
    for rows in ("", f"  {ours:<44} {12:>15} {5:>15}\n  {probe:<44} {9:>15} {9:>15}\n"):
        profile.write_text(rows)
        dropped.append(readout(unpacked(trace.read()), line).dropped)
    assert dropped[1] - dropped[0] == 5


def test_an_interrupt_while_it_reads_is_read_again(files):
    """Counts that change between the copies are no readout of one moment; an idle board's next one is."""
    trace = traced(files)
    changing, execute = files.root / "changing", files.execute
    changing.write_text("for n in 1 2 3; do [ -e $R/$n ] || { : >$R/$n; echo $n; break; }; done\n")

    def with_an_interrupt(command: str, timeout_s: float | None = None) -> Reply:
        head = (
            f'R={files.root}; head() {{ sed -i "s/ 43 / 4$(sh {changing}) /" $R/irqs; command head "$@"; }}\n'
        )
        return execute(f"export R; {head}{command}", timeout_s)

    files.execute = with_an_interrupt
    found = read(trace)
    assert found.consistent
    assert found.table[0] != 43


def test_a_recording_starts_before_and_halts_after_the_counts(files):
    """With `restart` the recording is emptied and started, with `halt` it is stopped at the end."""
    trace = traced(files)
    instance = Path(trace.instance.replace(TRACING, str(files.root)))
    (instance / "trace").write_text("old\n")
    read(trace, restart=True)
    assert (instance / "trace").read_text() == "\n"
    assert (instance / "tracing_on").read_text() == "1\n"
    read(trace, halt=True)
    assert (instance / "tracing_on").read_text() == "0\n"


def test_counts_that_never_hold_still_are_not_of_one_moment(files):
    """A notification during each of the board's attempts: the readout says so."""
    trace, execute = traced(files), files.execute
    count = f'R={files.root}; head() {{ echo . >>$R/n; sed -i "s/ 4[0-9]* / 4$(wc -l <$R/n) /" $R/irqs; }}\n'
    files.execute = lambda command, timeout_s=None: execute(count + command, timeout_s)
    assert not read(trace).consistent
    assert len((files.root / "n").read_text().split()) == 9
