/* SPDX-License-Identifier: MIT */
/*
 * Recovery, congestion control and timers together, in virtual time: a sender that has nothing
 * but them, a receiver that acknowledges as TCP does, and a link of 100 Mbit/s between them with
 * a queue, delay, and losses that repeat.  The paths and what is asked of them are those of
 * docs/decisions/0016-tcp-ip.md: eight tenths of Linux's rate.  With PATH_TEST_RATES in the
 * environment it says what they are.
 */
#include "base/util.h"
#include "inet/tcp/blocks.h"
#include "inet/tcp/rack.h"
#include "inet/tcp/recovery.h"
#include "inet/tcp/rtt.h"
#include "unit/unit.h"

#define MS	1000000ull
#define NEVER	UINT64_MAX

enum { MSS = 1448, FRAME = 1500, NS_PER_BYTE = 80, QUEUE = 100, WINDOW = 2048, FLIGHT = 8192 };

struct path {
	uint64_t rtt_ns;
	uint32_t loss, late;		/* per million */
	uint32_t burst;			/* losses in a row, on average; 0: they come alone */
};

struct packet {
	struct packet *next;
	uint64_t at;
	uint32_t from, una;		/* data: from; ACK: una */
	uint64_t stamp;			/* sent at; ACK: the one echoed */
	bool dsack;
	struct tcp_options sack;
};

struct way {
	struct packet *head;		/* by time of arrival */
	uint64_t busy_until;
	bool losing;
};

static const struct path *path;
static uint64_t now, random_state;
static struct way there, back;

static bool chance(uint64_t per_million)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (random_state >> 16) % 1000000 < per_million;
}

static bool lost(struct way *w)
{
	if (!path->burst)
		return chance(path->loss);
	if (chance(w->losing ? 1000000u / path->burst : path->loss / path->burst))
		w->losing = !w->losing;
	return w->losing;
}

static void transmit(struct way *w, const struct packet *p, unsigned int bytes, bool may_be_late)
{
	struct packet *copy, **at = &w->head;

	if (w->busy_until > now + (uint64_t)QUEUE * FRAME * NS_PER_BYTE)
		return;
	w->busy_until = MAX(w->busy_until, now) + bytes * NS_PER_BYTE;
	if (lost(w))
		return;
	copy = malloc(sizeof(*copy));
	*copy = *p;
	copy->at = w->busy_until + path->rtt_ns / 2;
	if (may_be_late && chance(path->late))
		copy->at += MS / 2 + random_state % (5 * MS / 2);
	while (*at && (*at)->at <= copy->at)
		at = &(*at)->next;
	copy->next = *at;
	*at = copy;
}

static uint64_t arrival(const struct way *w)
{
	return w->head ? w->head->at : NEVER;
}

static struct packet take(struct way *w)
{
	struct packet *first = w->head, p = *first;

	w->head = first->next;
	free(first);
	return p;
}

/* -- the receiver */

static struct tcp_blocks blocks;
static uint32_t rcv_nxt;
static uint64_t stamp_recent, ack_at;
static unsigned int unacked;
static bool have[FLIGHT];

static void acknowledge(void)
{
	struct packet p = { .una = rcv_nxt, .stamp = stamp_recent, .dsack = blocks.twice };

	tcp_blocks_tell(&blocks, &p.sack);
	if (p.sack.nr_sacks > 3)
		p.sack.nr_sacks = 3;	/* beside a time stamp */
	transmit(&back, &p, 64, false);
	unacked = 0;
	ack_at = NEVER;
}

static void receive(const struct packet *p)
{
	bool at_once = blocks.nr > 0, *here = &have[p->from / MSS % FLIGHT];

	if (seq_before(p->from, rcv_nxt) || *here) {
		tcp_blocks_duplicate(&blocks, p->from, p->from + MSS);
		at_once = true;
	} else if (p->from == rcv_nxt) {
		stamp_recent = p->stamp;
		*here = true;
		for (; have[rcv_nxt / MSS % FLIGHT]; rcv_nxt += MSS)
			have[rcv_nxt / MSS % FLIGHT] = false;
		tcp_blocks_advance(&blocks, rcv_nxt);
	} else {
		*here = true;
		tcp_blocks_add(&blocks, p->from, p->from + MSS);
		at_once = true;
	}
	if (at_once || ++unacked == 2)
		acknowledge();
	else
		ack_at = now + 40 * MS;
}

/* -- the sender */

static struct tcp_scoreboard board;
static struct tcp_rack rack;
static struct tcp_recovery recovery;
static struct tcp_cc cc;
static struct tcp_rtt rtt;
static struct tcp_sent records[FLIGHT];
static uint32_t una, nxt, end;		/* [nxt, end) is still to be sent */
static uint64_t rto_at, probe_at, rack_at;
static unsigned int backoff, timeouts;

static void arm(void)
{
	bool quiet = recovery.state == TCP_OPEN && !board.sacked && !board.lost && !recovery.probe;

	rto_at = board.segments ? now + tcp_rtt_rto(&rtt, backoff) : NEVER;
	probe_at = NEVER;
	if (board.segments && quiet)
		probe_at = tcp_tlp_at(now, rtt.srtt_ns, board.segments, rto_at);
}

