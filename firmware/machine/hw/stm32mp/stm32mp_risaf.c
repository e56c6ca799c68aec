/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * STM32MP25 resource isolation: RISAF, the firewall in front of an external
 * memory
 *
 * Regions say which compartments (CID) read and write them, and in which
 * world.  What no region covers belongs to the trusted domain's secure world.
 * A region has two subregions, each of one compartment: a part with rights of
 * its own.  That these are in place of the region's, that a part of both is of
 * either, and that a subregion of a region that is off is none, are assumptions.
 *
 * Everybody reads the registers, the trusted domain writes them, and a
 * subregion's the compartment that it is delegated to: privileged software, in
 * a secure region secure one.  What is locked, a subregion or all, is as it is
 * until a reset.  That a subregion may be locked before all is an assumption:
 * ST's SVD file denies it, ST's HAL does it.
 *
 * Encryption is not modelled.
 *
 * Ref: RM0457, RISAF: RISAF_CR (0x000), IASR (0x008), IACR (0x00c), IAESR0
 *      (0x020), IADDR0 (0x024), RISAF_REGx_CFGR, STARTR, ENDR, CIDCFGR (0x040
 *      x), RISAF_REGx_zCFGR, zSTARTR, zENDR, zNESTR (0x040 x + 0x10, 0x20),
 *      HWCFGR (0xff0); OP-TEE core/drivers/firewall/stm32_risaf.c, ST's for the
 *      subregions; ST's wiki, RISAF internal peripheral; ST's SVD file
 *      STM32MP25_CM33.svd; STM32CubeMP2 stm32mp2xx_hal_rif.c
 */

#include "qemu/osdep.h"
#include "hw/qdev-properties.h"
#include "hw/registerfields.h"
#include "hw/stm32mp/stm32mp_memory_firewall.h"

REG32(CR, 0x000)
    FIELD(CR, GLOCK, 0, 1)
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
REG32(HWCFGR, 0xff0)
REG32(VERR, 0xff4)

#define REGION 0x10             /* registers from one region to the next */
#define SUBREGION 0x4
#define GRANULE 0x1000

/* Registers of a region, or of one of its subregions, in their order */
enum { CFGR, STARTR, ENDR, CIDCFGR, NESTR = CIDCFGR };
FIELD(CIDCFGR, RDEN, 0, 8)
FIELD(CIDCFGR, WREN, 16, 8)
FIELD(ZCFGR, SREN, 0, 1)
FIELD(ZCFGR, RLOCK, 1, 1)
FIELD(ZCFGR, SRCID, 4, 3)
FIELD(ZCFGR, SEC, 8, 1)
FIELD(ZCFGR, PRIV, 9, 1)
FIELD(ZCFGR, RDEN, 12, 1)
FIELD(ZCFGR, WREN, 13, 1)
FIELD(NESTR, DCEN, 2, 1)
FIELD(NESTR, DCCID, 4, 3)

OBJECT_DECLARE_SIMPLE_TYPE(Stm32mpRisaf, STM32MP_RISAF)

struct Stm32mpRisaf {
    Stm32mpMemoryFirewall parent_obj;

    uint32_t regions;
};

/* Of a region or subregion */
static bool stm32mp_risaf_covers(const uint32_t *r, hwaddr addr)
{
    return addr >= r[STARTR] && addr <= (r[ENDR] | (GRANULE - 1));
}

/* What a region is not, secure or privileged, none of its subregions is */
static bool stm32mp_risaf_subregion_allows(const uint32_t *region,
                                           const uint32_t *z,
                                           const Stm32mpAccess *access)
{
    uint32_t cfg = z[CFGR], privileged = FIELD_EX32(region[CFGR], CFGR, PRIVC);

    return access->cid == FIELD_EX32(cfg, ZCFGR, SRCID) &&
           access->secure == (FIELD_EX32(cfg, ZCFGR, SEC) &&
                              FIELD_EX32(region[CFGR], CFGR, SEC)) &&
           (access->write ? FIELD_EX32(cfg, ZCFGR, WREN)
                          : FIELD_EX32(cfg, ZCFGR, RDEN)) &&
           !(access->user && FIELD_EX32(cfg, ZCFGR, PRIV) &&
             extract32(privileged, access->cid, 1));
}

