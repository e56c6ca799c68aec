# SPDX-License-Identifier: MIT
"""What a message means, with what its numbers add: errno, TEE results, peripherals of the firewall."""

import re
from typing import NamedTuple

from mpbench.knowledge.matching import Match
from mpbench.knowledge.messages import advice_by_code, peripheral
from mpbench.layout import Tee, tee_name
from mpbench.twin.reasons import REASONS, Reason

NOT_OF_A_LOAD = {
    *("never-loaded", "unknown-command", "wrong-parameters", "release-unknown-core"),
    *("nothing-loaded", "not-running", "no-core-dump"),
}
MANY_CAUSES = 5
WHICH_OF_THEM = "which of these it is: the secure console names it, this line does not"
WHOSE = "whose result it is; it is taken as the remoteproc TA's, another TA means something else by it"
CALL_FAILED = "the call to OP-TEE itself failed ({}): there is no result of the remoteproc TA"


class Explanation(NamedTuple):
    """line: text of the line that is explained, number: its number in the log, times: how often it was found;
    meaning; causes; advice: what to try, in this order; prove: what would show it; source: of the line;
    unknown: what the log does not show; consequences: (number, line) of lines that only follow from this one.
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
    unknown: str = ""
    consequences: tuple[tuple[int, str], ...] = ()


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
    if message.code and (code := tee_code(match)) is not None:
        return _coded(one, code) if code else _call_failed(one)
    number = next((g for g in match.groups if re.fullmatch(r"-?\d+", g or "")), "")
    if message.peripheral and number:
        name = peripheral(int(number)) or "one that its table does not name"
        one = one._replace(meaning=f"{message.means}: {number} is {name}")
    if (other := message.numbers.get(number)) is not None:
        return one._replace(
            meaning=other["means"],
            causes=tuple(other.get("causes", one.causes)),
            advice=tuple(other.get("try", one.advice)),
        )
    if message.numbers and number.startswith("-"):
        return one._replace(
            meaning=f"{message.means}: errno {number[1:]}",
            advice=one.advice or ("read the lines before",),
        )
    return one


def tee_code(match: Match) -> int | None:
    """The TEE result that a message printed: 8 hexadecimal digits, or 0."""
    printed = (g for g in match.groups if re.fullmatch(r"[0-9a-fA-F]{8}|0", g or ""))
    code = next(printed, None)
    return None if code is None else int(code, 16)


def _of_reasons(one: Explanation, names: tuple[str, ...]) -> Explanation:
    reasons = [REASONS[n] for n in names]
    code = reasons[0].code or 0
    return one._replace(
        meaning=f"{_named(code)}, check {reasons[0].check}",
        causes=tuple(r.text for r in reasons),
        advice=_advice(code),
    )


def _coded(one: Explanation, code: int) -> Explanation:
    """All reasons with a TEE result; for a line of LOAD_FW or of the TA, only those of that command."""
    same = reasons_of(code, loading="LOAD_FW" in one.line or one.id.startswith("ta-"))
    return one._replace(
        meaning=f"{_named(code)}: {one.meaning}" if one.meaning else _named(code),
        causes=one.causes or tuple(f"{r.text} ({r.name})" for r in same),
        advice=(*_advice(code), *one.advice),
        unknown=WHICH_OF_THEM if len(same) > MANY_CAUSES else "",
    )


def _call_failed(one: Explanation) -> Explanation:
    """Result 0 with a return code, which drivers print as a negative or an unsigned hexadecimal number."""
    found = re.search(r"ret: ?(?:0x)?(-\d+|[0-9a-fA-F]+)", one.line)
    value = 0 if found is None else int(found[1], 10 if found[1].startswith("-") else 16)
    errno = value if value < 0 or value < 1 << 31 else value - (1 << 32)
    return one._replace(
        meaning=CALL_FAILED.format(f"errno {-errno}" if errno else "no return code in the line"),
        causes=("OP-TEE panicked or is not there any more", "no shared memory for the image (errno 12)"),
        advice=("read the secure console at that time", *one.advice),
    )


def reasons_of(code: int, *, loading: bool) -> list[Reason]:
    """The twin's reasons with a TEE result."""
    same = [r for r in REASONS.values() if r.code == code and not r.name.startswith("platform")]
    if loading:
        same = [r for r in same if r.name not in NOT_OF_A_LOAD] or same
    return same


def coded_alone(line: str, digits: str) -> Explanation:
    """A TEE result that was given by itself: as the remoteproc TA would mean it."""
    one = _coded(Explanation(line, "", id="tee-code"), int(digits, 16))
    return one._replace(unknown=WHOSE)


def _named(code: int) -> str:
    return f"{tee_name(code)} ({code:#010x})"


def _advice(code: int) -> tuple[str, ...]:
    return advice_by_code().get(Tee(code).name, ()) if code in Tee._value2member_map_ else ()
