# SPDX-License-Identifier: MIT
"""The commands sign, inspect, predict and explain."""

import base64
import io
import json
import subprocess
import sys

import pytest

from mpbench.commands.main import main
from mpbench.core import colour
from mpbench.core.sanitize import printable
from mpbench.image import faults
from mpbench.image.command import of_script
from mpbench.image.fields import fields
from mpbench.lab import command as night_command
from testcases.peer.elves import Elf, Segment
from testcases.unit.image_rig import OPEN_BOARD, firmware, image, key, write_key, write_public

RSA_IDENTIFIER = bytes.fromhex("06092a864886f70d010101")
"""RFC 8017, A.1: rsaEncryption, in DER."""


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A directory with an ELF, a signed image, the key and its public half; the profile of the board."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPBENCH_PROFILE", "virtual-mp25")
    (tmp_path / "fw.elf").write_bytes(firmware())
    (tmp_path / "fw.sign.bin").write_bytes(image())
    write_key(tmp_path / "k.pem", key())
    write_public(tmp_path / "p.pem", key())
    return tmp_path


def test_sign_writes_what_the_signer_makes(desk, capsys):
    """The file is the signer's image, byte for byte; a sound firmware brings no warning."""
    assert (
        main(
            [
                "sign",
                "--key",
                "k.pem",
                "--profile",
                str(OPEN_BOARD),
                "--core",
                "m33",
                "-o",
                "out.bin",
                "fw.elf",
            ]
        )
        == 0
    )
    out = capsys.readouterr()
    assert (desk / "out.bin").read_bytes() == image()
    assert out.out == f"out.bin: {len(image())} bytes\n"
    assert out.err == ""


def test_sign_takes_platform_records_key_information_and_strips(desk):
    """By name a number, by number what OP-TEE's script makes of it."""
    (desk / "info").write_bytes(b"slot 3")
    records = ["BOOTADDR=0x80100000", "BOOTSEC=1", "0x10010=0x12", "0x10011=text"]
    options = [part for record in records for part in ("--plat-tlv", record)]
    assert (
        main(["sign", "--key", "k.pem", "--key-info", "info", "--strip", *options, "-o", "o", "fw.elf"]) == 0
    )
    made = (desk / "o").read_bytes()
    found = {n.split(".")[1]: made[f.at : f.end] for n, f in fields(made).items() if n.endswith(".value")}
    assert found["PKEYINFO"] == b"slot 3"
    assert (found["BOOTADDR"], found["BOOTSEC"]) == (b"\x00\x00\x10\x80", b"\1\0\0\0")
    assert (found["0x10010"], found["0x10011"]) == (b"\x12\0\0\0", b"text")


