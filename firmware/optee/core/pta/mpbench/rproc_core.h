/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What PTA, table of cores and board part agree on beyond
 * drivers/stm32_remoteproc.h. The board part, of which there is one in a build,
 * has stm32_rproc_start(), stm32_rproc_stop() and rproc_board_firewall_pa().
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

#define MAX_MEMS	8
#define MAX_NAME	8
#define MAX_RANGES	4

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

/* struct rproc_range - device addresses and what they are for OP-TEE */
struct rproc_range {
	paddr_t da;
	paddr_t pa;
	size_t size;
};

/*
 * struct rproc_core - a core
 * @id, @name: processor id, and name of its node
 * @clear_at_stop: "mpbench,clear-at-stop"
 * @n_opened: how often rproc_core_open() was called without its counterpart
 * @boot_address, @is_secure: where an image wants the M33 to start, and whether in
 *	its secure world, until the core is stopped; only as STMicroelectronics'
 *	OP-TEE has them
 * @ranges: "dma-ranges" of the bus
 * @mems: memory of the core
 */
struct rproc_core {
	uint32_t id;
	char name[MAX_NAME];
	bool clear_at_stop;
	size_t n_opened;
	uint32_t boot_address;
	bool is_secure;
	size_t n_ranges;
	struct rproc_range ranges[MAX_RANGES];
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
/* The memory with all of these bytes; NULL if there is none */
struct rproc_mem *rproc_core_find_mem(struct rproc_core *core, paddr_t pa,
				      size_t size);
/* OP-TEE may touch all memory of the core; calls nest */
TEE_Result rproc_core_open(struct rproc_core *core);
TEE_Result rproc_core_close(struct rproc_core *core);

/*
 * In what STMicroelectronics' OP-TEE differs from upstream's: these functions and
 * stm32_rproc_da_to_pa() are in rproc_upstream.c, or in a file that takes its
 * place.
 */
/* Commands of the PTA besides those of both; while no core runs */
TEE_Result rproc_invoke(uint32_t cmd_id, uint32_t pt,
			TEE_Param params[TEE_NUM_PARAMS]);
/* Where the M33 finds its vectors; an error: it is not to be started */
TEE_Result rproc_vectors(struct rproc_core *core, uint32_t *address);
/* A segment that was copied; @iv_size: 0 if it is not encrypted */
TEE_Result rproc_decrypt(void *segment, size_t size, const uint8_t *iv,
			 size_t iv_size);

/* By which address the firewall knows memory */
paddr_t rproc_board_firewall_pa(paddr_t pa);

/*
 * rproc_firewall.c
 * @node: the reserved memory, for what else is read there
 */
TEE_Result rproc_firewall_probe(const void *fdt, int node,
				struct rproc_mem *mem);
/* OP-TEE may touch the memory from now on: while the core is held only */
TEE_Result rproc_firewall_open(struct rproc_mem *mem);
/* It is the core's again */
TEE_Result rproc_firewall_close(struct rproc_mem *mem);

#endif /* MPBENCH_RPROC_CORE_H */
