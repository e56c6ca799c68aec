# SPDX-License-Identifier: MIT
"""What a log says: each known trouble once with its consequences; states where there is no trouble."""

import re
from collections.abc import Iterable, Iterator
from itertools import islice

from attrs import evolve, frozen

from mpbench.knowledge.context import in_context
from mpbench.knowledge.log_lines import (
    LogLine,
    as_text,
    lines_at,
    lines_with,
    pieces,
    places_of,
)
from mpbench.knowledge.messages import Form, Message, advice_by_code, index, messages
from mpbench.layout import Tee, tee_name
from mpbench.twin.reasons import REASONS

NOT_OF_A_LOAD = {
    *("never-loaded", "unknown-command", "wrong-parameters", "release-unknown-core"),
    *("nothing-loaded", "not-running", "no-core-dump"),
}
ONLY_A_CODE = re.compile(r"(?:0x)?([fF]{4}[0-9a-fA-F]{4}|[fF]010000[0-9a-fA-F])")
TEE_ERR = re.compile(r"TEE err: *(?:0x)?([0-9a-fA-F]{8})\b")
NOT_OURS = "{} went to another driver ({}): this line is not about the cores' firmware"
LOOKS_WRONG = (
    *("error", "fail", "unable", "cannot", "can't", "panic", "abort", "denied", "refused", "timed out"),
    *("timeout", "e/tc", "e/ta", "bug:", "oops", "corrupt", "invalid", "not found"),
)
ABOUT_CORES = re.compile(r"rproc|remoteproc|RPROC|\b[mM](?:4|33|0)\b")
ABOUT_US = re.compile(ABOUT_CORES.pattern + r"|rpmsg|optee|OP-TEE|\bTEE\b|firmware|[EF]/T[AC]|ipcc")
MAX_SUSPECTS, MAX_LOOKED_AT = 10, 100
MAX_MATCHES, MAX_CODE = 20_000, 64
PRINTERS = {"linux", "optee", "ta", "boot"}
EPISODE = {"rproc-powering-up", "rproc-attaching"}


@frozen
class Explanation:
    """line: text of the line that is explained, number: its number in the log, times: how often it was found;
    meaning; causes; advice: what to try, in this order; prove: what would show it; source: of the line;
    consequences: (number, line) of later lines that only follow from this one.
    """

    line: str
    meaning: str
    causes: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()
    id: str = ""
    number: int = 0
    times: int = 1
    level: str = "error"
    prove: str = ""
    source: str = ""
    consequences: tuple[tuple[int, str], ...] = ()


@frozen
class Answer:
    """explained: troubles, in the log's order; states: what else is known of it; suspects: (number, line)
    of lines that look wrong and are not known; lines: how many were read.
    """

    explained: tuple[Explanation, ...]
    states: tuple[Explanation, ...]
    suspects: tuple[tuple[int, str], ...]
    lines: int


@frozen
class Match:
    """A known message in a line, and what its directives printed."""

    line: LogLine
    message: Message
    groups: tuple[str, ...]


def matched(line: LogLine) -> Match | None:
    """The known message of a line, or None."""
    known = index()
    for start in line.starts():
        rest = line.text[start:]
        word = rest.split(None, 1)[0] if rest else ""
        for form in known.at(word):
            if found := _fits(form, line, start):
                return Match(line, form.message, found.groups())
    for literal, form in known.anywhere:
        if literal in line.text:
            for start in line.starts():
                if found := _fits(form, line, start):
                    return Match(line, form.message, found.groups())
    return None


def _fits(form: Form, line: LogLine, start: int) -> re.Match[str] | None:
    message = form.message
    if line.by and message.by in PRINTERS and not _printed_by(line.by, message.by):
        return None
    if message.needs not in line.text:
        return None
    before = line.text[:start] if line.by in ("optee", "ta") else line.text[line.start : start]
    if message.subject and before.strip() and not re.search(message.subject, before):
        return None
    return form.match(line.text, start)


def _printed_by(line: str, message: str) -> bool:
    """OP-TEE's core, its pseudo TAs, ldelf and TAs share a console and differ in their prefix only."""
    return line == message or {line, message} == {"ta", "optee"}


def explain(text: str) -> list[Explanation]:
    """The troubles of a log; where there is none, its states."""
    found = answer(text)
    return list(found.explained or found.states)


def answer(log: str | bytes) -> Answer:
    """Everything that is known of a log; bytes are read in pieces, so that only their own size counts.

    Of a log with more than MAX_MATCHES known lines the first of them are explained.
    """
    if len(log) < MAX_CODE and (alone := ONLY_A_CODE.fullmatch(text := as_text(log).strip())):
        return Answer((_coded_alone(text, alone[1]),), (), (), 1)
    literals = (*(literal for literal, _ in index().anywhere), "TEE err")
    lines = (
        line
        for piece in pieces(log)
        for line in lines_with(piece.text, index().by_word, literals, piece.number)
    )
    known = (match for line in lines if (match := matched(line) or _tee_result(line)) is not None)
    matches = list(islice(known, MAX_MATCHES))
    troubles = tuple(_troubles(matches))
    suspects = () if troubles else tuple(_suspects(log, {m.line.number for m in matches}))
    count = log.count("\n") if isinstance(log, str) else log.count(b"\n")
    return Answer(troubles, tuple(_states(matches)), suspects, count + 1)


