/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * STM32MP25: two Cortex-A35, a Cortex-M33, a Cortex-M0+
 *
 * Ref: RM0457: memory map, interrupts; OP-TEE core/arch/arm/dts/stm32mp251.dtsi
 *      and Linux arch/arm64/boot/dts/st/stm32mp251.dtsi for what they find
 */

#include "qemu/osdep.h"
#include "qemu/units.h"
#include "qapi/error.h"
#include "qobject/qlist.h"
#include "exec/address-spaces.h"
#include "hw/misc/unimp.h"
#include "hw/qdev-clock.h"
#include "hw/qdev-properties.h"
#include "hw/stm32mp/stm32mp.h"
#include "hw/stm32mp/stm32mp25_soc.h"
#include "hw/stm32mp/stm32mp_regs.h"
#include "system/reset.h"
#include "system/system.h"

#define GIC_BASE 0x4ac10000
#define GICC_BASE 0x4ac20000
#define GICH_BASE 0x4ac40000
#define GICV_BASE 0x4ac60000
#define GIC_PAGE 0x1000
#define GIC_SPIS 384
#define GIC_INTERNAL 32
#define CNTFRQ_HZ 40000000

#define PPI_MAINTENANCE 25
#define PPI_HYP 26
#define PPI_VIRT 27
#define PPI_SEC 29
#define PPI_PHYS 30

#define PERIPHERALS 0x40000000
#define GPIO_BASE 0x44240000
#define GPIO_SIZE 0x10000
#define GPIOZ 11
#define GPIOZ_BASE 0x46200000

#define RIFSC_BASE 0x42080000
#define PWR_BASE 0x44210000
#define LPSRAM 0x200c0000
#define LPSRAM_SIZE (32 * KiB)
#define RISAL1 (RIFSC_BASE + 0x900)
#define RISAL_SIZE 0x10         /* registers from one to the next */
#define SMARTRUN 0x46000000
#define SMARTRUN_SIZE 0x02000000
#define M33_IRQS 320
#define M33_IWDG3 2             /* early wake-up */
#define M33_IWDG4 3
#define M33_WWDG1 8
#define M33_IPCC1_RX 171        /* as the SPI; TX is the next */
#define M0_IRQS 32
#define M0_IPCC2_RX 13          /* TX is the next */
#define M0_LPUART1 11
#define SPI_IWDG3 4             /* of its reset, as the next ones */
#define SPI_IWDG4 6
#define SPI_IWDG5 7
#define SPI_WWDG1 10
#define SPI_RTC 13              /* EXTI2's event 17, a direct one */
#define SPI_SDMMC1 123
#define SPI_IAC 246
#define SPI_SERC 240
#define ROM_SIZE (128 * KiB)
#define SRAM_SIZE (768 * KiB)
#define SRAM_NS 0x0a000000
#define RISAB1 0x420f0000
#define RISAB_SIZE 0x10000      /* registers from one to the next */
#define RISAB_RAM (128 * KiB)
#define CHECKED (1ull << 44)    /* of refused accesses: past every address */
#define CHECKED_SIZE (1ull << 33)

/* Ref: STM32CubeMP2 stm32mp2xx_hal_rif.h, RIF_PERIPH_* */
#define IAC_IAC 127
#define IAC_RISAB1 128
#define IAC_RISAF4 137
#define IAC_RISAL1 139
#define IAC_IPCC1 144
#define IAC_HSEM 146
#define IAC_HPDMA1 147
#define IAC_RTC 151
#define IAC_TAMP 152
#define IAC_EXTI1 153
#define IAC_PWR 155
#define IAC_RCC 156
#define IAC_RIFSC 158
#define IAC_GPIOA 160           /* GPIOZ after GPIOK */

#define BSEC_CLOSED (0x0d << 26 | 1 << 1)       /* NVSTATES, HVALID */
#define BSEC_DONE (1 << 4 | 1 << 1)             /* OTPNVIR, INIT_DONE */
#define LPTIM_OK (1 << 24 | 1 << 4 | 1 << 3)    /* DIEROK, ARROK, CMPOK */

/*
 * Blocks without a model that a driver uses as memory; what hardware says of
 * itself (HWCFGR) as far as a driver asks for it, and what is ready at once.
 * Some are isolated, and have a line to the IAC.
 */
static const struct {
    const char *name;
    uint32_t base;
    uint32_t size;
    uint32_t preset[8];
    uint8_t n_preset;
    uint32_t follow[20];
    uint8_t n_follow;
    const char *type;
    uint8_t iac;
} storage[] = {
    { "lptim1", 0x40090000, 0x400, { 0x0, LPTIM_OK }, 2 },
    { "hpdma1", 0x40400000, 0x1000, .type = TYPE_STM32MP25_HPDMA,
      .iac = IAC_HPDMA1 },
    { "hpdma2", 0x40410000, 0x1000, .type = TYPE_STM32MP25_HPDMA,
      .iac = IAC_HPDMA1 + 1 },
    { "hpdma3", 0x40420000, 0x1000, .type = TYPE_STM32MP25_HPDMA,
      .iac = IAC_HPDMA1 + 2 },
    { "ommanager", 0x40500000, 0x1000 },
    /* AES with the chip's own key: nothing but zeros comes out */
    { "saes", 0x42050000, 0x400, { 0x4, 1 << 7 | 1, 0x304, 1 }, 4 },
    { "pka", 0x42060000, 0x2000 },
    { "risaf1", 0x420a0000, 0x1000, { 0xff0, 1 << 24 | 12 << 16 | 4 }, 2 },
    { "risaf2", 0x420b0000, 0x1000, { 0xff0, 16 << 24 | 12 << 16 | 4 }, 2 },
    { "risaf5", 0x420e0000, 0x1000, { 0xff0, 16 << 24 | 12 << 16 | 3 }, 2 },
    { "hsem", 0x46240000, 0x1000, .type = TYPE_STM32MP25_HSEM,
      .iac = IAC_HSEM },
    { "bsec", 0x44000000, 0x1000,
      { 0xe40, BSEC_CLOSED, 0xe44, BSEC_DONE, 0xff4, 0x10, 0xff8, 0x100033 },
      8 },
    /* Monitors of supplies: CR1, CR7, CR8, CR12 */
    { "pwr", 0x44210000, 0x10000, { }, 0,
      { 0x00, 0x00, 0x1f, 16, 0x18, 0x18, 1, 16, 0x1c, 0x1c, 1, 16,
        0x2c, 0x2c, 1, 16 }, 16, TYPE_STM32MP25_PWR, IAC_PWR },
    /* Compensation cells of I/O: CCSR after CCCR */
    { "syscfg", 0x44230000, 0x10000, { }, 0,
      { 0x4004, 0x4000, 1 << 8, 0, 0x400c, 0x4008, 1 << 8, 0,
        0x4014, 0x4010, 1 << 8, 0, 0x401c, 0x4018, 1 << 8, 0,
        0x4024, 0x4020, 1 << 8, 0 }, 20 },
    { "tamp", 0x46010000, 0x400,
      { 0x3ec, 1 << 8, 0x3f0, 8 << 8 | 128 }, 4, .type = TYPE_STM32MP25_TAMP,
      .iac = IAC_TAMP },
};

