# SPDX-License-Identifier: MIT
"""What was tested, in groups, run by run: names, texts and hashes. Pure."""

import re
from collections.abc import Iterable, Sequence

from attrs import frozen

from mpbench.core.provenance import CORE_DRIVERS, FIRMWARE, PROFILE_FIT
from mpbench.report.model import ASKED, Page, RunView

_OWN = frozenset({"boot_id", "operator"})
"""What differs between any two runs and explains nothing."""

UNREPORTED = "not reported by the board"

GROUPS = {
    "Board": ("model", "compatible", "serial", "soc_id", "soc_revision", "soc_serial", "place", "boot_id",
              "profile", PROFILE_FIT),
    "Software": ("tf-a", "op-tee", "u-boot", "kernel", CORE_DRIVERS, "kernel-command-line", "qemu"),
    "Firmware": ("signing key",),
}  # fmt: skip
"""Names of the provenance by group; firmware is known by its start, all others are the run's."""
RUN = "Run"


@frozen
class ProvenanceRow:
    """One name of the provenance, its text in every run ("" where it is unknown)."""

    name: str
    values: tuple[str, ...]

    @property
    def label(self) -> str:
        """The name inside its group."""
        return self.name.removeprefix(FIRMWARE)

    @property
    def differs(self) -> bool:
        return self.name not in _OWN and len(set(self.values)) > 1

    @property
    def unreported(self) -> bool:
        return set(self.values) == {UNREPORTED}


@frozen
class ProvenanceGroup:
    """The rows of a group; those that no board reported are only named."""

    name: str
    rows: tuple[ProvenanceRow, ...]
    unreported: tuple[str, ...]


def provenance(page: Page) -> tuple[ProvenanceGroup, ...]:
    """What was tested, by group."""
    rows = list(_entries(page.runs))
    found = []
    for name in (*GROUPS, RUN):
        own = [row for row in rows if group_of(row.name) == name]
        missing = tuple(row.name for row in own if row.unreported)
        if own:
            found.append(ProvenanceGroup(name, tuple(row for row in own if not row.unreported), missing))
    return tuple(found)


def group_of(name: str) -> str:
    """Group of a name of the provenance."""
    if name.startswith(FIRMWARE):
        return "Firmware"
    return next((group for group, names in GROUPS.items() if name in names), RUN)


def _entries(runs: Sequence[RunView]) -> Iterable[ProvenanceRow]:
    names = [name for run in runs if run.provenance for name in (*ASKED, *run.provenance)]
    for name in dict.fromkeys(names):
        yield ProvenanceRow(name, tuple(run.provenance.get(name, _unknown(run, name)) for run in runs))
    yield ProvenanceRow("bench", tuple(run.bench for run in runs))
    yield ProvenanceRow("command", tuple(run.command for run in runs))


def _unknown(run: RunView, name: str) -> str:
    """Who signs the page sees what the board did not report."""
    return UNREPORTED if run.provenance and name in ASKED else ""


_HASH = re.compile(r"(\b[0-9a-f]{40,64}\b)")


def hashes(text: str) -> list[tuple[str, bool]]:
    """Parts of a text, and whether each is a hash."""
    return [(part, n % 2 == 1) for n, part in enumerate(_HASH.split(text)) if part]
