# SPDX-License-Identifier: MIT
"""`mpbench firmware`: start every firmware of a directory on a board, and report how far each came."""

import argparse
import contextlib
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpbench.core.errors import UsageError
from mpbench.core.sanitize import visible

if TYPE_CHECKING:
    from mpbench.commands.firmware_board import FirmwareBoard

# Imports in the functions: labgrid takes half a second that `--help` should not wait for.
# ruff: noqa: PLC0415

Row = dict[str, Any]
COLUMNS = ("file", "kind", "core", "predicted", "started", "main", "channels", "did")


def add_commands(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `firmware`."""
    one = subparsers.add_parser(
        "firmware",
        help="start every firmware of a directory on a board, and report how far each came",
        description="Signs each ELF file where a TEE loads the cores, takes a signed image as it is, "
        "predicts, starts and stops each. Prints whether it reached main and by what that is known, the "
        "channels that it announced, what it did, and faults by place. What it did: an echo on a tty "
        "of RPMsg, the last line of its trace; on a virtual board levels of pins, with the number of "
        "their changes, and USARTs without a line to the host. One that fails on a board that has run "
        "others is tried again after a power cycle. On a virtual board whose core QEMU has, a "
        "debugger follows the core from outside.",
    )
    one.add_argument("directory", type=Path)
    one.add_argument(
        "--lg-env", default=os.environ.get("LG_ENV"), metavar="FILE", help="target file of the board"
    )
    one.add_argument("--core", default="", help="name (default: the first of the board that executes it)")
    one.add_argument(
        "--seconds", type=float, default=20.0, help="to wait for main and channels (default: %(default)g)"
    )
    one.add_argument(
        "--watch",
        type=float,
        default=3.0,
        metavar="SECONDS",
        help="to observe after main (default: %(default)g)",
    )
    one.add_argument(
        "--press",
        default="",
        metavar="PIN",
        help="a button, pressed after main, as PA14; virtual boards",
    )
    one.add_argument(
        "--type", default="", metavar="USART=TEXT", help="received after main, as usart3=c; virtual boards"
    )
    one.add_argument(
        "--say", default="mpbench probe", metavar="TEXT", help="to channels of RPMsg (default: %(default)s)"
    )
    one.add_argument("--json", action="store_true", help="print JSON, with trace and kernel log")
    one.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from mpbench.commands.firmware_board import FirmwareBoard
    from mpbench.commands.firmware_file import firmware_files

    if not args.lg_env:
        raise UsageError("no board given: mpbench firmware DIRECTORY --lg-env FILE")
    files = firmware_files(args.directory)
    with contextlib.redirect_stdout(sys.stderr):  # the progress of a virtual board's build
        board = FirmwareBoard.open(args.lg_env)
    rows: list[Row] = []
    try:
        for name, path in files.items():
            print(f"{len(rows) + 1} of {len(files)}: {visible(name)}", file=sys.stderr, flush=True)
            rows.append(_row(board, name, path, args))
            print(f"  {_short(rows[-1])}", file=sys.stderr, flush=True)
    finally:
        print(json.dumps(rows, indent=2) if args.json else "\n".join(as_lines(rows)), flush=True)
        board.close()
    return 0 if all(row["good"] for row in rows) else 1


def _row(board: "FirmwareBoard", name: str, path: Path, args: argparse.Namespace) -> Row:
    """What came of one file; a file that no core executes, or that is none, has its reason in `faults`."""
    from attrs import asdict

    from mpbench.commands.firmware_board import Wait
    from mpbench.commands.firmware_file import read_firmware
    from mpbench.core.files import read_bounded

    row: Row = {
        **dict.fromkeys(COLUMNS, ""),
        "file": name,
        "channels": (),
        "did": (),
        "faults": (),
        "good": False,
    }
    try:
        firmware = read_firmware(read_bounded(path), name, path)
        row["kind"] = firmware.kind
        core = board.core_for(firmware, args.core)
        image = board.image(core, firmware)
    except UsageError as reason:
        return {**row, "faults": (str(reason).removeprefix(f"{name}: "),)}
    errno, lines = board.predict(core, image)
    found = board.run(core, firmware, image, Wait(args.seconds, args.watch, args.press, args.say, args.type))
    differs = (
        () if errno in ("", found.started) else (f"predicted {errno}, the board answered {found.started}",)
    )
    refused = () if found.started == "OK" else found.kernel_log
    good = found.started == "OK" and bool(found.main) and not found.faults and not differs
    row |= {**asdict(found), "core": core, "predicted": errno or "undetermined", "predicted_log": lines}
    return {**row, "faults": (*differs, *found.faults, *refused), "good": good}


def _short(row: Row) -> str:
    return visible(
        "; ".join(row["faults"])
        or f"main: {_cell(row, 'main')}; channels: {_cell(row, 'channels')}; did: {_cell(row, 'did')}"
    )


def as_lines(rows: list[Row]) -> list[str]:
    """The table, then of every firmware that did not come through what is known of it."""
    cells = [[_cell(row, column) for column in COLUMNS] for row in rows]
    widths = [max(map(len, column)) for column in zip(COLUMNS, *cells, strict=True)]
    lines = ["  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
             for line in ([*COLUMNS], *cells)]  # fmt: skip
    for row in rows:
        if row["good"]:
            continue
        lines += ["", f"{visible(row['file'])}:"]
        lines += [f"  {visible(fault)}" for fault in row["faults"]]
        if row.get("executes") and not row["main"]:
            lines.append(f"  executes {visible(', called from '.join(row['executes'][:4]))}")
    good = sum(row["good"] for row in rows)
    return [*lines, "", f"{good} of {len(rows)} reached main without a fault, as predicted"]


def _cell(row: Row, column: str) -> str:
    value = row[column]
    if column == "main":
        return value or ("no" if row["started"] == "OK" else "-")
    return visible(", ".join(value) if isinstance(value, tuple) else value) or "-"
