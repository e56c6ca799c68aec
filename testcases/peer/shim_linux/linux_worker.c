// SPDX-License-Identifier: MIT
/*
 * The worker around Linux' remoteproc, fed through stdin.
 *
 * Requests and answers are frames: u32 length, then that many bytes, little endian.
 *   'C' configuration   one board; stays until the next one; no answer
 *   'X' flags, image    a start of a core that is offline, with flag 1 also a stop; one answer
 * An image that kills it (a read outside of the file, a null pointer) kills a child process; the parent answers
 * for it and forks the next one.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "linux_peer.h"
#include "numbers.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>

const char *__asan_default_options(void)
{
	return "handle_segv=0:handle_sigbus=0:handle_abort=0:detect_leaks=0:allocator_may_return_null=1";
}

/* AddressSanitizer calls this before it prints its report. */
void __asan_on_error(void)
{
	_exit(78);
}
#endif

#define MAX_FRAME (1u << 20)
#define PAGE 4096u
#define MEMORY_FILL 0xA5

/* Room kept free of mappings on both sides of an image, so that every wild read is seen. */
#if UINTPTR_MAX > 0xffffffff
#define GUARD (6ull << 30)
#else
#define GUARD (256u << 20)
#endif

static struct board *board;
static uint8_t *arena_middle;	/* images end here */
static uint8_t *frame, *answer;
static size_t answer_size;

static void put(const void *data, size_t size)
{
	if (answer_size + size > MAX_FRAME)
		abort();
	memcpy(answer + answer_size, data, size);
	answer_size += size;
}

static void put32(uint32_t value)
{
	put(&value, sizeof(value));
}

/* A line of the kernel's log: a length and the text without its end of line. */
void report(const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	text[strcspn(text, "\n")] = 0;
	put32('T');
	put32(strlen(text));
	put(text, strlen(text));
}

static int get_all(void *data, size_t size)
{
	uint8_t *p = data;

	while (size) {
		ssize_t n = read(0, p, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return 0;
		p += n;
		size -= n;
	}
	return 1;
}

static void put_all(const void *data, size_t size)
{
	const uint8_t *p = data;

	while (size) {
		ssize_t n = write(1, p, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			_exit(2);
		p += n;
		size -= n;
	}
}

static void *map(size_t size, int protection, int flags)
{
	void *p = mmap(NULL, size, protection, flags | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		_exit(3);
	return p;
}

static uint32_t get32(const uint8_t **p)
{
	uint32_t value;

	memcpy(&value, *p, sizeof(value));
	*p += sizeof(value);
	return value;
}

/* Memory ends where a page that cannot be touched begins. */
static void configure(const uint8_t *p)
{
	board->allocates = get32(&p);
	board->count = get32(&p);
	if (board->count > MAX_REGIONS)
		_exit(3);
	for (uint32_t i = 0; i < board->count; i++) {
		struct region *r = board->region + i;
		size_t size;

		r->da = get32(&p);
		r->pa = get32(&p);
		r->size = get32(&p);
		r->pool = get32(&p);
		memcpy(r->name, p, sizeof(r->name));
		p += sizeof(r->name);
		size = (r->size + PAGE - 1) / PAGE * PAGE;
		r->memory = map(size + PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
		mprotect(r->memory + size, PAGE, PROT_NONE);
		r->memory += size - r->size;
	}
}

/*
 * The image ends where the guard begins. In 32 bits it starts at a multiple of 8, as in the kernel: that does without
 * an alignment trap for what is aligned in the file.
 */
static uint8_t *place_image(const uint8_t *data, uint32_t size)
{
	static uint8_t *poisoned;
	uint8_t *at = arena_middle - (sizeof(long) == 8 ? size : (size + 7) / 8 * 8);
	uint8_t *page = (uint8_t *)((uintptr_t)at & ~(uintptr_t)(PAGE - 1));

#ifdef __SANITIZE_ADDRESS__
	if (poisoned)
		ASAN_UNPOISON_MEMORY_REGION(poisoned, arena_middle - poisoned);
#endif
	if (poisoned && page > poisoned)
		mprotect(poisoned, page - poisoned, PROT_NONE);
	if (page < arena_middle && mprotect(page, arena_middle - page, PROT_READ | PROT_WRITE))
		_exit(4);
	memset(page, 0xEE, at - page);
	memcpy(at, data, size);
#ifdef __SANITIZE_ADDRESS__
	ASAN_POISON_MEMORY_REGION(page, at - page);
#endif
	poisoned = page;
	return at;
}

static void run_case(const uint8_t *p, const uint8_t *end)
{
	uint32_t flags = get32(&p), sum = 0;
	uint64_t entry = 0;
	int ret;

	for (uint32_t i = 0; i < board->count; i++)
		memset(board->region[i].memory, MEMORY_FILL, board->region[i].size);
	ret = boot_and_stop(board, place_image(p, end - p), end - p, flags & 1, &entry);
	for (uint32_t i = 0; i < board->count; i++)
		sum = sum * 31 + crc32_of(board->region[i].memory, board->region[i].size);
	put32('R');
	put32(ret);
	put(&entry, sizeof(entry));
	put32(sum);
}

static void die(int signal)
{
	(void)signal;
	_exit(77);
}

static void serve(void)
{
	uint32_t size;

	signal(SIGSEGV, die);
	signal(SIGBUS, die);
	signal(SIGABRT, die);
	while (get_all(&size, sizeof(size))) {
		if (size > MAX_FRAME || !get_all(frame, size))
			_exit(2);
		if (frame[0] == 'C')
			_exit(79);	/* the parent has to see the mappings: it configures, children inherit */
		board->seen = 1;
		answer_size = 4;
		run_case(frame + 4, frame + size);
		size = answer_size - 4;
		memcpy(answer, &size, 4);
		put_all(answer, answer_size);
		board->seen = 0;
	}
	_exit(0);
}

int main(void)
{
	static const uint32_t crashed[2] = { 4, 'D' };
	uint8_t *arena;

	frame = map(MAX_FRAME, PROT_READ | PROT_WRITE, MAP_SHARED);
	answer = map(MAX_FRAME + 4, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	board = map(sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED);
	arena = map(2 * GUARD, PROT_NONE, MAP_PRIVATE);
	arena_middle = (uint8_t *)((uintptr_t)(arena + GUARD) & ~(uintptr_t)(PAGE - 1));
	for (;;) {
		int status = 0;
		pid_t child = fork();

		if (child < 0)
			return 3;
		if (!child)
			serve();
		if (waitpid(child, &status, 0) != child)
			return 3;
		if (WIFEXITED(status) && WEXITSTATUS(status) == 79)
			configure(frame + 4);
		else if (board->seen) {
			put_all(crashed, sizeof(crashed));
			board->seen = 0;
		} else
			return WIFEXITED(status) ? WEXITSTATUS(status) : 4;
	}
}
