/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * STM32MP analog-to-digital converter, its regular group
 *
 * Every input is at half of the reference; a conversion takes CONVERSION_NS.
 * Started by software or by a timer's TRGO, in sequence, discontinuous and
 * continuous mode, with oversampling.  Overruns, injected channels, watchdogs
 * and calibration factors are registers only.
 *
 * Ref: RM0436, ADC: ADC_ISR (0x00), IER (0x04), CR (0x08), CFGR (0x0c), CFGR2
 *      (0x10), SQR1 (0x30), DR (0x40)
 */

#include "qemu/osdep.h"
#include "qemu/timer.h"
#include "hw/irq.h"
#include "hw/registerfields.h"
#include "hw/stm32mp/stm32mp.h"
#include "hw/stm32mp/stm32mp_regs.h"

REG32(ISR, 0x00)
    FIELD(ISR, ADRDY, 0, 1)
    FIELD(ISR, EOSMP, 1, 1)
    FIELD(ISR, EOC, 2, 1)
    FIELD(ISR, EOS, 3, 1)
    FIELD(ISR, LDORDY, 12, 1)
REG32(IER, 0x04)
REG32(CR, 0x08)
    FIELD(CR, ADEN, 0, 1)
    FIELD(CR, ADDIS, 1, 1)
    FIELD(CR, ADSTART, 2, 1)
    FIELD(CR, ADSTP, 4, 1)
    FIELD(CR, JADSTP, 5, 1)
    FIELD(CR, ADVREGEN, 28, 1)
    FIELD(CR, DEEPPWD, 29, 1)
    FIELD(CR, ADCAL, 31, 1)
REG32(CFGR, 0x0c)
    FIELD(CFGR, DMNGT, 0, 2)
    FIELD(CFGR, RES, 2, 3)
    FIELD(CFGR, EXTSEL, 5, 5)
    FIELD(CFGR, EXTEN, 10, 2)
    FIELD(CFGR, CONT, 13, 1)
    FIELD(CFGR, DISCEN, 16, 1)
    FIELD(CFGR, DISCNUM, 17, 3)
REG32(CFGR2, 0x10)
    FIELD(CFGR2, ROVSE, 0, 1)
    FIELD(CFGR2, OVSS, 5, 4)
    FIELD(CFGR2, OVSR, 16, 10)
REG32(SQR1, 0x30)
    FIELD(SQR1, L, 0, 4)
REG32(DR, 0x40)

#define CONVERSION_NS 100000
#define HALF 0x8000             /* of the reference, with 16 bits */
#define DONE_AT_ONCE (R_CR_ADDIS_MASK | R_CR_ADSTP_MASK | R_CR_JADSTP_MASK | \
                      R_CR_ADCAL_MASK)

OBJECT_DECLARE_SIMPLE_TYPE(Stm32mpAdc, STM32MP_ADC)

struct Stm32mpAdc {
    Stm32mpRegs parent_obj;

    QEMUTimer *timer;
    qemu_irq irq;
    qemu_irq request;
    uint32_t position;          /* in the sequence */
};

static void stm32mp_adc_update(Stm32mpAdc *s)
{
    const uint32_t *r = STM32MP_REGS(s)->r;

    qemu_set_irq(s->irq, !!(r[R_ISR] & r[R_IER]));
}

static uint32_t stm32mp_adc_value(const uint32_t *r)
{
    static const uint8_t bits[] = { 16, 14, 12, 10, 8, 14, 12, 8 };
    uint32_t value = HALF >> (16 - bits[FIELD_EX32(r[R_CFGR], CFGR, RES)]);

    if (r[R_CFGR2] & R_CFGR2_ROVSE_MASK) {
        value *= FIELD_EX32(r[R_CFGR2], CFGR2, OVSR) + 1;
        value >>= FIELD_EX32(r[R_CFGR2], CFGR2, OVSS);
    }
    return value;
}

static void stm32mp_adc_convert(Stm32mpAdc *s)
{
    timer_mod(s->timer, qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) + CONVERSION_NS);
}

/* A conversion has ended */
static void stm32mp_adc_due(void *opaque)
{
    Stm32mpAdc *s = opaque;
    uint32_t *r = STM32MP_REGS(s)->r;
    uint32_t cfgr = r[R_CFGR];
    bool software = !FIELD_EX32(cfgr, CFGR, EXTEN), last, pauses;

    last = s->position == FIELD_EX32(r[R_SQR1], SQR1, L);
    s->position = last ? 0 : s->position + 1;
    pauses = cfgr & R_CFGR_DISCEN_MASK
             ? s->position % (FIELD_EX32(cfgr, CFGR, DISCNUM) + 1) == 0
             : last && !(cfgr & R_CFGR_CONT_MASK);
    r[R_DR] = stm32mp_adc_value(r);
    r[R_ISR] |= R_ISR_EOSMP_MASK | R_ISR_EOC_MASK;
    r[R_ISR] |= last ? R_ISR_EOS_MASK : 0;
    if (!pauses) {
        stm32mp_adc_convert(s);
    } else if (software) {
        r[R_CR] &= ~R_CR_ADSTART_MASK;
    }
    if (cfgr & 1) {             /* CFGR.DMNGT: DMA, once or circular */
        qemu_irq_pulse(s->request);
    }
    stm32mp_adc_update(s);
}

