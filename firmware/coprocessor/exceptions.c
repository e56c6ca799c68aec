/* SPDX-License-Identifier: MIT */
/*
 * Instructions and exceptions of a Cortex-M: each check logs "ok NAME", or "bad NAME" with what it saw; the last
 * line is "done". With parameter BEATS it then asks for a reset (SYSRESETREQ).
 *
 * A core of v6-M has one fault, HardFault, without registers that say why, no BASEPRI, division or FPU; its vectors
 * are at the begin of its memory, and NVIC's registers are words.
 *
 * Ref: Arm v7-M Architecture Reference Manual (DDI 0403) B1.5 (exceptions), B3.2 (SCB), B3.4 (NVIC), B3.5 (MPU);
 *      v6-M (DDI 0419) A3.2.1 (alignment), B1.5 (exceptions), B3.2, B3.4 (word accesses);
 *      v8-M (DDI 0553) B3.21 (stack limit check), D1.2 MPU_RBAR, MPU_RLAR, UFSR.STKOF
 */
#include "checks.h"
#include "core.h"

const char firmware_name[] = "exceptions";

#ifndef __ARM_ARCH_6M__
#define MAINLINE
#endif

#define VTOR REG32(0xE000ED08u)
#define AIRCR REG32(0xE000ED0Cu)
#define SCR REG32(0xE000ED10u)
#define CCR REG32(0xE000ED14u)
#define SHCSR REG32(0xE000ED24u)
#define CFSR REG32(0xE000ED28u)
#define HFSR REG32(0xE000ED2Cu)
#define MMFAR REG32(0xE000ED34u)
#define BFAR REG32(0xE000ED38u)
#define CPACR REG32(0xE000ED88u)
#define MPU_CTRL REG32(0xE000ED94u)
#define MPU_RBAR REG32(0xE000ED9Cu)
#define MPU_RASR REG32(0xE000EDA0u)
#define MPU_RLAR REG32(0xE000EDA0u) /* v8-M, in the place of MPU_RASR */
#define PRIORITY 0xE000E3F0u        /* of interrupts, by the number of their exception */
#define SYSTEM_PRIORITY 0xE000ED14u /* of the other exceptions */
#define ICSR_PENDSVSET (1u << 28)
#define SHCSR_ENABLE (7u << 16) /* MemManage, BusFault, UsageFault */
#define CCR_UNALIGN_TRP (1u << 3)
#define CCR_DIV_0_TRP (1u << 4)
#define SCR_SEVONPEND (1u << 4)
#if __ARM_ARCH == 8
#define NO_MEMORY 0x38000000u
#else
#define NO_MEMORY 0x90000000u
#endif
#define PERIPHERALS 48u

enum { HARD_FAULT = 3, MEM_MANAGE, BUS_FAULT, USAGE_FAULT, SVC = 11, PEND_SV = 14, SYS_TICK, IRQ_LOW = 36, IRQ_HIGH };

typedef void handler(void);
#ifdef MAINLINE
static handler *table[PERIPHERALS] __attribute__((aligned(256)));
#else
#define table ((handler **)VECTORS)
#endif
static volatile uint32_t order, ticks;
static volatile struct {
	uint32_t exception, status, hard, address, exc_return;
} seen;

/* Every exception appends its digit: nesting and tail-chaining show in the order. */
static void note(uint32_t digit)
{
	order = order << 4 | digit;
}

/* A fault: what the registers say; the return is to the address in r7. */
__attribute__((used)) static void record_fault(uint32_t *frame, uint32_t exception, uint32_t resume)
{
	seen.exception = exception;
#ifdef MAINLINE
	seen.status = CFSR;
	seen.hard = HFSR;
	seen.address = exception == BUS_FAULT ? BFAR : MMFAR;
	CFSR = CFSR;
	HFSR = HFSR;
#endif
	frame[6] = resume & ~1u;
	frame[7] |= 1u << 24; /* Thumb state, which INVSTATE lost */
}

/* The frame is on the stack that bit 2 of EXC_RETURN says. */
__attribute__((naked)) static void fault_handler(void)
{
	__asm volatile(".syntax unified\n\t"
		       "mrs r0, msp\n\tmov r1, lr\n\tlsrs r1, r1, #3\n\tbcc 1f\n\tmrs r0, psp\n"
		       "1:\n\tmrs r1, ipsr\n\tmov r2, r7\n\tpush {r3, lr}\n\tbl record_fault\n\tpop {r3, pc}");
}

/* Executes an instruction that faults; goes on after it. */
#define FAULTING(instructions, ...) \
	__asm volatile(".syntax unified\n\tadr r7, 1f\n\t" instructions "\n\t.align 2\n1:" ::__VA_ARGS__ \
		       : "r0", "r1", "r2", "r3", "r7", "ip", "lr", "cc", "memory")

__attribute__((used)) static void take_svc(const uint32_t *frame, uint32_t exc_return)
{
	note(1);
	seen.exc_return = exc_return;
	seen.status = ((const uint8_t *)frame[6])[-2]; /* the instruction's number */
	ICSR = ICSR_PENDSVSET;
}

