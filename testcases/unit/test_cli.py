# SPDX-License-Identifier: MIT
"""The command mpbench: what it prints and which code it ends with."""

import errno
import json
import os
import re
import subprocess
import sys

import pytest

from mpbench.commands import main
from mpbench.core.errors import BoardFailure, InfrastructureError, UsageError
from mpbench.core.lines import PlanLine, RunEnd, TestEnd, TestStart
from mpbench.core.record import Clock, Record, new_directory
from mpbench.report import publish

CLOCK = Clock(utc_s=lambda: 1_795_000_000.0, mono_ns=lambda: 42)


@pytest.fixture
def run(tmp_path):
    record = Record(new_directory(tmp_path, "virtual-mp25", CLOCK), "r1", CLOCK)
    record.append(PlanLine(("t",), 1))
    record.append(TestStart(test="t", core="m33", title="It works.", requirements=()))
    record.append(TestEnd(test="t", verdict="PASS", reason="", duration_ns=5))
    record.append(RunEnd(counts={"PASS": 1}))
    record.close()
    return record.directory


def test_a_report_is_made_beside_its_record(run, capsys):
    """`mpbench report RUN` writes the page into the run's directory and prints its path."""
    assert main.main(["report", str(run)]) == 0
    assert capsys.readouterr().out == f"{run / 'index.html'}\n"
    assert "It works." in (run / "index.html").read_text()


def test_several_runs_need_a_directory(run, tmp_path, capsys):
    """One page about two runs belongs to neither of them."""
    assert main.main(["report", str(run), str(run)]) == 2
    assert (
        "mpbench: error: several runs on one page need a directory for it: -o DIR" in capsys.readouterr().err
    )
    assert main.main(["report", str(run), str(run), "-o", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "junit.xml").exists()


def test_what_is_no_run_is_a_usage_error(tmp_path, capsys):
    """A wrong directory gives one line and code 2."""
    assert main.main(["report", str(tmp_path)]) == 2
    err = capsys.readouterr().err
    assert err.startswith("mpbench: error: no record at ")
    assert err.count("\n") == 1


def test_a_record_is_checked(run, capsys):
    """`mpbench record RUN` counts lines and evidence, and says what is incomplete or was changed."""
    assert main.main(["record", str(run)]) == 0
    assert capsys.readouterr().out == f"{run}: 4 lines, 0 files of evidence\n"
    log = run / "record.jsonl"
    log.write_bytes(log.read_bytes()[:-3])
    assert main.main(["record", str(run)]) == 1
    assert "the run did not end" in capsys.readouterr().out


def test_the_schema_of_a_record_is_printed(capsys):
    """`mpbench record --schema` prints JSON that other programs read; nothing to check is a usage error."""
    assert main.main(["record", "--schema"]) == 0
    assert json.loads(capsys.readouterr().out)["title"].startswith("a line of record.jsonl, version ")
    assert main.main(["record"]) == 2
    assert "which record?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("fault", "code", "line"),
    [
        (UsageError("no such kind"), 2, "mpbench: error: no such kind\n"),
        (InfrastructureError("port 7000 is busy"), 3, "mpbench: infrastructure: port 7000 is busy\n"),
        (
            PermissionError(errno.EACCES, os.strerror(errno.EACCES), "/root/x"),
            2,
            "mpbench: error: /root/x: Permission denied\n",
        ),
        (
            OSError(errno.EMFILE, os.strerror(errno.EMFILE)),
            3,
            "mpbench: infrastructure: Too many open files\n",
        ),
        (KeyboardInterrupt(), 130, "mpbench: interrupted\n"),
    ],
)
def test_a_fault_is_one_line_and_a_code(monkeypatch, capsys, fault, code, line):
    """Whose fault it is decides the exit code; nobody sees a traceback."""

    def fail(_):
        raise fault

    monkeypatch.setattr(publish, "write", lambda *_: fail(None))
    assert main.main(["report", "x"]) == code
    assert capsys.readouterr().err == line


def test_a_mistake_of_the_bench_is_not_hidden(monkeypatch):
    """What nobody foresaw keeps its traceback."""

    def fail(*_):
        raise BoardFailure("not for the command line")

    monkeypatch.setattr(publish, "write", fail)
    with pytest.raises(BoardFailure):
        main.main(["report", "x"])


@pytest.mark.parametrize("arguments", [[], ["no-such-command"], ["report"]])
def test_a_wrong_command_line_ends_with_2(arguments, capsys):
    """argparse's own errors have the code of usage errors, and are one line that says where help is."""
    with pytest.raises(SystemExit) as e:
        main.main(arguments)
    assert e.value.code == 2
    assert re.fullmatch(r"mpbench: error: .*; `mpbench .*--help` shows how\n", capsys.readouterr().err)


@pytest.mark.slow
def test_the_command_is_installed():
    """`mpbench --help` names the subcommands."""
    script = "import sys; from mpbench.commands.main import main; sys.exit(main(['--help']))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "virtual" in done.stdout
    assert "report" in done.stdout


def test_a_wrong_argument_is_one_line_and_exit_code_two(capsys):
    """No usage text of twenty lines in front of what is wrong."""
    with pytest.raises(SystemExit) as ended:
        main.main(["predict", "image", "--state", "half"])
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("mpbench: error: argument --state: invalid choice: 'half'")
    assert error.count("\n") == 1


def test_a_reader_that_has_seen_enough_is_no_error():
    """`mpbench explain ... | head -1`: nothing on standard error, whatever of the output is left."""
    command = [
        sys.executable,
        "-c",
        "import sys; from mpbench.commands.main import main; sys.exit(main(sys.argv[1:]))",
    ]
    with subprocess.Popen(
        [*command, "explain", "TEE err: ffff0006"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        _, error = process.communicate()
    assert (process.returncode, error) == (main.PIPE_CLOSED, b"")
