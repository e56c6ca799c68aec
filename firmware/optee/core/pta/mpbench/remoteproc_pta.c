// SPDX-License-Identifier: BSD-2-Clause
/*
 * Remoteproc pseudo TA with a running state for each core.
 *
 * Interface: lib/libutee/include/remoteproc_pta.h. It answers with the codes of
 * core/pta/stm32mp/remoteproc_pta.c, in the same order of checks, but for one
 * thing: there a single state stands for all cores, so that while one runs the
 * other can't be loaded. An STM32MP25 has two cores, M33 and M0. What upstream's
 * and STMicroelectronics' OP-TEE answer differently is in a file of its own, see
 * rproc_core.h.
 *
 * The only caller is the remoteproc TA, a single instance that isn't
 * concurrent: calls come one after the other, nothing here needs a lock.
 */

#include <crypto/crypto.h>
#include <drivers/stm32_remoteproc.h>
#include <kernel/pseudo_ta.h>
#include <kernel/user_ta.h>
#include <remoteproc_pta.h>
#include <string.h>
#include <types_ext.h>

#include "rproc_core.h"

#define PTA_NAME	"remoteproc.pta"

/* ta/remoteproc/include/ta_remoteproc.h */
#define TA_REMOTEPROC_UUID \
	{ 0x80a4c275, 0x0a47, 0x4905, \
		{ 0x82, 0x85, 0x14, 0x86, 0xa9, 0x77, 0x1a, 0x08} }

/* Generated from RPROC_SIGN_KEY by scripts/pem_to_pub_c.py */
extern const uint32_t rproc_pub_key_exponent;
extern const uint8_t rproc_pub_key_modulus[];
extern const size_t rproc_pub_key_modulus_size;

/* A bit for each processor id, set while that core runs */
static uint32_t running;

static bool is_running(uint32_t id)
{
	return id < RPROC_MAX_ID && (running & BIT32(id));
}

static TEE_Result capabilities(uint32_t pt, TEE_Param params[TEE_NUM_PARAMS])
{
	const uint32_t exp_pt = TEE_PARAM_TYPES(TEE_PARAM_TYPE_VALUE_INPUT,
						TEE_PARAM_TYPE_VALUE_OUTPUT,
						TEE_PARAM_TYPE_VALUE_OUTPUT,
						TEE_PARAM_TYPE_NONE);

	if (pt != exp_pt)
		return TEE_ERROR_BAD_PARAMETERS;
	if (!stm32_rproc_get(params[0].value.a))
		return TEE_ERROR_NOT_SUPPORTED;

	params[1].value.a = PTA_RPROC_HWCAP_FMT_ELF;
	params[2].value.a = PTA_RPROC_HWCAP_PROT_HASH_TABLE;

	return TEE_SUCCESS;
}

/*
 * The bytes are hashed where the core will execute them, because the source is
 * memory that Linux can still write to.
 */
static TEE_Result load_segment(uint32_t pt, TEE_Param params[TEE_NUM_PARAMS])
{
	const uint32_t exp_pt = TEE_PARAM_TYPES(TEE_PARAM_TYPE_VALUE_INPUT,
						TEE_PARAM_TYPE_MEMREF_INPUT,
						TEE_PARAM_TYPE_VALUE_INPUT,
						TEE_PARAM_TYPE_MEMREF_INPUT);
	TEE_Result res = TEE_ERROR_GENERIC;
	uint32_t id = 0;
	size_t size = 0;
	void *dst = NULL;
	paddr_t da = 0;
	paddr_t pa = 0;

	if (pt != exp_pt)
		return TEE_ERROR_BAD_PARAMETERS;

	id = params[0].value.a;
	size = params[1].memref.size;
	da = reg_pair_to_64(params[2].value.b, params[2].value.a);

	if (!params[3].memref.buffer ||
	    params[3].memref.size < TEE_SHA256_HASH_SIZE)
		return TEE_ERROR_BAD_PARAMETERS;

	if (is_running(id))
		return TEE_ERROR_BAD_STATE;

	res = stm32_rproc_da_to_pa(id, da, size, &pa);
	if (res)
		return res;

	if (stm32_rproc_map(id, pa, size, &dst)) {
		EMSG("Can't map region %#"PRIxPA" size %zu", pa, size);
		return TEE_ERROR_GENERIC;
	}

	memcpy(dst, params[1].memref.buffer, size);
	res = hash_sha256_check(params[3].memref.buffer, dst, size);
	if (!res)
		res = rproc_decrypt(dst, size, (uint8_t *)params[3].memref.buffer +
				    TEE_SHA256_HASH_SIZE,
				    params[3].memref.size -
				    TEE_SHA256_HASH_SIZE);
	if (res)
		memset(dst, 0, size);

	if (stm32_rproc_unmap(id, dst, size) && !res)
		res = TEE_ERROR_GENERIC;

	return res;
}

