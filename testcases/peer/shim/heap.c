// SPDX-License-Identifier: MIT
#include "heap.h"

#include <string.h>

/* Everything OP-TEE's allocator needs of its own headers, its functions renamed by the build. */
#include <bget_malloc.c>

void _assert_log(const char *expr, const char *file, const int line, const char *func)
{
	(void)expr;
	(void)file;
	(void)line;
	(void)func;
}

void _assert_break(void)
{
	__builtin_trap();
}

static char pool[1 << 20] __attribute__((aligned(64)));

void heap_begin(size_t size)
{
	memset(&malloc_ctx, 0, sizeof(malloc_ctx));
	raw_malloc_init_ctx(&malloc_ctx);
	malloc_add_pool(pool, size < sizeof(pool) ? size : sizeof(pool));
}

void *heap_take(size_t size)
{
	return calloc(1, size);
}

void heap_give(void *p)
{
	free(p);
}
