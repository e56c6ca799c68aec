# SPDX-License-Identifier: MIT
"""RPMsg: channels come and go with the core, and every message is accounted for.

The firmware is the bench's own (firmware/coprocessor/rpmsg), the drivers are the kernel's. Run on a virtual
STM32MP157C-DK2 only: nothing here has been on silicon. NOT-RUN where a TEE loads the cores.
"""

import pytest

from mpbench.rpmsg import predict
from mpbench.rpmsg.predict import LONGEST, RAW, TTY
from testcases.requirements import MESSAGES

pytestmark = MESSAGES

STARTED = ("errno", "state", "identity", "channels")
COUNTED = (
    "errno", "sent", "received", "wrong", "lost", "core_received", "core_sent", "in_flight", "stray"
)  # fmt: skip
"""Every field: a step in which one is not observed proves nothing."""


def test_channels_are_announced(rpmsg, core):
    """Every service of the firmware is a channel with its name, address and driver, until the core stops."""
    rpmsg.start(core).check(*STARTED)
    assert rpmsg.device(core, TTY).startswith("/dev/ttyRPMSG")
    assert rpmsg.device(core, RAW).startswith("/dev/rpmsg")
    rpmsg.stop(core).check(*STARTED)


@pytest.mark.parametrize("address", [TTY, RAW], ids=["tty", "raw"])
def test_every_length_is_echoed(rpmsg, core, address):
    """Messages of 1 to 496 bytes come back byte by byte, in one piece."""
    rpmsg.start(core).check(*STARTED)
    words = f"open,{rpmsg.device(core, address)}", f"echo,0,1,{LONGEST},1"
    step, answers = rpmsg.exchange(
        core, "echo of every length", predict.echoed(LONGEST), lambda: rpmsg.client.run(*words)
    )
    step.check(*COUNTED)
    assert [a["length"] for a in answers[1:]] == list(range(1, LONGEST + 1))
    if address != TTY:
        assert {a["reads"] for a in answers[1:]} == {1}
