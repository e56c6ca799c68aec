/* SPDX-License-Identifier: MIT */
/*
 * Counts 50 times a second, and shows the count in its trace buffer as mpbench reads it: see README.md.
 *
 * Ref: Arm v8-M Architecture Reference Manual B3 (vector table), D1.2 (SYST_*, ICSR);
 *      Linux include/linux/remoteproc.h (struct resource_table, fw_rsc_trace)
 */
#include <stddef.h>
#include <stdint.h>

#define REG32(address) (*(volatile uint32_t *)(address))
#define SYST_CSR REG32(0xE000E010u)
#define SYST_RVR REG32(0xE000E014u)
#define SYST_CVR REG32(0xE000E018u)
#define ICSR REG32(0xE000ED04u)
#define PENDSTCLR (1u << 25)
#define PENDSTSET (1u << 26)

#define CPU_HZ 400000000u
#define COUNT_HZ 50u

/* Shared memory that Linux reads (ipc_shmem of OP-TEE's device tree); in no segment of the ELF. */
#define TRACE_DA 0x81200000u
#define TRACE_SIZE 0x1000u

/* First line: who this is. Second line: which start of the firmware (always the first here), and the beat. */
static const char header[] = "mpbench counter m33 1\nboot 00000001 beat 00000000\n";
#define BEAT_END (sizeof(header) - 2) /* after its last digit */

static volatile char *const trace = (volatile char *)TRACE_DA;

static struct {
	uint32_t version, number, reserved[2], offset;
	struct {
		uint32_t type, da, length, reserved;
		char name[32];
	} trace;
} resource_table __attribute__((section(".resource_table"), used)) = {
	.version = 1,
	.number = 1,
	.offset = 20,
	.trace = { .type = 2 /* RSC_TRACE */, .da = TRACE_DA, .length = TRACE_SIZE, .name = "trace" },
};
_Static_assert(sizeof(resource_table) == 20 + 48, "packed as Linux reads it");

/* The lowest digit first: a reader between two writes sees a smaller number, never one not yet reached. */
static void show(uint32_t beat)
{
	for (uint32_t digit = 0; digit < 8; digit++)
		trace[BEAT_END - 1 - digit] = "0123456789abcdef"[beat >> (4 * digit) & 0xf];
}

__attribute__((noreturn)) void reset(void)
{
	__asm volatile("cpsid i"); /* no interrupt handler: the pending tick ends the WFI */
	for (uint32_t at = 1; at < sizeof(header); at++)
		trace[at] = header[at];
	trace[0] = header[0]; /* last, so that no reader sees half a header */

	SYST_RVR = CPU_HZ / COUNT_HZ - 1;
	SYST_CVR = 0;
	SYST_CSR = 7; /* from the core's clock, with its exception, enabled */
	for (uint32_t beat = 1;; beat++) {
		while (!(ICSR & PENDSTSET))
			__asm volatile("dsb\n\twfi" ::: "memory");
		ICSR = PENDSTCLR;
		show(beat);
	}
}

extern uint32_t stack_top[];

static void fault(void)
{
	for (;;)
		__asm volatile("wfi");
}

__attribute__((section(".vectors"), used)) static const uintptr_t vectors[16] = {
	(uintptr_t)stack_top, (uintptr_t)reset, (uintptr_t)fault, (uintptr_t)fault,
	(uintptr_t)fault,     (uintptr_t)fault, (uintptr_t)fault, (uintptr_t)fault,
	(uintptr_t)fault,     (uintptr_t)fault, (uintptr_t)fault, (uintptr_t)fault,
	(uintptr_t)fault,     (uintptr_t)fault, (uintptr_t)fault, (uintptr_t)fault,
};
