/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * AArch32: TLB maintenance of all CPUs by address, which waits for the DSB
 */

#ifndef TARGET_ARM_TCG_TLB_DEFERRED_H
#define TARGET_ARM_TCG_TLB_DEFERRED_H

#include "cpregs.h"

/* Takes a page out of the TLBs of all CPUs by the time that @cs ends a DSB */
void arm_tlbi_page_is(CPUState *cs, uint32_t page);
/* A DSB, as a write to CP15 or as an instruction */
void arm_dsb(CPUARMState *env, const ARMCPRegInfo *ri, uint64_t value);

#endif
