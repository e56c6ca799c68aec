/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * STM32MP15 reset and clock control
 *
 * Clocks are ready as soon as they are enabled.  Of their tree only what
 * leads to the MCU subsystem is computed.
 *
 * TZEN gives the secure world the registers of oscillators, of PLL1 and 2, of
 * clocks and resets of what may be secure, and of the resets and the boot of the
 * processors; with it MCKPROT those of the MCU's clock, PLL3 among them.  The
 * others read them, and what they write is ignored.  Both are set after a reset;
 * that the coprocessor's own enable registers (RCC_MC_*) stay its own is
 * assumed.
 *
 * Ref: RM0436, RCC; offsets at each register below.  Which registers are secure:
 *      OP-TEE core/drivers/clk/clk-stm32mp15.c, stm32mp1_clk_gate (SEC); Linux
 *      drivers/clk/stm32/clk-stm32mp1.c, stm32mp1_clock_secured, and
 *      include/dt-bindings/reset/stm32mp1-resets.h, RST_SCMI_*; TF-A
 *      plat/st/stm32mp1/stm32mp1_shared_resources.c, mckprot_protects_periph()
 */

#include "qemu/osdep.h"
#include "hw/irq.h"
#include "hw/qdev-clock.h"
#include "hw/qdev-properties.h"
#include "hw/registerfields.h"
#include "hw/stm32mp/stm32mp.h"
#include "hw/stm32mp/stm32mp_regs.h"
#include "system/runstate.h"

REG32(TZCR, 0x000)
    FIELD(TZCR, TZEN, 0, 1)
    FIELD(TZCR, MCKPROT, 1, 1)
REG32(OCENSETR, 0x00c)
    FIELD(OCENSETR, HSION, 0, 1)
    FIELD(OCENSETR, CSION, 4, 1)
    FIELD(OCENSETR, HSEON, 8, 1)
REG32(OCENCLRR, 0x010)
REG32(MPCKSELR, 0x020)
REG32(ASSCKSELR, 0x024)
REG32(RCK12SELR, 0x028)
REG32(MPCKDIVR, 0x02c)
REG32(AXIDIVR, 0x030)
REG32(APB4DIVR, 0x03c)
REG32(APB5DIVR, 0x040)
REG32(MSSCKSELR, 0x048)
    FIELD(MSSCKSELR, MCUSSRC, 0, 2)
REG32(PLL1CR, 0x080)
    FIELD(PLLCR, PLLON, 0, 1)
    FIELD(PLLCR, PLLRDY, 1, 1)
    FIELD(PLLCR, DIVPEN, 4, 1)
REG32(PLL2CR, 0x094)
REG32(MP_BOOTCR, 0x10c)
    FIELD(MP_BOOTCR, MCU_BEN, 0, 1)
REG32(BDCR, 0x140)
    FIELD(BDCR, LSEON, 0, 1)
    FIELD(BDCR, LSERDY, 2, 1)
    FIELD(BDCR, RTCSRC, 16, 2)
    FIELD(BDCR, RTCCKEN, 20, 1)
REG32(RDLSICR, 0x144)
    FIELD(RDLSICR, LSION, 0, 1)
    FIELD(RDLSICR, LSIRDY, 1, 1)
REG32(APB5RSTSETR, 0x188)
    FIELD(APB5RSTSETR, I2C4RST, 2, 1)
REG32(BR_RSTSCLRR, 0x400)
REG32(MP_GRSTCSETR, 0x404)
    FIELD(MP_GRSTCSETR, MPSYSRST, 0, 1)
    FIELD(MP_GRSTCSETR, MCURST, 1, 1)
    FIELD(MP_GRSTCSETR, MPURST, 4, 2)       /* MPUP0RST, MPUP1RST */
REG32(MP_RSTSCLRR, 0x408)
    FIELD(RSTSCLRR, PORRSTF, 0, 1)
    FIELD(RSTSCLRR, MCURSTF, 5, 1)
    FIELD(RSTSCLRR, WWDG1RSTF, 10, 1)
    FIELD(RSTSCLRR, MPURSTF, 13, 2)         /* MPUP0RSTF, MPUP1RSTF */
