/* SPDX-License-Identifier: MIT */
/*
 * A client of the TEE that does what its words say, one after the other, and a line for each:
 *   tee-client context session,d96a5b40-e2c7-b1af-8794-1002a5d5c61b invoke,0,4,o,o
 *   0 context errno=0
 *   0 session errno=0 ret=0 origin=4 id=2
 *   0 invoke errno=0 ret=0 origin=4 a0=3f b0=2a1 a1=3c b1=1f4
 * The first number is that of the client (see fork), all others are hexadecimal; errno is Linux's, ret and
 * origin are the TEE's. Contexts, sessions and memory are numbered from 0 as they are made.
 *
 *   version                      what Linux says of the TEE
 *   context                      open the device; what follows is done in this context
 *   on,CONTEXT                   go on in an earlier one
 *   leave,CONTEXT                close it
 *   session,UUID[,PARAM...]      open a session
 *   invoke,SESSION,COMMAND[,PARAM...]
 *   close,SESSION                close it, in the context of now
 *   cancel,SESSION               ask for cancellation of what runs in it
 *   canceller,SESSION,MS         from here on somebody else asks for that, every so many milliseconds
 *   alloc,SIZE                   memory of Linux' that the TEE shares
 *   register,SIZE                memory of this program's own
 *   fill,MEMORY,BYTE  show,MEMORY,OFFSET,SIZE  free,MEMORY
 *   fork,N                       N clients do the rest
 *   meet                         wait until all of them are here
 *   times,N  forever             repeat the rest; forever: until killed, with a line for 1, 2, 4, 8 ... rounds.
 *                                What one round makes has the same numbers as in the one before.
 *   hold                         stay as it is until killed
 * PARAM: v:A:B, o, io:A:B (values in, out, both); mi:, mo:, mio:MEMORY:OFFSET:SIZE; null (a memory reference
 * to nothing); - (none). A number may be `me`, the number of the client.
 * Ends with 2 for words it does not know; with 1 for a call that failed in `forever`, or a client that did.
 *
 * Neither libc nor libteec: a board may have none of them, or others.
 * Ref: Linux include/uapi/linux/tee.h; syscall(2).
 */
#include <stdint.h>

#define DEVICE "/dev/tee0"

enum {
	VERSION = 0x800ca400,
	SHM_ALLOC = 0xc010a401,
	OPEN_SESSION = 0x8010a402,
	INVOKE = 0x8010a403,
	CANCEL = 0x8008a404,
	CLOSE_SESSION = 0x8004a405,
	SHM_REGISTER = 0xc018a409,
};

enum { VALUE_IN = 1, VALUE_OUT = 2, VALUE_INOUT = 3, MEMORY_IN = 5, MEMORY_OUT = 6, MEMORY_INOUT = 7 };

#define PARAMS 4

struct param {
	uint64_t attr, a, b, c;
};

struct open_session {
	uint8_t uuid[16], client_uuid[16];
	uint32_t login, cancel_id, session, ret, ret_origin, num_params;
	struct param params[PARAMS];
};

struct invoke {
	uint32_t func, session, cancel_id, ret, ret_origin, num_params;
	struct param params[PARAMS];
};

/* ------------------------------------------------------------------------------------------------ Linux */

#define AT_FDCWD (-100)
#define O_RDWR 2
#define SIGKILL 9
#define SIGCHLD 17
#define PROT_READ_WRITE 3
#define MAP_SHARED 1
#define MAP_PRIVATE_ANONYMOUS 0x22
#define CLOCK_MONOTONIC 1
#define PR_SET_PDEATHSIG 1

struct timespec64 {
	int64_t s, ns;
};

#if defined(__aarch64__)
enum {
	CLOSE = 57, PIPE2 = 59, READ = 63, WRITE = 64, PPOLL = 73, EXIT = 94, CLOCK_GETTIME = 113,
	CLOCK_NANOSLEEP = 115, KILL = 129, PRCTL = 167, GETPID = 172, MUNMAP = 215, CLONE = 220, MMAP = 222, WAIT4 = 260,
	IOCTL = 29, OPENAT = 56,
};

