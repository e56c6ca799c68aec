// SPDX-License-Identifier: MIT
#include "aes.h"

#include <string.h>

static uint8_t sbox[256], inverse[256];

/* Product in GF(2^8), FIPS 197, 4.2. */
static uint8_t product(uint8_t a, uint8_t b)
{
	uint8_t sum = 0;

	for (; b; b >>= 1) {
		if (b & 1)
			sum ^= a;
		a = a << 1 ^ (a & 0x80 ? 0x1b : 0);
	}
	return sum;
}

/* The substitution table, 5.1.1: inverse in the field, then the affine transformation. */
static void make_tables(void)
{
	for (int i = 0; i < 256; i++) {
		uint8_t x = 0, y = 0;

		while (i && product(i, x) != 1)
			x++;
		for (int bit = 0; bit < 5; bit++)
			y ^= x << bit | x >> (8 - bit);
		sbox[i] = y ^ 0x63;
		inverse[sbox[i]] = i;
	}
}

void aes_cbc_begin(struct aes_cbc *c, const uint8_t key[32], const uint8_t iv[16])
{
	uint8_t (*w)[4] = (void *)c->round_key;
	uint8_t factor = 1;

	if (!sbox[0])
		make_tables();
	memcpy(w, key, 32);
	memcpy(c->last, iv, 16);
	for (int i = 8; i < 60; i++) {
		uint8_t t[4] = { w[i - 1][0], w[i - 1][1], w[i - 1][2], w[i - 1][3] };

		if (i % 8 == 0) {
			uint8_t first = t[0];

			for (int k = 0; k < 4; k++)
				t[k] = sbox[k < 3 ? t[k + 1] : first];
			t[0] ^= factor;
			factor = product(factor, 2);
		} else if (i % 8 == 4) {
			for (int k = 0; k < 4; k++)
				t[k] = sbox[t[k]];
		}
		for (int k = 0; k < 4; k++)
			w[i][k] = w[i - 8][k] ^ t[k];
	}
}

/* The inverse cipher, 5.3; s[4 * column + row]. */
static void decrypt_block(const struct aes_cbc *c, uint8_t s[16])
{
	for (int round = 14; round >= 0; round--) {
		uint8_t t[16];

		for (int i = 0; i < 16; i++)
			s[i] ^= c->round_key[round][i];
		if (round == 0)
			return;
		for (int i = 0; i < 16; i += 4)
			for (int k = 0; k < 4 && round < 14; k++)
				t[i + k] = product(s[i + k], 14) ^ product(s[i + (k + 1) % 4], 11) ^
					   product(s[i + (k + 2) % 4], 13) ^ product(s[i + (k + 3) % 4], 9);
		if (round == 14)
			memcpy(t, s, 16);
		for (int column = 0; column < 4; column++)
			for (int row = 0; row < 4; row++)
				s[(column + row) % 4 * 4 + row] = inverse[t[4 * column + row]];
	}
}

void aes_cbc_decrypt(struct aes_cbc *c, const uint8_t *from, size_t size, uint8_t *to)
{
	for (; size >= 16; size -= 16, from += 16, to += 16) {
		uint8_t next[16], block[16];

		memcpy(next, from, 16);
		memcpy(block, from, 16);
		decrypt_block(c, block);
		for (int i = 0; i < 16; i++)
			to[i] = block[i] ^ c->last[i];
		memcpy(c->last, next, 16);
	}
}