REG32(MP_IWDGFZSETR, 0x40c)
REG32(MP_IWDGFZCLRR, 0x410)
REG32(OCRDYR, 0x808)
    FIELD(OCRDYR, HSIDIVRDY, 2, 1)
    FIELD(OCRDYR, AXICKRDY, 24, 1)
    FIELD(OCRDYR, MPUCKRDY, 23, 1)
REG32(RCK3SELR, 0x820)
    FIELD(RCK3SELR, PLL3SRC, 0, 2)
REG32(RCK4SELR, 0x824)
REG32(MCUDIVR, 0x830)
    FIELD(MCUDIVR, MCUDIV, 0, 4)
REG32(APB1DIVR, 0x834)
    FIELD(APB1DIVR, APB1DIV, 0, 3)
REG32(APB2DIVR, 0x838)
    FIELD(APB2DIVR, APB2DIV, 0, 3)
REG32(APB3DIVR, 0x83c)
    FIELD(APB3DIVR, APB3DIV, 0, 3)
REG32(TIMG1PRER, 0x828)
REG32(TIMG2PRER, 0x82c)
REG32(PLL3CR, 0x880)
REG32(PLL3CFGR1, 0x884)
    FIELD(PLL3CFGR1, DIVN, 0, 9)
    FIELD(PLL3CFGR1, DIVM3, 16, 6)
REG32(PLL3CFGR2, 0x888)
    FIELD(PLL3CFGR2, DIVP, 0, 7)
REG32(PLL3FRACR, 0x88c)
    FIELD(PLL3FRACR, FRACV, 3, 13)
    FIELD(PLL3FRACR, FRACLE, 16, 1)
REG32(PLL4CR, 0x894)
REG32(MC_RSTSCLRR, 0xc00)

#define SELECT_READY (1u << 31)         /* of muxes and dividers */
#define RTCSRC_LSE 1

#define HSI_HZ 64000000
#define HSE_HZ 24000000
#define CSI_HZ 4000000

OBJECT_DECLARE_SIMPLE_TYPE(Stm32mp15Rcc, STM32MP15_RCC)

struct Stm32mp15Rcc {
    Stm32mpRegs parent_obj;

    Clock *mcu;
    Clock *pclk1;
    Clock *pclk3;
    Clock *timg[2];
    Clock *systick;
    Clock *lsi;
    qemu_irq mcu_hold;
    qemu_irq mcu_reset[2];
    qemu_irq mpu_reset[2];
    qemu_irq i2c4_reset;
    bool loaded;
    uint32_t lsi_hz;
};

/* Registers that are set at one address and cleared at the next */
static bool is_set_clear_pair(hwaddr addr)
{
    return (addr >= 0x180 && addr < A_BR_RSTSCLRR) ||
           (addr >= 0x980 && addr < A_MC_RSTSCLRR) ||
           addr == A_MP_IWDGFZSETR || addr == A_MP_IWDGFZCLRR;
}

typedef struct RccRange {
    uint16_t first;
    uint16_t last;
} RccRange;

static const RccRange of_secure_world[] = {
    { A_TZCR, A_MSSCKSELR - 4 },
    { A_PLL1CR, 0x0d8 },                /* to DDRITFCR */
    { A_MP_BOOTCR, A_MP_BOOTCR },
    { A_BDCR, A_RDLSICR },
    { 0x188, 0x194 },                   /* APB5RST, AHB5RST */
    { 0x1a0, 0x1a4 },                   /* TZAHB6RST */
    { 0x208, 0x214 },                   /* MP_APB5EN, MP_AHB5EN */
    { 0x220, 0x224 },                   /* MP_TZAHB6EN */
    { 0x308, 0x314 },                   /* MP_APB5LPEN, MP_AHB5LPEN */
    { 0x320, 0x324 },                   /* MP_TZAHB6LPEN */
    { A_MP_GRSTCSETR, A_MP_GRSTCSETR },
};
static const RccRange of_mcu_clock[] = {
    { A_MSSCKSELR, A_MSSCKSELR },
    { A_RCK3SELR, A_RCK3SELR },
    { A_MCUDIVR, A_MCUDIVR },
    { A_PLL3CR, 0x890 },                /* to PLL3CSGR */
};