/* Whether subregions have the address; if so, @allows */
static bool stm32mp_risaf_in_subregion(const uint32_t *region,
                                       const Stm32mpAccess *access,
                                       bool *allows)
{
    bool found = false;

    *allows = false;
    for (unsigned n = 1; n <= 2; n++) {
        const uint32_t *z = region + n * SUBREGION;

        if (FIELD_EX32(z[CFGR], ZCFGR, SREN) &&
            stm32mp_risaf_covers(z, access->addr)) {
            found = true;
            *allows |= stm32mp_risaf_subregion_allows(region, z, access);
        }
    }
    return found;
}

static bool stm32mp_risaf_allows(Stm32mpMemoryFirewall *s,
                                 const Stm32mpAccess *access)
{
    for (uint32_t n = 0; n < STM32MP_RISAF(s)->regions; n++) {
        const uint32_t *r = STM32MP_REGS(s)->r + R_REG1_CFGR + n * REGION;
        uint32_t cfg = r[CFGR];
        uint32_t cids = access->write
                        ? FIELD_EX32(r[CIDCFGR], CIDCFGR, WREN)
                        : FIELD_EX32(r[CIDCFGR], CIDCFGR, RDEN);
        bool allows;

        if (!(cfg & R_CFGR_BREN_MASK) ||
            !stm32mp_risaf_covers(r, access->addr)) {
            continue;
        }
        if (stm32mp_risaf_in_subregion(r, access, &allows)) {
            return allows;
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

/* The first register of the subregion that a word is of, or NULL */
static const uint32_t *stm32mp_risaf_subregion(const Stm32mpRegs *regs,
                                               hwaddr addr)
{
    unsigned word = addr / 4 - R_REG1_CFGR, at = word % REGION;

    return addr >= A_REG1_CFGR &&
           word < REGION * STM32MP_RISAF(regs)->regions &&
           at >= SUBREGION && at < 3 * SUBREGION
           ? regs->r + addr / 4 / SUBREGION * SUBREGION : NULL;
}

static bool stm32mp_risaf_is_delegated(const Stm32mpRegs *regs, hwaddr addr)
{
    const uint32_t *z = stm32mp_risaf_subregion(regs, addr);
    const uint32_t *region = regs->r + addr / 4 / REGION * REGION;

    return z && addr / 4 % SUBREGION != NESTR &&
           FIELD_EX32(z[NESTR], NESTR, DCEN) &&
           FIELD_EX32(z[NESTR], NESTR, DCCID) == stm32mp_regs_cid(regs) &&
           !regs->attrs.user &&
           (regs->attrs.secure || !FIELD_EX32(region[CFGR], CFGR, SEC));
}

/* The bits of a word that no lock has, and that are not of the secure world */
static uint32_t stm32mp_risaf_mask(Stm32mpRegs *regs, hwaddr addr, bool write)
{
    const uint32_t *z = stm32mp_risaf_subregion(regs, addr);

    if (!write || addr == A_IACR) {
        return UINT32_MAX;
    }
    if (FIELD_EX32(regs->r[R_CR], CR, GLOCK) ||
        (z && FIELD_EX32(z[CFGR], ZCFGR, RLOCK))) {
        return 0;
    }
    return z && addr / 4 % SUBREGION == CFGR && !regs->attrs.secure
           ? ~R_ZCFGR_SEC_MASK : UINT32_MAX;
}

static bool stm32mp_risaf_refuses(Stm32mpRegs *regs, hwaddr addr, bool write)
{
    bool refuses = write && !stm32mp_regs_trusted(regs) &&
                   !stm32mp_risaf_is_delegated(regs, addr);

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
    } else if (addr == A_CR) {
        regs->r[R_CR] = value & R_CR_GLOCK_MASK;
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
    regs->mask = stm32mp_risaf_mask;
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
