/* SPDX-License-Identifier: MIT */
/*
 * The secure state of a Cortex-M33 beside a non-secure one: each check logs "ok NAME", or "bad NAME" with what it saw;
 * the last line is "done".
 *
 * The core starts in the secure world. Memory of the other one, which the firewall lets it use as such, is at OTHER;
 * the code that runs there is copied. In between, at GATEWAY, is secure memory that the other world may call.
 *
 * Ref: Arm v8-M Architecture Reference Manual (DDI 0553) B3.18 (exceptions and security states), B8 (SAU, attribution),
 *      B3.11 (secure and non-secure calls), C2.4 (BLXNS, SG, TT), D1.2 (SAU_*, SFSR, SFAR, NVIC_ITNS; aliases of the
 *      non-secure registers from 0xE002E000 on)
 */
#include "checks.h"
#include "core.h"

const char firmware_name[] = "secure";

#define SECRET REG32(0x80150000u)
#define GATEWAY 0x80160000u
#define OTHER 0x80180000u
#define OTHER_TABLE 0x80184000u
#define OTHER_SEEN 0x80185000u /* what its handlers saw: a fault's status, number of interrupts */
#define OTHER_STACK 0x80186000u
#define OTHER_SIZE 0x10000u

#define SHCSR REG32(0xE000ED24u)
#define VTOR REG32(0xE000ED08u)
#define SAU_CTRL REG32(0xE000EDD0u)
#define SAU_TYPE REG32(0xE000EDD4u)
#define SAU_RNR REG32(0xE000EDD8u)
#define SAU_RBAR REG32(0xE000EDDCu)
#define SAU_RLAR REG32(0xE000EDE0u)
#define SFSR REG32(0xE000EDE4u)
#define SFAR REG32(0xE000EDE8u)
#define NVIC_ITNS REG32(0xE000E380u)
#define OTHER_ISER REG32(0xE002E100u)
#define OTHER_ISPR REG32(0xE002E200u)
#define OTHER_VTOR REG32(0xE002ED08u)
#define OTHER_SHCSR REG32(0xE002ED24u)

#define NON_SECURE 1u
#define CALLABLE 3u /* secure, with gateways */
#define SHCSR_ENABLE (15u << 16) /* MemManage, BusFault, UsageFault, SecureFault */
#define SHCSR_USAGE (1u << 18)
#define INVEP (1u << 0)
#define AUVIOL (1u << 3)
#define SFARVALID (1u << 6)
#define STKOF (1u << 20)
#define TT_S (1u << 22)
#define IRQ 20u
#define MARK 0x12345678u

enum { HARD_FAULT = 3, USAGE_FAULT = 6, SECURE_FAULT, EXCEPTIONS = 16 + IRQ + 1 };

/*
 * What the other world runs; it is at OTHER, so that its functions are found by their distance from the first one. A
 * fault is continued at the next `bx lr`.
 */
__asm(".syntax unified\n\t.section .text.other, \"ax\", %progbits\n\t.balign 4\n"
      "other_code:\n"
      "other_adds:\n\tpush {r4, lr}\n\tadds r0, #1\n\tpop {r4, pc}\n"
      "other_calls:\n\tpush {r4, lr}\n\tblx r0\n\tadds r0, #1\n\tpop {r4, pc}\n"
      "other_reads:\n\tldr r0, [r0]\n\tbx lr\n"
      "other_jumps:\n\tbx r0\n"
      "other_returns:\n\tbx lr\n"
      "other_overflows:\n\tsub sp, #508\n\tbx lr\n"
      "other_fault:\n\tmovw r0, #0xed28\n\tmovt r0, #0xe000\n\tldr r1, [r0]\n\tstr r1, [r0]\n" /* CFSR */
      "\tmovw r0, #0x5000\n\tmovt r0, #0x8018\n\tstr r1, [r0]\n"
      "\tldr r1, [sp, #24]\n\tadds r1, #2\n\tstr r1, [sp, #24]\n\tbx lr\n"
      "other_interrupt:\n\tmovw r0, #0x5004\n\tmovt r0, #0x8018\n\tldr r1, [r0]\n\tadds r1, #1\n\tstr r1, [r0]\n\tbx lr\n"
      "\t.balign 4\nother_end:\n"
      /* Adds what it reads in the secure world */
      "gateway_code:\n\tsg\n\tmovw r1, #0\n\tmovt r1, #0x8015\n\tldr r1, [r1]\n\tadds r0, r0, r1\n\tbxns lr\n"
      "\t.balign 4\ngateway_end:\n\t.previous");

