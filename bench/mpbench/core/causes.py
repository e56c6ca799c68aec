# SPDX-License-Identifier: MIT
"""Why an exception was raised, in words: a library's own text is written for who wrote the library. Pure."""

import os
import re
import socket
from collections.abc import Iterator

from mpbench.core.errors import BoardFailure, InfrastructureError, InvalidRun, UsageError

OURS = (InfrastructureError, BoardFailure, UsageError, InvalidRun)
ERRNO = re.compile(r"\[Errno (-?\d+)\]")
"""An errno in the text of an exception that wraps another one."""
DEEPEST = 10


def known(error: BaseException) -> str:
    """The reason in an exception or in one that it wraps; "" if there is none that is known."""
    return next(filter(None, map(_known, _chain(error, DEEPEST))), "")


def words(error: BaseException) -> str:
    """The reason, or type and file of an exception that nobody expected."""
    return known(error) or f"unexpected {type(error).__name__}{_where(error)}"


def _chain(error: BaseException, deepest: int) -> Iterator[BaseException]:
    """The exception and those that it wraps: as cause, context, argument, or `reason` (urllib3)."""
    yield error
    inner = [error.__cause__, *error.args, getattr(error, "reason", None), error.__context__]
    for one in inner if deepest else ():
        if isinstance(one, BaseException):
            yield from _chain(one, deepest - 1)


def _known(error: BaseException) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, OURS):
        return text
    if isinstance(error, socket.gaierror):
        return "unknown host name"
    if isinstance(error, TimeoutError) or re.search("time.?out", type(error).__name__, re.IGNORECASE):
        return "no answer in time"
    number = error.errno if isinstance(error, OSError) else None
    if number is None and (found := ERRNO.search(text)):
        number = int(found[1])
    if number is not None and number > 0:
        return os.strerror(number)
    status = getattr(getattr(error, "response", None), "status_code", None)
    return f"HTTP status {status}" if status else ""


def _where(error: BaseException) -> str:
    """Package and file in which it was raised, as " in labgrid/target.py"."""
    at = error.__traceback__
    if at is None:
        return ""
    while at.tb_next is not None:
        at = at.tb_next
    parts = at.tb_frame.f_code.co_filename.replace("\\", "/").split("/")
    return f" in {'/'.join(parts[-2:])}"
