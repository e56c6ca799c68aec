/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * STM32MP25 blocks that are storage behind filters of their own: HPDMA, HSEM,
 * PWR, TAMP
 *
 * Of PWR's resources those of the wake-up pins are filtered; which registers
 * the others have is in no public source.
 *
 * Ref: OP-TEE core/drivers/stm32_hpdma.c, stm32_hsem.c, stm32_tamp.c; TF-A
 *      include/drivers/st/stm32mp2_pwr.h: PWR_WKUPCR1 (0x60), PWR_RSECCFGR
 *      (0x100), PWR_WIOSECCFGR (0x180); Linux drivers/dma/stm32/stm32-dma3.c:
 *      STM32_DMA3_CLBAR (0x50 + 0x80 x)
 */

#include "qemu/osdep.h"
#include "hw/registerfields.h"
#include "hw/stm32mp/stm32mp.h"
#include "hw/stm32mp/stm32mp_rif.h"

#define NONE STM32MP_RIF_NONE

#define TYPE_STM32MP25_ISOLATED "stm32mp25-isolated"
typedef struct Stm32mp25IsolatedClass Stm32mp25IsolatedClass;
DECLARE_CLASS_CHECKERS(Stm32mp25IsolatedClass, STM32MP25_ISOLATED,
                       TYPE_STM32MP25_ISOLATED)

/* @allows: whether who asks may access a word that is none of @rif's */
struct Stm32mp25IsolatedClass {
    Stm32mpRegsClass parent_class;

    const Stm32mpRif *rif;
    unsigned n_rif;
    bool (*allows)(const Stm32mpRegs *s, hwaddr addr, bool write);
};

static const Stm32mpRif *stm32mp25_isolated_rif(Stm32mpRegs *s, hwaddr addr)
{
    Stm32mp25IsolatedClass *c = STM32MP25_ISOLATED_GET_CLASS(s);

    for (unsigned i = 0; i < c->n_rif; i++) {
        if (stm32mp_rif_has(&c->rif[i], addr)) {
            return &c->rif[i];
        }
    }
    return NULL;
}

static bool stm32mp25_isolated_refuses(Stm32mpRegs *s, hwaddr addr, bool write)
{
    Stm32mp25IsolatedClass *c = STM32MP25_ISOLATED_GET_CLASS(s);
    const Stm32mpRif *rif = stm32mp25_isolated_rif(s, addr);

    return rif ? stm32mp_rif_refuses(s, rif, addr, write)
               : !c->allows(s, addr, write);
}

static uint32_t stm32mp25_isolated_mask(Stm32mpRegs *s, hwaddr addr, bool write)
{
    const Stm32mpRif *rif = stm32mp25_isolated_rif(s, addr);

    return rif ? stm32mp_rif_mask(s, rif, addr, write) : UINT32_MAX;
}

static void stm32mp25_isolated_write(Stm32mpRegs *s, hwaddr addr,
                                     uint32_t value, unsigned size)
{
    const Stm32mpRif *rif = stm32mp25_isolated_rif(s, addr);

    if (rif) {
        stm32mp_rif_write(s, rif, addr, value);
    } else {
        s->r[addr / 4] = value;
    }
}

/* HPDMA: 16 channels */
#define HPDMA_CHANNELS 0x50
#define HPDMA_CHANNEL 0x80
static const Stm32mpRif hpdma_rif[] = {
    { .seccfgr = 0x0, .privcfgr = 0x4, .rcfglockr = 0x8, .cidcfgr = 0x54,
      .stride = HPDMA_CHANNEL, .n = 16, .semaphores = true },
};

static bool hpdma_allows(const Stm32mpRegs *s, hwaddr addr, bool write)
{
    unsigned n = (addr - HPDMA_CHANNELS) / HPDMA_CHANNEL;

    return addr < HPDMA_CHANNELS || n >= hpdma_rif->n ||
           stm32mp_rif_owns(s, hpdma_rif, n);
}

/*
 * HSEM: 16 semaphores, and the interrupts of 3 processors, each a compartment;
 * a group of 4 semaphores lists which of the processors use it
 */
REG32(HSEM_RLR0, 0x80)
REG32(HSEM_C1IER, 0x100)
REG32(HSEM_CR, 0x140)
REG32(HSEM_C1CIDCFGR, 0x220)
REG32(HSEM_G0CIDCFGR, 0x240)
    FIELD(HSEM_G0CIDCFGR, SEM_WLIST_C, 16, 3)
#define HSEM_PROCESSORS 3
#define HSEM_GROUP 4

