/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * STM32MP15: two Cortex-A7, a Cortex-M4
 */

#ifndef HW_STM32MP15_SOC_H
#define HW_STM32MP15_SOC_H

#include "exec/memory.h"
#include "hw/cpu/a15mpcore.h"
#include "hw/cpu/cluster.h"
#include "hw/sysbus.h"
#include "qemu/typedefs.h"
#include "qom/object.h"
#include "target/arm/cpu.h"

#define TYPE_STM32MP15_SOC "stm32mp15-soc"
OBJECT_DECLARE_SIMPLE_TYPE(Stm32mp15Soc, STM32MP15_SOC)

#define STM32MP15_CPUS 2
#define STM32MP15_GPIOS 12
#define STM32MP15_ROM 0
#define STM32MP15_SYSRAM 0x2ffc0000
#define STM32MP15_SYSRAM_SIZE 0x40000
#define STM32MP15_DDR 0xc0000000
/* Where the board's virtio transports are: an area of FMC that it leaves */
#define STM32MP15_FREE 0x60000000
#define STM32MP15_FREE_SPI 210
#define STM32MP15_USARTS 7      /* beside UART4 */
#define STM32MP15_ADCS 2
#define STM32MP15_DMAS 2
#define STM32MP15_TIMERS 14
#define STM32MP15_MASTERS 4     /* by number, from 1: STM32MP15_A7 and so on */
/* RAMs that ETZPC protects, by the order of their firewalls */
enum {
    STM32MP15_RAM_ROM, STM32MP15_RAM_SYSRAM, STM32MP15_RAM_SRAM1,
    STM32MP15_RAM_SRAM2, STM32MP15_RAM_SRAM3, STM32MP15_RAM_SRAM4,
    STM32MP15_RAM_RETRAM, STM32MP15_RAMS
};

/*
 * "loaded": a kernel is started without a boot loader, so registers are as
 * one would leave them; link "ddr"
 */
struct Stm32mp15Soc {
    SysBusDevice parent_obj;

    CPUClusterState cluster;
    ARMCPU cpu[STM32MP15_CPUS];
    A15MPPrivState a7mpcore;
    DeviceState *rcc;
    DeviceState *exti;
    DeviceState *etzpc;
    DeviceState *tzc;
    DeviceState *ipcc;
    DeviceState *hsem;
    DeviceState *wwdg1;
    DeviceState *iwdg[2];
    DeviceState *i2c4;
    DeviceState *sdmmc1;
    DeviceState *uart4;
    DeviceState *usart[STM32MP15_USARTS];
    DeviceState *dts;
    DeviceState *gpio[STM32MP15_GPIOS];
    DeviceState *m4;
    DeviceState *adc[STM32MP15_ADCS];
    DeviceState *dmamux;
    DeviceState *dma[STM32MP15_DMAS];

    MemoryRegion peripherals;
    MemoryRegion peripherals_alias;
    MemoryRegion *ddr;
    MemoryRegion ram[STM32MP15_RAMS];
    DeviceState *ram_firewall[STM32MP15_RAMS];
    MemoryRegion mcusram[STM32MP15_MASTERS];
    MemoryRegion mcusram_ahb[STM32MP15_MASTERS];
    MemoryRegion ddr_again[STM32MP15_MASTERS];
    MemoryRegion system_alias[STM32MP15_MASTERS];
    MemoryRegion m4_memory;
    MemoryRegion m4_retram;
    MemoryRegion m4_internal;
    MemoryRegion dma_memory;
    AddressSpace dma_as;

    bool loaded;
};

/* An interrupt of the Cortex-A7s, by the number of its SPI */
qemu_irq stm32mp15_soc_spi(Stm32mp15Soc *s, unsigned spi);

/* SYSRAM, past its firewall: what is loaded into it */
AddressSpace *stm32mp15_soc_sysram(Stm32mp15Soc *s);

/* A reset of the machine is one of its CPUs: without arm_load_kernel() */
void stm32mp15_soc_start_in_rom(Stm32mp15Soc *s);

/*
 * The Cortex-M4; after arm_load_kernel(), which takes every CPU that is there
 * for one of Linux
 */
void stm32mp15_soc_add_m4(Stm32mp15Soc *s);

#define STM32MP15_SGI_TEE 8     /* by which OP-TEE's PSCI starts a CPU */

/* Where the boot ROM starts CPU 0, and the SGI by which a waiting CPU is woken */
typedef struct Stm32mp15Boot {
    uint32_t entry;
    uint32_t r[3];
    uint32_t lr;
    uint32_t sgi;
} Stm32mp15Boot;

void stm32mp15_add_boot_code(const Stm32mp15Boot *boot, MemoryRegion *rom);

/*
 * Start from the card as the boot ROM does; false with a reason if there is no
 * first stage boot loader on it
 */
bool stm32mp15_add_rom(BlockBackend *card, MemoryRegion *rom,
                       AddressSpace *sysram, Error **errp);

/*
 * Start OP-TEE, as the loader before it does, which starts @kernel with the
 * device tree at @dtb.  Its pageable part goes to @pageable.  False with a
 * reason if @filename is no OP-TEE.
 */
bool stm32mp15_add_tee(const char *filename, MemoryRegion *rom,
                       uint32_t pageable, uint32_t kernel, uint32_t dtb,
                       Error **errp);

#endif
