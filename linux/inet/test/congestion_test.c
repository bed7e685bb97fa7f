/* SPDX-License-Identifier: MIT */
/* Round-trip times and windows, against their formulas in floating point. */
#include <math.h>

#include "inet/tcp/cc.h"
#include "inet/tcp/rtt.h"
#include "unit/unit.h"

#define MS	1000000ull
#define SECOND	(1000 * MS)

static uint64_t now;
static uint32_t sent;			/* sequence number: SND.NXT */

/* A round trip of @rtt in which a window's worth is acknowledged, two segments at a time. */
static void round_trip(struct tcp_cc *cc, uint64_t rtt)
{
	uint32_t window = cc->cwnd, end = sent + window;

	for (uint32_t acked = 0; acked < window; acked += 2) {
		uint32_t n = window - acked < 2 ? 1 : 2;
		struct tcp_cc_ack a = { .now_ns = now + rtt * acked / window, .rtt_ns = rtt,
					.srtt_ns = rtt, .acked = n, .una = sent + acked + n,
					.nxt = end + acked + n, .limited = true };

		tcp_cc_ack(cc, &a);
	}
	sent = end;
	now += rtt;
}

static void start(struct tcp_cc *cc, const struct tcp_cc_ops *ops, uint32_t cwnd)
{
	now = SECOND;
	tcp_cc_init(cc, ops);
	cc->cwnd = cwnd;
}

static void lose(struct tcp_cc *cc)
{
	tcp_cc_loss(cc);
	cc->cwnd = cc->ssthresh;
	tcp_cc_settle(cc);
}

TEST(algorithms_have_names)
{
	CHECK(tcp_cc_find("cubic") == &tcp_cubic);
	CHECK(tcp_cc_find("reno") == &tcp_reno);
	CHECK(!tcp_cc_find("bbr"));
}

TEST(slow_start_doubles_the_window)
{
	struct tcp_cc cc;

	start(&cc, &tcp_cubic, 10);
	for (uint32_t want = 20; want <= 640; want *= 2) {
		round_trip(&cc, 50 * MS);
		CHECK_EQ(cc.cwnd, want);
	}
}

TEST(reno_adds_a_segment_per_round_trip_and_halves)
{
	struct tcp_cc cc;

	start(&cc, &tcp_reno, 100);
	lose(&cc);
	CHECK_EQ(cc.cwnd, 50);
	for (uint32_t want = 51; want < 80; want++) {
		round_trip(&cc, 50 * MS);
		CHECK_EQ(cc.cwnd, want);
	}
}

static double curve(double w_max, double w_epoch, double t)
{
	double k = cbrt((w_max - w_epoch) / 0.4);

	return 0.4 * pow(t - k, 3) + w_max;
}

/* On long round trips the window follows the curve up to the plateau and beyond. */
TEST(cubic_follows_its_curve)
{
	static const uint32_t peaks[] = { 100, 1000, 20000 };

	for (unsigned int i = 0; i < 3; i++) {
		struct tcp_cc cc;
		uint64_t epoch;

		start(&cc, &tcp_cubic, peaks[i]);
		lose(&cc);
		CHECK_EQ(cc.cwnd, peaks[i] * 7 / 10);
		epoch = now;
		for (unsigned int n = 0; n < 200 && cc.cwnd < 2 * peaks[i]; n++) {
			double want;

			round_trip(&cc, 200 * MS);
			want = curve(peaks[i], peaks[i] * 0.7, (double)(now - epoch) / 1e9);
			CHECK(fabs(cc.cwnd - want) <= 2 + want * 0.004);
		}
		CHECK(cc.cwnd > peaks[i]);
	}
}

/* On short ones it is not slower than a Reno that gives up 0.3 of its window (4.3). */
TEST(cubic_is_as_fast_as_reno_on_short_paths)
{
	struct tcp_cc cc;

	start(&cc, &tcp_cubic, 100);
	lose(&cc);
	for (unsigned int n = 1; n <= 50; n++) {
		round_trip(&cc, MS);
		CHECK(fabs(cc.cwnd - (70 + n * 9.0 / 17)) <= 1.5);
	}
	/* From the window before the loss on, a segment per round trip. */
	while (cc.cwnd < 101)
		round_trip(&cc, MS);
	for (unsigned int n = 1; n <= 20; n++) {
		round_trip(&cc, MS);
		CHECK(fabs(cc.cwnd - (101.0 + n)) <= 1.5);
	}
}

TEST(cubic_leaves_room_when_loss_comes_early)
{
	struct tcp_cc cc;

	start(&cc, &tcp_cubic, 1000);
	lose(&cc);
	CHECK_EQ(cc.cubic.w_max, 1000);
	lose(&cc);				/* at 700 */
	CHECK_EQ(cc.cwnd, 490);
	CHECK_EQ(cc.cubic.w_max, 595);
	lose(&cc);
	CHECK_EQ(cc.cubic.w_max, 490 * 17 / 20);
}

