// SPDX-License-Identifier: BSD-2-Clause
/*
 * LOAD_FW of a remoteproc application that answers as STMicroelectronics': its
 * checks in their order. What is refused before NUM_IMG cleans nothing, so that a
 * boot address stays set.
 *
 * Ref: OP-TEE 4.0.0-stm32mp-r2 ta/remoteproc/src/remoteproc_core.c,
 *      remoteproc_load_fw() and what it calls
 */

#include <elf_parser.h>
#include <remoteproc_pta.h>
#include <string.h>

#include "st_ta.h"

#define MAGIC			U(0x3543A468)
#define VERSION			U(1)

#define TLV_SIGNTYPE		U(0x01)
#define TLV_HASHTYPE		U(0x02)
#define TLV_NUM_IMG		U(0x03)
#define TLV_IMGTYPE		U(0x04)
#define TLV_IMGSIZE		U(0x05)
#define TLV_ENCTYPE		U(0x06)
#define TLV_HASHTABLE		U(0x10)
#define TLV_PKEYINFO		U(0x11)
#define TLV_ENCTABLE		U(0x12)

#define SIGNTYPE_RSA		1
#define SIGNTYPE_ECDSA		2
#define HASHTYPE_SHA256		1
#define ENCTYPE_AES_CBC		1
#define IMGTYPE_ELF		1
#define IMGTYPE_ENCRYPTED_ELF	2

#define FORMATS			(PTA_RPROC_HWCAP_FMT_ELF | BIT32(1))

#define PAD8(size)		ROUNDUP((size), sizeof(uint64_t))

struct header {
	uint32_t magic;
	uint32_t version;
	uint32_t tlv_len;
	uint32_t sign_len;
	uint32_t img_len;
};

/*
 * struct load - an image while it is loaded
 * @copy: header, TLVs and signature, which Linux can no longer change
 * @image, @size, @end: ELF files, in memory of Linux; @end of the whole
 * @table: hash table or encryption table
 * @n_entries: of it
 * @is_encrypted: the second
 */
struct load {
	struct st_core *core;
	uint8_t *copy;
	struct st_tlvs tlvs;
	uint8_t *image;
	size_t size;
	uint8_t *end;
	uint8_t *table;
	size_t n_entries;
	bool is_encrypted;
};

/* Entry of a table: program header, hash, initialisation vector */
#define HASH_OFFSET		sizeof(Elf32_Phdr)
#define HASH_ENTRY_SIZE		(HASH_OFFSET + TEE_SHA256_HASH_SIZE)
#define ENC_ENTRY_SIZE		(HASH_ENTRY_SIZE + TEE_AES_BLOCK_SIZE)

static size_t entry_size(const struct load *load)
{
	return load->is_encrypted ? ENC_ENTRY_SIZE : HASH_ENTRY_SIZE;
}

static TEE_Result check_capabilities(struct load *load)
{
	const uint32_t pt = TEE_PARAM_TYPES(TEE_PARAM_TYPE_VALUE_INPUT,
					    TEE_PARAM_TYPE_VALUE_OUTPUT,
					    TEE_PARAM_TYPE_VALUE_OUTPUT,
					    TEE_PARAM_TYPE_NONE);
	TEE_Param params[TEE_NUM_PARAMS] = { };
	TEE_Result res = TEE_ERROR_GENERIC;

	params[0].value.a = load->core->id;
	res = st_ask(PTA_RPROC_HW_CAPABILITIES, pt, params);
	if (res)
		return res;
	if (!(params[2].value.a & PTA_RPROC_HWCAP_PROT_HASH_TABLE) ||
	    !(params[1].value.a & FORMATS))
		return TEE_ERROR_NOT_IMPLEMENTED;

	return TEE_SUCCESS;
}

