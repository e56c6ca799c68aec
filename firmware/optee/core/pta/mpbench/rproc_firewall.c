// SPDX-License-Identifier: BSD-2-Clause
/*
 * The firewall in front of a core's memory, which has the properties that
 * STMicroelectronics' OP-TEE 4.0 wants in the device tree:
 * "access-controllers-conf-default" and "access-controllers-conf-load", a
 * configuration of the firewall each, while the memory is the core's and while
 * OP-TEE writes to it. Memory without them is open to everybody.
 *
 * Ref: OP-TEE 4.0.0-stm32mp-r2 core/drivers/remoteproc/stm32_remoteproc.c
 */

#include <drivers/firewall.h>
#include <kernel/dt_driver.h>

#include "rproc_core.h"

static TEE_Result get_query(const void *fdt, int node, const char *property,
			    struct firewall_query **query)
{
	return dt_driver_device_from_node_idx_prop(property, fdt, node, 0,
						   DT_DRIVER_FIREWALL, query);
}

TEE_Result rproc_firewall_probe(const void *fdt, int node,
				struct rproc_mem *mem)
{
	TEE_Result res = get_query(fdt, node, "access-controllers-conf-load",
				   &mem->loading);

	if (res == TEE_ERROR_ITEM_NOT_FOUND)
		return TEE_SUCCESS;
	if (res)
		return res;

	mem->type = MEM_AREA_RAM_SEC;
	res = get_query(fdt, node, "access-controllers-conf-default",
			&mem->running);
	if (res)
		firewall_put(mem->loading);

	return res;
}

static TEE_Result configure(struct rproc_mem *mem, struct firewall_query *query)
{
	if (!query)
		return TEE_SUCCESS;

	return firewall_set_memory_configuration(query,
						 rproc_board_firewall_pa(mem->pa),
						 mem->size);
}

TEE_Result rproc_firewall_open(struct rproc_mem *mem)
{
	return configure(mem, mem->loading);
}

TEE_Result rproc_firewall_close(struct rproc_mem *mem)
{
	return configure(mem, mem->running);
}
