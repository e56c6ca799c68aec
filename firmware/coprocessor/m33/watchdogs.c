/* SPDX-License-Identifier: MIT */
/*
 * What the M33's own watchdogs do, IWDG4 and WWDG1: early wake-up interrupts, refreshes outside of the window, an
 * expiry. Each of the last ones resets the core, so that this starts again; its fourth boot logs "ok NAME", or "bad
 * NAME" with what was seen, and "done". Results are kept in the mailbox.
 *
 * Ref: STM32CubeMP2 stm32mp257cxx_cm33.h (IWDG4_IRQn, WWDG1_IRQn); RM0436, WWDG; Linux drivers/watchdog/stm32_iwdg.c
 *      (IWDG_WINR, IWDG_EWCR)
 */
#include "checks.h"
#include "core.h"

const char firmware_name[] = "watchdogs";

#define BOOT REG32(IPC_DA + BOOT_RECORD_OFFSET + 4)
#define WRONG(check) REG32(IPC_DA + MAILBOX_OFFSET + 4 * (16 + (check)))
#define NO_RESET 1u

#define IWDG4 0x44040000u
#define IWDG_KR REG32(IWDG4 + 0x00)
#define KR_START 0xCCCCu
#define KR_UNLOCK 0x5555u
#define KR_RELOAD 0xAAAAu
#define IWDG_PR REG32(IWDG4 + 0x04)
#define PR_DIV32 3u
#define IWDG_RLR REG32(IWDG4 + 0x08)
#define IWDG_SR REG32(IWDG4 + 0x0C)
#define SR_ONF (1u << 8)
#define SR_EWIF (1u << 14)
#define IWDG_WINR REG32(IWDG4 + 0x10)
#define IWDG_EWCR REG32(IWDG4 + 0x14)
#define EWCR_EWIC (1u << 14)
#define EWCR_EWIE (1u << 15)

#define WWDG1 0x44050000u
#define WWDG_CR REG32(WWDG1 + 0x00)
#define CR_T 0x7Fu
#define CR_WDGA (1u << 7)
#define WWDG_CFR REG32(WWDG1 + 0x04)
#define CFR_EWI (1u << 9)
#define CFR_WDGTB_128 (7u << 11)
#define WWDG_SR REG32(WWDG1 + 0x08)

#define VTOR REG32(0xE000ED08u)
#define NVIC_ISER REG32(0xE000E100u)
#define IWDG4_IRQ 3u
#define WWDG1_IRQ 8u

enum { IWDG4_EARLY, IWDG4_WINDOW, IWDG4_STOPS, WWDG1_EARLY, WWDG1_WINDOW, WWDG1_EXPIRY };

static void (*table[16 + WWDG1_IRQ + 1])(void) __attribute__((aligned(128)));
static volatile uint32_t interrupts, seen;

static void iwdg4_handler(void)
{
	interrupts++;
	seen = IWDG_SR & SR_EWIF;
	IWDG_EWCR = EWCR_EWIC;
	IWDG_KR = KR_RELOAD;
}

/* At 0x40, one step before the reset. */
static void wwdg1_handler(void)
{
	interrupts++;
	seen = WWDG_CR & CR_T;
	WWDG_CR = CR_T;
	WWDG_SR = 0;
}

static void await_interrupts(uint32_t count)
{
	interrupts = 0;
	__asm volatile("cpsie i" ::: "memory");
	while (interrupts < count)
		wait_for_interrupt();
	interrupts_off();
}

static void check_iwdg4(void)
{
	IWDG_KR = KR_START;
	IWDG_KR = KR_UNLOCK;
	IWDG_PR = PR_DIV32; /* a step is a millisecond */
	IWDG_RLR = 319;
	IWDG_EWCR = EWCR_EWIE | 300;
	IWDG_KR = KR_RELOAD;
	await_interrupts(2);
	WRONG(IWDG4_EARLY) = seen == SR_EWIF && !(IWDG_SR & SR_EWIF) ? 0 : IWDG_SR | 1;
	IWDG_KR = KR_UNLOCK;
	IWDG_WINR = 10;
	IWDG_KR = KR_RELOAD;
}

static void check_wwdg1(void)
{
	WWDG_CFR = CFR_WDGTB_128 | CFR_EWI | CR_T;
	WWDG_CR = CR_WDGA | CR_T;
	await_interrupts(2);
	WRONG(WWDG1_EARLY) = seen == 0x40 ? 0 : seen | 1;
	WWDG_CFR = CFR_WDGTB_128 | 0x41;
	WWDG_CR = CR_T;
	WWDG_CR = CR_T;
}

#define RESULT(name, check)                   \
	static uint32_t name(void)            \
	{                                     \
		return WRONG(check);          \
	}
RESULT(iwdg4_early, IWDG4_EARLY)
RESULT(iwdg4_window, IWDG4_WINDOW)
RESULT(iwdg4_stops_with_the_core, IWDG4_STOPS)
RESULT(wwdg1_early, WWDG1_EARLY)
RESULT(wwdg1_window, WWDG1_WINDOW)
RESULT(wwdg1_expiry, WWDG1_EXPIRY)

static const struct check checks[] = {
	CHECK(iwdg4_early), CHECK(iwdg4_window), CHECK(iwdg4_stops_with_the_core),
	CHECK(wwdg1_early), CHECK(wwdg1_window), CHECK(wwdg1_expiry),
};

/* Until a reset, if one is going to come. */
static void wait_half_a_second(void)
{
	tick_start();
	for (uint32_t tick = 0; tick < TICK_HZ / 2; tick++)
		tick_wait();
	tick_stop();
}

int main(void)
{
	table[16 + IWDG4_IRQ] = iwdg4_handler;
	table[16 + WWDG1_IRQ] = wwdg1_handler;
	VTOR = (uintptr_t)table;
	NVIC_ISER = 1u << IWDG4_IRQ | 1u << WWDG1_IRQ;
	switch (BOOT) {
	case 1:
		for (uint32_t n = IWDG4_WINDOW; n <= WWDG1_EXPIRY; n++)
			WRONG(n) = NO_RESET;
		check_iwdg4();
		break;
	case 2:
		WRONG(IWDG4_WINDOW) = 0;
		WRONG(IWDG4_STOPS) = IWDG_SR & SR_ONF;
		check_wwdg1();
		break;
	case 3:
		WRONG(WWDG1_WINDOW) = 0;
		WWDG_CR = CR_WDGA | CR_T;
		wait_half_a_second();
		break;
	case 4:
		WRONG(WWDG1_EXPIRY) = 0;
	}
	run_checks(checks, sizeof(checks) / sizeof(*checks));
	for (;;)
		wait_for_interrupt();
}
