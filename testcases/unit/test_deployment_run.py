# SPDX-License-Identifier: MIT
"""The stages joined: predict, deploy, collect, parse, compare, record; the board is simulated in memory."""

import hashlib
import re
from typing import Any

import pytest
from attrs import evolve

from mpbench.board.identification import BOOT_ID, about
from mpbench.board.protocols import Board
from mpbench.core.errors import BoardFailure, InfrastructureError, InvalidRun
from mpbench.core.evidence import KMSG, NO_TRACE, SECURE_CONSOLE, TRACE_SECOND, Artefact
from mpbench.core.facts import Agreement, FieldVerdict, Verdict
from mpbench.core.lines import StepLine
from mpbench.core.record import Clock, Record, new_directory, read
from mpbench.core.step import Step, best, with_proof
from mpbench.deployment import collect, run
from mpbench.deployment.facts import DeployFacts
from mpbench.harness.bench import leave_offline, stop_core
from mpbench.harness.run_state import append_step
from mpbench.image.sign import sign
from mpbench.layout import Tee
from testcases.peer.elves import Elf, Segment
from testcases.stand_in import StandIn
from testcases.unit import image_rig

CLOCK = Clock(utc_s=lambda: 1_795_000_000.0, mono_ns=lambda: 42)
RUNNING = DeployFacts("OK", "running", 0, "", True, "alive m33")
REFUSED = DeployFacts("EIO", "offline", 0xFFFF000F, "Fails to load segment, res = 0x0xffff000f", False, "")
GOOD, FLIPPED = b"good image", b"flipped image"


class Stream(StandIn):
    """A log of the board in memory; nothing comes after what is there."""

    proves_silence = True

    def __init__(self) -> None:
        self.data = (
            b"6,1,1,-;remoteproc remoteproc0: remote processor m33 is now up\nE/TA:  old:1 old reason\n"
        )
        self.waits: list[bytes] = []

    def mark(self) -> int:
        return len(self.data)

    def since(self, mark: int) -> bytes:
        return self.data[mark:]

    def wait_for(self, pattern: re.Pattern[bytes], mark: int, _deadline_s: float) -> bool:
        self.waits.append(pattern.pattern)
        return pattern.search(self.data, mark) is not None


class SimulatedBoard(StandIn):
    """Simulated session and remoteproc: refuses FLIPPED as OP-TEE does and runs everything else."""

    def __init__(self) -> None:
        self.kmsg, self.secure = Stream(), Stream()
        self.files: dict[str, bytes] = {}
        self.running = False
        self.beats = 0
        self.beating = True
        self.silent = 0
        self.boots = ["b-1"]
        self.firmware_answer = "OK"
        self.console = Stream()
        self.about = {"/proc/version": b"Linux version 6.12.107 (gcc) #1 SMP\n"}

    def read(self, path: str) -> bytes | str:
        if path != BOOT_ID or not self.boots:
            return "ENOENT"
        return (self.boots.pop(0) if len(self.boots) > 1 else self.boots[0]).encode() + b"\n"

    def read_many(self, paths) -> dict[str, bytes | str]:
        return {path: self.about.get(path, "ENOENT") for path in paths}

    def put_bytes(self, data: bytes, path: str) -> None:
        self.files[path] = data

    def firmware_path(self, name: str) -> str:
        return f"/lib/firmware/{name}"

    def write(self, core: str, file: str, text: str, _deadline_s: float) -> str:
        if file == "firmware":
            return self.firmware_answer
        if text == "stop":
            was, self.running = self.running, False
            return "OK" if was else "EINVAL"
        return self._start(core)

    def _start(self, core: str) -> str:
        if self.files[f"/lib/firmware/mpbench-{core}.fw"] == FLIPPED:
            self.secure.data += (
                b"E/TA:  remoteproc_load_segment:759 Fails to load segment, res = 0x0xffff000f\r\n"
            )
            self.kmsg.data += b"3,9,9,-;rproc m33: LOAD_FW invoke failed TEE err: 0xffff000f, ret: 0\n"
            return "EIO"
        self.running = True
        self.kmsg.data += b"6,9,9,-;remoteproc remoteproc0: remote processor m33 is now up\n"
        return "OK"

    def core_state(self, _core: str) -> str:
        return "running" if self.running else "offline"

    def trace(self, core: str) -> bytes | None:
        if not self.running:
            return None
        if self.silent:
            self.silent -= 1
            return b"mpbench al" if self.silent == 1 else b""
        self.beats += self.beating
        return f"mpbench alive {core} 1\nboot 00000001 beat {self.beats:08x}\n".encode()


@pytest.fixture
def board() -> SimulatedBoard:
    return SimulatedBoard()


