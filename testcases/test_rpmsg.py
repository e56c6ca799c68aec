# SPDX-License-Identifier: MIT
"""RPMsg: channels come and go with the core, and every message is accounted for.

The firmware is the bench's own (firmware/coprocessor/rpmsg), the drivers are the kernel's. Run on a virtual
STM32MP157C-DK2 and a virtual STM32MP257F-EV1: nothing here has been on silicon. NOT-RUN where Linux has no
mailbox to the core.
"""

import pytest
from attrs import evolve

from mpbench.deployment.leaks import persistent_leaks
from mpbench.rpmsg import measure, parse, predict
from mpbench.rpmsg.facts import TrafficFacts, channels_word
from mpbench.rpmsg.fixture import asked
from mpbench.rpmsg.predict import CONTROL, LONGEST, NAMELESS, RAW, RAW_2, TTY, Request, buffers
from mpbench.rpmsg.predict_faults import FAULTS
from testcases.requirements import MESSAGES

pytestmark = MESSAGES

STARTED = ("errno", "state", "identity", "channels")
COUNTED = (
    "errno", "sent", "received", "wrong", "lost", "core_received", "core_sent", "in_flight", "stray"
)  # fmt: skip
"""Every field: a step in which one is not observed proves nothing."""

LENGTHS = (1, 16, 64, 256, LONGEST)
ROUND_TRIPS = 50
MESSAGES_EACH = 100
FLOOD = 500
WARM_UP = 2
CHECK_EVERY = 25
GONE = 60_000
"""Milliseconds within which an open file reports that its channel has gone."""


def test_channels_are_announced(rpmsg, core):
    """Every service of the firmware is a channel with its name, address and driver, until the core stops."""
    rpmsg.start(core).check(*STARTED)
    assert rpmsg.device(core, TTY).startswith("/dev/ttyRPMSG")
    assert rpmsg.device(core, RAW).startswith("/dev/rpmsg")
    rpmsg.stop(core).check(*STARTED)


@pytest.mark.parametrize("address", [TTY, RAW], ids=["tty", "raw"])
def test_every_length_is_echoed(rpmsg, core, address):
    """Messages of 1 to 496 bytes come back byte by byte, on the character device in one piece."""
    rpmsg.start(core).check(*STARTED)
    words = f"open,{rpmsg.device(core, address)}", f"echo,0,1,{LONGEST},1"
    step, answers = rpmsg.exchange(
        core, "echo of every length", predict.echoed(LONGEST), lambda: rpmsg.client.run(*words)
    )
    step.check(*COUNTED)
    assert [a["length"] for a in answers[1:]] == list(range(1, LONGEST + 1))
    if address != TTY:
        assert {a["reads"] for a in answers[1:]} == {1}


def test_longer_message_is_refused(rpmsg, core):
    """A message of 497 bytes is refused with EMSGSIZE, nothing of it reaches the core, the next one does."""
    rpmsg.start(core).check(*STARTED)
    words = f"open,{rpmsg.device(core, RAW)}", f"source,0,1,{LONGEST + 1},0", "echo,0,16,16,1"
    predicted = evolve(predict.echoed(1), errno="EMSGSIZE")
    step, _ = rpmsg.exchange(core, "497 bytes, then 16", predicted, lambda: rpmsg.client.run(*words))
    step.check(*COUNTED)


def test_endpoints_at_once(rpmsg, core):
    """A tty, two channels and an endpoint without a name carry messages both ways at once, none is lost."""
    rpmsg.start(core).check(*STARTED)
    with rpmsg.endpoint(core, NAMELESS) as nameless:
        paths = [*(rpmsg.device(core, address) for address in (TTY, RAW, RAW_2)), nameless]
        words = *(f"open,{path}" for path in paths), f"pump,{MESSAGES_EACH},64,0,1,2,3"
        predicted = predict.echoed(MESSAGES_EACH * len(paths))
        step, answers = rpmsg.exchange(
            core, "four endpoints at once", predicted, lambda: rpmsg.client.run(*words)
        )
    step.check(*COUNTED)
    assert [a["received"] for a in answers if a.word == "pump"] == [MESSAGES_EACH] * len(paths)


