/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * STM32MP25 Cortex-A35 subsystem: its clock switch and PLL, ready at once, and
 * where the Cortex-A35s and the Cortex-M33 start
 *
 * Each clock register is followed by addresses that set, clear and toggle it.
 *
 * The clock registers are the secure world's, but for those that NS_E0R lets the
 * other one have, and where the Cortex-M33 starts is as M33_ACCESS_CR says.
 * That NS_E0R lets it have none after a reset, and that who may not use the
 * M33's registers may not write that register, are assumptions.
 *
 * Ref: RM0457, CA35SS: CA35SS_SSC_CHGCLKREQ (0x0000), PLL_EN (0x00a0), NS_E0R
 *      (0x03c0), CA35SS_SYSCFG_VBAR_CR (0x2084), M33_ACCESS_CR (0x2088),
 *      M33_TZEN_CR (0x20a0), INITSVTOR_CR (0x20a4), INITNSVTOR_CR (0x20a8);
 *      ST's SVD file STM32MP25_CM33.svd; OP-TEE
 *      core/arch/arm/plat-stm32mp2/drivers/stm32mp25_syscfg.c; ST's OP-TEE
 *      core/drivers/remoteproc/stm32_remoteproc.c, stm32_rproc_a35ss_cfg()
 */

#include "qemu/osdep.h"
#include "hw/irq.h"
#include "hw/qdev-properties.h"
#include "hw/registerfields.h"
#include "hw/stm32mp/stm32mp.h"
#include "hw/stm32mp/stm32mp_regs.h"

REG32(CHGCLKREQ, 0x0000)
    FIELD(CHGCLKREQ, CHGCLKREQ, 0, 1)
    FIELD(CHGCLKREQ, CHGCLKACK, 1, 1)
    FIELD(CHGCLKREQ, DIVSEL, 16, 1)
    FIELD(CHGCLKREQ, DIVSELACK, 17, 1)
REG32(PLL_EN, 0x00a0)
    FIELD(PLL_EN, EN, 0, 1)
    FIELD(PLL_EN, LOCKP, 1, 1)
REG32(NS_E0R, 0x03c0)
REG32(SSC_END, 0x1000)
REG32(VBAR_CR, 0x2084)
    FIELD(VBAR_CR, RVBARADDRL, 2, 30)
REG32(M33_ACCESS_CR, 0x2088)
    FIELD(M33_ACCESS_CR, M33CFG_SEC, 0, 1)
    FIELD(M33_ACCESS_CR, M33CFG_PRIV, 1, 1)
REG32(M33_TZEN_CR, 0x20a0)
    FIELD(M33_TZEN_CR, CFG_SECEXT, 0, 1)
REG32(M33_INITSVTOR_CR, 0x20a4)
REG32(M33_INITNSVTOR_CR, 0x20a8)

#define SSC_REGISTER 0x10       /* with its addresses */
#define M33_INITSVTOR 0x0e080000        /* RETRAM, as its worlds see it */
#define M33_INITNSVTOR 0x0a080000

OBJECT_DECLARE_SIMPLE_TYPE(Stm32mp25A35ssc, STM32MP25_A35SSC)

struct Stm32mp25A35ssc {
    Stm32mpRegs parent_obj;

    DeviceState *m33;
    qemu_irq nonsecure[STM32MP25_FIREWALLS];
};

static bool stm32mp25_a35ssc_refuses(Stm32mpRegs *s, hwaddr addr, bool write)
{
    uint32_t m33 = s->r[R_M33_ACCESS_CR];

    switch (addr) {
    case 0 ... A_SSC_END - 1:
        addr /= SSC_REGISTER;
        return !s->attrs.secure &&
               (addr >= 32 || !extract32(s->r[R_NS_E0R], addr, 1));
    case A_M33_ACCESS_CR:
        if (!write) {
            return false;
        }
        /* fall through */
    case A_M33_TZEN_CR:
    case A_M33_INITSVTOR_CR:
    case A_M33_INITNSVTOR_CR:
        return (FIELD_EX32(m33, M33_ACCESS_CR, M33CFG_SEC) &&
                !s->attrs.secure) ||
               (FIELD_EX32(m33, M33_ACCESS_CR, M33CFG_PRIV) && s->attrs.user);
    }
    return false;
}

static uint32_t stm32mp25_a35ssc_read(Stm32mpRegs *s, hwaddr addr)
{
    hwaddr reg = addr < A_SSC_END ? addr & ~0xcull : addr;
    uint32_t value = s->r[reg / 4];

    switch (reg) {
    case A_CHGCLKREQ:
        value = FIELD_DP32(value, CHGCLKREQ, CHGCLKACK,
                           FIELD_EX32(value, CHGCLKREQ, CHGCLKREQ));
        return FIELD_DP32(value, CHGCLKREQ, DIVSELACK,
                          FIELD_EX32(value, CHGCLKREQ, DIVSEL));
    case A_PLL_EN:
        return FIELD_DP32(value, PLL_EN, LOCKP, FIELD_EX32(value, PLL_EN, EN));
    }
    return value;
}

