/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * AArch32: domains of what the TLB has
 */

#ifndef TARGET_ARM_TCG_TLB_DOMAINS_H
#define TARGET_ARM_TCG_TLB_DOMAINS_H

#include "hw/core/cpu.h"

/* A walk for the TLB of @cs, by its own thread, has found @address in @domain */
void arm_domain_is_used(CPUState *cs, uint32_t address, unsigned int domain);
/* DACR of @cs was @before and is @now */
void arm_dacr_changes(CPUState *cs, uint32_t before, uint32_t now);

#endif
