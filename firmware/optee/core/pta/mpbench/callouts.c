// SPDX-License-Identifier: BSD-2-Clause
/*
 * The timer behind OP-TEE's callouts, which plat-stm32mp2 does not start: without
 * it nothing that is due ever happens, the test watchdog's notifications for
 * instance. As plat-vexpress/main.c, init_callout_service().
 */

#include <initcall.h>
#include <kernel/interrupt.h>
#include <kernel/timer.h>

/* Secure physical timer: PPI 13 */
#define IT_SECURE_TIMER		29

static TEE_Result init_callouts(void)
{
	timer_init_callout_service(interrupt_get_main_chip(), IT_SECURE_TIMER);

	return TEE_SUCCESS;
}

nex_early_init(init_callouts);
