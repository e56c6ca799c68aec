// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a firewall does to a board whose co-processor reaches for something that
 * is not its own: on an STM32MP2 the IAC raises an interrupt, and OP-TEE prints
 * the number of the exception and panics. Here the emulator of the cores writes
 * that number into the control page and raises the interrupt.
 *
 * Device tree: a node "mpbench,virt-firewall" with "interrupts". Without one
 * nothing is set up.
 *
 * Lines as those of core/drivers/firewall/stm32_iac.c, stm32_iac_itr().
 */

#include <io.h>
#include <kernel/dt.h>
#include <kernel/interrupt.h>
#include <kernel/panic.h>
#include <keep.h>
#include <libfdt.h>
#include <trace.h>

#include "rproc_core.h"

#define GIC_SPI_BASE		U(32)
#define IDS_PER_REGISTER	U(32)

static vaddr_t exception_word;

static enum itr_return refused(struct itr_handler *h __unused)
{
	uint32_t id = io_read32(exception_word);
	uint32_t first = id - id % IDS_PER_REGISTER;

	EMSG("IAC exceptions [%"PRIu32":%"PRIu32"]: %#"PRIx32,
	     first + IDS_PER_REGISTER - 1, first, BIT32(id - first));
	EMSG("IAC exception ID: %"PRIu32, id);
	panic();

	return ITRR_HANDLED;
}

static struct itr_handler handler = {
	.flags = ITRF_TRIGGER_LEVEL,
	.handler = refused,
};
DECLARE_KEEP_PAGER(handler);

TEE_Result virt_firewall_init(const void *fdt, vaddr_t word)
{
	const fdt32_t *cells = NULL;
	TEE_Result res = TEE_SUCCESS;
	int len = 0;
	int node = fdt_node_offset_by_compatible(fdt, -1,
						 "mpbench,virt-firewall");

	if (node < 0)
		return TEE_SUCCESS;

	/* Type (0: shared), number, flags */
	cells = fdt_getprop(fdt, node, "interrupts", &len);
	if (!cells || len != 3 * (int)sizeof(*cells))
		return TEE_ERROR_BAD_FORMAT;

	io_write32(word, 0);
	exception_word = word;
	handler.it = GIC_SPI_BASE + fdt32_to_cpu(cells[1]);
	res = interrupt_add_handler_with_chip(interrupt_get_main_chip(),
					      &handler);
	if (res)
		return res;
	interrupt_enable(handler.chip, handler.it);
	IMSG("Refused accesses of the co-processors are reported");

	return TEE_SUCCESS;
}
