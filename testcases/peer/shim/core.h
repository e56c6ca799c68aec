/* SPDX-License-Identifier: MIT */
/*
 * As much of OP-TEE's core as ST's remoteproc PTA and driver use, so that both compile unmodified beside the TA.
 * The build puts this in front of them, and an empty file in place of every header of the core that they include.
 */
#ifndef CORE_H
#define CORE_H

#include <assert.h>
#include <compiler.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <tee_api_defines.h>
#include <tee_api_types.h>
#include <trace.h>
#include <types_ext.h>
#include <utee_defines.h>
#include <util.h>

#include "numbers.h"
#include "peer.h"

/* Compile-time switches of the PTA that a board of the peer turns at run time. */
#define IS_ENABLED(option) (option)
#define CFG_REMOTEPROC_PUB_KEY_VERIFY (board->key_in_image)
#define CFG_REMOTEPROC_ENC_TESTKEY (board->test_key)
#define CFG_STM32MP25 1
#define CFG_STM32MP_REMOTEPROC 1

#define panic(...) abort()
#define pseudo_ta_register(...) struct pta_head
#define DECLARE_KEEP_PAGER(name) struct keep_##name
#define DEFINE_DT_DRIVER(name) static const struct dt_driver name

/* ------------------------------------------------------------------------------- sessions of the PTA */

struct ts_ctx {
	TEE_UUID uuid;
};

struct ts_session {
	struct ts_ctx *ctx;
};

struct ts_session *ts_get_calling_session(void);
#define is_user_ta_ctx(ctx) ((ctx) != NULL)

/* -------------------------------------------------------------------------------------- cryptography */

struct bignum {
	size_t size;
	uint8_t bytes[512];
};

struct rsa_public_key {
	struct bignum *e, *n;
};

struct ecc_public_key {
	struct bignum *x, *y;
	uint32_t curve;
};

TEE_Result crypto_bignum_bin2bn(const uint8_t *from, size_t size, struct bignum *to);
TEE_Result crypto_acipher_alloc_rsa_public_key(struct rsa_public_key *key, size_t bits);
void crypto_acipher_free_rsa_public_key(struct rsa_public_key *key);
TEE_Result crypto_acipher_alloc_ecc_public_key(struct ecc_public_key *key, uint32_t type, size_t bits);
void crypto_acipher_free_ecc_public_key(struct ecc_public_key *key);
TEE_Result crypto_acipher_rsassa_verify(uint32_t algo, struct rsa_public_key *key, size_t salt, const uint8_t *digest,
					size_t digest_size, const uint8_t *signature, size_t size);
TEE_Result crypto_acipher_ecc_verify(uint32_t algo, struct ecc_public_key *key, const uint8_t *digest,
				     size_t digest_size, const uint8_t *signature, size_t size);
TEE_Result hash_sha256_check(const uint8_t *hash, const uint8_t *data, size_t size);
TEE_Result crypto_hash_alloc_ctx(void **ctx, uint32_t algo);
TEE_Result crypto_hash_init(void *ctx);
TEE_Result crypto_hash_update(void *ctx, const uint8_t *data, size_t size);
TEE_Result crypto_hash_final(void *ctx, uint8_t *digest, size_t size);
void crypto_hash_free_ctx(void *ctx);
TEE_Result crypto_cipher_alloc_ctx(void **ctx, uint32_t algo);
TEE_Result crypto_cipher_init(void *ctx, TEE_OperationMode mode, const uint8_t *key, size_t key_size,
			      const uint8_t *key2, size_t key2_size, const uint8_t *iv, size_t iv_size);
TEE_Result crypto_cipher_update(void *ctx, TEE_OperationMode mode, bool last, const uint8_t *data, size_t size,
				uint8_t *to);
void crypto_cipher_final(void *ctx);
void crypto_cipher_free_ctx(void *ctx);
TEE_Result stm32_bsec_find_otp_in_nvmem_layout(const char *name, uint32_t *id, uint8_t *bit_offset, size_t *bits);
TEE_Result stm32_bsec_read_otp(uint32_t *value, uint32_t id);
void free_wipe(void *p);
int consttime_memcmp(const void *a, const void *b, size_t size);
void memzero_explicit(void *p, size_t size);

/* ------------------------------------------------------------------------ memory, firewall, reset lines */

enum { MEM_AREA_RAM_SEC };

