/* SPDX-License-Identifier: MIT */
/* Arithmetic of the peer's platform: SHA-256 (FIPS 180-4), CRC-32, RSA verification (RFC 8017, 8.2.2). */
#ifndef NUMBERS_H
#define NUMBERS_H

#include <stddef.h>
#include <stdint.h>

struct sha256 {
	uint32_t h[8];
	uint8_t block[64];
	uint64_t length;
};

void sha256_begin(struct sha256 *s);
void sha256_add(struct sha256 *s, const void *data, size_t size);
void sha256_end(struct sha256 *s, uint8_t digest[32]);

uint32_t crc32_of(const void *data, size_t size);

/* 1 if `signature` over `digest` was made with the key of this big-endian modulus and exponent 65537 */
int rsa_good(const uint8_t *modulus, size_t size, const uint8_t digest[32],
	     const uint8_t *signature, size_t signature_size);

#endif
