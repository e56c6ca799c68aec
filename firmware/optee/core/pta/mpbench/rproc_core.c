// SPDX-License-Identifier: BSD-2-Clause
/*
 * The co-processors of a board and their memory, from a device tree.
 *
 * With a board part it offers the interface of drivers/stm32_remoteproc.h, so
 * that it carries the PTA of this folder (state per core) as well as upstream's
 * own STM32 PTA.
 */

#include <drivers/stm32_remoteproc.h>
#include <kernel/cache_helpers.h>
#include <kernel/dt.h>
#include <kernel/tee_misc.h>
#include <libfdt.h>
#include <mm/core_memprot.h>
#include <string.h>
#include <trace.h>

#include "rproc_core.h"

#define MAX_CORES	3

static struct rproc_core cores[MAX_CORES];
static size_t n_cores;

struct rproc_core *rproc_core_find(uint32_t id)
{
	size_t n = 0;

	for (n = 0; n < n_cores; n++)
		if (cores[n].id == id)
			return cores + n;

	return NULL;
}

void *stm32_rproc_get(uint32_t rproc_id)
{
	return rproc_core_find(rproc_id);
}

struct rproc_mem *rproc_core_find_mem(struct rproc_core *core, paddr_t pa,
				      size_t size)
{
	size_t n = 0;

	for (n = 0; n < core->n_mems; n++)
		if (core_is_buffer_inside(pa, size, core->mems[n].pa,
					  core->mems[n].size))
			return core->mems + n;

	return NULL;
}

TEE_Result rproc_core_open(struct rproc_core *core)
{
	TEE_Result res = TEE_SUCCESS;
	size_t n = 0;

	if (core->n_opened++)
		return TEE_SUCCESS;

	for (n = 0; n < core->n_mems && !res; n++)
		res = rproc_firewall_open(core->mems + n);
	if (res)
		rproc_core_close(core);

	return res;
}

TEE_Result rproc_core_close(struct rproc_core *core)
{
	TEE_Result res = TEE_SUCCESS;
	size_t n = 0;

	if (--core->n_opened)
		return TEE_SUCCESS;

	for (n = 0; n < core->n_mems && !res; n++)
		res = rproc_firewall_close(core->mems + n);

	return res;
}

TEE_Result stm32_rproc_map(uint32_t rproc_id, paddr_t pa, size_t size,
			   void **va)
{
	struct rproc_core *core = rproc_core_find(rproc_id);
	TEE_Result res = TEE_ERROR_GENERIC;
	struct rproc_mem *mem = NULL;

	if (!core)
		return TEE_ERROR_BAD_PARAMETERS;

	mem = rproc_core_find_mem(core, pa, size);
	if (!mem)
		return TEE_ERROR_ACCESS_DENIED;

	if (!core->n_opened) {
		res = rproc_firewall_open(mem);
		if (res)
			return res;
	}

	*va = core_mmu_add_mapping(mem->type, pa, size);
	if (!*va) {
		if (!core->n_opened)
			rproc_firewall_close(mem);
		return TEE_ERROR_GENERIC;
	}

	return TEE_SUCCESS;
}

TEE_Result stm32_rproc_unmap(uint32_t rproc_id, void *va, size_t size)
{
	struct rproc_core *core = rproc_core_find(rproc_id);
	TEE_Result res = TEE_ERROR_GENERIC;
	struct rproc_mem *mem = NULL;
	paddr_t pa = virt_to_phys(va);

	if (!core || !pa)
		return TEE_ERROR_BAD_PARAMETERS;

	mem = rproc_core_find_mem(core, pa, size);
	if (!mem)
		return TEE_ERROR_ACCESS_DENIED;

	dcache_clean_range(va, size);
	res = core_mmu_remove_mapping(mem->type, va, size);
	if (res || core->n_opened)
		return res;

	return rproc_firewall_close(mem);
}

TEE_Result stm32_rproc_clean_up_memories(uint32_t rproc_id)
{
	struct rproc_core *core = rproc_core_find(rproc_id);
	TEE_Result res = TEE_SUCCESS;
	size_t n = 0;

	if (!core)
		return TEE_ERROR_BAD_PARAMETERS;

	for (n = 0; n < core->n_mems && !res; n++) {
		struct rproc_mem *mem = core->mems + n;
		void *va = NULL;

		res = stm32_rproc_map(rproc_id, mem->pa, mem->size, &va);
		if (res) {
			EMSG("%s: can't map %#"PRIxPA" size %#zx to clear it",
			     core->name, mem->pa, mem->size);
			break;
		}
		memset(va, 0, mem->size);
		res = stm32_rproc_unmap(rproc_id, va, mem->size);
	}

	return res;
}

/* Address and size of a node, if all of it may be written to */
static TEE_Result get_reserved(const void *fdt, int node, struct rproc_mem *mem)
{
	int parent = fdt_path_offset(fdt, "/reserved-memory");

	if (parent < 0 || fdt_parent_offset(fdt, node) != parent ||
	    !fdt_getprop(fdt, node, "no-map", NULL))
		return TEE_ERROR_SECURITY;

	if (fdt_reg_info(fdt, node, &mem->pa, &mem->size))
		return TEE_ERROR_BAD_FORMAT;

	if (!mem->size || !IS_ALIGNED(mem->pa | mem->size, SMALL_PAGE_SIZE))
		return TEE_ERROR_SECURITY;

	if (fdt != get_embedded_dt() &&
	    !core_pbuf_is(CORE_MEM_NON_SEC, mem->pa, mem->size))
		return TEE_ERROR_SECURITY;

	return TEE_SUCCESS;
}

