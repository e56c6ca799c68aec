# SPDX-License-Identifier: MIT
"""What Linux shows of a TEE and its trusted applications."""

from attrs import frozen

from mpbench.board.protocols import Session

BUS = "/sys/bus/tee/devices"
DEVICES = ("/dev/tee0", "/dev/teepriv0", "/sys/class/tee/tee0")


@frozen
class Tee:
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


def tee(session: Session) -> Tee:
    """Look at the board; one round trip. Ref: Linux drivers/tee/optee/device.c, optee_register_device"""
    looked = session.execute(f'for f in {" ".join(DEVICES)} {BUS}/*; do [ -e "$f" ] && echo "$f"; done; :')
    return parse(looked.stdout.decode("utf-8", "replace").splitlines())


def parse(paths: list[str]) -> Tee:
    """Sort the paths that exist. Pure."""
    prefix = f"{BUS}/optee-ta-"
    return Tee(
        frozenset(p for p in paths if p in DEVICES),
        frozenset(p.removeprefix(prefix).lower() for p in paths if p.startswith(prefix)),
    )
