/* SPDX-License-Identifier: MIT */
/*
 * Executes an undefined instruction at the priority of HardFault, which the core cannot take: lockup. On a core without
 * FAULTMASK (v6-M) it is a HardFault as any other.
 */
#include "firmware.h"

const char firmware_name[] = "double-fault";

int main(void)
{
	live_until_failure();
#if __ARM_ARCH > 6
	__asm volatile("cpsid f");
#endif
	__asm volatile("udf #0");
	__builtin_unreachable();
}
