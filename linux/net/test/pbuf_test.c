/* SPDX-License-Identifier: MIT */
/* Packet buffers and checksums: sharing, ends, pieces, accounting, memory that runs out. */
#include "test/host/rig_test.h"

#include "lx/pbuf.h"

static struct lx_pbuf_pool *pool;

static void begin(void)
{
	pool = lx_pbuf_pool_create(8u << 20);
}

/* Everything was given back. */
static void end(void)
{
	CHECK_EQ(lx_pbuf_pool_used(pool), 0);
	lx_pbuf_pool_put(pool);
}

static void fill(struct lx_pbuf *p)
{
	for (uint32_t i = 0; i < p->len; i++) {
		uint8_t b = (uint8_t)(i * 31 + i / 255);

		lx_pbuf_write(p, i, &b, 1);
	}
}

static bool is_filled(const struct lx_pbuf *p, uint32_t from, uint32_t at, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		uint8_t b;

		if (!lx_pbuf_read(p, at + i, &b, 1) ||
		    b != (uint8_t)((from + i) * 31 + (from + i) / 255))
			return false;
	}
	return true;
}

TEST(frames_have_room_at_both_ends)
{
	struct lx_pbuf *p;

	begin();
	p = lx_pbuf_alloc(pool, LX_PBUF_HEADROOM, 1500);
	REQUIRE(p);
	CHECK_EQ(p->len, 0);
	CHECK_EQ(lx_pbuf_headroom(p), LX_PBUF_HEADROOM);
	CHECK_EQ(lx_pbuf_tailroom(p), 1500);
	memset(lx_pbuf_put(p, 1000), 1, 1000);
	memset(lx_pbuf_push(p, 20), 2, 20);
	CHECK_EQ(p->len, 1020);
	CHECK_EQ(lx_pbuf_headroom(p), LX_PBUF_HEADROOM - 20);
	CHECK_EQ(lx_pbuf_tailroom(p), 500);
	CHECK_EQ(*(uint8_t *)lx_pbuf_data(p), 2);
	CHECK_EQ(*(uint8_t *)lx_pbuf_pull(p, 20), 1);
	CHECK(lx_pbuf_is_private(p));
	CHECK_EQ(lx_pbuf_pool_used(pool), p->charge);
	lx_pbuf_free(p);
	end();
}

TEST(clones_share_bytes_and_have_ends_of_their_own)
{
	struct lx_pbuf *p, *c;

	begin();
	p = lx_pbuf_alloc(pool, 64, 500);
	REQUIRE(p);
	lx_pbuf_put(p, 500);
	fill(p);
	p->protocol = 7;
	c = lx_pbuf_clone(p);
	REQUIRE(c);
	CHECK(!lx_pbuf_is_private(p) && !lx_pbuf_is_private(c));
	CHECK_EQ(c->protocol, 7);
	lx_pbuf_pull(c, 100);
	lx_pbuf_trim(c, 50);
	CHECK_EQ(p->len, 500);
	CHECK(is_filled(c, 100, 0, 50));
	/* whoever wants to write gets bytes of its own */
	CHECK_EQ(lx_pbuf_pull_up(c, 10), 0);
	CHECK(lx_pbuf_is_private(c) && lx_pbuf_is_private(p));
	lx_pbuf_push(c, 100);		/* what was pulled came along */
	CHECK(is_filled(c, 0, 0, 150));
	lx_pbuf_pull(c, 100);
	memset(lx_pbuf_data(c), 0, 50);
	CHECK(is_filled(p, 0, 0, 500));
	lx_pbuf_free(p);
	CHECK_EQ(*(uint8_t *)lx_pbuf_data(c), 0);
	lx_pbuf_free(c);
	end();
}

TEST(clones_outlive_the_buffer_they_were_made_of)
{
	struct lx_pbuf *p, *c, *d;

	begin();
	p = lx_pbuf_alloc_large(pool, 64, 100, 40000);
	REQUIRE(p);
	fill(p);
	c = lx_pbuf_clone(p);
	d = lx_pbuf_clone(c);
	lx_pbuf_free(p);
	lx_pbuf_free(c);
	CHECK(is_filled(d, 0, 0, 40000));
	lx_pbuf_free(d);
	end();
}

