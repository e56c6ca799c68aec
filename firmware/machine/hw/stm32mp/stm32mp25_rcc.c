/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * STM32MP25 reset and clock control
 *
 * Oscillators, PLLs and dividers are ready as soon as they are enabled; the
 * frequencies that leave the block are constants, as the boot loader sets them.
 * Resources that several compartments share have a semaphore each; whose a
 * resource is that RCFGLOCKR locks stays until a reset.  Peripherals
 * are held in reset by their register; that one without clock does not answer
 * is not modelled.
 *
 * Ref: RM0457, RCC; OP-TEE core/include/drivers/stm32mp25_rcc.h for offsets
 */

#include "qemu/osdep.h"
#include "hw/irq.h"
#include "hw/qdev-clock.h"
#include "hw/registerfields.h"
#include "hw/stm32mp/stm32mp.h"
#include "hw/stm32mp/stm32mp_regs.h"
#include "system/runstate.h"

REG32(SECCFGR0, 0x000)
REG32(PRIVCFGR0, 0x010)
REG32(RCFGLOCKR0, 0x020)
REG32(R0CIDCFGR, 0x030)
    FIELD(CIDCFGR, CFEN, 0, 1)
    FIELD(CIDCFGR, SEM_EN, 1, 1)
    FIELD(CIDCFGR, SCID, 4, 3)
REG32(R0SEMCR, 0x034)
    FIELD(SEMCR, SCID, 4, 3)
REG32(GRSTCSETR, 0x400)
    FIELD(GRSTCSETR, SYSRST, 0, 1)
REG32(C1RSTCSETR, 0x404)
    FIELD(C1RSTCSETR, C1RST, 0, 1)
REG32(C1P1RSTCSETR, 0x408)
    FIELD(C1P1RSTCSETR, C1P1PORRST, 0, 1)
    FIELD(C1P1RSTCSETR, C1P1RST, 1, 1)
REG32(C2RSTCSETR, 0x40c)
    FIELD(C2RSTCSETR, C2RST, 0, 1)
REG32(HWRSTSCLRR, 0x410)
    FIELD(HWRSTSCLRR, PORRSTF, 0, 1)
REG32(C1BOOTRSTSSETR, 0x41c)
REG32(C1BOOTRSTSCLRR, 0x420)
REG32(CPUBOOTCR, 0x434)
    FIELD(CPUBOOTCR, BOOT_CPU2, 0, 1)
REG32(BDCR, 0x440)
    FIELD(BDCR, LSEON, 0, 1)
    FIELD(BDCR, LSERDY, 2, 1)
    FIELD(BDCR, LSION, 9, 1)
    FIELD(BDCR, LSIRDY, 10, 1)
REG32(D3DCR, 0x444)
    FIELD(D3DCR, MSION, 0, 1)
    FIELD(D3DCR, MSIRDY, 2, 1)
REG32(C3CFGR, 0x490)
    FIELD(C3CFGR, C3RST, 0, 1)
    FIELD(C3CFGR, C3EN, 1, 1)
REG32(MCO1CFGR, 0x494)
REG32(MCO2CFGR, 0x498)
REG32(OCENSETR, 0x49c)
    FIELD(OCENSETR, HSION, 0, 1)
    FIELD(OCENSETR, HSEON, 8, 1)
REG32(OCENCLRR, 0x4a0)
REG32(OCRDYR, 0x4a4)
    FIELD(OCRDYR, CKREST, 25, 1)
REG32(APB1DIVR, 0x4b4)
REG32(DDRCPCFGR, 0x4d4)
REG32(OSPI1CFGR, 0x514)
REG32(OSPI2CFGR, 0x518)
REG32(DBGCFGR, 0x520)
REG32(IS2MCFGR, 0x58c)
REG32(PLL2CFGR1, 0x590)
    FIELD(PLLCFGR1, PLLEN, 8, 1)
    FIELD(PLLCFGR1, PLLRDY, 24, 1)
    FIELD(PLLCFGR1, CKREFST, 28, 1)
