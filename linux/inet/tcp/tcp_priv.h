/* SPDX-License-Identifier: MIT */
/* What the files of a connection share.  Locks and times: tcp.h. */
#pragma once

#include "inet/tcp/tcp.h"

#define MS_NS		1000000ull
#define SECOND_NS	1000000000ull

/* A segment that is in flight.  SYN and FIN have a number and no byte. */
struct tcp_record {
	struct tcp_sent s;		/* first */
	struct lx_pbuf *chunk;		/* of the send queue: it has the byte s.from; NULL: there is none */
};

static inline struct tcp_record *record_of(struct tcp_sent *s)
{
	return (struct tcp_record *)s;
}

/* In the cb of a packet of the send queue, which has bytes and no header. */
struct tcp_chunk {
	uint32_t seq;			/* of its first byte */
};

static inline struct tcp_chunk *chunk_of(struct lx_pbuf *p)
{
	return (struct tcp_chunk *)p->cb;
}

/* In the cb of a received packet. */
struct tcp_received {
	struct rb_node node;		/* of ooo */
	uint32_t seq, end;		/* the bytes that count */
	uint32_t off;			/* where seq is in the packet */
	bool fin;			/* behind end */
};

static inline struct tcp_received *received_of(struct lx_pbuf *p)
{
	return (struct tcp_received *)p->cb;
}

static inline struct lx_pbuf *packet_of(struct tcp_received *r)
{
	return container_of((uint8_t(*)[48])r, struct lx_pbuf, cb);
}

static inline uint32_t conf(const _Atomic(uint32_t) *v)
{
	return atomic_load_explicit(v, memory_order_relaxed);
}

static inline bool conf_flag(const _Atomic(uint8_t) *v)
{
	return atomic_load_explicit(v, memory_order_relaxed);
}

/* The clock of time stamps, without an offset. */
static inline uint32_t stamp_of(uint64_t ns)
{
	return (uint32_t)(ns / MS_NS);
}

/* One of a set of states? */
#define IN(c, states)	((1u << (c)->state) & (states))
#define S(name)		(1u << TCP_##name)
#define S_SYNCHRONIZED	(~(S(CLOSE) | S(LISTEN) | S(SYN_SENT)))
/* A FIN of ours is sent, or will be. */
#define S_ENDING	(S(FIN_WAIT1) | S(FIN_WAIT2) | S(CLOSING) | S(LAST_ACK))

/* Behind the last number that is to be sent. */
static inline uint32_t send_limit(const struct tcp_conn *c)
{
	return c->snd_end + c->fin_queued;
}

static inline bool fin_acked(const struct tcp_conn *c)
{
	return c->fin_queued && c->snd_una == c->snd_end + 1;
}

/* -- segment.c */
struct tcp_header {
	uint16_t source, dest;		/* network byte order */
	uint32_t seq, ack;
	uint16_t window, urgent;
	uint8_t flags;
};
/* Put a header with options in front of what is in @p (nothing, or data behind @room bytes). */
void tcp_header_put(uint8_t *at, const struct tcp_header *h, const uint8_t *options, unsigned int len);
/* A segment without data. */
struct lx_pbuf *tcp_header_packet(struct tcp_context *x, const struct tcp_header *h, bool syn,
				  const struct tcp_options *o);

/* -- tcp.c */
void tcp_set_state(struct tcp_conn *c, enum tcp_state state);
/* CLOSE: timers off, queues of what is to be sent freed; @err 0 or what programs are told. */
void tcp_done(struct tcp_conn *c, int err);
void tcp_charge(struct tcp_conn *c);	/* after snd_charge or rcv_charge has changed */
/* 0: plenty; 1: buffers do not grow; 2: they shrink; 3: no memory. */
unsigned int tcp_pressure(const struct tcp_context *x);
void tcp_sync_mss(struct tcp_conn *c);
void tcp_established(struct tcp_conn *c, uint64_t now);

/* -- output.c */
void tcp_send_ack(struct tcp_conn *c, uint64_t now);
void tcp_send_syn(struct tcp_conn *c, uint64_t now);
void tcp_send_reset(struct tcp_conn *c, uint64_t now);
/* Empty, with a number that is acknowledged already: who gets it answers. */
void tcp_send_empty_probe(struct tcp_conn *c, bool urgent, uint64_t now);
/* What the window holds back: as much as it takes, or an empty probe. */
void tcp_send_window_probe(struct tcp_conn *c, uint64_t now);
bool tcp_retransmit(struct tcp_conn *c, struct tcp_record *r, uint64_t now);
/* A segment of new data, the window of congestion and Nagle aside.  False: there is none. */
bool tcp_send_fresh(struct tcp_conn *c, uint64_t now);
void tcp_free_record(struct tcp_conn *c, struct tcp_record *r);
void tcp_free_acked_chunks(struct tcp_conn *c);
void tcp_arm(struct tcp_conn *c, uint64_t now);

/* -- ack.c */
enum tcp_ack_result { TCP_ACK_OK, TCP_ACK_OLD, TCP_ACK_BAD };
enum tcp_ack_result tcp_ack(struct tcp_conn *c, const struct tcp_segment *s, uint64_t now);
void tcp_challenge(struct tcp_conn *c, uint64_t now);
void tcp_lost_again(struct tcp_conn *c, uint64_t now);	/* RACK's timer */

/* -- receive.c */
uint16_t tcp_window_field(struct tcp_conn *c, bool syn);
uint32_t tcp_window(const struct tcp_conn *c);
void tcp_initial_window(struct tcp_context *x, uint32_t rcvbuf, uint32_t clamp, uint32_t mss, bool scale,
			uint32_t *window, uint8_t *wscale);
/* Data and FIN of @s: takes @p over. */
void tcp_data(struct tcp_conn *c, struct lx_pbuf *p, const struct tcp_segment *s, uint64_t now);
void tcp_urgent(struct tcp_conn *c, const struct tcp_segment *s);
void tcp_ack_check(struct tcp_conn *c, uint64_t now);
void tcp_ack_sent(struct tcp_conn *c);
void tcp_free_received(struct tcp_conn *c);
uint32_t tcp_space(uint32_t memory);	/* bytes of data that are promised for so much memory */

/* -- timer.c */
void tcp_keep_restart(struct tcp_conn *c, uint64_t now);

/* -- close.c */
void tcp_enter_timewait(struct tcp_conn *c);
void tcp_enter_fin_wait2(struct tcp_conn *c, uint64_t now);