/*
 * Peripherals that RIFSC protects here, and their ids.
 * Ref: OP-TEE core/include/dt-bindings/firewall/stm32mp25-rifsc.h
 */
static const struct {
    uint32_t base;
    uint8_t id;
} protected[] = {
    { 0x40330000, 31 }, { 0x400e0000, 32 }, { 0x400f0000, 33 },   /* USART1.. */
    { 0x40100000, 34 }, { 0x40110000, 35 }, { 0x40220000, 36 },
    { 0x40370000, 37 }, { 0x40380000, 38 }, { 0x402c0000, 39 },
    { 0x46030000, 40 },         /* LPUART1 */
    { 0x40120000, 41 }, { 0x40130000, 42 }, { 0x40140000, 43 },   /* I2C1.. */
    { 0x40150000, 44 }, { 0x40160000, 45 }, { 0x40170000, 46 },
    { 0x40180000, 47 }, { 0x46040000, 48 },
    { 0x48080000, 73 },         /* STGEN */
    { 0x42020000, 92 },         /* RNG */
    { 0x42060000, 93 },         /* PKA */
    { 0x42050000, 94 },         /* SAES */
    { 0x42010000, 95 },         /* HASH */
    { 0x44010000, 98 },         /* IWDG1 */
    { 0x44020000, 99 },         /* IWDG2 */
    { 0x44030000, 100 },        /* IWDG3 */
    { 0x44040000, 101 },        /* IWDG4 */
    { 0x44050000, 103 },        /* WWDG1 */
    { 0x46090000, 102 },        /* IWDG5 */
    { 0x44080000, 110 },        /* SERC */
};

/*
 * USARTs; their interrupts have one number at the Cortex-A35 and at the
 * Cortex-M33.  That of LPUART1, which is not in this table, goes to the
 * Cortex-M0+.  Those without a line to the host: what is sent is lost.
 */
#define NO_LINE -1
static const struct {
    const char *name;
    uint32_t base;
    uint8_t irq;
    int8_t line;
} usarts[STM32MP25_USARTS] = {
    { "usart1", 0x40330000, 114, NO_LINE },
    { "usart2", 0x400e0000, 115, 0 },
    { "usart3", 0x400f0000, 116, NO_LINE },
    { "uart4", 0x40100000, 126, NO_LINE },
    { "uart5", 0x40110000, 127, NO_LINE },
    { "usart6", 0x40220000, 136, 1 },
    { "uart7", 0x40370000, 148, NO_LINE },
    { "uart8", 0x40380000, 149, NO_LINE },
    { "uart9", 0x402c0000, 150, NO_LINE },
};

/* I2C controllers with nothing on their bus; their interrupts lead nowhere */
static const struct {
    const char *name;
    uint32_t base;
} i2cs[] = {
    { "i2c1", 0x40120000 }, { "i2c2", 0x40130000 }, { "i2c3", 0x40140000 },
    { "i2c4", 0x40150000 }, { "i2c5", 0x40160000 }, { "i2c6", 0x40170000 },
    { "i2c8", 0x46040000 },
};

static DeviceState *stm32mp25_soc_new(Stm32mp25Soc *s, const char *type,
                                      const char *name)
{
    DeviceState *dev = qdev_new(type);

    object_property_add_child(OBJECT(s), name, OBJECT(dev));
    if (object_property_find(OBJECT(dev), "name")) {
        qdev_prop_set_string(dev, "name", name);
    }
    return dev;
}

/* Peripherals have addresses of the whole system in the region behind RIFSC */
static void stm32mp25_soc_map(Stm32mp25Soc *s, DeviceState *dev, hwaddr base)
{
    SysBusDevice *sbd = SYS_BUS_DEVICE(dev);

    sysbus_realize_and_unref(sbd, &error_fatal);
    memory_region_add_subregion(&s->peripherals, base,
                                sysbus_mmio_get_region(sbd, 0));
}

static DeviceState *stm32mp25_soc_create(Stm32mp25Soc *s, const char *type,
                                         const char *name, hwaddr base)
{
    DeviceState *dev = stm32mp25_soc_new(s, type, name);

    stm32mp25_soc_map(s, dev, base);
    return dev;
}

qemu_irq stm32mp25_soc_spi(Stm32mp25Soc *s, unsigned spi)
{
    return qdev_get_gpio_in(DEVICE(&s->gic), spi);
}

static void stm32mp25_soc_irq(Stm32mp25Soc *s, DeviceState *dev, int n,
                              unsigned spi)
{
    sysbus_connect_irq(SYS_BUS_DEVICE(dev), n, stm32mp25_soc_spi(s, spi));
}

