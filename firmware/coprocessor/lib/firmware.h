/* SPDX-License-Identifier: MIT */
/* What a firmware of this bench is made of. Nothing here needs an interrupt handler or a C library. */
#ifndef FIRMWARE_H
#define FIRMWARE_H

#include <stdint.h>

#define VERSION "1"

/* Each firmware is one main(); it never returns. */
extern const char firmware_name[];
int main(void);

/*
 * The IPC area, read by Linux: it belongs to no PT_LOAD, so it survives a crash recovery.
 *   +0x0000 trace buffer, text   +0x1000 mailbox, 64 words   +0x1100 boot record
 */
#define TRACE_SIZE 0x1000u
#define MAILBOX_OFFSET 0x1000u
#define BOOT_RECORD_OFFSET 0x1100u

/*
 * Trace buffer (resource table, debugfs trace0):
 *   mpbench <firmware> <core> <version>
 *   boot 00000001 beat 0000002a
 *   log lines ... NUL
 */
void trace_open(void);
void trace_beat(void);
void trace_log(const char *text);
void trace_log_hex(const char *text, uint32_t value);

/*
 * Parameters, mailbox words written from outside: PARAMETER_TAG | value (16 bits). What a word holds
 * without the tag is what memory held at power on, and doesn't count.
 */
#define PARAMETER_TAG 0x4D420000u
enum parameter {
	PARAMETER_LIVE_MS,  /* how long a firmware that fails lives before; 500 */
	/* how often it fails, counted down in place; at 0 it lives until the word is raised; untagged: always */
	PARAMETER_FAILURES,
	PARAMETER_BEATS, /* how often mute beats before it falls silent; 0 */
};

/* The value of a mailbox word, or what counts where there is none. */
uint32_t parameter(enum parameter word, uint32_t otherwise);

/* Lives (beats, kicks, answers Linux) until it is time to fail and a failure is left, then returns. */
void live_until_failure(void);

/* One tick of a living firmware. */
void live_one_tick(void);

/* Linux asks for a shutdown and waits until the channel is free again (500 ms in its driver). */
void shutdown_acknowledge(void);

/* Pace: sleeps until the next tick. One tick is one beat of a living firmware. */
#define TICK_HZ 50u
void tick_start(void);
void tick_wait(void);
void tick_stop(void);

/* The SoC's watchdog of this core: about 0.3 s. */
void watchdog_start(void);
void watchdog_kick(void);

#endif
