/*
 * SPDX-License-Identifier: BSD-2-Clause
 *
 * Power operations (PSCI) of the STM32MP2, in place of TF-A 2.12.1's own, which
 * refuse CPU_ON and panic at CPU_OFF and SYSTEM_OFF.  Not run on silicon.
 *
 * Core 1 is started by its reset, at the address in CA35SS_SYSCFG_VBAR_CR; off,
 * it waits for that with its interrupts away.  Core 0 has no reset of its own:
 * off, it waits for a secure SGI, and goes the way of core 1 from there.  The
 * system is suspended as a core 0 that waits for any interrupt of Linux; clocks
 * and memory stay as they are.
 *
 * Ref: RM0457, RCC_C1P1RSTCSETR (0x408), RCC_GRSTCSETR (0x400),
 *      CA35SS_SYSCFG_VBAR_CR (0x2084); TF-A docs/porting-guide.rst, "Power
 *      State Coordination Interface (in BL31)"
 */

#include <arch_helpers.h>
#include <common/debug.h>
#include <common/fdt_wrappers.h>
#include <drivers/arm/gicv2.h>
#include <drivers/st/stm32_i2c.h>
#include <drivers/st/stm32mp_pmic2.h>
#include <drivers/st/stm32mp_reset.h>
#include <drivers/st/stpmic2.h>
#include <lib/mmio.h>
#include <lib/psci/psci.h>
#include <lib/utils.h>
#include <libfdt.h>
#include <plat/common/platform.h>

#include <platform_def.h>

#define VBAR_CR			(A35SSC_BASE + U(0x2084))

#define WAKE_SGI		ARM_IRQ_SEC_SGI_0
/* Of the interrupts, secure SGIs alone have a priority above this */
#define ONLY_SGIS		U(0x08)
#define GIC_FIRST_SPECIAL	U(1020)
#define GIC_WORDS		U(13)	/* 32 and 384 interrupts, a bit each */

#define PMIC_COMPATIBLE		"st,stpmic2"
#define PMIC_SWITCH_OFF		BIT(0)	/* of MAIN_CR, as the STPMIC1 has it */
#define PMIC_TIMEOUT_MS		U(100)

static uintptr_t warm_entry;
static uintptr_t gicd;
static u_register_t counter_hz;
/* Written and read with the data cache off, by the core that goes down */
static volatile bool is_suspended;

static bool is_core0(void)
{
	return plat_my_core_pos() == STM32MP_PRIMARY_CPU;
}

static void stm32_cpu_standby(plat_local_state_t cpu_state)
{
	dsb();
	wfi();
}

static int stm32_pwr_domain_on(u_register_t mpidr)
{
	if (plat_core_pos_by_mpidr(mpidr) == (int)STM32MP_PRIMARY_CPU) {
		gicv2_raise_sgi(WAKE_SGI, false, STM32MP_PRIMARY_CPU);
	} else {
		mmio_write_32(RCC_BASE + RCC_C1P1RSTCSETR,
			      RCC_C1P1RSTCSETR_C1P1PORRST);
	}

	return PSCI_E_SUCCESS;
}

static void stm32_pwr_domain_off(const psci_power_state_t *target_state)
{
	is_suspended = false;
	if (!is_core0()) {
		gicv2_cpuif_disable();
	}
}

static void stm32_pwr_domain_suspend(const psci_power_state_t *target_state)
{
	is_suspended = true;
}

static void stm32_pwr_domain_on_finish(const psci_power_state_t *target_state)
{
	write_cntfrq_el0(counter_hz);
	stm32mp_gic_pcpu_init();
}

static void stm32_pwr_domain_suspend_finish(const psci_power_state_t
					    *target_state)
{
	/* Interrupt controller and counter are as they were */
}

/* As after a reset: no MMU, no caches */
static void __dead2 enter_as_from_reset(void)
{
	disable_mmu_icache_el3();
	((void (*)(void))warm_entry)();
	panic();
}

/* Until another core turns this one on; every other interrupt waits */
static void wait_for_wake_sgi(void)
{
	unsigned int mask = gicv2_set_pmr(ONLY_SGIS);
	unsigned int id;

	do {
		dsb();
		wfi();
		id = gicv2_acknowledge_interrupt();
		if ((id & INT_ID_MASK) < GIC_FIRST_SPECIAL) {
			gicv2_end_of_interrupt(id);
		}
	} while ((id & INT_ID_MASK) != WAKE_SGI);
	(void)gicv2_set_pmr(mask);
}

/*
 * Secure interrupts wait until the system is awake.  They are off at the
 * distributor, as a pending one hides those of Linux, of lower priority.
 */
static void wait_for_linux_interrupt(void)
{
	uint32_t secure[GIC_WORDS];

	for (unsigned int n = 0U; n < GIC_WORDS; n++) {
		secure[n] = mmio_read_32(gicd + GICD_ISENABLER + (4U * n)) &
			    ~mmio_read_32(gicd + GICD_IGROUPR + (4U * n));
		mmio_write_32(gicd + GICD_ICENABLER + (4U * n), secure[n]);
	}
	while (read_isr_el1() == 0U) {
		dsb();
		wfi();
	}
	for (unsigned int n = 0U; n < GIC_WORDS; n++) {
		mmio_write_32(gicd + GICD_ISENABLER + (4U * n), secure[n]);
	}
}

