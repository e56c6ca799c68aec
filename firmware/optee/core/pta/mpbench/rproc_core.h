/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What PTA, table of cores and board part agree on beyond
 * drivers/stm32_remoteproc.h. The board part, of which there is one in a build,
 * has stm32_rproc_start(), stm32_rproc_stop() and the rproc_board_ functions.
 */

#ifndef MPBENCH_RPROC_CORE_H
#define MPBENCH_RPROC_CORE_H

#include <mm/core_mmu.h>
#include <tee_api_types.h>
#include <types_ext.h>
#include <util.h>

/*
 * Processor ids are below this bound. M4 is 0 (upstream's STM32_M4_RPROC_ID), M33 is 1 as in
 * STMicroelectronics' kernel (STM32_MP2_M33_PROC_ID), M0 is 2 here; no public
 * source gives it one.
 */
#define RPROC_MAX_ID	U(15)

#define MAX_MEMS	4
#define MAX_NAME	8

struct firewall_query;

/*
 * struct rproc_mem - memory of a core
 * @pa: address on the bus of the board
 * @da: address that the core uses
 * @size: its size, which is the size of the reserved memory
 * @type: how OP-TEE maps it
 * @running: the firewall's configuration while it is the core's
 * @loading: the same while OP-TEE writes to it; NULL if there is no firewall
 */
struct rproc_mem {
	paddr_t pa;
	paddr_t da;
	size_t size;
	enum teecore_memtypes type;
	struct firewall_query *running;
	struct firewall_query *loading;
};

struct rproc_core {
	uint32_t id;
	char name[MAX_NAME];
	bool clear_at_stop;
	size_t n_mems;
	struct rproc_mem mems[MAX_MEMS];
};

/*
 * Adds the core of a node to the table. "st,proc-id", "memory-region",
 * "mpbench,clear-at-stop" if all its memory is to be cleared then, as
 * STMicroelectronics' OP-TEE does; "dma-ranges" of the parent bus (device
 * address to physical address, as drivers/remoteproc/stm32_remoteproc.c reads
 * it).
 *
 * Nothing that is not a "no-map" child of /reserved-memory is taken for memory
 * of a core: a region that only names live memory of Linux would be zeroed by
 * RELEASE. Of a tree from outside OP-TEE it must be non-secure as well.
 */
TEE_Result rproc_core_probe(const void *fdt, int node,
			    struct rproc_core **core);
struct rproc_core *rproc_core_find(uint32_t id);

/* @node: the reserved memory, for what else the board part reads there */
TEE_Result rproc_board_probe_mem(const void *fdt, int node,
				 struct rproc_mem *mem);
/* OP-TEE may touch the memory from now on: refused while the core executes */
TEE_Result rproc_board_open_mem(struct rproc_core *core, struct rproc_mem *mem);
/* It is the core's again */
TEE_Result rproc_board_close_mem(struct rproc_core *core,
				 struct rproc_mem *mem);

#endif /* MPBENCH_RPROC_CORE_H */
