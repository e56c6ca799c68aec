# SPDX-License-Identifier: MIT
"""WFE of a Cortex-A7 on a busy host: the thread of a CPU that waits lets the thread of the other one run."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from testcases.contract.dk2_program import assembled, running

pytestmark = pytest.mark.slow

SOURCE = Path(__file__).with_name("wfe.S")
ROUNDS = 100


@pytest.fixture
def one_host_cpu() -> Iterator[None]:
    """What is started meanwhile has one CPU of the host, for all of its threads."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    yield
    os.sched_setaffinity(0, before)


@pytest.mark.usefixtures("one_host_cpu")
def test_a_cpu_that_waits_lets_the_other_run(tmp_path: Path) -> None:
    """A turn is passed 200 times in less than a third of the time that it takes without WFE."""
    with running(assembled(SOURCE, tmp_path, ROUNDS=ROUNDS), tmp_path) as run:
        waiting, looking = run.words()[:2]
    assert 0 < 3 * waiting < looking
