// SPDX-License-Identifier: MIT
/* The platform of ST's TA: ST's own PTA and driver, unmodified, as one translation unit. */
#include "core.h"
#include <remoteproc_pta.c>
#include <stm32_remoteproc.c>

void platform_configure(void)
{
	SLIST_INIT(&rproc_list);
	for (uint32_t i = 0; i < board->count; i++) {
		const char *wanted = board->core[i].id ? "st,stm32mp2-m33-tee" : "st,stm32mp1-m4-tee";
		const struct dt_device_match *match = stm32_rproc_match_table;

		while (match->compatible && strcmp(match->compatible, wanted))
			match++;
		if (!match->compatible || stm32_rproc_probe(board, i, match->compat_data))
			abort();
	}
}

void platform_begin(void)
{
	struct stm32_rproc_instance *rproc = NULL;

	rproc_ta_state = REMOTEPROC_OFF;
	SLIST_FOREACH(rproc, &rproc_list, link) {
		rproc->boot_addr = 0;
		rproc->tzen = false;
		rproc->m_get_cnt = 0;
	}
}

TEE_Result platform_open(uint32_t types, TEE_Param params[4])
{
	return rproc_pta_open_session(types, params, NULL);
}

/* A segment's hash, then its initialisation vector if it is encrypted. */
static void put_load(TEE_Param params[4], TEE_Result res)
{
	uint8_t known[48];
	uint32_t size = 32, algorithm = 0;
#ifdef PTA_RPROC_LOAD_SEGMENT
	const struct rproc_pta_seg_info *info = params[3].memref.buffer;

	memcpy(known, info->hash, 32);
	algorithm = info->enc_algo;
	if (algorithm) {
		memcpy(known + 32, info->iv, 16);
		size = 48;
	}
#else
	memcpy(known, params[3].memref.buffer, 32);
#endif
	put_call(3, params[0].value.a, params[2].value.a, params[1].memref.size,
		 (const uint8_t *)params[1].memref.buffer - image, algorithm, res);
	put_bytes(known, size);
}

TEE_Result platform_invoke(uint32_t command, uint32_t types, TEE_Param params[4])
{
	uint32_t id = params[0].value.a;
	TEE_Result res = command == board->fault_command ? board->fault_result :
							   rproc_pta_invoke_command(NULL, command, types, params);

	if (command == PTA_RPROC_VERIFY_DIGEST)
		put_verify(params, res);
	else if (command == 3)
		put_load(params, res);
	else if (command == PTA_RPROC_SET_MEMORY || command == PTA_RPROC_FIRMWARE_DA_TO_PA)
		put_call(command, id, params[1].value.a, params[2].value.a, 0, 0, res);
	else if (command == PTA_REMOTEPROC_TLV_PARAM)
		put_call(command, id, params[1].value.a, params[2].memref.size, 0, 0, res);
	else
		put_call(command, id, 0, 0, 0, 0, res);
	return res;
}
