# SPDX-License-Identifier: MIT
"""The one place where the stages meet: predict, deploy, gather, observe, compare, record."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from attrs import asdict, evolve, field, frozen

from mpbench.core.compare import compare
from mpbench.core.errors import BoardFault, Invalidated, LabFault
from mpbench.core.facts import (
    Agreement,
    Artefact,
    Comparison,
    DeployFacts,
    Evidence,
    Facts,
    FieldVerdict,
    Provenance,
    Timeline,
)
from mpbench.core.record import Record
from mpbench.deployment import collect, deploy
from mpbench.deployment.parse import is_virtual, observe, provenance
from mpbench.deployment.predict import expect, to_look_at
from mpbench.twin.loader import load
from mpbench.twin.profile import Profile


class Session(deploy.Uploads, collect.ReadsFiles, Protocol):
    """What a run needs of the session."""


class Remoteproc(deploy.Writes, collect.Reads, Protocol):
    """What a run needs of the remoteproc driver."""


@frozen
class Board:
    """The board as the stages see it; `console` is Linux's, which the boot loaders used before.

    memory: where its memory can be read from outside; None: nowhere, as on silicon
    """

    session: Session
    remoteproc: Remoteproc
    kmsg: collect.Log
    secure: collect.Log
    console: collect.Log
    memory: collect.SeesMemory | None = None


@frozen
class About:
    """Who the board is, whether it is emulated by its own word, and the evidence for both."""

    provenance: Provenance
    virtual: bool
    evidence: Evidence = field(repr=False)


@frozen
class Step:
    """One step: what was predicted, what was seen, how they agree."""

    name: str
    core: str
    predicted: Facts
    observed: Facts
    comparison: Comparison
    evidence: Evidence = field(repr=False)
    duration_ns: int

    def check(self, *decided: str) -> None:
        """BoardFault if a field differs; Invalidated if nothing, or one of `decided`, was not observed."""
        wrong = [_words(f) for f in self.comparison.fields if f.agreement is Agreement.DIFFERS]
        if wrong:
            raise BoardFault(f"{self.name} on {self.core}: {'; '.join(wrong)}")
        open_ = {f.name for f in self.comparison.fields if f.agreement is Agreement.UNDECIDED}
        if missing := open_.intersection(decided):
            raise Invalidated(f"{self.name} on {self.core}: nobody observed {', '.join(sorted(missing))}")
        if len(open_) == len(self.comparison.fields):
            raise Invalidated(f"{self.name} on {self.core}: nothing was observed")


def predict(profile: Profile, core: str, image: bytes, identity: str, *, contexts: int = 1) -> DeployFacts:
    """What deploying `image` will show, by the twin; `identity` is what its firmware says of itself.

    contexts: cores that were loaded since the board booted, see mpbench.twin.loader.load
    """
    return expect(load(image, profile, core, contexts=contexts), identity=identity, profile=profile)


def with_proof(step: Step, artefact: Artefact) -> Step:
    """The step with one more artefact in its evidence."""
    return evolve(step, evidence=Evidence((*step.evidence.artefacts, artefact)))


def best(step: Step, might: Sequence[Facts]) -> Step:
    """The step against the prediction that it fits best: the one with the fewest fields that differ."""
    compared = [(predicted, compare(predicted, step.observed)) for predicted in might]
    predicted, comparison = min(compared, key=lambda pair: pair[1].differing)
    return evolve(step, predicted=predicted, comparison=comparison)


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
    """Deploy and compare. Invalidated if the board was reset meanwhile: then nobody knows what was seen.

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
    observed = observe(evidence)
    return Step(name, core, predicted, observed, compare(predicted, observed), evidence, mono_ns() - begin)


def command(board: Board, core: str, predicted: DeployFacts, name: str, do: Callable[[], str]) -> Step:
    """Something that Linux answers by itself: what the write returned, and how the core is afterwards.

    do: acts, and returns "OK" or the errno's name
    """
    begin = time.monotonic_ns()
    watched = collect.watch(board.kmsg, board.secure)
    evidence = collect.after(board.remoteproc, watched, core, do())
    observed = observe(evidence)
    took_ns = time.monotonic_ns() - begin
    return Step(name, core, predicted, observed, compare(predicted, observed), evidence, took_ns)


def _memory(board: Board, places: Sequence[tuple[int, int]]) -> Iterator[Artefact]:
    """The core's memory, when it is asked for; nothing where nobody can see it."""
    if board.memory is not None and places:
        yield collect.memory(board.memory, places)


def stop(board: Board, core: str) -> None:
    """Stop a running core. BoardFault if the board does not."""
    answer = deploy.stop(board.remoteproc, core)
    state = board.remoteproc.core_state(core)
    if answer != "OK" or state != "offline":
        raise BoardFault(f"{core} does not stop: the write of `stop` gave {answer}, the state is {state}")


def boot_id(board: Board) -> str:
    """The kernel's boot_id as it is now: another one than before means that the board was reset."""
    found = board.session.read(collect.BOOT_ID)
    if isinstance(found, str):
        raise LabFault(f"{collect.BOOT_ID} can't be read: {found}")
    return found.decode("ascii", "backslashreplace").strip()


def about(board: Board) -> About:
    """Ask the board who it is."""
    evidence = collect.about(board.session, board.console, board.secure)
    found = provenance(evidence)
    return About(found, is_virtual(found), evidence)


def same_boot(before: str, after: str) -> None:
    """Invalidated if the board was reset in between."""
    if before != after:
        raise Invalidated(f"the board was reset: boot_id {before} became {after}")


def append(record: Record, test: str, step: Step) -> None:
    """Put a step into the record, its evidence first."""
    record.append(
        "step",
        test=test,
        name=step.name,
        core=step.core,
        fields=[asdict(f) | {"agreement": f.agreement.value} for f in step.comparison.fields],
        evidence=record.keep(step.evidence.artefacts),
        duration_ns=step.duration_ns,
    )


def append_timeline(record: Record, test: str, step: Step, times: Timeline) -> None:
    """Put the dates of a step into the record: those that somebody saw, in order."""
    seen = {name.removesuffix("_ns"): ns for name, ns in asdict(times).items() if ns is not None}
    record.append(
        "timeline",
        test=test,
        name=f"{step.name} on {step.core}",
        events=[[name, ns] for name, ns in sorted(seen.items(), key=lambda event: event[1])],
        source="the board's clock: kernel log and trace buffer",
    )


def _words(f: FieldVerdict) -> str:
    return f"{f.name} was predicted {_word(f.predicted)}, the board showed {_word(f.observed)}"


def _word(value: object) -> str:
    return f"{value:#010x}" if type(value) is int else repr(value)
