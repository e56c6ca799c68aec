/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * STM32MP independent watchdog
 *
 * Counts down from RLR by one per 4 * 2^PR periods of LSI.  A reload outside
 * the window (WINR) resets too.  New values are taken at once; SR says for four
 * periods of the slowest clock that they are not: drivers wait up to 40 ms.  A
 * watchdog that does not run has no clock: SR says so until it is started, by
 * which OP-TEE's driver knows it where there is no ONF.
 *
 * A watchdog of a core is reset with it.  Its interrupt at the Cortex-A stays
 * until the core's next reset: how long a real one does is not documented.
 *
 * The early wake-up interrupt comes when the counter is EWIT - 1, and stays
 * until EWIC, which needs no key: Linux' driver writes it without.
 *
 * Ref: RM0436, IWDG: IWDG_KR (0x00), PR (0x04), RLR (0x08), SR (0x0c),
 *      WINR (0x10), EWCR (0x14); Linux drivers/watchdog/stm32_iwdg.c
 */

#include "qemu/osdep.h"
#include "qemu/log.h"
#include "qemu/timer.h"
#include "hw/irq.h"
#include "hw/qdev-clock.h"
#include "hw/registerfields.h"
#include "hw/stm32mp/stm32mp.h"
#include "hw/stm32mp/stm32mp_regs.h"

REG32(KR, 0x00)
REG32(PR, 0x04)
REG32(RLR, 0x08)
REG32(SR, 0x0c)
    FIELD(SR, PVU, 0, 1)
    FIELD(SR, RVU, 1, 1)
    FIELD(SR, WVU, 2, 1)
    FIELD(SR, EWU, 3, 1)
    FIELD(SR, ONF, 8, 1)        /* STM32MP25 */
    FIELD(SR, EWIF, 14, 1)
REG32(WINR, 0x10)
REG32(EWCR, 0x14)
    FIELD(EWCR, EWIT, 0, 12)
    FIELD(EWCR, EWIC, 14, 1)
    FIELD(EWCR, EWIE, 15, 1)

#define KEY_START 0xcccc
#define KEY_RELOAD 0xaaaa
#define KEY_UNLOCK 0x5555
#define PR_MAX 8
#define RLR_MAX 0xfff
#define UPDATE_NS (32 * SCALE_MS)

OBJECT_DECLARE_SIMPLE_TYPE(Stm32mpIwdg, STM32MP_IWDG)

struct Stm32mpIwdg {
    Stm32mpRegs parent_obj;

    Clock *lsi;
    QEMUTimer *timer;
    QEMUTimer *early;
    qemu_irq irq;
    qemu_irq reset[2];          /* to RCC: a pulse; to an interrupt: a level */
    int64_t updated_ns;         /* when SR is 0 again */
    bool running;
    bool unlocked;
    DeviceState *core;          /* whose thread must have run since it was due */
    uint32_t turns;
};

static uint64_t stm32mp_iwdg_step_ns(Stm32mpIwdg *s)
{
    unsigned shift = MIN(STM32MP_REGS(s)->r[R_PR], PR_MAX);

    return MAX(1, clock_ticks_to_ns(s->lsi, 4ull << shift));
}

static void stm32mp_iwdg_update_early(Stm32mpIwdg *s)
{
    uint32_t *r = STM32MP_REGS(s)->r;
    int64_t steps = FIELD_EX32(r[R_EWCR], EWCR, EWIT);

    if (s->running && (r[R_EWCR] & R_EWCR_EWIE_MASK)) {
        timer_mod(s->early, timer_expire_time_ns(s->timer) -
                            steps * stm32mp_iwdg_step_ns(s));
    } else {
        timer_del(s->early);
    }
    qemu_set_irq(s->irq, (r[R_SR] & R_SR_EWIF_MASK) &&
                         (r[R_EWCR] & R_EWCR_EWIE_MASK));
}

