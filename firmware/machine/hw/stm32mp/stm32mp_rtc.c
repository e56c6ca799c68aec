/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * STM32MP real-time clock: time and alarm A
 *
 * Alarm B, the wake-up timer, subseconds and write protection are storage
 * only.  On silicon a reset leaves the backup domain alone; here it clears the
 * alarm, and the time goes on.
 *
 * With property "rif" its functions are isolated, as on an STM32MP25: alarm A,
 * alarm B, wake-up timer, time stamp, calibration, initialisation.  Time, date,
 * prescaler and calibration are read by everybody, which is assumed from the
 * STM32U5's RTC, as is which bits of the shared registers a function has.
 *
 * Ref: RM0436, RTC: RTC_TR (0x00), RTC_DR (0x04), RTC_ICSR (0x0c), RTC_CR
 *      (0x18), RTC_ALRMAR (0x40), RTC_SR (0x50), RTC_MISR (0x54), RTC_SCR
 *      (0x5c); Linux drivers/rtc/rtc-stm32.c, which has the same for
 *      st,stm32mp25-rtc; OP-TEE core/drivers/stm32_rtc.c, apply_rif_config():
 *      RTC_PRIVCFGR (0x1c), SECCFGR (0x20), CIDCFGRx (0x80); RM0456, RTC:
 *      RTC_SECCFGR
 */

#include "qemu/osdep.h"
#include "qemu/bcd.h"
#include "qemu/cutils.h"
#include "qemu/timer.h"
#include "hw/irq.h"
#include "hw/qdev-properties.h"
#include "hw/registerfields.h"
#include "hw/stm32mp/stm32mp.h"
#include "hw/stm32mp/stm32mp_rif.h"
#include "system/rtc.h"
#include "system/system.h"

REG32(TR, 0x00)
    FIELD(TR, SECONDS, 0, 7)
    FIELD(TR, MINUTES, 8, 7)
    FIELD(TR, HOURS, 16, 6)
REG32(DR, 0x04)
    FIELD(DR, DAY, 0, 6)
    FIELD(DR, MONTH, 8, 5)
    FIELD(DR, WEEKDAY, 13, 3)
    FIELD(DR, YEAR, 16, 8)
REG32(ICSR, 0x0c)
    FIELD(ICSR, ALRAWF, 0, 1)
    FIELD(ICSR, WUTWF, 2, 1)
    FIELD(ICSR, INITS, 4, 1)
    FIELD(ICSR, RSF, 5, 1)
    FIELD(ICSR, INITF, 6, 1)
    FIELD(ICSR, INIT, 7, 1)
REG32(PRER, 0x10)
REG32(WUTR, 0x14)
REG32(CR, 0x18)
    FIELD(CR, ALRAE, 8, 1)
    FIELD(CR, ALRAIE, 12, 1)
REG32(PRIVCFGR, 0x1c)
REG32(SECCFGR, 0x20)
    FIELD(CFGR, FULL, 15, 1)
REG32(CALR, 0x28)
REG32(SHIFTR, 0x2c)
REG32(TSTR, 0x30)
REG32(TSDR, 0x34)
REG32(TSSSR, 0x38)
REG32(ALRMAR, 0x40)
    FIELD(ALRMAR, SECONDS, 0, 7)
    FIELD(ALRMAR, ANY_SECOND, 7, 1)     /* MSK1 to MSK4 */
    FIELD(ALRMAR, MINUTES, 8, 7)
    FIELD(ALRMAR, ANY_MINUTE, 15, 1)
    FIELD(ALRMAR, HOURS, 16, 6)
    FIELD(ALRMAR, ANY_HOUR, 23, 1)
    FIELD(ALRMAR, DAY, 24, 6)
    FIELD(ALRMAR, WDSEL, 30, 1)
    FIELD(ALRMAR, ANY_DAY, 31, 1)
