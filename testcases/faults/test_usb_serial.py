# SPDX-License-Identifier: MIT
"""Fault 39: a USB serial adapter disappears, and returns as another device.

A terminal is the adapter, and a link its name by id.
"""

import os
import pty
import random
import re
import threading
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest
from labgrid import Target
from labgrid.driver import SerialDriver
from labgrid.resource import RawSerialPort

from mpbench.board import console as console_module
from mpbench.board.console import ConsoleRecorder

WAIT_S = 20.0
pause = threading.Event().wait


class Adapter:
    """A terminal whose other end has a name by id, as udev makes it."""

    def __init__(self, link: Path) -> None:
        self.link = link
        self.board = -1

    def plug_in(self) -> None:
        """A new device, and the link to it."""
        self.board, device = pty.openpty()
        tty.setraw(device)
        fresh = self.link.with_suffix(".new")
        fresh.symlink_to(os.ttyname(device))
        fresh.replace(self.link)
        self.device = device

    def pull_out(self) -> None:
        """Device and link are gone."""
        self.link.unlink()
        os.close(self.device)
        os.close(self.board)
        self.board = -1

    def say(self, data: bytes) -> None:
        """What the board prints."""
        while data:
            data = data[os.write(self.board, data) :]


@pytest.fixture
def adapter(tmp_path: Path) -> Iterator[Adapter]:
    found = Adapter(tmp_path / "usb-by-id")
    found.plug_in()
    yield found
    if found.board >= 0:
        found.pull_out()


@pytest.fixture
def recorder(adapter: Adapter, monkeypatch: pytest.MonkeyPatch) -> Iterator[ConsoleRecorder]:
    monkeypatch.setattr(console_module, "REOPEN_EVERY_S", 0.02)
    target = Target("usb")
    RawSerialPort(target, "uart", str(adapter.link), speed=115200)
    SerialDriver(target, "port")
    target.set_binding_map({"port": "port"})
    found = ConsoleRecorder(target, "console")  # type: ignore[call-arg]  # labgrid's own two are not seen
    target.activate(found)
    yield found
    target.cleanup()
    found.discard()


def test_39_an_adapter_that_returns_is_opened_by_its_name(
    adapter: Adapter, recorder: ConsoleRecorder, chance: random.Random
):
    """All bytes of each time that it was there are recorded in order; each loss has its position."""
    expected, losses = b"", []
    for number in range(chance.randrange(2, 5)):
        text = (
            b"%d:" % number + chance.randbytes(chance.randrange(1, 300)).hex().encode() + b".end%d" % number
        )
        adapter.say(text)
        expected += text
        assert recorder.wait_for(re.compile(rb"\.end%d" % number), 0, WAIT_S)
        losses.append(len(expected))
        adapter.pull_out()
        while not recorder.away:
            pause(0.001)
        pause(chance.uniform(0, 0.1))
        adapter.plug_in()
        while recorder.away:
            pause(0.001)
    assert recorder.since(0) == expected
    assert [position for position, _ in recorder.losses] == losses
    assert all(why for _, why in recorder.losses)
