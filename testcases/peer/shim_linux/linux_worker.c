// SPDX-License-Identifier: MIT
/*
 * The worker around Linux' remoteproc, fed through stdin; see frames.h.
 *
 * A case is flags and an image: a start of a core that is offline, with flag 1 also a stop, with flag 2 the last one of
 * its child. An image kills it by a read outside of the file, or a null pointer.
 */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "frames.h"
#include "linux_peer.h"
#include "numbers.h"

#ifdef __SANITIZE_ADDRESS__
const char *__asan_default_options(void)
{
	return "handle_segv=0:handle_sigbus=0:handle_abort=0:detect_leaks=0:allocator_may_return_null=1";
}
#endif

#define MAX_FRAME (1u << 20)

static struct board *board;

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
		r->memory = map_board(size + PAGE);
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
	return in_arena(data, size, sizeof(long) == 8 ? size : (size + 7) / 8 * 8);
}

static void run_case(const uint8_t *p, const uint8_t *end)
{
	uint32_t flags = get32(&p), sum = 0;
	uint64_t entry = 0;
	int ret;

	if (flags & 2)
		end_after_answer();
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

int main(void)
{
	board = map(sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED);
	return work(&(struct worker){ MAX_FRAME, &board->seen, configure, run_case, 1 });
}
