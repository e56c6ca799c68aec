// SPDX-License-Identifier: MIT
/*
 * The peer: OP-TEE's remoteproc TA between a TEE API and a platform of ours, fed through stdin.
 *
 * Requests and answers are frames: u32 length, then that many bytes, little endian.
 *   'C' configuration   one board; stays until the next one; no answer
 *   'X' commands        run on a TA that has just been started; one answer
 * A command that kills the TA (a read outside the image, an overflow that AddressSanitizer sees, an
 * assertion) kills a child process; the parent answers for it and forks the next one.
 *
 * The platform follows core/pta/stm32mp/remoteproc_pta.c and core/drivers/remoteproc/stm32_remoteproc.c.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <remoteproc_pta.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <ta_remoteproc.h>
#include <tee_internal_api.h>
#include <trace.h>
#include <unistd.h>
#include <utee_defines.h>

#include "heap.h"
#include "numbers.h"
#include "ta.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>

const char *__asan_default_options(void)
{
	return "handle_segv=0:handle_sigbus=0:handle_abort=0:detect_leaks=0:detect_stack_use_after_return=0";
}

/* AddressSanitizer calls this before it prints its report. */
void __asan_on_error(void)
{
	_exit(78);
}
#endif

#define MAX_CORES 4
#define MAX_REGIONS 8
#define MAX_FRAME (8u << 20)
#define PAGE 4096u
#define MEMORY_FILL 0xA5

/* Room kept free of mappings on both sides of an image, so that every wild read is seen. */
#if UINTPTR_MAX > 0xffffffff
#define GUARD (6ull << 30)
#else
#define GUARD (256u << 20)
#endif

struct region {
	uint32_t da, pa, size;
	uint8_t *memory;
};

struct core {
	uint32_t id, count;
	struct region region[MAX_REGIONS];
	int on;
};

/* One board, shared between the parent and the children it forks. */
static struct board {
	uint32_t formats, protection;
	uint32_t shared_state;	/* one running state for all cores */
	uint32_t real_verify;	/* verify signatures, else answer `verdict` */
	uint32_t verdict;
	uint32_t real_heap;	/* OP-TEE's allocator with `heap_size` bytes, else the host's */
	uint32_t heap_size, sessions, session_size;
	uint32_t fault_command, fault_result;	/* a platform command that fails */
	uint32_t modulus_size;
	uint8_t modulus[512];
	uint32_t count;
	struct core core[MAX_CORES];
	int seen;		/* whether the request that is being served will be answered */
} *board;

static uint8_t *arena_middle;	/* images end here */
static uint8_t *frame, *answer;
static size_t answer_size;
static const uint8_t *image;	/* of the command being run */
static int memory_written;
static char texts[4096];	/* error lines of the command being run: each a u32 'T', a length, the text */
static size_t texts_size;

/* ------------------------------------------------------------------------------- answers */

static void put(const void *data, size_t size)
{
	if (answer_size + size > MAX_FRAME)
		abort();
	memcpy(answer + answer_size, data, size);
	answer_size += size;
}

static void put32(uint32_t value)
{
	put(&value, sizeof(value));
}

static void put_call(uint32_t command, uint32_t core, uint32_t da, uint32_t size, uint32_t offset,
		     uint32_t algorithm, uint32_t result)
{
	uint32_t words[8] = { 'P', command, core, da, size, offset, algorithm, result };

	put(words, sizeof(words));
}

static void put_bytes(const void *data, uint32_t size)
{
	put32(size);
	put(data, size);
}

/* ------------------------------------------------------------------- what the TA calls */

void trace_printf(const char *func, int line, int level, bool level_ok, const char *format, ...)
{
	char text[256];
	uint32_t length;
	va_list args;

	(void)func;
	(void)line;
	if (!level_ok || level > TRACE_ERROR)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	length = strlen(text);
	if (texts_size + 8 + length > sizeof(texts))
		abort();
	memcpy(texts + texts_size, (uint32_t[2]){ 'T', length }, 8);
	memcpy(texts + texts_size + 8, text, length);
	texts_size += 8 + length;
}

/* What TEE_Malloc gives for nothing (lib/libutee/tee_api.c). */
#define NOTHING ((void *)1)

#define MAX_BLOCKS 64
static void *blocks[MAX_BLOCKS];

void *TEE_Malloc(size_t size, uint32_t hint)
{
	(void)hint;
	if (!size)
		return NOTHING;
	if (board->real_heap)
		return heap_take(size);
	for (int i = 0; i < MAX_BLOCKS; i++)
		if (!blocks[i])
			return blocks[i] = calloc(1, size);
	abort();
}

