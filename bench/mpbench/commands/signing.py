# SPDX-License-Identifier: MIT
"""What `mpbench sign --profile` knows of the core that an image is for: joins profiles and signer."""

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from mpbench.core.errors import UsageError

if TYPE_CHECKING:
    from mpbench.image.signing_target import SigningTarget
    from mpbench.twin.memory import Core
    from mpbench.twin.profile import Profile

# Imports in the function: the twin takes longer to import than `--help` may take.
# ruff: noqa: PLC0415


def signing_target(profile: str | None, core: str | None) -> "SigningTarget":
    """What a profile has of a core that an image is signed for. UsageError: no such one, or which?"""
    from mpbench.commands.predict import name_or_id, profile_of
    from mpbench.image.signing_target import LoadableMemory, SigningTarget

    found = profile_of(profile)
    if core is None and len(found.cores) > 1:
        raise UsageError(f"profile {found.name}: which core? --core {'|'.join(c.name for c in found.cores)}")
    one = found.cores[0] if core is None else found.core(name_or_id(core))
    memory = [
        LoadableMemory(r.name, r.da, r.size, r.may("linux"), r.may("core-secure") and not r.may("core"))
        for r in one.regions
    ]
    says = partial(_answer, found, one)
    return SigningTarget(memory, one.vectors, one.vectors is None, found.key_in_image, found.name, says)


def _answer(profile: "Profile", core: "Core", image: bytes) -> list[str]:
    """What the twin says if TEE or Linux do not take a signed image whole, its signature taken for valid."""
    from mpbench.deployment.predict import table_answer
    from mpbench.layout import tee_name
    from mpbench.twin.openstlinux_machine import loader_of

    board = f"profile {profile.name}"
    if profile.by_linux(core):
        return [
            f"{board}: Linux loads this core's firmware by itself and takes no signed image "
            "(`Image is corrupted (bad magic)`): give it the ELF"
        ]
    outcome = loader_of(profile.with_verifier(lambda _digest, _signature: True)).load(core.id, image)
    if outcome.code is None:
        return []
    if not outcome.accepted:
        code = f"{tee_name(outcome.code)} ({outcome.code:#010x})"
        refused = f"{board} refuses this image: {outcome.detail}: {code}"
        return [", ".join((refused, *_shown(outcome.console)))]
    linux = table_answer(outcome, profile)
    if linux.errno in (None, "OK"):
        return [f"{board}: {note}" for note in linux.notes]
    refused = f"{board}: Linux refuses the resource table and does not start the core ({linux.errno})"
    return ["; ".join((", ".join((refused, *_shown(linux.lines))), *linux.notes))]


def _shown(lines: Iterable[str]) -> list[str]:
    return [f"`{line}`" for line in lines]