static void stm32mp25_soc_cpus(Stm32mp25Soc *s)
{
    for (int i = 0; i < STM32MP25_CPUS; i++) {
        Object *cpu = OBJECT(&s->cpu[i]);

        object_property_set_int(cpu, "cntfrq", CNTFRQ_HZ, &error_abort);
        object_property_set_int(cpu, "reset-cbar", GIC_BASE, &error_abort);
        object_property_set_int(cpu, "rvbar", STM32MP25_START, &error_abort);
        object_property_set_bool(cpu, "start-powered-off", i > 0,
                                 &error_abort);
        qdev_realize(DEVICE(cpu), NULL, &error_fatal);
    }
    qdev_realize(DEVICE(&s->cluster), NULL, &error_fatal);
}

static void stm32mp25_soc_cpu_interrupts(Stm32mp25Soc *s, int i)
{
    static const int timers[] = {
        [GTIMER_PHYS] = PPI_PHYS, [GTIMER_VIRT] = PPI_VIRT,
        [GTIMER_HYP] = PPI_HYP, [GTIMER_SEC] = PPI_SEC,
    };
    static const int lines[] = {
        ARM_CPU_IRQ, ARM_CPU_FIQ, ARM_CPU_VIRQ, ARM_CPU_VFIQ,
    };
    DeviceState *cpu = DEVICE(&s->cpu[i]), *gic = DEVICE(&s->gic);
    int ppis = GIC_SPIS + GIC_INTERNAL * i;

    for (unsigned n = 0; n < ARRAY_SIZE(timers); n++) {
        qdev_connect_gpio_out(cpu, n, qdev_get_gpio_in(gic, ppis + timers[n]));
    }
    for (unsigned n = 0; n < ARRAY_SIZE(lines); n++) {
        sysbus_connect_irq(SYS_BUS_DEVICE(gic), i + n * STM32MP25_CPUS,
                           qdev_get_gpio_in(cpu, lines[n]));
    }
    sysbus_connect_irq(SYS_BUS_DEVICE(gic), i + 4 * STM32MP25_CPUS,
                       qdev_get_gpio_in(gic, ppis + PPI_MAINTENANCE));
}

/*
 * The GIC's address lines 12 to 15 are not connected: a page is seen 16 times,
 * and the second one of the CPU interface is 64 KiB after the first
 */
static void stm32mp25_soc_cpu_interface(Stm32mp25Soc *s)
{
    MemoryRegion *pages = sysbus_mmio_get_region(SYS_BUS_DEVICE(&s->gic), 1);

    for (unsigned n = 0; n < ARRAY_SIZE(s->gicc); n++) {
        memory_region_init_alias(&s->gicc[n], OBJECT(s), "gicc", pages,
                                 n < ARRAY_SIZE(s->gicc) / 2 ? 0 : GIC_PAGE,
                                 GIC_PAGE);
        memory_region_add_subregion_overlap(get_system_memory(),
                                            GICC_BASE + n * GIC_PAGE,
                                            &s->gicc[n], 1);
    }
}

static void stm32mp25_soc_gic(Stm32mp25Soc *s)
{
    DeviceState *gic = DEVICE(&s->gic);

    qdev_prop_set_uint32(gic, "revision", 2);
    qdev_prop_set_uint32(gic, "num-cpu", STM32MP25_CPUS);
    qdev_prop_set_uint32(gic, "num-irq", GIC_SPIS + GIC_INTERNAL);
    qdev_prop_set_bit(gic, "has-security-extensions", true);
    qdev_prop_set_bit(gic, "has-virtualization-extensions", true);
    sysbus_realize(SYS_BUS_DEVICE(gic), &error_fatal);
    sysbus_mmio_map_overlap(SYS_BUS_DEVICE(gic), 0, GIC_BASE, 1);
    stm32mp25_soc_cpu_interface(s);
    sysbus_mmio_map_overlap(SYS_BUS_DEVICE(gic), 2, GICH_BASE, 1);
    sysbus_mmio_map_overlap(SYS_BUS_DEVICE(gic), 3, GICV_BASE, 1);
    for (int i = 0; i < STM32MP25_CPUS; i++) {
        stm32mp25_soc_cpu_interrupts(s, i);
    }
}

static void stm32mp25_soc_memory(Stm32mp25Soc *s)
{
    MemoryRegion *system = get_system_memory();
    Object *obj = OBJECT(s);

    /* Of the boot ROM there is what starts BL31 */
    memory_region_init_rom(&s->rom, obj, "rom", ROM_SIZE, &error_fatal);
    memory_region_add_subregion(system, STM32MP25_START, &s->rom);
    /* SYSRAM, SRAM1, SRAM2, RETRAM, VDERAM */
    memory_region_init_ram(&s->sram, obj, "sram", SRAM_SIZE, &error_fatal);
    address_space_init(&s->sram_as, &s->sram, "sram");
    memory_region_init_ram(&s->lpsram, obj, "lpsram", LPSRAM_SIZE,
                           &error_fatal);
    memory_region_init_ram(&s->bkpsram, obj, "bkpsram", 8 * KiB,
                           &error_fatal);
    memory_region_add_subregion(&s->peripherals, 0x42000000, &s->bkpsram);
}

static void stm32mp25_soc_illegal(Stm32mp25Soc *s, DeviceState *dev, int id)
{
    qdev_connect_gpio_out_named(dev, "illegal-access", 0,
                                qdev_get_gpio_in(s->iac, id));
}

/* What is behind a firewall, as a bus master sees it */
static MemoryRegion *stm32mp25_soc_view(DeviceState *firewall, int cid)
{
    return sysbus_mmio_get_region(SYS_BUS_DEVICE(firewall), 1 + cid);
}

static void stm32mp25_soc_alias(Stm32mp25Soc *s, MemoryRegion *alias,
                                MemoryRegion *into, hwaddr at,
                                MemoryRegion *of, hwaddr offset, uint64_t size)
{
    memory_region_init_alias(alias, OBJECT(s), memory_region_name(into), of,
                             offset, size);
    memory_region_add_subregion(into, at, alias);
}

/*
 * RISAB1 to 6, each in front of 128 KiB of the internal RAMs.  SYSRAM is the
 * secure world's after a reset; of the others that is assumed for RETRAM alone.
 */
