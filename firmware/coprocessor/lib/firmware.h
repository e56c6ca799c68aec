/* SPDX-License-Identifier: MIT */
/* Parts of the bench's firmware. Nothing here needs an interrupt handler or a C library. */
#ifndef FIRMWARE_H
#define FIRMWARE_H

#include <stdint.h>

#define VERSION "1"

/* Each firmware is one main(); it never returns. */
extern const char firmware_name[];
int main(void);

/*
 * The IPC area, read by Linux. It is in no PT_LOAD, so it survives a crash recovery unless the loader clears it.
 *   +0x0000 trace buffer, text   +0x1000 mailbox, 64 words   +0x1100 boot record
 * Its one part that is loaded: +0x1200 resource table.
 */
#define TRACE_SIZE 0x1000u
#define MAILBOX_OFFSET 0x1000u
#define BOOT_RECORD_OFFSET 0x1100u

/*
 * Trace buffer (resource table, debugfs trace0), as targets/own-repository/README.md explains it:
 *   mpbench <firmware> <core> <version>
 *   boot 00000001 beat 0000002a
 *   log lines ... NUL
 */
void trace_open(void);
void trace_beat(void);
void trace_log(const char *text);
void trace_log_hex(const char *text, uint32_t value);

/* A number in the trace buffer that is counted up in place, after its label. */
struct counter {
	uint32_t value, end; /* end: offset after its last digit */
};
void trace_counter(struct counter *counter, const char *label);
void trace_count(struct counter *counter);

/*
 * Parameters, mailbox words written from outside: PARAMETER_TAG | value (16 bits). A word without the tag
 * holds what was in memory at power on and is ignored.
 */
#define PARAMETER_TAG 0x4D420000u
enum parameter {
	PARAMETER_LIVE_MS,  /* time in ms until a failing firmware fails; default 500 */
	/* number of failures, counted down in place; at 0 it runs until the word is raised; default: no limit */
	PARAMETER_FAILURES,
	PARAMETER_BEATS, /* number of heartbeats of `mute`; default 0 */
	PARAMETER_ADDRESS = PARAMETER_BEATS, /* upper half of an address that `reach` reads; default: none */
};

#define PARAMETERS 3u

/*
 * Section .configuration of the ELF, written before it is signed or loaded. All zeros: nothing is given.
 * watchdog: number of the SoC's watchdog that this core may use; 0: it touches none
 * parameters: as in the mailbox, for words that the mailbox does not have: some loaders clear it at every stop
 */
struct configuration {
	uint32_t watchdog;
	uint32_t parameters[PARAMETERS];
};
extern const volatile struct configuration configuration;

/* The word of a parameter, of the mailbox or else of the configuration; without PARAMETER_TAG there is none. */
uint32_t parameter_word(enum parameter word);

/* The value of a parameter, or `otherwise` if it has none. */
uint32_t parameter(enum parameter word, uint32_t otherwise);

/* Runs normally until it is time to fail and a failure is left, then returns. */
void live_until_failure(void);

/* One tick of normal operation: heartbeat, watchdog refresh, answer to a shutdown request. */
void live_one_tick(void);

/* Answers a shutdown request: Linux waits until the channel is free again (500 ms in its driver). */
void shutdown_acknowledge(void);

/*
 * tick_wait() sleeps until the next tick, tick_elapsed() tells whether there was one since it was asked last. One
 * tick is one heartbeat.
 */
#define TICK_HZ 50u
void tick_start(void);
int tick_elapsed(void);
void tick_wait(void);
void tick_stop(void);

/*
 * A watchdog of this core: its number in the configuration, its type, its registers, its clock's register and bit in
 * RCC (0: none). A type starts a watchdog, with a time-out of about 0.2 to 0.3 s, and refreshes it.
 */
struct watchdog;
struct watchdog_type {
	void (*start)(const struct watchdog *watchdog);
	void (*kick)(const struct watchdog *watchdog);
};
struct watchdog {
	uint32_t number;
	const struct watchdog_type *type;
	uint32_t base, clock_register, clock_enable;
};
extern const struct watchdog_type iwdg, wwdg;

/* The watchdog that the target gives this core, or 0. */
const struct watchdog *given_watchdog(void);

/* Without a watchdog both do nothing. */
void watchdog_start(void);
void watchdog_kick(void);

#endif
