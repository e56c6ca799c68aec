/* SPDX-License-Identifier: MIT */
/* See program.h. Ref: syscall(2), vdso(7); Linux arch/arm{,64}: system call numbers. */
#include "program.h"

#if defined(__aarch64__)
long call6(long number, long a, long b, long c, long d, long e, long f)
{
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = f;

	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
	return x0;
}

__asm__(".globl _start\n_start: ldr x0, [sp]\n add x1, sp, 8\n bl main\n mov x8, 94\n svc 0\n");
#else
long call6(long number, long a, long b, long c, long d, long e, long f)
{
	register long r7 __asm__("r7") = number;
	register long r0 __asm__("r0") = a;
	register long r1 __asm__("r1") = b;
	register long r2 __asm__("r2") = c;
	register long r3 __asm__("r3") = d;
	register long r4 __asm__("r4") = e;
	register long r5 __asm__("r5") = f;

	__asm__ volatile("svc 0" : "+r"(r0) : "r"(r7), "r"(r1), "r"(r2), "r"(r3), "r"(r4), "r"(r5) : "memory");
	return r0;
}

__asm__(".arm\n.globl _start\n_start: ldr r0, [sp]\n add r1, sp, #4\n bl main\n mov r7, #248\n svc 0\n");
#endif

void quit(int code)
{
	for (;;)
		call(EXIT, code, 0, 0);
}

long fork(void)
{
	long child = call6(CLONE, SIGCHLD, 0, 0, 0, 0, 0);

	if (child == 0)
		call(PRCTL, PR_SET_PDEATHSIG, SIGKILL, 0);
	return child;
}

uint32_t now_ms(void)
{
	struct timespec64 now;

	call(CLOCK_GETTIME, CLOCK_MONOTONIC, &now, 0);
	return (uint32_t)now.s * 1000 + (uint32_t)now.ns / 1000000;
}

uint64_t now_ns(void)
{
	struct timespec64 now;

	call(CLOCK_GETTIME, CLOCK_MONOTONIC, &now, 0);
	return (uint64_t)now.s * 1000000000 + (uint64_t)now.ns;
}

void sleep_ms(uint32_t ms)
{
	struct timespec64 time = { ms / 1000, (int64_t)(ms % 1000) * 1000000 };

	call6(CLOCK_NANOSLEEP, CLOCK_MONOTONIC, 0, (long)&time, 0, 0, 0);
}

/* The compiler may ask for these, with or without a library */
void *memset(void *to, int byte, unsigned long size)
{
	for (volatile uint8_t *at = to; size--; at++)
		*at = byte;
	return to;
}

void *memcpy(void *to, const void *from, unsigned long size)
{
	volatile uint8_t *at = to;

	for (const uint8_t *source = from; size--; at++, source++)
		*at = *source;
	return to;
}

unsigned int me;

long length(const char *text)
{
	long size = 0;

	while (text[size])
		size++;
	return size;
}

int same(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

void wrong(const char *what)
{
	const char *const parts[] = { program, ": ", what, "\n" };

	for (int n = 0; n < 4; n++)
		call(WRITE, 2, parts[n], length(parts[n]));
	quit(2);
}

char *field(char **rest, char separator)
{
	char *begin = *rest, *end = begin;

	if (!begin)
		return 0;
	while (*end && *end != separator)
		end++;
	*rest = *end ? end + 1 : 0;
	*end = 0;
	return begin;
}

unsigned int digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : 16;
}

uint64_t number(const char *text)
{
	unsigned int base = 10;
	uint64_t found = 0;

	if (text && same(text, "me"))
		return me;
	if (!text || !*text)
		wrong("a number is missing");
	if (text[0] == '0' && text[1] == 'x')
		base = 16, text += 2;
	for (; *text; text++) {
		if (digit(*text) >= base)
			wrong("no number");
		found = found * base + digit(*text);
	}
	return found;
}

/* A line is one write, so that lines of several clients don't mix */
char line[LINE];
long line_size;
int silent, failed, held;
static char lines[16384];
static long lines_size;

void put(const char *text)
{
	while (*text && line_size < (long)sizeof(line) - 1)
		line[line_size++] = *text++;
}

/* In hexadecimal: there is no division without a library on every Arm */
void put_number(uint64_t value)
{
	char text[17], *at = text + 16;

	*at = 0;
	do {
		*--at = "0123456789abcdef"[value & 15];
		value >>= 4;
	} while (value);
	put(at);
}

void say(const char *name, uint64_t value)
{
	put(" ");
	put(name);
	put("=");
	put_number(value);
}

void begin(const char *what)
{
	line_size = 0;
	failed = 0;
	put_number(me);
	put(" ");
	put(what);
}

void say_errno(long answer)
{
	say("errno", answer < 0 ? -answer : 0);
	failed |= answer < 0;
}

static void write_lines(void)
{
	call(WRITE, 1, lines, lines_size);
	lines_size = 0;
}

void end(void)
{
	if (silent && !failed)
		return;
	line[line_size++] = '\n';
	if (lines_size + line_size > (long)sizeof(lines))
		write_lines();
	memcpy(lines + lines_size, line, line_size);
	lines_size += line_size;
	if (!held || silent)
		write_lines();
	if (silent)
		quit(1);
}

void put_bytes(const volatile uint8_t *bytes, uint64_t size)
{
	put(" bytes=");
	for (; size--; bytes++) {
		char text[3] = { "0123456789abcdef"[*bytes >> 4], "0123456789abcdef"[*bytes & 15] };

		put(text);
	}
}

/* The word may be needed again, so it is a copy that is cut to pieces */
void step(const char *word)
{
	char copy[256], *rest = copy, *name;

	if (length(word) >= (long)sizeof(copy))
		wrong("a word is too long");
	for (long n = 0; n <= length(word); n++)
		copy[n] = word[n];
	name = field(&rest, ',');
	for (unsigned int n = 0; n < actions_count; n++) {
		if (same(name, actions[n].name)) {
			begin(name);
			actions[n].act(rest);
			held = 0;
			end();
			return;
		}
	}
	wrong(name);
}