def test_sign_warns_of_what_the_loader_would_refuse(desk, capsys):
    """A firmware for another core: the image is written, the warning names the segment."""
    (desk / "far.elf").write_bytes(Elf([Segment(0x1000, b"data", 4)]).build())
    assert main(["sign", "--key", "k.pem", "--core", "2", "-o", "o", "far.elf"]) == 0
    assert "mpbench: warning: far.elf: segment 0x1000..0x1004 is outside" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["sign", "--key", "none.pem", "-o", "o", "fw.elf"], "none.pem: No such file"),
        (["sign", "--key", "k.pem", "-o", "o", "none.elf"], "none.elf: No such file"),
        (["sign", "--key", "k.pem", "-o", "o", "p.pem"], "p.pem: offset 0: "),
        (["sign", "--key", "k.pem", "-o", "no/where", "fw.elf"], "no/where: No such file"),
        (
            ["sign", "--key", "k.pem", "--core", "m7", "-o", "o", "fw.elf"],
            "no core 'm7'; it has m33 (1), m0 (2)",
        ),
        (["sign", "--key", "k.pem", "--plat-tlv", "BOOTADDR", "-o", "o", "fw.elf"], "expected ID=VALUE"),
        (
            ["sign", "--key", "k.pem", "--plat-tlv", "BOOT=1", "-o", "o", "fw.elf"],
            "neither a number nor one of",
        ),
        (
            ["sign", "--key", "k.pem", "--plat-tlv", "BOOTSEC=x", "-o", "o", "fw.elf"],
            "is not a 32-bit number",
        ),
        (
            ["sign", "--key", "k.pem", "--plat-tlv", "0x10003=0x1ffffffff", "-o", "o", "fw.elf"],
            "is not a 32-bit number",
        ),
        (
            ["sign", "--key", "k.pem", "-o", "o", "fw.sign.bin"],
            "fw.sign.bin: offset 0: a signed image already",
        ),
        (["sign", "--key", "k.pem", "-o", ".", "fw.elf"], ".: Is a directory"),
        (["sign", "--key", "p.pem", "-o", "o", "fw.elf"], "p.pem: no private key in PEM form"),
        (
            [
                "sign",
                "--key",
                "k.pem",
                "--plat-tlv",
                "BOOTSEC=1",
                "--plat-tlv",
                "0x10002=0x1",
                "-o",
                "o",
                "fw.elf",
            ],
            "0x10002 is given twice",
        ),
        (["sign", "--key", "k.pem", "-o", "o"], "no ELF file to sign; `mpbench sign --help` shows how"),
        (
            ["sign", "--key", "k.pem", "--key_type", "ECC", "-o", "o", "fw.elf"],
            "k.pem: a key of type RSA, not ECC as --key-type has it",
        ),
        (
            ["sign", "--key", "k.pem", "--plat-tlv", "SBOOTADDR", "0x80000000", "-o", "o", "fw.elf"],
            "--plat-tlv SBOOTADDR=0x80000000: 'SBOOTADDR' is neither a number nor one of BOOTADDR, BOOTSEC",
        ),
        (["inspect", "p.pem"], "p.pem: offset 0x0: magic"),
        (["predict", "fw.sign.bin", "--trust-signature", "--core", "0x"], "no core '0x'; it has"),
        (["predict", "fw.sign.bin", "--trust-signature", "--core", "0x" + "f" * 5000], "ff'; it has m33"),
        (["inspect", "fw.sign.bin", "--key", "fw.elf"], "fw.elf: no key in PEM form"),
        (["predict", "fw.sign.bin"], "--key FILE, or --trust-signature"),
        (["predict", "fw.sign.bin", "--key", "fw.elf"], "fw.elf: no public key in PEM form"),
        (["predict", "fw.sign.bin", "--profile", "none"], "neither a profile file nor one of"),
        (["predict", "none", "--trust-signature"], "none: No such file"),
        (["explain", "hello"], "no known message in 1 line. What would help"),
        (["explain", "@none"], "none: No such file"),
    ],
)
def test_every_error_is_one_line_and_exit_code_two(desk, capsys, arguments, complaint):
    """No traceback; the line names the file or the argument. Nothing is written."""
    assert main(arguments) == 2
    err = capsys.readouterr().err
    assert err.startswith("mpbench: error: ")
    assert complaint in err
    assert err.count("\n") == 1
    assert not (desk / "o").exists()


@pytest.mark.parametrize("command", ["predict", "inspect"])
@pytest.mark.parametrize("half", ["k.pem", "p.pem"])
def test_a_key_of_an_algorithm_that_nobody_knows_is_one_line(desk, capsys, command, half):
    """Another object identifier in the place of that of RSA."""
    first, *middle, last = (desk / half).read_text().splitlines()
    data = base64.b64decode("".join(middle)).replace(RSA_IDENTIFIER, RSA_IDENTIFIER[:-1] + b"\x63", 1)
    (desk / "odd.pem").write_text("\n".join((first, base64.b64encode(data).decode(), last)))
    (desk / "odd.pem").chmod(0o600)
    assert main([command, "fw.sign.bin", "--key", "odd.pem"]) == 2
    err = capsys.readouterr().err
    assert (err.startswith("mpbench: error: odd.pem: "), err.count("\n")) == (True, 1)


SCRIPT = "--in fw.elf --out script.bin --key k.pem --key_info info --key_type RSA"
"""Options of OP-TEE's scripts/sign_rproc_fw.py, as it spells them; --plat-tlv is added by the tests."""


