/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * STM32MP25 resource isolation: RISAL, the firewall in front of an LPSRAM
 *
 * Its registers are RIFSC's.  Two subregions let a compartment each in, and a
 * world or a privilege.  While none is enabled everybody is let in: an
 * assumption.  Subregions are the whole RAM: their addresses are storage.
 *
 * Everybody reads the registers, the trusted domain writes them, until a lock
 * of the subregion or RIFSC's of all.
 *
 * Ref: RM0457, RIFSC: RIFSC_RISC_RISALx_CFGRA (0x900 + 0x10 (x - 1)), CFGRB
 *      (0x908); OP-TEE core/drivers/firewall/stm32_rifsc.c, stm32_risal_cfg(),
 *      dt-bindings/firewall/stm32mp25-rifsc.h; STM32CubeMP2
 *      stm32mp2xx_hal_rif.c (RISC_CR.GLOCK)
 */

#include "qemu/osdep.h"
#include "hw/qdev-properties.h"
#include "hw/registerfields.h"
#include "hw/stm32mp/stm32mp_memory_firewall.h"

REG32(CFGRA, 0x0)
    FIELD(CFGR, SREN, 0, 1)
    FIELD(CFGR, SRLOCK, 1, 1)
    FIELD(CFGR, SRCID, 4, 3)
    FIELD(CFGR, SEC, 8, 1)
    FIELD(CFGR, PRIV, 9, 1)
REG32(CFGRB, 0x8)
FIELD(RISC_CR, GLOCK, 0, 1)

#define SIZE 0x10
#define PAGE 0x1000

OBJECT_DECLARE_SIMPLE_TYPE(Stm32mpRisal, STM32MP_RISAL)

struct Stm32mpRisal {
    Stm32mpMemoryFirewall parent_obj;

    Stm32mpRegs *rifsc;         /* its first register is RISC_CR */
};

static bool stm32mp_risal_lets_in(uint32_t cfgr, const Stm32mpAccess *access)
{
    return FIELD_EX32(cfgr, CFGR, SREN) &&
           FIELD_EX32(cfgr, CFGR, SRCID) == access->cid &&
           (access->secure || !FIELD_EX32(cfgr, CFGR, SEC)) &&
           !(access->user && FIELD_EX32(cfgr, CFGR, PRIV));
}

static bool stm32mp_risal_allows(Stm32mpMemoryFirewall *s,
                                 const Stm32mpAccess *access)
{
    uint32_t a = STM32MP_REGS(s)->r[R_CFGRA], b = STM32MP_REGS(s)->r[R_CFGRB];

    return !((a | b) & R_CFGR_SREN_MASK) ||
           stm32mp_risal_lets_in(a, access) || stm32mp_risal_lets_in(b, access);
}

/* It has no register of illegal accesses */
static void stm32mp_risal_record(Stm32mpMemoryFirewall *s,
                                 const Stm32mpAccess *access)
{
}

static bool stm32mp_risal_refuses(Stm32mpRegs *regs, hwaddr addr, bool write)
{
    return write && !stm32mp_regs_trusted(regs);
}

static void stm32mp_risal_write(Stm32mpRegs *regs, hwaddr addr, uint32_t value,
                                unsigned size)
{
    /* The address follows the configuration that locks it */
    if (!(regs->r[addr / 8 * 2] & R_CFGR_SRLOCK_MASK) &&
        !FIELD_EX32(STM32MP_RISAL(regs)->rifsc->r[0], RISC_CR, GLOCK)) {
        regs->r[addr / 4] = value;
        stm32mp_memory_firewall_changed(STM32MP_MEMORY_FIREWALL(regs));
    }
}

static void stm32mp_risal_reset(Stm32mpRegs *regs)
{
    stm32mp_memory_firewall_changed(STM32MP_MEMORY_FIREWALL(regs));
}

static const VMStateDescription vmstate_stm32mp_risal = {
    .name = TYPE_STM32MP_RISAL,
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_STM32MP_MEMORY_FIREWALL(Stm32mpRisal),
        VMSTATE_END_OF_LIST()
    }
};

static const Property stm32mp_risal_properties[] = {
    DEFINE_PROP_LINK("rifsc", Stm32mpRisal, rifsc, TYPE_STM32MP_REGS,
                     Stm32mpRegs *),
};

static void stm32mp_risal_class_init(ObjectClass *klass, void *data)
{
    Stm32mpRegsClass *regs = STM32MP_REGS_CLASS(klass);
    Stm32mpMemoryFirewallClass *c = STM32MP_MEMORY_FIREWALL_CLASS(klass);

    DEVICE_CLASS(klass)->vmsd = &vmstate_stm32mp_risal;
    device_class_set_props(DEVICE_CLASS(klass), stm32mp_risal_properties);
    regs->size = SIZE;
    regs->refuses = stm32mp_risal_refuses;
    regs->write = stm32mp_risal_write;
    regs->reset = stm32mp_risal_reset;
    c->granule = PAGE;
    c->allows = stm32mp_risal_allows;
    c->record = stm32mp_risal_record;
}

static const TypeInfo stm32mp_risal_types[] = {
    {
        .name = TYPE_STM32MP_RISAL,
        .parent = TYPE_STM32MP_MEMORY_FIREWALL,
        .instance_size = sizeof(Stm32mpRisal),
        .class_init = stm32mp_risal_class_init,
    }
};

DEFINE_TYPES(stm32mp_risal_types)
