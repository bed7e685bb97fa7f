/* SPDX-License-Identifier: MIT */
/*
 * A connection of TCP (RFC 9293), below sockets.
 *
 * It knows no program, no file, no address and no clock.  It is given a time, a packet or a request;
 * it sends segments through tcp_ops, and leaves behind what happened:
 *
 *	c->events	TCP_EV_*: what programs should hear of.  Who called takes them: tcp_take_events().
 *	tcp_deadline()	when tcp_timer() is to be called.  A timer that is set earlier may stay: it
 *			finds that nothing is due.
 *
 * So the caller, after any function here that is given @now, looks at both, and delivers what was
 * sent to this machine when it has dropped its locks.
 *
 * States, as TCP_INFO and /proc/net/tcp number them.  LISTEN is the socket layer's (struct
 * tcp_listener), SYN_RECV that of a struct tcp_request, TIME_WAIT of a struct tcp_timewait.
 *
 *	CLOSE		[tcp_connect]			SYN_SENT
 *	CLOSE		[tcp_accept: the request's ACK]	ESTABLISHED
 *	SYN_SENT	[SYN-ACK]			ESTABLISHED
 *	SYN_SENT	[SYN: both open]		SYN_RECV, [its ACK] ESTABLISHED
 *	ESTABLISHED	[FIN received]			CLOSE_WAIT
 *	ESTABLISHED	[tcp_shutdown]			FIN_WAIT1
 *	CLOSE_WAIT	[tcp_shutdown]			LAST_ACK, [ACK] CLOSE
 *	FIN_WAIT1	[ACK of our FIN]		FIN_WAIT2, [FIN] CLOSE with TCP_EV_TIMEWAIT
 *	FIN_WAIT1	[FIN]				CLOSING, [ACK] CLOSE with TCP_EV_TIMEWAIT
 *	any		[RST, timeout, tcp_abort]	CLOSE
 *
 * Invariants (tcp_check()):
 *   (1) snd_una <= snd_nxt <= snd_end (+ 1 for a FIN that was sent); the send queue has the bytes
 *       [snd_una rounded down to a chunk, snd_end), the scoreboard a record for each segment of
 *       [snd_una, snd_nxt), in order and without holes.
 *   (2) copied <= rcv_nxt; the receive queue has [copied, rcv_nxt) (a FIN has no byte in it); the
 *       out-of-order tree has ranges beyond rcv_nxt that do not overlap.
 *   (3) The window that was advertised never shrinks from the right (rcv_adv), but for memory.
 *   (4) What waits for an answer has a deadline: with segments in flight, or bytes that a window of
 *       zero holds back, resend_at is set.
 *   (5) snd_charge and rcv_charge are the memory of the queues.
 *
 * Locks: who calls holds the connection's (LX_LOCK_SOCKET) for every function that takes a struct
 * tcp_conn.  None waits.  Times are nanoseconds of the monotonic clock, never 0.
 */
#pragma once

#include "base/rbtree.h"
#include "inet/tcp/blocks.h"
#include "inet/tcp/cc.h"
#include "inet/tcp/cookie.h"
#include "inet/tcp/rack.h"
#include "inet/tcp/recovery.h"
#include "inet/tcp/rtt.h"
#include "lx/pbuf.h"

#define TCP_NEVER	UINT64_MAX	/* a deadline that is not set */
#define TCP_TIMEWAIT_NS	60000000000ull	/* TIME_WAIT lasts, as on Linux */
#define TCP_HEADER	20u		/* bytes, without options */

enum tcp_state {
	TCP_ESTABLISHED = 1, TCP_SYN_SENT, TCP_SYN_RECV, TCP_FIN_WAIT1, TCP_FIN_WAIT2,
	TCP_TIME_WAIT, TCP_CLOSE, TCP_CLOSE_WAIT, TCP_LAST_ACK, TCP_LISTEN, TCP_CLOSING,
};

enum {
	TCP_FLAG_FIN = 0x01, TCP_FLAG_SYN = 0x02, TCP_FLAG_RST = 0x04, TCP_FLAG_PSH = 0x08,
	TCP_FLAG_ACK = 0x10, TCP_FLAG_URG = 0x20, TCP_FLAG_ECE = 0x40, TCP_FLAG_CWR = 0x80,
};

/* -- what connections of a namespace share */

