# SPDX-License-Identifier: MIT
"""Fixtures of a test case: the board, its cores' firmware, and `bench`, which does the steps."""

import contextlib
import getpass
import hashlib
import re
import shlex
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field
from cryptography.hazmat.primitives.asymmetric import rsa

from mpbench.board.kernel_log import KmsgFollower
from mpbench.core.errors import LabFault, Misuse
from mpbench.core.facts import TAMPER, Artefact, DeployFacts, Measurement, Outlier, memory_word
from mpbench.deployment import collect, run
from mpbench.harness import place_lock
from mpbench.harness.run_state import CHECKOUT, RunState, of
from mpbench.image.keys import fingerprint, is_default_key, load_private_key
from mpbench.notification.measure import longest
from mpbench.plugin.collection import profile_of
from mpbench.twin.profile import Profile

RECONNECT_S = 30.0
WRITE_S = 20.0
FIRMWARE = CHECKOUT / "firmware"


@pytest.fixture(scope="session")
def signing_key(env: Any, target: Any) -> rsa.RSAPrivateKey:
    """Private key whose public half is inside the board's OP-TEE.

    Option `bench_signing_key` of the environment (relative to its file), or the virtual board's own.
    """
    key = load_private_key(signing_key_path(env, target))
    if not isinstance(key, rsa.RSAPrivateKey):
        raise Misuse(f"{signing_key_path(env, target)}: OP-TEE verifies RSA signatures only")
    return key


def signing_key_path(env: Any, target: Any) -> Path:
    """The key's file, by the option or by the resource that has one."""
    with contextlib.suppress(KeyError):
        return Path(env.config.resolve_path(env.config.get_option("bench_signing_key")))
    for resource in target.resources:
        if path := getattr(resource, "firmware_key", None):
            return Path(path)
    raise Misuse(f"{env.config_file}: no signing key; give `options: {{bench_signing_key: PATH}}` (PEM)")


@pytest.fixture(scope="session")
def profile(env: Any, signing_key: rsa.RSAPrivateKey) -> Profile:
    """The twin's profile of this board, with the board's key in its TEE."""
    return profile_of(env.config).with_key(signing_key.public_key())


@pytest.fixture(scope="session")
def firmware(request: Any) -> Callable[[str, str], bytes]:
    """`firmware(name, core)` → the ELF, made again if this checkout's sources are newer."""
    make()
    brought = of(request.config).brought

    def elf(name: str, core: str) -> bytes:
        data = (FIRMWARE / "build" / core / f"{name}.elf").read_bytes()
        brought[f"firmware {name} {core}"] = f"sha256 {hashlib.sha256(data).hexdigest()}"
        return data

    return elf


def make(directory: Path = FIRMWARE, goal: str = "all") -> None:
    """Build the firmware, or another goal of its Makefile. LabFault with what make said last."""
    command: list[str | Path] = ["make", "-s", "-C", directory, goal]
    try:
        made = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as e:
        raise LabFault("make is not installed; it builds the firmware") from e
    if made.returncode:
        raise LabFault(f"make -C {directory} failed: {' / '.join(made.stderr.strip().splitlines()[-3:])}")


@pytest.fixture(scope="session")
def board(strategy: Any, target: Any, signing_key: rsa.RSAPrivateKey, request: Any) -> run.Board:
    """The board, booted, with a reader on every console and on the kernel log until the run ends."""
    state = of(request.config)
    strategy.transition("shell")
    session = target.get_driver("SessionDriver")
    found = run.Board(
        session=session,
        remoteproc=target.get_driver("RemoteprocDriver"),
        kmsg=KmsgFollower(session),
        secure=target.get_driver("ConsoleRecorder", name=secure_console(target)),
        console=target.get_driver("ConsoleRecorder", name="console"),
        memory=next((r for r in target.resources if hasattr(r, "read_memory")), None),
    )
    more = {"profile": profile_of(target.env.config).name} | sources(target.env.config_file, signing_key)
    more |= place_lock.who(target) | operator(state.variables)
    state.board_is(run.about(found), more)
    return found


def secure_console(target: Any) -> str:
    """Name of the recorder that hears OP-TEE: Linux's own where both share a UART, as on ST's boards."""
    return "secure" if any(driver.name == "secure" for driver in target.drivers) else "console"


def tamper_proof(original: bytes, tampered: bytes, on_board: str) -> Artefact:
    """That an image was tampered with, and that this is what the board had, by three hashes.

    Misuse if nothing was changed; LabFault if the board had something else.
    """
    before, after = (hashlib.sha256(data).hexdigest() for data in (original, tampered))
    if before == after:
        raise Misuse(f"the image was not changed at all: SHA-256 {before} before and after")
    if on_board != after:
        raise LabFault(f"the board's file has SHA-256 {on_board}, the tampered image {after}")
    return Artefact(TAMPER, f"before {before}\nafter {after}\nboard {on_board}\n".encode())


