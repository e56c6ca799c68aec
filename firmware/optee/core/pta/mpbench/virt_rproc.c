// SPDX-License-Identifier: BSD-2-Clause
/*
 * The virtual board behind a remoteproc PTA, on QEMU's machine "virt": a control
 * page through which an emulator outside of the machine is told to release a
 * core or to hold it in reset.
 *
 * Everything comes from the external device tree, once, at boot:
 *  - /reserved-memory/<node> "mpbench,virt-rproc-control": the control page;
 *  - a node per core, see virt_rproc_compatibles and rproc_core.h.
 */

#include <arm.h>
#include <drivers/stm32_remoteproc.h>
#include <initcall.h>
#include <io.h>
#include <kernel/delay.h>
#include <kernel/dt.h>
#include <libfdt.h>
#include <mm/core_memprot.h>
#include <mm/core_mmu.h>
#include <trace.h>
#include <util.h>

#include "rproc_core.h"

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

static const char *const virt_rproc_compatibles[] = {
	"mpbench,virt-m4-tee",
	"mpbench,virt-m33-tee",
	"mpbench,virt-m0-tee",
};

/* The emulator sets it before it executes, and takes it back afterwards */
static bool is_acknowledged(struct rproc_core *core)
{
	return io_read32(core->slot + SLOT_ACK);
}

TEE_Result rproc_board_probe_mem(const void *fdt __unused, int node __unused,
				 struct rproc_mem *mem __unused)
{
	return TEE_SUCCESS;
}

TEE_Result rproc_board_open_mem(struct rproc_core *core,
				struct rproc_mem *mem __unused)
{
	if (is_acknowledged(core)) {
		EMSG("%s: still executing, its memory isn't touched",
		     core->name);
		return TEE_ERROR_BUSY;
	}

	return TEE_SUCCESS;
}

TEE_Result rproc_board_close_mem(struct rproc_core *core __unused,
				 struct rproc_mem *mem __unused)
{
	return TEE_SUCCESS;
}

/*
 * Hold the core in reset. Only once the emulator has taken its acknowledge back
 * the core executes nothing any more, and its memory may be cleared or loaded.
 */
static TEE_Result hold(struct rproc_core *core)
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
	struct rproc_core *core = rproc_core_find(rproc_id);
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
	struct rproc_core *core = rproc_core_find(rproc_id);
	TEE_Result res = TEE_SUCCESS;

	if (!core)
		return TEE_ERROR_BAD_PARAMETERS;

	res = hold(core);
	if (!res && core->clear_at_stop)
		res = stm32_rproc_clean_up_memories(rproc_id);

	return res;
}

static TEE_Result probe(const void *fdt, int node, vaddr_t page)
{
	struct rproc_core *core = NULL;
	TEE_Result res = rproc_core_probe(fdt, node, &core);

	if (res)
		return res;

	core->slot = page + core->id * SLOT_SIZE;
	IMSG("%s: processor %"PRIu32", memory not protected by a firewall",
	     core->name, core->id);

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
	if (node < 0 || fdt_reg_info(fdt, node, &pa, &size) ||
	    !fdt_getprop(fdt, node, "no-map", NULL) ||
	    !core_pbuf_is(CORE_MEM_NON_SEC, pa, size) ||
	    size < (RPROC_MAX_ID + 1) * SLOT_SIZE)
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

	for (n = 0; n < RPROC_MAX_ID; n++)
		io_write32(page + n * SLOT_SIZE + SLOT_RUN, 0);

	for (n = 0; n < ARRAY_SIZE(virt_rproc_compatibles); n++) {
		const char *compatible = virt_rproc_compatibles[n];
		int node = fdt_node_offset_by_compatible(fdt, -1, compatible);

		if (node >= 0)
			probe(fdt, node, page);
	}

	return virt_firewall_init(fdt, page + RPROC_MAX_ID * SLOT_SIZE);
}

driver_init(virt_rproc_init);
