# SPDX-License-Identifier: MIT
"""Parts of boards on QEMU machines of ours, which tests do not build."""

import re
import subprocess
import time
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest

from mpbench_virtual.models import BoardKind
from mpbench_virtual.parts import steps_of
from mpbench_virtual.qemu import qmp
from mpbench_virtual.recipes_machine import QEMU
from mpbench_virtual.steps import build, built, keys_of, quiet

UNPACKED_S = 900.0
"""Silence of a board while a distribution's kernel unpacks itself: ten times as long on a busy host."""


REFUSED_S = 60.0
MONITOR_S = 300.0
KNOWN_LINES = Path(__file__).with_name("kernel-log-mp15.toml")
WARNING = 4


def unknown_lines(raw_dmesg: str) -> list[str]:
    """Lines of level warning and above (`dmesg -r`) that KNOWN_LINES does not have."""
    known = [re.compile(line["pattern"]) for line in tomllib.loads(KNOWN_LINES.read_text())["line"]]
    found = re.findall(r"^<(\d+)>\[ *[\d.]+\] (.*)", raw_dmesg, re.MULTILINE)
    wanted = [text for level, text in found if int(level) & 7 <= WARNING]
    return [text for text in wanted if not any(pattern.fullmatch(text) for pattern in known)]


def require_qemu(kind: BoardKind) -> None:
    """Skips the test where QEMU is not built for this kind: that takes minutes."""
    step = steps_of(kind)[:1]
    if not built("qemu", keys_of(step)["qemu"]).is_dir():
        pytest.skip(f"QEMU is not built for it: mpbench virtual build {kind.name}")


def require_built(kind: BoardKind) -> None:
    """Skips the test where a part of this kind of board is not built: that takes minutes."""
    keys = keys_of(steps_of(kind))
    if missing := [name for name, key in keys.items() if not built(name, key).is_dir()]:
        pytest.skip(f"not built: {', '.join(missing)}; mpbench virtual build {kind.name}")


def qemu_of(kind: BoardKind) -> Path:
    """Directory of QEMU alone, which is enough for a test without Linux."""
    require_qemu(kind)
    return build(steps_of(kind)[:1], quiet)["qemu"]


def parts_of(kind: BoardKind) -> Mapping[str, Path]:
    """Results of the board's build steps, by name."""
    require_qemu(kind)
    return build(steps_of(kind), quiet)


def recorded_sums(part: Path) -> dict[str, str]:
    """MD5 sums that a Debian package gives for its files, by path."""
    return dict(line.split("  ")[::-1] for line in (part / "md5sums").read_text().splitlines())


def command(parts: Mapping[str, Path], kind: BoardKind, *words: str | Path) -> list[str | Path]:
    """QEMU's argv without a display."""
    return [parts["qemu"] / QEMU, "-M", kind.machine, "-display", "none", *words]


def refusal(parts: Mapping[str, Path], kind: BoardKind, *words: str | Path) -> str:
    """What QEMU prints as it ends with 1, one line."""
    argv = command(parts, kind, *words)
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=REFUSED_S)
    assert done.returncode == 1
    return done.stderr


def await_monitor(monitor: Path, process: "subprocess.Popen[bytes]") -> None:
    """QEMU's monitor answers."""
    until_s = time.monotonic() + MONITOR_S
    while time.monotonic() < until_s:
        assert process.poll() is None
        try:
            qmp(monitor, "query-status")
        except OSError:
            continue
        return
    raise AssertionError("no monitor")
