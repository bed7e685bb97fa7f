/* SPDX-License-Identifier: MIT */
#include "inet/tcp/rack.h"
#include "unit/unit.h"

#define MS	1000000ull
#define RTT	(40 * MS)
#define QUARTER	(RTT / 4)

enum { SEGMENTS = 64, SIZE = 1000 };

static struct tcp_scoreboard board;
static struct tcp_rack rack;
static struct tcp_sent seg[SEGMENTS];
static unsigned int sent;
static uint64_t now;

static void begin(uint32_t first_seq)
{
	tcp_scoreboard_init(&board);
	tcp_rack_init(&rack);
	sent = 0;
	now = 1000 * MS;
	seg[0].to = first_seq;
}

/* @n segments, a millisecond from each other. */
static void send(unsigned int n)
{
	while (n--) {
		uint32_t from = sent ? seg[sent - 1].to : seg[0].to;

		tcp_sent_first(&board, &seg[sent++], from, from + SIZE, now);
		now += MS;
	}
}

static void window(bool dsack, bool recovery, bool ends)
{
	struct tcp_rack_ack a = { .now_ns = now, .min_rtt_ns = RTT, .srtt_ns = RTT, .una = seg[0].from,
				  .nxt = seg[sent - 1].to, .dsack = dsack, .in_recovery = recovery,
				  .recovery_ends = ends };

	tcp_rack_window(&rack, &a, board.sacked);
}

static void sack(unsigned int i)
{
	tcp_rack_delivered(&rack, &seg[i], now, RTT, true);
	tcp_sent_sacked(&board, &seg[i]);
	window(false, board.lost > 0, false);
	CHECK(tcp_scoreboard_check(&board));
}

static uint32_t detect(uint64_t *again)
{
	uint32_t lost = tcp_rack_detect(&rack, &board, now, again);

	CHECK(tcp_scoreboard_check(&board));
	return lost;
}

TEST(three_that_arrive_later_show_a_loss_at_once)
{
	uint64_t again;

	begin(0u - 2500);
	send(5);
	now = 1001 * MS + RTT;
	sack(1);
	CHECK_EQ(detect(&again), 0);
	CHECK_EQ(again, 1000 * MS + RTT + QUARTER);
	now += MS;
	sack(2);
	CHECK_EQ(detect(&again), 0);
	now += MS;
	sack(3);
	CHECK_EQ(detect(&again), 1);
	CHECK(seg[0].lost && !seg[4].lost);
	CHECK(again == UINT64_MAX);
	CHECK(tcp_sent_next_lost(&board) == &seg[0]);
	CHECK_EQ(tcp_scoreboard_pipe(&board), 1);
}

TEST(fewer_show_it_when_the_window_has_gone_by)
{
	uint64_t again;

	begin(1000);
	send(2);
	now = 1001 * MS + RTT;
	sack(1);
	CHECK_EQ(detect(&again), 0);
	now = again - 1;
	CHECK_EQ(detect(&again), 0);
	now = again;
	CHECK_EQ(detect(&again), 1);
	CHECK(again == UINT64_MAX);
}

TEST(where_packets_overtake_each_other_three_are_not_enough)
{
	uint64_t again;

	begin(1000);
	send(8);
	now = 1001 * MS + RTT;
	sack(1);
	sack(0);				/* overtaken */
	CHECK(rack.reordered);
	now += 4 * MS;
	for (unsigned int i = 3; i < 8; i++)
		sack(i);
	CHECK_EQ(detect(&again), 0);
	CHECK_EQ(again, seg[2].sent_ns + rack.rtt_ns + QUARTER);
	sack(2);
	CHECK_EQ(detect(&again), 0);
	CHECK(again == UINT64_MAX);
}

TEST(a_retransmission_that_is_lost_is_found)
{
	uint64_t again;

	begin(1000);
	send(4);
	now = 1003 * MS + RTT;
	for (unsigned int i = 1; i < 4; i++)
		sack(i);
	CHECK_EQ(detect(&again), 1);
	tcp_sent_again(&board, &seg[0], now);
	CHECK_EQ(board.lost, 0);
	CHECK_EQ(detect(&again), 0);
	now += MS;
	send(1);
	now += RTT;
	sack(4);				/* was sent after the retransmission */
	window(false, true, false);
	CHECK_EQ(detect(&again), 1);
	CHECK(seg[0].lost && seg[0].again);
}

TEST(an_early_copy_says_nothing_of_the_retransmission)
{
	uint64_t before;

	begin(1000);
	send(3);
	now = 1001 * MS + RTT;
	sack(1);
	before = rack.sent_ns;
	tcp_sent_lost(&board, &seg[0]);
	tcp_sent_again(&board, &seg[0], now);
	now += MS;				/* sooner than any round trip */
	tcp_rack_delivered(&rack, &seg[0], now, RTT, true);
	CHECK_EQ(rack.sent_ns, before);
	now += RTT;				/* late enough, but of an older time stamp */
	tcp_rack_delivered(&rack, &seg[0], now, RTT, false);
	CHECK_EQ(rack.sent_ns, before);
	CHECK(!rack.reordered);
	tcp_rack_delivered(&rack, &seg[0], now, RTT, true);
	CHECK_EQ(rack.sent_ns, seg[0].sent_ns);
	CHECK_EQ(rack.rtt_ns, RTT + MS);
}

