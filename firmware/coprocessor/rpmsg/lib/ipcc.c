/* SPDX-License-Identifier: MIT */
/*
 * This core is processor 2 of its IPCC. A kick that Linux has not taken yet is not sent again, but kept: the
 * interrupt "channel free" then ends the WFI. No interrupt is ever taken: PRIMASK is set, a pending one ends
 * a WFI all the same (Arm v7-M ARM B1.5.19), and is cleared by hand.
 *
 * Ref: RM0436 and RM0457, IPCC: IPCC_C2CR, C2MR, C2SCR, C2TOC1SR; Linux drivers/mailbox/stm32-ipcc.c
 */
#include "core.h"
#include "ipcc.h"

#define IPCC_C1TOC2SR REG32(IPCC_BASE + 0x0C)
#define IPCC_C2CR REG32(IPCC_BASE + 0x10)
#define C2CR_RXOIE (1u << 0)
#define C2CR_TXFIE (1u << 16)
#define IPCC_C2MR REG32(IPCC_BASE + 0x14)
#define IPCC_C2SCR REG32(IPCC_BASE + 0x18)
#define IPCC_C2TOC1SR REG32(IPCC_BASE + 0x1C)
#define SEND(channels) ((channels) << 16)

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
	IPCC_C2MR = ~(KICKS | SHUTDOWN | SEND(wanted));
}

void ipcc_open(void)
{
	mask();
	IPCC_C2CR = C2CR_RXOIE | C2CR_TXFIE;
	NVIC_ENABLE(IPCC_RX_IRQ);
	NVIC_ENABLE(IPCC_TX_IRQ);
}

void ipcc_take(void)
{
	uint32_t kicked = IPCC_C1TOC2SR & KICKS;

	if (kicked)
		IPCC_C2SCR = kicked;
	NVIC_CLEAR(IPCC_RX_IRQ);
	NVIC_CLEAR(IPCC_TX_IRQ);
}

void ipcc_kick(uint32_t channel)
{
	wanted |= 1u << channel;
}

void ipcc_send(void)
{
	uint32_t now = wanted & ~IPCC_C2TOC1SR;

	if (now) {
		barrier();
		IPCC_C2SCR = SEND(now);
		wanted &= ~now;
	}
	mask();
}

void ipcc_kick_now(uint32_t channel)
{
	IPCC_C2SCR = SEND(1u << channel);
}
