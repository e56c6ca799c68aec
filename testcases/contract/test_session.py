# SPDX-License-Identifier: MIT
"""The contract of a session, on every kind of server and userland."""

import os
import signal
import stat
import threading
import time
from hashlib import sha256
from pathlib import Path

import pytest
from labgrid.driver import ExecutionError
from labgrid.protocol import CommandProtocol, FileTransferProtocol

from mpbench.board.session import channel
from mpbench.board.session.driver import SessionDriver
from mpbench.board.session.shell import CommandHangs
from mpbench.core.errors import InfrastructureError, UsageError


def test_a_command_gives_its_exit_code_and_both_streams(session: SessionDriver):
    """Exit code, stdout and stderr are separate and unchanged."""
    reply = session.execute("echo out; echo err >&2; exit 3")
    assert (reply.code, reply.stdout, reply.stderr) == (3, b"out\n", b"err\n")


def test_labgrids_run_gives_lines(session: SessionDriver):
    """run() implements labgrid's CommandProtocol: lists of lines and the exit code."""
    assert isinstance(session, CommandProtocol)
    assert session.run("printf 'a\\nb'; echo c >&2; false") == (["a", "b"], ["c"], 1)
    assert session.run_check("echo fine") == ["fine"]
    with pytest.raises(ExecutionError):
        session.run_check("false")


def test_every_byte_survives(session: SessionDriver):
    """Output may hold every byte value, NUL included, and need not end in a newline."""
    reply = session.execute(
        """i=0; while [ $i -lt 256 ]; do printf "\\\\$(printf %o $i)"; i=$((i+1)); done"""
    )
    assert reply.stdout == bytes(range(256))


def test_bytes_that_are_no_text_are_kept_by_run(session: SessionDriver):
    """Invalid UTF-8 becomes surrogates, which encode to the original bytes."""
    lines, _, _ = session.run("printf '\\377\\300'")
    assert lines[0].encode("utf-8", "surrogateescape") == b"\xff\xc0"


def test_large_output_on_both_streams_does_not_block(session: SessionDriver):
    """Megabytes on stdout and stderr at once arrive completely."""
    reply = session.execute("head -c 3000000 /dev/zero >&2 & head -c 3000000 /dev/zero; wait")
    assert (len(reply.stdout), len(reply.stderr)) == (3000000, 3000000)


def test_a_command_leaves_no_trace_in_the_next(session: SessionDriver):
    """Working directory, variables, options and exit have no effect on later commands."""
    session.execute("cd /; X=1; set -e; trap 'echo late' EXIT; exit 9")
    reply = session.execute('echo "$X"; false; pwd')
    assert reply.code == 0
    assert reply.stdout != b"\n/\n"
    assert b"late" not in reply.stdout


def test_quotes_newlines_and_odd_characters_pass(session: SessionDriver):
    """The command line reaches the shell as it was given."""
    reply = session.execute("printf '%s|' \"it's\" 'two\nlines' '$HOME' 'ä'")
    assert reply.stdout.decode() == "it's|two\nlines|$HOME|ä|"


def test_a_command_reads_an_empty_stdin(session: SessionDriver):
    """A command that reads stdin gets end of file, not the next command."""
    assert session.execute("cat; echo end").stdout == b"end\n"


def test_output_of_a_forgotten_background_job_is_not_the_next_commands(session: SessionDriver):
    """What a background process writes before the next command starts is dropped."""
    session.execute("(echo stray; sleep 0.05; echo stray) & wait")
    session.execute("(sleep 0.05; echo stray) &")
    time.sleep(0.2)
    assert session.execute("echo mine").stdout == b"mine\n"


def test_unsolicited_output_is_not_the_next_commands(session: SessionDriver, tmp_path: Path):
    """Output of a daemon is detected by its first byte and belongs to no command."""
    (tmp_path / "daemon").write_text("#!/bin/sh\n(sleep 0.05; echo stray; sleep 0.2; echo stray) &\n")
    (tmp_path / "daemon").chmod(0o700)
    shell = session._shell()
    session.execute(f"{tmp_path}/daemon")
    for _ in range(2):
        shell._waiter.arm()
        assert shell._channel.recv_ready() or shell._waiter.wait(5)
        assert session.execute("echo mine").stdout == b"mine\n"


