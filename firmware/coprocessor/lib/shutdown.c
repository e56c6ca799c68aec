/* SPDX-License-Identifier: MIT */
/*
 * Ref: Linux drivers/mailbox/stm32-ipcc.c (registers), drivers/remoteproc/stm32_rproc.c (the mailbox
 * "shutdown" is channel 2, counted from 0: mboxes of m4_rproc in stm32mp15xx-dkx.dtsi, and of the M33).
 */
#include "core.h"
#include "firmware.h"

#define IPCC_C1TOC2SR REG32(IPCC_BASE + 0x0C)
#define IPCC_C2SCR REG32(IPCC_BASE + 0x18)
#define SHUTDOWN (1u << 2)

void shutdown_acknowledge(void)
{
	if (!(IPCC_C1TOC2SR & SHUTDOWN))
		return;
	trace_log("shutdown");
	IPCC_C2SCR = SHUTDOWN;
}
