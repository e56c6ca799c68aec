/* SPDX-License-Identifier: MIT */
/* Vectors, reset, faults. Ref: Arm v7-M Architecture Reference Manual B1.5 (exception model). */
#include "core.h"
#include "firmware.h"

extern uint32_t stack_limit[], stack_top[], bss_start[], bss_end[];

uint32_t fault_stack[32];

void reset(void);
void fault(void);
void fault_report(const uint32_t *frame, uint32_t exception);

/* The sixteen of the core: no peripheral's interrupt is ever enabled. */
__attribute__((section(".vectors"), used)) static const uintptr_t vectors[16] = {
	(uintptr_t)stack_top, (uintptr_t)reset, (uintptr_t)fault, (uintptr_t)fault,
	(uintptr_t)fault,     (uintptr_t)fault, (uintptr_t)fault, (uintptr_t)fault,
	(uintptr_t)fault,     (uintptr_t)fault, (uintptr_t)fault, (uintptr_t)fault,
	(uintptr_t)fault,     (uintptr_t)fault, (uintptr_t)fault, (uintptr_t)fault,
};

void reset(void)
{
	interrupts_off();
#ifdef STACK_LIMIT_REGISTER
	__asm volatile("msr msplim, %0" ::"r"(stack_limit));
#endif
	for (volatile uint32_t *word = bss_start; word < bss_end; word++)
		*word = 0;
	trace_open();
	main();
}

/*
 * A fault ends heartbeat and watchdog refresh, so Linux learns of it through the watchdog. The report has a
 * stack of its own, because after an overflow there is no room on the other.
 */
__attribute__((naked)) void fault(void)
{
	__asm volatile("mov r0, sp\n\t"
		       "mrs r1, ipsr\n\t"
		       "ldr r2, =fault_stack + 128\n\t"
		       "mov sp, r2\n\t"
		       "ldr r2, =fault_report\n\t"
		       "bx r2\n\t"
		       ".ltorg");
}

__attribute__((used)) void fault_report(const uint32_t *frame, uint32_t exception)
{
	tick_stop();
	trace_log_hex("fault ", exception);
	if (frame >= stack_limit && frame + 8 <= stack_top)
		trace_log_hex("pc ", frame[6]);
	for (;;)
		wait_for_interrupt();
}