static bool is_in(const RccRange *ranges, unsigned n, hwaddr addr)
{
    for (unsigned i = 0; i < n; i++) {
        if (addr >= ranges[i].first && addr <= ranges[i].last) {
            return true;
        }
    }
    return false;
}

static bool stm32mp15_rcc_refuses(Stm32mpRegs *s, hwaddr addr, bool write)
{
    uint32_t tzcr = s->r[R_TZCR];

    if (!write || s->attrs.secure || !FIELD_EX32(tzcr, TZCR, TZEN)) {
        return false;
    }
    return is_in(of_secure_world, ARRAY_SIZE(of_secure_world), addr) ||
           (FIELD_EX32(tzcr, TZCR, MCKPROT) &&
            is_in(of_mcu_clock, ARRAY_SIZE(of_mcu_clock), addr));
}

static uint64_t pll3p_hz(const uint32_t *r)
{
    static const uint64_t sources[] = { HSI_HZ, HSE_HZ, CSI_HZ, 0 };
    uint64_t ref = sources[FIELD_EX32(r[R_RCK3SELR], RCK3SELR, PLL3SRC)];
    uint64_t frac = FIELD_EX32(r[R_PLL3FRACR], PLL3FRACR, FRACLE) ?
                    FIELD_EX32(r[R_PLL3FRACR], PLL3FRACR, FRACV) : 0;
    uint64_t n = FIELD_EX32(r[R_PLL3CFGR1], PLL3CFGR1, DIVN) + 1;
    uint32_t m = FIELD_EX32(r[R_PLL3CFGR1], PLL3CFGR1, DIVM3) + 1;
    uint32_t p = FIELD_EX32(r[R_PLL3CFGR2], PLL3CFGR2, DIVP) + 1;

    if (!FIELD_EX32(r[R_PLL3CR], PLLCR, PLLON) ||
        !FIELD_EX32(r[R_PLL3CR], PLLCR, DIVPEN)) {
        return 0;
    }
    return ref * (n * 8192 + frac) / 8192 / m / p;
}

/* Of the timers of a bus: the bus', or two or four times that, up to the MCU's */
static uint64_t timer_hz(uint64_t mcu, unsigned apb, bool four)
{
    return mcu >> (apb - MIN(apb, four ? 2 : 1));
}

static void stm32mp15_rcc_clocks(Stm32mp15Rcc *s)
{
    const uint32_t *r = STM32MP_REGS(s)->r;
    const uint64_t sources[] = { HSI_HZ, HSE_HZ, CSI_HZ, pll3p_hz(r) };
    uint64_t mcu = sources[FIELD_EX32(r[R_MSSCKSELR], MSSCKSELR, MCUSSRC)] >>
                   FIELD_EX32(r[R_MCUDIVR], MCUDIVR, MCUDIV);
    unsigned apb1 = MIN(FIELD_EX32(r[R_APB1DIVR], APB1DIVR, APB1DIV), 4);
    unsigned apb2 = MIN(FIELD_EX32(r[R_APB2DIVR], APB2DIVR, APB2DIV), 4);
    unsigned apb3 = MIN(FIELD_EX32(r[R_APB3DIVR], APB3DIVR, APB3DIV), 4);

    clock_update_hz(s->mcu, mcu);
    clock_update_hz(s->systick, mcu / 8);
    clock_update_hz(s->pclk1, mcu >> apb1);
    clock_update_hz(s->pclk3, mcu >> apb3);
    clock_update_hz(s->timg[0], timer_hz(mcu, apb1, r[R_TIMG1PRER] & 1));
    clock_update_hz(s->timg[1], timer_hz(mcu, apb2, r[R_TIMG2PRER] & 1));
}

