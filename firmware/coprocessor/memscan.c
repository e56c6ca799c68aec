/* SPDX-License-Identifier: MIT */
/*
 * Before its first heartbeat, counts the words after its own data that are not zero and logs the address of
 * the first: on silicon, this shows what an earlier firmware left in memory.
 */
#include "firmware.h"

const char firmware_name[] = "memscan";

extern uint32_t bss_end[], memory_end[];

int main(void)
{
	uint32_t found = 0, first = 0;

	for (volatile uint32_t *word = bss_end; word != memory_end; word++) {
		if (*word && !found++)
			first = (uint32_t)word;
	}
	trace_log_hex("words not zero ", found);
	trace_log_hex("first at ", first);
	watchdog_start();
	tick_start();
	for (;;)
		live_one_tick();
}
