// SPDX-License-Identifier: BSD-2-Clause
/*
 * A trusted application that waits and can be cancelled: upstream's test applications leave cancellation masked.
 * Ref: GlobalPlatform TEE Internal Core API 1.3, 4.10 Cancellation Functions, 7.2.2 TEE_Wait
 */
#include <tee_internal_api.h>

/*
 * WAIT - wait in pieces of PIECE_MS
 *
 * [in]     value[0].a        how long at most, in milliseconds
 * [in]     value[0].b        1: cancellation is unmasked, 0: it is masked
 * [out]    value[1].a        how long it was, in pieces
 * [out]    value[1].b        whether cancellation was asked for, as far as a masked session is told
 *
 * Return codes:
 * TEE_SUCCESS - it was waited to the end
 * TEE_ERROR_CANCEL - somebody asked for cancellation
 * TEE_ERROR_BAD_PARAMETERS - wrong types of parameters
 */
#define WAIT 0
#define PIECE_MS 10

TEE_Result TA_CreateEntryPoint(void)
{
	return TEE_SUCCESS;
}

void TA_DestroyEntryPoint(void)
{
}

TEE_Result TA_OpenSessionEntryPoint(uint32_t types, TEE_Param params[TEE_NUM_PARAMS], void **session)
{
	(void)types;
	(void)params;
	(void)session;
	return TEE_SUCCESS;
}

void TA_CloseSessionEntryPoint(void *session)
{
	(void)session;
}

static TEE_Result wait(uint32_t types, TEE_Param params[TEE_NUM_PARAMS])
{
	TEE_Result result = TEE_SUCCESS;
	uint32_t waited_ms = 0;

	if (types != TEE_PARAM_TYPES(TEE_PARAM_TYPE_VALUE_INPUT, TEE_PARAM_TYPE_VALUE_OUTPUT,
				     TEE_PARAM_TYPE_NONE, TEE_PARAM_TYPE_NONE))
		return TEE_ERROR_BAD_PARAMETERS;
	if (params[0].value.b)
		TEE_UnmaskCancellation();
	while (result == TEE_SUCCESS && waited_ms < params[0].value.a) {
		result = TEE_Wait(PIECE_MS);
		waited_ms += PIECE_MS;
	}
	params[1].value.a = waited_ms / PIECE_MS;
	params[1].value.b = TEE_GetCancellationFlag();
	TEE_MaskCancellation();
	return result;
}

TEE_Result TA_InvokeCommandEntryPoint(void *session, uint32_t command, uint32_t types,
				      TEE_Param params[TEE_NUM_PARAMS])
{
	(void)session;
	return command == WAIT ? wait(types, params) : TEE_ERROR_NOT_SUPPORTED;
}
