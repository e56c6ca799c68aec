/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * STM32MP15 DDR controller and its PHY: memory is there without them; they
 * answer what a loader that sets it up waits for
 *
 * Ref: RM0436, DDRCTRL: DDRCTRL_STAT (0x004), DDRCTRL_PWRCTL (0x030),
 *      DDRCTRL_SWCTL (0x320), DDRCTRL_SWSTAT (0x324); DDRPHYC, 0x1000 above:
 *      DDRPHYC_PGSR (0x00c)
 */

#include "qemu/osdep.h"
#include "hw/registerfields.h"
#include "hw/stm32mp/stm32mp.h"
#include "hw/stm32mp/stm32mp_regs.h"

REG32(STAT, 0x004)
    FIELD(STAT, OPERATING_MODE, 0, 3)
    FIELD(STAT, SELFREF_TYPE, 4, 2)
REG32(PWRCTL, 0x030)
    FIELD(PWRCTL, SELFREF_SW, 5, 1)
REG32(SWCTL, 0x320)
    FIELD(SWCTL, SW_DONE, 0, 1)
REG32(SWSTAT, 0x324)
REG32(PGSR, 0x100c)

#define NORMAL 1
#define SELF_REFRESH 3
#define BY_SOFTWARE 2
#define PGSR_ALL_DONE 0x1f      /* IDONE, DLDONE, ZCDONE, DIDONE, DTDONE */

static uint32_t stm32mp15_ddr_read(Stm32mpRegs *s, hwaddr addr)
{
    switch (addr) {
    case A_STAT:
        if (!FIELD_EX32(s->r[R_PWRCTL], PWRCTL, SELFREF_SW)) {
            return NORMAL;
        }
        return SELF_REFRESH << R_STAT_OPERATING_MODE_SHIFT |
               BY_SOFTWARE << R_STAT_SELFREF_TYPE_SHIFT;
    case A_SWSTAT:
        return FIELD_EX32(s->r[R_SWCTL], SWCTL, SW_DONE);
    case A_PGSR:
        return PGSR_ALL_DONE;
    default:
        return s->r[addr / 4];
    }
}

static void stm32mp15_ddr_class_init(ObjectClass *klass, void *data)
{
    STM32MP_REGS_CLASS(klass)->size = 0x2000;
    STM32MP_REGS_CLASS(klass)->read = stm32mp15_ddr_read;
}

static const TypeInfo stm32mp15_ddr_types[] = {
    {
        .name = TYPE_STM32MP15_DDR,
        .parent = TYPE_STM32MP_REGS,
        .class_init = stm32mp15_ddr_class_init,
    }
};

DEFINE_TYPES(stm32mp15_ddr_types)
