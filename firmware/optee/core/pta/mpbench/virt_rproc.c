// SPDX-License-Identifier: BSD-2-Clause
/*
 * The virtual board behind a remoteproc PTA: memory of the co-processors and
 * the control page through which an emulator outside of the machine is told to
 * release a core or to hold it in reset.
 *
 * It offers the interface of drivers/stm32_remoteproc.h, so that it carries the
 * PTA of this folder (state per core) as well as upstream's own STM32 PTA.
 *
 * Everything comes from the external device tree, once, at boot:
 *  - /reserved-memory/<node> "mpbench,virt-rproc-control": the control page;
 *  - a node per core, see virt_rproc_compatibles: "st,proc-id",
 *    "memory-region" and "dma-ranges" of its parent bus (device address to
 *    physical address, as drivers/remoteproc/stm32_remoteproc.c reads it);
 *    "mpbench,clear-at-stop" if all its memory is to be cleared then, as
 *    STMicroelectronics' OP-TEE does.
 * Nothing that is not a "no-map" child of /reserved-memory is ever written to:
 * a region that only names live memory of Linux would be zeroed by RELEASE.
 */

#include <arm.h>
#include <drivers/stm32_remoteproc.h>
#include <initcall.h>
#include <io.h>
#include <kernel/cache_helpers.h>
#include <kernel/delay.h>
#include <kernel/dt.h>
#include <kernel/tee_misc.h>
#include <libfdt.h>
#include <mm/core_memprot.h>
#include <mm/core_mmu.h>
#include <string.h>
#include <trace.h>
#include <util.h>

#include "virt_rproc.h"

/* Control page: one slot for each processor id */
#define SLOT_SIZE		U(0x100)
#define SLOT_RUN		U(0x00)
#define SLOT_VECTOR_DA		U(0x04)
#define SLOT_GENERATION		U(0x08)
#define SLOT_ACK		U(0x0c)
#define SLOT_EMULATOR_BEAT	U(0x10)

/* The emulator looks at its slots every few milliseconds */
#define STOP_TIMEOUT_US		U(1000000)
#define STOP_POLL_US		U(50)

#define MAX_CORES		3
#define MAX_MEMS		4
#define MAX_NAME		8

/*
 * struct virt_rproc_mem - memory of a core
 * @pa: address on the bus of the board
 * @da: address that the core uses
 * @size: its size, which is the size of the reserved memory
 */
struct virt_rproc_mem {
	paddr_t pa;
	paddr_t da;
	size_t size;
};

struct virt_rproc {
	uint32_t id;
	char name[MAX_NAME];
	vaddr_t slot;
	bool clear_at_stop;
	size_t n_mems;
	struct virt_rproc_mem mems[MAX_MEMS];
};

static const char *const virt_rproc_compatibles[] = {
	"mpbench,virt-m4-tee",
	"mpbench,virt-m33-tee",
	"mpbench,virt-m0-tee",
};

static struct virt_rproc cores[MAX_CORES];
static size_t n_cores;

static struct virt_rproc *find_core(uint32_t id)
{
	size_t n = 0;

	for (n = 0; n < n_cores; n++)
		if (cores[n].id == id)
			return cores + n;

	return NULL;
}

void *stm32_rproc_get(uint32_t rproc_id)
{
	return find_core(rproc_id);
}

TEE_Result stm32_rproc_da_to_pa(uint32_t rproc_id, paddr_t da, size_t size,
				paddr_t *pa)
{
	struct virt_rproc *core = find_core(rproc_id);
	size_t n = 0;

	if (!core)
		return TEE_ERROR_BAD_PARAMETERS;

	for (n = 0; n < core->n_mems; n++) {
		struct virt_rproc_mem *mem = core->mems + n;

		if (core_is_buffer_inside(da, size, mem->da, mem->size)) {
			*pa = mem->pa + da - mem->da;
			return TEE_SUCCESS;
		}
	}

	EMSG("%s: device address %#"PRIxPA" size %#zx is outside its memory",
	     core->name, da, size);

	return TEE_ERROR_ACCESS_DENIED;
}

/* The emulator sets it before it executes, and takes it back afterwards */
static bool is_acknowledged(struct virt_rproc *core)
{
	return io_read32(core->slot + SLOT_ACK);
}

static bool is_memory_of(struct virt_rproc *core, paddr_t pa, size_t size)
{
	size_t n = 0;

	for (n = 0; n < core->n_mems; n++)
		if (core_is_buffer_inside(pa, size, core->mems[n].pa,
					  core->mems[n].size))
			return true;

	return false;
}