static const Stm32mpRif hsem_rif[] = {
    { .seccfgr = 0x200, .privcfgr = 0x210, .rcfglockr = NONE, .cidcfgr = NONE,
      .n = 16 },
    { .seccfgr = NONE, .privcfgr = NONE, .rcfglockr = NONE,
      .cidcfgr = A_HSEM_C1CIDCFGR, .stride = 4, .n = HSEM_PROCESSORS },
    { .seccfgr = NONE, .privcfgr = NONE, .rcfglockr = NONE,
      .cidcfgr = A_HSEM_G0CIDCFGR, .stride = 4, .n = 16 / HSEM_GROUP },
};

static bool hsem_group_lets_in(const Stm32mpRegs *s, unsigned group)
{
    uint32_t cfg = s->r[R_HSEM_G0CIDCFGR + group];
    uint32_t listed = FIELD_EX32(cfg, HSEM_G0CIDCFGR, SEM_WLIST_C);

    for (unsigned p = 0; p < HSEM_PROCESSORS; p++) {
        if (extract32(listed, p, 1) && stm32mp_rif_owns(s, &hsem_rif[1], p)) {
            return true;
        }
    }
    return !(cfg & 1);
}

static bool hsem_allows(const Stm32mpRegs *s, hwaddr addr, bool write)
{
    unsigned n = addr % A_HSEM_RLR0 / 4;

    if (addr < A_HSEM_C1IER) {
        return n >= hsem_rif->n || (stm32mp_rif_owns(s, hsem_rif, n) &&
                                    hsem_group_lets_in(s, n / HSEM_GROUP));
    }
    n = (addr - A_HSEM_C1IER) / 0x10;
    return n >= HSEM_PROCESSORS || stm32mp_rif_owns(s, &hsem_rif[1], n);
}

/* PWR: 7 resources, and 6 wake-up pins */
#define PWR_WKUPCR1 0x60
static const Stm32mpRif pwr_rif[] = {
    { .seccfgr = 0x100, .privcfgr = 0x104, .rcfglockr = NONE, .cidcfgr = 0x108,
      .stride = 4, .n = 7 },
    { .seccfgr = 0x180, .privcfgr = 0x184, .rcfglockr = NONE, .cidcfgr = 0x188,
      .stride = 8, .n = 6, .semaphores = true },
};

static bool pwr_allows(const Stm32mpRegs *s, hwaddr addr, bool write)
{
    unsigned pin = (addr - PWR_WKUPCR1) / 4;

    return addr < PWR_WKUPCR1 || pin >= pwr_rif[1].n ||
           stm32mp_rif_owns(s, &pwr_rif[1], pin);
}

/*
 * TAMP: the tamper detection, two counters and the backup registers, which are
 * in three zones: the secure world's; which it alone writes; everybody's.  The
 * second and the third resource have a part of each, as a compartment of the
 * first or the second counter; of the third zone a part is nobody's.
 */
REG32(TAMP_SECCFGR, 0x20)
    FIELD(TAMP_SECCFGR, BKPRWSEC, 0, 8)
    FIELD(TAMP_SECCFGR, BKPWSEC, 16, 8)
REG32(TAMP_PRIVCFGR, 0x24)
    FIELD(TAMP_PRIVCFGR, BKPRWPRIV, 29, 1)
    FIELD(TAMP_PRIVCFGR, BKPWPRIV, 30, 1)
REG32(TAMP_COUNTR, 0x40)
REG32(TAMP_COUNT2R, 0x44)
REG32(TAMP_BKPRIFR1, 0x70)
REG32(TAMP_BKPRIFR2, 0x74)
REG32(TAMP_BKPRIFR3, 0x78)
    FIELD(TAMP_BKPRIFR3, FREE, 0, 8)
    FIELD(TAMP_BKPRIFR3, SECOND, 16, 8)
REG32(TAMP_CIDCFGR0, 0x80)
REG32(TAMP_BKP0R, 0x100)
#define TAMP_BACKUPS 128

static const uint8_t tamp_bits[] = { 31, 15, 14 };
static const Stm32mpRif tamp_rif[] = {
    { .seccfgr = A_TAMP_SECCFGR, .privcfgr = A_TAMP_PRIVCFGR,
      .rcfglockr = NONE, .cidcfgr = A_TAMP_CIDCFGR0, .stride = 4,
      .n = ARRAY_SIZE(tamp_bits), .bits = tamp_bits },
};

