# SPDX-License-Identifier: MIT
"""A TEE and its trusted applications as Linux presents them."""

from attrs import frozen

from mpbench.board.protocols import Session

BUS = "/sys/bus/tee/devices"
DEVICES = ("/dev/tee0", "/dev/teepriv0", "/sys/class/tee/tee0")


@frozen
class TeeDevices:
    """Device files that exist, and UUIDs of trusted applications that registered on the TEE bus."""

    devices: frozenset[str]
    applications: frozenset[str]

    @property
    def present(self) -> bool:
        """Whether user space can talk to a TEE."""
        return "/dev/tee0" in self.devices

    def has(self, uuid: str) -> bool:
        """Whether a trusted application with this UUID is on the bus."""
        return uuid.lower() in self.applications


def tee(session: Session) -> TeeDevices:
    """Read them from the board in one round trip. Ref: Linux drivers/tee/optee/device.c"""
    listed = session.execute(f'for f in {" ".join(DEVICES)} {BUS}/*; do [ -e "$f" ] && echo "$f"; done; :')
    return parse(listed.text.splitlines())


def parse(paths: list[str]) -> TeeDevices:
    """From the paths that exist on the board. Pure."""
    prefix = f"{BUS}/optee-ta-"
    return TeeDevices(
        frozenset(p for p in paths if p in DEVICES),
        frozenset(p.removeprefix(prefix).lower() for p in paths if p.startswith(prefix)),
    )
