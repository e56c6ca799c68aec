/* SPDX-License-Identifier: MIT */
/* Ref: Linux drivers/rpmsg/virtio_rpmsg_bus.c: rpmsg_probe(), rpmsg_recv_single(); drivers/rpmsg/rpmsg_ns.c */
#include "core.h"
#include "firmware.h"
#include "ipcc.h"
#include "rpmsg.h"

#define DRIVER_OK 4u

enum { TO_LINUX, FROM_LINUX };

struct virtqueue queues[2];

static struct counter received, sent, stray;
static uint32_t up;       /* Linux' driver is there */
static uint32_t announce; /* bits: services to be announced, and from 16 on, to be withdrawn */
static uint32_t pause_ticks;

volatile struct rpmsg_header *rpmsg_buffer(uint32_t *id)
{
	int next = virtqueue_next(&queues[TO_LINUX]);

	if (next < 0)
		return 0;
	*id = (uint32_t)next;
	return (volatile struct rpmsg_header *)(uintptr_t)queues[TO_LINUX].descriptors[next].address;
}

int rpmsg_send(uint32_t source, uint32_t destination, const void *bytes, uint32_t length)
{
	uint32_t id;
	volatile struct rpmsg_header *header = rpmsg_buffer(&id);
	volatile uint8_t *to = (volatile uint8_t *)(header + 1);

	if (!header)
		return 0;
	header->source = source;
	header->destination = destination;
	header->reserved = 0;
	header->length = (uint16_t)length;
	header->flags = 0;
	for (uint32_t n = 0; n < length; n++)
		to[n] = ((const uint8_t *)bytes)[n];
	virtqueue_take(&queues[TO_LINUX]);
	virtqueue_give(&queues[TO_LINUX], id, length + sizeof(*header));
	if (virtqueue_wants_kick(&queues[TO_LINUX]))
		ipcc_kick(TO_LINUX);
	trace_count(&sent);
	return 1;
}

void rpmsg_announce(uint32_t index, int gone)
{
	announce |= 1u << (gone ? index + 16 : index);
}

static void send_announcement(uint32_t index, uint32_t gone)
{
	const struct service *service = &services[index];
	const char *name = service->name;
	struct announcement message;
	uint32_t bit = 1u << (gone ? index + 16 : index);

	for (uint32_t n = 0; n < NAME_SIZE; n++)
		message.name[n] = *name ? *name++ : 0;
	message.address = service->address;
	message.gone = gone;
	if (rpmsg_send(service->address, NAME_SERVICE, &message, sizeof(message)))
		announce &= ~bit;
}

static void send_announcements(void)
{
	for (uint32_t n = 0; n < services_count; n++) {
		if (announce >> n & 1)
			send_announcement(n, 0);
		if (announce >> (n + 16) & 1)
			send_announcement(n, 1);
	}
}

static int dispatch(const struct message *message)
{
	for (uint32_t n = 0; n < services_count; n++)
		if (services[n].address == message->destination)
			return services[n].receive(message);
	trace_count(&stray);
	return 1;
}

static void receive(void)
{
	struct virtqueue *queue = &queues[FROM_LINUX];
	int id;

	while (!pause_ticks && (id = virtqueue_next(queue)) >= 0) {
		volatile struct rpmsg_header *header =
			(volatile struct rpmsg_header *)(uintptr_t)queue->descriptors[id].address;
		struct message message = { header->source, header->destination, header->length,
					   (const uint8_t *)(uintptr_t)(header + 1) };

		if (message.length > PAYLOAD)
			message.length = PAYLOAD;
		if (!dispatch(&message))
			return;
		trace_count(&received);
		virtqueue_take(queue);
		virtqueue_give(queue, (uint32_t)id, 0);
		if (virtqueue_wants_kick(queue))
			ipcc_kick(FROM_LINUX);
	}
}

static void open_queues(void)
{
	for (uint32_t n = 0; n < 2; n++) {
		volatile struct vring *vring = &resource_table.vdev.vring[n];

		virtqueue_open(&queues[n], vring->da, vring->num, vring->align);
	}
	announce = 0;
	for (uint32_t n = 0; n < services_count; n++)
		if (services[n].name)
			announce |= 1u << n;
}

/* Linux sets the status when its driver is there, and clears it before it takes the rings away. */
static void exchange(void)
{
	uint32_t was = up;

	up = resource_table.vdev.status & DRIVER_OK;
	if (!up)
		return;
	if (!was)
		open_queues();
	send_announcements();
	receive();
	background();
	ipcc_send();
}

static void tick(void)
{
	trace_beat();
	if (pause_ticks)
		pause_ticks--;
}

void rpmsg_pause(uint32_t ms)
{
	for (pause_ticks = 0; ms >= 1000 / TICK_HZ; ms -= 1000 / TICK_HZ) /* a Cortex-M0 does not divide */
		pause_ticks++;
}

void rpmsg_serve(void)
{
	trace_counter(&received, "rx ");
	trace_counter(&sent, " tx ");
	trace_counter(&stray, " stray ");
	trace_log("");
	tick_start();
	ipcc_open();
	for (;;) {
		ipcc_take();
		if (tick_elapsed())
			tick();
		shutdown_acknowledge();
		exchange();
		wait_for_interrupt();
	}
}