static bool tamp_is_compartment(const Stm32mpRegs *s, unsigned resource)
{
    return stm32mp_regs_owns(s, s->r[R_TAMP_CIDCFGR0 + resource], 0);
}

static bool tamp_backup_allows(const Stm32mpRegs *s, unsigned n, bool write)
{
    const uint32_t *r = s->r;
    uint32_t sec = r[R_TAMP_SECCFGR], priv = r[R_TAMP_PRIVCFGR];

    if (n < FIELD_EX32(sec, TAMP_SECCFGR, BKPRWSEC)) {
        return s->attrs.secure &&
               !(s->attrs.user &&
                 FIELD_EX32(priv, TAMP_PRIVCFGR, BKPRWPRIV)) &&
               tamp_is_compartment(s, n < r[R_TAMP_BKPRIFR1] ? 1 : 2);
    }
    if (n < FIELD_EX32(sec, TAMP_SECCFGR, BKPWSEC)) {
        bool writes = s->attrs.secure &&
                      !(s->attrs.user &&
                        FIELD_EX32(priv, TAMP_PRIVCFGR, BKPWPRIV));

        return (!write || writes) &&
               tamp_is_compartment(s, n < r[R_TAMP_BKPRIFR2] ? 1 : 2);
    }
    if (n < FIELD_EX32(r[R_TAMP_BKPRIFR3], TAMP_BKPRIFR3, FREE)) {
        return tamp_is_compartment(s, 1);
    }
    return n < FIELD_EX32(r[R_TAMP_BKPRIFR3], TAMP_BKPRIFR3, SECOND) ||
           tamp_is_compartment(s, 2);
}

static bool tamp_allows(const Stm32mpRegs *s, hwaddr addr, bool write)
{
    unsigned backup = (addr - A_TAMP_BKP0R) / 4;

    switch (addr) {
    case A_TAMP_COUNTR:
        return stm32mp_rif_owns(s, tamp_rif, 1);
    case A_TAMP_COUNT2R:
        return stm32mp_rif_owns(s, tamp_rif, 2);
    case A_TAMP_BKPRIFR1 ... A_TAMP_BKPRIFR3:
        return !write || stm32mp_regs_trusted(s);
    }
    if (addr < A_TAMP_BKPRIFR1) {
        return stm32mp_rif_owns(s, tamp_rif, 0);
    }
    return addr < A_TAMP_BKP0R || backup >= TAMP_BACKUPS ||
           tamp_backup_allows(s, backup, write);
}

static void stm32mp25_isolated_class_init(ObjectClass *klass, void *data)
{
    Stm32mpRegsClass *c = STM32MP_REGS_CLASS(klass);

    c->refuses = stm32mp25_isolated_refuses;
    c->mask = stm32mp25_isolated_mask;
    c->write = stm32mp25_isolated_write;
}

#define ISOLATED_CLASS_INIT(_block)                                     \
static void _block##_class_init(ObjectClass *klass, void *data)         \
{                                                                       \
    Stm32mp25IsolatedClass *c = STM32MP25_ISOLATED_CLASS(klass);        \
                                                                        \
    c->rif = _block##_rif;                                              \
    c->n_rif = ARRAY_SIZE(_block##_rif);                                \
    c->allows = _block##_allows;                                        \
}
ISOLATED_CLASS_INIT(hpdma)
ISOLATED_CLASS_INIT(hsem)
ISOLATED_CLASS_INIT(pwr)
ISOLATED_CLASS_INIT(tamp)

static const TypeInfo stm32mp25_isolated_types[] = {
    {
        .name = TYPE_STM32MP25_ISOLATED,
        .parent = TYPE_STM32MP_REGS,
        .abstract = true,
        .class_size = sizeof(Stm32mp25IsolatedClass),
        .class_init = stm32mp25_isolated_class_init,
    }, {
        .name = TYPE_STM32MP25_HPDMA,
        .parent = TYPE_STM32MP25_ISOLATED,
        .class_init = hpdma_class_init,
    }, {
        .name = TYPE_STM32MP25_HSEM,
        .parent = TYPE_STM32MP25_ISOLATED,
        .class_init = hsem_class_init,
    }, {
        .name = TYPE_STM32MP25_PWR,
        .parent = TYPE_STM32MP25_ISOLATED,
        .class_init = pwr_class_init,
    }, {
        .name = TYPE_STM32MP25_TAMP,
        .parent = TYPE_STM32MP25_ISOLATED,
        .class_init = tamp_class_init,
    }
};

DEFINE_TYPES(stm32mp25_isolated_types)