static long call6(long number, long a, long b, long c, long d, long e, long f)
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
enum {
	EXIT = 248, READ = 3, WRITE = 4, CLOSE = 6, GETPID = 20, KILL = 37, IOCTL = 54, MUNMAP = 91, WAIT4 = 114,
	CLONE = 120, PRCTL = 172, MMAP = 192, OPENAT = 322, PPOLL = 336, PIPE2 = 359, CLOCK_GETTIME = 403,
	CLOCK_NANOSLEEP = 407,
};

static long call6(long number, long a, long b, long c, long d, long e, long f)
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

#define call(number, a, b, c) call6(number, (long)(a), (long)(b), (long)(c), 0, 0, 0)

static void quit(int code)
{
	for (;;)
		call(EXIT, code, 0, 0);
}

/* As fork(2); the child does not outlive its parent */
static long fork(void)
{
	long child = call6(CLONE, SIGCHLD, 0, 0, 0, 0, 0);

	if (child == 0)
		call(PRCTL, PR_SET_PDEATHSIG, SIGKILL, 0);
	return child;
}

static uint32_t now_ms(void)
{
	struct timespec64 now;

	call(CLOCK_GETTIME, CLOCK_MONOTONIC, &now, 0);
	return (uint32_t)now.s * 1000 + (uint32_t)now.ns / 1000000;
}

static void sleep_ms(uint32_t ms)
{
	struct timespec64 time = { ms / 1000, (int64_t)(ms % 1000) * 1000000 };

	call6(CLOCK_NANOSLEEP, CLOCK_MONOTONIC, 0, (long)&time, 0, 0, 0);
}

/* ------------------------------------------------------------------------------------------------- words */

static unsigned int me; /* number of this client; 0: the only one, or who waits for the others */

static long length(const char *text)
{
	long size = 0;

	while (text[size])
		size++;
	return size;
}

static int same(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

static void wrong(const char *what)
{
	call(WRITE, 2, "tee-client: ", 12);
	call(WRITE, 2, what, length(what));
	call(WRITE, 2, "\n", 1);
	quit(2);
}

/* Cuts the next field off, at the separator; 0 if there is none */
static char *field(char **rest, char separator)
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

static unsigned int digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : 16;
}

static uint64_t number(const char *text)
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

static void uuid(const char *text, uint8_t *bytes)
{
	for (int n = 0; n < 32; text++) {
		if (*text == '-')
			continue;
		if (digit(*text) > 15)
			wrong("no UUID");
		bytes[n / 2] = bytes[n / 2] << 4 | digit(*text);
		n++;
	}
}

/* A line is one write, so that lines of several clients don't mix */
static char line[4096];
static long line_size;
static int silent, failed;

static void put(const char *text)
{
	while (*text && line_size < (long)sizeof(line) - 1)
		line[line_size++] = *text++;
}

/* In hexadecimal: there is no division without a library on every Arm */
static void put_number(uint64_t value)
{
	char text[17], *at = text + 16;

	*at = 0;
	do {
		*--at = "0123456789abcdef"[value & 15];
		value >>= 4;
	} while (value);
	put(at);
}

static void say(const char *name, uint64_t value)
{
	put(" ");
	put(name);
	put("=");
	put_number(value);
}

static void begin(const char *what)
{
	line_size = 0;
	failed = 0;
	put_number(me);
	put(" ");
	put(what);
}

static void say_errno(long answer)
{
	say("errno", answer < 0 ? -answer : 0);
	failed |= answer < 0;
}

static void say_answer(long answer, uint32_t ret, uint32_t origin)
{
	say_errno(answer);
	say("ret", ret);
	say("origin", origin);
	failed |= ret != 0;
}

static void end(void)
{
	if (silent && !failed)
		return;
	line[line_size++] = '\n';
	call(WRITE, 1, line, line_size);
	if (silent)
		quit(1);
}

/* --------------------------------------------------------------------------------------------- the TEE */

