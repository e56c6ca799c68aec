# SPDX-License-Identifier: MIT
"""Commands about signed images: sign, inspect."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpbench.core.errors import UsageError
from mpbench.core.sanitize import one_line
from mpbench.layout import SignType, Tlv

if TYPE_CHECKING:
    from mpbench.image.keys import PrivateKey, Signer
    from mpbench.image.signing_target import SigningTarget

KEY_TYPES = {"RSA": SignType.RSASSA_PKCS1_V1_5_SHA256, "ECC": SignType.ECDSA_P256_SHA256}
"""The script's names of key types. Ref: OP-TEE scripts/sign_rproc_fw.py, ENUM_SIGNATURE_TYPE"""
PLAT_NAMES = {"BOOTADDR": int(Tlv.BOOTADDR), "BOOTSEC": int(Tlv.BOOTSEC)}

TargetOf = Callable[[str | None, str | None], "SigningTarget"]
"""(profile, core) → what the profile has of that core; UsageError for unknown ones."""


def add_commands(
    subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]", target_of: TargetOf
) -> None:
    """Add `sign` and `inspect`; target_of: looks up `sign --core`."""
    _add_sign(subparsers, target_of)
    what = "content of a signed image with its integrity coverage, of an ELF, or of a core dump"
    one = subparsers.add_parser("inspect", help=what)
    one.add_argument("image", type=Path)
    one.add_argument("--against", type=Path, metavar="FILE", help="show what differs from this file instead")
    what = "public key to check the signature with; repeatable"
    one.add_argument("--key", type=Path, action="append", default=[], help=what)
    one.add_argument("--json", action="store_true", help="print JSON")
    one.set_defaults(run=_inspect)


def _add_sign(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]", target_of: TargetOf) -> None:
    one = subparsers.add_parser(
        "sign",
        help="sign ELF files for OP-TEE's remoteproc loader",
        description="Sign ELF files for OP-TEE's remoteproc loader. Command lines of OP-TEE's "
        "scripts/sign_rproc_fw.py work as they are.",
    )
    one.add_argument(
        "elf", type=Path, nargs="*", help="ELF files, one or several (TF-M, then the application)"
    )
    one.add_argument(
        "--in", type=Path, action="append", default=[], dest="ins", metavar="ELF", help="as a bare argument"
    )
    what = "private key, RSA 2048 to 4096 or ECDSA P-256: a PEM file, or a key in hardware, pkcs11:..."
    one.add_argument("--key", type=_key, required=True, metavar="FILE|URI", help=what)
    what = "check that the key is of this type; it decides the type itself"
    one.add_argument("--key-type", "--key_type", choices=tuple(KEY_TYPES), help=what)
    one.add_argument("-o", "--output", "--out", type=Path, help="signed image to write")
    elsewhere = one.add_mutually_exclusive_group()
    what = "write the SHA-256 that a signer elsewhere has to sign; --key is the public key"
    elsewhere.add_argument("--digest-out", type=Path, metavar="FILE", help=what)
    what = (
        "the signature that was made elsewhere (RSA PKCS #1 v1.5; ECDSA raw or DER); --key is the public key"
    )
    elsewhere.add_argument("--signature-in", type=Path, metavar="FILE", help=what)
    one.add_argument("--strict", action="store_true", help="a warning is an error: nothing is written")
    one.add_argument("--core", help="check that the segments lie in this core's memory")
    what = "the board's profile, for --core (default: $MPBENCH_PROFILE; there is no other)"
    one.add_argument("--profile", metavar="NAME|FILE", help=what)
    one.add_argument(
        "--key-info", "--key_info", type=Path, metavar="FILE", help="content of the PKEYINFO TLV"
    )
    one.add_argument(
        "--plat-tlv",
        action="append",
        default=[],
        metavar="ID=VALUE",
        help="platform TLV, repeatable: BOOTADDR=0x80100000, BOOTSEC=1, 0x10003=0x12, 0x10004=text; "
        "or two words, BOOTADDR 0x80100000",
    )
    one.add_argument("--strip", action="store_true", help="remove symbols and debug information first")
    phrase = one.add_mutually_exclusive_group()
    phrase.add_argument(
        "--passphrase-file",
        type=Path,
        metavar="FILE",
        help="pass phrase or PIN of the key: first line of FILE",
    )
    phrase.add_argument(
        "--passphrase-env", metavar="NAME", help="pass phrase or PIN of the key: variable NAME"
    )
    one.set_defaults(run=lambda args: _sign(args, target_of), translate=of_script)


def _key(text: str) -> Path | str:
    """A path would lose parts of a URI."""
    return text if text.startswith("pkcs11:") else Path(text)


def of_script(words: Sequence[str]) -> list[str]:
    """Arguments of OP-TEE's script as ours: `--plat-tlv NAME VALUE`, the word `sign` before `--in`. Pure."""
    left = list(words)
    if left[:1] == ["sign"] and any(word.split("=")[0] == "--in" for word in left):
        del left[0]
    found = []
    while left:
        word = left.pop(0)
        if (
            word == "--plat-tlv"
            and len(left) > 1
            and "=" not in left[0]
            and "-" not in (left[0][:1], left[1][:1])
        ):
            word = f"--plat-tlv={left.pop(0)}={left.pop(0)}"
        found.append(word)
    return found


# Imports in the functions: cryptography and pyelftools take longer to import than `--help` may take.


