/* SPDX-License-Identifier: MIT */
/* Common to all three Cortex-M cores. Ref: Arm v6-M, v7-M, v8-M Architecture Reference Manuals, B3 System Control Space. */
#ifndef CORE_H
#define CORE_H

#include <stdint.h>

#define REG32(address) (*(volatile uint32_t *)(uintptr_t)(address))

#define SYST_CSR REG32(0xE000E010u)
#define SYST_CSR_ENABLE (1u << 0)
#define SYST_CSR_TICKINT (1u << 1)
#define SYST_CSR_CLKSOURCE (1u << 2)
#define SYST_RVR REG32(0xE000E014u)
#define SYST_CVR REG32(0xE000E018u)
#define ICSR REG32(0xE000ED04u)
#define ICSR_PENDSTCLR (1u << 25)
#define ICSR_PENDSTSET (1u << 26)

static inline void interrupts_off(void)
{
	__asm volatile("cpsid i" ::: "memory");
}

/* Accesses before it are done before those after it, as seen by other cores. */
static inline void barrier(void)
{
	__asm volatile("dmb" ::: "memory");
}

static inline void wait_for_interrupt(void)
{
	__asm volatile("dsb\n\twfi" ::: "memory");
}

#endif
