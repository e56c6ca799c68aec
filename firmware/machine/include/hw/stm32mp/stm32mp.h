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

#include "exec/memory.h"
#include "hw/qdev-core.h"

/*
 * Forgets what a CPU has found behind a firewall, in the CPU's own thread: in
 * another one QEMU would free a table that the CPU is reading.
 */
void stm32mp_flush_tlb(CPUState *cs);
/* The memories past their firewalls, for the host: CPUs have 40 bits of address */
#define STM32MP_LOOK (1ull << 45)

/* Compartments of bus masters of the STM32MP25: views of a firewall, by CID */
#define STM32MP_CIDS 4
#define STM32MP_CID_A35 1
#define STM32MP_CID_M33 2
#define STM32MP_CID_M0 3
#define STM32MP_CID_TRUSTED STM32MP_CID_A35     /* TDCID, as BL2 leaves it */
#define STM32MP25_PERIPHERALS_SIZE 0x10000000
/* Bus masters of the STM32MP15, the same way: Cortex-A7, Cortex-M4, SDMMC */
#define STM32MP15_A7 1
#define STM32MP15_M4 2
#define STM32MP15_SDMMC 3

/* Fuses; array "preset" */
#define TYPE_STM32MP_BSEC "stm32mp-bsec"
/* CRC unit */
#define TYPE_STM32MP_CRC "stm32mp-crc"
/* Digital temperature sensor; clock "pclk" */
#define TYPE_STM32MP_DTS "stm32mp-dts"
/*
 * TrustZone protection; link "peripherals"; arrays "ids": pairs of a
 * peripheral's address there and id; "hidden": ids that it says are the secure
 * world's after a reset; property "loaded": reset to what a boot loader leaves
 */
#define TYPE_STM32MP_ETZPC "stm32mp-etzpc"
/* Peripherals are protected in @memory, and a coprocessor's in @coprocessor */
void stm32mp_etzpc_guard(DeviceState *dev, MemoryRegion *memory,
                         MemoryRegion *coprocessor);
/*
 * A RAM that it protects; links "memory" and, realized, "etzpc"; property
 * "id", or one of STM32MP_ETZPC_TZMA; MMIO 1 + n: as master n sees it
 */
#define TYPE_STM32MP_ETZPC_RAM "stm32mp-etzpc-ram"
#define STM32MP_ETZPC_TZMA0 200         /* pages of the secure world at its */
#define STM32MP_ETZPC_TZMA1 201         /* begin: boot ROM, SYSRAM */
/*
 * Analog-to-digital converter; GPIO inputs "trigger", as CFGR.EXTSEL numbers them;
 * output "request": to the DMA; sysbus interrupt
 */
#define TYPE_STM32MP_ADC "stm32mp-adc"
#define STM32MP_ADC_TRIGGERS 32
/*
 * DMA controller in the memory of link "memory"; GPIO inputs: requests, by
 * stream; sysbus interrupts: the same
 */
#define TYPE_STM32MP_DMA "stm32mp-dma"
/* Multiplexer of requests; GPIO inputs: requests, by id; outputs: channels */
#define TYPE_STM32MP_DMAMUX "stm32mp-dmamux"
#define STM32MP_DMAMUX_REQUESTS 128
#define STM32MP_DMAMUX_CHANNELS 16      /* 0 to 7: DMA1, the others: DMA2 */
/*
 * EXTI; GPIO inputs: events 0 to 95; inputs "pin": 16 of each bank of GPIO, high
 * at first; sysbus interrupts: the events for the Cortex-A, then for the
 * coprocessor
 */
#define TYPE_STM32MP_EXTI "stm32mp-exti"
#define STM32MP_EXTI_EVENTS 96
#define STM32MP_EXTI_PORTS 12
/*
 * GPIO bank; properties "inputs": levels of pins that the SoC does not drive,
 * "outputs": what it did with the others; "rif": pins are isolated; GPIO outputs:
 * levels of the pins
 */
