/* SPDX-License-Identifier: MIT */
/* The heartbeat continues, but the watchdog is not refreshed. */
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
