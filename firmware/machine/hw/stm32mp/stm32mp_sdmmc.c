/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * STM32MP SD card interface (SDMMC version 2) with its own DMA
 *
 * A transfer is done within the command that starts it: by DMA, with or
 * without a list of buffers; without DMA the FIFO has all of what is read, which
 * a driver takes from it word by word, in a limited time.  Writes go by DMA only.
 *
 * Ref: RM0436, SDMMC; offsets at each register below
 */

#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "qemu/log.h"
#include "qapi/error.h"
#include "exec/address-spaces.h"
#include "hw/irq.h"
#include "hw/qdev-properties.h"
#include "hw/registerfields.h"
#include "hw/sd/sd.h"
#include "hw/stm32mp/stm32mp.h"
#include "hw/stm32mp/stm32mp_regs.h"
#include "system/block-backend.h"
#include "system/blockdev.h"
#include "system/dma.h"

REG32(ARGR, 0x08)
REG32(CMDR, 0x0c)
    FIELD(CMDR, CMDINDEX, 0, 6)
    FIELD(CMDR, CMDTRANS, 6, 1)
    FIELD(CMDR, WAITRESP, 8, 2)
    FIELD(CMDR, CPSMEN, 12, 1)
REG32(RESPCMDR, 0x10)
REG32(RESP1R, 0x14)
REG32(RESP4R, 0x20)
REG32(DLENR, 0x28)
    FIELD(DLENR, DATALENGTH, 0, 25)
REG32(DCTRL, 0x2c)
    FIELD(DCTRL, DTDIR, 1, 1)
REG32(DCNTR, 0x30)
REG32(STAR, 0x34)
    FIELD(STAR, CTIMEOUT, 2, 1)
    FIELD(STAR, CMDREND, 6, 1)
    FIELD(STAR, CMDSENT, 7, 1)
    FIELD(STAR, DATAEND, 8, 1)
    FIELD(STAR, DBCKEND, 10, 1)
    FIELD(STAR, RXFIFOHF, 15, 1)
    FIELD(STAR, TXFIFOE, 18, 1)
    FIELD(STAR, RXFIFOE, 19, 1)
    FIELD(STAR, IDMATE, 27, 1)
REG32(ICR, 0x38)
REG32(MASKR, 0x3c)
REG32(IDMACTRLR, 0x50)
    FIELD(IDMACTRLR, IDMAEN, 0, 1)
    FIELD(IDMACTRLR, IDMABMODE, 1, 1)
REG32(IDMABSIZER, 0x54)
    FIELD(IDMABSIZER, IDMABNDT, 5, 12)
REG32(IDMABASE0R, 0x58)
REG32(IDMALAR, 0x64)
    FIELD(IDMALAR, IDMALA, 0, 14)
    FIELD(IDMALAR, ULA, 31, 1)
REG32(IDMABAR, 0x68)
REG32(FIFOR, 0x80)

#define FIFO_HALF 32
#define SIZE 0x1000

OBJECT_DECLARE_SIMPLE_TYPE(Stm32mpSdmmc, STM32MP_SDMMC)

struct Stm32mpSdmmc {
    Stm32mpRegs parent_obj;

    SDBus bus;
    qemu_irq irq;
    MemoryRegion *dma;
    AddressSpace dma_as;
    uint8_t *fifo;              /* what is read without DMA */
    uint32_t fifo_size;
    uint32_t left;              /* bytes of it that are to be taken */
};

static void stm32mp_sdmmc_update(Stm32mpSdmmc *s)
{
    const uint32_t *r = STM32MP_REGS(s)->r;

    qemu_set_irq(s->irq, !!(r[R_STAR] & r[R_MASKR]));
}

/* One buffer between card and memory; false if the memory does not answer */
static bool stm32mp_sdmmc_move(Stm32mpSdmmc *s, uint32_t base, uint32_t size)
{
    bool reads = FIELD_EX32(STM32MP_REGS(s)->r[R_DCTRL], DCTRL, DTDIR);
    uint8_t buf[4096];
    MemTxResult result = MEMTX_OK;

    while (size && result == MEMTX_OK) {
        uint32_t n = MIN(size, sizeof(buf));

        if (reads) {
            sdbus_read_data(&s->bus, buf, n);
            result = dma_memory_write(&s->dma_as, base, buf, n,
                                      MEMTXATTRS_UNSPECIFIED);
        } else {
            result = dma_memory_read(&s->dma_as, base, buf, n,
                                     MEMTXATTRS_UNSPECIFIED);
            sdbus_write_data(&s->bus, buf, n);
        }
        base += n;
        size -= n;
    }
    return result == MEMTX_OK;
}