REG32(PLL3CFGR1, 0x5b8)
REG32(USART1CFGR, 0x77c)        /* USART2 to UART9, LPUART1, I2C1 to I2C8 */
    FIELD(PERIPHERAL, RST, 0, 1)
REG32(I2C8CFGR, 0x7c0)
REG32(RNGCFGR, 0x870)           /* PKA, SAES, HASH */
REG32(HASHCFGR, 0x87c)
REG32(XBAR0CFGR, 0x1018)
REG32(PREDIV0CFGR, 0x1118)
REG32(PREDIVSR1, 0x1218)
REG32(PREDIVSR2, 0x121c)
REG32(FINDIV0CFGR, 0x1224)
REG32(FINDIVSR1, 0x1324)
REG32(FINDIVSR2, 0x1328)
REG32(PLL4CFGR1, 0x1360)
REG32(PLL5CFGR1, 0x1388)
REG32(PLL6CFGR1, 0x13b0)
REG32(PLL7CFGR1, 0x13d8)
REG32(PLL8CFGR1, 0x1400)

#define RESOURCES 114
#define RESETS 4                /* of a core: its own and its watchdogs' */
#define FLEXGENS 64
#define DIVIDER_READY (1u << 31)
#define ID_USART1 31            /* of RIFSC; the next register has the next id */
#define ID_RNG 92

#define MCU_HZ 400000000        /* ck_icn_hs_mcu, highest */
#define LS_MCU_HZ 200000000     /* ck_icn_ls_mcu, highest */
#define LSI_HZ 32000

OBJECT_DECLARE_SIMPLE_TYPE(Stm32mp25Rcc, STM32MP25_RCC)

struct Stm32mp25Rcc {
    Stm32mpRegs parent_obj;

    Clock *mcu;
    Clock *ls_mcu;
    Clock *systick;
    Clock *lsi;
    qemu_irq c2_hold;
    qemu_irq c2_reset[RESETS];
    qemu_irq c3_hold;
    qemu_irq c3_reset[RESETS];
    qemu_irq c1p1_reset;
    qemu_irq peripheral_reset[STM32MP25_PERIPHERALS];
    bool in_reset[2];           /* C2, C3: the core has yet to take a reset */
};

static bool is_pll(hwaddr addr)
{
    switch (addr) {
    case A_PLL2CFGR1:
    case A_PLL3CFGR1:
    case A_PLL4CFGR1:
    case A_PLL5CFGR1:
    case A_PLL6CFGR1:
    case A_PLL7CFGR1:
    case A_PLL8CFGR1:
        return true;
    }
    return false;
}

/*
 * The resource that a register belongs to, or -1.
 * Ref: Linux drivers/clk/stm32/clk-stm32mp25.c (STM32MP25_RIFRCC_*_ID,
 *      flexible generators by their number)
 */
static int stm32mp25_rcc_resource(hwaddr addr)
{
    static const struct {
        uint16_t addr;
        uint8_t resource;
    } others[] = {
        { A_DBGCFGR, 73 }, { A_IS2MCFGR, 107 }, { A_MCO1CFGR, 108 },
        { A_MCO2CFGR, 109 }, { A_OSPI1CFGR, 110 }, { A_OSPI2CFGR, 111 },
    };
    static const uint16_t generators[] = {
        A_XBAR0CFGR, A_PREDIV0CFGR, A_FINDIV0CFGR,
    };

    for (unsigned i = 0; i < ARRAY_SIZE(others); i++) {
        if (addr == others[i].addr) {
            return others[i].resource;
        }
    }
    for (unsigned i = 0; i < ARRAY_SIZE(generators); i++) {
        if (addr >= generators[i] && addr < generators[i] + 4 * FLEXGENS) {
            return (addr - generators[i]) / 4;
        }
    }
    return -1;
}

