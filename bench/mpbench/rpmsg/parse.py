# SPDX-License-Identifier: MIT
"""Parses what a board shows of RPMsg. Pure.

Ref: Linux Documentation/ABI/testing/sysfs-bus-rpmsg; firmware/coprocessor/rpmsg/lib/rpmsg.h (counters)
"""

import re
from collections.abc import Iterable

from attrs import evolve

from mpbench.board.program_output import Answer
from mpbench.core.errors import InfrastructureError
from mpbench.core.evidence import STATE, TRACE_FIRST, Evidence, text_of, word_of
from mpbench.core.sanitize import decoded
from mpbench.rpmsg.facts import (
    DEVICES,
    ERRNO,
    Channel,
    Counters,
    FaultFacts,
    RoundTrip,
    StartFacts,
    Throughput,
    TrafficFacts,
    channels_word,
)

COUNTERS = re.compile(r"^rx ([0-9a-f]{8}) tx ([0-9a-f]{8}) stray ([0-9a-f]{8})$", re.MULTILINE)
IDENTITY = re.compile(r"\Ampbench (\S+ \S+) ")
BUS_LINE = re.compile(rb"^(\d+),[^;\n]*;virtio_rpmsg_bus \S+: ([^\n]*)$", re.MULTILINE)
KERNEL_FAULT = re.compile(
    rb"^\d+,[^;\n]*;(?:WARNING: |BUG: |Unable to handle |Internal error: |INFO: task )", re.M
)
LEVEL, WARNING = 7, 4
"""Of a record's first number the bits that are its level, and the level of a warning; errors are below."""
NO_CHANNELS = {"rpmsg_ctrl", "rpmsg_ns"}
"""Devices of the bus that Linux makes by itself."""
CONTROL = "rpmsg_ctrl"


def channels(listing: str) -> tuple[Channel, ...]:
    """Channels from collect.devices(). InfrastructureError for a line that is none."""
    return tuple(c for c in map(_channel, listing.splitlines()) if c.name not in NO_CHANNELS)


def control_device(listing: str) -> str:
    """Name below /dev of the core's rpmsg_ctrl, "" without one."""
    return next((c.device for c in map(_channel, listing.splitlines()) if c.name == CONTROL), "")


def _channel(line: str) -> Channel:
    parts = line.split(" ")
    if len(parts) != 4:
        raise InfrastructureError(f"unexpected line of a list of RPMsg devices: {line[:200]!r}")
    name, destination, driver, device = parts
    return Channel(name, int(destination, 16), driver.strip("-"), device.strip("-"))


def counters(trace: bytes | None) -> Counters | None:
    """The firmware's counters from its trace buffer; None if it has none."""
    found = COUNTERS.search((trace or b"").decode("ascii", "replace"))
    return Counters(*(int(n, 16) for n in found.groups())) if found else None


def identity(trace: bytes | None) -> str:
    """Name and core that the firmware wrote into its trace buffer, "" if there is none."""
    found = IDENTITY.match((trace or b"").decode("ascii", "replace"))
    return found[1] if found else ""


def start_facts(evidence: Evidence) -> StartFacts:
    """Facts of collect.state_of()'s evidence."""
    listing = text_of(evidence, DEVICES)
    return StartFacts(
        errno=word_of(evidence, ERRNO),
        state=word_of(evidence, STATE),
        identity=identity(evidence.get(TRACE_FIRST)),
        channels=None if listing is None else channels_word(channels(listing)),
    )


def traffic(answers: Iterable[Answer], core: Counters | None) -> TrafficFacts:
    """Facts from the client's answers, and from what the firmware counted meanwhile, None if not known."""
    found = tuple(answers)
    sent, received = sum(map(_sent, found)), sum(map(_received, found))
    facts = TrafficFacts(
        errno=next((a.errno for a in found if a.values.get("errno")), "OK"),
        sent=sent,
        received=received,
        wrong=sum(a.values.get("wrong", 0) for a in found),
    )
    if core is None:
        return facts
    return evolve(
        facts,
        lost=core.sent - received,
        core_received=core.received,
        core_sent=core.sent,
        in_flight=sent - core.received,
        stray=core.stray,
    )


def _sent(answer: Answer) -> int:
    """Messages that Linux took: of `echo` unless it was the write that failed, where nothing was read."""
    if answer.word == "send":
        return int(answer.errno == "OK")
    if answer.word == "echo":
        return int(answer.errno == "OK" or answer["reads"] > 0)
    return answer.values.get("sent", 0)


def _received(answer: Answer) -> int:
    if answer.word in ("receive", "echo"):
        return int(answer.errno == "OK")
    return answer.values.get("received", 0)


def fault_facts(log: bytes, probe: Iterable[Answer], state: str, recovers: bool) -> FaultFacts:
    """Facts of a fault of the core.

    log: kernel log, in the format of /dev/kmsg; probe: answers to a `source` and a `sink` afterwards
    """
    counted = {answer.word: answer for answer in probe}
    source, sink = counted["source"], counted["sink"]
    return FaultFacts(
        line=bus_warning(log),
        delivers=(sink["received"], sink["wrong"], source.errno) == (source["sent"], 0, "OK"),
        state=state,
        kernel_faults=len(KERNEL_FAULT.findall(log)),
        recovers=recovers,
    )


def bus_warning(log: bytes) -> str:
    """The first warning or error of the RPMsg bus in the kernel's log, without device; "" without one."""
    for level, line in BUS_LINE.findall(log):
        if int(level) & LEVEL <= WARNING:
            return decoded(line)
    return ""


def round_trips(answers: Iterable[Answer]) -> tuple[RoundTrip, ...]:
    """Times of the messages that came back."""
    return tuple(
        RoundTrip(a["length"], a["ns"])
        for a in answers
        if a.word == "echo" and a.errno == "OK" and not a["wrong"]
    )


def throughput(answers: Iterable[Answer], length: int) -> Throughput:
    """What `pump` moved, over all files that took part. InfrastructureError if it moved nothing."""
    found = [a for a in answers if a.word == "pump"]
    if not found or not found[0]["ns"]:
        raise InfrastructureError("rpmsg-client pumped nothing")
    return Throughput(length, sum(a["received"] for a in found), found[0]["ns"])
