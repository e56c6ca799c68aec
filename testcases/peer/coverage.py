# SPDX-License-Identifier: MIT
"""Branches that a corpus reaches: of OP-TEE's two C files (gcov, in both word sizes) and of the twin.

    python -m testcases.peer.coverage [--corpus DIR] [--build DIR]

The campaign's corpus is replayed with the corner cases of cases.py.
"""

import argparse
import itertools
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from attrs import frozen

from testcases.peer import cases
from testcases.peer.build import GCOV, GCOV_ARM, CannotBuild, Flavour, build, source
from testcases.peer.store import Stored, default_folder, load_corpus
from testcases.peer.worker import Board, Memory, Worker, encode_case, predict

TWIN = ("elf_parser", "heap", "image", "loader", "machine", "platform", "upstream", "values")
"""Modules that have a counterpart in C; the others are for the unit tests (`make coverage`)."""

UNREACHABLE = {
    "if (res != TEE_SUCCESS && res != TEE_ERROR_NO_DATA)": "remoteproc_get_tlv returns nothing else",
    "if (res != TEE_SUCCESS)": "TEE_DigestDoFinal fails only on a buffer that is too short",
    "if (ADD_OVERFLOW(sizeof(*hdr), ROUNDUP_64(hdr->sign_len), &size) ||": "no file holds 4 GiB",
    "pa = (paddr_t)reg_pair_to_64(params[3].value.b, params[3].value.a);": "no core has memory at address 0",
    "assert(pa);": "no core has memory at address 0",
    "if (ctx->rsc_pa || ctx->rsc_size) {": "no core has memory at address 0",
    "if (!fw || !IS_ALIGNED_WITH_TYPE(fw, uint32_t)) {": "the buffer's alignment was checked",
    "MUL_OVERFLOW(sizeof(*shdr), ehdr->e_shnum, &shdr_array_sz) ||": "40 x 65535 fits 32 bits",
    "if (end_vaddr < vaddr || end_fw < fw)": "an image that wraps was refused before",
    "if (fw + fw_size <= fw || fw + ehdr->e_shoff < fw)": "an image that wraps was refused before",
}
"""Source lines with a branch that no input reaches, and why."""


@frozen
class Branches:
    """Branches of a file: how many there are, how many were taken; (line, source) of those never taken."""

    file: str
    total: int
    taken: int
    missed: tuple[tuple[int, str], ...]

    @property
    def percent(self) -> float:
        """Share taken."""
        return 100 * self.taken / self.total if self.total else 100.0


def c_branches(flavour: Flavour, out: Path, corpus: Sequence[Stored]) -> list[Branches]:
    """Replay a corpus on a counting build; branches of remoteproc_core.c and elf_parser.c."""
    program = build(flavour, out, source("upstream"))
    for old in program.parent.glob("*.gcda"):
        old.unlink()
    with Worker(program, flavour.runner) as worker:
        for board, group in by_board([*corpus, *cases.corners()]):
            worker.configure(board, flavour.word_bits)  # a new process, so not more often than needed
            for stored in group:
                worker.run(encode_case(stored.commands))
    units = (("ta", "remoteproc_core"), ("elf_parser", "elf_parser"))
    return [count(flavour, program.parent, unit, name) for unit, name in units]


def by_board(corpus: Sequence[Stored]) -> Iterator[tuple[Board, Iterator[Stored]]]:
    """The cases of each board together."""
    return itertools.groupby(sorted(corpus, key=lambda s: repr(s.board)), key=lambda s: s.board)


def count(flavour: Flavour, folder: Path, unit: str, name: str) -> Branches:
    """gcov's verdict on one file."""
    gcov = flavour.compiler.removesuffix("gcc") + "gcov"
    subprocess.run(
        [gcov, "-b", "-c", "-o", str(folder), f"{unit}.o"], cwd=folder, capture_output=True, check=True
    )
    text = (folder / f"{name}.c.gcov").read_text()
    total = taken = 0
    missed = []
    line, text = 0, ""
    for row in text.splitlines():
        if found := re.match(r"\s*[^:]+:\s*(\d+):(.*)", row):
            line, text = int(found[1]), found[2].strip()
        elif row.startswith("branch"):
            total += 1
            if re.search(r"taken [1-9]", row):
                taken += 1
            else:
                missed.append((line, text))
    return Branches(f"{name}.c in {flavour.word_bits} bits", total, taken, tuple(dict.fromkeys(missed)))