/* Counters of /proc/net/netstat (TcpExt) and snmp (Tcp) that are counted here. */
enum tcp_counter {
	TCP_C_ACTIVE_OPENS, TCP_C_PASSIVE_OPENS, TCP_C_ATTEMPT_FAILS, TCP_C_ESTAB_RESETS,
	TCP_C_RETRANS_SEGS, TCP_C_OUT_RSTS,
	TCP_C_SYNCOOKIES_SENT, TCP_C_SYNCOOKIES_RECV, TCP_C_SYNCOOKIES_FAILED,
	TCP_C_PAWS_ESTAB, TCP_C_DELAYED_ACKS, TCP_C_CHALLENGE_ACK, TCP_C_SYN_CHALLENGE,
	TCP_C_TIMEOUTS, TCP_C_LOSS_PROBES, TCP_C_FAST_RETRANS, TCP_C_UNDO, TCP_C_DSACK_RECV,
	TCP_C_DSACK_SENT, TCP_C_OFO_QUEUE, TCP_C_OFO_DROP, TCP_C_OFO_PRUNED, TCP_C_RCV_PRUNED,
	TCP_C_ABORT_ON_DATA, TCP_C_ABORT_ON_CLOSE, TCP_C_ABORT_ON_MEMORY, TCP_C_ABORT_ON_TIMEOUT,
	TCP_C_ABORT_ON_LINGER, TCP_C_KEEPALIVE, TCP_C_ZERO_WINDOW_DROP, TCP_C_RENEGING,
	TCP_C_TW_RECYCLED,
	TCP_NR_COUNTERS
};

/* The sysctls net.ipv4.tcp_*: any time, relaxed; tcp_context_init() sets Linux's defaults. */
struct tcp_conf {
	_Atomic(uint32_t) rmem[3], wmem[3];		/* bytes */
	_Atomic(uint32_t) mem[3];			/* pages */
	_Atomic(uint32_t) keepalive_time, keepalive_intvl, keepalive_probes;	/* s, s, times */
	_Atomic(uint32_t) fin_timeout;			/* s */
	_Atomic(uint32_t) syn_retries, synack_retries, retries1, retries2, orphan_retries;
	_Atomic(uint32_t) notsent_lowat;		/* bytes */
	_Atomic(uint8_t) timestamps, sack, dsack, window_scaling, ecn;
	_Atomic(uint8_t) slow_start_after_idle, moderate_rcvbuf, rfc1337, tw_reuse, early_retrans;
	_Atomic(uint32_t) challenge_ack_limit;		/* per second */
	_Atomic(uint32_t) invalid_ratelimit;		/* ms */
	_Atomic(const struct tcp_cc_ops *) cc;		/* tcp_congestion_control */
};

struct tcp_context {
	struct lx_pbuf_pool *pool;	/* constant: what segments and queues are charged to */
	struct tcp_conf conf;
	_Atomic(uint64_t) counter[TCP_NR_COUNTERS];
	_Atomic(int64_t) memory;	/* bytes in queues of all connections, in steps of TCP_MEMORY_STEP */
	_Atomic(uint64_t) challenge_second;	/* the second, and how many were sent in it: << 32 | count */
};

#define TCP_MEMORY_STEP	16384u

void tcp_context_init(struct tcp_context *x, struct lx_pbuf_pool *pool);

static inline void tcp_count(struct tcp_context *x, enum tcp_counter n)
{
	atomic_fetch_add_explicit(&x->counter[n], 1, memory_order_relaxed);
}

/* -- segments */

/* What a segment's header says, in the machine's byte order. */
struct tcp_segment {
	uint16_t source, dest;		/* ports, as in the header (network byte order) */
	uint32_t seq, ack;
	uint32_t len;			/* bytes of data */
	uint32_t end;			/* seq + len, and one each for SYN and FIN */
	uint16_t window, urgent;	/* not scaled */
	uint8_t flags;			/* TCP_FLAG_* */
	uint8_t header;			/* bytes of header with options */
	bool ce;			/* its IP header said "congestion experienced" */
	struct tcp_options opt;
};

/*
 * Read the header of @p, which begins with it; the packet's header is made linear.  False: it is not a
 * TCP header (too short, an offset that lies), or there is no memory.
 */