REG32(ALRMASSR, 0x44)
REG32(ALRMBR, 0x48)
REG32(ALRMBSSR, 0x4c)
REG32(SR, 0x50)
    FIELD(SR, ALRAF, 0, 1)
REG32(MISR, 0x54)
REG32(SCR, 0x5c)
REG32(CIDCFGR0, 0x80)

#define DAY_S (24 * 60 * 60)
#define MONTHS_DAYS 62          /* a 31st comes again after two months */

OBJECT_DECLARE_SIMPLE_TYPE(Stm32mpRtc, STM32MP_RTC)

struct Stm32mpRtc {
    Stm32mpRegs parent_obj;

    qemu_irq irq;
    QEMUTimer *timer;           /* to the next alarm */
    int64_t offset_s;           /* to QEMU's clock (-rtc) */
    bool rif;
};

enum {
    ALARM_A, ALARM_B, WAKE_UP, TIME_STAMP, CALIBRATION, INITIALISATION,
    FUNCTIONS
};

/* The bits of each function in SECCFGR and PRIVCFGR, CR, and SR, MISR, SCR */
static const uint8_t cfgr_bits[FUNCTIONS] = { 0, 1, 2, 3, 13, 14 };
static const uint32_t cr_bits[FUNCTIONS] = {
    0x00001100, 0x00002200, 0x00004407, 0x03008808, 0x00070010, 0xfcf80060,
};
static const uint32_t sr_bits[FUNCTIONS] = { 0x1, 0x2, 0x4, 0x38, 0, 0x40 };

static const Stm32mpRif stm32mp_rtc_rif = {
    .seccfgr = A_SECCFGR, .privcfgr = A_PRIVCFGR,
    .rcfglockr = STM32MP_RIF_NONE, .cidcfgr = A_CIDCFGR0, .stride = 4,
    .n = FUNCTIONS, .bits = cfgr_bits,
};

static bool stm32mp_rtc_owns(const Stm32mpRegs *s, unsigned function)
{
    return (s->attrs.secure || !FIELD_EX32(s->r[R_SECCFGR], CFGR, FULL)) &&
           !(s->attrs.user && FIELD_EX32(s->r[R_PRIVCFGR], CFGR, FULL)) &&
           stm32mp_rif_owns(s, &stm32mp_rtc_rif, function);
}

static bool stm32mp_rtc_refuses(Stm32mpRegs *s, hwaddr addr, bool write)
{
    if (!STM32MP_RTC(s)->rif) {
        return false;
    }
    if (stm32mp_rif_has(&stm32mp_rtc_rif, addr)) {
        return stm32mp_rif_refuses(s, &stm32mp_rtc_rif, addr, write);
    }
    switch (addr) {
    case A_TR:
    case A_DR:
    case A_PRER:
        return write && !stm32mp_rtc_owns(s, INITIALISATION);
    case A_CALR:
    case A_SHIFTR:
        return write && !stm32mp_rtc_owns(s, CALIBRATION);
    case A_WUTR:
        return !stm32mp_rtc_owns(s, WAKE_UP);
    case A_TSTR ... A_TSSSR:
        return !stm32mp_rtc_owns(s, TIME_STAMP);
    case A_ALRMAR:
    case A_ALRMASSR:
        return !stm32mp_rtc_owns(s, ALARM_A);
    case A_ALRMBR:
    case A_ALRMBSSR:
        return !stm32mp_rtc_owns(s, ALARM_B);
    }
    return false;
}

static uint32_t stm32mp_rtc_mask(Stm32mpRegs *s, hwaddr addr, bool write)
{
    const uint32_t *bits = addr == A_CR ? cr_bits : sr_bits;
    uint32_t mask = 0;

    if (!STM32MP_RTC(s)->rif) {
        return UINT32_MAX;
    }
    switch (addr) {
    case A_ICSR:                /* everybody reads flags */
        return write && !stm32mp_rtc_owns(s, INITIALISATION) ? 0 : UINT32_MAX;
    case A_CR:
    case A_SR:
    case A_MISR:
    case A_SCR:
        for (unsigned n = 0; n < FUNCTIONS; n++) {
            mask |= stm32mp_rtc_owns(s, n) ? bits[n] : 0;
        }
        return mask;
    }
    return stm32mp_rif_has(&stm32mp_rtc_rif, addr)
           ? stm32mp_rif_mask(s, &stm32mp_rtc_rif, addr, write) : UINT32_MAX;
}