TEST(large_packets_have_pieces)
{
	static uint8_t bytes[65536], back[65536];
	struct lx_iter it;
	struct lx_pbuf *p;

	begin();
	p = lx_pbuf_alloc_large(pool, LX_PBUF_HEADROOM, 200, sizeof(bytes));
	REQUIRE(p);
	CHECK_EQ(p->len, sizeof(bytes));
	CHECK_EQ(lx_pbuf_linear(p), 200);
	CHECK_EQ(lx_pbuf_tailroom(p), 0);
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)unit_random();
	lx_iter_init_kernel(&it, bytes, sizeof(bytes));
	CHECK_EQ(lx_pbuf_from_iter(p, 0, &it, sizeof(bytes)), sizeof(bytes));
	CHECK(lx_pbuf_read(p, 0, back, sizeof(back)));
	CHECK(!memcmp(bytes, back, sizeof(bytes)));
	lx_iter_init_kernel(&it, back, 30000);
	CHECK_EQ(lx_pbuf_to_iter(p, 12345, &it, 100000), 30000);
	CHECK(!memcmp(bytes + 12345, back, 30000));
	CHECK(!lx_pbuf_read(p, 1, back, sizeof(back)));
	CHECK(!lx_pbuf_read(p, UINT32_MAX, back, 2));
	CHECK(lx_pbuf_read(p, sizeof(bytes), back, 0));
	/* headers from several pieces into one */
	CHECK_EQ(lx_pbuf_pull_up(p, 9000), 0);
	CHECK_EQ(lx_pbuf_linear(p), 9000);
	CHECK(lx_pbuf_read(p, 0, back, sizeof(back)) && !memcmp(bytes, back, sizeof(bytes)));
	CHECK_EQ(lx_pbuf_pull_up(p, sizeof(bytes) + 1), -EINVAL);
	lx_pbuf_trim(p, 9001);
	CHECK_EQ(p->nr_pieces, 2);
	CHECK(lx_pbuf_read(p, 0, back, 9001) && !memcmp(bytes, back, 9001));
	lx_pbuf_trim(p, 5);
	CHECK_EQ(p->nr_pieces, 1);
	CHECK_EQ(p->len, 5);
	lx_pbuf_free(p);
	CHECK(!lx_pbuf_alloc_large(pool, 0, 0, LX_PBUF_MAX + 1));
	CHECK(!lx_pbuf_alloc(pool, 0, LX_PBUF_MAX + 1));
	CHECK(!lx_pbuf_alloc(pool, 1u << 16, 1));
	end();
}

TEST(places_stay_where_they_are)
{
	struct lx_pbuf *p;
	uint16_t place;

	begin();
	p = lx_pbuf_alloc(pool, 64, 100);
	REQUIRE(p);
	lx_pbuf_put(p, 100);
	place = lx_pbuf_place(p);
	lx_pbuf_pull(p, 14);
	CHECK_EQ(lx_pbuf_offset(p, place), -14);
	lx_pbuf_push(p, 34);
	CHECK_EQ(lx_pbuf_offset(p, place), 20);
	lx_pbuf_free(p);
	end();
}

TEST(pools_bound_memory)
{
	struct lx_pbuf *p[64];
	unsigned int n = 0;
	uint64_t used;

	pool = lx_pbuf_pool_create(50000);
	while (n < 64 && (p[n] = lx_pbuf_alloc(pool, 0, 1500)))
		n++;
	CHECK(n > 20 && n < 34);
	CHECK_EQ(atomic_load(&pool->failures), 1);
	used = lx_pbuf_pool_used(pool);
	CHECK(!lx_pbuf_alloc_large(pool, 0, 100, 60000));
	CHECK_EQ(lx_pbuf_pool_used(pool), used);
	lx_pbuf_free(p[--n]);
	p[n] = lx_pbuf_alloc(pool, 0, 1500);
	CHECK(p[n]);
	if (p[n])
		n++;
	/* the namespace goes first: the pool waits for its packets */
	lx_pbuf_pool_put(pool);
	while (n)
		lx_pbuf_free(p[--n]);
}

TEST(memory_that_runs_out_leaves_nothing_behind)
{
	begin();
	for (unsigned int n = 1; n < 12; n++) {
		struct lx_pbuf *p;

		rig_fail_alloc(n);
		p = lx_pbuf_alloc_large(pool, 10, 10, 60000);
		if (p) {
			struct lx_pbuf *c = lx_pbuf_clone(p);

			if (c)
				CHECK(lx_pbuf_pull_up(c, 10000) != -EINVAL);
			lx_pbuf_free(c);
		}
		lx_pbuf_free(p);
		rig_fail_alloc(0);
		CHECK_EQ(lx_pbuf_pool_used(pool), 0);
	}
	end();
}

struct counting {
	struct lx_pbuf_owner owner;
	uint32_t released, times;
};

static void count_release(struct lx_pbuf_owner *owner, uint32_t charge)
{
	struct counting *c = container_of(owner, struct counting, owner);

	c->released += charge;
	c->times++;
}

