// SPDX-License-Identifier: BSD-2-Clause
/*
 * What STMicroelectronics' OP-TEE answers where upstream's differs, in place of
 * rproc_upstream.c: device addresses are translated by the bus, whose ranges have
 * aliases and more than the core's memory; the M33 starts where the image wants
 * it, an address that stays set until the core is stopped or cleaned; the whole of
 * a load is between two configurations of the firewall. A key for encrypted images
 * is what blank fuses have: none.
 *
 * Ref: OP-TEE 4.0.0-stm32mp-r2 core/pta/stm32mp/remoteproc_pta.c,
 *      core/drivers/remoteproc/stm32_remoteproc.c
 */

#include <drivers/stm32_remoteproc.h>
#include <kernel/panic.h>
#include <kernel/tee_misc.h>
#include <mm/core_memprot.h>
#include <string.h>
#include <trace.h>

#include "rproc_core.h"

/* Numbers of STMicroelectronics' lib/libutee/include/remoteproc_pta.h */
#define PTA_ST_TLV_PARAM	U(9)
#define PTA_ST_CLEAN		U(10)
#define PTA_ST_GET_MEM		U(11)
#define PTA_ST_RELEASE_MEM	U(12)

#define TLV_BOOTADDR		U(0x10001)
#define TLV_BOOTSEC		U(0x10002)

TEE_Result stm32_rproc_da_to_pa(uint32_t rproc_id, paddr_t da, size_t size,
				paddr_t *pa)
{
	struct rproc_core *core = rproc_core_find(rproc_id);
	size_t n = 0;

	if (!core)
		return TEE_ERROR_BAD_PARAMETERS;

	for (n = 0; n < core->n_ranges; n++) {
		struct rproc_range *range = core->ranges + n;

		if (core_is_buffer_inside(da, size, range->da, range->size)) {
			*pa = range->pa + da - range->da;
			return TEE_SUCCESS;
		}
	}

	return TEE_ERROR_ACCESS_DENIED;
}

static TEE_Result set_boot_address(struct rproc_core *core, const void *value)
{
	if (core->boot_address) {
		EMSG("Firmware boot address already set");
		return TEE_ERROR_GENERIC;
	}
	memcpy(&core->boot_address, value, sizeof(core->boot_address));

	return TEE_SUCCESS;
}

/* Whatever the value is */
static TEE_Result set_secure(struct rproc_core *core)
{
	if (core->is_secure) {
		EMSG("Firmware TrustZone already enabled");
		return TEE_ERROR_GENERIC;
	}
	core->is_secure = true;

	return TEE_SUCCESS;
}

static TEE_Result take_tlv(struct rproc_core *core, uint32_t type,
			   const void *value, size_t size)
{
	if (type != TLV_BOOTADDR && type != TLV_BOOTSEC)
		return TEE_ERROR_NOT_IMPLEMENTED;
	if (size != sizeof(uint32_t))
		return TEE_ERROR_CORRUPT_OBJECT;

	return type == TLV_BOOTADDR ? set_boot_address(core, value) :
				      set_secure(core);
}

static TEE_Result clean(struct rproc_core *core)
{
	TEE_Result res = rproc_core_open(core);

	if (res)
		return res;

	res = stm32_rproc_clean_up_memories(core->id);
	if (rproc_core_close(core))
		panic();
	core->boot_address = 0;
	core->is_secure = false;

	return res;
}

TEE_Result rproc_invoke(uint32_t cmd_id, uint32_t pt,
			TEE_Param params[TEE_NUM_PARAMS])
{
	const uint32_t tlv_pt = TEE_PARAM_TYPES(TEE_PARAM_TYPE_VALUE_INPUT,
						TEE_PARAM_TYPE_VALUE_INPUT,
						TEE_PARAM_TYPE_MEMREF_INPUT,
						TEE_PARAM_TYPE_NONE);
	const uint32_t id_pt = TEE_PARAM_TYPES(TEE_PARAM_TYPE_VALUE_INPUT,
					       TEE_PARAM_TYPE_NONE,
					       TEE_PARAM_TYPE_NONE,
					       TEE_PARAM_TYPE_NONE);
	struct rproc_core *core = rproc_core_find(params[0].value.a);

	if (pt != (cmd_id == PTA_ST_TLV_PARAM ? tlv_pt : id_pt) || !core)
		return TEE_ERROR_BAD_PARAMETERS;

	switch (cmd_id) {
	case PTA_ST_TLV_PARAM:
		return take_tlv(core, params[1].value.a,
				params[2].memref.buffer, params[2].memref.size);
	case PTA_ST_CLEAN:
		return clean(core);
	case PTA_ST_GET_MEM:
		return rproc_core_open(core);
	case PTA_ST_RELEASE_MEM:
		return rproc_core_close(core);
	default:
		return TEE_ERROR_NOT_IMPLEMENTED;
	}
}

/* What the core will see there is not looked at: it is not translated back */
TEE_Result rproc_vectors(struct rproc_core *core, uint32_t *address)
{
	TEE_Result res = TEE_ERROR_GENERIC;
	paddr_t pa = 0;

	if (!core->boot_address)
		return TEE_ERROR_GENERIC;

	res = stm32_rproc_da_to_pa(core->id, core->boot_address, sizeof(pa),
				   &pa);
	if (res)
		return res;
	if (!rproc_core_find_mem(core, pa, 1)) {
		EMSG("Invalid boot address");
		return TEE_ERROR_GENERIC;
	}
	*address = core->boot_address;

	return TEE_SUCCESS;
}

TEE_Result rproc_decrypt(void *segment __unused, size_t size __unused,
			 const uint8_t *iv __unused, size_t iv_size)
{
	if (!iv_size)
		return TEE_SUCCESS;

	EMSG("null encrypted key not supported");

	return TEE_ERROR_SECURITY;
}
