/* SPDX-License-Identifier: MIT */
/* Runs normally: heartbeat, watchdog refresh, answer to a shutdown request. */
#include "firmware.h"

const char firmware_name[] = "alive";

int main(void)
{
	watchdog_start();
	tick_start();
	for (;;)
		live_one_tick();
}
