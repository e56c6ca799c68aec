/* SPDX-License-Identifier: MIT */
/*
 * Cortex-M33 of the STM32MP25.
 *
 * Ref: STM32CubeMP2 Drivers/CMSIS/Device/ST/STM32MP2xx/Include/stm32mp257cxx_cm33.h and _ca35.h
 *      (after RM0457: IWDG3 is the M33's, its reset is GIC_SPI 4, "IWDG3_RST_IRQn = 36")
 *      OP-TEE core/arch/arm/dts/stm32mp257f-ev1-ca35tdcid-resmem.dtsi (cm33_cube_fw, ipc_shmem)
 *      OP-TEE core/arch/arm/dts/stm32mp257f-ev1-ca35tdcid-rif.dtsi (IWDG3: CID2, secure)
 *      Linux drivers/clk/stm32/stm32mp25_rcc.h (RCC_IWDG3CFGR, ...), clk-stm32mp25.c (GATE_IWDG3: bit 1),
 *      arch/arm64/boot/dts/st/stm32mp251.dtsi (rcc@44200000)
 *
 * On silicon RIFSC assigns each watchdog to a world and a CID. ST's boards give IWDG3 to the secure world: an
 * access from this one makes OP-TEE panic. IWDG4 and WWDG1 are open to this core, but Linux' device tree has no
 * interrupt of them.
 */
#ifndef SOC_H
#define SOC_H

#define CORE_NAME "m33"
#define CPU_HZ 400000000u /* RM0457, clock of the Cortex-M33, highest; sets the heartbeat period only */

#define IPC_DA 0x81200000u

#define IPCC_BASE 0x40490000u /* IPCC1, ST: arch/arm64/boot/dts/st/stm32mp251.dtsi mailbox@40490000 */
#define IPCC_PROCESSOR 2u
#define IPCC_RX_IRQ 171u /* IPCC1_RX_IRQn, IPCC1_TX_IRQn of stm32mp257cxx_cm33.h */
#define IPCC_TX_IRQ 172u
#define RCC_IWDG3CFGR 0x44200890u
#define RCC_IWDG4CFGR 0x44200894u
#define RCC_WWDG1CFGR 0x4420089Cu
#define WATCHDOGS                                                 \
	{ 3, &iwdg, 0x44030000u, RCC_IWDG3CFGR, 1u << 1 },        \
		{ 4, &iwdg, 0x44040000u, RCC_IWDG4CFGR, 1u << 1 }, \
		{ 1, &wwdg, 0x44050000u, RCC_WWDG1CFGR, 1u << 1 }

#define STACK_LIMIT_REGISTER 1 /* Armv8-M Mainline has MSPLIM */

#endif
