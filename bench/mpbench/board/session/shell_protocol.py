# SPDX-License-Identifier: MIT
"""Commands and replies of a persistent shell: the text that crosses the wire. Pure.

The board's shell reads one request per line and answers on both of its streams:

    stdout: [<nonce> <seq>\\n]  the command's bytes, unchanged  <nonce> <seq> <exit code>[ e]\\n
    stderr: [                  the command's bytes, unchanged  <nonce> <seq>\\n]

Which layer notices what:

    bytes lost, changed, doubled   over SSH its packets do: each has a length, a sequence number and a
                                   MAC over both (RFC 4253, 6), and the connection ends. Over a serial
                                   line the frames do: number, length, SHA-256, both ways (see below).
    reply of another command       <seq>
    reply of another shell         <nonce>: 128 random bits of this shell's own; a shell that died is
                                   also the end of its channel
    a reply cut short              the last line is missing; it is one write, which nobody can tear
    foreign output                 what a process left behind by an earlier command wrote before this one
                                   began is dropped, by the first line. What it writes while the command
                                   runs can't be told from the command's own: give such a process a
                                   channel of its own, spawn().

Each bracket is one more packet, some 0.2 ms on an emulated board. A plain command, one program with its
arguments, needs no first line as long as nothing can have been left behind: no command went into the
background (`leaves_behind`), and no byte ever came unasked. What it writes to stderr goes into a nameless
file in the board's RAM first, and from there to the stream; "e" says that there was some. On a board without
room for such a file stderr always comes straight, with its last line.
Only the shell's own built-ins are used: a program started per command would cost more than the command.
"""

import re
import shlex
from hashlib import sha256

from attrs import field, frozen

from mpbench.board.session.errnos import errno_name
from mpbench.core.errors import InfrastructureError, UsageError

GROUP = "read -r s </proc/$$/stat; set -- ${s##*) }; "
"""Leaves the shell's process group in $3. Ref: proc_pid_stat(5), field 5"""

PREAMBLE = (
    GROUP + '[ "$3" = $$ ] && S= || S=$(command -v setsid); '
    'exec $S env -i PATH="$PATH:/usr/sbin:/sbin" HOME="$HOME" USER="$USER" LC_ALL=C '
)
"""Ends a login shell's part: a clean environment, and a process group of its own (OpenSSH makes one,
dropbear does not), so that what hangs can be killed with all its children and nothing else."""

LIFELINE = (
    GROUP + '[ "$3" = $$ ] && G=-$$ || G=$$; echo $M $$; echo $M >&2; exec 3<&0 </dev/null; '
    "( cat <&3 >/dev/null; kill -KILL $G ) >/dev/null 2>&1 & exec 3<&-; ( eval %s ); exit $?"
)
"""A command that dies with its channel, even when the network just vanishes: stdin's end kills the group."""


_REQUESTS = "F=; if [ -p /proc/self/fd/0 ]; then F=/proc/self/fd/9; exec 9<&0 </dev/null; fi; "
"""A shell that reads its requests from another descriptor than 0 has an empty stdin for every command, at
no cost. What can't be opened again (OpenSSH gives a socket, not a pipe) it reads from 0."""


SHELL_COMMAND = f"{_REQUESTS}{PREAMBLE}sh $F"
"""What a channel executes to become a framed shell, once it was told `bootstrap`."""


def lifeline_command(command: str, mark: str) -> str:
    """What a channel executes to run `command`.

    Its stdout begins after a line of `mark` and its process id, its stderr after a line of `mark`;
    what a login shell has to say comes before them.
    """
    encode(command)
    return f"{PREAMBLE}M={mark} sh -c {shlex.quote(LIFELINE % shlex.quote(command))}"


