/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * STM32MP register file
 */

#include "qemu/osdep.h"
#include "qemu/log.h"
#include "qapi/error.h"
#include "hw/irq.h"
#include "hw/qdev-properties.h"
#include "hw/stm32mp/stm32mp_regs.h"

/* A stored word, with status bits that follow control bits */
static uint32_t stm32mp_regs_stored(Stm32mpRegs *s, hwaddr addr)
{
    uint32_t value = s->r[addr / 4];

    for (unsigned i = 0; i < s->n_follow; i += 4) {
        const uint32_t *f = &s->follow[i];

        if (f[0] == addr) {
            value &= ~(f[2] << f[3]);
            value |= (*stm32mp_reg(s, f[1]) & f[2]) << f[3];
        }
    }
    return value;
}

static bool stm32mp_regs_refused(Stm32mpRegs *s, hwaddr addr, bool write)
{
    Stm32mpRegsClass *c = stm32mp_regs_class(s);

    if (!c->refuses || !c->refuses(s, addr, write)) {
        return false;
    }
    qemu_log_mask(LOG_GUEST_ERROR, "%s: refuses %ssecure %s of CID %u of "
                  "register 0x%03" HWADDR_PRIx "\n", s->name,
                  s->attrs.secure ? "" : "non-", write ? "write" : "read",
                  stm32mp_regs_cid(s), addr);
    qemu_irq_pulse(s->illegal);
    return true;
}

static MemTxResult stm32mp_regs_read(void *opaque, hwaddr addr, uint64_t *data,
                                     unsigned size, MemTxAttrs attrs)
{
    Stm32mpRegs *s = opaque;
    Stm32mpRegsClass *c = stm32mp_regs_class(s);
    hwaddr word = addr & ~3ull;
    uint32_t value;

    s->attrs = attrs;
    if (stm32mp_regs_refused(s, word, false)) {
        *data = 0;
        return MEMTX_OK;
    }
    value = c->read ? c->read(s, word) : stm32mp_regs_stored(s, word);
    if (c->mask) {
        value &= c->mask(s, word, false);
    }
    if (!s->touched && !c->read) {
        s->touched = true;
        qemu_log_mask(LOG_UNIMP, "%s: register file: first access, read of "
                      "0x%03" HWADDR_PRIx "\n", s->name, addr);
    }
    *data = value >> (8 * (addr & 3));
    return MEMTX_OK;
}

static MemTxResult stm32mp_regs_write(void *opaque, hwaddr addr, uint64_t value,
                                      unsigned size, MemTxAttrs attrs)
{
    Stm32mpRegs *s = opaque;
    Stm32mpRegsClass *c = stm32mp_regs_class(s);
    hwaddr word = addr & ~3ull;
    uint32_t merged = deposit32(s->r[word / 4], 8 * (addr & 3), 8 * size,
                                value);

    s->attrs = attrs;
    if (stm32mp_regs_refused(s, word, true)) {
        return MEMTX_OK;
    }
    if (c->mask) {
        uint32_t mask = c->mask(s, word, true);

        merged = (merged & mask) | (s->r[word / 4] & ~mask);
    }
    if (!s->touched && !c->write) {
        s->touched = true;
        qemu_log_mask(LOG_UNIMP, "%s: register file: first access, write of "
                      "0x%08" PRIx64 " to 0x%03" HWADDR_PRIx "\n",
                      s->name, value, addr);
    }
    if (c->write) {
        c->write(s, word, merged, size);
    } else {
        s->r[word / 4] = merged;
    }
    return MEMTX_OK;
}

bool stm32mp_cid_owns(unsigned cid, uint32_t cidcfgr, uint32_t semcr)
{
    uint32_t owner = extract32(cidcfgr, 1, 1) ? semcr : cidcfgr;

    return !(cidcfgr & 1) || cid == extract32(owner, 4, 3);
}

void stm32mp_regs_reset_line(void *opaque, int n, int level)
{
    if (level) {
        device_cold_reset(DEVICE(opaque));
    }
}

void stm32mp_semaphore_write(Stm32mpRegs *s, hwaddr addr, uint32_t value)
{
    uint32_t *r = stm32mp_reg(s, addr);
    uint32_t taken = 1 | stm32mp_regs_cid(s) << 4;

    if (*r == taken || !(*r & 1)) {
        *r = value & 1 ? taken : 0;
    }
}

static const MemoryRegionOps stm32mp_regs_ops = {
    .read_with_attrs = stm32mp_regs_read,
    .write_with_attrs = stm32mp_regs_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .impl.min_access_size = 1,
    .impl.max_access_size = 4,
    .valid.min_access_size = 1,
    .valid.max_access_size = 4,
};

