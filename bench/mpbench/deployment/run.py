# SPDX-License-Identifier: MIT
"""The one place where the stages meet: predict, deploy, gather, observe, compare, record."""

import time
from collections.abc import Callable, Iterator, Sequence

from mpbench.board.identification import boot_id, same_boot
from mpbench.board.protocols import Board
from mpbench.core.compare import compare
from mpbench.core.evidence import Artefact
from mpbench.core.step import Step
from mpbench.deployment import collect, deploy
from mpbench.deployment.facts import DeployFacts
from mpbench.deployment.parse import deploy_facts
from mpbench.deployment.predict import expect, to_look_at
from mpbench.twin.loader import load
from mpbench.twin.profile import Profile


def predict(profile: Profile, core: str, image: bytes, identity: str, *, contexts: int = 1) -> DeployFacts:
    """What deploying `image` will show, by the twin; `identity` is what its firmware says of itself.

    contexts: cores that were loaded since the board booted, see mpbench.twin.loader.load
    """
    return expect(load(image, profile, core, contexts=contexts), identity=identity, profile=profile)


def places(profile: Profile, core: str, image: bytes) -> tuple[tuple[int, int], ...]:
    """Which memory decides whether the board did with `image` as predicted."""
    return to_look_at(load(image, profile, core), profile, core)


def deployment(
    board: Board,
    core: str,
    image: bytes,
    predicted: DeployFacts,
    mono_ns: Callable[[], int] = time.monotonic_ns,
    *,
    look_at: Sequence[tuple[int, int]] = (),
    name: str = "deploy",
    start: Callable[[], str] | None = None,
) -> Step:
    """Deploy and compare. InvalidRun if the board was reset meanwhile: then nobody knows what was seen.

    look_at: places (physical address, size) that the core's memory is looked at in afterwards
    start: another way to have the core started with `image`; returns what the write of `start` gave
    """
    begin = mono_ns()
    boot = boot_id(board)
    watched = collect.watch(board.kmsg, board.secure)
    errno = start() if start else deploy.deploy(board.session, board.remoteproc, core, image).errno
    mute = predicted.secure_log == ""
    evidence = collect.gather(
        board.remoteproc,
        watched,
        core,
        errno,
        image,
        seen=_memory(board, look_at),
        secure_deadline_s=collect.MUTE_DEADLINE_S if mute else collect.SECURE_DEADLINE_S,
    )
    same_boot(boot, boot_id(board))
    observed = deploy_facts(evidence)
    return Step(name, core, predicted, observed, compare(predicted, observed), evidence, mono_ns() - begin)


def command(board: Board, core: str, predicted: DeployFacts, name: str, do: Callable[[], str]) -> Step:
    """Something that Linux answers by itself: what the write returned, and how the core is afterwards.

    do: acts, and returns "OK" or the errno's name
    """
    begin = time.monotonic_ns()
    watched = collect.watch(board.kmsg, board.secure)
    evidence = collect.after(board.remoteproc, watched, core, do())
    observed = deploy_facts(evidence)
    took_ns = time.monotonic_ns() - begin
    return Step(name, core, predicted, observed, compare(predicted, observed), evidence, took_ns)


def _memory(board: Board, places: Sequence[tuple[int, int]]) -> Iterator[Artefact]:
    """The core's memory, when it is asked for; nothing where nobody can see it."""
    if board.memory is not None and places:
        yield collect.memory(board.memory, places)
