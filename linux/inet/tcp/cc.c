/* SPDX-License-Identifier: MIT */
#include "inet/tcp/cc.h"

#include "base/string.h"
#include "base/util.h"

const struct tcp_cc_ops *tcp_cc_find(const char *name)
{
	static const struct tcp_cc_ops *const all[] = { &tcp_cubic, &tcp_reno };

	for (unsigned int i = 0; i < ARRAY_SIZE(all); i++)
		if (!strcmp(all[i]->name, name))
			return all[i];
	return NULL;
}

void tcp_cc_init(struct tcp_cc *cc, const struct tcp_cc_ops *ops)
{
	*cc = (struct tcp_cc){ .ops = ops, .cwnd = TCP_CC_INITIAL_WINDOW,
			       .ssthresh = TCP_CC_SSTHRESH_MAX };
	ops->init(cc);
}

void tcp_cc_change(struct tcp_cc *cc, const struct tcp_cc_ops *ops)
{
	cc->ops = ops;
	ops->init(cc);
}

void tcp_cc_loss(struct tcp_cc *cc)
{
	cc->prior_cwnd = cc->cwnd;
	cc->prior_ssthresh = cc->ssthresh;
	cc->ssthresh = cc->ops->ssthresh(cc);
}

void tcp_cc_timeout(struct tcp_cc *cc, bool in_episode)
{
	if (!in_episode)
		tcp_cc_loss(cc);
	cc->cwnd = 1;
	cc->hystart = (struct tcp_hystart){ .started = false };
}

void tcp_cc_undo(struct tcp_cc *cc)
{
	if (!cc->prior_cwnd)
		return;
	cc->cwnd = MAX(cc->cwnd, cc->prior_cwnd);
	cc->ssthresh = MAX(cc->ssthresh, cc->prior_ssthresh);
	cc->prior_cwnd = 0;
	if (cc->ops->undo)
		cc->ops->undo(cc);
}

void tcp_cc_settle(struct tcp_cc *cc)
{
	cc->prior_cwnd = 0;
}

void tcp_cc_resume(struct tcp_cc *cc, uint64_t idle_ns, uint64_t rto_ns, bool shrink)
{
	if (cc->ops->resume)
		cc->ops->resume(cc, idle_ns);
	if (!shrink || idle_ns <= rto_ns)
		return;
	/* What was known of the path is kept in ssthresh; the window halves with each timeout. */
	cc->ssthresh = MAX(cc->ssthresh, cc->cwnd - cc->cwnd / 4);
	for (; idle_ns > rto_ns && cc->cwnd > TCP_CC_INITIAL_WINDOW; idle_ns -= rto_ns)
		cc->cwnd = MAX(cc->cwnd / 2, TCP_CC_INITIAL_WINDOW);
}

uint32_t tcp_cc_slow_start(struct tcp_cc *cc, const struct tcp_cc_ack *a)
{
	uint32_t limit = MIN(cc->ssthresh, TCP_CC_WINDOW_MAX), growth = tcp_hystart_growth(cc, a);
	uint32_t room = limit > cc->cwnd ? limit - cc->cwnd : 0;

	if (growth <= room) {
		cc->cwnd += growth;
		return 0;
	}
	cc->cwnd += room;
	return growth - room;
}
