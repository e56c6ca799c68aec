# SPDX-License-Identifier: MIT
"""Commands about signed images: sign, inspect."""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

from mpbench.core.errors import UsageError
from mpbench.layout import Tlv

PLAT_NAMES = {"BOOTADDR": int(Tlv.BOOTADDR), "BOOTSEC": int(Tlv.BOOTSEC)}

MemoryOf = Callable[[str, str], list[tuple[str, int, int]]]
"""(profile, core) → memory of that core as (name, device address, bytes); UsageError for unknown ones."""


def add_commands(
    subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]", memory_of: MemoryOf, profile: str
) -> None:
    """Add `sign` and `inspect`; memory_of: looks up `sign --core`; profile: default of `sign --profile`."""
    _add_sign(subparsers, profile, memory_of)
    what = "content of a signed image, and integrity coverage by byte range"
    one = subparsers.add_parser("inspect", help=what)
    one.add_argument("image", type=Path)
    what = "public key to check the signature with; repeatable"
    one.add_argument("--key", type=Path, action="append", default=[], help=what)
    one.add_argument("--json", action="store_true", help="print JSON")
    one.set_defaults(run=_inspect)


def _add_sign(
    subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]", profile: str, memory_of: MemoryOf
) -> None:
    one = subparsers.add_parser("sign", help="sign ELF files for OP-TEE's remoteproc loader")
    one.add_argument(
        "elf", type=Path, nargs="+", help="one or several ELF files (TF-M, then the application)"
    )
    one.add_argument(
        "--key", type=Path, required=True, help="private key, RSA 2048 to 4096 or ECDSA P-256, PEM"
    )
    one.add_argument("-o", "--output", type=Path, required=True, help="signed image to write")
    one.add_argument("--core", help="check that the segments lie in this core's memory")
    one.add_argument(
        "--profile", default=profile, help=f"profile of the board for --core (default: {profile})"
    )
    one.add_argument("--key-info", type=Path, metavar="FILE", help="content of the PKEYINFO TLV")
    one.add_argument(
        "--plat-tlv",
        action="append",
        default=[],
        metavar="ID=VALUE",
        help="platform TLV, repeatable: BOOTADDR=0x80100000, BOOTSEC=1, 0x10003=0x12, 0x10004=text",
    )
    one.add_argument("--strip", action="store_true", help="remove symbols and debug information first")
    phrase = one.add_mutually_exclusive_group()
    phrase.add_argument(
        "--passphrase-file", type=Path, metavar="FILE", help="pass phrase of the key: first line of FILE"
    )
    phrase.add_argument(
        "--passphrase-env", metavar="NAME", help="pass phrase of the key: environment variable NAME"
    )
    one.set_defaults(run=lambda args: _sign(args, memory_of))


# Imports in the functions: cryptography and pyelftools take longer to import than `--help` may take.


def _sign(args: argparse.Namespace, memory_of: MemoryOf) -> int:
    from mpbench.core.files import check_output, read_bounded, stream_of, write_output
    from mpbench.image import advice
    from mpbench.image.files import open_key
    from mpbench.image.sign import sign
    from mpbench.image.strip import strip

    inputs = [*args.elf, args.key, args.key_info, args.passphrase_file]
    inputs += [Path(args.profile)] if args.core else []
    check_output(args.output, inputs)  # before the pass phrase is asked for
    key = open_key(args.key, args.passphrase_file, args.passphrase_env)
    names = [str(path) for path in args.elf]
    elfs = [read_bounded(path) for path in args.elf]
    if args.strip:
        elfs = [strip(elf, name) for elf, name in zip(elfs, names, strict=True)]
    info = read_bounded(args.key_info) if args.key_info else None
    image = sign(elfs, key, key_info=info, plat_tlvs=plat_tlvs(args.plat_tlv), names=names)
    parts = memory_of(args.profile, args.core) if args.core else []
    memory = [advice.LoadableMemory(*part) for part in parts]
    for line in advice.warnings(elfs, names, key.public_key(), memory):
        print(f"mpbench: warning: {line}", file=sys.stderr)
    write_output(args.output, image, inputs)
    place = sys.stderr if stream_of(args.output) == 1 else sys.stdout
    print(f"{args.output}: {len(image)} bytes", file=place)
    return 0


def plat_tlvs(given: list[str]) -> dict[int, bytes]:
    """ID=VALUE arguments as values by TLV number.

    Under BOOTADDR and BOOTSEC every value is a 32-bit number; under a number only `0x...` is one and all
    else is text, as in OP-TEE's script.
    """
    records = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--plat-tlv {text}: expected ID=VALUE, e.g. BOOTADDR=0x80100000")
        number = _plat_id(name, text)
        if number in records:
            raise UsageError(f"--plat-tlv {text}: {number:#x} is given twice")
        records[number] = _plat_value(name, value, text)
    return records


def _plat_id(name: str, text: str) -> int:
    try:
        return PLAT_NAMES[name] if name in PLAT_NAMES else int(name, 0)
    except ValueError as error:
        known = ", ".join(PLAT_NAMES)
        raise UsageError(f"--plat-tlv {text}: {name!r} is neither a number nor one of {known}") from error


def _plat_value(name: str, value: str, text: str) -> bytes:
    if name not in PLAT_NAMES and not value.startswith("0x"):
        return value.encode()
    try:
        return int(value, 0).to_bytes(4, "little")
    except (ValueError, OverflowError) as error:
        raise UsageError(f"--plat-tlv {text}: {value!r} is not a 32-bit number") from error


def _inspect(args: argparse.Namespace) -> int:
    from mpbench.core.files import read_bounded
    from mpbench.image.inspect import as_text, inspect
    from mpbench.image.keys import load_public_key

    keys = [(str(path), load_public_key(path)) for path in args.key]
    report = inspect(read_bounded(args.image), str(args.image), keys)
    print(json.dumps(report, indent=2) if args.json else as_text(report))
    return 0
