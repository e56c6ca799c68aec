/* SPDX-License-Identifier: MIT */
/* Lives: beats, kicks its watchdog, answers Linux. */
#include "firmware.h"

const char firmware_name[] = "alive";

int main(void)
{
	watchdog_start();
	tick_start();
	for (;;)
		live_one_tick();
}
