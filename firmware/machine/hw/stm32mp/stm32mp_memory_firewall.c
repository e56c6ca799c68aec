/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * STM32MP: the base of the firewalls in front of a memory
 *
 * Ref: RM0457, RISAF: RISAF_IAESR0 (0x020); RISAB: RISAB_IAESR (0x020)
 */

#include "qemu/osdep.h"
#include "qemu/log.h"
#include "qapi/error.h"
#include "exec/address-spaces.h"
#include "exec/cputlb.h"
#include "hw/core/cpu.h"
#include "hw/irq.h"
#include "hw/qdev-properties.h"
#include "hw/registerfields.h"
#include "hw/stm32mp/stm32mp_memory_firewall.h"
#include "hw/stm32mp/stm32mp_pass.h"

FIELD(IAESR, IACID, 0, 3)
FIELD(IAESR, IAPRIV, 4, 1)
FIELD(IAESR, IASEC, 5, 1)
FIELD(IAESR, IANRW, 7, 1)

#define PAGE 0x1000             /* a translation's unit */
#define INDEX_SECURE 1
#define INDEX_USER 2
#define INDEXES 4

#define TYPE_STM32MP_MEMORY_VIEW "stm32mp-memory-view"
DECLARE_INSTANCE_CHECKER(Stm32mpMemoryView, STM32MP_MEMORY_VIEW,
                         TYPE_STM32MP_MEMORY_VIEW)

/* Unchecked, as stm32mp_regs_class() */
static Stm32mpMemoryFirewallClass *stm32mp_memory_firewall_class(
    Stm32mpMemoryFirewall *s)
{
    return (Stm32mpMemoryFirewallClass *)object_get_class(OBJECT(s));
}

/* Whether a page needs no check: all of it may be read and written */
static bool stm32mp_memory_view_open(Stm32mpMemoryView *v, hwaddr page,
                                     bool secure, bool user)
{
    Stm32mpMemoryFirewallClass *c = stm32mp_memory_firewall_class(v->firewall);
    Stm32mpAccess access = { .cid = v->cid, .secure = secure, .user = user };

    for (uint32_t offset = 0; offset < PAGE; offset += c->granule) {
        access.addr = page + offset;
        access.write = false;
        if (!c->allows(v->firewall, &access)) {
            return false;
        }
        access.write = true;
        if (!c->allows(v->firewall, &access)) {
            return false;
        }
    }
    return true;
}

static IOMMUTLBEntry stm32mp_memory_view_translate(IOMMUMemoryRegion *iommu,
                                                   hwaddr addr,
                                                   IOMMUAccessFlags flags,
                                                   int index)
{
    Stm32mpMemoryView *v = STM32MP_MEMORY_VIEW(iommu);
    hwaddr page = addr & ~(hwaddr)(PAGE - 1);
    bool open = stm32mp_memory_view_open(
        v, page, (index & INDEX_SECURE) && !v->nonsecure, index & INDEX_USER);

    return (IOMMUTLBEntry) {
        .iova = page,
        .translated_addr = open ? page : v->checked_at + page,
        .addr_mask = PAGE - 1,
        .perm = open || v->master_as ? IOMMU_RW : IOMMU_NONE,
        .target_as = open ? &v->firewall->downstream_as : v->master_as,
    };
}

/*
 * A core reads its vectors without attributes as it starts; the Cortex-M33 does
 * so in its secure world, if it has one.  Ref: QEMU target/arm/cpu.c,
 * arm_cpu_reset_hold()
 */
static bool stm32mp_memory_view_secure(const Stm32mpMemoryView *v,
                                       MemTxAttrs attrs)
{
    return !v->nonsecure &&
           (attrs.secure || (attrs.unspecified && v->cid == STM32MP_CID_M33));
}

static int stm32mp_memory_view_index(IOMMUMemoryRegion *iommu,
                                     MemTxAttrs attrs)
{
    bool secure = stm32mp_memory_view_secure(STM32MP_MEMORY_VIEW(iommu), attrs);

    return (secure ? INDEX_SECURE : 0) | (attrs.user ? INDEX_USER : 0);
}

static int stm32mp_memory_view_indexes(IOMMUMemoryRegion *iommu)
{
    return INDEXES;
}

static void stm32mp_flush_tlb_work(CPUState *cs, run_on_cpu_data data)
{
    tlb_flush(cs);
}

void stm32mp_flush_tlb(CPUState *cs)
{
    if (!cs->created || qemu_cpu_is_self(cs)) {
        tlb_flush(cs);
    } else {
        async_run_on_cpu(cs, stm32mp_flush_tlb_work, RUN_ON_CPU_NULL);
    }
}

