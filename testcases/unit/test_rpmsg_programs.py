# SPDX-License-Identifier: MIT
"""The programs of RPMsg as they are built: the client, run on this host, and the firmware's ELF files."""

import contextlib
import io
import os
import select
import shutil
import struct
import subprocess

import pytest
from elftools.elf.elffile import ELFFile

from mpbench.board.program_output import answers
from mpbench.harness.firmware import make
from mpbench.rpmsg import predict
from mpbench.rpmsg.client import PROGRAM
from mpbench.twin.profile import load_profile

EMULATORS = {"aarch64": "qemu-aarch64", "armv7l": "qemu-arm"}


@pytest.fixture(scope="module")
def programs():
    """Emulator and program for every machine of a board."""
    built = make(goal="userland")
    return {
        machine: [shutil.which(emulator) or emulator, str(built / machine / "rpmsg-client")]
        for machine, emulator in EMULATORS.items()
    }


@pytest.mark.parametrize("machine", EMULATORS)
def test_the_client_against_files_of_this_host(programs, machine):
    """What a file takes and gives is counted; what is not there has Linux' errno."""
    words = (
        "open,/dev/null open,/dev/zero open,/dev/none send,0,0a0b source,0,5,16,10 sink,1,3,10 receive,1,10"
    )
    done = subprocess.run([*programs[machine], *words.split()], capture_output=True, text=True, check=True)
    null, zero, none, send, source, sink, receive = answers(done.stdout, PROGRAM)
    assert [a.errno for a in (null, zero, none, send)] == ["OK", "OK", "ENOENT", "OK"]
    assert source["sent"] == 5
    assert (sink["received"], sink["wrong"]) == (3, 3)
    assert receive.data == bytes(512)


@pytest.mark.parametrize("machine", EMULATORS)
@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("dance", "dance"),
        ("open", "a path is missing"),
        ("open,/dev/null " * 33, "too many files"),
        ("close,0", "a number of a file that is not open"),
        ("pump,1,16,0", "a number of a file that is not open"),
        ("open,/dev/null echo,0,0,1,1", "a length has to be 1 to 512"),
        ("open,/dev/null echo,0,1,513,1", "a length has to be 1 to 512"),
        ("open,/dev/null send,0", "a message has to be 1 to 512 bytes in hexadecimal"),
        ("open,/dev/null send,0,0", "a message has to be 1 to 512 bytes in hexadecimal"),
        ("open,/dev/null send,0,0g", "no hexadecimal digits"),
        (f"open,/dev/null create,0,{'n' * 32},1,2", "a name has to be at most 31 characters"),
        ("sleep,x", "no number"),
    ],
)
def test_words_that_it_does_not_know(programs, machine, words, why):
    """Unknown words are refused with a message and exit code 2."""
    done = subprocess.run([*programs[machine], *words.split()], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, f"rpmsg-client: {why}\n")


@pytest.mark.parametrize("machine", EMULATORS)
def test_a_message_waits_while_others_have_the_buffers(programs, machine, tmp_path):
    """It is sent when there is room; until then the client neither gives up nor goes on."""
    path = tmp_path / "full"
    os.mkfifo(path)
    pipe = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    with contextlib.suppress(BlockingIOError):
        while os.write(pipe, bytes(4096)):
            pass
    command = [*programs[machine], f"open,{path}", "send,0,0a0b"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, bufsize=0) as client:
        assert b" open " in client.stdout.readline()
        assert select.select([client.stdout], [], [], 0.3) == ([], [], [])
        while os.read(pipe, 65536)[-2:] != b"\x0a\x0b":
            select.select([pipe], [], [])
        (send,) = answers(client.stdout.read().decode(), PROGRAM)
    os.close(pipe)
    assert send.errno == "OK"


# --- the firmware -------------------------------------------------------------------------------------------

ANY = 0xFFFFFFFF
IPC_DA = {"m4": 0x1003E000, "m4-isolated": 0x10048000, "m33": 0x81200000, "m0": 0x200C6000}
IPC_SIZE = 0x1200


@pytest.mark.parametrize("core", IPC_DA)
@pytest.mark.parametrize("name", predict.ANNOUNCED)
def test_resource_table(core, name):
    """A virtio device for RPMsg whose two rings lie where Linux wants, and a trace buffer in no segment."""
    elf = ELFFile(io.BytesIO((make() / core / f"{name}.elf").read_bytes()))
    table = elf.get_section_by_name(".resource_table").data()
    ring = predict.buffers(core.removesuffix("-isolated"))
    rings = struct.pack("<10I", ANY, 16, ring, 0, 0, ANY, 16, ring, 1, 0)
    vdev = struct.pack("<6I4B", 3, 7, 0, 1, 0, 0, 0, 2, 0, 0) + rings
    trace = struct.pack("<4I32s", 2, IPC_DA[core], 0x1000, 0, b"trace")
    assert table == struct.pack("<6I", 1, 2, 0, 0, 24, 24 + len(vdev)) + vdev + trace
    for segment in elf.iter_segments("PT_LOAD"):
        start = segment["p_paddr"]
        assert start + segment["p_memsz"] <= IPC_DA[core] or start >= IPC_DA[core] + IPC_SIZE


@pytest.mark.parametrize("name", predict.ANNOUNCED)
def test_linux_may_read_table_and_trace_of_an_isolated_m4(name):
    """All of the IPC area is in memory that is shared and Linux' node has, the rest in the core's own."""
    core = load_profile("virtual-mp15-st").core("m4")
    elf = ELFFile(io.BytesIO((make() / "m4-isolated" / f"{name}.elf").read_bytes()))
    table = elf.get_section_by_name(".resource_table")
    start, end = IPC_DA["m4-isolated"], table["sh_addr"] + table["sh_size"]
    assert end - start > IPC_SIZE
    assert core.linux_may_read(start, end - start)
    assert [one.name for one in core.carveouts if one.holds(start, end - start)] == ["mcu_rsc_table"]
    mine = [s for s in elf.iter_segments("PT_LOAD") if s["p_paddr"] != table["sh_addr"]]
    assert len(mine) == 3
    assert not any(core.linux_may_read(core.pa_of(s["p_paddr"]), s["p_memsz"]) for s in mine)


@pytest.mark.parametrize("name", predict.ANNOUNCED)
def test_the_rings_of_the_m0_follow_its_code(name):
    """Its memory is one: nothing that is loaded lies where Linux has the rings and buffers."""
    elf = ELFFile(io.BytesIO((make() / "m0" / f"{name}.elf").read_bytes()))
    rings = [c for c in load_profile("virtual-mp25").core("m0").carveouts if c.name.startswith("vdev0")]
    assert len(rings) == 3
    for segment in elf.iter_segments("PT_LOAD"):
        start, end = segment["p_paddr"], segment["p_paddr"] + segment["p_memsz"]
        assert [c.name for c in rings if start < c.da + c.size and c.da < end] == []
