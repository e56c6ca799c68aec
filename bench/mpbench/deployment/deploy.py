# SPDX-License-Identifier: MIT
"""Upload an image and start a core with it. Judges nothing: a refusal is a value."""

from mpbench.board.protocols import Remoteproc, Session
from mpbench.core.errors import InfrastructureError

START_DEADLINE_S = 20.0
"""The write of `start` blocks for milliseconds, until the core runs or is refused. This long is a hang."""


def deploy(session: Session, remoteproc: Remoteproc, core: str, image: bytes) -> str:
    """Upload the image, set it as the core's firmware, write `start`. The core has to be offline.

    Returns "OK", or the errno name of writing `start`. InfrastructureError if the firmware's name is refused.
    """
    name = f"mpbench-{core}.fw"
    session.put_bytes(image, remoteproc.firmware_path(name))
    refused = remoteproc.write(core, "firmware", name, START_DEADLINE_S)
    if refused != "OK":
        raise InfrastructureError(
            f"{core}: firmware name refused with {refused}; the core must be offline first"
        )
    return remoteproc.write(core, "state", "start", START_DEADLINE_S)