static void stm32mp_memory_view_changed(Stm32mpMemoryView *v)
{
    IOMMUTLBEvent event = {
        .type = IOMMU_NOTIFIER_UNMAP,
        .entry = {
            .addr_mask = memory_region_size(MEMORY_REGION(&v->iommu)) - 1,
            .perm = IOMMU_NONE,
        },
    };

    for (int index = 0; index < INDEXES; index++) {
        memory_region_notify_iommu(&v->iommu, index, event);
    }
}

/*
 * QEMU looks a device that it has found behind an IOMMU up by its number in the
 * CPU's own address space: so what checks accesses is there, not in another.
 * Ref: QEMU system/physmem.c, iotlb_to_section()
 */
void stm32mp_memory_firewall_attach(DeviceState *dev, unsigned cid,
                                    MemoryRegion *memory, AddressSpace *as,
                                    hwaddr at)
{
    Stm32mpMemoryView *v = &STM32MP_MEMORY_FIREWALL(dev)->view[cid];

    memory_region_add_subregion(memory, at, &v->checked);
    v->master_as = as;
    v->checked_at = at;
}

void stm32mp_memory_firewall_changed(Stm32mpMemoryFirewall *s)
{
    for (unsigned cid = 0; cid < STM32MP_CIDS; cid++) {
        stm32mp_memory_view_changed(&s->view[cid]);
    }
}

uint32_t stm32mp_memory_firewall_status(const Stm32mpAccess *access)
{
    return access->cid | !access->user << R_IAESR_IAPRIV_SHIFT |
           access->secure << R_IAESR_IASEC_SHIFT |
           access->write << R_IAESR_IANRW_SHIFT;
}

/* Whether an access goes on; if not, @result is what answers it */
static bool stm32mp_memory_view_passes(Stm32mpMemoryView *v, hwaddr addr,
                                       bool write, MemTxAttrs attrs,
                                       MemTxResult *result)
{
    Stm32mpMemoryFirewall *s = v->firewall;
    Stm32mpMemoryFirewallClass *c = stm32mp_memory_firewall_class(s);
    Stm32mpAccess access = {
        .addr = addr, .cid = v->cid, .write = write,
        .secure = stm32mp_memory_view_secure(v, attrs), .user = attrs.user,
    };

    if (c->allows(s, &access)) {
        return true;
    }
    qemu_log_mask(LOG_GUEST_ERROR, "%s: refuses %ssecure %s of CID %u at "
                  "0x%08" HWADDR_PRIx "\n", STM32MP_REGS(s)->name,
                  access.secure ? "" : "non-", write ? "write" : "read",
                  v->cid, addr);
    if (c->record) {
        c->record(s, &access);
    }
    *result = c->refused ? c->refused(s, &access) : MEMTX_OK;
    qemu_irq_pulse(STM32MP_REGS(s)->illegal);
    return false;
}

static MemTxResult stm32mp_memory_view_read(void *opaque, hwaddr addr,
                                            uint64_t *data, unsigned size,
                                            MemTxAttrs attrs)
{
    Stm32mpMemoryView *v = opaque;
    MemTxResult result;

    if (!stm32mp_memory_view_passes(v, addr, false, attrs, &result)) {
        *data = 0;
        return result;
    }
    return stm32mp_pass_read(&v->firewall->downstream_as, addr, data, size,
                             attrs);
}

static MemTxResult stm32mp_memory_view_write(void *opaque, hwaddr addr,
                                             uint64_t data, unsigned size,
                                             MemTxAttrs attrs)
{
    Stm32mpMemoryView *v = opaque;
    MemTxResult result;

    if (!stm32mp_memory_view_passes(v, addr, true, attrs, &result)) {
        return result;
    }
    return stm32mp_pass_write(&v->firewall->downstream_as, addr, data, size,
                              attrs);
}

static const MemoryRegionOps stm32mp_memory_view_ops = {
    .read_with_attrs = stm32mp_memory_view_read,
    .write_with_attrs = stm32mp_memory_view_write,
    STM32MP_PASS_SIZES,
};

static void stm32mp_memory_firewall_nonsecure(void *opaque, int n, int level)
{
    Stm32mpMemoryView *v = &STM32MP_MEMORY_FIREWALL(opaque)->view[n];

    v->nonsecure = level;
    stm32mp_memory_view_changed(v);
}

