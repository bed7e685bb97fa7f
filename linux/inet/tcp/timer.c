/* SPDX-License-Identifier: MIT */
/*
 * What is due: retransmission (RFC 6298), its tail-loss probe and reordering window (RFC 8985), probes of
 * a closed window (RFC 9293, 3.8.6.1), delayed ACKs, keep-alive (3.8.4), and the end of FIN_WAIT2.
 */
#include "inet/tcp/tcp_priv.h"

#define RTO_DOUBLINGS	9u		/* from the least timeout to the most: 200 ms to 120 s */
#define PROBE_AGAIN_NS	(500 * MS_NS)	/* where there was no memory for a segment */

/* How long so many timeouts in a row take: what tcp_retries2 means as a time (RFC 1122, 4.2.3.5). */
static uint64_t retries_time(uint32_t retries)
{
	uint64_t part = MIN(retries, RTO_DOUBLINGS);

	return ((2ull << part) - 1) * TCP_RTO_MIN_NS + (retries - part) * TCP_RTO_MAX_NS;
}

/* How often an orphan tries: not any more once the timeout is the longest there is. */
static uint32_t orphan_retries(const struct tcp_conn *c)
{
	uint32_t retries = conf(&c->context->conf.orphan_retries);

	return retries || tcp_rto(c) >= TCP_RTO_MAX_NS ? retries : 8;
}

/* Has @c waited long enough for an answer? */
static bool gave_up(struct tcp_conn *c, uint64_t now)
{
	struct tcp_conf *k = &c->context->conf;
	uint64_t limit, waited = c->stalled_at ? now - c->stalled_at : 0;
	uint32_t retries = conf(&k->retries2);

	if (IN(c, S(SYN_SENT) | S(SYN_RECV)) && !c->set.user_timeout) {
		retries = c->set.syn_retries ? c->set.syn_retries : conf(&k->syn_retries);
		return c->retries >= retries;
	}
	if (c->orphan)
		retries = orphan_retries(c);
	limit = retries_time(retries);
	if (c->set.user_timeout)
		limit = c->set.user_timeout * MS_NS;
	return c->retries && waited >= limit;
}

static void time_out(struct tcp_conn *c)
{
	int err = c->soft_error ? c->soft_error : ETIMEDOUT;

	tcp_count(c->context, TCP_C_ABORT_ON_TIMEOUT);
	tcp_done(c, err);
}

/* When @timeout was set further by the user's limit, not later than that. */
static uint64_t within_user_timeout(const struct tcp_conn *c, uint64_t at, uint64_t now)
{
	uint64_t limit;

	if (!c->set.user_timeout || !c->stalled_at)
		return at;
	limit = c->stalled_at + c->set.user_timeout * MS_NS;
	return MIN(at, MAX(limit, now + MS_NS));
}

static void retransmission(struct tcp_conn *c, uint64_t now)
{
	struct tcp_sent *head;

	if (gave_up(c, now)) {
		time_out(c);
		return;
	}
	tcp_count(c->context, TCP_C_TIMEOUTS);
	if (!c->stalled_at)
		c->stalled_at = now;
	if (c->retries < UINT8_MAX)
		c->retries++;
	c->backoff = (uint8_t)MIN(c->backoff + 1u, 31u);
	head = tcp_sent_head(&c->board);
	if (head && head->sacked)
		tcp_count(c->context, TCP_C_RENEGING);
	memset(c->sack_seen, 0, sizeof(c->sack_seen));
	if (!c->use_sack)
		tcp_scoreboard_forget(&c->board);
	c->early_at = TCP_NEVER;
	c->early_probe = false;
	if (IN(c, S(SYN_SENT) | S(SYN_RECV))) {
		if (head)
			tcp_retransmit(c, record_of(head), now);
	} else {
		tcp_recovery_timeout(&c->recovery, &c->cc, c->snd_nxt);
		tcp_rack_timeout(&c->rack, &c->board, now);
		tcp_output(c, now);
	}
	if (c->state == TCP_CLOSE)
		return;
	c->resend = TCP_RESEND_RTO;
	c->resend_at = within_user_timeout(c, now + tcp_rto(c), now);
}

