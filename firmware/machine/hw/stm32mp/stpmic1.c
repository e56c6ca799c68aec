/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * ST STPMIC1 power management chip, and STPMIC25 as far as they are alike
 *
 * Registers that keep what is written; SWOFF ends the machine.  Regulators
 * have no outputs, and nothing ever interrupts.
 *
 * Ref: ST DS12792; Linux include/linux/mfd/stpmic1.h, and stpmic2.h of ST's
 *      OP-TEE for the STPMIC25's identification
 */

#include "qemu/osdep.h"
#include "hw/i2c/i2c.h"
#include "hw/stm32mp/stm32mp.h"
#include "migration/vmstate.h"
#include "system/runstate.h"

#define VERSION_SR 0x06
#define VERSION 0x21
#define STPMIC25_PRODUCT_ID 0x00
#define STPMIC25_ID 0x20
#define STPMIC25_VERSION_SR 0x01
#define STPMIC25_VERSION 0x11
#define MAIN_CR 0x10
#define MAIN_CR_SWOFF 0x01
#define INT_PENDING_R 0x50      /* four registers, cleared by the next four */
#define INT_CLEAR_R 0x70
#define INT_MASK_R 0x80
#define INT_SET_MASK_R 0x90
#define INT_CLEAR_MASK_R 0xa0
#define INT_REGISTERS 4

OBJECT_DECLARE_SIMPLE_TYPE(Stpmic1, STPMIC1)

struct Stpmic1 {
    I2CSlave parent_obj;

    uint8_t r[0x100];
    uint8_t pointer;
    bool addressed;             /* the next byte is the register's number */
};

static void stpmic1_write(Stpmic1 *s, uint8_t reg, uint8_t value)
{
    switch (reg) {
    case VERSION_SR:
        return;
    case INT_CLEAR_R ... INT_CLEAR_R + INT_REGISTERS - 1:
        s->r[reg - INT_CLEAR_R + INT_PENDING_R] &= ~value;
        return;
    case INT_SET_MASK_R ... INT_SET_MASK_R + INT_REGISTERS - 1:
        s->r[reg - INT_SET_MASK_R + INT_MASK_R] |= value;
        return;
    case INT_CLEAR_MASK_R ... INT_CLEAR_MASK_R + INT_REGISTERS - 1:
        s->r[reg - INT_CLEAR_MASK_R + INT_MASK_R] &= ~value;
        return;
    case MAIN_CR:
        if (value & MAIN_CR_SWOFF) {
            qemu_system_shutdown_request(SHUTDOWN_CAUSE_GUEST_SHUTDOWN);
        }
        break;
    }
    s->r[reg] = value;
}

static int stpmic1_send(I2CSlave *i2c, uint8_t data)
{
    Stpmic1 *s = STPMIC1(i2c);

    if (s->addressed) {
        s->pointer = data;
        s->addressed = false;
    } else {
        stpmic1_write(s, s->pointer++, data);
    }
    return 0;
}

static uint8_t stpmic1_recv(I2CSlave *i2c)
{
    Stpmic1 *s = STPMIC1(i2c);

    return s->r[s->pointer++];
}

static int stpmic1_event(I2CSlave *i2c, enum i2c_event event)
{
    STPMIC1(i2c)->addressed = event == I2C_START_SEND;
    return 0;
}

static void stpmic1_reset_hold(Object *obj, ResetType type)
{
    Stpmic1 *s = STPMIC1(obj);

    memset(s->r, 0, sizeof(s->r));
    s->r[VERSION_SR] = VERSION;
    s->pointer = 0;
    s->addressed = false;
}

static void stpmic25_reset_hold(Object *obj, ResetType type)
{
    Stpmic1 *s = STPMIC1(obj);

    stpmic1_reset_hold(obj, type);
    s->r[VERSION_SR] = 0;
    s->r[STPMIC25_PRODUCT_ID] = STPMIC25_ID;
    s->r[STPMIC25_VERSION_SR] = STPMIC25_VERSION;
}

static const VMStateDescription vmstate_stpmic1 = {
    .name = TYPE_STPMIC1,
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_I2C_SLAVE(parent_obj, Stpmic1),
        VMSTATE_UINT8_ARRAY(r, Stpmic1, 0x100),
        VMSTATE_UINT8(pointer, Stpmic1),
        VMSTATE_BOOL(addressed, Stpmic1),
        VMSTATE_END_OF_LIST()
    }
};

static void stpmic1_class_init(ObjectClass *klass, void *data)
{
    I2CSlaveClass *c = I2C_SLAVE_CLASS(klass);

    DEVICE_CLASS(klass)->vmsd = &vmstate_stpmic1;
    RESETTABLE_CLASS(klass)->phases.hold = stpmic1_reset_hold;
    c->send = stpmic1_send;
    c->recv = stpmic1_recv;
    c->event = stpmic1_event;
}

static void stpmic25_class_init(ObjectClass *klass, void *data)
{
    RESETTABLE_CLASS(klass)->phases.hold = stpmic25_reset_hold;
}

static const TypeInfo stpmic1_types[] = {
    {
        .name = TYPE_STPMIC1,
        .parent = TYPE_I2C_SLAVE,
        .instance_size = sizeof(Stpmic1),
        .class_init = stpmic1_class_init,
    },
    {
        .name = TYPE_STPMIC25,
        .parent = TYPE_STPMIC1,
        .class_init = stpmic25_class_init,
    }
};

DEFINE_TYPES(stpmic1_types)
