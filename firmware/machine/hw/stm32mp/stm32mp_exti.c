/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * STM32MP extended interrupt and event controller
 *
 * Configurable events latch an edge (RPR, FPR) and drive an interrupt of the
 * Cortex-A and one of the coprocessor while they are pending and unmasked.
 * Events 0 to 15 are that pin of the bank that EXTICR selects.  Direct events
 * reach the GIC by themselves; here they are masks only.
 *
 * Ref: RM0436, EXTI: EXTI_RTSRx (0x00), FTSRx (0x04), SWIERx (0x08), RPRx
 *      (0x0c), FPRx (0x10) in banks of 0x20; EXTI_EXTICRx (0x60), a byte a pin;
 *      EXTI_C1IMRx (0x80), C2IMRx (0xc0) in banks of 0x10; EXTI_TRG3, 2, 1
 *      (0x3e4, 0x3e8, 0x3ec)
 */

#include "qemu/osdep.h"
#include "hw/irq.h"
#include "hw/registerfields.h"
#include "hw/stm32mp/stm32mp.h"
#include "hw/stm32mp/stm32mp_regs.h"

REG32(RTSR1, 0x00)
REG32(FTSR1, 0x04)
REG32(SWIER1, 0x08)
REG32(RPR1, 0x0c)
REG32(FPR1, 0x10)
REG32(RTSR2, 0x20)
REG32(EXTICR1, 0x60)
REG32(C1IMR1, 0x80)
REG32(C2IMR1, 0xc0)
REG32(TRG3, 0x3e4)
REG32(TRG2, 0x3e8)
REG32(TRG1, 0x3ec)
REG32(VERR, 0x3f4)

#define BANKS (STM32MP_EXTI_EVENTS / 32)
#define BANK (A_RTSR2 - A_RTSR1)
#define IMR_BANK 0x10
#define PINS 16                 /* of a port */

OBJECT_DECLARE_SIMPLE_TYPE(Stm32mpExti, STM32MP_EXTI)

struct Stm32mpExti {
    Stm32mpRegs parent_obj;

    qemu_irq irq[2 * STM32MP_EXTI_EVENTS];
    uint32_t level[BANKS];
    uint16_t pins[STM32MP_EXTI_PORTS];
};

static void stm32mp_exti_update(Stm32mpExti *s)
{
    Stm32mpRegs *regs = STM32MP_REGS(s);

    for (unsigned bank = 0; bank < BANKS; bank++) {
        const uint32_t *r = stm32mp_reg(regs, bank * BANK);
        uint32_t pending = r[R_RPR1] | r[R_FPR1];
        uint32_t c1 = *stm32mp_reg(regs, A_C1IMR1 + bank * IMR_BANK);
        uint32_t c2 = *stm32mp_reg(regs, A_C2IMR1 + bank * IMR_BANK);

        for (unsigned n = 0; n < 32; n++) {
            qemu_irq *irq = &s->irq[bank * 32 + n];

            qemu_set_irq(irq[0], extract32(pending & c1, n, 1));
            qemu_set_irq(irq[STM32MP_EXTI_EVENTS],
                         extract32(pending & c2, n, 1));
        }
    }
}

static void stm32mp_exti_edge(Stm32mpExti *s, unsigned n, bool rising)
{
    uint32_t *r = stm32mp_reg(STM32MP_REGS(s), n / 32 * BANK);

    r[rising ? R_RPR1 : R_FPR1] |= r[rising ? R_RTSR1 : R_FTSR1] &
                                   (1u << (n % 32));
    stm32mp_exti_update(s);
}

static void stm32mp_exti_event(void *opaque, int n, int level)
{
    Stm32mpExti *s = opaque;
    unsigned bank = n / 32, bit = n % 32;
    bool was = extract32(s->level[bank], bit, 1);

    s->level[bank] = deposit32(s->level[bank], bit, 1, !!level);
    if (was != !!level) {
        stm32mp_exti_edge(s, n, level);
    }
}

static void stm32mp_exti_pin(void *opaque, int n, int level)
{
    Stm32mpExti *s = opaque;
    unsigned port = n / PINS, pin = n % PINS;
    uint32_t selected = *stm32mp_reg(STM32MP_REGS(s), A_EXTICR1 + pin / 4 * 4);
    bool was = extract32(s->pins[port], pin, 1);

    s->pins[port] = deposit32(s->pins[port], pin, 1, !!level);
    if (was != !!level && extract32(selected, 8 * (pin % 4), 8) == port) {
        stm32mp_exti_edge(s, pin, level);
    }
}

static void stm32mp_exti_write(Stm32mpRegs *regs, hwaddr addr, uint32_t value,
                               unsigned size)
{
    uint32_t *r = stm32mp_reg(regs, addr);

    if (addr >= A_TRG3) {
        return;
    }
    if (addr >= BANKS * BANK) {
        *r = value;
    } else {
        switch (addr % BANK) {
        case A_SWIER1:
            r[R_RPR1 - R_SWIER1] |= value;
            break;
        case A_RPR1:
        case A_FPR1:
            *r &= ~value;
            break;
        default:
            *r = value;
        }
    }
    stm32mp_exti_update(STM32MP_EXTI(regs));
}

static void stm32mp_exti_reset(Stm32mpRegs *regs)
{
    Stm32mpExti *s = STM32MP_EXTI(regs);

    /* Configurable events: 0 to 16; 65, 66, 68, 73, 74 */
    regs->r[R_TRG1] = 0x0001ffff;
    regs->r[R_TRG2] = 0;
    regs->r[R_TRG3] = 0x00000616;
    regs->r[R_VERR] = 0x20;
    memset(s->level, 0, sizeof(s->level));
    stm32mp_exti_update(s);
}

static void stm32mp_exti_init(Object *obj)
{
    Stm32mpExti *s = STM32MP_EXTI(obj);

    qdev_init_gpio_in(DEVICE(obj), stm32mp_exti_event, STM32MP_EXTI_EVENTS);
    qdev_init_gpio_in_named(DEVICE(obj), stm32mp_exti_pin, "pin",
                            STM32MP_EXTI_PORTS * PINS);
    memset(s->pins, 0xff, sizeof(s->pins));     /* as a bank's inputs are */
    for (unsigned n = 0; n < ARRAY_SIZE(s->irq); n++) {
        sysbus_init_irq(SYS_BUS_DEVICE(obj), &s->irq[n]);
    }
}

static const VMStateDescription vmstate_stm32mp_exti = {
    .name = TYPE_STM32MP_EXTI,
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_STM32MP_REGS(Stm32mpExti),
        VMSTATE_UINT32_ARRAY(level, Stm32mpExti, BANKS),
        VMSTATE_UINT16_ARRAY(pins, Stm32mpExti, STM32MP_EXTI_PORTS),
        VMSTATE_END_OF_LIST()
    }
};

static void stm32mp_exti_class_init(ObjectClass *klass, void *data)
{
    Stm32mpRegsClass *c = STM32MP_REGS_CLASS(klass);

    DEVICE_CLASS(klass)->vmsd = &vmstate_stm32mp_exti;
    c->write = stm32mp_exti_write;
    c->reset = stm32mp_exti_reset;
}

static const TypeInfo stm32mp_exti_types[] = {
    {
        .name = TYPE_STM32MP_EXTI,
        .parent = TYPE_STM32MP_REGS,
        .instance_size = sizeof(Stm32mpExti),
        .instance_init = stm32mp_exti_init,
        .class_init = stm32mp_exti_class_init,
    }
};

DEFINE_TYPES(stm32mp_exti_types)
