/* SPDX-License-Identifier: MIT */
/*
 * Ticks without an interrupt handler: with PRIMASK set a pending SysTick still ends a WFI
 * (Arm v7-M ARM B1.5.19 WFI wake-up events), and the pending bit is cleared by hand.
 */
#include "core.h"
#include "firmware.h"

_Static_assert(CPU_HZ / TICK_HZ <= 0x1000000u, "SysTick counts 24 bits");

void tick_start(void)
{
	SYST_RVR = CPU_HZ / TICK_HZ - 1;
	SYST_CVR = 0;
	SYST_CSR = SYST_CSR_ENABLE | SYST_CSR_TICKINT | SYST_CSR_CLKSOURCE;
}

int tick_elapsed(void)
{
	if (!(ICSR & ICSR_PENDSTSET))
		return 0;
	ICSR = ICSR_PENDSTCLR;
	return 1;
}

void tick_wait(void)
{
	while (!tick_elapsed())
		wait_for_interrupt();
}

void tick_stop(void)
{
	SYST_CSR = 0;
	ICSR = ICSR_PENDSTCLR;
}
