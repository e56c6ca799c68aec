# SPDX-License-Identifier: MIT
"""`mpbench nightly`: a plan's jobs on the places of a lab."""

import argparse
import datetime
import re
from pathlib import Path

from mpbench.core import colour
from mpbench.core.errors import UsageError
from mpbench.core.sanitize import one_line


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `nightly`."""
    nightly = commands.add_parser(
        "nightly",
        help="run a plan on the places of a lab, one pytest per place, one page",
        description="Run a plan on the places of a labgrid coordinator; an interrupted night "
        "is resumed. Example: targets/nightly/example.yaml",
    )
    nightly.add_argument("plan", type=Path, metavar="PLAN", help="YAML file")
    nightly.add_argument("--check", action="store_true", help="check the plan, run nothing")
    nightly.add_argument("--readmit", metavar="PLACE", help="clear the quarantine of PLACE")
    nightly.set_defaults(run=_nightly)


def _nightly(args: argparse.Namespace) -> int:
    # Here, not above: labgrid's client takes half a second that no other command should wait for.
    from mpbench.lab import history, night, plan, targets

    found = plan.load(args.plan)
    if args.readmit:
        if not history.History(found.reports / "history.sqlite").readmit(args.readmit):
            raise UsageError(f"place {args.readmit} is not quarantined")
        print(f"place {args.readmit} is readmitted")
        return 0
    for job in found.jobs:
        targets.check(job, found.coordinator)
    if args.check:
        print(one_line(f"{args.plan}: {len(found.jobs)} jobs, reports in {found.reports}"))
        return 0
    return night.run(found, _log)


def _log(line: str) -> None:
    line = re.sub("(?<=^verdict )[A-Z-]+", lambda word: colour.verdict(word[0]), one_line(line))
    print(f"{datetime.datetime.now():%H:%M:%S} {line}", flush=True)
