/* SPDX-License-Identifier: MIT */
/* Runs and kicks its watchdog, but its heart stops: at once, or after so many beats as its mailbox says. */
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