def test_a_plain_command_keeps_its_streams_apart(session: SessionDriver, tmp_path: Path):
    """A plain command, which runs without a subshell, has its exit code and both streams."""
    (tmp_path / "prints").write_text("#!/bin/sh\ncat; echo out; printf 'err\\0' >&2; exit 4\n")
    (tmp_path / "prints").chmod(0o700)
    for _ in range(3):
        reply = session.execute(f"{tmp_path}/prints")
        assert (reply.code, reply.stdout, reply.stderr) == (4, b"out\n", b"err\0")
        assert session.execute("true").stderr == b""
        assert session.execute("true; echo else >&2").stderr == b"else\n"


def test_a_command_with_nul_is_misuse(session: SessionDriver):
    """NUL in a command line is a UsageError."""
    with pytest.raises(UsageError, match="NUL"):
        session.execute("echo \0")


def test_a_command_that_kills_its_shell_is_a_lab_fault_and_the_next_works(session: SessionDriver):
    """If a command kills the shell, the session opens a new one on the same transport."""
    with pytest.raises(InfrastructureError, match="shell ended"):
        session.execute("kill -KILL $$")
    assert session.execute("echo again").stdout == b"again\n"


def test_a_hanging_command_ends_at_its_deadline_and_is_killed(session: SessionDriver):
    """A command that exceeds its timeout is an error, its processes are killed, the session continues."""
    with pytest.raises(CommandHangs, match=r"timeout after 0\.3 s: sleep 4711"):
        session.execute("sleep 4711", timeout_s=0.3)
    session.execute("true")
    await_none("sleep", "4711")


def test_a_hanging_call_does_not_stop_other_work(session: SessionDriver, tmp_path: Path):
    """call() has a shell of its own: other commands are answered while it hangs, and after its deadline."""
    pipe, ended = tmp_path / "pipe", []
    os.mkfifo(pipe)

    def hang() -> None:
        ended.append(session.call(f"cat {pipe}", timeout_s=600).stdout)

    session.execute("true")
    thread = threading.Thread(target=hang)
    thread.start()
    assert session.execute("echo beside").stdout == b"beside\n"
    assert ended == []
    pipe.write_bytes(b"over\n")
    thread.join()
    assert ended == [b"over\n"]
    with pytest.raises(CommandHangs):
        session.call("sleep 4712", timeout_s=0.3)
    assert session.call("echo after", timeout_s=60).stdout == b"after\n"
    await_none("sleep", "4712")


def test_the_reply_of_an_interrupted_command_is_not_the_next_commands(session: SessionDriver):
    """Ctrl-C while a command runs: what the bench runs afterwards, to clean up, gets its own reply."""
    interrupt = threading.Timer(0.3, signal.pthread_kill, (threading.get_ident(), signal.SIGINT))
    interrupt.start()
    with pytest.raises(KeyboardInterrupt):
        session.execute("sleep 1")
    assert session.execute("echo right").stdout == b"right\n"


def test_endless_output_is_cut_off(session: SessionDriver):
    """A command with endless output fails at the limit of its output."""
    session._shell()._limit = 1 << 20
    with pytest.raises(InfrastructureError, match="exceeds 1048576 bytes"):
        session.execute("cat /dev/zero")
    assert session.execute("echo on").stdout == b"on\n"


def test_spawned_output_arrives_while_it_runs_and_dies_with_its_channel(session: SessionDriver):
    """spawn() streams; closing it kills the command and its children on the board."""
    spawned = session.spawn("echo first; sleep 4713; echo never")
    assert spawned.read(5.0) == b"first\n"
    pid = spawned.pid
    spawned.close()
    await_gone(pid)
    await_none("sleep", "4713")


def test_a_spawned_command_has_its_exit_code(session: SessionDriver):
    """finish() of a spawned command returns the rest of stdout, stderr and the exit code."""
    reply = session.spawn("printf 'a\\0b'; echo e >&2; exit 7").finish(5.0)
    assert (reply.code, reply.stdout, reply.stderr) == (7, b"a\0b", b"e\n")


