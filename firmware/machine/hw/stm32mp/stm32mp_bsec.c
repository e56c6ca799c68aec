/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * STM32MP15 boot and security control: fuses (OTP) as shadow registers
 *
 * Words are those of property "preset"; programming has no effect.
 *
 * Ref: RM0436, BSEC: BSEC_OTP_CONFIG (0x000), BSEC_OTP_STATUS (0x00c),
 *      BSEC_OTP_DATA0 (0x200)
 */

#include "qemu/osdep.h"
#include "hw/registerfields.h"
#include "hw/stm32mp/stm32mp.h"
#include "hw/stm32mp/stm32mp_regs.h"

REG32(CONFIG, 0x000)
    FIELD(CONFIG, PWRUP, 0, 1)
REG32(STATUS, 0x00c)
    FIELD(STATUS, SECURE, 0, 1)
    FIELD(STATUS, PWRON, 5, 1)
REG32(VERR, 0xff4)
REG32(IPIDR, 0xff8)

#define VERSION 0x11
#define ID 0x00100032

static uint32_t stm32mp_bsec_read(Stm32mpRegs *s, hwaddr addr)
{
    switch (addr) {
    case A_STATUS:
        return FIELD_DP32(R_STATUS_SECURE_MASK, STATUS, PWRON,
                          FIELD_EX32(s->r[R_CONFIG], CONFIG, PWRUP));
    case A_VERR:
        return VERSION;
    case A_IPIDR:
        return ID;
    default:
        return s->r[addr / 4];
    }
}

static void stm32mp_bsec_class_init(ObjectClass *klass, void *data)
{
    STM32MP_REGS_CLASS(klass)->size = 0x1000;
    STM32MP_REGS_CLASS(klass)->read = stm32mp_bsec_read;
}

static const TypeInfo stm32mp_bsec_types[] = {
    {
        .name = TYPE_STM32MP_BSEC,
        .parent = TYPE_STM32MP_REGS,
        .class_init = stm32mp_bsec_class_init,
    }
};

DEFINE_TYPES(stm32mp_bsec_types)