extern const uint32_t other_code[], other_end[], gateway_code[], gateway_end[];
extern const char other_adds[], other_calls[], other_reads[], other_jumps[], other_returns[], other_overflows[],
	other_fault[], other_interrupt[];

static void (*table[EXCEPTIONS])(void) __attribute__((aligned(256)));
static volatile struct {
	uint32_t exception, status, address, exc_return;
} seen;

/* Where a function of the other world is there */
static uint32_t other(const char *function)
{
	return OTHER + (uint32_t)(function - (const char *)other_code);
}

/* A fault of the other world, whose frame is on its stack: it returns to its caller. */
__attribute__((used)) static void record_fault(uint32_t *frame, uint32_t exception, uint32_t exc_return)
{
	seen.exception = exception;
	seen.status = SFSR;
	seen.address = SFAR;
	seen.exc_return = exc_return;
	SFSR = seen.status;
	frame[6] = other(other_returns);
	frame[7] |= 1u << 24;
}

__attribute__((naked)) static void fault_handler(void)
{
	__asm volatile("mrs r0, msp_ns\n\tmrs r1, ipsr\n\tmov r2, lr\n\tpush {r3, lr}\n\tbl record_fault\n\tpop {r3, pc}");
}

/* The stack is aligned to 8 bytes there, as BLXNS wants it. */
__attribute__((naked, noinline)) static uint32_t branch(uint32_t argument, uint32_t address)
{
	(void)argument, (void)address;
	__asm volatile("push {r3, lr}\n\tblxns r1\n\tpop {r3, pc}");
}

static uint32_t call_other(const char *function, uint32_t argument)
{
	return branch(argument, other(function));
}

static uint32_t attribution(uint32_t address)
{
	uint32_t found;

	__asm volatile("tt %0, %1" : "=r"(found) : "r"(address));
	return found;
}

static void attribute(uint32_t region, uint32_t base, uint32_t size, uint32_t what)
{
	SAU_RNR = region;
	SAU_RBAR = base;
	SAU_RLAR = (base + size - 32) | what;
	__asm volatile("dsb\n\tisb" ::: "memory");
}

static void copy(uint32_t to, const uint32_t *from, const uint32_t *end)
{
	for (; from < end; from++, to += 4)
		REG32(to) = *from;
	__asm volatile("dsb\n\tisb" ::: "memory");
}

/* All memory is secure until the SAU says otherwise. */
static uint32_t starts_secure(void)
{
	uint32_t own = attribution(GATEWAY), others = attribution(OTHER);

	return own & others & TT_S && (SAU_TYPE & 0xff) >= 2 ? 0 : own ^ others;
}

static uint32_t attributes(void)
{
	attribute(0, OTHER, OTHER_SIZE, NON_SECURE);
	attribute(1, GATEWAY, 0x1000, CALLABLE);
	SAU_CTRL = 1;
	__asm volatile("dsb\n\tisb" ::: "memory");
	if (!(attribution(GATEWAY) & TT_S) || !(attribution((uintptr_t)table) & TT_S))
		return attribution(GATEWAY) | 1;
	return attribution(OTHER) & TT_S;
}

/*
 * The firewall in front of the memory is told the world that the SAU says: it refuses the wrong one. By the region:
 * QEMU's SAU_CTRL has no effect on addresses that were looked up before.
 */