bool tcp_parse(struct lx_pbuf *p, struct tcp_segment *s);
/* Is the checksum right?  @pseudo: ip_pseudo_csum() with the packet's length. */
bool tcp_checksum_ok(const struct lx_pbuf *p, uint32_t pseudo);

/*
 * All segments that are built here begin with the TCP header, have LX_PBUF_HEADROOM in front, and
 * LX_CSUM_PARTIAL set from their first byte with a checksum field of 0: who sends them stores the
 * folded, not complemented sum of the pseudo header there (tcp_set_pseudo()).  With gso set, gso_header
 * is that of TCP alone.
 */
void tcp_set_pseudo(struct lx_pbuf *p, uint32_t pseudo);

/*
 * The RST that answers @s, which nobody waits for (RFC 9293, 3.5.2), ports exchanged.  NULL: it gets none
 * (it is one), or no memory.
 */
struct lx_pbuf *tcp_reset_for(struct tcp_context *x, const struct tcp_segment *s);

/* -- connections */

/* What the socket layer does for a connection. */
struct tcp_conn;
struct tcp_ops {
	/*
	 * Send @p, which is taken over, to the peer.  @ect: it may be marked (ECN).  0 or an errno; what could not
	 * be sent counts as lost on the way.
	 */
	int (*send)(struct tcp_conn *c, struct lx_pbuf *p, bool ect);
};

/* What a route and its device say. */
struct tcp_path {
	uint32_t mtu;			/* bytes of IP, header included */
	uint16_t ip_header;		/* bytes, with options: 20 or more, 40 or more */
	uint8_t gso;			/* LX_GSO_TCPV4 or V6 where the device cuts segments, or LX_GSO_NONE */
	uint32_t gso_max;		/* bytes of a packet that it cuts at most (65536) */
};

enum {
	TCP_EV_CONNECTED = 1 << 0,	/* an active open succeeded */
	TCP_EV_READABLE = 1 << 1,	/* bytes or the peer's FIN */
	TCP_EV_WRITABLE = 1 << 2,	/* a third of SO_SNDBUF is free again, after it was not */
	TCP_EV_URGENT = 1 << 3,		/* SIGURG */
	TCP_EV_ERROR = 1 << 4,		/* c->error */
	TCP_EV_FIN = 1 << 5,		/* the peer will send no more */
	/* State CLOSE: out of the table (with TIMEWAIT: put a tcp_timewait into its place first). */
	TCP_EV_CLOSED = 1 << 6,
	TCP_EV_TIMEWAIT = 1 << 7,
	TCP_EV_SHUTDOWN_DONE = 1 << 8,	/* our FIN is acknowledged: for SO_LINGER */
};

/* Options that programs set (and the children of a listener inherit): plain fields. */
struct tcp_settings {
	uint32_t sndbuf, rcvbuf;	/* bytes of memory, doubled already; tcp_set_buffers() when connected */
	bool sndbuf_locked, rcvbuf_locked;	/* a program has set it: it does not grow */
	bool nodelay, cork, keepalive, oobinline;
	uint8_t syn_retries;		/* TCP_SYNCNT; 0: the namespace's */
	uint8_t keep_probes;		/* TCP_KEEPCNT; 0: the namespace's */
	uint16_t keep_idle, keep_interval;	/* s; 0: the namespace's */
	uint16_t maxseg;		/* TCP_MAXSEG; 0: the path's */
	int32_t linger2;		/* s; 0: the namespace's (tcp_fin_timeout); negative: no FIN_WAIT2 */
	uint32_t user_timeout;		/* ms; 0: none */
	uint32_t notsent_lowat;		/* 0: the namespace's */
	uint32_t window_clamp;		/* 0: none */
	const struct tcp_cc_ops *cc;	/* of connections to come; tcp_set_cc() for this one */
};

/* What resend_at is for: an answer to what is in flight; a window, or what holds bytes back. */
enum tcp_resend { TCP_RESEND_RTO, TCP_RESEND_PERSIST };

struct tcp_conn {
	/* Constant. */
	const struct tcp_ops *ops;
	struct tcp_context *context;

