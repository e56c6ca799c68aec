// SPDX-License-Identifier: MIT
/* The functions of core.h. A refusal follows the function of OP-TEE's core that a comment names. */
#include "core.h"

#include "aes.h"

struct rstctrl reset_line;

struct ts_session *ts_get_calling_session(void)
{
	static struct ts_ctx ctx = { { 0x80a4c275, 0x0a47, 0x4905, { 0x82, 0x85, 0x14, 0x86, 0xa9, 0x77, 0x1a, 0x08 } } };
	static struct ts_session session = { &ctx };

	return &session;
}

/* ------------------------------------------------------------------------------------- cryptography */

/* OP-TEE's own key, which the build generates: the board's stands in for it, see crypto_acipher_rsassa_verify. */
const uint32_t rproc_pub_key_exponent = 65537;
const uint8_t rproc_pub_key_modulus[1];
const size_t rproc_pub_key_modulus_size = sizeof(rproc_pub_key_modulus);

TEE_Result crypto_bignum_bin2bn(const uint8_t *from, size_t size, struct bignum *to)
{
	if (size > sizeof(to->bytes))
		return TEE_ERROR_BAD_PARAMETERS;
	memcpy(to->bytes, from, size);
	to->size = size;
	return TEE_SUCCESS;
}

TEE_Result crypto_acipher_alloc_rsa_public_key(struct rsa_public_key *key, size_t bits)
{
	static struct bignum e, n;

	(void)bits;
	key->e = &e;
	key->n = &n;
	return TEE_SUCCESS;
}

TEE_Result crypto_acipher_alloc_ecc_public_key(struct ecc_public_key *key, uint32_t type, size_t bits)
{
	static struct bignum x, y;

	(void)type;
	(void)bits;
	key->x = &x;
	key->y = &y;
	return TEE_SUCCESS;
}

void crypto_acipher_free_rsa_public_key(struct rsa_public_key *key)
{
	(void)key;
}

void crypto_acipher_free_ecc_public_key(struct ecc_public_key *key)
{
	(void)key;
}

TEE_Result crypto_acipher_rsassa_verify(uint32_t algo, struct rsa_public_key *key, size_t salt, const uint8_t *digest,
					size_t digest_size, const uint8_t *signature, size_t size)
{
	const uint8_t *n = board->key_in_image ? key->n->bytes : board->modulus;
	size_t n_size = board->key_in_image ? key->n->size : board->modulus_size;

	(void)algo;
	(void)salt;
	(void)digest_size;
	if (!board->real_verify)
		return board->verdict;
	return rsa_good(n, n_size, digest, signature, size) ? TEE_SUCCESS : TEE_ERROR_SIGNATURE_INVALID;
}

/* core/lib/libtomcrypt/ecc.c, _ltc_ecc_verify; what it computes is the board's verdict. */
TEE_Result crypto_acipher_ecc_verify(uint32_t algo, struct ecc_public_key *key, const uint8_t *digest,
				     size_t digest_size, const uint8_t *signature, size_t size)
{
	(void)algo;
	(void)key;
	(void)digest;
	(void)digest_size;
	(void)signature;
	return size == 64 ? board->verdict : TEE_ERROR_BAD_PARAMETERS;
}

TEE_Result hash_sha256_check(const uint8_t *hash, const uint8_t *data, size_t size)
{
	uint8_t digest[32];
	struct sha256 s;

	sha256_begin(&s);
	sha256_add(&s, data, size);
	sha256_end(&s, digest);
	return memcmp(digest, hash, sizeof(digest)) ? TEE_ERROR_SECURITY : TEE_SUCCESS;
}

TEE_Result crypto_hash_alloc_ctx(void **ctx, uint32_t algo)
{
	static struct sha256 s;

	(void)algo;
	*ctx = &s;
	return TEE_SUCCESS;
}

TEE_Result crypto_hash_init(void *ctx)
{
	sha256_begin(ctx);
	return TEE_SUCCESS;
}

TEE_Result crypto_hash_update(void *ctx, const uint8_t *data, size_t size)
{
	sha256_add(ctx, data, size);
	return TEE_SUCCESS;
}

TEE_Result crypto_hash_final(void *ctx, uint8_t *digest, size_t size)
{
	(void)size;
	sha256_end(ctx, digest);
	return TEE_SUCCESS;
}

void crypto_hash_free_ctx(void *ctx)
{
	(void)ctx;
}

TEE_Result crypto_cipher_alloc_ctx(void **ctx, uint32_t algo)
{
	static struct aes_cbc c;

	*ctx = &c;
	return algo == TEE_ALG_AES_CBC_NOPAD ? TEE_SUCCESS : TEE_ERROR_NOT_IMPLEMENTED;
}

TEE_Result crypto_cipher_init(void *ctx, TEE_OperationMode mode, const uint8_t *key, size_t key_size,
			      const uint8_t *key2, size_t key2_size, const uint8_t *iv, size_t iv_size)
{
	(void)mode;
	(void)key_size;
	(void)key2;
	(void)key2_size;
	(void)iv_size;
	aes_cbc_begin(ctx, key, iv);
	return TEE_SUCCESS;
}

