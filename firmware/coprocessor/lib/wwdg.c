/* SPDX-License-Identifier: MIT */
/*
 * Window watchdog. Ref: RM0436, WWDG: control, configuration; time-out = 4096 * 2^WDGTB * (T[5:0] + 1) / PCLK. That of
 * the STM32MP25 has the same registers (STM32CubeMP2 stm32mp2xx_hal_wwdg.h).
 */
#include "core.h"
#include "firmware.h"

#define WWDG_CR REG32(watchdog->base + 0x00)
#define CR_WDGA (1u << 7)
#define CR_T_MAX 0x7Fu
#define WWDG_CFR REG32(watchdog->base + 0x04)
#define CFR_WDGTB_128 (7u << 11) /* the longest: 321 ms at 104 MHz, 168 ms at 200 MHz */
#define CFR_NO_WINDOW 0x7Fu

static void start(const struct watchdog *watchdog)
{
	WWDG_CFR = CFR_WDGTB_128 | CFR_NO_WINDOW;
	WWDG_CR = CR_WDGA | CR_T_MAX;
	if (!(WWDG_CR & CR_WDGA))
		trace_log("watchdog does not start: access refused?");
}

static void kick(const struct watchdog *watchdog)
{
	WWDG_CR = CR_WDGA | CR_T_MAX;
}

const struct watchdog_type wwdg = { start, kick };
