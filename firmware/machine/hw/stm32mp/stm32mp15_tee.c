/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * STM32MP15: what stands in for the loader that starts OP-TEE, TF-A's BL2
 *
 * OP-TEE comes as its tee.bin, header version 1: the part that is started, and
 * what its pager loads by pages, if it has one.
 *
 * Ref: OP-TEE scripts/gen_tee_bin.py (the header), core/arch/arm/kernel/
 *      entry_a32.S (its arguments), plat-stm32mp1/pm/psci.c (SGI 8); TF-A
 *      plat/st/stm32mp1/bl2_plat_setup.c (where the pageable part goes)
 */

#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "qapi/error.h"
#include "hw/loader.h"
#include "hw/stm32mp/stm32mp15_soc.h"

#define HEADER_MAGIC 0x4554504f         /* OPTE */
#define HEADER_VERSION 1
#define HEADER_ARM32 0
#define NO_MACHINE_ID 0xffffffff

typedef struct QEMU_PACKED TeeHeader {
    uint32_t magic;
    uint8_t version;
    uint8_t arch;
    uint16_t flags;
    uint32_t init_size;
    uint32_t load_address_high;
    uint32_t load_address;
    uint32_t memory;
    uint32_t paged_size;
} TeeHeader;

bool stm32mp15_add_tee(const char *filename, MemoryRegion *rom,
                       uint32_t pageable, uint32_t kernel, uint32_t dtb,
                       Error **errp)
{
    g_autofree gchar *file = NULL;
    g_autoptr(GError) error = NULL;
    Stm32mp15Boot boot = { .lr = kernel, .sgi = STM32MP15_SGI_TEE };
    uint32_t init, paged;
    TeeHeader header;
    gsize length;

    if (!g_file_get_contents(filename, &file, &length, &error)) {
        error_setg(errp, "-bios: %s", error->message);
        return false;
    }
    if (length < sizeof(header) || ldl_le_p(file) != HEADER_MAGIC) {
        error_setg(errp, "-bios: %s is no tee.bin of OP-TEE", filename);
        return false;
    }
    memcpy(&header, file, sizeof(header));
    if (header.version != HEADER_VERSION || header.arch != HEADER_ARM32) {
        error_setg(errp, "-bios: %s: header of version 1, for 32 bit, wanted, "
                   "not %u, %u", filename, header.version, header.arch);
        return false;
    }
    init = le32_to_cpu(header.init_size);
    paged = le32_to_cpu(header.paged_size);
    if (length - sizeof(header) != (uint64_t)init + paged) {
        error_setg(errp, "-bios: %s is cut short: its header says %" PRIu64
                   " bytes follow, not %zu", filename, (uint64_t)init + paged,
                   length - sizeof(header));
        return false;
    }
    boot.entry = le32_to_cpu(header.load_address);
    boot.r[0] = pageable;
    boot.r[1] = NO_MACHINE_ID;
    boot.r[2] = dtb;
    rom_add_blob_fixed("optee", file + sizeof(header), init, boot.entry);
    if (paged) {
        rom_add_blob_fixed("optee-pageable", file + sizeof(header) + init,
                           paged, pageable);
    }
    stm32mp15_add_boot_code(&boot, rom);
    return true;
}
