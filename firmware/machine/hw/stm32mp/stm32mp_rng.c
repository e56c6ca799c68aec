/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * STM32MP random number generator
 *
 * Ref: RM0436, RNG: RNG_CR (0x00), RNG_SR (0x04), RNG_DR (0x08)
 */

#include "qemu/osdep.h"
#include "qemu/guest-random.h"
#include "hw/registerfields.h"
#include "hw/stm32mp/stm32mp.h"
#include "hw/stm32mp/stm32mp_regs.h"

REG32(CR, 0x00)
    FIELD(CR, RNGEN, 2, 1)
REG32(SR, 0x04)
    FIELD(SR, DRDY, 0, 1)
REG32(DR, 0x08)

static uint32_t stm32mp_rng_read(Stm32mpRegs *s, hwaddr addr)
{
    bool ready = FIELD_EX32(s->r[R_CR], CR, RNGEN);
    uint32_t value = 0;

    switch (addr) {
    case A_SR:
        return ready ? R_SR_DRDY_MASK : 0;
    case A_DR:
        if (ready) {
            qemu_guest_getrandom_nofail(&value, sizeof(value));
        }
        return value;
    default:
        return s->r[addr / 4];
    }
}

static void stm32mp_rng_class_init(ObjectClass *klass, void *data)
{
    STM32MP_REGS_CLASS(klass)->read = stm32mp_rng_read;
}

static const TypeInfo stm32mp_rng_types[] = {
    {
        .name = TYPE_STM32MP_RNG,
        .parent = TYPE_STM32MP_REGS,
        .class_init = stm32mp_rng_class_init,
    }
};

DEFINE_TYPES(stm32mp_rng_types)
