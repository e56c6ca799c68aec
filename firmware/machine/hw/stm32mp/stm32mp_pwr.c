/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * STM32MP15 power control: regulators are ready as soon as they are enabled
 *
 * Ref: RM0436, PWR: PWR_CR3 (0x0c)
 */

#include "qemu/osdep.h"
#include "hw/registerfields.h"
#include "hw/stm32mp/stm32mp.h"
#include "hw/stm32mp/stm32mp_regs.h"

REG32(CR3, 0x0c)
    FIELD(CR3, USB33DEN, 24, 1)
    FIELD(CR3, USB33RDY, 26, 1)
    FIELD(CR3, REG18EN, 28, 1)
    FIELD(CR3, REG18RDY, 29, 1)
    FIELD(CR3, REG11EN, 30, 1)
    FIELD(CR3, REG11RDY, 31, 1)

static uint32_t stm32mp_pwr_read(Stm32mpRegs *s, hwaddr addr)
{
    uint32_t value = s->r[addr / 4];

    if (addr == A_CR3) {
        value = FIELD_DP32(value, CR3, USB33RDY,
                           FIELD_EX32(value, CR3, USB33DEN));
        value = FIELD_DP32(value, CR3, REG18RDY,
                           FIELD_EX32(value, CR3, REG18EN));
        value = FIELD_DP32(value, CR3, REG11RDY,
                           FIELD_EX32(value, CR3, REG11EN));
    }
    return value;
}

static void stm32mp_pwr_class_init(ObjectClass *klass, void *data)
{
    STM32MP_REGS_CLASS(klass)->read = stm32mp_pwr_read;
}

static const TypeInfo stm32mp_pwr_types[] = {
    {
        .name = TYPE_STM32MP_PWR,
        .parent = TYPE_STM32MP_REGS,
        .class_init = stm32mp_pwr_class_init,
    }
};

DEFINE_TYPES(stm32mp_pwr_types)