#define TYPE_STM32MP_GPIO "stm32mp-gpio"
/* Semaphores; MMIO 0 as the Cortex-A sees it, 1 as the coprocessor does */
#define TYPE_STM32MP_HSEM "stm32mp-hsem"
/* Illegal accesses; GPIO inputs: its lines; sysbus interrupt */
#define TYPE_STM32MP_IAC "stm32mp-iac"
#define STM32MP_IAC_LINES 181
/*
 * I2C controller; bus "i2c"; GPIO input "reset"; sysbus interrupts: event,
 * error
 */
#define TYPE_STM32MP_I2C "stm32mp-i2c"
/*
 * Mailbox; properties "channels", "rif": it is isolated; sysbus interrupts: RX
 * and TX of processor 1, of processor 2
 */
#define TYPE_STM32MP_IPCC "stm32mp-ipcc"
/*
 * Independent watchdog; GPIO outputs "reset": a pulse to RCC, a level to an
 * interrupt controller; input "core-reset"; sysbus interrupt: early wake-up;
 * clock "lsi"; link "core": whose thread must have run since it was due
 */
#define TYPE_STM32MP_IWDG "stm32mp-iwdg"
/*
 * A Cortex-M beside the Cortex-A.  Properties "cpu-type", "num-irq",
 * "num-prio-bits", "memory" as of armv7m; clocks "cpuclk", "refclk";
 * unnamed GPIO inputs: its interrupts; named inputs "hold" (a level: held
 * after its next reset, released when it falls), "reset" (a pulse);
 * named outputs "sysresetreq"; "in-reset": from a reset until the core has
 * taken it
 */
#define TYPE_STM32MP_MCORE "stm32mp-mcore"
/* Where its vectors are at its next start; realized with 0 */
void stm32mp_mcore_set_vectors(DeviceState *dev, uint32_t address);
/* All that it sees, its own peripherals too */
AddressSpace *stm32mp_mcore_address_space(DeviceState *dev);
/*
 * For a watchdog that has run out: on a busy host one of a core that could not
 * run is no fault of its firmware.  Once the core's thread has had the host's
 * CPU, @timer is set to @ns from then, unless *@turns, which counts this, is 0
 * by then.  False, with the core's place in QEMU's log, after some such turns;
 * without a core (NULL) at once.
 */
bool stm32mp_mcore_turn(DeviceState *dev, const char *watchdog,
                        QEMUTimer *timer, uint32_t *turns, int64_t ns);
/*
 * A fault that the core cannot take: it stops until its next reset.  QEMU's
 * NVIC calls it where it would abort.
 */
void G_NORETURN stm32mp_mcore_lockup(CPUState *cs, const char *fmt, ...)
    G_GNUC_PRINTF(2, 3);
/* Power control */
#define TYPE_STM32MP_PWR "stm32mp-pwr"
/*
 * Firewall of peripherals; links "peripherals"; property "base", their address;
 * array "ids": pairs of a peripheral's address and id; MMIO 1 + n: as CID n
 * sees them; GPIO outputs "illegal", by id; inputs "nonsecure", by CID: the
 * master has no secure world; inputs "in-reset", by id: the peripheral gives a
 * bus error, and its output "unavailable" pulses, while input "serf" is high
 */
#define TYPE_STM32MP_RIFSC "stm32mp-rifsc"
/*
 * Firewalls of a low-power RAM, an internal RAM, an external memory; link
 * "memory"; MMIO 1 + n: as CID n sees it; inputs "nonsecure", by CID.  RISAB: properties
 * "base", the RAM's address, "secure": the secure world's after a reset.
 * RISAF: property "regions"
 */
#define TYPE_STM32MP_RISAL "stm32mp-risal"
#define TYPE_STM32MP_RISAB "stm32mp-risab"
#define TYPE_STM32MP_RISAF "stm32mp-risaf"
/*
 * The master of a view has address space @as with @memory in it, where nothing
 * that the master reaches is at @at
 */
void stm32mp_memory_firewall_attach(DeviceState *dev, unsigned cid,
                                    MemoryRegion *memory, AddressSpace *as,
                                    hwaddr at);
/* Random numbers */
#define TYPE_STM32MP_RNG "stm32mp-rng"
/*
 * Real-time clock; sysbus interrupt: alarm A; property "rif": it is isolated
 */
