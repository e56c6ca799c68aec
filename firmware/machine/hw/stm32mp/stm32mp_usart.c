/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * STM32MP USART, asynchronous mode, with FIFOs
 *
 * What is sent is gone at once, to the host as soon as QEMU's main loop runs: a
 * write of its own for each byte would be most of a console's time.  The
 * receiver time-out comes with the last byte.  Baud rate, parity and flow
 * control have no effect.  A break of the host is a byte 0 with a framing error.
 * Without a line to the host the property "sent" has the last bytes that were
 * sent, others than ASCII as '?'; a write empties it.  What is written to the
 * property "typed" is received as the FIFO has room.
 *
 * Ref: RM0436, USART: USART_CR1 (0x00), CR2 (0x04), CR3 (0x08), BRR (0x0c),
 *      RQR (0x18), ISR (0x1c), ICR (0x20), RDR (0x24), TDR (0x28)
 */

#include "qemu/osdep.h"
#include "qemu/fifo8.h"
#include "qemu/main-loop.h"
#include "qapi/error.h"
#include "chardev/char-fe.h"
#include "hw/irq.h"
#include "hw/qdev-properties.h"
#include "hw/qdev-properties-system.h"
#include "hw/registerfields.h"
#include "hw/stm32mp/stm32mp.h"
#include "hw/stm32mp/stm32mp_regs.h"

REG32(CR1, 0x00)
    FIELD(CR1, UE, 0, 1)
    FIELD(CR1, RE, 2, 1)
    FIELD(CR1, TE, 3, 1)
    FIELD(CR1, RXFNEIE, 5, 1)
    FIELD(CR1, TCIE, 6, 1)
    FIELD(CR1, TXFNFIE, 7, 1)
    FIELD(CR1, RTOIE, 26, 1)
    FIELD(CR1, FIFOEN, 29, 1)
    FIELD(CR1, TXFEIE, 30, 1)
    FIELD(CR1, RXFFIE, 31, 1)
REG32(CR2, 0x04)
    FIELD(CR2, RTOEN, 23, 1)
REG32(CR3, 0x08)
    FIELD(CR3, TXFTIE, 23, 1)
    FIELD(CR3, RXFTCFG, 25, 3)
    FIELD(CR3, RXFTIE, 28, 1)
REG32(BRR, 0x0c)
REG32(RQR, 0x18)
    FIELD(RQR, RXFRQ, 3, 1)
REG32(ISR, 0x1c)
    FIELD(ISR, FE, 1, 1)
    FIELD(ISR, ORE, 3, 1)
    FIELD(ISR, RXFNE, 5, 1)
    FIELD(ISR, TC, 6, 1)
    FIELD(ISR, TXFNF, 7, 1)
    FIELD(ISR, RTOF, 11, 1)
    FIELD(ISR, TEACK, 21, 1)
    FIELD(ISR, REACK, 22, 1)
    FIELD(ISR, TXFE, 23, 1)
    FIELD(ISR, RXFF, 24, 1)
    FIELD(ISR, RXFT, 26, 1)
    FIELD(ISR, TXFT, 27, 1)
REG32(ICR, 0x20)
REG32(RDR, 0x24)
REG32(TDR, 0x28)

#define FIFO_SIZE 16
#define SENT_SIZE 256
#define KEPT_SIZE 4096          /* without a line to the host */
/* Flags that ICR clears; the others follow the state */
#define LATCHED (R_ISR_ORE_MASK | R_ISR_RTOF_MASK)

OBJECT_DECLARE_SIMPLE_TYPE(Stm32mpUsart, STM32MP_USART)

struct Stm32mpUsart {
    Stm32mpRegs parent_obj;

    CharBackend chr;
    qemu_irq irq[2];
    Fifo8 rx;
    QEMUBH *flush;
    uint8_t sent[SENT_SIZE];    /* what the host has not got yet */
    unsigned n_sent;
    GString *kept;
    GString *typed;             /* what is not received yet */
    uint32_t break_at;          /* which byte of rx is a break; 0: none */
    bool loaded;
};

static bool stm32mp_usart_receives(Stm32mpUsart *s)
{
    uint32_t wanted = R_CR1_UE_MASK | R_CR1_RE_MASK;

    return (STM32MP_REGS(s)->r[R_CR1] & wanted) == wanted;
}

