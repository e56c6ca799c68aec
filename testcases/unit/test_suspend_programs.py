# SPDX-License-Identifier: MIT
"""What a suspend runs on the board, run on this host: suspend-client, and the script on a played /sys."""

import os
import re
import shutil
import subprocess

import pytest

from mpbench.board.program_output import answers
from mpbench.harness.firmware import make
from mpbench.suspend import memory, parse
from mpbench.suspend.collect import Request
from mpbench.suspend.facts import KEPT, Place

EMULATORS = {"aarch64": "qemu-aarch64", "armv7l": "qemu-arm"}
PLACES = (Place(0x1000, 0x800, spare=False), Place(0x2040, 0x1000, spare=True))
LISTED = "".join(f"{place.line}\n" for place in PLACES)


@pytest.fixture(scope="module")
def programs():
    """Emulator and program for every machine of a board."""
    built = make(goal="userland")
    return {
        machine: [shutil.which(emulator) or emulator, str(built / machine / "suspend-client")]
        for machine, emulator in EMULATORS.items()
    }


def run(command, words, at):
    """What the client prints for these words, with the file `at` in place of /dev/mem."""
    words = [word.replace("/dev/mem", str(at)) for word in words]
    return subprocess.run([*command, *words], capture_output=True, text=True, check=True).stdout


@pytest.fixture
def played(tmp_path):
    """A file in place of /dev/mem."""
    path = tmp_path / "mem"
    path.write_bytes(os.urandom(0x4000))
    return path


def overwrite(path, at, data):
    """Write bytes to a place of the file."""
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


@pytest.mark.parametrize("machine", EMULATORS)
def test_memory_that_stays_is_kept(programs, played, machine):
    """A pattern is found again, constant memory has the same hash, other memory is untouched."""
    before = played.read_bytes()
    filled = run(programs[machine], memory.fill(PLACES, 7), played)
    checked = run(programs[machine], memory.check(PLACES, 7), played)
    assert parse.memory_word(LISTED, {"fill": filled, "memory": checked}) == KEPT
    after = played.read_bytes()
    assert (after[:0x2040], after[0x3040:]) == (before[:0x2040], before[0x3040:])
    assert after[0x2040:0x3040] != before[0x2040:0x3040]


@pytest.mark.parametrize("machine", EMULATORS)
@pytest.mark.parametrize(
    ("at", "data", "found"),
    [
        (0x2100, b"\xef\xbe\xad\xde", r"1 words in 0x2100\.\.0x2100, the first is 0xdeadbeef and was 0x"),
        (0x303F, b"\xff\xff", r"1 words in 0x303c\.\.0x303c, the first is 0xff\w{6} and was 0x(?!ff)"),
        (0x2101, bytes(9), r"3 words in 0x2100\.\.0x2108, the first is 0x000000\w\w and was 0x"),
        (0x1234, b"\xa5\x5a\xa5\x5a\xa5", r"constant memory 0x1000\+0x800"),
    ],
    ids=["a-word", "over-the-end", "several-words", "constant"],
)
def test_an_overwrite_is_found(programs, played, machine, *, at, data, found):
    """What is written between the two looks is reported with its address and its content."""
    filled = run(programs[machine], memory.fill(PLACES, 1), played)
    overwrite(played, at, data)
    checked = run(programs[machine], memory.check(PLACES, 1), played)
    word = parse.memory_word(LISTED, {"fill": filled, "memory": checked})
    assert re.match(found, word), word


@pytest.mark.parametrize("machine", EMULATORS)
def test_memory_that_cannot_be_looked_at(programs, machine):
    """What Linux refuses has its errno, for every word."""
    words = ("open,/dev/none", "fill,0x1000,16,1", "check,0x1000,16,1", "hash,0x1000,16")
    found = answers(run(programs[machine], words, "/dev/mem"), "suspend-client")
    assert [a.errno for a in found] == ["ENOENT"] * 4
    unmapped = run(programs[machine], ("open,/dev/null", "hash,0x1000,16"), "/dev/mem")
    assert answers(unmapped, "suspend-client")[1].errno == "ENODEV"


