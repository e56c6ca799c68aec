/* SPDX-License-Identifier: MIT */
/* The TA's heap as libutee sets it up: OP-TEE's own bget_malloc.c under other names. */
#ifndef HEAP_H
#define HEAP_H

#include <stddef.h>

void heap_begin(size_t size);
void *heap_take(size_t size);
void heap_give(void *p);

#endif
