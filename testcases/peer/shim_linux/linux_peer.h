/* SPDX-License-Identifier: MIT */
/* Linux' remoteproc behind one function; the board that it runs on. */
#ifndef LINUX_PEER_H
#define LINUX_PEER_H

#include <stddef.h>
#include <stdint.h>

#define MAX_REGIONS 8

struct region {
	uint32_t da, pa, size;
	uint32_t pool;		/* not mapped: memory for virtio's buffers */
	char name[32];
	uint8_t *memory;
};

struct board {
	uint32_t allocates;	/* whether dma_alloc_coherent() succeeds */
	uint32_t count;
	struct region region[MAX_REGIONS];
	int seen;		/* whether the request that is being served will be answered */
};

/* Boots a core with an image, and stops it again if asked; what rproc_fw_boot() returns. entry: the boot address. */
int boot_and_stop(struct board *board, const uint8_t *image, size_t size, int stop, uint64_t *entry);

#endif
