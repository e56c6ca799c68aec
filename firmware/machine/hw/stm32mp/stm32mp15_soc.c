/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * STM32MP15: two Cortex-A7, a Cortex-M4
 *
 * Ref: RM0436: 2.5 memory map; 21 interrupts; Linux
 *      arch/arm/boot/dts/st/stm32mp151.dtsi for what Linux finds
 */

#include "qemu/osdep.h"
#include "qemu/units.h"
#include "qapi/error.h"
#include "qobject/qlist.h"
#include "exec/address-spaces.h"
#include "hw/irq.h"
#include "hw/misc/unimp.h"
#include "hw/qdev-clock.h"
#include "hw/qdev-properties.h"
#include "hw/stm32mp/stm32mp.h"
#include "hw/stm32mp/stm32mp15_soc.h"
#include "hw/stm32mp/stm32mp_memory_firewall.h"
#include "hw/stm32mp/stm32mp_regs.h"
#include "system/reset.h"
#include "system/system.h"

#define GIC_BASE 0xa0020000
#define GIC_IRQS 256           /* as many as a15mpcore has; the SoC has 288 */
#define M4_IRQS 150
#define M4_IPCC_RX 103
#define M4_IPCC_TX 104
#define M4_WWDG1 0
#define CNTFRQ_HZ 24000000
#define SPI_TZC 4
#define CHECKED (1ull << 44)    /* of refused accesses: past every address */
#define CHECKED_SIZE (1ull << 33)

#define PERIPHERALS 0x40000000
#define PERIPHERALS_SIZE 0x20000000
#define MCUSRAM 0x10000000
#define MCUSRAM_AHB 0x30000000
#define MCUSRAM_SIZE (384 * KiB)
#define RETRAM 0x38000000
#define HSEM_BASE 0x4c000000
#define GPIO_BASE 0x50002000
#define GPIO_SIZE 0x1000
#define GPIOB 1
#define GPIOZ 11
#define GPIOZ_BASE 0x54004000
#define CARD_DETECT 7           /* of GPIOB, low: a card is there */

/*
 * EXTI's configurable events: their SPIs, and interrupts of the M4, which have the
 * same numbers.  Ref: stm32mp151.dtsi, exti; RM0436, 21.2
 */
static const struct {
    uint8_t event;
    uint8_t spi;
} exti_spis[] = {
    { 0, 6 }, { 1, 7 }, { 2, 8 }, { 3, 9 }, { 4, 10 }, { 5, 23 }, { 6, 64 },
    { 7, 65 }, { 8, 66 }, { 9, 67 }, { 10, 40 }, { 11, 42 }, { 12, 76 },
    { 13, 77 }, { 14, 121 }, { 15, 127 }, { 16, 1 }, { 65, 144 },
    { 68, 143 }, { 73, 129 },
};
#define EXTI_WWDG1 68

/*
 * USARTs without a line to the host: firmware waits for their flags.  Their
 * interrupts go to the M4 alone.
 */
static const struct {
    const char *name;
    uint32_t base;
    uint8_t irq;
} usarts[STM32MP15_USARTS] = {
    { "usart1", 0x5c000000, 37 }, { "usart2", 0x4000e000, 38 },
    { "usart3", 0x4000f000, 39 }, { "uart5", 0x40011000, 53 },
    { "usart6", 0x44003000, 71 }, { "uart7", 0x40018000, 82 },
    { "uart8", 0x40019000, 83 },
};

#define ADC_BASE 0x48003000
#define ADC_SIZE 0x100
#define ADC_COMMON 0x48003300
#define NO_TRIGGER 31           /* of the ADCs: no timer's */

/* Analog-to-digital converters, for the M4: its interrupt, the DMA's request */
static const struct {
    const char *name;
    uint8_t irq;
    uint8_t request;
} adcs[STM32MP15_ADCS] = {
    { "adc1", 18, 9 }, { "adc2", 90, 10 },
};

/*
 * Timers, for the M4: its interrupts for update and compare, the DMA's request
 * for update, the clock's group, the ADCs' trigger TRGO
 */
static const struct {
    const char *name;
    uint32_t base;
    uint8_t irq[2];
    uint8_t request;
    uint8_t group;
    uint8_t trigger;
} timers[STM32MP15_TIMERS] = {
    { "tim1", 0x44000000, { 25, 27 }, 15, 2, 9 },
    { "tim2", 0x40000000, { 28 }, 22, 1, 11 },
    { "tim3", 0x40001000, { 29 }, 27, 1, 4 },
    { "tim4", 0x40002000, { 30 }, 32, 1, 12 },
    { "tim5", 0x40003000, { 50 }, 59, 1, NO_TRIGGER },
    { "tim6", 0x40004000, { 54 }, 69, 1, 13 },
    { "tim7", 0x40005000, { 55 }, 70, 1, NO_TRIGGER },
    { "tim8", 0x44001000, { 44, 46 }, 51, 2, 7 },
    { "tim12", 0x40006000, { 119 }, 0, 1, NO_TRIGGER },
    { "tim13", 0x40007000, { 130 }, 0, 1, NO_TRIGGER },
    { "tim14", 0x40008000, { 131 }, 0, 1, NO_TRIGGER },
    { "tim15", 0x44006000, { 116 }, 106, 2, 14 },
    { "tim16", 0x44007000, { 117 }, 110, 2, NO_TRIGGER },
    { "tim17", 0x44008000, { 118 }, 112, 2, NO_TRIGGER },
};