TEE_Result stm32_rproc_map(uint32_t rproc_id, paddr_t pa, size_t size,
			   void **va)
{
	struct virt_rproc *core = find_core(rproc_id);

	if (!core)
		return TEE_ERROR_BAD_PARAMETERS;
	if (!is_memory_of(core, pa, size))
		return TEE_ERROR_ACCESS_DENIED;

	if (is_acknowledged(core)) {
		EMSG("%s: still executing, its memory isn't touched",
		     core->name);
		return TEE_ERROR_BUSY;
	}

	*va = core_mmu_add_mapping(MEM_AREA_RAM_NSEC, pa, size);
	if (!*va)
		return TEE_ERROR_GENERIC;

	return TEE_SUCCESS;
}

TEE_Result stm32_rproc_unmap(uint32_t rproc_id, void *va, size_t size)
{
	struct virt_rproc *core = find_core(rproc_id);
	paddr_t pa = virt_to_phys(va);

	if (!core || !pa)
		return TEE_ERROR_BAD_PARAMETERS;
	if (!is_memory_of(core, pa, size))
		return TEE_ERROR_ACCESS_DENIED;

	dcache_clean_range(va, size);

	return core_mmu_remove_mapping(MEM_AREA_RAM_NSEC, va, size);
}

TEE_Result stm32_rproc_clean_up_memories(uint32_t rproc_id)
{
	struct virt_rproc *core = find_core(rproc_id);
	TEE_Result res = TEE_SUCCESS;
	size_t n = 0;

	if (!core)
		return TEE_ERROR_BAD_PARAMETERS;

	for (n = 0; n < core->n_mems && !res; n++) {
		struct virt_rproc_mem *mem = core->mems + n;
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

/*
 * Hold the core in reset. Only once the emulator has taken its acknowledge back
 * the core executes nothing any more, and its memory may be cleared or loaded.
 */
static TEE_Result hold(struct virt_rproc *core)
{
	uint64_t timeout = timeout_init_us(STOP_TIMEOUT_US);
	uint32_t beat = io_read32(core->slot + SLOT_EMULATOR_BEAT);

	io_write32(core->slot + SLOT_RUN, 0);
	dsb();

	while (is_acknowledged(core)) {
		if (timeout_elapsed(timeout)) {
			beat = io_read32(core->slot + SLOT_EMULATOR_BEAT) - beat;
			EMSG("%s: stop not acknowledged in %u ms (emulator %s)",
			     core->name, STOP_TIMEOUT_US / 1000,
			     beat ? "alive" : "silent");
			return TEE_ERROR_TIMEOUT;
		}
		udelay(STOP_POLL_US);
	}

	return TEE_SUCCESS;
}

TEE_Result stm32_rproc_start(uint32_t rproc_id)
{
	struct virt_rproc *core = find_core(rproc_id);
	uint32_t generation = 0;

	if (!core)
		return TEE_ERROR_BAD_PARAMETERS;

	generation = io_read32(core->slot + SLOT_GENERATION) + 1;
	io_write32(core->slot + SLOT_VECTOR_DA, core->mems[0].da);
	io_write32(core->slot + SLOT_GENERATION, generation);
	dsb();
	io_write32(core->slot + SLOT_RUN, 1);

	return TEE_SUCCESS;
}

TEE_Result stm32_rproc_stop(uint32_t rproc_id)
{
	struct virt_rproc *core = find_core(rproc_id);
	TEE_Result res = TEE_SUCCESS;

	if (!core)
		return TEE_ERROR_BAD_PARAMETERS;

	res = hold(core);
	if (!res && core->clear_at_stop)
		res = stm32_rproc_clean_up_memories(rproc_id);

	return res;
}

/* Address and size of a node, if all of it may be written to */
static TEE_Result get_reserved(const void *fdt, int node, paddr_t *pa,
			       size_t *size)
{
	int parent = fdt_path_offset(fdt, "/reserved-memory");

	if (parent < 0 || fdt_parent_offset(fdt, node) != parent ||
	    !fdt_getprop(fdt, node, "no-map", NULL))
		return TEE_ERROR_SECURITY;

	if (fdt_reg_info(fdt, node, pa, size))
		return TEE_ERROR_BAD_FORMAT;

	if (!*size || !IS_ALIGNED(*pa | *size, SMALL_PAGE_SIZE) ||
	    !core_pbuf_is(CORE_MEM_NON_SEC, *pa, *size))
		return TEE_ERROR_SECURITY;

	return TEE_SUCCESS;
}

static bool is_taken(paddr_t pa, size_t size)
{
	size_t c = 0;
	size_t n = 0;

	for (c = 0; c < n_cores; c++)
		for (n = 0; n < cores[c].n_mems; n++)
			if (core_is_buffer_intersect(pa, size,
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

/* Device address of a region, from the dma-ranges of the bus of the core */
static TEE_Result get_da(const void *fdt, int bus, struct virt_rproc_mem *mem)
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
		paddr_t da = read_cells(range, da_cells);
		paddr_t pa = read_cells(range + da_cells, pa_cells);
		size_t size = read_cells(range + da_cells + pa_cells,
					 size_cells);

		if (core_is_buffer_inside(mem->pa, mem->size, pa, size)) {
			mem->da = da + (mem->pa - pa);
			return TEE_SUCCESS;
		}
		range += cells;
	}

	return TEE_ERROR_ITEM_NOT_FOUND;
}

static TEE_Result get_mems(const void *fdt, int node, struct virt_rproc *core)
{
	const fdt32_t *phandles = NULL;
	TEE_Result res = TEE_SUCCESS;
	int len = 0;

	phandles = fdt_getprop(fdt, node, "memory-region", &len);
	if (!phandles || !len || len > (int)(MAX_MEMS * sizeof(*phandles)))
		return TEE_ERROR_BAD_FORMAT;

	for (; len > 0; len -= sizeof(*phandles), phandles++) {
		struct virt_rproc_mem *mem = core->mems + core->n_mems;
		uint32_t phandle = fdt32_to_cpu(*phandles);

		res = get_reserved(fdt,
				   fdt_node_offset_by_phandle(fdt, phandle),
				   &mem->pa, &mem->size);
		if (!res)
			res = get_da(fdt, fdt_parent_offset(fdt, node), mem);
		if (!res && is_taken(mem->pa, mem->size))
			res = TEE_ERROR_ACCESS_CONFLICT;
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
static void get_name(const void *fdt, int node, struct virt_rproc *core)
{
	const char *name = fdt_get_name(fdt, node, NULL);
	size_t n = 0;

	for (n = 0; n < MAX_NAME - 1 && name && name[n] && name[n] != '@'; n++)
		core->name[n] = name[n];
}

static TEE_Result probe(const void *fdt, int node, vaddr_t page)
{
	struct virt_rproc *core = cores + n_cores;
	TEE_Result res = TEE_SUCCESS;

	/* A refused core may have left something here */
	*core = (struct virt_rproc){ };
	get_name(fdt, node, core);

	if (fdt_read_uint32(fdt, node, "st,proc-id", &core->id) ||
	    core->id >= VIRT_RPROC_MAX_ID || find_core(core->id)) {
		EMSG("%s: no st,proc-id of its own below %u", core->name,
		     VIRT_RPROC_MAX_ID);
		return TEE_ERROR_BAD_FORMAT;
	}

	res = get_mems(fdt, node, core);
	if (res)
		return res;

	core->slot = page + core->id * SLOT_SIZE;
	core->clear_at_stop = fdt_getprop(fdt, node, "mpbench,clear-at-stop",
					  NULL);
	IMSG("%s: processor %"PRIu32", memory not protected by a firewall",
	     core->name, core->id);
	n_cores++;

	/* The memory outlives a reboot of this machine: so may a running core */
	return hold(core);
}

static vaddr_t map_control_page(const void *fdt)
{
	int node = fdt_node_offset_by_compatible(fdt, -1,
						 "mpbench,virt-rproc-control");
	paddr_t pa = 0;
	size_t size = 0;

	/* A slot for each core, and one for the firewall */
	if (node < 0 || get_reserved(fdt, node, &pa, &size) ||
	    size < (VIRT_RPROC_MAX_ID + 1) * SLOT_SIZE)
		return 0;

	return (vaddr_t)core_mmu_add_mapping(MEM_AREA_IO_NSEC, pa, size);
}

static TEE_Result virt_rproc_init(void)
{
	const void *fdt = get_external_dt();
	vaddr_t page = 0;
	size_t n = 0;

	if (fdt)
		page = map_control_page(fdt);
	if (!page) {
		EMSG("No control page in the device tree: no co-processors");
		return TEE_SUCCESS;
	}

	for (n = 0; n < VIRT_RPROC_MAX_ID; n++)
		io_write32(page + n * SLOT_SIZE + SLOT_RUN, 0);

	for (n = 0; n < ARRAY_SIZE(virt_rproc_compatibles); n++) {
		const char *compatible = virt_rproc_compatibles[n];
		int node = fdt_node_offset_by_compatible(fdt, -1, compatible);

		if (node >= 0)
			probe(fdt, node, page);
	}

	return virt_firewall_init(fdt, page + VIRT_RPROC_MAX_ID * SLOT_SIZE);
}

driver_init(virt_rproc_init);
