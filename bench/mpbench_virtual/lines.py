# SPDX-License-Identifier: MIT
"""What a virtual board's SoC drives: pins of GPIO, and USARTs that have no line to the host.

They are properties of QEMU's devices, read and set through its monitor: firmware/machine, stm32mp_gpio.c
("inputs", "outputs") and stm32mp_usart.c ("sent", "typed").
"""

import re
import threading
from pathlib import Path

from attrs import field, frozen

from mpbench.core.errors import UsageError
from mpbench_virtual.qemu import MONITOR, qmp

SOC = "/machine/soc"
PIN = re.compile(r"P([A-K]|Z)(\d|1[0-5])")
CHANGES = re.compile(r"(\d+)=([01])/(\d+)")
PRESSED_S = 0.2
_pause = threading.Event().wait


@frozen
class Output:
    """An output pin: its level, and how often it has changed, that it became an output included."""

    level: int
    changes: int


@frozen
class Lines:
    """Of the board in this directory, which is on. InfrastructureError, OSError if QEMU has ended."""

    directory: Path
    _devices: dict[str, tuple[str, ...]] = field(init=False, factory=dict)

    def clear(self) -> None:
        """Forget what was driven, sent, and typed but not received."""
        for kind, name in (("gpio", "outputs"), ("usart", "sent"), ("usart", "typed")):
            for device in self._of(kind):
                self._qmp("qom-set", device, name, value="")

    def outputs(self) -> dict[str, Output]:
        """Pins that have changed since clear(), as `PH7`."""
        return {
            f"P{device.removeprefix('gpio').upper()}{pin}": Output(int(level), int(changes))
            for device in self._of("gpio")
            for pin, level, changes in CHANGES.findall(self._qmp("qom-get", device, "outputs"))
        }

    def sent(self) -> dict[str, str]:
        """The last 4096 bytes that each USART has sent since clear(), of those that have."""
        texts = {device: self._qmp("qom-get", device, "sent") for device in self._of("usart")}
        return {device: text for device, text in texts.items() if text}

    def type(self, usart: str, text: str) -> None:
        """What a USART receives, as its firmware takes it. UsageError if there is no such USART."""
        if usart not in self._of("usart"):
            raise UsageError(f"{usart}: no USART of this board; it has {', '.join(self._of('usart'))}")
        self._qmp("qom-set", usart, "typed", value=text)

    def press(self, pin: str) -> None:
        """Pull an input low for PRESSED_S, as a button does. UsageError if there is no such pin."""
        found = PIN.fullmatch(pin)
        device = f"gpio{found[1].lower()}" if found else ""
        if not found or device not in self._of("gpio"):
            raise UsageError(f"{pin}: no pin of this board; its name is as PA14")
        levels = self._qmp("qom-get", device, "inputs")
        self._qmp("qom-set", device, "inputs", value=levels & ~(1 << int(found[2])))
        _pause(PRESSED_S)
        self._qmp("qom-set", device, "inputs", value=levels)

    def _of(self, kind: str) -> tuple[str, ...]:
        """Names of the SoC's devices of a kind: gpio, usart."""
        if not self._devices:
            for one in qmp(self.directory / MONITOR, "qom-list", path=SOC):
                found = re.fullmatch(r"child<stm32mp-(gpio|usart)>", one["type"])
                if found:
                    self._devices[found[1]] = (*self._devices.get(found[1], ()), one["name"])
        return self._devices.get(kind, ())

    def _qmp(self, command: str, device: str, name: str, **value: object):  # type: ignore[no-untyped-def]
        path = f"{SOC}/{device}"
        return qmp(self.directory / MONITOR, command, path=path, property=name, **value)
