// SPDX-License-Identifier: MIT
/*
 * The peer: OP-TEE's remoteproc TA between a TEE API of ours and a platform, fed through stdin; see frames.h.
 *
 * A case is commands for a TA that has just been started. One that kills the TA is a read outside the image, an
 * overflow that AddressSanitizer sees, an assertion, a loop without an end.
 */
#define _GNU_SOURCE
#include <stddef.h>	/* which 3.19 of the next one takes for granted */

#include <remoteproc_pta.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <ta_remoteproc.h>
#include <tee_internal_api.h>
#include <unistd.h>
#include <utee_defines.h>

#include "frames.h"
#include "heap.h"
#include "numbers.h"
#include "peer.h"
#include "ta.h"

#ifdef __SANITIZE_ADDRESS__
const char *__asan_default_options(void)
{
	return "handle_segv=0:handle_sigbus=0:handle_abort=0:detect_leaks=0:detect_stack_use_after_return=0";
}
#endif

#define MAX_FRAME (8u << 20)
#define CASE_LIMIT_S 1	/* of CPU: ST's TA never leaves a TLV whose length wraps */

struct board *board;

const uint8_t *image;
int memory_written;

/* ------------------------------------------------------------------------------- answers */

void put_call(uint32_t command, uint32_t core, uint32_t da, uint32_t size, uint32_t offset,
		     uint32_t algorithm, uint32_t result)
{
	uint32_t words[8] = { 'P', command, core, da, size, offset, algorithm, result };

	put(words, sizeof(words));
}

void put_bytes(const void *data, uint32_t size)
{
	put32(size);
	put(data, size);
}

void put_verify(TEE_Param params[4], TEE_Result res)
{
	struct rproc_pta_key_info *info = params[1].memref.buffer;

	put_call(PTA_RPROC_VERIFY_DIGEST, params[0].value.a, 0, 0, 0, info->algo, res);
	put_bytes(params[2].memref.buffer, params[2].memref.size);
	put_bytes(params[3].memref.buffer, params[3].memref.size);
	put_bytes(info->info, params[1].memref.size - sizeof(*info));
}

/* ------------------------------------------------------------------------------- requests */

static void configure(const uint8_t *p)
{
	board->formats = get32(&p);
	board->protection = get32(&p);
	board->shared_state = get32(&p);
	board->real_verify = get32(&p);
	board->verdict = get32(&p);
	board->real_heap = get32(&p);
	board->heap_size = get32(&p);
	board->sessions = get32(&p);
	board->session_size = get32(&p);
	board->fault_command = get32(&p);
	board->fault_result = get32(&p);
	board->modulus_size = get32(&p);
	if (board->modulus_size > sizeof(board->modulus))
		_exit(3);
	memcpy(board->modulus, p, board->modulus_size);
	p += board->modulus_size;
	board->count = get32(&p);
	if (board->count > MAX_CORES)
		_exit(3);
	for (uint32_t i = 0; i < board->count; i++) {
		struct core *core = board->core + i;

		core->id = get32(&p);
		core->count = get32(&p);
		if (core->count > MAX_REGIONS)
			_exit(3);
		for (uint32_t k = 0; k < core->count; k++) {
			struct region *r = core->region + k;

			r->da = get32(&p);
			r->pa = get32(&p);
			r->size = get32(&p);
			r->memory = map_board(r->size);
		}
	}
	board->ranges = get32(&p);
	if (board->ranges > MAX_RANGES)
		_exit(3);
	for (uint32_t i = 0; i < board->ranges; i++) {
		board->range[i].da = get32(&p);
		board->range[i].pa = get32(&p);
		board->range[i].size = get32(&p);
	}
	board->key_in_image = get32(&p);
	board->test_key = get32(&p);
	memcpy(board->key_hash, p, sizeof(board->key_hash));
	memcpy(board->decryption_key, p + sizeof(board->key_hash), sizeof(board->decryption_key));
	platform_configure();
}

