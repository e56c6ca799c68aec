/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * AArch32: TLBIMVAIS, TLBIMVAAIS and those of the last level wait for the DSB
 *
 * QEMU stops all CPUs for each of them.  Linux takes a range of its addresses
 * out of the TLB page by page, 70,000 pages and more after it has loaded a
 * module, with one DSB at the end.  Here a page is noted, and what is noted is
 * done for all CPUs at once by the DSB.
 *
 * The architecture promises no more: these operations are complete, on the CPU
 * that issues them as on others, once a DSB of that CPU is.  Until then either
 * translation may be used, the old one as well.  Software that may go on
 * another CPU in between therefore has a DSB before it does.
 *
 * Every DSB ends its translation block: QEMU does the work before the next.
 * A64 has a DSB of its own, which does not look here: on a CPU that has A64
 * nothing waits.
 *
 * Ref: Arm Architecture Reference Manual, Armv7-A (DDI 0406C) A3.8.3 (DSB),
 *      B3.10 (TLB maintenance); Linux arch/arm/include/asm/switch_to.h
 *      (__complete_pending_tlbi), arch/arm/mm/tlb-v7.S; QEMU
 *      accel/tcg/cputlb.c, tlb_flush_page_all_cpus_synced()
 */

#include "qemu/osdep.h"
#include "cpu.h"
#include "exec/cputlb.h"
#include "exec/exec-all.h"
#include "tlb-deferred.h"

#define CPUS 8
#define PAGE 0x1000             /* of the guest's descriptors */
#define PAGES 16                /* with more, the whole TLB is emptied */
#define ALL_INDEXES MAKE_64BIT_MASK(0, NB_MMU_MODES)

/* What a CPU has issued since its last DSB; its own thread uses it */
static struct {
    uint64_t start;
    uint64_t end;               /* exclusive; the same: nothing is noted */
} noted[CPUS];

void arm_tlbi_page_is(CPUState *cs, uint32_t page)
{
    int n = cs->cpu_index;

    if (n >= CPUS || arm_feature(cpu_env(cs), ARM_FEATURE_AARCH64)) {
        tlb_flush_page_all_cpus_synced(cs, page);
    } else if (noted[n].start == noted[n].end) {
        noted[n].start = page;
        noted[n].end = (uint64_t)page + PAGE;
    } else if (noted[n].end == page) {
        noted[n].end += PAGE;
    } else {                    /* no range */
        noted[n].start = 0;
        noted[n].end = 1ull << 32;
    }
}

void arm_dsb(CPUARMState *env, const ARMCPRegInfo *ri, uint64_t value)
{
    CPUState *cs = env_cpu(env);
    int n = cs->cpu_index;
    uint64_t start, size;

    if (n >= CPUS || noted[n].start == noted[n].end) {
        return;
    }
    start = noted[n].start;
    size = noted[n].end - start;
    noted[n].start = noted[n].end = 0;
    if (size > PAGES * PAGE) {
        tlb_flush_all_cpus_synced(cs);
    } else {
        tlb_flush_range_by_mmuidx_all_cpus_synced(cs, start, size,
                                                  ALL_INDEXES, TARGET_LONG_BITS);
    }
}
