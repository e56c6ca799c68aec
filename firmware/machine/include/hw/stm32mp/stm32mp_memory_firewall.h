/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * STM32MP: the base of the firewalls in front of a memory
 *
 * Each master has a view of the memory: where all is allowed an access reaches
 * it as fast as without a firewall, elsewhere each is checked; one that is
 * refused reads as 0 or is ignored, or is a bus error, is recorded, and the line
 * pulses.  A subclass knows what its registers allow.
 */

#ifndef HW_STM32MP_MEMORY_FIREWALL_H
#define HW_STM32MP_MEMORY_FIREWALL_H

#include "exec/memory.h"
#include "hw/stm32mp/stm32mp.h"
#include "hw/stm32mp/stm32mp_regs.h"

#define TYPE_STM32MP_MEMORY_FIREWALL "stm32mp-memory-firewall"
OBJECT_DECLARE_TYPE(Stm32mpMemoryFirewall, Stm32mpMemoryFirewallClass,
                    STM32MP_MEMORY_FIREWALL)

/* By whom, and where in the memory, counted from its begin */
typedef struct Stm32mpAccess {
    hwaddr addr;
    unsigned cid;
    bool write;
    bool secure;
    bool user;
} Stm32mpAccess;

typedef struct Stm32mpMemoryView {
    IOMMUMemoryRegion iommu;

    Stm32mpMemoryFirewall *firewall;
    unsigned cid;
    bool nonsecure;             /* a master without TrustZone */
    MemoryRegion checked;
    AddressSpace *master_as;    /* where checked is at checked_at */
    hwaddr checked_at;
} Stm32mpMemoryView;

struct Stm32mpMemoryFirewall {
    Stm32mpRegs parent_obj;

    Stm32mpMemoryView view[STM32MP_CIDS];
    AddressSpace downstream_as;
    MemoryRegion *downstream;
};

/*
 * @granule: what has rights of its own, in bytes; a page of 4 KiB or a part
 * @allows:  whether the registers allow an access
 * @record:  keep of a refused access what the registers show; or NULL
 * @refused: what answers a refused access; NULL: MEMTX_OK
 */
struct Stm32mpMemoryFirewallClass {
    Stm32mpRegsClass parent_class;

    uint32_t granule;
    bool (*allows)(Stm32mpMemoryFirewall *s, const Stm32mpAccess *access);
    void (*record)(Stm32mpMemoryFirewall *s, const Stm32mpAccess *access);
    MemTxResult (*refused)(Stm32mpMemoryFirewall *s,
                           const Stm32mpAccess *access);
};

extern const VMStateDescription vmstate_stm32mp_memory_firewall;

#define VMSTATE_STM32MP_MEMORY_FIREWALL(_state)                         \
    VMSTATE_STRUCT(parent_obj, _state, 0, vmstate_stm32mp_memory_firewall, \
                   Stm32mpMemoryFirewall)

/* What a register of illegal accesses (IAESR) has of one */
uint32_t stm32mp_memory_firewall_status(const Stm32mpAccess *access);

/* Rights have changed: whoever has looked an address up looks again */
void stm32mp_memory_firewall_changed(Stm32mpMemoryFirewall *s);

#endif
