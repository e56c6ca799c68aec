/* SPDX-License-Identifier: MIT */
/* Endless loop with interrupts disabled. */
#include "core.h"
#include "firmware.h"

const char firmware_name[] = "lockup";

int main(void)
{
	live_until_failure();
	interrupts_off();
	for (;;)
		__asm volatile("");
}
