/* SPDX-License-Identifier: MIT */
#include "inet/tcp/recovery.h"
#include "unit/unit.h"

enum { N = 20, SIZE = 1000 };

static struct tcp_scoreboard board;
static struct tcp_recovery recovery;
static struct tcp_cc cc;
static struct tcp_sent seg[N];
static const uint64_t sent_ns = 1000, again_ns = 2000;

/* A window of N segments, all under way. */
static void begin(void)
{
	tcp_scoreboard_init(&board);
	tcp_recovery_init(&recovery);
	tcp_cc_init(&cc, &tcp_cubic);
	cc.cwnd = N;
	for (unsigned int i = 0; i < N; i++) {
		tcp_sent_first(&board, &seg[i], i * SIZE, (i + 1) * SIZE, sent_ns + i);
		tcp_recovery_sent(&recovery, false, sent_ns + i);
	}
}

static bool ack(uint32_t una, uint32_t delivered, bool dsack, uint64_t echo_ns)
{
	struct tcp_recovery_ack a = { .una = una, .nxt = N * SIZE, .delivered = delivered,
				      .advances = una > seg[0].from, .dsack = dsack,
				      .echo_ns = echo_ns };
	bool grow = tcp_recovery_ack(&recovery, &board, &cc, &a);

	CHECK(tcp_scoreboard_check(&board));
	return grow;
}

static void resend(unsigned int i)
{
	tcp_sent_again(&board, &seg[i], again_ns);
	tcp_recovery_sent(&recovery, true, again_ns);
}

/* The first is lost, the next three arrive. */
static void lose_first(void)
{
	begin();
	for (unsigned int i = 1; i < 4; i++)
		tcp_sent_sacked(&board, &seg[i]);
	tcp_sent_lost(&board, &seg[0]);
	CHECK(!ack(0, 3, false, 0));
	CHECK_EQ(recovery.state, TCP_FAST);
	CHECK_EQ(cc.ssthresh, 14);
}

static uint32_t may_send(void)
{
	uint32_t pipe = tcp_scoreboard_pipe(&board);

	return cc.cwnd > pipe ? cc.cwnd - pipe : 0;
}

/* RFC 6937: fourteen may be sent for the twenty that were under way, as these arrive. */
TEST(the_window_shrinks_in_proportion)
{
	lose_first();
	CHECK_EQ(may_send(), 3);		/* 3 * 14 / 20, rounded up */
	resend(0);
	tcp_sent_sacked(&board, &seg[4]);
	CHECK(!ack(0, 1, false, 0));
	CHECK_EQ(may_send(), 2);		/* 4 * 14 / 20, but for what was sent */
	tcp_recovery_sent(&recovery, false, again_ns);
	tcp_recovery_sent(&recovery, false, again_ns);
	tcp_sent_sacked(&board, &seg[5]);
	CHECK(!ack(0, 1, false, 0));
	CHECK_EQ(may_send(), 1);
	while (tcp_sent_head(&board))
		tcp_sent_remove(&board, tcp_sent_head(&board));
	CHECK(tcp_recovery_ends(&recovery, N * SIZE));
	CHECK(ack(N * SIZE, 1, false, again_ns));
	CHECK_EQ(recovery.state, TCP_OPEN);
	CHECK_EQ(cc.cwnd, 14);
}

/* Also if it was a timer that found the loss, and nothing has arrived just now. */
TEST(what_is_lost_is_sent_at_once)
{
	begin();
	tcp_sent_lost(&board, &seg[0]);
	CHECK(!ack(0, 0, false, 0));
	CHECK_EQ(may_send(), 1);
}

