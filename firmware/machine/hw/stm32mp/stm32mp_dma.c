/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * STM32MP DMA controller, of eight streams
 *
 * A stream that is enabled moves one item for each request, or while its request
 * stays high, or all of them from memory to memory.  Items have the peripheral's
 * size: with the FIFO, packing to another size gives the same bytes at addresses
 * that increment, which is assumed.  A burst is its items, priorities have no
 * effect.
 *
 * Ref: RM0436, DMA: DMA_LISR (0x00), HISR (0x04), LIFCR (0x08), HIFCR (0x0c);
 *      by stream, 0x18 apart: DMA_SxCR (0x10), SxNDTR (0x14), SxPAR (0x18),
 *      SxM0AR (0x1c), SxM1AR (0x20)
 */

#include "qemu/osdep.h"
#include "qemu/main-loop.h"
#include "qapi/error.h"
#include "exec/address-spaces.h"
#include "hw/irq.h"
#include "hw/qdev-properties.h"
#include "hw/registerfields.h"
#include "hw/stm32mp/stm32mp.h"
#include "hw/stm32mp/stm32mp_regs.h"

REG32(LISR, 0x00)
REG32(HISR, 0x04)
REG32(LIFCR, 0x08)
REG32(HIFCR, 0x0c)
REG32(S0CR, 0x10)
    FIELD(CR, EN, 0, 1)
    FIELD(CR, TEIE, 2, 1)
    FIELD(CR, HTIE, 3, 1)
    FIELD(CR, TCIE, 4, 1)
    FIELD(CR, DIR, 6, 2)
    FIELD(CR, CIRC, 8, 1)
    FIELD(CR, PINC, 9, 1)
    FIELD(CR, MINC, 10, 1)
    FIELD(CR, PSIZE, 11, 2)
    FIELD(CR, DBM, 18, 1)
    FIELD(CR, CT, 19, 1)
REG32(S0NDTR, 0x14)
REG32(S0PAR, 0x18)
REG32(S0M0AR, 0x1c)
REG32(S0M1AR, 0x20)
REG32(S1CR, 0x28)

#define STREAMS 8
#define STREAM (A_S1CR - A_S0CR)
#define TEIF (1u << 3)          /* of a stream's six flags */
#define HTIF (1u << 4)
#define TCIF (1u << 5)

enum { FROM_PERIPHERAL, TO_PERIPHERAL, MEMORY_TO_MEMORY };

OBJECT_DECLARE_SIMPLE_TYPE(Stm32mpDma, STM32MP_DMA)

/* @done: items since the last start or turn, of @all; @requests: single ones */
typedef struct DmaStream {
    uint32_t done;
    uint32_t all;
    uint32_t requests;
    bool level;
} DmaStream;

struct Stm32mpDma {
    Stm32mpRegs parent_obj;

    MemoryRegion *memory;
    AddressSpace as;
    QEMUBH *run;
    qemu_irq irq[STREAMS];
    DmaStream stream[STREAMS];
};

/* Where a stream's flags are in LISR and HISR */
static unsigned stm32mp_dma_flag_shift(unsigned n)
{
    static const uint8_t shifts[] = { 0, 6, 16, 22 };

    return shifts[n % 4];
}

static void stm32mp_dma_update(Stm32mpDma *s)
{
    const uint32_t *r = STM32MP_REGS(s)->r;

    for (unsigned n = 0; n < STREAMS; n++) {
        uint32_t cr = *stm32mp_reg(STM32MP_REGS(s), A_S0CR + n * STREAM);
        uint32_t flags = r[R_LISR + n / 4] >> stm32mp_dma_flag_shift(n);

        qemu_set_irq(s->irq[n], (cr & R_CR_TEIE_MASK && flags & TEIF) ||
                                (cr & R_CR_HTIE_MASK && flags & HTIF) ||
                                (cr & R_CR_TCIE_MASK && flags & TCIF));
    }
}

static void stm32mp_dma_flag(Stm32mpDma *s, unsigned n, uint32_t flag)
{
    STM32MP_REGS(s)->r[R_LISR + n / 4] |= flag << stm32mp_dma_flag_shift(n);
}

