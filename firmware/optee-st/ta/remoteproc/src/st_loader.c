// SPDX-License-Identifier: BSD-2-Clause
/*
 * Commands and states of a remoteproc application that answers as
 * STMicroelectronics'. Where it differs from upstream's: LOAD_FW of a loaded core
 * is refused, START_FW that fails leaves the core loaded, STOP_FW of a loaded core
 * unloads it and is an error all the same, there is no RELEASE_FW.
 *
 * Ref: OP-TEE 4.0.0-stm32mp-r2 ta/remoteproc/src/remoteproc_core.c
 */

#include <assert.h>
#include <remoteproc_pta.h>
#include <ta_remoteproc.h>

#include "st_ta.h"

#define ID_ONLY	TEE_PARAM_TYPES(TEE_PARAM_TYPE_VALUE_INPUT, \
				TEE_PARAM_TYPE_NONE, TEE_PARAM_TYPE_NONE, \
				TEE_PARAM_TYPE_NONE)

static TAILQ_HEAD(, st_core) cores = TAILQ_HEAD_INITIALIZER(cores);

static TEE_TASessionHandle pta;
static size_t sessions;

static_assert(sizeof(struct st_core) == ST_CONTEXT_SIZE, "heap differs");

TEE_Result st_ask(uint32_t command, uint32_t pt, TEE_Param params[])
{
	return TEE_InvokeTACommand(pta, TEE_TIMEOUT_INFINITE, command, pt,
				   params, NULL);
}

TEE_Result st_ask_for(uint32_t command, uint32_t core)
{
	TEE_Param params[TEE_NUM_PARAMS] = { };

	params[0].value.a = core;

	return st_ask(command, ID_ONLY, params);
}

/* Clears the core's memory, and forgets its boot address */
void st_clean(struct st_core *core)
{
	TEE_Result res = st_ask_for(PTA_ST_CLEAN, core->id);

	if (res)
		TEE_Panic(res);
}

static struct st_core *find(uint32_t id)
{
	struct st_core *core = NULL;

	TAILQ_FOREACH(core, &cores, link)
		if (core->id == id)
			return core;

	return NULL;
}

static struct st_core *add(uint32_t id)
{
	struct st_core *core = TEE_Malloc(sizeof(*core), TEE_MALLOC_FILL_ZERO);

	if (core) {
		core->id = id;
		TAILQ_INSERT_TAIL(&cores, core, link);
	}

	return core;
}

static TEE_Result load(uint32_t pt, TEE_Param params[TEE_NUM_PARAMS])
{
	const uint32_t exp_pt = TEE_PARAM_TYPES(TEE_PARAM_TYPE_VALUE_INPUT,
						TEE_PARAM_TYPE_MEMREF_INPUT,
						TEE_PARAM_TYPE_NONE,
						TEE_PARAM_TYPE_NONE);
	struct st_core *core = NULL;
	TEE_Result released = TEE_ERROR_GENERIC;
	TEE_Result res = TEE_ERROR_GENERIC;

	if (pt != exp_pt)
		return TEE_ERROR_BAD_PARAMETERS;

	core = find(params[0].value.a);
	if (!core)
		core = add(params[0].value.a);
	if (!core)
		return TEE_ERROR_OUT_OF_MEMORY;
	if (core->state != ST_OFF)
		return TEE_ERROR_BAD_STATE;
	if (!params[1].memref.buffer || !params[1].memref.size)
		return TEE_ERROR_BAD_PARAMETERS;

	res = st_ask_for(PTA_ST_GET_MEM, core->id);
	if (res) {
		EMSG("Can't get access right to memories");
		return res;
	}

	res = st_load(core, params[1].memref.buffer, params[1].memref.size);
	if (!res)
		core->state = ST_LOADED;

	released = st_ask_for(PTA_ST_RELEASE_MEM, core->id);
	if (released && core->state == ST_LOADED) {
		st_clean(core);
		core->state = ST_OFF;
		res = released;
	}

	return res;
}

