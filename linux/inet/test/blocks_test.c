/* SPDX-License-Identifier: MIT */
#include "inet/tcp/blocks.h"
#include "unit/unit.h"

static struct tcp_options told(struct tcp_blocks *b)
{
	struct tcp_options o = { .wscale = -1 };

	tcp_blocks_tell(b, &o);
	return o;
}

static bool says(struct tcp_blocks *b, unsigned int n, const struct seq_range *want)
{
	struct tcp_options o = told(b);

	return o.nr_sacks == n && !memcmp(o.sack, want, n * sizeof(*want));
}

#define SAYS(b, ...)                                                                               \
	CHECK(says(b, sizeof((struct seq_range[]){ __VA_ARGS__ }) / sizeof(struct seq_range),      \
		   (struct seq_range[]){ __VA_ARGS__ }))

/* RFC 2018, 7: segments of 500 bytes from 5000 on, the first lost, and every other one. */
TEST(blocks_are_as_in_the_examples_of_rfc_2018)
{
	struct tcp_blocks b = { .nr = 0 };

	tcp_blocks_add(&b, 5500, 6000);
	SAYS(&b, { 5500, 6000 });
	tcp_blocks_add(&b, 6000, 6500);
	SAYS(&b, { 5500, 6500 });
	b = (struct tcp_blocks){ .nr = 0 };
	tcp_blocks_add(&b, 5500, 6000);
	tcp_blocks_add(&b, 6500, 7000);
	SAYS(&b, { 6500, 7000 }, { 5500, 6000 });
	tcp_blocks_add(&b, 7500, 8000);
	SAYS(&b, { 7500, 8000 }, { 6500, 7000 }, { 5500, 6000 });
	tcp_blocks_add(&b, 6000, 6500);		/* the fourth comes late */
	SAYS(&b, { 5500, 7000 }, { 7500, 8000 });
	tcp_blocks_advance(&b, 7000);
	SAYS(&b, { 7500, 8000 });
	tcp_blocks_advance(&b, 8000);
	CHECK_EQ(told(&b).nr_sacks, 0);
}

TEST(the_most_recent_blocks_are_remembered)
{
	struct tcp_blocks b = { .nr = 0 };

	for (uint32_t i = 1; i <= 6; i++)
		tcp_blocks_add(&b, 100 * i, 100 * i + 10);
	SAYS(&b, { 600, 610 }, { 500, 510 }, { 400, 410 }, { 300, 310 });
	tcp_blocks_add(&b, 410, 500);
	SAYS(&b, { 400, 510 }, { 600, 610 }, { 300, 310 });
}

TEST(what_came_twice_is_told_first_and_once)
{
	struct tcp_blocks b = { .nr = 0 };

	tcp_blocks_add(&b, 100, 110);
	tcp_blocks_duplicate(&b, 20, 30);
	tcp_blocks_duplicate(&b, 40, 50);
	SAYS(&b, { 20, 30 }, { 100, 110 });
	SAYS(&b, { 100, 110 });
	for (uint32_t i = 2; i <= 4; i++)
		tcp_blocks_add(&b, 100 * i, 100 * i + 10);
	tcp_blocks_duplicate(&b, 100, 110);
	SAYS(&b, { 100, 110 }, { 400, 410 }, { 300, 310 }, { 200, 210 });
}

TEST(what_was_given_up_is_told_no_more)
{
	struct tcp_blocks b = { .nr = 0 };

	tcp_blocks_add(&b, 100, 200);
	tcp_blocks_add(&b, 300, 400);
	tcp_blocks_add(&b, 500, 600);
	tcp_blocks_renege(&b, 350);
	SAYS(&b, { 300, 350 }, { 100, 200 });
	tcp_blocks_renege(&b, 300);
	SAYS(&b, { 100, 200 });
	tcp_blocks_renege(&b, 100);
	CHECK_EQ(b.nr, 0);
}

enum { SPACE = 64 };

static bool kept[SPACE];

static bool all_kept(uint32_t base, struct seq_range r)
{
	for (uint32_t seq = r.from; seq != r.to; seq++)
		if (seq - base >= SPACE || !kept[seq - base])
			return false;
	return true;
}

static void check_told(struct tcp_blocks *b, uint32_t base, uint32_t next, struct seq_range last)
{
	struct tcp_options o = told(b);

	for (unsigned int i = 0; i < o.nr_sacks; i++) {
		CHECK(seq_before(o.sack[i].from, o.sack[i].to));
		CHECK(seq_after(o.sack[i].from, next) && all_kept(base, o.sack[i]));
		for (unsigned int j = 0; j < i; j++)
			CHECK(seq_after(o.sack[i].from, o.sack[j].to) ||
			      seq_after(o.sack[j].from, o.sack[i].to));
	}
	/* RFC 2018, 4: the first has what came last, unless that is acknowledged. */
	if (seq_after(last.from, next))
		CHECK(o.nr_sacks && !seq_after(o.sack[0].from, last.from) &&
		      !seq_before(o.sack[0].to, last.to));
}

/* Segments in any order, some twice, some given up: all that is told is there. */
TEST(random_segments_are_told_truly)
{
	for (unsigned int run = 0; run < 20000; run++) {
		struct tcp_blocks b = { .nr = 0 };
		uint32_t base = run & 1 ? 0u - 30 : 1000, next = base;

		memset(kept, 0, sizeof(kept));
		for (unsigned int step = 0; step < 20; step++) {
			uint32_t from = base + (uint32_t)(unit_random() % (SPACE - 8));
			struct seq_range r = { from, from + 1 + (uint32_t)(unit_random() % 8) };

			if (!seq_after(r.to, next))
				continue;
			for (uint32_t seq = r.from; seq != r.to; seq++)
				kept[seq - base] = true;
			if (seq_after(r.from, next))
				tcp_blocks_add(&b, r.from, r.to);
			while (next - base < SPACE && kept[next - base])
				next++;
			tcp_blocks_advance(&b, next);
			check_told(&b, base, next, r);
			if (unit_random() % 16 == 0) {
				uint32_t up = seq_max(r.from, next);

				for (uint32_t seq = up; seq - base < SPACE; seq++)
					kept[seq - base] = false;
				tcp_blocks_renege(&b, up);
				check_told(&b, base, next, (struct seq_range){ next, next });
			}
		}
	}
}