uint32_t stm32mp25_a35ssc_start(DeviceState *dev)
{
    return STM32MP_REGS(dev)->r[R_VBAR_CR] & R_VBAR_CR_RVBARADDRL_MASK;
}

static void stm32mp25_a35ssc_update(Stm32mpRegs *s)
{
    Stm32mp25A35ssc *a35ssc = STM32MP25_A35SSC(s);
    bool tzen = s->r[R_M33_TZEN_CR] & R_M33_TZEN_CR_CFG_SECEXT_MASK;

    for (unsigned n = 0; n < ARRAY_SIZE(a35ssc->nonsecure); n++) {
        qemu_set_irq(a35ssc->nonsecure[n], !tzen);
    }
    stm32mp_mcore_set_vectors(a35ssc->m33, s->r[tzen ? R_M33_INITSVTOR_CR
                                                     : R_M33_INITNSVTOR_CR]);
}

static void stm32mp25_a35ssc_write(Stm32mpRegs *s, hwaddr addr, uint32_t value,
                                   unsigned size)
{
    uint32_t *r = stm32mp_reg(s, addr < A_SSC_END ? addr & ~0xcull : addr);

    if (addr >= A_SSC_END) {
        *r = value;
    } else {
        switch (addr & 0xc) {
        case 0x0:
            *r = value;
            break;
        case 0x4:
            *r |= value;
            break;
        case 0x8:
            *r &= ~value;
            break;
        case 0xc:
            *r ^= value;
            break;
        }
    }
    stm32mp25_a35ssc_update(s);
}

static void stm32mp25_a35ssc_reset(Stm32mpRegs *s)
{
    s->r[R_M33_ACCESS_CR] = R_M33_ACCESS_CR_M33CFG_SEC_MASK |
                            R_M33_ACCESS_CR_M33CFG_PRIV_MASK;
    s->r[R_M33_TZEN_CR] = R_M33_TZEN_CR_CFG_SECEXT_MASK;
    s->r[R_M33_INITSVTOR_CR] = M33_INITSVTOR;
    s->r[R_M33_INITNSVTOR_CR] = M33_INITNSVTOR;
    stm32mp25_a35ssc_update(s);
}

static void stm32mp25_a35ssc_init(Object *obj)
{
    qdev_init_gpio_out_named(DEVICE(obj), STM32MP25_A35SSC(obj)->nonsecure,
                             "m33-nonsecure", STM32MP25_FIREWALLS);
}

static int stm32mp25_a35ssc_post_load(void *opaque, int version_id)
{
    stm32mp25_a35ssc_update(opaque);
    return 0;
}

static const VMStateDescription vmstate_stm32mp25_a35ssc = {
    .name = TYPE_STM32MP25_A35SSC,
    .version_id = 1,
    .minimum_version_id = 1,
    .post_load = stm32mp25_a35ssc_post_load,
    .fields = (const VMStateField[]) {
        VMSTATE_STM32MP_REGS(Stm32mp25A35ssc),
        VMSTATE_END_OF_LIST()
    }
};

static const Property stm32mp25_a35ssc_properties[] = {
    DEFINE_PROP_LINK("m33", Stm32mp25A35ssc, m33, TYPE_STM32MP_MCORE,
                     DeviceState *),
};

static void stm32mp25_a35ssc_class_init(ObjectClass *klass, void *data)
{
    Stm32mpRegsClass *c = STM32MP_REGS_CLASS(klass);

    DEVICE_CLASS(klass)->vmsd = &vmstate_stm32mp25_a35ssc;
    device_class_set_props(DEVICE_CLASS(klass), stm32mp25_a35ssc_properties);
    c->size = 0x3000;
    c->refuses = stm32mp25_a35ssc_refuses;
    c->read = stm32mp25_a35ssc_read;
    c->write = stm32mp25_a35ssc_write;
    c->reset = stm32mp25_a35ssc_reset;
}

static const TypeInfo stm32mp25_a35ssc_types[] = {
    {
        .name = TYPE_STM32MP25_A35SSC,
        .parent = TYPE_STM32MP_REGS,
        .instance_size = sizeof(Stm32mp25A35ssc),
        .instance_init = stm32mp25_a35ssc_init,
        .class_init = stm32mp25_a35ssc_class_init,
    }
};

DEFINE_TYPES(stm32mp25_a35ssc_types)
