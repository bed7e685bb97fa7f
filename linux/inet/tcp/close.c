/* SPDX-License-Identifier: MIT */
/* The ends of a connection: in order, by the program's absence, at once. */
#include "inet/tcp/tcp_priv.h"

/* TIME_WAIT (or the rest of an orphan's FIN_WAIT2) is a small structure of its own. */
void tcp_enter_timewait(struct tcp_conn *c)
{
	tcp_done(c, 0);
	c->events |= TCP_EV_TIMEWAIT;
}

/* How long an orphan waits for the peer's FIN; negative linger2: not at all. */
static uint64_t fin_wait(const struct tcp_conn *c)
{
	uint32_t s = c->set.linger2 > 0 ? (uint32_t)c->set.linger2 : conf(&c->context->conf.fin_timeout);

	return MAX(s * SECOND_NS, tcp_rto(c) * 7 / 2);
}

static void orphan_in_fin_wait2(struct tcp_conn *c, uint64_t now)
{
	uint64_t wait = fin_wait(c);

	if (c->set.linger2 < 0) {
		tcp_count(c->context, TCP_C_ABORT_ON_LINGER);
		tcp_send_reset(c, now);
		tcp_done(c, 0);
	} else if (wait > TCP_TIMEWAIT_NS) {
		c->state_at = now + (wait - TCP_TIMEWAIT_NS);
	} else {
		tcp_enter_timewait(c);
	}
}

void tcp_enter_fin_wait2(struct tcp_conn *c, uint64_t now)
{
	tcp_set_state(c, TCP_FIN_WAIT2);
	if (c->orphan)
		orphan_in_fin_wait2(c, now);
}

void tcp_shutdown(struct tcp_conn *c, uint64_t now)
{
	switch (c->state) {
	case TCP_ESTABLISHED:
	case TCP_SYN_RECV:
		tcp_set_state(c, TCP_FIN_WAIT1);
		break;
	case TCP_CLOSE_WAIT:
		tcp_set_state(c, TCP_LAST_ACK);
		break;
	default:
		return;
	}
	c->fin_queued = true;
	tcp_output(c, now);
}

void tcp_close(struct tcp_conn *c, uint64_t now)
{
	bool unread = tcp_readable(c) && c->state != TCP_SYN_SENT;

	c->orphan = true;
	if (c->state == TCP_CLOSE) {
		tcp_free_received(c);
		return;
	}
	if (c->state == TCP_SYN_SENT) {
		tcp_done(c, 0);
	} else if (unread && !IN(c, S_ENDING & ~S(FIN_WAIT1) & ~S(FIN_WAIT2))) {
		tcp_count(c->context, TCP_C_ABORT_ON_CLOSE);
		tcp_send_reset(c, now);
		tcp_done(c, 0);
	} else {
		tcp_free_received(c);
		tcp_shutdown(c, now);
		if (c->state == TCP_FIN_WAIT2)
			orphan_in_fin_wait2(c, now);
	}
}

void tcp_abort(struct tcp_conn *c, int err, uint64_t now)
{
	bool reset = IN(c, S(ESTABLISHED) | S(CLOSE_WAIT) | S(FIN_WAIT1) | S(FIN_WAIT2) | S(SYN_RECV));

	/* what was promised to the peer's last ACK is not sent any more */
	if (IN(c, S(CLOSING) | S(LAST_ACK)) && c->snd_nxt != send_limit(c))
		reset = true;
	if (reset)
		tcp_send_reset(c, now);
	tcp_done(c, err);
}

void tcp_disconnect(struct tcp_conn *c, uint64_t now)
{
	tcp_abort(c, 0, now);
	tcp_free_received(c);
	c->copied = c->rcv_nxt;
	c->fin_received = c->fin_queued = false;
	c->rcv_urgent = false;
	c->error = c->soft_error = 0;
}
