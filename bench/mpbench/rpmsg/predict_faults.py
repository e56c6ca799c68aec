# SPDX-License-Identifier: MIT
"""What Linux does with a core that breaks the rules of RPMsg or of virtqueues, as data.

Ref: Linux 6.12 drivers/rpmsg/virtio_rpmsg_bus.c: rpmsg_recv_single(), rpmsg_recv_done(), get_a_tx_buf(),
     __rpmsg_create_channel(); drivers/rpmsg/rpmsg_ns.c: rpmsg_ns_cb(); drivers/virtio/virtio_ring.c:
     virtqueue_get_buf_ctx_split(), vring_interrupt()
"""

from attrs import frozen

from mpbench.rpmsg.facts import FaultFacts


@frozen
class Fault:
    """A fault of the firmware rpmsg-rogue.

    line:     the kernel's first warning or error about it, without device; "" if it has none to say
    delivers: whether messages come through unharmed afterwards; None: a matter of timing
    """

    name: str
    line: str
    delivers: bool | None


FAULTS = (
    Fault("length-in-header", "inbound msg too big: (64, 480)", True),
    Fault("length-in-ring", "inbound msg too big: (4096, 16)", True),
    Fault("length-too-short", "", True),
    Fault("to-nobody", "msg received with no recipient", True),
    Fault("id-out-of-range", "input:id 999 out of range", False),
    Fault("index-jumps", "channel rpmsg-raw:ffffffff:401 already exist", None),
    Fault("sent-id-out-of-range", "output:id 999 out of range", False),
    Fault("kicks", "", True),
    Fault("announced-short", "malformed ns msg (8)", True),
    Fault("announced-without-end", "", True),
    Fault("announced-twice", "channel rpmsg-raw:ffffffff:401 already exist", True),
    Fault("withdrawn-unknown", "rpmsg_destroy_channel failed: -22", True),
    Fault("table-overwritten", "", True),
    Fault("descriptors-overwritten", "", True),
    Fault("descriptor-chained", "", None),
)
"""In the order of firmware/coprocessor/rpmsg/rpmsg-rogue.c.

A wrong id breaks the virtqueue until the core is stopped: virtio marks it, and Linux uses it no more. An
index that jumps makes Linux take buffers again, with what is in them. A descriptor's flag "next" is read from
the ring, which frees a buffer that is still in use; with the flag in all of them Linux would search for ever,
so that is no case here.
"""


def facts(fault: Fault) -> FaultFacts:
    """Facts of a step in which the core commits the fault, is used, and started with sound firmware."""
    return FaultFacts(fault.line, fault.delivers, "running", 0, True)
