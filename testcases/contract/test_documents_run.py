# SPDX-License-Identifier: MIT
"""The commands of the documents run as they stand there; typed.py lists them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mpbench.core.directories import cache_dir, config_dir
from mpbench.core.shared_files import CHECKOUT
from testcases.contract.typed import RUN

LOOPBACK = """
import fcntl, socket, struct
with socket.socket() as one:
    fcntl.ioctl(one, 0x8914, struct.pack("16sh", b"lo", 0x41))
"""
"""SIOCSIFFLAGS: IFF_UP | IFF_RUNNING. Ref: netdevice(7)"""


@pytest.mark.slow
@pytest.mark.parametrize("name", RUN)
def test_commands_run_as_they_stand(name, tmp_path):
    """In a directory with the checkout's parts, a home and a network of its own; each command succeeds."""
    script, environment = RUN[name], Path(sys.prefix)
    # What the commands start, boards as well, ends with the shell.
    unshare = ["unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
    unshare += [] if os.geteuid() == 0 else ["--map-root-user"]
    if subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this host lets this user have no namespaces")
    for entry in ("targets", "testcases", "firmware"):
        (tmp_path / entry).symlink_to(CHECKOUT / entry)
    (tmp_path / ".venv").symlink_to(environment)
    (tmp_path / "run").mkdir(mode=0o700)
    shutil.copytree(config_dir(), tmp_path / "config")
    ours = ("LG_", "MPBENCH_", "PYTEST_", "XDG_")
    env = {k: v for k, v in os.environ.items() if not k.startswith(ours)} | {
        "CHECKOUT": str(CHECKOUT),
        "HOME": str(tmp_path),
        "MPBENCH_CACHE": str(cache_dir()),
        "PATH": f"{environment / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "XDG_RUNTIME_DIR": str(tmp_path / "run"),
    }
    if name != "keys":  # a virtual board is built for the keys of this user
        env["MPBENCH_CONFIG"] = str(tmp_path / "config")
    lines = ["set -e", f"python -c '{LOOPBACK}'", script.prelude, "set -v", *script.lines, "exit 0"]
    done = subprocess.run(
        [*unshare, "bash", "-c", "\n".join(lines)],
        cwd=tmp_path,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=900,
    )
    assert done.returncode == 0, done.stdout
    found = 0
    for text in script.wanted:
        found = done.stdout.find(text, found)
        assert found >= 0, (text, done.stdout)
        found += len(text)
