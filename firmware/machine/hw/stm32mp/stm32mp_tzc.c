/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * STM32MP15 TZC-400, the firewall of its DDR
 *
 * Region 0 is all of the memory, regions 1 to 8 go before it; where two of
 * these overlap nobody may go.  A region says what the secure world does, and
 * which other masters read and write, by number (NSAID).  What ACTION says
 * answers a refused access: an interrupt, a bus error, or zeros.
 *
 * Assumed: every master goes through filter 0; one behind a closed gate is
 * refused, as it cannot be made to wait; FAIL_ID is the NSAID, but for the
 * Cortex-A7, of which a log is known.  Registers are the secure world's.
 *
 * Ref: Arm TZC-400 TRM (DDI 0504): BUILD_CONFIG (0x000), ACTION (0x004),
 *      GATE_KEEPER (0x008), INT_STATUS (0x010), INT_CLEAR (0x014), FAIL_*
 *      (0x020), REGION_* (0x100), PID (0xfd0), CID (0xff0); OP-TEE
 *      core/arch/arm/plat-stm32mp1/platform_config.h (NSAIDs); optee_os issue
 *      6306 (the Cortex-A7's FAIL_ID)
 */

#include "qemu/osdep.h"
#include "hw/irq.h"
#include "hw/qdev-properties.h"
#include "hw/registerfields.h"
#include "hw/stm32mp/stm32mp_memory_firewall.h"

REG32(BUILD_CONFIG, 0x000)
    FIELD(BUILD_CONFIG, NO_OF_REGIONS, 0, 5)
    FIELD(BUILD_CONFIG, ADDRESS_WIDTH, 8, 6)
    FIELD(BUILD_CONFIG, NO_OF_FILTERS, 24, 2)
REG32(ACTION, 0x004)
    FIELD(ACTION, ERROR, 0, 1)
    FIELD(ACTION, INTERRUPT, 1, 1)
REG32(GATE_KEEPER, 0x008)
    FIELD(GATE_KEEPER, OPENREQ, 0, 4)
    FIELD(GATE_KEEPER, OPENSTAT, 16, 4)
REG32(SPECULATION_CTRL, 0x00c)
REG32(INT_STATUS, 0x010)
    FIELD(INT_STATUS, STATUS, 0, 4)
    FIELD(INT_STATUS, OVERRUN, 8, 4)
    FIELD(INT_STATUS, OVERLAP, 16, 4)
REG32(INT_CLEAR, 0x014)
REG32(FAIL_ADDRESS_LOW0, 0x020)
REG32(FAIL_CONTROL0, 0x028)
    FIELD(FAIL_CONTROL, PRIVILEGED, 20, 1)
    FIELD(FAIL_CONTROL, NONSECURE, 21, 1)
    FIELD(FAIL_CONTROL, WRITE, 24, 1)
REG32(FAIL_ID0, 0x02c)
REG32(REGION_BASE_LOW0, 0x100)
REG32(REGION_TOP_LOW0, 0x108)
REG32(REGION_ATTRIBUTES0, 0x110)
    FIELD(ATTRIBUTES, FILTER_EN, 0, 2)
    FIELD(ATTRIBUTES, S_RD_EN, 30, 1)
    FIELD(ATTRIBUTES, S_WR_EN, 31, 1)
REG32(REGION_ID_ACCESS0, 0x114)
    FIELD(ID_ACCESS, RD_EN, 0, 16)
    FIELD(ID_ACCESS, WR_EN, 16, 16)
REG32(PIDR4, 0xfd0)
REG32(PIDR0, 0xfe0)
REG32(CIDR0, 0xff0)

#define FILTERS 2
#define FILTER 1                /* filter 0, as a mask */
#define REGIONS 9
#define REGION 0x20             /* registers from one region to the next */
#define ADDRESS_BITS 32
#define PAGE 0x1000
#define NO_REGION 0
#define OVERLAP -1

OBJECT_DECLARE_SIMPLE_TYPE(Stm32mpTzc, STM32MP_TZC)

struct Stm32mpTzc {
    Stm32mpMemoryFirewall parent_obj;

    qemu_irq irq;
    uint32_t base;
    bool loaded;
};

/* Who asks; a view that no master has is not asked */
static const struct {
    uint8_t nsaid;
    uint16_t fail_id;
} masters[STM32MP_CIDS] = {
    [STM32MP15_A7] = { 0, 0x480 },
    [STM32MP15_M4] = { 1, 1 },
    [STM32MP15_SDMMC] = { 9, 9 },
};

static const uint32_t *stm32mp_tzc_region(const uint32_t *r, int n)
{
    return r + n * REGION / 4;
}

/* The number of the region that has the address, or OVERLAP */
static int stm32mp_tzc_find(Stm32mpTzc *s, hwaddr addr)
{
    int found = NO_REGION;

    addr += s->base;
    for (int n = 1; n < REGIONS; n++) {
        const uint32_t *r = stm32mp_tzc_region(STM32MP_REGS(s)->r, n);

        if (!(r[R_REGION_ATTRIBUTES0] & FILTER) ||
            addr < r[R_REGION_BASE_LOW0] || addr > r[R_REGION_TOP_LOW0]) {
            continue;
        }
        if (found != NO_REGION) {
            return OVERLAP;
        }
        found = n;
    }
    return found;
}

static bool stm32mp_tzc_allows(Stm32mpMemoryFirewall *firewall,
                               const Stm32mpAccess *access)
{
    const uint32_t *r = STM32MP_REGS(firewall)->r;
    int region = stm32mp_tzc_find(STM32MP_TZC(firewall), access->addr);
    uint32_t attributes, ids;

    if (region == OVERLAP || !(r[R_GATE_KEEPER] & FILTER)) {
        return false;
    }
    r = stm32mp_tzc_region(r, region);
    attributes = r[R_REGION_ATTRIBUTES0];
    if (access->secure && access->cid == STM32MP15_A7) {
        return access->write ? FIELD_EX32(attributes, ATTRIBUTES, S_WR_EN)
                             : FIELD_EX32(attributes, ATTRIBUTES, S_RD_EN);
    }
    ids = access->write
          ? FIELD_EX32(r[R_REGION_ID_ACCESS0], ID_ACCESS, WR_EN)
          : FIELD_EX32(r[R_REGION_ID_ACCESS0], ID_ACCESS, RD_EN);
    return extract32(ids, masters[access->cid].nsaid, 1);
}

static void stm32mp_tzc_update(Stm32mpTzc *s)
{
    const uint32_t *r = STM32MP_REGS(s)->r;

    qemu_set_irq(s->irq, (r[R_ACTION] & R_ACTION_INTERRUPT_MASK) &&
                         (r[R_INT_STATUS] & R_INT_STATUS_STATUS_MASK));
}

/* The first refused access is kept until the interrupt is cleared */
static void stm32mp_tzc_record(Stm32mpMemoryFirewall *firewall,
                               const Stm32mpAccess *access)
{
    Stm32mpTzc *s = STM32MP_TZC(firewall);
    uint32_t *r = STM32MP_REGS(s)->r;

    if (!(r[R_GATE_KEEPER] & FILTER)) {
        return;
    }
    if (r[R_INT_STATUS] & R_INT_STATUS_STATUS_MASK) {
        r[R_INT_STATUS] |= FILTER << R_INT_STATUS_OVERRUN_SHIFT;
        return;
    }
    r[R_FAIL_ADDRESS_LOW0] = s->base + access->addr;
    r[R_FAIL_CONTROL0] = access->write << R_FAIL_CONTROL_WRITE_SHIFT |
                         !access->secure << R_FAIL_CONTROL_NONSECURE_SHIFT |
                         !access->user << R_FAIL_CONTROL_PRIVILEGED_SHIFT;
    r[R_FAIL_ID0] = masters[access->cid].fail_id;
    if (r[R_ACTION] & R_ACTION_INTERRUPT_MASK) {
        r[R_INT_STATUS] |= FILTER;
        if (stm32mp_tzc_find(s, access->addr) == OVERLAP) {
            r[R_INT_STATUS] |= FILTER << R_INT_STATUS_OVERLAP_SHIFT;
        }
    }
    stm32mp_tzc_update(s);
}

static MemTxResult stm32mp_tzc_refused(Stm32mpMemoryFirewall *s,
                                       const Stm32mpAccess *access)
{
    return STM32MP_REGS(s)->r[R_ACTION] & R_ACTION_ERROR_MASK
           ? MEMTX_DECODE_ERROR : MEMTX_OK;
}

static bool stm32mp_tzc_refuses(Stm32mpRegs *regs, hwaddr addr, bool write)
{
    return !regs->attrs.secure;
}

static uint32_t stm32mp_tzc_read(Stm32mpRegs *regs, hwaddr addr)
{
    static const uint8_t ids[] = {
        0x04, 0, 0, 0, 0x60, 0xb4, 0x2b, 0, 0x0d, 0xf0, 0x05, 0xb1,
    };

    if (addr >= A_PIDR4) {
        return ids[(addr - A_PIDR4) / 4];
    }
    if (addr == A_GATE_KEEPER) {
        return regs->r[R_GATE_KEEPER] |
               regs->r[R_GATE_KEEPER] << R_GATE_KEEPER_OPENSTAT_SHIFT;
    }
    return regs->r[addr / 4];
}

static void stm32mp_tzc_write_region(Stm32mpRegs *regs, hwaddr addr,
                                     uint32_t value)
{
    bool first = addr < A_REGION_BASE_LOW0 + REGION;
    uint32_t *r = &regs->r[addr / 4];

    switch (A_REGION_BASE_LOW0 + addr % REGION) {
    case A_REGION_BASE_LOW0:
        *r = first ? *r : value & ~(PAGE - 1);
        return;
    case A_REGION_TOP_LOW0:
        *r = first ? *r : value | (PAGE - 1);
        return;
    case A_REGION_ATTRIBUTES0:
        *r = value & (R_ATTRIBUTES_S_RD_EN_MASK | R_ATTRIBUTES_S_WR_EN_MASK |
                      R_ATTRIBUTES_FILTER_EN_MASK);
        *r |= first ? R_ATTRIBUTES_FILTER_EN_MASK : 0;
        return;
    case A_REGION_ID_ACCESS0:
        *r = value;
        return;
    }
}

static void stm32mp_tzc_write(Stm32mpRegs *regs, hwaddr addr, uint32_t value,
                              unsigned size)
{
    uint32_t *r = regs->r;

    switch (addr) {
    case A_ACTION:
        r[R_ACTION] = value & (R_ACTION_ERROR_MASK | R_ACTION_INTERRUPT_MASK);
        stm32mp_tzc_update(STM32MP_TZC(regs));
        return;
    case A_INT_CLEAR:
        r[R_INT_STATUS] &= ~(value * (1 << R_INT_STATUS_STATUS_SHIFT |
                                      1 << R_INT_STATUS_OVERRUN_SHIFT |
                                      1 << R_INT_STATUS_OVERLAP_SHIFT));
        stm32mp_tzc_update(STM32MP_TZC(regs));
        return;
    case A_SPECULATION_CTRL:
        r[R_SPECULATION_CTRL] = value;
        return;
    case A_GATE_KEEPER:
        r[R_GATE_KEEPER] = value & ((1 << FILTERS) - 1);
        break;
    case A_REGION_BASE_LOW0 ... A_REGION_BASE_LOW0 + REGIONS * REGION - 1:
        stm32mp_tzc_write_region(regs, addr, value);
        break;
    default:
        return;
    }
    stm32mp_memory_firewall_changed(STM32MP_MEMORY_FIREWALL(regs));
}

static void stm32mp_tzc_reset(Stm32mpRegs *regs)
{
    uint32_t *r = regs->r;

    r[R_BUILD_CONFIG] = (FILTERS - 1) << R_BUILD_CONFIG_NO_OF_FILTERS_SHIFT |
                        (ADDRESS_BITS - 1) << R_BUILD_CONFIG_ADDRESS_WIDTH_SHIFT
                        | (REGIONS - 1);
    r[R_REGION_TOP_LOW0] = UINT32_MAX;
    r[R_REGION_ATTRIBUTES0] = R_ATTRIBUTES_FILTER_EN_MASK;
    for (int n = 1; n < REGIONS; n++) {
        r[R_REGION_TOP_LOW0 + n * REGION / 4] = PAGE - 1;
    }
    if (STM32MP_TZC(regs)->loaded) {
        r[R_REGION_ATTRIBUTES0] |= R_ATTRIBUTES_S_RD_EN_MASK |
                                   R_ATTRIBUTES_S_WR_EN_MASK;
        r[R_REGION_ID_ACCESS0] = UINT32_MAX;
        r[R_GATE_KEEPER] = (1 << FILTERS) - 1;
    }
    stm32mp_tzc_update(STM32MP_TZC(regs));
    stm32mp_memory_firewall_changed(STM32MP_MEMORY_FIREWALL(regs));
}

static void stm32mp_tzc_init(Object *obj)
{
    sysbus_init_irq(SYS_BUS_DEVICE(obj), &STM32MP_TZC(obj)->irq);
}

static const VMStateDescription vmstate_stm32mp_tzc = {
    .name = TYPE_STM32MP_TZC,
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_STM32MP_MEMORY_FIREWALL(Stm32mpTzc),
        VMSTATE_END_OF_LIST()
    }
};

