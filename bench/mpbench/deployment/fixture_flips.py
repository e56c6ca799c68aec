# SPDX-License-Identifier: MIT
"""Fixture `flips`: random bit flips of a signed image, as many as option --bench-flips gives."""

from pathlib import Path
from typing import Any

import pytest

from mpbench.deployment.fixture import DeployBench
from mpbench.deployment.flips import Corpus, Flips


@pytest.fixture
def flips(bench: DeployBench, request: Any) -> Flips:
    """Deploys random bit flips of an image, each compared with the twin; see --bench-flips, --bench-seed."""
    options = request.config.option
    path = Path(options.bench_corpus) if options.bench_corpus else None
    capture = request.config.pluginmanager.getplugin("capturemanager")

    def report(line: str) -> None:
        """Print a line although pytest captures the test's output."""
        if capture is None:
            print(line, flush=True)
            return
        with capture.global_and_fixture_disabled():
            print(f"\n{line}", end="", flush=True)

    return Flips(bench, options.bench_flips, options.bench_seed, Corpus.open(path), report)
