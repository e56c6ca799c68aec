# SPDX-License-Identifier: MIT
"""A QEMU that starts but says nothing."""

import sys

import pytest

from mpbench.core.errors import InfrastructureError
from mpbench_virtual import qemu

MUTE = """
import socket, sys
monitor = socket.socket(socket.AF_UNIX)
monitor.bind(sys.argv[1] + "/qmp.sock")
monitor.listen()
with socket.socket(socket.AF_UNIX) as qtest:
    qtest.connect(sys.argv[1] + "/qtest.sock")
    print("busy with something else", file=sys.stderr, flush=True) if sys.argv[2:] else None
    qtest.recv(1)
"""


@pytest.mark.parametrize(
    ("words", "said"), [([], "no answer to qom-list within 0.2 s"), (["loud"], "busy with something else")]
)
def test_a_mute_monitor_is_named(tmp_path, monkeypatch, words, said):
    """A QEMU whose monitor does not answer ends, and its own last words or the question are told."""
    accept = qemu.Qemu._accept

    def accepted(self, listener):
        connection = accept(self, listener)
        monkeypatch.setattr(qemu, "ANSWER_S", 0.2)
        return connection

    monkeypatch.setattr(qemu.Qemu, "_accept", accepted)
    with (
        (tmp_path / "ram").open("wb") as ram,
        pytest.raises(InfrastructureError, match=f"QEMU did not start: {said}"),
    ):
        qemu.Qemu([sys.executable, "-c", MUTE, str(tmp_path), *words], tmp_path, ram.fileno())