TEST(duplicates_widen_the_window_for_sixteen_recoveries)
{
	begin(1000);
	send(2);
	window(false, false, false);
	CHECK_EQ(rack.window_ns, QUARTER);
	window(true, false, false);
	CHECK_EQ(rack.window_ns, 2 * QUARTER);
	window(true, false, false);		/* the same round */
	CHECK_EQ(rack.window_ns, 2 * QUARTER);
	for (unsigned int i = 0; i < 10; i++) {
		rack.dsack_round = seg[0].from;	/* acknowledged: another one */
		window(true, false, false);
	}
	CHECK_EQ(rack.window_ns, RTT);		/* srtt is the bound */
	for (unsigned int i = 0; i < 15; i++)
		window(false, false, true);
	CHECK_EQ(rack.window_ns, RTT);
	window(false, false, true);
	CHECK_EQ(rack.window_ns, QUARTER);
	window(false, true, false);
	CHECK_EQ(rack.window_ns, 0);
	rack.reordered = true;
	window(false, true, false);
	CHECK_EQ(rack.window_ns, QUARTER);
}

TEST(a_timeout_loses_the_first_and_what_is_old)
{
	begin(1000);
	send(3);
	now = 1000 * MS + RTT;
	tcp_rack_delivered(&rack, &seg[0], now, RTT, true);
	tcp_sent_remove(&board, &seg[0]);
	CHECK(tcp_sent_head(&board) == &seg[1]);
	now = 1000 * MS + 10 * RTT;
	send(1);
	CHECK_EQ(tcp_rack_timeout(&rack, &board, now), 2);
	CHECK(seg[1].lost && seg[2].lost && !seg[3].lost);
	tcp_sent_again(&board, &seg[1], now);
	CHECK_EQ(tcp_rack_timeout(&rack, &board, now), 1);	/* the first in any case */
	CHECK(tcp_scoreboard_check(&board));
}

TEST(a_receiver_may_give_up_what_it_had)
{
	begin(1000);
	send(4);
	now += RTT;
	sack(0);
	sack(2);
	CHECK_EQ(tcp_rack_timeout(&rack, &board, now + RTT), 4);
	CHECK_EQ(board.sacked, 0);
	CHECK_EQ(board.lost, 4);
	CHECK(tcp_scoreboard_check(&board));
}

TEST(probes_come_after_two_round_trips)
{
	CHECK_EQ(tcp_tlp_at(now, RTT, 2, UINT64_MAX), now + 2 * RTT);
	CHECK_EQ(tcp_tlp_at(now, RTT, 1, UINT64_MAX), now + 2 * RTT + 200 * MS);
	CHECK_EQ(tcp_tlp_at(now, RTT, 1, now + 240 * MS), now + 240 * MS);
	CHECK_EQ(tcp_tlp_at(now, 0, 5, UINT64_MAX), now + 1000 * MS);
}

/* Step 5 of the RFC as it stands there, over all records. */
static bool is_lost_by_rule(const struct tcp_sent *s)
{
	if (s->sacked || !rack.sent_ns)
		return s->lost;
	if (s->lost)
		return true;
	if (rack.sent_ns < s->sent_ns || (rack.sent_ns == s->sent_ns && !seq_after(rack.to, s->to)))
		return false;
	return s->sent_ns + rack.rtt_ns + rack.window_ns <= now;
}

static void detect_by_rule(void)
{
	bool want[SEGMENTS];
	uint64_t again, last = UINT64_MAX;

	for (unsigned int i = 0; i < sent; i++)
		want[i] = is_lost_by_rule(&seg[i]);
	detect(&again);
	for (unsigned int i = 0; i < sent; i++) {
		uint64_t at = seg[i].sent_ns + rack.rtt_ns + rack.window_ns;

		CHECK_EQ(seg[i].lost, want[i]);
		if (!want[i] && !seg[i].sacked && rack.sent_ns &&
		    (rack.sent_ns > seg[i].sent_ns ||
		     (rack.sent_ns == seg[i].sent_ns && seq_after(rack.to, seg[i].to))))
			last = last == UINT64_MAX || at > last ? at : last;
	}
	CHECK(again == last);
}

TEST(random_histories_agree_with_the_rule)
{
	for (unsigned int run = 0; run < 3000; run++) {
		begin(run & 1 ? 0u - 7777 : 5000);
		send(1);
		for (unsigned int step = 0; step < 80; step++) {
			unsigned int i = (unsigned int)(unit_random() % sent);

			switch (unit_random() % 4) {
			case 0:
				if (sent == SEGMENTS)
					break;
				send(1);
				now -= unit_random() & 1 ? MS : 0;	/* two at the same moment */
				break;
			case 1:
				if (!seg[i].sacked && now >= seg[i].sent_ns + RTT)
					sack(i);
				break;
			case 2:
				if (seg[i].lost)
					tcp_sent_again(&board, &seg[i], now);
				break;
			default:
				now += unit_random() % RTT;
			}
			detect_by_rule();
		}
		CHECK_EQ(tcp_sent_next_lost(&board) != NULL, board.lost > 0);
		while (tcp_sent_last(&board))
			tcp_sent_remove(&board, tcp_sent_last(&board));
		CHECK(!board.segments && !board.sacked && !board.lost && list_is_empty(&board.by_time));
	}
}