static uint32_t stm32mp_sdmmc_dma(Stm32mpSdmmc *s, uint32_t left)
{
    const uint32_t *r = STM32MP_REGS(s)->r;
    bool list = FIELD_EX32(r[R_IDMACTRLR], IDMACTRLR, IDMABMODE);
    uint32_t base = r[R_IDMABASE0R], link = r[R_IDMALAR];
    uint32_t size = list ? r[R_IDMABSIZER] & R_IDMABSIZER_IDMABNDT_MASK : left;

    for (;;) {
        uint32_t n = MIN(left, size ? size : left), item[3];

        if (!stm32mp_sdmmc_move(s, base, n)) {
            return R_STAR_IDMATE_MASK;
        }
        left -= n;
        if (!left) {
            return R_STAR_DATAEND_MASK;
        }
        if (!list || !FIELD_EX32(link, IDMALAR, ULA)) {
            return R_STAR_IDMATE_MASK;
        }
        if (dma_memory_read(&s->dma_as,
                            r[R_IDMABAR] + (link & R_IDMALAR_IDMALA_MASK),
                            item, sizeof(item), MEMTXATTRS_UNSPECIFIED)) {
            return R_STAR_IDMATE_MASK;
        }
        link = le32_to_cpu(item[0]);
        base = le32_to_cpu(item[1]);
        size = le32_to_cpu(item[2]) & R_IDMABSIZER_IDMABNDT_MASK;
    }
}

static void stm32mp_sdmmc_transfer(Stm32mpSdmmc *s)
{
    uint32_t *r = STM32MP_REGS(s)->r;
    uint32_t left = FIELD_EX32(r[R_DLENR], DLENR, DATALENGTH);

    if (FIELD_EX32(r[R_IDMACTRLR], IDMACTRLR, IDMAEN)) {
        r[R_STAR] |= stm32mp_sdmmc_dma(s, left);
    } else if (FIELD_EX32(r[R_DCTRL], DCTRL, DTDIR)) {
        g_free(s->fifo);
        s->fifo = g_malloc(left);
        s->fifo_size = s->left = left;
        sdbus_read_data(&s->bus, s->fifo, left);
    } else {
        qemu_log_mask(LOG_UNIMP, "%s: write without DMA\n",
                      STM32MP_REGS(s)->name);
    }
}

static void stm32mp_sdmmc_command(Stm32mpSdmmc *s, uint32_t cmdr)
{
    uint32_t *r = STM32MP_REGS(s)->r;
    SDRequest request = {
        .cmd = FIELD_EX32(cmdr, CMDR, CMDINDEX),
        .arg = r[R_ARGR],
    };
    uint8_t response[16] = { };
    int n;

    s->left = 0;
    n = sdbus_do_command(&s->bus, &request, response);
    if (!FIELD_EX32(cmdr, CMDR, WAITRESP)) {
        r[R_STAR] |= R_STAR_CMDSENT_MASK;
    } else if (n != 4 && n != 16) {
        r[R_STAR] |= R_STAR_CTIMEOUT_MASK;
        return;
    } else {
        r[R_RESPCMDR] = request.cmd;
        for (int i = 0; i < 4; i++) {
            r[R_RESP1R + i] = 4 * i < n ? ldl_be_p(response + 4 * i) : 0;
        }
        if (n == 16) {
            r[R_RESP4R] &= ~1u;         /* the end bit's place */
        }
        r[R_STAR] |= R_STAR_CMDREND_MASK;
    }
    if (FIELD_EX32(cmdr, CMDR, CMDTRANS)) {
        stm32mp_sdmmc_transfer(s);
    }
}

static uint32_t stm32mp_sdmmc_fifo(Stm32mpSdmmc *s)
{
    uint32_t *r = STM32MP_REGS(s)->r;
    uint8_t buf[4] = { };
    uint32_t n = MIN(s->left, sizeof(buf));

    if (!n) {
        return 0;
    }
    memcpy(buf, s->fifo + s->fifo_size - s->left, n);
    s->left -= n;
    if (!s->left) {
        r[R_STAR] |= R_STAR_DATAEND_MASK | R_STAR_DBCKEND_MASK;
        stm32mp_sdmmc_update(s);
    }
    return ldl_le_p(buf);
}