@pytest.mark.parametrize("machine", EMULATORS)
@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("open", "a path is missing"),
        ("hash,0x1001,4", "address and size have to be multiples of 4"),
        ("hash,0x1000,0", "address and size have to be multiples of 4"),
        ("check,0x1000,4", "a number is missing"),
        ("poke,0x1000", "poke"),
    ],
)
def test_words_that_it_does_not_know(programs, machine, words, why):
    """Unknown words are refused with a message and exit code 2."""
    done = subprocess.run([*programs[machine], *words.split()], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, f"suspend-client: {why}\n")


# --- the script ---------------------------------------------------------------------------------------------

BOARD = {
    "sys/power/state": "freeze\n",
    "sys/power/wakeup_count": "5\n",
    "sys/power/pm_wakeup_irq": "31\n",
    "sys/power/suspend_stats/success": "1\n",
    "sys/power/suspend_stats/fail": "0\n",
    "sys/class/wakeup/wakeup0/name": "5c004000.rtc\n",
    "sys/class/wakeup/wakeup0/event_count": "3\n",
    "sys/class/wakeup/wakeup0/active_time_ms": "0\n",
    "rtc0/wakealarm": "",
    "proc/uptime": "100.25 180.00\n",
    "proc/interrupts": "           CPU0\n 31:  2  GICv2  35 Level     rtc-pl031\n",
    "dev/kmsg": "",
}


def script(root, shell, **request):
    """Sections that the script prints, with the files of BOARD below `root`."""
    for name, text in BOARD.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    text = Request(str(root / "rtc0"), str(root / "trace0"), **request).script
    for tree in ("/sys/", "/proc/", "/dev/kmsg"):
        text = text.replace(tree, f"{root}{tree}")
    done = subprocess.run([*shell, "-c", text], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("@end\n")
    return parse.sections_of(done.stdout)


@pytest.fixture(params=["sh", "busybox"])
def shell(request):
    """A shell of this host, and that of a small board."""
    program = shutil.which(request.param)
    if not program:
        pytest.skip(f"{request.param} is not installed")
    return [program, "sh"] if request.param == "busybox" else [program]


def test_the_script_prints_its_sections(tmp_path, shell):
    """It counts events, sets the alarm, writes the state, marks the log, and looks twice."""
    orders = {"first": "echo @one; echo 1", "last": "echo @two; echo $trace"}
    found = script(tmp_path, shell, word="mem", seconds=3, **orders)
    assert (found["one"], found["two"]) == ("1\n", f"{tmp_path}/trace0\n")
    assert [found[name] for name in ("count", "alarm", "errno")] == ["OK\n"] * 3
    assert (tmp_path / "sys/power/state").read_text() == "memeze\n"
    assert (tmp_path / "sys/power/wakeup_count").read_text() == "5\n"
    assert parse.since_marker((tmp_path / "dev/kmsg").read_text()).strip().isalnum()
    before, after = parse.look(found, "before"), parse.look(found, "after")
    assert (before.uptime_s, before.beat, before.events) == (100.25, None, {"5c004000.rtc": 3})
    assert after.stats == {"success": "1", "fail": "0"}
    assert parse.woken_by(found, before, after) == "alarm"


def test_a_refused_write_has_its_message(tmp_path, shell):
    """What dd prints of a write that fails is in the section of that write."""
    (tmp_path / "sys/power/mem_sleep").mkdir(parents=True)
    found = script(tmp_path, shell, deep="deep")
    assert "Is a directory" in found["deep"]


def test_a_held_wake_up_source_is_named(tmp_path, shell):
    """The count of events cannot be read while one is handled: the script names the source, and ends."""
    text = Request(str(tmp_path), "", count="").script.replace("timeout $held cat", "false")
    source = tmp_path / "sys/class/wakeup/wakeup0"
    source.mkdir(parents=True)
    for name, word in (("name", "1-0033"), ("active_time_ms", "20"), ("event_count", "1")):
        (source / name).write_text(f"{word}\n")
    text = text.replace("/sys/", f"{tmp_path}/sys/")
    done = subprocess.run([*shell, "-c", text], capture_output=True, text=True, check=True)
    assert parse.sections_of(done.stdout)["held"] == "1-0033\n"
    assert "errno" not in parse.sections_of(done.stdout)
