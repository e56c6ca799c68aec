/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * STM32MP25 resource isolation: RIFSC, the firewall in front of peripherals
 *
 * Bus masters are compartments, by number (CID): 1 is the Cortex-A35, 2 the
 * Cortex-M33, 3 the Cortex-M0+.  Each has a view of the peripherals, an MMIO
 * region, that refuses what the registers forbid: a refused read gives 0, a
 * refused write is ignored, and the line of the peripheral's id pulses.
 *
 * A peripheral that RCC holds in reset answers with a bus error, and its line to
 * the SERC pulses.
 *
 * Everybody reads the registers.  The trusted domain writes them; whoever may
 * use a peripheral says of which world and privilege it is, if he is of that
 * world himself; a semaphore is taken by anybody.  What is locked, a peripheral
 * by RCFGLOCKR, all of them by RISC_CR, the masters by RIMC_CR, is as it is
 * until a reset.
 *
 * Ref: RM0457, RIFSC: RIFSC_RISC_CR (0x000), SECCFGRx (0x010), PRIVCFGRx
 *      (0x030), RCFGLOCKRx (0x050), RIFSC_RISC_PERxCIDCFGR, SEMCR (0x100 + 8
 *      x), RIFSC_RIMC_CR (0xc00), ATTRx (0xc10 + 4 x), HWCFGR2, HWCFGR1;
 *      OP-TEE core/drivers/firewall/stm32_rifsc.c; ST's wiki, RIFSC and SERC
 *      internal peripheral; Linux drivers/bus/stm32_rifsc.c; STM32CubeMP2
 *      stm32mp2xx_hal_rif.c (what a global lock locks)
 */

#include "qemu/osdep.h"
#include "qemu/log.h"
#include "qapi/error.h"
#include "exec/address-spaces.h"
#include "hw/irq.h"
#include "hw/qdev-properties.h"
#include "hw/registerfields.h"
#include "hw/stm32mp/stm32mp.h"
#include "hw/stm32mp/stm32mp_pass.h"
#include "hw/stm32mp/stm32mp_regs.h"

REG32(RISC_CR, 0x000)
    FIELD(CR, GLOCK, 0, 1)
REG32(RISC_SECCFGR0, 0x010)
REG32(RISC_PRIVCFGR0, 0x030)
REG32(RISC_RCFGLOCKR0, 0x050)
REG32(PER0_CIDCFGR, 0x100)
REG32(PER0_SEMCR, 0x104)
REG32(PER_END, 0x500)
REG32(RIMC_CR, 0xc00)
    FIELD(RIMC_CR, TDCID, 4, 3)
REG32(RIMC_ATTR0, 0xc10)
REG32(HWCFGR2, 0xfec)
REG32(HWCFGR1, 0xff0)
REG32(VERR, 0xff4)

#define PERIPHERALS STM32MP25_PERIPHERALS
#define MASTERS 16
#define GROUPS 3
#define BANK (PERIPHERALS / 8)  /* bytes of a bit for each peripheral */

typedef struct Stm32mpRifsc Stm32mpRifsc;
DECLARE_INSTANCE_CHECKER(Stm32mpRifsc, STM32MP_RIFSC, TYPE_STM32MP_RIFSC)

typedef struct Stm32mpRifscView {
    Stm32mpRifsc *rifsc;
    MemoryRegion mmio;
    unsigned cid;
    bool nonsecure;             /* a master without TrustZone */
} Stm32mpRifscView;

struct Stm32mpRifsc {
    Stm32mpRegs parent_obj;

    Stm32mpRifscView view[STM32MP_CIDS];
    AddressSpace downstream_as;
    MemoryRegion *downstream;
    uint32_t base;
    qemu_irq illegal[PERIPHERALS];
    qemu_irq unavailable[PERIPHERALS];
    bool in_reset[PERIPHERALS];
    bool serf;                  /* it is detected */

    uint32_t *peripherals;      /* pairs: address, id */
    uint32_t n_peripherals;
};