_BOOTSTRAP = r"""exec 7>&2 9<&-
mpbench_n=%s
mpbench_begin() { echo $mpbench_n $1; }
mpbench_told() { echo $mpbench_n $1 >&7; echo $mpbench_n $1 $2 e; }
mpbench_end() { mpbench_told $1 $2; }
mpbench_run() { mpbench_begin $1; { ( eval "$2" 7>&- 8<&- ) </dev/null; } 2>&7; mpbench_told $1 $?; }
mpbench_r='read -r mpbench_x <&8'
( read -r -u 0 mpbench_x ) </dev/null 2>&1 | read -r mpbench_x || mpbench_r='read -r -u 8 mpbench_x'
for mpbench_x in /dev/shm /run /tmp; do
mpbench_f=$mpbench_x/.mpbench.$mpbench_n
command -v cat >/dev/null && command -v rm >/dev/null && ( : >>$mpbench_f ) 2>/dev/null || continue
exec 2>>$mpbench_f 8<$mpbench_f; rm -f $mpbench_f
eval 'mpbench_end() { if '"$mpbench_r"' || [ "$mpbench_x" ]; then mpbench_tell; mpbench_told $1 $2
else echo "$mpbench_n $1 $2"; fi; }'
mpbench_tell() { cat /proc/$$/fd/8 >&7; : >/proc/$$/fd/8; exec 8</proc/$$/fd/8; }
break
done
"""
"""Descriptors: 7 the channel's stderr, 8 what plain commands write to 2.

mpbench_end is what every plain command costs: one function, no call of another, nothing but built-ins.
"""


def bootstrap(nonce: str) -> bytes:
    """What a fresh shell is told first. The nonce is not in the environment of what it runs."""
    return (_BOOTSTRAP % nonce).encode()


@frozen
class Reply:
    """What a command left: exit code (128 + n: died of signal n), and its bytes."""

    code: int
    stdout: bytes = field(repr=False)
    stderr: bytes = field(repr=False)

    @property
    def errno(self) -> str | None:
        """errno name that stderr tells of, None if it tells of none."""
        return errno_name(self.stderr.decode("utf-8", "backslashreplace"))

    @property
    def error(self) -> str:
        """stderr in one line, for messages."""
        return one_line(self.stderr.decode("utf-8", "backslashreplace"))


def one_line(text: object, limit: int = 300) -> str:
    """`text` on one line without control characters, cut to `limit` characters."""
    line = " ".join(str(text).split())
    shown = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in line)
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def encode(text: str) -> bytes:
    """A command's bytes; undecodable bytes of file names survive as surrogates. UsageError for NUL."""
    if "\0" in text:
        raise UsageError(f"a command can't hold a NUL byte: {one_line(repr(text))}")
    return text.encode("utf-8", "surrogateescape")


CHANGES_THE_SHELL = frozenset(
    [
        ".",
        "alias",
        "bg",
        "bind",
        "break",
        "builtin",
        "caller",
        "chdir",
        "cd",
        "command",
        "compgen",
        "complete",
        "compopt",
        "continue",
        "coproc",
        "declare",
        "dirs",
        "disown",
        "enable",
        "eval",
        "exec",
        "exit",
        "export",
        "fc",
        "fg",
        "function",
        "getopts",
        "hash",
        "help",
        "history",
        "if",
        "for",
        "while",
        "until",
        "case",
        "in",
        "do",
        "done",
        "then",
        "else",
        "elif",
        "fi",
        "esac",
        "select",
        "time",
        "jobs",
        "kill",
        "let",
        "local",
        "logout",
        "mapfile",
        "newgrp",
        "popd",
        "printf",
        "pushd",
        "read",
        "readarray",
        "readonly",
        "return",
        "set",
        "shift",
        "shopt",
        "source",
        "suspend",
        "times",
        "trap",
        "type",
        "typeset",
        "ulimit",
        "umask",
        "unalias",
        "unset",
        "wait",
    ]
)
"""First words of commands that may change the shell that runs them, and words that are no command."""

_PLAIN = re.compile(r"[\w/.,:@%+ -]+", re.ASCII)


_BACKGROUND = re.compile(r"(?<![&<>])&(?![&>])")


def leaves_behind(command: str) -> bool:
    """Whether `command` may leave a process that goes on writing to the shell's streams."""
    return _BACKGROUND.search(command) is not None


def is_plain(command: str) -> bool:
    """Whether `command` is one program with its arguments, which can't change the shell that runs it."""
    words = command.split(maxsplit=1)
    return bool(words) and words[0] not in CHANGES_THE_SHELL and _PLAIN.fullmatch(command) is not None


def request(seq: int, command: str, *, headed: bool = True, null: bool = False) -> bytes:
    """The line that makes the shell run `command` as number `seq`.

    A subshell keeps `cd`, `exit` and variables inside the command; forking it is most of the cost of a
    short one (3 ms on an emulated board). A plain command needs none.
    headed: the reply has its first line (always, unless plain); null: the shell's stdin is /dev/null.
    """
    if not is_plain(command):
        return b"mpbench_run %d %s\n" % (seq, encode(shlex.quote(command)))
    head = f"mpbench_begin {seq}; " if headed else ""
    stdin = "" if null else " </dev/null"
    return f"{head}{command}{stdin}; mpbench_end {seq} $?\n".encode()


