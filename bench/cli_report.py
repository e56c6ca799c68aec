# SPDX-License-Identifier: MIT
"""`mpbench report` and `mpbench record`: what runs left behind."""

import argparse
import json
from pathlib import Path
from typing import TypeAlias

import bench.report
from bench.errors import Misuse
from bench.record import EVIDENCE, Run, json_schema, read

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_commands(commands: Commands) -> None:
    """Add `report` and `record`."""
    report = commands.add_parser("report", help="make the page and its companions from the records of runs")
    _add_runs(report, "+")
    report.add_argument("-o", "--output", type=Path, metavar="DIR", help="default: the run's own directory")
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
        raise Misuse("several runs on one page need a directory for it: -o DIR")
    print(bench.report.write(args.runs, args.output or args.runs[0]))
    return 0


def _record(args: argparse.Namespace) -> int:
    if args.schema:
        print(json.dumps(json_schema(), indent=2, ensure_ascii=False))
    elif not args.runs:
        raise Misuse("which record? Give a run's directory, reports/runs/..., or --schema")
    checked = [_check(read(directory)) for directory in args.runs]
    return 0 if all(checked) else 1


def _check(run: Run) -> bool:
    """Print what a record holds and what is wrong with it; whether nothing is."""
    refs = {ref["file"]: ref for line in run.lines for ref in line.get("evidence", ())}
    wrong = [f"{EVIDENCE}/{file} is missing or was changed" for file in refs if run.evidence(file) is None]
    print(f"{run.directory}: {len(run.lines)} lines, {len(refs)} files of evidence")
    for text in (*run.notes, *wrong):
        print(f"  {text}")
    return not run.notes and not wrong
