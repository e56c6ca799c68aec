# SPDX-License-Identifier: MIT
"""`mpbench report`, `record`, `signoff`, `verify`: pages, checks and signatures of runs."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from mpbench.core import directories
from mpbench.core.errors import UsageError

if TYPE_CHECKING:
    from mpbench.core.record import Run

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_commands(commands: Commands) -> None:
    """Add `report`, `record`, `signoff` and `verify`."""
    report = commands.add_parser("report", help="make the page and its exports from the records of runs")
    _add_runs(report, "+")
    report.add_argument("-o", "--output", type=Path, metavar="DIR", help="default: the run's own directory")
    report.set_defaults(run=_report)
    record = commands.add_parser("record", help="check records of runs, or print the schema of their lines")
    record.add_argument("--schema", action="store_true", help="print the JSON Schema of a line")
    _add_runs(record, "*")
    record.set_defaults(run=_record)
    _add_signoff(commands)
    _add_verify(commands)


def _add_signoff(commands: Commands) -> None:
    signoff = commands.add_parser(
        "signoff",
        help="sign a report: record, evidence and page",
        description="List every file of a report by SHA-256 and sign the list. Refused if the record is "
        "incomplete, evidence was changed, or the page is not what the record gives.",
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
    verify.set_defaults(run=_verify)


def _key() -> Path:
    return directories.config_dir() / "signoff.pem"


def _add_runs(parser: argparse.ArgumentParser, number: str) -> None:
    parser.add_argument(
        "runs", nargs=number, type=Path, metavar="RUN", help="directory of a run, reports/runs/..."
    )


def _report(args: argparse.Namespace) -> int:
    if args.output is None and len(args.runs) > 1:
        raise UsageError("several runs on one page need a directory for it: -o DIR")
    from mpbench.report import publish

    output = args.output or args.runs[0]
    publish.check_output(args.runs, output)
    print(publish.write(args.runs, output))
    return 0


def _record(args: argparse.Namespace) -> int:
    import json

    from mpbench.core.record import read
    from mpbench.core.schema import json_schema

    if args.schema:
        print(json.dumps(json_schema(), indent=2, ensure_ascii=False))
    elif not args.runs:
        raise UsageError("which record? Give a run's directory, reports/runs/..., or --schema")
    checked = [_check(read(directory)) for directory in args.runs]
    return 0 if all(checked) else 1


def _check(run: "Run") -> bool:
    """Print what a record holds and what is wrong with it; whether nothing is."""
    from mpbench.core.record import EVIDENCE

    files = dict.fromkeys(ref.file for ref in run.refs())
    wrong = [f"{EVIDENCE}/{file} is missing or was changed" for file in files if run.evidence(file) is None]
    print(f"{run.directory}: {len(run.lines)} lines, {len(files)} files of evidence")
    for text in (*run.notes, *wrong):
        print(f"  {text}")
    return not run.notes and not wrong


def _signoff(args: argparse.Namespace) -> int:
    from mpbench.core.files import check_output
    from mpbench.report import signoff

    if args.new_key:
        print(f"key {signoff.new_key(args.new_key)}; give {args.new_key.with_suffix('.pub')} to who verifies")
        return 0
    if args.report is None:
        raise UsageError("which report? Give its directory, or --new-key FILE")
    for name in sorted(signoff.OWN):
        check_output(args.report / name, [args.key])
    signed = signoff.sign(args.report, signoff.load_key(args.key), args.by, args.role)
    print(f"signed by {signed.by} ({signed.role}) at {signed.utc} with key {signed.key}")
    return 0


def _verify(args: argparse.Namespace) -> int:
    from mpbench.report import signoff

    found = signoff.verify(args.report, signoff.load_trusted(args.trust))
    print(f"{args.report}: verdict {found.verdict}, {found.files} files")
    for s in found.signed:
        print(f"  {s.role}: {s.by}, {s.utc}, key {s.key[:16]}…")
    for text in found.wrong:
        print(f"  WRONG: {text}")
    return 1 if found.wrong else 0