def _sign(args: argparse.Namespace, target_of: TargetOf) -> int:
    from mpbench.core.files import check_output, read_bounded, stream_of, write_output
    from mpbench.image import advice
    from mpbench.image.files import files_of_key
    from mpbench.image.sign import sign
    from mpbench.image.signing_target import ANY_TARGET
    from mpbench.image.strip import strip

    files = [*args.elf, *args.ins]
    if not files:
        raise UsageError("no ELF file to sign; `mpbench sign --help` shows how")
    output = args.digest_out or args.output
    if output is None or (args.digest_out and args.output):
        raise UsageError("give the file to write: -o IMAGE for a signed image, or --digest-out FILE alone")
    inputs = [*files, *files_of_key(args.key), args.key_info, args.passphrase_file, args.signature_in]
    inputs += [Path(args.profile)] if args.profile else []
    check_output(output, inputs)  # before the pass phrase is asked for
    key = _signer(args)
    names = [str(path) for path in files]
    elfs = [read_bounded(path) for path in files]
    if args.strip:
        elfs = [strip(elf, name) for elf, name in zip(elfs, names, strict=True)]
    info = read_bounded(args.key_info) if args.key_info else None
    what: dict[str, Any] = {"key_info": info, "plat_tlvs": plat_tlvs(args.plat_tlv), "names": names}
    made = _digest(elfs, key, what) if args.digest_out else sign(elfs, key, **what)
    target = target_of(args.profile, args.core) if args.core or args.profile else ANY_TARGET
    warnings = advice.warnings(elfs, names, key.public_key(), target, what["plat_tlvs"])
    warnings += () if args.digest_out else target.answer(made)
    _warn(warnings, strict=args.strict)
    write_output(output, made, inputs)
    place = sys.stderr if stream_of(output) == 1 else sys.stdout
    print(one_line(f"{output}: {len(made)} bytes"), file=place)
    return 0


def _signer(args: argparse.Namespace) -> "PrivateKey | Signer":
    """The private key of --key, or the public one with a signature that is or will be made elsewhere."""
    from mpbench.core.files import read_bounded
    from mpbench.image.detached import DetachedSignature
    from mpbench.image.files import open_key
    from mpbench.image.keys import load_public_key
    from mpbench.image.sign import sign_type

    if args.digest_out or args.signature_in:
        made = read_bounded(args.signature_in) if args.signature_in else b""
        key: PrivateKey | Signer = DetachedSignature(load_public_key(args.key), made, str(args.signature_in))
    else:
        key = open_key(args.key, args.passphrase_file, args.passphrase_env)
    if args.key_type and KEY_TYPES[args.key_type] is not sign_type(key.public_key()):
        (found,) = set(KEY_TYPES) - {args.key_type}
        raise UsageError(f"{args.key}: a key of type {found}, not {args.key_type} as --key-type has it")
    return key


def _digest(elfs: Sequence[bytes], key: "PrivateKey | Signer", what: dict[str, Any]) -> bytes:
    """SHA-256 of what the signature covers."""
    import hashlib

    from mpbench.image.sign import unsigned

    return hashlib.sha256(unsigned(elfs, key.public_key(), **what)[0]).digest()


def _warn(lines: Sequence[str], *, strict: bool) -> None:
    if strict and lines:
        raise UsageError(f"{lines[0]} (--strict: {len(lines)} in all, nothing was written)")
    for line in lines:
        print(one_line(f"mpbench: warning: {line}"), file=sys.stderr)


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
    from mpbench.image.difference import as_text, differences

    data = read_bounded(args.image)
    if args.against is None:
        report, text = _report(data, str(args.image), args.key)
        print(json.dumps(report, indent=2) if args.json else text)
        return 0
    files = [(str(args.against), read_bounded(args.against)), (str(args.image), data)]
    before, after = _reports(files, args.key)
    found = list(differences(before, after))
    if args.json:
        print(json.dumps([{"path": p, "against": a, "image": b} for p, a, b in found], indent=2))
    else:
        count = "1 value differs" if len(found) == 1 else f"{len(found)} values differ"
        head = one_line(f"{args.against} -> {args.image}: {count}")
        print("\n".join((head, *(as_text(*row) for row in found))))
    return 0


def _reports(files: Sequence[tuple[str, bytes]], keys: Sequence[Path]) -> list[dict[str, Any]]:
    """Reports of two files; of an ELF and a signed image, the image's is that of the ELF in it."""
    from mpbench.image.elf_report import elf_report
    from mpbench.image.inspect import only_elf
    from mpbench.layout import ELF_MAGIC

    found = [_report(data, name, keys)[0] for name, data in files]
    if len({data.startswith(ELF_MAGIC) for _, data in files}) == 1:
        return found
    elfs = [(d if d.startswith(ELF_MAGIC) else only_elf(d, name), name) for name, d in files]
    inner = [elf_report(elf, name) for elf, name in elfs if elf]
    return inner if len(inner) == len(files) else found


def _report(data: bytes, name: str, keys: Sequence[Path]) -> tuple[dict[str, Any], str]:
    """A file's report, as values and as text: a signed image's, or that of an ELF or core dump."""
    from mpbench.image import elf_report
    from mpbench.image.inspect import as_text, inspect
    from mpbench.image.keys import load_public_key
    from mpbench.layout import ELF_MAGIC

    if data.startswith(ELF_MAGIC):
        report = elf_report.elf_report(data, name)
        return report, elf_report.as_text(report)
    report = inspect(data, name, [(str(key), load_public_key(key)) for key in keys])
    return report, as_text(report)