/* CR3.RXFTCFG: 1/8, 1/4, 1/2, 3/4, 7/8 of the FIFO, all of it */
static unsigned stm32mp_usart_threshold(uint32_t cr3)
{
    static const uint8_t eighths[8] = { 1, 2, 4, 6, 7, 8, 8, 8 };

    return FIFO_SIZE / 8 * eighths[FIELD_EX32(cr3, CR3, RXFTCFG)];
}

static uint32_t stm32mp_usart_flags(Stm32mpUsart *s)
{
    const uint32_t *r = STM32MP_REGS(s)->r;
    uint32_t isr = (r[R_ISR] & LATCHED) | R_ISR_TC_MASK | R_ISR_TXFNF_MASK;
    bool fifo = r[R_CR1] & R_CR1_FIFOEN_MASK;
    unsigned used = fifo8_num_used(&s->rx);

    if (r[R_CR1] & R_CR1_UE_MASK) {
        isr = FIELD_DP32(isr, ISR, TEACK, FIELD_EX32(r[R_CR1], CR1, TE));
        isr = FIELD_DP32(isr, ISR, REACK, FIELD_EX32(r[R_CR1], CR1, RE));
    }
    isr = FIELD_DP32(isr, ISR, RXFNE, used > 0);
    isr = FIELD_DP32(isr, ISR, FE, s->break_at == 1);
    if (fifo) {
        isr |= R_ISR_TXFE_MASK | R_ISR_TXFT_MASK;
        isr = FIELD_DP32(isr, ISR, RXFF, used == FIFO_SIZE);
        isr = FIELD_DP32(isr, ISR, RXFT,
                         used >= stm32mp_usart_threshold(r[R_CR3]));
    }
    return isr;
}

static void stm32mp_usart_update(Stm32mpUsart *s)
{
    const uint32_t *r = STM32MP_REGS(s)->r;
    uint32_t cr1 = r[R_CR1], cr3 = r[R_CR3], wanted = 0;

    wanted |= cr1 & R_CR1_RXFNEIE_MASK ? R_ISR_RXFNE_MASK | R_ISR_ORE_MASK : 0;
    wanted |= cr1 & R_CR1_TCIE_MASK ? R_ISR_TC_MASK : 0;
    wanted |= cr1 & R_CR1_TXFNFIE_MASK ? R_ISR_TXFNF_MASK : 0;
    wanted |= cr1 & R_CR1_RTOIE_MASK ? R_ISR_RTOF_MASK : 0;
    wanted |= cr1 & R_CR1_TXFEIE_MASK ? R_ISR_TXFE_MASK : 0;
    wanted |= cr1 & R_CR1_RXFFIE_MASK ? R_ISR_RXFF_MASK : 0;
    wanted |= cr3 & R_CR3_RXFTIE_MASK ? R_ISR_RXFT_MASK : 0;
    wanted |= cr3 & R_CR3_TXFTIE_MASK ? R_ISR_TXFT_MASK : 0;
    for (unsigned i = 0; i < ARRAY_SIZE(s->irq); i++) {
        qemu_set_irq(s->irq[i], (cr1 & R_CR1_UE_MASK) &&
                                (stm32mp_usart_flags(s) & wanted));
    }
}

static int stm32mp_usart_can_receive(void *opaque)
{
    Stm32mpUsart *s = opaque;
    uint32_t cr1 = STM32MP_REGS(s)->r[R_CR1];
    unsigned room = cr1 & R_CR1_FIFOEN_MASK ? FIFO_SIZE : 1;
    unsigned used = fifo8_num_used(&s->rx);

    if (!stm32mp_usart_receives(s) || used >= room) {
        return 0;
    }
    return room - used;
}

static void stm32mp_usart_receive(void *opaque, const uint8_t *buf, int size)
{
    Stm32mpUsart *s = opaque;
    uint32_t *r = STM32MP_REGS(s)->r;

    if (!stm32mp_usart_receives(s)) {
        return;
    }
    fifo8_push_all(&s->rx, buf, size);
    if (r[R_CR2] & R_CR2_RTOEN_MASK) {
        r[R_ISR] |= R_ISR_RTOF_MASK;
    }
    stm32mp_usart_update(s);
}

