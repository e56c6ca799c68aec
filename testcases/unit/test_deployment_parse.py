# SPDX-License-Identifier: MIT
"""Evidence of a deployment parsed into facts."""

import pytest

from mpbench.core.evidence import (
    KMSG,
    MEMORY,
    NO_TRACE,
    SECURE_CONSOLE,
    START_ERRNO,
    STATE,
    TRACE_FIRST,
    TRACE_SECOND,
    Artefact,
    Evidence,
)
from mpbench.core.facts import Provenance
from mpbench.core.provenance import is_virtual, provenance
from mpbench.deployment import parse
from mpbench.deployment.facts import DeployFacts
from mpbench.deployment.parse import deploy_facts

TRACE = "mpbench alive m33 1\nboot 00000001 beat {:08x}\n"


def evidence(**artefacts: bytes) -> Evidence:
    names = {
        "start": START_ERRNO,
        "state": STATE,
        "kmsg": KMSG,
        "secure": SECURE_CONSOLE,
        "first": TRACE_FIRST,
        "second": TRACE_SECOND,
        "no_trace": NO_TRACE,
        "memory": MEMORY,
    }
    return Evidence(tuple(Artefact(names[k], v) for k, v in artefacts.items()))


def test_a_running_firmware_is_seen_in_every_field():
    """State, silence of the TEE, heartbeat and identity come from the evidence of a good start."""
    found = deploy_facts(
        evidence(
            start=b"OK",
            state=b"running\n",
            kmsg=b"6,412,1500,-;remoteproc remoteproc0: remote processor m33 is now up\n",
            secure=b"",
            first=TRACE.format(1).encode(),
            second=TRACE.format(2).encode(),
        )
    )
    assert found == DeployFacts("OK", "running", 0, "", True, "alive m33")


def test_a_refused_image_is_seen_in_every_field():
    """A refusal shows its errno, its TEE code, its reason, and that nothing runs."""
    found = deploy_facts(
        evidence(
            start=b"EIO",
            state=b"offline\n",
            kmsg=b"3,413,1600,-;stm32-rproc m33: TA load failed, TEE err: 0xffff000f, TEE orig: 4\n"
            b"3,414,1601,-;remoteproc remoteproc0: Boot failed: -5\n",
            secure=b"E/TA:  remoteproc_load_segment:759 Fails to load segment, res = 0x0xffff000f\r\n",
            no_trace=b"ENOENT",
        )
    )
    expected = "Fails to load segment, res = 0x0xffff000f"
    assert found == DeployFacts("EIO", "offline", 0xFFFF000F, expected, False, "")


def test_without_evidence_nothing_is_decided():
    """A field without evidence is None."""
    assert deploy_facts(Evidence()) == DeployFacts()


@pytest.mark.parametrize(
    ("log", "errno", "expected"),
    [
        ("TEE err: 0xffff3072", "EIO", 0xFFFF3072),
        ("TEE err: ffff000f", "EIO", 0xFFFF000F),
        ("TEE err: 0xffff3072\nTEE err: 0xffff0007", "EIO", 0xFFFF3072),
        ("nothing of that kind", "OK", 0),
        ("nothing of that kind", "EIO", None),
        ("remoteproc remoteproc0: Boot failed: -22", "EINVAL", 0),
        (None, "OK", None),
        (None, "EIO", None),
    ],
)
def test_the_tee_code_is_the_first_one_reported(log, errno, expected):
    """The first code is the cause; silence means 0 if the start succeeded or the kernel has ended it."""
    assert parse.tee_code(log, errno) == expected


@pytest.mark.parametrize(
    ("console", "expected"),
    [
        (
            "E/TA:  remoteproc_verify_signature:352 Failed to verify signature, res = 0xffff3072\n"
            "E/TA:  remoteproc_load_fw:921 Can't Authenticate the firmware (res = 0xffff3072)\n",
            "Can't Authenticate the firmware (res = 0xffff3072)",
        ),
        (
            "E/TC:? 0 da_to_pa:77 da 0x90000000 is outside\n"
            "E/TA:  remoteproc_load_segment:759 Fails to load segment, res = 0x0xffff0001\n",
            "Fails to load segment, res = 0x0xffff0001",
        ),
        ("D/TC:? 0 something:1 else\nI/TC: started\n", ""),
        ("", ""),
        (None, None),
    ],
)
def test_the_reason_is_the_last_error_line_of_the_trusted_application(console, expected):
    """The reason has no prefix of the console; lines of other components don't count."""
    assert parse.reason(console) == expected


