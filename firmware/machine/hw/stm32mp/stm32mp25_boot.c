/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * STM32MP25: what stands in for boot ROM and BL2
 *
 * Real ones set the DDR up and read a card; here the images are in memory at
 * each reset, and the first CPU runs a few instructions that hand BL31 its
 * arguments as BL2 does.
 *
 * Ref: TF-A include/tools_share/firmware_image_package.h (FIP),
 *      include/export/common/param_header_exp.h, bl_common_exp.h,
 *      ep_info_exp.h (bl_params), plat/st/stm32mp2/bl31_plat_setup.c
 */

#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "qapi/error.h"
#include "exec/address-spaces.h"
#include "hw/loader.h"
#include "hw/stm32mp/stm32mp25_soc.h"

#define FIP_NAME 0xaa640001
#define PARAMS 0x0e03e000       /* bl_params, in the half of SYSRAM of BL2 */
#define BL32_NODE 0x40
#define BL33_NODE 0x80
#define BL32_EP 0x100
#define BL33_EP 0x200
#define PARAMS_SIZE 0x300

#define PARAM_EP 1
#define PARAM_BL_PARAMS 5
#define VERSION_2 2
#define EP_SECURE 0
#define EP_NON_SECURE 1
#define EP_SIZE 88
#define BL32_ID 4
#define BL33_ID 5
#define SPSR_EL1H 0x3c5
#define SPSR_EL2H 0x3c9

typedef struct QEMU_PACKED FipEntry {
    uint8_t uuid[16];
    uint64_t offset;
    uint64_t size;
    uint64_t flags;
} FipEntry;

typedef struct FipImage {
    const char *name;
    uint8_t uuid[16];
    uint32_t address;
} FipImage;

#define BL31 0
#define BL31_DTB 1
#define BL32 2
#define ALWAYS 3                /* what every package has */
#define BL33 3
#define BL33_DTB 4

static const FipImage images[] = {
    [BL31] = {
        "BL31", { 0x47, 0xd4, 0x08, 0x6d, 0x4c, 0xfe, 0x98, 0x46, 0x9b, 0x95,
                  0x29, 0x50, 0xcb, 0xbd, 0x5a, 0x00 }, STM32MP25_SYSRAM,
    },
    [BL31_DTB] = {
        "SOC_FW_CONFIG", { 0x99, 0x79, 0x81, 0x4b, 0x03, 0x76, 0xfb, 0x46, 0x8c,
                           0x8e, 0x8d, 0x26, 0x7f, 0x78, 0x59, 0xe0 },
        0x81ff0000,
    },
    [BL32] = {
        "BL32", { 0x05, 0xd0, 0xe1, 0x89, 0x53, 0xdc, 0x13, 0x47, 0x8d, 0x2b,
                  0x50, 0x0a, 0x4b, 0x7a, 0x3e, 0x38 }, 0x82000000,
    },
    [BL33] = {
        "BL33", { 0xd6, 0xd0, 0xee, 0xa7, 0xfc, 0xea, 0xd5, 0x4b, 0x97, 0x82,
                  0x99, 0x34, 0xf2, 0x34, 0xb6, 0xe4 }, STM32MP25_BL33,
    },
    [BL33_DTB] = {              /* STM32MP_HW_CONFIG_BASE */
        "HW_CONFIG", { 0x08, 0xb8, 0xf1, 0xd9, 0xc9, 0xcf, 0x93, 0x49, 0xa9,
                       0x62, 0x6f, 0xbc, 0x6b, 0x72, 0x65, 0xcc },
        STM32MP25_BL33 + 0x400000,
    },
};

static void put_header(uint8_t *at, uint8_t type, uint16_t size, uint32_t attr)
{
    at[0] = type;
    at[1] = VERSION_2;
    stw_le_p(at + 2, size);
    stl_le_p(at + 4, attr);
}

static void put_node(uint8_t *params, uint32_t node, uint32_t id, uint32_t ep,
                     uint32_t next)
{
    stl_le_p(params + node, id);
    stq_le_p(params + node + 0x10, PARAMS + ep);
    stq_le_p(params + node + 0x18, next ? PARAMS + next : 0);
}