static bool stm32mp_rifsc_allows(Stm32mpRifsc *s, unsigned id, unsigned cid,
                                 MemTxAttrs attrs)
{
    const uint32_t *r = STM32MP_REGS(s)->r;
    uint32_t bit = 1u << (id % 32);

    if ((r[R_RISC_SECCFGR0 + id / 32] & bit) && !attrs.secure) {
        return false;
    }
    if ((r[R_RISC_PRIVCFGR0 + id / 32] & bit) && attrs.user) {
        return false;
    }
    return stm32mp_cid_owns(cid, r[R_PER0_CIDCFGR + 2 * id],
                            r[R_PER0_SEMCR + 2 * id]);
}

/* The address's peripheral, or -1: only those of the list are protected */
static int stm32mp_rifsc_peripheral(Stm32mpRifsc *s, hwaddr addr)
{
    for (uint32_t i = 0; i < s->n_peripherals; i += 2) {
        if ((addr & ~0xfffull) == s->peripherals[i]) {
            return s->peripherals[i + 1];
        }
    }
    return -1;
}

/* Whether an access goes on; if not, @result is what answers it */
static bool stm32mp_rifsc_passes(Stm32mpRifscView *v, hwaddr addr,
                                 MemTxAttrs *attrs, MemTxResult *result)
{
    Stm32mpRifsc *s = v->rifsc;
    int id = stm32mp_rifsc_peripheral(s, addr);

    attrs->unspecified = false;
    attrs->requester_id = v->cid;
    if (v->nonsecure) {
        attrs->secure = false;
    }
    if (id < 0) {
        return true;
    }
    if (stm32mp_rifsc_allows(s, id, v->cid, *attrs)) {
        if (!s->in_reset[id] || !s->serf) {
            return true;
        }
        qemu_log_mask(LOG_GUEST_ERROR, "rifsc: peripheral %d is in reset: "
                      "access of CID %u to 0x%08" HWADDR_PRIx "\n", id, v->cid,
                      addr);
        *result = MEMTX_ERROR;
        qemu_irq_pulse(s->unavailable[id]);
        return false;
    }
    *result = MEMTX_OK;
    qemu_log_mask(LOG_GUEST_ERROR, "rifsc: peripheral %d refuses %ssecure "
                  "access of CID %u to 0x%08" HWADDR_PRIx "\n", id,
                  attrs->secure ? "" : "non-", v->cid, addr);
    qemu_irq_pulse(s->illegal[id]);
    return false;
}

static MemTxResult stm32mp_rifsc_view_read(void *opaque, hwaddr addr,
                                           uint64_t *data, unsigned size,
                                           MemTxAttrs attrs)
{
    Stm32mpRifscView *v = opaque;
    MemTxResult result;

    addr += v->rifsc->base;
    if (!stm32mp_rifsc_passes(v, addr, &attrs, &result)) {
        *data = 0;
        return result;
    }
    return stm32mp_pass_read(&v->rifsc->downstream_as, addr, data, size, attrs);
}

static MemTxResult stm32mp_rifsc_view_write(void *opaque, hwaddr addr,
                                            uint64_t data, unsigned size,
                                            MemTxAttrs attrs)
{
    Stm32mpRifscView *v = opaque;
    MemTxResult result;

    addr += v->rifsc->base;
    if (!stm32mp_rifsc_passes(v, addr, &attrs, &result)) {
        return result;
    }
    return stm32mp_pass_write(&v->rifsc->downstream_as, addr, data, size,
                              attrs);
}

static const MemoryRegionOps stm32mp_rifsc_view_ops = {
    .read_with_attrs = stm32mp_rifsc_view_read,
    .write_with_attrs = stm32mp_rifsc_view_write,
    STM32MP_PASS_SIZES,
};

static bool is_semaphore(hwaddr addr)
{
    return addr >= A_PER0_CIDCFGR && addr < A_PER_END && addr & 4;
}

static bool is_world_or_privilege(hwaddr addr)
{
    return addr >= A_RISC_SECCFGR0 && addr < A_RISC_PRIVCFGR0 + BANK;
}

