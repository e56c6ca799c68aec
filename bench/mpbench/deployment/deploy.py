# SPDX-License-Identifier: MIT
"""Bring an image onto a core and ask the board to start it. Judges nothing: a refusal is a value."""

from attrs import frozen

from mpbench.board.protocols import Remoteproc, Session
from mpbench.core.errors import InfrastructureError

START_DEADLINE_S = 20.0
"""The write of `start` blocks until the core runs or is refused: milliseconds. This long is a hang."""


@frozen
class Deployed:
    """What was done: the core, the firmware's file name, and what the write of `start` returned."""

    core: str
    file: str
    errno: str


def deploy(session: Session, remoteproc: Remoteproc, core: str, image: bytes) -> Deployed:
    """Upload the image, name it as the core's firmware, write `start`. The core has to be offline."""
    name = f"mpbench-{core}.fw"
    session.put_bytes(image, remoteproc.firmware_path(name))
    refused = remoteproc.write(core, "firmware", name, START_DEADLINE_S)
    if refused != "OK":
        raise InfrastructureError(
            f"{core}: firmware name refused with {refused}; the core must be offline first"
        )
    return Deployed(core, name, remoteproc.write(core, "state", "start", START_DEADLINE_S))