/* core/lib/libtomcrypt/cbc.c, ltc_cbc_update: blocks only. */
TEE_Result crypto_cipher_update(void *ctx, TEE_OperationMode mode, bool last, const uint8_t *data, size_t size,
				uint8_t *to)
{
	(void)mode;
	(void)last;
	if (size % 16)
		return TEE_ERROR_BAD_STATE;
	aes_cbc_decrypt(ctx, data, size, to);
	return TEE_SUCCESS;
}

void crypto_cipher_final(void *ctx)
{
	(void)ctx;
}

void crypto_cipher_free_ctx(void *ctx)
{
	(void)ctx;
}

#define KEY_HASH_ID 176
#define DECRYPTION_KEY_ID 336

TEE_Result stm32_bsec_find_otp_in_nvmem_layout(const char *name, uint32_t *id, uint8_t *bit_offset, size_t *bits)
{
	*id = strcmp(name, "oem_rproc_pkh") ? DECRYPTION_KEY_ID : KEY_HASH_ID;
	*bit_offset = 0;
	*bits = 256;
	return TEE_SUCCESS;
}

TEE_Result stm32_bsec_read_otp(uint32_t *value, uint32_t id)
{
	const uint8_t *fuses = id < DECRYPTION_KEY_ID ? board->key_hash + 4 * (id - KEY_HASH_ID) :
							board->decryption_key + 4 * (id - DECRYPTION_KEY_ID);

	memcpy(value, fuses, 4);
	return TEE_SUCCESS;
}

void free_wipe(void *p)
{
	free(p);
}

int consttime_memcmp(const void *a, const void *b, size_t size)
{
	return memcmp(a, b, size);
}

void memzero_explicit(void *p, size_t size)
{
	memset(p, 0, size);
}

/* ---------------------------------------------------------------------------- memory and device tree */

/* core/kernel/tee_misc.c */
bool core_is_buffer_inside(paddr_t b, size_t b_size, paddr_t a, size_t a_size)
{
	if (!b_size || !a_size || b - 1 + b_size < b || a - 1 + a_size < a)
		return false;
	return b >= a && b - 1 + b_size <= a - 1 + a_size;
}

static struct region *region_of(paddr_t pa, size_t size)
{
	for (uint32_t i = 0; i < board->count; i++)
		for (uint32_t k = 0; k < board->core[i].count; k++) {
			struct region *r = board->core[i].region + k;

			if (core_is_buffer_inside(pa, size, r->pa, r->size))
				return r;
		}
	return NULL;
}

void *core_mmu_add_mapping(int type, paddr_t pa, size_t size)
{
	struct region *r = region_of(pa, size);

	(void)type;
	if (!r)
		return NULL;
	memory_written = 1;
	return r->memory + (pa - r->pa);
}

paddr_t virt_to_phys(void *va)
{
	for (uint32_t i = 0; i < board->count; i++)
		for (uint32_t k = 0; k < board->core[i].count; k++) {
			struct region *r = board->core[i].region + k;

			if ((uint8_t *)va >= r->memory && (uint8_t *)va < r->memory + r->size)
				return r->pa + ((uint8_t *)va - r->memory);
		}
	return 0;
}

#define BUS 1000	/* the node above the cores, and above that the root */

const void *fdt_getprop(const void *fdt, int node, const char *name, int *size)
{
	static uint32_t cells[MAX_RANGES * 4];
	uint32_t *p = cells;

	(void)fdt;
	if (node < BUS && !strcmp(name, "memory-region")) {
		for (uint32_t i = 0; i < board->core[node].count; i++)
			*p++ = __builtin_bswap32(node * MAX_REGIONS + i);
		*size = (p - cells) * sizeof(*p);
		return cells;
	}
	if (node == BUS && !strcmp(name, "dma-ranges") && board->ranges) {
		for (uint32_t i = 0; i < board->ranges; i++) {
			*p++ = __builtin_bswap32(board->range[i].da);
			if (sizeof(paddr_t) > sizeof(*p))
				*p++ = 0;
			*p++ = __builtin_bswap32(board->range[i].pa);
			*p++ = __builtin_bswap32(board->range[i].size);
		}
		*size = (p - cells) * sizeof(*p);
		return cells;
	}
	if (size)
		*size = -FDT_ERR_NOTFOUND;
	return NULL;
}

int fdt_parent_offset(const void *fdt, int node)
{
	(void)fdt;
	return node < BUS ? BUS : BUS + 1;
}

int fdt_node_offset_by_phandle(const void *fdt, uint32_t phandle)
{
	(void)fdt;
	return phandle;
}

paddr_t fdt_reg_base_address(const void *fdt, int node)
{
	(void)fdt;
	return board->core[node / MAX_REGIONS].region[node % MAX_REGIONS].pa;
}

size_t fdt_reg_size(const void *fdt, int node)
{
	(void)fdt;
	return board->core[node / MAX_REGIONS].region[node % MAX_REGIONS].size;
}

paddr_t fdt_read_paddr(const uint32_t *cells, int count)
{
	return __builtin_bswap32(cells[count - 1]);
}
