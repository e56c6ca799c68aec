# SPDX-License-Identifier: MIT
"""Fixtures `bench`, `alive` and `image`: deploy firmware and compare the board's answer with the twin."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from attrs import define, evolve

from mpbench.board.protocols import Board
from mpbench.core.compare import compare
from mpbench.core.step import Step, best, with_proof
from mpbench.deployment import collect, run
from mpbench.deployment.facts import DeployFacts, memory_word
from mpbench.deployment.leftover import Leftover, leftover
from mpbench.harness.bench import Bench, reached
from mpbench.harness.firmware import FirmwareFiles
from mpbench.harness.run_state import of
from mpbench.harness.signer import Signer
from mpbench.twin.profile import Profile


@pytest.fixture
def bench(board: Board, strategy: Any, profile: Profile, request: Any) -> Iterator["DeployBench"]:
    """Board API of one test; afterwards no core runs that this test started."""
    strategy.transition("shell")
    state, mark, secure = of(request.config), board.console.mark(), board.secure.position()
    boot = reached(board, state)

    def plain(core: str) -> bytes:
        return Signer(request.getfixturevalue("signing_key"))(
            core, request.getfixturevalue("firmware")("alive", core)
        )

    found = DeployBench(
        board,
        profile,
        state,
        request.node,
        strategy,
        boot,
        console_mark=mark,
        secure_mark=secure,
        plain=plain,
    )
    yield found
    found.settle()


@pytest.fixture
def alive(firmware: FirmwareFiles, core: str) -> bytes:
    """ELF of the bench's firmware that writes its identity and a heartbeat into the trace buffer."""
    return firmware("alive", core)


@pytest.fixture
def image(alive: bytes, core: str, signed: Signer) -> bytes:
    """The firmware `alive`, signed with the board's key."""
    return signed(core, alive)


@pytest.fixture
def loadable(core: str, profile: Profile, request: Any) -> Callable[[bytes], bytes]:
    """`loadable(elf)`: the file that the test's core takes: signed where a TEE loads it, else the ELF."""
    if profile.by_linux(core):
        return lambda elf: elf
    signed: Signer = request.getfixturevalue("signed")
    return lambda elf: signed(core, elf)


def needs_table(profile: Profile, core: str | None) -> None:
    """Skip the test of a core whose driver in Linux reads no resource table; None: of no core."""
    if core and not profile.core(core).reads_table:
        pytest.skip(
            f"{core}: its driver in Linux reads no resource table: it shows no trace buffer, has no RPMsg, "
            "makes no core dump"
        )


@define
class DeployBench(Bench):
    """Deploys firmware; every step is predicted by the twin, compared, and recorded with its evidence.

    plain: firmware for a core, signed without platform records
    """

    plain: Callable[[str], bytes] | None = None

    def deploy(
        self,
        core: str,
        image: bytes,
        identity: str | None = None,
        *,
        original: bytes | None = None,
        name: str = "deploy",
        start: Callable[[], str] | None = None,
        contexts: int = 1,
    ) -> Step:
        """Deploy `image` on an offline core.

        identity: "NAME CORE" that its firmware writes into the trace buffer; None for firmware without the
        trace protocol, whose fields `identity` and `beating` then stay undecided.
        original: the image before it was tampered with; the proof of that becomes evidence.
        name: of the step, in the record. start: another way to start the core with this image.
        contexts: cores loaded since the board booted, which matters for images at the limit of the TA's heap.
        A refusal by the board is a value in the step's `observed`. Raises InfrastructureError and InvalidRun.
        Skips the test if the image may not be sent: may_send().
        """
        self.may_send(core, image)
        self._touch(core)
        self._find_trace(core, image)
        self._started = f"{identity or 'firmware of others'} on {core}"
        predicted = run.predict(self.profile, core, image, identity, contexts=contexts)
        ranges = run.places(self.profile, core, image)

        def deployed() -> Step:
            return run.deployment(self.board, core, image, predicted, look_at=ranges, name=name, start=start)

        step = self._clean(core, deployed) if start is None else deployed()
        if original is not None:
            step = with_proof(step, collect.tamper_proof(original, image, self.sha256(core)))
        self.append(step)
        return step

    def _find_trace(self, core: str, image: bytes) -> None:
        """Have a trace buffer that Linux does not show read where the firmware has it."""
        if self.profile.core(core).reads_table:
            return
        traces, da = self.board.remoteproc.unshown_traces, run.unshown_trace(self.profile, core, image)
        traces.pop(core, None)
        if da is not None:
            traces[core] = da

    def may_send(self, core: str, image: bytes) -> None:
        """Skip the test if the image might stop the board's TEE for all cores until a reset."""
        if why := run.not_sent(self.profile, core, image):
            pytest.skip(why)

    def deploy_either(
        self,
        core: str,
        images: Sequence[bytes],
        identity: str,
        start: Callable[[], str],
        *or_else: DeployFacts,
    ) -> Step:
        """Start a core whose file may hold any of `images`: all fields have to be those of one of them.

        or_else: further facts that would be right. The step is compared with the prediction that fits best.
        """
        self._touch(core)
        predictions = [run.predict(self.profile, core, image, identity) for image in images] + list(or_else)
        ranges = run.places(self.profile, core, images[0])
        step = run.deployment(self.board, core, images[0], DeployFacts(), look_at=ranges, start=start)
        step = best(step, predictions)
        self.append(step)
        return step

    def _clean(self, core: str, deployed: Callable[[], Step]) -> Step:
        """A deployment, repeated if nothing runs for what an earlier image left in the TEE or Linux only.

        That is recorded as a step without a prediction, and undone first: no test is charged for it.
        """
        step, undone = deployed(), set[Leftover]()
        while (found := leftover(step)) is not None and found not in undone:
            undone.add(found)
            unpredicted, name = compare(DeployFacts(), step.observed), f"{step.name}: {found.value}"
            self.append(evolve(step, name=name, predicted=DeployFacts(), comparison=unpredicted))
            if found is Leftover.BOOT_ADDRESS and self.plain is not None:
                self._start_and_stop(core, self.plain(core))
            else:
                self.power_cycle()
                self._touch(core)
            step = deployed()
        return step

    def _start_and_stop(self, core: str, image: bytes) -> None:
        """Start an image without a boot address: it takes the one that is kept; a stop resets it."""
        step = run.deployment(self.board, core, image, DeployFacts(), name="start without BOOTADDR, and stop")
        self.append(step)
        self.leave_offline(core)

    def command(self, core: str, word: str, predicted: DeployFacts, *, file: str = "state") -> Step:
        """Write a word to one of the core's sysfs files and observe the core afterwards.

        The twin does not model what Linux does with it: the caller predicts.
        """
        return self.act(core, predicted, f"{file}: {word.strip()}", lambda: self.write(core, file, word))

    def act(self, core: str, predicted: DeployFacts, name: str, do: Callable[[], str]) -> Step:
        """As command(), but for any action `do`, which returns "OK" or the errno's name."""
        self._touch(core)
        step = run.command(self.board, core, predicted, name, do)
        self.append(step)
        return step

    def memory(self, core: str) -> str:
        """Digest of the core's whole memory, see memory_word. Skips the test on a board without access."""
        if self.board.memory is None:
            pytest.skip("this board's memory can't be read from outside")
        ranges = [(r.pa, r.size) for r in self.profile.core(core).regions]
        return memory_word(collect.memory(self.board.memory, ranges).data.decode().splitlines()) or ""
