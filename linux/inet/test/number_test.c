/* SPDX-License-Identifier: MIT */
/* Numbers that strangers must not guess: hashes, ports, sequence numbers, cookies. */
#include <errno.h>

#include "inet/port.h"
#include "inet/tcp/cookie.h"
#include "unit/unit.h"

static const struct siphash_key key = { { 0x0706050403020100, 0x0f0e0d0c0b0a0908 } };
static const struct siphash_key other_key = { { 0x0706050403020100, 0x0f0e0d0c0b0a0909 } };

static struct inet_tuple tuple(unsigned int remote, uint16_t remote_port)
{
	return (struct inet_tuple){ .local = inet_addr_v4(BE32(0x0a000001u)),
				    .remote = inet_addr_v4(BE32(0x0a000100u + remote)),
				    .local_port = BE16(80), .remote_port = BE16(remote_port) };
}

/* The vectors of the authors' reference: bytes 0, 1, 2... under the key 0, 1, 2...15. */
TEST(siphash_has_the_values_of_its_authors)
{
	uint64_t word[5];

	for (unsigned int i = 0; i < sizeof(word); i++)
		((uint8_t *)word)[i] = (uint8_t)i;
	CHECK(siphash(&key, word, 0) == 0x726fdb47dd0e0e31);
	CHECK(siphash(&key, word, 1) == 0x93f5f5799a932462);
	CHECK(siphash(&key, word, 2) == 0x3f2acc7f57c29bdb);
	CHECK(siphash(&key, word, 5) == 0x0e3ea96b5304a7d0);
}

TEST(sequence_numbers_rise_with_time_and_differ_by_connection)
{
	struct inet_tuple a = tuple(1, 1000), b = tuple(1, 1001);
	uint32_t isn = tcp_isn(&key, &a, 1ull << 40);

	CHECK_EQ(tcp_isn(&key, &a, (1ull << 40) + 64) - isn, 1);
	CHECK_EQ(tcp_isn(&key, &a, (1ull << 40) + 64000) - isn, 1000);
	CHECK(tcp_isn(&key, &b, 1ull << 40) != isn);
	CHECK(tcp_isn(&other_key, &a, 1ull << 40) != isn);
}

TEST(time_stamps_have_one_offset_per_pair_of_hosts)
{
	struct inet_tuple a = tuple(1, 1000), b = tuple(1, 1001), c = tuple(2, 1000);

	CHECK(tcp_stamp_offset(&key, &a) == tcp_stamp_offset(&key, &b));
	CHECK(tcp_stamp_offset(&key, &a) != tcp_stamp_offset(&key, &c));
}

static struct inet_port_counters counters;
static bool taken[65536];
static unsigned int asked;

static bool is_free(uint16_t port, void *arg)
{
	(void)arg;
	asked++;
	return !taken[port];
}

static void range_is_used_up(uint16_t low, uint16_t high)
{
	struct inet_port_range range = { low, high };
	unsigned int count = high - low + 1u, first = (count + 1) / 2;

	memset(taken, 0, sizeof(taken));
	for (unsigned int i = 0; i < count; i++) {
		struct inet_tuple t = tuple(i % 3, (uint16_t)(i % 5));
		int port = inet_port_choose(&key, &counters, &range, &t, is_free, NULL);

		REQUIRE(port >= low && port <= high && !taken[port]);
		CHECK_EQ(((unsigned int)port - low) & 1u, i >= first);
		taken[port] = true;
	}
	CHECK_EQ(inet_port_choose(&key, &counters, &range, &(struct inet_tuple){ 0 }, is_free, NULL),
		 -EADDRNOTAVAIL);
}

TEST(every_port_of_a_range_is_found)
{
	range_is_used_up(32768, 32768 + 999);
	range_is_used_up(1, 8);
	range_is_used_up(1, 7);
	range_is_used_up(50000, 50000);
	range_is_used_up(65534, 65535);
}

