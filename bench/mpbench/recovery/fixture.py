# SPDX-License-Identifier: MIT
"""Fixture `crashes`: firmware that fails on order, and every way to have Linux believe in a crash."""

import io
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from attrs import define, field, frozen
from elftools.elf.elffile import ELFFile

from mpbench.board.core_memory import CoreMemory
from mpbench.board.coredump import await_dump, clear_all, pending, take
from mpbench.board.interrupts import watchdog_line
from mpbench.board.protocols import Board
from mpbench.board.resource_snapshot import held
from mpbench.core.errors import BoardFailure, InfrastructureError, UsageError
from mpbench.core.evidence import TRACE_FIRST, TRACE_SECOND, Evidence, text_of
from mpbench.core.step import Step
from mpbench.deployment.collect import trace_samples
from mpbench.deployment.fixture import DeployBench
from mpbench.deployment.heartbeat import watched
from mpbench.deployment.leaks import Snapshot, snapshot, steady
from mpbench.deployment.parse import beat, identity
from mpbench.harness.signer import Signer
from mpbench.recovery.collect import Subject
from mpbench.recovery.crash_trace import CrashTrace, recording
from mpbench.recovery.facts import INJECTED, NO_CRASH, WATCHDOG, Cause, RecoveryFacts
from mpbench.recovery.parse import beating
from mpbench.recovery.predict import crash as predict_crash
from mpbench.recovery.predict import recovery as predict_recovery
from mpbench.recovery.predict import started
from mpbench.recovery.predict_coredump import dump as predict_dump
from mpbench.recovery.run import Crash, calm, crash, dumped, lives_on

MAILBOX = 0x1000
"""Offset of the mailbox words behind the trace buffer. Ref: firmware/coprocessor/lib/firmware.h"""
TAG = 0x4D420000
LIVE_MS, FAILURES, BEATS = 0, 4, 8
"""Offsets of the words."""

WRITE_S = 20.0
DUMP_S = 20.0
LOOKS = 5
"""The bench's own watcher and readers hold a descriptor or a process for a moment, so one look may see it."""
LIVES = 25
STILL_S = 3.0
"""A firmware lives that beats so often, which takes half a second, and never stands still for so long."""
QUIET_S = 3.0
"""A firmware that fails at once is reported by its watchdog within a third of a second; ten times that."""
RSC_TRACE = 2


@pytest.fixture(scope="session")
def crash_trace(board: Board, profile: Any) -> Iterator[CrashTrace]:
    """The recorder of what Linux does in a recovery, for the whole run."""
    anything: Any = board
    lines = [watchdog_line(anything.session, anything.remoteproc, core.name) for core in profile.cores]
    with recording(anything.session, lines) as trace:
        yield trace


@pytest.fixture
def crashes(
    bench: DeployBench,
    firmware: Callable[[str, str], bytes],
    signed: Signer,
    crash_trace: CrashTrace,
    env: Any,
) -> Iterator["Crashes"]:
    """Crash a core and see what becomes of it; afterwards recovery is enabled and no core runs."""
    limits_ms = env.config.get_option("bench_limits_ms", {})
    found = Crashes(bench, firmware, signed, crash_trace, limits_ms)
    yield found
    found.settle()


@frozen
class FirmwareUnderTest:
    """What runs on a core: the firmware's name, the signed image, and where its mailbox is.

    mark: where the kernel log stood before it was deployed
    """

    name: str
    image: bytes
    mailbox_da: int
    subject: Subject
    memory: CoreMemory
    mark: int


@frozen
class Wedge:
    """A core whose recovery failed, as later writes find it.

    Ref: Linux 6.12 remoteproc_core.c: the count of starts stays at 1, so rproc_boot() does nothing and
    succeeds, and rproc_shutdown() refuses a core that is offline.
    """

    start: str
    state_after_start: str
    beats: bool
    stop: str

    def describes_one(self) -> bool:
        """Whether `start` lies, nothing runs, and `stop` refuses: only a new boot or a new bind helps."""
        return self == Wedge("OK", "offline", False, "EINVAL")


