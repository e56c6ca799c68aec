/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * STM32MP timer: a counter that counts up, with compare channels
 *
 * An update comes with each overflow, or each RCR + 1 of them; a compare flag at
 * the end of the period in which it is due.  Flags of periods that nothing waits
 * for are there when they are read.  There are no pins: inputs never capture, and
 * a PWM is its registers.  The output TRGO pulses with an update, if CR2.MMS
 * selects that.  Counting down, encoders, slave modes and break inputs are
 * registers only.
 *
 * Ref: RM0436, TIM: TIMx_CR1 (0x00), CR2 (0x04), DIER (0x0c), SR (0x10), EGR (0x14), CNT
 *      (0x24), PSC (0x28), ARR (0x2c), RCR (0x30), CCR1 to 4 (0x34), DCR (0x48),
 *      DMAR (0x4c)
 */

#include "qemu/osdep.h"
#include "qemu/timer.h"
#include "hw/irq.h"
#include "hw/qdev-clock.h"
#include "hw/registerfields.h"
#include "hw/stm32mp/stm32mp.h"
#include "hw/stm32mp/stm32mp_regs.h"

REG32(CR1, 0x00)
    FIELD(CR1, CEN, 0, 1)
    FIELD(CR1, UDIS, 1, 1)
    FIELD(CR1, URS, 2, 1)
    FIELD(CR1, OPM, 3, 1)
REG32(CR2, 0x04)
    FIELD(CR2, MMS, 4, 3)
REG32(DIER, 0x0c)
    FIELD(DIER, UDE, 8, 1)
REG32(SR, 0x10)
    FIELD(SR, UIF, 0, 1)
REG32(EGR, 0x14)
    FIELD(EGR, UG, 0, 1)
REG32(CNT, 0x24)
REG32(PSC, 0x28)
REG32(ARR, 0x2c)
REG32(RCR, 0x30)
REG32(CCR1, 0x34)
REG32(DCR, 0x48)
    FIELD(DCR, DBA, 0, 5)
    FIELD(DCR, DBL, 8, 5)
REG32(DMAR, 0x4c)

#define CHANNELS 4
#define ENABLES 0xff            /* DIER: interrupts, by the bits of SR */
#define UPDATE 0                /* of the interrupt lines */
#define COMPARE 1
#define MMS_UPDATE 2

OBJECT_DECLARE_SIMPLE_TYPE(Stm32mpTim, STM32MP_TIM)

struct Stm32mpTim {
    Stm32mpRegs parent_obj;

    Clock *clk;
    QEMUTimer *timer;
    qemu_irq irq[2];
    qemu_irq update_request;
    qemu_irq trgo;
    int64_t started_ns;         /* when the counter was 0 */
    uint32_t burst;             /* registers of a burst that are written */
};

static uint64_t stm32mp_tim_period_ns(Stm32mpTim *s)
{
    const uint32_t *r = STM32MP_REGS(s)->r;
    uint64_t ticks = ((uint64_t)r[R_ARR] + 1) * (r[R_PSC] + 1) *
                     (r[R_RCR] + 1);

    return MAX(1, clock_ticks_to_ns(s->clk, ticks));
}

static void stm32mp_tim_update(Stm32mpTim *s)
{
    const uint32_t *r = STM32MP_REGS(s)->r;
    uint32_t active = r[R_SR] & r[R_DIER] & ENABLES;

    qemu_set_irq(s->irq[UPDATE], active & (s->irq[COMPARE] ? R_SR_UIF_MASK
                                                           : ENABLES));
    qemu_set_irq(s->irq[COMPARE], active & ~R_SR_UIF_MASK);
}

/* An overflow, or that software asks for it */
static void stm32mp_tim_event(Stm32mpTim *s)
{
    uint32_t *r = STM32MP_REGS(s)->r;

    if (r[R_CR1] & R_CR1_UDIS_MASK) {
        return;
    }
    r[R_SR] |= R_SR_UIF_MASK;
    if (FIELD_EX32(r[R_CR2], CR2, MMS) == MMS_UPDATE) {
        qemu_irq_pulse(s->trgo);
    }
    if (r[R_DIER] & R_DIER_UDE_MASK) {
        s->burst = 0;
        for (unsigned n = 0; n <= FIELD_EX32(r[R_DCR], DCR, DBL); n++) {
            qemu_irq_pulse(s->update_request);
        }
    }
}

/* Flags and counter are what they are now */
static void stm32mp_tim_sync(Stm32mpTim *s)
{
    uint32_t *r = STM32MP_REGS(s)->r;
    int64_t now = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);
    uint64_t period = stm32mp_tim_period_ns(s), passed;

    if (!(r[R_CR1] & R_CR1_CEN_MASK) || !clock_is_enabled(s->clk)) {
        return;
    }
    passed = (now - s->started_ns) / period;
    if (passed) {
        s->started_ns += passed * period;
        stm32mp_tim_event(s);
        for (unsigned n = 0; n < CHANNELS; n++) {
            if (r[R_CCR1 + n] <= r[R_ARR]) {
                r[R_SR] |= 2u << n;
            }
        }
        if (r[R_CR1] & R_CR1_OPM_MASK) {
            r[R_CR1] &= ~R_CR1_CEN_MASK;
        }
    }
    r[R_CNT] = clock_ns_to_ticks(s->clk, now - s->started_ns) /
               (r[R_PSC] + 1) % ((uint64_t)r[R_ARR] + 1);
    if (!(r[R_CR1] & R_CR1_CEN_MASK)) {
        r[R_CNT] = 0;
    }
}

