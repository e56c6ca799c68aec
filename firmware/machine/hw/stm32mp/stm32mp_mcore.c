/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * STM32MP coprocessor: a Cortex-M beside the Cortex-A, with its life cycle
 *
 * RCC holds the core after a reset ("hold boot") until software lets it go;
 * to hold it again does not stop it, a reset does.  The core takes a reset in
 * a thread of its own.  A Cortex-A that resets it waits for that, as software
 * relies on a core that executes no more.  Others do not wait (a watchdog, a
 * Cortex-M, which the Cortex-A may be waiting for): "in-reset" tells RCC.
 *
 * Ref: RM0436, RCC: "MCU boot": RCC_MP_BOOTCR, RCC_MP_GRSTCSETR
 */

#include "qemu/osdep.h"
#include "qemu/error-report.h"
#include "qemu/log.h"
#include "qapi/error.h"
#include "exec/cpu-common.h"
#include "exec/exec-all.h"
#include "hw/arm/armv7m.h"
#include "hw/core/cpu.h"
#include "hw/cpu/cluster.h"
#include "hw/irq.h"
#include "hw/qdev-clock.h"
#include "hw/qdev-properties.h"
#include "hw/stm32mp/stm32mp.h"
#include "hw/sysbus.h"
#include "migration/vmstate.h"
#include "qemu/main-loop.h"
#include "system/reset.h"
#include "target/arm/cpu.h"

OBJECT_DECLARE_SIMPLE_TYPE(Stm32mpMcore, STM32MP_MCORE)

struct Stm32mpMcore {
    SysBusDevice parent_obj;

    CPUClusterState cluster;
    ARMv7MState armv7m;
    Clock *cpuclk;
    Clock *refclk;
    qemu_irq sysresetreq;
    qemu_irq in_reset;

    MemoryRegion *memory;
    char *cpu_type;
    uint32_t num_irq;
    uint8_t num_prio_bits;
    uint32_t cluster_id;

    bool hold;
    bool running;
    unsigned pending;           /* resets that the core has yet to take */
    QemuCond taken;
};

/* NVIC and SysTick are part of the core; one that starts secure has two */
static void stm32mp_mcore_reset_parts(Stm32mpMcore *s)
{
    device_cold_reset(DEVICE(&s->armv7m.nvic));
    device_cold_reset(DEVICE(&s->armv7m.systick[M_REG_NS]));
    if (arm_feature(&s->armv7m.cpu->env, ARM_FEATURE_M_SECURITY)) {
        device_cold_reset(DEVICE(&s->armv7m.systick[M_REG_S]));
    }
}

static void stm32mp_mcore_done(Stm32mpMcore *s)
{
    if (!--s->pending) {
        qemu_set_irq(s->in_reset, 0);
        qemu_cond_broadcast(&s->taken);
    }
}

/* In the core's own thread */
static void stm32mp_mcore_start_work(CPUState *cs, run_on_cpu_data data)
{
    ARMCPU *cpu = ARM_CPU(cs);

    cpu_reset(cs);
    cpu->power_state = PSCI_ON;
    cs->halted = 0;
    qemu_log_mask(CPU_LOG_RESET, "coprocessor starts: pc 0x%08x sp 0x%08x\n",
                  cpu->env.regs[15], cpu->env.regs[13]);
    stm32mp_mcore_done(data.host_ptr);
}

static void stm32mp_mcore_stop_work(CPUState *cs, run_on_cpu_data data)
{
    ARMCPU *cpu = ARM_CPU(cs);
    Stm32mpMcore *s = data.host_ptr;

    stm32mp_mcore_reset_parts(s);
    /* Its reset waits for its start: it would read the vectors already */
    cpu->power_state = PSCI_OFF;
    cs->halted = 1;
    cs->exception_index = EXCP_HLT;
    qemu_log_mask(CPU_LOG_RESET, "coprocessor is held\n");
    stm32mp_mcore_done(s);
}

void stm32mp_mcore_lockup(CPUState *cs, const char *fmt, ...)
{
    ARMCPU *cpu = ARM_CPU(cs);
    g_autofree char *why = NULL;
    va_list args;

    va_start(args, fmt);
    why = g_strdup_vprintf(fmt, args);
    va_end(args);
    info_report("coprocessor: pc 0x%08x: %s", cpu->env.regs[15],
                g_strchomp(why));
    cpu->power_state = PSCI_OFF;
    cs->halted = 1;
    cs->exception_index = EXCP_HLT;
    cpu_loop_exit(cs);
}