def test_a_spawned_command_has_a_bound_too(session: SessionDriver, monkeypatch: pytest.MonkeyPatch):
    """Of what it prints."""
    monkeypatch.setattr(channel, "LIMIT_BYTES", 1 << 20)
    with pytest.raises(InfrastructureError, match="more than 1048576 bytes of output"):
        session.spawn("cat /dev/zero").finish(30.0)
    assert session.execute("echo on").stdout == b"on\n"


def test_a_login_shell_that_prints_for_ever_has_a_bound(session: SessionDriver, monkeypatch):
    """Before a command has started."""
    monkeypatch.setattr(channel, "lifeline_command", lambda *_: "cat /dev/zero")
    with pytest.raises(InfrastructureError, match="more than 1114112 bytes of output: cat /dev/zero"):
        session.spawn("true")


def test_boot_id_is_known(session: SessionDriver):
    """The session has the boot_id of the board."""
    assert session.boot_id == Path("/proc/sys/kernel/random/boot_id").read_text().strip()


# --- many files in one round trip ---------------------------------------------------------------


def test_read_many_gives_bytes_and_errno_names(session: SessionDriver, tmp_path: Path):
    """Contents are exact; an unreadable file has its errno's name."""
    files = {
        "text": b"enabled\n",
        "binary": bytes(range(256)) * 3,
        "empty": b"",
        "no newline": b"x",
        "quote'd": b"q",
        "new\nline": b"n",
        "proc": None,
    }
    wanted: dict[str, bytes | str] = {}
    for name, data in files.items():
        if data is not None:
            (tmp_path / name).write_bytes(data)
            wanted[str(tmp_path / name)] = data
    wanted["/proc/sys/kernel/ostype"] = b"Linux\n"
    wanted[str(tmp_path / "missing")] = "ENOENT"
    wanted[str(tmp_path)] = "EISDIR"
    assert session.read_many(wanted) == wanted


def test_fifty_reads_take_one_round_trip(session: SessionDriver):
    """50 files, existing or not, are read by one command."""
    paths = [f"/proc/sys/kernel/{p.name}" for p in Path("/proc/sys/kernel").iterdir() if p.is_file()]
    readable = [p for p in paths if os.access(p, os.R_OK)][:45] + [f"/nowhere/{i}" for i in range(5)]
    session.execute("true")
    before = session._shell()._seq
    found = session.read_many(readable)
    assert session._shell()._seq - before <= 2
    assert list(found) == readable
    assert found["/nowhere/3"] == "ENOENT"


def test_a_look_is_one_round_trip_in_order(session: SessionDriver, tmp_path: Path):
    """look() runs one command before and one after the reads; their stderr is dropped."""
    (tmp_path / "seen").write_bytes(b"0\n")
    paths = [str(tmp_path / "seen"), str(tmp_path / "missing")]
    seq = session._shell()._seq
    found = session.look(
        paths,
        first=f"echo 1 >{paths[0]}; cat /nowhere; echo before",
        then=f"echo 2 >{paths[0]}; cat {paths[0]} /nowhere",
    )
    assert found == (b"before\n", {paths[0]: b"1\n", paths[1]: "ENOENT"}, b"2\n")
    assert session.look(paths[:1]) == (b"", {paths[0]: b"2\n"}, b"")
    assert session._shell()._seq - seq <= 3


def test_files_that_look_like_many_files_are_one(session: SessionDriver, tmp_path: Path):
    """File content that looks like a header line is content."""
    (tmp_path / "log").write_bytes(b"\n==> /dev/null <==\n\n==> //./dev/null <==\n")
    paths = [str(tmp_path / "log"), "/proc/self/environ", "/dev/null"]
    found = session.read_many(paths)
    assert found[paths[0]] == (tmp_path / "log").read_bytes()
    assert found["/dev/null"] == b""
    assert b"LC_ALL=C\0" in found["/proc/self/environ"]


def test_relative_paths_are_misuse(session: SessionDriver):
    """A relative path is a UsageError: a tool might take it as an option."""
    for call in (session.read, session.get_bytes, lambda p: session.put_bytes(b"", p)):
        with pytest.raises(UsageError, match="absolute"):
            call("-n")


# --- files --------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 65537, 1 << 20])
def test_upload_and_download_keep_every_byte(session: SessionDriver, tmp_path: Path, size: int):
    """Uploaded and downloaded bytes are equal for all sizes; no temporary file remains."""
    data = os.urandom(size)
    path = tmp_path / "to" / "firm ware's.bin"
    path.parent.mkdir()
    session.put_bytes(data, str(path))
    assert path.read_bytes() == data
    assert session.get_bytes(str(path)) == data
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    assert stat.S_IMODE(path.stat().st_mode) & 0o600 == 0o600


