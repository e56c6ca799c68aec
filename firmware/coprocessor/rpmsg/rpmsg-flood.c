/* SPDX-License-Identifier: MIT */
/*
 * Takes everything that is sent to its channel, and on request sends numbered messages as fast as Linux gives
 * buffers. What a numbered message holds: firmware/userland/rpmsg-client.c.
 */
#include "firmware.h"
#include "rpmsg.h"

const char firmware_name[] = "rpmsg-flood";

#define SHORTEST 4u /* room for the number */

static uint32_t left, number, size, destination;
static uint8_t bytes[PAYLOAD];

static int take(const struct message *message)
{
	(void)message;
	return 1;
}

const struct service services[] = {
	{ "rpmsg-raw", 0x401, take },
	{ 0, CONTROL, control },
};
const uint32_t services_count = sizeof(services) / sizeof(services[0]);

void request(const struct request *ask)
{
	if (ask->word != REQUEST_SEND || ask->b < SHORTEST || ask->b > PAYLOAD)
		return;
	left = ask->a;
	size = ask->b;
	destination = ask->source;
	number = 0;
}

static void fill(void)
{
	for (uint32_t n = 0; n < size; n++)
		bytes[n] = (uint8_t)(n < SHORTEST ? number >> (8 * n) : number + n);
}

/* Linux kicks when it has given buffers back, and then it goes on. */
void background(void)
{
	while (left) {
		fill();
		if (!rpmsg_send(0x401, destination, bytes, size))
			return;
		number++;
		left--;
	}
}

int main(void)
{
	rpmsg_serve();
	return 0;
}