static bool stm32mp25_rcc_allows(const Stm32mpRegs *s, unsigned resource)
{
    unsigned word = resource / 32, bit = resource % 32;
    uint32_t cfg = s->r[R_R0CIDCFGR + 2 * resource];
    uint32_t sem = s->r[R_R0SEMCR + 2 * resource];

    if ((extract32(s->r[R_SECCFGR0 + word], bit, 1) && !s->attrs.secure) ||
        (extract32(s->r[R_PRIVCFGR0 + word], bit, 1) && s->attrs.user)) {
        return false;
    }
    if (!(cfg & R_CIDCFGR_CFEN_MASK)) {
        return true;
    }
    return stm32mp_regs_cid(s) == (cfg & R_CIDCFGR_SEM_EN_MASK
                                   ? FIELD_EX32(sem, SEMCR, SCID)
                                   : FIELD_EX32(cfg, CIDCFGR, SCID));
}

/*
 * Who owns what is read by everybody, and written by the trusted domain; a
 * semaphore is taken by anybody
 */
static bool stm32mp25_rcc_refuses(Stm32mpRegs *s, hwaddr addr, bool write)
{
    int resource = stm32mp25_rcc_resource(addr);

    if (addr < A_R0CIDCFGR + RESOURCES * 8) {
        return write && !(addr >= A_R0SEMCR && addr & 4) &&
               !stm32mp_regs_trusted(s);
    }
    return resource >= 0 && !stm32mp25_rcc_allows(s, resource);
}

/* Of the words of who owns what, the bits that no lock has, those of the locks among them */
static uint32_t stm32mp25_rcc_mask(Stm32mpRegs *s, hwaddr addr, bool write)
{
    const uint32_t *locks = s->r + R_RCFGLOCKR0;
    unsigned resource = (addr - A_R0CIDCFGR) / 8;

    if (!write || addr >= A_R0CIDCFGR + RESOURCES * 8) {
        return UINT32_MAX;
    }
    if (addr < A_R0CIDCFGR) {
        return ~locks[addr / 4 % 4];
    }
    return addr & 4 || !extract32(locks[resource / 32], resource % 32, 1)
           ? UINT32_MAX : 0;
}

/* The id of the peripheral that a register resets, or -1 */
static int stm32mp25_rcc_peripheral(hwaddr addr)
{
    if (addr >= A_USART1CFGR && addr <= A_I2C8CFGR) {
        return ID_USART1 + (addr - A_USART1CFGR) / 4;
    }
    if (addr >= A_RNGCFGR && addr <= A_HASHCFGR) {
        return ID_RNG + (addr - A_RNGCFGR) / 4;
    }
    return -1;
}

static uint32_t stm32mp25_rcc_read(Stm32mpRegs *s, hwaddr addr)
{
    uint32_t value = s->r[addr / 4];

    if (is_pll(addr)) {
        value = FIELD_DP32(value, PLLCFGR1, PLLRDY,
                           FIELD_EX32(value, PLLCFGR1, PLLEN));
        return value | R_PLLCFGR1_CKREFST_MASK;
    }
    switch (addr) {
    case A_C2RSTCSETR:
        return STM32MP25_RCC(s)->in_reset[0];
    case A_C3CFGR:
        return STM32MP25_RCC(s)->in_reset[1] ? value & ~R_C3CFGR_C3RST_MASK
                                             : value;
    case A_C1BOOTRSTSSETR:
        return s->r[R_C1BOOTRSTSCLRR];
    case A_BDCR:
        value = FIELD_DP32(value, BDCR, LSERDY, FIELD_EX32(value, BDCR, LSEON));
        return FIELD_DP32(value, BDCR, LSIRDY, FIELD_EX32(value, BDCR, LSION));
    case A_D3DCR:
        return FIELD_DP32(value, D3DCR, MSIRDY,
                          FIELD_EX32(value, D3DCR, MSION));
    case A_OCENCLRR:
        return s->r[R_OCENSETR];
    case A_OCRDYR:
        return (s->r[R_OCENSETR] & (R_OCENSETR_HSION_MASK |
                                    R_OCENSETR_HSEON_MASK)) |
               R_OCRDYR_CKREST_MASK;
    case A_APB1DIVR ... A_DDRCPCFGR:
        return value | DIVIDER_READY;
    case A_PREDIVSR1:
    case A_PREDIVSR2:
    case A_FINDIVSR1:
    case A_FINDIVSR2:
        return 0;
    }
    return value;
}

