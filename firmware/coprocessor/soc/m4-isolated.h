/* SPDX-License-Identifier: MIT */
/*
 * The M4 whose memory ETZPC isolates from Linux: firmware with RPMsg, whose IPC area
 * cannot be where the rings are, has it in memory that upstream's trees do not give
 * the core. Other firmware is the same with and without isolation.
 *
 * Ref: ST's Linux v6.6-stm32mp arch/arm/boot/dts/st/stm32mp15xx-dkx.dtsi: mcu_rsc_table
 */
#define ISOLATED
#include "m4.h"
