/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * STM32MP15 digital temperature sensor: always T0, 30 degrees Celsius
 *
 * The sensor counts cycles of PCLK during a number of periods of its own
 * oscillator; the count is chosen so that the result is T0 for the clock that
 * is there.
 *
 * Ref: RM0436, DTS: DTS_CFGR1 (0x00), DTS_T0VALR1 (0x08), DTS_RAMPVALR
 *      (0x10), DTS_DR (0x1c), DTS_SR (0x20);
 *      Linux drivers/thermal/st/stm_thermal.c for the formula
 */

#include "qemu/osdep.h"
#include "hw/qdev-clock.h"
#include "hw/registerfields.h"
#include "hw/stm32mp/stm32mp.h"
#include "hw/stm32mp/stm32mp_regs.h"

REG32(CFGR1, 0x00)
    FIELD(CFGR1, TS1_EN, 0, 1)
REG32(T0VALR1, 0x08)
REG32(RAMPVALR, 0x10)
REG32(DR, 0x1c)
REG32(SR, 0x20)
    FIELD(SR, TS1_RDY, 15, 1)

#define FMT0_100HZ 3000
#define RAMP_HZ_PER_C 1500
#define SAMPLING_PERIODS 15

OBJECT_DECLARE_SIMPLE_TYPE(Stm32mpDts, STM32MP_DTS)

struct Stm32mpDts {
    Stm32mpRegs parent_obj;

    Clock *pclk;
};

static uint32_t stm32mp_dts_read(Stm32mpRegs *s, hwaddr addr)
{
    uint32_t hz = clock_get_hz(STM32MP_DTS(s)->pclk);

    switch (addr) {
    case A_T0VALR1:
        return FMT0_100HZ;
    case A_RAMPVALR:
        return RAMP_HZ_PER_C;
    case A_DR:
        return (uint64_t)hz * SAMPLING_PERIODS / (FMT0_100HZ * 100);
    case A_SR:
        return FIELD_EX32(s->r[R_CFGR1], CFGR1, TS1_EN) ? R_SR_TS1_RDY_MASK
                                                       : 0;
    default:
        return s->r[addr / 4];
    }
}

static void stm32mp_dts_init(Object *obj)
{
    Stm32mpDts *s = STM32MP_DTS(obj);

    s->pclk = qdev_init_clock_in(DEVICE(obj), "pclk", NULL, NULL, 0);
}

static const VMStateDescription vmstate_stm32mp_dts = {
    .name = TYPE_STM32MP_DTS,
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_STM32MP_REGS(Stm32mpDts),
        VMSTATE_CLOCK(pclk, Stm32mpDts),
        VMSTATE_END_OF_LIST()
    }
};

static void stm32mp_dts_class_init(ObjectClass *klass, void *data)
{
    DEVICE_CLASS(klass)->vmsd = &vmstate_stm32mp_dts;
    STM32MP_REGS_CLASS(klass)->read = stm32mp_dts_read;
}

static const TypeInfo stm32mp_dts_types[] = {
    {
        .name = TYPE_STM32MP_DTS,
        .parent = TYPE_STM32MP_REGS,
        .instance_size = sizeof(Stm32mpDts),
        .instance_init = stm32mp_dts_init,
        .class_init = stm32mp_dts_class_init,
    }
};

DEFINE_TYPES(stm32mp_dts_types)