class ReplyReader:
    """Puts one reply together from pieces of both streams, in time linear in their length.

    limit: bytes that both streams may hold together; InfrastructureError beyond it.
    headed: the reply begins after its first line; else with the first byte.
    """

    def __init__(self, nonce: str, seq: int, limit: int, *, headed: bool = True) -> None:
        self._head = f"{nonce} {seq}\n".encode()
        self._tail = f"{nonce} {seq} ".encode()
        self._limit = limit
        self._out, self._err = bytearray(), bytearray()
        self._begin = -1 if headed else 0
        self._out_end = self._err_end = -1
        self._code: int | None = None

    @property
    def done(self) -> bool:
        """Whether both streams have ended."""
        return self._code is not None and self._err_end >= 0

    @property
    def reply(self) -> Reply:
        """The reply; valid once `done`."""
        assert self._code is not None
        return Reply(
            self._code, bytes(self._out[self._begin : self._out_end]), bytes(self._err[: self._err_end])
        )

    def feed_stdout(self, data: bytes) -> None:
        """Take the next bytes of stdout."""
        since = len(self._out)
        self._grow(self._out, data)
        if self._begin < 0:
            at = self._out.find(self._head, max(0, since - len(self._head)))
            if at < 0:
                return
            self._begin = since = at + len(self._head)
        self._find_code(since)

    def _find_code(self, since: int) -> None:
        if self._out_end < 0:
            self._out_end = self._out.find(self._tail, max(self._begin, since - len(self._tail)))
        if self._out_end >= 0:
            line_end = self._out.find(b"\n", self._out_end)
            if line_end >= 0:
                self._take_last_line(bytes(self._out[self._out_end + len(self._tail) : line_end]))

    def _take_last_line(self, text: bytes) -> None:
        code, _, told = text.partition(b" ")
        if not code.isdigit() or told not in (b"", b"e"):
            raise InfrastructureError(f"a reply ends with {text[:40]!r} where its exit code should be")
        self._code = int(code)
        if not told:
            self._err_end = 0

    def feed_stderr(self, data: bytes) -> None:
        """Take the next bytes of stderr."""
        since = len(self._err)
        self._grow(self._err, data)
        if self._err_end < 0:
            self._err_end = self._err.find(self._head, max(0, since - len(self._head)))

    def _grow(self, stream: bytearray, data: bytes) -> None:
        stream += data
        if len(self._out) + len(self._err) > self._limit:
            raise InfrastructureError(
                f"a command's output exceeds {self._limit} bytes: read it through spawn() or get()"
            )


# --- frames with length and checksum, for lines that lose or change bytes -----------------------

_CHECKED = (
    r"""( set -- "$( { ( eval %s ); printf '\n%%s' "$?"; } 2>&1 </dev/null | od -An -v -tx1)"; """
    r"""set -- "$(echo $1)"; set -- "$1" "$(printf %%s "$1" | sha256sum)"; """
    r"""printf '\n<%d %%s %%s %%s>\n' ${#1} "${2%%%% *}" "$1" )"""
)


def checked_request(seq: int, command: str) -> bytes:
    """The line that makes a shell run `command` as number `seq`, unless the line was damaged on its way.

    It answers with stdout and stderr together, as hex, with length and SHA-256.
    """
    script = _CHECKED % (shlex.quote(command), seq)
    digest = sha256(encode(script)).hexdigest()
    line = f'X={shlex.quote(script)}; [ "$(printf %s "$X" | sha256sum)" = "{digest}  -" ] && eval "$X"'
    if "\n" in line or "\r" in line:
        raise UsageError(f"a command for a serial console must be one line: {one_line(repr(command))}")
    return encode(line)


def checked_reply(seq: int, frame: bytes) -> Reply | None:
    """The reply in `frame` (the text between < and >), or None if it is not number `seq` or damaged."""
    number, _, rest = frame.partition(b" ")
    length, _, rest = rest.partition(b" ")
    digest, _, body = rest.partition(b" ")
    intact = (
        number == b"%d" % seq and length == b"%d" % len(body) and digest == sha256(body).hexdigest().encode()
    )
    if not intact:
        return None
    output, _, code = bytes.fromhex(body.decode()).rpartition(b"\n")
    return Reply(int(code), output, b"")
