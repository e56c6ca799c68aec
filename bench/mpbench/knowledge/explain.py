# SPDX-License-Identifier: MIT
"""What a log says: each known trouble once with its consequences; states where there is no trouble."""

import re
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from mpbench.knowledge.context import Context, in_context, unfinished
from mpbench.knowledge.episodes import ATTEMPT, Event, events, troubles
from mpbench.knowledge.floods import thinned
from mpbench.knowledge.log_lines import MAX_LINE, as_text, decoded, lines_at, pieces, places_of
from mpbench.knowledge.matching import ABOUT_CORES, PLACES, WRONG, Match, matched
from mpbench.knowledge.meaning import Explanation, coded_alone, explanation
from mpbench.knowledge.others import of_their_owners
from mpbench.knowledge.places import known_lines

ONLY_A_CODE = re.compile(r"(?:0x)?([fF]{4}[0-9a-fA-F]{4}|[fF]010000[0-9a-fA-F])")
LOOKS_WRONG = (
    *("error", "fail", "unable", "cannot", "can't", "panic", "abort", "denied", "refused", "timed out"),
    *("timeout", "e/tc", "e/ta", "bug:", "oops", "corrupt", "invalid", "not found"),
)
ABOUT_US = re.compile(ABOUT_CORES.pattern + r"|rpmsg|optee|OP-TEE|\bTEE\b|firmware|[EF]/T[AC]|ipcc")
MAX_SUSPECTS, MAX_LOOKED_AT = 10, 100
MAX_MATCHES, MAX_CODE = 10_000, 64


class Answer(NamedTuple):
    """explained: troubles, those that still matter first; states: what else is known of it;
    suspects: (number, line) of lines that look wrong and are not known; lines: how many the log has;
    unread: how many lines with known messages were not read, since the log has too many of them.
    """

    explained: tuple[Explanation, ...]
    states: tuple[Explanation, ...]
    suspects: tuple[tuple[int, str], ...]
    lines: int
    unread: int = 0


def explain(text: str) -> list[Explanation]:
    """The troubles of a log; where there is none, its states."""
    found = answer(text)
    return list(found.explained or found.states)


def answer(log: str | bytes) -> Answer:
    """Everything that is known of a log; bytes are read in pieces, so that only their own size counts.

    Of a log with more than MAX_MATCHES known lines the first and the last of them are explained.
    """
    if len(log) < MAX_CODE and (code := ONLY_A_CODE.fullmatch(text := as_text(log).strip())):
        return Answer((coded_alone(text, code[1]),), (), (), 1)
    log = decoded(log)
    count = (log.count("\n") if isinstance(log, str) else log.count(b"\n")) + 1
    alone = count == 1 and len(log) < MAX_LINE
    matches, unread = _matches(log, alone=alone)
    found = of_their_owners(events(matches))
    about_cores = count == 1 or ("remoteproc" in log if isinstance(log, str) else b"remoteproc" in log)
    explained = tuple(in_context(troubles(found), found, about_cores=about_cores))
    suspects = () if explained else tuple(_suspects(log, {m.line.number for m in matches}))
    ends = log.endswith("\n") if isinstance(log, str) else log.endswith(b"\n")
    return Answer(explained, tuple(_states(found)), suspects, count - ends, unread)


def _matches(log: str | bytes, *, alone: bool) -> tuple[list[Match], int]:
    """The known lines in the log's order, and how many were not read."""
    matches, unread = [], 0
    for piece in pieces(log):
        lines, more = known_lines(piece.text, piece.number, PLACES)
        found = [match for line in lines if (match := matched(line, alone=alone)) is not None]
        unread += more + sum(match.line.unread for match in found)
        matches += found
    kept = thinned(matches, MAX_MATCHES // 2)
    return kept, unread + len(matches) - len(kept)


def _suspects(log: str | bytes, known: set[int]) -> Iterator[tuple[int, str]]:
    """The first lines that look wrong and are not known; if some are about cores or OP-TEE, only these."""
    lines: dict[int, str] = {}
    for piece in pieces(log):
        lowered = piece.text.lower()
        places = {p for word in LOOKS_WRONG for p in islice(places_of(lowered, word), MAX_LOOKED_AT)}
        found = lines_at(piece.text, sorted(places), piece.number)
        wrong = (line for line in found if line.number not in known and WRONG.search(line.text))
        lines |= {line.number: line.text for line in wrong}
        if len(lines) >= MAX_LOOKED_AT:
            break
    ours = {number: line for number, line in lines.items() if ABOUT_US.search(line)}
    return islice(sorted((ours or lines).items()), MAX_SUSPECTS)


def _states(found: list[Event]) -> Iterator[Explanation]:
    """Each state once per core; the last start, if the log does not show its end."""
    context = Context(found)
    last = {e.core: e for e in found if e.id in ATTEMPT}
    seen = set()
    for event in found:
        if event.match.message.level != "state" or (event.id, event.core) in seen:
            continue
        seen.add((event.id, event.core))
        one = explanation(event.match)
        yield unfinished(one, last[event.core], context) if event.id in ATTEMPT else one
