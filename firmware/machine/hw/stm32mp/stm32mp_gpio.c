/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * STM32MP GPIO bank
 *
 * Pins have no lines: an output reads back what is driven, every other pin
 * the level of the property "inputs".
 *
 * Ref: RM0436, GPIO: GPIOx_MODER (0x00), GPIOx_IDR (0x10), GPIOx_ODR (0x14),
 *      GPIOx_BSRR (0x18), GPIOx_BRR (0x28)
 */

#include "qemu/osdep.h"
#include "hw/qdev-properties.h"
#include "hw/registerfields.h"
#include "hw/stm32mp/stm32mp.h"
#include "hw/stm32mp/stm32mp_regs.h"

REG32(MODER, 0x00)
REG32(IDR, 0x10)
REG32(ODR, 0x14)
REG32(BSRR, 0x18)
REG32(BRR, 0x28)

#define PINS 16
#define MODER_OUTPUT 1
#define MODER_ANALOG 3

OBJECT_DECLARE_SIMPLE_TYPE(Stm32mpGpio, STM32MP_GPIO)

struct Stm32mpGpio {
    Stm32mpRegs parent_obj;

    uint16_t inputs;
};

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
};

static void stm32mp_gpio_class_init(ObjectClass *klass, void *data)
{
    Stm32mpRegsClass *c = STM32MP_REGS_CLASS(klass);

    device_class_set_props(DEVICE_CLASS(klass), stm32mp_gpio_properties);
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
