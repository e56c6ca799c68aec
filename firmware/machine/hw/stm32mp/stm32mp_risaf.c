/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * STM32MP25 resource isolation: RISAF, the firewall in front of a memory
 *
 * Regions say which compartments (CID) read and write them, and in which
 * world.  What no region covers belongs to the trusted domain's secure world.
 * Each master has a view: where all is allowed an access reaches the memory
 * as fast as without a firewall, elsewhere each is checked; one that is
 * refused reads as 0 or is ignored, is recorded, and the line pulses.
 *
 * Encryption, subregions and delegation are not modelled.
 *
 * Ref: RM0457, RISAF: RISAF_IASR (0x008), IACR (0x00c), IAESR0 (0x020), IADDR0
 *      (0x024), RISAF_REGx_CFGR, STARTR, ENDR, CIDCFGR (0x040 x), HWCFGR
 *      (0xff0); OP-TEE core/drivers/firewall/stm32_risaf.c
 */

#include "qemu/osdep.h"
#include "qemu/log.h"
#include "qapi/error.h"
#include "exec/address-spaces.h"
#include "hw/irq.h"
#include "hw/qdev-properties.h"
#include "hw/registerfields.h"
#include "hw/stm32mp/stm32mp.h"
#include "hw/stm32mp/stm32mp_regs.h"

REG32(IASR, 0x008)
    FIELD(IASR, IAEF0, 1, 1)
REG32(IACR, 0x00c)
REG32(IAESR0, 0x020)
    FIELD(IAESR0, IACID, 0, 3)
    FIELD(IAESR0, IAPRIV, 4, 1)
    FIELD(IAESR0, IASEC, 5, 1)
    FIELD(IAESR0, IANRW, 7, 1)
REG32(IADDR0, 0x024)
REG32(REG1_CFGR, 0x040)
    FIELD(CFGR, BREN, 0, 1)
    FIELD(CFGR, SEC, 8, 1)
    FIELD(CFGR, PRIVC, 16, 8)
REG32(REG1_STARTR, 0x044)
REG32(REG1_ENDR, 0x048)
REG32(REG1_CIDCFGR, 0x04c)
    FIELD(CIDCFGR, RDEN, 0, 8)
    FIELD(CIDCFGR, WREN, 16, 8)
REG32(HWCFGR, 0xff0)
REG32(VERR, 0xff4)

#define REGION 0x10             /* registers from one region to the next */
#define GRANULE 0x1000
#define TRUSTED 1
#define INDEX_SECURE 1
#define INDEX_USER 2
#define INDEXES 4

#define TYPE_STM32MP_RISAF_VIEW "stm32mp-risaf-view"

typedef struct Stm32mpRisaf Stm32mpRisaf;
DECLARE_INSTANCE_CHECKER(Stm32mpRisaf, STM32MP_RISAF, TYPE_STM32MP_RISAF)

typedef struct Stm32mpRisafView {
    IOMMUMemoryRegion iommu;

    Stm32mpRisaf *risaf;
    unsigned cid;
    bool nonsecure;
    MemoryRegion checked;
    AddressSpace checked_as;
} Stm32mpRisafView;

DECLARE_INSTANCE_CHECKER(Stm32mpRisafView, STM32MP_RISAF_VIEW,
                         TYPE_STM32MP_RISAF_VIEW)

struct Stm32mpRisaf {
    Stm32mpRegs parent_obj;

    Stm32mpRisafView view[STM32MP_CIDS];
    AddressSpace downstream_as;
    MemoryRegion *downstream;
    qemu_irq illegal;
    uint32_t regions;
};

static bool stm32mp_risaf_allows(Stm32mpRisaf *s, unsigned cid, hwaddr addr,
                                 bool write, bool secure, bool user)
{
    for (uint32_t n = 0; n < s->regions; n++) {
        const uint32_t *r = STM32MP_REGS(s)->r + n * REGION;
        uint32_t cfg = r[R_REG1_CFGR];
        uint32_t cids = write ? FIELD_EX32(r[R_REG1_CIDCFGR], CIDCFGR, WREN)
                              : FIELD_EX32(r[R_REG1_CIDCFGR], CIDCFGR, RDEN);

        if (!(cfg & R_CFGR_BREN_MASK) || addr < r[R_REG1_STARTR] ||
            addr > (r[R_REG1_ENDR] | (GRANULE - 1))) {
            continue;
        }
        return secure == FIELD_EX32(cfg, CFGR, SEC) &&
               extract32(cids, cid, 1) &&
               !(user && extract32(FIELD_EX32(cfg, CFGR, PRIVC), cid, 1));
    }
    return secure && cid == TRUSTED;
}

