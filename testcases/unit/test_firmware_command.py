# SPDX-License-Identifier: MIT
"""`mpbench firmware`: which files it takes, for which core, and how it shows what came of them."""

import argparse
import json
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest

from mpbench.commands.firmware import _row, as_lines
from mpbench.commands.firmware_board import FirmwareBoard, Wait
from mpbench.commands.firmware_file import firmware_files, read_firmware
from mpbench.commands.firmware_trial import Trial
from mpbench.commands.main import main
from mpbench.core.errors import UsageError
from mpbench.core.shared_files import firmware_build
from mpbench.harness.signer import Signer
from mpbench.twin.profile import load_profile
from testcases.stand_in import StandIn
from testcases.unit.image_rig import key

ALIVE = firmware_build() / "m4/alive.elf"
M33 = firmware_build() / "m33/alive.elf"
ECHO = firmware_build() / "m4/rpmsg-echo.elf"
ARGUMENTS = argparse.Namespace(core="", seconds=1.0, watch=1.0, press="", say="hello", type="")
WAIT = Wait(1.0, 1.0)
GOOD = Trial(
    "OK",
    "offline",
    "breakpoint",
    channels=("rpmsg-raw 0x401 rpmsg_chrdev",),
    did=("PH7 high (3)", "usart3 1 line"),
)


class Target(StandIn):
    """A target without resources."""

    resources = ()


@pytest.fixture
def board(monkeypatch):
    """The board of profile linux-mp15, whose answer is `GOOD`, or that given as `board.answer`."""
    found = FirmwareBoard(load_profile("linux-mp15"), None, None, [])
    answers = [GOOD]
    monkeypatch.setattr(FirmwareBoard, "run", lambda *_: answers[-1])
    return found, answers


def row(board, path: Path, **more: object):
    """The row of a file."""
    return _row(board[0], path.name, path, argparse.Namespace(**{**vars(ARGUMENTS), **more}))


def test_what_a_file_is():
    """Architecture by its build attributes, entries of the table, main by its symbol, vectors by address."""
    found = read_firmware(ECHO.read_bytes(), "echo", ECHO)
    assert found.kind == "Arm v7E-M, table: vdev, trace"
    assert found.main is not None
    assert found.vectors(0)[1] & 1
    assert len(found.vectors(0)) == 7
    assert found.vectors(0x5000_0000) == ()
    assert read_firmware(M33.read_bytes(), "alive", M33).kind == "Arm v8-M.main, table: trace"


def test_a_sound_firmware_is_good(board):
    """Predicted, started, main reached."""
    found = row(board, ALIVE)
    assert (found["good"], found["core"], found["predicted"], found["started"]) == (True, "m4", "OK", "OK")


@pytest.mark.parametrize(
    ("trial", "faults"),
    [
        (Trial("OK", "offline"), ()),
        (Trial("OK", "offline", "trace", faults=("HardFault at f+0x2",)), ("HardFault at f+0x2",)),
        (
            Trial("EINVAL", "offline", kernel_log=("bad phdr",)),
            ("predicted OK, the board answered EINVAL", "bad phdr"),
        ),
    ],
    ids=["no-main", "fault", "refused"],
)
def test_a_firmware_that_fails_is_not_good(board, trial, faults):
    """Main not reached, a fault, or another answer than the predicted one, each with its reason."""
    board[1].append(trial)
    found = row(board, ALIVE)
    assert (found["good"], found["faults"]) == (False, faults)


def test_a_file_that_no_core_executes_has_one_line(board, tmp_path):
    """Not an ELF, another machine, an object file, a damaged one, code for another core."""
    (tmp_path / "text.elf").write_bytes(b"no")
    (tmp_path / "host.elf").write_bytes(Path("/bin/true").read_bytes())
    (tmp_path / "cut.elf").write_bytes(ALIVE.read_bytes()[:200])
    (tmp_path / "fw.c").write_text("int x;")
    subprocess.run(["arm-none-eabi-gcc", "-c", "fw.c", "-o", "object.elf"], cwd=tmp_path, check=True)
    reasons = {name: row(board, tmp_path / f"{name}.elf")["faults"] for name in ("text", "host", "object")}
    assert reasons == {
        "text": ("not an ELF file",),
        "host": ("for another core: ELF of machine EM_X86_64, not EM_ARM",),
        "object": ("no executable: ELF of type ET_REL",),
    }
    assert row(board, tmp_path / "cut.elf")["faults"][0].startswith("an ELF that cannot be read: ")
    assert row(board, M33)["faults"] == (
        "for another core: code for Arm v8-M.main, which m4 does not execute",
    )


