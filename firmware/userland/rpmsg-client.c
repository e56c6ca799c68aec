/* SPDX-License-Identifier: MIT */
/*
 * Talks to a core by RPMsg: does what its words say, one after the other, and a line for each (see lib/program.h).
 *   rpmsg-client open,/dev/rpmsg0 echo,0,1,496,1
 *
 *   open,PATH                          a /dev/rpmsgN, /dev/rpmsg_ctrlN or /dev/ttyRPMSGN; files are numbered from 0
 *   close,FILE
 *   create,FILE,NAME,SOURCE,DESTINATION   an endpoint, by an open rpmsg_ctrl: /dev/rpmsgN appears
 *   destroy,FILE                       the endpoint of an open rpmsg
 *   send,FILE,HEX                      one message, when there is a buffer for it
 *   receive,FILE,MS                    one message, or a time-out
 *   echo,FILE,FROM,TO,TIMES            round trips of every length, a line each
 *   pump,MESSAGES,LENGTH,FILE...       numbered messages through echoing files, on all of them at once
 *   source,FILE,MESSAGES,LENGTH,MS     sends numbered messages, until none was taken for so long
 *   sink,FILE,MESSAGES,MS              takes numbered messages, until none came for so long
 *   watch,FILE,MS                      waits until the file reports its end
 *   sleep,MS
 * ns: by the kernel's monotonic clock. Ends with 2 for words it does not know.
 *
 * A numbered message: its number in four bytes, the lowest first, as far as it is so long; then number + position.
 *
 * Ref: Linux include/uapi/linux/rpmsg.h, Documentation/driver-api/tty; ioctl_tty(2), poll(2)
 */
#include "program.h"

const char program[] = "rpmsg-client";

#define RPMSG_CREATE_EPT_IOCTL 0x4028b501
#define RPMSG_DESTROY_EPT_IOCTL 0xb502
#define TCGETS 0x5401
#define TCSETS 0x5402
#define POLLIN 1
#define POLLERR 8
#define POLLHUP 16
#define ENXIO 6
#define EAGAIN 11
#define ENOMEM 12
#define ETIMEDOUT 110

#define FILES 32
#define LONGEST 512 /* of a message, and more than RPMsg's 496 */
#define ROUND_TRIP_MS 20000
#define FULL_MS 20000 /* others take the buffers */
#define PUMP_MS 20000
#define WINDOW 8 /* messages of a file that are on their way */

struct endpoint {
	char name[32];
	uint32_t source, destination;
};

struct pollfd {
	int fd;
	short events, revents;
};

static int files[FILES];
static unsigned int n_files;
static uint8_t buffer[LONGEST];

static int file(char **rest)
{
	uint64_t n = number(field(rest, ','));

	if (n >= n_files)
		wrong("a number of a file that is not open");
	return files[n];
}

static uint32_t message_length(char **rest)
{
	uint64_t found = number(field(rest, ','));

	if (found < 1 || found > LONGEST)
		wrong("a length has to be 1 to 512");
	return found;
}

/* Whether a file can be read, or has ended, within so long */
static int wait_for(int fd, uint32_t ms)
{
	struct timespec64 time = { ms / 1000, (int64_t)(ms % 1000) * 1000000 };
	struct pollfd poll = { fd, POLLIN, 0 };

	return call6(PPOLL, (long)&poll, 1, (long)&time, 0, 8, 0) > 0 ? poll.revents : 0;
}

static long read_within(int fd, void *to, uint32_t size, uint32_t ms)
{
	if (!wait_for(fd, ms))
		return -ETIMEDOUT;
	return call(READ, fd, to, size);
}

/* No buffer is free; a tty says ENOMEM */
static int is_full(long answer)
{
	return answer == -EAGAIN || answer == -ENOMEM;
}

static uint8_t expected(uint32_t n, uint32_t position, uint32_t size)
{
	return position < 4 && size >= 4 ? n >> (8 * position) : n + position;
}

static void fill(uint8_t *to, uint32_t n, uint32_t size)
{
	for (uint32_t i = 0; i < size; i++)
		to[i] = expected(n, i, size);
}

static int is_right(const uint8_t *bytes, uint32_t n, uint32_t size)
{
	for (uint32_t i = 0; i < size; i++)
		if (bytes[i] != expected(n, i, size))
			return 0;
	return 1;
}

/* A tty passes bytes as they are */
static void make_raw(int fd)
{
	uint32_t settings[16];

	if (call(IOCTL, fd, TCGETS, settings) < 0)
		return;
	settings[0] = settings[1] = settings[3] = 0; /* c_iflag, c_oflag, c_lflag */
	call(IOCTL, fd, TCSETS, settings);
}

