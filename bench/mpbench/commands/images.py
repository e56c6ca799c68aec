# SPDX-License-Identifier: MIT
"""Commands about signed images: sign, inspect, predict, explain."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from attrs import asdict, evolve

from mpbench.core.errors import UsageError
from mpbench.core.files import read_bounded, write_whole
from mpbench.deployment.predict import expect
from mpbench.image import advice
from mpbench.image.files import open_key
from mpbench.image.inspect import as_text, inspect
from mpbench.image.keys import load_public_key
from mpbench.image.sign import sign
from mpbench.image.strip import strip
from mpbench.knowledge.explain import Explanation, explain
from mpbench.layout import Tlv, tee_name
from mpbench.twin.flip_map import Span, expectations
from mpbench.twin.machine import Loader
from mpbench.twin.profile import Profile, load_profile, profile_names
from mpbench.twin.values import Call, Outcome

MANY_CAUSES = 5
"""With more than these a person reads first what to try."""

SAME = "is it the file that the board has (sha256sum), and is --profile, --core and --key that board's?"

DEFAULT_PROFILE = "default"
PLAT_NAMES = {"BOOTADDR": int(Tlv.BOOTADDR), "BOOTSEC": int(Tlv.BOOTSEC)}


def add_commands(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the four commands."""
    _add_sign(subparsers)
    one = subparsers.add_parser("inspect", help="what is in a signed image, and who vouches for which bytes")
    one.add_argument("image", type=Path)
    one.add_argument("--key", type=Path, action="append", default=[], help="public key that may have made it")
    one.add_argument("--json", action="store_true")
    one.set_defaults(run=_inspect)
    _add_predict(subparsers)
    one = subparsers.add_parser("explain", help="what a line or a log means, and what to try")
    one.add_argument("text", help="a line, or @FILE for a log, or - for standard input")
    one.add_argument("image", type=Path, nargs="?", help="the image it is about")
    _add_board(one)
    one.add_argument("--json", action="store_true")
    one.set_defaults(run=_explain)


