/* SPDX-License-Identifier: MIT */
/* Lives: beats and kicks its watchdog at every tick. */
#include "firmware.h"

const char firmware_name[] = "alive";

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
