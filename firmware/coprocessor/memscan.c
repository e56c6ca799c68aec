/* SPDX-License-Identifier: MIT */
/*
 * Says what it finds in the memory behind itself, before its heart begins to beat: how many words are not
 * zero, and where the first of them is. So silicon can tell what an earlier firmware left there.
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
