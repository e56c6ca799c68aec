# SPDX-License-Identifier: MIT
"""`mpbench explain`: lines and logs that people have in hand, the cause first, and nothing that is not so."""

import gzip
import io
import json
import lzma
import re
import tomllib
from pathlib import Path

import pytest

from mpbench.commands.main import main
from mpbench.image import faults
from mpbench.knowledge.explain import answer, explain
from mpbench.knowledge.messages import DIRECTORY, TABLES, advice_by_code, messages, rows
from mpbench.knowledge.page import SECTIONS, troubleshooting
from mpbench.layout import Tee
from mpbench.twin.machine import Loader
from mpbench.twin.reasons import REASONS
from testcases.unit.image_rig import board, image, key

CAPTURES = Path(__file__).parents[1] / "captures"
TARGETS = Path(__file__).parents[2] / "targets"

WRONG_CORE = """\
[   12.340000] remoteproc remoteproc0: powering up m0
[   12.345678] remoteproc remoteproc0: Booting fw image hello.elf, size 120
[   12.350000] remoteproc remoteproc0: bad phdr da 0x80100000 mem 0x7a24
[   12.350001] remoteproc remoteproc0: Failed to load program segments: -22
[   12.360000] remoteproc remoteproc0: Boot failed: -22
"""
NO_KICK = """\
Nov 28 12:00:01 stm32mp2 kernel: remoteproc remoteproc0: powering up m33
Nov 28 12:00:01 stm32mp2 kernel: remoteproc remoteproc0: .kick method not defined for m33
Nov 28 12:00:01 stm32mp2 kernel: remoteproc remoteproc0: Failed to process resources: -22
Nov 28 12:00:01 stm32mp2 kernel: remoteproc remoteproc0: Boot failed: -22
-bash: echo: write error: Invalid argument
"""
MEMORY_REGION = """\
[Sat Nov 28 12:00:01 2026] remoteproc remoteproc0: powering up m4
[Sat Nov 28 12:00:01 2026] stm32-rproc 10000000.m4: unable to acquire memory-region
[Sat Nov 28 12:00:01 2026] remoteproc remoteproc0: can't prepare rproc m4: -22
[Sat Nov 28 12:00:01 2026] remoteproc remoteproc0: Boot failed: -22
"""
FIREWALL = """\
[   20.000000] remoteproc remoteproc0: powering up m33
[   20.100000] remoteproc remoteproc0: remote processor m33 is now up
E/TC:0   stm32_iac_itr:163 IAC exceptions [95:64]: 0x10000000
E/TC:0   stm32_iac_itr:167 IAC exception ID: 92
E/TC:0   Panic at core/drivers/firewall/stm32_iac.c:182 <stm32_iac_itr>
"""
WRONG_KEY = """\
[   20.000000] remoteproc remoteproc0: powering up m33
[   20.100000] tee-rproc m33: TA_RPROC_FW_CMD_LOAD_FW invoke failed TEE err: ffff3072, ret:0
[   20.100001] remoteproc remoteproc0: Boot failed: -5
E/TA:  remoteproc_verify_signature:352 Failed to verify signature, res = 0xffff3072
E/TA:  remoteproc_load_fw:921 Can't Authenticate the firmware (res = 0xffff3072)
"""


