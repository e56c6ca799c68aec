/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * ST STM32MP257F-EV1, started as its boot ROM and BL2 would: -bios is a
 * firmware image package (FIP) with BL31, BL31's device tree, OP-TEE and, unless
 * there is a kernel, U-Boot with its device tree; otherwise QEMU's loader puts
 * kernel, device tree and initramfs into memory in place of U-Boot.
 *
 * Beside ST's hardware there are virtio transports, which the loader adds to
 * the device tree.
 */

#include "qemu/osdep.h"
#include "qemu/error-report.h"
#include "qemu/units.h"
#include "qapi/error.h"
#include "exec/address-spaces.h"
#include "hw/arm/boot.h"
#include "hw/boards.h"
#include "hw/i2c/i2c.h"
#include "hw/loader.h"
#include "hw/qdev-properties.h"
#include "hw/stm32mp/stm32mp.h"
#include "hw/stm32mp/stm32mp25_soc.h"
#include "system/blockdev.h"
#include "system/device_tree.h"
#include <libfdt.h>

#define TYPE_STM32MP257F_EV1 MACHINE_TYPE_NAME("stm32mp257f-ev1")
OBJECT_DECLARE_SIMPLE_TYPE(Stm32mp257fEv1, STM32MP257F_EV1)

#define VIRTIOS 4
#define VIRTIO_SIZE 0x200
#define GIC_NODE "/interrupt-controller@4ac00000"
#define DEVICE_TREE 0x88000000
#define INITRD 0x88200000
#define STPMIC25_ADDRESS 0x33
#define MIN_RAM (256 * MiB)

struct Stm32mp257fEv1 {
    MachineState parent_obj;

    Stm32mp25Soc soc;
    AddressSpace ddr_as;        /* of the loader, past the firewall */
    struct arm_boot_info boot;
};

/* Adds nodes of the virtio transports; refuses the tree of another SoC */
static void stm32mp257f_ev1_modify_dtb(const struct arm_boot_info *info,
                                       void *fdt)
{
    int gic = fdt_path_offset(fdt, GIC_NODE);
    uint32_t phandle = gic < 0 ? 0 : fdt_get_phandle(fdt, gic);

    if (!phandle) {
        error_report("-dtb: no interrupt controller %s with a phandle: not a "
                     "tree of an STM32MP25", GIC_NODE);
        exit(1);
    }
    for (int i = VIRTIOS - 1; i >= 0; i--) {
        uint32_t base = STM32MP25_FREE + i * VIRTIO_SIZE;
        g_autofree char *name = g_strdup_printf("/virtio_mmio@%x", base);

        qemu_fdt_add_subnode(fdt, name);
        qemu_fdt_setprop_string(fdt, name, "compatible", "virtio,mmio");
        qemu_fdt_setprop_cells(fdt, name, "reg", 0, base, 0, VIRTIO_SIZE);
        qemu_fdt_setprop_cells(fdt, name, "interrupts", 0,
                               STM32MP25_FREE_SPI + i, 1);
        qemu_fdt_setprop_cell(fdt, name, "interrupt-parent", phandle);
    }
}

static void stm32mp257f_ev1_virtio(Stm32mp257fEv1 *s)
{
    for (int i = 0; i < VIRTIOS; i++) {
        DeviceState *dev = qdev_new("virtio-mmio");

        qdev_prop_set_bit(dev, "force-legacy", false);
        sysbus_realize_and_unref(SYS_BUS_DEVICE(dev), &error_fatal);
        sysbus_mmio_map(SYS_BUS_DEVICE(dev), 0,
                        STM32MP25_FREE + i * VIRTIO_SIZE);
        sysbus_connect_irq(SYS_BUS_DEVICE(dev), 0,
                           stm32mp25_soc_spi(&s->soc,
                                             STM32MP25_FREE_SPI + i));
    }
}

/* Size of an image that is loaded to an address of the DDR; it must fit */
static uint64_t stm32mp257f_ev1_image(Stm32mp257fEv1 *s, const char *option,
                                      const char *filename, uint32_t address,
                                      uint64_t end)
{
    ssize_t size = load_image_targphys_as(filename, address - STM32MP25_DDR,
                                          end - address, &s->ddr_as);

    if (size < 0) {
        error_report("%s: cannot load %s into %" PRIu64 " bytes at 0x%x",
                     option, filename, end - address, address);
        exit(1);
    }
    return size;
}

