/* SPDX-License-Identifier: MIT */
/*
 * The scoreboard: what was sent and is not acknowledged, and what is known of it (RFC 2018, 5;
 * RFC 6675).
 *
 * A record is one segment (its bytes are in the send queue, or in the packet that embeds the
 * record).  It is SACKed, or lost, or neither; a lost one may have been sent again, and then it is
 * under way like any other until it is lost again.
 *
 * Records are in two lists: by sequence number; and those that are under way by the time when they
 * were sent last, so that the oldest, which may be lost, comes first.
 */
#pragma once

#include "base/list.h"
#include "inet/tcp/option.h"

struct tcp_sent {
	struct list link;		/* of by_seq */
	struct list time_link;		/* of by_time; on no list if sacked or lost */
	uint32_t from, to;
	uint64_t sent_ns;		/* the last time */
	bool sacked, lost;
	bool again;			/* sent more than once */
};

/* The owner of the connection locks. */
struct tcp_scoreboard {
	struct list by_seq, by_time;
	uint32_t segments, sacked, lost;	/* records: all, and how many of them */
	/* Where to begin: the highest that is SACKed; no lost one is before the other.  NULL: not known. */
	struct tcp_sent *high, *low;
};

void tcp_scoreboard_init(struct tcp_scoreboard *b);
/* Records that are thought to be under way. */
static inline uint32_t tcp_scoreboard_pipe(const struct tcp_scoreboard *b)
{
	return b->segments - b->sacked - b->lost;
}

/* [@from, @to), behind all others, is sent now. */
void tcp_sent_first(struct tcp_scoreboard *b, struct tcp_sent *s, uint32_t from, uint32_t to,
		    uint64_t now_ns);
/* Sent once more. */
void tcp_sent_again(struct tcp_scoreboard *b, struct tcp_sent *s, uint64_t now_ns);
/* It is lost; not for SACKed ones. */
void tcp_sent_lost(struct tcp_scoreboard *b, struct tcp_sent *s);
/* It has arrived. */
void tcp_sent_sacked(struct tcp_scoreboard *b, struct tcp_sent *s);
/* Nothing is lost: what was marked is under way as before. */
void tcp_scoreboard_found(struct tcp_scoreboard *b);
/* All that was SACKed is lost. */
void tcp_scoreboard_renege(struct tcp_scoreboard *b);
/* @s ends at @at from now on, and @rest, which has the same history, begins there. */
void tcp_sent_split(struct tcp_scoreboard *b, struct tcp_sent *s, struct tcp_sent *rest, uint32_t at);
/* What was SACKed is under way as before: without SACK, it was only counted. */
void tcp_scoreboard_forget(struct tcp_scoreboard *b);
/* Out of the lists: acknowledged. */
void tcp_sent_remove(struct tcp_scoreboard *b, struct tcp_sent *s);

/* By sequence number; NULL: none. */
struct tcp_sent *tcp_sent_head(const struct tcp_scoreboard *b);
struct tcp_sent *tcp_sent_after(const struct tcp_scoreboard *b, const struct tcp_sent *s);
struct tcp_sent *tcp_sent_last(const struct tcp_scoreboard *b);
/* The first that is lost and was not sent again. */
struct tcp_sent *tcp_sent_next_lost(struct tcp_scoreboard *b);

/* The counts and the lists agree. */
bool tcp_scoreboard_check(const struct tcp_scoreboard *b);
