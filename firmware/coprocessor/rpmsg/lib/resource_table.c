/* SPDX-License-Identifier: MIT */
/*
 * A virtio device for RPMsg, and the trace buffer. Linux chooses where the rings are, and writes it here before
 * it starts the core.
 *
 * Ref: Linux include/linux/remoteproc.h: struct fw_rsc_vdev, fw_rsc_vdev_vring, FW_RSC_ADDR_ANY
 */
#include "firmware.h"
#include "rpmsg.h"

#define RSC_TRACE 2
#define RSC_VDEV 3
#define ADDRESS_ANY 0xffffffffu
#define VIRTIO_ID_RPMSG 7
#define VIRTIO_RPMSG_F_NS (1u << 0)
#define ALIGNMENT 16

__attribute__((section(".resource_table"), used)) volatile struct resource_table resource_table = {
	.ver = 1,
	.num = 2,
	.offset = { __builtin_offsetof(struct resource_table, vdev), __builtin_offsetof(struct resource_table, trace) },
	.vdev = {
		.type = RSC_VDEV,
		.id = VIRTIO_ID_RPMSG,
		.features = VIRTIO_RPMSG_F_NS,
		.num_of_vrings = 2,
		.vring = {
			{ .da = ADDRESS_ANY, .align = ALIGNMENT, .num = RING_SIZE, .notifyid = 0 },
			{ .da = ADDRESS_ANY, .align = ALIGNMENT, .num = RING_SIZE, .notifyid = 1 },
		},
	},
	.trace = { .type = RSC_TRACE, .da = IPC_DA, .len = TRACE_SIZE, .name = "trace" },
};