void TEE_Free(void *p)
{
	if (!p || p == NOTHING)
		return;
	if (board->real_heap) {
		heap_give(p);
		return;
	}
	for (int i = 0; i < MAX_BLOCKS; i++)
		if (blocks[i] == p)
			blocks[i] = NULL;
	free(p);
}

static void free_blocks(void)
{
	for (int i = 0; i < MAX_BLOCKS; i++) {
		free(blocks[i]);
		blocks[i] = NULL;
	}
}

/* As large as libutee's own (lib/libutee/tee_api_operations.c), because it lives on the TA's heap. */
struct __TEE_OperationHandle {
	TEE_OperationInfo info;
	void *key1, *key2;
	uint32_t operation_state;
	uint8_t *buffer;
	bool two_blocks;
	size_t block_size, offset;
	uint32_t state;
};

static struct sha256 digest_state;

TEE_Result TEE_AllocateOperation(TEE_OperationHandle *op, uint32_t algorithm, uint32_t mode, uint32_t key)
{
	(void)key;
	if (algorithm != TEE_ALG_SHA256 || mode != TEE_MODE_DIGEST)
		return TEE_ERROR_NOT_SUPPORTED;
	*op = TEE_Malloc(sizeof(**op), 0);
	if (!*op)
		return TEE_ERROR_OUT_OF_MEMORY;
	(*op)->buffer = TEE_Malloc(TEE_SHA256_HASH_SIZE, 0);
	if (!(*op)->buffer) {
		TEE_Free(*op);
		*op = TEE_HANDLE_NULL;
		return TEE_ERROR_OUT_OF_MEMORY;
	}
	sha256_begin(&digest_state);
	return TEE_SUCCESS;
}

void TEE_FreeOperation(TEE_OperationHandle op)
{
	if (!op)
		return;
	TEE_Free(op->buffer);
	TEE_Free(op);
}

void TEE_DigestUpdate(TEE_OperationHandle op, const void *data, size_t size)
{
	uint8_t *copy = malloc(size + 1);	/* so that AddressSanitizer sees every byte that is read */

	(void)op;
	memcpy(copy, data, size);
	sha256_add(&digest_state, copy, size);
	free(copy);
}

TEE_Result TEE_DigestDoFinal(TEE_OperationHandle op, const void *data, size_t size, void *hash, size_t *hash_size)
{
	TEE_DigestUpdate(op, data, size);
	if (*hash_size < TEE_SHA256_HASH_SIZE)
		return TEE_ERROR_SHORT_BUFFER;
	sha256_end(&digest_state, hash);
	*hash_size = TEE_SHA256_HASH_SIZE;
	return TEE_SUCCESS;
}

/* --------------------------------------------------------------------------- the platform */

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

