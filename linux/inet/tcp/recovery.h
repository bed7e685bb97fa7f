/* SPDX-License-Identifier: MIT */
/*
 * Episodes of loss: from the first segment that is marked lost until everything is acknowledged
 * that had been sent by then.  How much is sent meanwhile (RFC 6937), and what is done when it
 * turns out that nothing was lost (RFC 3522, 4015, 2883).
 *
 *	open		[ack: something is lost]	fast
 *	open, fast	[timeout]			timeout
 *	fast, timeout	[ack: all acknowledged]		open
 *	fast, timeout	[ack: nothing was lost]		open, with the windows of before
 *
 * An episode can still turn out to have been none after its end, until the next one begins:
 * D-SACKs come a round trip after the ACK that ends it.
 */
#pragma once

#include "inet/tcp/cc.h"
#include "inet/tcp/sent.h"

enum tcp_recovery_state { TCP_OPEN, TCP_FAST, TCP_TIMEOUT };

struct tcp_recovery {
	enum tcp_recovery_state state;
	uint32_t point;			/* SND.NXT at its begin */
	/* Since then, in segments: RFC 6937's RecoverFS, prr_delivered, prr_out. */
	uint32_t flight, delivered, out;
	/* Retransmissions that no D-SACK has told to be unneeded; the time of the first, 0: none. */
	uint32_t again;
	uint64_t first_again_ns;
	/* A tail-loss probe is under way (RFC 8985, 7.3): it was a retransmission; SND.NXT after it. */
	bool probe, probe_again;
	uint32_t probe_to;
};

struct tcp_recovery_ack {
	uint64_t echo_ns;		/* when the segment was sent whose time stamp it echoes; 0: none */
	uint32_t una, nxt;
	uint32_t delivered;		/* segments that it newly acknowledges or SACKs */
	bool advances;			/* SND.UNA has moved */
	bool dsack;
};

void tcp_recovery_init(struct tcp_recovery *r);
/* A segment was sent; @again: one that had been before. */
void tcp_recovery_sent(struct tcp_recovery *r, bool again, uint64_t now_ns);
/* The same of a tail-loss probe; @nxt: SND.NXT after it. */
void tcp_recovery_probe(struct tcp_recovery *r, bool again, uint32_t nxt);
/* Does the next ACK end the episode?  For tcp_rack_window(). */
bool tcp_recovery_ends(const struct tcp_recovery *r, uint32_t una);
/*
 * After an ACK, when lost segments are marked; and after RACK's timer has marked some (nothing is
 * delivered then).  In fast recovery cc->cwnd is what may be sent now.  True: the ACK may open
 * the window (tcp_cc_ack()).
 */
bool tcp_recovery_ack(struct tcp_recovery *r, struct tcp_scoreboard *b, struct tcp_cc *cc,
		      const struct tcp_recovery_ack *a);
/* The retransmission timer went off; @nxt: SND.NXT. */
void tcp_recovery_timeout(struct tcp_recovery *r, struct tcp_cc *cc, uint32_t nxt);