static void stm32mp25_soc_risabs(Stm32mp25Soc *s)
{
    for (unsigned cid = 0; cid < STM32MP_CIDS; cid++) {
        memory_region_init(&s->sram_view[cid], OBJECT(s), "sram-of-cid",
                           SRAM_SIZE);
    }
    for (unsigned n = 0; n < STM32MP25_RISABS; n++) {
        g_autofree char *name = g_strdup_printf("risab%u", n + 1);
        DeviceState *dev = stm32mp25_soc_new(s, TYPE_STM32MP_RISAB, name);

        s->risab[n] = dev;
        memory_region_init_alias(&s->sram_part[n], OBJECT(s), name, &s->sram,
                                 n * RISAB_RAM, RISAB_RAM);
        object_property_set_link(OBJECT(dev), "memory",
                                 OBJECT(&s->sram_part[n]), &error_abort);
        qdev_prop_set_uint32(dev, "base", SRAM_NS + n * RISAB_RAM);
        qdev_prop_set_bit(dev, "secure", n < 2 || n == 4);
        stm32mp25_soc_map(s, dev, RISAB1 + n * RISAB_SIZE);
        stm32mp25_soc_illegal(s, dev, IAC_RISAB1 + n);
        for (unsigned cid = 0; cid < STM32MP_CIDS; cid++) {
            memory_region_add_subregion(&s->sram_view[cid], n * RISAB_RAM,
                                        stm32mp25_soc_view(dev, cid));
        }
    }
    stm32mp25_soc_alias(s, &s->sram_alias[0], get_system_memory(),
                        STM32MP25_SYSRAM, &s->sram_view[STM32MP_CID_A35], 0,
                        SRAM_SIZE);
    stm32mp25_soc_alias(s, &s->sram_alias[1], get_system_memory(), SRAM_NS,
                        &s->sram_view[STM32MP_CID_A35], 0, SRAM_SIZE);
}

/*
 * What the host looks at by QEMU's monitor: the memories without their
 * firewalls, where no CPU reaches
 */
static void stm32mp25_soc_look(Stm32mp25Soc *s)
{
    MemoryRegion *system = get_system_memory();

    stm32mp25_soc_alias(s, &s->look[0], system,
                        STM32MP_LOOK + STM32MP25_DDR, s->ddr, 0,
                        memory_region_size(s->ddr));
    stm32mp25_soc_alias(s, &s->look[1], system, STM32MP_LOOK + SRAM_NS,
                        &s->sram, 0, SRAM_SIZE);
    stm32mp25_soc_alias(s, &s->look[2], system, STM32MP_LOOK + LPSRAM,
                        &s->lpsram, 0, LPSRAM_SIZE);
}

/* RISAL1 to 3, in front of LPSRAM1 to 3; their registers are in RIFSC's */
static void stm32mp25_soc_risals(Stm32mp25Soc *s)
{
    static const uint32_t sizes[] = { 8 * KiB, 8 * KiB, 16 * KiB };
    uint32_t at = 0;

    for (unsigned cid = 0; cid < STM32MP_CIDS; cid++) {
        memory_region_init(&s->lpsram_view[cid], OBJECT(s), "lpsram-of-cid",
                           LPSRAM_SIZE);
    }
    for (unsigned n = 0; n < STM32MP25_RISALS; n++) {
        g_autofree char *name = g_strdup_printf("risal%u", n + 1);
        DeviceState *dev = stm32mp25_soc_new(s, TYPE_STM32MP_RISAL, name);
        SysBusDevice *sbd = SYS_BUS_DEVICE(dev);

        s->risal[n] = dev;
        memory_region_init_alias(&s->lpsram_part[n], OBJECT(s), name,
                                 &s->lpsram, at, sizes[n]);
        object_property_set_link(OBJECT(dev), "memory",
                                 OBJECT(&s->lpsram_part[n]), &error_abort);
        object_property_set_link(OBJECT(dev), "rifsc", OBJECT(s->rifsc),
                                 &error_abort);
        sysbus_realize_and_unref(sbd, &error_fatal);
        memory_region_add_subregion_overlap(&s->peripherals,
                                            RISAL1 + n * RISAL_SIZE,
                                            sysbus_mmio_get_region(sbd, 0), 1);
        stm32mp25_soc_illegal(s, dev, IAC_RISAL1 + n);
        for (unsigned cid = 0; cid < STM32MP_CIDS; cid++) {
            memory_region_add_subregion(&s->lpsram_view[cid], at,
                                        stm32mp25_soc_view(dev, cid));
        }
        at += sizes[n];
    }
    stm32mp25_soc_alias(s, &s->lpsram_alias, get_system_memory(), LPSRAM,
                        &s->lpsram_view[STM32MP_CID_A35], 0, LPSRAM_SIZE);
}

