# SPDX-License-Identifier: MIT
"""The drivers on top of the session, on real SSH servers with artificial sysfs trees and power ports."""

import re
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import attr
import pytest
from labgrid import Target
from labgrid.driver import Driver
from labgrid.protocol import PowerProtocol
from labgrid.resource import NetworkPowerPort
from labgrid.strategy import StrategyError

from mpbench.board import power, strategy, tee
from mpbench.board.kernel_log import KernelLogFollower
from mpbench.board.remoteproc import Manager, RemoteprocDriver, Transition, manager_of
from mpbench.board.session.driver import SessionDriver
from mpbench.board.session.link import Unanswered
from mpbench.board.session.shell import CommandHangs, FramedShell
from mpbench.board.strategy import Status, STM32MPStrategy
from mpbench.core.errors import BoardFailure, InfrastructureError
from testcases.contract import servers
from testcases.contract.conftest import Serve, active, session_on


@pytest.fixture
def sysfs(tmp_path: Path) -> Path:
    """A sysfs tree with two cores, m0 as remoteproc0 and m33 as remoteproc1."""
    for index, name in enumerate(("m0", "m33")):
        core = tmp_path / f"class/remoteproc/remoteproc{index}"
        (core / "device/of_node").mkdir(parents=True)
        (core / "name").write_text(f"{name}\n")
        (core / "state").write_text("offline\n")
        (core / "device/of_node/compatible").write_bytes(f"st,stm32mp2-{name}-tee\0".encode())
        (tmp_path / f"debug/remoteproc/remoteproc{index}").mkdir(parents=True)
    (tmp_path / "module/firmware_class/parameters").mkdir(parents=True)
    (tmp_path / "module/firmware_class/parameters/path").write_text("\n")
    return tmp_path


@pytest.fixture(params=["openssh", "dropbear-busybox-no-sftp"])
def remoteproc(request: pytest.FixtureRequest, serve: Serve, sysfs: Path) -> Iterator[RemoteprocDriver]:
    """A RemoteprocDriver on the artificial tree."""
    with active(session_on(serve(request.param))) as session:
        driver = RemoteprocDriver(  # type: ignore[misc]  # labgrid's own two are not seen
            session.target,
            "remoteproc",
            sysfs=str(sysfs),
            debugfs=str(sysfs / "debug"),
            firmware=str(sysfs / "firmware"),
        )
        session.target.activate(driver)
        yield driver


def test_cores_are_found_by_name(remoteproc: RemoteprocDriver, sysfs: Path):
    """Cores are found by name; swapped indices are detected."""
    assert remoteproc.cores() == ["m0", "m33"]
    assert remoteproc.index("m33") == "remoteproc1"
    (sysfs / "class/remoteproc/remoteproc0/name").write_text("m33\n")
    (sysfs / "class/remoteproc/remoteproc0/state").write_text("running\n")
    (sysfs / "class/remoteproc/remoteproc1/name").write_text("m0\n")
    assert remoteproc.core_state("m33") == "running"
    assert remoteproc.index("m33") == "remoteproc0"
    with pytest.raises(BoardFailure, match="no core 'm4'; the kernel knows: m0, m33"):
        remoteproc.core_state("m4")


def test_writes_return_their_errno(remoteproc: RemoteprocDriver, sysfs: Path):
    """OK for a write that the kernel accepts, the errno's name for a refusal or a missing file."""
    assert remoteproc.write("m33", "firmware", "x", 5) == "ENOENT"
    assert remoteproc.write("m33", "state", "start", 5) == "OK"
    assert (sysfs / "class/remoteproc/remoteproc1/state").read_text().startswith("start")
    (sysfs / "class/remoteproc/remoteproc1/full").symlink_to("/dev/full")
    assert remoteproc.write("m33", "full", "x", 5) == "ENOSPC"
    (sysfs / "class/remoteproc/remoteproc1/score").symlink_to("/proc/self/oom_score_adj")
    assert remoteproc.write("m33", "score", "not a number", 5) == "EINVAL"


