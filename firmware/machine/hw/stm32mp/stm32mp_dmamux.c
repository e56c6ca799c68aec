/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * STM32MP DMA request multiplexer
 *
 * A channel has the request that its register selects.  Synchronization and the
 * request generators are registers only.
 *
 * Ref: RM0436, DMAMUX: DMAMUX_CxCR (0x00), one a channel
 */

#include "qemu/osdep.h"
#include "hw/irq.h"
#include "hw/registerfields.h"
#include "hw/stm32mp/stm32mp.h"
#include "hw/stm32mp/stm32mp_regs.h"

REG32(C0CR, 0x00)
    FIELD(CR, DMAREQ_ID, 0, 7)

OBJECT_DECLARE_SIMPLE_TYPE(Stm32mpDmamux, STM32MP_DMAMUX)

struct Stm32mpDmamux {
    Stm32mpRegs parent_obj;

    qemu_irq channel[STM32MP_DMAMUX_CHANNELS];
    bool level[STM32MP_DMAMUX_REQUESTS];
};

static void stm32mp_dmamux_request(void *opaque, int id, int level)
{
    Stm32mpDmamux *s = opaque;

    s->level[id] = level;
    for (unsigned n = 0; n < STM32MP_DMAMUX_CHANNELS; n++) {
        uint32_t cr = STM32MP_REGS(s)->r[R_C0CR + n];

        if (FIELD_EX32(cr, CR, DMAREQ_ID) == id) {
            qemu_set_irq(s->channel[n], level);
        }
    }
}

static void stm32mp_dmamux_write(Stm32mpRegs *regs, hwaddr addr, uint32_t value,
                                 unsigned size)
{
    Stm32mpDmamux *s = STM32MP_DMAMUX(regs);

    regs->r[addr / 4] = value;
    if (addr / 4 < STM32MP_DMAMUX_CHANNELS) {
        qemu_set_irq(s->channel[addr / 4],
                     s->level[FIELD_EX32(value, CR, DMAREQ_ID)]);
    }
}

static void stm32mp_dmamux_init(Object *obj)
{
    Stm32mpDmamux *s = STM32MP_DMAMUX(obj);

    qdev_init_gpio_in(DEVICE(obj), stm32mp_dmamux_request,
                      STM32MP_DMAMUX_REQUESTS);
    qdev_init_gpio_out(DEVICE(obj), s->channel, STM32MP_DMAMUX_CHANNELS);
}

static const VMStateDescription vmstate_stm32mp_dmamux = {
    .name = TYPE_STM32MP_DMAMUX,
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_STM32MP_REGS(Stm32mpDmamux),
        VMSTATE_BOOL_ARRAY(level, Stm32mpDmamux, STM32MP_DMAMUX_REQUESTS),
        VMSTATE_END_OF_LIST()
    }
};

static void stm32mp_dmamux_class_init(ObjectClass *klass, void *data)
{
    DEVICE_CLASS(klass)->vmsd = &vmstate_stm32mp_dmamux;
    STM32MP_REGS_CLASS(klass)->write = stm32mp_dmamux_write;
}

static const TypeInfo stm32mp_dmamux_types[] = {
    {
        .name = TYPE_STM32MP_DMAMUX,
        .parent = TYPE_STM32MP_REGS,
        .instance_size = sizeof(Stm32mpDmamux),
        .instance_init = stm32mp_dmamux_init,
        .class_init = stm32mp_dmamux_class_init,
    }
};

DEFINE_TYPES(stm32mp_dmamux_types)
