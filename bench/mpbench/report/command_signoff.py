# SPDX-License-Identifier: MIT
"""`mpbench waive`, `note`, `signoff`, `verify`: what people add to a report, and its signatures."""

import argparse
from pathlib import Path
from typing import TypeAlias

from mpbench.core import colour, directories
from mpbench.core.errors import UsageError
from mpbench.core.sanitize import one_line

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
NO_ROLES = (
    "  the report asks for no signatures: were the last of several removed, nothing would show it; "
    "give those that you expect, --role ROLE"
)


def add_commands(commands: Commands) -> None:
    """Add all of them."""
    _add_waive(commands)
    _add_note(commands)
    _add_signoff(commands)
    _add_verify(commands)


def _add_waive(commands: Commands) -> None:
    waive = commands.add_parser(
        "waive",
        help="accept the FAIL of a test, with a name and a reason",
        description="Append a waiver to the record of a run that ended, and make its page again. The test "
        "stays a FAIL; the page shows who accepts it, when and why.",
    )
    waive.add_argument("run_directory", type=Path, metavar="RUN", help="directory of a run, reports/runs/...")
    waive.add_argument("test", nargs="+", metavar="TEST", help="id of a test, as on the page")
    waive.add_argument("--by", required=True, metavar="NAME", help="who accepts it")
    waive.add_argument("--reason", required=True, metavar="TEXT", help="why it is acceptable")
    waive.set_defaults(run=_waive)


def _add_note(commands: Commands) -> None:
    note = commands.add_parser(
        "note",
        help="add notes of the operator to a run",
        description="Append notes to the record of a run that ended, and make its page again.",
    )
    note.add_argument("run_directory", type=Path, metavar="RUN", help="directory of a run, reports/runs/...")
    note.add_argument("notes", nargs="+", metavar="NAME=TEXT", help="a note, e.g. 'supply=5.0 V'")
    note.add_argument("--by", required=True, metavar="NAME", help="who notes it")
    note.set_defaults(run=_note)


def _add_signoff(commands: Commands) -> None:
    signoff = commands.add_parser(
        "signoff",
        help="sign a report: record, evidence and page",
        description="List every file of a report by SHA-256 and sign the list. Refused if the record is "
        "incomplete, evidence was changed, the page or another file is not what the record gives, or "
        "anything else is in the directory.",
    )
    signoff.add_argument("report", nargs="?", type=Path, metavar="DIR", help="directory of a report")
    signoff.add_argument("--by", default="", metavar="NAME", help="who signs")
    signoff.add_argument(
        "--role", default="tested", help="as what, e.g. tested, reviewed, released (%(default)s)"
    )
    signoff.add_argument("--key", type=Path, default=_key(), help="Ed25519 private key, PEM (%(default)s)")
    signoff.add_argument(
        "--new-key", type=Path, metavar="FILE", help="make a key, and FILE.pub to be trusted"
    )
    signoff.set_defaults(run=_signoff)


def _add_verify(commands: Commands) -> None:
    verify = commands.add_parser("verify", help="check a signed report: files and signatures")
    verify.add_argument("report", type=Path, metavar="DIR", help="directory of a report")
    verify.add_argument(
        "--trust",
        type=Path,
        nargs="+",
        default=[directories.config_dir() / "signers"],
        metavar="PUB",
        help="signers' public keys, or directories with *.pub (%(default)s)",
    )
    what = "a role that must have signed, repeatable: without it only those that the target file asks for"
    verify.add_argument("--role", action="append", default=[], metavar="ROLE", help=what)
    verify.set_defaults(run=_verify)


def _key() -> Path:
    return directories.config_dir() / "signoff.pem"


def _waive(args: argparse.Namespace) -> int:
    from mpbench.report import amend

    print(one_line(str(amend.waive(args.run_directory, args.test, args.by, args.reason))))
    return 0


def _note(args: argparse.Namespace) -> int:
    from mpbench.report import amend

    print(one_line(str(amend.note(args.run_directory, args.notes, args.by))))
    return 0


def _signoff(args: argparse.Namespace) -> int:
    from mpbench.core.files import check_output
    from mpbench.report import signoff

    if args.new_key:
        made, public = signoff.new_key(args.new_key), args.new_key.with_suffix(".pub")
        print(one_line(f"key {made}; give {public} to who verifies"))
        return 0
    if args.report is None:
        raise UsageError("which report? Give its directory, or --new-key FILE")
    for name in sorted(signoff.OWN):
        check_output(args.report / name, [args.key])
    signed, manifest = signoff.sign(args.report, signoff.load_key(args.key), args.by, args.role)
    print(f"document {manifest.document}, verdict {colour.verdict(manifest.verdict)}")
    print(one_line(f"signed by {signed.by} ({signed.role}) at {signed.utc} with key {signed.key}"))
    for role in signoff.missing(manifest.roles, signoff.read_signatures(args.report)):
        print(one_line(f"not yet signed: {role}"))
    return 0


def _verify(args: argparse.Namespace) -> int:
    from mpbench.core.files import real_path
    from mpbench.report import signoff

    for path in args.trust:
        if real_path(path).is_relative_to(real_path(args.report)):
            raise UsageError(
                f"{path} is in the report: who changed that could replace the keys; give your own"
            )
    found = signoff.verify(args.report, signoff.load_trusted(args.trust), args.role)
    manifest = found.manifest
    verdict = colour.verdict(manifest.verdict)
    what = f"document {manifest.document}, verdict {verdict}, {len(manifest.files)} files"
    lines = [f"{args.report}: {what}"]
    lines += [f"  {s.role}: {s.by}, {s.utc}, key {s.key[:16]}…" for s in found.signed]
    lines += [f"  WRONG: {text}" for text in found.wrong]
    if not manifest.roles and not args.role and not found.wrong:
        lines.append(NO_ROLES)
    print("\n".join(map(one_line, lines)))
    return 1 if found.wrong else 0