static void stm32mp25_soc_firewall(Stm32mp25Soc *s)
{
    MemoryRegion *system = get_system_memory();
    QList *ids = qlist_new();

    for (unsigned i = 0; i < ARRAY_SIZE(protected); i++) {
        qlist_append_int(ids, protected[i].base);
        qlist_append_int(ids, protected[i].id);
    }
    s->iac = stm32mp25_soc_create(s, TYPE_STM32MP_IAC, "iac", 0x42090000);
    stm32mp25_soc_irq(s, s->iac, 0, SPI_IAC);
    stm32mp25_soc_illegal(s, s->iac, IAC_IAC);
    s->serc = stm32mp25_soc_create(s, TYPE_STM32MP_SERC, "serc", 0x44080000);
    stm32mp25_soc_irq(s, s->serc, 0, SPI_SERC);

    s->rifsc = stm32mp25_soc_new(s, TYPE_STM32MP_RIFSC, "rifsc");
    object_property_set_link(OBJECT(s->rifsc), "peripherals",
                             OBJECT(&s->peripherals), &error_abort);
    qdev_prop_set_array(s->rifsc, "ids", ids);
    stm32mp25_soc_map(s, s->rifsc, RIFSC_BASE);
    stm32mp25_soc_illegal(s, s->rifsc, IAC_RIFSC);
    memory_region_add_subregion(system, PERIPHERALS,
                                stm32mp25_soc_view(s->rifsc,
                                                   STM32MP_CID_A35));
    for (unsigned i = 0; i < ARRAY_SIZE(protected); i++) {
        qdev_connect_gpio_out_named(s->rifsc, "illegal", protected[i].id,
                                    qdev_get_gpio_in(s->iac,
                                                     protected[i].id));
    }

    for (unsigned i = 0; i < ARRAY_SIZE(protected); i++) {
        qdev_connect_gpio_out_named(s->rifsc, "unavailable", protected[i].id,
                                    qdev_get_gpio_in(s->serc,
                                                     protected[i].id));
    }
    qdev_connect_gpio_out_named(s->serc, "enabled", 0,
                                qdev_get_gpio_in_named(s->rifsc, "serf", 0));

    s->risaf4 = stm32mp25_soc_new(s, TYPE_STM32MP_RISAF, "risaf4");
    object_property_set_link(OBJECT(s->risaf4), "memory", OBJECT(s->ddr),
                             &error_abort);
    stm32mp25_soc_map(s, s->risaf4, 0x420d0000);
    memory_region_add_subregion(system, STM32MP25_DDR,
                                stm32mp25_soc_view(s->risaf4,
                                                   STM32MP_CID_A35));
    stm32mp25_soc_illegal(s, s->risaf4, IAC_RISAF4);
    stm32mp25_soc_risabs(s);
    stm32mp25_soc_look(s);
    stm32mp25_soc_risals(s);
}

/*
 * DDR also at 0 and where code is faster, SRAM, peripherals by their secure
 * addresses too
 */
static void stm32mp25_soc_m33_memory(Stm32mp25Soc *s)
{
    MemoryRegion *ddr = stm32mp25_soc_view(s->risaf4, STM32MP_CID_M33);
    MemoryRegion *peripherals = stm32mp25_soc_view(s->rifsc, STM32MP_CID_M33);
    MemoryRegion *sram = &s->sram_view[STM32MP_CID_M33];
    MemoryRegion *into = &s->m33_memory;

    memory_region_init(into, OBJECT(s), "m33-memory", UINT64_MAX);
    memory_region_add_subregion(into, STM32MP25_DDR, ddr);
    memory_region_add_subregion(into, PERIPHERALS, peripherals);
    stm32mp25_soc_alias(s, &s->m33_alias[0], into, 0, ddr, 0, 128 * MiB);
    stm32mp25_soc_alias(s, &s->m33_alias[1], into, 0x10000000, ddr, 0,
                        256 * MiB);
    stm32mp25_soc_alias(s, &s->m33_alias[2], into, STM32MP25_SYSRAM, sram, 0,
                        SRAM_SIZE);
    stm32mp25_soc_alias(s, &s->m33_alias[3], into, SRAM_NS, sram, 0, SRAM_SIZE);
    stm32mp25_soc_alias(s, &s->m33_alias[4], into, 0x50000000, peripherals, 0,
                        STM32MP25_PERIPHERALS_SIZE);
}

/*
 * The SmartRun domain: LPSRAM, also at 0 for the vectors, and peripherals;
 * outside of it RIFSC and PWR.  Ref: STM32CubeMP2 stm32mp257cxx_cm0.h
 */
static void stm32mp25_soc_m0_memory(Stm32mp25Soc *s)
{
    MemoryRegion *peripherals = stm32mp25_soc_view(s->rifsc, STM32MP_CID_M0);
    MemoryRegion *lpsram = &s->lpsram_view[STM32MP_CID_M0];
    MemoryRegion *into = &s->m0_memory;

    memory_region_init(into, OBJECT(s), "m0-memory", UINT64_MAX);
    stm32mp25_soc_alias(s, &s->m0_alias[0], into, 0, lpsram, 0, LPSRAM_SIZE);
    stm32mp25_soc_alias(s, &s->m0_alias[1], into, LPSRAM, lpsram, 0,
                        LPSRAM_SIZE);
    stm32mp25_soc_alias(s, &s->m0_alias[2], into, SMARTRUN, peripherals,
                        SMARTRUN - PERIPHERALS, SMARTRUN_SIZE);
    stm32mp25_soc_alias(s, &s->m0_alias[3], into, RIFSC_BASE, peripherals,
                        RIFSC_BASE - PERIPHERALS, 4 * KiB);
    stm32mp25_soc_alias(s, &s->m0_alias[4], into, PWR_BASE, peripherals,
                        PWR_BASE - PERIPHERALS, 4 * KiB);
}

/* A Cortex-M that RCC holds, releases and resets by the lines of processor */
static DeviceState *stm32mp25_soc_mcore(Stm32mp25Soc *s, const char *name,
                                        const char *type, MemoryRegion *memory,
                                        const char *clock, int processor)
{
    g_autofree char *hold = g_strdup_printf("c%d-hold", processor);
    g_autofree char *reset = g_strdup_printf("c%d-reset", processor);
    DeviceState *dev = stm32mp25_soc_new(s, TYPE_STM32MP_MCORE, name);
    bool m33 = processor == 2;

    qdev_prop_set_string(dev, "cpu-type", type);
    qdev_prop_set_uint32(dev, "num-irq", m33 ? M33_IRQS : M0_IRQS);
    qdev_prop_set_uint8(dev, "num-prio-bits", m33 ? 4 : 2);
    qdev_prop_set_uint32(dev, "cluster-id", processor - 1);
    object_property_set_link(OBJECT(dev), "memory", OBJECT(memory),
                             &error_abort);
    qdev_connect_clock_in(dev, "cpuclk", qdev_get_clock_out(s->rcc, clock));
    qdev_connect_clock_in(dev, "refclk",
                          qdev_get_clock_out(s->rcc, "systick"));
    sysbus_realize_and_unref(SYS_BUS_DEVICE(dev), &error_fatal);
    qdev_connect_gpio_out_named(s->rcc, hold, 0,
                                qdev_get_gpio_in_named(dev, "hold", 0));
    qdev_connect_gpio_out_named(s->rcc, reset, 0,
                                qdev_get_gpio_in_named(dev, "reset", 0));
    qdev_connect_gpio_out_named(dev, "sysresetreq", 0,
                                qdev_get_gpio_in_named(s->rcc, "core-request",
                                                       processor - 2));
    qdev_connect_gpio_out_named(dev, "in-reset", 0,
                                qdev_get_gpio_in_named(s->rcc, "in-reset",
                                                       processor - 2));
    return dev;
}