__attribute__((naked)) static void svc_handler(void)
{
	__asm volatile("mov r0, sp\n\tmov r1, lr\n\tb take_svc");
}

static void pend_sv_handler(void)
{
	note(2);
}

static void sys_tick_handler(void)
{
	ticks++;
}

static void pend(uint32_t exception)
{
	REG32(0xE000E200u + 4 * ((exception - 16) / 32)) = 1u << (exception - 16) % 32;
	__asm volatile("dsb\n\tisb" ::: "memory");
}

static void low_handler(void)
{
	note(3);
	if (order == 3)
		pend(IRQ_HIGH);
	note(4);
}

static void high_handler(void)
{
	note(5);
}

static uint32_t svc(void)
{
	order = 0;
	__asm volatile("svc #42" ::: "memory");
	return order == 0x12 && seen.status == 42 ? 0 : order << 16 | seen.status;
}

static uint32_t sys_tick(void)
{
	ticks = 0;
	tick_start();
	while (ticks < 3)
		wait_for_interrupt();
	SYST_CSR = 0;
	return 0;
}

static uint32_t nested(void)
{
	order = 0;
	pend(IRQ_LOW);
	return order == 0x354 ? 0 : order;
}

static uint32_t primask(void)
{
	uint32_t masked;

	order = 6;
	interrupts_off();
	pend(IRQ_HIGH);
	wait_for_interrupt(); /* a masked interrupt ends it */
	masked = order;
	__asm volatile("cpsie i\n\tisb" ::: "memory");
	return masked == 6 && order == 0x65 ? 0 : order;
}

static uint32_t wait_for_event(void)
{
	__asm volatile("sev\n\twfe" ::: "memory");
	SCR = SCR_SEVONPEND;
	interrupts_off();
	pend(IRQ_HIGH);
	__asm volatile("wfe\n\tcpsie i\n\tisb" ::: "memory");
	SCR = 0;
	return 0;
}

/* 0 if the last fault was this one; on v6-M, if there was one. */
static uint32_t was(uint32_t exception, uint32_t status)
{
#ifdef MAINLINE
	uint32_t wrong = seen.exception != exception || (seen.status & status) != status;
#else
	uint32_t wrong = seen.exception != HARD_FAULT || exception < HARD_FAULT || !status;
#endif

	seen.exception = 0;
	return wrong ? seen.status | 1 : 0;
}

static uint32_t undefined(void)
{
	FAULTING("udf #1", );
	return was(USAGE_FAULT, 1u << 16);
}

static uint32_t invalid_state(void)
{
	FAULTING("movs r0, #0x80\n\tbx r0", );
	return was(USAGE_FAULT, 1u << 17);
}

static uint32_t unaligned(void)
{
#ifdef MAINLINE /* v6-M refuses each */
	CCR |= CCR_UNALIGN_TRP;
#endif
	FAULTING("ldr r1, [%0]", "r"((uintptr_t)&order + 1));
#ifdef MAINLINE
	CCR &= ~CCR_UNALIGN_TRP;
#endif
	return was(USAGE_FAULT, 1u << 24);
}

static uint32_t bus_fault(void)
{
	FAULTING("ldr r1, [%0]", "r"(NO_MEMORY));
#ifdef MAINLINE
	if (seen.address != NO_MEMORY)
		return seen.address;
#endif
	return was(BUS_FAULT, 1u << 9 | 1u << 15);
}

#ifdef MAINLINE
static uint32_t basepri(void)
{
	uint32_t masked;

	order = 6;
	__asm volatile("msr basepri, %0\n\tisb" ::"r"(0x60) : "memory");
	pend(IRQ_LOW);
	pend(IRQ_HIGH);
	masked = order;
	__asm volatile("msr basepri, %0\n\tisb" ::"r"(0) : "memory");
	return masked == 0x65 && order == 0x6534 ? 0 : order;
}

static uint32_t divide_by_zero(void)
{
	CCR |= CCR_DIV_0_TRP;
	FAULTING("mov r0, #0\n\tudiv r1, r0, r0", );
	CCR &= ~CCR_DIV_0_TRP;
	return was(USAGE_FAULT, 1u << 25);
}

static uint32_t no_coprocessor(void)
{
	CPACR = 0;
	__asm volatile("dsb\n\tisb" ::: "memory");
	FAULTING(".inst.w 0xee000a10", ); /* vmov s0, r0 */
	return was(USAGE_FAULT, 1u << 19);
}

static uint32_t fpu(void)
{
	uint32_t sum;

	CPACR = 0xf << 20;
	__asm volatile("dsb\n\tisb\n\t"
		       "mov r1, #0x3f800000\n\t"
		       ".inst.w 0xee001a10\n\t" /* vmov s0, r1: 1.0 */
		       ".inst.w 0xee300a00\n\t" /* vadd.f32 s0, s0, s0 */
		       ".inst.w 0xee100a10\n\t" /* vmov r0, s0 */
		       "mov %0, r0"
		       : "=r"(sum)::"r0", "r1");
	svc(); /* with a frame that has room for the FPU's registers */
	return sum == 0x40000000 && !(seen.exc_return & 1u << 4) ? 0 : sum;
}