TEST(ports_are_not_used_again_soon)
{
	struct inet_port_range range = { 32768, 60999 };
	struct inet_tuple t = tuple(1, 80), u = tuple(2, 80);
	int first;

	memset(taken, 0, sizeof(taken));
	first = inet_port_choose(&key, &counters, &range, &t, is_free, NULL);
	taken[first] = true;
	for (unsigned int i = 1; i < (60999 - 32768 + 1) / 2; i++) {
		int port = inet_port_choose(&key, &counters, &range, &t, is_free, NULL);

		REQUIRE(port > 0 && port != first);
		taken[first] = false;		/* what has just been closed does not come next */
		taken[port] = true;
		first = port;
	}
	/* Nor is what is in use asked about again and again. */
	for (unsigned int i = 0; i < 1000; i++)
		taken[first += first + 2 > range.high ? range.low - first : 2] = true;
	CHECK(inet_port_choose(&key, &counters, &range, &t, is_free, NULL) > 0);
	CHECK(asked > 1000);
	asked = 0;
	CHECK(inet_port_choose(&key, &counters, &range, &t, is_free, NULL) > 0);
	CHECK_EQ(asked, 1);
	memset(taken, 0, sizeof(taken));
	CHECK(inet_port_choose(&key, &counters, &range, &t, is_free, NULL) !=
	      inet_port_choose(&key, &counters, &range, &u, is_free, NULL));
	CHECK(inet_port_choose(&key, &counters, &range, &t, is_free, NULL) !=
	      inet_port_choose(&other_key, &counters, &range, &t, is_free, NULL));
}

enum { UNIT_SHIFT = 36 };
static const uint64_t now = 1000ull << UNIT_SHIFT;

static bool valid(const struct inet_tuple *t, uint32_t isn, uint32_t cookie, uint64_t at)
{
	uint16_t mss;

	return tcp_cookie_check(&key, t, isn, cookie, at, &mss);
}

TEST(cookies_remember_the_mss_rounded_down)
{
	static const struct { uint16_t peer, kept; } cases[] = {
		{ 0, 88 }, { 88, 88 }, { 535, 88 }, { 536, 536 }, { 1219, 536 }, { 1459, 1440 },
		{ 1460, 1460 }, { 8939, 1460 }, { 8940, 8940 }, { 65535, 8940 },
	};
	struct inet_tuple t = tuple(1, 1000);

	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint32_t cookie = tcp_cookie_make(&key, &t, 77, cases[i].peer, now);
		uint16_t mss = 0;

		CHECK(tcp_cookie_check(&key, &t, 77, cookie, now, &mss));
		CHECK_EQ(mss, cases[i].kept);
	}
}

TEST(cookies_are_for_one_connection_only)
{
	struct inet_tuple t = tuple(1, 1000), port = tuple(1, 1001), host = tuple(2, 1000);
	uint32_t cookie = tcp_cookie_make(&key, &t, 77, 1460, now);
	uint16_t mss;

	CHECK(valid(&t, 77, cookie, now));
	CHECK(!valid(&port, 77, cookie, now));
	CHECK(!valid(&host, 77, cookie, now));
	CHECK(!valid(&t, 78, cookie, now));
	CHECK(!tcp_cookie_check(&other_key, &t, 77, cookie, now, &mss));
	for (unsigned int bit = 0; bit < 32; bit++)
		CHECK(!valid(&t, 77, cookie ^ 1u << bit, now));
}

TEST(cookies_do_not_last)
{
	struct inet_tuple t = tuple(1, 1000);
	uint32_t cookie = tcp_cookie_make(&key, &t, 77, 1460, now);
	uint32_t at_start = tcp_cookie_make(&key, &t, 77, 1460, 31ull << UNIT_SHIFT);

	CHECK(valid(&t, 77, cookie, now + (2ull << UNIT_SHIFT) - 1));
	for (uint64_t unit = 2; unit < 200; unit++)
		CHECK(!valid(&t, 77, cookie, now + (unit << UNIT_SHIFT)));
	CHECK(!valid(&t, 77, cookie, now - 1));
	CHECK(!valid(&t, 77, at_start, 0));
}

TEST(stamps_carry_the_other_options_and_are_never_ahead)
{
	for (unsigned int i = 0; i < 100000; i++) {
		uint64_t r = unit_random();
		struct tcp_cookie c = { .sack = r & 1, .ecn = r & 2, .wscale = (int8_t)((r >> 2) % 16) }, got;
		uint32_t stamp = (uint32_t)(r >> 32), made;

		if (c.wscale == 15)
			c.wscale = -1;
		made = tcp_cookie_stamp_make(stamp, &c);
		CHECK(stamp - made < 64);
		tcp_cookie_stamp_read(made, &got);
		CHECK(got.sack == c.sack && got.ecn == c.ecn && got.wscale == c.wscale);
	}
}
