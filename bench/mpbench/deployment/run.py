# SPDX-License-Identifier: MIT
"""A deployment as a step: the stages of the bench joined, from the prediction to a comparison.

    predicted = predict(profile, image)          pure: the twin loads the image
    errno     = deploy(board, image)             touches the board, judges nothing
    evidence  = collect.deployment(board, errno) touches the board, keeps bytes
    observed  = parse(evidence)                  pure: text and bytes in, facts out
    step      = compare(predicted, observed)     pure

The prediction also steers collect, in two arguments: `secure_deadline_s`, how long to listen to the secure
console after a refusal (briefly if no line is predicted there), and `look_at`, which memory to read back.
Neither changes what an observation means. The caller records the step.
"""

import time
from collections.abc import Callable, Sequence

from mpbench.board.identification import boot_id, same_boot
from mpbench.board.protocols import Board
from mpbench.core.compare import compare
from mpbench.core.step import Step
from mpbench.deployment import collect, deploy
from mpbench.deployment.facts import DeployFacts
from mpbench.deployment.parse import deploy_facts
from mpbench.deployment.predict import (
    closed_table,
    expect,
    expect_of_linux,
    table_answer,
    to_look_at,
    without_code,
)
from mpbench.twin import linux_elf
from mpbench.twin.linux_table import LOST
from mpbench.twin.loader import load
from mpbench.twin.profile import Profile
from mpbench.twin.values import flatten


def predict(
    profile: Profile, core: str, image: bytes, identity: str | None, *, contexts: int = 1
) -> DeployFacts:
    """Facts that deploying `image` will show, by the twin.

    identity: name and core that the firmware prints, e.g. "alive m33"; None: without the trace protocol
    contexts: cores that were loaded since the board booted, see mpbench.twin.loader.load
    """
    if profile.by_linux(core):
        found = linux_elf.start(image, profile, core)
        return expect_of_linux(found, profile.core(core), identity=identity)
    return expect(load(image, profile, core, contexts=contexts), identity=identity, profile=profile)


def not_sent(profile: Profile, core: str, image: bytes) -> str:
    """Why `image` is never sent to a board, as it may stop the TEE or Linux until a reset; "" if it may be.

    A loader that reads outside of an image, a resource table that the firewall closes to Linux, one for which
    Linux takes memory that it cannot give back, and a core behind a firewall that would start without code.
    """
    loses = profile.allocates == "lost"
    if profile.by_linux(core):
        why = linux_elf.start(image, profile, core).why if loses else ""
    else:
        outcome = load(image, profile, core)
        if outcome.code is None:
            return f"{core}: this image is not sent, its answer is undefined: {outcome.reason.text}"
        tabled = outcome.accepted and outcome.table_offset is not None
        if tabled and (closed := closed_table(outcome, profile)):
            return f"{core}: this image is not sent: {closed}"
        if outcome.accepted and (empty := without_code(outcome, profile)):
            return f"{core}: this image is not sent: {empty}"
        why = table_answer(outcome, profile).why if tabled and loses else ""
    return f"{core}: this image is not sent: {why}" if why == LOST else ""


def places(profile: Profile, core: str, image: bytes) -> tuple[tuple[int, int], ...]:
    """(physical address, size) of the memory to read back after deploying `image`."""
    if profile.by_linux(core):
        return tuple((w.pa, w.size) for w in flatten(linux_elf.start(image, profile, core).constant))
    return to_look_at(load(image, profile, core), profile, core)


def unshown_trace(profile: Profile, core: str, image: bytes) -> int | None:
    """Device address of a trace buffer of the firmware in `image` that Linux does not show, None for none."""
    return linux_elf.start(image, profile, core).unshown if profile.by_linux(core) else None


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
    """Deploy and compare. InvalidRun if the board was reset during the step.

    look_at: (physical address, size) of memory to read back afterwards, see places()
    start: another way to start the core with `image`; returns "OK" or the errno name of the write of `start`
    """
    start_ns = mono_ns()
    boot = boot_id(board)
    before = collect.mark_logs(board.kmsg, board.secure)
    errno = start() if start else deploy.deploy(board.session, board.remoteproc, core, image)
    no_line = predicted.secure_log == ""
    evidence = collect.deployment(
        board,
        before,
        core,
        errno,
        image,
        secure_deadline_s=collect.NO_LINE_DEADLINE_S if no_line else collect.SECURE_DEADLINE_S,
        look_at=look_at,
    )
    same_boot(boot, boot_id(board))
    observed = deploy_facts(evidence)
    return Step(name, core, predicted, observed, compare(predicted, observed), evidence, mono_ns() - start_ns)


def command(board: Board, core: str, predicted: DeployFacts, name: str, do: Callable[[], str]) -> Step:
    """Do something that Linux answers by itself; observe its result and the core's state afterwards.

    do: returns "OK" or the errno's name
    """
    start_ns = time.monotonic_ns()
    before = collect.mark_logs(board.kmsg, board.secure)
    evidence = collect.command(board, before, core, do())
    observed = deploy_facts(evidence)
    took_ns = time.monotonic_ns() - start_ns
    return Step(name, core, predicted, observed, compare(predicted, observed), evidence, took_ns)
