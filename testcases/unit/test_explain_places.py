# SPDX-License-Identifier: MIT
"""How `mpbench explain` finds the lines of a long log: as if it read each of them, in bounded work."""

import random
import re
from pathlib import Path

import pytest

from mpbench.knowledge import places
from mpbench.knowledge.explain import answer
from mpbench.knowledge.floods import MAX_OF_ONE_MESSAGE, MAX_OF_ONE_TEXT
from mpbench.knowledge.log_lines import places_of
from mpbench.knowledge.matching import PLACES, matched
from mpbench.knowledge.messages import DIRECTIVE, messages
from mpbench.knowledge.places import any_of, every_line, known_lines

BOOT = (Path(__file__).parents[1] / "captures/boot-mp25/dmesg").read_text().splitlines()
TEXTS = [text for message in messages() for text in message.text]
PREFIXES = (
    *("", "[   12.345678] ", "Nov 28 12:00:01 board kernel: ", "3,12,64542307,-;", "<3>[   12.345678] "),
    *("E/TC:0 0 panic:12 ", "E/TA:  remoteproc_load_fw:9 ", "E/LD:  init_elf:486 ", "I/TC: ", "# ", "  "),
)
SUBJECTS = (
    *(
        "",
        "",
        "remoteproc remoteproc0: ",
        "stm32-rproc 10000000.m4: ",
        "virtio_rpmsg_bus virtio0: ",
        "optee: ",
    ),
    *("stm32-ipcc 4c001000.mailbox: ", "usb 1-1: ", "tee tee0: ", "rproc-srm-core x: ", "sh: "),
)
VALUES = {**{key: ["5", "-22", "x"] for key in "diu"}, "s": ["m33", "a b", ""], "c": ["c"]}
KNOWN = "[   12.345678] remoteproc remoteproc0: Boot failed: -22"


def printed(chance):
    """A line of a table with values that mostly fit, after an origin that may be another's, mostly whole."""
    text = DIRECTIVE.sub(
        lambda found: chance.choice(VALUES.get(found[1], ["1f", "0xffff0006", "g"])), chance.choice(TEXTS)
    )
    line = chance.choice(PREFIXES) + chance.choice(SUBJECTS) + text
    return line[: chance.randrange(len(line))] if chance.random() < 0.1 else line


def found_in(lines):
    """What the lines are taken for."""
    matches = (matched(line) for line in lines)
    return [(m.line, m.message.id, m.groups, m.core, m.at) for m in matches if m]


@pytest.mark.parametrize("seed", range(6))
def test_a_long_log_is_read_as_line_by_line(seed, monkeypatch):
    """Every known line that reading each of them finds, and no other; also where line ends were lost."""
    chance = random.Random(seed)
    lines = [printed(chance) if chance.random() < 0.7 else chance.choice(BOOT) for _ in range(400)]
    log = "".join(line + ("" if chance.random() < 0.05 else "\n") for line in lines)
    slow = found_in(every_line(log, 1))
    monkeypatch.setattr(places, "SHORT", 0)
    quick, unread = known_lines(log, 1, PLACES)
    assert unread == 0
    assert found_in(quick) == slow
    assert len(slow) > 30


def test_the_longest_beginning_is_found():
    """The tree of beginnings finds what the longest alternative would."""
    words = ["no", "no memory", "no match", "failed", "failed to", "x"]
    pattern = re.compile(any_of(words))
    assert [pattern.match(w + ":")[0] for w in words] == words
    assert pattern.match("nowhere")[0] == "no"
    assert pattern.match("fail") is None


def test_a_flood_of_one_message_hides_no_other():
    """Its first and last lines are read, the others counted; what comes in between is explained as ever."""
    flood = (KNOWN + "\n") * 30_000
    log = flood + "[   13.000000] remoteproc remoteproc0: bad phdr da 0x80100000 mem 0x540\n" + flood
    found = answer(log)
    assert {one.id for one in found.explained} == {"rproc-boot-failed", "elf-bad-phdr"}
    assert found.lines == 60_001
    read = 60_000 - found.unread
    assert read == 2 * MAX_OF_ONE_TEXT
    (cause,) = (one for one in found.explained if one.id == "elf-bad-phdr")
    assert cause.number == 30_001


def test_a_flood_of_different_lines_is_bounded():
    """Of many known lines the first and the last are read."""
    log = "".join(f"E/TC:0 0 stm32_iac_itr:197 IAC exception ID: {n}\n" for n in range(10_000))
    found = answer(log)
    assert [one.number for one in found.explained] == list(range(1, 21))
    assert found.unread == 10_000 - 2 * MAX_OF_ONE_MESSAGE
    assert found.explained[-1].unknown == "580 more lines of this kind, with other values, are not listed"


def test_floods_of_lines_with_other_values_hide_no_other_message():
    """Each message has its share of the lines that are read."""
    floods = [
        f"E/TC:0 0 {line}: {n}\n"
        for n in range(2000)
        for line in ("stm32_iac_itr:197 IAC exception ID", "stm32_serc_handle_ilac:139 SERC exception ID")
    ]
    middle = len(floods) // 2
    log = "".join((*floods[:middle], KNOWN + "\n", *floods[middle:]))
    lines, _ = known_lines(log, 1, PLACES)
    assert middle + 1 in [line.number for line in lines]
    assert len(lines) == 2 * 2 * MAX_OF_ONE_MESSAGE + 1


def test_a_line_of_many_lines_length_is_read_around_its_messages():
    """Garbage of a console has no line ends."""
    log = "x" * 50_000 + KNOWN + " " + "y" * 50_000
    (one,) = answer(log).explained
    assert one.id == "rproc-boot-failed"
    assert list(places_of(one.line, "Boot failed")) != []


@pytest.mark.parametrize("what", ["\n", "  ", "; ", ": ", "[ ", "\n[  ", "E/TC:", "Boot failed: "])
def test_nothing_takes_more_time_than_its_length(what):
    """Blank lines, blanks and separators, in masses: a search that begins anew at each would hang."""
    assert answer(what * (300_000 // len(what))).explained == ()