TEST(what_was_no_loss_is_undone)
{
	struct tcp_cc cc;

	start(&cc, &tcp_cubic, 1000);
	lose(&cc);
	while (cc.cwnd < 900)
		round_trip(&cc, 100 * MS);
	tcp_cc_timeout(&cc, false);
	CHECK_EQ(cc.cwnd, 1);
	tcp_cc_timeout(&cc, true);
	CHECK(cc.ssthresh >= 630 && cc.ssthresh < 700);
	tcp_cc_undo(&cc);
	CHECK(cc.cwnd >= 900);
	CHECK_EQ(cc.ssthresh, 700);
	CHECK_EQ(cc.cubic.w_max, 1000);
	cc.cwnd = 500;
	tcp_cc_undo(&cc);			/* nothing to undo */
	CHECK_EQ(cc.cwnd, 500);
	cc.cwnd = 950;
	round_trip(&cc, 100 * MS);
	CHECK(cc.cwnd >= 900 && cc.cwnd < 1000);

	tcp_cc_loss(&cc);
	cc.cwnd = 2000;				/* it has grown beyond meanwhile */
	tcp_cc_undo(&cc);
	CHECK_EQ(cc.cwnd, 2000);
	tcp_cc_loss(&cc);
	tcp_cc_settle(&cc);
	cc.cwnd = 10;
	tcp_cc_undo(&cc);
	CHECK_EQ(cc.cwnd, 10);
}

TEST(windows_stay_within_their_bounds)
{
	struct tcp_cc cc;

	start(&cc, &tcp_cubic, 2);
	for (unsigned int i = 0; i < 10; i++)
		lose(&cc);
	CHECK_EQ(cc.cwnd, 2);
	for (unsigned int i = 0; i < 60; i++) {
		struct tcp_cc_ack a = { .now_ns = now += 1000 * SECOND, .acked = 0xffffffffu,
					.srtt_ns = SECOND, .limited = true };
		uint32_t before = cc.cwnd;

		tcp_cc_ack(&cc, &a);
		CHECK(cc.cwnd >= before && cc.cwnd <= before + before / 2 + 1);
		CHECK(cc.cwnd <= TCP_CC_WINDOW_MAX);
	}
	CHECK_EQ(cc.cwnd, TCP_CC_WINDOW_MAX);
	start(&cc, &tcp_cubic, 100);
	lose(&cc);
	tcp_cc_ack(&cc, &(struct tcp_cc_ack){ .now_ns = now, .acked = 1000, .limited = false });
	CHECK_EQ(cc.cwnd, 70);
}

TEST(an_idle_connection_begins_anew)
{
	struct tcp_cc cc;

	start(&cc, &tcp_cubic, 160);
	lose(&cc);
	CHECK_EQ(cc.cwnd, 112);
	round_trip(&cc, 100 * MS);
	tcp_cc_resume(&cc, 199 * MS, 200 * MS, true);
	CHECK(cc.cwnd >= 112);
	cc.cwnd = 120;
	tcp_cc_resume(&cc, 700 * MS, 200 * MS, true);
	CHECK_EQ(cc.cwnd, 15);			/* halved three times */
	CHECK_EQ(cc.ssthresh, 112);
	tcp_cc_resume(&cc, 1000 * SECOND, 200 * MS, true);
	CHECK_EQ(cc.cwnd, TCP_CC_INITIAL_WINDOW);
	start(&cc, &tcp_cubic, 160);
	tcp_cc_resume(&cc, 1000 * SECOND, 200 * MS, false);
	CHECK_EQ(cc.cwnd, 160);
}

TEST(idle_time_is_none_of_the_curve)
{
	struct tcp_cc cc, idle;

	start(&cc, &tcp_cubic, 1000);
	lose(&cc);
	round_trip(&cc, 100 * MS);
	idle = cc;
	for (unsigned int i = 0; i < 20; i++)
		round_trip(&cc, 100 * MS);
	now += 100 * SECOND;
	tcp_cc_resume(&idle, 100 * SECOND + 2 * SECOND, 200 * MS, false);
	for (unsigned int i = 0; i < 20; i++)
		round_trip(&idle, 100 * MS);
	CHECK_EQ(idle.cwnd, cc.cwnd);
}

TEST(the_curve_rises_for_ever)
{
	struct tcp_cc cc;

	start(&cc, &tcp_cubic, 100);
	lose(&cc);
	round_trip(&cc, 100 * MS);
	for (unsigned int shift = 20; shift < 40; shift++) {
		struct tcp_cc later = cc;
		struct tcp_cc_ack a = { .acked = cc.cwnd, .limited = true };

		a.now_ns = later.cubic.epoch_ns + (later.cubic.k_ms + (1ull << shift)) * MS;
		tcp_cc_ack(&later, &a);
		CHECK(later.cwnd > 100);
	}
}

