/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * STM32MP15: what stands in for the boot ROM
 *
 * As the real one it takes the first stage boot loader from the SD card,
 * tells it where it came from, and keeps a CPU that is not wanted in a loop.
 * The card is read as QEMU starts, by QEMU and not through SDMMC1; nothing is
 * authenticated.
 *
 * Ref: RM0436, boot; U-Boot tools/stm32image.c, TF-A tools/stm32image/
 *      stm32image.c (the header, and its type of binary);
 *      arch/arm/mach-stm32mp/stm32mp1/stm32mp15x.c (BOOTROM_PARAM_ADDR),
 *      psci.c (the loop); UEFI 2.10, 5.3 (GPT)
 */

#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "qemu/units.h"
#include "qapi/error.h"
#include "exec/address-spaces.h"
#include "hw/loader.h"
#include "hw/stm32mp/stm32mp15_soc.h"
#include "system/block-backend.h"

#define BLOCK 512
#define GPT_LBA 1
#define GPT_ENTRIES 128
#define HEADER_MAGIC 0x324d5453         /* STM2 */
#define HEADER_SIZE 256
#define FSBL_SPACE (256 * KiB - 0x2500) /* of SYSRAM, after ROM's own part */
#define CONTEXT (STM32MP15_SYSRAM + 0x78)
#define CONTEXT_SD1 0x00010001          /* instance 1, SD */
#define TYPE_TFA 0x10                   /* it starts OP-TEE */
#define SGI_UBOOT 0                     /* by which U-Boot's PSCI starts a CPU */

typedef struct QEMU_PACKED GptHeader {
    char signature[8];
    uint8_t unused[40];
    uint64_t last_lba;
    uint8_t guid[16];
    uint64_t entries_lba;
    uint32_t entries;
    uint32_t entry_size;
} GptHeader;

typedef struct QEMU_PACKED GptEntry {
    uint8_t guids[32];
    uint64_t first_lba;
    uint64_t last_lba;
    uint64_t flags;
    uint16_t name[36];
} GptEntry;

typedef struct QEMU_PACKED Stm32Header {
    uint32_t magic;
    uint8_t signature[64];
    uint32_t checksum;
    uint32_t version;
    uint32_t length;
    uint32_t entry;
    uint32_t reserved;
    uint32_t load_address;
    uint8_t unused[163];
    uint8_t type;
} Stm32Header;

/* "fsbl1" or "fsbl2" */
static bool is_fsbl(const GptEntry *entry)
{
    static const char name[] = "fsbl";

    for (unsigned i = 0; i < sizeof(name) - 1; i++) {
        if (le16_to_cpu(entry->name[i]) != name[i]) {
            return false;
        }
    }
    return true;
}

/* Why this copy of the loader cannot be run, NULL if it can */
static const char *add_fsbl(BlockBackend *card, uint64_t at, uint64_t room,
                            AddressSpace *sysram, Stm32mp15Boot *boot)
{
    Stm32Header header;
    g_autofree uint8_t *image = NULL;
    uint32_t length, offset, sum = 0;

    if (blk_pread(card, at, sizeof(header), &header, 0) < 0 ||
        le32_to_cpu(header.magic) != HEADER_MAGIC) {
        return "no STM32 header";
    }
    length = le32_to_cpu(header.length);
    if (length > FSBL_SPACE || HEADER_SIZE + length > room) {
        return "longer than its partition or SYSRAM";
    }
    offset = le32_to_cpu(header.load_address) - STM32MP15_SYSRAM;
    if (offset > STM32MP15_SYSRAM_SIZE - length) {
        return "loaded outside SYSRAM";
    }
    image = g_malloc(length);
    if (blk_pread(card, at + HEADER_SIZE, length, image, 0) < 0) {
        return "cannot be read";
    }
    for (uint32_t i = 0; i < length; i++) {
        sum += image[i];
    }
    if (sum != le32_to_cpu(header.checksum)) {
        return "wrong checksum";
    }
    rom_add_blob_fixed_as("fsbl", image, length, offset, sysram);
    boot->entry = le32_to_cpu(header.entry);
    boot->sgi = header.type == TYPE_TFA ? STM32MP15_SGI_TEE : SGI_UBOOT;
    return NULL;
}