@pytest.mark.parametrize(
    ("line", "meaning", "hint"),
    [
        ("stm32-rproc m33: TEE err: ffff0006", "TEE_ERROR_BAD_PARAMETERS", "this is not a wrong key"),
        ("TEE err: 0xFFFF3072", "TEE_ERROR_SIGNATURE_INVALID", "RPROC_SIGN_KEY"),
        ("E/TA: Fails to load segment, res = 0x0xffff000f", "TEE_ERROR_SECURITY", "sign again"),
        ("Failed to verify signature, res = 0xffff000a", "TEE_ERROR_NOT_SUPPORTED", "RSA only"),
        ("Can't Authenticate the firmware (res = 0xffff000c)", "TEE_ERROR_OUT_OF_MEMORY", "HEAP_SIZE"),
        ("Fails to clear segment, res = 0xffff0001", "TEE_ERROR_ACCESS_DENIED", "memory regions"),
        ("remoteproc remoteproc0: Image is corrupted (bad magic)", "managed by Linux", "compatible ...-tee"),
        ("remoteproc remoteproc0: Boot failed: -22", "the line before names the cause", "powering up"),
        ("remoteproc remoteproc0: Boot failed: -2", "was not found", "firmware"),
        ("remoteproc remoteproc0: Boot failed: -5", "the TEE refused", "explain that line"),
        ("remoteproc remoteproc0: Boot failed: -12", "no memory", "reserved memory"),
        ("remoteproc remoteproc0: Boot failed: -16", "busy", "unbind"),
        ("remoteproc remoteproc0: Boot failed: -517", "waits for another", "tee-supplicant"),
        ("remoteproc remoteproc0: Boot failed: -99", "errno 99", "lines before"),
        (
            "remoteproc remoteproc0: Direct firmware load for fw failed with error -2",
            "no firmware file",
            "name",
        ),
        ("remoteproc remoteproc0: request_firmware failed: -2", "no firmware file", "initramfs"),
        (
            "E/LD:  init_elf:486 sys_open_ta_bin(80a4c275-0a47-4905-8285-1486a9771a08)",
            "remoteproc",
            "early TA",
        ),
        (
            "E/LD:  init_elf:486 sys_open_ta_bin(12345678-0a47-4905-8285-1486a9771a08)",
            "not the remoteproc",
            "",
        ),
        ("remoteproc remoteproc0: bad phdr da 0x80000000 mem 0x1000", "outside the core's memory", "readelf"),
        ("E/TC:0 0 rproc_pta_decrypt_aes:195 null encrypted key not supported", "is encrypted", "fuses"),
        ("sh: write error: Input/output error", "the TEE refused", "dmesg"),
        ("Unsupported firmware version 2", "check 14", "readelf"),
        ("Unsupported signature type 3", "check 4", "RSA"),
        ("More than one resource table found", "check 14", "readelf"),
        ("Failed to translate device address 0x0", "TEE_ERROR_ACCESS_DENIED", "device tree"),
        ("Failed to parse firmware, res = 0xffff0005", "check 6", "readelf"),
        ("remoteproc remoteproc0: no resource table found for this firmware", "harmless", "KEEP"),
        ("remoteproc remoteproc0: unsupported fw ver: 0", "version is not 1", "readelf"),
        ("crash detected in m33: type watchdog", "crashed", "trace0"),
        ("ffff3024", "TEE_ERROR_TARGET_DEAD", "panicked"),
        ("0xffff1234", "TEE result 0xffff1234", ""),
        ("I/TC: Early TA 80a4c275-0a47-4905-8285-1486a9771a08 size 45000 (compressed", "is built in", ""),
        (
            "E/TC:0 0 stm32_rproc_map:70 Firmware boot address already set",
            "left its boot address",
            "BOOTADDR",
        ),
        ("E/TC:? 0 stm32_serc_handle_ilac:171 SERC exception ID: 32", "without clock", "clock"),
        ("stm32-ipcc 40490000.mailbox: Missing st,proc-id", "st,proc-id", ""),
        ("Remote processor 0 x\nCannot find Remote processor class", "no driver for a core", ""),
        (
            "virtio_rpmsg_bus virtio0: timeout waiting for a tx buffer",
            "gives? buffers|free for 15 s",
            "alive",
        ),
    ],
)
def test_lines_that_people_have_in_hand_are_explained(line, meaning, hint):
    """The meaning and what to try, for the lines users ask about."""
    (found,) = explain(line)
    assert any(m in found.meaning for m in meaning.split("|")), found.meaning
    assert not hint or hint in " ".join(found.advice)


@pytest.mark.parametrize(
    ("log", "cause", "words", "consequences"),
    [
        (WRONG_CORE, "elf-bad-phdr", "the firmware is for the m33, and this core is the m0", [4, 5]),
        (NO_KICK, "virtio-no-kick", "no mailbox", [3, 4, 5]),
        (MEMORY_REGION, "stm32-memory-region", "dma-ranges", [3, 4]),
        (FIREWALL, "rif-iac", "the m33 was started before (line 1)", [3, 5]),
        (WRONG_KEY, "ta-verify-signature", "another key signed them", [5, 2, 3]),
    ],
    ids=["another core's image", "vdev without kick", "memory-region", "firewall", "wrong key"],
)
def test_of_a_log_the_cause_is_explained_and_the_rest_follows_from_it(log, cause, words, consequences):
    """One trouble, and the lines that are only its consequence."""
    (found,) = explain(log)
    assert found.id == cause
    assert words in " ".join((*found.causes, found.meaning))
    assert [number for number, _ in found.consequences] == consequences