/* Where a compartment is filtered, SECCFGR.SEC and PRIVCFGR.PRIV are cleared */
static void stm32mp_rtc_isolate(Stm32mpRegs *s, hwaddr addr, uint32_t value)
{
    stm32mp_rif_write(s, &stm32mp_rtc_rif, addr, value);
    for (unsigned n = 0; n < FUNCTIONS; n++) {
        if (s->r[R_CIDCFGR0 + n] & 1) {
            s->r[R_SECCFGR] &= ~R_CFGR_FULL_MASK;
            s->r[R_PRIVCFGR] &= ~R_CFGR_FULL_MASK;
        }
    }
}

static uint32_t stm32mp_rtc_misr(Stm32mpRtc *s)
{
    const uint32_t *r = STM32MP_REGS(s)->r;

    return r[R_CR] & R_CR_ALRAIE_MASK ? r[R_SR] & R_SR_ALRAF_MASK : 0;
}

static void stm32mp_rtc_update(Stm32mpRtc *s)
{
    qemu_set_irq(s->irq, stm32mp_rtc_misr(s) != 0);
}

static uint32_t stm32mp_rtc_read(Stm32mpRegs *s, hwaddr addr)
{
    uint32_t value = s->r[addr / 4];
    bool init = s->r[R_ICSR] & R_ICSR_INIT_MASK;
    struct tm tm;

    if (addr == A_ICSR) {
        value |= R_ICSR_WUTWF_MASK | R_ICSR_INITS_MASK;
        if (init || !(s->r[R_CR] & R_CR_ALRAE_MASK)) {
            value |= R_ICSR_ALRAWF_MASK;
        }
        return value | (init ? R_ICSR_INITF_MASK : R_ICSR_RSF_MASK);
    }
    if (addr == A_MISR) {
        return stm32mp_rtc_misr(STM32MP_RTC(s));
    }
    if (addr > A_DR || init) {
        return value;
    }
    qemu_get_timedate(&tm, STM32MP_RTC(s)->offset_s);
    if (addr == A_TR) {
        return to_bcd(tm.tm_hour) << R_TR_HOURS_SHIFT |
               to_bcd(tm.tm_min) << R_TR_MINUTES_SHIFT | to_bcd(tm.tm_sec);
    }
    return to_bcd(tm.tm_year % 100) << R_DR_YEAR_SHIFT |
           (tm.tm_wday ? tm.tm_wday : 7) << R_DR_WEEKDAY_SHIFT |
           to_bcd(tm.tm_mon + 1) << R_DR_MONTH_SHIFT | to_bcd(tm.tm_mday);
}

/* Whether the alarm's day is @day days after @now; @now's own is day 0 */
static bool stm32mp_rtc_is_day(uint32_t alarm, const struct tm *now, int day)
{
    uint8_t wanted = from_bcd(FIELD_EX32(alarm, ALRMAR, DAY));
    struct tm tm = *now;

    if (FIELD_EX32(alarm, ALRMAR, ANY_DAY)) {
        return true;
    }
    if (FIELD_EX32(alarm, ALRMAR, WDSEL)) {     /* 1: Monday, 7: Sunday */
        return (now->tm_wday + day) % 7 == (wanted & 0xf) % 7;
    }
    tm.tm_mday += day;
    tm.tm_hour = 12;
    tm.tm_isdst = -1;
    mktime(&tm);                                /* 32 January: 1 February */
    return tm.tm_mday == wanted;
}