def deployed(board: SimulatedBoard, image: bytes, predicted: DeployFacts) -> Step:
    return run.deployment(seen(board), "m33", image, predicted)


def seen(board: SimulatedBoard) -> Board:
    return Board(board, board, board.kmsg, board.secure, board.console)


class Ram:
    """Memory that can be seen from outside: zeros, and one byte at 0x1004."""

    def read_memory(self, pa: int, size: int) -> bytes:
        return bytes(1 if at == 0x1004 else 0 for at in range(pa, pa + size))


def test_memory_is_read_back_where_possible(board):
    """Ranges of zeros and others become evidence and a field, which is None if memory can't be read."""
    there = evolve(seen(board), memory=Ram())
    step: Any = run.deployment(there, "m33", FLIPPED, REFUSED, look_at=((0x1000, 4), (0x2000, 16)))
    assert step.observed.memory == "zeros"
    step = run.deployment(there, "m33", FLIPPED, REFUSED, look_at=((0x1000, 8), (0x2000, 16)))
    dirty = hashlib.sha256(bytes([0, 0, 0, 0, 1, 0, 0, 0])).hexdigest()[:16]
    assert step.observed.memory == f"0x1000+0x8 {dirty}; 0x2000+0x10 zeros"
    step = deployed(board, FLIPPED, REFUSED)
    assert step.observed.memory is None


def test_a_good_image_runs_as_predicted(board):
    """Every field of a good deployment is observed and agrees."""
    step = deployed(board, GOOD, RUNNING)
    assert step.observed == RUNNING
    assert step.comparison.verdict is Verdict.PASS
    step.check("errno", "state", "tee_code", "secure_log", "beating", "identity")


def test_a_refused_image_is_refused_as_predicted(board):
    """The refusal is a value: code, reason and that nothing runs are compared like any success."""
    step = deployed(board, FLIPPED, REFUSED)
    assert step.observed == REFUSED
    step.check("tee_code", "secure_log")


def test_only_what_came_after_the_mark_is_evidence(board):
    """Old lines of both logs do not answer for a new deployment."""
    step = deployed(board, GOOD, RUNNING)
    assert step.evidence.get(SECURE_CONSOLE) == b""
    assert step.evidence.get(KMSG).count(b"\n") == 1


def test_an_accepted_image_that_should_be_refused_is_the_boards_fault(board):
    """A difference names the field, what was predicted, and what the board showed."""
    with pytest.raises(BoardFailure, match="tee_code was predicted 0xffff000f, the board showed 0x00000000"):
        deployed(board, GOOD, REFUSED).check()


def test_the_first_output_of_a_firmware_is_waited_for(board):
    """A core that was just released needs a moment: an empty or half-written trace is no evidence yet."""
    board.silent = 5
    assert deployed(board, GOOD, RUNNING).observed == RUNNING


def test_a_silent_firmware_is_waited_for_until_the_deadline(board, monkeypatch):
    """After the deadline its buffer is still empty: no identity and no heartbeat."""
    monkeypatch.setattr(collect, "BEAT_DEADLINE_S", 0.01)
    board.silent = 10**9
    observed: Any = deployed(board, GOOD, RUNNING).observed
    assert (observed.beating, observed.identity) == (False, "")


def test_a_heartbeat_that_stops_is_the_boards_fault(board, monkeypatch):
    """The core's state is running, but its firmware does not beat: no pass."""
    monkeypatch.setattr(collect, "BEAT_DEADLINE_S", 0.01)
    board.beating = False
    step = deployed(board, GOOD, RUNNING)
    assert step.evidence.get(TRACE_SECOND) is not None
    with pytest.raises(BoardFailure, match="beating was predicted True, the board showed False"):
        step.check()


def test_a_field_that_was_not_observed_gives_no_verdict(board, monkeypatch):
    """A test that needs a field which the evidence does not show is invalid, neither pass nor fail."""
    monkeypatch.setattr(collect, "BEAT_DEADLINE_S", 0.05)
    board.trace = lambda _core: b"another trace\n"
    step = deployed(board, GOOD, RUNNING)
    step.check("errno", "state")
    with pytest.raises(InvalidRun, match="not observed: beating, identity"):
        step.check("identity", "beating")


def test_a_step_of_which_nothing_was_predicted_gives_no_verdict(board):
    """An undefined prediction makes the whole step undecided."""
    with pytest.raises(InvalidRun, match="nothing was observed"):
        deployed(board, GOOD, DeployFacts()).check()


