# SPDX-License-Identifier: MIT
"""errno names from the error text of a tool that ran on a board.

A board's C library words some errors differently from the lab host's, so three vocabularies are known:
the host's, musl's, and that of busybox ash and dash for failed redirections.

Ref: musl src/errno/__strerror.h; busybox shell/ash.c and dash src/error.c, errmsg()
"""

import errno
import os

OK = "OK"

_MUSL = {
    "Result not representable": "ERANGE",
    "Not a tty": "ENOTTY",
    "Value too large for data type": "EOVERFLOW",
    "Out of memory": "ENOMEM",
    "Resource busy": "EBUSY",
    "Invalid seek": "ESPIPE",
    "Cross-device link": "EXDEV",
    "Operation timed out": "ETIMEDOUT",
    "Host is unreachable": "EHOSTUNREACH",
    "Address in use": "EADDRINUSE",
    "I/O error": "EIO",
    "Symbolic link loop": "ELOOP",
    "Filename too long": "ENAMETOOLONG",
    "No file descriptors available": "EMFILE",
    "No child process": "ECHILD",
    "Resource deadlock would occur": "EDEADLK",
    "Previous owner died": "EOWNERDEAD",
    "Operation canceled": "ECANCELED",
    "Device timeout": "ETIME",
    "Out of streams resources": "ENOSR",
    "Socket type not supported": "ESOCKTNOSUPPORT",
    "Not supported": "EOPNOTSUPP",
    "Address not available": "EADDRNOTAVAIL",
    "Connection reset by network": "ENETRESET",
    "Connection aborted": "ECONNABORTED",
    "Socket not connected": "ENOTCONN",
    "Cannot send after socket shutdown": "ESHUTDOWN",
    "Operation in progress": "EINPROGRESS",
    "Data consistency error": "EUCLEAN",
    "Quota exceeded": "EDQUOT",
    "Wrong medium type": "EMEDIUMTYPE",
    "Missing file descriptor": "EBADF",
}
_GLIBC = {
    "Input/output error": "EIO",
    "Device or resource busy": "EBUSY",
    "Cannot allocate memory": "ENOMEM",
    "Connection timed out": "ETIMEDOUT",
    "Operation not supported": "EOPNOTSUPP",
    "File name too long": "ENAMETOOLONG",
    "Too many levels of symbolic links": "ELOOP",
    "No route to host": "EHOSTUNREACH",
    "Numerical result out of range": "ERANGE",
    "Inappropriate ioctl for device": "ENOTTY",
}
_SHELLS = {
    "Directory nonexistent": "ENOENT",
    "nonexistent directory": "ENOENT",
    "no such file": "ENOENT",
    "No such file": "ENOENT",
    "not found": "ENOENT",
}
# Linux keeps kernel-internal numbers from user space, but some drivers return this one.
_KERNEL = {"Unknown error 524": "ENOTSUPP", "No error information": "ENOTSUPP"}

_HOST = {os.strerror(code): name for code, name in sorted(errno.errorcode.items())}
NAMES: dict[str, str] = _HOST | _GLIBC | _MUSL | _SHELLS | _KERNEL
"""strerror text → errno name."""


def errno_name(text: str) -> str | None:
    """errno name of the error that a tool reported in `text` (its whole stderr), None if no line names one.

    The text after a ": " decides, as in `dd: error writing 'state': Input/output error`; other lines, such as
    statistics, are skipped, and the last error counts.
    """
    for line in reversed(text.splitlines()):
        words = line.split(": ")
        for first in range(len(words)):
            name = NAMES.get(": ".join(words[first:]).strip())
            if name is not None:
                return name
    return None