static TEE_Result copy_header(struct load *load, void *image, uint32_t size)
{
	struct header *head = image;
	uint32_t length = 0;

	if (!IS_ALIGNED_WITH_TYPE(image, struct header) ||
	    ADD_OVERFLOW(sizeof(*head), PAD8(head->tlv_len), &length) ||
	    ADD_OVERFLOW(length, PAD8(head->sign_len), &length) ||
	    size <= length || !head->sign_len || !head->tlv_len)
		return TEE_ERROR_BAD_PARAMETERS;

	load->copy = TEE_Malloc(length, TEE_MALLOC_FILL_ZERO);
	if (!load->copy)
		return TEE_ERROR_OUT_OF_MEMORY;
	memcpy(load->copy, image, length);
	load->tlvs.end = load->copy + length;

	return TEE_SUCCESS;
}

/* Linux may have changed the header since it was copied: all from the copy */
static TEE_Result check_header(struct load *load, uint8_t *image, size_t size)
{
	const struct header *head = (void *)load->copy;
	size_t length = load->tlvs.end - load->copy;
	uint32_t expected = 0;

	if (head->magic != MAGIC || head->version != VERSION ||
	    ADD_OVERFLOW(sizeof(*head), PAD8(head->tlv_len), &expected) ||
	    ADD_OVERFLOW(expected, PAD8(head->sign_len), &expected) ||
	    expected != length ||
	    ADD_OVERFLOW(expected, PAD8(head->img_len), &expected) ||
	    expected != size)
		return TEE_ERROR_BAD_PARAMETERS;

	load->tlvs.start = load->copy + sizeof(*head);
	load->tlvs.size = head->tlv_len;
	load->image = image + length;
	load->size = head->img_len;
	load->end = image + size;

	return TEE_SUCCESS;
}

static TEE_Result ask_signature(struct load *load, uint32_t algo, uint8_t *hash)
{
	const uint32_t pt = TEE_PARAM_TYPES(TEE_PARAM_TYPE_VALUE_INPUT,
					    TEE_PARAM_TYPE_MEMREF_INPUT,
					    TEE_PARAM_TYPE_MEMREF_INPUT,
					    TEE_PARAM_TYPE_MEMREF_INPUT);
	const struct header *head = (void *)load->copy;
	struct rproc_pta_key_info *info = NULL;
	TEE_Param params[TEE_NUM_PARAMS] = { };
	TEE_Result res = TEE_ERROR_GENERIC;
	uint8_t *key = NULL;
	size_t size = 0;

	st_tlv_get(&load->tlvs, TLV_PKEYINFO, &key, &size);
	info = TEE_Malloc(sizeof(*info) + size, TEE_MALLOC_FILL_ZERO);
	if (!info)
		return TEE_ERROR_OUT_OF_MEMORY;
	if (size && !st_tlv_whole(&load->tlvs, key, size)) {
		TEE_Free(info);
		return TEE_ERROR_BAD_PARAMETERS;
	}

	info->algo = algo;
	info->info_size = size;
	memcpy(info->info, key, size);

	params[0].value.a = load->core->id;
	params[1].memref.buffer = info;
	params[1].memref.size = rproc_pta_keyinfo_size(info);
	params[2].memref.buffer = hash;
	params[2].memref.size = TEE_SHA256_HASH_SIZE;
	params[3].memref.buffer = load->tlvs.start + PAD8(load->tlvs.size);
	params[3].memref.size = head->sign_len;

	res = st_ask(PTA_RPROC_VERIFY_DIGEST, pt, params);
	if (res)
		EMSG("Failed to verify signature, res = %#"PRIx32, res);
	TEE_Free(info);

	return res;
}

static TEE_Result check_signature(struct load *load)
{
	TEE_OperationHandle op = TEE_HANDLE_NULL;
	size_t hash_size = TEE_SHA256_HASH_SIZE;
	TEE_Result res = TEE_ERROR_GENERIC;
	uint8_t *value = NULL;
	uint8_t *hash = NULL;
	uint32_t algo = 0;
	size_t size = 0;

	res = st_tlv_get(&load->tlvs, TLV_SIGNTYPE, &value, &size);
	if (res || size != sizeof(*value))
		return TEE_ERROR_BAD_PARAMETERS;

	if (*value == SIGNTYPE_RSA) {
		algo = TEE_ALG_RSASSA_PKCS1_V1_5_SHA256;
	} else if (*value == SIGNTYPE_ECDSA) {
		algo = TEE_ALG_ECDSA_P256;
	} else {
		EMSG("Unsupported signature type %"PRId8, *value);
		return TEE_ERROR_NOT_SUPPORTED;
	}

	hash = TEE_Malloc(hash_size, TEE_MALLOC_FILL_ZERO);
	if (!hash)
		return TEE_ERROR_OUT_OF_MEMORY;

	res = TEE_AllocateOperation(&op, TEE_ALG_SHA256, TEE_MODE_DIGEST, 0);
	if (!res)
		res = TEE_DigestDoFinal(op, load->copy, sizeof(struct header) +
					PAD8(load->tlvs.size), hash, &hash_size);
	if (!res)
		res = ask_signature(load, algo, hash);

	if (op != TEE_HANDLE_NULL)
		TEE_FreeOperation(op);
	TEE_Free(hash);

	return res;
}

