# SPDX-License-Identifier: MIT
"""`mpbench report`, `record`: pages and checks of runs."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from mpbench.core.errors import UsageError
from mpbench.core.sanitize import one_line

if TYPE_CHECKING:
    from mpbench.core.record import Run

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_commands(commands: Commands) -> None:
    """Add `report` and `record`."""
    report = commands.add_parser("report", help="make the page and its exports from the records of runs")
    _add_runs(report, "+")
    report.add_argument("-o", "--output", type=Path, metavar="DIR", help="default: the directory of the run")
    report.set_defaults(run=_report)
    record = commands.add_parser("record", help="check records of runs, or print the schema of their lines")
    record.add_argument("--schema", action="store_true", help="print the JSON Schema of a line")
    _add_runs(record, "*")
    record.set_defaults(run=_record)


def _add_runs(parser: argparse.ArgumentParser, number: str) -> None:
    parser.add_argument(
        "runs", nargs=number, type=Path, metavar="RUN", help="directory of a run, reports/runs/..."
    )


def _report(args: argparse.Namespace) -> int:
    if args.output is None and len(args.runs) > 1:
        raise UsageError("several runs on one page need a directory for it: -o DIR")
    from mpbench.core.record import LOG
    from mpbench.report import publish
    from mpbench.report.sources import SOURCES

    output = args.output or args.runs[0]
    if args.output is None and not (output / LOG).exists() and (output / SOURCES).exists():
        print(one_line(str(publish.write_again(output))))
        return 0
    publish.check_output(args.runs, output)
    print(one_line(str(publish.write(args.runs, output))))
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
    print(one_line(f"{run.directory}: {len(run.lines)} lines, {len(files)} files of evidence"))
    for text in (*run.notes, *wrong):
        print(f"  {one_line(text)}")
    return not run.notes and not wrong