/* One item; false with TEIF where there is no memory */
static bool stm32mp_dma_move(Stm32mpDma *s, unsigned n, const uint32_t *r)
{
    uint32_t cr = r[0], size = 1 << MIN(FIELD_EX32(cr, CR, PSIZE), 2);
    uint32_t *done = &s->stream[n].done;
    hwaddr peripheral = r[R_S0PAR - R_S0CR], memory = r[R_S0M0AR - R_S0CR];
    uint8_t item[4];
    bool failed;

    if (cr & R_CR_DBM_MASK && cr & R_CR_CT_MASK) {
        memory = r[R_S0M1AR - R_S0CR];
    }
    peripheral += cr & R_CR_PINC_MASK ? *done * size : 0;
    memory += cr & R_CR_MINC_MASK ? *done * size : 0;
    if (FIELD_EX32(cr, CR, DIR) == TO_PERIPHERAL) {
        hwaddr from = memory;

        memory = peripheral;
        peripheral = from;
    }
    failed = address_space_read(&s->as, peripheral, MEMTXATTRS_UNSPECIFIED,
                                item, size) ||
             address_space_write(&s->as, memory, MEMTXATTRS_UNSPECIFIED, item,
                                 size);
    if (failed) {
        stm32mp_dma_flag(s, n, TEIF);
    }
    (*done)++;
    return !failed;
}

/* After one item */
static void stm32mp_dma_count(Stm32mpDma *s, unsigned n, uint32_t *r)
{
    DmaStream *stream = &s->stream[n];
    uint32_t *ndtr = &r[R_S0NDTR - R_S0CR];

    *ndtr = stream->all - stream->done;
    if (stream->done == (stream->all + 1) / 2) {
        stm32mp_dma_flag(s, n, HTIF);
    }
    if (*ndtr) {
        return;
    }
    stm32mp_dma_flag(s, n, TCIF);
    if (r[0] & (R_CR_CIRC_MASK | R_CR_DBM_MASK)) {
        *ndtr = stream->all;
        stream->done = 0;
        r[0] ^= r[0] & R_CR_DBM_MASK ? R_CR_CT_MASK : 0;
    } else {
        r[0] &= ~R_CR_EN_MASK;
    }
}

static bool stm32mp_dma_wanted(DmaStream *stream, uint32_t cr)
{
    if (!(cr & R_CR_EN_MASK) || !stream->all) {
        return false;
    }
    if (FIELD_EX32(cr, CR, DIR) == MEMORY_TO_MEMORY || stream->level) {
        return true;
    }
    if (stream->requests) {
        stream->requests--;
        return true;
    }
    return false;
}

static void stm32mp_dma_run(void *opaque)
{
    Stm32mpDma *s = opaque;

    for (unsigned n = 0; n < STREAMS; n++) {
        uint32_t *r = stm32mp_reg(STM32MP_REGS(s), A_S0CR + n * STREAM);
        uint32_t items = s->stream[n].all;

        /* A circular one whose request stays high lets others go on */
        while (items-- && stm32mp_dma_wanted(&s->stream[n], r[0])) {
            if (stm32mp_dma_move(s, n, r)) {
                stm32mp_dma_count(s, n, r);
            } else {
                r[0] &= ~R_CR_EN_MASK;
            }
        }
        if (r[0] & R_CR_EN_MASK && s->stream[n].level) {
            qemu_bh_schedule(s->run);
        }
    }
    stm32mp_dma_update(s);
}

static void stm32mp_dma_request(void *opaque, int n, int level)
{
    Stm32mpDma *s = opaque;
    uint32_t cr = *stm32mp_reg(STM32MP_REGS(s), A_S0CR + n * STREAM);

    if (level && !s->stream[n].level && cr & R_CR_EN_MASK) {
        s->stream[n].requests++;
    }
    s->stream[n].level = level;
    if (cr & R_CR_EN_MASK) {
        qemu_bh_schedule(s->run);
    }
}