static TEE_Result check_hash_type(struct load *load)
{
	uint8_t *value = NULL;
	size_t size = 0;
	TEE_Result res = st_tlv_get(&load->tlvs, TLV_HASHTYPE, &value, &size);

	if (res)
		return res;
	if (size != sizeof(*value))
		return TEE_ERROR_BAD_PARAMETERS;

	return *value == HASHTYPE_SHA256 ? TEE_SUCCESS :
					   TEE_ERROR_NOT_SUPPORTED;
}

static TEE_Result take_tlv(uint32_t core, uint32_t type, void *value,
			   size_t size)
{
	const uint32_t pt = TEE_PARAM_TYPES(TEE_PARAM_TYPE_VALUE_INPUT,
					    TEE_PARAM_TYPE_VALUE_INPUT,
					    TEE_PARAM_TYPE_MEMREF_INPUT,
					    TEE_PARAM_TYPE_NONE);
	TEE_Param params[TEE_NUM_PARAMS] = { };

	params[0].value.a = core;
	params[1].value.a = type;
	params[2].memref.buffer = value;
	params[2].memref.size = size;

	return st_ask(PTA_ST_TLV_PARAM, pt, params);
}

static TEE_Result authenticate(struct load *load, void *image, size_t size)
{
	TEE_Result res = check_capabilities(load);

	if (!res)
		res = copy_header(load, image, size);
	if (!res)
		res = check_header(load, image, size);
	if (!res)
		res = check_signature(load);
	if (!res)
		res = check_hash_type(load);
	if (!res)
		res = st_tlv_platform(&load->tlvs, load->core->id, take_tlv);
	if (res)
		EMSG("Can't Authenticate the firmware (res = %#"PRIx32")", res);

	return res;
}

static TEE_Result check_encryption(struct load *load)
{
	uint8_t *value = NULL;
	size_t size = 0;

	if (st_tlv_get(&load->tlvs, TLV_ENCTYPE, &value, &size))
		return TEE_SUCCESS;
	if (size != sizeof(*value))
		return TEE_ERROR_BAD_PARAMETERS;
	if (*value != ENCTYPE_AES_CBC) {
		EMSG("Unsupported encryption type %"PRId8, *value);
		return TEE_ERROR_NOT_SUPPORTED;
	}
	load->is_encrypted = true;

	return TEE_SUCCESS;
}

/* A copy, which is aligned */
static TEE_Result copy_table(struct load *load)
{
	uint32_t type = load->is_encrypted ? TLV_ENCTABLE : TLV_HASHTABLE;
	uint8_t *value = NULL;
	size_t size = 0;
	TEE_Result res = st_tlv_get(&load->tlvs, type, &value, &size);

	if (res)
		return res;
	if (size % entry_size(load))
		return TEE_ERROR_BAD_PARAMETERS;

	load->table = TEE_Malloc(size, TEE_MALLOC_FILL_ZERO);
	if (!load->table)
		return TEE_ERROR_OUT_OF_MEMORY;
	if (!st_tlv_whole(&load->tlvs, value, size))
		return TEE_ERROR_BAD_PARAMETERS;
	memcpy(load->table, value, size);
	load->n_entries = size / entry_size(load);

	return TEE_SUCCESS;
}