static IOMMUTLBEntry stm32mp_risaf_translate(IOMMUMemoryRegion *iommu,
                                             hwaddr addr,
                                             IOMMUAccessFlags flags, int index)
{
    Stm32mpRisafView *v = STM32MP_RISAF_VIEW(iommu);
    Stm32mpRisaf *s = v->risaf;
    bool secure = (index & INDEX_SECURE) && !v->nonsecure;
    bool user = index & INDEX_USER;
    bool all = stm32mp_risaf_allows(s, v->cid, addr, false, secure, user) &&
               stm32mp_risaf_allows(s, v->cid, addr, true, secure, user);

    return (IOMMUTLBEntry) {
        .iova = addr & ~(hwaddr)(GRANULE - 1),
        .translated_addr = addr & ~(hwaddr)(GRANULE - 1),
        .addr_mask = GRANULE - 1,
        .perm = IOMMU_RW,
        .target_as = all ? &s->downstream_as : &v->checked_as,
    };
}

static int stm32mp_risaf_attrs_to_index(IOMMUMemoryRegion *iommu,
                                        MemTxAttrs attrs)
{
    return (attrs.secure ? INDEX_SECURE : 0) | (attrs.user ? INDEX_USER : 0);
}

static int stm32mp_risaf_num_indexes(IOMMUMemoryRegion *iommu)
{
    return INDEXES;
}

/* Whoever has looked an address up has to look again */
static void stm32mp_risaf_changed(Stm32mpRisafView *v)
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

static bool stm32mp_risaf_passes(Stm32mpRisafView *v, hwaddr addr, bool write,
                                 MemTxAttrs attrs)
{
    Stm32mpRisaf *s = v->risaf;
    uint32_t *r = STM32MP_REGS(s)->r;
    bool secure = attrs.secure && !v->nonsecure;

    if (stm32mp_risaf_allows(s, v->cid, addr, write, secure, attrs.user)) {
        return true;
    }
    qemu_log_mask(LOG_GUEST_ERROR, "%s: refuses %ssecure %s of CID %u at "
                  "0x%08" HWADDR_PRIx "\n", STM32MP_REGS(s)->name,
                  secure ? "" : "non-", write ? "write" : "read", v->cid, addr);
    if (!(r[R_IASR] & R_IASR_IAEF0_MASK)) {     /* the first one is kept */
        r[R_IAESR0] = v->cid | !attrs.user << R_IAESR0_IAPRIV_SHIFT |
                      secure << R_IAESR0_IASEC_SHIFT |
                      write << R_IAESR0_IANRW_SHIFT;
        r[R_IADDR0] = addr;
        r[R_IASR] |= R_IASR_IAEF0_MASK;
    }
    qemu_irq_pulse(s->illegal);
    return false;
}

static MemTxResult stm32mp_risaf_checked_read(void *opaque, hwaddr addr,
                                              uint64_t *data, unsigned size,
                                              MemTxAttrs attrs)
{
    Stm32mpRisafView *v = opaque;
    uint8_t buf[8] = { };
    MemTxResult result = MEMTX_OK;

    if (stm32mp_risaf_passes(v, addr, false, attrs)) {
        result = address_space_read(&v->risaf->downstream_as, addr, attrs, buf,
                                    size);
    }
    *data = ldn_le_p(buf, size);
    return result;
}

static MemTxResult stm32mp_risaf_checked_write(void *opaque, hwaddr addr,
                                               uint64_t data, unsigned size,
                                               MemTxAttrs attrs)
{
    Stm32mpRisafView *v = opaque;
    uint8_t buf[8];

    if (!stm32mp_risaf_passes(v, addr, true, attrs)) {
        return MEMTX_OK;
    }
    stn_le_p(buf, size, data);
    return address_space_write(&v->risaf->downstream_as, addr, attrs, buf,
                               size);
}

static const MemoryRegionOps stm32mp_risaf_checked_ops = {
    .read_with_attrs = stm32mp_risaf_checked_read,
    .write_with_attrs = stm32mp_risaf_checked_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .impl.min_access_size = 1,
    .impl.max_access_size = 8,
    .valid.min_access_size = 1,
    .valid.max_access_size = 8,
};

static void stm32mp_risaf_write(Stm32mpRegs *regs, hwaddr addr, uint32_t value,
                                unsigned size)
{
    Stm32mpRisaf *s = STM32MP_RISAF(regs);

    if (addr == A_IACR) {
        regs->r[R_IASR] &= ~value;
    } else if (addr >= A_REG1_CFGR &&
               addr < A_REG1_CFGR + 4 * REGION * s->regions) {
        regs->r[addr / 4] = value;
        for (unsigned cid = 0; cid < STM32MP_CIDS; cid++) {
            stm32mp_risaf_changed(&s->view[cid]);
        }
    }
}

static void stm32mp_risaf_reset(Stm32mpRegs *regs)
{
    Stm32mpRisaf *s = STM32MP_RISAF(regs);

    regs->r[R_HWCFGR] = (32 - ctz32(GRANULE)) << 24 | ctz32(GRANULE) << 16 |
                        2 << 8 | s->regions;
    regs->r[R_VERR] = 0x11;
    for (unsigned cid = 0; cid < STM32MP_CIDS; cid++) {
        stm32mp_risaf_changed(&s->view[cid]);
    }
}

