/* SPDX-License-Identifier: MIT */
/* Sends every message back to where it came from: on a tty, on two raw channels, and an address without a name. */
#include "firmware.h"
#include "rpmsg.h"

const char firmware_name[] = "rpmsg-echo";

static int echo(const struct message *message)
{
	return rpmsg_send(message->destination, message->source, message->bytes, message->length);
}

const struct service services[] = {
	{ "rpmsg-tty", 0x400, echo },
	{ "rpmsg-raw", 0x401, echo },
	{ "rpmsg-raw", 0x402, echo },
	{ 0, 0x403, echo },
	{ 0, CONTROL, control },
};
const uint32_t services_count = sizeof(services) / sizeof(services[0]);

void request(const struct request *ask)
{
	(void)ask;
}

void background(void)
{
}

int main(void)
{
	rpmsg_serve();
	return 0;
}