@pytest.mark.parametrize(
    "decorate", ["\x1b[31m{}\x1b[0m", "[    1.234567] {}", "<3>[    1.234567] {}", "{}\r"]
)
@pytest.mark.parametrize("between", ["", "systemd[1]: Started something.\n"])
def test_colours_time_stamps_and_other_lines_change_nothing(decorate, between):
    """dmesg, a raw log, a console capture."""
    lines = [line.split("] ", 1)[1] for line in WRONG_CORE.splitlines()]
    (found,) = explain("".join(f"{between}{decorate.format(line)}\n" for line in lines))
    assert found.id == "elf-bad-phdr"
    assert len(found.consequences) == 2


@pytest.mark.parametrize(
    ("later", "meaning"),
    [
        (
            "remoteproc remoteproc0: recovering m4\nremoteproc remoteproc0: remote processor m4 is now up",
            "the kernel started it again",
        ),
        ("remoteproc remoteproc0: recovering m4", "the log does not show how it ended"),
        ("remoteproc remoteproc0: recovering m4\nremoteproc remoteproc0: Boot failed: -5", "recovery failed"),
        ("x", "recovery is disabled for this core"),
    ],
)
def test_a_crash_says_whether_it_was_recovered(later, meaning):
    """`handling crash` without `recovering`: the recovery file says disabled."""
    log = ("crash detected in m4: type watchdog", "handling crash #1 in m4")
    (found,) = explain("\n".join((*(f"remoteproc remoteproc0: {line}" for line in log), later)))
    assert meaning in found.meaning


def test_another_tas_result_is_named_as_anothers():
    """The line is about NVMEM, not about firmware."""
    (found,) = explain("stm32-nvmem: TA_NVMEM invoke TEE err: ffff0006")
    assert found.meaning == (
        "TEE_ERROR_BAD_PARAMETERS (0xffff0006) went to another driver (stm32-nvmem): "
        "this line is not about the cores' firmware"
    )
    assert found.causes == ()


@pytest.mark.parametrize(
    "text",
    [
        "clocksource: arch_sys_counter: mask: 0xffffffffffffff max_cycles: 0x4af477f6aa",
        "x: mask 0xffff0006",
        "usb 1-1: failed to load something",
        "snd-soc: failed to request mailbox tx",
        "ext4: No loadable segments",
        "E/TC:0 0 other_driver:12 something else",
    ],
)
def test_numbers_and_words_of_others_explain_nothing(text):
    """A number means nothing by itself, and a driver's message only in a line of that driver."""
    assert explain(text) == []


def test_the_boot_of_a_board_has_no_trouble():
    """Consoles of virtual boards as they were recorded: states, no trouble."""
    logs = [p.read_text(errors="backslashreplace") for p in (CAPTURES / "virtual-mp25/about").iterdir()]
    assert [answer(log).explained for log in logs] == [()] * len(logs)
    assert any(answer(log).states for log in logs)


def test_a_log_is_explained_line_by_line_and_each_meaning_once():
    """Unknown lines are passed over, a repeated code is counted."""
    log = "boot\nTEE err: ffff000f\nnoise\nTEE err: ffff000f\ncrash detected in m33\n"
    assert [(e.line, e.times) for e in explain(log)] == [
        ("TEE err: ffff000f", 2),
        ("crash detected in m33", 1),
    ]


def test_every_line_the_twin_can_print_is_known_to_explain():
    """What a prediction shows on the secure console can be asked about."""
    for name in faults.FAULTS:
        outcome = Loader(board()).load("m33", faults.apply(name, image(), key()))
        for line in outcome.console:
            assert explain(line), line


def test_every_code_of_a_refusal_has_advice():
    """By the name of the code; no advice is for a code that does not exist."""
    codes = {r.code for r in REASONS.values() if r.code and not r.name.startswith("platform")}
    assert {Tee(c).name for c in codes} <= set(advice_by_code()) <= {t.name for t in Tee}


