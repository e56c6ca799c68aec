/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * STM32MP25: two Cortex-A35, a Cortex-M33, a Cortex-M0+
 */

#ifndef HW_STM32MP25_SOC_H
#define HW_STM32MP25_SOC_H

#include "hw/cpu/cluster.h"
#include "hw/intc/arm_gic.h"
#include "hw/stm32mp/stm32mp.h"
#include "hw/sysbus.h"
#include "qom/object.h"
#include "target/arm/cpu.h"

#define TYPE_STM32MP25_SOC "stm32mp25-soc"
OBJECT_DECLARE_SIMPLE_TYPE(Stm32mp25Soc, STM32MP25_SOC)

#define STM32MP25_CPUS 2
#define STM32MP25_GPIOS 12
#define STM32MP25_USARTS 9
#define STM32MP25_DDR 0x80000000
#define STM32MP25_BL33 0x84000000       /* STM32MP_BL33_BASE */
#define STM32MP25_SYSRAM 0x0e000000
#define STM32MP25_RISABS 6
#define STM32MP25_RISALS 3
/* Where the Cortex-A35s start: what stands in for BL2 */
#define STM32MP25_START 0
/* Where the board's virtio transports are: in the memory of OCTOSPI */
#define STM32MP25_FREE 0x6ff00000
#define STM32MP25_FREE_SPI 376

/* Link "ddr": the memory behind RISAF4 */
struct Stm32mp25Soc {
    SysBusDevice parent_obj;

    CPUClusterState cluster;
    ARMCPU cpu[STM32MP25_CPUS];
    GICState gic;
    DeviceState *rcc;
    DeviceState *a35ssc;
    DeviceState *rifsc;
    DeviceState *risaf4;
    DeviceState *risab[STM32MP25_RISABS];
    DeviceState *risal[STM32MP25_RISALS];
    DeviceState *iac;
    DeviceState *serc;
    DeviceState *ipcc[2];
    DeviceState *watchdog[6];   /* IWDG1 to 5, WWDG1 */
    DeviceState *m33;
    DeviceState *m0;
    DeviceState *usart[STM32MP25_USARTS];
    DeviceState *lpuart1;
    DeviceState *i2c7;
    DeviceState *sdmmc1;
    DeviceState *gpio[STM32MP25_GPIOS];

    MemoryRegion gicc[32];
    MemoryRegion *ddr;
    MemoryRegion peripherals;
    MemoryRegion rom;
    MemoryRegion sram;
    MemoryRegion sram_part[STM32MP25_RISABS];
    MemoryRegion sram_view[STM32MP_CIDS];
    MemoryRegion sram_alias[2];
    AddressSpace sram_as;       /* of the loader, past the firewalls */
    MemoryRegion lpsram;
    MemoryRegion lpsram_part[STM32MP25_RISALS];
    MemoryRegion lpsram_view[STM32MP_CIDS];
    MemoryRegion lpsram_alias;
    MemoryRegion bkpsram;
    MemoryRegion look[3];
    MemoryRegion m33_memory;
    MemoryRegion m33_alias[5];
    MemoryRegion m0_memory;
    MemoryRegion m0_alias[5];
};

/* An interrupt of the Cortex-A35s, by the number of its SPI */
qemu_irq stm32mp25_soc_spi(Stm32mp25Soc *s, unsigned spi);

/*
 * What BL2 does: loads BL31, its device tree and BL32 from a firmware image
 * package, and starts them, and in the end what is at STM32MP25_BL33, with the
 * device tree at @dtb; with a @dtb of 0 both come from the package.  @ddr begins at STM32MP25_DDR, @sram at STM32MP25_SYSRAM, without a firewall in
 * front of them.
 */
bool stm32mp25_load_fip(const char *filename, AddressSpace *ddr,
                        AddressSpace *sram, uint64_t dtb, Error **errp);

#endif