static void put(struct tcp_sent *s, bool again)
{
	if (again) {
		tcp_sent_again(&board, s, now);
	} else {
		tcp_sent_first(&board, s, nxt, nxt + MSS, now);
		nxt += MSS;
	}
	tcp_recovery_sent(&recovery, again, now);
	transmit(&there, &(struct packet){ .from = s->from, .stamp = now }, FRAME, true);
	arm();
}

static struct tcp_sent *fresh(void)
{
	return nxt != end && board.segments < WINDOW ? &records[nxt / MSS % FLIGHT] : NULL;
}

static void push(void)
{
	while (tcp_scoreboard_pipe(&board) < cc.cwnd) {
		struct tcp_sent *s = tcp_sent_next_lost(&board);

		if (s)
			put(s, true);
		else if ((s = fresh()))
			put(s, false);
		else
			break;
	}
	CHECK(tcp_scoreboard_check(&board));
}

static void deliver_sacked(const struct packet *p, struct tcp_recovery_ack *a, uint64_t least)
{
	for (unsigned int i = p->dsack; i < p->sack.nr_sacks; i++) {
		const struct seq_range *r = &p->sack.sack[i];

		for (struct tcp_sent *s = tcp_sent_head(&board); s; s = tcp_sent_after(&board, s)) {
			if (s->sacked || seq_before(s->from, r->from) || seq_after(s->to, r->to))
				continue;
			tcp_rack_delivered(&rack, s, now, least, true);
			tcp_sent_sacked(&board, s);
			a->delivered++;
		}
	}
}

/* Segments that are acknowledged now, SACKed before or not. */
static uint32_t deliver_acked(const struct packet *p, struct tcp_recovery_ack *a, uint64_t *sample)
{
	struct tcp_sent *s;
	uint32_t n = 0;

	for (s = tcp_sent_head(&board); s && !seq_after(s->to, p->una); s = tcp_sent_after(&board, s))
		if (!s->sacked && !s->again)
			*sample = now - s->sent_ns;
	if (*sample)
		tcp_rtt_sample(&rtt, *sample, now);
	for (; (s = tcp_sent_head(&board)) && !seq_after(s->to, p->una); n++) {
		if (!s->sacked) {
			tcp_rack_delivered(&rack, s, now, tcp_rtt_min(&rtt), p->stamp >= s->sent_ns);
			a->delivered++;
		}
		tcp_sent_remove(&board, s);
	}
	return n;
}

static void acked(const struct packet *p)
{
	uint32_t under_way = tcp_scoreboard_pipe(&board);
	struct tcp_recovery_ack a = { .echo_ns = p->stamp, .una = p->una, .nxt = nxt,
				      .advances = p->una != una, .dsack = p->dsack };
	struct tcp_cc_ack grow = { .now_ns = now, .una = p->una, .nxt = nxt };

	if (seq_before(p->una, una))
		return;
	una = p->una;
	grow.acked = deliver_acked(p, &a, &grow.rtt_ns);
	deliver_sacked(p, &a, tcp_rtt_min(&rtt));
	tcp_rack_window(&rack, &(struct tcp_rack_ack){ .now_ns = now, .min_rtt_ns = tcp_rtt_min(&rtt),
			.srtt_ns = rtt.srtt_ns, .una = una, .nxt = nxt, .dsack = a.dsack,
			.in_recovery = recovery.state != TCP_OPEN,
			.recovery_ends = tcp_recovery_ends(&recovery, una) }, board.sacked);
	tcp_rack_detect(&rack, &board, now, &rack_at);
	grow.srtt_ns = rtt.srtt_ns;
	grow.limited = under_way + 2 >= cc.cwnd ||
		       (tcp_cc_in_slow_start(&cc) && cc.cwnd < 2 * under_way);
	if (tcp_recovery_ack(&recovery, &board, &cc, &a) && grow.acked)
		tcp_cc_ack(&cc, &grow);
	if (a.advances) {
		backoff = 0;
		arm();
	}
	push();
}

static void probe(void)
{
	struct tcp_sent *s = fresh(), *last = tcp_sent_last(&board);

	probe_at = NEVER;
	if (s || last) {
		tcp_recovery_probe(&recovery, !s, s ? nxt + MSS : nxt);
		put(s ? s : last, !s);
	}
}

static void timers(void)
{
	if (now >= ack_at)
		acknowledge();
	if (now >= rack_at) {
		tcp_rack_detect(&rack, &board, now, &rack_at);
		tcp_recovery_ack(&recovery, &board, &cc,
				 &(struct tcp_recovery_ack){ .una = una, .nxt = nxt });
		push();
	}
	if (now >= probe_at)
		probe();
	if (now >= rto_at) {
		backoff++;
		timeouts++;
		tcp_recovery_timeout(&recovery, &cc, nxt);
		tcp_rack_timeout(&rack, &board, now);
		push();
		arm();
	}
}

