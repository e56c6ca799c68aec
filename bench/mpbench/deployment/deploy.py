# SPDX-License-Identifier: MIT
"""Bring an image onto a core and ask the board to start it. Judges nothing: a refusal is a value."""

from typing import Protocol

from attrs import frozen

from mpbench.core.errors import LabFault

START_DEADLINE_S = 20.0
"""The write of `start` blocks until the core runs or is refused: milliseconds. This long is a hang."""


class Uploads(Protocol):
    """What deploy needs of a session."""

    def put_bytes(self, data: bytes, path: str) -> None:
        """Make the board's file `path` hold `data`, whole or not at all."""


class Writes(Protocol):
    """What deploy needs of the remoteproc driver."""

    def firmware_path(self, name: str) -> str:
        """Where the kernel looks for the firmware file `name`."""

    def write(self, core: str, file: str, text: str, deadline_s: float) -> str:
        """Write a core's sysfs file; "OK" or the errno's name."""


@frozen
class Deployed:
    """What was done: the core, the firmware's file name, and what the write of `start` returned."""

    core: str
    file: str
    errno: str


def deploy(session: Uploads, remoteproc: Writes, core: str, image: bytes) -> Deployed:
    """Upload the image, name it as the core's firmware, write `start`. The core has to be offline."""
    name = f"mpbench-{core}.fw"
    session.put_bytes(image, remoteproc.firmware_path(name))
    refused = remoteproc.write(core, "firmware", name, START_DEADLINE_S)
    if refused != "OK":
        raise LabFault(f"{core}: firmware name refused with {refused}; the core must be offline first")
    return Deployed(core, name, remoteproc.write(core, "state", "start", START_DEADLINE_S))


def stop(remoteproc: Writes, core: str) -> str:
    """Ask the board to stop a core; "OK" or the errno's name (EINVAL: it was not running)."""
    return remoteproc.write(core, "state", "stop", START_DEADLINE_S)
