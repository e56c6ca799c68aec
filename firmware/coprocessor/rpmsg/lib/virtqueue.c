/* SPDX-License-Identifier: MIT */
/* Ref: OASIS Virtual I/O Device 1.2, 2.7: layout, and the order of writes to a ring. */
#include "core.h"
#include "virtqueue.h"

void virtqueue_open(struct virtqueue *queue, uint32_t address, uint32_t size, uint32_t alignment)
{
	uint32_t avail = address + size * sizeof(struct descriptor);
	uint32_t end = avail + sizeof(uint16_t) * (3 + size);

	queue->descriptors = (volatile struct descriptor *)(uintptr_t)address;
	queue->avail = (volatile struct avail_ring *)(uintptr_t)avail;
	queue->used = (volatile struct used_ring *)(uintptr_t)((end + alignment - 1) & ~(alignment - 1));
	queue->size = size;
	queue->taken = 0;
}

/* size is a power of two: there is no division on a Cortex-M0 */
static uint32_t slot(const struct virtqueue *queue, uint16_t index)
{
	return index & (queue->size - 1);
}

int virtqueue_next(const struct virtqueue *queue)
{
	uint32_t id;

	if (queue->avail->index == queue->taken)
		return -1;
	barrier();
	id = queue->avail->id[slot(queue, queue->taken)];
	return id < queue->size ? (int)id : -1;
}

void virtqueue_give(struct virtqueue *queue, uint32_t id, uint32_t length)
{
	uint16_t index = queue->used->index;
	volatile struct used_element *element = &queue->used->element[slot(queue, index)];

	element->id = id;
	element->length = length;
	barrier();
	queue->used->index = index + 1;
	barrier();
}

int virtqueue_wants_kick(const struct virtqueue *queue)
{
	return !(queue->avail->flags & AVAIL_NO_INTERRUPT);
}
