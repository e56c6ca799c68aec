/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * STM32MP15 extended TrustZone protection controller
 *
 * A peripheral, or one of the coprocessor's RAMs, is the secure world's, or
 * written by it alone, or the Cortex-M4's, or everybody's; the first pages of
 * boot ROM and SYSRAM are the secure world's.  The Cortex-M4 and other masters
 * are never secure.  What is everybody's is as fast as without ETZPC.
 *
 * Everybody reads the registers, the secure world writes them.  That a refused
 * access is a bus error is assumed.
 *
 * Ref: RM0436, ETZPC: ETZPC_TZMA0_SIZE and 1 (0x000, 0x004), ETZPC_DECPROT0
 *      to 5 (0x010), two bits a peripheral, ETZPC_DECPROT_LOCK0 to 2 (0x030),
 *      ETZPC_HWCFGR (0x3f0); OP-TEE core/drivers/firewall/stm32_etzpc.c;
 *      U-Boot arch/arm/mach-stm32mp/stm32mp1/stm32mp15x.c, security_init()
 */

#include "qemu/osdep.h"
#include "qemu/log.h"
#include "qapi/error.h"
#include "exec/address-spaces.h"
#include "hw/qdev-properties.h"
#include "hw/registerfields.h"
#include "hw/stm32mp/stm32mp_memory_firewall.h"
#include "hw/stm32mp/stm32mp_pass.h"

REG32(TZMA0_SIZE, 0x000)
    FIELD(TZMA_SIZE, R0SIZE, 0, 10)
    FIELD(TZMA_SIZE, LOCK, 31, 1)
REG32(TZMA1_SIZE, 0x004)
REG32(DECPROT0, 0x010)
REG32(DECPROT_LOCK0, 0x030)
REG32(HWCFGR, 0x3f0)
    FIELD(HWCFGR, NUM_TZMA, 0, 8)
    FIELD(HWCFGR, NUM_PER_SEC, 8, 8)

#define NUM_TZMA 2
#define NUM_PER_SEC 96
#define PER_WORD 16             /* fields of DECPROT in a register */
#define TZMA_PAGE 0x1000
#define SECURE_AT_RESET 13      /* the first so many, as U-Boot opens them */
#define GUARD_SIZE 0x400
#define RAMS 7

enum { DECPROT_S_RW, DECPROT_NS_R_S_W, DECPROT_MCU, DECPROT_NS_RW };

OBJECT_DECLARE_SIMPLE_TYPE(Stm32mpEtzpc, STM32MP_ETZPC)
OBJECT_DECLARE_SIMPLE_TYPE(Stm32mpEtzpcRam, STM32MP_ETZPC_RAM)

/* Before a peripheral, where it is not everybody's */
typedef struct Stm32mpEtzpcGuard {
    Stm32mpEtzpc *etzpc;
    uint32_t base;
    uint32_t id;
    MemoryRegion refuses;       /* as the Cortex-A, and others, see it */
    MemoryRegion passes;        /* as the coprocessor sees what is its own */
} Stm32mpEtzpcGuard;

struct Stm32mpEtzpc {
    Stm32mpRegs parent_obj;

    AddressSpace downstream_as;
    MemoryRegion *downstream;
    Stm32mpEtzpcGuard *guards;
    Stm32mpEtzpcRam *ram[RAMS];
    unsigned n_rams;
    bool loaded;

    uint32_t *hidden;
    uint32_t n_hidden;
    uint32_t *peripherals;      /* pairs: address, id */
    uint32_t n_peripherals;
};

/* A RAM whose rights ETZPC has: a memory firewall without registers */
struct Stm32mpEtzpcRam {
    Stm32mpMemoryFirewall parent_obj;

    Stm32mpEtzpc *etzpc;
    uint32_t id;
};

static unsigned stm32mp_etzpc_decprot(Stm32mpEtzpc *s, unsigned id)
{
    return extract32(STM32MP_REGS(s)->r[R_DECPROT0 + id / PER_WORD],
                     2 * (id % PER_WORD), 2);
}

