/* SPDX-License-Identifier: MIT */
/*
 * Cortex-M4 of the STM32MP15.
 *
 * Ref: Linux arch/arm/boot/dts/st/stm32mp15xx-dkx.dtsi: reserved memory retram, mcuram2 (code, data),
 *      vdev0vring0 0x10040000 and vdev0vring1 0x10041000 of 0x1000 each: this firmware has no virtio
 *      device, so its IPC area (trace, mailbox, resource table) lies there, in memory Linux maps: a bank that
 *      stays shared where ETZPC isolates the M4;
 *      m4_rproc: interrupts = <68 1> of EXTI, the reset by WWDG1
 *      RM0436 2.5 memory map (WWDG1 = APB1 + 0xA000), RCC_MC_APB1ENSETR (offset 0xA80, WWDG1EN bit 28)
 *
 * The IWDGs of an STM32MP15 belong to the Cortex-A7; the M4's watchdog is WWDG1.
 */
#ifndef SOC_H
#define SOC_H

#define CORE_NAME "m4"
#define CPU_HZ 208877930u /* mck_mcu as ST's boards set it: PLL3P */
#define PCLK1_HZ 104438965u

#ifdef ISOLATED
#define IPC_DA 0x10048000u /* mcu_rsc_table of ST's trees, in the bank that stays shared; m4-isolated.h */
#elif defined(RPMSG)
#define IPC_DA 0x1003E000u /* the end of mcuram2: the rings are in vdev0vring0 and 1, and Linux loads the core */
#else
#define IPC_DA 0x10040000u
#endif

#define IPCC_BASE 0x4C001000u /* IPCC, stm32mp151.dtsi mailbox@4c001000 */
#define IPCC_PROCESSOR 2u
#define IPCC_RX_IRQ 103u /* IPCC_RX1_IRQn, IPCC_TX1_IRQn of stm32mp157cxx_cm4.h */
#define IPCC_TX_IRQ 104u
#define RCC_MC_APB1ENSETR 0x50000A80u
#define WATCHDOGS { 1, &wwdg, 0x4000A000u, RCC_MC_APB1ENSETR, 1u << 28 }

#endif