static bool is_taken(const struct rproc_mem *mem)
{
	size_t c = 0;
	size_t n = 0;

	for (c = 0; c < n_cores; c++)
		for (n = 0; n < cores[c].n_mems; n++)
			if (core_is_buffer_intersect(mem->pa, mem->size,
						     cores[c].mems[n].pa,
						     cores[c].mems[n].size))
				return true;

	return false;
}

static uint64_t read_cells(const fdt32_t *cell, int count)
{
	uint64_t value = 0;

	for (; count; count--)
		value = (value << 32) | fdt32_to_cpu(*cell++);

	return value;
}

/* The dma-ranges of the bus of the core */
static TEE_Result get_ranges(const void *fdt, int bus, struct rproc_core *core)
{
	int da_cells = fdt_address_cells(fdt, bus);
	int size_cells = fdt_size_cells(fdt, bus);
	int pa_cells = fdt_address_cells(fdt, fdt_parent_offset(fdt, bus));
	int cells = da_cells + pa_cells + size_cells;
	const fdt32_t *range = NULL;
	int len = 0;

	range = fdt_getprop(fdt, bus, "dma-ranges", &len);
	if (!range || da_cells < 1 || pa_cells < 1 || size_cells < 1)
		return TEE_ERROR_BAD_FORMAT;

	for (len /= sizeof(*range); len >= cells; len -= cells) {
		struct rproc_range *new = core->ranges + core->n_ranges;

		if (core->n_ranges++ == MAX_RANGES)
			return TEE_ERROR_BAD_FORMAT;
		new->da = read_cells(range, da_cells);
		new->pa = read_cells(range + da_cells, pa_cells);
		new->size = read_cells(range + da_cells + pa_cells, size_cells);
		range += cells;
	}

	return TEE_SUCCESS;
}

/* Device address of a memory: of several the first */
static TEE_Result get_da(struct rproc_core *core, struct rproc_mem *mem)
{
	size_t n = 0;

	for (n = 0; n < core->n_ranges; n++) {
		struct rproc_range *range = core->ranges + n;

		if (core_is_buffer_inside(mem->pa, mem->size, range->pa,
					  range->size)) {
			mem->da = range->da + (mem->pa - range->pa);
			return TEE_SUCCESS;
		}
	}

	return TEE_ERROR_ITEM_NOT_FOUND;
}

static TEE_Result get_mem(const void *fdt, struct rproc_core *core,
			  uint32_t phandle, struct rproc_mem *mem)
{
	int reserved = fdt_node_offset_by_phandle(fdt, phandle);
	TEE_Result res = get_reserved(fdt, reserved, mem);

	if (!res)
		res = get_da(core, mem);
	if (!res && is_taken(mem))
		res = TEE_ERROR_ACCESS_CONFLICT;
	if (res)
		return res;

	return rproc_firewall_probe(fdt, reserved, mem);
}

static TEE_Result get_mems(const void *fdt, int node, struct rproc_core *core)
{
	const fdt32_t *phandles = NULL;
	TEE_Result res = TEE_SUCCESS;
	int len = 0;

	phandles = fdt_getprop(fdt, node, "memory-region", &len);
	if (!phandles || !len || len > (int)(MAX_MEMS * sizeof(*phandles)))
		return TEE_ERROR_BAD_FORMAT;

	for (; len > 0; len -= sizeof(*phandles), phandles++) {
		struct rproc_mem *mem = core->mems + core->n_mems;

		mem->type = MEM_AREA_RAM_NSEC;
		res = get_mem(fdt, core, fdt32_to_cpu(*phandles), mem);
		if (res == TEE_ERROR_DEFER_DRIVER_INIT)
			return res;
		if (res) {
			EMSG("%s: memory-region %zu is refused: %#"PRIx32,
			     core->name, core->n_mems, res);
			return res;
		}
		core->n_mems++;
	}

	return TEE_SUCCESS;
}

/* "m33@0" is m33 */
static void get_name(const void *fdt, int node, struct rproc_core *core)
{
	const char *name = fdt_get_name(fdt, node, NULL);
	size_t n = 0;

	for (n = 0; n < MAX_NAME - 1 && name && name[n] && name[n] != '@'; n++)
		core->name[n] = name[n];
}

TEE_Result rproc_core_probe(const void *fdt, int node, struct rproc_core **out)
{
	struct rproc_core *core = cores + n_cores;
	TEE_Result res = TEE_SUCCESS;

	if (n_cores == MAX_CORES)
		return TEE_ERROR_OUT_OF_MEMORY;

	/* A refused core may have left something here */
	*core = (struct rproc_core){ };
	get_name(fdt, node, core);

	if (fdt_read_uint32(fdt, node, "st,proc-id", &core->id) ||
	    core->id >= RPROC_MAX_ID || rproc_core_find(core->id)) {
		EMSG("%s: no st,proc-id of its own below %u", core->name,
		     RPROC_MAX_ID);
		return TEE_ERROR_BAD_FORMAT;
	}

	res = get_ranges(fdt, fdt_parent_offset(fdt, node), core);
	if (!res)
		res = get_mems(fdt, node, core);
	if (res)
		return res;

	core->clear_at_stop = fdt_getprop(fdt, node, "mpbench,clear-at-stop",
					  NULL);
	n_cores++;
	*out = core;

	return TEE_SUCCESS;
}