static void stm32mp_regs_reset_hold(Object *obj, ResetType type)
{
    Stm32mpRegs *s = STM32MP_REGS(obj);
    Stm32mpRegsClass *c = stm32mp_regs_class(s);

    memset(s->r, 0, s->n * sizeof(*s->r));
    for (unsigned i = 0; i < s->n_preset; i += 2) {
        *stm32mp_reg(s, s->preset[i]) = s->preset[i + 1];
    }
    s->touched = false;
    if (c->reset) {
        c->reset(s);
    }
}

static void stm32mp_regs_realize(DeviceState *dev, Error **errp)
{
    Stm32mpRegs *s = STM32MP_REGS(dev);
    Stm32mpRegsClass *c = stm32mp_regs_class(s);

    if (!s->size) {
        s->size = c->size;
    }
    if (!s->size || s->size % 4) {
        error_setg(errp, "size of a register file is a multiple of 4, not %u",
                   s->size);
        return;
    }
    for (unsigned i = 0; i < s->n_preset; i += 2) {
        if (i + 1 == s->n_preset || s->preset[i] >= s->size ||
            s->preset[i] % 4) {
            error_setg(errp, "preset: pairs of a word's offset below 0x%x and "
                       "its value", s->size);
            return;
        }
    }
    for (unsigned i = 0; i < s->n_follow; i += 4) {
        const uint32_t *f = &s->follow[i];

        if (i + 4 > s->n_follow || f[0] >= s->size || f[1] >= s->size ||
            (f[0] | f[1]) % 4 || f[3] > 31) {
            error_setg(errp, "follow: offsets of two words below 0x%x, a mask "
                       "and a shift", s->size);
            return;
        }
    }
    if (!s->name) {
        s->name = g_strdup(object_get_typename(OBJECT(dev)));
    }
    s->n = s->size / 4;
    s->r = g_new0(uint32_t, s->n);
    memory_region_init_io(&s->mmio, OBJECT(dev), &stm32mp_regs_ops, s, s->name,
                          s->size);
    s->mmio.disable_reentrancy_guard = c->waits;
    sysbus_init_mmio(SYS_BUS_DEVICE(dev), &s->mmio);
}

static void stm32mp_regs_init(Object *obj)
{
    qdev_init_gpio_out_named(DEVICE(obj), &STM32MP_REGS(obj)->illegal,
                             "illegal-access", 1);
}

static void stm32mp_regs_finalize(Object *obj)
{
    Stm32mpRegs *s = STM32MP_REGS(obj);

    g_free(s->r);
    g_free(s->preset);
    g_free(s->follow);
}

const VMStateDescription vmstate_stm32mp_regs = {
    .name = TYPE_STM32MP_REGS,
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_VARRAY_UINT32(r, Stm32mpRegs, n, 0, vmstate_info_uint32,
                              uint32_t),
        VMSTATE_BOOL(touched, Stm32mpRegs),
        VMSTATE_END_OF_LIST()
    }
};

static const Property stm32mp_regs_properties[] = {
    DEFINE_PROP_STRING("name", Stm32mpRegs, name),
    DEFINE_PROP_UINT32("size", Stm32mpRegs, size, 0),
    DEFINE_PROP_ARRAY("preset", Stm32mpRegs, n_preset, preset, qdev_prop_uint32,
                      uint32_t),
    DEFINE_PROP_ARRAY("follow", Stm32mpRegs, n_follow, follow, qdev_prop_uint32,
                      uint32_t),
};

static void stm32mp_regs_class_init(ObjectClass *klass, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);
    ResettableClass *rc = RESETTABLE_CLASS(klass);

    dc->realize = stm32mp_regs_realize;
    dc->vmsd = &vmstate_stm32mp_regs;
    device_class_set_props(dc, stm32mp_regs_properties);
    rc->phases.hold = stm32mp_regs_reset_hold;
    STM32MP_REGS_CLASS(klass)->size = 0x400;
}

static const TypeInfo stm32mp_regs_types[] = {
    {
        .name = TYPE_STM32MP_REGS,
        .parent = TYPE_SYS_BUS_DEVICE,
        .instance_size = sizeof(Stm32mpRegs),
        .instance_init = stm32mp_regs_init,
        .instance_finalize = stm32mp_regs_finalize,
        .class_size = sizeof(Stm32mpRegsClass),
        .class_init = stm32mp_regs_class_init,
    }
};

DEFINE_TYPES(stm32mp_regs_types)
