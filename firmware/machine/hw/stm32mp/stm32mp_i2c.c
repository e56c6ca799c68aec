/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * STM32MP I2C controller, as master
 *
 * Ref: RM0436, I2C: I2C_CR1 (0x00), CR2 (0x04), ISR (0x18), ICR (0x1c),
 *      RXDR (0x24), TXDR (0x28)
 */

#include "qemu/osdep.h"
#include "hw/i2c/i2c.h"
#include "hw/irq.h"
#include "hw/registerfields.h"
#include "hw/stm32mp/stm32mp.h"
#include "hw/stm32mp/stm32mp_regs.h"

REG32(CR1, 0x00)
    FIELD(CR1, PE, 0, 1)
    FIELD(CR1, TXIE, 1, 1)
    FIELD(CR1, RXIE, 2, 1)
    FIELD(CR1, NACKIE, 4, 1)
    FIELD(CR1, STOPIE, 5, 1)
    FIELD(CR1, TCIE, 6, 1)
REG32(CR2, 0x04)
    FIELD(CR2, SADD, 1, 7)
    FIELD(CR2, RD_WRN, 10, 1)
    FIELD(CR2, START, 13, 1)
    FIELD(CR2, STOP, 14, 1)
    FIELD(CR2, NBYTES, 16, 8)
    FIELD(CR2, RELOAD, 24, 1)
    FIELD(CR2, AUTOEND, 25, 1)
REG32(ISR, 0x18)
    FIELD(ISR, TXE, 0, 1)
    FIELD(ISR, TXIS, 1, 1)
    FIELD(ISR, RXNE, 2, 1)
    FIELD(ISR, NACKF, 4, 1)
    FIELD(ISR, STOPF, 5, 1)
    FIELD(ISR, TC, 6, 1)
    FIELD(ISR, TCR, 7, 1)
    FIELD(ISR, BUSY, 15, 1)
REG32(ICR, 0x1c)
REG32(RXDR, 0x24)
REG32(TXDR, 0x28)

OBJECT_DECLARE_SIMPLE_TYPE(Stm32mpI2c, STM32MP_I2C)

struct Stm32mpI2c {
    Stm32mpRegs parent_obj;

    I2CBus *bus;
    qemu_irq event;
    qemu_irq error;
    uint32_t left;              /* bytes of NBYTES that are still to come */
};

static void stm32mp_i2c_update(Stm32mpI2c *s)
{
    const uint32_t *r = STM32MP_REGS(s)->r;
    uint32_t cr1 = r[R_CR1], wanted = 0;

    wanted |= cr1 & R_CR1_TXIE_MASK ? R_ISR_TXIS_MASK : 0;
    wanted |= cr1 & R_CR1_RXIE_MASK ? R_ISR_RXNE_MASK : 0;
    wanted |= cr1 & R_CR1_NACKIE_MASK ? R_ISR_NACKF_MASK : 0;
    wanted |= cr1 & R_CR1_STOPIE_MASK ? R_ISR_STOPF_MASK : 0;
    wanted |= cr1 & R_CR1_TCIE_MASK ? R_ISR_TC_MASK | R_ISR_TCR_MASK : 0;
    qemu_set_irq(s->event, (cr1 & R_CR1_PE_MASK) && (r[R_ISR] & wanted));
}

static void stm32mp_i2c_stop(Stm32mpI2c *s)
{
    uint32_t *r = STM32MP_REGS(s)->r;

    i2c_end_transfer(s->bus);
    r[R_ISR] &= ~(R_ISR_BUSY_MASK | R_ISR_TC_MASK | R_ISR_TCR_MASK);
    r[R_ISR] |= R_ISR_STOPF_MASK;
}

/* The next byte of NBYTES, or what follows the last one */
static void stm32mp_i2c_next(Stm32mpI2c *s)
{
    uint32_t *r = STM32MP_REGS(s)->r;
    bool reads = FIELD_EX32(r[R_CR2], CR2, RD_WRN);

    r[R_ISR] &= ~(R_ISR_TXIS_MASK | R_ISR_RXNE_MASK);
    if (s->left) {
        r[R_ISR] |= reads ? R_ISR_RXNE_MASK : R_ISR_TXIS_MASK;
    } else if (FIELD_EX32(r[R_CR2], CR2, RELOAD)) {
        r[R_ISR] |= R_ISR_TCR_MASK;
    } else if (FIELD_EX32(r[R_CR2], CR2, AUTOEND)) {
        stm32mp_i2c_stop(s);
    } else {
        r[R_ISR] |= R_ISR_TC_MASK;
    }
}

static void stm32mp_i2c_nack(Stm32mpI2c *s)
{
    uint32_t *r = STM32MP_REGS(s)->r;

    r[R_ISR] &= ~(R_ISR_TXIS_MASK | R_ISR_RXNE_MASK);
    r[R_ISR] |= R_ISR_NACKF_MASK;
    stm32mp_i2c_stop(s);
}

