/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * ST STM32MP157C-DK2, started from its SD card; or, with -kernel and -dtb, as
 * its secure firmware and boot loader would: QEMU's loader puts kernel, device
 * tree and initramfs into memory, QEMU itself answers PSCI.  With -bios as well
 * OP-TEE is started, which starts the kernel and answers PSCI.
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
#include "hw/stm32mp/stm32mp15_soc.h"
#include "system/block-backend.h"
#include "system/blockdev.h"
#include "system/device_tree.h"
#include <libfdt.h>

#define TYPE_STM32MP157C_DK2 MACHINE_TYPE_NAME("stm32mp157c-dk2")
OBJECT_DECLARE_SIMPLE_TYPE(Stm32mp157cDk2, STM32MP157C_DK2)

#define VIRTIOS 4
#define VIRTIO_SIZE 0x200
#define STPMIC1_ADDRESS 0x33
#define GIC_NODE "/interrupt-controller@a0021000"

/* As U-Boot has them. Ref: U-Boot include/configs/stm32mp15_common.h */
#define KERNEL 0xc2000000
#define DEVICE_TREE 0xc4000000
#define INITRD 0xc4400000
/* Of the DDR, at its end. Ref: OP-TEE plat-stm32mp1/conf.mk, CFG_TZDRAM_SIZE */
#define TEE_SIZE (32 * MiB)

struct Stm32mp157cDk2 {
    MachineState parent_obj;

    Stm32mp15Soc soc;
    bool no_virtio;
    struct arm_boot_info boot;
};

/* Adds nodes of the virtio transports; refuses the tree of another SoC */
static void stm32mp157c_dk2_modify_dtb(const struct arm_boot_info *info,
                                       void *fdt)
{
    static const char *const socs[] = {
        "st,stm32mp157", "st,stm32mp153", "st,stm32mp151", NULL
    };
    const Stm32mp157cDk2 *s = container_of(info, Stm32mp157cDk2, boot);
    const char *const *fits = socs;
    int gic = fdt_path_offset(fdt, GIC_NODE);
    uint32_t phandle = gic < 0 ? 0 : fdt_get_phandle(fdt, gic);

    while (fits && fdt_node_check_compatible(fdt, 0, *fits)) {
        fits = fits[1] ? fits + 1 : NULL;
    }
    if (!fits) {
        const char *model = fdt_getprop(fdt, 0, "compatible", NULL);

        error_report("-dtb: a tree for \"%s\", not for an STM32MP15",
                     model ? model : "");
        exit(1);
    }
    if (!phandle) {
        error_report("-dtb: no interrupt controller %s with a phandle",
                     GIC_NODE);
        exit(1);
    }
    for (int i = s->no_virtio ? -1 : VIRTIOS - 1; i >= 0; i--) {
        uint32_t base = STM32MP15_FREE + i * VIRTIO_SIZE;
        g_autofree char *name = g_strdup_printf("/virtio_mmio@%x", base);

        qemu_fdt_add_subnode(fdt, name);
        qemu_fdt_setprop_string(fdt, name, "compatible", "virtio,mmio");
        qemu_fdt_setprop_cells(fdt, name, "reg", base, VIRTIO_SIZE);
        qemu_fdt_setprop_cells(fdt, name, "interrupts", 0,
                               STM32MP15_FREE_SPI + i, 1);
        qemu_fdt_setprop_cell(fdt, name, "interrupt-parent", phandle);
    }
}

/* Size of an image that is loaded between two addresses of the DDR */
static uint64_t stm32mp157c_dk2_image(const char *option, const char *filename,
                                      uint32_t address, uint32_t end)
{
    ssize_t size = load_image_targphys(filename, address, end - address);

    if (size < 0) {
        error_report("%s: cannot load %s into %u bytes at 0x%x", option,
                     filename, end - address, address);
        exit(1);
    }
    return size;
}

static void stm32mp157c_dk2_load_tee(Stm32mp157cDk2 *s, MachineState *machine)
{
    uint32_t tee = STM32MP15_DDR + machine->ram_size - TEE_SIZE;
    hwaddr entry = KERNEL;

    s->boot.dtb_filename = machine->dtb;
    /* One with U-Boot's header is already unpacked, and says where it goes */
    if (load_uimage_as(machine->kernel_filename, &entry, NULL, NULL, NULL, NULL,
                       &address_space_memory) < 0) {
        stm32mp157c_dk2_image("-kernel", machine->kernel_filename, KERNEL,
                              DEVICE_TREE);
    }
    if (machine->initrd_filename) {
        s->boot.initrd_start = INITRD;
        s->boot.initrd_size = stm32mp157c_dk2_image(
            "-initrd", machine->initrd_filename, INITRD, tee);
    }
    if (arm_load_dtb(DEVICE_TREE, &s->boot, INITRD, &address_space_memory,
                     machine, &s->soc.cpu[0]) <= 0) {
        exit(1);
    }
    stm32mp15_add_tee(machine->firmware, &s->soc.ram[STM32MP15_RAM_ROM], tee,
                      entry, DEVICE_TREE, &error_fatal);
    stm32mp15_soc_start_in_rom(&s->soc);
}