static bool stm32mp_etzpc_allows(Stm32mpEtzpc *s, unsigned id, bool coprocessor,
                                 bool secure, bool write)
{
    switch (stm32mp_etzpc_decprot(s, id)) {
    case DECPROT_S_RW:
        return secure;
    case DECPROT_NS_R_S_W:
        return secure || !write;
    case DECPROT_MCU:
        return coprocessor;
    default:
        return true;
    }
}

static bool stm32mp_etzpc_passes(Stm32mpEtzpcGuard *g, hwaddr addr, bool write,
                                 MemTxAttrs attrs)
{
    if (stm32mp_etzpc_allows(g->etzpc, g->id, false, attrs.secure, write)) {
        return true;
    }
    qemu_log_mask(LOG_GUEST_ERROR, "etzpc: peripheral %u refuses %ssecure %s "
                  "at 0x%08" HWADDR_PRIx "\n", g->id, attrs.secure ? "" : "non-",
                  write ? "write" : "read", g->base + addr);
    return false;
}

static MemTxResult stm32mp_etzpc_guard_read(void *opaque, hwaddr addr,
                                            uint64_t *data, unsigned size,
                                            MemTxAttrs attrs)
{
    Stm32mpEtzpcGuard *g = opaque;

    if (!stm32mp_etzpc_passes(g, addr, false, attrs)) {
        *data = 0;
        return MEMTX_DECODE_ERROR;
    }
    return stm32mp_pass_read(&g->etzpc->downstream_as, g->base + addr, data,
                             size, attrs);
}

static MemTxResult stm32mp_etzpc_guard_write(void *opaque, hwaddr addr,
                                             uint64_t data, unsigned size,
                                             MemTxAttrs attrs)
{
    Stm32mpEtzpcGuard *g = opaque;

    if (!stm32mp_etzpc_passes(g, addr, true, attrs)) {
        return MEMTX_DECODE_ERROR;
    }
    return stm32mp_pass_write(&g->etzpc->downstream_as, g->base + addr, data,
                              size, attrs);
}

static const MemoryRegionOps stm32mp_etzpc_guard_ops = {
    .read_with_attrs = stm32mp_etzpc_guard_read,
    .write_with_attrs = stm32mp_etzpc_guard_write,
    STM32MP_PASS_SIZES,
};

/* The registers have changed */
static void stm32mp_etzpc_changed(Stm32mpEtzpc *s)
{
    memory_region_transaction_begin();
    for (unsigned i = 0; i < s->n_peripherals / 2; i++) {
        unsigned decprot = stm32mp_etzpc_decprot(s, s->guards[i].id);

        memory_region_set_enabled(&s->guards[i].refuses,
                                  decprot != DECPROT_NS_RW);
        memory_region_set_enabled(&s->guards[i].passes, decprot == DECPROT_MCU);
    }
    memory_region_transaction_commit();
    for (unsigned i = 0; i < s->n_rams; i++) {
        stm32mp_memory_firewall_changed(STM32MP_MEMORY_FIREWALL(s->ram[i]));
    }
}

static bool stm32mp_etzpc_refuses(Stm32mpRegs *regs, hwaddr addr, bool write)
{
    return write && !regs->attrs.secure;
}

static void stm32mp_etzpc_write(Stm32mpRegs *regs, hwaddr addr, uint32_t value,
                                unsigned size)
{
    uint32_t *r = &regs->r[addr / 4];

    switch (addr) {
    case A_TZMA0_SIZE:
    case A_TZMA1_SIZE:
        if (!(*r & R_TZMA_SIZE_LOCK_MASK)) {
            *r = value & (R_TZMA_SIZE_R0SIZE_MASK | R_TZMA_SIZE_LOCK_MASK);
        }
        break;
    case A_DECPROT0 ... A_DECPROT0 + 4 * NUM_PER_SEC / PER_WORD - 1:
        for (unsigned n = 0; n < PER_WORD; n++) {
            unsigned id = (addr - A_DECPROT0) / 4 * PER_WORD + n;

            if (!extract32(regs->r[R_DECPROT_LOCK0 + id / 32], id % 32, 1)) {
                *r = deposit32(*r, 2 * n, 2, extract32(value, 2 * n, 2));
            }
        }
        break;
    case A_DECPROT_LOCK0 ... A_DECPROT_LOCK0 + NUM_PER_SEC / 8 - 1:
        *r |= value;                    /* until the next reset */
        return;
    default:
        return;
    }
    stm32mp_etzpc_changed(STM32MP_ETZPC(regs));
}