/* The core, then its watchdogs */
static void stm32mp25_rcc_pulse(const qemu_irq reset[RESETS])
{
    for (unsigned n = 0; n < RESETS; n++) {
        qemu_irq_pulse(reset[n]);
    }
}

static void stm32mp25_rcc_in_reset(void *opaque, int n, int level)
{
    STM32MP25_RCC(opaque)->in_reset[n] = level;
}

static void stm32mp25_rcc_write(Stm32mpRegs *regs, hwaddr addr, uint32_t value,
                                unsigned size)
{
    Stm32mp25Rcc *s = STM32MP25_RCC(regs);
    uint32_t *r = regs->r;
    int peripheral = stm32mp25_rcc_peripheral(addr);

    if (addr >= A_R0SEMCR && addr < A_R0SEMCR + RESOURCES * 8 && addr & 4) {
        stm32mp_semaphore_write(regs, addr, value);
        return;
    }
    switch (addr) {
    case A_GRSTCSETR:
    case A_C1RSTCSETR:                  /* C1 has the system's software */
        if (value & R_GRSTCSETR_SYSRST_MASK) {
            qemu_system_reset_request(SHUTDOWN_CAUSE_GUEST_RESET);
        }
        return;
    case A_C1P1RSTCSETR:                /* clears itself */
        if (value & (R_C1P1RSTCSETR_C1P1PORRST_MASK |
                     R_C1P1RSTCSETR_C1P1RST_MASK)) {
            qemu_irq_pulse(s->c1p1_reset);
        }
        return;
    case A_C2RSTCSETR:                  /* clears itself */
        if (value & R_C2RSTCSETR_C2RST_MASK) {
            stm32mp25_rcc_pulse(s->c2_reset);
        }
        return;
    case A_CPUBOOTCR:
        r[R_CPUBOOTCR] = value;
        qemu_set_irq(s->c2_hold, !(value & R_CPUBOOTCR_BOOT_CPU2_MASK));
        return;
    case A_C3CFGR:
        r[R_C3CFGR] = value;
        qemu_set_irq(s->c3_hold, (value & R_C3CFGR_C3RST_MASK) ||
                                 !(value & R_C3CFGR_C3EN_MASK));
        if (value & R_C3CFGR_C3RST_MASK) {
            stm32mp25_rcc_pulse(s->c3_reset);
        }
        return;
    case A_HWRSTSCLRR:
    case A_C1BOOTRSTSCLRR:
        r[addr / 4] &= ~value;
        return;
    case A_C1BOOTRSTSSETR:
        r[R_C1BOOTRSTSCLRR] |= value;
        return;
    case A_OCENSETR:
        r[R_OCENSETR] |= value;
        return;
    case A_OCENCLRR:
        r[R_OCENSETR] &= ~value;
        return;
    case A_OCRDYR:
        return;
    }
    r[addr / 4] = value;
    if (peripheral >= 0) {
        qemu_set_irq(s->peripheral_reset[peripheral],
                     FIELD_EX32(value, PERIPHERAL, RST));
    }
}

/*
 * A watchdog has run out: IWDG1 to 5, then WWDG1.  What those of a core reset is
 * an assumption: nothing but the core, as long as SYSRSTEN of IWDGC2CFGSETR,
 * which is not modelled, is 0.
 */
static void stm32mp25_rcc_watchdog(void *opaque, int n, int level)
{
    Stm32mp25Rcc *s = opaque;

    if (!level) {
        return;
    }
    switch (n) {
    case 2:
    case 3:
    case 5:
        stm32mp25_rcc_pulse(s->c2_reset);
        break;
    case 4:                             /* an assumption: held, as C2 is */
        qemu_set_irq(s->c3_hold, 1);
        stm32mp25_rcc_pulse(s->c3_reset);
        break;
    default:
        qemu_system_reset_request(SHUTDOWN_CAUSE_GUEST_RESET);
    }
}

/*
 * SYSRESETREQ of the Cortex-M33 (line 0) or M0+ (line 1): the core's own reset,
 * as by its bit here.  That is assumed: no public source says what it resets.
 */
static void stm32mp25_rcc_core_request(void *opaque, int n, int level)
{
    Stm32mp25Rcc *s = opaque;

    if (level) {
        stm32mp25_rcc_pulse(n ? s->c3_reset : s->c2_reset);
    }
}