static bool stm32mp_rifsc_refuses(Stm32mpRegs *regs, hwaddr addr, bool write)
{
    if (!write || is_semaphore(addr) || stm32mp_regs_trusted(regs)) {
        return false;
    }
    return !is_world_or_privilege(addr) || regs->attrs.user ||
           (addr < A_RISC_PRIVCFGR0 && !regs->attrs.secure);
}

/* Of a word of SECCFGR or PRIVCFGR, the bits of who writes it */
static uint32_t stm32mp_rifsc_his(Stm32mpRegs *regs, hwaddr addr)
{
    unsigned first = 32 * (addr % BANK / 4);
    uint32_t his = 0;

    for (unsigned n = 0; n < 32; n++) {
        his |= (uint32_t)stm32mp_rifsc_allows(STM32MP_RIFSC(regs), first + n,
                                              stm32mp_regs_cid(regs),
                                              regs->attrs) << n;
    }
    return his;
}

/* The bits of a word that no lock has, those of the locks among them */
static uint32_t stm32mp_rifsc_mask(Stm32mpRegs *regs, hwaddr addr, bool write)
{
    const uint32_t *r = regs->r, *locks = r + R_RISC_RCFGLOCKR0;
    unsigned id = (addr - A_PER0_CIDCFGR) / 8;

    if (!write || is_semaphore(addr)) {
        return UINT32_MAX;
    }
    if (addr >= A_RIMC_CR && addr < A_RIMC_ATTR0 + 4 * MASTERS) {
        return FIELD_EX32(r[R_RIMC_CR], CR, GLOCK) ? 0 : UINT32_MAX;
    }
    if (addr >= A_PER_END) {
        return UINT32_MAX;
    }
    if (FIELD_EX32(r[R_RISC_CR], CR, GLOCK)) {
        return 0;
    }
    if (addr >= A_PER0_CIDCFGR) {
        return extract32(locks[id / 32], id % 32, 1) ? 0 : UINT32_MAX;
    }
    return is_world_or_privilege(addr) ||
           (addr >= A_RISC_RCFGLOCKR0 && addr < A_RISC_RCFGLOCKR0 + BANK)
           ? ~locks[addr % BANK / 4] : UINT32_MAX;
}

static void stm32mp_rifsc_write(Stm32mpRegs *regs, hwaddr addr, uint32_t value,
                                unsigned size)
{
    if (is_semaphore(addr)) {
        stm32mp_semaphore_write(regs, addr, value);
    } else if (is_world_or_privilege(addr) && !stm32mp_regs_trusted(regs)) {
        uint32_t his = stm32mp_rifsc_his(regs, addr);

        regs->r[addr / 4] = (regs->r[addr / 4] & ~his) | (value & his);
    } else if (addr < A_HWCFGR2) {
        regs->r[addr / 4] = value;
    }
}

static void stm32mp_rifsc_reset(Stm32mpRegs *regs)
{
    regs->r[R_RIMC_CR] = STM32MP_CID_TRUSTED << R_RIMC_CR_TDCID_SHIFT;
    regs->r[R_HWCFGR2] = GROUPS << 24 | MASTERS << 16 | PERIPHERALS;
    regs->r[R_HWCFGR1] = 0x111;
    regs->r[R_VERR] = 0x11;
}

static void stm32mp_rifsc_nonsecure(void *opaque, int n, int level)
{
    STM32MP_RIFSC(opaque)->view[n].nonsecure = level;
}

static void stm32mp_rifsc_in_reset(void *opaque, int n, int level)
{
    STM32MP_RIFSC(opaque)->in_reset[n] = level;
}

static void stm32mp_rifsc_serf(void *opaque, int n, int level)
{
    STM32MP_RIFSC(opaque)->serf = level;
}