def test_a_heartbeat_that_stopped_is_noticed():
    """Two equal samples mean no heartbeat, although the core's state is running."""
    same = TRACE.format(7).encode()
    assert deploy_facts(evidence(first=same, second=same)).beating is False


def test_one_sample_decides_nothing():
    """A heartbeat needs two samples."""
    assert deploy_facts(evidence(first=TRACE.format(7).encode())).beating is None


def test_an_empty_trace_is_a_silent_firmware():
    """A buffer that is empty in both samples: no identity and no heartbeat."""
    for nothing in (b"", bytes(4096)):
        found = deploy_facts(evidence(state=b"running", first=nothing, second=nothing))
        assert (found.beating, found.identity) == (False, "")


def test_without_a_trace_buffer_the_heartbeat_is_undecided():
    """A core that runs without a trace buffer may beat; one that is offline does not."""
    found = deploy_facts(evidence(state=b"running\n", no_trace=b"none"))
    assert (found.beating, found.identity) == (None, None)


def test_memory_is_read_from_its_lines():
    """All zeros are one word, other ranges are listed."""
    assert deploy_facts(evidence(memory=b"0x80100000+0x800000 zeros\n")).memory == "zeros"
    code = b"0x80100000+0x40 0123456789abcdef\n"
    assert deploy_facts(evidence(memory=code)).memory == code.decode().strip()


def test_a_foreign_trace_decides_nothing():
    """Foreign trace text is neither a heartbeat nor an identity."""
    found = deploy_facts(evidence(first=b"\xff\x00 hello", second=b"\x1b[2J"))
    assert (found.beating, found.identity) == (None, None)


def test_bytes_that_are_no_text_harm_no_pattern():
    """A garbled kernel line before the code does not hide the code."""
    assert deploy_facts(evidence(kmsg=b"\xff\xfe\x00\nTEE err: 0xffff3072")).tee_code == 0xFFFF3072


def test_versions_are_what_the_boot_chain_printed_last():
    """After a reboot into another version the new one counts; device-tree strings end at their NULs."""
    found = provenance(
        Evidence(
            (
                Artefact("about.compatible", b"mpbench,virt-stm32mp257f-ev1\0st,stm32mp257\0"),
                Artefact("about.serial", b"\0"),
                Artefact(
                    SECURE_CONSOLE,
                    b"I/TC: OP-TEE version: 4.9.0 #1\r\nI/TC: OP-TEE version: 4.10.0-dev #2 Fri\r\n",
                ),
            )
        )
    )
    assert found.entries == {
        "compatible": "mpbench,virt-stm32mp257f-ev1, st,stm32mp257",
        "op-tee": "4.10.0-dev",
    }
    assert is_virtual(found)


def test_a_board_is_real_unless_its_device_tree_says_otherwise():
    """Only the board's `compatible` marks it as virtual."""
    found = provenance(Evidence((Artefact("about.compatible", b"st,stm32mp257f-ev1\0st,stm32mp257\0"),)))
    assert not is_virtual(found)


@pytest.mark.parametrize(
    ("entries", "virtual"),
    [
        ({"virtio_vendor": "0x554d4551"}, True),
        ({"virtio_vendor": "0x0000"}, False),  # that of an RPMsg device
        ({"qemu": "10.0.13"}, True),
        ({}, False),
    ],
)
def test_a_distributions_device_tree_does_not_hide_an_emulator(entries, virtual):
    """Debian's names the board that it is for, whatever it runs on."""
    found = Provenance({"compatible": "st,stm32mp157c-dk2, st,stm32mp157", **entries})
    assert is_virtual(found) is virtual
