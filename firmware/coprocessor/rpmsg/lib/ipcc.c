/* SPDX-License-Identifier: MIT */
/*
 * A kick that Linux has not taken yet is not sent again, but kept: the
 * interrupt "channel free" then ends the WFI. No interrupt is ever taken: PRIMASK is set, a pending one ends
 * a WFI all the same (Arm v7-M ARM B1.5.19), and is cleared by hand.
 *
 * Ref: Linux drivers/mailbox/stm32-ipcc.c
 */
#include "ipcc.h"
#include "ipcc_registers.h"

#define KICKS 3u    /* channels of virtqueue 0 and 1 */
#define SHUTDOWN 4u /* channel 2; answered by shutdown_acknowledge() */

#define NVIC_ENABLE(number) (*nvic(0xE000E100u, number) = 1u << ((number) & 31))
#define NVIC_CLEAR(number) (*nvic(0xE000E280u, number) = 1u << ((number) & 31))

static volatile uint32_t *nvic(uint32_t base, uint32_t number)
{
	return (volatile uint32_t *)(uintptr_t)(base + number / 32 * 4);
}

static uint32_t wanted; /* channels to kick */

static void mask(void)
{
	OWN_MR = ~(KICKS | SHUTDOWN | SEND(wanted));
}

void ipcc_open(void)
{
	mask();
	OWN_CR = CR_RXOIE | CR_TXFIE;
	NVIC_ENABLE(IPCC_RX_IRQ);
	NVIC_ENABLE(IPCC_TX_IRQ);
}

void ipcc_take(void)
{
	uint32_t kicked = OTHER_TO_OWN_SR & KICKS;

	if (kicked)
		OWN_SCR = kicked;
	NVIC_CLEAR(IPCC_RX_IRQ);
	NVIC_CLEAR(IPCC_TX_IRQ);
}

void ipcc_kick(uint32_t channel)
{
	wanted |= 1u << channel;
}

void ipcc_send(void)
{
	uint32_t now = wanted & ~OWN_TO_OTHER_SR;

	if (now) {
		barrier();
		OWN_SCR = SEND(now);
		wanted &= ~now;
	}
	mask();
}

void ipcc_kick_now(uint32_t channel)
{
	OWN_SCR = SEND(1u << channel);
}
