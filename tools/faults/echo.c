/* SPDX-License-Identifier: MIT */
/*
 * The load of a port whose other end sends back what it gets.
 *
 * A round sends bytes that follow from its seed, in pieces of all lengths, and compares what
 * comes back.  It ends when all has come, or when nothing has passed for QUIET_NS: longer than it
 * takes to find a driver that loops.  Nobody looks after a port whose driver merely does nothing:
 * what is under way then has to come when it is restarted, before a mark that verify() sends.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "faults.h"

#define MS		1000000ull
#define QUIET_NS	(6000 * MS)
#define WRONG_NS	(500 * MS)	/* the same, when some were lost or made up already */
#define MARK_NS		(5000 * MS)
#define START_NS	(500 * MS)

enum { MARK = 24, MARKS = 2, START_MARKS = 100, ROUND_MAX = 4096, PIECE_MAX = 1500 };
enum { SERIAL_ROUND = 400, SERIAL_PIECE = 120 };

static int port;
static size_t round_bytes = ROUND_MAX, piece_max = PIECE_MAX;

static uint8_t sent[ROUND_MAX];		/* what the round sends */
static size_t out, in;			/* how far it is: bytes sent, and come back */
static bool had_errors;			/* in this round or look */

/* What verify() finds before its mark: the rest of a round, or anything that a driver made up. */
static uint8_t found[4 * ROUND_MAX];
static size_t found_n;

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Wait for one of the events, at most until @end; false: it is over. */
static bool wait_for(short events, uint64_t end)
{
	uint64_t now = now_ns();
	struct pollfd p = { .fd = port, .events = events };

	if (now >= end)
		return false;
	if (poll(&p, 1, (int)((end - now) / MS) + 1) == 1 && !(p.revents & events)) {
		had_errors = true;	/* hung up, and it may not last */
		usleep(5000);
	}
	return true;
}

/* How many bytes passed; 0 also for an error, which is noted. */
static size_t passed(ssize_t got)
{
	if (got > 0)
		return (size_t)got;
	if (got == 0 || errno != EAGAIN) {
		had_errors = true;
		usleep(5000);
	}
	return 0;
}

/* -- a round ---------------------------------------------------------------------------------- */

static size_t compare(struct result *r, const uint8_t *data, size_t n)
{
	for (size_t i = 0; i < n; i++)
		r->wrong += in + i >= out || data[i] != sent[in + i];
	in += n;
	return n;
}

static size_t send_some(uint64_t *random)
{
	size_t n = 1 + next_random(random) % piece_max;

	if (n > round_bytes - out)
		n = round_bytes - out;
	n = passed(write(port, sent + out, n));
	out += n;
	return n;
}

static struct result play(uint64_t seed)
{
	uint64_t random = (seed + 1) * 0x9e3779b97f4a7c15ull, last = now_ns(), now;
	struct result r = { 0 };
	uint8_t data[1024];

	out = in = 0;
	had_errors = false;
	for (size_t i = 0; i < round_bytes; i++)
		sent[i] = (uint8_t)(next_random(&random) >> 24);
	while (in < round_bytes) {
		bool more = out < round_bytes;
		size_t n;

		if (!wait_for((short)(POLLIN | (more ? POLLOUT : 0)),
			      last + (r.wrong ? WRONG_NS : QUIET_NS))) {
			r.stopped = true;
			break;
		}
		n = compare(&r, data, passed(read(port, data, sizeof(data))));
		if (more)
			n += send_some(&random);
		now = now_ns();
		if (n && now - last > r.stall_ns)
			r.stall_ns = now - last;
		if (n)
			last = now;
	}
	r.errors = had_errors;
	return r;
}

/* -- marks -------------------------------------------------------------------------------------- */

/* Send a mark like no other, and read until it is back; what came before it is in found[]. */
static bool mark_returns(uint64_t patience_ns)
{
	static uint64_t number;
	uint64_t end = now_ns() + patience_ns, random = 0x4d41524b00000000ull + ++number;
	uint8_t mark[MARK];
	size_t gone = 0;

	for (size_t i = 0; i < MARK; i++)
		mark[i] = (uint8_t)(next_random(&random) >> 24);
	while (wait_for((short)(POLLIN | (gone < MARK ? POLLOUT : 0)), end)) {
		if (gone < MARK)
			gone += passed(write(port, mark + gone, MARK - gone));
		found_n += passed(read(port, found + found_n, sizeof(found) - found_n));
		if (found_n >= MARK && memcmp(found + found_n - MARK, mark, MARK) == 0) {
			found_n -= MARK;
			return true;
		}
		if (found_n == sizeof(found))
			found_n /= 2;		/* wrong in any case */
	}
	return false;
}

static struct result verify(void)
{
	struct result r = { .errors = 1 };
	size_t rest = in < out ? out - in : 0;

	found_n = 0;
	for (int i = 0; i < MARKS && r.errors; i++)
		r.errors = !mark_returns(MARK_NS);
	if (found_n != rest || memcmp(found, sent + in, rest) != 0)
		r.wrong = 1;
	out = in = 0;
	return r;
}

/* -- start ---------------------------------------------------------------------------------------- */

static void start(const char *path)
{
	struct termios t;

	port = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (port < 0)
		give_up("%s: errno %d", path, errno);
	if (tcgetattr(port, &t) == 0) {
		cfmakeraw(&t);
		if (tcsetattr(port, TCSANOW, &t))
			give_up("%s: not raw", path);
		round_bytes = SERIAL_ROUND;
		piece_max = SERIAL_PIECE;
	}
	/* Somebody has to be at the other end first. */
	for (int i = 0; i < START_MARKS; i++)
		if (mark_returns(START_NS))
			return;
	give_up("%s: nobody sends back", path);
}

static uint64_t no_checksum(void)
{
	return 0;
}

const struct load echo_load = {
	.start = start, .round = play, .verify = verify, .checksum = no_checksum,
};