static void stm32mp_memory_firewall_init(Object *obj)
{
    qdev_init_gpio_in_named(DEVICE(obj), stm32mp_memory_firewall_nonsecure,
                            "nonsecure", STM32MP_CIDS);
}

static void stm32mp_memory_firewall_realize(DeviceState *dev, Error **errp)
{
    Stm32mpMemoryFirewall *s = STM32MP_MEMORY_FIREWALL(dev);
    DeviceClass *parent = DEVICE_CLASS(
        object_class_by_name(TYPE_STM32MP_REGS));
    uint64_t size = memory_region_size(s->downstream);
    ERRP_GUARD();

    if (!is_power_of_2(size)) {
        error_setg(errp, "%s protects a power of two of bytes, not 0x%" PRIx64,
                   object_get_typename(OBJECT(dev)), size);
        return;
    }
    parent->realize(dev, errp);
    if (*errp) {
        return;
    }
    address_space_init(&s->downstream_as, s->downstream, "protected-memory");
    for (unsigned cid = 0; cid < STM32MP_CIDS; cid++) {
        Stm32mpMemoryView *v = &s->view[cid];

        memory_region_init_iommu(v, sizeof(*v), TYPE_STM32MP_MEMORY_VIEW,
                                 OBJECT(dev), "memory-of-cid", size);
        v->firewall = s;
        v->cid = cid;
        memory_region_init_io(&v->checked, OBJECT(dev),
                              &stm32mp_memory_view_ops, v, "memory-checked",
                              size);
        v->checked.disable_reentrancy_guard = true;
        sysbus_init_mmio(SYS_BUS_DEVICE(dev), MEMORY_REGION(&v->iommu));
    }
}

static int stm32mp_memory_firewall_post_load(void *opaque, int version_id)
{
    stm32mp_memory_firewall_changed(opaque);
    return 0;
}

static const VMStateDescription vmstate_stm32mp_memory_view = {
    .name = TYPE_STM32MP_MEMORY_VIEW,
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_BOOL(nonsecure, Stm32mpMemoryView),
        VMSTATE_END_OF_LIST()
    }
};

const VMStateDescription vmstate_stm32mp_memory_firewall = {
    .name = TYPE_STM32MP_MEMORY_FIREWALL,
    .version_id = 1,
    .minimum_version_id = 1,
    .post_load = stm32mp_memory_firewall_post_load,
    .fields = (const VMStateField[]) {
        VMSTATE_STM32MP_REGS(Stm32mpMemoryFirewall),
        VMSTATE_STRUCT_ARRAY(view, Stm32mpMemoryFirewall, STM32MP_CIDS, 1,
                             vmstate_stm32mp_memory_view, Stm32mpMemoryView),
        VMSTATE_END_OF_LIST()
    }
};

static const Property stm32mp_memory_firewall_properties[] = {
    DEFINE_PROP_LINK("memory", Stm32mpMemoryFirewall, downstream,
                     TYPE_MEMORY_REGION, MemoryRegion *),
};

static void stm32mp_memory_firewall_class_init(ObjectClass *klass, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);

    dc->realize = stm32mp_memory_firewall_realize;
    dc->vmsd = &vmstate_stm32mp_memory_firewall;
    device_class_set_props(dc, stm32mp_memory_firewall_properties);
    STM32MP_REGS_CLASS(klass)->size = 0x1000;
}

static void stm32mp_memory_view_class_init(ObjectClass *klass, void *data)
{
    IOMMUMemoryRegionClass *c = IOMMU_MEMORY_REGION_CLASS(klass);

    c->translate = stm32mp_memory_view_translate;
    c->attrs_to_index = stm32mp_memory_view_index;
    c->num_indexes = stm32mp_memory_view_indexes;
}

static const TypeInfo stm32mp_memory_firewall_types[] = {
    {
        .name = TYPE_STM32MP_MEMORY_FIREWALL,
        .parent = TYPE_STM32MP_REGS,
        .abstract = true,
        .instance_size = sizeof(Stm32mpMemoryFirewall),
        .instance_init = stm32mp_memory_firewall_init,
        .class_size = sizeof(Stm32mpMemoryFirewallClass),
        .class_init = stm32mp_memory_firewall_class_init,
    }, {
        .name = TYPE_STM32MP_MEMORY_VIEW,
        .parent = TYPE_IOMMU_MEMORY_REGION,
        .instance_size = sizeof(Stm32mpMemoryView),
        .class_init = stm32mp_memory_view_class_init,
    }
};

DEFINE_TYPES(stm32mp_memory_firewall_types)
