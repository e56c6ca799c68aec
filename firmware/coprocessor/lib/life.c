/* SPDX-License-Identifier: MIT */
/* Normal operation, and for how long. */
#include "core.h"
#include "firmware.h"

#define DEFAULT_LIVE_MS 500u

static volatile uint32_t *const mailbox = (volatile uint32_t *)(IPC_DA + MAILBOX_OFFSET);

static int is_tagged(uint32_t word)
{
	return (word & 0xffff0000u) == PARAMETER_TAG;
}

uint32_t parameter_word(enum parameter word)
{
	uint32_t found = mailbox[word];

	return is_tagged(found) ? found : configuration.parameters[word];
}

uint32_t parameter(enum parameter word, uint32_t otherwise)
{
	uint32_t found = parameter_word(word);

	return is_tagged(found) ? found & 0xffff : otherwise;
}

/* 1: fail this time. */
static int take_failure(void)
{
	uint32_t word = parameter_word(PARAMETER_FAILURES), left = word & 0xffff;

	if (!is_tagged(word))
		return 1;
	if (left)
		mailbox[PARAMETER_FAILURES] = PARAMETER_TAG | (left - 1);
	return left != 0;
}

/* The mailbox is read in every tick, so that a failure can be ordered while the firmware runs. */
static int fails_now(uint32_t lived_ms)
{
	return lived_ms >= parameter(PARAMETER_LIVE_MS, DEFAULT_LIVE_MS) && take_failure();
}

void live_one_tick(void)
{
	tick_wait();
	watchdog_kick();
	trace_beat();
	shutdown_acknowledge();
}

void live_until_failure(void)
{
	watchdog_start();
	tick_start();
	for (uint32_t lived_ms = 0; !fails_now(lived_ms); lived_ms += 1000 / TICK_HZ)
		live_one_tick();
	trace_log("fails now");
}
