# SPDX-License-Identifier: MIT
"""The page that people sign: one self-contained HTML file, reproducible to the byte."""

import base64
import functools
import hashlib
import re
from collections.abc import Iterable, Sequence
from importlib import resources

from jinja2 import Environment, FunctionLoader, StrictUndefined, Template
from markupsafe import Markup

from mpbench.core.facts import BY_BASELINE, NO_LIMIT, Verdict, number, overall
from mpbench.core.sanitize import visible
from mpbench.core.version import made_by
from mpbench.report.figures import Bar
from mpbench.report.measured import Measured, glances, measured, moves, of_case
from mpbench.report.model import Group, Page, count
from mpbench.report.prose import ended
from mpbench.report.signing import evidence, evidenced, signing
from mpbench.report.tables import UNREPORTED, hashes, provenance
from mpbench.report.trend import Point, points, trends

_HERE = resources.files("mpbench.report")
ATTENTION_LINES = 10
"""Cases that are named at once; the others are folded."""
FAILED_LINES = 2
"""Cases that failed or broke on the first screen."""
GLANCE_LINES = 8
"""Figures on the first screen: with limits, or as many of these as of those that moved."""


def render(page: Page, history: Iterable[Point] = (), remarks: Iterable[str] = ()) -> str:
    """The page as HTML, for UTF-8; nothing from the record becomes markup, style, script or a path.

    history: earlier runs, for the trends; remarks: what else a reader has to know, at the top
    """
    style, script = _text("page.css"), _text("page.js")
    found = measured(page.runs)
    moved = moves(found)
    return _template().render(
        page=page,
        title=", ".join(dict.fromkeys(page.runs[run.column].label for run in page.runs)),
        provenance=provenance(page),
        measured=found,
        glances=glances(found),
        glance_lines=GLANCE_LINES // 2 if moved else GLANCE_LINES - 2 * bool(page.failed),
        moves=moved,
        unmoved=_unmoved(page, found),
        signing=signing(page),
        made_by=made_by(),
        trends=trends(points(page), history),
        remarks=list(remarks),
        attention_lines=ATTENTION_LINES,
        failed_lines=FAILED_LINES,
        style=Markup(style),
        style_hash=_hash(style),
        script=Markup(script),
        script_hash=_hash(script),
    )


def _unmoved(page: Page, found: Measured) -> str:
    """Why the list of what moved is empty."""
    if any(row.name.endswith(BY_BASELINE) for row in found.rows):
        return "Nothing: no percentile is outside the interval of the baseline's."
    if len({run.column for run in page.runs}) > 1:
        return "Nothing: every median is within 10 % of the first run's."
    return "Not compared: this page has one run, and no baseline was given (--bench-baseline)."


def _text(name: str) -> str:
    return _HERE.joinpath(name).read_text("utf-8")


def _hash(text: str) -> str:
    """How a content security policy names a text. Ref: W3C CSP3, hash-source"""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


@functools.cache
def _template() -> Template:
    """Everything that a template prints goes through `_disarm` and is escaped."""
    environment = Environment(
        autoescape=True,
        finalize=_disarm,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        loader=FunctionLoader(_text),
    )
    environment.filters |= {
        "breakable": breakable,
        "counts": counts,
        "ended": ended,
        "evidence": evidence,
        "evidenced": evidenced,
        "files": files,
        "hashes": hashes,
        "ms": duration,
        "number": number,
        "own": of_case,
        "rows": lambda groups: sum(len(group.rows) for group in groups),
        "shares": shares,
        "worst": lambda found: overall(g.verdict for g in found).value,
    }
    environment.globals |= {"NO_LIMIT": NO_LIMIT, "UNREPORTED": UNREPORTED}
    return environment.get_template("page.html.j2")


_PARTS = re.compile(r".{8,}?(?:[/:_,-]+|(?=\[)|$)|.+$", re.DOTALL)


def breakable(name: str) -> list[str]:
    """Parts of a name between which a line may break: after a separator, and none of a few characters."""
    return _PARTS.findall(name)


def files(groups: Iterable[Group]) -> dict[str, list[Group]]:
    """The functions of each file."""
    found: dict[str, list[Group]] = {}
    for group in groups:
        found.setdefault(group.function.partition("::")[0], []).append(group)
    return found


def counts(groups: Iterable[Group]) -> tuple[tuple[Verdict, int], ...]:
    """How often each verdict was given in several functions."""
    return count(case.verdict for group in groups for _, case in group.cases if not case.superseded)


LEAST_SHARE = 2
"""Percent of a bar that a single verdict has at least: one FAIL in a thousand is seen."""


def shares(found: Sequence[tuple[Verdict, int]]) -> list[Bar]:
    """Parts of a bar that is 100 wide, in the order of the verdicts."""
    total = sum(n for _, n in found) or 1
    widths = [max(LEAST_SHARE, round(100 * n / total)) for _, n in found]
    if widths:
        widths[widths.index(max(widths))] += 100 - sum(widths)
    starts = [sum(widths[:n]) for n in range(len(widths))]
    return [
        Bar(x, 0, width, 8, verdict.value)
        for x, width, (verdict, _) in zip(starts, widths, found, strict=True)
    ]


def duration(ms: float) -> str:
    """A duration as people read it."""
    return f"{ms:.0f} ms" if ms < 1000 else f"{ms / 1000:.1f} s" if ms < 120_000 else f"{ms / 60_000:.0f} min"


def _disarm(value: object) -> object:
    if isinstance(value, Markup):
        return value  # style, script and macros of the templates themselves
    return visible(value) if isinstance(value, str) else value