/* DMA controllers, for the M4: interrupts by stream */
static const struct {
    const char *name;
    uint32_t base;
    uint8_t irq[8];
} dmas[STM32MP15_DMAS] = {
    { "dma1", 0x48000000, { 11, 12, 13, 14, 15, 16, 17, 47 } },
    { "dma2", 0x48001000, { 56, 57, 58, 59, 60, 68, 69, 70 } },
};

/* Blocks without a model that a driver uses as memory */
static const struct {
    const char *name;
    uint32_t base;
    uint32_t size;
    /* registers that are not 0: offset, value; the second if it has an offset */
    uint32_t preset[4];
} storage[] = {
    { "syscfg", 0x50020000, 0x400, { 0x20, 0x100 } }, /* CMPCR: READY */
    { "vrefbuf", 0x50025000, 0x400, { 0x0, 0x8 } },   /* CSR: VRR, ready */
    { "mdma", 0x58000000, 0x1000 },
    { "usbphyc", 0x5a006000, 0x1000 },
    /* HWCFGR2: TrustZone; HWCFGR1: 32 backup registers, tampers 1 to 3 */
    { "tamp", 0x5c00a000, 0x400, { 0x3ec, 0x100, 0x3f0, 0x10320 } },
};

/*
 * Fuses that differ from 0, as BSEC's shadow registers: closed device of type
 * STM32MP157C, package TFBGA361, a MAC address of ST, board MB1272.  Ref:
 * U-Boot arch/arm/mach-stm32mp/include/mach/stm32.h (BSEC_OTP_*),
 * cmd_stboard.c.  The hardware unique key, which a product has of its own, at
 * OTP 60: OP-TEE core/arch/arm/dts/stm32mp157c-dk2.dts
 */
static const uint32_t otp[] = {
    0x200, 0x17, 0x240, 2u << 27, 0x2e4, 0x00e18000, 0x2e8, 0x0100, 0x2ec,
    0x12720100, 0x2f0, 0x6d706265, 0x2f4, 0x6e636876, 0x2f8, 0x69727475,
    0x2fc, 0x616c0001,
};

/*
 * What a secure monitor would keep for itself where there is no model, by
 * ETZPC's ids: HASH1, CRYP1, I2C1, VREFBUF, ADC, OTG, ETH
 */
static const uint32_t etzpc_hidden[] = { 8, 9, 34, 69, 72, 85, 94 };

/*
 * Peripherals with a model that ETZPC protects: address, id.  GPIOZ has a
 * filter of its own, by pin.  Ref: OP-TEE
 * core/include/dt-bindings/firewall/stm32mp15-etzpc.h; U-Boot
 * arch/arm/mach-stm32mp/stm32mp1/fdt.c
 */
static const uint32_t etzpc_ids[] = {
    0x5c008000, 0,      /* STGEN */
    0x5c003000, 2,      /* IWDG1 */
    0x5c000000, 3,      /* USART1 */
    0x5c002000, 5,      /* I2C4 */
    0x54003000, 7,      /* RNG1 */
    0x5a003000, 10,     /* DDRCTRL */
    0x5a004000, 11,     /* DDRPHYC */
    0x4000a000, 26,     /* WWDG1 */
    0x4c004000, 71,     /* CRC2 */
    0x4000e000, 30, 0x4000f000, 31, 0x40010000, 32, 0x40011000, 33, /* USART2 */
    0x40018000, 40, 0x40019000, 41, 0x44003000, 51,             /* to 8 */
    0x48000000, 88, 0x48001000, 89, 0x48002000, 90,     /* DMA1, 2, DMAMUX */
    0x40000000, 16, 0x40001000, 17, 0x40002000, 18, 0x40003000, 19, /* TIM2 */
    0x40004000, 20, 0x40005000, 21, 0x40006000, 22, 0x40007000, 23, /* to 7, */
    0x40008000, 24, 0x44000000, 48, 0x44001000, 49,     /* 12 to 14, 1, 8, */
    0x44006000, 54, 0x44007000, 55, 0x44008000, 56,     /* 15 to 17 */
};

/* What ETZPC protects of memory; where it is not in MCUSRAM, its address */
static const struct {
    const char *name;
    uint32_t size;
    uint32_t base;
    uint8_t id;
} rams[STM32MP15_RAMS] = {
    { "boot-rom", 128 * KiB, STM32MP15_ROM, STM32MP_ETZPC_TZMA0 },
    { "sysram", STM32MP15_SYSRAM_SIZE, STM32MP15_SYSRAM, STM32MP_ETZPC_TZMA1 },
    { "sram1", 128 * KiB, 0, 80 },
    { "sram2", 128 * KiB, 128 * KiB, 81 },
    { "sram3", 64 * KiB, 256 * KiB, 82 },
    { "sram4", 64 * KiB, 320 * KiB, 83 },
    { "retram", 64 * KiB, RETRAM, 84 },
};

