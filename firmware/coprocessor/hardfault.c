/* SPDX-License-Identifier: MIT */
/* Executes an undefined instruction. */
#include "firmware.h"

const char firmware_name[] = "hardfault";

int main(void)
{
	live_until_failure();
	__asm volatile("udf #0");
	__builtin_unreachable();
}