static TEE_Result start(struct st_core *core)
{
	TEE_Result res = TEE_ERROR_GENERIC;

	if (core->state == ST_OFF)
		return TEE_ERROR_BAD_STATE;
	if (core->state == ST_STARTED)
		return TEE_SUCCESS;

	res = st_ask_for(PTA_RPROC_FIRMWARE_START, core->id);
	if (res)
		st_clean(core);
	else
		core->state = ST_STARTED;

	return res;
}

static TEE_Result stop(struct st_core *core)
{
	TEE_Result res = TEE_ERROR_GENERIC;

	if (core->state == ST_OFF)
		return TEE_SUCCESS;
	if (core->state == ST_LOADED) {
		st_clean(core);
		core->state = ST_OFF;
		return TEE_ERROR_BAD_STATE;
	}

	res = st_ask_for(PTA_RPROC_FIRMWARE_STOP, core->id);
	if (!res) {
		st_clean(core);
		core->state = ST_OFF;
	}

	return res;
}

static TEE_Result of_core(TEE_Result (*command)(struct st_core *core),
			  uint32_t pt, TEE_Param params[TEE_NUM_PARAMS])
{
	struct st_core *core = find(params[0].value.a);

	if (pt != ID_ONLY || !core)
		return TEE_ERROR_BAD_PARAMETERS;

	return command(core);
}

static TEE_Result get_table(uint32_t pt, TEE_Param params[TEE_NUM_PARAMS])
{
	const uint32_t exp_pt = TEE_PARAM_TYPES(TEE_PARAM_TYPE_VALUE_INPUT,
						TEE_PARAM_TYPE_VALUE_OUTPUT,
						TEE_PARAM_TYPE_VALUE_OUTPUT,
						TEE_PARAM_TYPE_NONE);
	struct st_core *core = find(params[0].value.a);

	if (pt != exp_pt || !core)
		return TEE_ERROR_BAD_PARAMETERS;
	if (core->state == ST_OFF)
		return TEE_ERROR_BAD_STATE;

	reg_pair_from_64(core->table_pa, &params[1].value.b,
			 &params[1].value.a);
	reg_pair_from_64(core->table_size, &params[2].value.b,
			 &params[2].value.a);

	return TEE_SUCCESS;
}

TEE_Result TA_CreateEntryPoint(void)
{
	return TEE_SUCCESS;
}

void TA_DestroyEntryPoint(void)
{
}

TEE_Result TA_OpenSessionEntryPoint(uint32_t pt,
				    TEE_Param params[TEE_NUM_PARAMS],
				    void **session __unused)
{
	static const TEE_UUID uuid = PTA_RPROC_UUID;
	TEE_Result res = TEE_SUCCESS;

	if (pt != ID_ONLY)
		return TEE_ERROR_BAD_PARAMETERS;

	if (!sessions)
		res = TEE_OpenTASession(&uuid, TEE_TIMEOUT_INFINITE, pt, params,
					&pta, NULL);
	if (!res)
		sessions++;

	return res;
}

void TA_CloseSessionEntryPoint(void *session __unused)
{
	sessions--;
	if (!sessions)
		TEE_CloseTASession(pta);
}

TEE_Result TA_InvokeCommandEntryPoint(void *session __unused, uint32_t command,
				      uint32_t pt,
				      TEE_Param params[TEE_NUM_PARAMS])
{
	switch (command) {
	case TA_RPROC_CMD_LOAD_FW:
		return load(pt, params);
	case TA_RPROC_CMD_START_FW:
		return of_core(start, pt, params);
	case TA_RPROC_CMD_STOP_FW:
		return of_core(stop, pt, params);
	case TA_RPROC_CMD_GET_RSC_TABLE:
		return get_table(pt, params);
	case TA_RPROC_CMD_GET_COREDUMP:
		return TEE_ERROR_NOT_IMPLEMENTED;
	default:
		return TEE_ERROR_BAD_PARAMETERS;
	}
}
