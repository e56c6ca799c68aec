/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * STM32MP inter-processor communication controller (mailbox)
 *
 * Channels each way.  A processor that sets a flag of its own
 * (CxSCR.CHnS) raises the other's RX interrupt; the other's clear (CHnC)
 * raises the first's TX interrupt.
 *
 * With property "rif" a processor's registers may be those of a compartment,
 * and a channel of its that of a world or privilege, as on an STM32MP25: the
 * trusted domain says of which compartment, the processor the rest.  Flags are
 * read from both sides.  A secure channel has the interrupts of the others.
 *
 * Ref: RM0436, IPCC: IPCC_CxCR (0x00, 0x10), IPCC_CxMR (0x04, 0x14),
 *      IPCC_CxSCR (0x08, 0x18), IPCC_CxTOCySR (0x0c, 0x1c),
 *      IPCC_HWCFGR (0x3f0), IPCC_VERR, IPIDR, SIDR; RM0457, IPCC:
 *      IPCC_CxSECCFGR (0x80, 0x90), CxPRIVCFGR (0x84, 0x94), CxCIDCFGR (0x88,
 *      0x98); OP-TEE core/drivers/stm32_ipcc.c, apply_rif_config()
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "hw/irq.h"
#include "hw/qdev-properties.h"
#include "hw/registerfields.h"
#include "hw/stm32mp/stm32mp.h"
#include "hw/stm32mp/stm32mp_regs.h"

REG32(C1CR, 0x00)
    FIELD(C1CR, RXOIE, 0, 1)
    FIELD(C1CR, TXFIE, 16, 1)
REG32(C1MR, 0x04)
REG32(C1SCR, 0x08)
REG32(C1TOC2SR, 0x0c)
REG32(C2CR, 0x10)
REG32(C1SECCFGR, 0x80)
REG32(C1PRIVCFGR, 0x84)
REG32(C1CIDCFGR, 0x88)
REG32(C2SECCFGR, 0x90)
REG32(RIF_END, 0xa0)
REG32(HWCFGR, 0x3f0)
REG32(VERR, 0x3f4)
REG32(IPIDR, 0x3f8)
REG32(SIDR, 0x3fc)

#define MAX_CHANNELS 16
#define PROCESSOR 0x10          /* from the registers of one to the other's */

OBJECT_DECLARE_SIMPLE_TYPE(Stm32mpIpcc, STM32MP_IPCC)

struct Stm32mpIpcc {
    Stm32mpRegs parent_obj;

    qemu_irq rx[2];
    qemu_irq tx[2];
    uint32_t channels;
    bool rif;
};

static uint32_t stm32mp_ipcc_all(Stm32mpIpcc *s)
{
    return MAKE_64BIT_MASK(0, s->channels);
}

static void stm32mp_ipcc_update(Stm32mpIpcc *s)
{
    Stm32mpRegs *regs = STM32MP_REGS(s);
    uint32_t all = stm32mp_ipcc_all(s);

    for (int p = 0; p < 2; p++) {
        const uint32_t *own = stm32mp_reg(regs, p * PROCESSOR);
        const uint32_t *other = stm32mp_reg(regs, !p * PROCESSOR);
        uint32_t masked = own[R_C1MR];
        uint32_t full = other[R_C1TOC2SR] & ~masked & all;
        uint32_t free = ~own[R_C1TOC2SR] & ~(masked >> 16) & all;

        qemu_set_irq(s->rx[p], full && (own[R_C1CR] & R_C1CR_RXOIE_MASK));
        qemu_set_irq(s->tx[p], free && (own[R_C1CR] & R_C1CR_TXFIE_MASK));
    }
}

/* Of processor @p, 0 or 1 */
static bool stm32mp_ipcc_owns(const Stm32mpRegs *regs, int p)
{
    const uint32_t *r = regs->r + p * PROCESSOR / 4;

    return stm32mp_regs_owns(regs, r[R_C1CIDCFGR], 0);
}

static bool stm32mp_ipcc_refuses(Stm32mpRegs *regs, hwaddr addr, bool write)
{
    int p = extract32(addr, 4, 1);

    if (!STM32MP_IPCC(regs)->rif) {
        return false;
    }
    if (addr < 2 * PROCESSOR) {
        return !stm32mp_ipcc_owns(regs, p) &&
               (write || addr % PROCESSOR != A_C1TOC2SR ||
                !stm32mp_ipcc_owns(regs, !p));
    }
    if (addr < A_C1SECCFGR || addr >= A_RIF_END || stm32mp_regs_trusted(regs)) {
        return false;
    }
    switch (addr % PROCESSOR + A_C1SECCFGR) {
    case A_C1SECCFGR:
        return !stm32mp_ipcc_owns(regs, p) ||
               (write && (!regs->attrs.secure || regs->attrs.user));
    case A_C1PRIVCFGR:
        return !stm32mp_ipcc_owns(regs, p) || (write && regs->attrs.user);
    default:
        return write || !stm32mp_ipcc_owns(regs, p);
    }
}