def test_endpoint_is_made_and_removed(rpmsg, core):
    """An endpoint of rpmsg_ctrl has a device, carries messages, and is gone after it was destroyed."""
    rpmsg.start(core).check(*STARTED)
    before = rpmsg.endpoint_names()
    with rpmsg.endpoint(core, NAMELESS) as path:
        assert len(rpmsg.endpoint_names() - before) == 1
        words = f"open,{path}", "echo,0,1,16,1"
        step, _ = rpmsg.exchange(core, "echo", predict.echoed(16), lambda: rpmsg.client.run(*words))
        step.check(*COUNTED)
    assert rpmsg.endpoint_names() == before
    assert rpmsg.client.run(f"open,{path}")[0].errno == "ENOENT"


def test_message_without_service_is_counted(rpmsg, core):
    """A message to an address that the firmware does not serve reaches it, and is not answered."""
    rpmsg.start(core).check(*STARTED)
    with rpmsg.endpoint(core, 0x600) as path:
        words = f"open,{path}", "send,0,0a0b"
        predicted = TrafficFacts("OK", 1, 0, 0, lost=0, core_received=1, core_sent=0, in_flight=0, stray=1)
        step, _ = rpmsg.exchange(core, "to no service", predicted, lambda: rpmsg.client.run(*words))
    step.check(*COUNTED)


def test_channel_is_withdrawn_and_announced(rpmsg, core):
    """A channel that the firmware takes back goes, with its device; announced again, it works."""
    whole = rpmsg.start(core)
    whole.check(*STARTED)
    with rpmsg.endpoint(core, CONTROL) as path:
        kept = [c for c in predict.channels("rpmsg-echo", rpmsg.drivers) if c.address != RAW_2]
        predicted = evolve(whole.predicted, channels=channels_word(kept))
        index = [TTY, RAW, RAW_2].index(RAW_2)
        rpmsg.act(
            core, "withdrawn", predicted, lambda: rpmsg.request(path, Request(predict.WITHDRAW, index))
        ).check(*STARTED)
        rpmsg.act(
            core, "announced", whole.predicted, lambda: rpmsg.request(path, Request(predict.ANNOUNCE, index))
        ).check(*STARTED)
    words = f"open,{rpmsg.device(core, RAW_2)}", "echo,0,1,16,1"
    step, _ = rpmsg.exchange(core, "echo", predict.echoed(16), lambda: rpmsg.client.run(*words))
    step.check(*COUNTED)


def test_both_directions_at_once(rpmsg, core):
    """While the core floods Linux, Linux floods the core; both count as many messages as were sent.

    `--bench-messages 100000`; 500 each way by default.
    """
    rpmsg.start(core, "rpmsg-flood").check(*STARTED)
    count = rpmsg.messages

    def flood():
        source = f"open,{rpmsg.device(core, RAW)}", f"source,0,{count},256,20000"
        sink = f"open,{path}", *asked(0, Request(predict.SEND, count, 256)), f"sink,0,{count},20000"
        with rpmsg.client.running(*source) as sender:
            received = rpmsg.client.run(*sink, timeout_s=rpmsg.flood_s)
            return (*sender.finish(rpmsg.flood_s), *received)

    with rpmsg.endpoint(core, CONTROL) as path:
        step, answers = rpmsg.exchange(core, "flood both ways", predict.echoed(count + 1), flood)
    step.check(*COUNTED)
    assert [a["skipped"] for a in answers if a.word == "sink"] == [0]
    conditions = {"core": core, "traffic": "flood both ways", "messages": f"{count} each way"}
    rpmsg.bench.measure(measure.lost(step.observed.lost, conditions))