def test_the_tables_are_well_formed():
    """Ids are unique, every message has a meaning and a source, and every id that another names exists."""
    found = messages()
    ids = [m.id for m in found]
    ids += ["other-ta", "other-kernel", "other-vendor"]  # what no table has
    for m in found:
        assert m.level in ("error", "warning", "state", "mark"), m.id
        assert m.means or m.reasons, m.id
        assert m.source, m.id
        assert m.text, m.id
        for other in (*m.after, *m.before):
            assert any(i.startswith(other.rstrip("*")) for i in ids), (m.id, other)
        assert set(m.reasons) <= set(REASONS), m.id


def test_the_index_of_the_tables_is_what_toml_says():
    """Ids, each once, and texts are found without reading all of a table as TOML."""
    tables = [tomllib.loads((DIRECTORY / f"{name}.toml").read_text()) for name in TABLES]
    whole = [row for table in tables for row in table["message"]]
    texts = [[row["text"]] if isinstance(row["text"], str) else row["text"] for row in whole]
    assert [(row.id, list(row.text)) for row in rows().values()] == list(
        zip((row["id"] for row in whole), texts, strict=True)
    )
    assert [row.message.text for row in rows().values()] == [tuple(text) for text in texts]


def test_every_line_of_the_guides_tables_is_known():
    """Section 6 of targets/README.md: the first column is what a user sees."""
    section = (TARGETS / "README.md").read_text().split("## 6.")[1].split("\n## ")[0]
    seen = [row.split(" | ")[0].strip("| ") for row in section.splitlines() if row.startswith("| `")]
    fields = {"`beating`, `identity`", "`test_tee_is_present`"}
    assert len(seen) > 15
    unknown = [s for s in seen if s not in fields and not any(map(explain, _pieces(s)))]
    assert unknown == []


def _pieces(shown: str) -> list[str]:
    """What the guide abbreviates with dots, and lists with semicolons."""
    pieces = re.split(r"; |`: `", shown)
    return [piece.replace("...", "x").strip("`; ") for piece in (*pieces, *re.split(r"\.\.\. ", shown))]


def test_the_page_of_troubleshooting_is_made_from_the_tables():
    """targets/TROUBLESHOOTING.md; `python -m mpbench.knowledge.page` writes it."""
    assert (TARGETS / "TROUBLESHOOTING.md").read_text() == troubleshooting()


def test_the_page_has_every_error_and_warning_once():
    """In one section, whatever its table and the start of its id."""
    for message in messages():
        if message.level in ("error", "warning"):
            sections = [
                title for title, by, ids in SECTIONS if message.by == by and message.id.startswith(ids)
            ]
            assert len(sections) == 1, message.id


def test_nothing_known_names_the_lines_that_look_wrong(capsys):
    """And asks for what would help; only those about the cores, if there are any."""
    assert main(["explain", "a\nfoo: failed to xyz\nremoteproc: something failed"]) == 2
    err = capsys.readouterr().err
    assert "no known message in 3 lines" in err
    assert "what looks wrong in it: line 3: remoteproc: something failed. What would" in err
    assert "What would help: the kernel log from `powering up` to the end" in err


@pytest.mark.parametrize(("log", "count"), [("a", 1), ("a\n", 1), ("a\nb", 2), (b"a\nb\n", 2), (b"\n", 1)])
def test_lines_are_counted_as_an_editor_does(log, count):
    """A line end at the end of a file begins no other line."""
    assert answer(log).lines == count


def test_a_logs_file_is_taken_by_its_name(tmp_path, monkeypatch, capsys):
    """With or without @, as JSON."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "log").write_text(WRONG_CORE)
    answers = []
    for given in ("log", "@log"):
        assert main(["explain", given, "--json"]) == 0
        answers.append(json.loads(capsys.readouterr().out)["logs"][0])
    assert answers[0] == answers[1]
    (row,) = answers[0]["explained"]
    assert (row["number"], row["id"]) == (3, "elf-bad-phdr")
    assert [c["number"] for c in row["consequences"]] == [4, 5]


def test_a_run_is_explained_test_by_test(capsys):
    """The tests that are not green, from the evidence in the run's directory."""
    sample = TARGETS.parent / "reports/sample"
    assert main(["explain", str(sample)]) == 0
    out = capsys.readouterr().out
    assert "test_every_verdict.py::test_wrong_prediction: FAIL" in out
    assert "PASS" not in out


