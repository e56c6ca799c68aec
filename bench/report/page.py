# SPDX-License-Identifier: MIT
"""The page that people sign: one self-contained HTML file, the same bytes for the same records."""

import base64
import hashlib
import re
from importlib import resources

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from bench.report.model import Page
from bench.report.visible import visible

_HERE = resources.files("bench.report")


def render(page: Page) -> str:
    """The page as HTML, for UTF-8; nothing from the record becomes markup, style or a path."""
    style = _HERE.joinpath("page.css").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    template = _environment().from_string(_HERE.joinpath("page.html.j2").read_text("utf-8"))
    title = ", ".join(run.label for run in page.runs)
    return template.render(page=page, title=title, style=Markup(style), style_hash=f"sha256-{digest}")


def _environment() -> Environment:
    """Everything that a template prints goes through `_disarm` and is escaped."""
    environment = Environment(
        autoescape=True, finalize=_disarm, undefined=StrictUndefined, keep_trailing_newline=True
    )
    environment.filters["breakable"] = breakable
    return environment


def breakable(name: str) -> list[str]:
    """Parts of a test's name between which a line may break."""
    return re.findall(r"[^/:_\[]*[/:_\[]?", name)[:-1]


def _disarm(value: object) -> object:
    if isinstance(value, Markup):
        return value  # the style sheet and macros of the template itself
    return visible(value) if isinstance(value, str) else value