static DeviceState *stm32mp15_soc_new(Stm32mp15Soc *s, const char *type,
                                      const char *name)
{
    DeviceState *dev = qdev_new(type);

    object_property_add_child(OBJECT(s), name, OBJECT(dev));
    if (object_property_find(OBJECT(dev), "name")) {
        qdev_prop_set_string(dev, "name", name);
    }
    return dev;
}

static void stm32mp15_soc_map(Stm32mp15Soc *s, DeviceState *dev, hwaddr base)
{
    SysBusDevice *sbd = SYS_BUS_DEVICE(dev);

    sysbus_realize_and_unref(sbd, &error_fatal);
    memory_region_add_subregion(&s->peripherals, base,
                                sysbus_mmio_get_region(sbd, 0));
}

static DeviceState *stm32mp15_soc_create(Stm32mp15Soc *s, const char *type,
                                         const char *name, hwaddr base)
{
    DeviceState *dev = stm32mp15_soc_new(s, type, name);

    stm32mp15_soc_map(s, dev, base);
    return dev;
}

qemu_irq stm32mp15_soc_spi(Stm32mp15Soc *s, unsigned spi)
{
    return qdev_get_gpio_in(DEVICE(&s->a7mpcore), spi);
}

static void stm32mp15_soc_irq(Stm32mp15Soc *s, DeviceState *dev, int n,
                              unsigned spi)
{
    sysbus_connect_irq(SYS_BUS_DEVICE(dev), n, stm32mp15_soc_spi(s, spi));
}

static void stm32mp15_soc_cpus(Stm32mp15Soc *s)
{
    SysBusDevice *gic = SYS_BUS_DEVICE(&s->a7mpcore);

    for (int i = 0; i < STM32MP15_CPUS; i++) {
        Object *cpu = OBJECT(&s->cpu[i]);

        object_property_set_int(cpu, "reset-cbar", GIC_BASE, &error_abort);
        object_property_set_int(cpu, "cntfrq", CNTFRQ_HZ, &error_abort);
        qdev_realize(DEVICE(cpu), NULL, &error_fatal);
    }
    qdev_realize(DEVICE(&s->cluster), NULL, &error_fatal);

    qdev_prop_set_uint32(DEVICE(&s->a7mpcore), "num-cpu", STM32MP15_CPUS);
    qdev_prop_set_uint32(DEVICE(&s->a7mpcore), "num-irq", GIC_IRQS);
    sysbus_realize(gic, &error_fatal);
    sysbus_mmio_map(gic, 0, GIC_BASE);
    for (int i = 0; i < STM32MP15_CPUS; i++) {
        DeviceState *cpu = DEVICE(&s->cpu[i]);

        sysbus_connect_irq(gic, i, qdev_get_gpio_in(cpu, ARM_CPU_IRQ));
        sysbus_connect_irq(gic, i + STM32MP15_CPUS,
                           qdev_get_gpio_in(cpu, ARM_CPU_FIQ));
        sysbus_connect_irq(gic, i + 2 * STM32MP15_CPUS,
                           qdev_get_gpio_in(cpu, ARM_CPU_VIRQ));
        sysbus_connect_irq(gic, i + 3 * STM32MP15_CPUS,
                           qdev_get_gpio_in(cpu, ARM_CPU_VFIQ));
    }
}

/* What a master sees of a firewall's memory */
static MemoryRegion *stm32mp15_soc_view(DeviceState *firewall, unsigned master)
{
    return sysbus_mmio_get_region(SYS_BUS_DEVICE(firewall), 1 + master);
}

AddressSpace *stm32mp15_soc_sysram(Stm32mp15Soc *s)
{
    DeviceState *firewall = s->ram_firewall[STM32MP15_RAM_SYSRAM];

    return &STM32MP_MEMORY_FIREWALL(firewall)->downstream_as;
}

/* A master sees the memory through its views of the firewalls */
static void stm32mp15_soc_see(Stm32mp15Soc *s, unsigned master,
                              MemoryRegion *into, AddressSpace *as)
{
    MemoryRegion *ddr = stm32mp15_soc_view(s->tzc, master);
    MemoryRegion *sram = &s->mcusram[master], *ahb = &s->mcusram_ahb[master];
    uint64_t size = memory_region_size(ddr);
    Object *obj = OBJECT(s);

    memory_region_init(sram, obj, "mcusram", MCUSRAM_SIZE);
    memory_region_init_alias(ahb, obj, "mcusram-ahb", sram, 0, MCUSRAM_SIZE);
    memory_region_add_subregion(into, MCUSRAM, sram);
    memory_region_add_subregion(into, MCUSRAM_AHB, ahb);
    for (unsigned i = 0; i < STM32MP15_RAMS; i++) {
        bool in_sram = rams[i].base < MCUSRAM_SIZE && i != STM32MP15_RAM_ROM;

        memory_region_add_subregion(in_sram ? sram : into, rams[i].base,
                                    stm32mp15_soc_view(s->ram_firewall[i],
                                                       master));
        stm32mp_memory_firewall_attach(s->ram_firewall[i], master, into, as,
                                       CHECKED + i * CHECKED_SIZE);
    }
    memory_region_add_subregion(into, STM32MP15_DDR, ddr);
    /* Address lines above the memory's are not decoded */
    memory_region_init_alias(&s->ddr_again[master], obj, "ddr-again", ddr, 0,
                             size);
    memory_region_add_subregion(into, STM32MP15_DDR + size,
                                &s->ddr_again[master]);
    stm32mp_memory_firewall_attach(s->tzc, master, into, as,
                                   CHECKED + STM32MP15_RAMS * CHECKED_SIZE);
}

