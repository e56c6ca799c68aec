/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * STM32MP25 resource isolation: RISAB, the firewall in front of an internal RAM
 *
 * A page of 4 KiB has 8 blocks.  Each block is of one world; with SRWIAD the
 * secure one reads and writes blocks of the other too.  Where a page filters
 * compartments, lists say which of them read and write it, and which must be
 * privileged; else the block says so.
 *
 * Everybody reads the registers.  The trusted domain writes them; who is
 * trusted with a page (DDCID), or anybody where it filters nothing, its worlds
 * and privileges.  What is locked, a page or all, is as it is until a reset;
 * that a page's lock has its bits of the lists as well is an assumption.
 *
 * Ref: RM0457, RISAB: RISAB_CR (0x000), IASR (0x008), IACR (0x00c), RCFGLOCKR
 *      (0x010), IAESR (0x020), IADDR (0x024), PGy_SECCFGR (0x100), PGy_PRIVCFGR
 *      (0x200), CIDxPRIVCFGR, RDCFGR, WRCFGR (0x800 + 0x20 x), PGy_CIDCFGR
 *      (0xa00); OP-TEE core/drivers/firewall/stm32_risab.c; ST's wiki, RISAB
 *      internal peripheral; STM32CubeMP2 stm32mp2xx_hal_rif.h (RIFLOCKR); ST's
 *      SVD file STM32MP25_CM33.svd (GLOCK)
 */

#include "qemu/osdep.h"
#include "hw/qdev-properties.h"
#include "hw/registerfields.h"
#include "hw/stm32mp/stm32mp_memory_firewall.h"

REG32(CR, 0x000)
    FIELD(CR, GLOCK, 0, 1)
    FIELD(CR, SRWIAD, 31, 1)
REG32(IASR, 0x008)
    FIELD(IASR, CAEF, 0, 1)
    FIELD(IASR, IAEF, 1, 1)
REG32(IACR, 0x00c)
REG32(RCFGLOCKR, 0x010)
REG32(IAESR, 0x020)
REG32(IADDR, 0x024)
REG32(PG0_SECCFGR, 0x100)
REG32(PG0_PRIVCFGR, 0x200)
REG32(CID0_PRIVCFGR, 0x800)
REG32(CID0_RDCFGR, 0x808)
REG32(CID0_WRCFGR, 0x810)
REG32(PG0_CIDCFGR, 0xa00)
    FIELD(CIDCFGR, CFEN, 0, 1)
    FIELD(CIDCFGR, DCEN, 2, 1)
    FIELD(CIDCFGR, DDCID, 4, 3)
REG32(PG_END, 0xa80)
REG32(VERR, 0xff4)

#define PAGE 0x1000
#define PAGES 32
#define BLOCK 0x200
#define BLOCKS_MASK 0xff
#define CID 8                   /* registers from one compartment to the next */

OBJECT_DECLARE_SIMPLE_TYPE(Stm32mpRisab, STM32MP_RISAB)

struct Stm32mpRisab {
    Stm32mpMemoryFirewall parent_obj;

    uint32_t base;
    bool secure;
};

static bool stm32mp_risab_allows(Stm32mpMemoryFirewall *s,
                                 const Stm32mpAccess *access)
{
    const uint32_t *r = STM32MP_REGS(s)->r;
    unsigned page = access->addr / PAGE, block = access->addr % PAGE / BLOCK;
    const uint32_t *lists = r + CID * access->cid;
    bool secure = extract32(r[R_PG0_SECCFGR + page], block, 1);

    if (access->secure != secure &&
        !(access->secure && (r[R_CR] & R_CR_SRWIAD_MASK))) {
        return false;
    }
    if (!(r[R_PG0_CIDCFGR + page] & R_CIDCFGR_CFEN_MASK)) {
        return !(access->user &&
                 extract32(r[R_PG0_PRIVCFGR + page], block, 1));
    }
    return extract32(lists[access->write ? R_CID0_WRCFGR : R_CID0_RDCFGR],
                     page, 1) &&
           !(access->user && extract32(lists[R_CID0_PRIVCFGR], page, 1));
}

static void stm32mp_risab_record(Stm32mpMemoryFirewall *s,
                                 const Stm32mpAccess *access)
{
    uint32_t *r = STM32MP_REGS(s)->r;

    if (!(r[R_IASR] & R_IASR_IAEF_MASK)) {      /* the first one is kept */
        r[R_IAESR] = stm32mp_memory_firewall_status(access);
        r[R_IADDR] = STM32MP_RISAB(s)->base + access->addr;
        r[R_IASR] |= R_IASR_IAEF_MASK;
    }
}

/* Whether who asks may say of which world a page's blocks are, and so on */
static bool stm32mp_risab_page_is_his(const Stm32mpRegs *regs, unsigned page)
{
    uint32_t cid = regs->r[R_PG0_CIDCFGR + page];

    return !(cid & R_CIDCFGR_CFEN_MASK) ||
           ((cid & R_CIDCFGR_DCEN_MASK) &&
            FIELD_EX32(cid, CIDCFGR, DDCID) == stm32mp_regs_cid(regs));
}

