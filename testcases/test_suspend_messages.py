# SPDX-License-Identifier: MIT
"""What comes from a core or from OP-TEE while Linux is suspended waits, or wakes the board; none is lost.

Run on virtual boards only: nothing here has been on silicon.
"""

import pytest

from mpbench.rpmsg.facts import TrafficFacts
from mpbench.rpmsg.fixture import asked
from mpbench.rpmsg.predict import CONTROL, PAUSE, SEND, Request
from mpbench.suspend import predict
from mpbench.suspend.facts import ALARM, MAILBOX
from testcases.requirements import SUSPEND
from testcases.test_rpmsg import COUNTED, STARTED, echo

pytestmark = SUSPEND

SLEPT = (
    "errno", "entered", "woken_by", "refused_by", "crash", "state", "boots", "worked", "beating", "identity"
)  # fmt: skip
MESSAGES, LENGTH = 40, 64
"""More messages than the core has buffers for."""
PAUSE_MS, ALARM_S = 3500, 6
"""From the order to send until the core does, and until the alarm: Linux falls asleep before both.

The connection has to outlast the sleep: the client runs in a channel of it."""
WAKEUP = "/sys/bus/platform/devices/*.mailbox/power/wakeup"
"""Whether a message wakes the board. Ref: Linux drivers/mailbox/stm32-ipcc.c, stm32_ipcc_probe()"""
RATE_HZ, NOTIFIED = 5.0, 40


def test_channels_outlast_a_sleep(suspends, rpmsg, core):
    """The channels are as before, with their devices, and messages are echoed."""
    rpmsg.start(core).check(*STARTED)
    before = rpmsg.channels(core)
    suspends.sleep(core, predict.slept(f"rpmsg-echo {core}")).check(*SLEPT)
    assert rpmsg.channels(core) == before
    echo(rpmsg, core)


@pytest.fixture
def mailbox_wakes(rpmsg):
    """`mailbox_wakes(True)`: a message of any core wakes the board; afterwards as before."""
    session, before = rpmsg.board.session, []

    def switch(wakes):
        word = "enabled" if wakes else "disabled"
        paths = session.execute(f"ls {WAKEUP} 2>/dev/null; :").text.split()
        if not paths:
            pytest.skip("the mailbox is no wake-up source (`wakeup-source` in its node of the device tree)")
        for path in paths:
            before.append((path, session.execute(f"cat {path}").text.strip()))
            session.execute(f"echo {word} >{path}").checked(f"cannot write {path}")

    yield switch
    for path, word in before:
        session.execute(f"echo {word} >{path}")


@pytest.mark.parametrize("wakes", [False, True], ids=["wait", "wake"])
def test_messages_in_the_sleep(suspends, rpmsg, core, mailbox_wakes, wakes):
    """What the core sends to a frozen program arrives in order: it waits, or it wakes the board."""
    rpmsg.start(core, "rpmsg-flood").check(*STARTED)
    mailbox_wakes(wakes)
    slept = predict.slept(f"rpmsg-flood {core}", woken_by=MAILBOX if wakes else ALARM)
    send = Request(SEND, MESSAGES, LENGTH)

    def asleep():
        words = f"send,0,{send.hex}", "receive,0,60000", f"sink,0,{MESSAGES},20000"
        with rpmsg.client.running(f"open,{path}", *asked(0, Request(PAUSE, PAUSE_MS)), *words) as receiver:
            receiver.await_word("receive")
            suspends.sleep(core, slept, seconds=ALARM_S).check(*SLEPT)
            return receiver.finish()

    with rpmsg.endpoint(core, CONTROL) as path:
        predicted = TrafficFacts("OK", 2, MESSAGES + 2, 0, 0, 2, MESSAGES + 2, 0, 0)
        step, answers = rpmsg.exchange(core, "messages in the sleep", predicted, asleep)
    step.check(*COUNTED)
    assert answers[-1]["skipped"] == 0


def test_notifications_across_a_sleep(suspends, notifications, bench, core, image):
    """OP-TEE notifies before, in and after the sleep: each interrupt is explained, none wakes the board."""
    bench.deploy(core, image, f"alive {core}").check("errno", "state", "beating", "identity")
    notifications.rate_hz = RATE_HZ

    def asleep():
        suspends.sleep(core, predict.slept(f"alive {core}"), seconds=4).check(*SLEPT)

    found = notifications.run(NOTIFIED, burst=2, while_sending=asleep)
    assert found.balance.holds
    assert found.counts.ended > 0
    notifications.rate_hz = 10 * RATE_HZ
    assert notifications.run(NOTIFIED).balance.holds
