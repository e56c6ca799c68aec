# SPDX-License-Identifier: MIT
"""Predicts what a suspend of Linux does to a core that runs. Pure.

Suspend to idle freezes programs, suspends devices and leaves the CPUs idle: no driver of a core stops it, its
clocks and its memory stay. An interrupt of a device that is no wake-up source is masked, and handled after
the board is awake. A core that crashed meanwhile is recovered then.

Ref: Linux 6.12 kernel/power/suspend.c (pm_suspend, suspend_prepare), main.c (state_store, decode_state,
     wakeup_count_store), kernel/irq/pm.c (suspend_device_irq); drivers/remoteproc/stm32_rproc.c
     (stm32_rproc_suspend: a wake-up source only with `wakeup-source` in the device tree),
     remoteproc_core.c (rproc_recovery_wq is freezable); drivers/mailbox/stm32-ipcc.c (likewise, and disabled
     until a program enables power/wakeup); firmware/linux/mpbench_remoteproc.c (no wake-up source)
"""

from collections.abc import Iterable

from attrs import evolve

from mpbench.suspend.facts import ALARM, KEPT, Place, SuspendFacts

ENTERED = {"freeze": "s2idle", "standby": "shallow", "mem": "deep"}
"""Word that is written to /sys/power/state → the kernel's name of that state; for `mem`, see mem_sleep.

Ref: Linux kernel/power/suspend.c, mem_sleep_labels
"""
GUARD = 0x1000
"""Bytes around what an image loads that are left alone: its stack and what it has besides."""
PIECE = 0x10000
"""Most bytes of a region that are filled."""
SHARED = "vdev0buffer"
"""Carve-out that nobody uses while the firmware has no virtio device."""


def slept(identity: str, word: str = "freeze", woken_by: str = ALARM) -> SuspendFacts:
    """Facts of a suspend that succeeds; firmware that prints `identity` runs on."""
    return SuspendFacts(
        errno="OK",
        entered=ENTERED[word],
        woken_by=woken_by,
        refused_by="",
        crash="",
        state="running",
        boots=0,
        worked=True,
        beating=True,
        identity=identity,
        memory=KEPT,
    )


def refused(identity: str, errno: str, step: str = "") -> SuspendFacts:
    """Facts of one that the kernel refuses; step: of its suspend, "" if it does not come so far.

    Whether firmware worked in the meantime is not predicted: it takes no time.
    """
    entered = ENTERED["freeze"] if step else ""
    facts = slept(identity)
    return evolve(facts, errno=errno, entered=entered, woken_by="", refused_by=step, worked=None)


def crashed(identity: str, cause: str = "watchdog", woken_by: str = ALARM) -> SuspendFacts:
    """Facts of one in which the core crashes: recovered when the board is awake, from its image.

    How often it boots is not predicted: a watchdog may start the core before Linux does.
    """
    return evolve(slept(identity), crash=cause, boots=None, worked=None, woken_by=woken_by, memory=None)


def spare(loaded: Iterable[tuple[int, int]], regions: Iterable[tuple[str, int, int]]) -> tuple[Place, ...]:
    """Memory that nobody uses: of a region that the image is loaded to the end, and SHARED.

    loaded: address and size of what the image loads; regions: name, address, size of what Linux may write
    Regions without a load are left alone: they may be another address of the same memory.
    """
    found, used = [], [(pa - GUARD, pa + size + GUARD) for pa, size in loaded]
    for name, pa, size in regions:
        inside = [(start, end) for start, end in used if start < pa + size and pa < end]
        if not inside and name != SHARED:
            continue
        start = max([pa, *(end for _, end in inside)])
        start = max(-(-start // GUARD) * GUARD, pa + size - PIECE)
        if start < pa + size:
            found.append(Place(start, pa + size - start, spare=True))
    return tuple(found)
