/* SPDX-License-Identifier: MIT */
/*
 * Congestion control: how much may be under way.  Windows are counted in segments, as Linux
 * shows them (TCP_INFO).  What was lost, and how to send while it is made good, is not decided
 * here (recovery): it says when an episode of loss begins, when it turns out to have been none,
 * and gives the ACKs outside of it.
 *
 * The owner of the connection locks.  No function fails.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define TCP_CC_INITIAL_WINDOW	10u		/* RFC 6928 */
#define TCP_CC_WINDOW_MAX	(1u << 20)	/* segments: 1.4 GiB of Ethernet's */
#define TCP_CC_SSTHRESH_MAX	0x7fffffffu	/* "not known yet" */

struct tcp_cc;

struct tcp_cc_ack {
	uint64_t now_ns;		/* monotonic */
	uint64_t rtt_ns;		/* a sample that this ACK gave; 0: none */
	uint64_t srtt_ns;		/* smoothed */
	uint32_t acked;			/* segments it covers that were not covered before */
	uint32_t una, nxt;		/* sequence numbers after it: SND.UNA, SND.NXT */
	bool limited;			/* the window was what kept us from sending more */
};

struct tcp_cc_ops {
	const char *name;		/* as TCP_CONGESTION has it */
	void (*init)(struct tcp_cc *cc);
	/* Grow the window. */
	void (*ack)(struct tcp_cc *cc, const struct tcp_cc_ack *a);
	/* An episode begins: the window to go on with after it, at least 2. */
	uint32_t (*ssthresh)(struct tcp_cc *cc);
	/* It was none: windows are as before again.  NULL: nothing else to do. */
	void (*undo)(struct tcp_cc *cc);
	/* Nothing was under way for @idle_ns, and now there is.  NULL: does not matter. */
	void (*resume)(struct tcp_cc *cc, uint64_t idle_ns);
};

/* RFC 9406: is slow start about to overshoot?  Delay says so before loss does. */
struct tcp_hystart {
	uint64_t last_min_ns, min_ns;	/* of the last and this round; UINT64_MAX: no sample */
	uint64_t base_ns;		/* what min_ns was when CSS began */
	uint32_t round_end;		/* the round is over when this is acknowledged */
	uint32_t samples;		/* of this round */
	uint32_t css_rounds;		/* of conservative slow start; 0: slow start */
	uint32_t fraction;		/* of a segment, in CSS: quarters */
	bool started;
};

struct tcp_cubic {
	uint64_t epoch_ns;		/* when congestion avoidance began; 0: it has not */
	uint64_t k_ms;			/* from there to the plateau */
	uint32_t w_max;			/* the plateau */
	uint32_t w_last_max;		/* where loss came last, before fast convergence: for it, and undo */
	uint32_t prior_last_max;	/* for undo */
	uint32_t w_prior;		/* the window before the last reduction */
	uint32_t w_est;			/* of a Reno in our place */
	uint64_t est_part, part;	/* what is not a whole segment of w_est and of the window yet */
};

struct tcp_cc {
	const struct tcp_cc_ops *ops;
	uint32_t cwnd;			/* at least 1 */
	uint32_t ssthresh;
	uint32_t prior_cwnd, prior_ssthresh;	/* before the episode; prior_cwnd 0: nothing to undo */
	struct tcp_hystart hystart;
	union {
		struct tcp_cubic cubic;
		uint32_t reno_part;	/* segments acknowledged since the last step */
	};
};

extern const struct tcp_cc_ops tcp_cubic, tcp_reno;

/* By name; NULL: there is none. */
const struct tcp_cc_ops *tcp_cc_find(const char *name);
/* For a new connection: in slow start. */
void tcp_cc_init(struct tcp_cc *cc, const struct tcp_cc_ops *ops);
/* Go on with another algorithm and the same windows. */
void tcp_cc_change(struct tcp_cc *cc, const struct tcp_cc_ops *ops);

static inline bool tcp_cc_in_slow_start(const struct tcp_cc *cc)
{
	return cc->cwnd < cc->ssthresh;
}

static inline void tcp_cc_ack(struct tcp_cc *cc, const struct tcp_cc_ack *a)
{
	cc->ops->ack(cc, a);
}

/* Something was lost (or ECN says so): ssthresh is set, cwnd left to who sends in recovery. */
void tcp_cc_loss(struct tcp_cc *cc);
/* The retransmission timer went off: the same, unless an episode is under way, and one segment. */
void tcp_cc_timeout(struct tcp_cc *cc, bool in_episode);
/* The episode was none (RFC 4015): the windows of before, if they are larger. */
void tcp_cc_undo(struct tcp_cc *cc);
/* The episode is over, and was one. */
void tcp_cc_settle(struct tcp_cc *cc);
/* Sending again after @idle_ns; the retransmission timeout is @rto_ns (RFC 2861, if @shrink). */
void tcp_cc_resume(struct tcp_cc *cc, uint64_t idle_ns, uint64_t rto_ns, bool shrink);

/* -- for algorithms */
/* Slow start with HyStart++: the segments of @a that are left when it has ended. */
uint32_t tcp_cc_slow_start(struct tcp_cc *cc, const struct tcp_cc_ack *a);
/* In hystart.c: what a round of ACKs says, and by how much @acked segments open the window. */
uint32_t tcp_hystart_growth(struct tcp_cc *cc, const struct tcp_cc_ack *a);