static void stm32mp_dma_write(Stm32mpRegs *regs, hwaddr addr, uint32_t value,
                              unsigned size)
{
    Stm32mpDma *s = STM32MP_DMA(regs);
    unsigned n = (addr - A_S0CR) / STREAM;

    if (addr <= A_HISR) {
        return;
    }
    if (addr <= A_HIFCR) {
        *stm32mp_reg(regs, addr - A_LIFCR) &= ~value;
    } else if (n < STREAMS && (addr - A_S0CR) % STREAM == 0) {
        uint32_t *r = stm32mp_reg(regs, addr);

        if (value & ~r[0] & R_CR_EN_MASK) {
            s->stream[n].done = s->stream[n].requests = 0;
            s->stream[n].all = r[R_S0NDTR - R_S0CR] & 0xffff;
            qemu_bh_schedule(s->run);
        }
        r[0] = value;
    } else {
        *stm32mp_reg(regs, addr) = value;
    }
    stm32mp_dma_update(s);
}

static void stm32mp_dma_reset(Stm32mpRegs *regs)
{
    Stm32mpDma *s = STM32MP_DMA(regs);

    for (unsigned n = 0; n < STREAMS; n++) {
        bool level = s->stream[n].level;

        s->stream[n] = (DmaStream) { .level = level };
    }
    stm32mp_dma_update(s);
}

static void stm32mp_dma_realize(DeviceState *dev, Error **errp)
{
    Stm32mpDma *s = STM32MP_DMA(dev);
    DeviceClass *parent = DEVICE_CLASS(
        object_class_by_name(TYPE_STM32MP_REGS));
    ERRP_GUARD();

    parent->realize(dev, errp);
    if (*errp) {
        return;
    }
    address_space_init(&s->as, s->memory, "dma");
    s->run = qemu_bh_new(stm32mp_dma_run, s);
}

static void stm32mp_dma_init(Object *obj)
{
    Stm32mpDma *s = STM32MP_DMA(obj);

    qdev_init_gpio_in(DEVICE(obj), stm32mp_dma_request, STREAMS);
    for (unsigned n = 0; n < STREAMS; n++) {
        sysbus_init_irq(SYS_BUS_DEVICE(obj), &s->irq[n]);
    }
}

static const VMStateDescription vmstate_stm32mp_dma_stream = {
    .name = "stm32mp-dma-stream",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT32(done, DmaStream),
        VMSTATE_UINT32(all, DmaStream),
        VMSTATE_UINT32(requests, DmaStream),
        VMSTATE_BOOL(level, DmaStream),
        VMSTATE_END_OF_LIST()
    }
};

static const VMStateDescription vmstate_stm32mp_dma = {
    .name = TYPE_STM32MP_DMA,
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_STM32MP_REGS(Stm32mpDma),
        VMSTATE_STRUCT_ARRAY(stream, Stm32mpDma, STREAMS, 1,
                             vmstate_stm32mp_dma_stream, DmaStream),
        VMSTATE_END_OF_LIST()
    }
};

static const Property stm32mp_dma_properties[] = {
    DEFINE_PROP_LINK("memory", Stm32mpDma, memory, TYPE_MEMORY_REGION,
                     MemoryRegion *),
};

static void stm32mp_dma_class_init(ObjectClass *klass, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);
    Stm32mpRegsClass *c = STM32MP_REGS_CLASS(klass);

    dc->realize = stm32mp_dma_realize;
    dc->vmsd = &vmstate_stm32mp_dma;
    device_class_set_props(dc, stm32mp_dma_properties);
    c->write = stm32mp_dma_write;
    c->reset = stm32mp_dma_reset;
}

static const TypeInfo stm32mp_dma_types[] = {
    {
        .name = TYPE_STM32MP_DMA,
        .parent = TYPE_STM32MP_REGS,
        .instance_size = sizeof(Stm32mpDma),
        .instance_init = stm32mp_dma_init,
        .class_init = stm32mp_dma_class_init,
    }
};

DEFINE_TYPES(stm32mp_dma_types)
