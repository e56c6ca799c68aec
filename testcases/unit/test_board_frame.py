# SPDX-License-Identifier: MIT
"""Frames, batch reads and errno names: the pure parts of the session."""

import errno
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpbench.board.session import batch_read, errnos, shell_protocol
from mpbench.board.session.shell_protocol import Reply, ReplyReader
from mpbench.core.errors import InfrastructureError, UsageError

NONCE = "00112233445566778899aabbccddeeff"


def installed(*command: str):
    """A parameter that is skipped where the program is not installed."""
    missing = pytest.mark.skipif(shutil.which(command[0]) is None, reason=f"{command[0]} is not installed")
    return pytest.param([*command], marks=missing, id=" ".join(command))


SHELLS = [installed("dash"), installed("bash", "--posix"), installed("busybox", "sh"), installed("sh")]


def run_shell(shell: list[str], text: bytes) -> subprocess.CompletedProcess[bytes]:
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
    return subprocess.run(shell, input=text, capture_output=True, env=environment, check=False, timeout=20)


BOOTSTRAP = shell_protocol.bootstrap(NONCE)
ROOMS = {"nameless file": BOOTSTRAP, "no room": BOOTSTRAP.replace(b"/dev/shm /run /tmp", b"/nowhere")}
"""The first input of a shell, on a board with space for the stderr file and on one without."""


@pytest.mark.parametrize("bootstrap", ROOMS.values(), ids=ROOMS)
@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_speaks_the_frame(shell: list[str], bootstrap: bytes):
    """The bootstrap and a request give a readable reply in each shell that a board may have."""
    done = run_shell(shell, bootstrap + shell_protocol.request(7, "printf 'a\\0b'; echo e >&2; exit 5"))
    reader = ReplyReader(NONCE, 7, 1000)
    reader.feed_stdout(done.stdout)
    reader.feed_stderr(done.stderr)
    assert (reader.reply.code, reader.reply.stdout, reader.reply.stderr) == (5, b"a\0b", b"e\n")


@pytest.mark.parametrize("headed", [True, False])
@pytest.mark.parametrize("bootstrap", ROOMS.values(), ids=ROOMS)
@pytest.mark.parametrize("shell", SHELLS)
def test_plain_commands_answer_apart(shell: list[str], bootstrap: bytes, headed: bool, tmp_path: Path):
    """Plain commands in sequence: each has its own exit code, stdout and stderr."""
    (tmp_path / "prints").write_text("#!/bin/sh\nprintf 'out\\0'; printf 'two\\nlines\\0' >&2; exit 9\n")
    (tmp_path / "prints").chmod(0o700)
    prints = (f"{tmp_path}/prints", 9, b"out\0", b"two\nlines\0")
    asked = [("true", 0, b"", b""), prints, prints, ("echo a  b", 0, b"a b\n", b""), ("cat", 0, b"", b"")]
    text = b"".join(
        shell_protocol.request(i, command, headed=headed) for i, (command, *_) in enumerate(asked)
    )
    done = run_shell(shell, bootstrap + text)
    out, err = done.stdout, done.stderr
    for number, (_, *expected) in enumerate(asked):
        reader = ReplyReader(NONCE, number, 1000, headed=headed)
        end = out.index(b"\n", out.index(f"{NONCE} {number} ".encode())) + 1
        reader.feed_stdout(out[:end])
        last = err.find(f"{NONCE} {number}\n".encode())
        assert reader.done == (last < 0)
        cut = last + len(f"{NONCE} {number}\n") if last >= 0 else 0
        reader.feed_stderr(err[:cut])
        assert [reader.reply.code, reader.reply.stdout, reader.reply.stderr] == expected
        out, err = out[end:], err[cut:]
    assert (out, err) == (b"", b"")


