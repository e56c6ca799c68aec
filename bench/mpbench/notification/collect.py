# SPDX-License-Identifier: MIT
"""Collect recorded events of notifications, as raw pages of the ring buffer or as text, and follow them."""

from collections.abc import Sequence

from attrs import frozen

from mpbench.board.protocols import Session
from mpbench.board.trace import raw_trace
from mpbench.board.trace.ring_buffer import Events, Format, decode, event_format, layout
from mpbench.core.errors import InfrastructureError
from mpbench.notification.cpu_activity import marks_of_raw, marks_of_text, slowest
from mpbench.notification.facts import Outlier
from mpbench.notification.ftrace_plan import Recorded
from mpbench.notification.ftrace_session import FtraceSession
from mpbench.notification.measure import OUTLIERS
from mpbench.notification.trace_events import (
    Followed,
    Role,
    TraceEvent,
    follow,
    lost_in_text,
    of_raw,
    of_text,
)


@frozen
class Collected:
    """A recording of notifications.

    followed: counts and samples; lost: events that the buffer had no room for
    moved: bytes read from the board; outliers: the slowest notifications, with CPU activity
    """

    followed: Followed
    lost: int
    moved: int
    outliers: tuple[Outlier, ...]


class RawEvents:
    """Decoded raw pages of a tracing instance; none without `recorded`.

    pages: events by CPU; formats: by event; lost: events that the buffer had no room for; moved: bytes
    """

    def __init__(self, session: Session, instance: str, recorded: Sequence[Recorded]) -> None:
        self.roles = roles_of(recorded)
        self.formats: dict[str, Format] = {}
        self.pages: list[tuple[int, Events]] = []
        self.lost = self.moved = 0
        if not recorded:
            return
        described = raw_trace.descriptions(session, list(self.roles))
        where, formats = layout(described.header_page), [event_format(text) for text in described.formats]
        self.formats = dict(zip(self.roles, formats, strict=True))
        self.lost = raw_trace.lost(session, instance)
        for cpu, data in raw_trace.each(session, instance, where.page_size):
            self.moved += len(data)
            for events in decode(data, where, {f.id: f for f in formats}):
                self.lost += events.lost
                self.pages.append((cpu, events))

    def trace_events(self) -> list[TraceEvent]:
        """Events that belong to notifications."""
        return [h for cpu, events in self.pages for h in of_raw(cpu, events, self.formats, self.roles)]


def roles_of(recorded: Sequence[Recorded]) -> dict[str, Role]:
    """Role of each recorded event for a notification."""
    return {r.event: Role(r.role, r.key, r.only) for r in recorded}


def layout_is_known(session: Session) -> bool:
    """Whether raw pages of this board's ring buffer can be decoded."""
    try:
        layout(raw_trace.descriptions(session, []).header_page)
    except InfrastructureError:
        return False
    return True


def raw(session: Session, trace: FtraceSession) -> Collected:
    """Take the raw pages off the board, which removes them there."""
    events = RawEvents(session, trace.instance, trace.plan.recorded)
    context = RawEvents(session, trace.context, trace.plan.context if trace.context_recorded else ())
    followed = follow(events.trace_events())
    marks = marks_of_raw(context.pages, context.formats)
    moved = events.moved + context.moved
    return Collected(followed, events.lost, moved, slowest(followed.samples, OUTLIERS, marks))


def text(session: Session, trace: FtraceSession) -> Collected:
    """Read the text, which leaves the events on the board."""
    events = _text(session, trace.instance)
    context = _text(session, trace.context) if trace.context_recorded else ""
    followed = follow(of_text(events, roles_of(trace.plan.recorded)))
    outliers = slowest(followed.samples, OUTLIERS, marks_of_text(context))
    return Collected(followed, lost_in_text(events), len(events) + len(context), outliers)


def _text(session: Session, instance: str) -> str:
    return raw_trace.text(session, instance).decode("utf-8", "backslashreplace")