static uint32_t forced(void)
{
	SHCSR &= ~SHCSR_ENABLE;
	FAULTING("udf #1", );
	SHCSR |= SHCSR_ENABLE;
	return seen.hard & 1u << 30 ? was(HARD_FAULT, 1u << 16) : seen.hard;
}

/* Region 0: the 32 bytes at `base`, with these access rights, over the default map. */
static void protect(const volatile void *base, uint32_t attributes)
{
#if __ARM_ARCH == 8
	MPU_RBAR = (uintptr_t)base | attributes;
	MPU_RLAR = (uintptr_t)base | 1;
#else
	MPU_RBAR = (uintptr_t)base | 1u << 4;
	MPU_RASR = attributes | 4u << 1 | 1;
#endif
	MPU_CTRL = 5;
	__asm volatile("dsb\n\tisb" ::: "memory");
}

#if __ARM_ARCH == 8
#define READ_ONLY (2u << 1)
#define EXECUTE_NEVER (1u << 1 | 1u) /* for all software, to read and write */
#else
#define READ_ONLY (6u << 24)
#define EXECUTE_NEVER (1u << 28 | 3u << 24)
#endif

static volatile uint32_t guarded[8] __attribute__((aligned(32))) = { 0x47704770 }; /* bx lr */

static uint32_t mpu_refuses_data(void)
{
	protect(guarded, READ_ONLY);
	FAULTING("str r1, [%0]", "r"(guarded));
	MPU_CTRL = 0;
	if (seen.address != (uintptr_t)guarded || guarded[0] != 0x47704770)
		return seen.address | 1;
	return was(MEM_MANAGE, 1u << 1 | 1u << 7);
}

static uint32_t mpu_refuses_code(void)
{
	protect(guarded, EXECUTE_NEVER);
	FAULTING("blx %0", "r"((uintptr_t)guarded | 1));
	MPU_CTRL = 0;
	return was(MEM_MANAGE, 1u << 0);
}
#endif

#if __ARM_ARCH == 8
/* A stack pointer below its limit is refused before it moves: the frame is above it. */
static uint32_t stack_limit(void)
{
	static uint64_t stack[64];

	__asm volatile("msr psplim, %0\n\tmsr psp, %1\n\tmrs r4, control\n\torr r1, r4, #2\n\tmsr control, r1\n\tisb\n\t"
		       "adr r7, 1f\n\tsub sp, sp, #508\n\tsub sp, sp, #508\n\t.align 2\n"
		       "1:\n\tmsr control, r4\n\tisb\n\tmovs r1, #0\n\tmsr psplim, r1" ::"r"(stack),
		       "r"(stack + 64)
		       : "r0", "r1", "r2", "r3", "r4", "r7", "ip", "lr", "cc", "memory");
	return was(USAGE_FAULT, 1u << 20);
}
#endif

static const struct check checks[] = {
	CHECK(svc), CHECK(sys_tick), CHECK(nested), CHECK(primask), CHECK(wait_for_event), CHECK(undefined),
	CHECK(invalid_state), CHECK(unaligned), CHECK(bus_fault),
#ifdef MAINLINE
	CHECK(basepri), CHECK(divide_by_zero), CHECK(no_coprocessor), CHECK(fpu), CHECK(forced),
	CHECK(mpu_refuses_data), CHECK(mpu_refuses_code),
#endif
#if __ARM_ARCH == 8
	CHECK(stack_limit),
#endif
};

static void set_priority(uint32_t registers, uint32_t exception, uint32_t priority)
{
	uint32_t at = registers + exception, shift = 8 * (at & 3);

	REG32(at & ~3u) = (REG32(at & ~3u) & ~(0xffu << shift)) | priority << shift;
}

static void take_exceptions(void)
{
	for (uint32_t n = HARD_FAULT; n <= USAGE_FAULT; n++)
		table[n] = fault_handler; /* v6-M: the others are reserved */
	table[SVC] = svc_handler;
	table[PEND_SV] = pend_sv_handler;
	table[SYS_TICK] = sys_tick_handler;
	table[IRQ_LOW] = low_handler;
	table[IRQ_HIGH] = high_handler;
	set_priority(SYSTEM_PRIORITY, PEND_SV, 0xc0);
	set_priority(PRIORITY, IRQ_LOW, 0x80);
	set_priority(PRIORITY, IRQ_HIGH, 0x40);
	REG32(0xE000E100u) = 3u << (IRQ_LOW - 16);
#ifdef MAINLINE
	VTOR = (uintptr_t)table;
	SHCSR |= SHCSR_ENABLE;
#endif
	__asm volatile("dsb\n\tisb\n\tcpsie i" ::: "memory");
}

int main(void)
{
	take_exceptions();
	run_checks(checks, sizeof(checks) / sizeof(*checks));
	interrupts_off();
	tick_start();
	while (!parameter(PARAMETER_BEATS, 0))
		live_one_tick();
	AIRCR = 0x05fa0004;
	for (;;)
		wait_for_interrupt();
}