	uint8_t state;			/* enum tcp_state; written here only */
	uint8_t resend;			/* enum tcp_resend */
	uint8_t backoff;		/* doublings of the timeout, or of the probes of a window */
	uint8_t probes;			/* keep-alive or of a window: unanswered ones */
	uint8_t snd_wscale, rcv_wscale;
	uint16_t mss;			/* bytes of data in a segment, options of every segment taken off */
	uint16_t peer_mss;		/* as its SYN said */
	uint16_t advmss;		/* as ours said */
	uint16_t events;		/* TCP_EV_* not yet taken */
	uint16_t local_port, remote_port;	/* network byte order; the socket layer sets them */
	uint16_t error, soft_error;	/* errno; the socket layer takes error away when it is told */

	/* Of the handshake: */
	bool use_stamps : 1, use_sack : 1, use_wscale : 1, use_ecn : 1;
	/* Programs: */
	bool orphan : 1;		/* tcp_close() */
	bool rcv_shutdown : 1;		/* shutdown(SHUT_RD); the socket layer's */
	bool fin_queued : 1;		/* ours follows snd_end */
	bool fin_received : 1;
	bool pushed : 1;		/* MSG_MORE not set: what is queued may go as it is */
	bool snd_urgent : 1, rcv_urgent : 1;	/* snd_up, rcv_up mean something */
	bool urgent_read : 1;		/* the byte at rcv_up was taken (MSG_OOB) */
	bool want_room : 1;		/* a writer waits: TCP_EV_WRITABLE when there is room */
	/* ACKs: */
	bool ack_now : 1;
	bool ping_pong : 1;		/* interactive: ACKs may wait for an answer to travel with */
	bool ece : 1, cwr : 1;		/* ECN: we echo; we tell that we have reduced */
	bool cc_limited : 1;		/* the window was what kept us from sending more */
	bool early_probe : 1;		/* early_at is for a tail-loss probe, not for reordering */
	bool ecn_reduced : 1;		/* ecn_point means something */
	uint8_t quick_acks;		/* that go at once, at the start and after a pause */
	uint8_t retries;		/* retransmission timeouts in a row */
	uint16_t rcv_mss;		/* bytes of the peer's full segments, as they come */
	uint8_t ato_ms;			/* how long an ACK waits for data to travel with; 0: no data came yet */
	uint8_t ip_header;		/* of the path */
	uint8_t gso;
	uint32_t gso_max;
	uint32_t mtu;

	struct tcp_settings set;

	/* Sending. */
	uint32_t isn;
	uint32_t snd_una, snd_nxt, snd_end;	/* snd_end: behind the last byte that a program wrote */
	uint32_t snd_wnd, snd_wl1, snd_wl2;	/* the peer's window, and what it was last updated by */
	uint32_t max_wnd;		/* the largest ever */
	uint32_t snd_up;		/* behind the last urgent byte */
	uint32_t snd_small;		/* behind the last segment that was not full (Minshall) */
	uint32_t snd_charge;		/* memory of the send queue */
	struct list send_queue;		/* of chunks: lx_pbuf with struct tcp_chunk in cb */
	struct lx_pbuf *send_next;	/* the chunk of snd_nxt; NULL: everything is sent */
	struct tcp_scoreboard board;	/* of struct tcp_record */
	struct seq_range sack_seen[TCP_SACK_MAX];	/* the last ACK's blocks */
	struct tcp_rack rack;
	struct tcp_recovery recovery;
	struct tcp_rtt rtt;
	struct tcp_cc cc;

	/* Receiving. */
	uint32_t irs;			/* the peer's initial sequence number */
	uint32_t rcv_nxt, copied;	/* copied: what programs have read up to */
	uint32_t rcv_wup, rcv_adv;	/* last ACK sent; the end of the window that it offered */
	uint32_t rcv_limit;		/* the window grows to this as segments come (Linux: rcv_ssthresh) */
	uint32_t rcv_up;		/* the peer's urgent byte itself */
	uint32_t rcv_charge;		/* memory of both queues */
	struct list recv_queue;		/* of lx_pbuf with struct tcp_received in cb */
	struct rb_tree ooo;		/* of the same, by seq */
	struct tcp_blocks blocks;
	/* Growth of the receive buffer: bytes read in a round trip. */
	uint32_t drs_copied, drs_space;
	uint64_t drs_at, rcv_rtt_ns;
	uint32_t rcv_rtt_seq;		/* a round trip as the receiver sees it ends here */
	uint64_t rcv_rtt_at;

