// SPDX-License-Identifier: BSD-2-Clause
/*
 * The Cortex-M4 of an STM32MP15 behind the remoteproc PTA of this folder, in place
 * of the platform's own driver: for answers that differ from upstream's. It starts
 * at 0, where it sees RETRAM, whatever boot address an image asks for.
 *
 * Ref: OP-TEE 4.0.0-stm32mp-r2 core/drivers/remoteproc/stm32_remoteproc.c, of
 *      which resets and their order are those of OP-TEE 4.10
 */

#include <config.h>
#include <drivers/rstctrl.h>
#include <drivers/stm32_remoteproc.h>
#include <drivers/stm32mp1_rcc.h>
#include <kernel/dt_driver.h>
#include <kernel/panic.h>
#include <platform_config.h>
#include <stm32_util.h>
#include <trace.h>

#include "rproc_core.h"

#define RESET_TIMEOUT_US	U(1000)

static struct rstctrl *mcu_rst;
static struct rstctrl *hold_boot;

static TEE_Result hold(void)
{
	TEE_Result res = rstctrl_assert_to(hold_boot, RESET_TIMEOUT_US);

	if (res)
		return res;

	return rstctrl_assert_to(mcu_rst, RESET_TIMEOUT_US);
}

/* Held again at once, so that a crash does not start it anew */
TEE_Result stm32_rproc_start(uint32_t rproc_id)
{
	TEE_Result res = TEE_ERROR_GENERIC;

	if (!rproc_core_find(rproc_id))
		return TEE_ERROR_GENERIC;

	res = rstctrl_deassert_to(hold_boot, RESET_TIMEOUT_US);
	if (res)
		return res;

	return rstctrl_assert_to(hold_boot, RESET_TIMEOUT_US);
}

TEE_Result stm32_rproc_stop(uint32_t rproc_id)
{
	struct rproc_core *core = rproc_core_find(rproc_id);
	TEE_Result res = TEE_ERROR_GENERIC;

	if (!core)
		return TEE_ERROR_BAD_PARAMETERS;

	res = hold();
	if (res)
		return res;
	core->boot_address = 0;
	core->is_secure = false;

	return TEE_SUCCESS;
}

/* Where RCC is not the secure world's, Linux can start and stop the core as well */
static void protect_resets(void)
{
	if (stm32_rcc_is_secure()) {
		stm32_rcc_set_mckprot(true);
		return;
	}
	if (!IS_ENABLED(CFG_INSECURE))
		panic("RCC secure hardening issue");
	IMSG("WARNING: insecure rproc support regarding RCC hardening");
}

/*
 * ETZPC's driver compares with the upper alias of MCUSRAM. It translates by itself
 * only in a build with pager: stm32mp1_pa_or_sram_alias_pa() in plat-stm32mp1/main.c.
 */
paddr_t rproc_board_firewall_pa(paddr_t pa)
{
	if (pa >= SRAM1_ALT_BASE && pa < SRAM4_ALT_BASE + SRAM4_SIZE)
		return pa - SRAM1_ALT_BASE + SRAM1_BASE;

	return pa;
}

static TEE_Result probe(const void *fdt, int node,
			const void *compat_data __unused)
{
	struct rproc_core *core = NULL;
	TEE_Result res = rstctrl_dt_get_by_name(fdt, node, "mcu_rst", &mcu_rst);

	if (!res)
		res = rstctrl_dt_get_by_name(fdt, node, "hold_boot",
					     &hold_boot);
	if (!res)
		res = rproc_core_probe(fdt, node, &core);
	if (!res)
		res = hold();
	if (res)
		return res;
	protect_resets();
	IMSG("%s: processor %"PRIu32, core->name, core->id);

	return TEE_SUCCESS;
}

static const struct dt_device_match stm32mp1_rproc_match[] = {
	{ .compatible = "st,stm32mp1-m4-tee" },
	{ }
};

DEFINE_DT_DRIVER(stm32mp1_rproc_driver) = {
	.name = "mpbench-stm32mp1-rproc",
	.match_table = stm32mp1_rproc_match,
	.probe = probe,
};