static void stm32mp_iwdg_reload(Stm32mpIwdg *s)
{
    uint64_t steps = STM32MP_REGS(s)->r[R_RLR] + 1;

    s->turns = 0;
    timer_mod(s->timer, qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) +
                        steps * stm32mp_iwdg_step_ns(s));
    stm32mp_iwdg_update_early(s);
}

static void stm32mp_iwdg_early(void *opaque)
{
    Stm32mpIwdg *s = opaque;

    STM32MP_REGS(s)->r[R_SR] |= R_SR_EWIF_MASK;
    qemu_set_irq(s->irq, 1);
}

static void stm32mp_iwdg_expire(void *opaque)
{
    Stm32mpIwdg *s = opaque;

    qemu_log_mask(CPU_LOG_RESET, "%s expired\n", STM32MP_REGS(s)->name);
    qemu_irq_pulse(s->reset[0]);
    qemu_set_irq(s->reset[1], 1);
}

static void stm32mp_iwdg_tick(void *opaque)
{
    Stm32mpIwdg *s = opaque;

    if (!stm32mp_mcore_turn(s->core, STM32MP_REGS(s)->name, s->timer,
                            &s->turns, stm32mp_iwdg_step_ns(s))) {
        stm32mp_iwdg_expire(s);
    }
}

static bool stm32mp_iwdg_too_early(Stm32mpIwdg *s)
{
    int64_t left_ns = timer_expire_time_ns(s->timer) -
                      qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);

    return left_ns / (int64_t)stm32mp_iwdg_step_ns(s) >
           STM32MP_REGS(s)->r[R_WINR];
}

static void stm32mp_iwdg_key(Stm32mpIwdg *s, uint16_t key)
{
    s->unlocked = key == KEY_UNLOCK;
    switch (key) {
    case KEY_START:
        s->running = true;
        stm32mp_iwdg_reload(s);
        break;
    case KEY_RELOAD:
        if (!s->running) {
            return;
        }
        if (stm32mp_iwdg_too_early(s)) {
            stm32mp_iwdg_expire(s);
        } else {
            stm32mp_iwdg_reload(s);
        }
        break;
    }
}

static uint32_t stm32mp_iwdg_read(Stm32mpRegs *regs, hwaddr addr)
{
    Stm32mpIwdg *s = STM32MP_IWDG(regs);

    if (s->running &&
        qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) >= s->updated_ns) {
        regs->r[R_SR] &= R_SR_EWIF_MASK;
    }
    switch (addr) {
    case A_KR:
        return 0;
    case A_SR:
        return FIELD_DP32(regs->r[R_SR], SR, ONF, s->running);
    }
    return regs->r[addr / 4];
}

static void stm32mp_iwdg_update(Stm32mpIwdg *s, uint32_t flag)
{
    STM32MP_REGS(s)->r[R_SR] |= flag;
    s->updated_ns = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) +
                    UPDATE_NS;
}

static void stm32mp_iwdg_write(Stm32mpRegs *regs, hwaddr addr, uint32_t value,
                               unsigned size)
{
    Stm32mpIwdg *s = STM32MP_IWDG(regs);

    if (addr == A_KR) {
        stm32mp_iwdg_key(s, value);
    } else if (addr == A_EWCR) {
        if (value & R_EWCR_EWIC_MASK) {
            regs->r[R_SR] &= ~R_SR_EWIF_MASK;
        }
        if (s->unlocked) {
            regs->r[R_EWCR] = value & (R_EWCR_EWIT_MASK | R_EWCR_EWIE_MASK);
            stm32mp_iwdg_update(s, R_SR_EWU_MASK);
        }
        stm32mp_iwdg_update_early(s);
    } else if (s->unlocked && addr == A_PR) {
        regs->r[R_PR] = value & 0xf;
        stm32mp_iwdg_update(s, R_SR_PVU_MASK);
    } else if (s->unlocked && (addr == A_RLR || addr == A_WINR)) {
        regs->r[addr / 4] = value & RLR_MAX;
        stm32mp_iwdg_update(s, addr == A_RLR ? R_SR_RVU_MASK : R_SR_WVU_MASK);
        if (addr == A_WINR && s->running) {     /* reloads as well */
            stm32mp_iwdg_reload(s);
        }
    }
}

