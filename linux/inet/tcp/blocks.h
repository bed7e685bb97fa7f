/* SPDX-License-Identifier: MIT */
/*
 * What has come beyond the point that is acknowledged, for the SACK option of our ACKs
 * (RFC 2018, 4), with what came twice in front (RFC 2883).
 *
 * The most recent block comes first, so that the blocks of a lost ACK are repeated by the next
 * ones.  Only as many are remembered as an ACK has room for: what is forgotten is asked for again
 * at worst.  Every number said was received, and is still kept.
 */
#pragma once

#include "inet/tcp/option.h"

/* The owner of the connection locks. */
struct tcp_blocks {
	uint8_t nr;
	bool twice;			/* the next ACK reports duplicate */
	struct seq_range block[TCP_SACK_MAX];	/* disjoint, not touching; the most recent first */
	struct seq_range duplicate;
};

/* [@from, @to), not empty, has come beyond the acknowledged point, and is kept. */
void tcp_blocks_add(struct tcp_blocks *b, uint32_t from, uint32_t to);
/* It has come before: the next ACK says so, once. */
void tcp_blocks_duplicate(struct tcp_blocks *b, uint32_t from, uint32_t to);
/* Everything before @rcv_nxt is acknowledged now. */
void tcp_blocks_advance(struct tcp_blocks *b, uint32_t rcv_nxt);
/* Kept data was given up for want of memory: all of it from @from on (RFC 2018, 8). */
void tcp_blocks_renege(struct tcp_blocks *b, uint32_t from);
/* Fill in the blocks of an ACK; what came twice is told once. */
void tcp_blocks_tell(struct tcp_blocks *b, struct tcp_options *o);
