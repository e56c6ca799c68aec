/* SPDX-License-Identifier: MIT */
/*
 * For a suspend: fills memory with a pattern, compares it later, hashes it; and has Linux refuse to sleep. It does
 * what its words say, and a line for each (see lib/program.h).
 *   suspend-client open,/dev/mem fill,0x10042000,0x4000,7 check,0x10042000,0x4000,7
 *
 *   open,PATH               /dev/mem, or a file in its place
 *   fill,ADDRESS,SIZE,SEED  words of a pattern that depends on their address and the seed
 *   check,ADDRESS,SIZE,SEED how many words differ from it, and of the first its address, pattern and content;
 *                           last: address of the last
 *   hash,ADDRESS,SIZE       FNV-1a, 32 bits, over words
 *   alarm,MS,PERIOD         a timer that wakes the board up after so long, and then again and again (0: once), while
 *                           the program runs; Linux does not fall asleep if it goes off within two seconds
 *   sleep,MS
 * Addresses are physical and, like sizes, multiples of 4. Ends with 2 for words it does not know.
 *
 * Ref: mem(4), mmap(2), timerfd_create(2); Linux kernel/time/alarmtimer.c, alarmtimer_suspend()
 */
#include "program.h"

const char program[] = "suspend-client";

#define PAGE 4096u
#define O_SYNC 04010000 /* of /dev/mem: without caches */
#define EBADF 9
#define FNV_OFFSET 0x811c9dc5u
#define FNV_PRIME 0x01000193u
#define SPREAD 0x9e3779b1u

static long memory = -EBADF;

struct range {
	long mapped, bytes; /* mapped: an address, or an errno below 0 */
	uint64_t address, size;
	volatile uint32_t *words;
};

static struct range range_of(char **rest)
{
	uint64_t address = number(field(rest, ',')), size = number(field(rest, ','));
	uint64_t page = address & ~(uint64_t)(PAGE - 1);
	struct range found = { .mapped = memory, .bytes = (long)(address - page + size), .address = address, .size = size };

	if (address % 4 || size % 4 || !size)
		wrong("address and size have to be multiples of 4");
	if (memory < 0)
		return found;
#if defined(__aarch64__)
	found.mapped = call6(MMAP, 0, found.bytes, PROT_READ_WRITE, MAP_SHARED, memory, (long)page);
#else
	found.mapped = call6(MMAP, 0, found.bytes, PROT_READ_WRITE, MAP_SHARED, memory, (long)(page / PAGE));
#endif
	if (found.mapped < 0 && found.mapped > -4096)
		return found;
	found.words = (volatile uint32_t *)(found.mapped + (long)(address - page));
	found.mapped = 0;
	return found;
}

static void unmap(struct range *range)
{
	call(MUNMAP, (long)range->words & ~(long)(PAGE - 1), range->bytes, 0);
}

static uint32_t pattern(uint64_t address, uint32_t seed)
{
	return (uint32_t)address * SPREAD + seed * FNV_PRIME;
}

static void do_open(char *rest)
{
	char *path = field(&rest, ',');

	if (!path)
		wrong("a path is missing");
	memory = call(OPENAT, AT_FDCWD, path, O_RDWR | O_SYNC);
	say_errno(memory);
}

static void do_fill(char *rest)
{
	struct range range = range_of(&rest);
	uint32_t seed = number(field(&rest, ','));

	say_errno(range.mapped);
	if (range.mapped)
		return;
	for (uint64_t at = 0; at < range.size; at += 4)
		range.words[at / 4] = pattern(range.address + at, seed);
	unmap(&range);
}

static void do_check(char *rest)
{
	struct range range = range_of(&rest);
	uint32_t seed = number(field(&rest, ',')), found = 0;
	uint64_t different = 0, first = 0, last = 0;

	say_errno(range.mapped);
	if (range.mapped)
		return;
	for (uint64_t at = 0; at < range.size; at += 4) {
		uint32_t word = range.words[at / 4];

		if (word == pattern(range.address + at, seed))
			continue;
		last = range.address + at;
		if (!different++) {
			first = last;
			found = word;
		}
	}
	unmap(&range);
	say("different", different);
	say("first", first);
	say("last", last);
	say("pattern", different ? pattern(first, seed) : 0);
	say("found", found);
}

static void do_hash(char *rest)
{
	struct range range = range_of(&rest);
	uint32_t hash = FNV_OFFSET;

	say_errno(range.mapped);
	if (range.mapped)
		return;
	for (uint64_t at = 0; at < range.size; at += 4)
		hash = (hash ^ range.words[at / 4]) * FNV_PRIME;
	unmap(&range);
	say("hash", hash);
}

static struct timespec64 time_of(char **rest)
{
	uint32_t ms = number(field(rest, ',')), s = 0;

	for (; ms >= 1000; ms -= 1000) /* there is no division without a library on every Arm */
		s++;
	return (struct timespec64){ s, (int64_t)ms * 1000000 };
}

static void do_alarm(char *rest)
{
	struct {
		struct timespec64 interval, value;
	} timer = { .value = time_of(&rest) };
	long fd = call(TIMERFD_CREATE, CLOCK_BOOTTIME_ALARM, 0, 0);

	timer.interval = time_of(&rest);
	say_errno(fd < 0 ? fd : call6(TIMERFD_SETTIME, fd, 0, (long)&timer, 0, 0, 0));
}

static void do_sleep(char *rest)
{
	sleep_ms(number(field(&rest, ',')));
}

const struct action actions[] = {
	{ "open", do_open }, { "fill", do_fill }, { "check", do_check }, { "hash", do_hash },
	{ "alarm", do_alarm }, { "sleep", do_sleep },
};
const unsigned int actions_count = sizeof(actions) / sizeof(actions[0]);

int main(int argc, char **argv)
{
	for (int n = 1; n < argc; n++)
		step(argv[n]);
	return 0;
}