static void stm32mp_etzpc_reset(Stm32mpRegs *regs)
{
    Stm32mpEtzpc *s = STM32MP_ETZPC(regs);
    unsigned first = s->loaded ? 0 : SECURE_AT_RESET;

    for (unsigned id = first; id < NUM_PER_SEC; id++) {
        regs->r[R_DECPROT0 + id / PER_WORD] |=
            DECPROT_NS_RW << (2 * (id % PER_WORD));
    }
    for (unsigned i = 0; i < s->n_hidden; i++) {
        uint32_t *r = &regs->r[R_DECPROT0 + s->hidden[i] / PER_WORD];

        *r = deposit32(*r, 2 * (s->hidden[i] % PER_WORD), 2, DECPROT_S_RW);
    }
    if (!s->loaded) {
        regs->r[R_TZMA0_SIZE] = regs->r[R_TZMA1_SIZE] = R_TZMA_SIZE_R0SIZE_MASK;
    }
    regs->r[R_HWCFGR] = NUM_TZMA << R_HWCFGR_NUM_TZMA_SHIFT |
                        NUM_PER_SEC << R_HWCFGR_NUM_PER_SEC_SHIFT;
    stm32mp_etzpc_changed(s);
}

static void stm32mp_etzpc_realize(DeviceState *dev, Error **errp)
{
    Stm32mpEtzpc *s = STM32MP_ETZPC(dev);
    DeviceClass *parent = DEVICE_CLASS(
        object_class_by_name(TYPE_STM32MP_REGS));
    ERRP_GUARD();

    parent->realize(dev, errp);
    if (*errp) {
        return;
    }
    address_space_init(&s->downstream_as, s->downstream, "etzpc-peripherals");
    s->guards = g_new0(Stm32mpEtzpcGuard, s->n_peripherals / 2);
    for (unsigned i = 0; i < s->n_peripherals / 2; i++) {
        Stm32mpEtzpcGuard *g = &s->guards[i];

        g->etzpc = s;
        g->base = s->peripherals[2 * i];
        g->id = s->peripherals[2 * i + 1];
        memory_region_init_io(&g->refuses, OBJECT(dev),
                              &stm32mp_etzpc_guard_ops, g, "etzpc-refuses",
                              GUARD_SIZE);
        g->refuses.disable_reentrancy_guard = true;
        memory_region_init_alias(&g->passes, OBJECT(dev), "etzpc-passes",
                                 s->downstream, g->base, GUARD_SIZE);
    }
}

void stm32mp_etzpc_guard(DeviceState *dev, MemoryRegion *memory,
                         MemoryRegion *coprocessor)
{
    Stm32mpEtzpc *s = STM32MP_ETZPC(dev);

    for (unsigned i = 0; i < s->n_peripherals / 2; i++) {
        Stm32mpEtzpcGuard *g = &s->guards[i];

        if (memory) {
            memory_region_add_subregion_overlap(memory, g->base, &g->refuses,
                                                1);
        }
        if (coprocessor) {
            memory_region_add_subregion_overlap(coprocessor, g->base,
                                                &g->passes, 1);
        }
    }
}

static void stm32mp_etzpc_finalize(Object *obj)
{
    g_free(STM32MP_ETZPC(obj)->hidden);
    g_free(STM32MP_ETZPC(obj)->peripherals);
    g_free(STM32MP_ETZPC(obj)->guards);
}

static int stm32mp_etzpc_post_load(void *opaque, int version_id)
{
    stm32mp_etzpc_changed(opaque);
    return 0;
}

static const VMStateDescription vmstate_stm32mp_etzpc = {
    .name = TYPE_STM32MP_ETZPC,
    .version_id = 1,
    .minimum_version_id = 1,
    .post_load = stm32mp_etzpc_post_load,
    .fields = (const VMStateField[]) {
        VMSTATE_STM32MP_REGS(Stm32mpEtzpc),
        VMSTATE_END_OF_LIST()
    }
};

