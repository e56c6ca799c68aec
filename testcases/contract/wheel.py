# SPDX-License-Identifier: MIT
"""An environment in which the bench is installed from a wheel, without the checkout on any path.

Its dependencies are those of the environment that runs the tests, linked one by one without the bench itself,
so that it needs no network.
"""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

from mpbench.core.shared_files import CHECKOUT

OURS = ("mpbench", "_mpbench", "__editable__", "hypothesis", "_hypothesis")
"""How entries of site-packages begin that belong to the bench, its editable installation, or its tests."""


class WheelEnvironment:
    """A virtual environment with the bench from a wheel; `run` starts a program of it."""

    def __init__(self, path: Path) -> None:
        self.python = path / "venv" / "bin" / "python"
        built, linked = path / "wheels", path / "dependencies"
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
        _check([*pip, "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", built, CHECKOUT])
        _check([sys.executable, "-m", "venv", "--without-pip", path / "venv"])
        (self.wheel,) = built.glob("*.whl")
        _check([*pip, "--python", self.python, "install", "-q", "--no-deps", "--no-index", self.wheel])
        linked.mkdir()
        for name in ("purelib", "platlib"):
            for entry in Path(sysconfig.get_path(name)).iterdir():
                if not entry.name.startswith(OURS) and not (linked / entry.name).exists():
                    (linked / entry.name).symlink_to(entry)
        (self.site,) = (path / "venv").glob("lib/python3*/site-packages")
        (self.site / "dependencies.pth").write_text(f"{linked}\n")

    def run(
        self, program: str, *arguments: str | Path, cwd: Path, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run `mpbench`, or a module such as `pytest`, in a directory, with more variables."""
        ours = ("LG_", "MPBENCH_", "PYTEST_", "PYTHON")
        env = {k: v for k, v in os.environ.items() if not k.startswith(ours)} | variables
        env["PATH"] = f"{self.python.parent}{os.pathsep}{env['PATH']}"
        words = [self.python.parent / "mpbench"] if program == "mpbench" else [self.python, "-m", program]
        return subprocess.run(
            [*words, *arguments], cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=600
        )


def _check(command: list[str | Path]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
