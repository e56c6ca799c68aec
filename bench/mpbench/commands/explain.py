# SPDX-License-Identifier: MIT
"""`mpbench explain`: the meaning of a line or a log, with the image at hand if there is one."""

import argparse
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpbench.commands.predict import add_board, board_json, board_line, board_of, verdict
from mpbench.core import colour
from mpbench.core.errors import UsageError
from mpbench.core.sanitize import printable

if TYPE_CHECKING:
    from mpbench.knowledge.explain import Answer
    from mpbench.knowledge.meaning import Explanation
    from mpbench.twin.memory import Core
    from mpbench.twin.profile import Profile
    from mpbench.twin.values import Outcome

MANY_CAUSES = 5
"""Above this number, advice is printed before the causes."""

MANY_CONSEQUENCES = 5
UNREAD = "{} more lines with known messages were not read: of a flood, the first and the last are"
LOG_LIMIT_BYTES = 128 << 20
XZ_BYTES = 80 << 20
"""For unpacking: `xz -9` takes 65 MiB, and a header may ask for 4 GiB."""
LOGS = ("kmsg", "secure-console", "console")
"""Evidence of a run in which messages are looked for."""

COMPARE = "compare sha256sum on board and host; check that --profile, --core and --key are the board's"
WOULD_HELP = (
    "the kernel log from `powering up` to the end (`dmesg`)",
    "OP-TEE's console of the same time, at CFG_TEE_CORE_LOG_LEVEL=2 or more",
    "`mpbench doctor --lg-env TARGET`, if the board is at hand",
)

# Imports in the functions: the twin takes longer to import than `--help` may take.
# ruff: noqa: PLC0415