static void stm32mp_risaf_nonsecure(void *opaque, int n, int level)
{
    Stm32mpRisafView *v = &STM32MP_RISAF(opaque)->view[n];

    v->nonsecure = level;
    stm32mp_risaf_changed(v);
}

static void stm32mp_risaf_init(Object *obj)
{
    DeviceState *dev = DEVICE(obj);

    qdev_init_gpio_out_named(dev, &STM32MP_RISAF(obj)->illegal, "illegal", 1);
    qdev_init_gpio_in_named(dev, stm32mp_risaf_nonsecure, "nonsecure",
                            STM32MP_CIDS);
}

static void stm32mp_risaf_realize(DeviceState *dev, Error **errp)
{
    Stm32mpRisaf *s = STM32MP_RISAF(dev);
    DeviceClass *parent = DEVICE_CLASS(
        object_class_by_name(TYPE_STM32MP_REGS));
    uint64_t size = memory_region_size(s->downstream);
    ERRP_GUARD();

    if (!is_power_of_2(size)) {
        error_setg(errp, "a RISAF protects a power of two of bytes, not 0x%"
                   PRIx64, size);
        return;
    }
    parent->realize(dev, errp);
    if (*errp) {
        return;
    }
    address_space_init(&s->downstream_as, s->downstream, "risaf-memory");
    for (unsigned cid = 0; cid < STM32MP_CIDS; cid++) {
        Stm32mpRisafView *v = &s->view[cid];

        memory_region_init_iommu(v, sizeof(*v), TYPE_STM32MP_RISAF_VIEW,
                                 OBJECT(dev), "memory-of-cid", size);
        v->risaf = s;
        v->cid = cid;
        memory_region_init_io(&v->checked, OBJECT(dev),
                              &stm32mp_risaf_checked_ops, v, "risaf-checked",
                              size);
        v->checked.disable_reentrancy_guard = true;
        address_space_init(&v->checked_as, &v->checked, "risaf-checked");
        sysbus_init_mmio(SYS_BUS_DEVICE(dev), MEMORY_REGION(&v->iommu));
    }
}

static int stm32mp_risaf_post_load(void *opaque, int version_id)
{
    for (unsigned cid = 0; cid < STM32MP_CIDS; cid++) {
        stm32mp_risaf_changed(&STM32MP_RISAF(opaque)->view[cid]);
    }
    return 0;
}

static const VMStateDescription vmstate_stm32mp_risaf_view = {
    .name = TYPE_STM32MP_RISAF_VIEW,
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_BOOL(nonsecure, Stm32mpRisafView),
        VMSTATE_END_OF_LIST()
    }
};

static const VMStateDescription vmstate_stm32mp_risaf = {
    .name = TYPE_STM32MP_RISAF,
    .version_id = 1,
    .minimum_version_id = 1,
    .post_load = stm32mp_risaf_post_load,
    .fields = (const VMStateField[]) {
        VMSTATE_STM32MP_REGS(Stm32mpRisaf),
        VMSTATE_STRUCT_ARRAY(view, Stm32mpRisaf, STM32MP_CIDS, 1,
                             vmstate_stm32mp_risaf_view, Stm32mpRisafView),
        VMSTATE_END_OF_LIST()
    }
};

static const Property stm32mp_risaf_properties[] = {
    DEFINE_PROP_LINK("memory", Stm32mpRisaf, downstream, TYPE_MEMORY_REGION,
                     MemoryRegion *),
    DEFINE_PROP_UINT32("regions", Stm32mpRisaf, regions, 16),
};

static void stm32mp_risaf_class_init(ObjectClass *klass, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);
    Stm32mpRegsClass *c = STM32MP_REGS_CLASS(klass);

    dc->realize = stm32mp_risaf_realize;
    dc->vmsd = &vmstate_stm32mp_risaf;
    device_class_set_props(dc, stm32mp_risaf_properties);
    c->size = 0x1000;
    c->write = stm32mp_risaf_write;
    c->reset = stm32mp_risaf_reset;
}

static void stm32mp_risaf_view_class_init(ObjectClass *klass, void *data)
{
    IOMMUMemoryRegionClass *c = IOMMU_MEMORY_REGION_CLASS(klass);

    c->translate = stm32mp_risaf_translate;
    c->attrs_to_index = stm32mp_risaf_attrs_to_index;
    c->num_indexes = stm32mp_risaf_num_indexes;
}

static const TypeInfo stm32mp_risaf_types[] = {
    {
        .name = TYPE_STM32MP_RISAF,
        .parent = TYPE_STM32MP_REGS,
        .instance_size = sizeof(Stm32mpRisaf),
        .instance_init = stm32mp_risaf_init,
        .class_init = stm32mp_risaf_class_init,
    }, {
        .name = TYPE_STM32MP_RISAF_VIEW,
        .parent = TYPE_IOMMU_MEMORY_REGION,
        .instance_size = sizeof(Stm32mpRisafView),
        .class_init = stm32mp_risaf_view_class_init,
    }
};

DEFINE_TYPES(stm32mp_risaf_types)