static TEE_Result set_memory(uint32_t pt, TEE_Param params[TEE_NUM_PARAMS])
{
	const uint32_t exp_pt = TEE_PARAM_TYPES(TEE_PARAM_TYPE_VALUE_INPUT,
						TEE_PARAM_TYPE_VALUE_INPUT,
						TEE_PARAM_TYPE_VALUE_INPUT,
						TEE_PARAM_TYPE_VALUE_INPUT);
	TEE_Result res = TEE_ERROR_GENERIC;
	uint32_t id = 0;
	size_t size = 0;
	void *dst = NULL;
	paddr_t pa = 0;

	if (pt != exp_pt)
		return TEE_ERROR_BAD_PARAMETERS;

	/* Device addresses and sizes have 32 bits */
	if (params[1].value.b || params[2].value.b)
		return TEE_ERROR_BAD_PARAMETERS;

	id = params[0].value.a;
	size = params[2].value.a;

	if (is_running(id))
		return TEE_ERROR_BAD_STATE;

	res = stm32_rproc_da_to_pa(id, params[1].value.a, size, &pa);
	if (res)
		return res;

	res = stm32_rproc_map(id, pa, size, &dst);
	if (res) {
		EMSG("Can't map region %#"PRIxPA" size %zu", pa, size);
		return TEE_ERROR_GENERIC;
	}

	memset(dst, params[3].value.a & 0xff, size);

	return stm32_rproc_unmap(id, dst, size);
}

static TEE_Result da_to_pa(uint32_t pt, TEE_Param params[TEE_NUM_PARAMS])
{
	const uint32_t exp_pt = TEE_PARAM_TYPES(TEE_PARAM_TYPE_VALUE_INPUT,
						TEE_PARAM_TYPE_VALUE_INPUT,
						TEE_PARAM_TYPE_VALUE_INPUT,
						TEE_PARAM_TYPE_VALUE_OUTPUT);
	TEE_Result res = TEE_ERROR_GENERIC;
	paddr_t pa = 0;

	if (pt != exp_pt)
		return TEE_ERROR_BAD_PARAMETERS;
	if (params[1].value.b || params[2].value.b)
		return TEE_ERROR_BAD_PARAMETERS;

	res = stm32_rproc_da_to_pa(params[0].value.a, params[1].value.a,
				   params[2].value.a, &pa);
	if (!res)
		reg_pair_from_64(pa, &params[3].value.b, &params[3].value.a);

	return res;
}

static TEE_Result verify_rsa(TEE_Param *hash, TEE_Param *sig, uint32_t algo)
{
	uint32_t e = TEE_U32_TO_BIG_ENDIAN(rproc_pub_key_exponent);
	struct rsa_public_key key = { };
	TEE_Result res = TEE_ERROR_GENERIC;

	res = crypto_acipher_alloc_rsa_public_key(&key,
						  rproc_pub_key_modulus_size *
						  8);
	if (res)
		return res;

	res = crypto_bignum_bin2bn((uint8_t *)&e, sizeof(e), key.e);
	if (!res)
		res = crypto_bignum_bin2bn(rproc_pub_key_modulus,
					   rproc_pub_key_modulus_size, key.n);
	if (!res)
		res = crypto_acipher_rsassa_verify(algo, &key,
						   hash->memref.size,
						   hash->memref.buffer,
						   hash->memref.size,
						   sig->memref.buffer,
						   sig->memref.size);
	crypto_acipher_free_rsa_public_key(&key);

	return res;
}

