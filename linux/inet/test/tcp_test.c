/* SPDX-License-Identifier: MIT */
/* Two ends talk to each other: everything arrives, states are left, nothing is left behind. */
#include "inet/test/tcp_rig.h"

static const struct rig_path lan = { .rtt_ns = 10 * MS }, lo = { .loopback = true };

static bool both_gone(void)
{
	return rig_a.c.state == TCP_CLOSE && rig_b.c.state == TCP_CLOSE && rig_b.accepted;
}

static void transfer(const struct rig_path *path, uint64_t there, uint64_t back)
{
	rig_begin(path, 1);
	rig_a.to_write = there;
	rig_b.to_write = back;
	rig_a.closes = rig_b.closes = rig_a.halves = rig_b.halves = true;
	rig_connect();
	rig_run(rig_now + 60 * SEC, both_gone);
	CHECK(both_gone());
	CHECK_EQ(rig_b.read, there);
	CHECK_EQ(rig_a.read, back);
	CHECK_EQ(rig_wrong, 0);
	CHECK_EQ(rig_a.c.error, 0);
	CHECK_EQ(rig_b.c.error, 0);
	CHECK_EQ(rig_a.c.total_retrans + rig_b.c.total_retrans, 0);
	rig_end_all();
}

TEST(nothing_is_sent_but_the_ends)
{
	transfer(&lan, 0, 0);
	transfer(&lo, 0, 0);
}

TEST(bytes_arrive_in_order)
{
	transfer(&lan, 1, 0);
	transfer(&lan, 100000, 0);
	transfer(&lan, 100000, 70000);
	transfer(&lo, 5000000, 0);
	transfer(&lo, 5000000, 300000);
}

TEST(segments_are_cut_by_the_device)
{
	static const struct rig_path gso = { .rtt_ns = 10 * MS, .gso = true };

	transfer(&gso, 100000, 0);
}