static uint32_t stm32mp15_rcc_read(Stm32mpRegs *s, hwaddr addr)
{
    uint32_t value = s->r[addr / 4];

    if (is_set_clear_pair(addr)) {
        hwaddr set = addr == A_MP_IWDGFZCLRR ? A_MP_IWDGFZSETR
                   : addr == A_MP_IWDGFZSETR ? addr : addr & ~4ull;

        return s->r[set / 4];
    }
    switch (addr) {
    case A_OCENCLRR:
        return s->r[R_OCENSETR];
    case A_OCRDYR:
        value = s->r[R_OCENSETR] & (R_OCENSETR_HSION_MASK |
                                    R_OCENSETR_CSION_MASK |
                                    R_OCENSETR_HSEON_MASK);
        if (value & R_OCENSETR_HSION_MASK) {
            value |= R_OCRDYR_HSIDIVRDY_MASK;
        }
        return value | R_OCRDYR_AXICKRDY_MASK | R_OCRDYR_MPUCKRDY_MASK;
    case A_PLL1CR:
    case A_PLL2CR:
    case A_PLL3CR:
    case A_PLL4CR:
        return FIELD_DP32(value, PLLCR, PLLRDY,
                          FIELD_EX32(value, PLLCR, PLLON));
    case A_BDCR:
        return FIELD_DP32(value, BDCR, LSERDY,
                          FIELD_EX32(value, BDCR, LSEON));
    case A_RDLSICR:
        return FIELD_DP32(value, RDLSICR, LSIRDY,
                          FIELD_EX32(value, RDLSICR, LSION));
    case A_MPCKSELR:
    case A_ASSCKSELR:
    case A_RCK12SELR:
    case A_MPCKDIVR:
    case A_AXIDIVR:
    case A_APB4DIVR:
    case A_APB5DIVR:
    case A_MSSCKSELR:
    case A_RCK3SELR:
    case A_RCK4SELR:
    case A_TIMG1PRER:
    case A_TIMG2PRER:
    case A_MCUDIVR:
    case A_APB1DIVR:
    case A_APB2DIVR:
    case A_APB3DIVR:
        return value | SELECT_READY;
    }
    return value;
}

static void stm32mp15_rcc_reset_mcu(Stm32mp15Rcc *s, uint32_t flag)
{
    STM32MP_REGS(s)->r[R_MC_RSTSCLRR] |= flag;
    for (unsigned n = 0; n < ARRAY_SIZE(s->mcu_reset); n++) {
        qemu_irq_pulse(s->mcu_reset[n]);
    }
}

static void stm32mp15_rcc_reset_mpu(Stm32mp15Rcc *s, uint32_t cpus)
{
    STM32MP_REGS(s)->r[R_MP_RSTSCLRR] |= cpus << R_RSTSCLRR_MPURSTF_SHIFT;
    for (unsigned n = 0; n < ARRAY_SIZE(s->mpu_reset); n++) {
        if (cpus & 1u << n) {
            qemu_irq_pulse(s->mpu_reset[n]);
        }
    }
}

static void stm32mp15_rcc_write_pair(Stm32mpRegs *s, hwaddr addr,
                                     uint32_t value)
{
    if (addr == A_MP_IWDGFZSETR || addr == A_MP_IWDGFZCLRR) {
        uint32_t *r = &s->r[R_MP_IWDGFZSETR];

        *r = addr == A_MP_IWDGFZSETR ? *r | value : *r & ~value;
    } else {
        uint32_t *r = stm32mp_reg(s, addr & ~4ull);

        *r = addr & 4 ? *r & ~value : *r | value;
    }
    if (addr == A_APB5RSTSETR && (value & R_APB5RSTSETR_I2C4RST_MASK)) {
        qemu_irq_pulse(STM32MP15_RCC(s)->i2c4_reset);
    }
}

