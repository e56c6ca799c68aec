# SPDX-License-Identifier: MIT
"""Fixture `crashes`: firmware that fails on command, and every way to have Linux report a crash."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from attrs import define, evolve, field, frozen

from mpbench.board.core_memory import CoreMemory
from mpbench.board.coredump import await_dump, clear_all, pending, take
from mpbench.board.interrupts import watchdog_line
from mpbench.board.protocols import Board
from mpbench.board.resource_snapshot import resource_counters
from mpbench.core.errors import BoardFailure, InfrastructureError
from mpbench.core.evidence import TRACE_FIRST, TRACE_SECOND, Evidence, text_of
from mpbench.core.sanitize import decoded
from mpbench.core.step import Step
from mpbench.deployment.collect import trace_samples
from mpbench.deployment.fixture import DeployBench, needs_table
from mpbench.deployment.heartbeat import Watched, watched
from mpbench.deployment.leaks import Snapshot, snapshot, steady
from mpbench.deployment.parse import beat
from mpbench.harness.bench import WRITE_S
from mpbench.harness.configuration import configured, without_watchdog
from mpbench.harness.firmware import FirmwareFiles
from mpbench.harness.run_state import core_of
from mpbench.recovery import predict, predict_linux
from mpbench.recovery.collect import Subject
from mpbench.recovery.collect_trace import CALLS, WORK_END, CrashTrace, recording
from mpbench.recovery.facts import INJECTED, NO_CRASH, WATCHDOG, Cause, RecoveryFacts
from mpbench.recovery.firmware import MAILBOX, FirmwareUnderTest, parameters, trace_da
from mpbench.recovery.parse import beating, has_failed
from mpbench.recovery.predict_coredump import closed
from mpbench.recovery.predict_coredump import dump as predict_dump
from mpbench.recovery.run import Crash, check_heartbeat, count_crashes, crash, dumped
from mpbench.twin.profile import Profile

DUMP_S = 20.0
SNAPSHOTS = 5
"""One snapshot may show a descriptor or a process of the bench's own watcher and readers."""
FATAL_ERROR = 2
"""Kind of crash that is reported for firmware without a watchdog; see INJECTED."""
AWAIT_FAILURE = (
    "{{ n=0; until grep -q '^fails now' {trace}; do n=$((n+1)); [ $n -lt 1000 ] || exit 1; done; }}"
)
"""Waits until the firmware has logged that it fails now: it looks into its mailbox every 20 ms."""
ALWAYS = 0xFFFF
"""More failures than any test has."""
LIVES_MS = 2000
"""Until firmware fails that fails of itself: longer than a deployment looks at its heartbeat."""
BEATS_CHECKED = 25
PAUSE_S = 3.0
"""Firmware beats that often in half a second, and its heartbeat never pauses for this long."""
RESET_S = 10.0
"""By then a watchdog of the bench's firmware, of a third of a second, has reset its core."""
QUIET_S = 3.0  # a watchdog reports firmware that fails at once within a tenth of it


@pytest.fixture(scope="session")
def crash_trace(board: Board, profile: Profile) -> Iterator[CrashTrace]:
    """Recorder of what Linux does in a recovery, for the whole run."""
    lines = [watchdog_line(board.session, board.remoteproc, core.name) for core in profile.cores]
    with recording(board.session, lines, WORK_END if profile.manager == "linux" else CALLS) as trace:
        yield trace


@pytest.fixture
def crashes(
    bench: DeployBench, firmware: FirmwareFiles, crash_trace: CrashTrace, env: Any, request: Any
) -> Iterator["Crashes"]:
    """Crash a core and observe the recovery; afterwards recovery is enabled and no core runs."""
    core, profile = core_of(request.node), bench.profile
    needs_table(profile, core)
    signed = None if profile.by_linux(core) else request.getfixturevalue("signed")
    limits_ms = env.config.get_option("bench_limits_ms", {})
    crash_trace.resume()
    found = Crashes(bench, firmware, signed, crash_trace, firmware.watchdogs, limits_ms)
    yield found
    found.restore()


