# SPDX-License-Identifier: MIT
"""RPMsg without a board: what is parsed and predicted, the firmware's ELF files, the client itself."""

import argparse
import re

import pytest

from mpbench.board.program_output import answers
from mpbench.core.errors import InfrastructureError
from mpbench.core.evidence import STATE, TRACE_FIRST, Artefact, Evidence
from mpbench.core.facts import Verdict
from mpbench.core.shared_files import FIRMWARE
from mpbench.rpmsg import measure, parse, predict
from mpbench.rpmsg.client import PROGRAM
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
)
from mpbench.rpmsg.options import messages
from mpbench.rpmsg.predict_faults import FAULTS

# Of the virtual STM32MP157C-DK2.
LISTING = """rpmsg-raw 0x401 rpmsg_chrdev rpmsg0
rpmsg-raw 0x402 - -
rpmsg-tty 0x400 rpmsg_tty ttyRPMSG0
rpmsg_ctrl 0x0 rpmsg_ctrl rpmsg_ctrl0
rpmsg_ns 0x35 rpmsg_ns -
"""
TRACE = b"mpbench rpmsg-echo m4 1\nboot 00000006 beat 0000003e\nrx 0000000a tx 00000010 stray 00000001\n\0"
SAID = """0 open errno=0 id=0
0 echo errno=0 length=1 wrong=0 reads=1 ns=3e8
0 echo errno=0 length=2 wrong=1 reads=1 ns=7d0
0 echo errno=6e length=3 wrong=1 reads=0 ns=7d0
0 send errno=0
0 receive errno=0 bytes=0a
0 receive errno=6e
0 pump errno=0 id=0 sent=10 received=f wrong=0 ns=3b9aca00
0 sleep
0 source errno=b sent=10 ns=1
0 sink errno=0 received=5 skipped=1 wrong=0 ns=1
"""


def test_a_number_of_messages():
    """1 to what the firmware counts in 32 bits; anything else is explained."""
    assert [messages(text) for text in ("1", "100000", "4294967295")] == [1, 100_000, (1 << 32) - 1]
    for wrong in ("", "0", "-1", "500x", "4294967296", "²"):
        with pytest.raises(argparse.ArgumentTypeError, match="is not a number of messages: 1 to 4294967295"):
            messages(wrong)


def test_channels_of_a_core():
    """Devices that Linux makes by itself are no channels; a channel may have no driver."""
    assert parse.channels(LISTING) == (
        Channel("rpmsg-raw", 0x401, "rpmsg_chrdev", "rpmsg0"),
        Channel("rpmsg-raw", 0x402),
        Channel("rpmsg-tty", 0x400, "rpmsg_tty", "ttyRPMSG0"),
    )
    assert parse.control_device(LISTING) == "rpmsg_ctrl0"
    assert parse.control_device("") == ""
    with pytest.raises(InfrastructureError, match="unexpected line of a list of RPMsg devices: 'sh: ls'"):
        parse.channels("sh: ls")


def test_facts_of_a_start():
    """A start shows errno, state, identity and channels by address; a core that is off shows no channel."""
    evidence = (
        Artefact(ERRNO, b"OK"),
        Artefact(DEVICES, LISTING.encode()),
        Artefact(STATE, b"running"),
        Artefact(TRACE_FIRST, TRACE),
    )
    assert parse.start_facts(Evidence(evidence)) == StartFacts(
        "OK",
        "running",
        "rpmsg-echo m4",
        "rpmsg-tty 0x400 rpmsg_tty, rpmsg-raw 0x401 rpmsg_chrdev, rpmsg-raw 0x402 without a driver",
    )
    off = {ERRNO: b"OK", DEVICES: b"", STATE: b"offline", TRACE_FIRST: b""}
    assert parse.start_facts(Evidence(tuple(Artefact(*one) for one in off.items()))) == predict.STOPPED
    assert parse.start_facts(Evidence()).channels is None


def test_predicted_channels():
    """A channel is predicted without a driver where the kernel has none for it."""
    facts = predict.started("rpmsg-echo", "m4", ["rpmsg_chrdev"])
    assert facts.channels == (
        "rpmsg-tty 0x400 without a driver, rpmsg-raw 0x401 rpmsg_chrdev, rpmsg-raw 0x402 rpmsg_chrdev"
    )


def test_counters():
    """The firmware's counters are in its trace buffer; a buffer without them gives None."""
    assert parse.counters(TRACE) == Counters(10, 16, 1)
    assert parse.counters(None) is None
    assert parse.counters(b"mpbench alive m4 1\n") is None
    assert Counters(10, 16, 1).since(Counters(4, 6, 0)) == Counters(6, 10, 1)