#define MOST 64

static int contexts[MOST], context = -1;
static uint32_t sessions[MOST];
static struct {
	int fd, id;
	uint8_t *at;
	uint64_t size;
} memory[MOST];
static unsigned int n_contexts, n_sessions, n_memory;

static unsigned int index_of(const char *text, unsigned int count)
{
	uint64_t found = number(text);

	if (found >= count)
		wrong("a number of something that there is not");
	return found;
}

static unsigned int one_more(unsigned int *count)
{
	if (*count == MOST)
		wrong("too many");
	return (*count)++;
}

static long ask(long request, void *argument, uint64_t size)
{
	struct {
		uint64_t ptr, len;
	} buffer = { (uintptr_t)argument, size };

	return call(IOCTL, context, request, &buffer);
}

static void parse_values(struct param *param, uint64_t attr, char *rest)
{
	param->attr = attr;
	param->a = number(field(&rest, ':'));
	param->b = number(field(&rest, ':'));
}

static void parse_memory(struct param *param, uint64_t attr, char *rest)
{
	param->c = memory[index_of(field(&rest, ':'), n_memory)].id;
	parse_values(param, attr, rest);
}

static void parse_params(struct param *params, char *rest)
{
	for (int n = 0; rest; n++) {
		char *text = field(&rest, ','), *kind = field(&text, ':');

		if (n == PARAMS)
			wrong("more than four parameters");
		if (same(kind, "o"))
			params[n].attr = VALUE_OUT;
		else if (same(kind, "v"))
			parse_values(&params[n], VALUE_IN, text);
		else if (same(kind, "io"))
			parse_values(&params[n], VALUE_INOUT, text);
		else if (same(kind, "mi"))
			parse_memory(&params[n], MEMORY_IN, text);
		else if (same(kind, "mo"))
			parse_memory(&params[n], MEMORY_OUT, text);
		else if (same(kind, "mio"))
			parse_memory(&params[n], MEMORY_INOUT, text);
		else if (same(kind, "null"))
			params[n] = (struct param){ MEMORY_INOUT, 0, 0, (uint64_t)-1 };
		else if (!same(kind, "-"))
			wrong("no kind of a parameter");
	}
}

static void say_params(const struct param *params)
{
	char a[3] = "a0", b[3] = "b0";

	for (int n = 0; n < PARAMS; n++) {
		a[1] = b[1] = '0' + n;
		if (params[n].attr == VALUE_OUT || params[n].attr == VALUE_INOUT)
			say(a, params[n].a), say(b, params[n].b);
		else if (params[n].attr >= MEMORY_OUT)
			say(b, params[n].b);
	}
}

static void do_version(char *rest)
{
	uint32_t found[3] = { 0 };

	(void)rest;
	say_errno(call(IOCTL, context, VERSION, found));
	say("impl", found[0]);
	say("impl_caps", found[1]);
	say("caps", found[2]);
}

static void do_context(char *rest)
{
	(void)rest;
	context = call(OPENAT, AT_FDCWD, DEVICE, O_RDWR);
	contexts[one_more(&n_contexts)] = context;
	say_errno(context);
}

static void do_on(char *rest)
{
	context = contexts[index_of(field(&rest, ','), n_contexts)];
}

static void do_leave(char *rest)
{
	say_errno(call(CLOSE, contexts[index_of(field(&rest, ','), n_contexts)], 0, 0));
}

static void do_session(char *rest)
{
	struct open_session open = { .num_params = PARAMS };
	char *text = field(&rest, ',');
	long answer;

	uuid(text ? text : "", open.uuid);
	parse_params(open.params, rest);
	answer = ask(OPEN_SESSION, &open, sizeof(open));
	sessions[one_more(&n_sessions)] = open.session;
	say_answer(answer, open.ret, open.ret_origin);
	say("id", open.session);
}

