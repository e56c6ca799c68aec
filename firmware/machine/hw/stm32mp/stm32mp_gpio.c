/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * STM32MP GPIO bank
 *
 * Pins have no lines: an output reads back what is driven, every other pin
 * the level of the property "inputs".
 *
 * With property "rif" each pin is of a world, a privilege and a compartment, as
 * on an STM32MP25: the trusted domain says of which compartment, who may use a
 * pin the rest.  Somebody else's pins read 0 and are not changed.
 *
 * Ref: RM0436, GPIO: GPIOx_MODER (0x00), GPIOx_IDR (0x10), GPIOx_ODR (0x14),
 *      GPIOx_BSRR (0x18), GPIOx_BRR (0x28); RM0457, GPIO: GPIOx_SECCFGR (0x30),
 *      PRIVCFGR (0x34), RCFGLOCKR (0x38), CIDCFGR (0x50 + 8 x), SEMCR (0x54 +
 *      8 x); OP-TEE core/drivers/stm32_gpio.c, apply_rif_config()
 */

#include "qemu/osdep.h"
#include "hw/qdev-properties.h"
#include "hw/registerfields.h"
#include "hw/stm32mp/stm32mp.h"
#include "hw/stm32mp/stm32mp_rif.h"

REG32(MODER, 0x00)
REG32(OTYPER, 0x04)
REG32(OSPEEDR, 0x08)
REG32(PUPDR, 0x0c)
REG32(IDR, 0x10)
REG32(ODR, 0x14)
REG32(BSRR, 0x18)
REG32(LCKR, 0x1c)
REG32(AFRL, 0x20)
REG32(AFRH, 0x24)
REG32(BRR, 0x28)
REG32(SECCFGR, 0x30)
REG32(PRIVCFGR, 0x34)
REG32(RCFGLOCKR, 0x38)
REG32(CIDCFGR0, 0x50)

#define PINS 16
#define MODER_OUTPUT 1
#define MODER_ANALOG 3

OBJECT_DECLARE_SIMPLE_TYPE(Stm32mpGpio, STM32MP_GPIO)

struct Stm32mpGpio {
    Stm32mpRegs parent_obj;

    uint16_t inputs;
    bool rif;
};

static const Stm32mpRif stm32mp_gpio_rif = {
    .seccfgr = A_SECCFGR, .privcfgr = A_PRIVCFGR, .rcfglockr = A_RCFGLOCKR,
    .cidcfgr = A_CIDCFGR0, .stride = 8, .n = PINS, .semaphores = true,
};

/* Whether the word is one of the isolation's */
static bool stm32mp_gpio_isolates(Stm32mpRegs *s, hwaddr addr)
{
    return STM32MP_GPIO(s)->rif && stm32mp_rif_has(&stm32mp_gpio_rif, addr);
}

static bool stm32mp_gpio_refuses(Stm32mpRegs *s, hwaddr addr, bool write)
{
    return stm32mp_gpio_isolates(s, addr) &&
           stm32mp_rif_refuses(s, &stm32mp_gpio_rif, addr, write);
}

/* Each pin from @first on has this number of bits */
static uint32_t stm32mp_gpio_fields(Stm32mpRegs *s, unsigned bits,
                                    unsigned first)
{
    uint32_t mask = 0;

    for (unsigned n = 0; n < MIN(32 / bits, PINS - first); n++) {
        if (stm32mp_rif_owns(s, &stm32mp_gpio_rif, first + n)) {
            mask |= MAKE_64BIT_MASK(bits * n, bits);
        }
    }
    return mask;
}

static uint32_t stm32mp_gpio_mask(Stm32mpRegs *s, hwaddr addr, bool write)
{
    if (!STM32MP_GPIO(s)->rif) {
        return UINT32_MAX;
    }
    switch (addr) {
    case A_MODER:
    case A_OSPEEDR:
    case A_PUPDR:
        return stm32mp_gpio_fields(s, 2, 0);
    case A_AFRL:
        return stm32mp_gpio_fields(s, 4, 0);
    case A_AFRH:
        return stm32mp_gpio_fields(s, 4, 8);
    case A_OTYPER:
    case A_IDR:
    case A_ODR:
    case A_BRR:
        return stm32mp_gpio_fields(s, 1, 0);
    case A_BSRR:
        return stm32mp_gpio_fields(s, 1, 0) * (1u << PINS | 1);
    }
    return stm32mp_gpio_isolates(s, addr)
           ? stm32mp_rif_mask(s, &stm32mp_gpio_rif, addr, write) : UINT32_MAX;
}

static uint32_t stm32mp_gpio_read(Stm32mpRegs *s, hwaddr addr)
{
    uint32_t levels = STM32MP_GPIO(s)->inputs;

    if (addr != A_IDR) {
        return s->r[addr / 4];
    }
    for (unsigned pin = 0; pin < PINS; pin++) {
        if (extract32(s->r[R_MODER], 2 * pin, 2) == MODER_OUTPUT) {
            levels = deposit32(levels, pin, 1, s->r[R_ODR] >> pin);
        }
    }
    return levels;
}

static void stm32mp_gpio_write(Stm32mpRegs *s, hwaddr addr, uint32_t value,
                               unsigned size)
{
    if (stm32mp_gpio_isolates(s, addr)) {
        stm32mp_rif_write(s, &stm32mp_gpio_rif, addr, value);
        return;
    }
    switch (addr) {
    case A_IDR:
        return;
    case A_BSRR:                /* a pin in both halves is set */
        s->r[R_ODR] = (s->r[R_ODR] & ~(value >> PINS)) | (value & 0xffff);
        return;
    case A_BRR:
        s->r[R_ODR] &= ~value;
        return;
    default:
        s->r[addr / 4] = value;
    }
}

static void stm32mp_gpio_reset(Stm32mpRegs *s)
{
    for (unsigned pin = 0; pin < PINS; pin++) {
        s->r[R_MODER] |= MODER_ANALOG << (2 * pin);
    }
}

static const Property stm32mp_gpio_properties[] = {
    DEFINE_PROP_UINT16("inputs", Stm32mpGpio, inputs, 0xffff),
    DEFINE_PROP_BOOL("rif", Stm32mpGpio, rif, false),
};

static void stm32mp_gpio_class_init(ObjectClass *klass, void *data)
{
    Stm32mpRegsClass *c = STM32MP_REGS_CLASS(klass);

    device_class_set_props(DEVICE_CLASS(klass), stm32mp_gpio_properties);
    c->refuses = stm32mp_gpio_refuses;
    c->mask = stm32mp_gpio_mask;
    c->read = stm32mp_gpio_read;
    c->write = stm32mp_gpio_write;
    c->reset = stm32mp_gpio_reset;
}

static const TypeInfo stm32mp_gpio_types[] = {
    {
        .name = TYPE_STM32MP_GPIO,
        .parent = TYPE_STM32MP_REGS,
        .instance_size = sizeof(Stm32mpGpio),
        .class_init = stm32mp_gpio_class_init,
    }
};

DEFINE_TYPES(stm32mp_gpio_types)
