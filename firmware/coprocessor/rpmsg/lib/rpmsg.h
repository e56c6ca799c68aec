/* SPDX-License-Identifier: MIT */
/*
 * RPMsg as Linux' virtio_rpmsg_bus speaks it, for firmware that serves: a table of services, a receiver for each.
 *
 * The trace buffer's third line counts messages: "rx 0000002a tx 0000002a stray 00000000". rx: taken from Linux and
 * answered or consumed; tx: handed to Linux; stray: for an address without a service.
 *
 * Ref: Linux drivers/rpmsg/virtio_rpmsg_bus.c, rpmsg_internal.h, include/linux/rpmsg/ns.h
 */
#ifndef RPMSG_H
#define RPMSG_H

#include <stdint.h>

#include "virtqueue.h"

/* Buffers each way: 2 * 16 of 512 bytes are the 16 KiB that ST's device trees give them (vdev0buffer). */
#ifndef RING_SIZE
#define RING_SIZE 16u
#endif
#define PAYLOAD 496u

struct vring {
	uint32_t da, align, num, notifyid, pa;
};

struct resource_table {
	uint32_t ver, num, reserved[2];
	uint32_t offset[2];
	struct {
		uint32_t type, id, notifyid, features, accepted, config_length;
		uint8_t status, num_of_vrings, reserved[2];
		struct vring vring[2];
	} vdev;
	struct {
		uint32_t type, da, len, reserved;
		char name[32];
	} trace;
};

extern volatile struct resource_table resource_table;

struct rpmsg_header {
	uint32_t source, destination, reserved;
	uint16_t length, flags;
};

#define NAME_SERVICE 0x35u
#define NAME_SIZE 32u

struct announcement {
	char name[NAME_SIZE];
	uint32_t address;
	uint32_t gone; /* 0: the service is there */
};

/* A message in Linux' buffer; `length` is at most PAYLOAD. */
struct message {
	uint32_t source, destination, length;
	const uint8_t *bytes;
};

/* Returns 1 when the message is done with, 0 to get it again later: meanwhile no other is taken. */
typedef int receiver(const struct message *message);

/* A service without a name is not announced. */
struct service {
	const char *name;
	uint32_t address;
	receiver *receive;
};

/* What a firmware of this kind defines. */
extern const struct service services[];
extern const uint32_t services_count;
void background(void); /* called after every wake-up while Linux' driver is there; returns soon */

/* Serves for ever. */
void rpmsg_serve(void);

/* Hands a message to Linux; 0: there is no buffer free. */
int rpmsg_send(uint32_t source, uint32_t destination, const void *bytes, uint32_t length);

/* Announces or withdraws services[index], as soon as there is a buffer. */
void rpmsg_announce(uint32_t index, int gone);

/* Takes nothing from Linux for so long. */
void rpmsg_pause(uint32_t ms);

/* 0: from the core to Linux, 1: from Linux to the core */
extern struct virtqueue queues[2];

/* The number and the header of the next buffer for a message to Linux; 0: none is there. */
volatile struct rpmsg_header *rpmsg_buffer(uint32_t *id);

/*
 * Requests to the service at CONTROL, which every firmware of this kind has: four words. It is answered with the
 * same four words when it has been taken.
 */
#define CONTROL 0x500u

enum request_word {
	REQUEST_STARVE,   /* the watchdog is started, and never refreshed: a crash within a third of a second */
	REQUEST_PAUSE,    /* a: ms */
	REQUEST_ANNOUNCE, /* a: index of a service */
	REQUEST_WITHDRAW, /* a: index of a service */
	REQUEST_SEND,     /* rpmsg-flood; a: messages, b: length */
	REQUEST_FAULT,    /* rpmsg-rogue; a: which */
};

struct request {
	uint32_t word, a, b, source;
};

receiver control;
/* A request that only this firmware knows; it has been answered. */
void request(const struct request *request);

#endif
