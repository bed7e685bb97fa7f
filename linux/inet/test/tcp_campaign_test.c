/* SPDX-License-Identifier: MIT */
/*
 * Connections over random paths, with random programs at their ends and a heap that refuses: all bytes
 * arrive, in order, both ends come to their end, nothing is left, and the invariants hold after each step.
 * CAMPAIGN=N runs N of them, CAMPAIGN_SEED=S only that one.
 */
#include "inet/test/heap.h"
#include "inet/test/tcp_rig.h"

static uint32_t one_of(const uint32_t *choice, unsigned int n)
{
	return choice[rig_random() % n];
}

#define ONE_OF(...)                                                                                \
	one_of((const uint32_t[]){ __VA_ARGS__ },                                                  \
	       sizeof((const uint32_t[]){ __VA_ARGS__ }) / sizeof(uint32_t))

static void choose_path(struct rig_path *p)
{
	*p = (struct rig_path){ .rtt_ns = ONE_OF(0, 1, 10, 50, 300) * MS,
				.loss = ONE_OF(0, 0, 1000, 10000, 30000, 100000),
				.late = ONE_OF(0, 0, 10000, 100000, 400000),
				.burst = ONE_OF(0, 0, 2, 6), .twice = ONE_OF(0, 0, 10000, 200000),
				.ack_loss = ONE_OF(0, 0, 100000, 300000), .mtu = ONE_OF(0, 0, 576, 9000, 256),
				.gso = ONE_OF(0, 1), .ns_per_byte = ONE_OF(8, 80, 800), .ce = ONE_OF(0, 0, 1) };
	/* bursts are counted in packets: timeouts that double do not outlast long ones */
	if (p->burst) {
		p->ack_loss = 0;
		p->loss = MIN(p->loss, 10000u);
	}
	if (!ONE_OF(0, 1, 2, 3, 4, 5, 6, 7))
		*p = (struct rig_path){ .loopback = true };
}

static void choose_end(struct rig_end *e)
{
	e->to_write = ONE_OF(0, 1, 1000, 20000, 300000, 1000000);
	e->read_rate = ONE_OF(0, 0, 0, 1, 100, 1448, 5000);
	e->halves = e->closes = true;
	e->c.set.nodelay = ONE_OF(0, 1);
	if (ONE_OF(0, 0, 1)) {
		e->c.set.rcvbuf = ONE_OF(2304, 8192, 40000, 400000);
		e->c.set.rcvbuf_locked = true;
	}
	if (ONE_OF(0, 0, 1)) {
		e->c.set.sndbuf = ONE_OF(4608, 20000, 400000);
		e->c.set.sndbuf_locked = true;
	}
	e->l.rcvbuf = e->c.set.rcvbuf;
	atomic_store(&e->x.conf.sack, (uint8_t)ONE_OF(0, 1, 1));
	atomic_store(&e->x.conf.timestamps, (uint8_t)ONE_OF(0, 1, 1));
	atomic_store(&e->x.conf.window_scaling, (uint8_t)ONE_OF(0, 1, 1));
	atomic_store(&e->x.conf.ecn, (uint8_t)ONE_OF(0, 1, 2));
	atomic_store(&e->x.conf.cc, ONE_OF(0, 1) ? &tcp_cubic : &tcp_reno);
	tcp_set_cc(&e->c, atomic_load(&e->x.conf.cc));
}

/* Who reads a byte at a time would take longer than an orphan waits. */
static void bound_patience(struct rig_end *e)
{
	if (e->read_rate)
		e->read_rate = MAX(e->read_rate, (uint32_t)(e->peer->to_write / 200));
}

static bool both_gone(void)
{
	/* programs are slow: they look again and again */
	if (rig_random() % 4 == 0) {
		rig_program(&rig_a);
		rig_program(&rig_b);
	}
	return rig_a.c.state == TCP_CLOSE && rig_b.c.state == TCP_CLOSE && rig_b.closed &&
	       !tcp_readable(&rig_a.c) && !tcp_readable(&rig_b.c);
}

static unsigned int gave_up;

static bool one(uint64_t seed)
{
	static struct rig_path path;
	bool whole;

	rig_begin(&path, seed);
	choose_path(&path);
	choose_end(&rig_a);
	choose_end(&rig_b);
	bound_patience(&rig_a);
	bound_patience(&rig_b);
	rig_connect();
	heap_refuse_one_in = ONE_OF(0, 0, 0, 1000, 50);
	for (unsigned int i = 0; i < 40000 && !both_gone(); i++)
		rig_run(rig_now + 50 * MS, both_gone);
	heap_refuse_one_in = 0;
	CHECK(rig_a.c.rcv_charge <= 2 * MAX(rig_a.c.set.rcvbuf, 131072u));
	CHECK(rig_b.c.rcv_charge <= 2 * MAX(rig_b.c.set.rcvbuf, 131072u));
	whole = both_gone() && rig_b.read == rig_a.written && rig_a.read == rig_b.written &&
		rig_a.written == rig_a.to_write && rig_b.written == rig_b.to_write && !rig_wrong;
	/* a timeout's last try may be lost, too: then an end has given up */
	if (!whole && rig_a.x.counter[TCP_C_ABORT_ON_TIMEOUT] + rig_b.x.counter[TCP_C_ABORT_ON_TIMEOUT]) {
		gave_up++;
		if (getenv("CAMPAIGN"))
			printf("seed %" PRIu64 " gave up\n", seed);
		whole = !rig_wrong;
	}
	if (!whole)
		printf("seed %" PRIu64 ": a has %" PRIu64 " of %" PRIu64 ", state %u; b %" PRIu64
		       " of %" PRIu64 ", state %u\n", seed, rig_a.read, rig_b.to_write, rig_a.c.state,
		       rig_b.read, rig_a.to_write, rig_b.c.state);
	rig_end_all();
	return whole;
}

TEST(everything_arrives_over_any_path)
{
	unsigned long runs = getenv("FULL") ? 2000 : 60, from = 1;

	if (getenv("CAMPAIGN"))
		runs = strtoul(getenv("CAMPAIGN"), NULL, 10);
	if (getenv("CAMPAIGN_SEED")) {
		from = strtoul(getenv("CAMPAIGN_SEED"), NULL, 10);
		runs = 1;
	}
	for (unsigned long seed = from; seed < from + runs; seed++)
		CHECK(one(seed));
	CHECK(gave_up <= 1 + runs / 200);
}