@define
class Crashes:
    """Crashes of a board in the hands of one test case. Every step is predicted, compared and recorded.

    limits_ms: longest good time of each interval of mpbench.recovery.measure, by its name; option
    `bench_limits_ms` of the target
    """

    bench: DeployBench
    _firmware: Callable[[str, str], bytes]
    _signed: Signer
    trace: CrashTrace
    limits_ms: dict[str, float] = field(factory=dict)
    _firmware_under_test: dict[str, FirmwareUnderTest] = field(factory=dict)
    _dated: set[str] = field(factory=set)

    # --- firmware ---------------------------------------------------------------------------------------

    def image(self, name: str, core: str) -> bytes:
        """Firmware `name`, signed with the board's key."""
        return self._signed(core, self._firmware(name, core))

    def start(self, core: str, name: str = "starve", **mailbox: int | None) -> FirmwareUnderTest:
        """Deploy firmware that lives until it is told to fail. BoardFailure if it does not run.

        live_ms, failures, beats: other words for its mailbox; None: no word.
        """
        under_test = self._under_test(core, name)
        names = {LIVE_MS: "live_ms", FAILURES: "failures", BEATS: "beats"}
        self._write(under_test, {at: mailbox.get(name, 0) for at, name in names.items()})
        self._firmware_under_test[core] = under_test
        self.bench.deploy(core, under_test.image, f"{name} {core}").check("errno", "state", "beating")
        return under_test

    def _under_test(self, core: str, name: str) -> FirmwareUnderTest:
        board: Any = self.bench.board
        line = watchdog_line(board.session, board.remoteproc, core)
        subject = Subject(
            core=core,
            line=line,
            state=board.remoteproc.path(core, "state"),
            trace=self.debug(core, "trace0"),
            session=board.session,
            kmsg=board.kmsg,
            secure=board.secure,
            tracing=self.trace,
        )
        memory = CoreMemory(board.session, board.remoteproc, core)
        mailbox_da = trace_da(self._firmware(name, core)) + MAILBOX
        return FirmwareUnderTest(name, self.image(name, core), mailbox_da, subject, memory, board.kmsg.mark())

    def _write(self, under_test: FirmwareUnderTest, words: dict[int, int | None]) -> None:
        tagged = {under_test.mailbox_da + at: 0 if n is None else TAG | n for at, n in words.items()}
        under_test.memory.write(tagged)

    def fail(self, core: str, times: int = 1) -> None:
        """Have the running firmware fail now, in its own way; its watchdog tells Linux."""
        self._write(self._firmware_under_test[core], {FAILURES: times})

    def failing(self, core: str) -> str:
        """The command of the board that has the running firmware fail once."""
        under_test = self._firmware_under_test[core]
        return under_test.memory.command({under_test.mailbox_da + FAILURES: TAG | 1})

    def inject(self, core: str, kind: int) -> None:
        """Have Linux believe in a crash of this kind; the firmware knows of nothing."""
        remoteproc: Any = self.bench.board.remoteproc
        answer = remoteproc.crash(core, kind, WRITE_S)
        if answer != "OK":
            raise InfrastructureError(f"{core}: debugfs does not take crash {kind}: {answer}")

    def replace(self, core: str, image: bytes | None) -> None:
        """Put another image where Linux looks for the core's firmware, or none."""
        board: Any = self.bench.board
        path = board.remoteproc.firmware_path(board.remoteproc.attributes(core, "firmware")["firmware"])
        if image is None:
            board.session.execute(f"rm {path}")
        else:
            board.session.put_bytes(image, path)

    # --- steps --------------------------------------------------------------------------------------------

    def watchdog(self, core: str, **changed: Any) -> Crash:
        """The firmware fails, its watchdog expires, Linux recovers. `changed`: see `predict`."""
        return self.step(core, WATCHDOG, self.failing(core), **changed)

    def injected(self, core: str, kind: int, **changed: Any) -> Crash:
        """Linux is told of a crash, and recovers."""
        return self.step(core, INJECTED[kind], lambda: self.inject(core, kind), **changed)

    def step(
        self,
        core: str,
        cause: Cause,
        provoke: Callable[[], object] | str,
        *,
        record: bool = True,
        **changed: Any,
    ) -> Crash:
        """Provoke a crash and compare with the twin. record: False leaves that to the caller."""
        return self._step(core, self.predict(core, cause, **changed), provoke, "crash", record)

    def recover(self, core: str, word: str, **changed: Any) -> Crash:
        """Write `word` to the recovery file of a core that crashed before, and compare."""
        under_test, profile = self._firmware_under_test[core], self.bench.profile
        predicted = predict_recovery(
            started(profile, core, under_test.image),
            core,
            NO_CRASH,
            **(
                {
                    "identity": f"{under_test.name} {core}",
                    "image": under_test.image,
                    "reload": under_test.image,
                }
                | changed
            ),
        )
        name = f"recovery: {word}"
        return self._step(core, predicted, lambda: self.write(core, "recovery", word), name, True)

    def take_dump(self, core: str, boot: int) -> Step:
        """The core dump of life number `boot`, compared, recorded, cleared. BoardFailure for none."""
        begin = time.monotonic_ns()
        session: Any = self.bench.board.session
        found = await_dump(session, self._device(core), DUMP_S)
        if found is None:
            raise BoardFailure(f"{core}: no core dump within {DUMP_S:g} s of the crash")
        under_test = self._firmware_under_test[core]
        predicted = predict_dump(
            self.bench.profile,
            core,
            under_test.image,
            identity=f"{under_test.name} {core}",
            boot=boot,
        )
        step = dumped(core, predicted, take(session, found), time.monotonic_ns() - begin)
        self.bench.append(step)
        return step

    def dumps(self) -> int:
        """How many core dumps wait on the board."""
        session: Any = self.bench.board.session
        return len(pending(session))

    def _device(self, core: str) -> str:
        remoteproc: Any = self.bench.board.remoteproc
        return str(remoteproc.index(core))

    def predict(self, core: str, cause: Cause, **changed: Any) -> RecoveryFacts:
        """What the twin expects. changed: reload, recovers, identity as in mpbench.recovery.predict.crash."""
        under_test = self._firmware_under_test[core]
        usual = {"identity": f"{under_test.name} {core}", "reload": under_test.image}
        return predict_crash(self.bench.profile, core, under_test.image, cause, **(usual | changed))

    def _step(
        self,
        core: str,
        predicted: RecoveryFacts,
        provoke: Callable[[], object] | str,
        name: str,
        record: bool,
    ) -> Crash:
        subject, number = self._firmware_under_test[core].subject, self.bench.profile.core(core).id
        step = crash(subject, number, predicted, provoke, name=name, dated=core in self._dated)
        if record:
            self.bench.append(step)
        return step

    # --- the board ------------------------------------------------------------------------------------------

    def write(self, core: str, file: str, text: str, deadline_s: float = WRITE_S) -> str:
        """Write one of the core's sysfs files; "OK" or the errno's name."""
        return self.bench.board.remoteproc.write(core, file, text, deadline_s)

    def calm(self, core: str, bound: int, quiet_s: float = QUIET_S) -> int:
        """Number of crashes since the deployment, once no more come. BoardFailure at `bound` crashes."""
        kmsg: Any = self.bench.board.kmsg
        return calm(
            kmsg,
            self._firmware_under_test[core].mark,
            core,
            bound=bound,
            disable=lambda: self.write(core, "recovery", "disabled"),
            quiet_s=quiet_s,
        )

    def board_shell(self, command: str) -> str:
        """Run a command line on the board; what it says."""
        board: Any = self.bench.board
        reply = board.session.call(command, WRITE_S)
        return str(reply.stdout.decode("utf-8", "backslashreplace"))

    def debug(self, core: str, file: str) -> str:
        """Path of one of the core's debugfs files."""
        remoteproc: Any = self.bench.board.remoteproc
        return str(remoteproc.debug_path(core, file))

    def beat(self, core: str) -> tuple[int, int]:
        """Life and beat of the firmware. BoardFailure if its trace does not show them."""
        found = beat(self._trace(core))
        if found is None:
            raise BoardFailure(f"{core}: its trace shows no heartbeat")
        return found

    def life(self, core: str) -> tuple[str, int]:
        """Who the firmware says it is, and in which of its lives."""
        return identity(self._trace(core)) or "", self.beat(core)[0]

    def heart_beats(self, core: str) -> bool:
        """Whether the firmware's beat advances before the deadline, in one life."""
        remoteproc = self.bench.board.remoteproc
        samples = Evidence(tuple(trace_samples(lambda: remoteproc.trace(core), time.monotonic)))
        texts = [text_of(samples, name) or "" for name in (TRACE_FIRST, TRACE_SECOND)]
        return bool(beating(beat(texts[0]), beat(texts[1])))

    def lives_on(self, core: str, beats: int = LIVES) -> None:
        """BoardFailure unless the firmware beats so often, in one life."""
        lives_on(lambda: self.beat(core), core, beats, still_s=STILL_S)

    def _trace(self, core: str) -> str:
        return (self.bench.board.remoteproc.trace(core) or b"").decode("utf-8", "backslashreplace")

    def wedge(self, core: str) -> Wedge:
        """What is left of a core whose recovery failed: does it start, does it stop, is it offline?"""
        start, begun = self.write(core, "state", "start"), self.bench.state(core)
        return Wedge(start, begun, self.heart_beats(core), self.write(core, "state", "stop"))

    @contextmanager
    def heartbeats(self, core: str) -> Iterator[None]:
        """Inside, the first beat of every life is dated by the board."""
        board: Any = self.bench.board
        with watched(board.session, board.kmsg, core, self.debug(core, "trace0")):
            self._dated.add(core)
            yield
        self._dated.discard(core)

    def held(self) -> Snapshot:
        """What the board holds now, for a comparison later."""
        session: Any = self.bench.board.session
        return steady([snapshot(held(session), self.trace.counts()) for _ in range(LOOKS)])

    def power_cycle(self) -> None:
        """End a wedge: the board is switched off and on."""
        self.bench.power_cycle()
        self.booted()

    def booted(self) -> None:
        """The board was booted anew on purpose: nothing runs, nothing is recorded any more."""
        self.bench.booted()
        self._firmware_under_test.clear()
        self.trace.start()

    def settle(self) -> None:
        """As a test has to leave it: recovery enabled, no core dump wanted, no core still crashed."""
        if not self.bench.reachable:
            return  # DeployBench.settle() finds out why
        session: Any = self.bench.board.session
        for core, under_test in self._firmware_under_test.items():
            self._write(under_test, {FAILURES: 0})
            clear_all(session)  # an inline dump that nobody reads holds its core's lock
            for file, text in (("coredump", "disabled"), ("recovery", "enabled")):
                self.write(core, file, text)


def trace_da(elf: bytes) -> int:
    """Device address of the trace buffer, by the resource table of an ELF file. UsageError if it has none.

    Ref: Linux include/linux/remoteproc.h, struct resource_table, fw_rsc_hdr, fw_rsc_trace
    """
    section = ELFFile(io.BytesIO(elf)).get_section_by_name(".resource_table")
    table: bytes = section.data() if section else bytes(16)
    for at in struct.unpack_from(f"<{struct.unpack_from('<I', table, 4)[0]}I", table, 16):
        kind, da = struct.unpack_from("<2I", table, at)
        if kind == RSC_TRACE:
            return int(da)
    raise UsageError("this firmware has no trace buffer in its resource table, so its mailbox is unknown")