def test_what_is_meant_for_one_core_never_reaches_another(remoteproc: RemoteprocDriver, sysfs: Path):
    """When indices change, a write and a read of the trace find the core by its name again."""
    assert remoteproc.index("m33") == "remoteproc1"
    trees = [sysfs / f"class/remoteproc/remoteproc{n}" for n in (0, 1)]
    for tree, name in zip(trees, ("m33", "m0"), strict=True):
        (tree / "name").write_text(f"{name}\n")
    (sysfs / "debug/remoteproc/remoteproc0/trace0").write_bytes(b"mpbench alive m33 1\n")
    (sysfs / "debug/remoteproc/remoteproc1/trace0").write_bytes(b"mpbench alive m0 1\n")
    assert remoteproc.write("m33", "state", "start", 5) == "OK"
    assert [(tree / "state").read_text() for tree in trees] == ["startne\n", "offline\n"]
    remoteproc._directories = {"m0": "remoteproc0", "m33": "remoteproc1"}
    assert remoteproc.trace("m33") == b"mpbench alive m33 1\n"


def test_a_directory_that_changes_twice_is_an_error(
    remoteproc: RemoteprocDriver, monkeypatch: pytest.MonkeyPatch
):
    """If the directory belongs to another core twice, nothing is written and an error names it."""
    monkeypatch.setattr(remoteproc, "index", lambda _core: "remoteproc0")
    with pytest.raises(BoardFailure, match="changed while it was written to"):
        remoteproc.write("m33", "state", "start", 5)
    with pytest.raises(BoardFailure, match="changed while its trace was read"):
        remoteproc.trace("m33")


def test_transitions_are_read_back(remoteproc: RemoteprocDriver, sysfs: Path):
    """The state is read back after a write, and awaited."""
    state = sysfs / "class/remoteproc/remoteproc1/state"
    assert remoteproc.transition("m33", "start", "running", 0.2) == Transition("OK", "startne")
    timer = threading.Timer(0.1, state.write_text, ["running\n"])
    timer.start()
    assert remoteproc.await_state("m33", "running", 5) == "running"
    timer.join()


def test_attributes_of_one_core_take_one_round_trip(remoteproc: RemoteprocDriver):
    """Several files are read at once; an unreadable one has its errno in brackets."""
    found = remoteproc.attributes("m0", "state", "fw_format")
    assert found == {"state": "offline", "fw_format": "[ENOENT]"}


def test_the_trace_is_bytes_or_none(remoteproc: RemoteprocDriver, sysfs: Path):
    """trace() returns the buffer's bytes, None for a core without a buffer."""
    (sysfs / "debug/remoteproc/remoteproc1/trace0").write_bytes(b"mpbench\0\xff")
    assert remoteproc.trace("m33") == b"mpbench\0\xff"
    assert remoteproc.trace("m0") is None


def test_the_firmware_directory_is_where_the_kernel_looks(remoteproc: RemoteprocDriver, sysfs: Path):
    """firmware_class.path comes first when set, else the usual directory."""
    assert remoteproc.firmware_path("a.fw") == f"{sysfs}/firmware/a.fw"
    (sysfs / "module/firmware_class/parameters/path").write_text(f"{sysfs}/elsewhere\n")
    remoteproc._firmware_directory = ""
    assert remoteproc.firmware_path("a.fw") == f"{sysfs}/elsewhere/a.fw"
    assert (sysfs / "elsewhere").is_dir()


def test_a_read_only_firmware_directory_is_replaced(remoteproc: RemoteprocDriver, sysfs: Path):
    """If /lib/firmware is not writable, a new directory is set in firmware_class.path."""
    (sysfs / "firmware").write_text("a file in its place: no directory can be made there")
    assert remoteproc.firmware_path("a.fw") == "/run/mpbench-firmware/a.fw"
    assert (sysfs / "module/firmware_class/parameters/path").read_text() == "/run/mpbench-firmware"
    (sysfs / "module/firmware_class/parameters/path").unlink()
    (sysfs / "module/firmware_class/parameters").rmdir()
    remoteproc._firmware_directory = ""
    with pytest.raises(InfrastructureError, match="no writable firmware directory"):
        remoteproc.firmware_path("a.fw")
    Path("/run/mpbench-firmware").rmdir()


