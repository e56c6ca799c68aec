# SPDX-License-Identifier: MIT
"""Commands and replies of a persistent shell: the text that crosses the wire. Pure.

The board's shell reads one request per line and answers on both of its streams:

    stdout: [<nonce> <seq>\\n]  the command's bytes, unchanged  <nonce> <seq> <exit code>[ e]\\n
    stderr: [                  the command's bytes, unchanged  <nonce> <seq>\\n]

Which layer detects what:

    bytes lost, changed, doubled   SSH: each packet has a length, a sequence number and a MAC over both
                                   (RFC 4253, 6); the connection ends. Serial line: frames with number,
                                   length and SHA-256 in both directions (see below).
    reply of another command       <seq>
    reply of another shell         <nonce>: 128 random bits per shell; the end of a shell is also the end
                                   of its channel
    truncated reply                the last line is missing; it is one atomic write
    foreign output                 output of an earlier command's background process is dropped up to the
                                   first line. While a command runs, such output cannot be distinguished
                                   from the command's: start such a process by spawn(), which gives it a
                                   channel of its own.

Each part in brackets is one more packet, about 0.2 ms on an emulated board. A plain command, one program with
its arguments, needs no first line while no background process can exist: no command started one
(`starts_background`), and there was never unsolicited output. Its stderr goes into an unlinked file in the
board's RAM first, and from there to the stream; "e" marks a reply with stderr. On a board without space for
such a file stderr always goes directly to the stream, with its last line.
Only the shell's built-ins are used: starting a program per command would take longer than the command.
"""

import re
import shlex
from hashlib import sha256

from attrs import field, frozen

from mpbench.board.session.errnos import errno_name
from mpbench.core.errors import InfrastructureError, UsageError
from mpbench.core.sanitize import decoded, printable

GROUP = "read -r s </proc/$$/stat; set -- ${s##*) }; "
"""Puts the shell's process group into $3. Ref: proc_pid_stat(5), field 5"""

PREAMBLE = (
    GROUP + '[ "$3" = $$ ] && S= || S=$(command -v setsid); case $S in /*) [ -x $S ] || S=;; esac; '
    'exec $S env -i PATH="$PATH:/usr/sbin:/sbin" HOME="$HOME" USER="$USER" LC_ALL=C '
)
"""Replaces the login shell: a clean environment, and a process group of its own (OpenSSH creates one,
dropbear does not), so that a hanging command can be killed with all its children and nothing else. dash's
`command -v` names files that cannot be executed as well."""

LIFELINE = (
    GROUP + '[ "$3" = $$ ] && G=-$$ || G=$$; echo $M $$; echo $M >&2; exec 3<&0 </dev/null; '
    "( cat <&3 >/dev/null; kill -KILL $G ) >/dev/null 2>&1 & exec 3<&-; ( eval %s ); exit $?"
)
"""Runs a command that is killed with its channel, also when the network fails: the end of stdin kills it."""


_REQUESTS = "F=; if [ -p /proc/self/fd/0 ]; then F=/proc/self/fd/9; exec 9<&0 </dev/null; fi; "
"""A shell that reads its requests from a descriptor other than 0 gives every command an empty stdin at no
cost. If stdin cannot be reopened (OpenSSH's is a socket, not a pipe), requests are read from 0."""


SHELL_COMMAND = f"{_REQUESTS}{PREAMBLE}sh $F"
"""What a channel executes to become a framed shell, after `bootstrap` was sent."""


def lifeline_command(command: str, mark: str) -> str:
    """What a channel executes to run `command`.

    Its stdout starts after a line of `mark` and its process id, its stderr after a line of `mark`; the output
    of the login shell precedes them.
    """
    encode(command)
    return f"{PREAMBLE}M={mark} sh -c {shlex.quote(LIFELINE % shlex.quote(command))}"


