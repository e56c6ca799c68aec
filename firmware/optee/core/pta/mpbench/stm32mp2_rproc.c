// SPDX-License-Identifier: BSD-2-Clause
/*
 * The cores of an STM32MP25 behind the remoteproc PTA: reset and boot address of
 * the Cortex-M33 and the Cortex-M0+, and the firewall in front of their memory.
 *
 * Registers and their order are those of STMicroelectronics' OP-TEE 4.0
 * (core/drivers/remoteproc/stm32_remoteproc.c, core/pta/stm32mp), which loads the
 * M33; its memory has the same properties in the device tree, see rproc_firewall.c.
 * Differences:
 *  - each access of OP-TEE is between the two, not the loading of a whole image,
 *    unless STMicroelectronics' answers are built;
 *  - "access-controllers" of a core lists peripherals that it is given;
 *  - the M33 is started without its secure world, unless these are built;
 *  - the M0+, which STMicroelectronics' OP-TEE does not load. Its vectors are at
 *    0, where it sees the start of LPSRAM1.
 *
 * Ref: RM0457: RCC_CPUBOOTCR, C2RSTCSETR, C3CFGR, IWDG5CFGR; CA35SS
 */

#include <drivers/firewall.h>
#include <drivers/stm32_remoteproc.h>
#include <drivers/stm32_shared_io.h>
#include <drivers/stm32mp25_rcc.h>
#include <io.h>
#include <kernel/delay.h>
#include <kernel/dt_driver.h>
#include <stm32_sysconf.h>
#include <stm32_util.h>
#include <trace.h>

#include "rproc_core.h"

/* A core that cannot be reached by its reset is broken hardware */
#define RESET_TIMEOUT_US	U(1000000)

#define M33_ID			U(1)

static vaddr_t rcc(uint32_t offset)
{
	return stm32_rcc_base() + offset;
}

static TEE_Result wait_for(vaddr_t address, uint32_t mask, uint32_t wanted)
{
	uint32_t value = 0;

	if (IO_READ32_POLL_TIMEOUT(address, value, (value & mask) == wanted, 0,
				   RESET_TIMEOUT_US))
		return TEE_ERROR_TIMEOUT;

	return TEE_SUCCESS;
}

/* The bit of a reset clears itself once the core has taken it */
static TEE_Result m33_hold(void)
{
	TEE_Result res = TEE_ERROR_GENERIC;

	io_clrbits32_stm32shregs(rcc(RCC_CPUBOOTCR), RCC_CPUBOOTCR_BOOT_CPU2);
	io_write32(rcc(RCC_C2RSTCSETR), RCC_C2RSTCSETR_C2RST);
	res = wait_for(rcc(RCC_C2RSTCSETR), RCC_C2RSTCSETR_C2RST, 0);
	stm32mp_syscfg_write(CA35SS_SYSCFG_M33_TZEN_CR, 0,
			     CA35SS_SYSCFG_M33_TZEN_CR_CFG_SECEXT);

	return res;
}

/* Held again at once, so that a crash does not start it anew */
static TEE_Result m33_release(struct rproc_core *core)
{
	TEE_Result res = TEE_ERROR_GENERIC;
	uint32_t vectors = 0;

	res = rproc_vectors(core, &vectors);
	if (res)
		return res;

	if (core->is_secure) {
		stm32mp_syscfg_write(CA35SS_SYSCFG_M33_INITSVTOR_CR, vectors,
				     UINT32_MAX);
		stm32mp_syscfg_write(CA35SS_SYSCFG_M33_TZEN_CR,
				     CA35SS_SYSCFG_M33_TZEN_CR_CFG_SECEXT,
				     CA35SS_SYSCFG_M33_TZEN_CR_CFG_SECEXT);
	} else {
		stm32mp_syscfg_write(CA35SS_SYSCFG_M33_INITNSVTOR_CR, vectors,
				     UINT32_MAX);
	}
	io_setbits32_stm32shregs(rcc(RCC_CPUBOOTCR), RCC_CPUBOOTCR_BOOT_CPU2);
	res = wait_for(rcc(RCC_CPUBOOTCR), RCC_CPUBOOTCR_BOOT_CPU2,
		       RCC_CPUBOOTCR_BOOT_CPU2);
	io_clrbits32_stm32shregs(rcc(RCC_CPUBOOTCR), RCC_CPUBOOTCR_BOOT_CPU2);

	return res;
}

