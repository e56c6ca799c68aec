/* SPDX-License-Identifier: MIT */
/* Lives, but leaves Linux without an answer when it asks for a shutdown. */
#include "firmware.h"

const char firmware_name[] = "slow-stop";

int main(void)
{
	watchdog_start();
	tick_start();
	for (;;) {
		tick_wait();
		watchdog_kick();
		trace_beat();
	}
}
