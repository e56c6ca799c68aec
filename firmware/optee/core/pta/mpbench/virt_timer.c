// SPDX-License-Identifier: BSD-2-Clause
/*
 * The timer behind OP-TEE's callouts, for a 32-bit QEMU machine "virt": OP-TEE
 * has one for 64 bit only (core/arch/arm/kernel/generic_timer.c), and without
 * one nothing that is due ever happens, the test watchdog's notifications for
 * instance.
 *
 * To enable its interrupt also writes the targets of INTID 28 to 31. QEMU's GIC
 * forwards a private interrupt that software makes pending, as the asynchronous
 * notification is, only after that; in hardware these registers are read-only.
 *
 * Ref: Arm v7-A Architecture Reference Manual (DDI 0406) B8.1, CNTP_CTL and
 *      CNTP_CVAL: in the secure world, those of the secure physical timer
 */

#include <arm.h>
#include <initcall.h>
#include <kernel/callout.h>
#include <kernel/interrupt.h>
#include <keep.h>

/* Secure physical timer: PPI 13 */
#define IT_SECURE_TIMER		29

static void write_ctl(uint32_t value)
{
	asm volatile("mcr p15, 0, %0, c14, c2, 1" : : "r"(value));
	isb();
}

static void disable_timeout(const struct callout_timer_desc *desc __unused)
{
	write_ctl(0);
}

static void set_next_timeout(const struct callout_timer_desc *desc __unused,
			     uint64_t expiry)
{
	asm volatile("mcrr p15, 2, %Q0, %R0, c14" : : "r"(expiry));
	write_ctl(1);
}

static uint64_t ms_to_ticks(const struct callout_timer_desc *desc __unused,
			    uint32_t ms)
{
	return (uint64_t)read_cntfrq() * ms / 1000;
}

static uint64_t get_now(const struct callout_timer_desc *desc __unused)
{
	return barrier_read_counter_timer();
}

static const struct callout_timer_desc timer
__relrodata_unpaged("timer") = {
	.disable_timeout = disable_timeout,
	.set_next_timeout = set_next_timeout,
	.ms_to_ticks = ms_to_ticks,
	.get_now = get_now,
	.is_per_cpu = true,
};

static enum itr_return timer_is_due(struct itr_handler *handler __unused)
{
	callout_service_cb();

	return ITRR_HANDLED;
}

static struct itr_handler timer_itr __nex_data = {
	.it = IT_SECURE_TIMER,
	.flags = ITRF_TRIGGER_LEVEL,
	.handler = timer_is_due,
};

static TEE_Result init_callouts(void)
{
	struct itr_chip *chip = interrupt_get_main_chip();
	TEE_Result res = interrupt_add_handler_with_chip(chip, &timer_itr);

	if (res)
		return res;
	interrupt_enable(timer_itr.chip, timer_itr.it);
	callout_service_init(&timer);

	return TEE_SUCCESS;
}

nex_early_init(init_callouts);