static void stm32mp25_soc_attach(Stm32mp25Soc *s, unsigned cid,
                                 MemoryRegion *memory, AddressSpace *as)
{
    DeviceState *firewalls[1 + STM32MP25_RISABS + STM32MP25_RISALS] = {
        s->risaf4,
    };

    memcpy(&firewalls[1], s->risab, sizeof(s->risab));
    memcpy(&firewalls[1 + STM32MP25_RISABS], s->risal, sizeof(s->risal));
    for (unsigned n = 0; n < ARRAY_SIZE(firewalls); n++) {
        stm32mp_memory_firewall_attach(firewalls[n], cid, memory, as,
                                       CHECKED + n * CHECKED_SIZE);
    }
}

static void stm32mp25_soc_coprocessors(Stm32mp25Soc *s)
{
    stm32mp25_soc_m33_memory(s);
    s->m33 = stm32mp25_soc_mcore(s, "m33", ARM_CPU_TYPE_NAME("cortex-m33"),
                                 &s->m33_memory, "mcu", 2);
    stm32mp25_soc_m0_memory(s);
    s->m0 = stm32mp25_soc_mcore(s, "m0", ARM_CPU_TYPE_NAME("cortex-m0"),
                                &s->m0_memory, "ls-mcu", 3);

    s->a35ssc = stm32mp25_soc_new(s, TYPE_STM32MP25_A35SSC, "a35ssc");
    object_property_set_link(OBJECT(s->a35ssc), "m33", OBJECT(s->m33),
                             &error_abort);
    stm32mp25_soc_map(s, s->a35ssc, 0x48800000);
    stm32mp25_soc_attach(s, STM32MP_CID_A35, get_system_memory(),
                         &address_space_memory);
    stm32mp25_soc_attach(s, STM32MP_CID_M33, &s->m33_memory,
                         stm32mp_mcore_address_space(s->m33));
    stm32mp25_soc_attach(s, STM32MP_CID_M0, &s->m0_memory,
                         stm32mp_mcore_address_space(s->m0));
    for (unsigned n = 0; n < STM32MP25_FIREWALLS; n++) {
        DeviceState *firewall = n == 0 ? s->rifsc : n == 1 ? s->risaf4
                                : s->risab[n - 2];

        qdev_connect_gpio_out_named(s->a35ssc, "m33-nonsecure", n,
                                    qdev_get_gpio_in_named(firewall,
                                                           "nonsecure",
                                                           STM32MP_CID_M33));
    }
    sysbus_connect_irq(SYS_BUS_DEVICE(s->ipcc[0]), 2,
                       qdev_get_gpio_in(s->m33, M33_IPCC1_RX));
    sysbus_connect_irq(SYS_BUS_DEVICE(s->ipcc[0]), 3,
                       qdev_get_gpio_in(s->m33, M33_IPCC1_RX + 1));
    sysbus_connect_irq(SYS_BUS_DEVICE(s->ipcc[1]), 0,
                       qdev_get_gpio_in(s->m0, M0_IPCC2_RX));
    sysbus_connect_irq(SYS_BUS_DEVICE(s->ipcc[1]), 1,
                       qdev_get_gpio_in(s->m0, M0_IPCC2_RX + 1));
    for (unsigned i = 0; i < ARRAY_SIZE(usarts); i++) {
        sysbus_connect_irq(SYS_BUS_DEVICE(s->usart[i]), 1,
                           qdev_get_gpio_in(s->m33, usarts[i].irq));
    }
    sysbus_connect_irq(SYS_BUS_DEVICE(s->lpuart1), 0,
                       qdev_get_gpio_in(s->m0, M0_LPUART1));
}

/*
 * IWDG1 and 2 reset the system, IWDG3, IWDG4 and WWDG1 the Cortex-M33, IWDG5
 * the Cortex-M0+; of the resets of a core the Cortex-A35 has an interrupt.  The
 * early wake-up interrupts are the Cortex-M33's.
 * Ref: STM32CubeMP2 stm32mp257cxx_ca35.h: IWDG3_RST_IRQn and its like, and
 *      stm32mp257cxx_cm33.h: IWDG3_IRQn, IWDG4_IRQn, WWDG1_IRQn, addresses
 */