def never(builds: Sequence[Sequence[Branches]]) -> list[str]:
    """Lines with a branch that no build took, each with the reason if there is one."""
    lines = []
    for files in zip(*builds, strict=True):
        common = set(files[0].missed).intersection(*(f.missed for f in files[1:]))
        for line, text in sorted(common):
            why = UNREACHABLE.get(text, "not reached by this corpus")
            lines.append(f"  in no build, {files[0].file.split()[0]}:{line}: {text}  [{why}]")
    return lines


def twin_branches(corpus: Path) -> list[Branches]:
    """The same for the twin's modules, by coverage.py in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        data, report = Path(folder) / "data", Path(folder) / "report.json"
        tool = [sys.executable, "-m", "coverage"]
        replay = [
            "--branch",
            f"--data-file={data}",
            "--include=*/bench/mpbench/twin/*",
            "-m",
            "testcases.peer.coverage",
            "--replay",
        ]
        subprocess.run([*tool, "run", *replay, "--corpus", str(corpus)], check=True)
        written = [f"--data-file={data}", "-q", "-o", str(report)]
        subprocess.run([*tool, "json", *written], check=True)
        files = json.loads(report.read_text())["files"]
    return [_twin_file(name, found) for name, found in sorted(files.items()) if Path(name).stem in TWIN]


def _twin_file(name: str, found: dict) -> Branches:
    summary, text = found["summary"], Path(name).read_text().splitlines()
    lines = sorted({line for line, _ in found["missing_branches"]})
    missed = tuple((line, text[line - 1].strip()) for line in lines)
    return Branches(f"twin/{Path(name).name}", summary["num_branches"], summary["covered_branches"], missed)


def replay(corpus: Sequence[Stored]) -> None:
    """The twin's answers to a corpus, in both word sizes."""
    for stored in [*corpus, *cases.corners()]:
        for word_bits in (64, 32):
            _, outcomes = predict(stored.board.profile(word_bits), Memory(stored.board), stored.commands)
            for outcome in outcomes:
                assert all(r.size for r in outcome.memory)


def describe(branches: Sequence[Branches]) -> list[str]:
    """Lines for a person."""
    lines = []
    for b in branches:
        lines.append(f"{b.file}: {b.taken} of {b.total} branches ({b.percent:.1f} %)")
        lines += [f"  never taken, line {line}: {text}" for line, text in b.missed]
    return lines


def whole(out: Path, folder: Path) -> list[str]:
    """The report: C files in every word size that can be built, then the twin."""
    corpus, builds = load_corpus(folder), []
    for flavour in (GCOV, GCOV_ARM):
        try:
            builds.append(c_branches(flavour, out, corpus))
        except CannotBuild as error:
            print(f"without {flavour.name}: {error}", flush=True)
    lines = [
        f"{b.file}: {b.taken} of {b.total} branches ({b.percent:.1f} %)" for files in builds for b in files
    ]
    lines += never(builds) if builds else []
    twin = twin_branches(folder)
    lines += describe(twin)
    taken, total = sum(b.taken for b in twin), sum(b.total for b in twin)
    return [*lines, f"twin: {taken} of {total} branches ({100 * taken / total:.1f} %)"]


def main(argv: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m testcases.peer.coverage", description="branches that a corpus reaches"
    )
    parser.add_argument("--corpus", type=Path, default=default_folder() / "corpus")
    parser.add_argument("--build", type=Path, default=default_folder() / "build")
    parser.add_argument("--replay", action="store_true", help="only let the twin answer to the corpus")
    options = parser.parse_args(argv)
    if options.replay:
        replay(load_corpus(options.corpus))
    else:
        print("\n".join(whole(options.build, options.corpus)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
