/* SPDX-License-Identifier: MIT */
/* The mailbox between this core and Linux: a channel for each virtqueue, and Linux' shutdown request. */
#ifndef IPCC_H
#define IPCC_H

#include <stdint.h>

/* Linux' messages end a WFI from now on. */
void ipcc_open(void);

/* Takes the kicks that have arrived. To be called before the rings are read: a later one ends the next WFI. */
void ipcc_take(void);

/* Asks for a kick of a channel; it is sent by ipcc_send(), as soon as Linux has taken the one before. */
void ipcc_kick(uint32_t channel);
void ipcc_send(void);

/* Kicks at once, whether Linux has taken the one before or not. */
void ipcc_kick_now(uint32_t channel);

#endif
