/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * STM32MP hardware semaphores
 *
 * Each bus master has its own view (an MMIO region), by which the device
 * knows who asks: the Cortex-A is core 1, the coprocessor core 2.
 *
 * Ref: RM0436, HSEM: HSEM_Rx (0x00), HSEM_RLRx (0x80), HSEM_CnIER, ICR, ISR,
 *      MISR (0x100, 0x110), HSEM_CR (0x140), HSEM_KEYR (0x144)
 */

#include "qemu/osdep.h"
#include "hw/irq.h"
#include "hw/registerfields.h"
#include "hw/stm32mp/stm32mp.h"
#include "hw/stm32mp/stm32mp_regs.h"

#define SEMAPHORES 32
#define CORES 2
#define SIZE 0x400

REG32(R0, 0x00)
    FIELD(R0, PROCID, 0, 8)
    FIELD(R0, COREID, 8, 4)
    FIELD(R0, LOCK, 31, 1)
REG32(RLR0, 0x80)
REG32(C1IER, 0x100)
REG32(C1ICR, 0x104)
REG32(C1ISR, 0x108)
REG32(C1MISR, 0x10c)
REG32(C2IER, 0x110)
REG32(CR, 0x140)
    FIELD(CR, KEY, 16, 16)
REG32(KEYR, 0x144)
REG32(HWCFGR2, 0x3ec)

typedef struct Stm32mpHsem Stm32mpHsem;
DECLARE_INSTANCE_CHECKER(Stm32mpHsem, STM32MP_HSEM, TYPE_STM32MP_HSEM)

typedef struct Stm32mpHsemView {
    Stm32mpHsem *hsem;
    MemoryRegion mmio;
    unsigned core;              /* COREID */
} Stm32mpHsemView;

struct Stm32mpHsem {
    SysBusDevice parent_obj;

    Stm32mpHsemView view[CORES];
    qemu_irq irq[CORES];
    uint32_t sem[SEMAPHORES];
    uint32_t ier[CORES];
    uint32_t isr[CORES];
    uint32_t key;
};

static void stm32mp_hsem_update(Stm32mpHsem *s)
{
    for (int n = 0; n < CORES; n++) {
        qemu_set_irq(s->irq[n], !!(s->isr[n] & s->ier[n]));
    }
}

static void stm32mp_hsem_free(Stm32mpHsem *s, unsigned n)
{
    s->sem[n] = 0;
    for (int core = 0; core < CORES; core++) {
        s->isr[core] |= 1u << n;
    }
    stm32mp_hsem_update(s);
}

static uint64_t stm32mp_hsem_read(void *opaque, hwaddr addr, unsigned size)
{
    Stm32mpHsemView *v = opaque;
    Stm32mpHsem *s = v->hsem;
    unsigned n = (addr % A_RLR0) / 4;
    unsigned bank = (addr >= A_C2IER);

    switch (addr) {
    case A_R0 ... A_RLR0 - 4:
        return s->sem[n];
    case A_RLR0 ... A_C1IER - 4:        /* one-step lock */
        if (!s->sem[n]) {
            s->sem[n] = R_R0_LOCK_MASK | v->core << R_R0_COREID_SHIFT;
        }
        return s->sem[n];
    case A_C1IER ... A_C2IER + 0xc:
        switch (addr & 0xc) {
        case 0x0:
            return s->ier[bank];
        case 0x8:
            return s->isr[bank];
        case 0xc:
            return s->isr[bank] & s->ier[bank];
        }
        return 0;
    case A_KEYR:
        return s->key;
    case A_HWCFGR2:
        return 1 << 4 | 2;              /* core ids of the two masters */
    }
    return 0;
}