static void stm32mp_i2c_start(Stm32mpI2c *s)
{
    uint32_t *r = STM32MP_REGS(s)->r;
    uint8_t address = FIELD_EX32(r[R_CR2], CR2, SADD);

    r[R_ISR] = R_ISR_TXE_MASK | R_ISR_BUSY_MASK;
    s->left = FIELD_EX32(r[R_CR2], CR2, NBYTES);
    if (i2c_start_transfer(s->bus, address,
                           FIELD_EX32(r[R_CR2], CR2, RD_WRN))) {
        stm32mp_i2c_nack(s);
    } else {
        stm32mp_i2c_next(s);
    }
}

static void stm32mp_i2c_write_cr2(Stm32mpI2c *s, uint32_t value)
{
    uint32_t *r = STM32MP_REGS(s)->r;

    r[R_CR2] = value & ~(R_CR2_START_MASK | R_CR2_STOP_MASK);
    if (!(r[R_CR1] & R_CR1_PE_MASK)) {
        return;
    }
    if (value & R_CR2_START_MASK) {
        stm32mp_i2c_start(s);
    } else if (r[R_ISR] & R_ISR_TCR_MASK) {     /* more bytes of the same */
        r[R_ISR] &= ~R_ISR_TCR_MASK;
        s->left = FIELD_EX32(r[R_CR2], CR2, NBYTES);
        stm32mp_i2c_next(s);
    }
    if (value & R_CR2_STOP_MASK) {
        stm32mp_i2c_stop(s);
    }
}

static uint32_t stm32mp_i2c_read(Stm32mpRegs *regs, hwaddr addr)
{
    Stm32mpI2c *s = STM32MP_I2C(regs);
    uint32_t value = 0;

    if (addr != A_RXDR) {
        return regs->r[addr / 4];
    }
    if (regs->r[R_ISR] & R_ISR_RXNE_MASK) {
        value = i2c_recv(s->bus);
        s->left--;
        stm32mp_i2c_next(s);
        stm32mp_i2c_update(s);
    }
    return value;
}

static void stm32mp_i2c_write(Stm32mpRegs *regs, hwaddr addr, uint32_t value,
                              unsigned size)
{
    Stm32mpI2c *s = STM32MP_I2C(regs);
    uint32_t *r = regs->r;

    switch (addr) {
    case A_CR1:
        r[R_CR1] = value;
        if (!(value & R_CR1_PE_MASK)) {
            i2c_end_transfer(s->bus);
            r[R_ISR] = R_ISR_TXE_MASK;
        }
        break;
    case A_CR2:
        stm32mp_i2c_write_cr2(s, value);
        break;
    case A_ISR:                         /* TXE flushes what was not sent */
        if (value & R_ISR_TXE_MASK) {
            r[R_ISR] = (r[R_ISR] | R_ISR_TXE_MASK) & ~R_ISR_TXIS_MASK;
        }
        break;
    case A_ICR:
        r[R_ISR] &= ~(value & (R_ISR_NACKF_MASK | R_ISR_STOPF_MASK));
        break;
    case A_TXDR:
        if (r[R_ISR] & R_ISR_TXIS_MASK) {
            if (i2c_send(s->bus, value)) {
                stm32mp_i2c_nack(s);
            } else {
                s->left--;
                stm32mp_i2c_next(s);
            }
        }
        break;
    case A_RXDR:
        return;
    default:
        r[addr / 4] = value;
        return;
    }
    stm32mp_i2c_update(s);
}

static void stm32mp_i2c_reset(Stm32mpRegs *regs)
{
    Stm32mpI2c *s = STM32MP_I2C(regs);

    regs->r[R_ISR] = R_ISR_TXE_MASK;
    s->left = 0;
    stm32mp_i2c_update(s);
}

static void stm32mp_i2c_init(Object *obj)
{
    Stm32mpI2c *s = STM32MP_I2C(obj);

    qdev_init_gpio_in_named(DEVICE(obj), stm32mp_regs_reset_line, "reset", 1);
    s->bus = i2c_init_bus(DEVICE(obj), "i2c");
    sysbus_init_irq(SYS_BUS_DEVICE(obj), &s->event);
    sysbus_init_irq(SYS_BUS_DEVICE(obj), &s->error);
}

static const VMStateDescription vmstate_stm32mp_i2c = {
    .name = TYPE_STM32MP_I2C,
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_STM32MP_REGS(Stm32mpI2c),
        VMSTATE_UINT32(left, Stm32mpI2c),
        VMSTATE_END_OF_LIST()
    }
};

static void stm32mp_i2c_class_init(ObjectClass *klass, void *data)
{
    Stm32mpRegsClass *c = STM32MP_REGS_CLASS(klass);

    DEVICE_CLASS(klass)->vmsd = &vmstate_stm32mp_i2c;
    c->read = stm32mp_i2c_read;
    c->write = stm32mp_i2c_write;
    c->reset = stm32mp_i2c_reset;
}

static const TypeInfo stm32mp_i2c_types[] = {
    {
        .name = TYPE_STM32MP_I2C,
        .parent = TYPE_STM32MP_REGS,
        .instance_size = sizeof(Stm32mpI2c),
        .instance_init = stm32mp_i2c_init,
        .class_init = stm32mp_i2c_class_init,
    }
};

DEFINE_TYPES(stm32mp_i2c_types)
