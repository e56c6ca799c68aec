/* SPDX-License-Identifier: MIT */
/* The trace buffer and the boot record in the IPC area. */
#include "core.h"
#include "firmware.h"

#define MAGIC 0x4d504231u /* "MPB1": the boot record holds a count, not what memory held at power on */

struct boot_record {
	uint32_t magic;
	uint32_t boot;
	uint32_t beat;
};

static volatile char *const trace = (volatile char *)IPC_DA;
static volatile struct boot_record *const record = (volatile struct boot_record *)(IPC_DA + BOOT_RECORD_OFFSET);

static uint32_t end; /* offset of the terminating NUL */
static struct counter beat;

static void put(const char *text)
{
	while (*text && end < TRACE_SIZE - 1)
		trace[end++] = *text++;
	trace[end] = 0;
}

static char digit(uint32_t value)
{
	value &= 0xf;
	return (char)(value < 10 ? '0' + value : 'a' + value - 10);
}

static void put_hex(uint32_t value)
{
	char text[9];

	for (uint32_t i = 0; i < 8; i++)
		text[i] = digit(value >> (28 - 4 * i));
	text[8] = 0;
	put(text);
}

void trace_counter(struct counter *counter, const char *label)
{
	put(label);
	put_hex(0);
	counter->value = 0;
	counter->end = end;
}

void trace_open(void)
{
	uint32_t first = record->magic != MAGIC;

	record->boot = first ? 1 : record->boot + 1;
	record->beat = 0;
	record->magic = MAGIC;

	trace[0] = 0; /* written last: until then a reader sees no header */
	end = 1;
	put("pbench ");
	put(firmware_name);
	put(" " CORE_NAME " " VERSION "\nboot ");
	put_hex(record->boot);
	trace_counter(&beat, " beat ");
	put("\n");
	trace[0] = 'm';
}

/*
 * In place, lowest digit first, changed digits only: a reader that reads during a carry sees at worst a
 * smaller number, never one that has not been reached.
 */
void trace_count(struct counter *counter)
{
	uint32_t was = counter->value, is = was + 1;

	counter->value = is;
	for (uint32_t at = counter->end; was != is; was >>= 4, is >>= 4)
		trace[--at] = digit(is);
}

void trace_beat(void)
{
	trace_count(&beat);
	record->beat = beat.value;
}

void trace_log(const char *text)
{
	put(text);
	put("\n");
}

void trace_log_hex(const char *text, uint32_t value)
{
	put(text);
	put_hex(value);
	put("\n");
}