static TEE_Result verify_digest(uint32_t pt, TEE_Param params[TEE_NUM_PARAMS])
{
	const uint32_t exp_pt = TEE_PARAM_TYPES(TEE_PARAM_TYPE_VALUE_INPUT,
						TEE_PARAM_TYPE_MEMREF_INPUT,
						TEE_PARAM_TYPE_MEMREF_INPUT,
						TEE_PARAM_TYPE_MEMREF_INPUT);
	struct rproc_pta_key_info *key_info = NULL;

	if (pt != exp_pt)
		return TEE_ERROR_BAD_PARAMETERS;
	if (!stm32_rproc_get(params[0].value.a))
		return TEE_ERROR_NOT_SUPPORTED;
	if (is_running(params[0].value.a))
		return TEE_ERROR_BAD_STATE;

	key_info = params[1].memref.buffer;
	if (!key_info || params[1].memref.size < sizeof(*key_info) ||
	    rproc_pta_keyinfo_size(key_info) != params[1].memref.size)
		return TEE_ERROR_BAD_PARAMETERS;

	/* ECDSA is known to the TA, but not to the PTA of this platform */
	if (key_info->algo != TEE_ALG_RSASSA_PKCS1_V1_5_SHA256)
		return TEE_ERROR_NOT_SUPPORTED;

	return verify_rsa(&params[2], &params[3], key_info->algo);
}

static bool is_id_only(uint32_t pt)
{
	return pt == TEE_PARAM_TYPES(TEE_PARAM_TYPE_VALUE_INPUT,
				     TEE_PARAM_TYPE_NONE,
				     TEE_PARAM_TYPE_NONE,
				     TEE_PARAM_TYPE_NONE);
}

static TEE_Result start(uint32_t pt, TEE_Param params[TEE_NUM_PARAMS])
{
	TEE_Result res = TEE_ERROR_GENERIC;

	if (!is_id_only(pt))
		return TEE_ERROR_BAD_PARAMETERS;
	if (is_running(params[0].value.a))
		return TEE_ERROR_BAD_STATE;

	res = stm32_rproc_start(params[0].value.a);
	if (!res)
		running |= BIT32(params[0].value.a);

	return res;
}

/* A core that doesn't stop stays running: nothing may touch its memory */
static TEE_Result stop(uint32_t pt, TEE_Param params[TEE_NUM_PARAMS])
{
	TEE_Result res = TEE_ERROR_GENERIC;

	if (!is_id_only(pt))
		return TEE_ERROR_BAD_PARAMETERS;
	if (!is_running(params[0].value.a))
		return TEE_ERROR_BAD_STATE;

	res = stm32_rproc_stop(params[0].value.a);
	if (!res)
		running &= ~BIT32(params[0].value.a);

	return res;
}

static TEE_Result invoke_command(void *session __unused, uint32_t cmd_id,
				 uint32_t pt, TEE_Param params[TEE_NUM_PARAMS])
{
	switch (cmd_id) {
	case PTA_RPROC_HW_CAPABILITIES:
		return capabilities(pt, params);
	case PTA_RPROC_LOAD_SEGMENT_SHA256:
		return load_segment(pt, params);
	case PTA_RPROC_SET_MEMORY:
		return set_memory(pt, params);
	case PTA_RPROC_FIRMWARE_START:
		return start(pt, params);
	case PTA_RPROC_FIRMWARE_STOP:
		return stop(pt, params);
	case PTA_RPROC_FIRMWARE_DA_TO_PA:
		return da_to_pa(pt, params);
	case PTA_RPROC_VERIFY_DIGEST:
		return verify_digest(pt, params);
	default:
		if (is_running(params[0].value.a))
			return TEE_ERROR_BAD_STATE;
		return rproc_invoke(cmd_id, pt, params);
	}
}

static TEE_Result open_session(uint32_t pt, TEE_Param params[TEE_NUM_PARAMS],
			       void **sess_ctx __unused)
{
	struct ts_session *caller = ts_get_calling_session();
	const TEE_UUID ta_uuid = TA_REMOTEPROC_UUID;

	if (!is_id_only(pt))
		return TEE_ERROR_BAD_PARAMETERS;

	if (!caller || !is_user_ta_ctx(caller->ctx) ||
	    memcmp(&caller->ctx->uuid, &ta_uuid, sizeof(ta_uuid)))
		return TEE_ERROR_ACCESS_DENIED;

	if (!stm32_rproc_get(params[0].value.a))
		return TEE_ERROR_NOT_SUPPORTED;

	return TEE_SUCCESS;
}

pseudo_ta_register(.uuid = PTA_RPROC_UUID, .name = PTA_NAME,
		   .flags = PTA_DEFAULT_FLAGS,
		   .invoke_command_entry_point = invoke_command,
		   .open_session_entry_point = open_session);
