// SPDX-License-Identifier: MIT
/* See frames.h. */
#define _GNU_SOURCE
#include "frames.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>

/* AddressSanitizer calls this before it prints its report. */
void __asan_on_error(void)
{
	_exit(78);
}
#endif

#define CONFIGURE 79	/* exit code of a child that got a configuration */
#define SPENT 80	/* of a child that may be damaged, and has answered */
#define MAX_MAPS 64

/* Room kept free of mappings on both sides of an image, so that every wild read is seen. */
#if UINTPTR_MAX > 0xffffffff
#define GUARD (6ull << 30)
#else
#define GUARD (256u << 20)
#endif

static uint8_t *arena_middle;	/* images end here */
static uint8_t *frame, *answer;
static size_t answer_size;
static uint32_t max_frame;
static int spent;
static const uint32_t crashed[2] = { 4, 'D' };

void put(const void *data, size_t size)
{
	if (answer_size + size > max_frame)
		abort();
	memcpy(answer + answer_size, data, size);
	answer_size += size;
}

void end_after_answer(void)
{
	spent = 1;
}

void put32(uint32_t value)
{
	put(&value, sizeof(value));
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

uint32_t get32(const uint8_t **p)
{
	uint32_t value;

	memcpy(&value, *p, sizeof(value));
	*p += sizeof(value);
	return value;
}

void *map(size_t size, int protection, int flags)
{
	void *p = mmap(NULL, size, protection, flags | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		_exit(3);
	return p;
}

/* Memory of the board that is configured now. In 32 bits that of all that were would fill the address space. */
static struct {
	void *at;
	size_t size;
} of_board[MAX_MAPS];
static unsigned int n_of_board;

void *map_board(size_t size)
{
	if (n_of_board == MAX_MAPS)
		_exit(3);
	of_board[n_of_board].at = map(size, PROT_READ | PROT_WRITE, MAP_SHARED);
	of_board[n_of_board].size = size;
	return of_board[n_of_board++].at;
}

static void unmap_board(void)
{
	while (n_of_board) {
		n_of_board--;
		munmap(of_board[n_of_board].at, of_board[n_of_board].size);
	}
}

uint8_t *in_arena(const uint8_t *data, uint32_t size, uint32_t room)
{
	static uint8_t *poisoned;
	uint8_t *at = arena_middle - room;
	uint8_t *page = (uint8_t *)((uintptr_t)at & ~(uintptr_t)(PAGE - 1));

#ifdef __SANITIZE_ADDRESS__
	if (poisoned)
		ASAN_UNPOISON_MEMORY_REGION(poisoned, arena_middle - poisoned);
#endif
	if (poisoned && page > poisoned)
		mprotect(poisoned, page - poisoned, PROT_NONE);
	if ((!poisoned || page < poisoned) && page < arena_middle &&
	    mprotect(page, arena_middle - page, PROT_READ | PROT_WRITE))
		_exit(4);
	memset(page, 0xEE, at - page);
	memcpy(at, data, size);
#ifdef __SANITIZE_ADDRESS__
	ASAN_POISON_MEMORY_REGION(page, at - page);
#endif
	poisoned = page;
	return at;
}

#ifdef GCOV
void __gcov_dump(void);
#endif

/* Ends a child that did nothing wrong; branch counters are kept. */
static void leave(int status)
{
#ifdef GCOV
	__gcov_dump();
#endif
	_exit(status);
}

/*
 * A case that dies by a signal ends there, and its process lives on where that is asked for: qemu-user has to translate
 * all code anew in a fork. Under AddressSanitizer a child ends with it.
 */
static sigjmp_buf before_case;
static int recovers;

static void die(int signal)
{
	(void)signal;
#ifndef __SANITIZE_ADDRESS__
	if (recovers && !spent)
		siglongjmp(before_case, 1);
#endif
	leave(77);
}

static void serve(const struct worker *worker)
{
	uint32_t size;

	signal(SIGSEGV, die);
	signal(SIGBUS, die);
	signal(SIGABRT, die);
	signal(SIGVTALRM, die);
	while (get_all(&size, sizeof(size))) {
		if (size > worker->max_frame || !get_all(frame, size))
			_exit(2);
		if (frame[0] == 'C')
			leave(CONFIGURE);
		*worker->seen = 1;
		answer_size = 4;
		if (sigsetjmp(before_case, 1)) {
			put_all(crashed, sizeof(crashed));
		} else {
			recovers = worker->recovers;
			worker->run_case(frame + 4, frame + size);
			size = answer_size - 4;
			memcpy(answer, &size, 4);
			put_all(answer, answer_size);
		}
		recovers = 0;
		*worker->seen = 0;
		if (spent)
			leave(SPENT);
	}
	leave(0);
}

int work(const struct worker *worker)
{
	uint8_t *arena;

	max_frame = worker->max_frame;
	frame = map(max_frame, PROT_READ | PROT_WRITE, MAP_SHARED);
	answer = map(max_frame + 4, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	arena = map(2 * GUARD, PROT_NONE, MAP_PRIVATE);
	arena_middle = (uint8_t *)((uintptr_t)(arena + GUARD) & ~(uintptr_t)(PAGE - 1));
	for (;;) {
		int status = 0;
		pid_t child = fork();

		if (child < 0)
			return 3;
		if (!child)
			serve(worker);
		if (waitpid(child, &status, 0) != child)
			return 3;
		if (WIFEXITED(status) && WEXITSTATUS(status) == CONFIGURE) {
			unmap_board();
			worker->configure(frame + 4);
		} else if (WIFEXITED(status) && WEXITSTATUS(status) == SPENT) {
			continue;
		} else if (*worker->seen) {
			put_all(crashed, sizeof(crashed));
			*worker->seen = 0;
		} else
			return WIFEXITED(status) ? WEXITSTATUS(status) : 4;
	}
}
