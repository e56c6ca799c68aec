// SPDX-License-Identifier: BSD-2-Clause
/*
 * What upstream's OP-TEE answers where STMicroelectronics' differs: a device
 * address is one of a memory of the core, RELEASE clears these, the M33 starts
 * where the first of them does.
 *
 * Ref: OP-TEE 4.10 core/pta/stm32mp/remoteproc_pta.c,
 *      core/drivers/remoteproc/stm32_remoteproc.c
 */

#include <drivers/stm32_remoteproc.h>
#include <kernel/tee_misc.h>
#include <mm/core_memprot.h>
#include <remoteproc_pta.h>
#include <trace.h>

#include "rproc_core.h"

TEE_Result stm32_rproc_da_to_pa(uint32_t rproc_id, paddr_t da, size_t size,
				paddr_t *pa)
{
	struct rproc_core *core = rproc_core_find(rproc_id);
	size_t n = 0;

	if (!core)
		return TEE_ERROR_BAD_PARAMETERS;

	for (n = 0; n < core->n_mems; n++) {
		struct rproc_mem *mem = core->mems + n;

		if (core_is_buffer_inside(da, size, mem->da, mem->size)) {
			*pa = mem->pa + da - mem->da;
			return TEE_SUCCESS;
		}
	}

	EMSG("%s: device address %#"PRIxPA" size %#zx is outside its memory",
	     core->name, da, size);

	return TEE_ERROR_ACCESS_DENIED;
}

TEE_Result rproc_invoke(uint32_t cmd_id, uint32_t pt,
			TEE_Param params[TEE_NUM_PARAMS])
{
	if (cmd_id != PTA_REMOTEPROC_RELEASE)
		return TEE_ERROR_NOT_IMPLEMENTED;
	if (pt != TEE_PARAM_TYPES(TEE_PARAM_TYPE_VALUE_INPUT,
				  TEE_PARAM_TYPE_NONE, TEE_PARAM_TYPE_NONE,
				  TEE_PARAM_TYPE_NONE))
		return TEE_ERROR_BAD_PARAMETERS;

	return stm32_rproc_clean_up_memories(params[0].value.a);
}

TEE_Result rproc_vectors(struct rproc_core *core, uint32_t *address)
{
	*address = core->mems[0].da;

	return TEE_SUCCESS;
}

/* Encrypted images are not known */
TEE_Result rproc_decrypt(void *segment __unused, size_t size __unused,
			 const uint8_t *iv __unused, size_t iv_size)
{
	return iv_size ? TEE_ERROR_NOT_SUPPORTED : TEE_SUCCESS;
}