static TEE_Result m0_hold(void)
{
	io_setbits32_stm32shregs(rcc(RCC_C3CFGR), RCC_C3CFGR_C3RST);

	return wait_for(rcc(RCC_C3CFGR), RCC_C3CFGR_C3RST, RCC_C3CFGR_C3RST);
}

/* RCC is not in the core's address space: the clock of its watchdog as well */
static TEE_Result m0_release(void)
{
	io_setbits32_stm32shregs(rcc(RCC_IWDG5CFGR), RCC_IWDG5CFGR_IWDG5EN);
	io_setbits32_stm32shregs(rcc(RCC_C3CFGR), RCC_C3CFGR_C3EN);
	io_clrbits32_stm32shregs(rcc(RCC_C3CFGR), RCC_C3CFGR_C3RST);

	return TEE_SUCCESS;
}

static TEE_Result hold(struct rproc_core *core)
{
	TEE_Result res = core->id == M33_ID ? m33_hold() : m0_hold();

	if (res)
		EMSG("%s: does not take a reset", core->name);

	return res;
}

TEE_Result stm32_rproc_start(uint32_t rproc_id)
{
	struct rproc_core *core = rproc_core_find(rproc_id);

	if (!core)
		return TEE_ERROR_BAD_PARAMETERS;

	return core->id == M33_ID ? m33_release(core) : m0_release();
}

TEE_Result stm32_rproc_stop(uint32_t rproc_id)
{
	struct rproc_core *core = rproc_core_find(rproc_id);
	TEE_Result res = TEE_SUCCESS;

	if (!core)
		return TEE_ERROR_BAD_PARAMETERS;

	res = hold(core);
	core->boot_address = 0;
	core->is_secure = false;
	if (!res && core->clear_at_stop)
		res = stm32_rproc_clean_up_memories(rproc_id);

	return res;
}

paddr_t rproc_board_firewall_pa(paddr_t pa)
{
	return pa;
}

/* Peripherals that the core is given */
static TEE_Result give_peripherals(const void *fdt, int node)
{
	struct firewall_query *query = NULL;
	TEE_Result res = TEE_SUCCESS;
	uint32_t n = 0;

	for (n = 0; !res; n++) {
		res = firewall_dt_get_by_index(fdt, node, n, &query);
		if (res)
			break;
		res = firewall_set_configuration(query);
		firewall_put(query);
	}

	return res == TEE_ERROR_ITEM_NOT_FOUND ? TEE_SUCCESS : res;
}

static TEE_Result probe(const void *fdt, int node,
			const void *compat_data __unused)
{
	struct rproc_core *core = NULL;
	TEE_Result res = give_peripherals(fdt, node);

	if (!res)
		res = rproc_core_probe(fdt, node, &core);
	if (res)
		return res;

	if (core->id == M33_ID)
		stm32mp_syscfg_write(CA35SS_SYSCFG_M33_ACCESS_CR,
				     CA35SS_SYSCFG_M33_ACCESS_CR_SEC |
				     CA35SS_SYSCFG_M33_ACCESS_CR_PRIV,
				     CA35SS_SYSCFG_M33_ACCESS_CR_SEC |
				     CA35SS_SYSCFG_M33_ACCESS_CR_PRIV);
	IMSG("%s: processor %"PRIu32, core->name, core->id);

	return hold(core);
}

static const struct dt_device_match stm32mp2_rproc_match[] = {
	{ .compatible = "st,stm32mp2-m33-tee" },
	{ .compatible = "st,stm32mp2-m0-tee" },
	{ }
};

DEFINE_DT_DRIVER(stm32mp2_rproc_driver) = {
	.name = "mpbench-stm32mp2-rproc",
	.match_table = stm32mp2_rproc_match,
	.probe = probe,
};
