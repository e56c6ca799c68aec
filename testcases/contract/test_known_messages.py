# SPDX-License-Identifier: MIT
"""What `mpbench explain` knows of the messages in the sources that the virtual board is built from."""

import re
from pathlib import Path

import pytest

from mpbench.knowledge.log_lines import log_line
from mpbench.knowledge.matching import matched
from mpbench.knowledge.messages import DIRECTIVE
from testcases.message_sources import LINUX, OPTEE, messages

PRINTED = {**dict.fromkeys("diu", "5"), "x": "1f", "X": "1F", "o": "7", "s": "data", "c": "c", None: "name"}
PREFIX = {
    "linux": "remoteproc rpmsg optee tee ipcc m4: ",
    "optee": "E/TC:0 0 function:12 ",
    "ta": "E/TA:  remoteproc_load_fw:12 ",
    "ldelf": "E/LD:  function:12 ",
}
ENOUGH = 0.95
OTHERS = (
    *("drivers/" + n for n in ("base", "char", "firmware", "iio", "mailbox", "mmc", "rtc", "spi", "usb")),
    *("kernel", "mm", "net/core"),
)
OURS = (*LINUX, "drivers/mailbox/mailbox.c", "kernel/panic.c", "kernel/hung_task.c", "kernel/watchdog.c")


def source_tree(name: str) -> Path:
    """The source of a part of the virtual board, as it was unpacked for its build."""
    from mpbench_virtual import fetch  # noqa: PLC0415 - a board is needed for this test only

    try:
        return fetch.source_tree(name)
    except Exception as error:
        pytest.skip(f"no source of {name}: {error}")


def as_printed(text: str) -> str:
    """A format string with values in it."""
    text = text.replace("%sing channel", "creating channel")  # rpmsg_ns.c: "creat" or "destroy"
    return DIRECTIVE.sub(lambda found: PRINTED[found[1]], text.replace('\\"', '"'))


def shape(text: str) -> str:
    """A format string without its directives' details."""
    return re.sub(r"\s+", " ", DIRECTIVE.sub("%", text.replace('\\"', '"').replace("0x%", "%"))).strip()


@pytest.mark.parametrize(
    ("name", "files", "printer"),
    [("linux", LINUX, "linux"), ("optee", OPTEE, "optee")],
    ids=["linux", "optee"],
)
def test_the_messages_of_the_sources_are_known(name, files, printer, capsys):
    """At least 95 % of the errors, warnings and states; others are listed, none is taken for another."""
    found = list(messages(source_tree(name), files))
    assert len(found) > 150
    unknown = []
    for one in found:
        prefix = PREFIX.get(one.place.split("/", 1)[0], PREFIX[printer])
        match = matched(log_line(1, prefix + as_printed(one.text)))
        if match is None:
            unknown.append(f"{one.place}: {one.text}")
        elif "%s" not in one.text and match.message.id != "abort-registers":
            assert shape(one.text) in [shape(t) for t in match.message.text], one
    with capsys.disabled():
        print(f"\n{name}: {len(found) - len(unknown)} of {len(found)} messages are known")
        print("".join(f"  not known: {line}\n" for line in unknown), end="")
    assert len(unknown) <= len(found) * (1 - ENOUGH)


def test_no_message_of_another_driver_is_explained():
    """More than 10,000 messages of drivers and file systems that boards have, as in a kernel log."""
    root = source_tree("linux")
    paths = (path for name in OTHERS for path in (root / name).rglob("*.c"))
    files = tuple(name for path in paths if (name := str(path.relative_to(root))) not in OURS)
    found = list(messages(root, files))
    assert len(found) > 10_000
    lines = (f"[   12.345678] {Path(one.place).stem} 1-0:00: {as_printed(one.text)}" for one in found)
    known = [(match.message.id, line) for line in lines if (match := matched(log_line(1, line)))]
    assert known == []
