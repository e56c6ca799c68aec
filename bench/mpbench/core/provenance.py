# SPDX-License-Identifier: MIT
"""Which board it is: from its files and the banners of its boot chain. Pure."""

import re
from collections.abc import Iterator, Mapping

from mpbench.core.evidence import Evidence, text_of
from mpbench.core.facts import Provenance
from mpbench.core.sanitize import decoded

BANNERS = {
    "tf-a": re.compile(r"BL(?:2|31): (v\d\S*)"),  # a 32-bit OP-TEE replaces BL31: BL2 is the last
    "u-boot": re.compile(r"U-Boot (\d{4}\.\d\d\S*)"),
    "op-tee": re.compile(r"OP-TEE version: (.+?)(?: #|$)", re.MULTILINE),
}
"""Versions that the boot chain prints.

Ref: TF-A bl2/bl2_main.c, bl31/bl31_main.c, U-Boot include/version.h, OP-TEE core/arch/arm/kernel/boot.c
"""

FIRMWARE = "firmware "
"""Start of the name of a firmware's hash."""

CORE_DRIVERS = "core drivers"
"""Entry: Linux' driver of each core."""

PROFILE_FIT = "profile fit"
"""Entry: whether the board reports what the profile assumes; one of the words below, a colon, and why."""
FITS, ASSUMED, DIFFERS = "fits", "assumed", "differs"
"""The board reports what the profile has; does not report all of it; reports something else."""


def unconfirmed(entries: Mapping[str, str]) -> str:
    """What a reader has to know of the profile: that it is assumed or differs, and why; "" if it fits."""
    word, _, why = entries.get(PROFILE_FIT, "").partition(": ")
    profile = f"profile {entries.get('profile', 'unknown')}"
    return {ASSUMED: f"{profile} is assumed: {why}", DIFFERS: f"{profile} does not fit: {why}"}.get(word, "")


def provenance(evidence: Evidence) -> Provenance:
    """Identification of the board: from its files, and the versions that boot loaders and TEE printed."""
    entries = {
        a.name.removeprefix("about."): _plain(a.data) for a in evidence.artefacts if "about." in a.name
    }
    printed = {
        name: text for a in evidence.artefacts for name, text in _banners(text_of(evidence, a.name) or "")
    }
    return Provenance({name: text for name, text in (printed | entries).items() if text})


def _banners(text: str) -> Iterator[tuple[str, str]]:
    """(name, version) of every banner; of several boots the last one."""
    for name, pattern in BANNERS.items():
        if found := pattern.findall(text):
            yield name, found[-1].strip()


def _plain(data: bytes) -> str:
    """A file's text on one line: device-tree strings end with NUL, lists are separated by it."""
    return ", ".join(decoded(part) for part in data.strip(b"\0\n").split(b"\0"))


QEMU_VENDOR = "0x554d4551"
"""Vendor of QEMU's virtio devices. Ref: QEMU hw/virtio/virtio-mmio.c, VIRT_VENDOR"""


def is_virtual(found: Provenance) -> bool:
    """Whether the board is emulated: by its device tree, by a virtio device, or by what emulates it.

    A board with a distribution's own device tree does not say so there.
    """
    entries = found.entries
    by_tree = "mpbench,virt" in entries.get("compatible", "")
    return by_tree or entries.get("virtio_vendor") == QEMU_VENDOR or "qemu" in entries
