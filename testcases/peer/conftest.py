# SPDX-License-Identifier: MIT
"""Workers of the peer, built once and kept; skipped with the reason where they can't be built."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from testcases.peer.build import ARM, ASAN, FLAVOURS, CannotBuild, Flavour, build, source
from testcases.peer.store import default_folder
from testcases.peer.worker import Worker

CACHE = default_folder() / "build"


def program(flavour: Flavour) -> Path:
    """The worker of a flavour for upstream's TA, or a skip."""
    try:
        return build(flavour, CACHE, source("upstream"))
    except CannotBuild as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module", params=[ASAN.name, ARM.name])
def flavour(request: pytest.FixtureRequest) -> Flavour:
    """Both word sizes."""
    return FLAVOURS[request.param]


@pytest.fixture(scope="module")
def worker(flavour: Flavour) -> Iterator[Worker]:
    """A running worker of that word size."""
    with Worker(program(flavour), flavour.runner) as running:
        yield running


@pytest.fixture(scope="session")
def optee() -> Path:
    """Upstream's sources."""
    try:
        return source("upstream")
    except CannotBuild as error:
        pytest.skip(str(error))