static const Property stm32mp_etzpc_properties[] = {
    DEFINE_PROP_LINK("peripherals", Stm32mpEtzpc, downstream,
                     TYPE_MEMORY_REGION, MemoryRegion *),
    DEFINE_PROP_ARRAY("ids", Stm32mpEtzpc, n_peripherals, peripherals,
                      qdev_prop_uint32, uint32_t),
    DEFINE_PROP_ARRAY("hidden", Stm32mpEtzpc, n_hidden, hidden,
                      qdev_prop_uint32, uint32_t),
    DEFINE_PROP_BOOL("loaded", Stm32mpEtzpc, loaded, false),
};

static void stm32mp_etzpc_class_init(ObjectClass *klass, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);
    Stm32mpRegsClass *c = STM32MP_REGS_CLASS(klass);

    dc->realize = stm32mp_etzpc_realize;
    dc->vmsd = &vmstate_stm32mp_etzpc;
    device_class_set_props(dc, stm32mp_etzpc_properties);
    c->refuses = stm32mp_etzpc_refuses;
    c->write = stm32mp_etzpc_write;
    c->reset = stm32mp_etzpc_reset;
}

static bool stm32mp_etzpc_ram_allows(Stm32mpMemoryFirewall *firewall,
                                     const Stm32mpAccess *access)
{
    Stm32mpEtzpcRam *s = STM32MP_ETZPC_RAM(firewall);
    bool secure = access->secure && access->cid == STM32MP15_A7;

    if (s->id >= STM32MP_ETZPC_TZMA0) {
        uint32_t size = STM32MP_REGS(s->etzpc)->r[R_TZMA0_SIZE + s->id -
                                                  STM32MP_ETZPC_TZMA0];

        return secure || access->addr >= TZMA_PAGE *
                         (uint64_t)FIELD_EX32(size, TZMA_SIZE, R0SIZE);
    }
    return stm32mp_etzpc_allows(s->etzpc, s->id, access->cid == STM32MP15_M4,
                                secure, access->write);
}

static MemTxResult stm32mp_etzpc_ram_refused(Stm32mpMemoryFirewall *s,
                                             const Stm32mpAccess *access)
{
    return MEMTX_DECODE_ERROR;
}

static void stm32mp_etzpc_ram_realize(DeviceState *dev, Error **errp)
{
    Stm32mpEtzpcRam *s = STM32MP_ETZPC_RAM(dev);
    DeviceClass *parent = DEVICE_CLASS(
        object_class_by_name(TYPE_STM32MP_MEMORY_FIREWALL));
    ERRP_GUARD();

    parent->realize(dev, errp);
    if (*errp) {
        return;
    }
    assert(s->etzpc->n_rams < RAMS);
    s->etzpc->ram[s->etzpc->n_rams++] = s;
}

static const Property stm32mp_etzpc_ram_properties[] = {
    DEFINE_PROP_LINK("etzpc", Stm32mpEtzpcRam, etzpc, TYPE_STM32MP_ETZPC,
                     Stm32mpEtzpc *),
    DEFINE_PROP_UINT32("id", Stm32mpEtzpcRam, id, 0),
};

static void stm32mp_etzpc_ram_class_init(ObjectClass *klass, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);
    Stm32mpMemoryFirewallClass *c = STM32MP_MEMORY_FIREWALL_CLASS(klass);

    dc->realize = stm32mp_etzpc_ram_realize;
    device_class_set_props(dc, stm32mp_etzpc_ram_properties);
    STM32MP_REGS_CLASS(klass)->size = 4;
    c->granule = TZMA_PAGE;
    c->allows = stm32mp_etzpc_ram_allows;
    c->refused = stm32mp_etzpc_ram_refused;
}

static const TypeInfo stm32mp_etzpc_types[] = {
    {
        .name = TYPE_STM32MP_ETZPC,
        .parent = TYPE_STM32MP_REGS,
        .instance_size = sizeof(Stm32mpEtzpc),
        .instance_finalize = stm32mp_etzpc_finalize,
        .class_init = stm32mp_etzpc_class_init,
    }, {
        .name = TYPE_STM32MP_ETZPC_RAM,
        .parent = TYPE_STM32MP_MEMORY_FIREWALL,
        .instance_size = sizeof(Stm32mpEtzpcRam),
        .class_init = stm32mp_etzpc_ram_class_init,
    }
};

DEFINE_TYPES(stm32mp_etzpc_types)
