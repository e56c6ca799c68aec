/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the PTA and the board part agree on beyond drivers/stm32_remoteproc.h.
 */

#ifndef MPBENCH_VIRT_RPROC_H
#define MPBENCH_VIRT_RPROC_H

#include <tee_api_types.h>
#include <types_ext.h>
#include <util.h>

/*
 * Processor ids are below this bound: the slots of the control page.
 * M4 is 0 (upstream's STM32_M4_RPROC_ID), M33 is 1 as in STMicroelectronics'
 * kernel (STM32_MP2_M33_PROC_ID), M0 is 2 here; no public source gives it one.
 */
#define VIRT_RPROC_MAX_ID	U(15)

/* @word: where the emulator writes the number of an exception, after the slots */
TEE_Result virt_firewall_init(const void *fdt, vaddr_t word);

#endif /* MPBENCH_VIRT_RPROC_H */
