/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * STM32MP25: isolation of the resources of a block, in the block itself
 *
 * A resource (a pin, a channel, a function) is of a world and a privilege, by
 * its bit in SECCFGR and PRIVCFGR, and of a compartment, by its CIDCFGR, after
 * which a semaphore may be.  Everybody reads these registers.  The trusted
 * domain writes all of them; secure software writes the worlds of what its
 * compartment may use, privileged software the privileges; a semaphore is taken
 * by anybody.  What RCFGLOCKR locks is as it is until a reset.
 *
 * Ref: OP-TEE core/drivers/firewall/stm32_rif.c, and apply_rif_config() of
 *      core/drivers/stm32_gpio.c, stm32_hpdma.c, stm32_hsem.c, stm32_rtc.c,
 *      stm32_tamp.c
 */

#ifndef HW_STM32MP_RIF_H
#define HW_STM32MP_RIF_H

#include "hw/stm32mp/stm32mp_regs.h"

#define STM32MP_RIF_NONE 0xffff /* a block without this register */

/*
 * Where the registers of @n resources are; CIDCFGR of one is @stride after that
 * of the one before, and @semaphores: SEMCR is the next word.  @bits: those of
 * SECCFGR, PRIVCFGR and RCFGLOCKR by resource; NULL: as it is numbered.
 */
typedef struct Stm32mpRif {
    uint16_t seccfgr;
    uint16_t privcfgr;
    uint16_t rcfglockr;
    uint16_t cidcfgr;
    uint8_t stride;
    uint8_t n;
    bool semaphores;
    const uint8_t *bits;
} Stm32mpRif;

/* Whether who asks may use resource @n */
bool stm32mp_rif_owns(const Stm32mpRegs *s, const Stm32mpRif *rif, unsigned n);

/* Whether the word is one of these registers */
bool stm32mp_rif_has(const Stm32mpRif *rif, hwaddr addr);

/* As of Stm32mpRegsClass, for a word that is */
bool stm32mp_rif_refuses(const Stm32mpRegs *s, const Stm32mpRif *rif,
                         hwaddr addr, bool write);
uint32_t stm32mp_rif_mask(const Stm32mpRegs *s, const Stm32mpRif *rif,
                          hwaddr addr, bool write);
void stm32mp_rif_write(Stm32mpRegs *s, const Stm32mpRif *rif, hwaddr addr,
                       uint32_t value);

#endif