/* The first second of a day, from @from on, that the alarm matches; or -1 */
static int stm32mp_rtc_second(uint32_t alarm, int from)
{
    int hour = from_bcd(FIELD_EX32(alarm, ALRMAR, HOURS));
    int minute = from_bcd(FIELD_EX32(alarm, ALRMAR, MINUTES));
    int second = from_bcd(FIELD_EX32(alarm, ALRMAR, SECONDS));

    for (int at = from; at < DAY_S; at++) {
        if ((FIELD_EX32(alarm, ALRMAR, ANY_HOUR) || at / 3600 == hour) &&
            (FIELD_EX32(alarm, ALRMAR, ANY_MINUTE) ||
             at / 60 % 60 == minute) &&
            (FIELD_EX32(alarm, ALRMAR, ANY_SECOND) || at % 60 == second)) {
            return at;
        }
    }
    return -1;
}

/* Seconds from @now to the alarm, at least 1; 0 if there is none */
static int64_t stm32mp_rtc_left_s(uint32_t alarm, const struct tm *now)
{
    int of_day = (now->tm_hour * 60 + now->tm_min) * 60 + now->tm_sec;

    for (int day = 0; day <= MONTHS_DAYS; day++) {
        if (stm32mp_rtc_is_day(alarm, now, day)) {
            int at = stm32mp_rtc_second(alarm, day ? 0 : of_day + 1);

            if (at >= 0) {
                return (int64_t)day * DAY_S + at - of_day;
            }
        }
    }
    return 0;
}

/* The time, the alarm or its enable bit has changed, or it has gone off */
static void stm32mp_rtc_schedule(Stm32mpRtc *s)
{
    const uint32_t *r = STM32MP_REGS(s)->r;
    int64_t left_s = 0;
    struct tm now;

    if (r[R_CR] & R_CR_ALRAE_MASK) {
        qemu_get_timedate(&now, s->offset_s);
        left_s = stm32mp_rtc_left_s(r[R_ALRMAR], &now);
    }
    if (left_s) {
        /* A second of qemu_get_timedate() begins with one of the clock */
        timer_mod(s->timer,
                  (qemu_clock_get_ms(rtc_clock) / 1000 + left_s) * 1000);
    } else {
        timer_del(s->timer);
    }
}

static void stm32mp_rtc_alarm(void *opaque)
{
    Stm32mpRtc *s = opaque;

    STM32MP_REGS(s)->r[R_SR] |= R_SR_ALRAF_MASK;
    stm32mp_rtc_update(s);
    stm32mp_rtc_schedule(s);
}

/* Initialisation mode ends: the clock goes on from what was written */
static void stm32mp_rtc_set(Stm32mpRegs *s)
{
    uint32_t tr = s->r[R_TR], dr = s->r[R_DR];
    struct tm tm = {
        .tm_sec = from_bcd(FIELD_EX32(tr, TR, SECONDS)),
        .tm_min = from_bcd(FIELD_EX32(tr, TR, MINUTES)),
        .tm_hour = from_bcd(FIELD_EX32(tr, TR, HOURS)),
        .tm_mday = from_bcd(FIELD_EX32(dr, DR, DAY)),
        .tm_mon = from_bcd(FIELD_EX32(dr, DR, MONTH)) - 1,
        .tm_year = from_bcd(FIELD_EX32(dr, DR, YEAR)) + 100,
    };

    STM32MP_RTC(s)->offset_s = qemu_timedate_diff(&tm);
    stm32mp_rtc_schedule(STM32MP_RTC(s));
}

