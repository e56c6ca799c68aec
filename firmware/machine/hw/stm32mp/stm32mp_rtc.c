/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * STM32MP real-time clock: the time; alarms and wake-up are storage only
 *
 * Ref: RM0436, RTC: RTC_TR (0x00), RTC_DR (0x04), RTC_ICSR (0x0c)
 */

#include "qemu/osdep.h"
#include "qemu/bcd.h"
#include "qemu/cutils.h"
#include "hw/registerfields.h"
#include "hw/stm32mp/stm32mp.h"
#include "hw/stm32mp/stm32mp_regs.h"
#include "system/rtc.h"

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

OBJECT_DECLARE_SIMPLE_TYPE(Stm32mpRtc, STM32MP_RTC)

struct Stm32mpRtc {
    Stm32mpRegs parent_obj;

    int64_t offset_s;           /* to QEMU's clock (-rtc) */
};

static uint32_t stm32mp_rtc_read(Stm32mpRegs *s, hwaddr addr)
{
    uint32_t value = s->r[addr / 4];
    bool init = s->r[R_ICSR] & R_ICSR_INIT_MASK;
    struct tm tm;

    if (addr == A_ICSR) {
        value |= R_ICSR_ALRAWF_MASK | R_ICSR_WUTWF_MASK | R_ICSR_INITS_MASK;
        return value | (init ? R_ICSR_INITF_MASK : R_ICSR_RSF_MASK);
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
}

static void stm32mp_rtc_write(Stm32mpRegs *s, hwaddr addr, uint32_t value,
                              unsigned size)
{
    bool was_init = s->r[R_ICSR] & R_ICSR_INIT_MASK;

    switch (addr) {
    case A_TR:
    case A_DR:
        if (was_init) {
            s->r[addr / 4] = value;
        }
        return;
    case A_ICSR:
        s->r[R_ICSR] = value & R_ICSR_INIT_MASK;
        if (value & R_ICSR_INIT_MASK) {
            if (!was_init) {            /* what is not written stays */
                s->r[R_ICSR] = 0;
                s->r[R_TR] = stm32mp_rtc_read(s, A_TR);
                s->r[R_DR] = stm32mp_rtc_read(s, A_DR);
                s->r[R_ICSR] = R_ICSR_INIT_MASK;
            }
        } else if (was_init) {
            stm32mp_rtc_set(s);
        }
        return;
    default:
        s->r[addr / 4] = value;
    }
}

static const VMStateDescription vmstate_stm32mp_rtc = {
    .name = TYPE_STM32MP_RTC,
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_STM32MP_REGS(Stm32mpRtc),
        VMSTATE_INT64(offset_s, Stm32mpRtc),
        VMSTATE_END_OF_LIST()
    }
};

static void stm32mp_rtc_class_init(ObjectClass *klass, void *data)
{
    Stm32mpRegsClass *c = STM32MP_REGS_CLASS(klass);

    DEVICE_CLASS(klass)->vmsd = &vmstate_stm32mp_rtc;
    c->read = stm32mp_rtc_read;
    c->write = stm32mp_rtc_write;
}

static const TypeInfo stm32mp_rtc_types[] = {
    {
        .name = TYPE_STM32MP_RTC,
        .parent = TYPE_STM32MP_REGS,
        .instance_size = sizeof(Stm32mpRtc),
        .class_init = stm32mp_rtc_class_init,
    }
};

DEFINE_TYPES(stm32mp_rtc_types)