	/* Time stamps (ms and an offset). */
	uint32_t stamp_offset, ts_recent;
	uint64_t ts_recent_at;

	/* Deadlines; TCP_NEVER. */
	uint64_t resend_at;		/* RTO or persist */
	uint64_t early_at;		/* before the RTO: tail-loss probe, or RACK's reordering window */
	uint64_t ack_at, keep_at, state_at;

	uint64_t stalled_at;		/* the first timeout or probe in a row; 0: there was an answer since */
	uint64_t last_sent_at, last_data_at, last_ack_at;	/* data sent; data, ACK received */
	uint64_t challenge_at;
	uint32_t ecn_point;		/* a reduction counts until this is acknowledged */

	uint32_t charged;		/* of context->memory */

	/* Counters of TCP_INFO. */
	uint64_t bytes_acked, bytes_received, bytes_sent, bytes_retrans;
	uint32_t segs_in, segs_out, data_segs_in, data_segs_out;
	uint32_t total_retrans, dsack_dups, ooo_packets, delivered, delivered_ce;
};

/* -- life */

/* State CLOSE, settings of the namespace.  @c is all the caller's memory; no reference is taken to @x. */
void tcp_init(struct tcp_conn *c, struct tcp_context *x, const struct tcp_ops *ops);
/* Free all that it has queued; the state is CLOSE, or it is never used again.  May be called twice. */
void tcp_destroy(struct tcp_conn *c);
/*
 * Active open: a SYN goes out.  @isn: tcp_isn(); @stamp_offset: tcp_stamp_offset().  Ports are set.  0; -ENOBUFS.
 * A connection that was closed may be opened again.
 */
int tcp_connect(struct tcp_conn *c, const struct tcp_path *path, uint32_t isn, uint32_t stamp_offset,
		uint64_t now);
/* The way has changed: another route, or a smaller MTU (ICMP, for a packet of this connection). */
void tcp_set_path(struct tcp_conn *c, const struct tcp_path *path, uint64_t now);
/*
 * An ICMP error with errno @err for a segment of ours that begins at @seq: ignored unless that is in flight
 * (RFC 5927).  @fatal: ends a connection that is being opened; else it is c->soft_error.
 */
void tcp_icmp_error(struct tcp_conn *c, uint32_t seq, int err, bool fatal, uint64_t now);

/* A segment for this connection, checked (tcp_checksum_ok()): @p is taken over.  @ce: as tcp_segment's. */
void tcp_receive(struct tcp_conn *c, struct lx_pbuf *p, bool ce, uint64_t now);
/* Whatever is due. */
void tcp_timer(struct tcp_conn *c, uint64_t now);
static inline uint64_t tcp_deadline(const struct tcp_conn *c)
{
	return MIN(MIN(MIN(c->resend_at, c->early_at), c->ack_at), MIN(c->keep_at, c->state_at));
}

static inline unsigned int tcp_take_events(struct tcp_conn *c)
{
	unsigned int events = c->events;

	c->events = 0;
	return events;
}

/* -- programs: sending */

enum {
	TCP_SEND_MORE = 1,		/* MSG_MORE: hold back what fills no segment */
	TCP_SEND_URGENT = 2,		/* MSG_OOB: the last byte is urgent */
};

/* May bytes be written?  (CLOSE_WAIT and ESTABLISHED, no FIN yet; SYN_SENT too: they wait.) */
bool tcp_may_send(const struct tcp_conn *c);
/* Room in SO_SNDBUF for POLLOUT: a third of it is free, and fewer than notsent_lowat bytes wait. */
bool tcp_is_writable(const struct tcp_conn *c);
/*
 * Memory at the end of the send queue for up to @want bytes: *@room of them, at least 1.  What is written
 * there counts after tcp_send_put().  NULL: SO_SNDBUF is full (*@room 0; c->want_room is set: TCP_EV_WRITABLE
 * follows), or there is no memory (*@room 1).
 */
void *tcp_send_room(struct tcp_conn *c, size_t want, uint32_t *room);
/* @n bytes were written to what tcp_send_room() gave last. */
void tcp_send_put(struct tcp_conn *c, uint32_t n);
/* The same of a packet of bytes, which is taken over: its blocks are shared and not written any more. */
void tcp_send_append(struct tcp_conn *c, struct lx_pbuf *p);
/* All of a request is queued (or what fits): send what may be sent.  @flags: TCP_SEND_*. */
void tcp_send_push(struct tcp_conn *c, unsigned int flags, uint64_t now);
/* Send what may be sent: after nodelay was set or cork cleared. */
void tcp_output(struct tcp_conn *c, uint64_t now);