static void stm32mp25_rcc_reset(Stm32mpRegs *regs)
{
    Stm32mp25Rcc *s = STM32MP25_RCC(regs);

    regs->r[R_OCENSETR] = R_OCENSETR_HSION_MASK;
    regs->r[R_HWRSTSCLRR] = R_HWRSTSCLRR_PORRSTF_MASK;
    qemu_set_irq(s->c2_hold, 1);
    qemu_set_irq(s->c3_hold, 1);
    for (unsigned n = 0; n < STM32MP25_PERIPHERALS; n++) {
        qemu_set_irq(s->peripheral_reset[n], 0);
    }
    clock_update_hz(s->mcu, MCU_HZ);
    clock_update_hz(s->ls_mcu, LS_MCU_HZ);
    clock_update_hz(s->systick, MCU_HZ / 8);
    clock_update_hz(s->lsi, LSI_HZ);
}

static void stm32mp25_rcc_init(Object *obj)
{
    Stm32mp25Rcc *s = STM32MP25_RCC(obj);
    DeviceState *dev = DEVICE(obj);

    s->mcu = qdev_init_clock_out(dev, "mcu");
    s->ls_mcu = qdev_init_clock_out(dev, "ls-mcu");
    s->systick = qdev_init_clock_out(dev, "systick");
    s->lsi = qdev_init_clock_out(dev, "lsi");
    qdev_init_gpio_out_named(dev, &s->c2_hold, "c2-hold", 1);
    qdev_init_gpio_out_named(dev, s->c2_reset, "c2-reset", RESETS);
    qdev_init_gpio_out_named(dev, &s->c3_hold, "c3-hold", 1);
    qdev_init_gpio_out_named(dev, s->c3_reset, "c3-reset", RESETS);
    qdev_init_gpio_out_named(dev, &s->c1p1_reset, "c1p1-reset", 1);
    qdev_init_gpio_out_named(dev, s->peripheral_reset, "peripheral-reset",
                             STM32MP25_PERIPHERALS);
    qdev_init_gpio_in_named(dev, stm32mp25_rcc_watchdog, "watchdog", 6);
    qdev_init_gpio_in_named(dev, stm32mp25_rcc_core_request, "core-request",
                            2);
    qdev_init_gpio_in_named(dev, stm32mp25_rcc_in_reset, "in-reset", 2);
}

static const VMStateDescription vmstate_stm32mp25_rcc = {
    .name = TYPE_STM32MP25_RCC,
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_STM32MP_REGS(Stm32mp25Rcc),
        VMSTATE_CLOCK(mcu, Stm32mp25Rcc),
        VMSTATE_CLOCK(ls_mcu, Stm32mp25Rcc),
        VMSTATE_CLOCK(systick, Stm32mp25Rcc),
        VMSTATE_CLOCK(lsi, Stm32mp25Rcc),
        VMSTATE_BOOL_ARRAY(in_reset, Stm32mp25Rcc, 2),
        VMSTATE_END_OF_LIST()
    }
};

static void stm32mp25_rcc_class_init(ObjectClass *klass, void *data)
{
    Stm32mpRegsClass *c = STM32MP_REGS_CLASS(klass);

    DEVICE_CLASS(klass)->vmsd = &vmstate_stm32mp25_rcc;
    c->size = 0x10000;
    c->refuses = stm32mp25_rcc_refuses;
    c->mask = stm32mp25_rcc_mask;
    c->read = stm32mp25_rcc_read;
    c->write = stm32mp25_rcc_write;
    c->reset = stm32mp25_rcc_reset;
    c->waits = true;
}

static const TypeInfo stm32mp25_rcc_types[] = {
    {
        .name = TYPE_STM32MP25_RCC,
        .parent = TYPE_STM32MP_REGS,
        .instance_size = sizeof(Stm32mp25Rcc),
        .instance_init = stm32mp25_rcc_init,
        .class_init = stm32mp25_rcc_class_init,
    }
};

DEFINE_TYPES(stm32mp25_rcc_types)
