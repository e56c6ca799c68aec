# SPDX-License-Identifier: MIT
"""The bench's TEE client: its output, its driver, and the program itself without a TEE."""

import shutil
import subprocess

import pytest

from mpbench.board.program_output import Answer, answers
from mpbench.board.session.shell_protocol import Reply
from mpbench.core.errors import InfrastructureError, UsageError
from mpbench.harness.firmware import make
from mpbench.tee.client import PROGRAM, TeeClient
from testcases.stand_in import StandIn

# Lines of the client on the virtual STM32MP25.
SAID = """0 context errno=0
0 session errno=0 ret=ffff0008 origin=3 id=0
0 invoke errno=0 ret=0 origin=4 ms=2 a0=1d b0=115 a1=22 b1=48
0 alloc errno=c id=0 size=0
0 fill
0 show bytes=70680000
2 rounds n=80 pid=61
"""


def test_lines_are_read():
    """Every line has a client, a word and values; results of Linux and of the TEE are separate."""
    context, session, invoke, alloc, fill, show, rounds = answers(SAID, PROGRAM)
    assert context.succeeded
    assert (session.errno, session.result, session.succeeded) == ("OK", (0xFFFF0008, 3), False)
    assert (invoke.succeeded, invoke["a0"], invoke["b1"]) == (True, 0x1D, 0x48)
    assert (alloc.errno, alloc.succeeded) == ("ENOMEM", False)
    assert fill == Answer(0, "fill")
    assert show.data == bytes.fromhex("70680000")
    assert (rounds.client, rounds.word, rounds["n"]) == (2, "rounds", 128)
    assert Answer(0, "register", {"errno": 524}).errno == "ENOTSUPP"
    assert Answer(0, "context", {"errno": 4000}).errno == "errno 4000"


def test_other_lines_are_refused():
    """Unexpected output and a missing value are InfrastructureErrors."""
    with pytest.raises(InfrastructureError, match="unexpected output from tee-client: 'Segmentation fault'"):
        answers("0 context errno=0\nSegmentation fault\n", PROGRAM)
    with pytest.raises(InfrastructureError, match="result of 'context' has no ret, but errno"):
        _ = answers("0 context errno=0\n", PROGRAM)[0].result


class Running:
    """A client that prints these pieces, then ends."""

    def __init__(self, pieces):
        self.pieces, self.closed = list(pieces), False

    def read(self, timeout_s):  # noqa: ARG002 - the protocol's
        return self.pieces.pop(0) if self.pieces else b""

    def close(self):
        self.closed = True


class Session(StandIn):
    """A session whose commands have this result."""

    def __init__(self, reply=None, running=None):
        self.reply, self.running, self.asked = reply, running, []

    def call(self, command, timeout_s):  # noqa: ARG002 - the protocol's
        self.asked.append(command)
        return self.reply

    execute = call

    def spawn(self, command):
        self.asked.append(command)
        return self.running


def test_arguments_reach_the_client():
    """The commands are quoted for the board's shell; the output is parsed into answers."""
    session = Session(Reply(0, b"0 context errno=0\n", b""))
    assert TeeClient(session, "/tmp/tee client").run("context")[0].succeeded
    assert session.asked == ["'/tmp/tee client' context"]


@pytest.mark.parametrize(
    ("code", "fault", "words"),
    [
        (2, UsageError, "rejected its arguments: tee-client: no UUID"),
        (1, InfrastructureError, "tee-client ended with exit code 1"),
        (137, InfrastructureError, "tee-client ended with exit code 137"),
    ],
)
def test_a_client_that_fails(code, fault, words):
    """Rejected arguments are a UsageError, any other failure an InfrastructureError."""
    with pytest.raises(fault, match=words):
        TeeClient(Session(Reply(code, b"", b"tee-client: no UUID\n")), "c").run("session,1")