/* -- programs: receiving */

/* Bytes that can be read, a FIN not counted. */
static inline uint32_t tcp_readable(const struct tcp_conn *c)
{
	return c->rcv_nxt - c->fin_received - c->copied;
}

/* The packet with byte @seq, copied <= @seq < copied + tcp_readable(); its place in it is *@off. */
struct lx_pbuf *tcp_recv_at(const struct tcp_conn *c, uint32_t seq, uint32_t *off);
/* How many bytes of the stream it has from there on: no more, it may be longer. */
uint32_t tcp_recv_len(const struct lx_pbuf *p, uint32_t off);
/*
 * @n bytes at c->copied were read: they are freed, the window opens, and an ACK tells so if that is worth
 * it.  The urgent byte, if it is not inline, is skipped by the reader as if it had been read.
 */
void tcp_recv_take(struct tcp_conn *c, uint32_t n, uint64_t now);
/* Is the reader at the urgent mark (SIOCATMARK)?  Is there an urgent byte, and which? */
bool tcp_at_mark(const struct tcp_conn *c);
/* The byte for MSG_OOB: 0 with *@byte; -EINVAL: none, or taken, or inline; -EAGAIN: it has not come yet. */
int tcp_urgent_byte(struct tcp_conn *c, uint8_t *byte, bool peek);

/* -- programs: ending */

/* No more is written: FIN after what is queued.  For ESTABLISHED, SYN_RECV, CLOSE_WAIT; else nothing. */
void tcp_shutdown(struct tcp_conn *c, uint64_t now);
/*
 * The program has closed it.  What it had not read makes a RST of it (RFC 2525, 2.17); else FIN, and the
 * connection lives on as an orphan until TCP_EV_CLOSED.  No TCP_EV_* but CLOSED and TIMEWAIT matter then.
 */
void tcp_close(struct tcp_conn *c, uint64_t now);
/* At once, with a RST where the state asks for one (RFC 9293, 3.10.5): SO_LINGER of 0, orphans that are too many. */
void tcp_abort(struct tcp_conn *c, int err, uint64_t now);
/* connect(AF_UNSPEC): as tcp_abort() without an error; it can be connected again. */
void tcp_disconnect(struct tcp_conn *c, uint64_t now);

/* -- settings of a connection that is in use */

void tcp_set_buffers(struct tcp_conn *c, uint32_t sndbuf, uint32_t rcvbuf, uint64_t now);
void tcp_set_keepalive(struct tcp_conn *c, bool on, uint64_t now);	/* and after its times have changed */
void tcp_set_quickack(struct tcp_conn *c, bool on, uint64_t now);
bool tcp_quickack(const struct tcp_conn *c);
void tcp_set_cc(struct tcp_conn *c, const struct tcp_cc_ops *cc);

/* -- what the kernel shows */

/* As Linux would: in /proc/net/tcp and TCP_INFO.  RTO in ns. */
uint64_t tcp_rto(const struct tcp_conn *c);
/* The window that we offer now (rcv_wnd), and bytes in memory below it. */
static inline uint32_t tcp_rcv_wnd(const struct tcp_conn *c)
{
	return c->rcv_adv - c->rcv_nxt;
}

/* Panics in builds that check, if an invariant does not hold. */
bool tcp_check(const struct tcp_conn *c);

/* -- half-open connections: of a listener */

/* What its settings say for connections to come. */
struct tcp_listener {
	struct tcp_context *context;
	uint32_t rcvbuf;
	uint16_t maxseg;		/* TCP_MAXSEG, or 0 */
	uint32_t window_clamp;
	uint32_t defer_accept;		/* s, TCP_DEFER_ACCEPT; 0: the ACK is enough */
	uint8_t syn_retries;		/* TCP_SYNCNT; 0: tcp_synack_retries */
};