_BOOTSTRAP = r"""exec 7>&2 9<&-
mpbench_n=%s
mpbench_start() { echo $mpbench_n $1; }
mpbench_end_both() { echo $mpbench_n $1 >&7; echo $mpbench_n $1 $2 e; }
mpbench_end() { mpbench_end_both $1 $2; }
mpbench_run() { mpbench_start $1; { ( eval "$2" 7>&- 8<&- ) </dev/null; } 2>&7; mpbench_end_both $1 $?; }
mpbench_has() { mpbench_x=$(command -v $1) && case $mpbench_x in /*) [ -x $mpbench_x ];; esac; }
mpbench_r='read -r mpbench_x <&8'
( read -r -u 0 mpbench_x ) </dev/null 2>&1 | read -r mpbench_x || mpbench_r='read -r -u 8 mpbench_x'
mpbench_has cat && mpbench_has rm && for mpbench_f in /dev/shm /run /tmp; do
mpbench_f=$mpbench_f/.mpbench.$mpbench_n
( : >>$mpbench_f ) 2>/dev/null || continue
exec 2>>$mpbench_f 8<$mpbench_f; rm -f $mpbench_f
eval 'mpbench_end() { if '"$mpbench_r"' || [ "$mpbench_x" ]; then mpbench_flush; mpbench_end_both $1 $2
else echo "$mpbench_n $1 $2"; fi; }'
mpbench_flush() { cat /proc/$$/fd/8 >&7; : >/proc/$$/fd/8; exec 8</proc/$$/fd/8; }
break
done
"""
"""Descriptors: 7 is the channel's stderr, 8 reads what plain commands write to 2.

mpbench_end runs after every plain command: one function that calls no other and uses only built-ins.
"""


def bootstrap(nonce: str) -> bytes:
    """The first input of a new shell. The nonce is not in the environment of the commands."""
    return (_BOOTSTRAP % nonce).encode()


@frozen
class Reply:
    """Result of a command: exit code (128 + n: killed by signal n), stdout and stderr."""

    code: int
    stdout: bytes = field(repr=False)
    stderr: bytes = field(repr=False)

    @property
    def text(self) -> str:
        """stdout as text, with what could control a terminal escaped."""
        return decoded(self.stdout)

    @property
    def errno(self) -> str | None:
        """errno name found in stderr, None if there is none."""
        return errno_name(self.stderr.decode("utf-8", "backslashreplace"))

    @property
    def error(self) -> str:
        """stderr in one line, for messages."""
        return one_line(self.stderr.decode("utf-8", "backslashreplace"))

    def checked(self, failure: str) -> "Reply":
        """This reply. InfrastructureError, with `failure` and stderr, unless the exit code is 0."""
        if self.code != 0:
            raise InfrastructureError(f"{failure}: {self.error}")
        return self


def one_line(text: object, limit: int = 300) -> str:
    """`text` on one line without control characters, cut to `limit` characters."""
    shown = printable(" ".join(str(text).split()))
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def encode(text: str) -> bytes:
    """A command as bytes; surrogates become the undecodable bytes of file names again. UsageError for NUL."""
    if "\0" in text:
        raise UsageError(f"a command cannot contain a NUL byte: {one_line(repr(text))}")
    return text.encode("utf-8", "surrogateescape")


CHANGES_THE_SHELL = frozenset(
    """
    . alias bg bind break builtin caller chdir cd command compgen complete compopt continue coproc declare
    dirs disown enable eval exec exit export fc fg function getopts hash help history if for while until case
    in do done then else elif fi esac select time jobs kill let local logout mapfile newgrp popd printf pushd
    read readarray readonly return set shift shopt source suspend times trap type typeset ulimit umask unalias
    unset wait
    """.split()  # noqa: SIM905 - one word per line would be 70 lines
)
"""First words of commands that may change the shell that runs them, and reserved words."""

_PLAIN = re.compile(r"[\w/.,:@%+ -]+", re.ASCII)
_BACKGROUND = re.compile(r"(?<![&<>])&(?![&>])")


def starts_background(command: str) -> bool:
    """Whether `command` may start a background process, which shares the shell's streams."""
    return _BACKGROUND.search(command) is not None


def is_plain(command: str) -> bool:
    """Whether `command` is one program with its arguments, which cannot change the shell that runs it."""
    words = command.split(maxsplit=1)
    return bool(words) and words[0] not in CHANGES_THE_SHELL and _PLAIN.fullmatch(command) is not None


