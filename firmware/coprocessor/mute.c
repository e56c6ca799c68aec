/* SPDX-License-Identifier: MIT */
/* Runs and refreshes its watchdog, but its heartbeat stops: at once, or after PARAMETER_BEATS beats. */
#include "firmware.h"

const char firmware_name[] = "mute";

int main(void)
{
	uint32_t beats = parameter(PARAMETER_BEATS, 0);

	watchdog_start();
	tick_start();
	for (;;) {
		tick_wait();
		watchdog_kick();
		if (beats) {
			trace_beat();
			beats--;
		}
		shutdown_acknowledge();
	}
}