static bool find_fsbl(BlockBackend *card, AddressSpace *sysram,
                      Stm32mp15Boot *boot, Error **errp)
{
    uint64_t size = blk_getlength(card), last;
    const char *why = "no partition fsbl1 or fsbl2";
    GptHeader gpt;
    GptEntry e;

    if (blk_pread(card, GPT_LBA * BLOCK, sizeof(gpt), &gpt, 0) < 0 ||
        memcmp(gpt.signature, "EFI PART", sizeof(gpt.signature)) ||
        le32_to_cpu(gpt.entry_size) < sizeof(e)) {
        error_setg(errp, "the SD card has no GPT");
        return false;
    }
    last = le64_to_cpu(gpt.last_lba);
    if (last >= size / BLOCK) {
        error_setg(errp, "the SD card is cut short: it ends at block %" PRIu64
                   ", its partition table at %" PRIu64, size / BLOCK - 1, last);
        return false;
    }
    for (uint32_t i = 0; i < MIN(le32_to_cpu(gpt.entries), GPT_ENTRIES); i++) {
        uint64_t at = le64_to_cpu(gpt.entries_lba) * BLOCK +
                      (uint64_t)i * le32_to_cpu(gpt.entry_size);

        if (blk_pread(card, at, sizeof(e), &e, 0) < 0 || !is_fsbl(&e)) {
            continue;
        }
        at = le64_to_cpu(e.first_lba);
        why = add_fsbl(card, at * BLOCK,
                       (le64_to_cpu(e.last_lba) - at + 1) * BLOCK, sysram,
                       boot);
        if (!why) {
            return true;
        }
    }
    error_setg(errp, "the SD card has no first stage boot loader: %s", why);
    return false;
}

/*
 * CPU 0 after a reset of the system runs the program.  Any other start ends in
 * a loop that the SGI wakes: a magic number of another kind in TAMP_BKP4R is
 * cleared, with the CPU's own it jumps to TAMP_BKP5R.
 */
void stm32mp15_add_boot_code(const Stm32mp15Boot *boot, MemoryRegion *rom)
{
    uint32_t code[] = {
        0xee100fb0,             /*       mrc p15, 0, r0, c0, c0, 5 */
        0xe2100003,             /*       ands r0, r0, #3 */
        0x1a000008,             /*       bne wait */
        0xe59f1078,             /*       ldr r1, rcc */
        0xe5911408,             /*       ldr r1, [r1, #MP_RSTSCLRR] */
        0xe3110a02,             /*       tst r1, #MPUP0RSTF */
        0x1a000004,             /*       bne wait */
        0xe59f007c,             /*       ldr r0, r0 of the program */
        0xe59f107c,             /*       ldr r1, r1 */
        0xe59f207c,             /*       ldr r2, r2 */
        0xe59fe07c,             /*       ldr lr, lr */
        0xe59ff07c,             /*       ldr pc, entry */
        0xe59f1058,             /* wait: ldr r1, gicc */
        0xe3a020ff,             /*       mov r2, #0xff */
        0xe5812004,             /*       str r2, [r1, #GICC_PMR] */
        0xe3a02007,             /*       mov r2, #7: both groups */
        0xe5812000,             /*       str r2, [r1, #GICC_CTLR] */
        0xe59f2048,             /*       ldr r2, tamp */
        0xe59f3048,             /*       ldr r3, magic */
        0xe1833000,             /*       orr r3, r3, r0 */
        0xe59f5044,             /*       ldr r5, sgi */
        0xf57ff04f,             /* loop: dsb */
        0xe320f003,             /*       wfi */
        0xe591400c,             /*       ldr r4, [r1, #GICC_IAR] */
        0xe5814010,             /*       str r4, [r1, #GICC_EOIR] */
        0xe7e94054,             /*       ubfx r4, r4, #0, #10 */
        0xe1540005,             /*       cmp r4, r5 */
        0x1afffff8,             /*       bne loop */
        0xe5924010,             /*       ldr r4, [r2, #0x10] */
        0xe1540003,             /*       cmp r4, r3 */
        0x13a04000,             /*       movne r4, #0 */
        0x15824010,             /*       strne r4, [r2, #0x10] */
        0x1afffff3,             /*       bne loop */
        0xe5924014,             /*       ldr r4, [r2, #0x14] */
        0xe12fff14,             /*       bx r4 */
        0x50000000,             /* rcc */
        0xa0022000,             /* gicc */
        0x5c00a100,             /* tamp: TAMP_BKP0R */
        0xca7face0,             /* magic */
        boot->sgi, boot->r[0], boot->r[1], boot->r[2], boot->lr, boot->entry,
    };

    for (unsigned i = 0; i < ARRAY_SIZE(code); i++) {
        code[i] = cpu_to_le32(code[i]);
    }
    /* No blob of QEMU's loader: as such the M4 would take it for its vectors */
    memcpy(memory_region_get_ram_ptr(rom), code, sizeof(code));
}

bool stm32mp15_add_rom(BlockBackend *card, MemoryRegion *rom,
                       AddressSpace *sysram, Error **errp)
{
    uint32_t context = cpu_to_le32(CONTEXT_SD1);
    Stm32mp15Boot boot = { .r = { CONTEXT } };

    if (!find_fsbl(card, sysram, &boot, errp)) {
        return false;
    }
    rom_add_blob_fixed_as("boot-context", &context, sizeof(context),
                          CONTEXT - STM32MP15_SYSRAM, sysram);
    stm32mp15_add_boot_code(&boot, rom);
    return true;
}
