# SPDX-License-Identifier: MIT
"""Which lines of a kernel log have no reason in kernel-log-mp15.toml."""

import tomllib

from testcases.contract.machine_parts import KNOWN_LINES, unknown_lines


def test_only_warnings_without_a_reason_are_left():
    """Lines of lower levels and lines that are known are dropped, others stay in their order."""
    log = (
        "<6>[    0.000000] Booting Linux\n"
        "<3>[    1.500000] stm32-etzpc 5c007000.bus: adc@48003000: Device driver will not be probed\n"
        "<12>[    2.000000] init: a warning of facility 1\n"
        "<2>[   10.000000] stm_thermal 50028000.thermal: too hot\n"
    )
    assert unknown_lines(log) == [
        "init: a warning of facility 1",
        "stm_thermal 50028000.thermal: too hot",
    ]


def test_every_known_line_has_a_reason():
    """Each entry says why it is printed, and whether a DK2 prints it."""
    entries = tomllib.loads(KNOWN_LINES.read_text())["line"]
    assert [
        entry for entry in entries if set(entry) != {"pattern", "dk2", "reason"} or not entry["reason"]
    ] == []
