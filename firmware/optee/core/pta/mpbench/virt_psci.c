// SPDX-License-Identifier: BSD-2-Clause
/*
 * Power off and reset of a 32-bit QEMU machine "virt", for PSCI. There OP-TEE is
 * the monitor, and its platform has neither: Linux would halt where it should
 * reboot. In 64 bit TF-A does the same.
 *
 * A GPIO controller that only the secure world sees is wired to the machine's
 * power: line 0 switches it off, line 1 resets it.
 *
 * Ref: QEMU hw/arm/virt.c create_secure_gpio_keys(), hw/gpio/gpio_pwr.c;
 *      TF-A plat/qemu/common/qemu_pm.c; PL061 (Arm DDI 0190) 3.2
 */

#include <io.h>
#include <mm/core_memprot.h>
#include <sm/psci.h>
#include <util.h>

#define SECURE_GPIO_PA	0x090b0000
#define GPIO_SIZE	0x1000
/* Bits 9 to 2 of the address of the data register select the lines */
#define GPIO_DATA(line)	(BIT(line) << 2)
#define GPIO_DIR	0x400
#define LINE_OFF	0
#define LINE_RESET	1

register_phys_mem_pgdir(MEM_AREA_IO_SEC, SECURE_GPIO_PA, GPIO_SIZE);

static void pulse(unsigned int line)
{
	vaddr_t gpio = core_mmu_get_va(SECURE_GPIO_PA, MEM_AREA_IO_SEC,
				       GPIO_SIZE);

	io_setbits32(gpio + GPIO_DIR, BIT(line));
	io_write32(gpio + GPIO_DATA(line), 0);
	io_write32(gpio + GPIO_DATA(line), BIT(line));
}

void psci_system_off(void)
{
	pulse(LINE_OFF);
}

void psci_system_reset(void)
{
	pulse(LINE_RESET);
}