def test_a_reset_in_the_middle_invalidates_the_step(board):
    """Another boot_id after the step than before it: what was seen belongs to no boot."""
    board.boots = ["b-1", "b-2"]
    with pytest.raises(InvalidRun, match="boot_id b-1 became b-2"):
        deployed(board, GOOD, RUNNING)


def test_a_board_without_boot_id_is_the_labs_fault(board):
    """Without boot_id a reset of the board could not be noticed."""
    board.boots = []
    with pytest.raises(InfrastructureError, match=r"cannot read .*boot_id: ENOENT"):
        deployed(board, GOOD, RUNNING)


def test_board_identification(board):
    """Files that the board has not are left out; what the consoles printed counts as well."""
    board.console.data = b"NOTICE:  BL31: v2.12.1(release):2.12.1\r\nU-Boot 2025.01-3 (Apr 08 2025)\r\n"
    found = about(seen(board))
    assert found.provenance.entries == {
        "kernel": "Linux version 6.12.107 (gcc) #1 SMP",
        "tf-a": "v2.12.1(release):2.12.1",
        "u-boot": "2025.01-3",
    }
    assert found.evidence.get("console") == board.console.data
    assert not found.virtual


def test_without_bl31_the_version_of_tf_a_is_that_of_bl2(board):
    """A 32-bit OP-TEE replaces BL31, so BL2 is the last stage that prints its version."""
    board.console.data = b"NOTICE:  BL1: v2.11\r\nNOTICE:  BL2: v2.12.1(release):mpbench\r\nI/TC: \r\n"
    assert about(seen(board)).provenance.entries["tf-a"] == "v2.12.1(release):mpbench"


def test_a_core_that_is_not_offline_is_the_labs_fault(board):
    """The firmware name is refused while a core runs: the bench left it so, the board is not to blame."""
    board.firmware_answer = "EBUSY"
    with pytest.raises(
        InfrastructureError, match="m33: firmware name refused with EBUSY; the core must be offline"
    ):
        deployed(board, GOOD, RUNNING)


def test_a_refusal_waits_for_the_secure_console_and_a_start_does_not(board):
    """The secure console is waited for when there is a reason to expect, and only then."""
    deployed(board, FLIPPED, REFUSED)
    board.secure.proves_silence = False
    deployed(board, GOOD, RUNNING)
    assert board.secure.waits == []
    deployed(board, FLIPPED, REFUSED)
    assert board.secure.waits == [collect.SECURE_ERROR.pattern, collect.ANY_BYTE.pattern]


def test_an_empty_log_of_a_console_that_may_be_away_is_no_observation(board):
    """Without a sign of life the field is undecided, whether or not a line was predicted."""
    board.secure.data, board.secure.proves_silence = b"", False
    step = deployed(board, GOOD, RUNNING)
    assert step.evidence.get(SECURE_CONSOLE) is None
    assert [f.agreement for f in step.comparison.fields if f.name == "secure_log"] == [Agreement.UNDECIDED]
    step.check("errno", "state", "tee_code")
    with pytest.raises(InvalidRun, match="not observed: secure_log"):
        step.check("secure_log")


def test_a_core_that_does_not_stop_is_the_boards_fault(board):
    """A stop that is refused, or that changes nothing, is an error with the board's answer."""
    deployed(board, GOOD, RUNNING)
    stop_core(board, "m33")
    assert board.core_state("m33") == "offline"
    with pytest.raises(BoardFailure, match="`stop` returned EINVAL, the state is offline"):
        stop_core(board, "m33")
    board.write = lambda *_: "OK"
    board.running = True
    with pytest.raises(BoardFailure, match="`stop` returned OK, the state is running"):
        stop_core(board, "m33")


class CrashingBoard(StandIn):
    """A core's states and the answers to `stop`, one after the other; the last state stays."""

    def __init__(self, *shown: str) -> None:
        self.shown = list(shown)

    def core_state(self, _core: str) -> str:
        return self.shown.pop(0) if len(self.shown) > 1 else self.shown[0]

    def write(self, _core: str, file: str, text: str, _deadline_s: float) -> str:
        assert (file, text) == ("state", "stop")
        return self.shown.pop(0)