static TEE_Result get_count(struct load *load, size_t *count)
{
	uint8_t *value = NULL;
	size_t size = 0;
	TEE_Result res = st_tlv_get(&load->tlvs, TLV_NUM_IMG, &value, &size);

	if (res)
		return res;
	if (size != sizeof(*value))
		return TEE_ERROR_BAD_FORMAT;
	*count = *value;

	return *count ? TEE_SUCCESS : TEE_ERROR_NO_DATA;
}

/* Values of IMGTYPE or IMGSIZE, one for each image */
static TEE_Result get_values(struct load *load, uint32_t type, size_t expected,
			     uint8_t **values)
{
	size_t size = 0;
	TEE_Result res = st_tlv_get(&load->tlvs, type, values, &size);

	if (res)
		return res;
	if (size != expected || !st_tlv_whole(&load->tlvs, *values, size))
		return TEE_ERROR_BAD_PARAMETERS;

	return TEE_SUCCESS;
}

static TEE_Result get_size(struct load *load, size_t count, size_t n,
			   uint32_t *size)
{
	uint8_t *values = NULL;
	TEE_Result res = get_values(load, TLV_IMGTYPE, count, &values);
	uint8_t type = load->is_encrypted ? IMGTYPE_ENCRYPTED_ELF : IMGTYPE_ELF;

	if (res)
		return res;
	if (values[n] != type)
		return TEE_ERROR_BAD_FORMAT;

	res = get_values(load, TLV_IMGSIZE, count * sizeof(*size), &values);
	if (!res)
		*size = st_read_u32(values + n * sizeof(*size));

	return res;
}

/* The first entry with the address of a segment has to fit it */
static TEE_Result find_entry(struct load *load, uint8_t *data,
			     const Elf32_Phdr *head, uint8_t **entry)
{
	uint8_t *end = load->image + load->size;
	size_t n = 0;

	for (n = 0; n < load->n_entries; n++) {
		Elf32_Phdr *phdr = NULL;

		*entry = load->table + n * entry_size(load);
		phdr = (void *)*entry;
		if (phdr->p_paddr != head->p_paddr)
			continue;
		if (phdr->p_type != PT_LOAD ||
		    phdr->p_filesz != head->p_filesz ||
		    phdr->p_memsz != head->p_memsz || data < load->image ||
		    data > end || data + phdr->p_filesz > end)
			return TEE_ERROR_BAD_PARAMETERS;

		return TEE_SUCCESS;
	}

	return TEE_ERROR_NO_DATA;
}

/* The PTA is given the hash, and the initialisation vector if there is one */
static TEE_Result copy_segment(struct load *load, uint8_t *data,
			       const Elf32_Phdr *head, uint8_t *entry)
{
	const uint32_t pt = TEE_PARAM_TYPES(TEE_PARAM_TYPE_VALUE_INPUT,
					    TEE_PARAM_TYPE_MEMREF_INPUT,
					    TEE_PARAM_TYPE_VALUE_INPUT,
					    TEE_PARAM_TYPE_MEMREF_INPUT);
	TEE_Param params[TEE_NUM_PARAMS] = { };
	TEE_Result res = TEE_ERROR_GENERIC;

	params[0].value.a = load->core->id;
	params[1].memref.buffer = data;
	params[1].memref.size = head->p_filesz;
	params[2].value.a = head->p_paddr;
	params[3].memref.buffer = entry + HASH_OFFSET;
	params[3].memref.size = entry_size(load) - HASH_OFFSET;

	res = st_ask(PTA_RPROC_LOAD_SEGMENT_SHA256, pt, params);
	if (res)
		EMSG("Fails to load segment, res = 0x%#"PRIx32, res);

	return res;
}

static TEE_Result clear_rest(struct load *load, const Elf32_Phdr *head)
{
	const uint32_t pt = TEE_PARAM_TYPES(TEE_PARAM_TYPE_VALUE_INPUT,
					    TEE_PARAM_TYPE_VALUE_INPUT,
					    TEE_PARAM_TYPE_VALUE_INPUT,
					    TEE_PARAM_TYPE_VALUE_INPUT);
	TEE_Param params[TEE_NUM_PARAMS] = { };
	TEE_Result res = TEE_ERROR_GENERIC;

	params[0].value.a = load->core->id;
	params[1].value.a = head->p_paddr + head->p_filesz;
	params[2].value.a = head->p_memsz - head->p_filesz;

	res = st_ask(PTA_RPROC_SET_MEMORY, pt, params);
	if (res)
		EMSG("Fails to clear segment, res = %#"PRIx32, res);

	return res;
}

