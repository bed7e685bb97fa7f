/* SPDX-License-Identifier: MIT */
/*
 * The load of a network card whose other end sends back each frame once.
 *
 * A round sends frames of all lengths, whose bytes follow from its seed, some at a time, and
 * compares what comes back.  Frames are never sent again: one that comes twice is wrong, and those
 * that do not come while nothing passes for QUIET_NS are errors, which a network may have and a
 * driver that merely dies may not.  If nothing passes after that either, the card stands still.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "faults.h"

#define MS		1000000ull
#define QUIET_NS	(6000 * MS)	/* longer than it takes to find a driver that loops */
#define MARK_NS		(1000 * MS)

/* A frame: to everybody, from nobody, an experimental type, its number; then what only it has. */
enum { TYPE = 12, NUMBER = 16, SHORTEST = 64, LONGEST = 1514, EXPERIMENTAL = 0x88b5 };
enum { FRAMES = 24, AT_ONCE = 6, RING = 256, MARKS = 12, STARTS = 20 };

static int card;
static struct {
	uint32_t number;
	uint16_t length;
	bool gone, back;		/* it was sent; it came back */
	uint8_t bytes[LONGEST];
} sent[FRAMES];
static uint32_t next_number = 1, wrong;

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void make(unsigned int i, uint64_t *random)
{
	uint8_t *p = sent[i].bytes;

	sent[i].number = next_number++;
	sent[i].length = (uint16_t)(SHORTEST + next_random(random) % (LONGEST - SHORTEST + 1));
	sent[i].gone = sent[i].back = false;
	for (unsigned int k = 0; k < sent[i].length; k++)
		p[k] = (uint8_t)(next_random(random) >> 24);
	memset(p, 0xff, TYPE / 2);
	p[TYPE / 2] &= 0xfe;
	p[TYPE] = EXPERIMENTAL >> 8;
	p[TYPE + 1] = EXPERIMENTAL & 0xff;
	memcpy(p + NUMBER, &sent[i].number, sizeof(sent[i].number));
}

/* False: there is no room for it now. */
static bool send_frame(unsigned int i)
{
	sent[i].gone = send(card, sent[i].bytes, sent[i].length, 0) == sent[i].length;
	return sent[i].gone;
}

/* Which of the frames it is that came; -1: none of them. */
static int find(const uint8_t *frame, size_t n)
{
	for (int i = 0; i < FRAMES; i++)
		if (sent[i].gone && n == sent[i].length && memcmp(frame, sent[i].bytes, n) == 0)
			return i;
	return -1;
}

/* Look at all that came; how many of the frames came for the first time. */
static unsigned int receive(void)
{
	struct sockaddr_ll from;
	socklen_t length = sizeof(from);
	uint8_t frame[LONGEST + 1];
	unsigned int news = 0;
	ssize_t n;

	while ((n = recvfrom(card, frame, sizeof(frame), 0, (struct sockaddr *)&from,
			     &length)) > 0) {
		int i = find(frame, (size_t)n);

		length = sizeof(from);
		if (from.sll_pkttype == PACKET_OUTGOING)
			continue;
		if (i < 0 || sent[i].back) {
			wrong++;
			continue;
		}
		sent[i].back = true;
		news++;
	}
	return news;
}

static void wait_for_frames(uint64_t end)
{
	struct pollfd p = { .fd = card, .events = POLLIN };
	uint64_t now = now_ns();

	if (now < end)
		(void)!poll(&p, 1, (int)((end - now) / MS) + 1);
}

/* -- a round ----------------------------------------------------------------------------------- */

/* Frames up to @first are over; send on. */
static unsigned int send_more(unsigned int first, unsigned int back)
{
	while (first < FRAMES && first - back < AT_ONCE && send_frame(first))
		first++;
	return first;
}

static struct result play(uint64_t seed)
{
	uint64_t random = (seed + 1) * 0x9e3779b97f4a7c15ull, last = now_ns();
	unsigned int out = 0, back = 0, lost = 0;
	struct result r = { 0 };
	bool quiet = false;

	wrong = 0;
	for (unsigned int i = 0; i < FRAMES; i++)
		make(i, &random);
	while (back + lost < FRAMES && !r.stopped) {
		unsigned int news;

		out = send_more(out, back + lost);
		/* A card that has no room does not say when it has: look again soon. */
		wait_for_frames(out - back - lost < AT_ONCE && out < FRAMES ? now_ns() + 5 * MS :
				last + QUIET_NS);
		news = receive();
		back += news;
		if (news) {
			r.stall_ns = now_ns() - last > r.stall_ns ? now_ns() - last : r.stall_ns;
			last = now_ns();
			quiet = false;
		} else if (now_ns() - last >= QUIET_NS) {
			lost = out - back;
			r.stopped = quiet || out == FRAMES;
			quiet = true;
			last = now_ns();
		}
	}
	r.errors = lost;
	r.wrong = wrong;
	return r;
}

/* -- afterwards -------------------------------------------------------------------------------- */

/* Frames until one comes back; false: none does. */
static bool passes(void)
{
	uint64_t random = now_ns() | 1;
	bool back = false;

	for (unsigned int i = 0; i < MARKS && !back; i++) {
		uint64_t end = now_ns() + MARK_NS;

		make(i, &random);
		(void)send_frame(i);
		while (!back && now_ns() < end) {
			wait_for_frames(end);
			back = receive() > 0;
		}
	}
	return back;
}

/*
 * A driver leaves more behind than its last frames: descriptors, with a card that goes on.  So all
 * of the ring is gone through, and what is wrong there is the fault's that was before.
 */
static struct result verify(void)
{
	struct result r = { .errors = !passes() };
	uint32_t strange = 0;

	for (unsigned int i = 0; i < RING / FRAMES + 1 && !r.errors; i++) {
		struct result one = play(now_ns());

		strange += one.wrong + one.errors;
	}
	r.errors = r.errors || (strange && !passes());
	r.wrong = strange;
	return r;
}

static void start(const char *name)
{
	struct ifreq r = { 0 };
	struct sockaddr_ll at = { .sll_family = AF_PACKET, .sll_protocol = htons(EXPERIMENTAL) };

	card = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (card < 0)
		give_up("packet socket: errno %d", errno);
	strncpy(r.ifr_name, name, sizeof(r.ifr_name) - 1);
	for (int i = 0; ioctl(card, SIOCGIFFLAGS, &r); i++) {
		if (i == 500)
			give_up("no %s", name);
		usleep(20000);
	}
	r.ifr_flags |= IFF_UP;
	if (ioctl(card, SIOCSIFFLAGS, &r))
		give_up("%s: not up, errno %d", name, errno);
	if (ioctl(card, SIOCGIFINDEX, &r))
		give_up("%s: no index", name);
	at.sll_ifindex = r.ifr_ifindex;
	if (bind(card, (struct sockaddr *)&at, sizeof(at)))
		give_up("%s: cannot be bound to, errno %d", name, errno);
	/* Somebody has to be at the other end first. */
	for (int i = 0; i < STARTS; i++)
		if (passes())
			return;
	give_up("%s: nobody sends back", name);
}

static uint64_t no_checksum(void)
{
	return 0;
}

const struct load net_load = {
	.start = start, .round = play, .verify = verify, .checksum = no_checksum,
};
