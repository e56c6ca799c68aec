// SPDX-License-Identifier: MIT
#include "numbers.h"

#include <string.h>

static const uint32_t round_constants[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
	0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
	0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
	0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
	0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t rotate(uint32_t x, int n)
{
	return x >> n | x << (32 - n);
}

static void sha256_block(struct sha256 *s)
{
	uint32_t w[64], v[8];

	for (int i = 0; i < 16; i++)
		w[i] = (uint32_t)s->block[4 * i] << 24 | s->block[4 * i + 1] << 16 |
		       s->block[4 * i + 2] << 8 | s->block[4 * i + 3];
	for (int i = 16; i < 64; i++) {
		uint32_t a = w[i - 15], b = w[i - 2];

		w[i] = w[i - 16] + w[i - 7] + (rotate(a, 7) ^ rotate(a, 18) ^ a >> 3) +
		       (rotate(b, 17) ^ rotate(b, 19) ^ b >> 10);
	}
	memcpy(v, s->h, sizeof(v));
	for (int i = 0; i < 64; i++) {
		uint32_t e = v[4], a = v[0];
		uint32_t t1 = v[7] + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) +
			      ((e & v[5]) ^ (~e & v[6])) + round_constants[i] + w[i];
		uint32_t t2 = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) +
			      ((a & v[1]) ^ (a & v[2]) ^ (v[1] & v[2]));

		memmove(v + 1, v, 7 * sizeof(*v));
		v[4] += t1;
		v[0] = t1 + t2;
	}
	for (int i = 0; i < 8; i++)
		s->h[i] += v[i];
}

void sha256_begin(struct sha256 *s)
{
	static const uint32_t start[8] = {
		0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
	};

	memcpy(s->h, start, sizeof(start));
	s->length = 0;
}

void sha256_add(struct sha256 *s, const void *data, size_t size)
{
	const uint8_t *p = data;

	while (size) {
		size_t used = s->length % 64, part = size < 64 - used ? size : 64 - used;

		memcpy(s->block + used, p, part);
		s->length += part;
		p += part;
		size -= part;
		if (s->length % 64 == 0)
			sha256_block(s);
	}
}

void sha256_end(struct sha256 *s, uint8_t digest[32])
{
	uint64_t bits = s->length * 8;
	uint8_t end[72] = { 0x80 };
	size_t pad = (s->length % 64 < 56 ? 56 : 120) - s->length % 64;

	for (int i = 0; i < 8; i++)
		end[pad + i] = bits >> (56 - 8 * i);
	sha256_add(s, end, pad + 8);
	for (int i = 0; i < 32; i++)
		digest[i] = s->h[i / 4] >> (24 - 8 * (i % 4));
}

uint32_t crc32_of(const void *data, size_t size)
{
	static uint32_t table[256];
	const uint8_t *p = data;
	uint32_t crc = ~0u;

	if (!table[1])
		for (uint32_t i = 0; i < 256; i++) {
			uint32_t c = i;

			for (int k = 0; k < 8; k++)
				c = c & 1 ? 0xedb88320 ^ c >> 1 : c >> 1;
			table[i] = c;
		}
	while (size--)
		crc = table[(crc ^ *p++) & 0xff] ^ crc >> 8;
	return ~crc;
}

/* Numbers as little-endian words; at most 4096 bits. */
#define WORDS 128

struct number {
	uint32_t w[WORDS];
	int n;
};

static void number_from(struct number *x, const uint8_t *big_endian, size_t size, int n)
{
	memset(x, 0, sizeof(*x));
	x->n = n;
	for (size_t i = 0; i < size; i++)
		x->w[i / 4] |= (uint32_t)big_endian[size - 1 - i] << (8 * (i % 4));
}

static int not_below(const struct number *a, const struct number *m)
{
	for (int i = m->n - 1; i >= 0; i--)
		if (a->w[i] != m->w[i])
			return a->w[i] > m->w[i];
	return 1;
}

static uint32_t subtract(struct number *a, const struct number *m)
{
	uint64_t borrow = 0;

	for (int i = 0; i < m->n; i++) {
		uint64_t d = (uint64_t)a->w[i] - m->w[i] - borrow;

		a->w[i] = d;
		borrow = d >> 63;
	}
	return borrow;
}

/* r = a * b / 2^(32 n) mod m: Montgomery's product, coarsely integrated operand scanning */
static void product(struct number *r, const struct number *a, const struct number *b,
		    const struct number *m, uint32_t inverse)
{
	uint32_t t[WORDS + 2] = { 0 };
	int n = m->n;

	for (int i = 0; i < n; i++) {
		uint64_t c = 0;

		for (int j = 0; j < n; j++) {
			c += (uint64_t)a->w[j] * b->w[i] + t[j];
			t[j] = c;
			c >>= 32;
		}
		c += t[n];
		t[n] = c;
		t[n + 1] = c >> 32;

		uint32_t q = t[0] * inverse;

		c = ((uint64_t)q * m->w[0] + t[0]) >> 32;
		for (int j = 1; j < n; j++) {
			c += (uint64_t)q * m->w[j] + t[j];
			t[j - 1] = c;
			c >>= 32;
		}
		c += t[n];
		t[n - 1] = c;
		t[n] = t[n + 1] + (c >> 32);
	}
	r->n = n;
	memcpy(r->w, t, n * sizeof(*t));
	if (t[n] || not_below(r, m))
		subtract(r, m);
}

/* r = 2^(64 n) mod m, by doubling */
static void square_of_radix(struct number *r, const struct number *m)
{
	memset(r, 0, sizeof(*r));
	r->n = m->n;
	r->w[0] = 1;
	for (int bit = 0; bit < 64 * m->n; bit++) {
		uint32_t carry = 0;

		for (int i = 0; i < m->n; i++) {
			uint32_t top = r->w[i] >> 31;

			r->w[i] = r->w[i] << 1 | carry;
			carry = top;
		}
		if (carry || not_below(r, m))
			subtract(r, m);
	}
}

int rsa_good(const uint8_t *modulus, size_t size, const uint8_t digest[32],
	     const uint8_t *signature, size_t signature_size)
{
	static const uint8_t info[19] = {
		0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01,
		0x05, 0x00, 0x04, 0x20,
	};
	struct number m, s, x, one, radix;
	uint32_t inverse = 1;
	uint8_t expected[4 * WORDS];
	int n = size / 4;

	if (signature_size != size || size % 4 || size > sizeof(expected) || size < 64)
		return 0;
	number_from(&m, modulus, size, n);
	number_from(&s, signature, size, n);
	if (not_below(&s, &m))
		return 0;
	for (int i = 0; i < 5; i++)
		inverse *= 2 - m.w[0] * inverse;
	inverse = -inverse;
	square_of_radix(&radix, &m);
	product(&s, &s, &radix, &m, inverse);
	x = s;
	for (int i = 0; i < 16; i++)
		product(&x, &x, &x, &m, inverse);
	product(&x, &x, &s, &m, inverse);
	number_from(&one, (const uint8_t *)"\1", 1, n);
	product(&x, &x, &one, &m, inverse);

	memset(expected, 0xff, size);
	expected[0] = 0;
	expected[1] = 1;
	expected[size - 32 - sizeof(info) - 1] = 0;
	memcpy(expected + size - 32 - sizeof(info), info, sizeof(info));
	memcpy(expected + size - 32, digest, 32);
	number_from(&s, expected, size, n);
	return !memcmp(s.w, x.w, n * sizeof(*s.w));
}