/* A copy of the header: Linux can change the image at any time */
static TEE_Result load_segment(void *priv, uint8_t *data,
			       const Elf32_Phdr *phdr)
{
	struct load *load = priv;
	Elf32_Phdr head = *phdr;
	uint8_t *entry = NULL;
	TEE_Result res = find_entry(load, data, &head, &entry);

	if (!res && head.p_filesz)
		res = copy_segment(load, data, &head, entry);
	if (!res && head.p_filesz < head.p_memsz)
		res = clear_rest(load, &head);

	return res;
}

static TEE_Result translate(struct load *load, uint32_t da, uint32_t size,
			    paddr_t *pa)
{
	const uint32_t pt = TEE_PARAM_TYPES(TEE_PARAM_TYPE_VALUE_INPUT,
					    TEE_PARAM_TYPE_VALUE_INPUT,
					    TEE_PARAM_TYPE_VALUE_INPUT,
					    TEE_PARAM_TYPE_VALUE_OUTPUT);
	TEE_Param params[TEE_NUM_PARAMS] = { };

	params[0].value.a = load->core->id;
	params[1].value.a = da;
	params[2].value.a = size;
	if (st_ask(PTA_RPROC_FIRMWARE_DA_TO_PA, pt, params)) {
		EMSG("Failed to translate device address %#"PRIx32, da);
		return TEE_ERROR_ACCESS_DENIED;
	}
	*pa = reg_pair_to_64(params[3].value.b, params[3].value.a);

	return TEE_SUCCESS;
}

static TEE_Result take_table(struct load *load, const struct st_elf *elf)
{
	uint32_t size = 0;
	uint32_t da = 0;
	paddr_t pa = 0;
	TEE_Result res = st_elf_find_table(elf, !load->is_encrypted, &da,
					   &size);

	if (res == TEE_ERROR_NO_DATA)
		return TEE_SUCCESS;
	if (!res)
		res = translate(load, da, size, &pa);
	if (res)
		return res;

	if (load->core->table_pa || load->core->table_size) {
		EMSG("More than one resource table found");
		return TEE_ERROR_BAD_FORMAT;
	}
	load->core->table_pa = pa;
	load->core->table_size = size;

	return TEE_SUCCESS;
}

static TEE_Result load_images(struct load *load)
{
	struct st_elf elf = { .start = load->image, .end = load->end };
	TEE_Result res = TEE_SUCCESS;
	uint32_t size = 0;
	size_t count = 0;
	size_t n = 0;

	res = get_count(load, &count);
	load->core->table_pa = 0;
	load->core->table_size = 0;

	for (n = 0; n < count && !res; n++) {
		elf.start += size;
		res = get_size(load, count, n, &size);
		elf.size = size;
		if (!res && elf.start + sizeof(Elf32_Ehdr) > elf.end)
			res = TEE_ERROR_BAD_FORMAT;
		if (!res)
			res = st_elf_load(&elf, load_segment, load);
		if (!res)
			res = take_table(load, &elf);
	}

	return res;
}

static TEE_Result load_elf(struct load *load)
{
	TEE_Result res = e32_parse_ehdr(load->image, load->size);

	if (res) {
		EMSG("Failed to parse firmware, res = %#"PRIx32, res);
		return res;
	}

	res = check_encryption(load);
	if (!res)
		res = copy_table(load);
	if (res)
		return res;

	res = load_images(load);
	if (res)
		st_clean(load->core);

	return res;
}

TEE_Result st_load(struct st_core *core, void *image, size_t size)
{
	struct load load = { .core = core };
	TEE_Result res = authenticate(&load, image, size);

	if (!res)
		res = load_elf(&load);

	TEE_Free(load.table);
	TEE_Free(load.copy);

	return res;
}