static const Property stm32mp_tzc_properties[] = {
    DEFINE_PROP_UINT32("base", Stm32mpTzc, base, 0),
    DEFINE_PROP_BOOL("loaded", Stm32mpTzc, loaded, false),
};

static void stm32mp_tzc_class_init(ObjectClass *klass, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);
    Stm32mpRegsClass *regs = STM32MP_REGS_CLASS(klass);
    Stm32mpMemoryFirewallClass *c = STM32MP_MEMORY_FIREWALL_CLASS(klass);

    dc->vmsd = &vmstate_stm32mp_tzc;
    device_class_set_props(dc, stm32mp_tzc_properties);
    regs->refuses = stm32mp_tzc_refuses;
    regs->read = stm32mp_tzc_read;
    regs->write = stm32mp_tzc_write;
    regs->reset = stm32mp_tzc_reset;
    c->granule = PAGE;
    c->allows = stm32mp_tzc_allows;
    c->record = stm32mp_tzc_record;
    c->refused = stm32mp_tzc_refused;
}

static const TypeInfo stm32mp_tzc_types[] = {
    {
        .name = TYPE_STM32MP_TZC,
        .parent = TYPE_STM32MP_MEMORY_FIREWALL,
        .instance_size = sizeof(Stm32mpTzc),
        .instance_init = stm32mp_tzc_init,
        .class_init = stm32mp_tzc_class_init,
    }
};

DEFINE_TYPES(stm32mp_tzc_types)
