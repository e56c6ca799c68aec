# SPDX-License-Identifier: MIT
"""The stages of `make test`, and what is printed about them; only result_of() reads a file."""

import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from attrs import field, frozen

from mpbench_virtual.progress import span

ROOT = Path(__file__).resolve().parents[2]
LANES = 3
"""Stages of one lane run one after the other, lanes side by side; they end at about the same time."""
SHOWN = 20
"""At most this number of failed tests is listed."""

# What make test leaves to make mp25, mp25-st and mp15-st, as expressions for pytest -k.
LONG = "tamper or lifecycle or recovery or rpmsg or suspend"
FIRST_CORE = f"not m0 or not ({LONG}) or watchdog_expiry or every_length or independent"
"""The longest files on one core; of the other, a case of each."""
FAULTS_OF_ST = "elf or rsc or signtype"
CASES_OF_ST = "good_image or stays_loaded or memory_is_cleared or independent or watchdog_expiry"
OF_ST = (
    f"not test_tamper.py and not lifecycle and not test_recovery.py or {CASES_OF_ST}"
    f" or test_tamper.py and ({FAULTS_OF_ST})"
)
"""Images and cases whose answer is not that of upstream's loader."""


@frozen
class Stage:
    """Words for pytest, or the command of another program."""

    name: str
    command: tuple[str, ...]
    lane: int = 0
    pytest: bool = True


def stages(target: str) -> list[Stage]:
    """All of `make test`: checks, board cases, and what has boards of its own."""
    mp15 = [
        f"testcases/test_{name}.py"
        for name in ("identity", "deploy", "addresses", "recovery", "tee", "suspend")
    ]
    debian = [f"testcases/test_{name}.py" for name in ("identity", "coredump", "plain_elf", "rpmsg")]
    st = [
        f"testcases/test_{name}.py"
        for name in ("deploy", "tamper", "lifecycle", "recovery_refused", "plain_elf")
    ]
    spi = "explained or agree or one_cpu or goes_and_comes"
    return [
        *checks(),
        Stage("board cases", (f"--lg-env={target}", "-k", FIRST_CORE)),
        Stage(
            "Debian kernel",
            ("--lg-env=targets/virtual-mp15-debian.yaml", "-k", "not soak and not leave_nothing", *debian),
        ),
        *(Stage(name, (f"testcases/{name}",)) for name in ("peer", "fuzz")),
        Stage("contract", ("-m", "not thorough", "testcases/contract"), 1),
        Stage("slow unit tests", ("-m", "slow", "testcases/unit"), 1),
        Stage("faults", ("testcases/faults",), 2),
        Stage(
            "STM32MP15",
            ("--lg-env=targets/virtual-mp15.yaml", "-k", "not test_recovery or watchdog", *mp15),
            2,
        ),
        Stage(
            "shared interrupt",
            ("--lg-env=targets/virtual-mp25-spi.yaml", "-k", spi, "testcases/test_notification.py"),
            2,
        ),
        Stage(
            "ST answers",
            ("--lg-env=targets/virtual-mp25-st.yaml", "-k", OF_ST, *st, "testcases/test_addresses.py"),
            2,
        ),
        Stage(
            "ST answers, MP15",
            ("--lg-env=targets/virtual-mp15-st.yaml", "-k", OF_ST, *st[:-1], "testcases/test_recovery.py"),
            2,
        ),
    ]


def checks() -> list[Stage]:
    """`make check`: no board, no root. Unit tests are in two halves, every other file in each."""
    unit = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "testcases/unit").glob("test_*.py"))
    return [
        Stage("lint", ("ruff", "check", "."), pytest=False),
        Stage("format", ("ruff", "format", "--check", "."), pytest=False),
        Stage("unit tests", ("-q", "-m", "not slow", *unit[::2])),
        Stage("types", ("mypy",), 2, pytest=False),
        Stage("unit tests, rest", ("-q", "-m", "not slow", *unit[1::2]), 1),
    ]


@frozen
class Result:
    """How a stage ended: None for a number that is not known, as of a program that counts nothing."""

    name: str
    code: int
    seconds: float
    passed: int | None = None
    failed: int | None = None
    skipped: Mapping[str, int] = field(factory=dict)
    failures: Sequence[str] = ()

    @property
    def word(self) -> str:
        """PASS, or how the stage failed."""
        return "PASS" if self.code == 0 else f"FAIL ({self.code})"


def result_of(name: str, code: int, seconds: float, junit: Path | None) -> Result:
    """A stage's result, with the numbers of the JUnit file that pytest wrote, if it did."""
    if junit is None or not junit.is_file():
        return Result(name, code, seconds)
    cases = [(test_id(case), case) for case in ET.parse(junit).getroot().iter("testcase")]
    bad = {name for name, case in cases if case.find("failure") is not None or case.find("error") is not None}
    skips = {
        name: one.get("message", "") for name, case in cases if (one := case.find("skipped")) is not None
    }
    passed = len({name for name, _ in cases} - bad - set(skips))
    return Result(name, code, seconds, passed, len(bad), Counter(skips.values()), sorted(bad))


def test_id(case: ET.Element) -> str:
    """`testcases/unit/test_x.py::test_y[z]` of a <testcase>."""
    return f"{case.get('classname', '').replace('.', '/')}.py::{case.get('name', '')}"


def summary(results: Sequence[Result], seconds: float) -> list[str]:
    """The last lines: each stage, failed tests, skips by reason, and one line about the whole."""
    lines = [f"{'stage':<18} {'result':<10} {'passed':>7} {'failed':>7} {'skipped':>8}  time"]
    for one in results:
        numbers = ["-"] * 3 if one.passed is None else [one.passed, one.failed, sum(one.skipped.values())]
        counts = "{:>7} {:>7} {:>8}".format(*numbers)
        lines.append(f"{one.name:<18} {one.word:<10} {counts}  {span(one.seconds)}")
    failures = [f"  {name}: {test}" for name, test in _failures(results)]
    if failures:
        lines += ["failed:", *failures[:SHOWN]]
        lines += [f"  and {len(failures) - SHOWN} more"] if len(failures) > SHOWN else []
    if skips := skips_by_reason(results):
        lines += ["skipped:", *(f"{count:>5} {reason}" for reason, count in skips)]
    bad = [one.name for one in results if one.code]
    passed, skipped = sum(one.passed or 0 for one in results), sum(count for _, count in skips)
    verdict = f"FAIL in {', '.join(bad)}" if bad else "PASS"
    return [*lines, f"{verdict}: {passed} passed, {len(failures)} failed, {skipped} skipped, {span(seconds)}"]


def _failures(results: Sequence[Result]) -> list[tuple[str, str]]:
    return [(one.name, test) for one in results for test in one.failures]


def skips_by_reason(results: Sequence[Result]) -> list[tuple[str, int]]:
    """Reasons of skipped tests with their number over all stages, the most frequent first."""
    found: Counter[str] = Counter()
    for one in results:
        found.update(one.skipped)
    return sorted(found.items(), key=lambda entry: (-entry[1], entry[0]))