def test_linux_does_not_read(rpmsg, core):
    """What a program does not read for a while waits for it, in order, and none is lost."""
    rpmsg.start(core, "rpmsg-flood").check(*STARTED)
    with rpmsg.endpoint(core, CONTROL) as path:
        request = asked(0, Request(predict.SEND, FLOOD, LONGEST))
        words = f"open,{path}", *request, "sleep,2000", f"sink,0,{FLOOD},20000"
        predicted = TrafficFacts("OK", 1, FLOOD + 1, 0, 0, 1, FLOOD + 1, 0, 0)
        step, answers = rpmsg.exchange(core, "read late", predicted, lambda: rpmsg.client.run(*words))
    step.check(*COUNTED)
    assert answers[-1]["skipped"] == 0


def test_core_does_not_read(rpmsg, core):
    """A core that takes nothing stops the writer after one ring of messages; later it gets all of them."""
    rpmsg.start(core).check(*STARTED)
    ring = buffers(core)
    with rpmsg.endpoint(core, CONTROL) as path:
        words = (
            f"open,{path}",
            f"open,{rpmsg.device(core, RAW)}",
            *asked(0, Request(predict.PAUSE, 8000)),
            f"source,1,{4 * ring},16,300",
            f"sink,1,{ring},30000",
        )
        predicted = evolve(predict.echoed(ring + 1), errno="EAGAIN")
        step, answers = rpmsg.exchange(core, "the core pauses", predicted, lambda: rpmsg.client.run(*words))
    step.check(*COUNTED)
    assert answers[-2]["sent"] == ring
    assert answers[-1]["skipped"] == 0


def test_stop_with_open_channels(rpmsg, core):
    """A stop takes channels that programs have open: these learn of it, and after a start new ones work."""
    rpmsg.start(core).check(*STARTED)
    paths = rpmsg.device(core, RAW), rpmsg.device(core, TTY)
    opened = [f"open,{path}" for path in paths]
    with rpmsg.client.running(*opened, "echo,0,16,16,1", f"watch,0,{GONE}", f"watch,1,{GONE}") as client:
        client.await_word("echo")
        rpmsg.stop(core).check(*STARTED)
        raw, tty = client.finish()[-2:]
    assert raw.errno == "EPIPE"
    assert (tty.errno, tty["events"] & 16) == ("OK", 16), "a hang-up"
    rpmsg.start(core).check(*STARTED)
    echo(rpmsg, core)


def echo(rpmsg, core, messages=16):
    """Exchange a few messages on the raw channel; every one comes back."""
    words = f"open,{rpmsg.device(core, RAW)}", f"echo,0,1,{messages},1"
    step, _ = rpmsg.exchange(core, "echo", predict.echoed(messages), lambda: rpmsg.client.run(*words))
    step.check(*COUNTED)


def test_watchdog_crash_with_open_channels(rpmsg, core):
    """A watchdog crash amid messages: each was taken, answered, or in flight; channels go and come back."""
    if why := rpmsg.without_watchdog(core):
        pytest.skip(why)
    rpmsg.start(core).check(*STARTED)
    rpmsg.disable_recovery(core)
    crashed, bench = rpmsg.board.kmsg.mark(), rpmsg.bench
    raw = rpmsg.device(core, RAW)
    with rpmsg.endpoint(core, CONTROL) as path:
        words = (
            f"open,{path}", f"open,{raw}", *asked(0, Request(predict.STARVE)), "source,1,10000,16,2000"
        )  # fmt: skip
        predicted = TrafficFacts(errno="EAGAIN", wrong=0, stray=0)
        with rpmsg.client.running(f"open,{rpmsg.device(core, RAW_2)}", f"watch,0,{GONE}") as watcher:
            watcher.await_word("open")
            step, answers = rpmsg.exchange(
                core, "messages until the crash", predicted, lambda: rpmsg.client.run(*words)
            )
            step.check("errno", "wrong", "stray")
            assert rpmsg.await_line("crash detected in", crashed)
            assert bench.state(core) == "crashed"
            rpmsg.act(core, "recovery", rpmsg.started(core), lambda: rpmsg.enable_recovery(core)).check(
                *STARTED
            )
            assert watcher.finish()[-1].errno == "EPIPE"
    seen = step.observed
    assert answers[-1]["sent"] > 0
    assert 0 <= seen.in_flight <= buffers(core), "more messages in flight than buffers"
    assert seen.core_sent - seen.core_received in (0, 1), "a message was taken and not answered"
    bench.measure(measure.in_flight(seen.in_flight, {"core": core, "crash": "watchdog"}))
    echo(rpmsg, core)