def test_an_application_processors_code_is_refused(board, tmp_path):
    """v7 is v7-A or v7-M by its profile; a file without build attributes is tried."""
    (tmp_path / "fw.c").write_text("void start(void) { }")
    command = "arm-none-eabi-gcc -march=armv7-a -nostdlib -Wl,-e,start fw.c -o fw.elf"
    subprocess.run(command.split(), cwd=tmp_path, check=True)
    path = tmp_path / "fw.elf"
    assert row(board, path)["faults"] == ("for another core: code for Arm v7-A, which m4 does not execute",)
    subprocess.run(["arm-none-eabi-objcopy", "-R", ".ARM.attributes", "fw.elf"], cwd=tmp_path, check=True)
    found = read_firmware(path.read_bytes(), "fw", path)
    assert (found.kind, found.fits("m4")) == ("Arm ?, no table", "")


def test_an_unknown_core_is_named(board):
    """With the cores of the profile."""
    assert row(board, ALIVE, core="m9")["faults"] == ("no core 'm9'; profile linux-mp15 has m4",)


def test_files_of_the_same_name_are_told_apart_by_their_directory(tmp_path):
    """A directory is searched with those below it; other files are left out."""
    for name in ("a/fw.elf", "b/fw.elf", "c.AXF", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert list(firmware_files(tmp_path)) == ["a/fw.elf", "b/fw.elf", "c.AXF"]


def test_a_directory_without_firmware_is_refused(tmp_path, capsys, monkeypatch):
    """One line, and the board is not touched; nor is it without a target file."""
    with pytest.raises(UsageError, match="no such directory"):
        firmware_files(tmp_path / "none")
    assert main(["firmware", str(tmp_path), "--lg-env", "board.yaml"]) == 2
    none = "no file named *.elf, *.axf, *.out, and no signed image"
    assert capsys.readouterr().err == f"mpbench: error: {tmp_path}: {none}\n"
    monkeypatch.delenv("LG_ENV", raising=False)
    assert main(["firmware", str(tmp_path)]) == 2
    assert "no board given" in capsys.readouterr().err


def test_a_signed_image_is_taken_as_it_is(tmp_path):
    """By how it begins, whatever its name; its kind is that of the ELF file in it; it is not signed again."""
    signer, elf = Signer(key()), M33.read_bytes()
    image = signer("m33", elf)
    (tmp_path / "fw_sign.bin").write_bytes(image)
    (tmp_path / "fw.bin").write_bytes(elf[16:])
    assert list(firmware_files(tmp_path)) == ["fw_sign.bin"]
    firmware = read_firmware(image, "fw_sign.bin", tmp_path / "fw_sign.bin")
    assert (firmware.kind, firmware.data) == ("signed, Arm v8-M.main, table: trace", elf)
    assert firmware.main == read_firmware(elf, "alive", M33).main
    board = FirmwareBoard(load_profile("virtual-mp25"), Signer(key()), Target(), [])
    assert board.image("m33", firmware) == image


def test_a_signed_image_that_is_not_taken(board, tmp_path):
    """Several ELF files, a file that is cut short, a core that Linux loads: one line each."""
    signer, path = Signer(key()), tmp_path / "fw.bin"
    path.write_bytes(signer("m33", M33.read_bytes(), M33.read_bytes()))
    (fault,) = row(board, path)["faults"]
    assert fault == "a signed image of several ELF files, or of an encrypted one"
    path.write_bytes(signer("m4", ALIVE.read_bytes())[:-8])
    assert "the header's lengths add up to" in row(board, path)["faults"][0]
    path.write_bytes(signer("m4", ALIVE.read_bytes()))
    assert row(board, path)["faults"] == ("a signed image, but Linux loads m4, from an ELF file",)


def test_what_fails_on_a_used_board_is_tried_again(monkeypatch):
    """After a power cycle; on a board that was just booted its result stands."""
    lost = Trial("OK", "lost")
    answers, boards = [lost, GOOD, lost], []
    found = FirmwareBoard(load_profile("linux-mp15"), None, Target(), [])

    def attempt(self, *_: object) -> Trial:
        boards.append(self._board)
        return answers.pop(0)

    monkeypatch.setattr(FirmwareBoard, "_try", attempt)
    used: Any = object()
    found._board = used
    firmware = read_firmware(ALIVE.read_bytes(), "alive", ALIVE)
    assert found.run("m4", firmware, b"", WAIT) == GOOD
    assert found.run("m4", firmware, b"", WAIT) == lost
    assert boards == [used, None, None]


def test_a_board_without_pins_presses_none():
    """Only a virtual board's can be pressed; the firmware is not started."""
    found = FirmwareBoard(load_profile("linux-mp15"), None, Target(), [])
    firmware = read_firmware(ALIVE.read_bytes(), "alive", ALIVE)
    with pytest.raises(UsageError, match="--press, --type: only a virtual board"):
        found.run("m4", firmware, b"", Wait(1.0, 1.0, "PA14"))


def test_json_is_all_of_the_output(board, tmp_path, monkeypatch, capsys):
    """The progress of a virtual board's build goes to standard error."""
    (tmp_path / "text.elf").write_bytes(b"no")

    def start(_: str) -> FirmwareBoard:
        print("virtual board: qemu: building")
        return board[0]

    monkeypatch.setattr(FirmwareBoard, "open", start)
    monkeypatch.setattr(FirmwareBoard, "close", lambda _: None)
    assert main(["firmware", str(tmp_path), "--lg-env", "board.yaml", "--json"]) == 1
    output = capsys.readouterr()
    assert [one["file"] for one in json.loads(output.out)] == ["text.elf"]
    assert output.err.startswith("virtual board: qemu: building\n")


def test_the_table(board, tmp_path):
    """A line each, then of each that failed its faults and what it executes."""
    board[1].append(Trial("OK", "offline", "", ("HAL_Delay+0x12 (hal.c:7)", "main+0x4 (main.c:3)")))
    stuck = row(board, ALIVE)
    board[1].append(GOOD)
    (tmp_path / "text.elf").write_bytes(b"no")
    lines = as_lines([row(board, ECHO), stuck, row(board, tmp_path / "text.elf")])
    assert lines[0].split() == ["file", "kind", "core", "predicted", "started", "main", "channels", "did"]
    assert lines[1].endswith(
        "  m4    OK         OK       breakpoint  rpmsg-raw 0x401 rpmsg_chrdev  PH7 high (3), usart3 1 line"
    )
    assert lines[2].split()[-3:] == ["no", "-", "-"]
    assert lines[3].split() == ["text.elf", "-", "-", "-", "-", "-", "-", "-"]
    assert lines[4:] == [
        "",
        "alive.elf:",
        "  executes HAL_Delay+0x12 (hal.c:7), called from main+0x4 (main.c:3)",
        "",
        "text.elf:",
        "  not an ELF file",
        "",
        "1 of 3 reached main without a fault, as predicted",
    ]


def test_what_is_signed_is_predicted_by_the_tees_twin():
    """Where a TEE loads the cores the image is signed, and the TEE's loader predicts."""
    profile = load_profile("virtual-mp25").with_key(key().public_key())
    found = FirmwareBoard(profile, Signer(key()), None, [])
    firmware = read_firmware(M33.read_bytes(), "alive", M33)
    image = found.image(found.core_for(firmware, ""), firmware)
    assert struct.unpack_from("<I", image)[0] != 0x464C457F
    assert found.predict("m33", image) == ("OK", ())
    assert found.predict("m33", firmware.data)[0] == "EIO"


def test_a_core_of_linux_gets_the_elf_on_a_board_with_a_tee():
    """What is started on the M0 of such a board is the file itself."""
    profile = load_profile("virtual-mp25-st").with_key(key().public_key())
    found = FirmwareBoard(profile, Signer(key()), None, [])
    elf = M33.parents[1] / "m0/alive.elf"
    firmware = read_firmware(elf.read_bytes(), "alive", elf)
    image = found.image("m0", firmware)
    assert (image, found.predict("m0", image)[0]) == (firmware.data, "OK")
