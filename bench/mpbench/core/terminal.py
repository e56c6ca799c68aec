# SPDX-License-Identifier: MIT
"""Standard output and error of a command: no secret, no control character, no traceback if they fail.

What a command prints quotes names and bytes of others: files, directories, devices. The bench's own colours
pass, and the line end of a terminal in raw mode.
"""

import contextlib
import os
import re
import sys
from collections.abc import Iterator
from typing import TextIO, cast

from mpbench.core.colour import CODES, wanted
from mpbench.core.errors import InfrastructureError
from mpbench.core.sanitize import visible
from mpbench.core.secrets import Redacting, redact

_OWN = re.compile(f"(\x1b\\[(?:{'|'.join((*CODES.values(), '0'))})m|\r\n)")
_LINE_END = re.compile("(\r\n)")


class SafeOutput(Redacting):
    """A stream that is also escaped. InfrastructureError if it cannot be written; a closed pipe stays one."""

    def write(self, text: str) -> int:
        """Write `text` as it may be shown."""
        own = _OWN if wanted(self._stream) else _LINE_END
        shown = "".join(part if n % 2 else visible(part) for n, part in enumerate(own.split(redact(text))))
        with self._failures():
            self._stream.write(shown)
        return len(text)

    def flush(self) -> None:
        """Flush."""
        with self._failures():
            self._stream.flush()

    @contextlib.contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            raise
        except OSError as e:
            discard(self._stream)  # Python flushes it again at its exit
            raise InfrastructureError(f"cannot write to {self._stream.name}: {e.strerror}") from e


def discard(stream: TextIO) -> None:
    """From now on what is written to a standard stream, and what waits in it, goes nowhere."""
    with contextlib.suppress(OSError, ValueError):  # a stream without a descriptor
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@contextlib.contextmanager
def safe_output() -> Iterator[None]:
    """Standard output and error are safe during the block; one that was closed (`>&-`) takes everything."""
    before = sys.stdout, sys.stderr
    with contextlib.ExitStack() as nowhere:
        streams = [one or nowhere.enter_context(open(os.devnull, "w")) for one in before]
        sys.stdout, sys.stderr = (cast(TextIO, SafeOutput(stream)) for stream in streams)
        try:
            yield
        finally:
            sys.stdout, sys.stderr = before