static bool stm32mp_risab_may_write(const Stm32mpRegs *regs, hwaddr addr)
{
    unsigned page = addr / 4 % PAGES;

    if (stm32mp_regs_trusted(regs)) {
        return true;
    }
    if (regs->attrs.user || !stm32mp_risab_page_is_his(regs, page)) {
        return false;
    }
    if (addr >= A_PG0_SECCFGR && addr < A_PG0_SECCFGR + 4 * PAGES) {
        return regs->attrs.secure;
    }
    return addr >= A_PG0_PRIVCFGR && addr < A_PG0_PRIVCFGR + 4 * PAGES &&
           (regs->attrs.secure || !regs->r[R_PG0_SECCFGR + page]);
}

static bool stm32mp_risab_refuses(Stm32mpRegs *regs, hwaddr addr, bool write)
{
    bool refuses = write && !stm32mp_risab_may_write(regs, addr);

    if (refuses) {
        regs->r[R_IASR] |= R_IASR_CAEF_MASK;
    }
    return refuses;
}

/* The bits of a word that no lock has, those of the locks among them */
static uint32_t stm32mp_risab_mask(Stm32mpRegs *regs, hwaddr addr, bool write)
{
    uint32_t locks = regs->r[R_RCFGLOCKR];

    if (!write || addr == A_IACR) {
        return UINT32_MAX;
    }
    if (FIELD_EX32(regs->r[R_CR], CR, GLOCK)) {
        return 0;
    }
    switch (addr) {
    case A_RCFGLOCKR:
    case A_CID0_PRIVCFGR ... A_PG0_CIDCFGR - 1:         /* a bit each page */
        return ~locks;
    case A_PG0_SECCFGR ... A_PG0_SECCFGR + 4 * PAGES - 1:
    case A_PG0_PRIVCFGR ... A_PG0_PRIVCFGR + 4 * PAGES - 1:
    case A_PG0_CIDCFGR ... A_PG_END - 1:
        return extract32(locks, addr / 4 % PAGES, 1) ? 0 : UINT32_MAX;
    }
    return UINT32_MAX;
}

static void stm32mp_risab_write(Stm32mpRegs *regs, hwaddr addr, uint32_t value,
                                unsigned size)
{
    switch (addr) {
    case A_IACR:
        regs->r[R_IASR] &= ~value;
        return;
    case A_PG0_SECCFGR ... A_PG0_SECCFGR + 4 * PAGES - 1:
    case A_PG0_PRIVCFGR ... A_PG0_PRIVCFGR + 4 * PAGES - 1:
        value &= BLOCKS_MASK;
        break;
    case A_CR:
    case A_RCFGLOCKR:
    case A_CID0_PRIVCFGR ... A_PG_END - 1:
        break;
    default:
        return;
    }
    regs->r[addr / 4] = value;
    stm32mp_memory_firewall_changed(STM32MP_MEMORY_FIREWALL(regs));
}

static void stm32mp_risab_reset(Stm32mpRegs *regs)
{
    if (STM32MP_RISAB(regs)->secure) {
        for (unsigned page = 0; page < PAGES; page++) {
            regs->r[R_PG0_SECCFGR + page] = BLOCKS_MASK;
        }
    }
    regs->r[R_VERR] = 0x11;
    stm32mp_memory_firewall_changed(STM32MP_MEMORY_FIREWALL(regs));
}

static const VMStateDescription vmstate_stm32mp_risab = {
    .name = TYPE_STM32MP_RISAB,
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_STM32MP_MEMORY_FIREWALL(Stm32mpRisab),
        VMSTATE_END_OF_LIST()
    }
};

static const Property stm32mp_risab_properties[] = {
    DEFINE_PROP_UINT32("base", Stm32mpRisab, base, 0),
    DEFINE_PROP_BOOL("secure", Stm32mpRisab, secure, false),
};

static void stm32mp_risab_class_init(ObjectClass *klass, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);
    Stm32mpRegsClass *regs = STM32MP_REGS_CLASS(klass);
    Stm32mpMemoryFirewallClass *c = STM32MP_MEMORY_FIREWALL_CLASS(klass);

    dc->vmsd = &vmstate_stm32mp_risab;
    device_class_set_props(dc, stm32mp_risab_properties);
    regs->refuses = stm32mp_risab_refuses;
    regs->mask = stm32mp_risab_mask;
    regs->write = stm32mp_risab_write;
    regs->reset = stm32mp_risab_reset;
    c->granule = BLOCK;
    c->allows = stm32mp_risab_allows;
    c->record = stm32mp_risab_record;
}

static const TypeInfo stm32mp_risab_types[] = {
    {
        .name = TYPE_STM32MP_RISAB,
        .parent = TYPE_STM32MP_MEMORY_FIREWALL,
        .instance_size = sizeof(Stm32mpRisab),
        .class_init = stm32mp_risab_class_init,
    }
};

DEFINE_TYPES(stm32mp_risab_types)