/* A tty answers ENXIO for a moment after it has appeared */
static void do_open(char *rest)
{
	char *path = field(&rest, ',');
	long fd = -ENXIO;

	if (!path)
		wrong("a path is missing");
	if (n_files == FILES)
		wrong("too many files");
	for (int tries = 0; tries < 200 && fd == -ENXIO; tries++) {
		if (tries)
			sleep_ms(10);
		fd = call(OPENAT, AT_FDCWD, path, O_RDWR | O_NOCTTY | O_NONBLOCK);
	}
	if (fd >= 0)
		make_raw(fd);
	files[n_files] = fd;
	say_errno(fd);
	say("id", n_files++);
}

static void do_close(char *rest)
{
	say_errno(call(CLOSE, file(&rest), 0, 0));
}

static void do_create(char *rest)
{
	int fd = file(&rest);
	struct endpoint endpoint = { .source = 0 };
	const char *name = field(&rest, ',');

	if (!name || length(name) >= (long)sizeof(endpoint.name))
		wrong("a name has to be at most 31 characters");
	for (long n = 0; name[n]; n++)
		endpoint.name[n] = name[n];
	endpoint.source = number(field(&rest, ','));
	endpoint.destination = number(field(&rest, ','));
	say_errno(call(IOCTL, fd, RPMSG_CREATE_EPT_IOCTL, &endpoint));
}

static void do_destroy(char *rest)
{
	say_errno(call(IOCTL, file(&rest), RPMSG_DESTROY_EPT_IOCTL, 0));
}

/* Sends it when there is a buffer: 0, or Linux' answer */
static long send_within(int fd, const void *bytes, uint32_t size, uint32_t ms)
{
	uint64_t start = now_ns();
	long answer;

	while (is_full(answer = call(WRITE, fd, bytes, size)))
		if (now_ns() - start > ms * 1000000ull)
			return answer;
		else
			sleep_ms(1);
	return answer < 0 ? answer : 0;
}

static void do_send(char *rest)
{
	int fd = file(&rest);
	const char *text = field(&rest, ',');
	long size = text ? length(text) : 0;

	if (!size || size % 2 || size / 2 > LONGEST)
		wrong("a message has to be 1 to 512 bytes in hexadecimal");
	for (long n = 0; n < size / 2; n++) {
		if (digit(text[2 * n]) > 15 || digit(text[2 * n + 1]) > 15)
			wrong("no hexadecimal digits");
		buffer[n] = digit(text[2 * n]) << 4 | digit(text[2 * n + 1]);
	}
	say_errno(send_within(fd, buffer, size / 2, FULL_MS));
}

static void do_receive(char *rest)
{
	int fd = file(&rest);
	long size = read_within(fd, buffer, sizeof(buffer), number(field(&rest, ',')));

	say_errno(size);
	if (size >= 0)
		put_bytes(buffer, size);
}

/* One message there and back; a tty may give it in pieces */
static void round_trip(int fd, uint32_t n, uint32_t size)
{
	uint32_t got = 0, reads = 0;
	uint64_t start = now_ns(), end_ns;
	long answer;

	fill(buffer, n, size);
	answer = send_within(fd, buffer, size, ROUND_TRIP_MS);
	while (answer >= 0 && got < size) {
		answer = read_within(fd, buffer + got, sizeof(buffer) - got, ROUND_TRIP_MS);
		if (!answer)
			break; /* its end */
		got += answer < 0 ? 0 : answer;
		reads++;
	}
	end_ns = now_ns();
	say_errno(answer);
	say("length", size);
	say("wrong", got != size || !is_right(buffer, n, size));
	say("reads", reads);
	say("ns", end_ns - start);
}

static void do_echo(char *rest)
{
	int fd = file(&rest);
	uint32_t from = message_length(&rest), to = message_length(&rest), times = number(field(&rest, ','));

	held = 1;
	for (uint32_t size = from; size <= to; size++)
		for (uint32_t n = 0; n < times; n++) {
			begin("echo");
			round_trip(fd, size + n, size);
			if (size < to || n + 1 < times)
				end();
		}
}

static struct pumped {
	int fd;
	unsigned int id;
	uint32_t sent, received, wrong, got;
	long error;
	uint8_t partial[2 * LONGEST];
} pumped[FILES];

static void pump_out(struct pumped *file, uint32_t messages, uint32_t size)
{
	while (!file->error && file->sent < messages && file->sent - file->received < WINDOW) {
		long answer;

		fill(buffer, file->sent, size);
		answer = call(WRITE, file->fd, buffer, size);
		if (is_full(answer))
			return;
		if (answer < 0)
			file->error = answer;
		else
			file->sent++;
	}
}

static void pump_in(struct pumped *file, uint32_t size)
{
	long answer = call(READ, file->fd, file->partial + file->got, LONGEST);

	if (answer < 0 && answer != -EAGAIN)
		file->error = answer;
	if (answer > 0)
		file->got += answer;
	while (file->got >= size) {
		file->wrong += !is_right(file->partial, file->received, size);
		file->received++;
		file->got -= size;
		for (uint32_t n = 0; n < file->got; n++)
			file->partial[n] = file->partial[n + size];
	}
}

