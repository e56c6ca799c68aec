/* SPDX-License-Identifier: MIT */
/* AES-256 in CBC mode, decryption only (FIPS 197; SP 800-38A, 6.2). */
#ifndef AES_H
#define AES_H

#include <stddef.h>
#include <stdint.h>

struct aes_cbc {
	uint8_t round_key[15][16];
	uint8_t last[16];	/* the block before the next one */
};

void aes_cbc_begin(struct aes_cbc *c, const uint8_t key[32], const uint8_t iv[16]);

/* size: a multiple of 16; `to` may be `from` */
void aes_cbc_decrypt(struct aes_cbc *c, const uint8_t *from, size_t size, uint8_t *to);

#endif