static void stm32mp_mcore_queue(Stm32mpMcore *s, run_on_cpu_func work)
{
    s->pending++;
    qemu_set_irq(s->in_reset, 1);
    async_run_on_cpu(CPU(s->armv7m.cpu), work, RUN_ON_CPU_HOST_PTR(s));
}

/*
 * Until the core has taken its resets.  Meanwhile others may access the device
 * that is being written (Stm32mpRegsClass.waits).  A CPU that wants all others
 * to stop would wait for this one: then this one does not.  Where one thread
 * runs all CPUs the core gets no turn before it has taken them.
 */
static void stm32mp_mcore_wait(Stm32mpMcore *s)
{
    CPUState *self = current_cpu;

    if (!self || qemu_cpu_is_self(CPU(s->armv7m.cpu)) ||
        arm_feature(&ARM_CPU(self)->env, ARM_FEATURE_M)) {
        return;
    }
    while (s->pending && !qatomic_read(&self->has_waiter)) {
        qemu_cond_timedwait_bql(&s->taken, 1);
    }
}

static void stm32mp_mcore_go(Stm32mpMcore *s, bool run)
{
    if (s->running || !run) {
        stm32mp_mcore_queue(s, stm32mp_mcore_stop_work);
    } else {
        stm32mp_mcore_reset_parts(s);
    }
    s->running = run;
    if (run) {
        stm32mp_mcore_queue(s, stm32mp_mcore_start_work);
    }
    stm32mp_mcore_wait(s);
}

void stm32mp_mcore_set_vectors(DeviceState *dev, uint32_t address)
{
    ARMCPU *cpu = STM32MP_MCORE(dev)->armv7m.cpu;

    cpu->init_svtor = address;
    cpu->init_nsvtor = address;
}

/* A thread that had one may lose the CPU before it executes an instruction */
#define TURNS 8

typedef struct Stm32mpTurn {
    QEMUTimer *timer;
    const uint32_t *turns;
    int64_t ns;
} Stm32mpTurn;

static void stm32mp_mcore_turn_work(CPUState *cs, run_on_cpu_data data)
{
    g_autofree Stm32mpTurn *turn = data.host_ptr;

    if (*turn->turns) {
        timer_mod(turn->timer,
                  qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) + turn->ns);
    }
}

bool stm32mp_mcore_turn(DeviceState *dev, const char *watchdog,
                        QEMUTimer *timer, uint32_t *turns, int64_t ns)
{
    ARMCPU *cpu;
    Stm32mpTurn *turn;

    if (!dev) {
        return false;
    }
    cpu = STM32MP_MCORE(dev)->armv7m.cpu;
    if (*turns == TURNS) {
        info_report("%s expired: coprocessor at pc 0x%08x%s", watchdog,
                    cpu->env.regs[15], CPU(cpu)->halted ? ", waits" : "");
        return false;
    }
    ++*turns;
    turn = g_new(Stm32mpTurn, 1);
    *turn = (Stm32mpTurn) { .timer = timer, .turns = turns, .ns = ns };
    async_run_on_cpu(CPU(cpu), stm32mp_mcore_turn_work,
                     RUN_ON_CPU_HOST_PTR(turn));
    return true;
}

AddressSpace *stm32mp_mcore_address_space(DeviceState *dev)
{
    return CPU(STM32MP_MCORE(dev)->armv7m.cpu)->as;
}

static void stm32mp_mcore_hold(void *opaque, int n, int level)
{
    Stm32mpMcore *s = opaque;

    s->hold = level;
    if (!s->hold && !s->running) {
        stm32mp_mcore_go(s, true);
    }
}

static void stm32mp_mcore_reset_line(void *opaque, int n, int level)
{
    Stm32mpMcore *s = opaque;

    if (level) {
        stm32mp_mcore_go(s, !s->hold);
    }
}

static void stm32mp_mcore_reset_hold(Object *obj, ResetType type)
{
    Stm32mpMcore *s = STM32MP_MCORE(obj);

    s->hold = true;
    stm32mp_mcore_go(s, false);
}

static void stm32mp_mcore_sysresetreq(void *opaque, int n, int level)
{
    Stm32mpMcore *s = opaque;

    if (level) {
        qemu_irq_pulse(s->sysresetreq);
    }
}

