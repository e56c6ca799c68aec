/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * STM32MP register file: the base of the STM32MP devices.
 *
 * Keeps what is written and logs its first access (-d unimp), which is all
 * that a block without a model does.  Property "follow" has what it is ready
 * with at once: status register, control register, bits there, their place in
 * the status (a shift to the left).  GPIO output "illegal-access" pulses as
 * an access is refused.  A subclass gives registers a meaning.
 */

#ifndef HW_STM32MP_REGS_H
#define HW_STM32MP_REGS_H

#include "hw/stm32mp/stm32mp.h"
#include "hw/sysbus.h"
#include "migration/vmstate.h"
#include "qom/object.h"

#define TYPE_STM32MP_REGS "stm32mp-regs"
OBJECT_DECLARE_TYPE(Stm32mpRegs, Stm32mpRegsClass, STM32MP_REGS)

struct Stm32mpRegs {
    SysBusDevice parent_obj;

    MemoryRegion mmio;
    char *name;
    uint32_t size;
    uint32_t *r;
    uint32_t n;
    uint32_t *preset;
    uint32_t n_preset;
    uint32_t *follow;
    uint32_t n_follow;
    qemu_irq illegal;
    MemTxAttrs attrs;
    bool touched;
};

/*
 * @refuses: who asks must not: the access reads 0, or changes nothing
 * @mask:  the bits of a word that are not somebody else's: the others read 0
 *         and keep their value, and nothing is reported
 * @read:  the value of the word at @addr
 * @write: a word is written; bytes and half words come merged with what is
 *         stored, and @size says how much was written
 * @reset: the storage is zero already, but for the property "preset"
 * @waits: a write waits for a coprocessor: others have their accesses meanwhile
 *
 * While one of them runs, attrs says who asks.
 */
struct Stm32mpRegsClass {
    SysBusDeviceClass parent_class;

    uint32_t size;
    bool (*refuses)(Stm32mpRegs *s, hwaddr addr, bool write);
    uint32_t (*mask)(Stm32mpRegs *s, hwaddr addr, bool write);
    uint32_t (*read)(Stm32mpRegs *s, hwaddr addr);
    void (*write)(Stm32mpRegs *s, hwaddr addr, uint32_t value, unsigned size);
    void (*reset)(Stm32mpRegs *s);
    bool waits;
};

/* Unchecked: QEMU looks a checked class up by name, for longer than an access */
static inline Stm32mpRegsClass *stm32mp_regs_class(Stm32mpRegs *s)
{
    return (Stm32mpRegsClass *)object_get_class(OBJECT(s));
}

extern const VMStateDescription vmstate_stm32mp_regs;

#define VMSTATE_STM32MP_REGS(_state) \
    VMSTATE_STRUCT(parent_obj, _state, 0, vmstate_stm32mp_regs, Stm32mpRegs)

/* Handler of a GPIO input by which RCC resets a device; @opaque: the device */
void stm32mp_regs_reset_line(void *opaque, int n, int level);

/*
 * Where a firewall passes accesses on, the compartment (CID) of the bus master
 * is the requester
 */
static inline unsigned stm32mp_regs_cid(const Stm32mpRegs *s)
{
    return s->attrs.requester_id;
}

/* Secure, privileged software of the trusted domain asks */
static inline bool stm32mp_regs_trusted(const Stm32mpRegs *s)
{
    return s->attrs.secure && !s->attrs.user &&
           stm32mp_regs_cid(s) == STM32MP_CID_TRUSTED;
}

/*
 * Whether a resource's CIDCFGR (CFEN, bit 0; SEM_EN, bit 1; SCID, bits 4 to 6)
 * lets a compartment use it; @semcr: its semaphore
 */
bool stm32mp_cid_owns(unsigned cid, uint32_t cidcfgr, uint32_t semcr);

/* The same of the compartment that asks */
static inline bool stm32mp_regs_owns(const Stm32mpRegs *s, uint32_t cidcfgr,
                                     uint32_t semcr)
{
    return stm32mp_cid_owns(stm32mp_regs_cid(s), cidcfgr, semcr);
}

/*
 * A write to a resource's semaphore (SEMCR: MUTEX, bit 0; SCID, bits 4 to 6):
 * the first compartment takes it, nobody else frees it
 */
void stm32mp_semaphore_write(Stm32mpRegs *s, hwaddr addr, uint32_t value);

/* A register of the storage, by its offset */
static inline uint32_t *stm32mp_reg(Stm32mpRegs *s, hwaddr addr)
{
    return &s->r[addr / 4];
}

#endif
