# SPDX-License-Identifier: MIT
"""Fixture `started_early`: a core that the boot loader started before Linux."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mpbench.attach.boot_loader import start_core
from mpbench.deployment.fixture import DeployBench
from mpbench.harness.run_state import core_of

StartEarly = Callable[[str, bytes], None]


@pytest.fixture
def started_early(bench: DeployBench, request: Any) -> Iterator[StartEarly]:
    """`started_early(core, elf)`: power cycle; U-Boot starts the core with the ELF, then Linux.

    NOT-RUN where U-Boot cannot be reached, or a TEE loads the cores. Afterwards the core is offline.
    """
    if tested := core_of(request.node):
        if not bench.profile.by_linux(tested):
            pytest.skip(f"a TEE loads {tested}, and U-Boot's driver for it asks none")
        if not bench.profile.core(tested).reads_table:
            pytest.skip(f"{tested}: its driver in Linux attaches to no core that runs")
    if not bench.has_boot_loader:
        pytest.skip("the target file has no UBootDriver: nothing starts a core before Linux does")
    names = [core.name for core in bench.profile.cores]
    used: list[str] = []

    def start(core: str, elf: bytes) -> None:
        def at_prompt(uboot: Any) -> None:
            start_core(uboot, names.index(core), elf)

        bench.power_cycle(at_prompt)
        used.append(core)

    yield start
    for core in used:
        # Only an attached core can be stopped; one without a resource table cannot be attached.
        if (
            bench.reachable
            and bench.state(core) == "detached"
            and bench.write(core, "state", "start") != "OK"
        ):
            bench.power_cycle()
