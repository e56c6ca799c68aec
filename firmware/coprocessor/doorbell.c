/* SPDX-License-Identifier: MIT */
/*
 * Takes the mailbox's interrupt: for each message of another processor in channel 1 it frees the channel and sends
 * one in channel 2.
 *
 * Ref: RM0457, IPCC
 */
#include "firmware.h"
#include "ipcc_registers.h"

const char firmware_name[] = "doorbell";

#ifdef __ARM_ARCH_6M__
#define table ((handler **)VECTORS)
#else
#define VTOR REG32(0xE000ED08u)
#endif
#define ISER ((volatile uint32_t *)0xE000E100u)

typedef void handler(void);

#ifndef __ARM_ARCH_6M__
static handler *table[256] __attribute__((aligned(1024)));
#endif
static uint32_t messages;

static void take_message(void)
{
	OWN_SCR = 1u << 0;
	OWN_SCR = SEND(1u << 1);
	trace_log_hex("message ", ++messages);
}

int main(void)
{
	table[16 + IPCC_RX_IRQ] = take_message;
#ifndef __ARM_ARCH_6M__
	VTOR = (uintptr_t)table;
#endif
	OWN_MR = ~1u;
	OWN_CR = CR_RXOIE;
	ISER[IPCC_RX_IRQ / 32] = 1u << IPCC_RX_IRQ % 32;
	trace_log("ready");
	__asm volatile("cpsie i" ::: "memory");
	for (;;)
		wait_for_interrupt();
}