static void stm32mp257f_ev1_load(Stm32mp257fEv1 *s, MachineState *machine)
{
    uint64_t end = STM32MP25_DDR + machine->ram_size;

    s->boot.ram_size = machine->ram_size;
    s->boot.loader_start = STM32MP25_DDR;
    s->boot.dtb_filename = machine->dtb;
    s->boot.modify_dtb = stm32mp257f_ev1_modify_dtb;
    stm32mp257f_ev1_image(s, "-kernel", machine->kernel_filename,
                          STM32MP25_BL33, DEVICE_TREE);
    if (machine->initrd_filename) {
        s->boot.initrd_start = INITRD;
        s->boot.initrd_size = stm32mp257f_ev1_image(
            s, "-initrd", machine->initrd_filename, INITRD, end);
    }
    if (arm_load_dtb(DEVICE_TREE - STM32MP25_DDR, &s->boot,
                     INITRD - STM32MP25_DDR, &s->ddr_as, machine,
                     &s->soc.cpu[0]) <= 0) {
        exit(1);
    }
}

static void stm32mp257f_ev1_init(MachineState *machine)
{
    Stm32mp257fEv1 *s = STM32MP257F_EV1(machine);

    bool loaded = machine->kernel_filename || machine->dtb;

    if (!machine->firmware ||
        (loaded && !(machine->kernel_filename && machine->dtb))) {
        error_report("stm32mp257f-ev1 wants -bios, and -kernel and -dtb if that "
                     "has no BL33: it has no boot ROM");
        exit(1);
    }
    if (machine->ram_size < MIN_RAM) {
        error_report("stm32mp257f-ev1 has at least 256 MiB of memory");
        exit(1);
    }
    address_space_init(&s->ddr_as, machine->ram, "ddr");
    object_initialize_child(OBJECT(s), "soc", &s->soc, TYPE_STM32MP25_SOC);
    object_property_set_link(OBJECT(&s->soc), "ddr", OBJECT(machine->ram),
                             &error_abort);
    /* All memory maps are made once, not again for each region */
    memory_region_transaction_begin();
    sysbus_realize(SYS_BUS_DEVICE(&s->soc), &error_fatal);
    i2c_slave_create_simple(I2C_BUS(qdev_get_child_bus(s->soc.i2c7, "i2c")),
                            TYPE_STPMIC25, STPMIC25_ADDRESS);
    stm32mp_sdmmc_card(s->soc.sdmmc1, drive_get(IF_SD, 0, 0));
    stm32mp257f_ev1_virtio(s);
    memory_region_transaction_commit();
    if (loaded) {
        stm32mp257f_ev1_load(s, machine);
    }
    stm32mp25_load_fip(machine->firmware, &s->ddr_as, &s->soc.sram_as,
                       loaded ? DEVICE_TREE : 0, &error_fatal);
}

static void stm32mp257f_ev1_class_init(ObjectClass *klass, void *data)
{
    MachineClass *mc = MACHINE_CLASS(klass);

    mc->desc = "ST STM32MP257F-EV1 (two Cortex-A35, Cortex-M33, Cortex-M0+)";
    mc->init = stm32mp257f_ev1_init;
    mc->min_cpus = mc->max_cpus = mc->default_cpus = STM32MP25_CPUS + 2;
    mc->default_ram_size = 1 * GiB;
    mc->default_ram_id = "ddr";
    mc->block_default_type = IF_SD;
    mc->no_floppy = 1;
    mc->no_cdrom = 1;
    mc->no_parallel = 1;
}

static const TypeInfo stm32mp257f_ev1_types[] = {
    {
        .name = TYPE_STM32MP257F_EV1,
        .parent = TYPE_MACHINE,
        .instance_size = sizeof(Stm32mp257fEv1),
        .class_init = stm32mp257f_ev1_class_init,
    }
};

DEFINE_TYPES(stm32mp257f_ev1_types)
