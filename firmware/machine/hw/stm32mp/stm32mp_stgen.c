/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * STM32MP system timer generator: counts virtual time, whatever is written
 *
 * Ref: RM0457, STGENC: STGENC_CNTCR (0x00), CNTCVL (0x08), CNTCVU (0x0c),
 *      CNTFID0 (0x20)
 */

#include "qemu/osdep.h"
#include "qemu/timer.h"
#include "hw/qdev-properties.h"
#include "hw/registerfields.h"
#include "hw/stm32mp/stm32mp.h"
#include "hw/stm32mp/stm32mp_regs.h"

REG32(CNTCVL, 0x08)
REG32(CNTCVU, 0x0c)
REG32(CNTFID0, 0x20)

OBJECT_DECLARE_SIMPLE_TYPE(Stm32mpStgen, STM32MP_STGEN)

struct Stm32mpStgen {
    Stm32mpRegs parent_obj;

    uint32_t frequency_hz;
};

static uint32_t stm32mp_stgen_read(Stm32mpRegs *regs, hwaddr addr)
{
    uint64_t count = muldiv64(qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL),
                              STM32MP_STGEN(regs)->frequency_hz,
                              NANOSECONDS_PER_SECOND);

    switch (addr) {
    case A_CNTCVL:
        return count;
    case A_CNTCVU:
        return count >> 32;
    default:
        return regs->r[addr / 4];
    }
}

static void stm32mp_stgen_reset(Stm32mpRegs *regs)
{
    regs->r[R_CNTFID0] = STM32MP_STGEN(regs)->frequency_hz;
}

static const Property stm32mp_stgen_properties[] = {
    DEFINE_PROP_UINT32("frequency-hz", Stm32mpStgen, frequency_hz, 40000000),
};

static void stm32mp_stgen_class_init(ObjectClass *klass, void *data)
{
    Stm32mpRegsClass *c = STM32MP_REGS_CLASS(klass);

    device_class_set_props(DEVICE_CLASS(klass), stm32mp_stgen_properties);
    c->size = 0x1000;
    c->read = stm32mp_stgen_read;
    c->reset = stm32mp_stgen_reset;
}

static const TypeInfo stm32mp_stgen_types[] = {
    {
        .name = TYPE_STM32MP_STGEN,
        .parent = TYPE_STM32MP_REGS,
        .instance_size = sizeof(Stm32mpStgen),
        .class_init = stm32mp_stgen_class_init,
    }
};

DEFINE_TYPES(stm32mp_stgen_types)
