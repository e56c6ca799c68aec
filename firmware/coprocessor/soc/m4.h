/* SPDX-License-Identifier: MIT */
/*
 * Cortex-M4 of the STM32MP15.
 *
 * Ref: Linux arch/arm/boot/dts/st/stm32mp15xx-dkx.dtsi: reserved memory retram, mcuram2 (code, data),
 *      vdev0vring0 0x10040000 and vdev0vring1 0x10041000 of 0x1000 each: this firmware has no virtio
 *      device, so its IPC area (trace, then mailbox) lies there, in memory Linux maps;
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

#define IPC_DA 0x10040000u

#define IPCC_BASE 0x4C001000u /* IPCC, stm32mp151.dtsi mailbox@4c001000 */
#define WWDG_BASE 0x4000A000u
#define WWDG_CLOCK_REG 0x50000A80u /* RCC_MC_APB1ENSETR */
#define WWDG_CLOCK_EN (1u << 28)   /* WWDG1EN */

#endif
