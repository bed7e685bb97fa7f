/* SPDX-License-Identifier: MIT */
/* TCP_INFO: a connection as Linux would show it. */
#include "inet/tcp/abi.h"
#include "inet/tcp/sock.h"

#define US_NS	1000ull
#define MS_NS	1000000ull

static uint32_t ms_since(uint64_t now, uint64_t then)
{
	return then ? (uint32_t)((now - then) / MS_NS) : 0;
}

static uint8_t options_of(const struct tcp_conn *c)
{
	return (uint8_t)((c->use_stamps ? TCPI_OPT_TIMESTAMPS : 0) | (c->use_sack ? TCPI_OPT_SACK : 0) |
			 (c->use_wscale ? TCPI_OPT_WSCALE : 0) | (c->use_ecn ? TCPI_OPT_ECN : 0));
}

static uint8_t ca_state_of(const struct tcp_conn *c)
{
	switch (c->recovery.state) {
	case TCP_FAST:
		return TCP_CA_Recovery;
	case TCP_TIMEOUT:
		return TCP_CA_Loss;
	default:
		return c->board.sacked ? TCP_CA_Disorder : TCP_CA_Open;
	}
}

/* Segments that were sent again and are under way. */
static uint32_t retransmitted(const struct tcp_conn *c)
{
	uint32_t n = 0;

	for (struct tcp_sent *s = tcp_sent_head(&c->board); s; s = tcp_sent_after(&c->board, s))
		n += s->again && !s->sacked && !s->lost;
	return n;
}

static void fill_sending(const struct tcp_conn *c, struct tcp_info *i)
{
	i->tcpi_ca_state = ca_state_of(c);
	i->tcpi_retransmits = c->retries;
	i->tcpi_probes = c->probes;
	i->tcpi_backoff = c->backoff;
	i->tcpi_rto = (uint32_t)(tcp_rto(c) / US_NS);
	i->tcpi_snd_mss = c->mss ? c->mss : TCP_MSS_DEFAULT;
	i->tcpi_unacked = c->board.segments;
	i->tcpi_sacked = c->board.sacked;
	i->tcpi_lost = c->board.lost;
	i->tcpi_retrans = retransmitted(c);
	i->tcpi_pmtu = c->mtu;
	i->tcpi_rtt = (uint32_t)(c->rtt.srtt_ns / US_NS);
	i->tcpi_rttvar = c->rtt.srtt_ns ? (uint32_t)(c->rtt.rttvar_ns / US_NS) : 250000;
	i->tcpi_min_rtt = (uint32_t)MIN(tcp_rtt_min(&c->rtt) / US_NS, (uint64_t)UINT32_MAX);
	i->tcpi_snd_ssthresh = c->cc.ssthresh;
	i->tcpi_snd_cwnd = c->cc.cwnd;
	i->tcpi_reordering = 3;
	i->tcpi_total_retrans = c->total_retrans;
	i->tcpi_notsent_bytes = c->state == TCP_CLOSE || !seq_before(c->snd_nxt, c->snd_end) ?
					0 : c->snd_end - c->snd_nxt;
	i->tcpi_snd_wnd = c->snd_wnd;
}

static void fill_receiving(const struct tcp_conn *c, struct tcp_info *i)
{
	i->tcpi_ato = (uint32_t)(c->ato_ms ? c->ato_ms : 40) * 1000u;
	i->tcpi_rcv_mss = c->rcv_mss ? c->rcv_mss : TCP_MSS_DEFAULT;
	i->tcpi_rcv_ssthresh = c->rcv_limit;
	i->tcpi_advmss = c->advmss - (c->use_stamps ? 12u : 0);
	i->tcpi_rcv_rtt = (uint32_t)(c->rcv_rtt_ns / US_NS);
	i->tcpi_rcv_space = c->drs_space;
	i->tcpi_rcv_ooopack = c->ooo_packets;
}

static void fill_counters(const struct tcp_conn *c, struct tcp_info *i)
{
	i->tcpi_bytes_acked = c->bytes_acked;
	i->tcpi_bytes_received = c->bytes_received;
	i->tcpi_bytes_sent = c->bytes_sent;
	i->tcpi_bytes_retrans = c->bytes_retrans;
	i->tcpi_segs_out = c->segs_out;
	i->tcpi_segs_in = c->segs_in;
	i->tcpi_data_segs_in = c->data_segs_in;
	i->tcpi_data_segs_out = c->data_segs_out;
	i->tcpi_delivered = c->delivered;
	i->tcpi_delivered_ce = c->delivered_ce;
	i->tcpi_dsack_dups = c->dsack_dups;
}

void tcp_sock_info(struct tcp_sock *ts, struct tcp_info *i)
{
	const struct tcp_conn *c = &ts->conn;
	uint64_t now = rt_now_ns();

	memset(i, 0, sizeof(*i));
	i->tcpi_state = tcp_sock_state(ts);
	i->tcpi_max_pacing_rate = UINT64_MAX;
	if (ts->listen) {
		i->tcpi_unacked = ts->nr_waiting;
		i->tcpi_sacked = ts->listen->max;
		return;
	}
	i->tcpi_options = options_of(c);
	i->tcpi_snd_wscale = c->snd_wscale & 15;
	i->tcpi_rcv_wscale = c->rcv_wscale & 15;
	i->tcpi_last_data_sent = ms_since(now, c->last_sent_at);
	i->tcpi_last_data_recv = ms_since(now, c->last_data_at);
	i->tcpi_last_ack_recv = ms_since(now, c->last_ack_at);
	fill_sending(c, i);
	fill_receiving(c, i);
	fill_counters(c, i);
}
