# SPDX-License-Identifier: MIT
"""The lines of a record: a class per kind, all with a common head. Their JSON Schema is made of these.

A line in the file is one flat JSON object: the head's fields, `kind`, then the class's own fields.
"""

from collections.abc import Mapping
from typing import ClassVar

from attrs import field, frozen
from attrs.converters import optional

from mpbench.core.facts import FieldVerdict, Measurement, Verdict

VERSION = 5
"""Version of the lines; a reader takes older ones too and refuses newer ones."""

ABOUT = "about"
"""Key of a field's sentence in its metadata."""

Conditions = Mapping[str, str]


def about(text: str) -> dict[str, str]:
    """Metadata of a field: its sentence for the schema and for messages."""
    return {ABOUT: text}


@frozen
class LineHead:
    """What every line has."""

    v: int = field(default=VERSION, metadata=about("version of this schema"))
    n: int = field(default=0, metadata=about("number of the line in its record, from 0"))
    utc: str = field(
        default="", metadata=about("wall clock, ISO 8601 with microseconds; for people, never for durations")
    )
    mono_ns: int = field(
        default=0, metadata=about("monotonic clock of the host in nanoseconds; for durations")
    )
    run: str = field(default="", metadata=about("id of the run"))
    board: str | None = field(
        default=None, metadata=about("id of the board (serial number, or the virtual board's name)")
    )
    boot: str | None = field(default=None, metadata=about("the board's boot_id when the line was written"))
    epoch: str | None = field(
        default=None,
        metadata=about("owner of the place's lock and time acquired; null without a coordinator"),
    )


@frozen
class RecordLine:
    """Any line; its head is filled in when it is written."""

    kind: ClassVar[str]
    __test__: ClassVar[bool] = False  # pytest takes no class here for a test case

    head: LineHead = field(default=LineHead(), kw_only=True, repr=False)


@frozen
class EvidenceRef:
    """An artefact that was kept."""

    name: str = field(metadata=about("what it is, e.g. kmsg"))
    sha256: str = field(metadata=about("hex digest of its bytes"))
    size: int = field(metadata=about("bytes"))
    file: str = field(metadata=about("its file's name in evidence/"))


@frozen
class RunStart(RecordLine):
    """A run starts."""

    kind = "run-start"
    target: str = field(metadata=about("name of the target's YAML file without its suffix"))
    command: tuple[str, ...] = field(metadata=about("the command line"))
    bench: str = field(metadata=about("version of mpbench and commit of its checkout"))
    continues: str | None = field(
        default=None, metadata=about("id of the run whose tests without a verdict this one repeats")
    )
    unit: str = field(default="", metadata=about("job and place of a night; empty for a run of its own"))


@frozen
class PlanLine(RecordLine):
    """What the run will execute, of how much; written after collection, before the first test starts."""

    kind = "plan"
    SINCE: ClassVar[int] = 5  # version of the lines
    tests: tuple[str, ...] = field(
        metadata=about("ids of the selected test cases in order; one that is selected twice is there twice")
    )
    cases: int = field(
        metadata=about("test cases that were there to select from: in the same directories, for this target")
    )
    requirements: tuple[str, ...] = field(
        default=(), metadata=about("ids of all requirements that those test cases trace to")
    )
    settled: int = field(
        default=0, metadata=about("test cases left out because the run that is continued has their verdict")
    )
    earlier: tuple[Verdict, ...] = field(
        default=(), metadata=about("verdicts of those, each once: they count for this run too")
    )
    skipped: tuple[str, ...] = field(
        default=(),
        metadata=about("test files that skipped themselves when they were read, with their reason"),
    )

    def remarks(self) -> list[str]:
        """What a reader has to know of what was not even collected, a line each."""
        return [f"no test case of this file was selected, it skipped itself: {text}" for text in self.skipped]