/* RFC 9406, 4.2: a round of few samples says nothing, one ACK opens the window by eight at most. */
TEST(slow_start_needs_evidence_to_end_and_does_not_burst)
{
	struct tcp_cc cc;

	start(&cc, &tcp_cubic, 10);
	round_trip(&cc, 50 * MS);
	CHECK_EQ(cc.cwnd, 20);
	cc.cwnd = 12;
	for (unsigned int i = 0; i < 4; i++) {
		round_trip(&cc, (60 + 10 * i) * MS);
		CHECK_EQ(cc.cwnd, 24);
		cc.cwnd = 12;
	}
	start(&cc, &tcp_cubic, 10);
	tcp_cc_ack(&cc, &(struct tcp_cc_ack){ .now_ns = now, .acked = 100, .limited = true });
	CHECK_EQ(cc.cwnd, 18);
}

TEST(slow_start_after_a_timeout_goes_to_the_threshold)
{
	struct tcp_cc cc;

	start(&cc, &tcp_cubic, 1000);
	tcp_cc_timeout(&cc, false);
	for (uint32_t want = 2, i = 0; want < 700; want *= 2, i++) {
		round_trip(&cc, (50 + 10 * i) * MS);
		CHECK_EQ(cc.cwnd, want);
	}
	round_trip(&cc, 50 * MS);
	CHECK(cc.cwnd >= 700 && cc.cwnd < 800);
}

/* A queue that fills makes round trips longer: five rounds at a quarter of the growth. */
TEST(slow_start_ends_when_a_queue_builds_up)
{
	struct tcp_cc cc;
	uint32_t window, rounds = 0;

	start(&cc, &tcp_cubic, 10);
	while (cc.cwnd < 320)
		round_trip(&cc, 50 * MS);
	round_trip(&cc, 57 * MS);
	window = cc.cwnd;
	while (tcp_cc_in_slow_start(&cc) && rounds++ < 20)
		round_trip(&cc, 57 * MS);
	CHECK_EQ(rounds, 5);
	CHECK(cc.cwnd < 4 * window);
	CHECK(cc.ssthresh < TCP_CC_SSTHRESH_MAX);
}

TEST(a_passing_delay_does_not_end_slow_start)
{
	struct tcp_cc cc;
	uint32_t window;

	start(&cc, &tcp_cubic, 10);
	while (cc.cwnd < 160)
		round_trip(&cc, 50 * MS);
	round_trip(&cc, 57 * MS);
	round_trip(&cc, 50 * MS);
	window = cc.cwnd;
	round_trip(&cc, 50 * MS);
	CHECK_EQ(cc.cwnd, 2 * window);
	CHECK(tcp_cc_in_slow_start(&cc));
}

TEST(the_timeout_follows_the_round_trip)
{
	struct tcp_rtt r = { .srtt_ns = 0 };

	CHECK_EQ(tcp_rtt_rto(&r, 0), SECOND);
	CHECK_EQ(tcp_rtt_rto(&r, 2), 4 * SECOND);
	CHECK_EQ(tcp_rtt_rto(&r, 1000), TCP_RTO_MAX_NS);
	tcp_rtt_sample(&r, 100 * MS, now);
	CHECK_EQ(tcp_rtt_rto(&r, 0), 300 * MS);
	for (unsigned int i = 0; i < 100; i++)
		tcp_rtt_sample(&r, 100 * MS, now);
	CHECK_EQ((r.srtt_ns + MS / 2) / MS, 100);
	CHECK_EQ((tcp_rtt_rto(&r, 0) + MS / 2) / MS, 300);
	for (unsigned int i = 0; i < 100; i++)
		tcp_rtt_sample(&r, i & 1 ? 500 * MS : 900 * MS, now);
	CHECK(tcp_rtt_rto(&r, 0) > 1400 * MS && tcp_rtt_rto(&r, 0) < 1600 * MS);
	tcp_rtt_sample(&r, 0, now);
	CHECK(tcp_rtt_min(&r) == 1);
}

/* What an exact window would give, but for samples of the last quarter that were not kept. */
TEST(the_least_round_trip_is_one_of_the_window)
{
	enum { N = 4000 };
	static uint64_t rtt[N], at[N];
	struct tcp_rtt r = { .srtt_ns = 0 };
	uint64_t time = SECOND;

	CHECK(tcp_rtt_min(&r) == UINT64_MAX);
	for (unsigned int i = 0; i < N; i++) {
		uint64_t exact = UINT64_MAX;
		bool found = false;

		time += unit_random() % SECOND;
		rtt[i] = (10 + i / 200 + unit_random() % 50) * MS;
		at[i] = time;
		tcp_rtt_sample(&r, rtt[i], time);
		for (unsigned int j = 0; j <= i; j++) {
			if (time - at[j] > TCP_RTT_MIN_WINDOW_NS)
				continue;
			exact = rtt[j] < exact ? rtt[j] : exact;
			found |= rtt[j] == tcp_rtt_min(&r);
		}
		CHECK(found);
		CHECK(tcp_rtt_min(&r) >= exact && tcp_rtt_min(&r) <= exact + 20 * MS);
	}
}
