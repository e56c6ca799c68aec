# SPDX-License-Identifier: MIT
"""Fault 42: the secure console's terminal server drops, delays, hangs or loses bytes, on a virtual board.

The board always does what is predicted, so any BoardFailure is a false one. While the console is away a step
gives InfrastructureError; once it is back, steps pass again.
"""

import gc
import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import define
from cryptography.hazmat.primitives.asymmetric import rsa
from labgrid import Environment

from mpbench.board.identification import boot_id
from mpbench.core.errors import InfrastructureError
from mpbench.core.evidence import SECURE_CONSOLE
from mpbench.core.shared_files import CHECKOUT
from mpbench.deployment.fixture import DeployBench
from mpbench.harness.firmware import make
from mpbench.harness.run_state import RunState
from mpbench.harness.signer import Signer
from mpbench.image.keys import load_private_key
from mpbench.twin.profile import load_profile
from mpbench_virtual.keys import signing_key
from testcases.crash_rig import opened
from testcases.faults.conftest import held
from testcases.faults.proxy import Harm, Proxy, lose, proxy_to, swallow, then, unharmed, without_line

pytestmark = pytest.mark.slow

HEALED_S = 30.0


@define
class Rig:
    """A board whose secure console passes through a proxy; images for it."""

    bench: DeployBench
    proxy: Proxy
    images: dict[str, dict[str, bytes]]

    def step(self, core: str, kind: str) -> Any:
        """Deploy an image; afterwards the core is off. BoardFailure would be a false one."""
        try:
            step = self.bench.deploy(core, self.images[core][kind], f"alive {core}")
            step.check("errno", "state", "tee_code", "secure_log")
            return step
        finally:
            if self.bench.state(core) == "running":
                self.bench.stop(core)


@pytest.fixture(autouse=True)
def nothing_leaks(own_place: Path, rig: "Rig") -> Iterator[None]:  # noqa: ARG001 - the board is there before
    """Connections are made anew, so what is held is counted."""
    before = {kind: len(names) for kind, names in held(own_place).items()}
    yield
    deadline = time.monotonic() + 10
    while any(len(names) > before[kind] for kind, names in held(own_place).items()):
        assert time.monotonic() < deadline, f"leaked: {before} became {held(own_place)}"
        gc.collect()
        time.sleep(0.02)


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    """The board is on; images that are accepted, and refused with a line on the secure console."""
    target = Environment(str(CHECKOUT / "targets/virtual-mp25.yaml")).get_target("main")
    port = target.get_resource("NetworkSerialPort", name="secure")
    with proxy_to(port.port, host=port.host) as proxy:
        port.host, port.port = "127.0.0.1", proxy.address
        with opened(target) as board:
            key: Any = load_private_key(signing_key())
            profile = load_profile("virtual-mp25").with_key(key.public_key())
            item: Any = None
            bench = DeployBench(board, profile, RunState(), item, target.get_strategy(), boot_id(board))
            yield Rig(bench, proxy, images(key))
            bench.settle()
        target.get_strategy().transition("off")
        target.cleanup()


def images(key: Any) -> dict[str, dict[str, bytes]]:
    """Per core: a good image, and one with another key's signature."""
    other = rsa.generate_private_key(65537, key.key_size)
    built = {core: (make() / core / "alive.elf").read_bytes() for core in ("m33", "m0")}
    return {
        core: {"good": Signer(key)(core, elf), "foreign": Signer(other)(core, elf)}
        for core, elf in built.items()
    }


def drop(proxy: Proxy, chance: random.Random) -> Harm:
    """The connection is reset, and some new ones too."""
    proxy.refuse = chance.randrange(6)
    proxy.reset()
    proxy.connections.clear()
    return unharmed


def hang(proxy: Proxy, chance: random.Random) -> Harm:
    """The terminal server's process hangs: its connection stays open."""
    proxy.thaw_at = chance.choice((0, 1, 100, 300))
    proxy.frozen.set()
    return unharmed


def delay(proxy: Proxy, chance: random.Random) -> Harm:
    """Everything comes late."""
    proxy.delay_s = chance.uniform(0.05, 7.0)
    return unharmed


def lossy(_: Proxy, chance: random.Random) -> Harm:
    """Single bytes are lost."""
    return lose(chance, chance.choice((20, 100, 500, 2000)))


def black_hole(_: Proxy, chance: random.Random) -> Harm:
    """All bytes of a while are lost."""
    return then(chance.randrange(600), swallow, lambda: unharmed)


HARMS: tuple[Callable[[Proxy, random.Random], Harm], ...] = (drop, hang, delay, lossy, black_hole)


def heal(proxy: Proxy) -> None:
    """The fault is over, whichever it was."""
    proxy.down, proxy.delay_s, proxy.refuse, proxy.thaw_at = unharmed, 0.0, 0, 0
    proxy.frozen.clear()


def test_42_a_healthy_console_is_read_to_its_markers(rig: Rig):
    """Without faults both kinds of images give the predicted log, without the lines of the markers."""
    assert rig.bench.board.secure.proves_silence
    for core in ("m33", "m0"):
        assert rig.step(core, "good").evidence.get(SECURE_CONSOLE) == b""
        printed = rig.step(core, "foreign").evidence.get(SECURE_CONSOLE)
        assert b"Failed to verify signature" in printed
        assert b"get_pager_stats" not in printed


def test_42_a_line_lost_between_two_markers_is_no_failure(rig: Rig):
    """The console loses the line that decides, once; both markers arrive."""
    rig.proxy.down = without_line(b"Can't Authenticate the firmware")
    try:
        with pytest.raises(InfrastructureError, match="when the core was started again: the console lost it"):
            rig.step("m33", "foreign")
        rig.step("m33", "foreign")
    finally:
        heal(rig.proxy)


@pytest.mark.parametrize("harm", HARMS, ids=lambda harm: harm.__name__)
def test_42_a_console_that_was_away_fails_no_step(rig: Rig, harm, chance: random.Random):
    """Steps pass or are INFRA; afterwards they pass again, and none sees an earlier one's lines.

    The fault starts in a step, at a byte of the console; it ends by itself or when some steps have met it.
    """
    met = threading.Event()

    def start() -> Harm:
        met.set()
        return harm(rig.proxy, chance)

    rig.proxy.down = then(chance.randrange(1000), unharmed, start)
    try:
        while not met.is_set():
            attempt(rig, chance)
        for _ in range(chance.randrange(3)):
            attempt(rig, chance)
    finally:
        heal(rig.proxy)
    deadline = time.monotonic() + HEALED_S
    while not attempt(rig, chance):
        assert time.monotonic() < deadline, "no step passes after the fault is over"
    for _ in range(2):
        assert attempt(rig, chance)


def attempt(rig: Rig, chance: random.Random) -> bool:
    """Whether a step passed; it may be INFRA, for the console's sake."""
    fault = ""
    try:
        rig.step(chance.choice(["m33", "m0"]), chance.choice(["good", "foreign"]))
    except InfrastructureError as e:
        fault = str(e)
    assert not fault or "console secure: " in fault or "the console lost it" in fault
    return not fault