static uint32_t world_on_the_bus(void)
{
	uint32_t refused;

	REG32(OTHER_SEEN) = MARK;
	attribute(0, OTHER, OTHER_SIZE, 0);
	refused = REG32(OTHER_SEEN);
	attribute(0, OTHER, OTHER_SIZE, NON_SECURE);
	return refused == 0 && REG32(OTHER_SEEN) == MARK ? 0 : refused | 1;
}

static uint32_t calls_the_other(void)
{
	copy(OTHER, other_code, other_end);
	__asm volatile("msr msp_ns, %0\n\tmsr msplim_ns, %1" ::"r"(OTHER_STACK), "r"(OTHER_STACK - 0x100));
	return call_other(other_adds, 41) == 42 ? 0 : 1;
}

static uint32_t gateway(void)
{
	copy(GATEWAY, gateway_code, gateway_end);
	SECRET = 100;
	return call_other(other_calls, GATEWAY | 1) == (GATEWAY | 1) + 100 + 1 ? 0 : 1;
}

/* 0 if the last fault was a SecureFault for this reason, from the other world's thread */
static uint32_t was(uint32_t status)
{
	uint32_t wrong = seen.exception != SECURE_FAULT || (seen.status & status) != status || seen.exc_return & 1u << 6;

	seen.exception = 0;
	return wrong ? seen.status << 8 | seen.exc_return << 1 | 1 : 0;
}

static uint32_t refuses_a_read(void)
{
	uint32_t address = (uintptr_t)&SECRET;

	if (call_other(other_reads, address) == SECRET)
		return 1;
	return seen.address == address ? was(AUVIOL | SFARVALID) : seen.address;
}

static uint32_t refuses_a_jump(void)
{
	call_other(other_jumps, (uintptr_t)gateway | 1);
	return was(INVEP);
}

/* Past the first instruction, SG, a gateway is no entry either. */
static uint32_t refuses_a_jump_into_a_gateway(void)
{
	call_other(other_jumps, (GATEWAY + 4) | 1);
	return was(INVEP);
}

static uint32_t stack_limit_of_the_other(void)
{
	REG32(OTHER_TABLE + 4 * USAGE_FAULT) = other(other_fault) | 1;
	REG32(OTHER_SEEN) = 0;
	OTHER_VTOR = OTHER_TABLE;
	OTHER_SHCSR |= SHCSR_USAGE;
	call_other(other_overflows, 0);
	return REG32(OTHER_SEEN) == STKOF ? 0 : REG32(OTHER_SEEN) | 1;
}

static uint32_t interrupt_of_the_other(void)
{
	REG32(OTHER_TABLE + 4 * (16 + IRQ)) = other(other_interrupt) | 1;
	REG32(OTHER_SEEN + 4) = 0;
	NVIC_ITNS = 1u << IRQ;
	OTHER_ISER = 1u << IRQ;
	OTHER_ISPR = 1u << IRQ;
	__asm volatile("dsb\n\tisb" ::: "memory");
	return REG32(OTHER_SEEN + 4) == 1 ? 0 : REG32(OTHER_SEEN + 4) | 2;
}

static uint32_t vectors_are_apart(void)
{
	return VTOR == (uintptr_t)table && OTHER_VTOR == OTHER_TABLE ? 0 : VTOR;
}

static const struct check checks[] = {
	CHECK(starts_secure), CHECK(attributes), CHECK(world_on_the_bus), CHECK(calls_the_other), CHECK(gateway),
	CHECK(refuses_a_read), CHECK(refuses_a_jump), CHECK(refuses_a_jump_into_a_gateway),
	CHECK(stack_limit_of_the_other), CHECK(interrupt_of_the_other), CHECK(vectors_are_apart),
};

int main(void)
{
	for (uint32_t n = HARD_FAULT; n <= SECURE_FAULT; n++)
		table[n] = fault_handler;
	VTOR = (uintptr_t)table;
	SHCSR |= SHCSR_ENABLE;
	__asm volatile("dsb\n\tisb\n\tcpsie i" ::: "memory");
	run_checks(checks, sizeof(checks) / sizeof(*checks));
	for (;;)
		wait_for_interrupt();
}