static void stm32mp_adc_trigger(void *opaque, int n, int level)
{
    Stm32mpAdc *s = opaque;
    const uint32_t *r = STM32MP_REGS(s)->r;

    if (level && r[R_CR] & R_CR_ADSTART_MASK && !timer_pending(s->timer) &&
        FIELD_EX32(r[R_CFGR], CFGR, EXTEN) &&
        FIELD_EX32(r[R_CFGR], CFGR, EXTSEL) == n) {
        stm32mp_adc_convert(s);
    }
}

/* Bits that are set stay until what they ask for is done, here at once */
static void stm32mp_adc_control(Stm32mpAdc *s, uint32_t value)
{
    uint32_t *r = STM32MP_REGS(s)->r, started = value & ~r[R_CR];

    r[R_CR] = value & ~DONE_AT_ONCE;
    if (value & R_CR_DEEPPWD_MASK) {
        r[R_CR] &= ~R_CR_ADVREGEN_MASK;
    }
    r[R_ISR] = FIELD_DP32(r[R_ISR], ISR, LDORDY,
                          FIELD_EX32(r[R_CR], CR, ADVREGEN));
    if (started & R_CR_ADEN_MASK) {
        r[R_ISR] |= R_ISR_ADRDY_MASK;
    }
    if (value & (R_CR_ADSTP_MASK | R_CR_ADDIS_MASK)) {
        r[R_CR] &= ~R_CR_ADSTART_MASK;
        s->position = 0;
        timer_del(s->timer);
    } else if (started & R_CR_ADSTART_MASK &&
               !FIELD_EX32(r[R_CFGR], CFGR, EXTEN)) {
        stm32mp_adc_convert(s);
    }
    if (value & R_CR_ADDIS_MASK) {
        r[R_CR] &= ~R_CR_ADEN_MASK;
    }
}

static uint32_t stm32mp_adc_read(Stm32mpRegs *regs, hwaddr addr)
{
    if (addr == A_DR) {
        regs->r[R_ISR] &= ~R_ISR_EOC_MASK;
        stm32mp_adc_update(STM32MP_ADC(regs));
    }
    return regs->r[addr / 4];
}

static void stm32mp_adc_write(Stm32mpRegs *regs, hwaddr addr, uint32_t value,
                              unsigned size)
{
    switch (addr) {
    case A_ISR:
        regs->r[R_ISR] &= ~value | R_ISR_LDORDY_MASK;
        break;
    case A_CR:
        stm32mp_adc_control(STM32MP_ADC(regs), value);
        break;
    case A_DR:
        return;
    default:
        regs->r[addr / 4] = value;
    }
    stm32mp_adc_update(STM32MP_ADC(regs));
}

static void stm32mp_adc_reset(Stm32mpRegs *regs)
{
    Stm32mpAdc *s = STM32MP_ADC(regs);

    regs->r[R_CR] = R_CR_DEEPPWD_MASK;
    s->position = 0;
    timer_del(s->timer);
    stm32mp_adc_update(s);
}

static void stm32mp_adc_init(Object *obj)
{
    Stm32mpAdc *s = STM32MP_ADC(obj);

    s->timer = timer_new_ns(QEMU_CLOCK_VIRTUAL, stm32mp_adc_due, s);
    qdev_init_gpio_in_named(DEVICE(obj), stm32mp_adc_trigger, "trigger",
                            STM32MP_ADC_TRIGGERS);
    qdev_init_gpio_out_named(DEVICE(obj), &s->request, "request", 1);
    sysbus_init_irq(SYS_BUS_DEVICE(obj), &s->irq);
}

static void stm32mp_adc_finalize(Object *obj)
{
    timer_free(STM32MP_ADC(obj)->timer);
}

static const VMStateDescription vmstate_stm32mp_adc = {
    .name = TYPE_STM32MP_ADC,
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_STM32MP_REGS(Stm32mpAdc),
        VMSTATE_TIMER_PTR(timer, Stm32mpAdc),
        VMSTATE_UINT32(position, Stm32mpAdc),
        VMSTATE_END_OF_LIST()
    }
};

static void stm32mp_adc_class_init(ObjectClass *klass, void *data)
{
    Stm32mpRegsClass *c = STM32MP_REGS_CLASS(klass);

    DEVICE_CLASS(klass)->vmsd = &vmstate_stm32mp_adc;
    c->size = 0x100;
    c->read = stm32mp_adc_read;
    c->write = stm32mp_adc_write;
    c->reset = stm32mp_adc_reset;
}

static const TypeInfo stm32mp_adc_types[] = {
    {
        .name = TYPE_STM32MP_ADC,
        .parent = TYPE_STM32MP_REGS,
        .instance_size = sizeof(Stm32mpAdc),
        .instance_init = stm32mp_adc_init,
        .instance_finalize = stm32mp_adc_finalize,
        .class_init = stm32mp_adc_class_init,
    }
};

DEFINE_TYPES(stm32mp_adc_types)
