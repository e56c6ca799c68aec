# SPDX-License-Identifier: MIT
"""RPMsg on a stand-in of a board: the client that is run there, and the API of a test."""

import pytest

from mpbench.board.session.shell_protocol import Reply
from mpbench.core.errors import BoardFailure, InfrastructureError, UsageError
from mpbench.core.evidence import Evidence
from mpbench.core.shared_files import FIRMWARE
from mpbench.harness.firmware import FirmwareFiles
from mpbench.rpmsg import collect, predict, run
from mpbench.rpmsg.client import RpmsgClient, RunningClient
from mpbench.rpmsg.facts import StartFacts
from mpbench.rpmsg.fixture import Rpmsg, not_here
from mpbench.twin.profile import load_profile
from testcases.stand_in import StandIn

# Of the virtual STM32MP157C-DK2.
LISTING = """rpmsg-raw 0x401 rpmsg_chrdev rpmsg0
rpmsg-raw 0x402 - -
rpmsg-tty 0x400 rpmsg_tty ttyRPMSG0
rpmsg_ctrl 0x0 rpmsg_ctrl rpmsg_ctrl0
rpmsg_ns 0x35 rpmsg_ns -
"""


class Session(StandIn):
    """A session whose commands give one reply."""

    def __init__(self, reply):
        super().__init__()
        self.reply = reply

    def call(self, command, timeout_s):
        assert timeout_s > 0
        assert command == "/tmp/c open,/dev/rpmsg0"
        return self.reply


def test_answers_and_refusals_of_the_client():
    """Lines become answers; a word that it does not know is the caller's mistake, a crash is not."""
    found = RpmsgClient(Session(Reply(0, b"0 open errno=2 id=0\n", b"")), "/tmp/c").run("open,/dev/rpmsg0")
    assert [a.errno for a in found] == ["ENOENT"]
    with pytest.raises(UsageError, match=r"rpmsg-client rejected its arguments: .*no number"):
        RpmsgClient(Session(Reply(2, b"", b"rpmsg-client: no number\n")), "/tmp/c").run("open,/dev/rpmsg0")
    with pytest.raises(InfrastructureError, match="rpmsg-client ended with exit code 139"):
        RpmsgClient(Session(Reply(139, b"", b"")), "/tmp/c").run("open,/dev/rpmsg0")


class Process:
    """A process that prints these pieces, then ends."""

    def __init__(self, *pieces):
        self.pieces = list(pieces)

    pid = 1

    def read(self, timeout_s):  # noqa: ARG002 - the protocol's
        return self.pieces.pop(0) if self.pieces else b""

    def finish(self, timeout_s):  # noqa: ARG002 - the protocol's
        return Reply(0, b"".join(self.pieces), b"")

    def close(self):
        raise AssertionError("nobody closes it")


def test_a_client_that_runs_on():
    """Its answers are read up to a word, then to its end, however they are split."""
    running = RunningClient(Process(b"0 open err", b"no=0 id=0\n0 sl", b"eep\n"))
    assert [a.word for a in running.await_word("open")] == ["open"]
    assert [a.word for a in running.finish()] == ["open", "sleep"]
    with pytest.raises(InfrastructureError, match="ended before it printed 'watch': '0 open errno=0 id=0"):
        RunningClient(Process(b"0 open errno=0 id=0\n")).await_word("watch")


class BoardSession(StandIn):
    """A board's session: commands whose text has a key of `replies` print its value."""

    def __init__(self, **replies):
        super().__init__()
        self.replies, self.asked = replies, []

    def execute(self, command):
        self.asked.append(command)
        return Reply(
            0, next((text for key, text in self.replies.items() if key in command), "").encode(), b""
        )

    def call(self, command, timeout_s):  # noqa: ARG002 - the protocol's
        return self.execute(command)


class Uploads(BoardSession):
    """A session that notes the files it is given."""

    def __init__(self):
        super().__init__()
        self.put = {}

    def put_bytes(self, data, path):
        self.put[path] = data


class Bench(StandIn):
    """A bench whose board has this session; it notes what is written to sysfs."""

    def __init__(self, session, *, reachable=True, refused="OK"):
        super().__init__()
        self.board = StandInBoard(session)
        self.reachable, self.refused, self.written = reachable, refused, []
        self.profile = load_profile("linux-mp15")

    def write(self, core, file, text):
        self.written.append((core, file, text))
        return self.refused


class StandInBoard(StandIn):
    """A board with a session, whose only core is remoteproc0."""

    def __init__(self, session):
        super().__init__()
        self.session, self.remoteproc = session, self

    def index(self, core):
        assert core == "m4"
        return "remoteproc0"

    def firmware_path(self, name):
        return f"/lib/firmware/{name}"

    def path(self, core, file):
        return f"/sys/class/remoteproc/{self.index(core)}/{file}"


def api(session, **more):
    """(API, its bench) on a stand-in of a board."""
    bench = Bench(session, **more)
    watchdogs = FirmwareFiles(FIRMWARE, {}, {"m4": "wwdg1"})
    return Rpmsg(bench, watchdogs, (), RpmsgClient(session, "/tmp/c")), bench


def test_where_rpmsg_cannot_be_tested():
    """The reason names the drivers that the kernel lacks, or the mailboxes of the core."""
    whole = ["rpmsg_chrdev", "rpmsg_ctrl", "rpmsg_ns", "rpmsg_tty"]
    assert not_here("m33", whole, ["vq0", "vq1", "shutdown"]) == ""
    assert not_here("m33", whole[:2], []) == "this kernel has no rpmsg_ns (CONFIG_RPMSG_NS, _CTRL, _CHAR)"
    assert not_here("m33", whole, ["vq0"]) == (
        "m33: Linux' device tree gives it no mailbox vq1: no message is announced"
    )