TEST(owners_hear_once)
{
	struct counting c = { .owner.release = count_release };
	struct lx_pbuf *p, *clone;
	uint32_t charge;

	begin();
	p = lx_pbuf_alloc(pool, 0, 100);
	REQUIRE(p);
	lx_pbuf_put(p, 100);
	charge = p->charge;
	lx_pbuf_set_owner(p, &c.owner);
	clone = lx_pbuf_clone(p);
	CHECK_EQ(lx_pbuf_pull_up(p, 50), 0);	/* it weighs more now, and the owner hears what it was told */
	lx_pbuf_free(clone);
	CHECK_EQ(c.times, 0);
	lx_pbuf_orphan(p);
	CHECK_EQ(c.times, 1);
	CHECK_EQ(c.released, charge);
	lx_pbuf_free(p);
	CHECK_EQ(c.times, 1);
	end();
}

/* -- checksums */

/* RFC 1071, literally: words in the order of the network. */
static uint16_t reference(const uint8_t *p, size_t n)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static uint16_t stored(uint32_t sum)
{
	uint16_t v = lx_csum_fold(sum);
	uint8_t b[2];

	memcpy(b, &v, 2);
	return (uint16_t)(b[0] << 8 | b[1]);
}

TEST(sums_are_those_of_the_rfc)
{
	static const uint8_t example[] = { 0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7 };
	static uint8_t data[3000];

	CHECK_EQ(stored(lx_csum_add(0, example, sizeof(example))), (uint16_t)~0xddf2);
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)unit_random();
	for (size_t n = 0; n < 200; n++)
		for (size_t at = 0; at < 4; at++)
			CHECK_EQ(stored(lx_csum_add(0, data + at, n)), reference(data + at, n));
	memset(data, 0xff, sizeof(data));
	for (size_t n = 2900; n < 3000; n++)
		CHECK_EQ(stored(lx_csum_add(0, data, n)), reference(data, n));
}

TEST(sums_do_not_depend_on_pieces)
{
	static uint8_t bytes[30000];

	begin();
	for (unsigned int round = 0; round < 50; round++) {
		uint32_t n = (uint32_t)(unit_random() % (sizeof(bytes) - 100)) + 50;
		uint32_t linear = (uint32_t)(unit_random() % 100), from = (uint32_t)(unit_random() % 40);
		struct lx_pbuf *p = lx_pbuf_alloc_large(pool, 10, linear, n);

		REQUIRE(p);
		for (uint32_t i = 0; i < n; i++)
			bytes[i] = (uint8_t)unit_random();
		lx_pbuf_write(p, 0, bytes, n);
		CHECK_EQ(stored(lx_pbuf_csum(p, from, n - from, 0)), reference(bytes + from, n - from));
		lx_pbuf_free(p);
	}
	end();
}

TEST(partial_checksums_are_completed)
{
	struct lx_pbuf *p, *c;
	uint8_t bytes[1000];

	begin();
	p = lx_pbuf_alloc(pool, 64, sizeof(bytes));
	REQUIRE(p);
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)unit_random();
	memcpy(lx_pbuf_put(p, sizeof(bytes)), bytes, sizeof(bytes));
	CHECK(!lx_pbuf_set_csum(p, 999, 0));
	CHECK(!lx_pbuf_set_csum(p, 1001, 0));
	CHECK(!lx_pbuf_set_csum(p, 34, UINT16_MAX));
	CHECK(lx_pbuf_set_csum(p, 34, 16));
	/* the place is the same when a header comes in front; others' bytes are not touched */
	c = lx_pbuf_clone(p);
	lx_pbuf_push(c, 14);
	CHECK_EQ(lx_pbuf_complete_csum(c), 0);
	CHECK_EQ(c->csum, LX_CSUM_NONE);
	lx_pbuf_pull(c, 14);
	CHECK_EQ(p->csum, LX_CSUM_PARTIAL);
	CHECK(!memcmp(lx_pbuf_data(p), bytes, sizeof(bytes)));
	/* the field had a sum in it, as it has of a pseudo header: all of it together is "right" */
	{
		uint16_t had;
		uint8_t *field = lx_pbuf_data(c) + 50;

		memcpy(&had, bytes + 50, 2);
		CHECK_EQ(lx_csum_fold(lx_csum_add(had, lx_pbuf_data(c) + 34, 966)), 0);
		CHECK_EQ((uint16_t)(field[0] << 8 | field[1]), reference(bytes + 34, 966));
	}
	lx_pbuf_pull(p, 40);
	CHECK_EQ(lx_pbuf_complete_csum(p), -EINVAL);	/* where it starts was pulled */
	lx_pbuf_free(p);
	lx_pbuf_free(c);
	end();
}
