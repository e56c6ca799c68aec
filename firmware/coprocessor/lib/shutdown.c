/* SPDX-License-Identifier: MIT */
/*
 * Ref: Linux drivers/mailbox/stm32-ipcc.c, drivers/remoteproc/stm32_rproc.c (the mailbox
 * "shutdown" is channel 2, counted from 0: mboxes of m4_rproc in stm32mp15xx-dkx.dtsi, and of the M33).
 */
#include "firmware.h"
#include "ipcc_registers.h"

#define SHUTDOWN (1u << 2)

void shutdown_acknowledge(void)
{
	if (!(OTHER_TO_OWN_SR & SHUTDOWN))
		return;
	trace_log("shutdown");
	OWN_SCR = SHUTDOWN;
}