static void stm32mp25_soc_watchdogs(Stm32mp25Soc *s)
{
    static const struct {
        const char *name;
        uint32_t base;
        const char *reset;      /* of its core: RCC's lines, and which */
        uint8_t line;
        uint8_t spi;
        uint8_t early;          /* interrupt of the Cortex-M33, or 0 */
    } watchdogs[] = {
        { "iwdg1", 0x44010000 },
        { "iwdg2", 0x44020000 },
        { "iwdg3", 0x44030000, "c2-reset", 1, SPI_IWDG3, M33_IWDG3 },
        { "iwdg4", 0x44040000, "c2-reset", 2, SPI_IWDG4, M33_IWDG4 },
        { "iwdg5", 0x46090000, "c3-reset", 1, SPI_IWDG5 },
        { "wwdg1", 0x44050000, "c2-reset", 3, SPI_WWDG1, M33_WWDG1 },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(watchdogs); i++) {
        bool window = !strcmp(watchdogs[i].name, "wwdg1");
        DeviceState *dev = stm32mp25_soc_new(s, window ? TYPE_STM32MP_WWDG
                                             : TYPE_STM32MP_IWDG,
                                             watchdogs[i].name);
        DeviceState *core = watchdogs[i].early ? s->m33 : s->m0;

        s->watchdog[i] = dev;
        /* The clock of APB3, undivided as ST's boards have it */
        qdev_connect_clock_in(dev, window ? "pclk" : "lsi",
                              qdev_get_clock_out(s->rcc, window ? "ls-mcu"
                                                 : "lsi"));
        stm32mp25_soc_map(s, dev, watchdogs[i].base);
        qdev_connect_gpio_out_named(dev, "reset", 0,
                                    qdev_get_gpio_in_named(s->rcc, "watchdog",
                                                           i));
        if (!watchdogs[i].reset) {
            continue;
        }
        qdev_connect_gpio_out_named(dev, "reset", 1,
                                    stm32mp25_soc_spi(s, watchdogs[i].spi));
        qdev_connect_gpio_out_named(s->rcc, watchdogs[i].reset,
                                    watchdogs[i].line,
                                    qdev_get_gpio_in_named(dev, "core-reset",
                                                           0));
        object_property_set_link(OBJECT(dev), "core", OBJECT(core),
                                 &error_abort);
        if (watchdogs[i].early) {
            sysbus_connect_irq(SYS_BUS_DEVICE(dev), 0,
                               qdev_get_gpio_in(core, watchdogs[i].early));
        }
    }
}

static void stm32mp25_soc_extis(Stm32mp25Soc *s)
{
    static const struct {
        const char *name;
        uint32_t base;
        uint32_t events;
        uint32_t cpus;
    } extis[] = {
        { "exti1", 0x44220000, 85, 2 },
        { "exti2", 0x46230000, 77, 3 },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(extis); i++) {
        DeviceState *dev = stm32mp25_soc_new(s, TYPE_STM32MP25_EXTI,
                                             extis[i].name);

        qdev_prop_set_uint32(dev, "events", extis[i].events);
        qdev_prop_set_uint32(dev, "cpus", extis[i].cpus);
        stm32mp25_soc_map(s, dev, extis[i].base);
        stm32mp25_soc_illegal(s, dev, IAC_EXTI1 + i);
    }
}

static void stm32mp25_soc_storage(Stm32mp25Soc *s)
{
    for (unsigned i = 0; i < ARRAY_SIZE(storage); i++) {
        const char *type = storage[i].type ?: TYPE_STM32MP_REGS;
        DeviceState *dev = stm32mp25_soc_new(s, type, storage[i].name);
        QList *preset = qlist_new(), *follow = qlist_new();

        for (unsigned n = 0; n < storage[i].n_preset; n++) {
            qlist_append_int(preset, storage[i].preset[n]);
        }
        for (unsigned n = 0; n < storage[i].n_follow; n++) {
            qlist_append_int(follow, storage[i].follow[n]);
        }
        qdev_prop_set_array(dev, "follow", follow);
        qdev_prop_set_uint32(dev, "size", storage[i].size);
        qdev_prop_set_array(dev, "preset", preset);
        stm32mp25_soc_map(s, dev, storage[i].base);
        if (storage[i].iac) {
            stm32mp25_soc_illegal(s, dev, storage[i].iac);
        }
    }
}

static void stm32mp25_soc_peripherals(Stm32mp25Soc *s)
{
    DeviceState *rest = stm32mp25_soc_new(s, TYPE_UNIMPLEMENTED_DEVICE,
                                          "stm32mp25-peripherals");
    DeviceState *rtc;

    qdev_prop_set_uint64(rest, "size", STM32MP25_PERIPHERALS_SIZE);
    sysbus_realize_and_unref(SYS_BUS_DEVICE(rest), &error_fatal);
    memory_region_add_subregion_overlap(
        &s->peripherals, PERIPHERALS,
        sysbus_mmio_get_region(SYS_BUS_DEVICE(rest), 0), -1000);

    s->rcc = stm32mp25_soc_create(s, TYPE_STM32MP25_RCC, "rcc", 0x44200000);
    stm32mp25_soc_illegal(s, s->rcc, IAC_RCC);
    for (unsigned id = 0; id < STM32MP25_PERIPHERALS; id++) {
        qdev_connect_gpio_out_named(s->rcc, "peripheral-reset", id,
                                    qdev_get_gpio_in_named(s->rifsc, "in-reset",
                                                           id));
    }
    stm32mp25_soc_create(s, TYPE_STM32MP_STGEN, "stgen", 0x48080000);
    stm32mp25_soc_create(s, TYPE_STM32MP_HASH, "hash", 0x42010000);
    stm32mp25_soc_create(s, TYPE_STM32MP_RNG, "rng", 0x42020000);
    rtc = stm32mp25_soc_new(s, TYPE_STM32MP_RTC, "rtc");
    qdev_prop_set_bit(rtc, "rif", true);
    stm32mp25_soc_map(s, rtc, 0x46000000);
    stm32mp25_soc_irq(s, rtc, 0, SPI_RTC);
    stm32mp25_soc_illegal(s, rtc, IAC_RTC);
    s->i2c7 = stm32mp25_soc_create(s, TYPE_STM32MP_I2C, "i2c7", 0x40180000);
    for (unsigned i = 0; i < ARRAY_SIZE(i2cs); i++) {
        stm32mp25_soc_create(s, TYPE_STM32MP_I2C, i2cs[i].name, i2cs[i].base);
    }

    for (unsigned i = 0; i < ARRAY_SIZE(usarts); i++) {
        s->usart[i] = stm32mp25_soc_new(s, TYPE_STM32MP_USART, usarts[i].name);
        if (usarts[i].line != NO_LINE) {
            qdev_prop_set_chr(s->usart[i], "chardev",
                              serial_hd(usarts[i].line));
            qdev_prop_set_bit(s->usart[i], "loaded", true);
        }
        stm32mp25_soc_map(s, s->usart[i], usarts[i].base);
        stm32mp25_soc_irq(s, s->usart[i], 0, usarts[i].irq);
    }
    s->lpuart1 = stm32mp25_soc_create(s, TYPE_STM32MP_USART, "lpuart1",
                                      0x46030000);

    /* Its accesses to memory are taken for those of the Cortex-A35 */
    s->sdmmc1 = stm32mp25_soc_new(s, TYPE_STM32MP_SDMMC, "sdmmc1");
    object_property_set_link(OBJECT(s->sdmmc1), "dma",
                             OBJECT(get_system_memory()), &error_abort);
    stm32mp25_soc_map(s, s->sdmmc1, 0x48220000);
    stm32mp25_soc_irq(s, s->sdmmc1, 0, SPI_SDMMC1);

    for (int i = 0; i < STM32MP25_GPIOS; i++) {
        g_autofree char *name = g_strdup_printf("gpio%c", "abcdefghijkz"[i]);

        s->gpio[i] = stm32mp25_soc_new(s, TYPE_STM32MP_GPIO, name);
        qdev_prop_set_bit(s->gpio[i], "rif", true);
        stm32mp25_soc_map(s, s->gpio[i], i == GPIOZ ? GPIOZ_BASE
                                         : GPIO_BASE + i * GPIO_SIZE);
        stm32mp25_soc_illegal(s, s->gpio[i], IAC_GPIOA + i);
    }
    stm32mp25_soc_extis(s);
}

