# SPDX-License-Identifier: MIT
"""Predicts channels and messages of the bench's firmware with RPMsg. Pure.

Ref: firmware/coprocessor/rpmsg; Linux 6.12 drivers/rpmsg/{virtio_rpmsg_bus,rpmsg_ns,rpmsg_char}.c,
     drivers/tty/rpmsg_tty.c, drivers/virtio/virtio_ring.c
"""

from collections.abc import Collection

from attrs import frozen

from mpbench.rpmsg.facts import Channel, StartFacts, TrafficFacts, channels_word

LONGEST = 496
"""Bytes of a message: Linux' buffers have 512, of which 16 are a header."""
BUFFERS = {"m0": 8}
"""Buffers each way by core, where they are not USUAL_BUFFERS: the M0 has no room for more in its memory."""
USUAL_BUFFERS = 16
"""The rings of the bench's firmware, and what vdev0buffer of ST's boards has room for."""

DRIVERS = {"rpmsg-tty": "rpmsg_tty", "rpmsg-raw": "rpmsg_chrdev"}
"""Linux' driver for a channel's name. Ref: rpmsg_driver_tty_id_table, rpmsg_chrdev_id_table"""

TTY, RAW, RAW_2, NAMELESS, CONTROL = 0x400, 0x401, 0x402, 0x403, 0x500
"""Addresses of the firmware; the last two are not announced. CONTROL takes requests, the others echo."""

ANNOUNCED = {
    "rpmsg-echo": {TTY: "rpmsg-tty", RAW: "rpmsg-raw", RAW_2: "rpmsg-raw"},
    "rpmsg-flood": {RAW: "rpmsg-raw"},
    "rpmsg-rogue": {RAW: "rpmsg-raw"},
}
"""Services that a firmware announces, by address."""


def buffers(core: str) -> int:
    """Buffers each way between Linux and a core. Ref: firmware/coprocessor/rpmsg/lib/rpmsg.h, RING_SIZE"""
    return BUFFERS.get(core, USUAL_BUFFERS)


def channels(firmware: str, drivers: Collection[str]) -> tuple[Channel, ...]:
    """Channels that a firmware announces, with the drivers that the board has."""
    return tuple(
        Channel(name, address, DRIVERS[name] if DRIVERS[name] in drivers else "")
        for address, name in ANNOUNCED[firmware].items()
    )


def started(firmware: str, core: str, drivers: Collection[str]) -> StartFacts:
    """Facts of a start, or of a recovery."""
    return StartFacts("OK", "running", f"{firmware} {core}", channels_word(channels(firmware, drivers)))


STOPPED = StartFacts("OK", "offline", "", "")


def echoed(messages: int) -> TrafficFacts:
    """Facts of messages that all come back as they were sent."""
    return TrafficFacts(
        errno="OK",
        sent=messages,
        received=messages,
        wrong=0,
        lost=0,
        core_received=messages,
        core_sent=messages,
        in_flight=0,
        stray=0,
    )


@frozen
class Request:
    """A request to the firmware's address CONTROL. Ref: firmware/coprocessor/rpmsg/lib/rpmsg.h"""

    word: int
    a: int = 0
    b: int = 0

    @property
    def hex(self) -> str:
        """The message, in hexadecimal."""
        return b"".join(n.to_bytes(4, "little") for n in (self.word, self.a, self.b, 0)).hex()


STARVE, PAUSE, ANNOUNCE, WITHDRAW, SEND, FAULT = range(6)
"""Words of requests."""