def operator(variables: Mapping[str, str]) -> dict[str, str]:
    """Who runs the bench, and with which variables; what may be a secret is named only."""
    found = {"operator": f"{getpass.getuser()} on {socket.gethostname()}"}
    ours = {name: text for name, text in variables.items() if name.startswith(("LG_", "MPBENCH_"))}
    secret = re.compile("TOKEN|PASS|SECRET|CREDENTIAL")
    return found | {name: "(set)" if secret.search(name) else text for name, text in sorted(ours.items())}


def sources(target_file: str, key: rsa.RSAPrivateKey) -> dict[str, str]:
    """What the bench brought to the board: target file and key, by hash."""
    name = fingerprint(key.public_key())
    warning = " (OP-TEE's public default key: anybody can sign)" if is_default_key(key.public_key()) else ""
    digest = hashlib.sha256(Path(target_file).read_bytes()).hexdigest()
    return {
        "target file": f"{Path(target_file).name} sha256 {digest}",
        "signing key": f"sha256 {name}{warning}",
    }


@pytest.fixture
def bench(board: run.Board, strategy: Any, profile: Profile, request: Any) -> Iterator["Bench"]:
    """What a test case does with the board; afterwards no core runs that this test started."""
    strategy.transition("shell")
    found = Bench(board, profile, of(request.config), request.node, strategy, run.boot_id(board))
    yield found
    found.settle()


