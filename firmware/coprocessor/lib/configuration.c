/* SPDX-License-Identifier: MIT */
/*
 * What the target gives this firmware. The bench writes it into the ELF file, by the name of this section, before
 * the file is signed or loaded; as built it gives nothing. See bench/mpbench/harness/configuration.py.
 */
#include "core.h"
#include "firmware.h"

__attribute__((section(".configuration"), used)) const volatile struct configuration configuration = {
	.watchdog = 0,
};

static const struct watchdog watchdogs[] = { WATCHDOGS };

const struct watchdog *given_watchdog(void)
{
	uint32_t number = configuration.watchdog;

	for (uint32_t n = 0; n < sizeof(watchdogs) / sizeof(*watchdogs); n++)
		if (watchdogs[n].number == number)
			return watchdogs + n;
	return 0;
}
