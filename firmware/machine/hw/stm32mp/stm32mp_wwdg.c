/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * STM32MP window watchdog
 *
 * A counter of seven bits, one step per 4096 * 2^WDGTB cycles of PCLK.  It
 * resets its core when T6 falls, when it is written without T6, or when it is
 * written while it is above the window.  A step before, the early wake-up
 * interrupt may come.  Its interrupt at the Cortex-A, through EXTI, stays until
 * the core's next reset: how long a real one does is not documented.
 *
 * Ref: RM0436, WWDG: WWDG_CR (0x00), WWDG_CFR (0x04), WWDG_SR (0x08)
 */

#include "qemu/osdep.h"
#include "qemu/log.h"
#include "qemu/timer.h"
#include "hw/irq.h"
#include "hw/qdev-clock.h"
#include "hw/registerfields.h"
#include "hw/stm32mp/stm32mp.h"
#include "hw/stm32mp/stm32mp_regs.h"

REG32(CR, 0x00)
    FIELD(CR, T, 0, 7)
    FIELD(CR, WDGA, 7, 1)
REG32(CFR, 0x04)
    FIELD(CFR, W, 0, 7)
    FIELD(CFR, EWI, 9, 1)
    FIELD(CFR, WDGTB, 11, 3)
REG32(SR, 0x08)
    FIELD(SR, EWIF, 0, 1)

#define T6 0x40
#define T_MAX 0x7f
#define STEP_CYCLES 4096

OBJECT_DECLARE_SIMPLE_TYPE(Stm32mpWwdg, STM32MP_WWDG)

struct Stm32mpWwdg {
    Stm32mpRegs parent_obj;

    Clock *pclk;
    QEMUTimer *timer;
    qemu_irq irq;
    qemu_irq reset[2];          /* to RCC: a pulse; to an interrupt: a level */
    int64_t loaded_ns;          /* when CR.T was as it is stored */
    DeviceState *core;          /* whose thread must have run since it was due */
    uint32_t turns;
};

static int64_t stm32mp_wwdg_step_ns(Stm32mpWwdg *s)
{
    uint32_t cfr = STM32MP_REGS(s)->r[R_CFR];
    uint64_t cycles = STEP_CYCLES << FIELD_EX32(cfr, CFR, WDGTB);

    return MAX(1, clock_ticks_to_ns(s->pclk, cycles));
}

/* The counter; below T6 it has run out, and it wraps while it is inactive */
static int32_t stm32mp_wwdg_count(Stm32mpWwdg *s)
{
    uint32_t cr = STM32MP_REGS(s)->r[R_CR];
    int64_t passed = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) - s->loaded_ns;
    int64_t count = FIELD_EX32(cr, CR, T) - passed / stm32mp_wwdg_step_ns(s);

    return cr & R_CR_WDGA_MASK ? MAX(count, 0) : count & T_MAX;
}

/* Wakes up at T6, for the flag, and a step later, for the reset */
static void stm32mp_wwdg_update(Stm32mpWwdg *s)
{
    uint32_t *r = STM32MP_REGS(s)->r;
    int64_t steps = (int64_t)FIELD_EX32(r[R_CR], CR, T) - T6;

    if (!(r[R_CR] & R_CR_WDGA_MASK)) {
        timer_del(s->timer);
    } else {
        if (stm32mp_wwdg_count(s) <= T6) {
            r[R_SR] |= R_SR_EWIF_MASK;
            steps++;
        }
        timer_mod(s->timer, s->loaded_ns + steps * stm32mp_wwdg_step_ns(s));
    }
    qemu_set_irq(s->irq, (r[R_SR] & R_SR_EWIF_MASK) &&
                         (r[R_CFR] & R_CFR_EWI_MASK));
}

static void stm32mp_wwdg_expire(Stm32mpWwdg *s)
{
    qemu_log_mask(CPU_LOG_RESET, "%s expired\n", STM32MP_REGS(s)->name);
    qemu_irq_pulse(s->reset[0]);
    qemu_set_irq(s->reset[1], 1);
}

static void stm32mp_wwdg_tick(void *opaque)
{
    Stm32mpWwdg *s = opaque;

    if (stm32mp_wwdg_count(s) >= T6) {
        stm32mp_wwdg_update(s);
    } else if (!stm32mp_mcore_turn(s->core, STM32MP_REGS(s)->name, s->timer,
                                   &s->turns, stm32mp_wwdg_step_ns(s))) {
        stm32mp_wwdg_expire(s);
    }
}

static uint32_t stm32mp_wwdg_read(Stm32mpRegs *regs, hwaddr addr)
{
    if (addr == A_CR) {
        return (regs->r[R_CR] & R_CR_WDGA_MASK) |
               (stm32mp_wwdg_count(STM32MP_WWDG(regs)) & T_MAX);
    }
    return regs->r[addr / 4];
}

