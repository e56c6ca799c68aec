# SPDX-License-Identifier: MIT
"""A core that U-Boot starts: the text that carries its file, U-Boot's answers, Linux' answers afterwards."""

import re
import zlib
from types import SimpleNamespace

import pytest

from mpbench.attach.boot_loader import start_core
from mpbench.attach.predict import answer, expect, recovered
from mpbench.attach.srecord import s_records
from mpbench.core.errors import InfrastructureError
from mpbench.deployment.facts import DeployFacts

ELF = bytes(range(256)) * 3 + b"end"


def decoded(text: bytes) -> bytes:
    """What U-Boot makes of S-records. Ref: U-Boot common/s_record.c, srec_decode()"""
    data = b""
    *lines, last = text.split()
    for line in lines:
        body = bytes.fromhex(line[2:].decode())
        assert line.startswith(b"S3")
        assert body[0] == len(body) - 1
        assert sum(body) & 0xFF == 0xFF
        assert int.from_bytes(body[1:5], "big") == len(data)
        data += body[5:-1]
    assert last == b"S70500000000FA"
    return data


@pytest.mark.parametrize("data", [ELF, b"x", bytes(128), b""])
def test_s_records_hold_the_file(data):
    """Each has its address and checksum, and the last one ends them."""
    assert decoded(s_records(data)) == data


class UBoot:
    """U-Boot at its prompt: it answers as its sources say.

    damage: a byte of the file is lost on the way; refused: start of a command that fails
    """

    prompt = "=> "

    def __init__(self, damage: bool = False, refused: str = "-"):
        self.damage, self.refused = damage, refused
        self.said: list[str] = []
        self.received = b""
        self.console = SimpleNamespace(
            sendline=self.said.append, write=self._take, expect=lambda pattern, timeout: (pattern, timeout)
        )

    def _take(self, text: bytes) -> None:
        self.received = decoded(text)[: -1 if self.damage else None]

    def run(self, command: str) -> tuple[list[str], list[str], int]:
        """Lines, nothing, and the exit code."""
        self.said.append(command)
        if command.startswith(self.refused):
            return ["Load Remote Processor 0: Failed!"], [], 1
        summed = f"crc32 for c2000000 ... c2000302 ==> {zlib.crc32(self.received):08x}"
        return [summed if command.startswith("crc32") else ""], [], 0


def test_u_boot_gets_the_file_and_starts_the_core():
    """The commands in their order; the file is what was sent."""
    uboot = UBoot()
    start_core(uboot, 1, ELF)
    assert uboot.received == ELF
    assert uboot.said == [
        "loads ${loadaddr}",
        "crc32 ${loadaddr} ${filesize}",
        "rproc init",
        "rproc load 1 ${loadaddr} ${filesize}",
        "rproc start 1",
    ]


@pytest.mark.parametrize(
    ("uboot", "message"),
    [
        (UBoot(damage=True), f"U-Boot received another file than {len(ELF)} bytes of CRC"),
        (UBoot(refused="rproc load"), "`rproc load 0 ${loadaddr} ${filesize}` failed: Load Remote Processor"),
    ],
    ids=["damaged", "refused"],
)
def test_what_u_boot_refuses_is_the_lab_s_fault(uboot, message):
    """With its own words; the core is not started."""
    with pytest.raises(InfrastructureError, match=re.escape(message)):
        start_core(uboot, 0, ELF)
    assert "rproc start 0" not in uboot.said


@pytest.mark.parametrize(
    ("state", "word", "table", "expected"),
    [
        ("detached", "start", True, ("OK", "attached")),
        ("detached", "start", False, ("ENOENT", "detached")),
        ("detached", "stop", True, ("EINVAL", "detached")),
        ("detached", "detach", True, ("EINVAL", "detached")),
        ("attached", "stop", True, ("OK", "offline")),
        ("attached", "detach", True, ("OK", "detached")),
        ("running", "detach", True, ("EINVAL", "running")),
        ("offline", "detach", True, ("EINVAL", "offline")),
    ],
)
def test_words_and_states(state, word, table, expected):
    """Ref: remoteproc_core.c of Linux 6.12"""
    assert answer(state, word, table=table) == expected


def test_firmware_is_heard_while_linux_has_its_trace():
    """While it is attached, or was started by Linux; not while it is detached."""
    words = (("detached", "start"), ("attached", "detach"), ("running", "detach"))
    assert [expect(*one, "x m4").beating for one in words] == [True, False, True]


def test_a_crash_of_an_attached_core_is_recovered_with_the_default_firmware():
    """Or not at all, and then the trace of what crashed stays."""
    assert recovered("x m4", "y m4") == DeployFacts("OK", "running", beating=True, identity="y m4")
    assert recovered("x m4", None) == DeployFacts("OK", "offline", beating=False, identity="x m4")