@pytest.mark.parametrize(
    "shown",
    [
        ("running", "OK", "offline"),
        ("offline", "EINVAL", "offline"),
        ("offline", "OK", "offline"),  # within a recovery, which the stop waited for
        ("crashed", "EINVAL", "offline", "offline", "OK", "offline"),
        ("running", "EINVAL", "offline", "offline", "EINVAL", "running", "running", "OK", "offline"),
    ],
)
def test_a_core_that_crashes_meanwhile_is_left_offline(shown):
    """`offline` counts if a stop says so too: within a recovery Linux shows it of a core that will run."""
    board = CrashingBoard(*shown)
    leave_offline(board, "m33")
    assert board.shown == ["offline"]


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        (("detached", "EINVAL", "detached"), "`stop` returned EINVAL, the state is detached"),
        (("running", "EBUSY", "running"), "`stop` returned EBUSY, the state is running"),
        (("running", "OK", "running"), "`stop` returned OK, the state is running"),
    ],
)
def test_a_core_that_is_not_left_offline_is_the_boards_fault(shown, said):
    """With the board's answer."""
    with pytest.raises(BoardFailure, match=said):
        leave_offline(CrashingBoard(*shown), "m33")


def test_a_core_that_stays_crashed_is_the_boards_fault(monkeypatch):
    """Not for ever: a core whose recovery is disabled stays crashed."""
    monkeypatch.setattr("mpbench.harness.bench.RECOVERED_S", 0.0)
    with pytest.raises(BoardFailure, match="the state is crashed"):
        leave_offline(CrashingBoard(*("crashed", "EINVAL", "crashed") * 9), "m33")


def test_a_step_is_recorded_whole(board, tmp_path):
    """Prediction, observation, verdict per field and all evidence are in the record."""
    step = deployed(board, FLIPPED, REFUSED)
    record = Record(new_directory(tmp_path, "x", CLOCK), "r1", CLOCK)
    append_step(record, "t", step)
    record.close()
    (line,) = read(record.directory).of(StepLine)
    assert line.fields[2] == FieldVerdict("tee_code", 0xFFFF000F, 0xFFFF000F, Agreement.AGREES)
    assert [ref.name for ref in line.evidence] == [a.name for a in step.evidence.artefacts]
    assert NO_TRACE in [ref.name for ref in line.evidence]
    kept = {ref.name: read(record.directory).evidence(ref.file) for ref in line.evidence}
    assert kept["image"] == FLIPPED


def test_another_way_to_start_is_compared_too(board):
    """The image is there already, or was swapped: the caller starts it, and every field is compared."""
    board.files["/lib/firmware/mpbench-m33.fw"] = GOOD
    step = run.deployment(
        seen(board),
        "m33",
        GOOD,
        RUNNING,
        start=lambda: board.write("m33", "state", "start", 1.0),
        name="again",
    )
    assert (step.name, step.observed) == ("again", RUNNING)


def test_a_command_is_seen_by_its_errno_and_the_core(board):
    """No log line is waited for: the result of the write, the state, and the heartbeat are observed."""
    board.running = True
    step = run.command(seen(board), "m33", RUNNING, "state: start", lambda: "OK")
    assert step.comparison.verdict is Verdict.PASS
    assert board.kmsg.waits == []
    board.running = False
    off = DeployFacts("EINVAL", "offline", beating=False, identity="")
    run.command(seen(board), "m33", off, "state: stop", lambda: "EINVAL").check("errno", "state", "beating")


def test_evidence_can_be_added_to_a_step(board):
    """The proof of tampering is one more artefact."""
    step = deployed(board, GOOD, RUNNING)
    more = with_proof(step, Artefact("tamper", b"before a\n"))
    assert more.evidence.get("tamper") == b"before a\n"
    assert more.evidence.artefacts[:-1] == step.evidence.artefacts


def test_the_twin_counts_the_cores_that_the_ta_knows():
    """An image at the limit of the TA's heap fits if one core was loaded, and not if two were."""
    low, high = 0, 1000
    while high - low > 1:
        middle = (low + high) // 2
        fits = run.predict(image_rig.board(), "m33", many(middle), "x").errno == "OK"
        low, high = (middle, high) if fits else (low, middle)
    assert run.predict(image_rig.board(), "m33", many(low), "x").errno == "OK"
    assert run.predict(image_rig.board(), "m33", many(low), "x", contexts=3).tee_code == Tee.OUT_OF_MEMORY


def many(count: int) -> bytes:
    """A signed image of that many segments."""
    segments = [Segment(image_rig.BASE + 16 * n, bytes([n % 255 + 1] * 16)) for n in range(count + 1)]
    return sign([Elf(segments).build()], image_rig.key())


def test_of_several_predictions_the_best_is_compared(board):
    """A file that changes during the step may be either image: the fields have to be those of one."""
    step = best(deployed(board, FLIPPED, DeployFacts()), [RUNNING, REFUSED])
    assert step.predicted == REFUSED
    step.check()
    neither = best(deployed(board, GOOD, DeployFacts()), [REFUSED, evolve(RUNNING, errno="EIO")])
    assert neither.comparison.differing == 1
    with pytest.raises(BoardFailure, match="errno was predicted 'EIO'"):
        neither.check()
