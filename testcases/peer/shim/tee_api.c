// SPDX-License-Identifier: MIT
/* The functions of the TEE Internal Core API that the TA calls. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tee_internal_api.h>
#include <trace.h>
#include <utee_defines.h>

#include "heap.h"
#include "numbers.h"
#include "peer.h"

static char texts[4096];	/* error lines of the command being run: each a u32 'T', a length, the text */
static size_t texts_size;

void put_texts(void)
{
	put(texts, texts_size);
	texts_size = 0;
}

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

/* What a board without OP-TEE's allocator gives at most; ST's TA asks for whatever a TLV claims. */
#define NO_HEAP_LIMIT (15u << 20)

#define MAX_BLOCKS 64
static void *blocks[MAX_BLOCKS];

void *TEE_Malloc(API_SIZE size, uint32_t hint)
{
	(void)hint;
	if (!size)
		return NOTHING;
	if (board->real_heap)
		return heap_take(size);
	if (size > NO_HEAP_LIMIT)
		return NULL;
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

void free_blocks(void)
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

void TEE_DigestUpdate(TEE_OperationHandle op, const void *data, API_SIZE size)
{
	uint8_t *copy = malloc(size + 1);	/* so that AddressSanitizer sees every byte that is read */

	(void)op;
	memcpy(copy, data, size);
	sha256_add(&digest_state, copy, size);
	free(copy);
}

TEE_Result TEE_DigestDoFinal(TEE_OperationHandle op, const void *data, API_SIZE size, void *hash,
			     API_SIZE *hash_size)
{
	TEE_DigestUpdate(op, data, size);
	if (*hash_size < TEE_SHA256_HASH_SIZE)
		return TEE_ERROR_SHORT_BUFFER;
	sha256_end(&digest_state, hash);
	*hash_size = TEE_SHA256_HASH_SIZE;
	return TEE_SUCCESS;
}

TEE_Result TEE_InvokeTACommand(TEE_TASessionHandle session, uint32_t timeout, uint32_t command, uint32_t types,
			       TEE_Param params[4], uint32_t *origin)
{
	(void)session;
	(void)timeout;
	(void)origin;
	return platform_invoke(command, types, params);
}

TEE_Result TEE_OpenTASession(const TEE_UUID *uuid, uint32_t timeout, uint32_t types, TEE_Param params[4],
			     TEE_TASessionHandle *session, uint32_t *origin)
{
	(void)uuid;
	(void)timeout;
	(void)origin;
	*session = (void *)1;
	return platform_open(types, params);
}

void TEE_CloseTASession(TEE_TASessionHandle session)
{
	(void)session;
}
