# SPDX-License-Identifier: MIT
"""The interrupt of a core's watchdog, as /proc/interrupts lists it.

Ref: Linux kernel/irq/proc.c show_interrupts(); drivers/remoteproc/stm32_rproc.c requests the line under
dev_name() of the core's device.
"""

import shlex

from mpbench.board.protocols import Remoteproc, Session
from mpbench.core.errors import InfrastructureError


def watchdog_line(session: Session, remoteproc: Remoteproc, core: str) -> str:
    """Name of the core's device, e.g. "0.m33", under which /proc/interrupts lists its watchdog.

    InfrastructureError if the core has no device.
    """
    reply = session.execute(f"readlink {shlex.quote(remoteproc.path(core, 'device'))}")
    name = reply.text.strip().rpartition("/")[2]
    if reply.code != 0 or not name:
        raise InfrastructureError(f"{core}: cannot determine its device: {reply.error}")
    return name