/* A mailbox; the Cortex-A35 is its processor @own, counted from 0 */
static DeviceState *stm32mp25_soc_mailbox(Stm32mp25Soc *s, const char *name,
                                          hwaddr base, int own, unsigned spi)
{
    DeviceState *dev = stm32mp25_soc_new(s, TYPE_STM32MP_IPCC, name);

    qdev_prop_set_uint32(dev, "channels", 16);
    qdev_prop_set_bit(dev, "rif", true);
    stm32mp25_soc_map(s, dev, base);
    stm32mp25_soc_illegal(s, dev, IAC_IPCC1 + own);
    stm32mp25_soc_irq(s, dev, 2 * own, spi);
    stm32mp25_soc_irq(s, dev, 2 * own + 1, spi + 1);
    return dev;
}

/*
 * The Cortex-A35s come out of the system's reset, the first of them running; on
 * silicon the second one waits in the boot ROM for a reset of its own
 */
static void stm32mp25_soc_reset_cpus(void *opaque)
{
    Stm32mp25Soc *s = opaque;

    for (int i = 0; i < STM32MP25_CPUS; i++) {
        s->cpu[i].rvbar_prop = STM32MP25_START;
        cpu_reset(CPU(&s->cpu[i]));
    }
}

static void stm32mp25_soc_reset_work(CPUState *cs, run_on_cpu_data data)
{
    ARMCPU *cpu = ARM_CPU(cs);

    cpu->rvbar_prop = data.target_ptr;
    cpu_reset(cs);
    cpu->power_state = PSCI_ON;
    cs->halted = 0;
}

/* RCC resets the second Cortex-A35 */
static void stm32mp25_soc_reset_cpu(void *opaque, int n, int level)
{
    Stm32mp25Soc *s = opaque;

    if (level) {
        async_run_on_cpu(CPU(&s->cpu[1]), stm32mp25_soc_reset_work,
                         RUN_ON_CPU_TARGET_PTR(
                             stm32mp25_a35ssc_start(s->a35ssc)));
    }
}

static void stm32mp25_soc_init(Object *obj)
{
    Stm32mp25Soc *s = STM32MP25_SOC(obj);

    object_initialize_child(obj, "cluster", &s->cluster, TYPE_CPU_CLUSTER);
    qdev_prop_set_uint32(DEVICE(&s->cluster), "cluster-id", 0);
    for (int i = 0; i < STM32MP25_CPUS; i++) {
        object_initialize_child(OBJECT(&s->cluster), "cpu[*]", &s->cpu[i],
                                ARM_CPU_TYPE_NAME("cortex-a35"));
    }
    object_initialize_child(obj, "gic", &s->gic, TYPE_ARM_GIC);
}

static void stm32mp25_soc_realize(DeviceState *dev, Error **errp)
{
    Stm32mp25Soc *s = STM32MP25_SOC(dev);

    memory_region_init(&s->peripherals, OBJECT(s), "peripherals", 4 * GiB);
    stm32mp25_soc_cpus(s);
    stm32mp25_soc_gic(s);
    stm32mp25_soc_memory(s);
    stm32mp25_soc_firewall(s);
    stm32mp25_soc_storage(s);
    stm32mp25_soc_peripherals(s);
    s->ipcc[0] = stm32mp25_soc_mailbox(s, "ipcc1", 0x40490000, 0, 171);
    s->ipcc[1] = stm32mp25_soc_mailbox(s, "ipcc2", 0x46250000, 1, 175);
    stm32mp25_soc_coprocessors(s);
    stm32mp25_soc_watchdogs(s);
    qdev_init_gpio_in_named(dev, stm32mp25_soc_reset_cpu, "c1p1-reset", 1);
    qdev_connect_gpio_out_named(s->rcc, "c1p1-reset", 0,
                                qdev_get_gpio_in_named(dev, "c1p1-reset", 0));
    qemu_register_reset(stm32mp25_soc_reset_cpus, s);
}

static const Property stm32mp25_soc_properties[] = {
    DEFINE_PROP_LINK("ddr", Stm32mp25Soc, ddr, TYPE_MEMORY_REGION,
                     MemoryRegion *),
};

static void stm32mp25_soc_class_init(ObjectClass *klass, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);

    dc->realize = stm32mp25_soc_realize;
    dc->user_creatable = false;         /* it uses serial_hd() */
    device_class_set_props(dc, stm32mp25_soc_properties);
}

static const TypeInfo stm32mp25_soc_types[] = {
    {
        .name = TYPE_STM32MP25_SOC,
        .parent = TYPE_SYS_BUS_DEVICE,
        .instance_size = sizeof(Stm32mp25Soc),
        .instance_init = stm32mp25_soc_init,
        .class_init = stm32mp25_soc_class_init,
    }
};

DEFINE_TYPES(stm32mp25_soc_types)
