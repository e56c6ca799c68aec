# SPDX-License-Identifier: MIT
"""`mpbench explain`: the meaning of a line or a log, with the image at hand if there is one."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpbench.commands.predict import add_board, board_json, board_line, board_of, verdict
from mpbench.core import colour
from mpbench.core.errors import UsageError

if TYPE_CHECKING:
    from mpbench.knowledge.explain import Explanation
    from mpbench.twin.profile import Core, Profile
    from mpbench.twin.values import Outcome

MANY_CAUSES = 5
"""Above this number, advice is printed before the causes."""

COMPARE = "compare sha256sum on board and host; check that --profile, --core and --key are the board's"

# Imports in the functions: the twin takes longer to import than `--help` may take.
# ruff: noqa: PLC0415


def add_commands(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `explain`."""
    one = subparsers.add_parser("explain", help="meaning of a line or a log, causes, and what to try")
    one.add_argument("text", help="a line, @FILE for a log, - for standard input")
    one.add_argument("image", type=Path, nargs="?", help="the image that was loaded")
    add_board(one)
    one.add_argument("--json", action="store_true", help="print JSON")
    one.set_defaults(run=_explain)


def _explain(args: argparse.Namespace) -> int:
    from mpbench.knowledge.explain import explain

    found = explain(text_of(args.text))
    prediction = _of_image(args) if args.image else None
    if not found and prediction is None:
        raise UsageError(
            "no known line in this text; give the line with the TEE's code, e.g. 'TEE err: ffff0006'"
        )
    if args.json:
        rows = [{"line": e.line, "meaning": e.meaning, "causes": e.causes, "try": e.advice} for e in found]
        image = _image_json(*prediction) if prediction else None
        print(json.dumps({"lines": rows, "image": image}, indent=2))
        return 0
    if prediction is not None:
        found = [narrowed(one, prediction[0]) for one in found]
    lines = [line for one in found for line in explained(one)]
    if prediction is not None:
        outcome, profile, core = prediction
        lines += _image_lines(outcome, board_line(args, profile, core))
    print("\n".join(lines))
    return 0


def text_of(given: str) -> str:
    """The text itself, a file's, or standard input's. Bytes that are not text are shown as escapes."""
    from mpbench.core.files import read_bounded

    if given == "-":
        return sys.stdin.read()
    return read_bounded(given[1:]).decode(errors="backslashreplace") if given.startswith("@") else given


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
    return [f"this image: {colour.verdict(verdict(outcome))}, {outcome.reason.name}: {outcome.detail}", on]


def explained(one: "Explanation") -> list[str]:
    """An explanation for a person, without the control characters of a device's output."""
    causes = [f"  cause: {cause}" for cause in one.causes]
    steps = [f"  try:   {step}" for step in one.advice]
    parts = (steps, causes) if len(causes) > MANY_CAUSES else (causes, steps)
    return [colour.paint(printable(one.line), "bold"), f"  means: {one.meaning}", *parts[0], *parts[1]]


def narrowed(one: "Explanation", outcome: "Outcome") -> "Explanation":
    """The explanation with the image's own cause only, or with none if the twin accepts the image."""
    from attrs import evolve

    own = f"{outcome.reason.text} ({outcome.reason.name})"
    if own in one.causes:
        return evolve(one, causes=(own,))
    if outcome.accepted and len(one.causes) > MANY_CAUSES:
        none = "none found in this image: it should be accepted"
        return evolve(one, causes=(none,), advice=(COMPARE, *one.advice))
    return one


def printable(text: str) -> str:
    """Text with control characters as escapes."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)
