# SPDX-License-Identifier: MIT
"""Notes of the operator and roles of signatures, as target files and command lines give them. Pure."""

from collections.abc import Iterable, Mapping

from mpbench.core.errors import UsageError

NOTES = "bench_notes"
SIGNATURES = "bench_signatures"
LONGEST = 2000
"""Most characters of a name, a note or a reason."""
MOST_SIGNATURES = 20


def notes_of(option: object) -> dict[str, str]:
    """Notes of the target option `bench_notes`. UsageError for anything but texts and numbers by name."""
    if not isinstance(option, Mapping):
        raise UsageError(f"{NOTES}: {option!r:.40} is no mapping; e.g. `{NOTES}: {{supply: 5.0 V}}`")
    for name, value in option.items():
        if not isinstance(value, str | int | float) or isinstance(value, bool):
            raise UsageError(f"{NOTES}: {name!r:.40} is {value!r:.40}; expected a text in quotes or a number")
    return {
        checked(str(name), NOTES): checked(str(value), f"{NOTES}: {name}") for name, value in option.items()
    }


def notes_in(words: Iterable[str], option: str) -> dict[str, str]:
    """Notes of a command line's NAME=TEXT. UsageError: another form, or a name twice."""
    found: dict[str, str] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals:
            raise UsageError(f"{option}: {word!r:.60} has no `=`; expected NAME=TEXT, e.g. 'supply=5.0 V'")
        name = checked(name, option)
        if name in found:
            raise UsageError(f"{option}: {name!r} is given twice")
        found[name] = checked(text, f"{option}: {name}")
    return found


def signatures_of(option: object) -> tuple[str, ...]:
    """Roles of the target option `bench_signatures`. UsageError for anything but a list of words."""
    if not isinstance(option, list) or not all(isinstance(role, str) for role in option):
        raise UsageError(f"{SIGNATURES}: {option!r:.40} is no list of roles; e.g. `[tested, reviewed]`")
    if len(option) > MOST_SIGNATURES:
        raise UsageError(f"{SIGNATURES}: {len(option)} roles; at most {MOST_SIGNATURES}")
    return tuple(checked(role, SIGNATURES) for role in option)


def checked(text: str, where: str) -> str:
    """`text` without blanks around it. UsageError if nothing is left, or too much."""
    text = text.strip()
    if not text:
        raise UsageError(f"{where}: an empty text; expected at least one character")
    if len(text) > LONGEST:
        raise UsageError(f"{where}: {len(text)} characters; at most {LONGEST}")
    return text