def test_a_green_run_has_nothing_to_explain(tmp_path, capsys):
    """Exit code 2 with one line."""
    sample = (TARGETS.parent / "reports/sample/record.jsonl").read_text().splitlines()
    green = [line for line in sample if '"FAIL"' not in line and '"kind": "test-end"' not in line]
    (tmp_path / "record.jsonl").write_text("\n".join(green) + "\n")
    assert main(["explain", str(tmp_path)]) == 2
    assert "every test of" in capsys.readouterr().err


def test_what_a_log_names_cannot_control_the_terminal(capsys):
    """A core's name with an escape sequence before it."""
    log = "remoteproc remoteproc0: powering up \x9bm33\nE/TC:0 0 stm32_iac_itr:167 IAC exception ID: 92"
    assert main(["explain", log]) == 0
    out = capsys.readouterr().out
    assert "the m33 was started before" in out
    assert "\x9b" not in out


def test_a_long_log_is_read_in_pieces(monkeypatch):
    """As bytes and as text, with the numbers of the lines of the whole; a line longer than a piece is cut."""
    monkeypatch.setattr("mpbench.knowledge.log_lines.PIECE", 200)
    noise = "usb 1-1: new device\n" * 9
    log = noise + WRONG_CORE + "x" * 300 + "\n" + noise
    for given in (log, log.encode()):
        (found,) = answer(given).explained
        assert (found.id, found.number) == ("elf-bad-phdr", 12)
        assert [number for number, _ in found.consequences] == [13, 14]
        assert answer(given).lines == 24
    assert answer(b"one\xff two\nfoo: failed to \xff").suspects == ((2, "foo: failed to \\xff"),)


def test_standard_input_has_a_bound(monkeypatch, capsys):
    """One line, exit code 2."""
    monkeypatch.setattr("mpbench.commands.explain.LOG_LIMIT_BYTES", 10)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"x" * 11)))
    assert main(["explain", "-"]) == 2
    assert "standard input has more than 10 bytes" in capsys.readouterr().err


def test_a_line_too_long_for_a_file_name_is_a_line(capsys):
    """Neither its length nor a NUL byte is an error of the file system."""
    assert main(["explain", "x" * 5000 + " 0xffff0006"]) == 2
    assert main(["explain", "remoteproc remoteproc0: Boot failed: -2\0"]) == 0
    assert "was not found" in capsys.readouterr().out


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress], ids=["gzip", "xz"])
def test_a_packed_log_is_unpacked(pack, tmp_path, capsys):
    """As rotated logs are; what it holds is explained as ever."""
    log = tmp_path / "kern.log.1"
    log.write_bytes(pack(WRONG_CORE.encode()))
    assert main(["explain", str(log)]) == 0
    assert "bad phdr da 0x80100000" in capsys.readouterr().out


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress], ids=["gzip", "xz"])
@pytest.mark.parametrize("spoil", [lambda data: data[:-9], lambda data: data[:12] + bytes(20) + data[32:]])
def test_a_damaged_packed_log_is_refused(pack, spoil, tmp_path, capsys):
    """Cut short, or with other bytes: one line, no traceback."""
    log = tmp_path / "kern.log.1"
    log.write_bytes(spoil(pack(WRONG_CORE.encode())))
    assert main(["explain", str(log)]) == 2
    assert f"cannot unpack {log}: " in capsys.readouterr().err


def test_a_packed_log_that_asks_for_much_memory_is_refused(tmp_path, capsys):
    """The size of xz's dictionary is part of the file."""
    log = tmp_path / "kern.log.1.xz"
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 512 << 20}]
    log.write_bytes(lzma.compress(b"x", filters=filters))
    assert main(["explain", str(log)]) == 2
    assert capsys.readouterr().err == f"mpbench: error: cannot unpack {log}: Memory usage limit exceeded\n"


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress], ids=["gzip", "xz"])
def test_a_packed_log_is_bounded(pack, tmp_path, capsys, monkeypatch):
    """A small file may unpack to any size: no more than the limit is read of it."""
    monkeypatch.setattr("mpbench.commands.explain.LOG_LIMIT_BYTES", 1 << 16)
    log = tmp_path / "kern.log.1"
    log.write_bytes(pack(bytes(1 << 20)))
    assert main(["explain", str(log)]) == 2
    assert f"{log} unpacks to more than 65536 bytes; give a part of it" in capsys.readouterr().err