def test_messages_are_counted_on_both_sides():
    """Messages that one side counts and the other does not are lost or in flight."""
    found = answers(SAID, PROGRAM)
    assert parse.traffic(found, None) == TrafficFacts("ETIMEDOUT", 35, 23, 2)
    assert parse.traffic(found, Counters(34, 25, 1)) == TrafficFacts(
        "ETIMEDOUT", 35, 23, 2, lost=2, core_received=34, core_sent=25, in_flight=1, stray=1
    )
    assert parse.round_trips(found) == (RoundTrip(1, 1000),)
    assert parse.throughput(found, 16).messages == 15
    with pytest.raises(InfrastructureError, match="rpmsg-client pumped nothing"):
        parse.throughput(found[:3], 16)


# From the virtual STM32MP157C-DK2, cut to the lines of interest.
FAULT_LOG = b"""6,520,954692901,-;virtio_rpmsg_bus virtio1: creating channel rpmsg-raw addr 0x401
3,521,954692990,-;remoteproc remoteproc0: stm32_rproc_kick: failed (vq1, err:-105)
4,522,954693000,-;virtio_rpmsg_bus virtio1: inbound msg too big: (64, 480)
3,523,954693100,-;virtio_rpmsg_bus virtio1: input:id 999 out of range
4,524,954693200,-;WARNING: CPU: 0 PID: 7 at drivers/virtio/virtio_ring.c:860 detach_buf_split+0x10/0x20
"""


def test_facts_of_a_fault():
    """The first warning of the bus counts, not what it says in passing; lost messages are no delivery."""
    sound = answers(
        "0 source errno=0 sent=28 ns=1\n0 sink errno=0 received=28 skipped=0 wrong=0 ns=1\n", PROGRAM
    )
    assert parse.fault_facts(FAULT_LOG, sound, "running", True) == FaultFacts(
        "inbound msg too big: (64, 480)", True, "running", 1, True
    )
    broken = answers(
        "0 source errno=b sent=20 ns=1\n0 sink errno=6e received=0 skipped=0 wrong=0 ns=0\n", PROGRAM
    )
    assert parse.fault_facts(FAULT_LOG[:80], broken, "running", False) == FaultFacts(
        "", False, "running", 0, False
    )


def test_faults_are_those_of_the_firmware():
    """The table of faults has the order of the firmware's, and the words of requests that of its header."""
    rogue = (FIRMWARE / "coprocessor/rpmsg/rpmsg-rogue.c").read_text()
    listed = re.search(r"faults\[\]\)\(void\) = \{(.*?)\};", rogue, re.DOTALL)
    assert listed
    assert re.findall(r"\w+", listed[1]) == [fault.name.replace("-", "_") for fault in FAULTS]
    header = (FIRMWARE / "coprocessor/rpmsg/lib/rpmsg.h").read_text()
    words = [getattr(predict, name) for name in re.findall(r"^\tREQUEST_(\w+),", header, re.MULTILINE)]
    assert words == list(range(6))


def test_figures():
    """Round trips have a distribution for each length, in ms; throughput is that of one direction."""
    trips = [RoundTrip(16, 1_000_000), RoundTrip(16, 3_000_000), RoundTrip(496, 4_000_000)]
    found = list(measure.round_trips(trips, {"core": "m4"}, {measure.ROUND_TRIP: 3.5}))
    assert [(m.conditions["length"], m.statistic, m.value, m.n) for m in found] == [
        ("16 B", "min", 1.0, 2),
        ("16 B", "p50", 1.0, 2),
        ("16 B", "max", 3.0, 2),
        ("496 B", "min", 4.0, 1),
        ("496 B", "p50", 4.0, 1),
        ("496 B", "max", 4.0, 1),
    ]
    assert [m.verdict for m in found] == [Verdict.PASS] * 3 + [Verdict.FAIL] * 3
    assert next(iter(measure.round_trips(trips, {}, {}))).verdict is None
    rate = measure.throughput(Throughput(496, 1000, 2_000_000_000), {"core": "m4"})
    assert (rate.value, rate.unit, rate.conditions["length"]) == (248.0, "kB/s", "496 B")
    assert [measure.lost(n, {}).verdict for n in (0, 1)] == [Verdict.PASS, Verdict.FAIL]
    assert measure.in_flight(3, {}).verdict is None


def test_a_request_is_four_words():
    """A request is sent with the lowest byte first."""
    assert predict.Request(predict.PAUSE, 0x1234, 2).hex == "01000000341200000200000000000000"
