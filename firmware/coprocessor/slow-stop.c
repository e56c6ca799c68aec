/* SPDX-License-Identifier: MIT */
/* Runs normally, but does not answer a shutdown request from Linux. */
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
