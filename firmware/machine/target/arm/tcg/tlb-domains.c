/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * AArch32: a change of DACR takes out of the TLB what is in the changed domains
 *
 * QEMU's TLB has permissions as DACR makes them, and QEMU empties all of it at
 * each write of DACR.  Linux for Armv7 closes the domain of user space at each
 * entry to the kernel, and opens it for each access to it (PAN by software):
 * the kernel's own pages, in another domain, would never stay there.
 *
 * Here pages are noted by domain as they are looked up.  A page that has left
 * the TLB meanwhile is taken out for nothing.
 *
 * Ref: Arm Architecture Reference Manual, Armv7-A (DDI 0406C) B3.12.3
 *      (domains), B4.1.43 (DACR); Linux arch/arm/include/asm/domain.h,
 *      arch/arm/include/asm/uaccess-asm.h; QEMU target/arm/ptw.c
 */

#include "qemu/osdep.h"
#include "cpu.h"
#include "exec/cputlb.h"
#include "exec/exec-all.h"
#include "tlb-domains.h"

#define CPUS 8
#define DOMAINS 16
#define PAGES 64                /* with more, the whole TLB is emptied */

/* What a CPU's TLB may have; its own thread uses it.  @n: PAGES + 1 is more */
typedef struct Domain {
    uint32_t pages[PAGES];
    unsigned int n;
} Domain;

static Domain domains[CPUS][DOMAINS];

void arm_domain_is_used(CPUState *cs, uint32_t address, unsigned int domain)
{
    Domain *d;

    if (cs->cpu_index >= CPUS) {
        return;
    }
    d = &domains[cs->cpu_index][domain];
    if (d->n < PAGES) {
        d->pages[d->n] = address & TARGET_PAGE_MASK;
    }
    d->n = MIN(d->n + 1, PAGES + 1);
}

static void empty(CPUState *cs)
{
    tlb_flush(cs);
    if (cs->cpu_index < CPUS) {
        for (int i = 0; i < DOMAINS; i++) {
            domains[cs->cpu_index][i].n = 0;
        }
    }
}

void arm_dacr_changes(CPUState *cs, uint32_t before, uint32_t now)
{
    if (cs->cpu_index >= CPUS) {
        empty(cs);
        return;
    }
    for (int i = 0; i < DOMAINS; i++) {
        Domain *d = &domains[cs->cpu_index][i];

        if (!extract32(before ^ now, 2 * i, 2)) {
            continue;
        }
        if (d->n > PAGES) {
            empty(cs);
            return;
        }
        while (d->n) {
            tlb_flush_page(cs, d->pages[--d->n]);
        }
    }
}