static void stm32mp_mcore_init(Object *obj)
{
    Stm32mpMcore *s = STM32MP_MCORE(obj);
    DeviceState *dev = DEVICE(obj);

    qemu_cond_init(&s->taken);
    object_initialize_child(obj, "cluster", &s->cluster, TYPE_CPU_CLUSTER);
    object_initialize_child(OBJECT(&s->cluster), "armv7m", &s->armv7m,
                            TYPE_ARMV7M);
    s->cpuclk = qdev_init_clock_in(dev, "cpuclk", NULL, NULL, 0);
    s->refclk = qdev_init_clock_in(dev, "refclk", NULL, NULL, 0);
    qdev_init_gpio_in_named(dev, stm32mp_mcore_hold, "hold", 1);
    qdev_init_gpio_in_named(dev, stm32mp_mcore_reset_line, "reset", 1);
    qdev_init_gpio_in_named(dev, stm32mp_mcore_sysresetreq, "core-request", 1);
    qdev_init_gpio_out_named(dev, &s->sysresetreq, "sysresetreq", 1);
    qdev_init_gpio_out_named(dev, &s->in_reset, "in-reset", 1);
}

static void stm32mp_mcore_finalize(Object *obj)
{
    qemu_cond_destroy(&STM32MP_MCORE(obj)->taken);
}

static void stm32mp_mcore_realize(DeviceState *dev, Error **errp)
{
    Stm32mpMcore *s = STM32MP_MCORE(dev);
    DeviceState *core = DEVICE(&s->armv7m);

    if (!clock_has_source(s->cpuclk) || !clock_has_source(s->refclk)) {
        error_setg(errp, "coprocessor: clocks cpuclk and refclk must be "
                   "connected");
        return;
    }
    qdev_prop_set_uint32(DEVICE(&s->cluster), "cluster-id", s->cluster_id);
    qdev_prop_set_uint32(core, "num-irq", s->num_irq);
    qdev_prop_set_uint8(core, "num-prio-bits", s->num_prio_bits);
    qdev_prop_set_string(core, "cpu-type", s->cpu_type);
    qdev_prop_set_bit(core, "start-powered-off", true);
    qdev_connect_clock_in(core, "cpuclk", s->cpuclk);
    qdev_connect_clock_in(core, "refclk", s->refclk);
    object_property_set_link(OBJECT(core), "memory", OBJECT(s->memory),
                             &error_abort);
    if (!sysbus_realize(SYS_BUS_DEVICE(core), errp)) {
        return;
    }
    qdev_connect_gpio_out_named(core, "SYSRESETREQ", 0,
                                qdev_get_gpio_in_named(dev, "core-request",
                                                       0));
    qdev_pass_gpios(core, dev, NULL);
    qdev_realize(DEVICE(&s->cluster), NULL, errp);
}

static const VMStateDescription vmstate_stm32mp_mcore = {
    .name = TYPE_STM32MP_MCORE,
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_CLOCK(cpuclk, Stm32mpMcore),
        VMSTATE_CLOCK(refclk, Stm32mpMcore),
        VMSTATE_BOOL(hold, Stm32mpMcore),
        VMSTATE_BOOL(running, Stm32mpMcore),
        VMSTATE_END_OF_LIST()
    }
};

static const Property stm32mp_mcore_properties[] = {
    DEFINE_PROP_STRING("cpu-type", Stm32mpMcore, cpu_type),
    DEFINE_PROP_UINT32("num-irq", Stm32mpMcore, num_irq, 0),
    DEFINE_PROP_UINT8("num-prio-bits", Stm32mpMcore, num_prio_bits, 4),
    DEFINE_PROP_UINT32("cluster-id", Stm32mpMcore, cluster_id, 1),
    DEFINE_PROP_LINK("memory", Stm32mpMcore, memory, TYPE_MEMORY_REGION,
                     MemoryRegion *),
};

static void stm32mp_mcore_class_init(ObjectClass *klass, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);

    dc->realize = stm32mp_mcore_realize;
    dc->vmsd = &vmstate_stm32mp_mcore;
    device_class_set_props(dc, stm32mp_mcore_properties);
    RESETTABLE_CLASS(klass)->phases.hold = stm32mp_mcore_reset_hold;
}

static const TypeInfo stm32mp_mcore_types[] = {
    {
        .name = TYPE_STM32MP_MCORE,
        .parent = TYPE_SYS_BUS_DEVICE,
        .instance_size = sizeof(Stm32mpMcore),
        .instance_init = stm32mp_mcore_init,
        .instance_finalize = stm32mp_mcore_finalize,
        .class_init = stm32mp_mcore_class_init,
    }
};

DEFINE_TYPES(stm32mp_mcore_types)
