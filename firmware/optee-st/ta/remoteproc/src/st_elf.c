// SPDX-License-Identifier: BSD-2-Clause
/*
 * Segments and resource table of an ELF file, as STMicroelectronics' parser finds
 * them: segments must end before the file does, of the section headers only the
 * starts are checked. Upstream has mended both since (commits 5597ed385 and
 * 07917406b).
 *
 * Ref: OP-TEE 4.0.0-stm32mp-r2 ta/remoteproc/src/elf_parser.c
 */

#include <elf_parser.h>
#include <string.h>
#include <trace.h>

#include "st_ta.h"

#define TABLE_NAME	".resource_table"

/* Whether a byte of the file is at this offset */
static bool has(const struct st_elf *elf, uint64_t offset)
{
	return offset < elf->size;
}

static bool readable(const struct st_elf *elf, uint64_t offset, size_t size)
{
	size_t limit = elf->end - elf->start;

	return offset <= limit && size <= limit - offset;
}

TEE_Result st_elf_load(const struct st_elf *elf,
		       TEE_Result (*load)(void *priv, uint8_t *data,
					  const Elf32_Phdr *head),
		       void *priv)
{
	const Elf32_Ehdr *ehdr = (void *)elf->start;
	uint64_t offset = ehdr->e_phoff;
	TEE_Result res = TEE_SUCCESS;
	size_t n = 0;

	if (!elf->size)
		return TEE_ERROR_BAD_PARAMETERS;
	if (!IS_ALIGNED((vaddr_t)elf->start + offset, sizeof(uint32_t)) ||
	    !has(elf, offset))
		return TEE_ERROR_BAD_FORMAT;

	for (n = 0; n < ehdr->e_phnum; n++, offset += sizeof(Elf32_Phdr)) {
		Elf32_Phdr *head = (void *)(elf->start + offset);

		if (!readable(elf, offset, sizeof(*head)))
			return TEE_ERROR_BAD_FORMAT;
		if (head->p_type != PT_LOAD)
			continue;
		if (!has(elf, offset + sizeof(*head) - 1) ||
		    !has(elf, head->p_offset) ||
		    !has(elf, (uint64_t)head->p_offset + head->p_filesz))
			return TEE_ERROR_BAD_FORMAT;

		res = load(priv, elf->start + head->p_offset, head);
		if (res)
			return res;
	}

	return TEE_SUCCESS;
}

static bool is_table(const struct st_elf *elf, uint64_t name)
{
	return readable(elf, name, sizeof(TABLE_NAME)) &&
	       !memcmp(elf->start + name, TABLE_NAME, sizeof(TABLE_NAME));
}

static TEE_Result check_table(const struct st_elf *elf, const Elf32_Shdr *head,
			      bool is_plain)
{
	const struct resource_table *table = NULL;
	uint64_t size = head->sh_size;

	if (head->sh_offset + size > elf->size) {
		EMSG("Resource table truncated");
		return TEE_ERROR_BAD_FORMAT;
	}
	if (size < sizeof(*table)) {
		EMSG("No header found in resource table");
		return TEE_ERROR_BAD_FORMAT;
	}

	table = (void *)(elf->start + head->sh_offset);
	if (!IS_ALIGNED_WITH_TYPE(table, uint32_t))
		return TEE_ERROR_CORRUPT_OBJECT;
	if (!is_plain)
		return TEE_SUCCESS;

	if (table->ver != 1) {
		EMSG("Unsupported firmware version %"PRId32, table->ver);
		return TEE_ERROR_BAD_FORMAT;
	}
	if (table->reserved[0] || table->reserved[1]) {
		EMSG("Non zero reserved bytes");
		return TEE_ERROR_BAD_FORMAT;
	}
	if (sizeof(*table) + sizeof(uint32_t) * (uint64_t)table->num > size) {
		EMSG("Resource table incomplete");
		return TEE_ERROR_BAD_FORMAT;
	}

	return TEE_SUCCESS;
}

TEE_Result st_elf_find_table(const struct st_elf *elf, bool is_plain,
			     uint32_t *da, uint32_t *size)
{
	const Elf32_Ehdr *ehdr = (void *)elf->start;
	const Elf32_Shdr *head = NULL;
	uint64_t offset = ehdr->e_shoff;
	uint64_t names = offset + ehdr->e_shstrndx * sizeof(*head);
	TEE_Result res = TEE_SUCCESS;
	size_t n = 0;

	if (!IS_ALIGNED((vaddr_t)elf->start + offset, sizeof(uint32_t)) ||
	    !has(elf, offset) || !readable(elf, names, sizeof(*head)))
		return TEE_ERROR_BAD_FORMAT;

	head = (void *)(elf->start + names);
	names = head->sh_offset;
	if (!has(elf, names))
		return TEE_ERROR_BAD_FORMAT;

	for (n = 0; n < ehdr->e_shnum; n++, offset += sizeof(*head)) {
		head = (void *)(elf->start + offset);
		if (!has(elf, offset) || !readable(elf, offset, sizeof(*head)))
			return TEE_ERROR_BAD_FORMAT;
		if (!is_table(elf, names + head->sh_name))
			continue;
		if (!head->sh_size)
			return TEE_ERROR_NO_DATA;

		res = check_table(elf, head, is_plain);
		if (res)
			return res;
		*da = head->sh_addr;
		*size = head->sh_size;

		return TEE_SUCCESS;
	}

	return TEE_ERROR_NO_DATA;
}