/* The rest is as the Cortex-A7 sees it */
static void stm32mp15_soc_see_system(Stm32mp15Soc *s, unsigned master,
                                     MemoryRegion *into)
{
    memory_region_init(into, OBJECT(s), "memory-of-master", UINT64_MAX);
    memory_region_init_alias(&s->system_alias[master], OBJECT(s), "system",
                             get_system_memory(), 0, 4 * GiB);
    memory_region_add_subregion_overlap(into, 0, &s->system_alias[master], -1);
}

static void stm32mp15_soc_memory(Stm32mp15Soc *s)
{
    Object *obj = OBJECT(s);

    for (unsigned i = 0; i < STM32MP15_RAMS; i++) {
        if (i == STM32MP15_RAM_ROM) {
            memory_region_init_rom(&s->ram[i], obj, rams[i].name, rams[i].size,
                                   &error_fatal);
        } else {
            memory_region_init_ram(&s->ram[i], obj, rams[i].name, rams[i].size,
                                   &error_fatal);
        }
    }
    memory_region_init(&s->peripherals, obj, "peripherals", 4 * GiB);
    memory_region_init_alias(&s->peripherals_alias, obj, "peripherals-alias",
                             &s->peripherals, PERIPHERALS, PERIPHERALS_SIZE);
    memory_region_add_subregion(get_system_memory(), PERIPHERALS,
                                &s->peripherals_alias);
}

static void stm32mp15_soc_storage(Stm32mp15Soc *s)
{
    DeviceState *rest = stm32mp15_soc_new(s, TYPE_UNIMPLEMENTED_DEVICE,
                                          "stm32mp15-peripherals");

    qdev_prop_set_uint64(rest, "size", PERIPHERALS_SIZE);
    sysbus_realize_and_unref(SYS_BUS_DEVICE(rest), &error_fatal);
    memory_region_add_subregion_overlap(
        &s->peripherals, PERIPHERALS,
        sysbus_mmio_get_region(SYS_BUS_DEVICE(rest), 0), -1000);
    for (unsigned i = 0; i < ARRAY_SIZE(storage); i++) {
        DeviceState *dev = stm32mp15_soc_new(s, TYPE_STM32MP_REGS,
                                             storage[i].name);

        qdev_prop_set_uint32(dev, "size", storage[i].size);
        if (storage[i].preset[1]) {
            QList *preset = qlist_new();

            for (unsigned n = 0; n < (storage[i].preset[2] ? 4 : 2); n++) {
                qlist_append_int(preset, storage[i].preset[n]);
            }
            qdev_prop_set_array(dev, "preset", preset);
        }
        stm32mp15_soc_map(s, dev, storage[i].base);
    }
}

/* ETZPC and TZC-400, and what the Cortex-A7 and SDMMC see through them */
static void stm32mp15_soc_firewall(Stm32mp15Soc *s)
{
    QList *ids = qlist_new(), *hidden = qlist_new();

    for (unsigned i = 0; i < ARRAY_SIZE(etzpc_ids); i++) {
        qlist_append_int(ids, etzpc_ids[i]);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(etzpc_hidden); i++) {
        qlist_append_int(hidden, etzpc_hidden[i]);
    }
    s->etzpc = stm32mp15_soc_new(s, TYPE_STM32MP_ETZPC, "etzpc");
    object_property_set_link(OBJECT(s->etzpc), "peripherals",
                             OBJECT(&s->peripherals), &error_abort);
    qdev_prop_set_array(s->etzpc, "ids", ids);
    qdev_prop_set_array(s->etzpc, "hidden", hidden);
    qdev_prop_set_bit(s->etzpc, "loaded", s->loaded);
    stm32mp15_soc_map(s, s->etzpc, 0x5c007000);
    stm32mp_etzpc_guard(s->etzpc, get_system_memory(), NULL);

    for (unsigned i = 0; i < STM32MP15_RAMS; i++) {
        g_autofree char *name = g_strdup_printf("etzpc-%s", rams[i].name);
        DeviceState *dev = stm32mp15_soc_new(s, TYPE_STM32MP_ETZPC_RAM, name);

        object_property_set_link(OBJECT(dev), "etzpc", OBJECT(s->etzpc),
                                 &error_abort);
        object_property_set_link(OBJECT(dev), "memory", OBJECT(&s->ram[i]),
                                 &error_abort);
        qdev_prop_set_uint32(dev, "id", rams[i].id);
        sysbus_realize_and_unref(SYS_BUS_DEVICE(dev), &error_fatal);
        s->ram_firewall[i] = dev;
    }

    s->tzc = stm32mp15_soc_new(s, TYPE_STM32MP_TZC, "tzc");
    object_property_set_link(OBJECT(s->tzc), "memory", OBJECT(s->ddr),
                             &error_abort);
    qdev_prop_set_uint32(s->tzc, "base", STM32MP15_DDR);
    qdev_prop_set_bit(s->tzc, "loaded", s->loaded);
    stm32mp15_soc_map(s, s->tzc, 0x5c006000);
    stm32mp15_soc_irq(s, s->tzc, 0, SPI_TZC);

    stm32mp15_soc_see(s, STM32MP15_A7, get_system_memory(),
                      &address_space_memory);
    stm32mp15_soc_see_system(s, STM32MP15_SDMMC, &s->dma_memory);
    address_space_init(&s->dma_as, &s->dma_memory, "dma-memory");
    stm32mp15_soc_see(s, STM32MP15_SDMMC, &s->dma_memory, &s->dma_as);
}

