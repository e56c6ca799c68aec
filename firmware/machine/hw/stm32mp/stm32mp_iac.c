/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * STM32MP25 illegal access controller (IAC), and serviceable error controller
 * (SERC): latches of many lines, and one interrupt
 *
 * A line's pulse sets its flag; a flag that is enabled raises the interrupt.
 * The IAC is the trusted domain's, the SERC whose RIFSC says.  What the SERC
 * collects is detected while its ENABLE.SERFEN is set, which GPIO output
 * "enabled" has.
 *
 * Ref: RM0457, IAC: IAC_IERx (0x000), ISRx (0x080), ICRx (0x100), HWCFGR1
 *      (0x3f0); SERC: SERC_IERx (0x000), ISRx (0x040), ICRx (0x080), ENABLE
 *      (0x100), HWCFGR (0x3f0); OP-TEE core/drivers/firewall/stm32_iac.c, stm32_serc.c;
 *      ST's wiki, IAC internal peripheral
 */

#include "qemu/osdep.h"
#include "hw/irq.h"
#include "hw/registerfields.h"
#include "hw/stm32mp/stm32mp.h"
#include "hw/stm32mp/stm32mp_regs.h"

REG32(IER0, 0x000)
REG32(SERC_ENABLE, 0x100)
    FIELD(SERC_ENABLE, SERFEN, 0, 1)
REG32(HWCFGR1, 0x3f0)
REG32(VERR, 0x3f4)

typedef struct Stm32mpIac Stm32mpIac;
typedef struct Stm32mpIacClass Stm32mpIacClass;
DECLARE_OBJ_CHECKERS(Stm32mpIac, Stm32mpIacClass, STM32MP_IAC, TYPE_STM32MP_IAC)

struct Stm32mpIac {
    Stm32mpRegs parent_obj;

    qemu_irq irq;
    qemu_irq enabled;
};

struct Stm32mpIacClass {
    Stm32mpRegsClass parent_class;

    uint32_t isr0;
    uint32_t icr0;
    uint32_t lines;
    uint32_t hwcfgr1;
};

static void stm32mp_iac_update(Stm32mpIac *s)
{
    Stm32mpIacClass *c = STM32MP_IAC_GET_CLASS(s);
    const uint32_t *r = STM32MP_REGS(s)->r;
    uint32_t active = 0;

    for (unsigned n = 0; n < DIV_ROUND_UP(c->lines, 32); n++) {
        active |= r[R_IER0 + n] & r[c->isr0 / 4 + n];
    }
    qemu_set_irq(s->irq, !!active);
}

static void stm32mp_iac_line(void *opaque, int n, int level)
{
    Stm32mpIac *s = opaque;

    if (level) {
        STM32MP_REGS(s)->r[STM32MP_IAC_GET_CLASS(s)->isr0 / 4 + n / 32] |=
            1u << (n % 32);
        stm32mp_iac_update(s);
    }
}

static bool stm32mp_iac_refuses(Stm32mpRegs *regs, hwaddr addr, bool write)
{
    return !stm32mp_regs_trusted(regs);
}

static void stm32mp_iac_write(Stm32mpRegs *regs, hwaddr addr, uint32_t value,
                              unsigned size)
{
    Stm32mpIacClass *c = STM32MP_IAC_GET_CLASS(regs);
    uint32_t words = 4 * DIV_ROUND_UP(c->lines, 32);

    if (addr >= c->icr0 && addr < c->icr0 + words) {
        regs->r[(addr - c->icr0 + c->isr0) / 4] &= ~value;
    } else if (!(addr >= c->isr0 && addr < c->isr0 + words) &&
               addr < A_HWCFGR1) {
        regs->r[addr / 4] = value;
    }
    stm32mp_iac_update(STM32MP_IAC(regs));
}

static void stm32mp_serc_write(Stm32mpRegs *regs, hwaddr addr, uint32_t value,
                               unsigned size)
{
    stm32mp_iac_write(regs, addr, value, size);
    qemu_set_irq(STM32MP_IAC(regs)->enabled,
                 FIELD_EX32(regs->r[R_SERC_ENABLE], SERC_ENABLE, SERFEN));
}

static void stm32mp_iac_reset(Stm32mpRegs *regs)
{
    regs->r[R_HWCFGR1] = STM32MP_IAC_GET_CLASS(regs)->hwcfgr1;
    regs->r[R_VERR] = 0x11;
    qemu_set_irq(STM32MP_IAC(regs)->enabled, 0);
    stm32mp_iac_update(STM32MP_IAC(regs));
}

static void stm32mp_iac_init(Object *obj)
{
    Stm32mpIac *s = STM32MP_IAC(obj);

    qdev_init_gpio_in(DEVICE(obj), stm32mp_iac_line,
                      STM32MP_IAC_GET_CLASS(s)->lines);
    sysbus_init_irq(SYS_BUS_DEVICE(obj), &s->irq);
    qdev_init_gpio_out_named(DEVICE(obj), &s->enabled, "enabled", 1);
}

static void stm32mp_iac_class_init(ObjectClass *klass, void *data)
{
    Stm32mpRegsClass *c = STM32MP_REGS_CLASS(klass);
    Stm32mpIacClass *iac = STM32MP_IAC_CLASS(klass);

    c->size = 0x1000;
    c->refuses = stm32mp_iac_refuses;
    c->write = stm32mp_iac_write;
    c->reset = stm32mp_iac_reset;
    iac->isr0 = 0x080;
    iac->icr0 = 0x100;
    iac->lines = STM32MP_IAC_LINES;
    iac->hwcfgr1 = STM32MP_IAC_LINES << 16;
}

static void stm32mp_serc_class_init(ObjectClass *klass, void *data)
{
    Stm32mpIacClass *serc = STM32MP_IAC_CLASS(klass);

    STM32MP_REGS_CLASS(klass)->refuses = NULL;
    STM32MP_REGS_CLASS(klass)->write = stm32mp_serc_write;
    serc->isr0 = 0x040;
    serc->icr0 = 0x080;
    serc->lines = STM32MP_SERC_LINES;
    serc->hwcfgr1 = STM32MP_SERC_LINES;
}

static const TypeInfo stm32mp_iac_types[] = {
    {
        .name = TYPE_STM32MP_IAC,
        .parent = TYPE_STM32MP_REGS,
        .instance_size = sizeof(Stm32mpIac),
        .instance_init = stm32mp_iac_init,
        .class_size = sizeof(Stm32mpIacClass),
        .class_init = stm32mp_iac_class_init,
    }, {
        .name = TYPE_STM32MP_SERC,
        .parent = TYPE_STM32MP_IAC,
        .class_init = stm32mp_serc_class_init,
    }
};

DEFINE_TYPES(stm32mp_iac_types)