static void stm32mp_usart_take(Stm32mpUsart *s)
{
    gsize n = MIN(s->typed->len, stm32mp_usart_can_receive(s));

    if (n) {
        stm32mp_usart_receive(s, (const uint8_t *)s->typed->str, n);
        g_string_erase(s->typed, 0, n);
    }
}

static void stm32mp_usart_event(void *opaque, QEMUChrEvent event)
{
    Stm32mpUsart *s = opaque;

    if (event == CHR_EVENT_BREAK && stm32mp_usart_can_receive(s)) {
        s->break_at = fifo8_num_used(&s->rx) + 1;
        stm32mp_usart_receive(s, (const uint8_t *)"", 1);
    }
}

static uint32_t stm32mp_usart_read(Stm32mpRegs *regs, hwaddr addr)
{
    Stm32mpUsart *s = STM32MP_USART(regs);
    uint32_t value = 0;

    switch (addr) {
    case A_ISR:
        return stm32mp_usart_flags(s);
    case A_RDR:
        if (!fifo8_is_empty(&s->rx)) {
            value = fifo8_pop(&s->rx);
            s->break_at -= s->break_at > 0;
        }
        stm32mp_usart_update(s);
        qemu_chr_fe_accept_input(&s->chr);
        stm32mp_usart_take(s);
        return value;
    case A_RQR:
    case A_ICR:
    case A_TDR:
        return 0;
    default:
        return regs->r[addr / 4];
    }
}

static void stm32mp_usart_keep(Stm32mpUsart *s)
{
    for (unsigned i = 0; i < s->n_sent; i++) {
        bool ascii = s->sent[i] && s->sent[i] < 0x80;

        g_string_append_c(s->kept, ascii ? s->sent[i] : '?');
    }
    if (s->kept->len > KEPT_SIZE) {
        g_string_erase(s->kept, 0, s->kept->len - KEPT_SIZE);
    }
}

static void stm32mp_usart_flush(void *opaque)
{
    Stm32mpUsart *s = opaque;

    if (qemu_chr_fe_backend_connected(&s->chr)) {
        qemu_chr_fe_write_all(&s->chr, s->sent, s->n_sent);
    } else {
        stm32mp_usart_keep(s);
    }
    s->n_sent = 0;
}

static void stm32mp_usart_send(Stm32mpUsart *s, uint8_t byte)
{
    s->sent[s->n_sent++] = byte;
    if (s->n_sent == SENT_SIZE) {
        stm32mp_usart_flush(s);
    } else {
        qemu_bh_schedule(s->flush);
    }
}

static void stm32mp_usart_write(Stm32mpRegs *regs, hwaddr addr,
                                uint32_t value, unsigned size)
{
    Stm32mpUsart *s = STM32MP_USART(regs);
    uint32_t sends = R_CR1_UE_MASK | R_CR1_TE_MASK;

    switch (addr) {
    case A_TDR:
        if ((regs->r[R_CR1] & sends) == sends) {
            stm32mp_usart_send(s, value);
        }
        break;
    case A_ICR:
        regs->r[R_ISR] &= ~(value & LATCHED);
        if (value & R_ISR_FE_MASK && s->break_at == 1) {
            s->break_at = 0;
        }
        break;
    case A_RQR:
        if (value & R_RQR_RXFRQ_MASK) {
            fifo8_reset(&s->rx);
            s->break_at = 0;
        }
        break;
    case A_ISR:
    case A_RDR:
        return;
    default:
        regs->r[addr / 4] = value;
        qemu_chr_fe_accept_input(&s->chr);
        stm32mp_usart_take(s);
    }
    stm32mp_usart_update(s);
}

static void stm32mp_usart_reset(Stm32mpRegs *regs)
{
    Stm32mpUsart *s = STM32MP_USART(regs);

    fifo8_reset(&s->rx);
    s->break_at = 0;
    if (s->loaded) {            /* 115200 baud of HSI, FIFOs as by TF-A's BL2 */
        regs->r[R_CR1] = R_CR1_UE_MASK | R_CR1_RE_MASK | R_CR1_TE_MASK |
                         R_CR1_FIFOEN_MASK;
        regs->r[R_BRR] = 0x22c;
    }
    stm32mp_usart_update(s);
}

