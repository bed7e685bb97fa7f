/* SPDX-License-Identifier: MIT */
/*
 * A network card whose driver is killed, see heal_client.c: frames of all lengths, each of which
 * the other end sends back once.
 *
 * With the live device none is lost and none comes twice.  What reaches a card while it is being
 * reset is lost on it: in rounds with a reset a frame that does not come back is
 * given up after a while.  That it was sent is the other end's to say.
 */
#include "heal.h"

#include "base/byteorder.h"
#include "base/string.h"
#include "base/util.h"
#include "link/net.h"
#include "rt/lock.h"
#include "rt/time.h"

/* A frame: to everybody, from nobody, of an experimental type, its number; then what only it has. */
enum { FRAMES = 4, TOGETHER = 2, TYPE = 12, NUMBER = 16, SHORTEST = 64, LONGEST = 3000 };
enum { AWHILE = SECONDS / 20 };

static struct {
	uint8_t bytes[LONGEST];
	uint32_t length;
	_Atomic(uint32_t) came;		/* how often it came back */
} sent[FRAMES];
static uint32_t longest;		/* that the card takes */
static _Atomic(uint32_t) base;		/* number of the first of these */

static uint8_t incoming[LONGEST];	/* the card's thread */
static _Atomic(uint32_t) news;		/* frames came, or there is room */
/* Frames of this round; those given up; those that came after that; others, and those that came twice. */
static _Atomic(uint32_t) here, lost, late, strange;

static void tell(void)
{
	atomic_fetch_add(&news, 1);
	rt_wake(&news, UINT32_MAX);
}

static unsigned int room(void *user, const struct net_offload *o, size_t length,
			 struct net_piece *pieces, void **frame)
{
	if (length > sizeof(incoming)) {
		atomic_fetch_add(&strange, 1);
		return 0;
	}
	pieces[0] = (struct net_piece){ incoming, length };
	return 1;
}

static void received(void *user, void *frame, size_t length, const struct net_offload *o)
{
	uint32_t number = get_le32(incoming + NUMBER), i = number - atomic_load(&base);

	if (number < atomic_load(&base) && atomic_load(&late) < atomic_load(&lost))
		atomic_fetch_add(&late, 1);
	else if (i >= FRAMES || length != sent[i].length ||
		 memcmp(incoming, sent[i].bytes, length) != 0 || atomic_fetch_add(&sent[i].came, 1))
		atomic_fetch_add(&strange, 1);
	else
		atomic_fetch_add(&here, 1);
	tell();
}

static void spoiled(void *user)
{
	atomic_fetch_add(&strange, 1);
	tell();
}

static void writable(void *user)
{
	tell();
}

static void event(void *user, uint32_t events)
{
	tell();
}

static void make_frames(uint32_t round)
{
	for (uint32_t i = 0; i < FRAMES; i++) {
		uint8_t *p = sent[i].bytes;

		sent[i].length = SHORTEST + (uint32_t)(next_random() % (longest - SHORTEST));
		fill(p, ALIGN_DOWN(sent[i].length, 8u), round);
		memset(p, 0xff, TYPE / 2);
		p[TYPE / 2] &= 0xfe;
		p[TYPE] = 0x88;
		p[TYPE + 1] = 0xb5;
		put_le32(p + NUMBER, round * FRAMES + i);
		atomic_store(&sent[i].came, 0);
	}
	atomic_store(&here, 0);
	atomic_store(&base, round * FRAMES);
}

/*
 * One after the other, so that a round's operations are nearly as many as the last one's; then
 * some together.
 */
static bool is_next_due(uint32_t i, uint32_t ended)
{
	return i < FRAMES && (i > FRAMES - TOGETHER || ended == i);
}

/* Sleep until there is news after @seen; false: for a while there was none. */
static bool wait_for_news(uint32_t seen, uint64_t ns)
{
	return rt_wait(&news, seen, rt_now_ns() + ns, false) != K_ERR_TIMED_OUT;
}

static bool net_round(struct net *n, const struct link *l, uint32_t round)
{
	const uint32_t resets = link_resets(l), lost_before = atomic_load(&lost);
	uint64_t deadline = rt_now_ns() + 20 * SECONDS;
	uint32_t i = 0, seen, ended;

	make_frames(round);
	for (;;) {
		struct net_piece piece = { sent[i % FRAMES].bytes, sent[i % FRAMES].length };
		k_status_t st = K_ERR_SHOULD_WAIT;

		seen = atomic_load(&news);
		ended = atomic_load(&here) + atomic_load(&lost) - lost_before;
		if (ended >= FRAMES)
			return !atomic_load(&strange);
		if (is_next_due(i, ended))
			st = net_send(n, &piece, 1, NULL, false);
		if (st == K_OK)
			i++;
		else if (st != K_ERR_SHOULD_WAIT || atomic_load(&strange) || rt_now_ns() > deadline)
			return false;
		else if (!wait_for_news(seen, AWHILE) && link_resets(l) != resets && i > ended)
			atomic_fetch_add(&lost, i - ended);
	}
}

void use_net(struct link *l, const char *name)
{
	static const struct net_ops ops = { .room = room, .received = received, .spoiled = spoiled,
					    .writable = writable, .event = event };
	uint32_t round = 0, before, first, quiet = 0;
	struct net *n;
	k_status_t st = net_open(l, &ops, NULL, rt_now_ns() + 10 * SECONDS, &n);
	bool ok;

	if (st != K_OK) {
		say(name, "open %d", st);
		return;
	}
	longest = MIN((uint32_t)LONGEST, net_info(n)->mtu_max + NET_FRAME_MIN);
	first = link_incarnation(l);
	do {
		before = link_incarnation(l);
		link_round(l, ++round);
		ok = net_round(n, l, round);
		quiet = link_incarnation(l) == before ? quiet + 1 : 0;
	} while (ok && round < ROUNDS_MAX && quiet < QUIET);
	link_round(l, 0);
	/* Nothing may come that was not sent, or twice. */
	(void)wait_for_news(atomic_load(&news), SECONDS / 5);
	say(name, "%u frames sent, %u of them did not come back", round * FRAMES,
	    atomic_load(&lost) - atomic_load(&late));
	if (ok && !atomic_load(&strange))
		say(name, "%u rounds, %u deaths: same data", round, link_incarnation(l) - first);
	else
		say(name, "round %u, incarnation %u: %u of %u frames, %u others", round,
		    link_incarnation(l), atomic_load(&here), FRAMES, atomic_load(&strange));
}
