/* SPDX-License-Identifier: MIT */
#include "inet/route_table.h"

#include <errno.h>

#include "rt/memory.h"
#include "unit/unit.h"

static unsigned int allocated, allocations_left = ~0u;

void *rt_zalloc(size_t size)
{
	if (!allocations_left)
		return NULL;
	allocations_left--;
	allocated++;
	return calloc(1, size);
}

void rt_free(void *p)
{
	allocated -= p != NULL;
	free(p);
}

static struct inet_addr v4(unsigned int a, unsigned int b, unsigned int c, unsigned int d)
{
	return inet_addr_v4(BE32(a << 24 | b << 16 | c << 8 | d));
}

static struct inet_addr v6(uint64_t hi, uint64_t lo)
{
	return (struct inet_addr){ .q = { BE64(hi), BE64(lo) } };
}

static struct route_entry route(struct inet_addr addr, unsigned int len, uint32_t metric)
{
	return (struct route_entry){ .prefix = inet_addr_masked(&addr, len),
				     .prefix_len = (uint8_t)len, .metric = metric };
}

static struct route_entry *lookup(struct route_table *t, struct inet_addr addr)
{
	return route_table_lookup(t, &addr, NULL, NULL);
}

TEST(addresses_of_ipv4_are_mapped)
{
	struct inet_addr a = v4(192, 0, 2, 1), b = v4(192, 0, 3, 1), c = v6(0x20010db8ull << 32, 1);

	CHECK(inet_addr_is_v4(&a));
	CHECK(!inet_addr_is_v4(&c));
	CHECK_EQ(((uint8_t *)&a)[10], 0xff);
	CHECK_EQ(((uint8_t *)&a)[12], 192);
	CHECK_EQ(((uint8_t *)&a)[15], 1);
	CHECK_EQ(inet_addr_to_v4(&a), BE32(0xc0000201u));
	CHECK_EQ(inet_addr_common(&a, &b), INET_V4_BITS + 23);
	CHECK_EQ(inet_addr_common(&a, &a), INET_ADDR_BITS);
	CHECK_EQ(inet_addr_common(&a, &c), 2);
	CHECK_EQ(inet_addr_bit(&c, 2), 1);
	CHECK_EQ(inet_addr_bit(&c, 127), 1);
}

TEST(masks_keep_exactly_the_leading_bits)
{
	struct inet_addr ones = v6(~0ull, ~0ull);

	for (unsigned int len = 0; len <= INET_ADDR_BITS; len++) {
		struct inet_addr m = inet_addr_masked(&ones, len);

		CHECK_EQ(inet_addr_common(&m, &ones), len);
		for (unsigned int bit = 0; bit < INET_ADDR_BITS; bit++)
			CHECK_EQ(inet_addr_bit(&m, bit), bit < len);
	}
}

TEST(the_longest_prefix_wins_and_shorter_ones_stand_in)
{
	struct route_table t = { 0 };
	struct route_entry all = route(v4(0, 0, 0, 0), INET_V4_BITS, 0);
	struct route_entry ten = route(v4(10, 0, 0, 0), INET_V4_BITS + 8, 0);
	struct route_entry net = route(v4(10, 1, 2, 0), INET_V4_BITS + 24, 0);
	struct route_entry host = route(v4(10, 1, 2, 3), INET_ADDR_BITS, 0);
	struct route_entry *order[] = { &host, &all, &net, &ten };

	for (unsigned int i = 0; i < 4; i++)
		CHECK_EQ(route_table_insert(&t, order[i]), 0);
	CHECK(route_table_check(&t));
	CHECK(lookup(&t, v4(10, 1, 2, 3)) == &host);
	CHECK(lookup(&t, v4(10, 1, 2, 4)) == &net);
	CHECK(lookup(&t, v4(10, 1, 3, 3)) == &ten);
	CHECK(lookup(&t, v4(11, 1, 2, 3)) == &all);
	CHECK(!lookup(&t, v6(0x20010db8ull << 32, 1)));
	route_table_remove(&t, &host);
	CHECK(lookup(&t, v4(10, 1, 2, 3)) == &net);
	route_table_remove(&t, &ten);
	CHECK(lookup(&t, v4(10, 1, 3, 3)) == &all);
	route_table_remove(&t, &all);
	CHECK(!lookup(&t, v4(10, 1, 3, 3)));
	route_table_remove(&t, &net);
	CHECK(!t.root);
	CHECK_EQ(allocated, 0);
}

static bool is_not(const struct route_entry *e, void *arg)
{
	return e != arg;
}

