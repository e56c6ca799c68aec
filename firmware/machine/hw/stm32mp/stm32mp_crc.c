/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * STM32MP CRC unit
 *
 * Assumed: CRC_CR.REV_OUT reverses as many bits as the polynomial has.
 *
 * Ref: RM0436, CRC: CRC_DR (0x00), CRC_IDR (0x04), CRC_CR (0x08),
 *      CRC_INIT (0x10), CRC_POL (0x14)
 */

#include "qemu/osdep.h"
#include "qemu/host-utils.h"
#include "hw/registerfields.h"
#include "hw/stm32mp/stm32mp.h"
#include "hw/stm32mp/stm32mp_regs.h"

REG32(DR, 0x00)
REG32(CR, 0x08)
    FIELD(CR, RESET, 0, 1)
    FIELD(CR, POLYSIZE, 3, 2)
    FIELD(CR, REV_IN, 5, 2)
    FIELD(CR, REV_OUT, 7, 1)
REG32(INIT, 0x10)
REG32(POL, 0x14)

#define POLYNOMIAL 0x04c11db7

/* Bits of the polynomial: CRC_CR.POLYSIZE */
static unsigned stm32mp_crc_width(Stm32mpRegs *s)
{
    static const uint8_t widths[] = { 32, 16, 8, 7 };

    return widths[FIELD_EX32(s->r[R_CR], CR, POLYSIZE)];
}

/* CRC_CR.REV_IN: bits reversed by byte, by half word, by word */
static uint32_t reversed(uint32_t data, unsigned bytes, unsigned rev_in)
{
    unsigned unit = MIN(rev_in == 1 ? 1 : rev_in == 2 ? 2 : 4, bytes);
    uint32_t result = 0;

    if (!rev_in) {
        return data;
    }
    for (unsigned at = 0; at < bytes; at += unit) {
        uint32_t part = extract32(data, 8 * at, 8 * unit);

        result = deposit32(result, 8 * at, 8 * unit,
                           revbit32(part) >> (32 - 8 * unit));
    }
    return result;
}

/* The storage of CRC_DR is the CRC; what is merged into it is the new data */
static void stm32mp_crc_feed(Stm32mpRegs *s, uint32_t data, unsigned bytes)
{
    uint32_t crc = s->r[R_DR];
    unsigned width = stm32mp_crc_width(s);

    data = reversed(data, bytes, FIELD_EX32(s->r[R_CR], CR, REV_IN));
    for (int bit = 8 * bytes - 1; bit >= 0; bit--) {
        bool one = (crc >> (width - 1) & 1) ^ (data >> bit & 1);

        crc = (crc << 1) ^ (one ? s->r[R_POL] : 0);
    }
    s->r[R_DR] = extract32(crc, 0, width);
}

static uint32_t stm32mp_crc_read(Stm32mpRegs *s, hwaddr addr)
{
    uint32_t value = s->r[addr / 4];
    unsigned width = stm32mp_crc_width(s);

    if (addr != A_DR) {
        return value;
    }
    value = extract32(value, 0, width);
    if (FIELD_EX32(s->r[R_CR], CR, REV_OUT)) {
        return revbit32(value) >> (32 - width);
    }
    return value;
}

static void stm32mp_crc_write(Stm32mpRegs *s, hwaddr addr, uint32_t value,
                              unsigned size)
{
    switch (addr) {
    case A_DR:
        stm32mp_crc_feed(s, extract32(value, 0, 8 * size), size);
        return;
    case A_CR:
        if (value & R_CR_RESET_MASK) {
            s->r[R_DR] = s->r[R_INIT];
        }
        s->r[R_CR] = value & ~R_CR_RESET_MASK;
        return;
    case A_INIT:
        s->r[R_DR] = value;
        break;
    }
    s->r[addr / 4] = value;
}

static void stm32mp_crc_reset(Stm32mpRegs *s)
{
    s->r[R_DR] = s->r[R_INIT] = 0xffffffff;
    s->r[R_POL] = POLYNOMIAL;
}

static void stm32mp_crc_class_init(ObjectClass *klass, void *data)
{
    Stm32mpRegsClass *c = STM32MP_REGS_CLASS(klass);

    c->read = stm32mp_crc_read;
    c->write = stm32mp_crc_write;
    c->reset = stm32mp_crc_reset;
}

static const TypeInfo stm32mp_crc_types[] = {
    {
        .name = TYPE_STM32MP_CRC,
        .parent = TYPE_STM32MP_REGS,
        .class_init = stm32mp_crc_class_init,
    }
};

DEFINE_TYPES(stm32mp_crc_types)