static void stm32mp157c_dk2_init(MachineState *machine)
{
    Stm32mp157cDk2 *s = STM32MP157C_DK2(machine);
    bool loaded = machine->kernel_filename || machine->dtb || machine->firmware;
    DriveInfo *drive = drive_get(IF_SD, 0, 0);

    if (loaded ? !machine->kernel_filename || !machine->dtb : !drive) {
        error_report("stm32mp157c-dk2 wants an SD card that it starts from, or "
                     "-kernel and -dtb, and -bios for an OP-TEE before them");
        exit(1);
    }
    if (machine->firmware && machine->ram_size != 512 * MiB) {
        error_report("-bios: OP-TEE for this board wants 512 MiB of memory");
        exit(1);
    }
    /* All memory maps are made once, not again for each region */
    memory_region_transaction_begin();
    object_initialize_child(OBJECT(s), "soc", &s->soc, TYPE_STM32MP15_SOC);
    qdev_prop_set_bit(DEVICE(&s->soc), "loaded", loaded);
    object_property_set_link(OBJECT(&s->soc), "ddr", OBJECT(machine->ram),
                             &error_abort);
    sysbus_realize(SYS_BUS_DEVICE(&s->soc), &error_fatal);
    i2c_slave_create_simple(I2C_BUS(qdev_get_child_bus(s->soc.i2c4, "i2c")),
                            TYPE_STPMIC1, STPMIC1_ADDRESS);
    if (!loaded) {
        stm32mp15_add_rom(blk_by_legacy_dinfo(drive),
                          &s->soc.ram[STM32MP15_RAM_ROM],
                          stm32mp15_soc_sysram(&s->soc),
                          &error_fatal);
    }
    stm32mp_sdmmc_card(s->soc.sdmmc1, drive);
    for (int i = 0; i < VIRTIOS; i++) {
        DeviceState *dev = qdev_new("virtio-mmio");

        qdev_prop_set_bit(dev, "force-legacy", false);
        sysbus_realize_and_unref(SYS_BUS_DEVICE(dev), &error_fatal);
        sysbus_mmio_map(SYS_BUS_DEVICE(dev), 0,
                        STM32MP15_FREE + i * VIRTIO_SIZE);
        sysbus_connect_irq(SYS_BUS_DEVICE(dev), 0,
                           stm32mp15_soc_spi(&s->soc,
                                             STM32MP15_FREE_SPI + i));
    }

    s->boot.ram_size = machine->ram_size;
    s->boot.loader_start = STM32MP15_DDR;
    s->boot.board_id = -1;
    s->boot.psci_conduit = loaded ? QEMU_PSCI_CONDUIT_SMC
                                  : QEMU_PSCI_CONDUIT_DISABLED;
    s->boot.modify_dtb = stm32mp157c_dk2_modify_dtb;
    if (machine->firmware) {
        stm32mp157c_dk2_load_tee(s, machine);
    } else {
        arm_load_kernel(&s->soc.cpu[0], machine, &s->boot);
    }
    stm32mp15_soc_add_m4(&s->soc);
    memory_region_transaction_commit();
}

static bool stm32mp157c_dk2_get_virtio(Object *obj, Error **errp)
{
    return !STM32MP157C_DK2(obj)->no_virtio;
}

static void stm32mp157c_dk2_set_virtio(Object *obj, bool value, Error **errp)
{
    STM32MP157C_DK2(obj)->no_virtio = !value;
}

static void stm32mp157c_dk2_class_init(ObjectClass *klass, void *data)
{
    MachineClass *mc = MACHINE_CLASS(klass);

    mc->desc = "ST STM32MP157C-DK2 (two Cortex-A7, Cortex-M4)";
    mc->init = stm32mp157c_dk2_init;
    mc->min_cpus = mc->max_cpus = mc->default_cpus = STM32MP15_CPUS + 1;
    mc->default_ram_size = 512 * MiB;
    mc->default_ram_id = "ddr";
    mc->block_default_type = IF_SD;
    mc->no_floppy = 1;
    mc->no_cdrom = 1;
    mc->no_parallel = 1;
    object_class_property_add_bool(klass, "virtio", stm32mp157c_dk2_get_virtio,
                                   stm32mp157c_dk2_set_virtio);
    object_class_property_set_description(klass, "virtio",
                                          "Nodes of the virtio transports in "
                                          "the device tree");
}

static const TypeInfo stm32mp157c_dk2_types[] = {
    {
        .name = TYPE_STM32MP157C_DK2,
        .parent = TYPE_MACHINE,
        .instance_size = sizeof(Stm32mp157cDk2),
        .class_init = stm32mp157c_dk2_class_init,
    }
};

DEFINE_TYPES(stm32mp157c_dk2_types)