@frozen
class ProvenanceLine(RecordLine):
    """What is tested, and with what; of several lines, the last one with a name counts."""

    kind = "provenance"
    entries: Mapping[str, str] = field(metadata=about("name → text, who and what was tested"))
    virtual: bool = field(metadata=about("the board is emulated, by its own identification"))
    evidence: tuple[EvidenceRef, ...] = field(
        default=(), metadata=about("board identification, logs of its boot")
    )


@frozen
class NotesLine(RecordLine):
    """What the operator knows of board and test: conditions and remarks; of several, the last one counts."""

    kind = "notes"
    entries: Mapping[str, str] = field(metadata=about("name → text, e.g. temperature, supply, silicon lot"))
    by: str = field(
        default="", metadata=about("who noted it after the run; empty: the target file or the command line")
    )


@frozen
class SignaturesLine(RecordLine):
    """Signatures that the report needs, as the target file asks for them."""

    kind = "signatures"
    roles: tuple[str, ...] = field(metadata=about("role of each; a role twice: by two people"))


@frozen
class WaiverLine(RecordLine):
    """A person accepts the FAIL of a test, which stays a FAIL; its time is the line's."""

    kind = "waiver"
    test: str = field(metadata=about("id of the test case"))
    by: str = field(metadata=about("who accepts it"))
    reason: str = field(metadata=about("why"))


@frozen
class TestLine(RecordLine):
    """A line that belongs to a test, whose id is filled in when it is recorded."""

    test: str = field(default="", kw_only=True, metadata=about("id of the test case"))


@frozen
class TestStart(TestLine):
    """A test starts."""

    kind = "test-start"
    core: str | None = field(metadata=about("the core it runs on"))
    title: str = field(metadata=about("the sentence that the test proves"))
    requirements: tuple[str, ...] = field(
        default=(), metadata=about("ids of the requirements that it traces to")
    )


@frozen
class StepLine(TestLine):
    """A step: prediction and observation, field by field, with its evidence."""

    kind = "step"
    name: str = field(metadata=about("what was done, e.g. deploy"))
    core: str = field(metadata=about("the core it was done to"))
    fields: tuple[FieldVerdict, ...] = field(metadata=about("predicted against observed; null: not known"))
    evidence: tuple[EvidenceRef, ...] = field(metadata=about("artefacts of the step"))
    duration_ns: int = field(metadata=about("how long it took"))


@frozen
class TimelineLine(TestLine):
    """When what happened."""

    kind = "timeline"
    name: str = field(metadata=about("what happened, e.g. crash on m33"))
    events: tuple[tuple[str, int], ...] = field(metadata=about("[name, ns], in the board's clock, in order"))
    source: str = field(metadata=about("what dated the events"))


@frozen
class MeasurementLine(TestLine):
    """A figure with its limits."""

    kind = "measurement"
    name: str = field(metadata=about("what was measured, without numbers"))
    value: float = field(metadata=about("in `unit`"))
    unit: str = field(metadata=about("unit of the value and its limits"))
    source: str = field(metadata=about("what measured it"))
    low: float | None = field(default=None, metadata=about("lowest good value"))
    high: float | None = field(default=None, metadata=about("highest good value"))
    margin: float = field(
        default=0.0,
        metadata=about("share of the limits' distance, or of the only limit, that counts as close"),
    )
    statistic: str = field(
        default="", metadata=about("which figure of the samples, e.g. p99; empty for a single value")
    )
    samples: int | None = field(
        default=None, metadata=about("samples it was taken from; null for a single value or a count")
    )
    conditions: Conditions = field(
        factory=dict, metadata=about("name → text, what the test chose; part of what was measured")
    )
    verdict: Verdict | None = field(
        default=None,
        converter=optional(Verdict),
        metadata=about("PASS, MARGINAL or FAIL; null without limits"),
    )

    @classmethod
    def of(cls, m: Measurement) -> "MeasurementLine":
        """The line of a measurement."""
        return cls(
            m.name, m.value, m.unit, m.source, m.low, m.high, m.margin, m.statistic, m.n,
            dict(m.conditions), m.verdict,
        )  # fmt: skip

    @property
    def limited(self) -> bool:
        """Whether it has limits."""
        return self.low is not None or self.high is not None


