# SPDX-License-Identifier: MIT
"""python -m testcases.performance [--lg-env FILE] [--only P1,P5]: every benchmark, as ratios to its peer.

README.md lists all benchmarks. Each module perf_*.py with NUMBERS has `benchmarks(board)`, which yields a Row
per benchmark; `board` is a Board, or None without --lg-env: a benchmark that needs one then yields nothing.
"""

import argparse
import importlib
import os
import pkgutil
import sys
from collections.abc import Iterable, Iterator
from types import ModuleType

from labgrid import Environment
from rich.console import Console
from rich.table import Table

from testcases import performance
from testcases.performance.rows import Board, Row


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0 when every target is met, 1 when one is missed, 5 when nothing was measured."""
    parser = argparse.ArgumentParser(prog="python -m testcases.performance", description=__doc__)
    parser.add_argument(
        "--lg-env", default=os.environ.get("LG_ENV", ""), help="labgrid environment of the board"
    )
    parser.add_argument("--only", default="", help="numbers of benchmarks, e.g. P1,P5")
    chosen = parser.parse_args(arguments)
    only = {n for n in chosen.only.upper().split(",") if n}
    found = list(_measure(chosen.lg_env, only))
    Console(width=150).print(_table(found))
    if all(row.ours_s is None for row in found):
        return 5
    return int(any(row.met is False for row in found))


def _measure(environment: str, only: set[str]) -> Iterator[Row]:
    board = Board(Environment(environment).get_target("main")) if environment else None
    try:
        for module in _modules():
            if only and not only & set(module.NUMBERS):
                continue
            for row in _reported(module.benchmarks(board)):
                if not only or row.number in only:
                    yield row
    finally:
        if board is not None:
            board.close()


def _reported(rows: Iterable[Row]) -> Iterator[Row]:
    for row in rows:
        print(f"{row.number}: {row.what}: {row.ratio_text}", file=sys.stderr, flush=True)
        yield row


def _modules() -> list[ModuleType]:
    names = sorted(m.name for m in pkgutil.iter_modules(performance.__path__) if m.name.startswith("perf_"))
    found = [importlib.import_module(f"testcases.performance.{name}") for name in names]
    return [module for module in found if hasattr(module, "NUMBERS")]


def _table(rows: list[Row]) -> Table:
    table = Table(title="measured side by side, p50")
    for name in ("#", "work", "peer", "peer's time", "ours", "ratio", "target", ""):
        table.add_column(name, justify="right" if name in ("peer's time", "ours", "ratio") else "left")
    for row in rows:
        verdict = {True: "met", False: "missed", None: ""}[row.met]
        table.add_row(
            row.number, row.what, row.peer, row.peer_text, row.ours_text, row.ratio_text, row.target, verdict
        )
    return table


if __name__ == "__main__":
    sys.exit(main())