static void do_invoke(char *rest)
{
	struct invoke invoke = { .num_params = PARAMS };
	uint32_t began;
	long answer;

	invoke.session = sessions[index_of(field(&rest, ','), n_sessions)];
	invoke.func = number(field(&rest, ','));
	parse_params(invoke.params, rest);
	began = now_ms();
	answer = ask(INVOKE, &invoke, sizeof(invoke));
	say_answer(answer, invoke.ret, invoke.ret_origin);
	say("ms", now_ms() - began);
	say_params(invoke.params);
}

static void do_close(char *rest)
{
	uint32_t session = sessions[index_of(field(&rest, ','), n_sessions)];

	say_errno(call(IOCTL, context, CLOSE_SESSION, &session));
}

static long cancel(uint32_t session)
{
	uint32_t request[2] = { 0, session };

	return call(IOCTL, context, CANCEL, request);
}

static void do_cancel(char *rest)
{
	say_errno(cancel(sessions[index_of(field(&rest, ','), n_sessions)]));
}

static long canceller;

static void do_canceller(char *rest)
{
	uint32_t session = sessions[index_of(field(&rest, ','), n_sessions)];
	uint32_t ms = number(field(&rest, ','));

	canceller = fork();
	while (canceller == 0) {
		sleep_ms(ms);
		cancel(session);
	}
	say_errno(canceller);
}

static void do_alloc(char *rest)
{
	struct {
		uint64_t size;
		uint32_t flags;
		int32_t id;
	} wanted = { .size = number(field(&rest, ',')) };
	long fd = call(IOCTL, context, SHM_ALLOC, &wanted), at = 0;
	unsigned int n = one_more(&n_memory);

	if (fd >= 0)
		at = call6(MMAP, 0, wanted.size, PROT_READ_WRITE, MAP_SHARED, fd, 0);
	memory[n].fd = fd;
	memory[n].id = wanted.id;
	memory[n].at = (uint8_t *)at;
	memory[n].size = wanted.size;
	say_errno(fd < 0 ? fd : at < 0 && at > -4096 ? at : 0);
	say("id", wanted.id);
	say("size", wanted.size);
}

static void do_register(char *rest)
{
	uint64_t size = number(field(&rest, ','));
	long at = call6(MMAP, 0, size, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0);
	struct {
		uint64_t addr, length;
		uint32_t flags;
		int32_t id;
	} wanted = { .addr = (unsigned long)at, .length = size };
	long fd = at < 0 && at > -4096 ? at : call(IOCTL, context, SHM_REGISTER, &wanted);
	unsigned int n = one_more(&n_memory);

	memory[n].fd = fd;
	memory[n].id = wanted.id;
	memory[n].at = (uint8_t *)at;
	memory[n].size = size;
	say_errno(fd);
	say("id", wanted.id);
	say("size", wanted.length);
}

static unsigned int mapped(char **rest)
{
	unsigned int n = index_of(field(rest, ','), n_memory);

	if (memory[n].fd < 0)
		wrong("this memory is not there");
	return n;
}

static void do_fill(char *rest)
{
	unsigned int n = mapped(&rest), byte = number(field(&rest, ','));

	for (volatile uint8_t *at = memory[n].at; at < memory[n].at + memory[n].size; at++)
		*at = byte;
}

static void do_show(char *rest)
{
	unsigned int n = mapped(&rest);
	uint64_t offset = number(field(&rest, ',')), size = number(field(&rest, ','));

	if (offset > memory[n].size || size > memory[n].size - offset || size > sizeof(line) / 2 - 64)
		wrong("so much can't be shown");
	put(" bytes=");
	for (volatile uint8_t *at = memory[n].at + offset; size--; at++) {
		char text[3] = { "0123456789abcdef"[*at >> 4], "0123456789abcdef"[*at & 15] };

		put(text);
	}
}

static void do_free(char *rest)
{
	unsigned int n = mapped(&rest);

	call(MUNMAP, memory[n].at, memory[n].size, 0);
	say_errno(call(CLOSE, memory[n].fd, 0, 0));
	memory[n].fd = -1;
}

/* -------------------------------------------------------------------------------------- several clients */

enum { THERE, GO, ENDS };
static int pipes[ENDS][2]; /* clients write to THERE that they are, and read from GO until it is closed */

