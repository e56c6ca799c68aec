/* SPDX-License-Identifier: MIT */
/* The watchdog that the target gives this firmware, of whatever type it is. */
#include "core.h"
#include "firmware.h"

static const struct watchdog *given;

void watchdog_start(void)
{
	given = given_watchdog();
	if (!given)
		return;
	if (given->clock_register)
		REG32(given->clock_register) |= given->clock_enable;
	given->type->start(given);
}

void watchdog_kick(void)
{
	if (given)
		given->type->kick(given);
}