def test_labgrids_put_and_get(session: SessionDriver, tmp_path: Path):
    """put() and get() implement labgrid's FileTransferProtocol, with files and directories."""
    assert isinstance(session, FileTransferProtocol)
    (tmp_path / "source").write_bytes(b"content")
    (tmp_path / "there").mkdir()
    (tmp_path / "here").mkdir()
    session.put(str(tmp_path / "source"), f"{tmp_path}/there/")
    session.get(f"{tmp_path}/there/source", str(tmp_path / "here"))
    session.get(f"{tmp_path}/there/source", str(tmp_path / "here" / "renamed"))
    assert (tmp_path / "here/source").read_bytes() == (tmp_path / "here/renamed").read_bytes() == b"content"
    with pytest.raises(InfrastructureError, match="cannot read"):
        session.put(str(tmp_path / "missing"), "/tmp/x")
    with pytest.raises(InfrastructureError, match="cannot write"):
        session.get(f"{tmp_path}/there/source", str(tmp_path / "no" / "where"))


def test_an_upload_replaces_at_once(session: SessionDriver, tmp_path: Path):
    """A process that has the old file open reads the old bytes: the new file replaces it."""
    path = tmp_path / "f"
    path.write_bytes(b"old")
    with path.open("rb") as reader:
        session.put_bytes(b"new", str(path))
        assert reader.read() == b"old"
    assert path.read_bytes() == b"new"


def test_a_failed_write_has_its_errno(session: SessionDriver, tmp_path: Path):
    """A missing directory, or a directory at the path, is an error with the errno's name."""
    with pytest.raises(InfrastructureError, match="ENOENT"):
        session.put_bytes(b"x", str(tmp_path / "no" / "where"))
    (tmp_path / "dir").mkdir()
    with pytest.raises(InfrastructureError, match="EISDIR"):
        session.put_bytes(b"x", str(tmp_path / "dir"))
    assert [p.name for p in (tmp_path / "dir").iterdir()] == []
    with pytest.raises(InfrastructureError, match="ENOENT"):
        session.get_bytes(str(tmp_path / "missing"))


def test_a_download_of_a_changing_file_is_refused(session: SessionDriver):
    """A file that changes between its hash and its bytes is an error."""
    with pytest.raises(InfrastructureError, match="file changed"):
        session.get_bytes("/proc/sys/kernel/random/uuid")


def test_upload_through_the_only_channel(session: SessionDriver, tmp_path: Path):
    """If the server allows only one channel, files are sent as text through the shell, hash-verified."""
    session._one_channel = True
    data = os.urandom(20000) + b"\0\\%'"
    session.put_bytes(data, str(tmp_path / "f"))
    assert sha256((tmp_path / "f").read_bytes()).digest() == sha256(data).digest()
    with pytest.raises(InfrastructureError, match="ENOENT"):
        session.put_bytes(b"x", str(tmp_path / "no" / "where"))
    session.put_bytes(b"", str(tmp_path / "empty"))
    assert (tmp_path / "empty").read_bytes() == b""
    assert sorted(p.name for p in tmp_path.iterdir() if ".mpbench" in p.name) == []


# --- helpers ------------------------------------------------------------------------------------


def processes(*arguments: str) -> list[str]:
    """Ids of processes whose command line ends with these arguments."""
    wanted = "\0".join(arguments).encode() + b"\0"
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if entry.read_bytes().endswith(wanted):
                found.append(entry.parent.name)
        except OSError:
            continue
    return found


def await_none(*arguments: str) -> None:
    """Wait until there is no such process: the kernel completes a kill later, without an event."""
    deadline = time.monotonic() + 60
    while found := processes(*arguments):
        assert time.monotonic() < deadline, f"{arguments} lives on as {found}"
        time.sleep(0.01)


def await_gone(pid: int) -> None:
    """Wait until a process is gone that is not a child of this one."""
    deadline = time.monotonic() + 60
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < deadline, f"process {pid} lives on"
        time.sleep(0.01)
