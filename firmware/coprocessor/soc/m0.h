/* SPDX-License-Identifier: MIT */
/*
 * Cortex-M0+ of the STM32MP25 (SmartRun domain).
 *
 * Ref: STM32CubeMP2 Drivers/CMSIS/Device/ST/STM32MP2xx/Include/stm32mp257cxx_cm0.h
 *      (IWDG5 = SMART_RUN_APB 0x46000000 + 0x90000; LPSRAM1 0x200C0000; no VTOR) and _ca35.h
 *      (its reset is GIC_SPI 7, "IWDG5_RST_IRQn = 39"); ST's memory: cm0_cube_fw and cm0_cube_data in
 *      LPSRAM1..3, ipc_shmem_2 at 0x200C6000
 *
 * RCC is not in this core's memory map: RCC_IWDG5CFGR has to be enabled before the core is released.
 */
#ifndef SOC_H
#define SOC_H

#define CORE_NAME "m0"
#define CPU_HZ 200000000u /* RM0457, clock of the SmartRun domain, highest; sets the heartbeat period only */

#define VECTORS 0x200C0000u /* m0.ld; those of interrupts, from 0x40 on, have the last words of the stack */
#define IPC_DA 0x200C6000u
#define RING_SIZE 8u /* vdev0buffer, firmware/boot/mp25-m0.dtso, has 8 KiB */

#define IPCC_BASE 0x46250000u /* IPCC2, ST: stm32mp251.dtsi mailbox@46250000 */
#define IPCC_PROCESSOR 1u /* OP-TEE core/arch/arm/dts/stm32mp257f-ev1-ca35tdcid-rif.dtsi, ipcc2: its channels are CID3's */
#define IPCC_RX_IRQ 13u /* IPCC2_RX_IRQn, IPCC2_TX_IRQn of stm32mp257cxx_cm0.h */
#define IPCC_TX_IRQ 14u
#define WATCHDOGS { 5, &iwdg, 0x46090000u, 0, 0 }

#endif