@pytest.mark.parametrize("shell", SHELLS)
def test_no_file_is_left_for_stderr(shell: list[str], tmp_path: Path):
    """The file for stderr is unlinked, and reused by later commands."""
    bootstrap = BOOTSTRAP.replace(b"/dev/shm", bytes(tmp_path))
    text = b"".join(shell_protocol.request(i, "cat /nowhere") for i in range(3)) + shell_protocol.request(
        3, "ls -l /proc/self/fd/2"
    )
    done = run_shell(shell, bootstrap + text)
    assert f"{tmp_path}/.mpbench.{NONCE} (deleted)".encode() in done.stdout
    assert list(tmp_path.iterdir()) == []
    assert done.stderr.count(b"/nowhere") == 3


@pytest.mark.parametrize(
    ("command", "leaves"),
    [
        ("sleep 9 &", True),
        ("(a; b) & wait", True),
        ("a && b", False),
        ("a >&2 2>&1 <&3", False),
        ("a &>/dev/null", False),
        ("a & b && c", True),
    ],
)
def test_commands_that_may_start_a_background_process(command: str, leaves: bool):
    """A single & starts a background job; && and redirections do not."""
    assert shell_protocol.starts_background(command) is leaves


@pytest.mark.parametrize("end", [b"x\n", b"\n", b"1 f\n", b"1 e \n", b"-1\n"])
def test_a_last_line_without_exit_code_is_an_error(end: bytes):
    """A last line without an exit code is an InfrastructureError that contains the line."""
    with pytest.raises(InfrastructureError, match="instead of its exit code"):
        ReplyReader(NONCE, 3, 1000, headed=False).feed_stdout(f"{NONCE} 3 ".encode() + end)


@given(
    out=st.binary(max_size=300),
    err=st.binary(max_size=50),
    code=st.integers(0, 255),
    cuts=st.lists(st.integers(1, 40), max_size=60),
    stray=st.binary(max_size=20),
    told=st.booleans(),
)
def test_a_reply_is_the_same_however_it_is_cut(
    *, out: bytes, err: bytes, code: int, cuts: list[int], stray: bytes, told: bool
):
    """A reply is assembled from pieces of any size; output before its first line is dropped."""
    stdout = stray + f"{NONCE} 3\n".encode() + out + f"{NONCE} 3 {code}{' e' * told}\n".encode()
    reader = ReplyReader(NONCE, 3, 10000)
    err = err if told else b""
    reader.feed_stderr(err + f"{NONCE} 3\n".encode() if told else b"")
    for size in [*cuts, len(stdout)]:
        assert not (reader.done and stdout)
        piece, stdout = stdout[:size], stdout[size:]
        if piece:
            reader.feed_stdout(piece)
    assert reader.done
    assert (reader.reply.code, reader.reply.stdout, reader.reply.stderr) == (code, out, err)


@pytest.mark.parametrize("shell", SHELLS)
def test_only_commands_that_can_not_change_the_shell_run_in_it(shell: list[str]):
    """Plain commands run without a fork; commands that might change the shell run in a subshell."""
    commands = [
        "true",
        "echo a-b",
        "cat /dev/null",
        "cd /",
        "exit 3",
        "A=1",
        "set -e",
        "false; A=2",
        "$A",
        "nocmd",
    ]
    commands += [
        "readonly A",
        "trap true EXIT",
        "echo x > /dev/null",
        "-",
        "  ",
        "",
        "# x",
        "unset mpbench_n",
        "printf -v mpbench_n x",
        "! true",
    ]
    text = BOOTSTRAP + b"".join(shell_protocol.request(i, c) for i, c in enumerate(commands))
    done = run_shell(shell, text + shell_protocol.request(99, 'echo "$A$mpbench_n$PWD$-"'))
    fresh = run_shell(shell, BOOTSTRAP + shell_protocol.request(99, 'echo "$A$mpbench_n$PWD$-"'))
    tail = f"{NONCE} 99\n".encode()
    assert done.stdout.partition(tail)[2] == fresh.stdout.partition(tail)[2] != b""
    assert [c for c in commands if shell_protocol.is_plain(c)] == [
        "true",
        "echo a-b",
        "cat /dev/null",
        "nocmd",
        "-",
    ]