static void stm32mp_rtc_write(Stm32mpRegs *regs, hwaddr addr, uint32_t value,
                              unsigned size)
{
    Stm32mpRtc *s = STM32MP_RTC(regs);
    uint32_t *r = regs->r;
    bool was_init = r[R_ICSR] & R_ICSR_INIT_MASK;

    if (s->rif && stm32mp_rif_has(&stm32mp_rtc_rif, addr)) {
        stm32mp_rtc_isolate(regs, addr, value);
        return;
    }
    switch (addr) {
    case A_TR:
    case A_DR:
        if (was_init) {
            r[addr / 4] = value;
        }
        return;
    case A_ICSR:
        r[R_ICSR] = value & R_ICSR_INIT_MASK;
        if (value & R_ICSR_INIT_MASK) {
            if (!was_init) {            /* what is not written stays */
                r[R_ICSR] = 0;
                r[R_TR] = stm32mp_rtc_read(regs, A_TR);
                r[R_DR] = stm32mp_rtc_read(regs, A_DR);
                r[R_ICSR] = R_ICSR_INIT_MASK;
            }
        } else if (was_init) {
            stm32mp_rtc_set(regs);
        }
        return;
    case A_ALRMAR:
        if (stm32mp_rtc_read(regs, A_ICSR) & R_ICSR_ALRAWF_MASK) {
            r[R_ALRMAR] = value;
            stm32mp_rtc_schedule(s);
        }
        return;
    case A_CR:
        r[R_CR] = value;
        stm32mp_rtc_schedule(s);
        break;
    case A_SCR:
        r[R_SR] &= ~value;
        break;
    case A_SR:
    case A_MISR:
        return;
    default:
        r[addr / 4] = value;
    }
    stm32mp_rtc_update(s);
}

static void stm32mp_rtc_reset(Stm32mpRegs *regs)
{
    stm32mp_rtc_schedule(STM32MP_RTC(regs));
    stm32mp_rtc_update(STM32MP_RTC(regs));
}

static void stm32mp_rtc_init(Object *obj)
{
    Stm32mpRtc *s = STM32MP_RTC(obj);

    s->timer = timer_new_ms(rtc_clock, stm32mp_rtc_alarm, s);
    sysbus_init_irq(SYS_BUS_DEVICE(obj), &s->irq);
}

static void stm32mp_rtc_finalize(Object *obj)
{
    timer_free(STM32MP_RTC(obj)->timer);
}

static int stm32mp_rtc_post_load(void *opaque, int version_id)
{
    stm32mp_rtc_schedule(opaque);
    return 0;
}

static const VMStateDescription vmstate_stm32mp_rtc = {
    .name = TYPE_STM32MP_RTC,
    .version_id = 1,
    .minimum_version_id = 1,
    .post_load = stm32mp_rtc_post_load,
    .fields = (const VMStateField[]) {
        VMSTATE_STM32MP_REGS(Stm32mpRtc),
        VMSTATE_INT64(offset_s, Stm32mpRtc),
        VMSTATE_END_OF_LIST()
    }
};

static const Property stm32mp_rtc_properties[] = {
    DEFINE_PROP_BOOL("rif", Stm32mpRtc, rif, false),
};

static void stm32mp_rtc_class_init(ObjectClass *klass, void *data)
{
    Stm32mpRegsClass *c = STM32MP_REGS_CLASS(klass);

    DEVICE_CLASS(klass)->vmsd = &vmstate_stm32mp_rtc;
    device_class_set_props(DEVICE_CLASS(klass), stm32mp_rtc_properties);
    c->refuses = stm32mp_rtc_refuses;
    c->mask = stm32mp_rtc_mask;
    c->read = stm32mp_rtc_read;
    c->write = stm32mp_rtc_write;
    c->reset = stm32mp_rtc_reset;
}

static const TypeInfo stm32mp_rtc_types[] = {
    {
        .name = TYPE_STM32MP_RTC,
        .parent = TYPE_STM32MP_REGS,
        .instance_size = sizeof(Stm32mpRtc),
        .instance_init = stm32mp_rtc_init,
        .instance_finalize = stm32mp_rtc_finalize,
        .class_init = stm32mp_rtc_class_init,
    }
};

DEFINE_TYPES(stm32mp_rtc_types)