def request(seq: int, command: str, *, headed: bool = True, null: bool = False) -> bytes:
    """The line that makes the shell run `command` as number `seq`.

    A subshell confines `cd`, `exit` and variables to the command; forking it is most of the cost of a short
    command (3 ms on an emulated board). A plain command needs no subshell.
    headed: the reply has a first line (always, unless plain); null: the shell's stdin is /dev/null.
    """
    if not is_plain(command):
        return b"mpbench_run %d %s\n" % (seq, encode(shlex.quote(command)))
    head = f"mpbench_start {seq}; " if headed else ""
    stdin = "" if null else " </dev/null"
    return f"{head}{command}{stdin}; mpbench_end {seq} $?\n".encode()


class ReplyReader:
    """Assembles one reply from pieces of both streams, in time linear in their length.

    limit: most bytes of both streams together; InfrastructureError if there are more.
    headed: the reply starts after its first line; without it, with the first byte.
    """

    def __init__(self, nonce: str, seq: int, limit: int, *, headed: bool = True) -> None:
        self._head = f"{nonce} {seq}\n".encode()
        self._tail = f"{nonce} {seq} ".encode()
        self._limit = limit
        self._out, self._err = bytearray(), bytearray()
        self._start = -1 if headed else 0
        self._out_end = self._err_end = -1
        self._code: int | None = None

    @property
    def done(self) -> bool:
        """Whether both streams have ended."""
        return self._code is not None and self._err_end >= 0

    @property
    def reply(self) -> Reply:
        """The reply; valid when `done`."""
        assert self._code is not None
        return Reply(
            self._code, bytes(self._out[self._start : self._out_end]), bytes(self._err[: self._err_end])
        )

    def feed_stdout(self, data: bytes) -> None:
        """Take the next bytes of stdout."""
        since = len(self._out)
        self._grow(self._out, data)
        if self._start < 0:
            at = self._out.find(self._head, max(0, since - len(self._head)))
            if at < 0:
                return
            self._start = since = at + len(self._head)
        self._find_code(since)

    def _find_code(self, since: int) -> None:
        if self._out_end < 0:
            self._out_end = self._out.find(self._tail, max(self._start, since - len(self._tail)))
        if self._out_end < 0 or (line_end := self._out.find(b"\n", self._out_end)) < 0:
            return
        text = bytes(self._out[self._out_end + len(self._tail) : line_end])
        code, _, stderr = text.partition(b" ")
        if not code.isdigit() or stderr not in (b"", b"e"):
            raise InfrastructureError(f"a reply ends with {text[:40]!r} instead of its exit code")
        self._code = int(code)
        if not stderr:
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


_CHECKED = (
    r"""( set -- "$( { ( eval %s ); printf '\n%%s' "$?"; } 2>&1 </dev/null | od -An -v -tx1)"; """
    r"""set -- "$(echo $1)"; set -- "$1" "$(printf %%s "$1" | sha256sum)"; """
    r"""printf '\n<%d %%s %%s %%s>\n' ${#1} "${2%%%% *}" "$1" )"""
)


def checked_request(seq: int, command: str) -> bytes:
    """The line that makes a shell run `command` as number `seq`, unless the line was damaged in transit.

    The reply is stdout and stderr together, as hex, with length and SHA-256.
    """
    script = _CHECKED % (shlex.quote(command), seq)
    digest = sha256(encode(script)).hexdigest()
    line = f'X={shlex.quote(script)}; [ "$(printf %s "$X" | sha256sum)" = "{digest}  -" ] && eval "$X"'
    if "\n" in line or "\r" in line:
        raise UsageError(f"a command for a serial console must be one line: {one_line(repr(command))}")
    return encode(line)


def checked_reply(seq: int, frame: bytes) -> Reply | None:
    """The reply in `frame` (the text between < and >), None if it is damaged or not number `seq`."""
    body = frame.split(b" ", 3)[-1]
    if frame != b"%d %d %s %s" % (seq, len(body), sha256(body).hexdigest().encode(), body):
        return None
    output, _, code = bytes.fromhex(body.decode()).rpartition(b"\n")
    return Reply(int(code), output, b"")
