# SPDX-License-Identifier: MIT
"""Fixture `rpmsg`: firmware that talks by RPMsg, and the bench's client on the board."""

import contextlib
import secrets
from collections.abc import Callable, Collection, Iterator
from typing import Any

import pytest
from attrs import define, field

from mpbench.board.program_output import Answer
from mpbench.board.protocols import Board
from mpbench.board.resource_snapshot import resource_counters
from mpbench.core.errors import BoardFailure, InfrastructureError, InvalidRun
from mpbench.core.step import Step
from mpbench.deployment.fixture import DeployBench
from mpbench.deployment.leaks import Snapshot, snapshot, steady
from mpbench.harness.configuration import without_watchdog
from mpbench.harness.firmware import FirmwareFiles, board_program
from mpbench.harness.run_state import core_of
from mpbench.rpmsg import collect, parse, predict, run
from mpbench.rpmsg.client import CALL_S, RpmsgClient
from mpbench.rpmsg.facts import Channel, StartFacts, TrafficFacts
from mpbench.rpmsg.options import MESSAGES
from mpbench.rpmsg.predict import Request
from mpbench.rpmsg.predict_faults import FAULTS, Fault, facts
from mpbench.twin.profile import Profile

PATH = "/tmp/mpbench-rpmsg-client"
FILE = "mpbench-rpmsg.elf"
NEEDED = "rpmsg_ns", "rpmsg_ctrl", "rpmsg_chrdev"
"""Drivers without which nothing can be tested; without rpmsg_tty only what needs a tty is left out."""
NEEDED_MAILBOXES = "vq0", "vq1"
"""Ref: Linux drivers/remoteproc/stm32_rproc.c, STM32_MBX_VQ0, STM32_MBX_VQ1"""
SNAPSHOTS = 5
MESSAGE_S = 0.05
"""Of a flood's deadline for each message: an emulator on a busy host takes a tenth of it."""
PROBE = "source,1,40,16,500", "sink,1,40,1000"
"""Messages through an echoing endpoint, the second that the client opened: more than there are buffers."""
ANY = 0xFFFFFFFF
"""An address that Linux chooses. Ref: Linux include/linux/rpmsg.h, RPMSG_ADDR_ANY"""


@pytest.fixture
def rpmsg(
    bench: DeployBench, firmware: FirmwareFiles, profile: Profile, env: Any, request: Any
) -> Iterator["Rpmsg"]:
    """RPMsg API of one test; afterwards recovery is enabled, and no core runs that it started.

    Skips the test where the kernel lacks RPMsg over virtio, or a mailbox to the test's core.
    """
    session = bench.board.session
    drivers = collect.drivers(session)
    core = core_of(request.node)
    mailboxes = collect.mailboxes(bench.board, core) if core else NEEDED_MAILBOXES
    if why := not_here(core or "", drivers, mailboxes):
        pytest.skip(why)
    signed = None if profile.by_linux(core) else request.getfixturevalue("signed")
    if not (program := board_program("rpmsg-client", session.execute("uname -m").text.strip())):
        pytest.skip("no rpmsg-client for this machine: see firmware/Makefile, MACHINES")
    session.put_bytes(program, PATH)
    session.execute(f"chmod 700 {PATH}").checked(f"cannot make {PATH} executable")
    limits_ms = env.config.get_option("bench_limits_ms", {})
    messages = request.config.option.bench_messages
    found = Rpmsg(bench, firmware, drivers, RpmsgClient(session, PATH), limits_ms, messages, signed)
    yield found
    found.restore()


def not_here(core: str, drivers: Collection[str], mailboxes: Collection[str]) -> str:
    """Why RPMsg cannot be tested with a core, "" if it can.

    drivers: of the kernel's RPMsg bus; mailboxes: by which it reaches the core
    """
    if missing := [name for name in NEEDED if name not in drivers]:
        return f"this kernel has no {', '.join(missing)} (CONFIG_RPMSG_NS, _CTRL, _CHAR)"
    if missing := [name for name in NEEDED_MAILBOXES if name not in mailboxes]:
        return f"{core}: Linux' device tree gives it no mailbox {', '.join(missing)}: no message is announced"
    return ""