static void stm32mp_iwdg_reset(Stm32mpRegs *regs)
{
    Stm32mpIwdg *s = STM32MP_IWDG(regs);

    timer_del(s->timer);
    timer_del(s->early);
    s->updated_ns = 0;
    s->running = s->unlocked = false;
    s->turns = 0;
    qemu_set_irq(s->reset[1], 0);
    qemu_set_irq(s->irq, 0);
    regs->r[R_RLR] = regs->r[R_WINR] = RLR_MAX;
}

static void stm32mp_iwdg_init(Object *obj)
{
    Stm32mpIwdg *s = STM32MP_IWDG(obj);
    DeviceState *dev = DEVICE(obj);

    object_property_add_link(obj, "core", TYPE_STM32MP_MCORE,
                             (Object **)&s->core,
                             object_property_allow_set_link,
                             OBJ_PROP_LINK_STRONG);
    s->lsi = qdev_init_clock_in(dev, "lsi", NULL, NULL, 0);
    s->timer = timer_new_ns(QEMU_CLOCK_VIRTUAL, stm32mp_iwdg_tick, s);
    s->early = timer_new_ns(QEMU_CLOCK_VIRTUAL, stm32mp_iwdg_early, s);
    sysbus_init_irq(SYS_BUS_DEVICE(obj), &s->irq);
    qdev_init_gpio_out_named(dev, s->reset, "reset", ARRAY_SIZE(s->reset));
    qdev_init_gpio_in_named(dev, stm32mp_regs_reset_line, "core-reset", 1);
}

static void stm32mp_iwdg_finalize(Object *obj)
{
    timer_free(STM32MP_IWDG(obj)->timer);
    timer_free(STM32MP_IWDG(obj)->early);
}

static const VMStateDescription vmstate_stm32mp_iwdg = {
    .name = TYPE_STM32MP_IWDG,
    .version_id = 2,
    .minimum_version_id = 2,
    .fields = (const VMStateField[]) {
        VMSTATE_STM32MP_REGS(Stm32mpIwdg),
        VMSTATE_CLOCK(lsi, Stm32mpIwdg),
        VMSTATE_TIMER_PTR(timer, Stm32mpIwdg),
        VMSTATE_TIMER_PTR(early, Stm32mpIwdg),
        VMSTATE_INT64(updated_ns, Stm32mpIwdg),
        VMSTATE_BOOL(running, Stm32mpIwdg),
        VMSTATE_BOOL(unlocked, Stm32mpIwdg),
        VMSTATE_UINT32(turns, Stm32mpIwdg),
        VMSTATE_END_OF_LIST()
    }
};

static void stm32mp_iwdg_class_init(ObjectClass *klass, void *data)
{
    Stm32mpRegsClass *c = STM32MP_REGS_CLASS(klass);

    DEVICE_CLASS(klass)->vmsd = &vmstate_stm32mp_iwdg;
    c->read = stm32mp_iwdg_read;
    c->write = stm32mp_iwdg_write;
    c->reset = stm32mp_iwdg_reset;
}

static const TypeInfo stm32mp_iwdg_types[] = {
    {
        .name = TYPE_STM32MP_IWDG,
        .parent = TYPE_STM32MP_REGS,
        .instance_size = sizeof(Stm32mpIwdg),
        .instance_init = stm32mp_iwdg_init,
        .instance_finalize = stm32mp_iwdg_finalize,
        .class_init = stm32mp_iwdg_class_init,
    }
};

DEFINE_TYPES(stm32mp_iwdg_types)