static uint32_t stm32mp_sdmmc_read(Stm32mpRegs *regs, hwaddr addr)
{
    Stm32mpSdmmc *s = STM32MP_SDMMC(regs);

    switch (addr) {
    case A_STAR:
        return regs->r[R_STAR] | R_STAR_TXFIFOE_MASK |
               (s->left ? 0 : R_STAR_RXFIFOE_MASK) |
               (s->left >= FIFO_HALF ? R_STAR_RXFIFOHF_MASK : 0);
    case A_DCNTR:
        return s->left;
    case A_FIFOR:
        return stm32mp_sdmmc_fifo(s);
    default:
        return regs->r[addr / 4];
    }
}

static void stm32mp_sdmmc_write(Stm32mpRegs *regs, hwaddr addr,
                                uint32_t value, unsigned size)
{
    Stm32mpSdmmc *s = STM32MP_SDMMC(regs);

    switch (addr) {
    case A_STAR:
    case A_FIFOR:
        return;
    case A_ICR:
        regs->r[R_STAR] &= ~value;
        break;
    case A_CMDR:
        regs->r[R_CMDR] = value & ~R_CMDR_CPSMEN_MASK;
        if (value & R_CMDR_CPSMEN_MASK) {
            stm32mp_sdmmc_command(s, value);
        }
        break;
    default:
        regs->r[addr / 4] = value;
    }
    stm32mp_sdmmc_update(s);
}

static void stm32mp_sdmmc_reset(Stm32mpRegs *regs)
{
    STM32MP_SDMMC(regs)->left = 0;
    stm32mp_sdmmc_update(STM32MP_SDMMC(regs));
}

static void stm32mp_sdmmc_init(Object *obj)
{
    Stm32mpSdmmc *s = STM32MP_SDMMC(obj);

    qbus_init(&s->bus, sizeof(s->bus), TYPE_SD_BUS, DEVICE(obj), "sd-bus");
    sysbus_init_irq(SYS_BUS_DEVICE(obj), &s->irq);
}

static void stm32mp_sdmmc_finalize(Object *obj)
{
    g_free(STM32MP_SDMMC(obj)->fifo);
}

static const VMStateDescription vmstate_stm32mp_sdmmc = {
    .name = TYPE_STM32MP_SDMMC,
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_STM32MP_REGS(Stm32mpSdmmc),
        VMSTATE_UINT32(fifo_size, Stm32mpSdmmc),
        VMSTATE_VARRAY_UINT32_ALLOC(fifo, Stm32mpSdmmc, fifo_size, 0,
                                    vmstate_info_uint8, uint8_t),
        VMSTATE_UINT32(left, Stm32mpSdmmc),
        VMSTATE_END_OF_LIST()
    }
};

static void stm32mp_sdmmc_realize(DeviceState *dev, Error **errp)
{
    Stm32mpSdmmc *s = STM32MP_SDMMC(dev);
    DeviceClass *parent = DEVICE_CLASS(
        object_class_by_name(TYPE_STM32MP_REGS));
    ERRP_GUARD();

    parent->realize(dev, errp);
    if (!*errp) {
        address_space_init(&s->dma_as, s->dma, "sdmmc-dma");
    }
}

static const Property stm32mp_sdmmc_properties[] = {
    DEFINE_PROP_LINK("dma", Stm32mpSdmmc, dma, TYPE_MEMORY_REGION,
                     MemoryRegion *),
};

static void stm32mp_sdmmc_class_init(ObjectClass *klass, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);
    Stm32mpRegsClass *c = STM32MP_REGS_CLASS(klass);

    dc->realize = stm32mp_sdmmc_realize;
    dc->vmsd = &vmstate_stm32mp_sdmmc;
    device_class_set_props(dc, stm32mp_sdmmc_properties);
    c->size = SIZE;
    c->read = stm32mp_sdmmc_read;
    c->write = stm32mp_sdmmc_write;
    c->reset = stm32mp_sdmmc_reset;
}

void stm32mp_sdmmc_card(DeviceState *sdmmc, DriveInfo *drive)
{
    DeviceState *card;

    if (!drive) {
        return;
    }
    card = qdev_new(TYPE_SD_CARD);
    qdev_prop_set_drive_err(card, "drive", blk_by_legacy_dinfo(drive),
                            &error_fatal);
    qdev_realize_and_unref(card, qdev_get_child_bus(sdmmc, "sd-bus"),
                           &error_fatal);
}

static const TypeInfo stm32mp_sdmmc_types[] = {
    {
        .name = TYPE_STM32MP_SDMMC,
        .parent = TYPE_STM32MP_REGS,
        .instance_size = sizeof(Stm32mpSdmmc),
        .instance_init = stm32mp_sdmmc_init,
        .instance_finalize = stm32mp_sdmmc_finalize,
        .class_init = stm32mp_sdmmc_class_init,
    }
};

DEFINE_TYPES(stm32mp_sdmmc_types)