/* The next overflow is waited for if it does something by itself */
static void stm32mp_tim_arm(Stm32mpTim *s)
{
    const uint32_t *r = STM32MP_REGS(s)->r;

    stm32mp_tim_update(s);
    if (r[R_CR1] & R_CR1_CEN_MASK && clock_is_enabled(s->clk) &&
        (r[R_DIER] || FIELD_EX32(r[R_CR2], CR2, MMS) == MMS_UPDATE)) {
        timer_mod(s->timer, s->started_ns + stm32mp_tim_period_ns(s));
    } else {
        timer_del(s->timer);
    }
}

static void stm32mp_tim_due(void *opaque)
{
    stm32mp_tim_sync(opaque);
    stm32mp_tim_arm(opaque);
}

static uint32_t stm32mp_tim_read(Stm32mpRegs *regs, hwaddr addr)
{
    Stm32mpTim *s = STM32MP_TIM(regs);

    stm32mp_tim_sync(s);
    stm32mp_tim_update(s);
    return addr == A_EGR ? 0 : regs->r[addr / 4];
}

/* From this counter value on */
static void stm32mp_tim_restart(Stm32mpTim *s, uint32_t count)
{
    uint64_t ticks = (uint64_t)count * (STM32MP_REGS(s)->r[R_PSC] + 1);

    STM32MP_REGS(s)->r[R_CNT] = count;
    s->started_ns = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) -
                    clock_ticks_to_ns(s->clk, ticks);
}

static void stm32mp_tim_store(Stm32mpTim *s, hwaddr addr, uint32_t value)
{
    uint32_t *r = STM32MP_REGS(s)->r;
    uint32_t dcr = r[R_DCR], target;

    switch (addr) {
    case A_SR:
        r[R_SR] &= value;
        return;
    case A_EGR:
        if (value & R_EGR_UG_MASK) {
            stm32mp_tim_restart(s, 0);
            if (!(r[R_CR1] & R_CR1_URS_MASK)) {
                stm32mp_tim_event(s);
            }
        }
        r[R_SR] |= value & ENABLES & ~R_EGR_UG_MASK;
        return;
    case A_DMAR:
        target = 4 * (FIELD_EX32(dcr, DCR, DBA) + s->burst);
        s->burst = s->burst == FIELD_EX32(dcr, DCR, DBL) ? 0 : s->burst + 1;
        if (target < A_DCR) {
            stm32mp_tim_store(s, target, value);
        }
        return;
    case A_CNT:
        stm32mp_tim_restart(s, value);
        return;
    case A_CR1:
        if (value & ~r[R_CR1] & R_CR1_CEN_MASK) {
            stm32mp_tim_restart(s, r[R_CNT]);
        }
    }
    r[addr / 4] = value;
}

static void stm32mp_tim_write(Stm32mpRegs *regs, hwaddr addr, uint32_t value,
                              unsigned size)
{
    stm32mp_tim_sync(STM32MP_TIM(regs));
    stm32mp_tim_store(STM32MP_TIM(regs), addr, value);
    stm32mp_tim_arm(STM32MP_TIM(regs));
}

static void stm32mp_tim_clock(void *opaque, ClockEvent event)
{
    stm32mp_tim_arm(opaque);
}

static void stm32mp_tim_reset(Stm32mpRegs *regs)
{
    regs->r[R_ARR] = 0xffff;
    STM32MP_TIM(regs)->burst = 0;
    stm32mp_tim_arm(STM32MP_TIM(regs));
}

static void stm32mp_tim_init(Object *obj)
{
    Stm32mpTim *s = STM32MP_TIM(obj);

    s->clk = qdev_init_clock_in(DEVICE(obj), "clk", stm32mp_tim_clock, s,
                                ClockUpdate);
    s->timer = timer_new_ns(QEMU_CLOCK_VIRTUAL, stm32mp_tim_due, s);
    qdev_init_gpio_out_named(DEVICE(obj), &s->update_request, "update", 1);
    qdev_init_gpio_out_named(DEVICE(obj), &s->trgo, "trgo", 1);
    for (unsigned n = 0; n < ARRAY_SIZE(s->irq); n++) {
        sysbus_init_irq(SYS_BUS_DEVICE(obj), &s->irq[n]);
    }
}

static void stm32mp_tim_finalize(Object *obj)
{
    timer_free(STM32MP_TIM(obj)->timer);
}

static const VMStateDescription vmstate_stm32mp_tim = {
    .name = TYPE_STM32MP_TIM,
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_STM32MP_REGS(Stm32mpTim),
        VMSTATE_CLOCK(clk, Stm32mpTim),
        VMSTATE_TIMER_PTR(timer, Stm32mpTim),
        VMSTATE_INT64(started_ns, Stm32mpTim),
        VMSTATE_UINT32(burst, Stm32mpTim),
        VMSTATE_END_OF_LIST()
    }
};

static void stm32mp_tim_class_init(ObjectClass *klass, void *data)
{
    Stm32mpRegsClass *c = STM32MP_REGS_CLASS(klass);

    DEVICE_CLASS(klass)->vmsd = &vmstate_stm32mp_tim;
    c->read = stm32mp_tim_read;
    c->write = stm32mp_tim_write;
    c->reset = stm32mp_tim_reset;
}

static const TypeInfo stm32mp_tim_types[] = {
    {
        .name = TYPE_STM32MP_TIM,
        .parent = TYPE_STM32MP_REGS,
        .instance_size = sizeof(Stm32mpTim),
        .instance_init = stm32mp_tim_init,
        .instance_finalize = stm32mp_tim_finalize,
        .class_init = stm32mp_tim_class_init,
    }
};

DEFINE_TYPES(stm32mp_tim_types)