TEST(metrics_order_the_routes_of_a_prefix)
{
	struct route_table t = { 0 };
	struct inet_addr net = v4(10, 0, 0, 0), host = v4(10, 9, 9, 9);
	struct route_entry far = route(net, INET_V4_BITS + 8, 100);
	struct route_entry near = route(net, INET_V4_BITS + 8, 10);
	struct route_entry same = route(net, INET_V4_BITS + 8, 10);
	struct route_entry all = route(net, 0, 0);

	CHECK_EQ(route_table_insert(&t, &far), 0);
	CHECK_EQ(route_table_insert(&t, &near), 0);
	CHECK_EQ(route_table_insert(&t, &same), 0);
	CHECK_EQ(route_table_insert(&t, &all), 0);
	CHECK(lookup(&t, host) == &near);
	CHECK(route_table_lookup(&t, &host, is_not, &near) == &same);
	CHECK(route_table_sibling(&same) == &far);
	CHECK(!route_table_sibling(&far));
	CHECK(route_table_find(&t, &net, INET_V4_BITS + 8, 0) == &near);
	CHECK(route_table_find(&t, &net, INET_V4_BITS + 8, 10) == &near);
	CHECK(route_table_find(&t, &net, INET_V4_BITS + 8, 11) == &far);
	CHECK(!route_table_find(&t, &net, INET_V4_BITS + 8, 101));
	CHECK(!route_table_find(&t, &net, INET_V4_BITS + 9, 0));
	route_table_remove(&t, &near);
	route_table_remove(&t, &same);
	CHECK(route_table_lookup(&t, &host, is_not, &far) == &all);
	route_table_remove(&t, &far);
	route_table_remove(&t, &all);
	CHECK_EQ(allocated, 0);
}

TEST(what_is_not_a_prefix_is_refused)
{
	struct route_table t = { 0 };
	struct route_entry e = { .prefix = v4(10, 0, 0, 1), .prefix_len = INET_V4_BITS + 8 };

	CHECK_EQ(route_table_insert(&t, &e), -EINVAL);
	e.prefix_len = INET_ADDR_BITS + 1;
	CHECK_EQ(route_table_insert(&t, &e), -EINVAL);
	CHECK(!t.root);
}

TEST(without_memory_nothing_changes)
{
	struct route_table t = { 0 };
	struct route_entry a = route(v4(10, 0, 0, 0), INET_V4_BITS + 24, 0);
	struct route_entry b = route(v4(10, 0, 1, 0), INET_V4_BITS + 24, 0);

	CHECK_EQ(route_table_insert(&t, &a), 0);
	for (unsigned int left = 0; left < 2; left++) {
		allocations_left = left;
		CHECK_EQ(route_table_insert(&t, &b), -ENOMEM);
		CHECK(route_table_check(&t));
		CHECK_EQ(t.entries, 1);
		CHECK_EQ(allocated, 1);
	}
	allocations_left = ~0u;
	CHECK_EQ(route_table_insert(&t, &b), 0);
	CHECK_EQ(allocated, 3);
	route_table_remove(&t, &a);
	CHECK_EQ(allocated, 1);
	route_table_remove(&t, &b);
	CHECK_EQ(allocated, 0);
}

/* Prefixes that share many bits, of all lengths, in both families. */
static struct inet_addr random_addr(void)
{
	uint64_t r = unit_random();

	if (r & 1)
		return v4(10, (r >> 8) & 3, (r >> 16) & 1, (r >> 24) & 7);
	return v6(0x20010db800000000ull | (r >> 8 & 3) << (r >> 16 & 31), r >> 32 & 15);
}

static bool even_metric(const struct route_entry *e, void *arg)
{
	(void)arg;
	return !(e->metric & 1);
}

enum { ROUTES = 64 };

/* Is @a to be preferred to @b, both being good?  Equal ones: either. */
static bool better(const struct route_entry *a, const struct route_entry *b)
{
	return !b || a->prefix_len > b->prefix_len ||
	       (a->prefix_len == b->prefix_len && a->metric < b->metric);
}

static void compare_lookup(struct route_table *t, struct route_entry *e, struct inet_addr addr,
			   bool even)
{
	struct route_entry *want = NULL, *got;

	for (unsigned int i = 0; i < ROUTES; i++)
		if (e[i].node && inet_addr_common(&e[i].prefix, &addr) >= e[i].prefix_len &&
		    (!even || even_metric(&e[i], NULL)) && better(&e[i], want))
			want = &e[i];
	got = route_table_lookup(t, &addr, even ? even_metric : NULL, NULL);
	CHECK(!got == !want);
	if (got && want) {
		CHECK(!better(want, got) && !better(got, want));
		CHECK(!even || even_metric(got, NULL));
	}
}

static int order_of(const struct route_entry *a, const struct route_entry *b)
{
	int cmp = memcmp(&a->prefix, &b->prefix, sizeof(a->prefix));

	if (!cmp)
		cmp = (int)a->prefix_len - (int)b->prefix_len;
	return cmp ? cmp : a->metric < b->metric ? -1 : a->metric > b->metric;
}

TEST(random_routes_agree_with_a_linear_search)
{
	static struct route_entry e[ROUTES];
	struct route_table t = { 0 };

	for (unsigned int step = 0; step < 20000; step++) {
		struct route_entry *r = &e[unit_random() % ROUTES], *prev = NULL;

		if (r->node) {
			route_table_remove(&t, r);
		} else {
			*r = route(random_addr(), (unsigned int)(unit_random() % (INET_ADDR_BITS + 1)),
				   (uint32_t)(unit_random() % 4));
			CHECK_EQ(route_table_insert(&t, r), 0);
		}
		CHECK(route_table_check(&t));
		compare_lookup(&t, e, random_addr(), false);
		compare_lookup(&t, e, random_addr(), true);
		for (struct route_entry *p = route_table_next(&t, NULL); p; p = route_table_next(&t, p)) {
			CHECK(!prev || order_of(prev, p) <= 0);
			prev = p;
		}
	}
	for (unsigned int i = 0; i < ROUTES; i++)
		if (e[i].node)
			route_table_remove(&t, &e[i]);
	CHECK(!t.root);
	CHECK_EQ(allocated, 0);
}