static void __dead2 stm32_pwr_domain_pwr_down_wfi(const psci_power_state_t
						  *target_state)
{
	if (is_suspended) {
		is_suspended = false;
		wait_for_linux_interrupt();
		enter_as_from_reset();
	}
	if (is_core0()) {
		wait_for_wake_sgi();
		enter_as_from_reset();
	}
	while (true) {
		dsb();
		wfi();
	}
}

/* The PMIC's I2C controller, as initialize_pmic_i2c() has set it up */
static int get_pmic(struct i2c_handle_s *i2c, uint16_t *address)
{
	struct dt_node_info info;
	void *fdt;
	int node;

	if (fdt_get_address(&fdt) == 0) {
		return -FDT_ERR_NOTFOUND;
	}
	node = fdt_node_offset_by_compatible(fdt, -1, PMIC_COMPATIBLE);
	if (node < 0) {
		return node;
	}
	*address = (uint16_t)(fdt_read_uint32_default(fdt, node, "reg", 0U)
			      << 1);
	dt_fill_device_info(&info, fdt_parent_offset(fdt, node));
	i2c->i2c_base_addr = info.base;
	i2c->dt_status = DT_SECURE;
	i2c->clock = info.clock;
	i2c->i2c_state = I2C_STATE_READY;

	return 0;
}

static void __dead2 stm32_system_off(void)
{
	struct i2c_handle_s i2c = { 0 };
	uint8_t off = PMIC_SWITCH_OFF;
	uint16_t address;

	if (!initialize_pmic_i2c() || (get_pmic(&i2c, &address) != 0)) {
		ERROR("System off: there is no PMIC\n");
	} else if (stm32_i2c_mem_write(&i2c, address, MAIN_CR,
				       I2C_MEMADD_SIZE_8BIT, &off, sizeof(off),
				       PMIC_TIMEOUT_MS) != 0) {
		ERROR("System off: the PMIC does not answer\n");
	}
	while (true) {
		wfi();
	}
}

static void __dead2 stm32_system_reset(void)
{
	stm32mp_system_reset();
}

/* Standby of a core; power-down states are left to hotplug and suspend */
static int stm32_validate_power_state(unsigned int power_state,
				      psci_power_state_t *req_state)
{
	if ((psci_get_pstate_type(power_state) != PSTATE_TYPE_STANDBY) ||
	    (psci_get_pstate_pwrlvl(power_state) != MPIDR_AFFLVL0) ||
	    (psci_get_pstate_id(power_state) != 0U)) {
		return PSCI_E_INVALID_PARAMS;
	}
	req_state->pwr_domain_state[MPIDR_AFFLVL0] = STM32MP_LOCAL_STATE_RET;

	return PSCI_E_SUCCESS;
}

static int stm32_validate_ns_entrypoint(uintptr_t entrypoint)
{
	return (entrypoint < STM32MP_DDR_BASE) ? PSCI_E_INVALID_ADDRESS
					       : PSCI_E_SUCCESS;
}

static void stm32_get_sys_suspend_power_state(psci_power_state_t *req_state)
{
	for (unsigned int i = MPIDR_AFFLVL0; i <= PLAT_MAX_PWR_LVL; i++) {
		req_state->pwr_domain_state[i] = STM32MP_LOCAL_STATE_OFF;
	}
}

static const plat_psci_ops_t stm32_psci_ops = {
	.cpu_standby = stm32_cpu_standby,
	.pwr_domain_on = stm32_pwr_domain_on,
	.pwr_domain_off = stm32_pwr_domain_off,
	.pwr_domain_suspend = stm32_pwr_domain_suspend,
	.pwr_domain_on_finish = stm32_pwr_domain_on_finish,
	.pwr_domain_suspend_finish = stm32_pwr_domain_suspend_finish,
	.pwr_domain_pwr_down_wfi = stm32_pwr_domain_pwr_down_wfi,
	.system_off = stm32_system_off,
	.system_reset = stm32_system_reset,
	.validate_power_state = stm32_validate_power_state,
	.validate_ns_entrypoint = stm32_validate_ns_entrypoint,
	.get_sys_suspend_power_state = stm32_get_sys_suspend_power_state,
};

/* Base of the interrupt controller's distributor */
static uintptr_t get_gicd(void)
{
	uintptr_t base;
	void *fdt;
	int node;

	if (fdt_get_address(&fdt) == 0) {
		panic();
	}
	node = fdt_node_offset_by_compatible(fdt, -1, "arm,cortex-a7-gic");
	if ((node < 0) ||
	    (fdt_get_reg_props_by_index(fdt, node, 0, &base, NULL) < 0)) {
		panic();
	}

	return base;
}

int plat_setup_psci_ops(uintptr_t sec_entrypoint,
			const plat_psci_ops_t **psci_ops)
{
	gicd = get_gicd();
	counter_hz = read_cntfrq_el0();
	warm_entry = sec_entrypoint;
	/* Core 1 reads it before its data cache is on */
	flush_dcache_range((uintptr_t)&counter_hz, sizeof(counter_hz));
	mmio_write_32(VBAR_CR, (uint32_t)sec_entrypoint);
	*psci_ops = &stm32_psci_ops;

	return 0;
}