/* Channels of the word's processor that are not of another world or privilege */
static uint32_t stm32mp_ipcc_mask(Stm32mpRegs *regs, hwaddr addr, bool write)
{
    const uint32_t *r = regs->r + extract32(addr, 4, 1) * PROCESSOR / 4;
    uint16_t others = 0;

    if (!STM32MP_IPCC(regs)->rif || addr >= 2 * PROCESSOR ||
        addr % PROCESSOR == A_C1CR) {
        return UINT32_MAX;
    }
    if (!regs->attrs.secure) {
        others |= r[R_C1SECCFGR];
    }
    if (regs->attrs.user) {
        others |= r[R_C1PRIVCFGR];
    }
    return ~(others << MAX_CHANNELS | (uint32_t)others);
}

static void stm32mp_ipcc_write(Stm32mpRegs *regs, hwaddr addr, uint32_t value,
                               unsigned size)
{
    bool second = addr >= A_C2CR;
    uint32_t *own = stm32mp_reg(regs, second * PROCESSOR);
    uint32_t *other = stm32mp_reg(regs, !second * PROCESSOR);
    uint32_t all = stm32mp_ipcc_all(STM32MP_IPCC(regs));

    if (addr >= 2 * PROCESSOR) {
        if (addr < A_HWCFGR) {          /* the STM32MP25's isolation */
            regs->r[addr / 4] = value;
        }
        return;
    }
    switch (addr % PROCESSOR) {
    case A_C1CR:
        own[R_C1CR] = value & (R_C1CR_RXOIE_MASK | R_C1CR_TXFIE_MASK);
        break;
    case A_C1MR:
        own[R_C1MR] = value & (all | all << 16);
        break;
    case A_C1SCR:
        own[R_C1TOC2SR] |= (value >> 16) & all;
        other[R_C1TOC2SR] &= ~(value & all);
        break;
    }
    stm32mp_ipcc_update(STM32MP_IPCC(regs));
}

static void stm32mp_ipcc_reset(Stm32mpRegs *regs)
{
    uint32_t all = stm32mp_ipcc_all(STM32MP_IPCC(regs));

    *stm32mp_reg(regs, A_C1MR) = all | all << 16;
    *stm32mp_reg(regs, A_C1MR + PROCESSOR) = all | all << 16;
    regs->r[R_HWCFGR] = STM32MP_IPCC(regs)->channels;
    regs->r[R_VERR] = 0x10;
    regs->r[R_IPIDR] = 0x00100071;
    regs->r[R_SIDR] = 0xa3c5dd01;
    stm32mp_ipcc_update(STM32MP_IPCC(regs));
}

static void stm32mp_ipcc_init(Object *obj)
{
    Stm32mpIpcc *s = STM32MP_IPCC(obj);

    for (int p = 0; p < 2; p++) {
        sysbus_init_irq(SYS_BUS_DEVICE(obj), &s->rx[p]);
        sysbus_init_irq(SYS_BUS_DEVICE(obj), &s->tx[p]);
    }
}

static void stm32mp_ipcc_realize(DeviceState *dev, Error **errp)
{
    Stm32mpIpcc *s = STM32MP_IPCC(dev);
    DeviceClass *parent = DEVICE_CLASS(
        object_class_by_name(TYPE_STM32MP_REGS));

    if (!s->channels || s->channels > MAX_CHANNELS) {
        error_setg(errp, "an IPCC has 1 to %d channels, not %u", MAX_CHANNELS,
                   s->channels);
        return;
    }
    parent->realize(dev, errp);
}

static const Property stm32mp_ipcc_properties[] = {
    DEFINE_PROP_UINT32("channels", Stm32mpIpcc, channels, 6),
    DEFINE_PROP_BOOL("rif", Stm32mpIpcc, rif, false),
};

static void stm32mp_ipcc_class_init(ObjectClass *klass, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);
    Stm32mpRegsClass *c = STM32MP_REGS_CLASS(klass);

    dc->realize = stm32mp_ipcc_realize;
    device_class_set_props(dc, stm32mp_ipcc_properties);
    c->refuses = stm32mp_ipcc_refuses;
    c->mask = stm32mp_ipcc_mask;
    c->write = stm32mp_ipcc_write;
    c->reset = stm32mp_ipcc_reset;
}

static const TypeInfo stm32mp_ipcc_types[] = {
    {
        .name = TYPE_STM32MP_IPCC,
        .parent = TYPE_STM32MP_REGS,
        .instance_size = sizeof(Stm32mpIpcc),
        .instance_init = stm32mp_ipcc_init,
        .class_init = stm32mp_ipcc_class_init,
    }
};

DEFINE_TYPES(stm32mp_ipcc_types)