@frozen
class FailedRecovery:
    """A core after a failed recovery: results of writing `start` and `stop`, and what runs in between.

    Ref: Linux 6.12 remoteproc_core.c: the count of starts stays at 1, so rproc_boot() does nothing and
    succeeds, and rproc_shutdown() refuses a core that is offline.
    """

    start: str
    state_after_start: str
    beats: bool
    stop: str

    def is_stuck(self) -> bool:
        """Whether `start` succeeds without starting and `stop` is refused: only a reboot or rebind helps."""
        return self == FailedRecovery("OK", "offline", False, "EINVAL")


@define
class Crashes:
    """Crash API of one test. Every step is predicted, compared and recorded.

    watchdogs: watchdog that the target gives each core's firmware, "" for none
    limits_ms: highest good time in milliseconds by the name of an interval of mpbench.recovery.measure;
    option `bench_limits_ms` of the target
    """

    bench: DeployBench
    _firmware: Callable[[str, str], bytes]
    _signed: Callable[[str, bytes], bytes] | None
    trace: CrashTrace
    watchdogs: Mapping[str, str]
    limits_ms: dict[str, float] = field(factory=dict)
    _firmware_under_test: dict[str, FirmwareUnderTest] = field(factory=dict)
    _dated: set[str] = field(factory=set)

    @property
    def _board(self) -> Board:
        return self.bench.board

    def _by_linux(self, core: str) -> bool:
        return self.bench.profile.by_linux(core)

    def image(self, name: str, core: str, *, unheard: bool = False, **words: int | None) -> bytes:
        """Firmware `name`, signed where a TEE loads it. words: its own parameters; see start().

        A watchdog that Linux does not hear of is given only if `unheard`: it would reset firmware that has
        failed before Linux is told.
        """
        given = "" if self._without_watchdog(core) and not unheard else self.watchdogs.get(core, "")
        elf = configured(self._firmware(name, core), core, given, parameters(**words))
        return elf if self._signed is None or self._by_linux(core) else self._signed(core, elf)

    def start(
        self, core: str, name: str = "starve", *, unheard: bool = False, **mailbox: int | None
    ) -> FirmwareUnderTest:
        """Deploy firmware that fails on command only. BoardFailure if it does not run.

        unheard: with a watchdog that Linux does not hear of; see image()
        live_ms, failures, beats: other words for its mailbox; None: no word. They are also in the image,
        because some loaders clear the mailbox whenever they stop the core.
        """
        words = {"live_ms": 0, "failures": 0, "beats": 0} | mailbox
        board = self._board
        subject = Subject(
            core=core,
            line=watchdog_line(board.session, board.remoteproc, core),
            state=board.remoteproc.path(core, "state"),
            trace=self.debug(core, "trace0"),
            session=board.session,
            kmsg=board.kmsg,
            secure=board.secure,
            tracing=self.trace,
        )
        memory = CoreMemory(board.session, board.remoteproc, core)
        mailbox_da = trace_da(self._firmware(name, core)) + MAILBOX
        image, mark = self.image(name, core, unheard=unheard, **words), board.kmsg.mark()
        under_test = FirmwareUnderTest(name, image, mailbox_da, subject, memory, mark)
        under_test.write(parameters(**words))
        self.write(core, "coredump", "disabled")  # ST's image for the STM32MP15 enables it at boot
        self._firmware_under_test[core] = under_test
        self.bench.deploy(core, image, under_test.identity).check("errno", "state", "beating")
        self.trace.resume()  # the board may have been switched off and on before, to undo what was left
        if self._by_linux(core):  # which clears nothing: the firmware counts on
            under_test = evolve(under_test, earlier_boots=self.beat(core)[0] - 1)
            self._firmware_under_test[core] = under_test
        return under_test

    def needs_unheard_watchdog(self, core: str) -> None:
        """Skip the test unless the target gives the firmware a watchdog that Linux does not hear of."""
        given = self.watchdogs.get(core, "")
        if not given or not self._without_watchdog(core):
            pytest.skip(
                f"{core}: the target gives its firmware {given or 'no watchdog'}: not one unheard by Linux"
            )

    def needs_watchdog(self, core: str) -> None:
        """Skip the test where the target gives the firmware no watchdog that reports to Linux."""
        if why := self._without_watchdog(core):
            pytest.skip(why)

    def _without_watchdog(self, core: str) -> str:
        return without_watchdog(core, self.watchdogs.get(core, ""), self.bench.profile)

    def cause(self, core: str) -> Cause:
        """What Linux reports when the firmware fails: see failure()."""
        return INJECTED[FATAL_ERROR] if self._without_watchdog(core) else WATCHDOG

    def fail_command(self, core: str) -> str:
        """Command of the board's shell after which the firmware has failed and Linux learns of it.

        By its watchdog, or where the target gives none by debugfs file `crash`, once it has failed.
        """
        under_test = self._firmware_under_test[core]
        command = under_test.fail_command()
        if not self._without_watchdog(core):
            return command
        crash = self.debug(core, "crash")
        return f"{command} && {AWAIT_FAILURE.format(trace=under_test.subject.trace)} && echo 2 >{crash}"

    def fail(self, core: str) -> None:
        """Have the running firmware fail now, in its own way, and Linux learn of it."""
        reply = self._board.session.call(self.fail_command(core), WRITE_S)
        reply.checked(f"{core}: its firmware does not fail")

    def fail_always(self, core: str) -> None:
        """Have the firmware fail now and after every recovery. Skips the test without a watchdog.

        Where the TEE clears the mailbox at each stop, firmware is started that has it in its image.
        """
        self.needs_watchdog(core)
        if not self.counts_boots(core):
            self.bench.stop(core)
            self.start(core, live_ms=LIVES_MS, failures=ALWAYS)
            return
        self._firmware_under_test[core].write(parameters(failures=ALWAYS))

    def inject(self, core: str, kind: int) -> None:
        """Report a crash of this kind through debugfs; the firmware continues unaware."""
        answer = self._board.remoteproc.crash(core, kind, WRITE_S)
        if answer != "OK":
            raise InfrastructureError(f"{core}: writing {kind} to debugfs file `crash` returned {answer}")

    def replace(self, core: str, image: bytes | None) -> None:
        """Replace the core's firmware file; None: remove it."""
        board = self._board
        path = board.remoteproc.firmware_path(board.remoteproc.attributes(core, "firmware")["firmware"])
        if image is None:
            board.session.execute(f"rm {path}")
        else:
            board.session.put_bytes(image, path)

    def watchdog(self, core: str, **changed: Any) -> Crash:
        """The firmware fails, its watchdog expires, Linux recovers. `changed`: see predict().

        Skips the test where the target gives the firmware no watchdog.
        """
        self.needs_watchdog(core)
        return self.failure(core, **changed)

    def failure(self, core: str, **changed: Any) -> Crash:
        """The firmware fails and Linux recovers, as fail_command() has it learn. `changed`: see predict()."""
        return self.step(core, self.cause(core), self.fail_command(core), **changed)

    def injected(self, core: str, kind: int, **changed: Any) -> Crash:
        """A crash is reported through debugfs, and Linux recovers. `changed`: see predict()."""
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
        """Provoke a crash and compare with the twin. record: False leaves recording to the caller."""
        return self._step(core, self.predict(core, cause, **changed), provoke, "crash", record)

    def recover(self, core: str, word: str, **changed: Any) -> Crash:
        """Write `word` to the recovery file of a core that crashed before, and compare."""
        under_test = self._firmware_under_test[core]
        usual = {"identity": under_test.identity, "image": under_test.image, "reload": under_test.image}
        if self._by_linux(core):
            predicted = predict_linux.recovery(NO_CRASH, **(usual | changed))
        else:
            loader = predict.started(self.bench.profile, core, under_test.image)
            predicted = predict.recovery(loader, core, NO_CRASH, **(usual | changed))
        name = f"recovery: {word}"
        return self._step(core, predicted, lambda: self.write(core, "recovery", word), name, True)

    def enable_dumps(self, core: str, word: str = "enabled") -> None:
        """Have Linux dump the core when it crashes. word: "enabled" or "inline".

        Skips the test where a dump would read memory that the firewall closes to Linux.
        """
        if why := closed(self.bench.profile.core(core)):
            pytest.skip(why)
        answer = self.write(core, "coredump", word)
        if answer != "OK":
            raise InfrastructureError(f"{core}: writing {word} to sysfs file `coredump` returned {answer}")

    def take_dump(self, core: str, boot: int) -> Step:
        """The core dump of boot `boot` since start(), compared, recorded, cleared. BoardFailure without one.

        Skips the test where the TEE clears the core's memory as it stops it, which is before Linux dumps it.
        """
        if not self.counts_boots(core):
            pytest.skip(f"{core}: the TEE clears its memory when it stops it, so a dump shows zeros")
        start_ns = time.monotonic_ns()
        session = self._board.session
        found = await_dump(session, self._board.remoteproc.index(core), DUMP_S)
        if found is None:
            raise BoardFailure(f"{core}: no core dump within {DUMP_S:g} s of the crash")
        under_test = self._firmware_under_test[core]
        name, number = under_test.identity, under_test.earlier_boots + boot
        predicted = predict_dump(self.bench.profile, core, under_test.image, identity=name, boot=number)
        step = dumped(core, predicted, take(session, found), time.monotonic_ns() - start_ns)
        self.bench.append(step)
        return step

    def counts_boots(self, core: str) -> bool:
        """Whether firmware counts its boots over a stop: not where the TEE clears its memory then."""
        return not self.bench.profile.core(core).firewalled

    def dumps(self) -> int:
        """Number of pending core dumps on the board."""
        return len(pending(self._board.session))

    def predict(self, core: str, cause: Cause, **changed: Any) -> RecoveryFacts:
        """The twin's prediction. changed: reload, recovers, identity as in mpbench.recovery.predict.crash."""
        under_test = self._firmware_under_test[core]
        usual = {"identity": under_test.identity, "reload": under_test.image}
        predicted = predict_linux.crash if self._by_linux(core) else predict.crash
        return predicted(self.bench.profile, core, under_test.image, cause, **(usual | changed))

    def _step(
        self,
        core: str,
        predicted: RecoveryFacts,
        provoke: Callable[[], object] | str,
        name: str,
        record: bool,
    ) -> Crash:
        subject, known = self._firmware_under_test[core].subject, self.bench.profile.core(core)
        more: Any = {"dated": core in self._dated, "cleared": known.firewalled}
        absent = predict_linux.ABSENT if self._by_linux(core) else ()
        step = crash(subject, known.id, predicted, provoke, name=name, absent=absent, **more)
        if record:
            self.bench.append(step)
        return step

    def write(self, core: str, file: str, text: str, deadline_s: float = WRITE_S) -> str:
        """Write one of the core's sysfs files; "OK" or the errno's name."""
        return self._board.remoteproc.write(core, file, text, deadline_s)

    def count_crashes(self, core: str, bound: int, quiet_s: float = QUIET_S) -> int:
        """Number of crashes since the deployment, once none came for quiet_s. BoardFailure at `bound`."""
        return count_crashes(
            self._board.kmsg,
            self._firmware_under_test[core].mark,
            core,
            bound=bound,
            disable=lambda: self.write(core, "recovery", "disabled"),
            quiet_s=quiet_s,
        )

    def board_shell(self, command: str) -> str:
        """Run a command line on the board; its output."""
        return self._board.session.call(command, WRITE_S).text

    def debug(self, core: str, file: str) -> str:
        """Path of one of the core's debugfs files."""
        return self._board.remoteproc.debug_path(core, file)

    def beat(self, core: str) -> tuple[int, int]:
        """(boot, beat) of the firmware. BoardFailure if its trace buffer does not show them."""
        trace = self._board.remoteproc.trace(core) or b""
        found = beat(trace.decode("utf-8", "backslashreplace"))
        if found is None:
            raise BoardFailure(f"{core}: its trace buffer shows no heartbeat")
        return found

    def is_beating(self, core: str) -> bool:
        """Whether the firmware's heartbeat advances before the deadline, within one boot."""
        remoteproc = self._board.remoteproc
        samples = Evidence(tuple(trace_samples(lambda: remoteproc.trace(core), time.monotonic)))
        first, second = (beat(text_of(samples, name) or "") for name in (TRACE_FIRST, TRACE_SECOND))
        return bool(beating(first, second))

    def is_reset(self, core: str, boot: int) -> bool:
        """Whether firmware of this boot, whose heartbeat nothing else ends, stops or starts again in time."""
        until_s = time.monotonic() + RESET_S
        while time.monotonic() < until_s:
            if not self.is_beating(core) or self.beat(core)[0] != boot:
                return True
        return False

    def check_heartbeat(self, core: str, beats: int = BEATS_CHECKED) -> None:
        """BoardFailure unless `beats` heartbeats of the firmware come within one boot."""
        check_heartbeat(lambda: self.beat(core), core, beats, pause_s=PAUSE_S)

    def failed_recovery(self, core: str) -> FailedRecovery:
        """Try to start and stop a core whose recovery failed."""
        start, state = self.write(core, "state", "start"), self.bench.state(core)
        return FailedRecovery(start, state, self.is_beating(core), self.write(core, "state", "stop"))

    def _is_stuck(self, core: str) -> bool:
        """Whether the core is as after a failed recovery, so that every later `start` starts nothing."""
        log = self._board.kmsg.since(self._firmware_under_test[core].mark)
        return has_failed(decoded(log), core) and self.bench.state(core) == "offline"

    @contextmanager
    def heartbeats(self, core: str) -> Iterator[None]:
        """Inside, the board dates the first heartbeat of every boot."""
        board = self._board
        state, cleared = board.remoteproc.path(core, "state"), self.bench.profile.core(core).firewalled
        one = Watched(core, self.debug(core, "trace0"), state, cleared)
        with watched(board.session, board.kmsg, one):
            self._dated.add(core)
            yield
        self._dated.discard(core)

    def held(self) -> Snapshot:
        """Resources that the board uses now, for a comparison later."""
        session = self._board.session
        return steady([snapshot(resource_counters(session), self.trace.counts()) for _ in range(SNAPSHOTS)])

    def power_cycle(self) -> None:
        """Switch the board off and on."""
        self.bench.power_cycle()
        self.booted()

    def booted(self) -> None:
        """Note that the board was rebooted on purpose: no core runs, and recording starts again."""
        self.bench.booted()
        self._firmware_under_test.clear()
        self.trace.start()

    def restore(self) -> None:
        """Leave the board as before the test: recovery enabled, core dumps disabled, no core crashed.

        A core whose memory its loader does not clear is stopped, so that nothing in its mailbox is acted on.
        The board is switched off and on after a recovery that failed, as nothing else lets the core start.
        """
        if not self.bench.reachable:
            return  # DeployBench.settle() finds out why
        if any(self._is_stuck(core) for core in self._firmware_under_test):
            self.power_cycle()
            return
        for core, under_test in self._firmware_under_test.items():
            if self.counts_boots(core) or self.bench.state(core) == "running":
                under_test.write(parameters(failures=0))  # Linux may not, while the TEE loads or clears it
            clear_all(self._board.session)  # an inline dump that is not read holds its core's lock
            for file, text in (("coredump", "disabled"), ("recovery", "enabled")):
                self.write(core, file, text)
            if self.counts_boots(core):  # no loader clears the mailbox: later firmware would read it too
                self.bench.leave_offline(core)
                under_test.write(parameters(live_ms=None, failures=None, beats=None))
