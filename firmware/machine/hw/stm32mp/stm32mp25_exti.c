/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * STM32MP25 extended interrupt and event controller: registers and their
 * isolation
 *
 * Nothing raises an event here.  Each event is of a world, a privilege and a
 * compartment, and each CPU's masks are of a compartment: the trusted domain
 * says which, who may use an event the rest.  Somebody else's events read 0 and
 * are not changed.  LOCKR locks worlds and privileges until a reset, and
 * compartments as well: an assumption.
 *
 * Ref: RM0457, EXTI: EXTI_RTSRx (0x00) to FPRx (0x10), SECCFGRx (0x14),
 *      PRIVCFGRx (0x18) in banks of 0x20; EXTICRx (0x60), LOCKR (0x70);
 *      EXTI_C1IMRx (0x80), C1EMRx (0x84) in banks of 0x10, those of the next
 *      CPU 0x40 on; EnCIDCFGR (0x180), CmCIDCFGR (0x300), HWCFGR1 (0x3f0);
 *      OP-TEE core/drivers/stm32_exti.c
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "hw/qdev-properties.h"
#include "hw/registerfields.h"
#include "hw/stm32mp/stm32mp.h"
#include "hw/stm32mp/stm32mp_regs.h"

REG32(RTSR1, 0x00)
REG32(SECCFGR1, 0x14)
REG32(PRIVCFGR1, 0x18)
REG32(EXTICR1, 0x60)
REG32(LOCKR, 0x70)
    FIELD(LOCKR, GLOCK, 0, 1)
REG32(C1IMR1, 0x80)
REG32(E0CIDCFGR, 0x180)
REG32(C1CIDCFGR, 0x300)
REG32(HWCFGR1, 0x3f0)

#define BANKS 3
#define BANK 0x20
#define MASKS 0x40              /* of a CPU */
#define MASKS_BANK 0x10
#define CPUS_MAX 4
#define CID_WIDTH 3

OBJECT_DECLARE_SIMPLE_TYPE(Stm32mp25Exti, STM32MP25_EXTI)

struct Stm32mp25Exti {
    Stm32mpRegs parent_obj;

    uint32_t events;
    uint32_t cpus;
};

static bool stm32mp25_exti_is_masks(hwaddr addr)
{
    return addr >= A_C1IMR1 && addr < A_C1IMR1 + CPUS_MAX * MASKS;
}

static bool stm32mp25_exti_refuses(Stm32mpRegs *s, hwaddr addr, bool write)
{
    if (stm32mp25_exti_is_masks(addr)) {
        uint32_t cpu = (addr - A_C1IMR1) / MASKS;

        return !stm32mp_regs_owns(s, s->r[R_C1CIDCFGR + cpu], 0);
    }
    if (!write || stm32mp_regs_trusted(s)) {
        return false;
    }
    if (addr < A_EXTICR1) {
        switch (addr % BANK) {
        case A_SECCFGR1:
            return !s->attrs.secure || s->attrs.user;
        case A_PRIVCFGR1:
            return s->attrs.user;
        }
        return false;
    }
    return addr >= A_LOCKR;
}

static bool stm32mp25_exti_owns(const Stm32mpRegs *s, unsigned event)
{
    const uint32_t *bank = s->r + event / 32 * BANK / 4;

    return (s->attrs.secure || !extract32(bank[R_SECCFGR1], event % 32, 1)) &&
           !(s->attrs.user && extract32(bank[R_PRIVCFGR1], event % 32, 1)) &&
           stm32mp_regs_owns(s, s->r[R_E0CIDCFGR + event], 0);
}

/* Each event from @first on has this number of bits */
static uint32_t stm32mp25_exti_fields(Stm32mpRegs *s, unsigned bits,
                                      unsigned first)
{
    uint32_t mask = 0;

    for (unsigned n = 0; n < 32 / bits; n++) {
        if (first + n < STM32MP25_EXTI(s)->events &&
            stm32mp25_exti_owns(s, first + n)) {
            mask |= MAKE_64BIT_MASK(bits * n, bits);
        }
    }
    return mask;
}

static uint32_t stm32mp25_exti_mask(Stm32mpRegs *s, hwaddr addr, bool write)
{
    bool configures = addr < A_EXTICR1 && addr % BANK >= A_SECCFGR1;

    if (write && FIELD_EX32(s->r[R_LOCKR], LOCKR, GLOCK) &&
        (configures || addr == A_LOCKR || addr >= A_E0CIDCFGR)) {
        return 0;
    }
    if (addr < A_EXTICR1) {
        if (configures && (!write || stm32mp_regs_trusted(s))) {
            return UINT32_MAX;
        }
        return stm32mp25_exti_fields(s, 1, addr / BANK * 32);
    }
    if (addr < A_LOCKR) {       /* ports, 4 events a word */
        return stm32mp25_exti_fields(s, 8, addr - A_EXTICR1);
    }
    if (stm32mp25_exti_is_masks(addr)) {
        unsigned bank = (addr - A_C1IMR1) % MASKS / MASKS_BANK;

        return stm32mp25_exti_fields(s, 1, bank * 32);
    }
    return UINT32_MAX;
}

static void stm32mp25_exti_reset(Stm32mpRegs *s)
{
    Stm32mp25Exti *exti = STM32MP25_EXTI(s);

    s->r[R_HWCFGR1] = CID_WIDTH << 24 | (exti->cpus - 1) << 8 |
                      (exti->events - 1);
}

static void stm32mp25_exti_realize(DeviceState *dev, Error **errp)
{
    Stm32mp25Exti *s = STM32MP25_EXTI(dev);
    DeviceClass *parent = DEVICE_CLASS(
        object_class_by_name(TYPE_STM32MP_REGS));

    if (!s->events || s->events > BANKS * 32 || !s->cpus ||
        s->cpus > CPUS_MAX) {
        error_setg(errp, "an EXTI has 1 to %d events and 1 to %d CPUs, not %u "
                   "and %u", BANKS * 32, CPUS_MAX, s->events, s->cpus);
        return;
    }
    parent->realize(dev, errp);
}

static const Property stm32mp25_exti_properties[] = {
    DEFINE_PROP_UINT32("events", Stm32mp25Exti, events, 0),
    DEFINE_PROP_UINT32("cpus", Stm32mp25Exti, cpus, 0),
};

static void stm32mp25_exti_class_init(ObjectClass *klass, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);
    Stm32mpRegsClass *c = STM32MP_REGS_CLASS(klass);

    dc->realize = stm32mp25_exti_realize;
    device_class_set_props(dc, stm32mp25_exti_properties);
    c->refuses = stm32mp25_exti_refuses;
    c->mask = stm32mp25_exti_mask;
    c->reset = stm32mp25_exti_reset;
}

static const TypeInfo stm32mp25_exti_types[] = {
    {
        .name = TYPE_STM32MP25_EXTI,
        .parent = TYPE_STM32MP_REGS,
        .instance_size = sizeof(Stm32mp25Exti),
        .class_init = stm32mp25_exti_class_init,
    }
};

DEFINE_TYPES(stm32mp25_exti_types)