static void put_verify(TEE_Param params[4], TEE_Result res)
{
	struct rproc_pta_key_info *info = params[1].memref.buffer;

	put_call(PTA_RPROC_VERIFY_DIGEST, params[0].value.a, 0, 0, 0, info->algo, res);
	put_bytes(params[2].memref.buffer, params[2].memref.size);
	put_bytes(params[3].memref.buffer, params[3].memref.size);
	put_bytes(info->info, params[1].memref.size - sizeof(*info));
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

TEE_Result TEE_InvokeTACommand(TEE_TASessionHandle session, uint32_t timeout, uint32_t command, uint32_t types,
			       TEE_Param params[4], uint32_t *origin)
{
	uint32_t id = params[0].value.a, pa = 0;
	struct core *core = core_of(id);
	TEE_Result res = TEE_ERROR_NOT_IMPLEMENTED;

	(void)session;
	(void)timeout;
	(void)types;
	(void)origin;
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

TEE_Result TEE_OpenTASession(const TEE_UUID *uuid, uint32_t timeout, uint32_t types, TEE_Param params[4],
			     TEE_TASessionHandle *session, uint32_t *origin)
{
	(void)uuid;
	(void)timeout;
	(void)types;
	(void)origin;
	*session = (void *)1;
	return core_of(params[0].value.a) ? TEE_SUCCESS : TEE_ERROR_NOT_SUPPORTED;
}

void TEE_CloseTASession(TEE_TASessionHandle session)
{
	(void)session;
}

/* ------------------------------------------------------------------------------- requests */

static int get_all(void *data, size_t size)
{
	uint8_t *p = data;

	while (size) {
		ssize_t n = read(0, p, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return 0;
		p += n;
		size -= n;
	}
	return 1;
}

static void put_all(const void *data, size_t size)
{
	const uint8_t *p = data;

	while (size) {
		ssize_t n = write(1, p, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			_exit(2);
		p += n;
		size -= n;
	}
}

static uint32_t get32(const uint8_t **p)
{
	uint32_t value;

	memcpy(&value, *p, sizeof(value));
	*p += sizeof(value);
	return value;
}

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
			r->memory = mmap(NULL, r->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
			if (r->memory == MAP_FAILED)
				_exit(3);
		}
	}
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
	for (uint32_t i = 0; i < board->count; i++) {
		board->core[i].on = 0;
		for (uint32_t k = 0; k < board->core[i].count; k++)
			memset(board->core[i].region[k].memory, MEMORY_FILL, board->core[i].region[k].size);
	}
}

/* The image ends where the guard begins. A header's worth of bytes can always be read: shared memory is made of pages. */
static uint8_t *place_image(const uint8_t *data, uint32_t size, uint32_t misaligned)
{
	static uint8_t *poisoned;
	uint8_t *at = arena_middle - (size < 20 ? 20 : (size + 3) / 4 * 4) - misaligned;
	uint8_t *page = (uint8_t *)((uintptr_t)at & ~(uintptr_t)(PAGE - 1));

#ifdef __SANITIZE_ADDRESS__
	if (poisoned)
		ASAN_UNPOISON_MEMORY_REGION(poisoned, arena_middle - poisoned);
#endif
	if (poisoned && page > poisoned)
		mprotect(poisoned, page - poisoned, PROT_NONE);
	if (mprotect(page, arena_middle - page, PROT_READ | PROT_WRITE))
		_exit(4);
	memset(page, 0xEE, at - page);
	memcpy(at, data, size);
#ifdef __SANITIZE_ADDRESS__
	ASAN_POISON_MEMORY_REGION(page, at - page);
#endif
	poisoned = page;
	return at;
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
	texts_size = 0;
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
	put(texts, texts_size);
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
	begin_case();
	while (p < end) {
		uint32_t command = get32(&p), id = get32(&p), size = get32(&p);

		run_command(command, id, p, size);
		p += size;
	}
}

#ifdef GCOV
void __gcov_dump(void);
#endif

/* Ends a child that did nothing wrong; branch counters are kept. */
static void leave(int status)
{
#ifdef GCOV
	__gcov_dump();
#endif
	_exit(status);
}

static void die(int signal)
{
	(void)signal;
	leave(77);
}

static void serve(void)
{
	uint32_t size;

	signal(SIGSEGV, die);
	signal(SIGBUS, die);
	signal(SIGABRT, die);

	while (get_all(&size, sizeof(size))) {
		if (size > MAX_FRAME || !get_all(frame, size))
			_exit(2);
		if (frame[0] == 'C') {
			configure(frame + 4);
			leave(79);	/* the parent has to see the mappings: it configures, children inherit */
		}
		board->seen = 1;
		answer_size = 4;
		run_case(frame + 4, frame + size);
		size = answer_size - 4;
		memcpy(answer, &size, 4);
		put_all(answer, answer_size);
		board->seen = 0;
	}
	leave(0);
}

static void *map(size_t size, int protection, int flags)
{
	void *p = mmap(NULL, size, protection, flags | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		_exit(3);
	return p;
}

int main(void)
{
	static const uint32_t crashed[2] = { 4, 'D' };
	uint8_t *arena;

	frame = map(MAX_FRAME, PROT_READ | PROT_WRITE, MAP_SHARED);
	answer = map(MAX_FRAME + 4, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	board = map(sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED);
	arena = map(2 * GUARD, PROT_NONE, MAP_PRIVATE);
	arena_middle = (uint8_t *)((uintptr_t)(arena + GUARD) & ~(uintptr_t)(PAGE - 1));
	for (;;) {
		int status = 0;
		pid_t child = fork();

		if (child < 0)
			return 3;
		if (!child)
			serve();
		if (waitpid(child, &status, 0) != child)
			return 3;
		if (WIFEXITED(status) && WEXITSTATUS(status) == 79)
			configure(frame + 4);
		else if (board->seen) {
			put_all(crashed, sizeof(crashed));
			board->seen = 0;
		} else
			return WIFEXITED(status) ? WEXITSTATUS(status) : 4;
	}
}