@pytest.mark.parametrize(
    "line",
    [
        f"{SCRIPT} --plat-tlv BOOTADDR 0x80100000 --plat-tlv 0x10011 text",
        f"sign --plat-tlv BOOTADDR 0x80100000 {SCRIPT} --plat-tlv 0x10011 text",
        f"--plat-tlv BOOTADDR 0x80100000 --plat-tlv 0x10011=text {SCRIPT}",
    ],
)
def test_command_lines_of_optees_script_work_as_they_are(desk, line):
    """Every option of it, and the command `sign` of older versions: the image is that of our own spelling."""
    (desk / "info").write_bytes(b"slot 3")
    assert main(["sign", *line.split()]) == 0
    ours = "fw.elf -o ours.bin --key k.pem --key-info info --plat-tlv BOOTADDR=0x80100000 --plat-tlv"
    assert main(["sign", *ours.split(), "0x10011=text"]) == 0
    assert (desk / "script.bin").read_bytes() == (desk / "ours.bin").read_bytes()


def test_several_inputs_of_the_script_are_several_images(desk):
    """`--in` may be repeated, and stands beside bare names."""
    assert main(["sign", "--in", "fw.elf", "--in", "fw.elf", "--out", "a", "--key", "k.pem"]) == 0
    assert main(["sign", "fw.elf", "--in=fw.elf", "-o", "b", "--key", "k.pem"]) == 0
    assert main(["sign", "fw.elf", "fw.elf", "-o", "c", "--key", "k.pem"]) == 0
    assert (desk / "a").read_bytes() == (desk / "b").read_bytes() == (desk / "c").read_bytes()


def test_words_that_are_no_value_are_left_alone():
    """An option, one word with `=`, or the last word."""
    for line in (
        "--plat-tlv BOOTADDR --key k",
        "--plat-tlv A=1 fw.elf",
        "fw.elf --plat-tlv BOOTADDR",
        "sign",
    ):
        assert of_script(line.split()) == line.split()
    assert of_script(["--plat-tlv", "BOOTSEC", "1", "x"]) == ["--plat-tlv=BOOTSEC=1", "x"]


def test_every_command_with_a_public_key_takes_one_that_others_may_read(desk, capsys):
    """A public key is no secret: mode 0664, as ST's; a private key with that mode is refused."""
    (desk / "p.pem").chmod(0o664)
    for words in ("inspect fw.sign.bin", "predict fw.sign.bin", "explain ffff0006 fw.sign.bin"):
        assert main([*words.split(), "--key", "p.pem"]) == 0
    capsys.readouterr()
    (desk / "k.pem").chmod(0o664)
    assert main(["sign", "fw.elf", "-o", "o", "--key", "k.pem"]) == 2
    assert capsys.readouterr().err == (
        "mpbench: error: private key k.pem: mode 0664 lets others read it; run `chmod 600 k.pem`\n"
    )


NO_PROFILE = (
    "mpbench: error: which board? give its profile, --profile NAME|FILE or MPBENCH_PROFILE: linux-mp15, "
    "optee-4.10, optee-4.10-32, optee-4.10-mp15, st-3.19-mp157f-dk2, st-3.19-mp257f-dk, st-3.19-mp257f-ev1, "
    "st-4.0-r1-mp157f-dk2, st-4.0-r1-mp257f-dk, st-4.0-r1-mp257f-ev1, st-4.0-r2-mp157f-dk2, "
    "st-4.0-r2-mp257f-dk, st-4.0-r2-mp257f-ev1, st-4.0-r3-mp157f-dk2, st-4.0-r3-mp257f-dk, "
    "st-4.0-r3-mp257f-ev1, st-linux-mp157f-dk2, virtual-mp15, "
    "virtual-mp15-debian-tee, virtual-mp15-st, virtual-mp25, virtual-mp25-st, virtual-mp25-st-r1\n"
)


@pytest.mark.usefixtures("desk")
@pytest.mark.parametrize(
    "words",
    [
        "predict fw.sign.bin --key p.pem",
        "explain ffff0006 fw.sign.bin",
        "sign fw.elf --key k.pem -o o --core m33",
    ],
)
def test_no_board_is_taken_for_the_users(capsys, monkeypatch, words):
    """Without a profile it is asked for; the virtual board is none by default."""
    monkeypatch.delenv("MPBENCH_PROFILE")
    assert main(words.split()) == 2
    assert capsys.readouterr() == ("", NO_PROFILE)
    assert main([*words.split(), "--profile", "st-4.0-r2-mp257f-dk"]) == 0
    output = capsys.readouterr().out
    assert words.startswith("sign") or output.count("on profile st-4.0-r2-mp257f-dk, core m33 (id 1)\n") == 1


