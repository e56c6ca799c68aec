/* SPDX-License-Identifier: MIT */
/* What the parts of a worker share: the board, the answer under construction, the platform behind the TA. */
#ifndef PEER_H
#define PEER_H

#include <stddef.h>
#include <stdint.h>
#include <tee_internal_api.h>

#include "frames.h"

#define MAX_CORES 4
#define MAX_REGIONS 8
#define MAX_RANGES 8

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
struct board {
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
	/* only ST's platform reads the rest */
	uint32_t ranges;
	struct region range[MAX_RANGES];	/* dma-ranges of the cores' bus */
	uint32_t key_in_image, test_key;	/* CFG_REMOTEPROC_PUB_KEY_VERIFY, CFG_REMOTEPROC_ENC_TESTKEY */
	uint8_t key_hash[32], decryption_key[32];	/* fuses oem_rproc_pkh, oem_rproc_enc_key */
	int seen;		/* whether the request that is being served will be answered */
};

extern struct board *board;
extern const uint8_t *image;	/* of the command being run */
extern int memory_written;

void put_call(uint32_t command, uint32_t core, uint32_t da, uint32_t size, uint32_t offset, uint32_t algorithm,
	      uint32_t result);
void put_bytes(const void *data, uint32_t size);
void put_verify(TEE_Param params[4], TEE_Result res);

/* the lines of the secure console since the last call, as answers */
void put_texts(void);
void free_blocks(void);

/* The platform: platform.c for upstream's TA, platform_st.c for ST's. */
void platform_configure(void);
void platform_begin(void);
TEE_Result platform_open(uint32_t types, TEE_Param params[4]);
TEE_Result platform_invoke(uint32_t command, uint32_t types, TEE_Param params[4]);

#endif