static void stm32mp_wwdg_load(Stm32mpWwdg *s, uint32_t count)
{
    uint32_t *r = STM32MP_REGS(s)->r;

    r[R_CR] = FIELD_DP32(r[R_CR], CR, T, count);
    s->loaded_ns = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);
    s->turns = 0;
}

static void stm32mp_wwdg_write(Stm32mpRegs *regs, hwaddr addr, uint32_t value,
                               unsigned size)
{
    Stm32mpWwdg *s = STM32MP_WWDG(regs);
    uint32_t *r = regs->r;
    bool early;

    switch (addr) {
    case A_CR:
        early = (r[R_CR] & R_CR_WDGA_MASK) &&
                stm32mp_wwdg_count(s) > FIELD_EX32(r[R_CFR], CFR, W);
        r[R_CR] |= value & R_CR_WDGA_MASK;      /* cleared by a reset only */
        stm32mp_wwdg_load(s, FIELD_EX32(value, CR, T));
        if ((r[R_CR] & R_CR_WDGA_MASK) && (early || !(value & T6))) {
            stm32mp_wwdg_expire(s);
            return;
        }
        break;
    case A_CFR:
        stm32mp_wwdg_load(s, stm32mp_wwdg_count(s));
        r[R_CFR] = (value & (R_CFR_W_MASK | R_CFR_WDGTB_MASK |
                             R_CFR_EWI_MASK)) | (r[R_CFR] & R_CFR_EWI_MASK);
        break;
    case A_SR:
        r[R_SR] &= value;
        break;
    }
    stm32mp_wwdg_update(s);
}

static void stm32mp_wwdg_reset(Stm32mpRegs *regs)
{
    Stm32mpWwdg *s = STM32MP_WWDG(regs);

    qemu_set_irq(s->reset[1], 0);
    regs->r[R_CFR] = T_MAX;
    stm32mp_wwdg_load(s, T_MAX);
    stm32mp_wwdg_update(s);
}

static void stm32mp_wwdg_init(Object *obj)
{
    Stm32mpWwdg *s = STM32MP_WWDG(obj);
    DeviceState *dev = DEVICE(obj);

    object_property_add_link(obj, "core", TYPE_STM32MP_MCORE,
                             (Object **)&s->core,
                             object_property_allow_set_link,
                             OBJ_PROP_LINK_STRONG);
    s->pclk = qdev_init_clock_in(dev, "pclk", NULL, NULL, 0);
    s->timer = timer_new_ns(QEMU_CLOCK_VIRTUAL, stm32mp_wwdg_tick, s);
    sysbus_init_irq(SYS_BUS_DEVICE(obj), &s->irq);
    qdev_init_gpio_out_named(dev, s->reset, "reset", ARRAY_SIZE(s->reset));
    /* RCC answers with a reset of the core, which is its watchdog's too */
    qdev_init_gpio_in_named(dev, stm32mp_regs_reset_line, "core-reset", 1);
}

static void stm32mp_wwdg_finalize(Object *obj)
{
    timer_free(STM32MP_WWDG(obj)->timer);
}

static const VMStateDescription vmstate_stm32mp_wwdg = {
    .name = TYPE_STM32MP_WWDG,
    .version_id = 2,
    .minimum_version_id = 2,
    .fields = (const VMStateField[]) {
        VMSTATE_STM32MP_REGS(Stm32mpWwdg),
        VMSTATE_CLOCK(pclk, Stm32mpWwdg),
        VMSTATE_TIMER_PTR(timer, Stm32mpWwdg),
        VMSTATE_INT64(loaded_ns, Stm32mpWwdg),
        VMSTATE_UINT32(turns, Stm32mpWwdg),
        VMSTATE_END_OF_LIST()
    }
};

static void stm32mp_wwdg_class_init(ObjectClass *klass, void *data)
{
    Stm32mpRegsClass *c = STM32MP_REGS_CLASS(klass);

    DEVICE_CLASS(klass)->vmsd = &vmstate_stm32mp_wwdg;
    c->read = stm32mp_wwdg_read;
    c->write = stm32mp_wwdg_write;
    c->reset = stm32mp_wwdg_reset;
}

static const TypeInfo stm32mp_wwdg_types[] = {
    {
        .name = TYPE_STM32MP_WWDG,
        .parent = TYPE_STM32MP_REGS,
        .instance_size = sizeof(Stm32mpWwdg),
        .instance_init = stm32mp_wwdg_init,
        .instance_finalize = stm32mp_wwdg_finalize,
        .class_init = stm32mp_wwdg_class_init,
    }
};

DEFINE_TYPES(stm32mp_wwdg_types)
