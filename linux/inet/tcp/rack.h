/* SPDX-License-Identifier: MIT */
/*
 * RACK-TLP (RFC 8985): a segment is lost when one that was sent later has arrived, and a
 * reordering window of time has gone by since; and when the last segments of a flight are lost,
 * a probe after two round trips fetches the ACK that says so.
 *
 * How the connection uses it.  For an ACK: tcp_rack_delivered() for each record that it newly
 * acknowledges or SACKs, in any order, before the record is removed or marked; then, once,
 * tcp_rack_window() and tcp_rack_detect().  The latter says when to be called again.
 */
#pragma once

#include "inet/tcp/sent.h"

struct tcp_rack {
	/* Of the segment that was sent last among those that have arrived. */
	uint64_t sent_ns;		/* 0: none yet */
	uint32_t to;
	uint64_t rtt_ns;
	uint32_t fack;			/* the highest sequence number that has arrived */
	bool any;			/* fack is one */
	bool reordered;			/* on this path, ever */
	uint64_t window_ns;		/* the reordering window */
	uint32_t window_mult;		/* quarters of the least round trip: 1, and more with D-SACKs */
	uint32_t window_persist;	/* recoveries for which that stays */
	bool dsack_seen;		/* in the round that ends at dsack_round */
	uint32_t dsack_round;
};

struct tcp_rack_ack {
	uint64_t now_ns;
	uint64_t min_rtt_ns, srtt_ns;	/* with this ACK's sample */
	uint32_t una, nxt;		/* SND.UNA after it, SND.NXT */
	bool dsack;			/* it carries one */
	bool in_recovery;		/* fast recovery, or after a timeout */
	bool recovery_ends;		/* with this ACK */
};

void tcp_rack_init(struct tcp_rack *r);
/*
 * @s has arrived.  @echo: the ACK echoes the time stamp of the last time it was sent, or a later
 * one; or time stamps are not in use.  If not, it was an earlier copy that arrived.
 */
void tcp_rack_delivered(struct tcp_rack *r, const struct tcp_sent *s, uint64_t now_ns,
			uint64_t min_rtt_ns, bool echo);
/* The reordering window after an ACK (step 4).  @sacked: records that are SACKed now. */
void tcp_rack_window(struct tcp_rack *r, const struct tcp_rack_ack *a, uint32_t sacked);
/*
 * Mark what is lost by now (step 5): how many.  *@again_ns: when to look again, if nothing
 * happens; UINT64_MAX: no need.
 */
uint32_t tcp_rack_detect(const struct tcp_rack *r, struct tcp_scoreboard *b, uint64_t now_ns,
			 uint64_t *again_ns);
/* The retransmission timer went off (6.3): what is lost, the first segment in any case. */
uint32_t tcp_rack_timeout(const struct tcp_rack *r, struct tcp_scoreboard *b, uint64_t now_ns);

/*
 * When to probe for a lost tail (7.2) after a transmission at @now_ns: not later than @rto_at_ns.
 * @segments are under way.  @srtt_ns 0: not known yet.
 */
uint64_t tcp_tlp_at(uint64_t now_ns, uint64_t srtt_ns, uint32_t segments, uint64_t rto_at_ns);