static void stm32mp15_soc_reset_work(CPUState *cs, run_on_cpu_data data)
{
    cpu_reset(cs);
    cs->halted = 0;
}

/* RCC resets one CPU, which starts in the boot ROM */
static void stm32mp15_soc_reset_cpu(void *opaque, int n, int level)
{
    Stm32mp15Soc *s = opaque;

    if (level) {
        async_run_on_cpu(CPU(&s->cpu[n]), stm32mp15_soc_reset_work,
                         RUN_ON_CPU_NULL);
    }
}

static void stm32mp15_soc_system(Stm32mp15Soc *s)
{
    static const char *iwdg_names[] = { "iwdg1", "iwdg2" };
    static const uint32_t iwdg_bases[] = { 0x5c003000, 0x5a002000 };
    QList *fuses = qlist_new();
    DeviceState *bsec, *stgen;

    s->rcc = stm32mp15_soc_new(s, TYPE_STM32MP15_RCC, "rcc");
    qdev_prop_set_bit(s->rcc, "loaded", s->loaded);
    stm32mp15_soc_map(s, s->rcc, 0x50000000);
    qdev_init_gpio_in_named(DEVICE(s), stm32mp15_soc_reset_cpu, "mpu-reset",
                            STM32MP15_CPUS);
    for (int i = 0; i < STM32MP15_CPUS; i++) {
        qdev_connect_gpio_out_named(s->rcc, "mpu-reset", i,
                                    qdev_get_gpio_in_named(DEVICE(s),
                                                           "mpu-reset", i));
    }

    s->exti = stm32mp15_soc_create(s, TYPE_STM32MP_EXTI, "exti", 0x5000d000);
    for (unsigned i = 0; i < ARRAY_SIZE(exti_spis); i++) {
        stm32mp15_soc_irq(s, s->exti, exti_spis[i].event, exti_spis[i].spi);
    }

    for (unsigned i = 0; i < ARRAY_SIZE(otp); i++) {
        qlist_append_int(fuses, otp[i]);
    }
    bsec = stm32mp15_soc_new(s, TYPE_STM32MP_BSEC, "bsec");
    qdev_prop_set_array(bsec, "preset", fuses);
    stm32mp15_soc_map(s, bsec, 0x5c005000);

    stgen = stm32mp15_soc_new(s, TYPE_STM32MP_STGEN, "stgen");
    qdev_prop_set_uint32(stgen, "frequency-hz", CNTFRQ_HZ);
    stm32mp15_soc_map(s, stgen, 0x5c008000);

    stm32mp15_soc_create(s, TYPE_STM32MP15_DDR, "ddrctrl", 0x5a003000);
    stm32mp15_soc_create(s, TYPE_STM32MP_PWR, "pwr", 0x50001000);
    for (unsigned i = 0; i < ARRAY_SIZE(iwdg_bases); i++) {
        s->iwdg[i] = stm32mp15_soc_new(s, TYPE_STM32MP_IWDG, iwdg_names[i]);
        qdev_connect_clock_in(s->iwdg[i], "lsi",
                              qdev_get_clock_out(s->rcc, "lsi"));
        stm32mp15_soc_map(s, s->iwdg[i], iwdg_bases[i]);
        qdev_connect_gpio_out_named(s->iwdg[i], "reset", 0,
                                    qdev_get_gpio_in_named(s->rcc, "iwdg", i));
    }
}

