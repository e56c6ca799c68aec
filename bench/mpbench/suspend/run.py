# SPDX-License-Identifier: MIT
"""A suspend as a step: the stages of the bench joined.

    printed  = collect.sleep(request)         touches the board: sleeps
    evidence = collect.after(board)           touches the board: the core, the kernel's log
    observed = parse.suspend_facts(evidence)  pure
    step     = compare(predicted, observed)   pure

The prediction steers collect.after() in one argument: for which line of the kernel to wait if a crash is
predicted.
"""

import time
from collections.abc import Sequence

from attrs import field, frozen

from mpbench.board.identification import boot_id, same_boot
from mpbench.board.protocols import Board
from mpbench.core.compare import compare
from mpbench.core.evidence import Artefact, Evidence, text_of
from mpbench.core.step import Step
from mpbench.suspend import collect, parse
from mpbench.suspend.collect import Request
from mpbench.suspend.facts import LOOKS, PLACES, Place, Sleep, SuspendFacts

RECOVERED = "remote processor {core} is now up"
"""Last line that the kernel logs about a recovery."""


@frozen
class Suspend(Step):
    """A suspend, and how long it was; `sleep` is None if the board refused before it."""

    sleep: Sleep | None = field(default=None)


def suspend(
    board: Board,
    core: str,
    predicted: SuspendFacts,
    request: Request,
    places: Sequence[Place] = (),
    *,
    name: str = "suspend",
) -> Suspend:
    """Suspend and compare. places: memory that the request fills and checks.

    NotAwake if the board does not wake up; InvalidRun if it was reset.
    """
    start_ns, boot = time.monotonic_ns(), boot_id(board)
    mark = board.kmsg.mark()
    printed = collect.sleep(board.session, request)
    last_line = RECOVERED.format(core=core) if predicted.crash else ""
    artefacts = collect.after(board, core, printed, mark, last_line)
    if places:
        listed = "".join(f"{place.line}\n" for place in places)
        artefacts = (*artefacts, Artefact(PLACES, listed.encode()))
    evidence = Evidence(artefacts)
    same_boot(boot, boot_id(board))
    observed = parse.suspend_facts(evidence)
    sections = parse.sections_of(text_of(evidence, LOOKS) or "")
    looks = (parse.look(sections, name) for name in ("before", "after", "later"))
    took_ns = time.monotonic_ns() - start_ns
    agreed = compare(predicted, observed)
    return Suspend(name, core, predicted, observed, agreed, evidence, took_ns, parse.sleep_of(*looks))