/* Who has forked waits; its clients go on from here */
static void do_fork(char *rest)
{
	unsigned int count = number(field(&rest, ',')), there = 0;
	int status, worst = 0;
	char byte;

	for (int n = 0; n < ENDS; n++)
		call(PIPE2, pipes[n], 0, 0);
	for (unsigned int n = 1; n <= count; n++) {
		long child = fork();

		if (child == 0) {
			me = n;
			call(CLOSE, pipes[GO][1], 0, 0);
			begin("fork");
			say("pid", call(GETPID, 0, 0, 0));
			return;
		}
		if (child < 0)
			worst = 1;
	}
	call(CLOSE, pipes[THERE][1], 0, 0);
	while (call(READ, pipes[THERE][0], &byte, 1) == 1)
		if (++there == count)
			break;
	call(CLOSE, pipes[GO][1], 0, 0);
	while (call6(WAIT4, -1, (long)&status, 0, 0, 0, 0) > 0)
		worst |= status != 0;
	quit(worst);
}

static void do_meet(char *rest)
{
	char byte = 0;

	(void)rest;
	call(WRITE, pipes[THERE][1], &byte, 1);
	call(CLOSE, pipes[THERE][1], 0, 0);
	call(READ, pipes[GO][0], &byte, 1);
}

static void do_hold(char *rest)
{
	(void)rest;
	say("pid", call(GETPID, 0, 0, 0));
	end();
	for (;;)
		call6(PPOLL, 0, 0, 0, 0, 0, 0);
}

/* ----------------------------------------------------------------------------------------------- script */

static const struct {
	const char *name;
	void (*act)(char *rest);
} table[] = {
	{ "version", do_version }, { "context", do_context }, { "on", do_on },
	{ "leave", do_leave }, { "session", do_session }, { "invoke", do_invoke },
	{ "close", do_close }, { "cancel", do_cancel }, { "canceller", do_canceller },
	{ "alloc", do_alloc }, { "register", do_register }, { "fill", do_fill },
	{ "show", do_show }, { "free", do_free }, { "fork", do_fork },
	{ "meet", do_meet }, { "hold", do_hold },
};

/* The word may be needed again, so it is a copy that is cut to pieces */
static void step(const char *word)
{
	char copy[256], *rest = copy, *name;

	if (length(word) >= (long)sizeof(copy))
		wrong("a word is too long");
	for (long n = 0; n <= length(word); n++)
		copy[n] = word[n];
	name = field(&rest, ',');
	for (unsigned int n = 0; n < sizeof(table) / sizeof(table[0]); n++) {
		if (same(name, table[n].name)) {
			begin(name);
			table[n].act(rest);
			end();
			return;
		}
	}
	wrong(name);
}

static void script(char **words);

/* The rest, as often as this; what a round has made is forgotten by the next one, unless it stays open */
static void repeat(char **words, uint64_t rounds, int silently)
{
	unsigned int had[3] = { n_contexts, n_sessions, n_memory };
	int was = context;

	for (uint64_t round = 1; !rounds || round <= rounds; round++) {
		n_contexts = had[0];
		n_sessions = had[1];
		n_memory = had[2];
		context = was;
		silent = silently;
		script(words);
		silent = 0;
		if (!silently || round & (round - 1))
			continue;
		begin("rounds");
		say("n", round);
		end();
	}
}

static void script(char **words)
{
	for (; *words; words++) {
		char *rest = *words;

		if (same(rest, "forever")) {
			repeat(words + 1, 0, 1);
		} else if (rest[0] == 't' && rest[1] == 'i' && rest[2] == 'm' && rest[3] == 'e' && rest[4] == 's') {
			repeat(words + 1, number(rest[5] ? rest + 6 : 0), 0);
			return;
		}
		step(*words);
	}
}

int main(int argc, char **argv)
{
	(void)argc;
	script(argv + 1);
	if (canceller > 0)
		call(KILL, canceller, SIGKILL, 0);
	return 0;
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
