/* SPDX-License-Identifier: MIT */
/*
 * The paths of docs/decisions/0016-tcp-ip.md with whole connections: eight tenths of Linux's rates, and
 * replies no later.  With PATH_TEST_RATES in the environment it says what they are.
 */
#include "inet/test/tcp_rig.h"

enum { SECONDS = 8 };

static unsigned int seeds(void)
{
	return getenv("FULL") ? 6 : 2;
}

static bool never(void)
{
	return false;
}

/* Mbit/s of data from the start on, on average. */
static unsigned int rate(const struct rig_path *p)
{
	uint64_t bytes = 0;

	rig_check_every = 100;
	for (uint64_t seed = 1; seed <= seeds(); seed++) {
		rig_begin(p, seed);
		rig_a.to_write = 1u << 30;
		rig_connect();
		rig_run(rig_now + SECONDS * SEC, never);
		bytes += rig_b.read;
		CHECK_EQ(rig_wrong, 0);
		rig_end_all();
	}
	return (unsigned int)(bytes * 8 / seeds() / SECONDS / 1000000);
}

static void at_least(const char *name, unsigned int want, struct rig_path p)
{
	unsigned int got = rate(&p);

	if (getenv("PATH_TEST_RATES"))
		printf("%-24s %3u Mbit/s, at least %u\n", name, got, want);
	CHECK(got >= want);
}

TEST(single_losses_cost_what_congestion_control_says)
{
	at_least("10 ms", 77, (struct rig_path){ .rtt_ns = 10 * MS });
	at_least("10 ms, 0.1 %", 36, (struct rig_path){ .rtt_ns = 10 * MS, .loss = 1000 });
	at_least("10 ms, 1 %", 10, (struct rig_path){ .rtt_ns = 10 * MS, .loss = 10000 });
	at_least("10 ms, 3 %", 5, (struct rig_path){ .rtt_ns = 10 * MS, .loss = 30000 });
	at_least("50 ms", 63, (struct rig_path){ .rtt_ns = 50 * MS });
	at_least("50 ms, 0.1 %", 14, (struct rig_path){ .rtt_ns = 50 * MS, .loss = 1000 });
	at_least("50 ms, 1 %", 3, (struct rig_path){ .rtt_ns = 50 * MS, .loss = 10000 });
}

TEST(bursts_are_recovered_from)
{
	at_least("10 ms, 0.1 % in bursts", 61,
		 (struct rig_path){ .rtt_ns = 10 * MS, .loss = 1000, .burst = 4 });
	at_least("10 ms, 1 % in bursts", 12,
		 (struct rig_path){ .rtt_ns = 10 * MS, .loss = 10000, .burst = 4 });
}

TEST(late_packets_are_no_losses)
{
	at_least("10 ms, 1 % late", 76, (struct rig_path){ .rtt_ns = 10 * MS, .late = 10000 });
	at_least("10 ms, 5 % late", 77, (struct rig_path){ .rtt_ns = 10 * MS, .late = 50000 });
}

static uint64_t wanted;

static bool has_all(void)
{
	return rig_b.read == wanted;
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
	struct rig_path p = { .rtt_ns = 10 * MS, .loss = 10000 };

	rig_begin(&p, 1);
	rig_connect();
	rig_run(rig_now + SEC, never);
	wanted = 0;
	for (unsigned int i = 0; i < REPLIES; i++) {
		uint64_t start = rig_now;

		rig_a.to_write = wanted += 10240;
		rig_program(&rig_a);
		rig_run(NEVER - 1, has_all);
		took[i] = rig_now - start;
		rig_run(rig_now + MS, never);
	}
	qsort(took, REPLIES, sizeof(took[0]), order);
	if (getenv("PATH_TEST_RATES"))
		printf("replies: p50 %.1f p99 %.1f p99.9 %.1f ms, %u timeouts\n",
		       (double)took[REPLIES / 2] / 1e6, (double)took[REPLIES * 99 / 100] / 1e6,
		       (double)took[REPLIES * 999 / 1000] / 1e6,
		       (unsigned int)rig_a.x.counter[TCP_C_TIMEOUTS]);
	CHECK(took[REPLIES / 2] < 10 * MS);
	CHECK(took[REPLIES * 99 / 100] < 224 * MS);
	/* a single last segment is given the 200 ms of a delayed ACK (RFC 8985, 7.2): no probe comes before */
	CHECK(rig_a.x.counter[TCP_C_TIMEOUTS] < 25);
	rig_end_all();
}

TEST(without_sack_losses_are_found_too)
{
	struct rig_path p = { .rtt_ns = 10 * MS, .loss = 10000 };

	rig_begin(&p, 1);
	atomic_store(&rig_b.x.conf.sack, 0);
	rig_a.to_write = 1u << 30;
	rig_connect();
	rig_run(rig_now + SECONDS * SEC, never);
	if (getenv("PATH_TEST_RATES"))
		printf("10 ms, 1 %%, no SACK       %3u Mbit/s\n", (unsigned int)(rig_b.read / 1000000));
	CHECK(rig_b.read / 1000000 >= 9);
	CHECK_EQ(rig_wrong, 0);
	rig_end_all();
}
