/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Devices of ST's STM32MP1 and STM32MP2, by type name.
 *
 * Their states are private to their files; what they offer is GPIO lines,
 * clocks, properties and memory regions, said at each type.
 */

#ifndef HW_STM32MP_H
#define HW_STM32MP_H

/* CRC unit */
#define TYPE_STM32MP_CRC "stm32mp-crc"
/* Digital temperature sensor; clock "pclk" */
#define TYPE_STM32MP_DTS "stm32mp-dts"
/* TrustZone protection; array "secure": ids that the Cortex-A is refused */
#define TYPE_STM32MP_ETZPC "stm32mp-etzpc"
/* EXTI; GPIO inputs: events 0 to 95; sysbus interrupts: the same */
#define TYPE_STM32MP_EXTI "stm32mp-exti"
#define STM32MP_EXTI_EVENTS 96
/* GPIO bank; "inputs": levels of pins that the SoC does not drive */
#define TYPE_STM32MP_GPIO "stm32mp-gpio"
/* Semaphores; MMIO 0 as the Cortex-A sees it, 1 as the coprocessor does */
#define TYPE_STM32MP_HSEM "stm32mp-hsem"
/* I2C controller; bus "i2c"; sysbus interrupts: event, error */
#define TYPE_STM32MP_I2C "stm32mp-i2c"
/* Mailbox; sysbus interrupts: RX and TX of processor 1, of processor 2 */
#define TYPE_STM32MP_IPCC "stm32mp-ipcc"
/* Independent watchdog; GPIO output "reset"; clock "lsi" */
#define TYPE_STM32MP_IWDG "stm32mp-iwdg"
/*
 * A Cortex-M beside the Cortex-A.  Properties "cpu-type", "num-irq",
 * "num-prio-bits", "memory" as of armv7m; clocks "cpuclk", "refclk";
 * unnamed GPIO inputs: its interrupts; named inputs "hold" (a level: held
 * after its next reset, released when it falls), "reset" (a pulse);
 * named output "sysresetreq"
 */
#define TYPE_STM32MP_MCORE "stm32mp-mcore"
/* Power control */
#define TYPE_STM32MP_PWR "stm32mp-pwr"
/* Random numbers */
#define TYPE_STM32MP_RNG "stm32mp-rng"
/* Real-time clock */
#define TYPE_STM32MP_RTC "stm32mp-rtc"
/* SD card interface with its own DMA; bus "sd-bus"; sysbus interrupt */
#define TYPE_STM32MP_SDMMC "stm32mp-sdmmc"
/*
 * USART with FIFOs; property "chardev"; sysbus interrupt; property "loaded":
 * reset to what a boot loader leaves, enabled
 */
#define TYPE_STM32MP_USART "stm32mp-usart"
/*
 * Window watchdog; GPIO outputs "reset": to RCC, to EXTI; input "core-reset";
 * sysbus interrupt; clock "pclk"
 */
#define TYPE_STM32MP_WWDG "stm32mp-wwdg"
/* ST's power management chip, on I2C */
#define TYPE_STPMIC1 "stpmic1"

/*
 * Reset and clock control of the STM32MP15.  GPIO outputs "mcu-hold",
 * "mcu-reset" (two); inputs "wwdg1", "iwdg", "mcu-request"; clock outputs
 * "mcu", "pclk1", "pclk3", "systick", "lsi"; property "loaded": reset to what a
 * boot loader leaves
 */
#define TYPE_STM32MP15_RCC "stm32mp15-rcc"

#endif
