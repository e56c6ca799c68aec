/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * STM32MP15 TZC-400, the firewall of its DDR
 *
 * Only what it says: accesses to memory are not refused (yet).
 *
 * Ref: Arm TZC-400 TRM (DDI 0504): BUILD_CONFIG (0x000), GATE_KEEPER (0x008),
 *      FAIL_* (0x020), REGION_* (0x100), PID (0xfd0), CID (0xff0)
 */

#include "qemu/osdep.h"
#include "hw/registerfields.h"
#include "hw/stm32mp/stm32mp.h"
#include "hw/stm32mp/stm32mp_regs.h"

REG32(BUILD_CONFIG, 0x000)
    FIELD(BUILD_CONFIG, NO_OF_REGIONS, 0, 5)
    FIELD(BUILD_CONFIG, ADDRESS_WIDTH, 8, 6)
    FIELD(BUILD_CONFIG, NO_OF_FILTERS, 24, 2)
REG32(GATE_KEEPER, 0x008)
    FIELD(GATE_KEEPER, OPENREQ, 0, 4)
    FIELD(GATE_KEEPER, OPENSTAT, 16, 4)
REG32(INT_STATUS, 0x010)
REG32(PIDR4, 0xfd0)
REG32(PIDR0, 0xfe0)
REG32(CIDR0, 0xff0)

#define FILTERS 2
#define REGIONS 9
#define ADDRESS_BITS 32

static uint32_t stm32mp_tzc_read(Stm32mpRegs *s, hwaddr addr)
{
    static const uint8_t ids[] = {
        0x04, 0, 0, 0, 0x60, 0xb4, 0x2b, 0, 0x0d, 0xf0, 0x05, 0xb1,
    };

    if (addr >= A_PIDR4) {
        return ids[(addr - A_PIDR4) / 4];
    }
    switch (addr) {
    case A_BUILD_CONFIG:
        return (FILTERS - 1) << R_BUILD_CONFIG_NO_OF_FILTERS_SHIFT |
               (ADDRESS_BITS - 1) << R_BUILD_CONFIG_ADDRESS_WIDTH_SHIFT |
               (REGIONS - 1);
    case A_GATE_KEEPER:
        return s->r[R_GATE_KEEPER] |
               s->r[R_GATE_KEEPER] << R_GATE_KEEPER_OPENSTAT_SHIFT;
    default:
        return s->r[addr / 4];
    }
}

static void stm32mp_tzc_write(Stm32mpRegs *s, hwaddr addr, uint32_t value,
                              unsigned size)
{
    switch (addr) {
    case A_BUILD_CONFIG:
    case A_INT_STATUS:
        return;
    case A_GATE_KEEPER:
        s->r[R_GATE_KEEPER] = value & R_GATE_KEEPER_OPENREQ_MASK;
        return;
    default:
        s->r[addr / 4] = value;
    }
}

static void stm32mp_tzc_class_init(ObjectClass *klass, void *data)
{
    Stm32mpRegsClass *c = STM32MP_REGS_CLASS(klass);

    c->size = 0x1000;
    c->read = stm32mp_tzc_read;
    c->write = stm32mp_tzc_write;
}

static const TypeInfo stm32mp_tzc_types[] = {
    {
        .name = TYPE_STM32MP_TZC,
        .parent = TYPE_STM32MP_REGS,
        .class_init = stm32mp_tzc_class_init,
    }
};

DEFINE_TYPES(stm32mp_tzc_types)
