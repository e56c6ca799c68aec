# SPDX-License-Identifier: MIT
"""What several of the bench's own tests need: the co-processor firmware, built, and memory to run it in."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from mpbench.core.secrets import forget
from mpbench.harness.firmware import make
from mpbench_virtual.memory import SharedRam
from testcases.unit.coprocessor_rig import CORES, Rig


@pytest.fixture(scope="session")
def built() -> Path:
    """Directory with <core>/<name>.elf of every firmware; make builds what is out of date."""
    if shutil.which("arm-none-eabi-gcc") is None:
        pytest.skip("needs arm-none-eabi-gcc (Debian: gcc-arm-none-eabi)")
    return make()


@pytest.fixture
def ram() -> Iterator[SharedRam]:
    """A board's RAM, zeroed."""
    ram = SharedRam.create()
    yield ram
    ram.close()


@pytest.fixture(params=sorted(CORES))
def rig(request: pytest.FixtureRequest, ram: SharedRam) -> Iterator[Rig]:
    """Each core in turn, served, held in reset."""
    rig = Rig(CORES[request.param], ram)
    rig.coprocessor.start()
    yield rig
    rig.coprocessor.stop()
    assert rig.coprocessor.failure is None


@pytest.fixture
def m33(ram: SharedRam) -> Iterator[Rig]:
    """The Cortex-M33 alone."""
    rig = Rig(CORES["m33"], ram)
    rig.coprocessor.start()
    yield rig
    rig.coprocessor.stop()
    assert rig.coprocessor.failure is None


@pytest.fixture(autouse=True)
def no_secrets() -> Iterator[None]:
    """Secrets that one test's command has learnt hide nothing in another test."""
    yield
    forget()