/* 0: all is back, or every file has failed */
static uint32_t missing(const struct pumped *some, unsigned int count, uint32_t messages)
{
	uint32_t found = 0;

	for (unsigned int n = 0; n < count; n++)
		found += some[n].error ? 0 : messages - some[n].received;
	return found;
}

static void pump_all(unsigned int count, uint32_t messages, uint32_t size)
{
	struct timespec64 short_time = { 0, 2000000 }; /* there is no event for a buffer that becomes free */
	struct pollfd polls[FILES];
	uint64_t last = now_ns();

	for (uint32_t left = missing(pumped, count, messages), now_left; left; left = now_left) {
		for (unsigned int n = 0; n < count; n++) {
			pump_out(&pumped[n], messages, size);
			polls[n] = (struct pollfd){ pumped[n].error ? -1 : pumped[n].fd, POLLIN, 0 };
		}
		call6(PPOLL, (long)polls, count, (long)&short_time, 0, 8, 0);
		for (unsigned int n = 0; n < count; n++)
			if (polls[n].revents)
				pump_in(&pumped[n], size);
		now_left = missing(pumped, count, messages);
		if (now_left != left)
			last = now_ns();
		else if (now_ns() - last > PUMP_MS * 1000000ull)
			break;
	}
}

static void do_pump(char *rest)
{
	uint32_t messages = number(field(&rest, ',')), size = message_length(&rest);
	unsigned int count = 0;
	uint64_t start, took;

	while (rest) {
		char *text = field(&rest, ',');
		uint64_t id = number(text);

		if (id >= n_files || count == FILES)
			wrong("a number of a file that is not open");
		pumped[count] = (struct pumped){ .fd = files[id], .id = id };
		count++;
	}
	start = now_ns();
	pump_all(count, messages, size);
	took = now_ns() - start;
	for (unsigned int n = 0; n < count; n++) {
		begin("pump");
		say_errno(pumped[n].error);
		say("id", pumped[n].id);
		say("sent", pumped[n].sent);
		say("received", pumped[n].received);
		say("wrong", pumped[n].wrong);
		say("ns", took);
		if (n + 1 < count)
			end();
	}
}

static void do_source(char *rest)
{
	int fd = file(&rest);
	uint32_t messages = number(field(&rest, ',')), size = message_length(&rest), ms = number(field(&rest, ','));
	uint32_t sent = 0;
	uint64_t start = now_ns();
	long answer = 0;

	while (sent < messages) {
		fill(buffer, sent, size);
		answer = send_within(fd, buffer, size, ms);
		if (answer < 0)
			break;
		sent++;
	}
	say_errno(answer);
	say("sent", sent);
	say("ns", now_ns() - start);
}

static void do_sink(char *rest)
{
	int fd = file(&rest);
	uint32_t messages = number(field(&rest, ',')), ms = number(field(&rest, ','));
	uint32_t received = 0, skipped = 0, damaged = 0, next = 0;
	uint64_t start = now_ns(), last = start;
	long answer = 0;

	while (received < messages) {
		uint32_t n;

		answer = read_within(fd, buffer, sizeof(buffer), ms);
		if (answer <= 0)
			break;
		n = buffer[0] | buffer[1] << 8 | buffer[2] << 16 | (uint32_t)buffer[3] << 24;
		last = now_ns();
		received++;
		damaged += answer < 4 || n < next || !is_right(buffer, n, answer);
		skipped += n > next ? n - next : 0;
		next = n + 1;
	}
	say_errno(answer < 0 ? answer : 0);
	say("received", received);
	say("skipped", skipped);
	say("wrong", damaged);
	say("ns", last - start);
}

static void do_watch(char *rest)
{
	int fd = file(&rest);
	uint64_t start = now_ns(), limit = number(field(&rest, ',')) * 1000000;
	long answer;

	do {
		answer = read_within(fd, buffer, sizeof(buffer), 100);
	} while ((answer > 0 || answer == -ETIMEDOUT || answer == -EAGAIN) && now_ns() - start < limit);
	say_errno(answer);
	say("events", wait_for(fd, 0) & (POLLERR | POLLHUP));
}

static void do_sleep(char *rest)
{
	sleep_ms(number(field(&rest, ',')));
}

const struct action actions[] = {
	{ "open", do_open }, { "close", do_close }, { "create", do_create },
	{ "destroy", do_destroy }, { "send", do_send }, { "receive", do_receive },
	{ "echo", do_echo }, { "pump", do_pump }, { "source", do_source },
	{ "sink", do_sink }, { "watch", do_watch }, { "sleep", do_sleep },
};
const unsigned int actions_count = sizeof(actions) / sizeof(actions[0]);

int main(int argc, char **argv)
{
	for (int n = 1; n < argc; n++)
		step(argv[n]);
	return 0;
}