def test_a_client_that_keeps_running():
    """running() waits until every client has printed the word, however the output is split."""
    running = Running([b"1 rou", b"nds n=1\n2 con", b"text errno=0\n2 rounds n=1\n1 ro"])
    session = Session(running=running)
    with TeeClient(session, "c").running("fork,2", until="rounds", count=2) as said:
        assert [(a.client, a.word) for a in said] == [(1, "rounds"), (2, "context"), (2, "rounds")]
        assert not running.closed
    assert running.closed
    assert session.asked == ["exec c fork,2"]


def test_a_load_of_several_sessions():
    """Every client opens its sessions, waits for the others, and calls all of them until it is killed."""
    running = Running([b"1 rounds n=1\n2 rounds n=1\n"])
    session = Session(running=running)
    with TeeClient(session, "c").busy(clients=2, sessions=2):
        assert not running.closed
    words = session.asked[0].split()
    assert words[:3] == ["exec", "c", "fork,2"]
    assert words[-4:] == ["meet", "forever", "invoke,0,4,o,o", "invoke,1,4,o,o"]


def test_a_client_that_ends_early():
    """A client that ends early is an InfrastructureError."""
    running = Running([b"1 session errno=0 ret=ffff0008 origin=3 id=0\n"])
    with (
        pytest.raises(InfrastructureError, match=r"ended before 2 clients printed 'rounds': '1 session"),
        TeeClient(Session(running=running), "c").busy(clients=2),
    ):
        pytest.fail("the load is not there")
    assert running.closed


# --- the program, run by QEMU's user emulation on a host without a TEE ------------------------------------

EMULATORS = {"aarch64": "qemu-aarch64", "armv7l": "qemu-arm"}


@pytest.fixture(scope="module")
def programs():
    """Emulator and program for every machine of a board."""
    built = make(goal="userland")
    return {
        machine: [shutil.which(emulator) or emulator, str(built / machine / "tee-client")]
        for machine, emulator in EMULATORS.items()
    }


@pytest.mark.parametrize("machine", EMULATORS)
def test_without_a_tee(programs, machine):
    """On a machine without a TEE every command prints Linux's errno, with several clients too."""
    done = subprocess.run(
        [*programs[machine], "fork,2", "meet", "times,2", "context"],
        capture_output=True,
        text=True,
        check=True,
    )
    found = sorted((a.client, a.word, a.values.get("errno")) for a in answers(done.stdout, PROGRAM))
    each = [("context", 2), ("context", 2), ("fork", None), ("meet", None)]
    assert found == [(n, *rest) for n in (1, 2) for rest in each]


@pytest.mark.parametrize("machine", EMULATORS)
@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("dance", "dance"),
        ("session,80a4c275", "no UUID"),
        ("invoke,0,1", "a number of something that there is not"),
        ("session,80a4c275-0a47-4905-8285-1486a9771a08 invoke,0,x", "no number"),
        ("session,80a4c275-0a47-4905-8285-1486a9771a08 invoke,0", "a number is missing"),
        ("session,80a4c275-0a47-4905-8285-1486a9771a08,o,o,o,o,o", "more than four parameters"),
        ("session,80a4c275-0a47-4905-8285-1486a9771a08,x:1:2", "no kind of a parameter"),
        ("alloc,4096 fill,0,1", "this memory is not there"),
        ("context," + "x" * 300, "a word is too long"),
        ("context " * 65, "too many"),
        ("times context", "a number is missing"),
    ],
)
def test_arguments_that_it_does_not_know(programs, machine, words, why):
    """Unknown arguments are refused with a message and exit code 2."""
    done = subprocess.run([*programs[machine], *words.split()], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, f"tee-client: {why}\n")


@pytest.mark.parametrize("machine", EMULATORS)
def test_a_call_that_fails_ends_a_load(programs, machine):
    """`forever` prints only rounds until a call fails; the failure is printed, the exit code is 1."""
    done = subprocess.run(
        [*programs[machine], "forever", "context"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "0 context errno=2\n")
