# SPDX-License-Identifier: MIT
"""Fixture `soak`: cycles of a test until `--bench-soak` is reached, with progress."""

import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mpbench.harness.environment import reports, target_name
from mpbench.harness.soak import Soak, SoakJournal, goal


@pytest.fixture
def soak(request: Any, core: str) -> Iterator[Soak]:
    """A soak of one core: cycles until `--bench-soak` is reached, resumed if one was interrupted."""
    config: pytest.Config = request.config
    target, wanted = target_name(config), goal(config.option.bench_soak)
    name = f"{target} {core} {request.node.originalname}"
    path = reports(config) / "soak" / f"{name.replace(' ', '-')}.jsonl"
    journal = SoakJournal(path, f"{name} {wanted.text}")
    journal.open()
    yield Soak(wanted, core, journal, _display(config))
    journal.close()


def _display(config: pytest.Config) -> Callable[[str, bool], None]:
    """Write past pytest's capture: one line kept up to date on a terminal, else the lines worth one."""
    capture: Any = config.pluginmanager.getplugin("capturemanager")

    def show(line: str, worth_a_line: bool) -> None:
        with capture.global_and_fixture_disabled():
            if sys.stdout.isatty():
                sys.stdout.write(f"\r\033[K{line}")
            elif worth_a_line:
                sys.stdout.write(f"\n{line}")
            sys.stdout.flush()

    return show
