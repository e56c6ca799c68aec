/* SPDX-License-Identifier: MIT */
/*
 * Takes the mailbox's interrupt: for each message of another processor in channel 1 it frees the channel and sends
 * one in channel 2.
 *
 * Ref: RM0457, IPCC: IPCC_CxCR (0x00, 0x10), CxMR (0x04, 0x14), CxSCR (0x08, 0x18); OP-TEE
 *      core/arch/arm/dts/stm32mp257f-ev1-ca35tdcid-rif.dtsi: of IPCC2 the M0 is processor 1, of IPCC1 the M33 is 2
 */
#include "core.h"
#include "firmware.h"

const char firmware_name[] = "doorbell";

#ifdef __ARM_ARCH_6M__
#define OWN IPCC_BASE
#define table ((handler **)VECTORS)
#else
#define OWN (IPCC_BASE + 0x10u)
#define VTOR REG32(0xE000ED08u)
#endif
#define CR REG32(OWN + 0x00u)
#define CR_RXOIE 1u
#define MR REG32(OWN + 0x04u)
#define SCR REG32(OWN + 0x08u)
#define ISER ((volatile uint32_t *)0xE000E100u)

typedef void handler(void);

#ifndef __ARM_ARCH_6M__
static handler *table[256] __attribute__((aligned(1024)));
#endif
static uint32_t messages;

static void take_message(void)
{
	SCR = 1u << 0;
	SCR = 1u << 17;
	trace_log_hex("message ", ++messages);
}

int main(void)
{
	table[16 + IPCC_RX_IRQ] = take_message;
#ifndef __ARM_ARCH_6M__
	VTOR = (uintptr_t)table;
#endif
	MR = ~1u;
	CR = CR_RXOIE;
	ISER[IPCC_RX_IRQ / 32] = 1u << IPCC_RX_IRQ % 32;
	trace_log("ready");
	__asm volatile("cpsie i" ::: "memory");
	for (;;)
		wait_for_interrupt();
}
