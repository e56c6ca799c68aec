/* SPDX-License-Identifier: MIT */
/*
 * Breaks the rules of RPMsg and of virtqueues on request, one at a time: REQUEST_FAULT, a: its place in the table
 * at the end, which is that of FAULTS in bench/mpbench/rpmsg/predict_faults.py. Its channel echoes.
 *
 * Ref: Linux drivers/rpmsg/virtio_rpmsg_bus.c, rpmsg_ns.c, drivers/virtio/virtio_ring.c: what each one meets there
 */
#include "core.h"
#include "firmware.h"
#include "ipcc.h"
#include "rpmsg.h"

const char firmware_name[] = "rpmsg-rogue";

#define RAW 0x401u
#define NOBODY 0x7777u
#define OUT_OF_RANGE 999u
#define STORM 20000u
#define WILD 0xfffffff0u
#define POLLS 10000000u
#define SILENT_MS 600000u

enum { TO_LINUX, FROM_LINUX };

static uint32_t asker;

static int echo(const struct message *message)
{
	return rpmsg_send(message->destination, message->source, message->bytes, message->length);
}

const struct service services[] = {
	{ "rpmsg-raw", RAW, echo },
	{ 0, CONTROL, control },
};
const uint32_t services_count = sizeof(services) / sizeof(services[0]);

/* A message whose header says another length than the ring. There is a buffer: the request's answer was sent. */
static void send_lengths(uint32_t destination, uint32_t header_length, uint32_t used_length)
{
	uint32_t id;
	volatile struct rpmsg_header *header = rpmsg_buffer(&id);

	if (!header)
		return;
	header->source = RAW;
	header->destination = destination;
	header->length = (uint16_t)header_length;
	virtqueue_take(&queues[TO_LINUX]);
	virtqueue_give(&queues[TO_LINUX], id, used_length);
	ipcc_kick(TO_LINUX);
}

static void length_in_header(void)
{
	send_lengths(asker, 480, 64);
}

static void length_in_ring(void)
{
	send_lengths(asker, 16, 4096);
}

static void length_too_short(void)
{
	send_lengths(asker, 0, 4);
}

static void to_nobody(void)
{
	send_lengths(NOBODY, 16, 32);
}

static void id_out_of_range(void)
{
	virtqueue_give(&queues[TO_LINUX], OUT_OF_RANGE, 32);
	ipcc_kick(TO_LINUX);
}

static void jump(uint16_t distance)
{
	queues[TO_LINUX].used->index += distance;
	ipcc_kick(TO_LINUX);
}

static void index_jumps(void)
{
	jump(8);
}

/*
 * Linux looks at what it gets back after it has used every buffer once. A core that had given back a whole ring by then
 * would have written another id over this one: nothing more is taken.
 */
static void sent_id_out_of_range(void)
{
	virtqueue_give(&queues[FROM_LINUX], OUT_OF_RANGE, 0);
	rpmsg_pause(SILENT_MS);
}

static void kicks(void)
{
	for (uint32_t n = 0; n < STORM; n++) {
		ipcc_kick_now(TO_LINUX);
		ipcc_kick_now(FROM_LINUX);
	}
}

/* Linux has its own copies of these; they are put back where it has not written new ones. */
static void descriptors_overwritten(void)
{
	static uint32_t address[RING_SIZE], length[RING_SIZE];
	struct virtqueue *queue = &queues[TO_LINUX];
	uint16_t before = queue->avail->index;

	send_lengths(asker, 16, 32);
	for (uint32_t n = 0; n < RING_SIZE; n++) {
		address[n] = queue->descriptors[n].address;
		length[n] = queue->descriptors[n].length;
		queue->descriptors[n].address = queue->descriptors[n].length = WILD;
		queue->descriptors[n].next = (uint16_t)WILD;
	}
	ipcc_kick_now(TO_LINUX);
	for (uint32_t polls = 0; queue->avail->index == before && polls < POLLS; polls++)
		barrier();
	for (uint32_t n = 0; n < RING_SIZE; n++)
		if (queue->descriptors[n].address == WILD) {
			queue->descriptors[n].address = address[n];
			queue->descriptors[n].length = length[n];
		}
}

/* Of one: Linux takes the one that it numbers next for a part of the same buffer. */
static void descriptor_chained(void)
{
	int next = virtqueue_next(&queues[TO_LINUX]);

	if (next >= 0)
		queues[TO_LINUX].descriptors[next].flags |= DESCRIPTOR_NEXT;
	send_lengths(asker, 16, 32);
}

static void announce(const char *name, uint32_t address, uint32_t gone, uint32_t length)
{
	struct announcement message;

	for (uint32_t n = 0; n < NAME_SIZE; n++)
		message.name[n] = *name ? *name++ : 0;
	message.address = address;
	message.gone = gone;
	rpmsg_send(address, NAME_SERVICE, &message, length);
}

static void announced_short(void)
{
	announce("rpmsg-raw", RAW, 0, 8);
}

static void announced_without_end(void)
{
	announce("a-name-of-32-characters-and-no-0", NOBODY, 0, sizeof(struct announcement));
}

static void announced_twice(void)
{
	announce("rpmsg-raw", RAW, 0, sizeof(struct announcement));
}

static void withdrawn_unknown(void)
{
	announce("rpmsg-raw", NOBODY, 1, sizeof(struct announcement));
}

static void table_overwritten(void)
{
	for (uint32_t n = 0; n < 2; n++) {
		resource_table.vdev.vring[n].da = 0xdeadbeef;
		resource_table.vdev.vring[n].num = 0xffff;
	}
	resource_table.vdev.num_of_vrings = 255;
	resource_table.vdev.type = 0xffffffff;
	resource_table.num = 0xffffffff;
}

static void (*const faults[])(void) = {
	length_in_header, length_in_ring, length_too_short, to_nobody,
	id_out_of_range, index_jumps, sent_id_out_of_range, kicks,
	announced_short, announced_without_end, announced_twice, withdrawn_unknown,
	table_overwritten, descriptors_overwritten, descriptor_chained,
};

void request(const struct request *ask)
{
	if (ask->word != REQUEST_FAULT || ask->a >= sizeof(faults) / sizeof(faults[0]))
		return;
	trace_log_hex("fault ", ask->a);
	asker = ask->source;
	faults[ask->a]();
}

void background(void)
{
}

int main(void)
{
	rpmsg_serve();
	return 0;
}
