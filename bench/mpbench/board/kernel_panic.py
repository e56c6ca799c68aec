# SPDX-License-Identifier: MIT
"""A panic of the board's kernel, as its console shows it.

Ref: Linux kernel/panic.c, panic(): "Kernel panic - not syncing: REASON"
"""

import re

from mpbench.core.sanitize import decoded

_PANIC = re.compile(rb"Kernel panic - not syncing: ([^\r\n]*)")


def panic_in(console: bytes) -> str:
    """Reason of the first panic in a console's output, "" without one. Pure."""
    found = _PANIC.search(console)
    return "" if found is None else decoded(found[1]).strip() or "no reason given"