static void persist(struct tcp_conn *c, uint64_t now)
{
	uint32_t most = conf(&c->context->conf.retries2);
	uint64_t wait;

	c->resend_at = TCP_NEVER;
	if (c->board.segments || send_limit(c) == c->snd_nxt) {
		tcp_output(c, now);
		return;
	}
	if (c->orphan)
		most = orphan_retries(c);
	if (c->probes >= most || (c->orphan && tcp_rto(c) >= TCP_RTO_MAX_NS && c->backoff >= most) ||
	    (c->set.user_timeout && c->stalled_at &&
	     now - c->stalled_at >= c->set.user_timeout * MS_NS)) {
		time_out(c);
		return;
	}
	if (!c->stalled_at)
		c->stalled_at = now;
	tcp_send_window_probe(c, now);
	if (c->board.segments)
		return;
	c->probes++;
	c->backoff = (uint8_t)MIN(c->backoff + 1u, 15u);
	wait = MAX(tcp_rto(c), TCP_RTO_MIN_NS);
	c->resend = TCP_RESEND_PERSIST;
	c->resend_at = within_user_timeout(c, now + wait, now);
}

/* RFC 8985, 7.3: new data, or the last segment again. */
static void tail_probe(struct tcp_conn *c, uint64_t now)
{
	struct tcp_sent *last = tcp_sent_last(&c->board);
	uint32_t before = c->snd_nxt;
	bool again;

	c->early_at = TCP_NEVER;
	c->early_probe = false;
	/* a tail that has arrived is not lost */
	if (!last || last->sacked)
		return;
	again = !tcp_send_fresh(c, now) || c->snd_nxt == before;
	if (again && !tcp_retransmit(c, record_of(last), now))
		return;
	tcp_count(c->context, TCP_C_LOSS_PROBES);
	tcp_recovery_probe(&c->recovery, again, c->snd_nxt);
	tcp_arm(c, now);
}

static void early(struct tcp_conn *c, uint64_t now)
{
	if (c->early_probe)
		tail_probe(c, now);
	else
		tcp_lost_again(c, now);
}

/* -- keep-alive */

static uint64_t keep_idle(const struct tcp_conn *c)
{
	uint32_t s = c->set.keep_idle ? c->set.keep_idle : conf(&c->context->conf.keepalive_time);

	return s * SECOND_NS;
}

void tcp_keep_restart(struct tcp_conn *c, uint64_t now)
{
	c->keep_at = c->set.keepalive && IN(c, S_SYNCHRONIZED & ~S(SYN_RECV)) ? now + keep_idle(c) : TCP_NEVER;
}

void tcp_set_keepalive(struct tcp_conn *c, bool on, uint64_t now)
{
	uint64_t quiet = now - MAX(c->last_data_at, c->last_ack_at);

	c->set.keepalive = on;
	tcp_keep_restart(c, now);
	if (c->keep_at != TCP_NEVER)
		c->keep_at = now + (keep_idle(c) > quiet ? keep_idle(c) - quiet : 0);
}

static void keep_alive(struct tcp_conn *c, uint64_t now)
{
	struct tcp_conf *k = &c->context->conf;
	uint64_t quiet = now - MAX(c->last_data_at, c->last_ack_at);
	uint32_t most = c->set.keep_probes ? c->set.keep_probes : conf(&k->keepalive_probes);
	uint32_t interval = c->set.keep_interval ? c->set.keep_interval : conf(&k->keepalive_intvl);

	c->keep_at = now + keep_idle(c);
	/* what is in flight or waits has its own timer */
	if (c->board.segments || send_limit(c) != c->snd_nxt)
		return;
	if (quiet < keep_idle(c)) {
		c->keep_at = now + (keep_idle(c) - quiet);
		return;
	}
	if (c->set.user_timeout ? c->probes && quiet >= c->set.user_timeout * MS_NS : c->probes >= most) {
		tcp_send_reset(c, now);
		time_out(c);
		return;
	}
	tcp_count(c->context, TCP_C_KEEPALIVE);
	tcp_send_empty_probe(c, false, now);
	c->probes++;
	c->keep_at = now + interval * SECOND_NS;
}

void tcp_timer(struct tcp_conn *c, uint64_t now)
{
	if (c->state == TCP_CLOSE)
		return;
	if (now >= c->state_at) {
		c->state_at = TCP_NEVER;
		tcp_enter_timewait(c);
		return;
	}
	if (now >= c->ack_at) {
		tcp_count(c->context, TCP_C_DELAYED_ACKS);
		/* nothing has gone along with it: it is no conversation after all */
		c->ping_pong = false;
		tcp_send_ack(c, now);
	}
	if (now >= c->early_at && now < c->resend_at)
		early(c, now);
	if (now >= c->resend_at) {
		if (c->resend == TCP_RESEND_PERSIST)
			persist(c, now);
		else if (c->board.segments)
			retransmission(c, now);
		else
			c->resend_at = TCP_NEVER;
	}
	if (now >= c->keep_at && c->state != TCP_CLOSE)
		keep_alive(c, now);
}