@define
class Bench:
    """A board in the hands of one test case. Every step is recorded, with its evidence."""

    board: run.Board
    profile: Profile
    _state: RunState
    _item: pytest.Item
    _strategy: Any
    _boot: str
    _touched: list[str] = field(factory=list)

    @property
    def about(self) -> run.About:
        """Who the board is, as asked when the run began."""
        assert self._state.board is not None
        return self._state.board

    def deploy(
        self,
        core: str,
        image: bytes,
        identity: str,
        *,
        original: bytes | None = None,
        name: str = "deploy",
        start: Callable[[], str] | None = None,
        contexts: int = 1,
    ) -> run.Step:
        """Deploy `image` on an offline core; `identity` is what its firmware says of itself if it runs.

        original: the image before it was tampered with; the proof of that becomes evidence.
        name: of the step, in the record. start: another way to start the core with this image.
        contexts: cores loaded since the board booted, which matters for images at the limit of the TA's heap.
        A refusal by the board is a value in the step's `observed`. Raises LabFault and Invalidated.
        """
        self._touch(core)
        predicted = run.predict(self.profile, core, image, identity, contexts=contexts)
        place_lock = run.places(self.profile, core, image)
        step = run.deployment(self.board, core, image, predicted, look_at=place_lock, name=name, start=start)
        if original is not None:
            step = run.with_proof(step, tamper_proof(original, image, self.sha256(core)))
        self.append(step)
        return step

    def deploy_either(
        self,
        core: str,
        images: Sequence[bytes],
        identity: str,
        start: Callable[[], str],
        *or_else: DeployFacts,
    ) -> run.Step:
        """Start a core whose file may hold any of `images`: all fields have to be those of one of them.

        or_else: further facts that would be right. The step is compared with what fits best.
        """
        self._touch(core)
        might = [run.predict(self.profile, core, image, identity) for image in images] + list(or_else)
        place_lock = run.places(self.profile, core, images[0])
        step = run.deployment(self.board, core, images[0], DeployFacts(), look_at=place_lock, start=start)
        step = run.best(step, might)
        self.append(step)
        return step

    def command(self, core: str, word: str, predicted: DeployFacts, *, file: str = "state") -> run.Step:
        """Write a word to one of the core's sysfs files and see how the core is afterwards.

        What Linux does with it of itself is no matter for the twin: the caller predicts.
        """
        return self.act(core, predicted, f"{file}: {word.strip()}", lambda: self.write(core, file, word))

    def act(self, core: str, predicted: DeployFacts, name: str, do: Callable[[], str]) -> run.Step:
        """The same for anything that `do` does; it returns "OK" or the errno's name."""
        self._touch(core)
        step = run.command(self.board, core, predicted, name, do)
        self.append(step)
        return step

    def write(self, core: str, file: str, text: str) -> str:
        """Write one of the core's sysfs files; "OK" or the errno's name."""
        self._touch(core)
        return self.board.remoteproc.write(core, file, text, WRITE_S)

    def _touch(self, core: str) -> None:
        """The board is still ours, and `core` has to be settled afterwards. LabFault: it was lost."""
        self._state.lock()
        self._touched.append(core)

    def execute(self, command: str) -> Any:
        """Run a command line on the board, which may take a while."""
        self._state.lock()
        session: Any = self.board.session
        return session.call(command, WRITE_S)

    def memory(self, core: str) -> str:
        """All of the core's memory in a word. Skips the test where nobody can see it."""
        if self.board.memory is None:
            pytest.skip("the core's memory can't be read from outside of this board")
        place_lock = [(r.pa, r.size) for r in self.profile.core(core).regions]
        return memory_word(collect.memory(self.board.memory, place_lock).data.decode().splitlines()) or ""

    def sha256(self, core: str) -> str:
        """SHA-256 of the core's firmware file, by the board itself."""
        board: Any = self.board
        name = board.remoteproc.attributes(core, "firmware")["firmware"]
        reply = board.session.execute(f"sha256sum <{shlex.quote(board.remoteproc.firmware_path(name))}")
        if reply.code != 0:
            raise LabFault(f"{core}: the board has no hash of its firmware file: {reply.error}")
        return str(reply.stdout.split()[0].decode())

    def append(self, step: run.Step) -> None:
        """Record a step."""
        self._state.step(self._item, step)

    def power_cycle(self) -> None:
        """Switch the board off and on, on purpose: the new boot is no reset that invalidates the test."""
        self._state.lock()
        self._strategy.transition("off")
        self._strategy.transition("shell")
        remoteproc: Any = self.board.remoteproc
        remoteproc.target.activate(remoteproc)  # it went with the session
        self.booted()

    def booted(self) -> None:
        """The board was booted anew on purpose: nothing runs on its cores now."""
        self._boot = run.boot_id(self.board)
        self._touched.clear()
        if self._state.record:
            self._state.record.boot = self._boot

    def stop(self, core: str) -> None:
        """Stop a running core. BoardFault if the board does not."""
        run.stop(self.board, core)

    def state(self, core: str) -> str:
        """The core's state in sysfs."""
        return self.board.remoteproc.core_state(core)

    def read(self, path: str) -> bytes | str:
        """A file of the board, or the errno's name."""
        return self.board.session.read(path)

    def measure(self, measurement: Measurement) -> None:
        """Record a measurement with its limits and its verdict."""
        self._state.measurement(self._item, measurement)

    def series(self, name: str, values: Sequence[float], unit: str, source: str) -> None:
        """Record how a value developed over the cycles of a test."""
        self._add("series", name=name, values=list(values), unit=unit, source=source)

    def histogram(
        self, name: str, buckets: Sequence[tuple[float, float, int]], unit: str, source: str
    ) -> None:
        """Record how often a value was in which bucket: (low, high, count), low inside, high outside."""
        self._add("histogram", name=name, buckets=[list(b) for b in buckets], unit=unit, source=source)

    def segments(self, name: str, parts: Sequence[tuple[str, float]], unit: str, source: str) -> None:
        """Record what a value is made of, e.g. the way of a notification: (name, value), in order."""
        self._add("segments", name=name, parts=[list(p) for p in parts], unit=unit, source=source)

    def outliers(self, name: str, samples: Sequence[Outlier], source: str) -> None:
        """Record the slowest notifications with what ran meanwhile."""
        found = [
            {
                "total_ns": o.total_ns,
                "longest": longest(o),
                "irq_cpu": o.irq_cpu,
                "cpu": o.cpu,
                "ran": [[r.cpu, r.begin_ns, r.ns, r.what] for r in o.ran],
            }
            for o in samples
        ]
        self._add("outliers", name=name, samples=found, source=source)

    def image_map(
        self,
        name: str,
        size: int,
        ranges: Sequence[tuple[int, int, str]],
        marks: Sequence[tuple[int, bool]],
    ) -> None:
        """Record what was done to which bytes: ranges (start, end, label), marks (offset, as predicted)."""
        self._add(
            "map", name=name, size=size, ranges=[list(r) for r in ranges], marks=[list(m) for m in marks]
        )

    def _add(self, kind: str, **values: Any) -> None:
        self._state.add(self._item, kind, **values)

    @property
    def reachable(self) -> bool:
        """Whether the session with the board still stands."""
        session: Any = self.board.session
        return bool(session.get_status())

    def settle(self) -> None:
        """Leave the board as it was: same boot, every touched core offline. Else Invalidated, BoardFault."""
        self._state.lock()
        session: Any = self.board.session
        if not session.get_status():  # the link broke in this test: was it the lab, or did the board reset?
            session.reconnect(RECONNECT_S, same_boot=True)
        run.same_boot(self._boot, run.boot_id(self.board))
        for core in dict.fromkeys(self._touched):
            if self.state(core) != "offline":
                self.stop(core)