static void stm32mp_rifsc_init(Object *obj)
{
    Stm32mpRifsc *s = STM32MP_RIFSC(obj);
    DeviceState *dev = DEVICE(obj);

    qdev_init_gpio_out_named(dev, s->illegal, "illegal", PERIPHERALS);
    qdev_init_gpio_out_named(dev, s->unavailable, "unavailable", PERIPHERALS);
    qdev_init_gpio_in_named(dev, stm32mp_rifsc_in_reset, "in-reset",
                            PERIPHERALS);
    qdev_init_gpio_in_named(dev, stm32mp_rifsc_serf, "serf", 1);
    qdev_init_gpio_in_named(dev, stm32mp_rifsc_nonsecure, "nonsecure",
                            STM32MP_CIDS);
}

static void stm32mp_rifsc_realize(DeviceState *dev, Error **errp)
{
    Stm32mpRifsc *s = STM32MP_RIFSC(dev);
    DeviceClass *parent = DEVICE_CLASS(
        object_class_by_name(TYPE_STM32MP_REGS));
    ERRP_GUARD();

    parent->realize(dev, errp);
    if (*errp) {
        return;
    }
    address_space_init(&s->downstream_as, s->downstream, "peripherals");
    for (unsigned cid = 0; cid < STM32MP_CIDS; cid++) {
        Stm32mpRifscView *v = &s->view[cid];

        v->rifsc = s;
        v->cid = cid;
        memory_region_init_io(&v->mmio, OBJECT(dev), &stm32mp_rifsc_view_ops,
                              v, "peripherals-of-cid",
                              STM32MP25_PERIPHERALS_SIZE);
        v->mmio.disable_reentrancy_guard = true;
        sysbus_init_mmio(SYS_BUS_DEVICE(dev), &v->mmio);
    }
}

static void stm32mp_rifsc_finalize(Object *obj)
{
    g_free(STM32MP_RIFSC(obj)->peripherals);
}

static const VMStateDescription vmstate_stm32mp_rifsc_view = {
    .name = "stm32mp-rifsc-view",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_BOOL(nonsecure, Stm32mpRifscView),
        VMSTATE_END_OF_LIST()
    }
};

static const VMStateDescription vmstate_stm32mp_rifsc = {
    .name = TYPE_STM32MP_RIFSC,
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_STM32MP_REGS(Stm32mpRifsc),
        VMSTATE_BOOL_ARRAY(in_reset, Stm32mpRifsc, PERIPHERALS),
        VMSTATE_BOOL(serf, Stm32mpRifsc),
        VMSTATE_STRUCT_ARRAY(view, Stm32mpRifsc, STM32MP_CIDS, 1,
                             vmstate_stm32mp_rifsc_view, Stm32mpRifscView),
        VMSTATE_END_OF_LIST()
    }
};

static const Property stm32mp_rifsc_properties[] = {
    DEFINE_PROP_LINK("peripherals", Stm32mpRifsc, downstream,
                     TYPE_MEMORY_REGION, MemoryRegion *),
    DEFINE_PROP_UINT32("base", Stm32mpRifsc, base, 0x40000000),
    DEFINE_PROP_ARRAY("ids", Stm32mpRifsc, n_peripherals, peripherals,
                      qdev_prop_uint32, uint32_t),
};

static void stm32mp_rifsc_class_init(ObjectClass *klass, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);
    Stm32mpRegsClass *c = STM32MP_REGS_CLASS(klass);

    dc->realize = stm32mp_rifsc_realize;
    dc->vmsd = &vmstate_stm32mp_rifsc;
    device_class_set_props(dc, stm32mp_rifsc_properties);
    c->size = 0x1000;
    c->refuses = stm32mp_rifsc_refuses;
    c->mask = stm32mp_rifsc_mask;
    c->write = stm32mp_rifsc_write;
    c->reset = stm32mp_rifsc_reset;
}

static const TypeInfo stm32mp_rifsc_types[] = {
    {
        .name = TYPE_STM32MP_RIFSC,
        .parent = TYPE_STM32MP_REGS,
        .instance_size = sizeof(Stm32mpRifsc),
        .instance_init = stm32mp_rifsc_init,
        .instance_finalize = stm32mp_rifsc_finalize,
        .class_init = stm32mp_rifsc_class_init,
    }
};

DEFINE_TYPES(stm32mp_rifsc_types)
