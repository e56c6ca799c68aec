/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What upstream's STM32 PTA includes of a platform of STMicroelectronics: the inline functions of
 * drivers/stm32mp1_rcc.h name this function. No one calls them here, so that none defines it.
 */

#ifndef STM32_UTIL_H
#define STM32_UTIL_H

#include <types_ext.h>

vaddr_t stm32_rcc_base(void);

#endif /* STM32_UTIL_H */
