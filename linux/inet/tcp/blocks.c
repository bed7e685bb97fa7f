/* SPDX-License-Identifier: MIT */
#include "inet/tcp/blocks.h"

#include "base/string.h"

static void block_remove(struct tcp_blocks *b, unsigned int i)
{
	b->nr--;
	memmove(&b->block[i], &b->block[i + 1], (b->nr - i) * sizeof(b->block[0]));
}

static bool touches(const struct seq_range *a, const struct seq_range *b)
{
	return !seq_after(a->from, b->to) && !seq_after(b->from, a->to);
}

void tcp_blocks_add(struct tcp_blocks *b, uint32_t from, uint32_t to)
{
	struct seq_range all = { from, to };

	/* Blocks do not touch each other, so one that is swallowed brings no other within reach. */
	for (unsigned int i = 0; i < b->nr;) {
		if (!touches(&b->block[i], &all)) {
			i++;
			continue;
		}
		all.from = seq_min(all.from, b->block[i].from);
		all.to = seq_max(all.to, b->block[i].to);
		block_remove(b, i);
	}
	if (b->nr == TCP_SACK_MAX)
		b->nr--;
	memmove(&b->block[1], &b->block[0], b->nr * sizeof(b->block[0]));
	b->block[0] = all;
	b->nr++;
}

void tcp_blocks_duplicate(struct tcp_blocks *b, uint32_t from, uint32_t to)
{
	/* The first one since the last ACK: later ones are told by their own (RFC 2883, 4). */
	if (!b->twice)
		b->duplicate = (struct seq_range){ from, to };
	b->twice = true;
}

void tcp_blocks_advance(struct tcp_blocks *b, uint32_t rcv_nxt)
{
	for (unsigned int i = 0; i < b->nr;) {
		if (seq_after(b->block[i].from, rcv_nxt))
			i++;
		else
			block_remove(b, i);
	}
}

void tcp_blocks_renege(struct tcp_blocks *b, uint32_t from)
{
	for (unsigned int i = 0; i < b->nr;) {
		b->block[i].to = seq_min(b->block[i].to, from);
		if (seq_before(b->block[i].from, b->block[i].to))
			i++;
		else
			block_remove(b, i);
	}
}

void tcp_blocks_tell(struct tcp_blocks *b, struct tcp_options *o)
{
	unsigned int n = 0;

	if (b->twice)
		o->sack[n++] = b->duplicate;
	for (unsigned int i = 0; i < b->nr && n < TCP_SACK_MAX; i++)
		o->sack[n++] = b->block[i];
	o->nr_sacks = (uint8_t)n;
	b->twice = false;
}