#define TYPE_STM32MP_RTC "stm32mp-rtc"
/* Serviceable errors; as stm32mp-iac; GPIO output "enabled": they are detected */
#define TYPE_STM32MP_SERC "stm32mp-serc"
#define STM32MP_SERC_LINES 128  /* ids of RIFSC */
/* System counter; property "frequency-hz" */
#define TYPE_STM32MP_STGEN "stm32mp-stgen"
/*
 * SD card interface with its own DMA, in the memory of link "dma"; bus
 * "sd-bus"; sysbus interrupt
 */
#define TYPE_STM32MP_SDMMC "stm32mp-sdmmc"
/* Puts a drive's card into it; NULL: there is none */
void stm32mp_sdmmc_card(DeviceState *sdmmc, DriveInfo *drive);
/*
 * Timer; clock "clk"; sysbus interrupts: update, the others, or both if the
 * second is not connected; GPIO outputs "update": a request to the DMA, "trgo"
 */
#define TYPE_STM32MP_TIM "stm32mp-tim"
/*
 * TZC-400, the firewall of the DDR; link "memory"; properties "base", its
 * address, "loaded": reset to what a boot loader leaves; MMIO 1 + n: as master
 * n sees it; sysbus interrupt
 */
#define TYPE_STM32MP_TZC "stm32mp-tzc"
/*
 * USART with FIFOs; properties "chardev", "sent": what was sent without one,
 * "typed": what it receives; sysbus interrupts: one line to each of two interrupt
 * controllers; property "loaded": reset to what a boot loader leaves, enabled
 */
#define TYPE_STM32MP_USART "stm32mp-usart"
/*
 * Window watchdog, as the independent one, but for its clock "pclk"
 */
#define TYPE_STM32MP_WWDG "stm32mp-wwdg"
#define TYPE_STM32MP_HASH "stm32mp-hash"
/* ST's power management chips, on I2C */
#define TYPE_STPMIC1 "stpmic1"
#define TYPE_STPMIC25 "stpmic25"

/* DDR controller and its PHY */
#define TYPE_STM32MP15_DDR "stm32mp15-ddr"

/*
 * Reset and clock control of the STM32MP15.  GPIO outputs "mcu-hold",
 * "mcu-reset" (two), "mpu-reset" (by CPU), "i2c4-reset"; inputs "wwdg1",
 * "iwdg", "mcu-request"; clock outputs "mcu", "pclk1", "pclk3", "timg1", "timg2",
 * "systick", "lsi";
 * property "loaded": reset to what a boot loader leaves; property "lsi-hz":
 * clock of the independent watchdogs
 */
#define TYPE_STM32MP15_RCC "stm32mp15-rcc"

/*
 * Reset and clock control of the STM32MP25.  GPIO outputs "c2-hold",
 * "c2-reset" (Cortex-M33), "c3-hold", "c3-reset" (Cortex-M0+; each reset to
 * the core, then to its watchdogs), "c1p1-reset" (second Cortex-A35); inputs
 * "watchdog" (IWDG1 to 5, WWDG1), "core-request", "in-reset" (of C2, C3); clock
 * outputs "mcu", "ls-mcu", "systick", "lsi"; GPIO outputs "peripheral-reset",
 * by id of RIFSC: the peripheral is held in reset
 */
#define TYPE_STM32MP25_RCC "stm32mp25-rcc"
#define STM32MP25_PERIPHERALS 128       /* ids of RIFSC */
/* EXTI's registers; properties "events", "cpus" */
#define TYPE_STM32MP25_EXTI "stm32mp25-exti"
/* Blocks that are storage, with their isolation; as stm32mp-regs */
#define TYPE_STM32MP25_HPDMA "stm32mp25-hpdma"
#define TYPE_STM32MP25_HSEM "stm32mp25-hsem"
#define TYPE_STM32MP25_PWR "stm32mp25-pwr"
#define TYPE_STM32MP25_TAMP "stm32mp25-tamp"
/* Cortex-A35 subsystem; link "m33"; GPIO outputs "m33-nonsecure" */
#define STM32MP25_FIREWALLS 8   /* RIFSC, RISAF4, RISAB1 to 6 */
#define TYPE_STM32MP25_A35SSC "stm32mp25-a35ssc"
/* Where a Cortex-A35 starts after its next reset */
uint32_t stm32mp25_a35ssc_start(DeviceState *dev);

#endif
