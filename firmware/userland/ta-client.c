/* SPDX-License-Identifier: MIT */
/*
 * A stranger in user space: opens a session with the remoteproc TA and says what came of it, as
 * "ret ffff000d origin 3", or "errno 2" if it got no further than Linux; all numbers are hexadecimal.
 *   ta-client PROCESSOR-ID
 * Neither libc nor libteec: a board may have none of them, or others.
 * Ref: Linux include/uapi/linux/tee.h, struct tee_ioctl_open_session_arg; syscall(2).
 */
#include <stdint.h>

#define DEVICE "/dev/tee0"
#define AT_FDCWD (-100)
#define O_RDWR 2
#define VALUE_INPUT 1
#define OPEN_SESSION 0x8010a402ul /* _IOR(0xa4, 2, struct buffer) */
#define PARAMS 4

struct buffer {
	uint64_t ptr, len;
};

struct open_session {
	uint8_t uuid[16], client_uuid[16];
	uint32_t login, cancel_id, session, ret, ret_origin, num_params;
	struct {
		uint64_t attr, a, b, c;
	} params[PARAMS];
};

#if defined(__aarch64__)
enum { IOCTL = 29, OPENAT = 56, WRITE = 64, EXIT = 93 };

static long call(long number, long a, long b, long c)
{
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = 0;

	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
	return x0;
}

__asm__(".globl _start\n_start: ldr x0, [sp]\n add x1, sp, 8\n bl main\n mov x8, 93\n svc 0\n");
#else
enum { EXIT = 1, WRITE = 4, IOCTL = 54, OPENAT = 322 };

static long call(long number, long a, long b, long c)
{
	register long r7 __asm__("r7") = number;
	register long r0 __asm__("r0") = a;
	register long r1 __asm__("r1") = b;
	register long r2 __asm__("r2") = c;
	register long r3 __asm__("r3") = 0;

	__asm__ volatile("svc 0" : "+r"(r0) : "r"(r7), "r"(r1), "r"(r2), "r"(r3) : "memory");
	return r0;
}

__asm__(".arm\n.globl _start\n_start: ldr r0, [sp]\n add r1, sp, #4\n bl main\n mov r7, #1\n svc 0\n");
#endif

static void say(const char *text)
{
	long size = 0;

	while (text[size])
		size++;
	call(WRITE, 1, (long)text, size);
}

/* In hexadecimal: there is no division without a library on every Arm */
static void say_number(uint32_t number)
{
	char text[9], *at = text + 8;

	*at = 0;
	do {
		*--at = "0123456789abcdef"[number & 15];
		number >>= 4;
	} while (number);
	say(at);
}

static struct open_session session = {
	.uuid = { 0x80, 0xa4, 0xc2, 0x75, 0x0a, 0x47, 0x49, 0x05,
		  0x82, 0x85, 0x14, 0x86, 0xa9, 0x77, 0x1a, 0x08 },
	.num_params = PARAMS,
	.params = { { .attr = VALUE_INPUT } },
};

int main(int argc, char **argv)
{
	struct buffer buffer = { (uintptr_t)&session, sizeof(session) };
	long answer = call(OPENAT, AT_FDCWD, (long)DEVICE, O_RDWR);

	for (char *digit = argc > 1 ? argv[1] : ""; *digit; digit++)
		session.params[0].a = session.params[0].a * 10 + *digit - '0';
	if (answer >= 0)
		answer = call(IOCTL, answer, OPEN_SESSION, (long)&buffer);
	if (answer < 0) {
		say("errno ");
		say_number(-answer);
	} else {
		say("ret ");
		say_number(session.ret);
		say(" origin ");
		say_number(session.ret_origin);
	}
	say("\n");
	return answer < 0;
}
