/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * STM32MP HASH: digests and HMACs of what was written, ready at once
 *
 * A saved context is a number in CSR0, by which the data is found again; the
 * last SAVES of them are kept.  SHA-1, -256, -384 and -512; others read as 0.
 *
 * Ref: RM0457, HASH: HASH_CR (0x00), DIN (0x04), STR (0x08), SR (0x24), CSR0
 *      (0xf8), HR0 (0x310)
 */

#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "qemu/log.h"
#include "hw/registerfields.h"
#include "hw/stm32mp/stm32mp.h"
#include "hw/stm32mp/stm32mp_regs.h"

REG32(CR, 0x00)
    FIELD(CR, INIT, 2, 1)
    FIELD(CR, MODE, 6, 1)
    FIELD(CR, ALGO, 17, 4)
REG32(DIN, 0x04)
REG32(STR, 0x08)
    FIELD(STR, NBLW, 0, 5)
    FIELD(STR, DCAL, 8, 1)
REG32(SR, 0x24)
    FIELD(SR, DINIS, 0, 1)
    FIELD(SR, DCIS, 1, 1)
REG32(CSR0, 0xf8)
REG32(HR0, 0x310)
REG32(VERR, 0x3f4)

#define SAVES 256
#define KEY 0
#define MESSAGE 1
#define KEY_AGAIN 2
#define PHASES 3

OBJECT_DECLARE_SIMPLE_TYPE(Stm32mpHash, STM32MP_HASH)

typedef struct HashContext {
    GByteArray *text[PHASES];
    unsigned phase;
} HashContext;

struct Stm32mpHash {
    Stm32mpRegs parent_obj;

    HashContext now;
    HashContext saved[SAVES];
    uint32_t saves;
};

static void hash_clear(HashContext *c, unsigned phase)
{
    for (int i = 0; i < PHASES; i++) {
        if (c->text[i]) {
            g_byte_array_set_size(c->text[i], 0);
        } else {
            c->text[i] = g_byte_array_new();
        }
    }
    c->phase = phase;
}

static void hash_copy(HashContext *to, const HashContext *from)
{
    hash_clear(to, from->phase);
    for (int i = 0; i < PHASES; i++) {
        if (from->text[i]) {
            g_byte_array_append(to->text[i], from->text[i]->data,
                                from->text[i]->len);
        }
    }
}

static void stm32mp_hash_digest(Stm32mpHash *s)
{
    static const int types[16] = {
        [0x0] = 1 + G_CHECKSUM_SHA1, [0x3] = 1 + G_CHECKSUM_SHA256,
        [0xc] = 1 + G_CHECKSUM_SHA384, [0xf] = 1 + G_CHECKSUM_SHA512,
    };
    Stm32mpRegs *regs = STM32MP_REGS(s);
    unsigned algo = FIELD_EX32(regs->r[R_CR], CR, ALGO);
    GByteArray *text = s->now.text[MESSAGE], *key = s->now.text[KEY];
    uint8_t digest[64] = { };
    gsize size = sizeof(digest);

    if (!types[algo]) {
        qemu_log_mask(LOG_UNIMP, "hash: algorithm %u\n", algo);
    } else if (FIELD_EX32(regs->r[R_CR], CR, MODE)) {
        GHmac *h = g_hmac_new(types[algo] - 1, key->data, key->len);

        g_hmac_update(h, text->data, text->len);
        g_hmac_get_digest(h, digest, &size);
        g_hmac_unref(h);
    } else {
        GChecksum *h = g_checksum_new(types[algo] - 1);

        g_checksum_update(h, text->data, text->len);
        g_checksum_get_digest(h, digest, &size);
        g_checksum_free(h);
    }
    for (unsigned i = 0; i < sizeof(digest) / 4; i++) {
        regs->r[R_HR0 + i] = ldl_be_p(digest + 4 * i);
    }
    regs->r[R_SR] |= R_SR_DCIS_MASK;
}

/* The end of a key or of the message, whose last word may be in part */
static void stm32mp_hash_end(Stm32mpHash *s, uint32_t str)
{
    GByteArray *text = s->now.text[s->now.phase];
    unsigned bytes = FIELD_EX32(str, STR, NBLW) / 8;
    bool hmac = FIELD_EX32(STM32MP_REGS(s)->r[R_CR], CR, MODE);

    if (bytes && text->len >= 4) {
        g_byte_array_set_size(text, text->len - 4 + bytes);
    }
    if (s->now.phase < (hmac ? KEY_AGAIN : MESSAGE)) {
        s->now.phase++;
    } else {
        stm32mp_hash_digest(s);
    }
}

static uint32_t stm32mp_hash_read(Stm32mpRegs *regs, hwaddr addr)
{
    Stm32mpHash *s = STM32MP_HASH(regs);

    if (addr == A_CSR0) {
        hash_copy(&s->saved[++s->saves % SAVES], &s->now);
        return s->saves;
    }
    return regs->r[addr / 4];
}

static void stm32mp_hash_write(Stm32mpRegs *regs, hwaddr addr, uint32_t value,
                               unsigned size)
{
    Stm32mpHash *s = STM32MP_HASH(regs);
    uint8_t word[4];

    switch (addr) {
    case A_CR:
        regs->r[R_CR] = value & ~R_CR_INIT_MASK;
        if (value & R_CR_INIT_MASK) {
            hash_clear(&s->now, value & R_CR_MODE_MASK ? KEY : MESSAGE);
            regs->r[R_SR] = R_SR_DINIS_MASK;
        }
        return;
    case A_DIN:
        stl_le_p(word, value);
        g_byte_array_append(s->now.text[s->now.phase], word, sizeof(word));
        return;
    case A_STR:
        regs->r[R_STR] = value & ~R_STR_DCAL_MASK;
        if (value & R_STR_DCAL_MASK) {
            stm32mp_hash_end(s, value);
        }
        return;
    case A_CSR0:
        if (!value || value > s->saves || value + SAVES <= s->saves) {
            qemu_log_mask(LOG_GUEST_ERROR, "hash: no context %u\n", value);
            return;
        }
        hash_copy(&s->now, &s->saved[value % SAVES]);
        return;
    case A_SR:
        return;
    }
    regs->r[addr / 4] = value;
}

static void stm32mp_hash_reset(Stm32mpRegs *regs)
{
    hash_clear(&STM32MP_HASH(regs)->now, MESSAGE);
    regs->r[R_SR] = R_SR_DINIS_MASK;
    regs->r[R_VERR] = 0x23;
}

static void stm32mp_hash_finalize(Object *obj)
{
    Stm32mpHash *s = STM32MP_HASH(obj);

    for (int i = -1; i < SAVES; i++) {
        HashContext *c = i < 0 ? &s->now : &s->saved[i];

        for (int n = 0; n < PHASES; n++) {
            g_clear_pointer(&c->text[n], g_byte_array_unref);
        }
    }
}

static void stm32mp_hash_class_init(ObjectClass *klass, void *data)
{
    STM32MP_REGS_CLASS(klass)->read = stm32mp_hash_read;
    STM32MP_REGS_CLASS(klass)->write = stm32mp_hash_write;
    STM32MP_REGS_CLASS(klass)->reset = stm32mp_hash_reset;
}

static const TypeInfo stm32mp_hash_types[] = {
    {
        .name = TYPE_STM32MP_HASH,
        .parent = TYPE_STM32MP_REGS,
        .instance_size = sizeof(Stm32mpHash),
        .instance_finalize = stm32mp_hash_finalize,
        .class_init = stm32mp_hash_class_init,
    }
};

DEFINE_TYPES(stm32mp_hash_types)
