/* SPDX-License-Identifier: MIT */
/* Ref: Linux include/linux/remoteproc.h, struct resource_table, fw_rsc_hdr, fw_rsc_trace. */
#include "firmware.h"

struct resource_table {
	uint32_t ver, num, reserved[2];
	uint32_t offset[1];
	struct {
		uint32_t type, da, len, reserved;
		char name[32];
	} trace;
};

#define RSC_TRACE 2

__attribute__((section(".resource_table"), used)) struct resource_table resource_table = {
	.ver = 1,
	.num = 1,
	.offset = { __builtin_offsetof(struct resource_table, trace) },
	.trace = { .type = RSC_TRACE, .da = IPC_DA, .len = TRACE_SIZE, .name = "trace" },
};
