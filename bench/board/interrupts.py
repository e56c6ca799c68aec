# SPDX-License-Identifier: MIT
"""The interrupt of a core's watchdog, as /proc/interrupts lists it.

Ref: Linux kernel/irq/proc.c show_interrupts(); drivers/remoteproc/stm32_rproc.c requests the line under
dev_name() of the core's device.
"""

import shlex
from typing import Protocol

from bench.board.frame import Reply
from bench.errors import LabFault


class Executes(Protocol):
    """What is needed of a session."""

    def execute(self, command: str, timeout_s: float | None = None) -> Reply:
        """Run a command on the board."""


class Finds(Protocol):
    """What is needed of the remoteproc driver."""

    def path(self, core: str, file: str) -> str:
        """Path of a core's sysfs file."""


def watchdog_line(session: Executes, remoteproc: Finds, core: str) -> str:
    """Name of the core's device, which its interrupt has as well, e.g. "0.m33". LabFault if there is none."""
    reply = session.execute(f"readlink {shlex.quote(remoteproc.path(core, 'device'))}")
    name: str = reply.stdout.decode("utf-8", "backslashreplace").strip().rpartition("/")[2]
    if reply.code != 0 or not name:
        raise LabFault(f"{core}: its device is unknown: {reply.error}")
    return name
