/* SPDX-License-Identifier: MIT */
/*
 * Reads the word at the address whose upper half PARAMETER_ADDRESS is, logs it and goes on: a firewall that refuses
 * it answers with 0 and reports the access to the trusted domain. Without the parameter it reads nothing.
 */
#include "core.h"
#include "firmware.h"

const char firmware_name[] = "reach";

int main(void)
{
	uint32_t half = parameter(PARAMETER_ADDRESS, 0);

	if (half)
		trace_log_hex("read ", REG32(half << 16));
	watchdog_start();
	tick_start();
	for (;;)
		live_one_tick();
}