def _add_sign(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    one = subparsers.add_parser("sign", help="sign ELF files for OP-TEE's loader")
    one.add_argument(
        "elf", type=Path, nargs="+", help="one or several ELF files (TF-M, then the application)"
    )
    one.add_argument(
        "--key", type=Path, required=True, help="private key, RSA 2048 to 4096 or ECDSA P-256, PEM"
    )
    one.add_argument("-o", "--output", type=Path, required=True)
    one.add_argument("--core", help="check that the segments lie in this core's memory")
    one.add_argument(
        "--profile", default=DEFAULT_PROFILE, help=f"board of --core (default {DEFAULT_PROFILE})"
    )
    one.add_argument("--key-info", type=Path, metavar="FILE", help="content of the PKEYINFO record")
    one.add_argument("--plat-tlv", action="append", default=[], metavar="ID=VALUE",
                     help="BOOTADDR=0x80100000, BOOTSEC=1, 0x10003=0x12, 0x10004=text")  # fmt: skip
    one.add_argument("--strip", action="store_true", help="without symbols and debug information")
    phrase = one.add_mutually_exclusive_group()
    phrase.add_argument(
        "--passphrase-file", type=Path, metavar="FILE", help="its first line is the pass phrase"
    )
    phrase.add_argument("--passphrase-env", metavar="NAME", help="environment variable with the pass phrase")
    one.set_defaults(run=_sign)


def _add_predict(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    one = subparsers.add_parser("predict", help="what a board's loader will answer to an image, and why")
    one.add_argument("image", type=Path)
    _add_board(one)
    one.add_argument(
        "--state", choices=("off", "loaded", "started"), default="off", help="of the core before"
    )
    one.add_argument("--map", action="store_true", help="what a flipped bit does, for every byte")
    one.add_argument("--json", action="store_true")
    one.set_defaults(run=_predict)


def _add_board(one: argparse.ArgumentParser) -> None:
    known = ", ".join(profile_names())
    one.add_argument("--profile", default=DEFAULT_PROFILE, help=f"{known}, or a file; {DEFAULT_PROFILE}")
    one.add_argument("--core", default=None, help="name or processor id; default: the profile's first core")
    which = one.add_mutually_exclusive_group()
    which.add_argument("--key", type=Path, help="public key in the board's OP-TEE, PEM")
    which.add_argument("--trust-signature", action="store_true", help="take the signature for good")


# --------------------------------------------------------------------------------------------- sign


def _sign(args: argparse.Namespace) -> int:
    key = open_key(args.key, args.passphrase_file, args.passphrase_env)
    names = [str(path) for path in args.elf]
    elfs = [read_bounded(path) for path in args.elf]
    if args.strip:
        elfs = [strip(elf, name) for elf, name in zip(elfs, names, strict=True)]
    info = read_bounded(args.key_info) if args.key_info else None
    image = sign(elfs, key, key_info=info, plat_tlvs=plat_tlvs(args.plat_tlv), names=names)
    for line in advice.warnings(elfs, names, key.public_key(), memory_of(args.profile, args.core)):
        print(f"mpbench: warning: {line}", file=sys.stderr)
    write_whole(args.output, image, UsageError)
    print(f"{args.output}: {len(image)} bytes")
    return 0


def memory_of(profile: str, core: str | None) -> list[advice.Memory]:
    """The core's memory as the signer checks it; nothing to check without a core."""
    if core is None:
        return []
    return [
        advice.Memory(r.name, r.da, r.size) for r in load_profile(profile).core(number_or_name(core)).regions
    ]


def number_or_name(core: str) -> int | str:
    """A processor id, or a name."""
    try:
        return int(core, 0)
    except ValueError:
        return core


def plat_tlvs(given: list[str]) -> dict[int, bytes]:
    """ID=VALUE arguments as records; `0x...` is a 32-bit number, other text stands for itself.

    By name every number is one, by number only what begins with 0x, as in OP-TEE's script.
    """
    records = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--plat-tlv {text}: ID=VALUE is needed, e.g. BOOTADDR=0x80100000")
        number = _plat_id(name, text)
        if number in records:
            raise UsageError(f"--plat-tlv {text}: {number:#x} is given twice")
        records[number] = _plat_value(name, value, text)
    return records


def _plat_id(name: str, text: str) -> int:
    try:
        return PLAT_NAMES[name] if name in PLAT_NAMES else int(name, 0)
    except ValueError as error:
        raise UsageError(
            f"--plat-tlv {text}: {name!r} is neither a number nor one of {', '.join(PLAT_NAMES)}"
        ) from error


def _plat_value(name: str, value: str, text: str) -> bytes:
    if name not in PLAT_NAMES and not value.startswith("0x"):
        return value.encode()
    try:
        return int(value, 0).to_bytes(4, "little")
    except (ValueError, OverflowError) as error:
        raise UsageError(f"--plat-tlv {text}: {value!r} is no number of 32 bits") from error


# ------------------------------------------------------------------------------------------ inspect


def _inspect(args: argparse.Namespace) -> int:
    keys = [(str(path), load_public_key(path)) for path in args.key]
    report = inspect(read_bounded(args.image), str(args.image), keys)
    print(json.dumps(report, indent=2) if args.json else as_text(report))
    return 0


# ------------------------------------------------------------------------------------------ predict


def board_of(args: argparse.Namespace) -> tuple[Profile, int]:
    """Profile with its key, and the processor id. UsageError: neither a key nor trust, no such core."""
    profile = load_profile(args.profile)
    core = profile.cores[0] if args.core is None else profile.core(number_or_name(args.core))
    if args.trust_signature:
        return profile.with_verifier(lambda _digest, _signature: True), core.id
    if args.key is None:
        raise UsageError("give the public key in the board's OP-TEE: --key FILE, or --trust-signature")
    return profile.with_key(args.key), core.id


def _predict(args: argparse.Namespace) -> int:
    profile, core = board_of(args)
    image = read_bounded(args.image)
    outcome = answer_in(profile, core, image, args.state)
    spans = expectations(image, profile, core) if args.map else []
    if args.json:
        print(json.dumps({**as_json(outcome, profile), "map": [_span_json(s) for s in spans]}, indent=2))
    else:
        print("\n".join([*as_lines(outcome, profile), *map(_span_line, spans)]))
    return 0


def answer_in(profile: Profile, core: int, image: bytes, state: str) -> Outcome:
    """LOAD_FW's answer when the core is off, loaded or started."""
    loader = Loader(profile)
    if state != "off":
        loader.put(core, state)
    return loader.load(core, image)


def as_json(outcome: Outcome, profile: Profile) -> dict[str, Any]:
    """A prediction as plain values."""
    facts = expect(outcome, profile=profile)
    return {
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
        "board": {"errno": facts.errno, "state": facts.state, "kernel_log": kernel_line(outcome)},
    }  # fmt: skip


def _call_json(call: Call) -> dict[str, Any]:
    return {"command": call.command.name, "da": call.da, "size": call.size, "result": call.result}


def verdict(outcome: Outcome) -> str:
    """accepted, refused, or undefined."""
    return "undefined" if outcome.code is None else "accepted" if outcome.accepted else "refused"


def kernel_line(outcome: Outcome) -> str:
    """What the kernel log will contain."""
    return f"TEE err: {outcome.code:#010x}" if outcome.code else ""


def as_lines(outcome: Outcome, profile: Profile) -> list[str]:
    """A prediction for a person."""
    facts = expect(outcome, profile=profile)
    code = "" if outcome.code is None else f", {tee_name(outcome.code)} ({outcome.code:#010x})"
    lines = [f"{verdict(outcome)}: {outcome.reason.name}{code}", f"  check {outcome.check}: {outcome.detail}"]
    if outcome.table.size:
        lines.append(f"  resource table at {outcome.table.pa:#x}, {outcome.table.size} bytes")
    lines += [
        f"  memory {r.pa:#010x}, {r.size:#x} bytes, {'zeros' if r.zeros else r.sha256}"
        for r in outcome.memory
    ]
    if outcome.code is not None:
        lines.append(f"  on the board: write to state gives {facts.errno or 'nobody knows what'}, "
                     f"sysfs state {facts.state or 'unknown'}")  # fmt: skip
    lines += [f"  kernel log: {kernel_line(outcome)}"] if outcome.code else []
    return lines + [f"  secure console: {line}" for line in outcome.console]


def _span_line(span: Span) -> str:
    answers = ", or ".join(_answer(name, code) for name, code in span.answers)
    return f"  {span.start:#08x}..{span.end:#08x}  {answers}"


def _answer(name: str, code: int | None) -> str:
    return name if not code else f"{name} ({code:#010x})"


def _span_json(span: Span) -> dict[str, Any]:
    return {
        "from": span.start,
        "to": span.end,
        "answers": [{"reason": n, "code": c} for n, c in span.answers],
    }


# ------------------------------------------------------------------------------------------ explain


def _explain(args: argparse.Namespace) -> int:
    found = explain(text_of(args.text))
    outcome = _of_image(args) if args.image else None
    if not found and outcome is None:
        raise UsageError(
            "nothing in this text is known; give the line with the TEE's code, e.g. 'TEE err: ffff0006'"
        )
    if args.json:
        rows = [{"line": e.line, "meaning": e.meaning, "causes": e.causes, "try": e.advice} for e in found]
        print(json.dumps({"lines": rows, "image": outcome.reason.name if outcome else None}, indent=2))
        return 0
    if outcome is not None:
        found = [narrowed(one, outcome) for one in found]
    lines = [line for one in found for line in explained(one)]
    print("\n".join(lines + (image_says(outcome) if outcome else [])))
    return 0


def text_of(given: str) -> str:
    """The text itself, a file's, or standard input's. Bytes that aren't text are shown as escapes."""
    if given == "-":
        return sys.stdin.read()
    return read_bounded(given[1:]).decode(errors="backslashreplace") if given.startswith("@") else given


def _of_image(args: argparse.Namespace) -> Outcome:
    if args.key is None and not args.trust_signature:
        args = argparse.Namespace(**{**vars(args), "trust_signature": True})
    profile, core = board_of(args)
    return Loader(profile).load(core, read_bounded(args.image))


def explained(one: Explanation) -> list[str]:
    """An explanation for a person. What a device printed is shown without control characters."""
    causes = [f"  cause: {cause}" for cause in one.causes]
    steps = [f"  try:   {step}" for step in one.advice]
    parts = (steps, causes) if len(causes) > MANY_CAUSES else (causes, steps)
    return [printable(one.line), f"  means: {one.meaning}", *parts[0], *parts[1]]


def narrowed(one: Explanation, outcome: Outcome) -> Explanation:
    """Of several causes, the one that this image has, when its code is the line's; none if it has none."""
    own = f"{outcome.reason.text} ({outcome.reason.name})"
    if own in one.causes:
        return evolve(one, causes=(own,))
    if outcome.accepted and len(one.causes) > MANY_CAUSES:
        return evolve(
            one, causes=("none that this image has: the twin accepts it",), advice=(SAME, *one.advice)
        )
    return one


def printable(text: str) -> str:
    """Text without terminal control."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def image_says(outcome: Outcome) -> list[str]:
    """What the twin thinks of the image at hand."""
    return [f"this image: {verdict(outcome)}, {outcome.reason.name}: {outcome.detail}"]