@frozen
class SeriesLine(TestLine):
    """How a value developed."""

    kind = "series"
    name: str = field(metadata=about("what developed"))
    values: tuple[float, ...] = field(metadata=about("one per cycle, in order"))
    unit: str = field(metadata=about("unit of the values"))
    source: str = field(metadata=about("what measured it"))
    conditions: Conditions = field(factory=dict, metadata=about("as in measurement"))


@frozen
class HistogramLine(TestLine):
    """How often a value was in which range."""

    kind = "histogram"
    name: str = field(metadata=about("what is distributed"))
    buckets: tuple[tuple[float, float, int], ...] = field(
        metadata=about("[low, high, count], in order; high is outside")
    )
    unit: str = field(metadata=about("unit of low and high"))
    source: str = field(metadata=about("what counted"))
    conditions: Conditions = field(factory=dict, metadata=about("as in measurement"))


@frozen
class SegmentsLine(TestLine):
    """The parts of a value."""

    kind = "segments"
    name: str = field(metadata=about("what has these parts, e.g. a notification's latency"))
    parts: tuple[tuple[str, float], ...] = field(metadata=about("[name, value], in order"))
    unit: str = field(metadata=about("unit of the values"))
    source: str = field(metadata=about("what measured it"))
    conditions: Conditions = field(factory=dict, metadata=about("as in measurement"))


@frozen
class OutlierSample:
    """A slow sample."""

    total_ns: int = field(metadata=about("how long it took"))
    longest: str = field(metadata=about("its longest segment, and how long that took"))
    irq_cpu: int = field(metadata=about("CPU of its interrupt"))
    cpu: int = field(metadata=about("CPU of its bottom half"))
    ran: tuple[tuple[int, int, int, str], ...] = field(
        metadata=about("[cpu, ns after the interrupt, ns, CPU activity]")
    )


@frozen
class OutliersLine(TestLine):
    """The slowest samples."""

    kind = "outliers"
    name: str = field(metadata=about("what these are the slowest samples of"))
    samples: tuple[OutlierSample, ...] = field(metadata=about("slowest first"))
    source: str = field(metadata=about("what recorded it"))
    conditions: Conditions = field(factory=dict, metadata=about("as in measurement"))


@frozen
class MapLine(TestLine):
    """The bytes of an image, and which of them were changed."""

    kind = "map"
    name: str = field(metadata=about("what the bytes are, e.g. the signed image of m33"))
    size: int = field(metadata=about("bytes"))
    ranges: tuple[tuple[int, int, str], ...] = field(metadata=about("[start, end, label]; end is outside"))
    marks: tuple[tuple[int, bool], ...] = field(
        metadata=about("[offset, as predicted]: changed bytes, the board's answer")
    )


@frozen
class TestEnd(TestLine):
    """A test ends."""

    kind = "test-end"
    verdict: Verdict = field(converter=Verdict, metadata=about("verdict of the test"))
    reason: str = field(metadata=about("why it is not a PASS, empty for one"))
    duration_ns: int = field(metadata=about("of the test itself, without its fixtures; 0 if it did not run"))


@frozen
class RunEnd(RecordLine):
    """A run ends."""

    kind = "run-end"
    counts: Mapping[str, int] = field(metadata=about("verdict → number of tests"))
    why: str = field(
        default="", metadata=about("why it ended before everything planned had run, empty for a regular end")
    )
    others_failed: int = field(
        default=0, metadata=about("failed tests of the same pytest session that use no board")
    )


KINDS: Mapping[str, type[RecordLine]] = {
    line.kind: line
    for line in (
        RunStart, PlanLine, SignaturesLine, NotesLine, ProvenanceLine, TestStart, StepLine, TimelineLine,
        MeasurementLine, SeriesLine, HistogramLine, SegmentsLine, OutliersLine, MapLine, TestEnd, RunEnd,
        WaiverLine,
    )
}  # fmt: skip
"""Every kind of line, in the order of the schema."""