TEST(an_older_time_stamp_shows_that_nothing_was_lost)
{
	lose_first();
	resend(0);
	tcp_sent_remove(&board, &seg[0]);
	CHECK(ack(SIZE, 1, false, sent_ns));
	CHECK_EQ(recovery.state, TCP_OPEN);
	CHECK_EQ(cc.cwnd, N);
	CHECK(!tcp_cc_in_slow_start(&cc) || cc.ssthresh == TCP_CC_SSTHRESH_MAX);

	lose_first();
	resend(0);
	tcp_sent_remove(&board, &seg[0]);
	CHECK(!ack(SIZE, 1, false, again_ns));
	CHECK_EQ(recovery.state, TCP_FAST);

	/* Of the next episode, what was sent again in this one does not count. */
	for (unsigned int i = 1; i < N - 1; i++)
		tcp_sent_remove(&board, &seg[i]);
	CHECK(ack(N * SIZE, 1, false, again_ns));
	tcp_sent_lost(&board, &seg[N - 1]);
	CHECK(!ack(N * SIZE, 0, false, again_ns));
	tcp_sent_again(&board, &seg[N - 1], 3 * again_ns);
	tcp_recovery_sent(&recovery, true, 3 * again_ns);
	CHECK(ack(N * SIZE + 1, 1, false, 2 * again_ns));
	CHECK_EQ(cc.cwnd, 14);
}

TEST(duplicates_of_all_show_it_also_after_the_end)
{
	lose_first();
	tcp_sent_lost(&board, &seg[4]);
	resend(0);
	resend(4);
	while (tcp_sent_head(&board))
		tcp_sent_remove(&board, tcp_sent_head(&board));
	CHECK(ack(N * SIZE, 17, false, again_ns));
	CHECK_EQ(cc.cwnd, 14);
	CHECK(ack(N * SIZE, 0, true, again_ns));
	CHECK_EQ(cc.cwnd, 14);
	CHECK(ack(N * SIZE, 0, true, again_ns));
	CHECK_EQ(cc.cwnd, N);
	cc.cwnd = 5;
	CHECK(ack(N * SIZE, 0, true, again_ns));
	CHECK_EQ(cc.cwnd, 5);
}

TEST(what_was_marked_is_under_way_again)
{
	lose_first();
	tcp_sent_lost(&board, &seg[4]);
	tcp_sent_lost(&board, &seg[7]);
	resend(0);
	tcp_sent_remove(&board, &seg[0]);
	CHECK_EQ(board.lost, 2);
	ack(SIZE, 1, false, sent_ns);
	CHECK_EQ(board.lost, 0);
	CHECK_EQ(tcp_scoreboard_pipe(&board), N - 4);
}

TEST(a_timeout_leaves_one_segment_and_reduces_once)
{
	lose_first();
	tcp_recovery_timeout(&recovery, &cc, N * SIZE);
	CHECK_EQ(cc.cwnd, 1);
	CHECK_EQ(cc.ssthresh, 14);
	CHECK(ack(0, 0, false, 0));		/* slow start from here on */
	CHECK_EQ(recovery.state, TCP_TIMEOUT);
	begin();
	tcp_recovery_timeout(&recovery, &cc, N * SIZE);
	CHECK_EQ(cc.ssthresh, 14);
	while (tcp_sent_head(&board))
		tcp_sent_remove(&board, tcp_sent_head(&board));
	cc.cwnd = 9;
	CHECK(ack(N * SIZE, N, false, again_ns));
	CHECK_EQ(recovery.state, TCP_OPEN);
	CHECK_EQ(cc.cwnd, 9);
}

/* RFC 8985, 7.4 */
TEST(a_probe_that_was_needed_counts_as_a_loss)
{
	begin();
	tcp_recovery_probe(&recovery, true, N * SIZE);
	CHECK(ack(SIZE, 1, false, 0));
	CHECK_EQ(cc.cwnd, N);
	CHECK(ack(N * SIZE, 1, false, 0));
	CHECK_EQ(cc.cwnd, 14);
	CHECK(!recovery.probe);

	begin();
	tcp_recovery_probe(&recovery, true, N * SIZE);
	CHECK(ack(N * SIZE, 0, true, 0));	/* both copies have arrived */
	CHECK_EQ(cc.cwnd, N);
	begin();
	tcp_recovery_probe(&recovery, false, N * SIZE);
	CHECK(ack(N * SIZE, 1, false, 0));	/* it was new data */
	CHECK_EQ(cc.cwnd, N);
}
