/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * STM32MP25: isolation of the resources of a block, in the block itself
 */

#include "qemu/osdep.h"
#include "hw/stm32mp/stm32mp_rif.h"

static uint32_t stm32mp_rif_bit(const Stm32mpRif *rif, unsigned n)
{
    return 1u << (rif->bits ? rif->bits[n] : n);
}

/* The resource whose CIDCFGR the word is; with @after, whose SEMCR; or -1 */
static int stm32mp_rif_resource(const Stm32mpRif *rif, hwaddr addr,
                                unsigned after)
{
    hwaddr first = rif->cidcfgr + after;

    if (rif->cidcfgr == STM32MP_RIF_NONE || addr < first ||
        addr >= first + rif->n * rif->stride ||
        (addr - first) % rif->stride) {
        return -1;
    }
    return (addr - first) / rif->stride;
}

static bool stm32mp_rif_is_semaphore(const Stm32mpRif *rif, hwaddr addr)
{
    return rif->semaphores && stm32mp_rif_resource(rif, addr, 4) >= 0;
}

static bool stm32mp_rif_is_set(const Stm32mpRegs *s, uint16_t reg, uint32_t bit)
{
    return reg != STM32MP_RIF_NONE && (s->r[reg / 4] & bit);
}

bool stm32mp_rif_owns(const Stm32mpRegs *s, const Stm32mpRif *rif, unsigned n)
{
    uint32_t bit = stm32mp_rif_bit(rif, n);
    const uint32_t *cid;

    if ((!s->attrs.secure && stm32mp_rif_is_set(s, rif->seccfgr, bit)) ||
        (s->attrs.user && stm32mp_rif_is_set(s, rif->privcfgr, bit))) {
        return false;
    }
    if (rif->cidcfgr == STM32MP_RIF_NONE) {
        return true;
    }
    cid = &s->r[(rif->cidcfgr + n * rif->stride) / 4];
    return stm32mp_regs_owns(s, cid[0], rif->semaphores ? cid[1] : 0);
}

bool stm32mp_rif_has(const Stm32mpRif *rif, hwaddr addr)
{
    return addr == rif->seccfgr || addr == rif->privcfgr ||
           addr == rif->rcfglockr || stm32mp_rif_resource(rif, addr, 0) >= 0 ||
           stm32mp_rif_is_semaphore(rif, addr);
}

bool stm32mp_rif_refuses(const Stm32mpRegs *s, const Stm32mpRif *rif,
                         hwaddr addr, bool write)
{
    if (!write || stm32mp_regs_trusted(s) ||
        stm32mp_rif_is_semaphore(rif, addr)) {
        return false;
    }
    if (addr == rif->seccfgr) {
        return !s->attrs.secure || s->attrs.user;
    }
    return addr != rif->privcfgr || s->attrs.user;
}

uint32_t stm32mp_rif_mask(const Stm32mpRegs *s, const Stm32mpRif *rif,
                          hwaddr addr, bool write)
{
    bool trusted = stm32mp_regs_trusted(s);
    int n = stm32mp_rif_resource(rif, addr, 0);
    uint32_t mask;

    if (!write) {
        return UINT32_MAX;
    }
    if (n >= 0) {
        return stm32mp_rif_is_set(s, rif->rcfglockr, stm32mp_rif_bit(rif, n))
               ? 0 : UINT32_MAX;
    }
    if (addr != rif->seccfgr && addr != rif->privcfgr) {
        return UINT32_MAX;
    }
    mask = trusted ? UINT32_MAX : 0;
    for (unsigned i = 0; i < rif->n; i++) {
        uint32_t bit = stm32mp_rif_bit(rif, i);

        if (stm32mp_rif_is_set(s, rif->rcfglockr, bit)) {
            mask &= ~bit;
        } else if (stm32mp_rif_owns(s, rif, i)) {
            mask |= bit;
        }
    }
    return mask;
}

void stm32mp_rif_write(Stm32mpRegs *s, const Stm32mpRif *rif, hwaddr addr,
                       uint32_t value)
{
    if (stm32mp_rif_is_semaphore(rif, addr)) {
        stm32mp_semaphore_write(s, addr, value);
    } else if (addr == rif->rcfglockr) {
        s->r[addr / 4] |= value;
    } else {
        s->r[addr / 4] = value;
    }
}
