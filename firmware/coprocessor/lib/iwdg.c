/* SPDX-License-Identifier: MIT */
/* Independent watchdog. Ref: RM0457, IWDG: key, prescaler, reload, status; Linux drivers/watchdog/stm32_iwdg.c. */
#include "core.h"
#include "firmware.h"

#define IWDG_KR REG32(watchdog->base + 0x00)
#define KR_START 0xCCCCu
#define KR_UNLOCK 0x5555u
#define KR_RELOAD 0xAAAAu
#define IWDG_PR REG32(watchdog->base + 0x04)
#define PR_DIV32 3u
#define IWDG_RLR REG32(watchdog->base + 0x08)
#define IWDG_SR REG32(watchdog->base + 0x0C)
#define SR_UPDATING 3u /* PVU, RVU: up to six periods of LSI */
#define SR_ONF (1u << 8)

#define LSI_HZ 32000u
#define TIMEOUT_MS 320u
#define POLLS 1000000u /* some register that never settles must not hang the start */

static void start(const struct watchdog *watchdog)
{
	uint32_t polls = POLLS;

	IWDG_KR = KR_START;
	IWDG_KR = KR_UNLOCK;
	IWDG_PR = PR_DIV32;
	IWDG_RLR = LSI_HZ / 32 * TIMEOUT_MS / 1000 - 1;
	while ((IWDG_SR & SR_UPDATING) && polls)
		polls--;
	IWDG_KR = KR_RELOAD;
	if (!polls || !(IWDG_SR & SR_ONF))
		trace_log("watchdog does not start: access refused?");
}

static void kick(const struct watchdog *watchdog)
{
	IWDG_KR = KR_RELOAD;
}

const struct watchdog_type iwdg = { start, kick };