def test_mailboxes_of_a_core():
    """Their names are those in the core's node of Linux' device tree; without any there is none."""
    board = StandInBoard(BoardSession(**{"device/of_node/mbox-names": "vq0 vq1 shutdown "}))
    assert collect.mailboxes(board, "m4") == ("vq0", "vq1", "shutdown")
    assert collect.mailboxes(StandInBoard(BoardSession()), "m4") == ()


def test_a_tee_gets_a_signed_image():
    """Where a TEE loads the cores, the file that Linux is given is signed."""
    bench = Bench(Uploads(), refused="EBUSY")
    files = FirmwareFiles(FIRMWARE, {})
    rpmsg = Rpmsg(
        bench,
        files,
        (),
        RpmsgClient(bench.board.session, "/tmp/c"),
        {},
        1,
        lambda *what: b"|".join((what[0].encode(), what[1][:4])),
    )
    with pytest.raises(InfrastructureError, match="m4: firmware name refused with EBUSY"):
        rpmsg.start("m4")
    assert bench.board.session.put == {"/lib/firmware/mpbench-rpmsg.elf": b"m4|\x7fELF"}


def test_devices_of_channels():
    """A channel has a device; without a driver the test is NOT-RUN, without a channel it is INFRA."""
    rpmsg, _ = api(BoardSession(**{"/sys/bus/rpmsg": LISTING}))
    assert rpmsg.device("m4", 0x401) == "/dev/rpmsg0"
    assert rpmsg.control_device("m4") == "/dev/rpmsg_ctrl0"
    with pytest.raises(pytest.skip.Exception, match="this kernel has no driver for rpmsg-raw"):
        rpmsg.device("m4", 0x402)
    with pytest.raises(InfrastructureError, match="m4: no device for the channel of address 0x403"):
        rpmsg.device("m4", 0x403)
    with pytest.raises(InfrastructureError, match="m4: no rpmsg_ctrl device"):
        api(BoardSession())[0].control_device("m4")


def test_an_endpoint_that_does_not_appear():
    """An endpoint without a device of its name is INFRA."""
    session = BoardSession(
        **{"/sys/bus/rpmsg": LISTING, "create,": "0 open errno=0 id=0\n0 create errno=10\n"}
    )
    rpmsg, _ = api(session)
    assert rpmsg.create("m4", "hello", 0x500).errno == "EBUSY"
    with (
        pytest.raises(InfrastructureError, match="m4: rpmsg_ctrl made 0 endpoints of one name"),
        rpmsg.endpoint("m4", 0x500),
    ):
        pytest.fail("there is none")


def test_a_request_without_an_answer():
    """A request is answered with its own words; anything else is INFRA."""
    ask = predict.Request(predict.PAUSE, 1)
    right = f"0 open errno=0 id=0\n0 send errno=0\n0 receive errno=0 bytes={ask.hex}\n"
    assert api(BoardSession(send=right))[0].request("/dev/rpmsg1", ask) == "OK"
    probed = right + "1 open errno=0 id=1\n1 source errno=0 sent=3\n"
    rpmsg, _ = api(BoardSession(send=probed))
    words = "open,/dev/rpmsg2", "source,1,3,16,500"
    assert [a.word for a in rpmsg.request_and("/dev/rpmsg1", ask, *words)] == ["open", "source"]
    silent = BoardSession(send="0 open errno=0 id=0\n0 send errno=0\n0 receive errno=6e\n")
    with pytest.raises(InfrastructureError, match="/dev/rpmsg1: no answer to a request"):
        api(silent)[0].request("/dev/rpmsg1", ask)


def test_the_board_is_left_as_before():
    """Recovery that a test disabled is enabled again, and the client removed, if the board can be reached."""
    rpmsg, bench = api(BoardSession())
    rpmsg.disable_recovery("m4")
    rpmsg.restore()
    assert bench.written == [("m4", "recovery", "disabled"), ("m4", "recovery", "enabled")]
    assert bench.board.session.asked == ["rm -f /tmp/c"]
    away, bench = api(BoardSession(), reachable=False)
    away.disable_recovery("m4")
    away.restore()
    assert bench.written == [("m4", "recovery", "disabled")]


def test_a_watchdog_that_linux_does_not_hear_of():
    """Without a watchdog of the target, or with one that is no interrupt of Linux, the reason says so."""
    rpmsg, _ = api(BoardSession())
    assert rpmsg.without_watchdog("m4") == ""
    assert rpmsg.without_watchdog("m33").startswith("m33: the target gives its firmware no watchdog")


def test_a_step_that_was_not_recorded():
    """A step that agrees is not recorded; one that differs is, before the test fails."""
    rpmsg, bench = api(BoardSession())
    recorded = bench.append = Recorder()
    evidence, stopped = Evidence(), predict.STOPPED
    rpmsg.check(run.step_of(("stop", "m4"), stopped, stopped, evidence, 0), "state")
    assert recorded.steps == []
    running = StartFacts("OK", "running", "", "")
    with pytest.raises(BoardFailure, match="stop on m4: state was predicted 'offline'"):
        rpmsg.check(run.step_of(("stop", "m4"), stopped, running, evidence, 0), "state")
    assert len(recorded.steps) == 1


class Recorder:
    """Keeps what it is called with."""

    def __init__(self):
        self.steps = []

    def __call__(self, step):
        self.steps.append(step)
