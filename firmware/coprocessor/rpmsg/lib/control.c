/* SPDX-License-Identifier: MIT */
/* The service that takes requests; see rpmsg.h. */
#include "firmware.h"
#include "rpmsg.h"

static int is_announced(uint32_t index)
{
	return index < services_count && services[index].name;
}

static void obey(const struct request *ask)
{
	switch (ask->word) {
	case REQUEST_STARVE:
		trace_log("starves now");
		watchdog_start();
		break;
	case REQUEST_PAUSE:
		rpmsg_pause(ask->a);
		break;
	case REQUEST_ANNOUNCE:
	case REQUEST_WITHDRAW:
		if (is_announced(ask->a))
			rpmsg_announce(ask->a, ask->word == REQUEST_WITHDRAW);
		break;
	default:
		request(ask);
	}
}

int control(const struct message *message)
{
	struct request ask;
	uint8_t *to = (uint8_t *)&ask;

	for (uint32_t n = 0; n < sizeof(ask); n++)
		to[n] = n < message->length ? message->bytes[n] : 0;
	if (!rpmsg_send(CONTROL, message->source, &ask, sizeof(ask)))
		return 0;
	ask.source = message->source;
	obey(&ask);
	return 1;
}
