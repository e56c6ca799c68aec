# SPDX-License-Identifier: MIT
"""Programs of the host: found, run with a log; missing ones are reported with the package to install."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from mpbench.core.errors import InfrastructureError, UsageError

DIE_WITH_PARENT, END_WITH_PARENT = (("setpriv", "--pdeathsig", signal) for signal in ("KILL", "TERM"))
"""The kernel ends a program with the thread that started it, or asks it to: make ends its own programs then.
Ref: prctl(2), PR_SET_PDEATHSIG; GNU make, "Interrupting or Killing make"."""

PACKAGE_OF = {
    "aarch64-linux-gnu-gcc": "gcc-aarch64-linux-gnu",
    "arm-linux-gnueabihf-gcc": "gcc-arm-linux-gnueabihf",
    "arm-none-eabi-gcc": "gcc-arm-none-eabi",
    "dpkg-deb": "dpkg",
    "dtc": "device-tree-compiler",
    "fdtget": "device-tree-compiler",
    "fdtoverlay": "device-tree-compiler",
    "ninja": "ninja-build",
    "qemu-aarch64": "qemu-user",
    "qemu-arm": "qemu-user",
    "xz": "xz-utils",
}
"""Debian packages of programs whose name is not that of their package."""


def require(*programs: str) -> None:
    """UsageError naming every missing program and the command that installs them."""
    missing = [p for p in programs if shutil.which(p) is None]
    if missing:
        packages = " ".join(sorted({PACKAGE_OF.get(p, p) for p in missing}))
        raise UsageError(
            f"missing on this machine: {', '.join(missing)}; install with: apt-get install {packages}"
        )


def require_libraries(**package_of: str) -> None:
    """UsageError naming every library that pkg-config does not know, and the command that installs them."""
    require("pkg-config")
    known = {name: subprocess.run(["pkg-config", "--exists", name], check=False) for name in package_of}
    missing = {name: package_of[name] for name, done in known.items() if done.returncode != 0}
    if missing:
        raise UsageError(
            f"missing on this machine: the libraries {', '.join(missing)}; "
            f"install with: apt-get install {' '.join(missing.values())}"
        )


def require_space(directory: Path, wanted_bytes: int) -> None:
    """UsageError when the file system of `directory` has less than `wanted_bytes` free."""
    directory.mkdir(parents=True, exist_ok=True)
    free_bytes = shutil.disk_usage(directory).free
    if free_bytes < wanted_bytes:
        raise UsageError(
            f"{directory}: {free_bytes / 2**30:.1f} GiB free, building needs {wanted_bytes / 2**30:.1f} GiB; "
            "free some, or set MPBENCH_CACHE to a directory elsewhere"
        )


def run_logged(
    command: Sequence[str | Path], log: Path, *, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> None:
    """Run `command` and append its output to `log`; InfrastructureError with the last lines if it fails.

    It ends with this process, however that ends: a compiler left behind would work in the next build's tree.
    """
    with log.open("ab") as out:
        out.write(f"$ {' '.join(map(str, command))}\n".encode())
        out.flush()
        done = subprocess.run(
            [*END_WITH_PARENT, *(str(c) for c in command)],
            cwd=cwd,
            env={**clean_environment(), **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode != 0:
        tail = log.read_text(errors="replace").splitlines()[-8:]
        raise InfrastructureError(
            f"{command[0]} ended with {done.returncode}; log {log}:\n  " + "\n  ".join(tail)
        )


def clean_environment() -> dict[str, str]:
    """The environment without variables that break builds: make's own, and cross-compile settings."""
    unwanted = {"ARCH", "CROSS_COMPILE", "CFLAGS", "CPPFLAGS", "LDFLAGS", "MAKEFLAGS", "MFLAGS", "MAKELEVEL"}
    return {k: v for k, v in os.environ.items() if k not in unwanted} | {"LC_ALL": "C.UTF-8"}
