/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A remoteproc application that answers as STMicroelectronics' of OP-TEE
 * 4.0.0-stm32mp-r2: parts of it, and what it asks of the PTA.
 *
 * Written from what that application does, and the same in what it answers,
 * prints and allocates, in the same order. Where it reads outside of the image or
 * of the TLVs, this one refuses.
 *
 * Ref: OP-TEE 4.0.0-stm32mp-r2 ta/remoteproc/src, lib/libutee/include/remoteproc_pta.h
 */

#ifndef MPBENCH_ST_TA_H
#define MPBENCH_ST_TA_H

#include <elf32.h>
#include <stdbool.h>
#include <sys/queue.h>
#include <tee_internal_api.h>
#include <types_ext.h>
#include <util.h>
#include <utee_defines.h>

/* Commands of the PTA that upstream does not have */
#define PTA_ST_TLV_PARAM	9
#define PTA_ST_CLEAN		10
#define PTA_ST_GET_MEM		11
#define PTA_ST_RELEASE_MEM	12

enum st_state { ST_OFF, ST_LOADED, ST_STARTED };

/* sizeof(struct remoteproc_context): contexts are in the heap */
#define ST_CONTEXT_SIZE		(sizeof(void *) == 8 ? 136 : 76)

/*
 * struct st_core - what the application knows of a core
 * @id: processor id
 * @state: its state
 * @table_pa, @table_size: resource table of the loaded image; 0 for none
 */
struct st_core {
	TAILQ_ENTRY(st_core) link;
	uint32_t id;
	enum st_state state;
	paddr_t table_pa;
	size_t table_size;
	uint8_t unused[ST_CONTEXT_SIZE - 2 * sizeof(uint32_t) -
		       4 * sizeof(void *)];
};

/*
 * struct st_tlvs - TLVs of an image, in secure memory
 * @start, @size: their area
 * @end: end of the copy, which has the signature as well
 */
struct st_tlvs {
	uint8_t *start;
	size_t size;
	uint8_t *end;
};

/* st_tlv.c */
uint32_t st_read_u32(const void *p);
/* TEE_ERROR_NO_DATA: there is none of this type, or it is empty */
TEE_Result st_tlv_get(const struct st_tlvs *tlvs, uint32_t type,
		      uint8_t **value, size_t *size);
/* Whether a value is what the copy has, and not beyond its end */
bool st_tlv_whole(const struct st_tlvs *tlvs, const uint8_t *value,
		  size_t size);
/* Calls @take for each TLV of the platform; its sizes have 16 bits */
TEE_Result st_tlv_platform(const struct st_tlvs *tlvs, uint32_t core,
			   TEE_Result (*take)(uint32_t core, uint32_t type,
					      void *value, size_t size));

/*
 * struct st_elf - an ELF file in the image
 * @start, @size: the file, as IMGSIZE has it
 * @end: end of the memory that may be read, which is the caller's
 */
struct st_elf {
	uint8_t *start;
	size_t size;
	uint8_t *end;
};

/* st_elf.c: as STMicroelectronics' elf_parser.c, without upstream's fixes */
TEE_Result st_elf_load(const struct st_elf *elf,
		       TEE_Result (*load)(void *priv, uint8_t *data,
					  const Elf32_Phdr *head),
		       void *priv);
/* @is_plain: what the table has in it can be checked */
TEE_Result st_elf_find_table(const struct st_elf *elf, bool is_plain,
			     uint32_t *da, uint32_t *size);

/* st_load.c: LOAD_FW of a core that is off */
TEE_Result st_load(struct st_core *core, void *image, size_t size);

/* st_loader.c */
TEE_Result st_ask(uint32_t command, uint32_t pt, TEE_Param params[]);
TEE_Result st_ask_for(uint32_t command, uint32_t core);
void st_clean(struct st_core *core);

#endif /* MPBENCH_ST_TA_H */
