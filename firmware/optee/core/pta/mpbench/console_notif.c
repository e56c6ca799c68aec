// SPDX-License-Identifier: BSD-2-Clause
/*
 * A producer of asynchronous notifications, which plat-stm32mp2 does not have: a
 * byte that arrives on OP-TEE's console. As plat-vexpress/main.c,
 * console_itr_cb(): the interrupt is disabled and Linux asked for a bottom half,
 * which takes the bytes and enables the interrupt again. So bytes that arrive
 * before it share a notification.
 *
 * stm32_uart.c, OP-TEE's driver of the console, has no receive interrupt, so the
 * registers are used beside it. It neither writes CR1 nor reads RDR.
 *
 * Ref: RM0457, USART: USART_CR1, ISR, ICR, RDR; interrupts of the Cortex-A35
 */

#include <initcall.h>
#include <io.h>
#include <keep.h>
#include <kernel/interrupt.h>
#include <kernel/notif.h>
#include <mm/core_memprot.h>
#include <platform_config.h>
#include <trace.h>

#define USART_SIZE		U(0x400)
#define USART_CR1		U(0x00)
#define USART_ISR		U(0x1c)
#define USART_ICR		U(0x20)
#define USART_RDR		U(0x24)

#define USART_CR1_RE		BIT32(2)
#define USART_CR1_RXFNEIE	BIT32(5)
#define USART_ISR_ORE		BIT32(3)
#define USART_ISR_RXFNE		BIT32(5)

/* USART2: SPI 115 */
#define IT_CONSOLE		U(147)

static vaddr_t usart;

/* An overrun holds the interrupt as a byte does */
static void take_bytes(void)
{
	while (io_read32(usart + USART_ISR) & USART_ISR_RXFNE)
		io_read32(usart + USART_RDR);
	io_write32(usart + USART_ICR, USART_ISR_ORE);
}

static enum itr_return byte_arrived(struct itr_handler *h __unused)
{
	if (notif_async_is_started(0)) {
		io_clrbits32(usart + USART_CR1, USART_CR1_RXFNEIE);
		notif_send_async(NOTIF_VALUE_DO_BOTTOM_HALF, 0);
	} else {
		take_bytes();
	}

	return ITRR_HANDLED;
}

static struct itr_handler handler = {
	.it = IT_CONSOLE,
	.flags = ITRF_TRIGGER_LEVEL,
	.handler = byte_arrived,
};
DECLARE_KEEP_PAGER(handler);

static void bottom_half(struct notif_driver *driver __unused,
			enum notif_event event)
{
	if (event == NOTIF_EVENT_DO_BOTTOM_HALF)
		take_bytes();
	io_setbits32(usart + USART_CR1, USART_CR1_RXFNEIE);
}

/* notif_register_driver() wants one */
static void ignored(struct notif_driver *driver __unused,
		    enum notif_event event __unused, uint16_t guest __unused)
{
}
DECLARE_KEEP_PAGER(ignored);

static struct notif_driver driver = {
	.atomic_cb = ignored,
	.yielding_cb = bottom_half,
};

static TEE_Result init_console_notif(void)
{
	TEE_Result res = TEE_ERROR_GENERIC;

	usart = (vaddr_t)phys_to_virt(USART2_BASE, MEM_AREA_IO_SEC, USART_SIZE);
	if (!usart)
		return TEE_ERROR_GENERIC;

	res = interrupt_add_handler_with_chip(interrupt_get_main_chip(),
					      &handler);
	if (res)
		return res;
	notif_register_driver(&driver);
	take_bytes();
	io_setbits32(usart + USART_CR1, USART_CR1_RE | USART_CR1_RXFNEIE);
	interrupt_enable(handler.chip, handler.it);
	IMSG("A byte on the console is a notification");

	return TEE_SUCCESS;
}

driver_init(init_console_notif);
