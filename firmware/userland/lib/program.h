/* SPDX-License-Identifier: MIT */
/*
 * What the programs for a board's Linux have in common: system calls without a C library, words of the command line
 * that are done one after the other, a line of output for each.
 *
 *   0 invoke errno=0 ret=0 bytes=0a0b
 *
 * The first number is that of the client, all others are hexadecimal.
 */
#ifndef PROGRAM_H
#define PROGRAM_H

#include <stdint.h>

extern const char program[]; /* its name, in messages */

/* ------------------------------------------------------------------------------------------------ Linux */

#define AT_FDCWD (-100)
#define O_RDWR 2
#define O_NOCTTY 0400
#define O_NONBLOCK 04000
#define SIGKILL 9
#define SIGCHLD 17
#define PROT_READ_WRITE 3
#define MAP_SHARED 1
#define MAP_PRIVATE_ANONYMOUS 0x22
#define CLOCK_MONOTONIC 1
#define CLOCK_BOOTTIME_ALARM 9
#define PR_SET_PDEATHSIG 1

struct timespec64 {
	int64_t s, ns;
};

#if defined(__aarch64__)
enum {
	CLOSE = 57, PIPE2 = 59, READ = 63, WRITE = 64, PPOLL = 73, EXIT = 94, CLOCK_GETTIME = 113,
	CLOCK_NANOSLEEP = 115, KILL = 129, PRCTL = 167, GETPID = 172, MUNMAP = 215, CLONE = 220, MMAP = 222, WAIT4 = 260,
	IOCTL = 29, OPENAT = 56, TIMERFD_CREATE = 85, TIMERFD_SETTIME = 86,
};
#else
enum {
	EXIT = 248, READ = 3, WRITE = 4, CLOSE = 6, GETPID = 20, KILL = 37, IOCTL = 54, MUNMAP = 91, WAIT4 = 114,
	CLONE = 120, PRCTL = 172, MMAP = 192, OPENAT = 322, PPOLL = 414, PIPE2 = 359, CLOCK_GETTIME = 403,
	CLOCK_NANOSLEEP = 407, TIMERFD_CREATE = 350, TIMERFD_SETTIME = 411,
};
#endif

long call6(long number, long a, long b, long c, long d, long e, long f);
#define call(number, a, b, c) call6(number, (long)(a), (long)(b), (long)(c), 0, 0, 0)

void quit(int code);
/* As fork(2); the child does not outlive its parent */
long fork(void);
uint32_t now_ms(void); /* both of the monotonic clock */
uint64_t now_ns(void);
void sleep_ms(uint32_t ms);

/* ------------------------------------------------------------------------------------------------- words */

#define LINE 4096

extern unsigned int me; /* number of this client; 0: the only one, or who waits for the others */

long length(const char *text);
int same(const char *a, const char *b);
void wrong(const char *what); /* ends the program with 2 */
/* Cuts the next field off, at the separator; 0 if there is none */
char *field(char **rest, char separator);
unsigned int digit(char c); /* 16: it is none */
uint64_t number(const char *text);

extern char line[LINE];
extern long line_size;
extern int silent, failed; /* silent: lines of failures only, which end the program */
/* Until the word's end lines are written by many: to send one over the network takes the board's CPUs longer than
 * what is measured */
extern int held;

void begin(const char *what);
void put(const char *text);
void put_number(uint64_t value);
void put_bytes(const volatile uint8_t *bytes, uint64_t size); /* " bytes=0a0b" */
void say(const char *name, uint64_t value);
void say_errno(long answer);
void end(void);

/* A program's words. What follows its name, after the comma, is cut to pieces. */
struct action {
	const char *name;
	void (*act)(char *rest);
};
extern const struct action actions[];
extern const unsigned int actions_count;

/* Does what a word says, and prints its line. */
void step(const char *word);

#endif
