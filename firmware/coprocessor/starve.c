/* SPDX-License-Identifier: MIT */
/* Beats on, but forgets its watchdog. */
#include "firmware.h"

const char firmware_name[] = "starve";

int main(void)
{
	live_until_failure();
	for (;;) {
		tick_wait();
		trace_beat();
	}
}