@pytest.mark.parametrize(
    ("fw_format", "compatible", "phandle", "ta", "manager"),
    [
        ("TEE", "", "[ENOENT]", False, Manager.TEE),
        ("ELF", "st,stm32mp1-m4-tee", "[ENOENT]", True, Manager.LINUX),
        ("[ENOENT]", "st,stm32mp2-m33-tee", "[ENOENT]", True, Manager.TEE),
        ("[ENOENT]", "st,stm32mp2-m33-tee", "[ENOENT]", False, Manager.LINUX),
        ("[ENOENT]", "st,stm32mp1-m4", "[ENOENT]", True, Manager.LINUX),
        ("[ENOENT]", "st,stm32mp1-m4", "0005", True, Manager.TEE),
    ],
)
def test_who_manages_a_core(fw_format: str, compatible: str, phandle: str, ta: bool, manager: Manager):
    """fw_format decides if the kernel has it, else the core's node and the TA together."""
    assert manager_of(fw_format, compatible, phandle, ta) is manager


def test_the_tee_is_seen_by_its_files():
    """Devices and trusted applications are distinguished; UUIDs are compared without case."""
    found = tee.parse(["/dev/tee0", f"{tee.BUS}/optee-ta-80A4C275-0a47-4905-8285-1486a9771a08", "/x"])
    assert found.present
    assert found.has("80a4c275-0A47-4905-8285-1486a9771a08")
    assert not found.has("00000000-0000-0000-0000-000000000000")
    assert not tee.parse([]).present


def test_looking_for_a_tee_takes_one_command(serve: Serve):
    """The command that lists the TEE's devices works in the board's shell."""
    with active(session_on(serve())) as session:
        assert tee.tee(session).devices <= set(tee.DEVICES)


def test_a_kernel_log_that_cannot_be_followed(serve: Serve, tmp_path: Path, monkeypatch):
    """Without /dev/kmsg the follower has the reason, and marks fall back without waiting."""
    monkeypatch.setattr("mpbench.board.kernel_log.MARKER_TIMEOUT_S", 0.1)
    monkeypatch.setattr("mpbench.board.kernel_log.PRINTK_DEVKMSG", str(tmp_path / "limit"))
    with active(session_on(serve())) as session:
        log = KernelLogFollower(session, str(tmp_path / "no" / "kmsg"))
        assert log.mark() == 0
        assert log.since(0) == b""
        assert log.wait_for(re.compile(b"x"), 0, 0.05) is False
        for thread in threading.enumerate():
            if thread.name == "kmsg":
                thread.join(60)
        assert "ended" in log.ended_why
        log.close()


# --- STM32MPStrategy ------------------------------------------------------------------------------


@attr.s(eq=False)
class ServerPower(Driver, PowerProtocol):
    """A power port whose board is an SSH server on loopback."""

    root: Path = attr.ib()
    port: int = attr.ib()
    works: bool = attr.ib(default=True)

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self.board: Any = None

    def on(self) -> None:
        if self.board is None:
            self.board = servers.openssh(self.root, port=self.port)
            self.server = self.board.__enter__()

    def off(self) -> None:
        if self.works and self.board is not None:
            servers.stop(self.server.process)
            self.board = None

    def cycle(self) -> None:
        self.off()
        self.on()


