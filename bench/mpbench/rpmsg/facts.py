# SPDX-License-Identifier: MIT
"""Facts of RPMsg: channels, messages that were counted on both sides, what Linux said of a fault."""

from collections.abc import Iterable

from attrs import frozen

DEVICES = "rpmsg.devices"
"""A line per device of the core on the bus: name, address of the core, driver, device; "-" for none."""
CLIENT = "rpmsg.client"
"""What rpmsg-client printed."""
ERRNO = "sysfs.write"
"""Result of the write to `state`: "OK" or an errno name."""


@frozen
class Channel:
    """A channel of a core.

    name: of the service that the core announced, e.g. "rpmsg-tty"; address: the core's
    driver: Linux' for it, "" while none has taken it; device: below /dev, "" without one
    """

    name: str
    address: int
    driver: str = ""
    device: str = ""

    @property
    def word(self) -> str:
        """Name, address and driver: what is predicted. Numbers of devices depend on what is open."""
        return f"{self.name} {self.address:#x} {self.driver or 'without a driver'}"


def channels_word(channels: Iterable[Channel]) -> str:
    """Value of field `channels`: every channel, by address; "" without any."""
    return ", ".join(c.word for c in sorted(channels, key=lambda c: c.address))


@frozen
class Counters:
    """Messages as the firmware counts them: taken from Linux, handed to Linux, for an unknown address."""

    received: int
    sent: int
    stray: int

    def since(self, before: "Counters") -> "Counters":
        """What was counted after `before`."""
        return Counters(self.received - before.received, self.sent - before.sent, self.stray - before.stray)


@frozen
class StartFacts:
    """Facts of a start, a stop or a recovery of a core with RPMsg; None: not known.

    errno:    "OK", or the errno's name of the write to `state`
    state:    of the core afterwards
    identity: name and core that the firmware prints, "" if none runs
    channels: see channels_word; "" without any
    """

    errno: str | None = None
    state: str | None = None
    identity: str | None = None
    channels: str | None = None


@frozen
class TrafficFacts:
    """Messages of a step, counted by Linux' side and by the firmware; None: not known.

    errno:         "OK", or the first errno's name that the client got
    sent:          messages that Linux took from the client
    received:      messages that the client got; wrong: those of them that were not as they should be
    lost:          messages that the core handed to Linux and that the client did not get
    core_received: messages that the firmware took; core_sent: that it handed to Linux
    in_flight:     messages that Linux took and the firmware did not
    stray:         messages for an address that the firmware does not serve
    """

    errno: str | None = None
    sent: int | None = None
    received: int | None = None
    wrong: int | None = None
    lost: int | None = None
    core_received: int | None = None
    core_sent: int | None = None
    in_flight: int | None = None
    stray: int | None = None


@frozen
class FaultFacts:
    """What a fault of the core did to Linux; None: not known.

    line:          the kernel's first warning or error about it, "" if it has none to say
    delivers:      whether messages come through unharmed afterwards, until the core is stopped
    state:         of the core afterwards
    kernel_faults: warnings with a backtrace, oopses and the like in the kernel's log
    recovers:      whether a stop and a start with sound firmware give working channels
    """

    line: str | None = None
    delivers: bool | None = None
    state: str | None = None
    kernel_faults: int | None = None
    recovers: bool | None = None


@frozen
class RoundTrip:
    """A message there and back: payload in bytes, nanoseconds by the kernel's monotonic clock."""

    length: int
    ns: int


@frozen
class Throughput:
    """Messages of one length through an echoing endpoint: how many both ways, in how many nanoseconds."""

    length: int
    messages: int
    ns: int
