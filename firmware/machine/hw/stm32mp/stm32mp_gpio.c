/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * STM32MP GPIO bank
 *
 * An output reads back what is driven, every other pin its level of the property
 * "inputs", which is set from outside as the machine runs: a button.  GPIO
 * outputs, by pin: the level at the pad, for EXTI.
 *
 * The property "outputs" has what the pins did since it was last written: of each
 * that changed "pin=level/changes"; that a pin becomes an output is a change.
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
#include "qapi/visitor.h"
#include "hw/irq.h"
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

    qemu_irq pad[PINS];
    uint16_t inputs;
    uint32_t changes[PINS];
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

/* Pins that are outputs */
static uint32_t stm32mp_gpio_driven(Stm32mpRegs *s)
{
    uint32_t pins = 0;

    for (unsigned pin = 0; pin < PINS; pin++) {
        bool output = extract32(s->r[R_MODER], 2 * pin, 2) == MODER_OUTPUT;

        pins = deposit32(pins, pin, 1, output);
    }
    return pins;
}

static uint32_t stm32mp_gpio_levels(Stm32mpRegs *s)
{
    uint32_t driven = stm32mp_gpio_driven(s);

    return (s->r[R_ODR] & driven) | (STM32MP_GPIO(s)->inputs & ~driven);
}

static uint32_t stm32mp_gpio_read(Stm32mpRegs *s, hwaddr addr)
{
    return addr == A_IDR ? stm32mp_gpio_levels(s) : s->r[addr / 4];
}

static void stm32mp_gpio_store(Stm32mpRegs *s, hwaddr addr, uint32_t value)
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

static void stm32mp_gpio_write(Stm32mpRegs *regs, hwaddr addr, uint32_t value,
                               unsigned size)
{
    Stm32mpGpio *s = STM32MP_GPIO(regs);
    uint32_t driven = stm32mp_gpio_driven(regs), odr = regs->r[R_ODR], changed;

    if (stm32mp_gpio_isolates(regs, addr)) {
        stm32mp_rif_write(regs, &stm32mp_gpio_rif, addr, value);
        return;
    }
    stm32mp_gpio_store(regs, addr, value);
    changed = stm32mp_gpio_driven(regs) &
              ((driven ^ stm32mp_gpio_driven(regs)) | (odr ^ regs->r[R_ODR]));
    for (unsigned pin = 0; pin < PINS; pin++) {
        if (extract32(changed, pin, 1)) {
            s->changes[pin]++;
            qemu_set_irq(s->pad[pin], extract32(regs->r[R_ODR], pin, 1));
        }
    }
}

static void stm32mp_gpio_reset(Stm32mpRegs *s)
{
    for (unsigned pin = 0; pin < PINS; pin++) {
        s->r[R_MODER] |= MODER_ANALOG << (2 * pin);
    }
}

static void stm32mp_gpio_get_inputs(Object *obj, Visitor *v, const char *name,
                                    void *opaque, Error **errp)
{
    visit_type_uint16(v, name, &STM32MP_GPIO(obj)->inputs, errp);
}

static void stm32mp_gpio_set_inputs(Object *obj, Visitor *v, const char *name,
                                    void *opaque, Error **errp)
{
    Stm32mpGpio *s = STM32MP_GPIO(obj);

    if (!visit_type_uint16(v, name, &s->inputs, errp) ||
        !DEVICE(obj)->realized) {
        return;
    }
    for (unsigned pin = 0; pin < PINS; pin++) {
        qemu_set_irq(s->pad[pin], extract32(
            stm32mp_gpio_levels(STM32MP_REGS(s)), pin, 1));
    }
}

static char *stm32mp_gpio_get_outputs(Object *obj, Error **errp)
{
    Stm32mpGpio *s = STM32MP_GPIO(obj);
    GString *text = g_string_new("");

    for (unsigned pin = 0; pin < PINS; pin++) {
        if (s->changes[pin]) {
            g_string_append_printf(text, "%s%u=%u/%u", text->len ? " " : "", pin,
                                   STM32MP_REGS(s)->r[R_ODR] >> pin & 1,
                                   s->changes[pin]);
        }
    }
    return g_string_free(text, false);
}

static void stm32mp_gpio_set_outputs(Object *obj, const char *value,
                                     Error **errp)
{
    memset(STM32MP_GPIO(obj)->changes, 0, sizeof(STM32MP_GPIO(obj)->changes));
}

static void stm32mp_gpio_init(Object *obj)
{
    Stm32mpGpio *s = STM32MP_GPIO(obj);

    s->inputs = 0xffff;
    qdev_init_gpio_out(DEVICE(obj), s->pad, PINS);
}

static const Property stm32mp_gpio_properties[] = {
    DEFINE_PROP_BOOL("rif", Stm32mpGpio, rif, false),
};

static void stm32mp_gpio_class_init(ObjectClass *klass, void *data)
{
    Stm32mpRegsClass *c = STM32MP_REGS_CLASS(klass);

    device_class_set_props(DEVICE_CLASS(klass), stm32mp_gpio_properties);
    object_class_property_add(klass, "inputs", "uint16",
                              stm32mp_gpio_get_inputs, stm32mp_gpio_set_inputs,
                              NULL, NULL);
    object_class_property_add_str(klass, "outputs", stm32mp_gpio_get_outputs,
                                  stm32mp_gpio_set_outputs);
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
        .instance_init = stm32mp_gpio_init,
        .class_init = stm32mp_gpio_class_init,
    }
};

DEFINE_TYPES(stm32mp_gpio_types)