static void stm32mp15_rcc_write(Stm32mpRegs *regs, hwaddr addr,
                                uint32_t value, unsigned size)
{
    Stm32mp15Rcc *s = STM32MP15_RCC(regs);
    uint32_t *r = regs->r;

    if (is_set_clear_pair(addr)) {
        stm32mp15_rcc_write_pair(regs, addr, value);
        return;
    }
    switch (addr) {
    case A_OCENSETR:
        r[R_OCENSETR] |= value;
        return;
    case A_OCENCLRR:
        r[R_OCENSETR] &= ~value;
        return;
    case A_OCRDYR:
        return;
    case A_MP_BOOTCR:
        r[R_MP_BOOTCR] = value;
        qemu_set_irq(s->mcu_hold, !(value & R_MP_BOOTCR_MCU_BEN_MASK));
        return;
    case A_MP_GRSTCSETR:                /* clears itself */
        if (value & R_MP_GRSTCSETR_MPSYSRST_MASK) {
            qemu_system_reset_request(SHUTDOWN_CAUSE_GUEST_RESET);
        }
        if (value & R_MP_GRSTCSETR_MCURST_MASK) {
            stm32mp15_rcc_reset_mcu(s, R_RSTSCLRR_MCURSTF_MASK);
        }
        stm32mp15_rcc_reset_mpu(s, FIELD_EX32(value, MP_GRSTCSETR, MPURST));
        return;
    case A_BR_RSTSCLRR:
    case A_MP_RSTSCLRR:
    case A_MC_RSTSCLRR:
        r[addr / 4] &= ~value;
        return;
    }
    r[addr / 4] = value;
    stm32mp15_rcc_clocks(s);
}

static void stm32mp15_rcc_wwdg1(void *opaque, int n, int level)
{
    if (level) {
        stm32mp15_rcc_reset_mcu(opaque, R_RSTSCLRR_WWDG1RSTF_MASK);
    }
}

/* An IWDG has run out, or the MCU asks for a reset of the system */
static void stm32mp15_rcc_system_reset(void *opaque, int n, int level)
{
    if (level) {
        qemu_system_reset_request(SHUTDOWN_CAUSE_GUEST_RESET);
    }
}

/*
 * Open to both worlds, and the MCU's clocks as the DK2's boot loaders set them:
 * PLL3P, 208.877930 MHz, from HSE; APB1 half of it.
 * Ref: U-Boot arch/arm/dts/stm32mp15-u-boot.dtsi and
 *      stm32mp15xx-dkx-u-boot.dtsi, pll3: cfg = <1 33 1 16 36 7>, frac 0x1a04
 */
static void stm32mp15_rcc_load(uint32_t *r)
{
    r[R_TZCR] = 0;
    r[R_OCENSETR] |= R_OCENSETR_CSION_MASK | R_OCENSETR_HSEON_MASK;
    r[R_RCK3SELR] = 1;
    r[R_PLL3CFGR1] = 1 << R_PLL3CFGR1_DIVM3_SHIFT | 33;
    r[R_PLL3CFGR2] = 36 << 16 | 16 << 8 | 1;
    r[R_PLL3FRACR] = R_PLL3FRACR_FRACLE_MASK |
                     0x1a04 << R_PLL3FRACR_FRACV_SHIFT;
    r[R_PLL3CR] = 7 << R_PLLCR_DIVPEN_SHIFT | R_PLLCR_PLLON_MASK;
    r[R_MSSCKSELR] = 3;
    r[R_APB1DIVR] = r[R_APB2DIVR] = r[R_APB3DIVR] = 1;
    r[R_BDCR] = R_BDCR_LSEON_MASK | R_BDCR_RTCCKEN_MASK |
                RTCSRC_LSE << R_BDCR_RTCSRC_SHIFT;
}

