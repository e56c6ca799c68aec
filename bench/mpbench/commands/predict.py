# SPDX-License-Identifier: MIT
"""`mpbench predict`: the twin's answer to an image; options that name a board, for other commands too."""

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpbench.core import colour
from mpbench.core.errors import UsageError

if TYPE_CHECKING:
    from mpbench.twin.flip_map import Span
    from mpbench.twin.linux_elf import LinuxOutcome
    from mpbench.twin.linux_values import TableAnswer
    from mpbench.twin.memory import Core
    from mpbench.twin.profile import Profile
    from mpbench.twin.values import Call, Outcome

# Imports in the functions: the twin takes longer to import than `--help` may take.
# ruff: noqa: PLC0415


UNSIGNED = "the file is an ELF, not a signed image: `mpbench sign` makes one of it"


def add_commands(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `predict`."""
    one = subparsers.add_parser("predict", help="a board's answer to an image, and the check that decides it")
    one.add_argument("image", type=Path)
    add_board(one, several=True)
    states, what = ("off", "loaded", "started"), "state of the core before (default: off)"
    one.add_argument("--state", choices=states, default="off", help=what)
    one.add_argument("--map", action="store_true", help="add the result of a flipped bit for every byte")
    one.add_argument("--json", action="store_true", help="print JSON")
    one.set_defaults(run=_predict)


def add_board(one: argparse.ArgumentParser, *, several: bool = False) -> None:
    """Add the options that name a board: --profile, --core, --key, --trust-signature; several: --profile may
    be given for more than one board.
    """
    one.add_argument(
        "--profile",
        metavar="NAME|FILE",
        action="append" if several else "store",
        help="the board's profile (default: $MPBENCH_PROFILE; there is no other)"
        + ("; repeatable: boards are compared" if several else ""),
    )
    one.add_argument("--core", default=None, help="name or processor id (default: the profile's first core)")
    which = one.add_mutually_exclusive_group()
    which.add_argument("--key", type=Path, help="public key in the board's OP-TEE, PEM")
    which.add_argument("--trust-signature", action="store_true", help="assume the signature is valid")


def board_of(args: argparse.Namespace) -> "tuple[Profile, Core]":
    """Profile with its key, and the core. UsageError: no profile, neither a key nor trust, no such core."""
    profile = profile_of(args.profile)
    core = core_of(profile, args.core)
    if args.trust_signature:
        return profile.with_verifier(lambda _digest, _signature: True), core
    if args.key is None:
        raise UsageError("give the public key in the board's OP-TEE: --key FILE, or --trust-signature")
    return profile.with_key(args.key), core


def core_of(profile: "Profile", given: str | None) -> "Core":
    """The core of that name or processor id, the first one by default. UsageError: no such core."""
    return profile.cores[0] if given is None else profile.core(name_or_id(given))


def profile_of(given: str | None) -> "Profile":
    """The profile that is given, else MPBENCH_PROFILE. UsageError: none; no board is taken for the user's."""
    from mpbench.twin.profile import VARIABLE, load_profile, profile_names

    if name := given or os.environ.get(VARIABLE):
        return load_profile(name)
    known = ", ".join(profile_names())
    raise UsageError(f"which board? give its profile, --profile NAME|FILE or {VARIABLE}: {known}")


def name_or_id(core: str) -> int | str:
    """A processor id if the text is a number of 32 bits, else a name."""
    try:
        found = int(core, 0)
    except ValueError:
        return core
    return found if found.bit_length() <= 32 else core


def _predict(args: argparse.Namespace) -> int:
    from mpbench.core.files import read_bounded

    image = read_bounded(args.image)
    answers = [_answer(args, image, profile) for profile in args.profile or [None]]
    if args.json:
        found = [values for values, _ in answers]
        print(json.dumps(found if len(found) > 1 else found[0], indent=2))
    else:
        table = side_by_side([values for values, _ in answers]) if len(answers) > 1 else []
        print("\n".join((*table, *(line for _, lines in answers for line in lines))))
    return 0


def side_by_side(answers: Sequence[dict[str, Any]]) -> list[str]:
    """What several boards do with one image: a column for each."""
    rows = {
        "profile": [a["profile"] for a in answers],
        "core": [a["core"] for a in answers],
        "the TEE": [a.get("verdict", "not asked") for a in answers],
        "reason": [a.get("reason", "-") for a in answers],
        "START_FW": [(a.get("start") or {}).get("reason", "-") for a in answers],
        "write of `start`": [a.get("board", a)["errno"] or "undetermined" for a in answers],
    }
    widths = [max(map(len, column)) for column in zip(*rows.values(), strict=True)]
    left = max(map(len, rows))
    return [
        "  ".join((name.ljust(left), *map(str.ljust, cells, widths))).rstrip() for name, cells in rows.items()
    ] + [""]


def _answer(args: argparse.Namespace, image: bytes, name: str | None) -> tuple[dict[str, Any], list[str]]:
    """The answer of one board to an image: as plain values, and for a person."""
    from mpbench.layout import ELF_MAGIC
    from mpbench.twin.flip_map import expectations
    from mpbench.twin.openstlinux_machine import loader_of

    plain = image.startswith(ELF_MAGIC)  # without a signature: no key is needed to refuse it
    trusted = args.trust_signature or plain
    one = argparse.Namespace(**{**vars(args), "profile": name, "trust_signature": trusted})
    if (found := profile_of(name)).by_linux(core_of(found, args.core)):
        return _answer_of_linux(one, image, found)
    profile, core = board_of(one)
    loader = loader_of(profile)
    if args.state != "off":
        loader.put(core.id, args.state)
    outcome = loader.load(core.id, image)
    spans = expectations(image, profile, core.id) if args.map else []
    note = UNSIGNED if plain else ""
    values = {**as_json(outcome, profile, core), "note": note, "map": [_span_json(s) for s in spans]}
    lines = as_lines(outcome, profile, board_line(one, profile, core)) + ([f"  note: {note}"] if note else [])
    return values, [*lines, *map(_span_line, spans)]


def _answer_of_linux(
    args: argparse.Namespace, image: bytes, profile: "Profile"
) -> tuple[dict[str, Any], list[str]]:
    """The answer of Linux alone to `start`, with the kernel's line. UsageError: options of a TEE."""
    from mpbench.twin.linux_elf import start

    core = core_of(profile, args.core)
    if args.state != "off" or args.map:
        raise UsageError(
            f"profile {profile.name}: --state and --map are for a TEE; Linux manages {core.name}"
        )
    found = start(image, profile, core)
    linux = {"errno": found.errno, "depends_on": found.why, "kernel_log": list(found.lines)}
    values = {**board_json(profile, core), **linux, "limitations": list(found.notes)}
    return values, [
        f"{board_line(args, profile, core)}: Linux {profile.kernel} loads a plain ELF",
        f"  write of `start`: {found.errno or f'undetermined: {found.why}'}",
        *linux_lines(found),
    ]


def linux_lines(found: "LinuxOutcome | TableAnswer") -> list[str]:
    """Linux' part of a prediction for a person: what it prints, and what does not work although it starts."""
    lines = (*found.lines, *getattr(found, "started", ()))
    return [*(f"  kernel log: {x}" for x in lines), *(f"  note: {x}" for x in found.notes)]


def board_json(profile: "Profile", core: "Core") -> dict[str, Any]:
    """The board that a prediction is for, as plain values."""
    return {"profile": profile.name, "core": core.name, "core_id": core.id}


def board_line(args: argparse.Namespace, profile: "Profile", core: "Core") -> str:
    """The board that a prediction is for, in words; what the command line does not name has its origin."""
    origin = "" if args.profile else " (MPBENCH_PROFILE)"
    names = [one.name for one in profile.cores]
    choice = f", the first of {', '.join(names)}: --core" if args.core is None and len(names) > 1 else ""
    return f"profile {profile.name}{origin}, core {core.name} (id {core.id}){choice}"


def as_json(outcome: "Outcome", profile: "Profile", core: "Core") -> dict[str, Any]:
    """A prediction as plain values."""
    from attrs import asdict

    from mpbench.deployment.predict import expect, table_answer
    from mpbench.layout import tee_name

    facts = expect(outcome, profile=profile)
    linux = table_answer(outcome, profile)
    return {
        **board_json(profile, core),
        "verdict": verdict(outcome),
        "code": outcome.code,
        "name": None if outcome.code is None else tee_name(outcome.code),
        "reason": outcome.reason.name,
        "check": outcome.check,
        "detail": outcome.detail,
        "state": outcome.state.value,
        "resource_table": {"pa": outcome.table.pa, "size": outcome.table.size},
        "memory": [asdict(r) for r in outcome.memory],
        "calls": [_call_json(c) for c in outcome.calls],
        "secure_console": list(outcome.console),
        "start": _start_json(outcome),
        "board": {
            **{"errno": facts.errno, "state": facts.state, "kernel_log": kernel_line(outcome)},
            **{
                "depends_on": linux.why,
                "linux_log": [*linux.lines, *linux.started],
                "limitations": list(linux.notes),
            },
        },
    }


def _start_json(outcome: "Outcome") -> dict[str, Any] | None:
    """The refusal of START_FW that follows an accepted image, None for none."""
    if outcome.start_refusal is None:
        return None
    reason, code, console = outcome.start_refusal
    return {"reason": reason.name, "code": code, "secure_console": list(console)}


def _call_json(call: "Call") -> dict[str, Any]:
    return {"command": call.command.name, "da": call.da, "size": call.size, "result": call.result}


def verdict(outcome: "Outcome") -> str:
    """accepted, refused, or undefined."""
    return "undefined" if outcome.code is None else "accepted" if outcome.accepted else "refused"


def kernel_line(outcome: "Outcome") -> str:
    """Text that the kernel log will contain, "" for none."""
    code = outcome.start_refusal.code if outcome.start_refusal else outcome.code
    return f"TEE err: {code:#010x}" if code else ""


def as_lines(outcome: "Outcome", profile: "Profile", board: str) -> list[str]:
    """A prediction for a person; `board` is the one that it is for."""
    from mpbench.deployment.predict import expect, table_answer
    from mpbench.layout import tee_name

    facts, linux = expect(outcome, profile=profile), table_answer(outcome, profile)
    code = "" if outcome.code is None else f", {tee_name(outcome.code)} ({outcome.code:#010x})"
    lines = [
        f"{colour.verdict(verdict(outcome))}: {outcome.reason.name}{code}",
        f"  on {board}",
        f"  check {outcome.check}: {outcome.detail}",
    ]
    if outcome.table.size:
        lines.append(f"  resource table at {outcome.table.pa:#x}, {outcome.table.size} bytes")
    lines += [
        f"  memory {r.pa:#010x}, {r.size:#x} bytes, {'zeros' if r.zeros else r.sha256}"
        for r in outcome.memory
    ]
    if outcome.start_refusal:
        why, start_code, console = outcome.start_refusal
        lines.append(f"  then START_FW: {why.name}, {tee_name(start_code)} ({start_code:#010x}): {why.text}")
        lines += [f"  secure console: {line}" for line in console]
    if outcome.code is not None:
        undetermined = f"undetermined: {linux.why}" if linux.why else "errno not predictable"
        after = f", then sysfs state {facts.state}" if facts.state else ""
        lines.append(f"  write to state: {facts.errno or undetermined}{after}")
        lines += linux_lines(linux)
    lines += [f"  kernel log: {kernel_line(outcome)}"] if kernel_line(outcome) else []
    return lines + [f"  secure console: {line}" for line in outcome.console]


def _span_line(span: "Span") -> str:
    answers = ", or ".join(name if not code else f"{name} ({code:#010x})" for name, code in span.answers)
    return f"  {span.start:#08x}..{span.end:#08x}  {answers}"


def _span_json(span: "Span") -> dict[str, Any]:
    answers = [{"reason": name, "code": code} for name, code in span.answers]
    return {"from": span.start, "to": span.end, "answers": answers}