static void run_until(uint64_t time, uint32_t received)
{
	while (rcv_nxt != received) {
		uint64_t timer = MIN(MIN(rto_at, probe_at), MIN(rack_at, ack_at));
		uint64_t next = MIN(MIN(arrival(&there), arrival(&back)), timer);
		struct packet p;

		if (next > time) {
			now = time;
			return;
		}
		now = MAX(now, next);
		if (arrival(&there) <= now) {
			p = take(&there);
			receive(&p);
		} else if (arrival(&back) <= now) {
			p = take(&back);
			acked(&p);
		}
		timers();
	}
}

static void drop_all(struct way *w)
{
	while (w->head)
		take(w);
	*w = (struct way){ .head = NULL };
}

static void begin(const struct path *p, uint64_t seed)
{
	drop_all(&there);
	drop_all(&back);
	path = p;
	now = 1000 * MS;
	random_state = seed * 0x9e3779b97f4a7c15ull + 1;
	for (unsigned int i = 0; i < 20; i++)
		chance(0);
	blocks = (struct tcp_blocks){ .nr = 0 };
	memset(have, 0, sizeof(have));
	rcv_nxt = una = nxt = end = 0;
	stamp_recent = unacked = backoff = timeouts = 0;
	ack_at = rto_at = probe_at = rack_at = NEVER;
	tcp_scoreboard_init(&board);
	tcp_rack_init(&rack);
	tcp_recovery_init(&recovery);
	tcp_cc_init(&cc, &tcp_cubic);
	rtt = (struct tcp_rtt){ .srtt_ns = 0 };
}

enum { SEEDS = 6, SECONDS = 8 };

/* Mbit/s of data from the start on, on average. */
static unsigned int rate(const struct path *p)
{
	uint64_t bytes = 0;

	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		begin(p, seed);
		end = (1u << 30) / MSS * MSS;
		push();
		run_until(now + SECONDS * 1000 * MS, end);
		bytes += rcv_nxt;
	}
	return (unsigned int)(bytes * 8 / SEEDS / SECONDS / 1000000);
}

static void at_least(const char *name, unsigned int want, struct path p)
{
	unsigned int got = rate(&p);

	if (getenv("PATH_TEST_RATES"))
		printf("%-24s %3u Mbit/s, at least %u\n", name, got, want);
	CHECK(got >= want);
}

TEST(single_losses_cost_what_congestion_control_says)
{
	at_least("10 ms", 90, (struct path){ .rtt_ns = 10 * MS });
	at_least("10 ms, 0.1 %", 40, (struct path){ .rtt_ns = 10 * MS, .loss = 1000 });
	at_least("10 ms, 1 %", 11, (struct path){ .rtt_ns = 10 * MS, .loss = 10000 });
	at_least("10 ms, 3 %", 5, (struct path){ .rtt_ns = 10 * MS, .loss = 30000 });
	at_least("50 ms", 70, (struct path){ .rtt_ns = 50 * MS });
	at_least("50 ms, 0.1 %", 14, (struct path){ .rtt_ns = 50 * MS, .loss = 1000 });
	at_least("50 ms, 1 %", 3, (struct path){ .rtt_ns = 50 * MS, .loss = 10000 });
}

TEST(bursts_are_recovered_from)
{
	at_least("10 ms, 0.1 % in bursts", 61,
		 (struct path){ .rtt_ns = 10 * MS, .loss = 1000, .burst = 4 });
	at_least("10 ms, 1 % in bursts", 15,
		 (struct path){ .rtt_ns = 10 * MS, .loss = 10000, .burst = 4 });
}

TEST(late_packets_are_no_losses)
{
	at_least("10 ms, 1 % late", 90, (struct path){ .rtt_ns = 10 * MS, .late = 10000 });
	at_least("10 ms, 5 % late", 90, (struct path){ .rtt_ns = 10 * MS, .late = 50000 });
}

static int order(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Replies of 10 KiB: what is lost at their ends is found by probes and not by timeouts. */
TEST(the_tail_of_a_reply_is_recovered_by_probes)
{
	enum { REPLIES = 2000 };
	static uint64_t took[REPLIES];
	struct path p = { .rtt_ns = 10 * MS, .loss = 10000 };

	begin(&p, 1);
	for (unsigned int i = 0; i < REPLIES; i++) {
		uint64_t start = now;

		end += 7 * MSS;
		push();
		run_until(NEVER - 1, end);
		took[i] = now - start;
		run_until(now + MS, end + 1);
	}
	qsort(took, REPLIES, sizeof(took[0]), order);
	if (getenv("PATH_TEST_RATES"))
		printf("replies: p50 %.1f p99 %.1f p99.9 %.1f ms, %u timeouts\n",
		       (double)took[REPLIES / 2] / 1e6, (double)took[REPLIES * 99 / 100] / 1e6,
		       (double)took[REPLIES * 999 / 1000] / 1e6, timeouts);
	CHECK(took[REPLIES / 2] < 10 * MS);
	CHECK(took[REPLIES * 99 / 100] < 60 * MS);
	CHECK(timeouts < 10);
}
