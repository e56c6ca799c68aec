/* SPDX-License-Identifier: MIT */
/*
 * A virtqueue seen from the device: Linux offers buffers in it, the core uses them and gives them back.
 *
 * Ref: OASIS Virtual I/O Device 1.2, 2.7 Split Virtqueues; Linux include/uapi/linux/virtio_ring.h
 */
#ifndef VIRTQUEUE_H
#define VIRTQUEUE_H

#include <stdint.h>

struct descriptor {
	uint32_t address, address_high, length;
	uint16_t flags, next;
};

#define DESCRIPTOR_NEXT 1u

struct avail_ring {
	uint16_t flags, index, id[];
};

struct used_element {
	uint32_t id, length;
};

struct used_ring {
	uint16_t flags, index;
	struct used_element element[];
};

#define AVAIL_NO_INTERRUPT 1u

struct virtqueue {
	volatile struct descriptor *descriptors;
	volatile struct avail_ring *avail;
	volatile struct used_ring *used;
	uint32_t size;
	uint16_t taken; /* buffers taken since the start, modulo 65536 */
};

void virtqueue_open(struct virtqueue *queue, uint32_t address, uint32_t size, uint32_t alignment);

/* Number of the next buffer; -1: none is there. It stays the next until it is taken. */
int virtqueue_next(const struct virtqueue *queue);
static inline void virtqueue_take(struct virtqueue *queue)
{
	queue->taken++;
}

/* Gives buffer `id` back with `length` bytes in it. */
void virtqueue_give(struct virtqueue *queue, uint32_t id, uint32_t length);

/* Whether Linux wants to hear of given buffers. */
int virtqueue_wants_kick(const struct virtqueue *queue);

#endif