@define
class Rpmsg:
    """Start firmware with RPMsg, exchange messages with it. Every step is predicted, compared, recorded.

    messages: each way in a flood (`--bench-messages`)
    """

    bench: DeployBench
    _firmware: FirmwareFiles
    drivers: tuple[str, ...]
    client: RpmsgClient
    limits_ms: dict[str, float] = field(factory=dict)
    messages: int = MESSAGES
    _signed: Callable[[str, bytes], bytes] | None = None
    _recovery_disabled: set[str] = field(factory=set)

    def start(self, core: str, name: str = "rpmsg-echo", *, record: bool = True) -> Step:
        """Start a core with firmware of the bench, and wait for the channels that it announces."""
        bench, elf = self.bench, self._firmware(name, core)
        image = self._signed(core, elf) if self._signed else elf
        bench.board.session.put_bytes(image, bench.board.remoteproc.firmware_path(FILE))
        if (refused := bench.write(core, "firmware", FILE)) != "OK":
            raise InfrastructureError(
                f"{core}: firmware name refused with {refused}; it must be offline first"
            )
        predicted = self.started(core, name)
        return self.act(
            core, f"start {name}", predicted, lambda: bench.write(core, "state", "start"), record=record
        )

    def started(self, core: str, name: str = "rpmsg-echo") -> StartFacts:
        """What a start, or a recovery, is predicted to show."""
        return predict.started(name, core, self.drivers)

    def stop(self, core: str, *, record: bool = True) -> Step:
        """Stop a core; its channels go."""
        write = self.bench.write
        return self.act(core, "stop", predict.STOPPED, lambda: write(core, "state", "stop"), record=record)

    def act(
        self, core: str, name: str, predicted: StartFacts, do: Callable[[], str], *, record: bool = True
    ) -> Step:
        """Do something that changes the core's state or channels, and observe them.

        do: returns "OK" or the errno's name. record: False leaves recording to the caller, see check().
        """
        step = run.changed(self.board, core, name, predicted, do)
        return self._recorded(step) if record else step

    def exchange(
        self,
        core: str,
        name: str,
        predicted: TrafficFacts,
        do: Callable[[], tuple[Answer, ...]],
        *,
        record: bool = True,
    ) -> tuple[Step, tuple[Answer, ...]]:
        """Exchange messages with the core and compare what both sides counted; `do` returns the answers."""
        step, answers = run.traffic(self.board, core, name, predicted, do)
        return self._recorded(step) if record else step, answers

    def fault(self, core: str, fault: Fault) -> Step:
        """Have the core break the rules, use it, then stop it and start sound firmware."""
        self.start(core, "rpmsg-rogue").check()
        request = Request(predict.FAULT, FAULTS.index(fault))
        with self.endpoint(core, predict.CONTROL) as path:
            raw = self.device(core, predict.RAW)

            def commit() -> tuple[Answer, ...]:
                return self.request_and(path, request, f"open,{raw}", *PROBE)

            step = run.fault(self.board, core, facts(fault), commit, lambda: self._works_again(core))
        return self._recorded(step)

    def _works_again(self, core: str) -> bool:
        self.stop(core).check()
        self.start(core).check()
        answers = self.client.run(f"open,{self.device(core, predict.RAW)}", "echo,0,1,16,1")
        return all(a.errno == "OK" and not a.values.get("wrong", 0) for a in answers)

    def _recorded(self, step: Step) -> Step:
        self.bench.append(step)
        return step

    def check(self, step: Step, *decided: str) -> None:
        """As Step.check(), of a step that was not recorded: it is, if it differs."""
        try:
            step.check(*decided)
        except (BoardFailure, InvalidRun):
            self._recorded(step)
            raise

    @property
    def flood_s(self) -> float:
        """Deadline of a flood, in seconds."""
        return CALL_S + self.messages * MESSAGE_S

    @property
    def board(self) -> Board:
        """The board."""
        return self.bench.board

    def await_line(self, line: str, mark: int) -> bool:
        """Whether the kernel logged a line with `line` since `mark`."""
        return collect.await_line(self.board, mark, line)

    def without_watchdog(self, core: str) -> str:
        """Why a watchdog of the core proves nothing on this target, "" if it does."""
        return without_watchdog(core, self._firmware.watchdogs.get(core, ""), self.bench.profile)

    def channels(self, core: str) -> tuple[Channel, ...]:
        """Channels of the core that Linux has now."""
        return parse.channels(collect.devices(self.board, core))

    def device(self, core: str, address: int) -> str:
        """Path of a channel's device. InfrastructureError without one; skips the test without a driver."""
        for channel in self.channels(core):
            if channel.address == address and not channel.driver:
                pytest.skip(f"this kernel has no driver for {channel.name}")
            if channel.address == address and channel.device:
                return f"/dev/{channel.device}"
        raise InfrastructureError(f"{core}: no device for the channel of address {address:#x}")

    def control_device(self, core: str) -> str:
        """Path of the core's rpmsg_ctrl. InfrastructureError without one."""
        if name := parse.control_device(collect.devices(self.board, core)):
            return f"/dev/{name}"
        raise InfrastructureError(f"{core}: no rpmsg_ctrl device")

    @contextlib.contextmanager
    def endpoint(self, core: str, address: int) -> Iterator[str]:
        """An endpoint made by rpmsg_ctrl for an address of the core: its device, during the block."""
        session, name = self.client.session, f"mpbench-{secrets.token_hex(4)}"
        self.create(core, name, address)
        devices = collect.endpoints(session, name)
        if len(devices) != 1:
            raise InfrastructureError(f"{core}: rpmsg_ctrl made {len(devices)} endpoints of one name")
        path = f"/dev/{devices[0]}"
        try:
            yield path
        finally:
            if name in self.endpoint_names():
                self.client.run(f"open,{path}", "destroy,0")

    def create(self, core: str, name: str, address: int, source: int = ANY) -> Answer:
        """Make an endpoint by rpmsg_ctrl; the answer, also of a refusal."""
        control = self.control_device(core)
        return self.client.run(f"open,{control}", f"create,0,{name},{source},{address}")[-1]

    def endpoint_names(self) -> set[str]:
        """Names of all endpoints that have a device."""
        command = "cat /sys/class/rpmsg/rpmsg[0-9]*/name 2>/dev/null; :"
        return set(self.client.session.execute(command).text.split())

    def request(self, path: str, request: Request) -> str:
        """As request_and(), and nothing more. Returns "OK"."""
        self.request_and(path, request)
        return "OK"

    def request_and(self, path: str, request: Request, *then: str) -> tuple[Answer, ...]:
        """Have the firmware do something, and the client what `then` says.

        path: an endpoint for the firmware's address CONTROL; then: words of the client, done before it closes
        that endpoint: the firmware answers first and does it afterwards, so a message may be on its way.
        Returns the answers to `then`. InfrastructureError if the firmware does not answer.
        """
        _, _, answer, *others = self.client.run(f"open,{path}", *asked(0, request), *then)
        if answer.data != bytes.fromhex(request.hex):
            raise InfrastructureError(f"{path}: no answer to a request: {answer}")
        return tuple(others)

    def disable_recovery(self, core: str) -> None:
        """A crash leaves the core crashed, until recovery is enabled."""
        self._recovery_disabled.add(core)
        self.bench.write(core, "recovery", "disabled")

    def enable_recovery(self, core: str) -> str:
        """Enable recovery, which recovers a core that has crashed; "OK" or the errno's name."""
        self._recovery_disabled.discard(core)
        return self.bench.write(core, "recovery", "enabled")

    def held(self) -> Snapshot:
        """Resources that the board uses now, for a comparison later."""
        return steady([snapshot(resource_counters(self.client.session), {}) for _ in range(SNAPSHOTS)])

    def restore(self) -> None:
        """Leave the board as before the test, if it can be reached."""
        if not self.bench.reachable:
            return
        for core in sorted(self._recovery_disabled):
            self.enable_recovery(core)
        self.client.session.execute(f"rm -f {self.client.path}")


def asked(file: int, request: Request, timeout_ms: int = 20_000) -> tuple[str, str]:
    """Words of the client that send a request and take its answer."""
    return f"send,{file},{request.hex}", f"receive,{file},{timeout_ms}"