def add_commands(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `explain`."""
    one = subparsers.add_parser("explain", help="what a line or a log means: the cause, and what to try")
    one.add_argument(
        "text",
        help="a line, a log's file (or @FILE; .gz, .xz as well), a run's directory, or - for standard input",
    )
    one.add_argument("image", type=Path, nargs="?", help="the image that was loaded")
    add_board(one)
    one.add_argument("--json", action="store_true", help="print JSON")
    one.set_defaults(run=_explain)


def _explain(args: argparse.Namespace) -> int:
    prediction = _of_image(args) if args.image else None
    answers = [(title, _narrowed(answer, prediction)) for title, answer in _answers(args.text)]
    if prediction is None and not any(a.explained or a.states for _, a in answers):
        raise UsageError(_nothing_known(answers))
    if args.json:
        image = _image_json(*prediction) if prediction else None
        print(json.dumps({"logs": [_answer_json(*a) for a in answers], "image": image}, indent=2))
    else:
        lines = [line for title, answer in answers for line in _printed(title, answer)]
        if prediction is not None:
            outcome, profile, core = prediction
            lines += _image_lines(outcome, board_line(args, profile, core))
        print("\n".join(lines))
    return 0


def _answers(given: str) -> "list[tuple[str, Answer]]":
    """(title, answer) of the text, or of each test of a run that did not pass."""
    from mpbench.knowledge.explain import answer

    if os.path.isdir(given):
        return [(title, answer(text)) for title, text in _logs_of_run(Path(given))]
    return [("", answer(log_of(given)))]


def _logs_of_run(directory: Path) -> Iterator[tuple[str, bytes]]:
    """(test and verdict, its logs) of each test of a run that is not green."""
    from mpbench.core.facts import Verdict
    from mpbench.core.lines import StepLine, TestEnd
    from mpbench.core.record import read, read_evidence

    run = read(directory)
    ends = [end for end in run.of(TestEnd) if end.verdict not in (Verdict.PASS, Verdict.NOT_RUN)]
    if not ends:
        raise UsageError(f"every test of {directory} passed or was not run: nothing to explain")
    for end in ends:
        steps = [step for step in run.of(StepLine) if step.test == end.test]
        files = dict.fromkeys(ref.file for step in steps for ref in step.evidence if ref.name in LOGS)
        logs = b"\n".join(read_evidence(directory / "evidence" / file) for file in files)
        yield f"{end.test}: {end.verdict.value}", logs


def log_of(given: str) -> str | bytes:
    """The text itself, a file's bytes, or standard input's. UsageError: longer than LOG_LIMIT_BYTES."""
    if given == "-":
        log = sys.stdin.buffer.read(LOG_LIMIT_BYTES + 1)
        if len(log) > LOG_LIMIT_BYTES:
            raise UsageError(f"standard input has more than {LOG_LIMIT_BYTES} bytes; give a part of it")
        return log
    path = given.removeprefix("@")
    if given.startswith("@") or _is_file(path):
        from mpbench.core.files import read_bounded

        return unpacked(read_bounded(path, limit_bytes=LOG_LIMIT_BYTES), path)
    return given


def unpacked(log: bytes, path: str) -> bytes:
    """A log that gzip or xz packed, or as it is. UsageError: damaged, or too long when unpacked."""
    import gzip
    import io
    import lzma
    import zlib

    try:
        if log.startswith(b"\x1f\x8b"):
            found = gzip.GzipFile(fileobj=io.BytesIO(log)).read(LOG_LIMIT_BYTES + 1)
        elif log.startswith(b"\xfd7zXZ\x00"):
            packed = lzma.LZMADecompressor(memlimit=XZ_BYTES)
            found = packed.decompress(log, LOG_LIMIT_BYTES + 1)
            if not packed.eof and len(found) <= LOG_LIMIT_BYTES:
                raise EOFError("it ends early")
        else:
            return log
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise UsageError(f"cannot unpack {path}: {error}") from None
    if len(found) > LOG_LIMIT_BYTES:
        raise UsageError(f"{path} unpacks to more than {LOG_LIMIT_BYTES} bytes; give a part of it")
    return found


def _is_file(given: str) -> bool:
    """A line of a log may be too long for a path, or hold what no path may."""
    try:
        return os.path.exists(given)
    except ValueError:
        return False


def _nothing_known(answers: "list[tuple[str, Answer]]") -> str:
    """One line: what looks wrong in the text, and what would help."""
    suspects = [s for _, answer in answers for s in answer.suspects]
    count = sum(answer.lines for _, answer in answers)
    wrong = "; ".join(f"line {number}: {printable(line)[:120]}" for number, line in suspects[:3])
    looks = f"; what looks wrong in it: {wrong}" if suspects else ""
    lines = f"{count} line{'s' * (count != 1)}"
    return f"no known message in {lines}{looks}. What would help: {'; '.join(WOULD_HELP)}"


def _answer_json(title: str, answer: "Answer") -> dict[str, Any]:
    def row(e: "Explanation") -> dict[str, Any]:
        return {
            **{"line": e.line, "number": e.number, "times": e.times, "id": e.id, "level": e.level},
            **{"meaning": e.meaning, "causes": e.causes, "try": e.advice},
            **{"proof": e.prove, "source": e.source, "unknown": e.unknown},
            "consequences": [{"number": n, "line": line} for n, line in e.consequences],
        }

    return {
        "test": title or None,
        "lines": answer.lines,
        "unread": answer.unread,
        "explained": [row(e) for e in answer.explained],
        "states": [row(e) for e in answer.states],
        "suspects": [{"number": n, "line": line} for n, line in answer.suspects],
    }


def _printed(title: str, answer: "Answer") -> Iterator[str]:
    if title:
        yield f"== {printable(title)}"
    for one in answer.explained or answer.states:
        yield from explained(one, numbered=answer.lines > 1)
    if not answer.explained and not answer.states:
        yield "no known message in its logs"
    if answer.unread:
        yield UNREAD.format(answer.unread)
    for number, line in answer.suspects if not answer.explained else ():
        yield f"not known, looks wrong: line {number}: {printable(line)}"


def _of_image(args: argparse.Namespace) -> "tuple[Outcome, Profile, Core]":
    """Prediction for the image, its signature assumed to be valid unless a key is given."""
    from mpbench.core.files import read_bounded
    from mpbench.twin.loader import load

    args.trust_signature = args.key is None
    profile, core = board_of(args)
    return load(read_bounded(args.image), profile, core.id), profile, core


def _image_json(outcome: "Outcome", profile: "Profile", core: "Core") -> dict[str, Any]:
    return {**board_json(profile, core), "verdict": verdict(outcome), "reason": outcome.reason.name}


def _image_lines(outcome: "Outcome", board: str) -> list[str]:
    on = f"  on {board}"
    return [
        f"this image: {colour.verdict(verdict(outcome))}, {outcome.reason.name}: {printable(outcome.detail)}",
        on,
    ]


def explained(one: "Explanation", *, numbered: bool = False) -> list[str]:
    """An explanation for a person, without the control characters of a device's output."""
    causes = [f"  cause: {printable(cause)}" for cause in one.causes]
    steps = [f"  try:   {printable(step)}" for step in one.advice]
    parts = (steps, causes) if len(causes) > MANY_CAUSES else (causes, steps)
    where = f"line {one.number}: " if numbered and one.number else ""
    times = f"  ({one.times} times)" if one.times > 1 else ""
    more = {"proof": one.prove, "not known": one.unknown}
    last = [f"  {name}: {printable(text)}" for name, text in more.items() if text]
    first = colour.paint(f"{where}{printable(one.line)}{times}", "bold")
    return [first, f"  means: {printable(one.meaning)}", *parts[0], *parts[1], *last, *_consequences(one)]


def _consequences(one: "Explanation") -> Iterator[str]:
    """Lines that only follow from the explained one."""
    for number, line in one.consequences[:MANY_CONSEQUENCES]:
        yield f"  hence line {number}: {printable(line)}"
    if (more := len(one.consequences) - MANY_CONSEQUENCES) > 0:
        yield f"  hence {more} more"


def _narrowed(answer: "Answer", prediction: "tuple[Outcome, Profile, Core] | None") -> "Answer":
    if prediction is None:
        return answer
    return answer._replace(explained=tuple(narrowed(one, prediction[0]) for one in answer.explained))


def narrowed(one: "Explanation", outcome: "Outcome") -> "Explanation":
    """The explanation with the image's own cause only, or with none if the twin accepts the image."""
    own = f"{outcome.reason.text} ({outcome.reason.name})"
    if own in one.causes:
        return one._replace(causes=(own,))
    if outcome.accepted and len(one.causes) > MANY_CAUSES:
        none = "none found in this image: it should be accepted"
        return one._replace(causes=(none,), advice=(COMPARE, *one.advice))
    return one