static void stm32mp15_soc_peripherals(Stm32mp15Soc *s)
{
    DeviceState *rtc;

    s->uart4 = stm32mp15_soc_new(s, TYPE_STM32MP_USART, "uart4");
    qdev_prop_set_chr(s->uart4, "chardev", serial_hd(0));
    qdev_prop_set_bit(s->uart4, "loaded", s->loaded);
    stm32mp15_soc_map(s, s->uart4, 0x40010000);
    stm32mp15_soc_irq(s, s->uart4, 0, 52);

    for (unsigned i = 0; i < ARRAY_SIZE(usarts); i++) {
        s->usart[i] = stm32mp15_soc_create(s, TYPE_STM32MP_USART,
                                           usarts[i].name, usarts[i].base);
    }

    s->i2c4 = stm32mp15_soc_create(s, TYPE_STM32MP_I2C, "i2c4", 0x5c002000);
    stm32mp15_soc_irq(s, s->i2c4, 0, 95);
    stm32mp15_soc_irq(s, s->i2c4, 1, 96);
    qdev_connect_gpio_out_named(s->rcc, "i2c4-reset", 0,
                                qdev_get_gpio_in_named(s->i2c4, "reset", 0));

    s->sdmmc1 = stm32mp15_soc_new(s, TYPE_STM32MP_SDMMC, "sdmmc1");
    object_property_set_link(OBJECT(s->sdmmc1), "dma", OBJECT(&s->dma_memory),
                             &error_abort);
    stm32mp15_soc_map(s, s->sdmmc1, 0x58005000);
    stm32mp15_soc_irq(s, s->sdmmc1, 0, 49);

    s->dts = stm32mp15_soc_new(s, TYPE_STM32MP_DTS, "dts");
    qdev_connect_clock_in(s->dts, "pclk",
                          qdev_get_clock_out(s->rcc, "pclk3"));
    stm32mp15_soc_map(s, s->dts, 0x50028000);

    stm32mp15_soc_create(s, TYPE_STM32MP_RNG, "rng1", 0x54003000);
    stm32mp15_soc_create(s, TYPE_STM32MP_CRC, "crc1", 0x58009000);
    stm32mp15_soc_create(s, TYPE_STM32MP_CRC, "crc2", 0x4c004000);
    rtc = stm32mp15_soc_create(s, TYPE_STM32MP_RTC, "rtc", 0x5c004000);
    stm32mp15_soc_irq(s, rtc, 0, 3);    /* EXTI's direct event 19 */
    for (int i = 0; i < STM32MP15_GPIOS; i++) {
        g_autofree char *name = g_strdup_printf("gpio%c", "abcdefghijkz"[i]);

        s->gpio[i] = stm32mp15_soc_new(s, TYPE_STM32MP_GPIO, name);
        if (i == GPIOB) {
            qdev_prop_set_uint16(s->gpio[i], "inputs",
                                 0xffff & ~(1u << CARD_DETECT));
        }
        stm32mp15_soc_map(s, s->gpio[i], i == GPIOZ ? GPIOZ_BASE
                                                 : GPIO_BASE + i * GPIO_SIZE);
        for (int pin = 0; pin < 16; pin++) {
            qdev_connect_gpio_out(s->gpio[i], pin,
                                  qdev_get_gpio_in_named(s->exti, "pin",
                                                         16 * i + pin));
        }
    }
}

/* Blocks between the two kinds of cores; the M4's side is connected later */
static void stm32mp15_soc_between(Stm32mp15Soc *s)
{
    s->ipcc = stm32mp15_soc_create(s, TYPE_STM32MP_IPCC, "ipcc", 0x4c001000);
    stm32mp15_soc_irq(s, s->ipcc, 0, 100);
    stm32mp15_soc_irq(s, s->ipcc, 1, 101);

    s->hsem = stm32mp15_soc_create(s, TYPE_STM32MP_HSEM, "hsem", HSEM_BASE);

    s->wwdg1 = stm32mp15_soc_new(s, TYPE_STM32MP_WWDG, "wwdg1");
    qdev_connect_clock_in(s->wwdg1, "pclk",
                          qdev_get_clock_out(s->rcc, "pclk1"));
    stm32mp15_soc_map(s, s->wwdg1, 0x4000a000);
    qdev_connect_gpio_out_named(s->wwdg1, "reset", 0,
                                qdev_get_gpio_in_named(s->rcc, "wwdg1", 0));
    qdev_connect_gpio_out_named(s->wwdg1, "reset", 1,
                                qdev_get_gpio_in(s->exti, EXTI_WWDG1));
    qdev_connect_gpio_out_named(s->rcc, "mcu-reset", 1,
                                qdev_get_gpio_in_named(s->wwdg1, "core-reset",
                                                       0));
}

/*
 * RETRAM at 0 as well, HSEM as core 2.  Its own peripherals are where the
 * Cortex-A7 has the DDR's upper half: a stack below address 0 is nowhere.
 *
 * Ref: RM0436, memory map; Armv7-M Architecture Reference Manual B3.1 (system
 *      address map)
 */
static void stm32mp15_soc_m4_memory(Stm32mp15Soc *s)
{
    stm32mp15_soc_see_system(s, STM32MP15_M4, &s->m4_memory);
    memory_region_init_alias(&s->m4_retram, OBJECT(s), "m4-retram",
                             stm32mp15_soc_view(
                                 s->ram_firewall[STM32MP15_RAM_RETRAM],
                                 STM32MP15_M4), 0, 64 * KiB);
    memory_region_add_subregion_overlap(&s->m4_memory, 0, &s->m4_retram, 1);
    memory_region_init_io(&s->m4_internal, OBJECT(s), NULL, NULL, "m4-internal",
                          512 * MiB);
    memory_region_add_subregion_overlap(&s->m4_memory, 0xe0000000,
                                        &s->m4_internal, 1);
    memory_region_add_subregion(&s->m4_memory, HSEM_BASE,
                                sysbus_mmio_get_region(
                                    SYS_BUS_DEVICE(s->hsem), 1));
    stm32mp_etzpc_guard(s->etzpc, NULL, &s->m4_memory);
}