struct tcp_request {
	uint64_t at;			/* when to send the SYN-ACK again, or to give up */
	uint64_t sent_at;		/* the first SYN-ACK; 0 after a retransmission (Karn) */
	uint64_t challenge_at;
	uint32_t isn, irs;
	uint32_t stamp_offset, ts_recent;
	uint32_t rcv_wnd;		/* that the SYN-ACK offers */
	uint32_t snd_wnd;
	uint16_t local_port, remote_port;
	uint16_t peer_mss, advmss;
	uint8_t snd_wscale, rcv_wscale;
	uint8_t retries, max_retries;
	uint8_t defer;			/* retransmissions for which data is waited for */
	bool use_stamps : 1, use_sack : 1, use_wscale : 1, use_ecn : 1, acked : 1, from_cookie : 1;
};
_Static_assert(sizeof(struct tcp_request) <= 72, "with the table's entry 120 bytes");

/* What to do after a function of requests or of TIME_WAIT; *@answer is to be sent if not NULL. */
enum tcp_verdict {
	TCP_DROP,			/* nothing; it stays */
	TCP_END,			/* it is over: out of the table */
	TCP_ACCEPT,			/* of a request: tcp_accept() */
	TCP_NEW,			/* of TIME_WAIT: the SYN opens a new connection, with *isn at least */
};

/* A SYN (tcp_segment with SYN, without ACK and RST) for a listener. */
void tcp_request_init(struct tcp_request *r, const struct tcp_listener *l, const struct tcp_path *path,
		      const struct tcp_segment *s, uint32_t isn, uint32_t stamp_offset, uint64_t now);
/* The SYN-ACK; NULL: no memory. */
struct lx_pbuf *tcp_request_answer(const struct tcp_request *r, const struct tcp_listener *l, uint64_t now);
/* A segment for it. */
enum tcp_verdict tcp_request_receive(struct tcp_request *r, const struct tcp_listener *l,
				     const struct tcp_segment *s, uint64_t now, struct lx_pbuf **answer);
/* r->at has come. */
enum tcp_verdict tcp_request_timer(struct tcp_request *r, const struct tcp_listener *l, uint64_t now,
				   struct lx_pbuf **answer);
/*
 * Without memory: the request's facts become its ISN and time stamp, after tcp_request_init().  The request is
 * forgotten once it is answered.
 */
void tcp_request_to_cookie(struct tcp_request *r, const struct inet_secret *secret,
			   const struct inet_tuple *t, uint64_t now);
/*
 * The ACK of one: the request as it would be, for tcp_accept().  False: it is none (answer with a RST).
 */
bool tcp_request_from_cookie(struct tcp_request *r, const struct tcp_listener *l,
			     const struct tcp_path *path, const struct tcp_segment *s,
			     const struct inet_secret *secret, const struct inet_tuple *t, uint64_t now);

/*
 * A connection of what @r has come to, after TCP_ACCEPT: @c was initialised, has its settings (of the
 * listener) and is ESTABLISHED now.  The segment itself is given to tcp_receive() next.
 */
void tcp_accept(struct tcp_conn *c, const struct tcp_request *r, const struct tcp_path *path, uint64_t now);

/* -- TIME_WAIT, and FIN_WAIT2 of orphans */

struct tcp_timewait {
	uint64_t expires_at;
	uint64_t ts_recent_at;
	uint64_t challenge_at;
	uint32_t rcv_nxt, snd_nxt, rcv_wnd;	/* rcv_wnd: scaled, as in a header */
	uint32_t ts_recent, stamp_offset;
	uint16_t local_port, remote_port;
	bool use_stamps : 1, in_fin_wait2 : 1;
};
_Static_assert(sizeof(struct tcp_timewait) <= 56, "with the table's entry 120 bytes");

/* From a connection with TCP_EV_TIMEWAIT. */
void tcp_timewait_init(struct tcp_timewait *t, const struct tcp_conn *c, uint64_t now);
/* A segment for it.  TCP_NEW: *@isn is the least number for the new connection.  expires_at may move. */
enum tcp_verdict tcp_timewait_receive(struct tcp_timewait *t, struct tcp_context *x,
				      const struct tcp_segment *s, uint64_t now, struct lx_pbuf **answer,
				      uint32_t *isn);
/* May connect() take its place (tcp_tw_reuse)?  Then *@isn is the least number to begin with. */
bool tcp_timewait_may_connect(const struct tcp_timewait *t, uint64_t now, uint32_t *isn);
