// SPDX-License-Identifier: MIT
/*
 * The platform of upstream's TA: follows core/pta/stm32mp/remoteproc_pta.c and
 * core/drivers/remoteproc/stm32_remoteproc.c.
 */
#include <remoteproc_pta.h>
#include <string.h>
#include <tee_internal_api.h>
#include <utee_defines.h>

#include "numbers.h"
#include "peer.h"

static struct core *core_of(uint32_t id)
{
	for (uint32_t i = 0; i < board->count; i++)
		if (board->core[i].id == id)
			return board->core + i;
	return NULL;
}

static int is_on(struct core *core)
{
	if (!board->shared_state)
		return core && core->on;
	for (uint32_t i = 0; i < board->count; i++)
		if (board->core[i].on)
			return 1;
	return 0;
}

static uint8_t *place(struct core *core, uint32_t da, uint64_t size, uint32_t *pa)
{
	for (uint32_t i = 0; core && size && i < core->count; i++) {
		struct region *r = core->region + i;

		if (da >= r->da && da + size <= (uint64_t)r->da + r->size) {
			*pa = r->pa + (da - r->da);
			return r->memory + (da - r->da);
		}
	}
	return NULL;
}

static TEE_Result load_segment(struct core *core, const uint8_t *src, size_t size, uint32_t da, const uint8_t *hash)
{
	uint8_t digest[32];
	struct sha256 s;
	uint32_t pa = 0;
	uint8_t *dst = NULL;

	if (is_on(core))
		return TEE_ERROR_BAD_STATE;
	if (!core)
		return TEE_ERROR_BAD_PARAMETERS;
	dst = place(core, da, size, &pa);
	if (!dst)
		return TEE_ERROR_ACCESS_DENIED;
	memory_written = 1;
	memcpy(dst, src, size);
	sha256_begin(&s);
	sha256_add(&s, dst, size);
	sha256_end(&s, digest);
	if (!memcmp(digest, hash, sizeof(digest)))
		return TEE_SUCCESS;
	memset(dst, 0, size);
	return TEE_ERROR_SECURITY;
}

static TEE_Result verify(struct core *core, TEE_Param params[4])
{
	struct rproc_pta_key_info *info = params[1].memref.buffer;

	if (!core)
		return TEE_ERROR_NOT_SUPPORTED;
	if (is_on(core))
		return TEE_ERROR_BAD_STATE;
	if (rproc_pta_keyinfo_size(info) != params[1].memref.size)
		return TEE_ERROR_BAD_PARAMETERS;
	if (info->algo != TEE_ALG_RSASSA_PKCS1_V1_5_SHA256)
		return TEE_ERROR_NOT_SUPPORTED;
	if (!board->real_verify)
		return board->verdict;
	return rsa_good(board->modulus, board->modulus_size, params[2].memref.buffer,
			params[3].memref.buffer, params[3].memref.size) ? TEE_SUCCESS : TEE_ERROR_SIGNATURE_INVALID;
}

static TEE_Result switch_core(struct core *core, int on)
{
	if (is_on(core) == on)
		return TEE_ERROR_BAD_STATE;
	if (!core)
		return TEE_ERROR_GENERIC;
	core->on = on;
	return TEE_SUCCESS;
}

static TEE_Result release(struct core *core)
{
	if (is_on(core))
		return TEE_ERROR_BAD_STATE;
	if (!core)
		return TEE_ERROR_BAD_PARAMETERS;
	for (uint32_t i = 0; i < core->count; i++)
		memset(core->region[i].memory, 0, core->region[i].size);
	memory_written = 1;
	return TEE_SUCCESS;
}

static void put_load(TEE_Param params[4], TEE_Result res)
{
	put_call(PTA_RPROC_LOAD_SEGMENT_SHA256, params[0].value.a, params[2].value.a, params[1].memref.size,
		 (const uint8_t *)params[1].memref.buffer - image, 0, res);
	put_bytes(params[3].memref.buffer, params[3].memref.size);
}

/* A platform command that fails by itself. */
static TEE_Result fail(uint32_t command, TEE_Param params[4])
{
	TEE_Result res = board->fault_result;

	if (command == PTA_RPROC_VERIFY_DIGEST)
		put_verify(params, res);
	else if (command == PTA_RPROC_LOAD_SEGMENT_SHA256)
		put_load(params, res);
	else if (command == PTA_RPROC_SET_MEMORY || command == PTA_RPROC_FIRMWARE_DA_TO_PA)
		put_call(command, params[0].value.a, params[1].value.a, params[2].value.a, 0, 0, res);
	else
		put_call(command, params[0].value.a, 0, 0, 0, 0, res);
	return res;
}

TEE_Result platform_invoke(uint32_t command, uint32_t types, TEE_Param params[4])
{
	uint32_t id = params[0].value.a, pa = 0;
	struct core *core = core_of(id);
	TEE_Result res = TEE_ERROR_NOT_IMPLEMENTED;

	(void)types;
	if (command == board->fault_command)
		return fail(command, params);
	switch (command) {
	case PTA_RPROC_HW_CAPABILITIES:
		params[1].value.a = board->formats;
		params[2].value.a = board->protection;
		res = core ? TEE_SUCCESS : TEE_ERROR_NOT_SUPPORTED;
		put_call(command, id, 0, 0, 0, 0, res);
		break;
	case PTA_RPROC_VERIFY_DIGEST:
		res = verify(core, params);
		put_verify(params, res);
		break;
	case PTA_RPROC_LOAD_SEGMENT_SHA256:
		res = load_segment(core, params[1].memref.buffer, params[1].memref.size, params[2].value.a,
				   params[3].memref.buffer);
		put_load(params, res);
		break;
	case PTA_RPROC_SET_MEMORY: {
		uint8_t *dst = place(core, params[1].value.a, params[2].value.a, &pa);

		res = is_on(core) ? TEE_ERROR_BAD_STATE : dst ? TEE_SUCCESS : TEE_ERROR_ACCESS_DENIED;
		if (!res) {
			memset(dst, params[3].value.a && 0xFF, params[2].value.a);
			memory_written = 1;
		}
		put_call(command, id, params[1].value.a, params[2].value.a, 0, 0, res);
		break;
	}
	case PTA_RPROC_FIRMWARE_DA_TO_PA:
		res = place(core, params[1].value.a, params[2].value.a, &pa) ? TEE_SUCCESS : TEE_ERROR_ACCESS_DENIED;
		params[3].value.a = pa;
		put_call(command, id, params[1].value.a, params[2].value.a, 0, 0, res);
		break;
	case PTA_RPROC_FIRMWARE_START:
	case PTA_RPROC_FIRMWARE_STOP:
		res = switch_core(core, command == PTA_RPROC_FIRMWARE_START);
		put_call(command, id, 0, 0, 0, 0, res);
		break;
	case PTA_REMOTEPROC_RELEASE:
		res = release(core);
		put_call(command, id, 0, 0, 0, 0, res);
		break;
	}
	return res;
}

TEE_Result platform_open(uint32_t types, TEE_Param params[4])
{
	(void)types;
	return core_of(params[0].value.a) ? TEE_SUCCESS : TEE_ERROR_NOT_SUPPORTED;
}

void platform_configure(void)
{
}

void platform_begin(void)
{
	for (uint32_t i = 0; i < board->count; i++)
		board->core[i].on = 0;
}
