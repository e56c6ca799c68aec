# SPDX-License-Identifier: MIT
"""What is changed in QEMU's own files.

Ref: QEMU accel/tcg/cputlb.c, assert_cpu_is_self()
"""

NVIC = "hw/intc/armv7m_nvic.c"
MEMORY = "system/physmem.c"

BUILD = (("pc-bios/meson.build", "if unpack_edk2_blobs", "if false"),)
"""Debian's tarball has no firmware of others, for which this asks all the same."""

LOCKUP = (
    (NVIC, '#include "hw/irq.h"\n', '#include "hw/irq.h"\n#include "hw/stm32mp/stm32mp.h"\n'),
    (NVIC, "cpu_abort(CPU(s->cpu),\n", "stm32mp_mcore_lockup(CPU(s->cpu),\n"),
)
"""A Cortex-M that locks up would end QEMU."""

FIREWALL = (
    (MEMORY, '#include "hw/boards.h"\n', '#include "hw/boards.h"\n#include "hw/stm32mp/stm32mp.h"\n'),
    (MEMORY, "    tlb_flush(notifier->cpu);\n", "    stm32mp_flush_tlb(notifier->cpu);\n"),
)
"""A firewall's change would empty another CPU's table that is being read: QEMU checks the thread only where
it is built for debugging."""

EDITS = (*BUILD, *LOCKUP, *FIREWALL)
"""File, text in it, what replaces each of its places."""