/* They see what the M4 sees, which is assumed */
static void stm32mp15_soc_dma(Stm32mp15Soc *s)
{
    s->dmamux = stm32mp15_soc_create(s, TYPE_STM32MP_DMAMUX, "dmamux",
                                     0x48002000);
    for (unsigned i = 0; i < STM32MP15_DMAS; i++) {
        s->dma[i] = stm32mp15_soc_new(s, TYPE_STM32MP_DMA, dmas[i].name);
        object_property_set_link(OBJECT(s->dma[i]), "memory",
                                 OBJECT(&s->m4_memory), &error_abort);
        stm32mp15_soc_map(s, s->dma[i], dmas[i].base);
        for (unsigned n = 0; n < ARRAY_SIZE(dmas[i].irq); n++) {
            qdev_connect_gpio_out(s->dmamux, ARRAY_SIZE(dmas[i].irq) * i + n,
                                  qdev_get_gpio_in(s->dma[i], n));
            sysbus_connect_irq(SYS_BUS_DEVICE(s->dma[i]), n,
                               qdev_get_gpio_in(s->m4, dmas[i].irq[n]));
        }
    }
}

/* Of the M4 alone: U-Boot and Linux find none */
static void stm32mp15_soc_adcs(Stm32mp15Soc *s)
{
    DeviceState *common = stm32mp15_soc_new(s, TYPE_STM32MP_REGS, "adc-common");

    qdev_prop_set_uint32(common, "size", ADC_SIZE);
    sysbus_realize_and_unref(SYS_BUS_DEVICE(common), &error_fatal);
    memory_region_add_subregion(&s->m4_memory, ADC_COMMON,
                                sysbus_mmio_get_region(SYS_BUS_DEVICE(common),
                                                       0));
    for (unsigned i = 0; i < STM32MP15_ADCS; i++) {
        SysBusDevice *sbd;

        s->adc[i] = stm32mp15_soc_new(s, TYPE_STM32MP_ADC, adcs[i].name);
        sbd = SYS_BUS_DEVICE(s->adc[i]);
        sysbus_realize_and_unref(sbd, &error_fatal);
        memory_region_add_subregion(&s->m4_memory, ADC_BASE + i * ADC_SIZE,
                                    sysbus_mmio_get_region(sbd, 0));
        sysbus_connect_irq(sbd, 0, qdev_get_gpio_in(s->m4, adcs[i].irq));
        qdev_connect_gpio_out_named(s->adc[i], "request", 0,
                                    qdev_get_gpio_in(s->dmamux,
                                                     adcs[i].request));
    }
}

/* A timer's TRGO, to each ADC */
static void stm32mp15_soc_trgo(void *opaque, int n, int level)
{
    Stm32mp15Soc *s = opaque;

    for (unsigned i = 0; i < STM32MP15_ADCS; i++) {
        qemu_set_irq(qdev_get_gpio_in_named(s->adc[i], "trigger", n), level);
    }
}

static void stm32mp15_soc_timers(Stm32mp15Soc *s)
{
    qdev_init_gpio_in_named(DEVICE(s), stm32mp15_soc_trgo, "trgo",
                            STM32MP_ADC_TRIGGERS);
    for (unsigned i = 0; i < STM32MP15_TIMERS; i++) {
        const char *group = timers[i].group == 1 ? "timg1" : "timg2";
        DeviceState *dev = stm32mp15_soc_new(s, TYPE_STM32MP_TIM,
                                             timers[i].name);

        qdev_connect_clock_in(dev, "clk", qdev_get_clock_out(s->rcc, group));
        stm32mp15_soc_map(s, dev, timers[i].base);
        for (unsigned n = 0; n < (timers[i].irq[1] ? 2 : 1); n++) {
            sysbus_connect_irq(SYS_BUS_DEVICE(dev), n,
                               qdev_get_gpio_in(s->m4, timers[i].irq[n]));
        }
        qdev_connect_gpio_out_named(dev, "trgo", 0,
                                    qdev_get_gpio_in_named(DEVICE(s), "trgo",
                                                           timers[i].trigger));
        if (timers[i].request) {
            qdev_connect_gpio_out_named(dev, "update", 0,
                                        qdev_get_gpio_in(s->dmamux,
                                                         timers[i].request));
        }
    }
}

