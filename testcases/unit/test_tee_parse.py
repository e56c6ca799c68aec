# SPDX-License-Identifier: MIT
"""Parse what a TEE and its driver report; and find leaks in snapshots of a board."""

import pytest

from mpbench.board.program_output import answers
from mpbench.core.errors import InfrastructureError
from mpbench.deployment.leaks import SNAPSHOTS, Snapshot, persistent_leaks
from mpbench.tee.fixture import numbers
from mpbench.tee.parse import allocated, capabilities, revision, uuids
from testcases.stand_in import StandIn

LOG = """[    1.651388] optee: probing for conduit method.
[    1.652585] optee: revision 4.10 (18b424c2)
[    1.677416] optee: initialized driver
"""
HEAP = bytes.fromhex(
    "4865617000000000000000000000000000000000000000000000000000000000"
    "00a456ac0600000070680000f0680000e0180300000000000000000000000000"
)
"""As the virtual STM32MP25 gave it."""


def test_capabilities_as_text():
    """Every bit that Linux knows has a text; a new one has its number."""
    found = {"GlobalPlatform API", "registers a client's own memory", "null memory references"}
    assert capabilities(0xD) == found
    assert capabilities(0x22) == {"for tee-supplicant", "bit 5"}
    assert capabilities(0) == frozenset()


def test_revision():
    """The driver's line, with or without the build after it; a log that lost it has none."""
    assert revision(LOG) == "4.10"
    assert revision(LOG.replace(" (18b424c2)", "")) == "4.10"
    assert revision("[    0.0] Booting Linux") == ""


def test_heap():
    """Bytes in use; a cut structure is refused."""
    assert allocated(HEAP) == 0x6870
    with pytest.raises(InfrastructureError, match="have 43 bytes, at least 44 expected"):
        allocated(HEAP[:43])


def test_uuids():
    """Sixteen bytes each, in the order in which a UUID is written."""
    name = "80a4c275-0a47-4905-8285-1486a9771a08"
    assert uuids(bytes.fromhex(name.replace("-", "")) * 2) == {name}
    assert uuids(b"") == frozenset()
    with pytest.raises(InfrastructureError, match="has 17 bytes, not a multiple of 16"):
        uuids(bytes(17))


class Client(StandIn):
    """A client on a board whose OP-TEE answers this."""

    def __init__(self, said):
        self.said = said

    def run(self, *_words):
        return answers(self.said, "tee-client")


FRESH = f"""0 context errno=0
0 session errno=0 ret=0 origin=4 id=2
0 alloc errno=0 id=1 size=1000
0 invoke errno=0 ret=0 origin=4 ms=0 b1=40
0 show bytes={HEAP.hex()}
"""


def test_resources_of_a_tee():
    """Ids of new objects show how many are open; the heap shows the rest."""
    assert numbers(Client(FRESH)) == {
        "number of a new session": 2,
        "number of new shared memory": 1,
        "bytes of OP-TEE's heap": 0x6870,
    }


def test_a_tee_without_statistics():
    """A refusal is not a number: the comparison would be with nothing."""
    with pytest.raises(
        InfrastructureError, match="no statistics of OP-TEE: session ret=0xffff0008 origin=0x3"
    ):
        numbers(Client(FRESH.replace("ret=0 origin=4 id=2", "ret=ffff0008 origin=3 id=0", 1)))


def test_only_persistent_growth_is_a_leak():
    """What is missing in a later snapshot was no leak; what is present in all of them is."""
    before, more = Snapshot({"descriptors": 3}, {}, 0), Snapshot({"descriptors": 4}, {}, 0)
    taken = iter([more, more, before])
    assert persistent_leaks(before, lambda: next(taken), 1) == []
    taken = iter([more] * SNAPSHOTS)
    assert persistent_leaks(before, lambda: next(taken), 5) == ["descriptors: 3 before, 4 after 5 cycles"]
    assert next(taken, None) is None
