/* SPDX-License-Identifier: MIT */
/* Recurses until its stack overflows. */
#include "firmware.h"

const char firmware_name[] = "stack-overflow";

static volatile uint32_t deepest = 0xffffffffu; /* the compiler rejects an infinite recursion */

static uint32_t descend(uint32_t depth)
{
	volatile uint32_t here[8];

	here[depth % 8] = depth;
	return depth < deepest ? descend(depth + 1) + here[depth % 8] : 0;
}

int main(void)
{
	live_until_failure();
	return (int)descend(0);
}