static void stm32mp_hsem_write(void *opaque, hwaddr addr, uint64_t value,
                               unsigned size)
{
    Stm32mpHsemView *v = opaque;
    Stm32mpHsem *s = v->hsem;
    unsigned n = addr / 4, bank = (addr >= A_C2IER);
    uint32_t owner = value & (R_R0_PROCID_MASK | R_R0_COREID_MASK);

    switch (addr) {
    case A_R0 ... A_RLR0 - 4:
        if (FIELD_EX32(value, R0, COREID) != v->core) {
            return;
        }
        if (value & R_R0_LOCK_MASK) {
            if (!s->sem[n]) {
                s->sem[n] = R_R0_LOCK_MASK | owner;
            }
        } else if (s->sem[n] == (R_R0_LOCK_MASK | owner)) {
            stm32mp_hsem_free(s, n);
        }
        return;
    case A_C1IER ... A_C2IER + 0xc:
        if ((addr & 0xc) == 0x0) {
            s->ier[bank] = value;
        } else if ((addr & 0xc) == 0x4) {
            s->isr[bank] &= ~value;
        }
        stm32mp_hsem_update(s);
        return;
    case A_CR:                          /* frees all of one core */
        if (FIELD_EX32(value, CR, KEY) == s->key >> R_CR_KEY_SHIFT) {
            for (n = 0; n < SEMAPHORES; n++) {
                if (s->sem[n] && FIELD_EX32(s->sem[n], R0, COREID) ==
                                 FIELD_EX32(value, R0, COREID)) {
                    stm32mp_hsem_free(s, n);
                }
            }
        }
        return;
    case A_KEYR:
        s->key = value & R_CR_KEY_MASK;
        return;
    }
}

static const MemoryRegionOps stm32mp_hsem_ops = {
    .read = stm32mp_hsem_read,
    .write = stm32mp_hsem_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid.min_access_size = 4,
    .valid.max_access_size = 4,
};

static void stm32mp_hsem_reset_hold(Object *obj, ResetType type)
{
    Stm32mpHsem *s = STM32MP_HSEM(obj);

    memset(s->sem, 0, sizeof(s->sem));
    memset(s->ier, 0, sizeof(s->ier));
    memset(s->isr, 0, sizeof(s->isr));
    s->key = 0;
    stm32mp_hsem_update(s);
}

static void stm32mp_hsem_init(Object *obj)
{
    Stm32mpHsem *s = STM32MP_HSEM(obj);
    SysBusDevice *sbd = SYS_BUS_DEVICE(obj);

    for (int n = 0; n < CORES; n++) {
        s->view[n].hsem = s;
        s->view[n].core = n + 1;
        memory_region_init_io(&s->view[n].mmio, obj, &stm32mp_hsem_ops,
                              &s->view[n], TYPE_STM32MP_HSEM, SIZE);
        sysbus_init_mmio(sbd, &s->view[n].mmio);
        sysbus_init_irq(sbd, &s->irq[n]);
    }
}

static const VMStateDescription vmstate_stm32mp_hsem = {
    .name = TYPE_STM32MP_HSEM,
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT32_ARRAY(sem, Stm32mpHsem, SEMAPHORES),
        VMSTATE_UINT32_ARRAY(ier, Stm32mpHsem, CORES),
        VMSTATE_UINT32_ARRAY(isr, Stm32mpHsem, CORES),
        VMSTATE_UINT32(key, Stm32mpHsem),
        VMSTATE_END_OF_LIST()
    }
};

static void stm32mp_hsem_class_init(ObjectClass *klass, void *data)
{
    DEVICE_CLASS(klass)->vmsd = &vmstate_stm32mp_hsem;
    RESETTABLE_CLASS(klass)->phases.hold = stm32mp_hsem_reset_hold;
}

static const TypeInfo stm32mp_hsem_types[] = {
    {
        .name = TYPE_STM32MP_HSEM,
        .parent = TYPE_SYS_BUS_DEVICE,
        .instance_size = sizeof(Stm32mpHsem),
        .instance_init = stm32mp_hsem_init,
        .class_init = stm32mp_hsem_class_init,
    }
};

DEFINE_TYPES(stm32mp_hsem_types)