void stm32mp15_soc_add_m4(Stm32mp15Soc *s)
{
    stm32mp15_soc_m4_memory(s);
    s->m4 = stm32mp15_soc_new(s, TYPE_STM32MP_MCORE, "m4");
    qdev_prop_set_string(s->m4, "cpu-type", ARM_CPU_TYPE_NAME("cortex-m4"));
    qdev_prop_set_uint32(s->m4, "num-irq", M4_IRQS);
    object_property_set_link(OBJECT(s->m4), "memory", OBJECT(&s->m4_memory),
                             &error_abort);
    qdev_connect_clock_in(s->m4, "cpuclk", qdev_get_clock_out(s->rcc, "mcu"));
    qdev_connect_clock_in(s->m4, "refclk",
                          qdev_get_clock_out(s->rcc, "systick"));
    sysbus_realize_and_unref(SYS_BUS_DEVICE(s->m4), &error_fatal);
    stm32mp15_soc_see(s, STM32MP15_M4, &s->m4_memory,
                      stm32mp_mcore_address_space(s->m4));

    qdev_connect_gpio_out_named(s->rcc, "mcu-hold", 0,
                                qdev_get_gpio_in_named(s->m4, "hold", 0));
    qdev_connect_gpio_out_named(s->rcc, "mcu-reset", 0,
                                qdev_get_gpio_in_named(s->m4, "reset", 0));
    qdev_connect_gpio_out_named(s->m4, "sysresetreq", 0,
                                qdev_get_gpio_in_named(s->rcc, "mcu-request",
                                                       0));
    sysbus_connect_irq(SYS_BUS_DEVICE(s->ipcc), 2,
                       qdev_get_gpio_in(s->m4, M4_IPCC_RX));
    sysbus_connect_irq(SYS_BUS_DEVICE(s->ipcc), 3,
                       qdev_get_gpio_in(s->m4, M4_IPCC_TX));
    sysbus_connect_irq(SYS_BUS_DEVICE(s->wwdg1), 0,
                       qdev_get_gpio_in(s->m4, M4_WWDG1));
    object_property_set_link(OBJECT(s->wwdg1), "core", OBJECT(s->m4),
                             &error_abort);
    for (unsigned i = 0; i < ARRAY_SIZE(usarts); i++) {
        sysbus_connect_irq(SYS_BUS_DEVICE(s->usart[i]), 0,
                           qdev_get_gpio_in(s->m4, usarts[i].irq));
    }
    for (unsigned i = 0; i < ARRAY_SIZE(exti_spis); i++) {
        sysbus_connect_irq(SYS_BUS_DEVICE(s->exti),
                           STM32MP_EXTI_EVENTS + exti_spis[i].event,
                           qdev_get_gpio_in(s->m4, exti_spis[i].spi));
    }
    stm32mp15_soc_dma(s);
    stm32mp15_soc_adcs(s);
    stm32mp15_soc_timers(s);
}

static void stm32mp15_soc_init(Object *obj)
{
    Stm32mp15Soc *s = STM32MP15_SOC(obj);

    object_initialize_child(obj, "cluster", &s->cluster, TYPE_CPU_CLUSTER);
    qdev_prop_set_uint32(DEVICE(&s->cluster), "cluster-id", 0);
    for (int i = 0; i < STM32MP15_CPUS; i++) {
        object_initialize_child(OBJECT(&s->cluster), "cpu[*]", &s->cpu[i],
                                ARM_CPU_TYPE_NAME("cortex-a7"));
    }
    object_initialize_child(obj, "a7mpcore", &s->a7mpcore,
                            TYPE_A15MPCORE_PRIV);
}

static void stm32mp15_soc_reset_cpus(void *opaque)
{
    Stm32mp15Soc *s = opaque;

    for (int i = 0; i < STM32MP15_CPUS; i++) {
        cpu_reset(CPU(&s->cpu[i]));
    }
}

void stm32mp15_soc_start_in_rom(Stm32mp15Soc *s)
{
    qemu_register_reset(stm32mp15_soc_reset_cpus, s);
}

static void stm32mp15_soc_realize(DeviceState *dev, Error **errp)
{
    Stm32mp15Soc *s = STM32MP15_SOC(dev);

    stm32mp15_soc_cpus(s);
    stm32mp15_soc_memory(s);
    stm32mp15_soc_storage(s);
    stm32mp15_soc_firewall(s);
    stm32mp15_soc_system(s);
    stm32mp15_soc_peripherals(s);
    stm32mp15_soc_between(s);
}

static const Property stm32mp15_soc_properties[] = {
    DEFINE_PROP_BOOL("loaded", Stm32mp15Soc, loaded, false),
    DEFINE_PROP_LINK("ddr", Stm32mp15Soc, ddr, TYPE_MEMORY_REGION,
                     MemoryRegion *),
};

static void stm32mp15_soc_class_init(ObjectClass *klass, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);

    dc->realize = stm32mp15_soc_realize;
    dc->user_creatable = false;         /* it uses serial_hd() */
    device_class_set_props(dc, stm32mp15_soc_properties);
}

static const TypeInfo stm32mp15_soc_types[] = {
    {
        .name = TYPE_STM32MP15_SOC,
        .parent = TYPE_SYS_BUS_DEVICE,
        .instance_size = sizeof(Stm32mp15Soc),
        .instance_init = stm32mp15_soc_init,
        .class_init = stm32mp15_soc_class_init,
    }
};

DEFINE_TYPES(stm32mp15_soc_types)