def test_output_beyond_the_limit_is_refused():
    """Output beyond the reader's limit is an error."""
    reader = ReplyReader(NONCE, 1, 100)
    with pytest.raises(InfrastructureError, match="exceeds 100 bytes"):
        reader.feed_stderr(b"x" * 101)


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("command", ["printf 'a\\0\\377b\\n\\n'; exit 9", "true", "echo out; echo err >&2"])
def test_checked_frames_arrive_undamaged_or_not_at_all(shell: list[str], command: str):
    """A checked frame yields output and exit code; if any byte is changed, it yields nothing."""
    line = shell_protocol.checked_request(4, command)
    done = run_shell(shell, line + b"\n")
    body = done.stdout.strip().removeprefix(b"<").removesuffix(b">")
    plain = run_shell(shell, command.encode())
    reply = shell_protocol.checked_reply(4, body)
    assert reply is not None
    assert reply.code == plain.returncode
    assert reply.stdout == plain.stdout + plain.stderr
    assert shell_protocol.checked_reply(5, body) is None
    for at in range(len(body)):
        changed = body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]
        assert shell_protocol.checked_reply(4, changed) is None
        assert shell_protocol.checked_reply(4, body[:at]) is None


@pytest.mark.parametrize("at", range(30, 400, 17))
def test_a_damaged_request_runs_nothing(at: int, tmp_path: Path):
    """A command that was damaged on the serial line has no reply, and runs nothing."""
    line = shell_protocol.checked_request(4, f"echo x >>{tmp_path}/ran")
    damaged = line[:at] + bytes([line[at] ^ 2]) + line[at + 1 :]
    done = run_shell(["sh"], damaged + b"\n")
    assert b"<4 " not in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_commands_that_no_line_can_carry_are_refused():
    """NUL in any command, and a newline in one for a serial line, are refused."""
    with pytest.raises(UsageError, match="NUL"):
        shell_protocol.request(1, "a\0")
    with pytest.raises(UsageError, match="one line"):
        shell_protocol.checked_request(1, "a\nb")


def test_one_line_shows_controls_and_cuts():
    """Text of a device becomes one line with control characters escaped; long text ends with an ellipsis."""
    assert shell_protocol.one_line("a\n b\x1b[0m") == "a b\\x1b[0m"
    assert shell_protocol.one_line("x" * 400).endswith("…")


# --- errno names --------------------------------------------------------------------------------


@pytest.mark.parametrize("code", sorted(errno.errorcode))
def test_every_strerror_is_understood(code: int):
    """Every error of this C library is recognized in the messages of busybox, GNU and bash."""
    text = os.strerror(code)
    wanted = errno.errorcode[code]
    for message in (
        f"sh: write error: {text}\n",
        f"dd: error writing 'state': {text}\n0+1 records in\n0+0 records out\n",
        f"bash: line 1: printf: write error: {text}\n",
    ):
        assert getattr(errno, errnos.errno_name(message) or "") == getattr(errno, wanted)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("sh: write error: I/O error", "EIO"),
        ("sh: write error: Resource busy", "EBUSY"),
        ("sh: 1: cannot create /x/y: Directory nonexistent", "ENOENT"),
        ("sh: can't create /x/y: nonexistent directory", "ENOENT"),
        ("dd: error writing: Unknown error 524", "ENOTSUPP"),
        ("sh: foo: not found", "ENOENT"),
    ],
)
def test_words_of_musl_and_of_small_shells(text: str, name: str):
    """The different wording of musl and small shells is recognized."""
    assert errnos.errno_name(text) == name


def test_text_without_an_error_names_none():
    """Statistics and unknown text yield no errno."""
    assert errnos.errno_name("0+1 records in\n0+1 records out\n") is None
    assert errnos.errno_name("") is None


