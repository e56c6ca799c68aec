/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * STM32MP25 resource isolation: RISAF, the firewall in front of an external
 * memory
 *
 * Regions say which compartments (CID) read and write them, and in which
 * world.  What no region covers belongs to the trusted domain's secure world.
 * Everybody reads the registers, the trusted domain writes them.
 *
 * Encryption, subregions and delegation are not modelled.
 *
 * Ref: RM0457, RISAF: RISAF_IASR (0x008), IACR (0x00c), IAESR0 (0x020), IADDR0
 *      (0x024), RISAF_REGx_CFGR, STARTR, ENDR, CIDCFGR (0x040 x), HWCFGR
 *      (0xff0); OP-TEE core/drivers/firewall/stm32_risaf.c; ST's wiki, RISAF
 *      internal peripheral
 */

#include "qemu/osdep.h"
#include "hw/qdev-properties.h"
#include "hw/registerfields.h"
#include "hw/stm32mp/stm32mp_memory_firewall.h"

REG32(IASR, 0x008)
    FIELD(IASR, CAEF, 0, 1)
    FIELD(IASR, IAEF0, 1, 1)
REG32(IACR, 0x00c)
REG32(IAESR0, 0x020)
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

OBJECT_DECLARE_SIMPLE_TYPE(Stm32mpRisaf, STM32MP_RISAF)

struct Stm32mpRisaf {
    Stm32mpMemoryFirewall parent_obj;

    uint32_t regions;
};

static bool stm32mp_risaf_allows(Stm32mpMemoryFirewall *s,
                                 const Stm32mpAccess *access)
{
    for (uint32_t n = 0; n < STM32MP_RISAF(s)->regions; n++) {
        const uint32_t *r = STM32MP_REGS(s)->r + n * REGION;
        uint32_t cfg = r[R_REG1_CFGR];
        uint32_t cids = access->write
                        ? FIELD_EX32(r[R_REG1_CIDCFGR], CIDCFGR, WREN)
                        : FIELD_EX32(r[R_REG1_CIDCFGR], CIDCFGR, RDEN);

        if (!(cfg & R_CFGR_BREN_MASK) || access->addr < r[R_REG1_STARTR] ||
            access->addr > (r[R_REG1_ENDR] | (GRANULE - 1))) {
            continue;
        }
        return access->secure == FIELD_EX32(cfg, CFGR, SEC) &&
               extract32(cids, access->cid, 1) &&
               !(access->user &&
                 extract32(FIELD_EX32(cfg, CFGR, PRIVC), access->cid, 1));
    }
    return access->secure && access->cid == STM32MP_CID_TRUSTED;
}

static void stm32mp_risaf_record(Stm32mpMemoryFirewall *s,
                                 const Stm32mpAccess *access)
{
    uint32_t *r = STM32MP_REGS(s)->r;

    if (!(r[R_IASR] & R_IASR_IAEF0_MASK)) {     /* the first one is kept */
        r[R_IAESR0] = stm32mp_memory_firewall_status(access);
        r[R_IADDR0] = access->addr;
        r[R_IASR] |= R_IASR_IAEF0_MASK;
    }
}

static bool stm32mp_risaf_refuses(Stm32mpRegs *regs, hwaddr addr, bool write)
{
    bool refuses = write && !stm32mp_regs_trusted(regs);

    if (refuses) {
        regs->r[R_IASR] |= R_IASR_CAEF_MASK;
    }
    return refuses;
}

static void stm32mp_risaf_write(Stm32mpRegs *regs, hwaddr addr, uint32_t value,
                                unsigned size)
{
    Stm32mpRisaf *s = STM32MP_RISAF(regs);

    if (addr == A_IACR) {
        regs->r[R_IASR] &= ~value;
    } else if (addr >= A_REG1_CFGR &&
               addr < A_REG1_CFGR + 4 * REGION * s->regions) {
        regs->r[addr / 4] = value;
        stm32mp_memory_firewall_changed(STM32MP_MEMORY_FIREWALL(regs));
    }
}

static void stm32mp_risaf_reset(Stm32mpRegs *regs)
{
    regs->r[R_HWCFGR] = (32 - ctz32(GRANULE)) << 24 | ctz32(GRANULE) << 16 |
                        2 << 8 | STM32MP_RISAF(regs)->regions;
    regs->r[R_VERR] = 0x11;
    stm32mp_memory_firewall_changed(STM32MP_MEMORY_FIREWALL(regs));
}

static const VMStateDescription vmstate_stm32mp_risaf = {
    .name = TYPE_STM32MP_RISAF,
    .version_id = 2,
    .minimum_version_id = 2,
    .fields = (const VMStateField[]) {
        VMSTATE_STM32MP_MEMORY_FIREWALL(Stm32mpRisaf),
        VMSTATE_END_OF_LIST()
    }
};

static const Property stm32mp_risaf_properties[] = {
    DEFINE_PROP_UINT32("regions", Stm32mpRisaf, regions, 16),
};

static void stm32mp_risaf_class_init(ObjectClass *klass, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);
    Stm32mpRegsClass *regs = STM32MP_REGS_CLASS(klass);
    Stm32mpMemoryFirewallClass *c = STM32MP_MEMORY_FIREWALL_CLASS(klass);

    dc->vmsd = &vmstate_stm32mp_risaf;
    device_class_set_props(dc, stm32mp_risaf_properties);
    regs->refuses = stm32mp_risaf_refuses;
    regs->write = stm32mp_risaf_write;
    regs->reset = stm32mp_risaf_reset;
    c->granule = GRANULE;
    c->allows = stm32mp_risaf_allows;
    c->record = stm32mp_risaf_record;
}

static const TypeInfo stm32mp_risaf_types[] = {
    {
        .name = TYPE_STM32MP_RISAF,
        .parent = TYPE_STM32MP_MEMORY_FIREWALL,
        .instance_size = sizeof(Stm32mpRisaf),
        .class_init = stm32mp_risaf_class_init,
    }
};

DEFINE_TYPES(stm32mp_risaf_types)
