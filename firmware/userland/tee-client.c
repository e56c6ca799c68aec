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
#include "program.h"

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

/* ------------------------------------------------------------------------------------------------ words */

const char program[] = "tee-client";

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

static void say_answer(long answer, uint32_t ret, uint32_t origin)
{
	say_errno(answer);
	say("ret", ret);
	say("origin", origin);
	failed |= ret != 0;
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

	if (offset > memory[n].size || size > memory[n].size - offset || size > LINE / 2 - 64)
		wrong("so much can't be shown");
	put_bytes(memory[n].at + offset, size);
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

const struct action actions[] = {
	{ "version", do_version }, { "context", do_context }, { "on", do_on },
	{ "leave", do_leave }, { "session", do_session }, { "invoke", do_invoke },
	{ "close", do_close }, { "cancel", do_cancel }, { "canceller", do_canceller },
	{ "alloc", do_alloc }, { "register", do_register }, { "fill", do_fill },
	{ "show", do_show }, { "free", do_free }, { "fork", do_fork },
	{ "meet", do_meet }, { "hold", do_hold },
};
const unsigned int actions_count = sizeof(actions) / sizeof(actions[0]);

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
