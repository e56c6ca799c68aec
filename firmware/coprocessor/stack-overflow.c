/* SPDX-License-Identifier: MIT */
/* Calls itself until its stack is at an end. */
#include "firmware.h"

const char firmware_name[] = "stack-overflow";

static volatile uint32_t deepest = 0xffffffffu; /* the compiler refuses a recursion without an end */

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
