/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * STM32MP firewalls: an access that is allowed goes on to what is behind
 */

#ifndef HW_STM32MP_PASS_H
#define HW_STM32MP_PASS_H

#include "exec/memory.h"

static inline MemTxResult stm32mp_pass_read(AddressSpace *as, hwaddr addr,
                                            uint64_t *data, unsigned size,
                                            MemTxAttrs attrs)
{
    uint8_t buf[8] = { };
    MemTxResult result = address_space_read(as, addr, attrs, buf, size);

    *data = ldn_le_p(buf, size);
    return result;
}

static inline MemTxResult stm32mp_pass_write(AddressSpace *as, hwaddr addr,
                                             uint64_t data, unsigned size,
                                             MemTxAttrs attrs)
{
    uint8_t buf[8];

    stn_le_p(buf, size, data);
    return address_space_write(as, addr, attrs, buf, size);
}

/* Of a MemoryRegionOps: accesses pass in the size that they have */
#define STM32MP_PASS_SIZES \
    .endianness = DEVICE_LITTLE_ENDIAN, \
    .impl.min_access_size = 1, \
    .impl.max_access_size = 8, \
    .valid.min_access_size = 1, \
    .valid.max_access_size = 8

#endif
