# SPDX-License-Identifier: MIT
"""The page that people sign: one self-contained HTML file, reproducible to the byte."""

import base64
import functools
import hashlib
import re
from collections.abc import Iterable
from importlib import resources

from jinja2 import Environment, FunctionLoader, StrictUndefined, Template
from markupsafe import Markup

from mpbench.core.facts import NO_LIMIT, limits, number
from mpbench.core.sanitize import visible
from mpbench.core.version import made_by
from mpbench.report.model import Page
from mpbench.report.signing import evidence, signing
from mpbench.report.tables import conditions, table
from mpbench.report.trend import Point, points, trends

_HERE = resources.files("mpbench.report")
ATTENTION_LINES = 50
"""Most cases that are named at the page's top."""


def render(page: Page, history: Iterable[Point] = (), remarks: Iterable[str] = ()) -> str:
    """The page as HTML, for UTF-8; nothing from the record becomes markup, style, script or a path.

    history: earlier runs, for the trends; remarks: what else a reader has to know, at the top
    """
    style, script = _text("page.css"), _text("page.js")
    return _template().render(
        page=page,
        title=", ".join(dict.fromkeys(page.runs[run.column].label for run in page.runs)),
        table=table(page),
        signing=signing(page),
        made_by=made_by(),
        trends=trends(points(page), history),
        remarks=list(remarks),
        attention_lines=ATTENTION_LINES,
        style=Markup(style),
        style_hash=_hash(style),
        script=Markup(script),
        script_hash=_hash(script),
    )


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
        "conditions": conditions,
        "evidence": evidence,
        "limits": lambda m: limits(m.low, m.high),
        "ms": duration,
        "number": number,
    }
    environment.globals["NO_LIMIT"] = NO_LIMIT
    return environment.get_template("page.html.j2")


def breakable(name: str) -> list[str]:
    """Parts of a test's name between which a line may break."""
    return re.findall(r"[^/:_\[]*[/:_\[]?", name)[:-1]


def duration(ms: float) -> str:
    """A duration as people read it."""
    return f"{ms:.0f} ms" if ms < 1000 else f"{ms / 1000:.1f} s" if ms < 120_000 else f"{ms / 60_000:.0f} min"


def _disarm(value: object) -> object:
    if isinstance(value, Markup):
        return value  # style, script and macros of the templates themselves
    return visible(value) if isinstance(value, str) else value