bool core_is_buffer_inside(paddr_t b, size_t b_size, paddr_t a, size_t a_size);
void *core_mmu_add_mapping(int type, paddr_t pa, size_t size);
paddr_t virt_to_phys(void *va);
#define core_mmu_remove_mapping(type, va, size) TEE_SUCCESS
#define dcache_clean_range(va, size) ((void)0)
#define stm32mp_syscfg_write(id, value, mask) ((void)0)
#define GENMASK_32(high, low) 0

struct firewall_alt_conf;
#define firewall_set_memory_alternate_conf(conf, address, size) TEE_SUCCESS
#define firewall_dt_get_alternate_conf(fdt, node, name, conf) TEE_SUCCESS
#define firewall_alternate_conf_put(conf) ((void)0)
#define stm32_rif_reconfigure_mem_region(fdt, phandle, conf) (*(conf) = board, TEE_SUCCESS)

struct rstctrl {
	const struct rstctrl_ops *ops;
};

struct rstctrl_ops {
	TEE_Result (*assert_level)(struct rstctrl *rstctrl, unsigned int to_us);
	TEE_Result (*deassert_level)(struct rstctrl *rstctrl, unsigned int to_us);
	const char *(*get_name)(struct rstctrl *rstctrl);
};

extern struct rstctrl reset_line;
#define rstctrl_name(line) ""
#define rstctrl_assert_to(line, us) TEE_SUCCESS
#define rstctrl_deassert_to(line, us) TEE_SUCCESS
#define rstctrl_dt_get_by_name(fdt, node, name, line) (*(line) = &reset_line, TEE_SUCCESS)
#define rstctrl_register_provider(fdt, node, get, data) TEE_SUCCESS

/* ---------------------------------------------------------------------------------------- power, probe */

enum pm_op { PM_OP_SUSPEND, PM_OP_RESUME };

struct pm_callback_handle {
	void *handle;
};

#define PM_HINT_IS_STATE(hint, state) 1
#define register_pm_driver_cb(callback, handle, name) ((void)0)

struct dt_pargs {
	int args_count;
	uint32_t args[1];
};

struct dt_device_match {
	const char *compatible;
	const void *compat_data;
};

struct dt_driver {
	const char *name;
	const struct dt_device_match *match_table;
	TEE_Result (*probe)(const void *fdt, int node, const void *data);
};

/* ----------------------------------------------------------------------- the device tree, from the board */

typedef uint32_t fdt32_t;
#define FDT_ERR_NOTFOUND 1
#define fdt32_to_cpu(value) __builtin_bswap32(value)

const void *fdt_getprop(const void *fdt, int node, const char *name, int *size);
int fdt_parent_offset(const void *fdt, int node);
int fdt_node_offset_by_phandle(const void *fdt, uint32_t phandle);
paddr_t fdt_reg_base_address(const void *fdt, int node);
size_t fdt_reg_size(const void *fdt, int node);
paddr_t fdt_read_paddr(const uint32_t *cells, int count);
#define fdt_address_cells(fdt, node) ((int)(sizeof(paddr_t) / sizeof(uint32_t)))
#define _fdt_reg_base_address fdt_reg_base_address
#define _fdt_reg_size fdt_reg_size
#define _fdt_read_uint32_index(fdt, node, name, index, value) (*(value) = 0, TEE_SUCCESS)

/* Registers of the Cortex-A35's subsystem, by their names up to r2 and since r3: nothing reads them back. */
enum {
	A35SSC_M33_INITSVTOR_CR, A35SSC_M33_INITNSVTOR_CR, A35SSC_M33_TZEN_CR, A35SSC_M33_TZEN_CR_CFG_SECEXT,
	A35SSC_M33_TZEN_CR_M33CFG_SEC, A35SSC_M33_TZEN_CR_M33CFG_PRIV, A35SSC_M33CFG_ACCESS_CR,
	CA35SS_SYSCFG_M33_INITSVTOR_CR, CA35SS_SYSCFG_M33_INITNSVTOR_CR, CA35SS_SYSCFG_M33_TZEN_CR,
	CA35SS_SYSCFG_M33_TZEN_CR_CFG_SECEXT, CA35SS_SYSCFG_M33_ACCESS_CR, CA35SS_SYSCFG_M33_ACCESS_CR_SEC,
	CA35SS_SYSCFG_M33_ACCESS_CR_PRIV,
};

#endif