@pytest.mark.usefixtures("desk")
def test_sign_with_a_profile_alone_asks_for_the_core(capsys):
    """A profile that is named is used: with one core that is it."""
    words = ["sign", "fw.elf", "--key", "k.pem", "-o", "o", "--profile"]
    assert main([*words, "virtual-mp25"]) == 2
    assert "profile virtual-mp25: which core? --core m33|m0\n" in capsys.readouterr().err
    assert main([*words, "optee-4.10-mp15"]) == 0
    assert "is outside the core's memory (retram 0x0" in capsys.readouterr().err


@pytest.mark.usefixtures("desk")
@pytest.mark.parametrize(
    ("variables", "coloured"),
    [({}, False), ({"FORCE_COLOR": "1"}, True), ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False)],
)
def test_verdicts_have_colours(capsys, monkeypatch, variables, coloured):
    """Not in a pipe, but for FORCE_COLOR; never with NO_COLOR. JSON has none."""
    for name in ("FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert main(["predict", "fw.sign.bin", "--key", "p.pem"]) == 0
    green, end = ("\x1b[32m", "\x1b[0m") if coloured else ("", "")
    assert capsys.readouterr().out.startswith(f"{green}accepted{end}: loaded, TEE_SUCCESS")
    assert main(["explain", "TEE err: ffff0006", "fw.sign.bin"]) == 0
    out = capsys.readouterr().out
    assert f"this image: {green}accepted{end}, loaded" in out
    assert out.startswith("\x1b[1mTEE err: ffff0006\x1b[0m\n" if coloured else "TEE err: ffff0006\n")
    assert main(["predict", "fw.sign.bin", "--key", "p.pem", "--json"]) == 0
    assert "\x1b" not in capsys.readouterr().out


def test_the_verdict_of_a_night_has_a_colour(capsys, monkeypatch):
    """In the last lines of `mpbench nightly`; a word that is no verdict has none."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    for line in ("verdict FAIL: 1 FAIL", "job@place: verdict PASS", "verdict UNKNOWN"):
        night_command._log(line)
    printed = [line.partition(" ")[2] for line in capsys.readouterr().out.splitlines()]
    assert printed == [
        "verdict \x1b[31mFAIL\x1b[0m: 1 FAIL",
        "job@place: verdict PASS",
        "verdict UNKNOWN",
    ]


@pytest.mark.parametrize(
    ("terminal", "variables", "expected"),
    [
        (True, {}, True),
        (True, {"NO_COLOR": "1"}, False),
        (True, {"NO_COLOR": ""}, True),
        (True, {"TERM": "dumb"}, False),
        (False, {}, False),
        (False, {"FORCE_COLOR": "1"}, True),
        (False, {"FORCE_COLOR": ""}, False),
    ],
)
def test_colours_are_for_a_terminal(monkeypatch, terminal, variables, expected):
    """NO_COLOR and FORCE_COLOR count unless they are empty; a dumb terminal has no colours."""
    for name in ("FORCE_COLOR", "NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: terminal)
    assert colour.wanted(stream) is expected


@pytest.mark.usefixtures("desk")
def test_inspect_prints_a_table_or_json(capsys):
    """Both name the key that made the signature."""
    assert main(["inspect", "fw.sign.bin", "--key", "p.pem"]) == 0
    assert "made by p.pem" in capsys.readouterr().out
    assert main(["inspect", "fw.sign.bin", "--key", "p.pem", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["signature"]["made_by"][0]["key"] == "p.pem"


def test_predict_says_what_the_board_will_show(desk, capsys):
    """Verdict, reason, check, errno, kernel log and secure console of a refused image."""
    (desk / "bad.bin").write_bytes(faults.apply("payload-first", image()))
    assert main(["predict", "bad.bin", "--key", "p.pem"]) == 0
    out = capsys.readouterr().out
    assert "refused: segment-hash, TEE_ERROR_SECURITY (0xffff000f)" in out
    assert "check 12 load" in out
    assert "write to state: EIO, then sysfs state offline" in out
    assert "kernel log: TEE err: 0xffff000f" in out
    assert "secure console: Fails to load segment, res = 0x0xffff000f" in out


@pytest.mark.usefixtures("desk")
def test_predict_of_a_sound_image_shows_table_and_memory(capsys):
    """Accepted, with the resource table and the ranges of memory."""
    assert main(["predict", "fw.sign.bin", "--key", "p.pem", "--core", "m33"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("accepted: loaded, TEE_SUCCESS")
    assert out.splitlines()[1] == "  on profile virtual-mp25 (MPBENCH_PROFILE), core m33 (id 1)"
    assert "resource table at 0x80100100" in out
    assert "zeros" in out


@pytest.mark.usefixtures("desk")
def test_predict_in_a_loaded_or_started_core_looks_at_nothing(capsys):
    """LOADED answers success to anything, STARTED refuses."""
    assert main(["predict", "fw.elf", "--trust-signature", "--state", "loaded", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["reason"] == "already-loaded"
    assert (found["profile"], found["core"], found["core_id"]) == ("virtual-mp25", "m33", 1)
    assert main(["predict", "fw.elf", "--trust-signature", "--state", "started", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "TEE_ERROR_BAD_STATE"


def test_predict_of_undefined_behaviour_promises_nothing(desk, capsys):
    """A header length of 2 GiB: neither code nor board."""
    (desk / "wild.bin").write_bytes(image()[:8] + b"\0\0\0\x80" + image()[12:])
    assert main(["predict", "wild.bin", "--trust-signature"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("undefined: length-limit\n  on profile")
    assert "write to state" not in out


def test_an_elf_needs_no_key_to_be_refused(desk, capsys):
    """No signature is looked at in a file that is no signed image."""
    (desk / "plain.elf").write_bytes(firmware())
    assert main(["predict", "plain.elf", "--profile", "virtual-mp25"]) == 0
    out = capsys.readouterr().out
    assert "refused: zero-length, TEE_ERROR_BAD_PARAMETERS" in out
    assert "note: the file is an ELF, not a signed image" in out


@pytest.mark.usefixtures("desk")
def test_several_boards_are_shown_side_by_side(capsys):
    """A column for each, what each does with the image; then the details of each."""
    boards = ["--profile", "st-4.0-r2-mp257f-dk", "--profile", str(OPEN_BOARD), "--trust-signature"]
    assert main(["predict", "fw.sign.bin", *boards]) == 0
    rows = [line.split() for line in capsys.readouterr().out.split("\n\n")[0].splitlines()]
    assert rows[0] == ["profile", "st-4.0-r2-mp257f-dk", "open-board"]
    assert ["START_FW", "no-boot-address", "-"] in rows
    assert rows[-1] == ["write", "of", "`start`", "EIO", "OK"]


@pytest.mark.usefixtures("desk")
def test_predict_maps_every_byte(capsys):
    """As text and as JSON; the spans follow each other."""
    assert main(["predict", "fw.sign.bin", "--key", "p.pem", "--map", "--json"]) == 0
    spans = json.loads(capsys.readouterr().out)["map"]
    assert (spans[0]["from"], spans[-1]["to"]) == (0, len(image()))
    assert main(["predict", "fw.sign.bin", "--key", "p.pem", "--map"]) == 0
    assert "segment-hash (0xffff000f)" in capsys.readouterr().out


@pytest.mark.usefixtures("desk")
def test_boards_are_compared(capsys):
    """One answer for each profile, in the order given; as JSON a list of them."""
    boards = ["--profile", "virtual-mp25", "--profile", "virtual-mp15", "--trust-signature"]
    assert main(["predict", "fw.sign.bin", *boards]) == 0
    details = capsys.readouterr().out.split("\n\n")[1].splitlines()
    assert [line.split(":")[0] for line in details if line[0] != " "] == ["accepted", "refused"]
    assert main(["predict", "fw.sign.bin", *boards, "--json"]) == 0
    assert [row["profile"] for row in json.loads(capsys.readouterr().out)] == ["virtual-mp25", "virtual-mp15"]


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_explain_takes_a_line_a_file_or_standard_input(desk, capsys, monkeypatch, form):
    """The same text in three ways gives the same answer."""
    text = "remoteproc0: TEE err: ffff0006"
    (desk / "log").write_text(text)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    answers = []
    for given in (text, "@log", "-"):
        assert main(["explain", given, *form]) == 0
        answers.append(capsys.readouterr().out)
    assert len(set(answers)) == 1
    assert "this is not a wrong key" in answers[0]


@pytest.mark.usefixtures("desk")
def test_explain_with_an_image_adds_what_the_twin_thinks(capsys):
    """With and without the board's key."""
    assert main(["explain", "TEE err: 0xffff3072", "fw.sign.bin"]) == 0
    out = capsys.readouterr().out
    assert "this image: accepted, loaded" in out
    named = "profile virtual-mp25 (MPBENCH_PROFILE), core m33 (id 1), the first of m33, m0: --core"
    assert out.splitlines()[-1] == f"  on {named}"
    assert main(["explain", "nothing known", "fw.sign.bin", "--core", "m0", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["image"] == {
        "profile": "virtual-mp25",
        "core": "m0",
        "core_id": 2,
        "verdict": "refused",
        "reason": "segment-outside-memory",
    }
    assert main(["explain", "nothing known", "fw.sign.bin", "--key", "p.pem"]) == 0
    assert "this image: accepted, loaded" in capsys.readouterr().out


def test_explain_narrows_the_causes_to_the_one_the_image_has(desk, capsys):
    """BAD_PARAMETERS has twenty causes; with the image at hand there is one."""
    (desk / "bad.bin").write_bytes(faults.apply("header-version", image()))
    assert main(["explain", "TEE err: ffff0006", "bad.bin"]) == 0
    causes = [line for line in capsys.readouterr().out.splitlines() if line.startswith("  cause:")]
    assert causes == ["  cause: the version of the image format is not 1 (bad-version)"]
    assert main(["explain", "TEE err: ffff0006", "fw.sign.bin"]) == 0
    out = capsys.readouterr().out
    assert (
        "  cause: none found in this image: it should be accepted\n  try:   compare sha256sum on board" in out
    )


def test_of_many_causes_a_person_reads_first_what_to_try(capsys):
    """BAD_PARAMETERS; a line about LOAD_FW names no cause that only another command has."""
    assert main(["explain", "tee_remoteproc: TA_RPROC_FW_CMD_LOAD_FW invoke failed TEE err: ffff0006"]) == 0
    out = capsys.readouterr().out
    assert 0 < out.index("  try:") < out.index("  cause:")
    assert "bad-magic" in out
    assert "never-loaded" not in out


def test_inspect_shows_a_platform_record_as_a_number(desk, capsys):
    """BOOTADDR is a little-endian word."""
    assert main(["sign", "--key", "k.pem", "--plat-tlv", "BOOTADDR=0x80100000", "-o", "b.bin", "fw.elf"]) == 0
    assert main(["inspect", "b.bin"]) == 0
    assert "00001080 = 0x80100000" in capsys.readouterr().out
    assert desk.joinpath("b.bin").exists()


def test_what_a_device_printed_cannot_control_the_terminal():
    """Escape sequences are shown, not sent."""
    assert printable("a\x1b[31mb") == "a\\x1b[31mb"


def test_a_plain_line_is_explained_without_slow_imports():
    """Neither attrs nor YAML nor cryptography nor the twin's loaders: explain answers at once."""
    code = (
        "import argparse, sys\n"
        "from mpbench.commands import explain\n"
        "parser = argparse.ArgumentParser()\n"
        "explain.add_commands(parser.add_subparsers())\n"
        "args = parser.parse_args(['explain', 'TEE err: ffff0006'])\n"
        "args.run(args)\n"
        "slow = {'attr', 'inspect', 'yaml', 'cryptography', 'elftools', 'mpbench.twin.upstream'}\n"
        "slow &= set(sys.modules)\n"
        "sys.exit(' '.join(slow) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