@pytest.fixture
def stm32mp(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[STM32MPStrategy]:
    """A strategy whose board has a new boot_id after each boot, and an uptime of 0."""
    (tmp_path / "uptime").write_text("0.00 0.00\n")
    monkeypatch.setattr(strategy, "UPTIME", str(tmp_path / "uptime"))
    server = serve("openssh")
    servers.stop(server.process)
    target: Target = session_on(server).target
    power = ServerPower(target, "power", root=tmp_path, port=server.port)  # type: ignore[misc, arg-type]  # labgrid's own two are not seen
    made = STM32MPStrategy(target, "strategy", boot_timeout_s=60, off_timeout_s=0.3)  # type: ignore[misc]  # labgrid's own two are not seen
    boots = iter(range(100))
    hello = FramedShell.hello
    monkeypatch.setattr(FramedShell, "hello", lambda shell, t: hello(shell, t) and f"boot {next(boots)}")
    yield made
    power.works = True
    power.off()
    target.cleanup()


def test_off_and_shell(stm32mp: STM32MPStrategy):
    """The board is switched on, off and on again; each boot has another boot_id."""
    session: SessionDriver = stm32mp.session
    stm32mp.transition("shell")
    assert stm32mp.status is Status.shell
    first = session.boot_id
    assert session.execute("echo up").stdout == b"up\n"
    stm32mp.transition("shell")
    assert session.boot_id == first
    stm32mp.transition(Status.off)
    assert not session.answers(0.1)
    stm32mp.transition("shell")
    assert session.boot_id != first


def test_a_power_port_that_misreports_is_detected(stm32mp: STM32MPStrategy):
    """If SSH answers after power off, the strategy is broken and keeps the first cause."""
    stm32mp.transition("shell")
    stm32mp.power.works = False
    for _ in range(2):
        with pytest.raises(StrategyError) as raised:
            stm32mp.transition("off")
        assert "SSH still answers" in str(raised.value.__cause__)


def test_the_same_boot_after_a_power_cycle_is_detected(
    stm32mp: STM32MPStrategy, monkeypatch: pytest.MonkeyPatch
):
    """A power cycle must change boot_id."""
    monkeypatch.setattr(FramedShell, "hello", lambda _shell, _timeout: "always the same")
    stm32mp.transition("shell")
    stm32mp.transition("off")
    with pytest.raises(StrategyError) as raised:
        stm32mp.transition("shell")
    assert "boot_id is always the same as before" in str(raised.value.__cause__)


def test_an_uptime_longer_than_the_power_on_time_is_detected(stm32mp: STM32MPStrategy, tmp_path: Path):
    """An uptime longer than the time since power on means that the board was not switched off."""
    (tmp_path / "uptime").write_text("4711.05 9000.00\n")
    with pytest.raises(StrategyError) as raised:
        stm32mp.transition("shell")
    assert re.match(
        r"Linux has been running for 4711\.05 s, \d+\.\d\d s after power on: "
        r"power switch \(ServerPower\) did not switch the board off$",
        str(raised.value.__cause__),
    )


def test_an_unreadable_uptime_is_an_error(stm32mp: STM32MPStrategy, tmp_path: Path):
    """An unreadable uptime is an error: a power cycle cannot be verified without it."""
    (tmp_path / "uptime").unlink()
    with pytest.raises(StrategyError) as raised:
        stm32mp.transition("shell")
    assert re.search("cannot read .*uptime: ENOENT$", str(raised.value.__cause__))


@pytest.mark.parametrize(
    ("error", "words"),
    [(AssertionError("index 9"), "index 9"), (OSError(), "OSError"), (ConnectionError("a\nb"), "a b")],
)
def test_whatever_a_power_port_raises_is_its_fault(
    stm32mp: STM32MPStrategy, monkeypatch: pytest.MonkeyPatch, error: Exception, words: str
):
    """Every exception of labgrid's backends is a one-line InfrastructureError that names the switch."""

    def fail(_power: ServerPower) -> None:
        raise error

    monkeypatch.setattr(ServerPower, "off", fail)
    with pytest.raises(StrategyError) as raised:
        stm32mp.transition("off")
    assert isinstance(raised.value.__cause__, InfrastructureError)
    assert str(raised.value.__cause__) == f"power switch (ServerPower): power command `off` failed: {words}"
    monkeypatch.undo()


def test_a_switch_is_named_by_its_address_without_the_password():
    """A power switch is named by class, address and index, without the user part of its URL."""
    port = NetworkPowerPort(Target("t"), "p", "rest", "http://user:secret@relay:8080/r/{index}", index="3")
    named = power.name_of(type("NetworkPowerDriver", (), {"port": port})())
    assert named == "power switch (NetworkPowerDriver, http://***@relay:8080/r/{index}, index 3)"
    port.host = "relay.lab"
    assert "relay.lab, index 3" in power.name_of(type("Any", (), {"port": port})())


def test_an_error_of_a_switch_shows_no_password():
    """labgrid's errors may contain the switch's URL or password: both are hidden, in the traceback too."""

    class Switch:
        target, port = Target("t"), NetworkPowerPort(Target("t"), "p", "rest", "http://u:c4n4ry@relay/r", "0")

        def off(self) -> None:
            raise ConnectionError(f"GET {self.port.host}: login 'c4n4ry' refused")

    with pytest.raises(InfrastructureError) as raised:
        power.switch(Switch(), "off", 5)
    switch = "power switch (Switch, http://***@relay/r, index 0)"
    refused = "GET http://***@relay/r: login '***' refused"
    assert str(raised.value) == f"{switch}: power command `off` failed: {refused}"
    assert raised.value.__suppress_context__


def test_a_board_that_never_answers_is_given_up(stm32mp: STM32MPStrategy, monkeypatch: pytest.MonkeyPatch):
    """Without SSH after boot_timeout_s the strategy fails with an InfrastructureError as cause."""
    monkeypatch.setattr(ServerPower, "on", lambda _power: None)
    stm32mp.boot_timeout_s = 2.0
    with pytest.raises(StrategyError) as raised:
        stm32mp.transition("shell")
    assert isinstance(raised.value.__cause__, InfrastructureError)
    assert "no SSH server answers 2 s after power on" in str(raised.value.__cause__)


def test_a_server_that_is_slow_to_greet_is_met(stm32mp: STM32MPStrategy, monkeypatch: pytest.MonkeyPatch):
    """Each try has a tenth of the wait so far, to the deadline: greetings take seconds on a busy host."""
    now_s, greets_after_s = 0.0, 4.0

    def answers(_session: SessionDriver, timeout_s: float) -> bool:
        nonlocal now_s
        now_s += min(timeout_s, greets_after_s)
        return timeout_s >= greets_after_s

    monkeypatch.setattr(strategy, "time", SimpleNamespace(monotonic=lambda: now_s))
    monkeypatch.setattr(SessionDriver, "answers", answers)
    stm32mp.boot_timeout_s = 120.0
    stm32mp.transition("shell")
    assert 40.0 < now_s < 60.0
    stm32mp.transition("off")
    now_s, greets_after_s = 0.0, 1000.0
    with pytest.raises(StrategyError):
        stm32mp.transition("shell")
    assert 120.0 < now_s < 120.5


@pytest.mark.parametrize("fault", [Unanswered, CommandHangs])
def test_a_board_that_is_busy_with_booting_is_tried_again(
    stm32mp: STM32MPStrategy, monkeypatch: pytest.MonkeyPatch, fault: type[InfrastructureError]
):
    """If the server greets and then stalls, the login is repeated until boot_timeout_s."""
    hello, greets, stalls, now_s = FramedShell.hello, SessionDriver.answers, iter([True, True, False]), 0.0

    def stalling(shell: FramedShell, timeout_s: float) -> str:
        nonlocal now_s
        if next(stalls, True):
            now_s += 15.0
            raise fault("busy")
        return hello(shell, timeout_s)

    monkeypatch.setattr(strategy, "time", SimpleNamespace(monotonic=lambda: now_s))
    monkeypatch.setattr(SessionDriver, "answers", lambda session, _timeout_s: greets(session, 30.0))
    monkeypatch.setattr(FramedShell, "hello", stalling)
    stm32mp.transition("shell")
    assert stm32mp.session.boot_id == "boot 0"
    stm32mp.transition("off")
    now_s = 0.0
    with pytest.raises(StrategyError) as raised:
        stm32mp.transition("shell")
    assert "busy" in str(raised.value.__cause__)
    assert now_s > 60.0


@pytest.mark.parametrize("status", ["unknown", "bootloader"])
def test_unreachable_states_are_refused(stm32mp: STM32MPStrategy, status: str):
    """`unknown` cannot be reached, nor the boot loader without a UBootDriver."""
    with pytest.raises(StrategyError) as raised:
        stm32mp.transition(status)
    assert "cannot" in str(raised.value.__cause__)


def test_force_assumes_the_state_and_connects(stm32mp: STM32MPStrategy):
    """--lg-initial-state shell connects to a board that is up already; off touches nothing."""
    stm32mp.force("off")
    assert stm32mp.status is Status.off
    stm32mp.power.on()
    stm32mp.force("shell")
    assert stm32mp.session.execute("echo up").stdout == b"up\n"
    with pytest.raises(StrategyError):
        stm32mp.force("unknown")


def test_force_needs_no_new_boot(stm32mp: STM32MPStrategy):
    """force() does not check for a new boot, even if this strategy switched the board on before."""
    stm32mp.transition("shell")
    before = stm32mp.session.boot_id
    stm32mp.force("shell")
    assert (stm32mp.status, stm32mp.session.boot_id) == (Status.shell, before)