# --- many files at once -------------------------------------------------------------------------


READERS = [installed("sh"), installed("busybox", "sh")]


@pytest.mark.parametrize("tool", batch_read.TOOLS, ids=["head", "cat"])
@pytest.mark.parametrize("shell", READERS)
def test_files_come_apart_again(shell: list[str], tool: str, tmp_path: Path):
    """Contents are exact, even if they look like header lines; a file that cannot be opened is None."""
    contents = [b"one\n", b"", b"\n==> /dev/null <==\n", b"\0\0", b"\n", b"no end"]
    paths = [tmp_path / f"it's {number}\n" for number in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    paths[3].unlink()
    asked = batch_read.BatchRead(tuple(str(path) for path in paths))
    done = run_shell(shell, asked.command(tool).encode() + b"; echo rest")
    found, rest = asked.split(Reply(done.returncode, done.stdout, done.stderr))
    assert found == [*contents[:3], b"" if tool == batch_read.TOOLS[1] else None, *contents[4:]]
    assert rest == b"rest\n"


def test_output_that_cannot_be_parsed_is_an_error():
    """Output without all headers in their order is an InfrastructureError."""
    asked = batch_read.BatchRead(("/a", "/b"), prefix="//./")

    def answer(*paths: str) -> bytes:
        return b"\n".join(f"==> //./{path} <==\n".encode() for path in paths)

    whole = ("/dev/null", "/a", "/b", "/./dev/null")
    assert asked.split(Reply(0, answer(*whole), b"")) == ([b"", b""], b"")
    assert asked.split(Reply(1, answer(whole[0], *whole[2:]), b"")) == ([None, b""], b"")
    assert asked.split(Reply(1, answer(whole[0], whole[3]), b"")) == ([None, None], b"")
    for wrong in (whole[1:], whole[:-1], (*whole, "/x"), (whole[0], "/c", *whole[1:]), whole[::-1], ()):
        with pytest.raises(InfrastructureError, match="reading 2 files"):
            asked.split(Reply(0, answer(*wrong), b"e"))
    with pytest.raises(InfrastructureError, match="reading 2 files"):
        asked.split(Reply(0, b"x" + answer(*whole), b"e"))


def test_each_reading_has_a_prefix_of_its_own():
    """The prefix differs for each batch and always denotes the root directory."""
    prefixes = {batch_read.BatchRead(("/a",)).prefix for _ in range(100)}
    assert len(prefixes) > 90
    assert {os.path.normpath(prefix + "/sys") for prefix in prefixes} <= {"/sys", "//sys"}


@pytest.mark.parametrize(
    ("stderr", "failures"),
    [
        (b"", {}),
        (b"cat: /a: No such file or directory\n", {"/a": "ENOENT"}),
        (b"cat: can't open '/a b': Permission denied\n", {"/a b": "EACCES"}),
        (b"cat: '/a b': Is a directory\n", {"/a b": "EISDIR"}),
        (b"head: /a: No such file or directory\n", {"/a": "ENOENT"}),
        (b"head: cannot open '/a b' for reading: Permission denied\n", {"/a b": "EACCES"}),
        (b"head: error reading '/a': Is a directory\n", {"/a": "EISDIR"}),
        (b"cat: read error: Input/output error\n", None),
        (b"head: /a: Input/output error\n", None),
        (b"cat: /a: something new\n", None),
        (b"head: //././a b: No such file or directory\n", {"/a b": "ENOENT"}),
        (b"cat: /elsewhere: No such file or directory\n", None),
    ],
)
def test_whose_error_it_is(stderr: bytes, failures: dict[str, str] | None):
    """An error belongs to the file that the message names; without a clear name there is no guess."""
    asked = batch_read.BatchRead(("/a", "/a b"), prefix="//./.")
    assert asked.failures(Reply(1, b"", stderr)) == failures
