# SPDX-License-Identifier: MIT
"""Identification of the board and of its boot, collected from its files and consoles."""

from attrs import field, frozen

from mpbench.board.protocols import Board, Log, Session
from mpbench.core.errors import InfrastructureError, InvalidRun
from mpbench.core.evidence import SECURE_CONSOLE, Artefact, Evidence
from mpbench.core.facts import Provenance
from mpbench.core.provenance import is_virtual, provenance
from mpbench.core.sanitize import decoded

BOOT_ID = "/proc/sys/kernel/random/boot_id"
_TREE = "/proc/device-tree"
_SOC = "/sys/devices/soc0"

ABOUT = {
    "about.kernel": "/proc/version",
    "about.kernel-command-line": "/proc/cmdline",
    "about.boot_id": BOOT_ID,
    "about.model": f"{_TREE}/model",
    "about.compatible": f"{_TREE}/compatible",
    "about.serial": f"{_TREE}/serial-number",
    "about.u-boot": f"{_TREE}/chosen/u-boot,version",
    "about.soc_id": f"{_SOC}/soc_id",
    "about.soc_revision": f"{_SOC}/revision",
    "about.soc_serial": f"{_SOC}/serial_number",
    "about.virtio_vendor": "/sys/bus/virtio/devices/virtio0/vendor",
}
"""Artefact → file that identifies the board; many boards have only some of them."""

CONSOLE = "console"


@frozen
class About:
    """Provenance of the board, whether it is emulated, and the evidence for both."""

    provenance: Provenance
    virtual: bool
    evidence: Evidence = field(repr=False)


def boot_id(board: Board) -> str:
    """The kernel's current boot_id; a different one than before means that the board was reset."""
    found = board.session.read(BOOT_ID)
    if isinstance(found, str):
        raise InfrastructureError(f"cannot read {BOOT_ID}: {found}")
    return decoded(found).strip()


def about(board: Board) -> About:
    """Collect and parse the identification of the board."""
    evidence = collect(board.session, board.console, board.secure)
    found = provenance(evidence)
    return About(found, is_virtual(found), evidence)


def same_boot(before: str, after: str) -> None:
    """InvalidRun if the board was reset in between."""
    if before != after:
        raise InvalidRun(f"the board was reset: boot_id {before} became {after}")


def collect(session: Session, console: Log, secure: Log) -> Evidence:
    """Board identification: its files, and the output of both consoles since the start of the run."""
    found = session.read_many(ABOUT.values())
    artefacts = [
        Artefact(name, data) for name, path in ABOUT.items() if isinstance(data := found[path], bytes)
    ]
    artefacts += [Artefact(CONSOLE, console.since(0)), Artefact(SECURE_CONSOLE, secure.since(0))]
    return Evidence(tuple(artefacts))