static char *stm32mp_usart_get_sent(Object *obj, Error **errp)
{
    return g_strdup(STM32MP_USART(obj)->kept->str);
}

static void stm32mp_usart_set_sent(Object *obj, const char *value, Error **errp)
{
    g_string_truncate(STM32MP_USART(obj)->kept, 0);
}

static char *stm32mp_usart_get_typed(Object *obj, Error **errp)
{
    return g_strdup(STM32MP_USART(obj)->typed->str);
}

static void stm32mp_usart_set_typed(Object *obj, const char *value,
                                    Error **errp)
{
    g_string_assign(STM32MP_USART(obj)->typed, value);
    stm32mp_usart_take(STM32MP_USART(obj));
}

static void stm32mp_usart_init(Object *obj)
{
    Stm32mpUsart *s = STM32MP_USART(obj);

    s->kept = g_string_new("");
    s->typed = g_string_new("");
    fifo8_create(&s->rx, FIFO_SIZE);
    s->flush = qemu_bh_new(stm32mp_usart_flush, s);
    for (unsigned i = 0; i < ARRAY_SIZE(s->irq); i++) {
        sysbus_init_irq(SYS_BUS_DEVICE(obj), &s->irq[i]);
    }
}

static void stm32mp_usart_finalize(Object *obj)
{
    Stm32mpUsart *s = STM32MP_USART(obj);

    fifo8_destroy(&s->rx);
    g_string_free(s->kept, true);
    g_string_free(s->typed, true);
    qemu_bh_delete(s->flush);
}

static void stm32mp_usart_realize(DeviceState *dev, Error **errp)
{
    Stm32mpUsart *s = STM32MP_USART(dev);
    DeviceClass *parent = DEVICE_CLASS(
        object_class_by_name(TYPE_STM32MP_REGS));
    Error *err = NULL;

    parent->realize(dev, &err);
    if (err) {
        error_propagate(errp, err);
        return;
    }
    qemu_chr_fe_set_handlers(&s->chr, stm32mp_usart_can_receive,
                             stm32mp_usart_receive, stm32mp_usart_event, NULL,
                             s, NULL, true);
}

static int stm32mp_usart_pre_save(void *opaque)
{
    stm32mp_usart_flush(opaque);
    return 0;
}

static const VMStateDescription vmstate_stm32mp_usart = {
    .name = TYPE_STM32MP_USART,
    .version_id = 1,
    .minimum_version_id = 1,
    .pre_save = stm32mp_usart_pre_save,
    .fields = (const VMStateField[]) {
        VMSTATE_STM32MP_REGS(Stm32mpUsart),
        VMSTATE_FIFO8(rx, Stm32mpUsart),
        VMSTATE_UINT32(break_at, Stm32mpUsart),
        VMSTATE_END_OF_LIST()
    }
};

static const Property stm32mp_usart_properties[] = {
    DEFINE_PROP_CHR("chardev", Stm32mpUsart, chr),
    DEFINE_PROP_BOOL("loaded", Stm32mpUsart, loaded, false),
};

static void stm32mp_usart_class_init(ObjectClass *klass, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);
    Stm32mpRegsClass *c = STM32MP_REGS_CLASS(klass);

    dc->realize = stm32mp_usart_realize;
    dc->vmsd = &vmstate_stm32mp_usart;
    device_class_set_props(dc, stm32mp_usart_properties);
    object_class_property_add_str(klass, "sent", stm32mp_usart_get_sent,
                                  stm32mp_usart_set_sent);
    object_class_property_add_str(klass, "typed", stm32mp_usart_get_typed,
                                  stm32mp_usart_set_typed);
    c->read = stm32mp_usart_read;
    c->write = stm32mp_usart_write;
    c->reset = stm32mp_usart_reset;
}

static const TypeInfo stm32mp_usart_types[] = {
    {
        .name = TYPE_STM32MP_USART,
        .parent = TYPE_STM32MP_REGS,
        .instance_size = sizeof(Stm32mpUsart),
        .instance_init = stm32mp_usart_init,
        .instance_finalize = stm32mp_usart_finalize,
        .class_init = stm32mp_usart_class_init,
    }
};

DEFINE_TYPES(stm32mp_usart_types)