def test_start_echo_stop_soak(rpmsg, core, soak):
    """Start, echo, stop, again and again: each as predicted, and the board holds no more than before.

    `--bench-soak 500x`; three cycles by default.
    """
    for _ in range(WARM_UP):
        cycle(rpmsg, core)
    before, cycles = rpmsg.held(), 0
    for number in soak.cycles():
        soak.journal.add(took_s=cycle(rpmsg, core))
        cycles += 1
        if cycles % CHECK_EVERY == 0:
            no_leaks(rpmsg, before, cycles, number)
            soak.note = f", 0 differences, 0 leaks after {cycles} cycles"
    no_leaks(rpmsg, before, cycles, len(soak.journal.cycles))


def cycle(rpmsg, core):
    """One cycle, in seconds; a step is recorded only if it differs."""
    words = "echo,0,16,16,4"
    steps = [rpmsg.start(core, record=False)]
    path = rpmsg.device(core, RAW)
    step, _ = rpmsg.exchange(
        core, "echo", predict.echoed(4), lambda: rpmsg.client.run(f"open,{path}", words), record=False
    )
    steps += [step, rpmsg.stop(core, record=False)]
    for step in steps:
        rpmsg.check(step, *(COUNTED if step.name == "echo" else STARTED))
    return sum(step.duration_ns for step in steps) / 1e9


def no_leaks(rpmsg, before, cycles, number):
    """Fail if the board holds more resources than `before`, naming them and the number of cycles."""
    if found := persistent_leaks(before, rpmsg.held, cycles):
        pytest.fail(f"leak within {cycles} cycles (cycle {number} of the soak): " + "; ".join(found))


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
def test_bad_citizen(rpmsg, core, fault):
    """A core that breaks the rules harms neither kernel nor bench; sound firmware works after a restart."""
    step = rpmsg.fault(core, fault)
    decided = ["line", "state", "kernel_faults", "recovers"]
    step.check(*decided, *(["delivers"] if fault.delivers is not None else []))


def test_round_trips_are_measured(rpmsg, core):
    """Round trips by length, on the character device and the tty, dated by the board's clock."""
    rpmsg.start(core).check(*STARTED)
    for device, address in (("raw", RAW), ("tty", TTY)):
        words = [f"open,{rpmsg.device(core, address)}"]
        words += [f"echo,0,{length},{length},{ROUND_TRIPS}" for length in LENGTHS]
        predicted = predict.echoed(ROUND_TRIPS * len(LENGTHS))
        step, answers = rpmsg.exchange(
            core, f"round trips, {device}", predicted, lambda words=words: rpmsg.client.run(*words)
        )
        step.check(*COUNTED)
        conditions = {"core": core, "device": device}
        for found in measure.round_trips(parse.round_trips(answers), conditions, rpmsg.limits_ms):
            rpmsg.bench.measure(found)


def test_throughput_is_measured(rpmsg, core):
    """Payload per second by length, both ways at once, and no message is lost."""
    rpmsg.start(core).check(*STARTED)
    lost = 0
    for length in LENGTHS:
        words = f"open,{rpmsg.device(core, RAW)}", f"pump,{MESSAGES_EACH},{length},0"
        step, answers = rpmsg.exchange(
            core, f"pump of {length} bytes", predict.echoed(MESSAGES_EACH),
            lambda words=words: rpmsg.client.run(*words),
        )  # fmt: skip
        step.check(*COUNTED)
        lost += step.observed.lost
        found = parse.throughput(answers, length)
        rpmsg.bench.measure(measure.throughput(found, {"core": core, "device": "raw"}))
    rpmsg.bench.measure(measure.lost(lost, {"core": core, "traffic": "echo"}))
