/* SPDX-License-Identifier: MIT */
/*
 * What workers have in common: requests and answers through stdin and stdout, a child process that runs them, and an
 * arena in which every read outside of an image is seen.
 *
 * Requests and answers are frames: u32 length, then that many bytes, little endian.
 *   'C' configuration   one board; stays until the next one; no answer
 *   'X' ...             a case; one answer
 * A case that kills its process kills a child; the parent answers for it and forks the next one. A worker may do without
 * that where a case dies by a signal.
 */
#ifndef FRAMES_H
#define FRAMES_H

#include <stddef.h>
#include <stdint.h>

#define PAGE 4096u
#define MEMORY_FILL 0xA5

struct worker {
	uint32_t max_frame;
	int *seen;				/* shared: whether the request that is being served will be answered */
	void (*configure)(const uint8_t *p);	/* in the parent: children inherit its mappings */
	void (*run_case)(const uint8_t *p, const uint8_t *end);
	int recovers;				/* whether a case that dies by a signal leaves its process as it was */
};

/* Serves until stdin ends; the exit code of the program. */
int work(const struct worker *worker);

/* the answer under construction */
void put(const void *data, size_t size);
void put32(uint32_t value);

/* Run the next case in another child: this one may write where it should not. */
void end_after_answer(void);

uint32_t get32(const uint8_t **p);
void *map(size_t size, int protection, int flags);

/* Zeroed memory, shared with children, until the next configuration. */
void *map_board(size_t size);

/* `data` in the arena, `room` bytes before the guard, which is its size or more; the bytes before it are poisoned. */
uint8_t *in_arena(const uint8_t *data, uint32_t size, uint32_t room);

#endif