static void stm32mp15_rcc_reset(Stm32mpRegs *regs)
{
    Stm32mp15Rcc *s = STM32MP15_RCC(regs);

    regs->r[R_OCENSETR] = R_OCENSETR_HSION_MASK;
    regs->r[R_MP_RSTSCLRR] = R_RSTSCLRR_PORRSTF_MASK;
    regs->r[R_TZCR] = R_TZCR_TZEN_MASK | R_TZCR_MCKPROT_MASK;
    if (s->loaded) {
        stm32mp15_rcc_load(regs->r);
    }
    qemu_set_irq(s->mcu_hold, 1);
    clock_update_hz(s->lsi, s->lsi_hz);
    stm32mp15_rcc_clocks(s);
}

static void stm32mp15_rcc_init(Object *obj)
{
    Stm32mp15Rcc *s = STM32MP15_RCC(obj);
    DeviceState *dev = DEVICE(obj);

    s->mcu = qdev_init_clock_out(dev, "mcu");
    s->pclk1 = qdev_init_clock_out(dev, "pclk1");
    s->pclk3 = qdev_init_clock_out(dev, "pclk3");
    s->timg[0] = qdev_init_clock_out(dev, "timg1");
    s->timg[1] = qdev_init_clock_out(dev, "timg2");
    s->systick = qdev_init_clock_out(dev, "systick");
    s->lsi = qdev_init_clock_out(dev, "lsi");
    qdev_init_gpio_out_named(dev, &s->mcu_hold, "mcu-hold", 1);
    qdev_init_gpio_out_named(dev, s->mcu_reset, "mcu-reset",
                             ARRAY_SIZE(s->mcu_reset));
    qdev_init_gpio_out_named(dev, s->mpu_reset, "mpu-reset",
                             ARRAY_SIZE(s->mpu_reset));
    qdev_init_gpio_out_named(dev, &s->i2c4_reset, "i2c4-reset", 1);
    qdev_init_gpio_in_named(dev, stm32mp15_rcc_wwdg1, "wwdg1", 1);
    qdev_init_gpio_in_named(dev, stm32mp15_rcc_system_reset, "iwdg", 2);
    qdev_init_gpio_in_named(dev, stm32mp15_rcc_system_reset, "mcu-request", 1);
}

static const VMStateDescription vmstate_stm32mp15_rcc = {
    .name = TYPE_STM32MP15_RCC,
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_STM32MP_REGS(Stm32mp15Rcc),
        VMSTATE_CLOCK(mcu, Stm32mp15Rcc),
        VMSTATE_CLOCK(pclk1, Stm32mp15Rcc),
        VMSTATE_CLOCK(pclk3, Stm32mp15Rcc),
        VMSTATE_CLOCK(systick, Stm32mp15Rcc),
        VMSTATE_CLOCK(lsi, Stm32mp15Rcc),
        VMSTATE_END_OF_LIST()
    }
};

static const Property stm32mp15_rcc_properties[] = {
    DEFINE_PROP_BOOL("loaded", Stm32mp15Rcc, loaded, false),
    DEFINE_PROP_UINT32("lsi-hz", Stm32mp15Rcc, lsi_hz, 32000),
};

static void stm32mp15_rcc_class_init(ObjectClass *klass, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);
    Stm32mpRegsClass *c = STM32MP_REGS_CLASS(klass);

    dc->vmsd = &vmstate_stm32mp15_rcc;
    device_class_set_props(dc, stm32mp15_rcc_properties);
    c->size = 0x1000;
    c->refuses = stm32mp15_rcc_refuses;
    c->read = stm32mp15_rcc_read;
    c->write = stm32mp15_rcc_write;
    c->reset = stm32mp15_rcc_reset;
    c->waits = true;
}

static const TypeInfo stm32mp15_rcc_types[] = {
    {
        .name = TYPE_STM32MP15_RCC,
        .parent = TYPE_STM32MP_REGS,
        .instance_size = sizeof(Stm32mp15Rcc),
        .instance_init = stm32mp15_rcc_init,
        .class_init = stm32mp15_rcc_class_init,
    }
};

DEFINE_TYPES(stm32mp15_rcc_types)