def _suspects(log: str | bytes, known: set[int]) -> Iterator[tuple[int, str]]:
    """The first lines that look wrong and are not known; those about cores or OP-TEE before others."""
    lines: dict[int, str] = {}
    for piece in pieces(log):
        lowered = piece.text.lower()
        places = {p for word in LOOKS_WRONG for p in islice(places_of(lowered, word), MAX_LOOKED_AT)}
        found = lines_at(piece.text, sorted(places), piece.number)
        lines |= {line.number: line.text for line in found if line.number not in known}
        if len(lines) >= MAX_LOOKED_AT:
            break
    ranked = sorted((not ABOUT_US.search(line), number, line) for number, line in lines.items())
    return ((number, line) for _, number, line in ranked[:MAX_SUSPECTS])


def _tee_result(line: LogLine) -> Match | None:
    """A TEE result in a line of another form than the known ones; another TA's is named as such."""
    if (found := TEE_ERR.search(line.text)) is None:
        return None
    if ABOUT_CORES.search(line.text):
        return Match(line, next(m for m in messages() if m.id == "tee-invoke"), (found[1],))
    code = _named(int(found[1], 16))
    whose = line.text[line.start :].split(":", 1)[0].strip()[:40]
    return Match(line, Message("tee-other", "linux", "", (), "", "error", NOT_OURS.format(code, whose)), ())


def _states(matches: Iterable[Match]) -> Iterator[Explanation]:
    seen = set()
    for match in matches:
        if match.message.level == "state" and match.message.id not in seen:
            seen.add(match.message.id)
            yield explanation(match)


def _troubles(matches: list[Match]) -> list[Explanation]:
    """Each trouble once; a consequence goes to the first trouble of its attempt that it can follow from."""
    found: dict[tuple[str, str], Explanation] = {}
    episode: list[tuple[Message, tuple[str, str]]] = []
    loose: list[tuple[Match, tuple[str, str]]] = []
    for match in matches:
        if match.message.id in EPISODE:
            episode = []
        if match.message.level == "state":
            continue
        one = explanation(match)
        key = (one.id, one.meaning)
        cause = next((k for m, k in episode if match.message.follows(m.id) and k != key), None)
        if cause is not None:
            found[cause] = _with_consequence(found[cause], match.line)
            continue
        for earlier, k in [e for e in episode if e[0].announces(match.message.id)]:
            announcing = found.pop(k)
            episode.remove((earlier, k))
            one = _with_consequence(one, LogLine(announcing.number, announcing.line, "", 0))
        if key in found:
            found[key] = evolve(found[key], times=found[key].times + 1)
        else:
            found[key] = one
            loose.append((match, key))
        episode.append((match.message, key))
    return list(in_context(_consoles_joined(found, loose), matches))


def _consoles_joined(
    found: dict[tuple[str, str], Explanation], loose: list[tuple[Match, tuple[str, str]]]
) -> list[Explanation]:
    """A cause on the secure console may come later in the text than its consequence in Linux' log."""
    for match, key in loose:
        causes = [
            k
            for m, k in loose
            if m.line.by != match.line.by and match.message.follows(m.message.id) and k in found
        ]
        if causes and key in found and causes[0] != key:
            moved = found.pop(key)
            found[causes[0]] = _with_consequence(found[causes[0]], match.line, *moved.consequences)
    return list(found.values())


def _with_consequence(one: Explanation, line: LogLine, *more: tuple[int, str]) -> Explanation:
    return evolve(one, consequences=(*one.consequences, (line.number, line.text), *more))


def explanation(match: Match) -> Explanation:
    """The meaning of a message with what its numbers add."""
    message = match.message
    one = Explanation(
        *(match.line.text, message.means, message.causes, message.advice, message.id, match.line.number),
        level=message.level,
        prove=message.prove,
        source=message.source,
    )
    if message.reasons:
        return _of_reasons(one, message.reasons)
    if message.code and (
        number := next((g for g in match.groups if re.fullmatch(r"[0-9a-fA-F]{8}", g or "")), None)
    ):
        return _coded(one, int(number, 16))
    number = next((g for g in match.groups if re.fullmatch(r"-?\d+", g or "")), "")
    if (other := message.numbers.get(number)) is not None:
        return evolve(
            one,
            meaning=other["means"],
            causes=tuple(other.get("causes", one.causes)),
            advice=tuple(other.get("try", one.advice)),
        )
    if message.numbers and number.startswith("-"):
        return evolve(
            one,
            meaning=f"{message.means}: errno {number[1:]}",
            advice=one.advice or ("read the lines before",),
        )
    return one


def _of_reasons(one: Explanation, names: tuple[str, ...]) -> Explanation:
    reasons = [REASONS[n] for n in names]
    code = reasons[0].code or 0
    return evolve(
        one,
        meaning=f"{_named(code)}, check {reasons[0].check}",
        causes=tuple(r.text for r in reasons),
        advice=_advice(code),
    )


def _coded(one: Explanation, code: int) -> Explanation:
    """All reasons with a TEE result; for a line that names LOAD_FW, only those of that command."""
    same = [r for r in REASONS.values() if r.code == code and not r.name.startswith("platform")]
    if "LOAD_FW" in one.line:
        same = [r for r in same if r.name not in NOT_OF_A_LOAD] or same
    return evolve(
        one,
        meaning=_named(code),
        causes=tuple(f"{r.text} ({r.name})" for r in same),
        advice=(*_advice(code), *one.advice),
    )


def _coded_alone(line: str, digits: str) -> Explanation:
    return _coded(Explanation(line, "", id="tee-code"), int(digits, 16))


def _named(code: int) -> str:
    return f"{tee_name(code)} ({code:#010x})"


def _advice(code: int) -> tuple[str, ...]:
    return advice_by_code().get(Tee(code).name, ()) if code in Tee._value2member_map_ else ()
