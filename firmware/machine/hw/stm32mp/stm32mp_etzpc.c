/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * STM32MP15 extended TrustZone protection controller
 *
 * Only what it says: accesses to peripherals are not refused (yet).
 *
 * Ref: RM0436, ETZPC: ETZPC_DECPROT0 to 5 (0x10 to 0x24), two bits a
 *      peripheral, 3 is no protection; ETZPC_HWCFGR (0x3f0)
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "hw/qdev-properties.h"
#include "hw/registerfields.h"
#include "hw/stm32mp/stm32mp.h"
#include "hw/stm32mp/stm32mp_regs.h"

REG32(DECPROT0, 0x10)
REG32(HWCFGR, 0x3f0)
    FIELD(HWCFGR, NUM_TZMA, 0, 8)
    FIELD(HWCFGR, NUM_PER_SEC, 8, 8)

#define NUM_TZMA 2
#define NUM_PER_SEC 96
#define DECPROT_NONE 3

OBJECT_DECLARE_SIMPLE_TYPE(Stm32mpEtzpc, STM32MP_ETZPC)

struct Stm32mpEtzpc {
    Stm32mpRegs parent_obj;

    uint32_t *secure;
    uint32_t num_secure;
};

static void stm32mp_etzpc_reset(Stm32mpRegs *regs)
{
    Stm32mpEtzpc *s = STM32MP_ETZPC(regs);

    for (unsigned id = 0; id < NUM_PER_SEC; id++) {
        regs->r[R_DECPROT0 + id / 16] |= DECPROT_NONE << (2 * (id % 16));
    }
    for (unsigned i = 0; i < s->num_secure; i++) {
        uint32_t *r = &regs->r[R_DECPROT0 + s->secure[i] / 16];

        *r = deposit32(*r, 2 * (s->secure[i] % 16), 2, 0);
    }
    regs->r[R_HWCFGR] = NUM_TZMA << R_HWCFGR_NUM_TZMA_SHIFT |
                        NUM_PER_SEC << R_HWCFGR_NUM_PER_SEC_SHIFT;
}

static void stm32mp_etzpc_write(Stm32mpRegs *s, hwaddr addr, uint32_t value,
                                unsigned size)
{
    if (addr != A_HWCFGR) {
        s->r[addr / 4] = value;
    }
}

static const Property stm32mp_etzpc_properties[] = {
    DEFINE_PROP_ARRAY("secure", Stm32mpEtzpc, num_secure, secure,
                      qdev_prop_uint32, uint32_t),
};

static void stm32mp_etzpc_finalize(Object *obj)
{
    g_free(STM32MP_ETZPC(obj)->secure);
}

static void stm32mp_etzpc_class_init(ObjectClass *klass, void *data)
{
    Stm32mpRegsClass *c = STM32MP_REGS_CLASS(klass);

    device_class_set_props(DEVICE_CLASS(klass), stm32mp_etzpc_properties);
    c->write = stm32mp_etzpc_write;
    c->reset = stm32mp_etzpc_reset;
}

static const TypeInfo stm32mp_etzpc_types[] = {
    {
        .name = TYPE_STM32MP_ETZPC,
        .parent = TYPE_STM32MP_REGS,
        .instance_size = sizeof(Stm32mpEtzpc),
        .instance_finalize = stm32mp_etzpc_finalize,
        .class_init = stm32mp_etzpc_class_init,
    }
};

DEFINE_TYPES(stm32mp_etzpc_types)
