/* SPDX-License-Identifier: MIT */
/* Runs and kicks its watchdog, but never beats. */
#include "firmware.h"

const char firmware_name[] = "mute";

int main(void)
{
	watchdog_start();
	tick_start();
	for (;;) {
		tick_wait();
		watchdog_kick();
		shutdown_acknowledge();
	}
}
