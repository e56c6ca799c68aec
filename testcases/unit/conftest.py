# SPDX-License-Identifier: MIT
"""What several of the bench's own tests need: the co-processor firmware, built."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from mpbench.core.secrets import forget
from mpbench.harness.firmware import make


@pytest.fixture(scope="session")
def built() -> Path:
    """Directory with <core>/<name>.elf of every firmware; make builds what is out of date."""
    if shutil.which("arm-none-eabi-gcc") is None:
        pytest.skip("needs arm-none-eabi-gcc (Debian: gcc-arm-none-eabi)")
    return make()


@pytest.fixture(autouse=True)
def no_secrets() -> Iterator[None]:
    """Secrets that one test's command has learnt hide nothing in another test."""
    yield
    forget()