static void begin_case(void)
{
	free_blocks();
	ta_forget();
	if (board->real_heap) {
		heap_begin(board->heap_size);
		for (uint32_t i = 0; i < board->sessions; i++)
			heap_take(board->session_size);
	}
	platform_begin();
	for (uint32_t i = 0; i < board->count; i++)
		for (uint32_t k = 0; k < board->core[i].count; k++)
			memset(board->core[i].region[k].memory, MEMORY_FILL, board->core[i].region[k].size);
}

/* The image ends where the guard begins. A header's worth of bytes can always be read: shared memory is made of pages. */
static uint8_t *place_image(const uint8_t *data, uint32_t size, uint32_t misaligned)
{
	return in_arena(data, size, (size < 20 ? 20 : (size + 3) / 4 * 4) + misaligned);
}

static uint32_t memory_sum(void)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < board->count; i++)
		for (uint32_t k = 0; k < board->core[i].count; k++) {
			struct region *r = board->core[i].region + k;

			sum = sum * 31 + crc32_of(r->memory, r->size);
		}
	return sum;
}

#define SESSION_OPEN 0x80
#define SESSION_CLOSE 0x81
#define WRONG_TYPES 0x100
#define UNALIGNED 0x200

static void run_command(uint32_t flags, uint32_t id, const uint8_t *data, uint32_t size)
{
	TEE_Param params[4] = { };
	uint32_t command = flags & 0xff;
	uint32_t types = TEE_PARAM_TYPES(TEE_PARAM_TYPE_VALUE_INPUT, TEE_PARAM_TYPE_NONE, TEE_PARAM_TYPE_NONE,
					 TEE_PARAM_TYPE_NONE);
	TEE_Result res;

	params[0].value.a = id;
	if (command == SESSION_OPEN || command == SESSION_CLOSE) {
		if (command == SESSION_CLOSE)
			TA_CloseSessionEntryPoint(NULL);
		res = command == SESSION_OPEN ? TA_OpenSessionEntryPoint(flags & WRONG_TYPES ? 0 : types, params, NULL) : 0;
		put32('R');
		put32(res);
		put32(0);
		return;
	}
	memory_written = 0;
	if (command == TA_RPROC_CMD_LOAD_FW) {
		types = TEE_PARAM_TYPES(TEE_PARAM_TYPE_VALUE_INPUT, TEE_PARAM_TYPE_MEMREF_INPUT, TEE_PARAM_TYPE_NONE,
					TEE_PARAM_TYPE_NONE);
		image = place_image(data, size, flags & UNALIGNED ? 1 : 0);
		params[1].memref.buffer = size || flags & UNALIGNED ? (void *)image : NULL;
		params[1].memref.size = size;
	} else if (command == TA_RPROC_CMD_GET_RSC_TABLE) {
		types = TEE_PARAM_TYPES(TEE_PARAM_TYPE_VALUE_INPUT, TEE_PARAM_TYPE_VALUE_OUTPUT,
					TEE_PARAM_TYPE_VALUE_OUTPUT, TEE_PARAM_TYPE_NONE);
	}
	res = TA_InvokeCommandEntryPoint(NULL, command, flags & WRONG_TYPES ? 0 : types, params);
	put_texts();
	put32('R');
	put32(res);
	if (command == TA_RPROC_CMD_GET_RSC_TABLE && !res) {
		put32(params[1].value.a);
		put32(params[2].value.a);
	}
	put32(memory_written ? memory_sum() : 0);
}

static void run_case(const uint8_t *p, const uint8_t *end)
{
	setitimer(ITIMER_VIRTUAL, &(struct itimerval){ .it_value.tv_sec = CASE_LIMIT_S }, NULL);
	begin_case();
	while (p < end) {
		uint32_t command = get32(&p), id = get32(&p), size = get32(&p);

		run_command(command, id, p, size);
		p += size;
	}
}

int main(void)
{
	board = map(sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED);
	return work(&(struct worker){ MAX_FRAME, &board->seen, configure, run_case });
}
