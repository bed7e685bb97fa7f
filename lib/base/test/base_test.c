/* SPDX-License-Identifier: MIT */
#include <stdint.h>

#include "base/bitmap.h"
#include "base/byteorder.h"
#include "base/hash.h"
#include "base/hlist.h"
#include "base/list.h"
#include "base/parse.h"
#include "base/refcount.h"
#include "unit/unit.h"

struct item {
	int v;
	struct list link;
	struct hlist_node node;
};

TEST(list_keeps_order_and_survives_removal)
{
	struct list head = LIST_INIT(head), other = LIST_INIT(other);
	struct item a = { 1 }, b = { 2 }, c = { 3 }, *i, *tmp;
	int sum = 0;

	list_add_last(&head, &a.link);
	list_add_last(&head, &b.link);
	list_add_first(&head, &c.link);
	CHECK_EQ(list_count(&head), 3);
	list_for_each_entry(i, &head, link)
		sum = sum * 10 + i->v;
	CHECK_EQ(sum, 312);
	list_for_each_entry_safe(i, tmp, &head, link)
		if (i->v == 1)
			list_remove(&i->link);
	CHECK(list_is_empty(&a.link));
	list_remove(&a.link);
	list_add_last(&other, &a.link);
	list_splice_last(&other, &head);
	CHECK(list_is_empty(&head));
	sum = 0;
	while ((i = list_pop_entry(&other, struct item, link)))
		sum = sum * 10 + i->v;
	CHECK_EQ(sum, 132);
	CHECK(!list_first_entry(&other, struct item, link));
}

TEST(hlist_removes_without_head)
{
	struct hlist h = { 0 };
	struct item a = { 1 }, b = { 2 }, c = { 3 }, *i;
	struct hlist_node *tmp;
	int sum = 0;

	hlist_add(&h, &a.node);
	hlist_add(&h, &b.node);
	hlist_add(&h, &c.node);
	hlist_remove(&b.node);
	CHECK(!hlist_is_linked(&b.node));
	hlist_remove(&b.node);
	hlist_for_each_entry(i, &h, node)
		sum = sum * 10 + i->v;
	CHECK_EQ(sum, 31);
	hlist_for_each_entry_safe(i, tmp, &h, node)
		hlist_remove(&i->node);
	CHECK(hlist_is_empty(&h));
}

TEST(bitmap_finds_bits_and_runs)
{
	DECLARE_BITMAP(map, 200) = { 0 };

	CHECK_EQ(bitmap_next_set(map, 200, 0), 200);
	bitmap_set_range(map, 60, 10);
	CHECK_EQ(bitmap_count(map, 200), 10);
	CHECK_EQ(bitmap_next_set(map, 200, 0), 60);
	CHECK_EQ(bitmap_next_clear(map, 200, 60), 70);
	CHECK_EQ(bitmap_find_clear_run(map, 200, 0, 60), 0);
	CHECK_EQ(bitmap_find_clear_run(map, 200, 0, 61), 70);
	CHECK_EQ(bitmap_find_clear_run(map, 200, 0, 130), 70);
	CHECK_EQ(bitmap_find_clear_run(map, 200, 0, 131), 200);
	bitmap_clear_range(map, 60, 10);
	bitmap_set(map, 199);
	CHECK(bitmap_test(map, 199));
	CHECK_EQ(bitmap_next_set(map, 199, 0), 199);
	bitmap_clear(map, 199);
	CHECK_EQ(bitmap_count(map, 200), 0);
	bitmap_set_range(map, 0, 200);
	CHECK_EQ(bitmap_next_clear(map, 200, 0), 200);
}

TEST(parse_numbers)
{
	uint64_t v = 7;
	int64_t s = 7;

	CHECK_EQ(parse_u64("123abc", 6, 10, &v), 3);
	CHECK_EQ(v, 123);
	CHECK_EQ(parse_u64("0x1fz", 5, 0, &v), 4);
	CHECK_EQ(v, 31);
	CHECK_EQ(parse_u64("0xz", 3, 0, &v), 1);
	CHECK_EQ(v, 0);
	CHECK_EQ(parse_u64("017", 3, 0, &v), 3);
	CHECK_EQ(v, 15);
	CHECK_EQ(parse_u64("0", 1, 0, &v), 1);
	CHECK_EQ(parse_u64("18446744073709551615", 20, 10, &v), 20);
	CHECK(v == UINT64_MAX);
	CHECK_EQ(parse_u64("18446744073709551616", 20, 10, &v), 0);
	CHECK_EQ(parse_u64("", 0, 10, &v), 0);
	CHECK_EQ(parse_u64("-1", 2, 10, &v), 0);
	CHECK_EQ(parse_i64("-9223372036854775808", 20, 10, &s), 20);
	CHECK(s == INT64_MIN);
	CHECK_EQ(parse_i64("9223372036854775808", 19, 10, &s), 0);
	CHECK_EQ(parse_size("4M,", 3, &v), 2);
	CHECK_EQ(v, 4 << 20);
	CHECK_EQ(parse_size("17179869184G", 12, &v), 0);
	CHECK(parse_u64_all("42", &v));
	CHECK(!parse_u64_all("42 ", &v));
}

TEST(refcount_sticks_instead_of_wrapping)
{
	struct refcount r = REFCOUNT_INIT(1);

	refcount_get(&r);
	CHECK(!refcount_put(&r));
	CHECK(refcount_put(&r));
	CHECK(!refcount_try_get(&r));
	CHECK(!refcount_put(&r));
	CHECK(refcount_is_stuck(&r));
	refcount_init(&r, REFCOUNT_LIMIT - 1);
	refcount_get(&r);
	CHECK(refcount_is_stuck(&r));
	CHECK(!refcount_put(&r));
	CHECK(refcount_is_stuck(&r));
}

TEST(byteorder_and_crc)
{
	unsigned char b[9] = { 9, 1, 2, 3, 4, 5, 6, 7, 8 };

	CHECK_EQ(get_le32(b + 1), 0x04030201);
	CHECK_EQ(get_be32(b + 1), 0x01020304);
	CHECK_EQ(get_be64(b + 1), 0x0102030405060708);
	put_be16(b + 1, 0xabcd);
	CHECK_EQ(b[1], 0xab);
	CHECK(crc32(0, "123456789", 9) == 0xcbf43926);
	CHECK(crc32(crc32(0, "1234", 4), "56789", 5) == 0xcbf43926);
	CHECK((crc32c(~0u, "123456789", 9) ^ ~0u) == 0xe3069283);
	CHECK((crc32c(crc32c(~0u, "123", 3), "456789", 6) ^ ~0u) == 0xe3069283);
	CHECK(hash_bytes("abc", 3, 1) != hash_bytes("abc", 3, 2));
	CHECK(hash_bytes("abc", 3, 1) != hash_bytes("abc\0", 4, 1));
}

TEST(logarithms)
{
	CHECK_EQ(log2_u64(1), 0);
	CHECK_EQ(log2_u64(4095), 11);
	CHECK_EQ(log2_up_u64(4095), 12);
	CHECK_EQ(log2_up_u64(4096), 12);
	CHECK_EQ(log2_up_u64(0), 0);
	CHECK_EQ(popcount_u64(0), 0);
	CHECK_EQ(popcount_u64(~0ull), 64);
	CHECK_EQ(popcount_u64(0x8000000000000101), 3);
	CHECK(range_within(5, 5, 10));
	CHECK(!range_within(5, 6, 10));
	CHECK(!range_within(11, 0, 10));
	CHECK(!range_within(1, UINT64_MAX, 10));
}