static void put_entry_point(uint8_t *at, uint32_t attr, uint64_t pc,
                            uint32_t spsr, uint64_t arg0, uint64_t arg2)
{
    put_header(at, PARAM_EP, EP_SIZE, attr);
    stq_le_p(at + 0x8, pc);
    stl_le_p(at + 0x10, spsr);
    stq_le_p(at + 0x18, arg0);
    stq_le_p(at + 0x28, arg2);
}

/* Linux has its device tree in the first argument, U-Boot in the third */
static void stm32mp25_add_params(AddressSpace *sram, uint64_t linux_dtb,
                                 uint64_t uboot_dtb)
{
    uint8_t params[PARAMS_SIZE] = { };

    put_header(params, PARAM_BL_PARAMS, 0x10, 0);
    stq_le_p(params + 0x8, PARAMS + BL32_NODE);
    put_node(params, BL32_NODE, BL32_ID, BL32_EP, BL33_NODE);
    put_node(params, BL33_NODE, BL33_ID, BL33_EP, 0);
    put_entry_point(params + BL32_EP, EP_SECURE, images[BL32].address,
                    SPSR_EL1H, 0, 0);
    put_entry_point(params + BL33_EP, EP_NON_SECURE, STM32MP25_BL33, SPSR_EL2H,
                    linux_dtb, uboot_dtb);
    rom_add_blob_fixed_as("bl_params", params, sizeof(params),
                          PARAMS - STM32MP25_SYSRAM, sram);
}

static void stm32mp25_add_start(void)
{
    uint32_t code[] = {
        0x580000c0,             /* ldr x0, params */
        0x580000e1,             /* ldr x1, dtb */
        0xd2800002,             /* mov x2, #0 */
        0xd2800003,             /* mov x3, #0 */
        0x580000c4,             /* ldr x4, bl31 */
        0xd61f0080,             /* br x4 */
        PARAMS, 0,
        images[BL31_DTB].address, 0,
        images[BL31].address, 0,
    };

    for (unsigned i = 0; i < ARRAY_SIZE(code); i++) {
        code[i] = cpu_to_le32(code[i]);
    }
    rom_add_blob_fixed("bl2-stand-in", code, sizeof(code), STM32MP25_START);
}

/* The image in the package; its size, 0 if there is none */
static uint64_t stm32mp25_find(const uint8_t *fip, gsize length,
                               const FipImage *image, const uint8_t **data)
{
    static const uint8_t end[16];

    for (gsize at = 16; at + sizeof(FipEntry) <= length;
         at += sizeof(FipEntry)) {
        const FipEntry *e = (const FipEntry *)(fip + at);
        uint64_t offset = le64_to_cpu(e->offset), size = le64_to_cpu(e->size);

        if (!memcmp(e->uuid, end, sizeof(end))) {
            break;
        }
        if (!memcmp(e->uuid, image->uuid, sizeof(end)) && offset <= length &&
            size <= length - offset) {
            *data = fip + offset;
            return size;
        }
    }
    return 0;
}

bool stm32mp25_load_fip(const char *filename, AddressSpace *ddr,
                        AddressSpace *sram, uint64_t dtb, Error **errp)
{
    unsigned wanted = dtb ? ALWAYS : ARRAY_SIZE(images);
    g_autofree gchar *fip = NULL;
    g_autoptr(GError) error = NULL;
    gsize length;

    if (!g_file_get_contents(filename, &fip, &length, &error)) {
        error_setg(errp, "-bios: %s", error->message);
        return false;
    }
    if (length < 16 || ldl_le_p(fip) != FIP_NAME) {
        error_setg(errp, "-bios: %s is no firmware image package (FIP)",
                   filename);
        return false;
    }
    for (unsigned i = 0; i < wanted; i++) {
        const FipImage *image = &images[i];
        const uint8_t *data;
        uint64_t size = stm32mp25_find((uint8_t *)fip, length, image, &data);
        bool in_ddr = image->address >= STM32MP25_DDR;

        if (!size) {
            error_setg(errp, "-bios: %s has no whole %s", filename,
                       image->name);
            return false;
        }
        rom_add_blob_fixed_as(image->name, data, size,
                              image->address - (in_ddr ? STM32MP25_DDR
                                                : STM32MP25_SYSRAM),
                              in_ddr ? ddr : sram);
    }
    stm32mp25_add_params(sram, dtb, dtb ? 0 : images[BL33_DTB].address);
    stm32mp25_add_start();
    return true;
}
