/* SPDX-License-Identifier: MIT */
/*
 * What /proc/net shows of TCP (proc(5)): listeners first, then what is in connections.
 *
 * Sockets are looked at without their locks: each number is right by itself, as those of Linux are.
 */
#include "base/format.h"
#include "fs/pseudo/pseudo.h"
#include "inet/show.h"
#include "inet/tcp/sock.h"

#define LINE_WIDTH	149		/* filled up with blanks, as on Linux */
#define TICK_NS		10000000ull	/* clock_t: USER_HZ is 100 */

typedef unsigned long long ull;

struct listing {
	struct pseudo_buf *b;
	unsigned int nr;
	uint64_t now;
};

/* What all lines have. */
struct line {
	const struct inet_tuple *key;
	unsigned int state, tx, rx;
	unsigned int timer;	/* 0 none, 1 retransmission, 2 keep-alive, 3 TIME_WAIT, 4 window */
	uint64_t timer_at;
	unsigned int retries, uid, probes;
	ull ino;
	unsigned int refs;
};

static ull ticks_until(const struct listing *l, uint64_t at)
{
	return at == TCP_NEVER || at <= l->now ? 0 : (at - l->now) / TICK_NS;
}

/* @more: what only sockets have, or "". */
static void put_line(struct listing *l, const struct line *i, const char *more)
{
	char text[256];
	int len;

	/* where it is in memory is nobody's business */
	len = snprintf(text, sizeof(text),
		       "%4u: %08X:%04X %08X:%04X %02X %08X:%08X %02X:%08llX %08X %5u %8u %llu %u %016x%s",
		       l->nr++, inet_addr_to_v4(&i->key->local), BE16(i->key->local_port),
		       inet_addr_to_v4(&i->key->remote), BE16(i->key->remote_port), i->state, i->tx,
		       i->rx, i->timer, i->timer ? ticks_until(l, i->timer_at) : 0, i->retries, i->uid,
		       i->probes, i->ino, i->refs, 0u, more);
	pseudo_printf(l->b, "%s%*s\n", text, len < LINE_WIDTH ? LINE_WIDTH - len : 0, "");
}

static void socket_timer(const struct tcp_conn *c, struct line *i)
{
	i->timer_at = MIN(c->resend_at, c->early_at);
	if (i->timer_at != TCP_NEVER) {
		i->timer = c->resend == TCP_RESEND_PERSIST ? 4 : 1;
	} else if (c->keep_at != TCP_NEVER) {
		i->timer = 2;
		i->timer_at = c->keep_at;
	}
}

static void show_sock(struct listing *l, struct inet_owner *o)
{
	struct tcp_sock *ts = tcp_sock_of(inet_sock_of(&o->entry));
	const struct tcp_conn *c = &ts->conn;
	uint32_t pending = c->snd_end + c->fin_queued - c->snd_una;
	struct line i = {
		.key = &o->entry.key, .state = tcp_sock_state(ts), .uid = o->uid,
		.ino = atomic_load(&ts->is.ino), .refs = atomic_load(&o->entry.refs),
		.retries = c->retries, .probes = c->probes,
	};
	char more[64];

	if (i.state == TCP_LISTEN) {
		i.rx = READ_ONCE(ts->nr_waiting);
	} else {
		i.tx = i.state == TCP_CLOSE || (int32_t)pending < 0 ? 0 : pending;
		i.rx = tcp_readable(c);
		socket_timer(c, &i);
	}
	snprintf(more, sizeof(more), " %llu %llu %u %u %d", (ull)(tcp_rto(c) / TICK_NS),
		 (ull)c->ato_ms / 10, (unsigned int)(c->quick_acks << 1 | c->ping_pong), c->cc.cwnd,
		 i.state == TCP_LISTEN ? 0 : tcp_cc_in_slow_start(&c->cc) ? -1 : (int)c->cc.ssthresh);
	put_line(l, &i, more);
}

static void show_listener(struct inet_owner *o, void *arg)
{
	if (o->entry.kind == INET_SOCKET &&
	    tcp_sock_state(tcp_sock_of(inet_sock_of(&o->entry))) == TCP_LISTEN)
		show_sock(arg, o);
}

static void show_connection(struct inet_entry *e, void *arg)
{
	struct inet_owner *o = container_of(e, struct inet_owner, entry);
	struct line i = { .key = &e->key, .refs = atomic_load(&e->refs) };
	struct listing *l = arg;

	if (e->protocol != IPPROTO_TCP)
		return;
	if (e->kind == INET_SOCKET) {
		show_sock(l, o);
	} else if (e->kind == INET_HALF_OPEN) {
		struct tcp_half_open *h = container_of(e, struct tcp_half_open, entry);

		i.state = TCP_SYN_RECV;
		i.timer = 1;
		i.timer_at = h->request.at;
		i.retries = h->request.retries;
		i.uid = h->listener->is.owner.uid;
		put_line(l, &i, "");
	} else {
		struct tcp_over *over = container_of(o, struct tcp_over, owner);

		i.state = over->wait.in_fin_wait2 ? TCP_FIN_WAIT2 : TCP_TIME_WAIT;
		i.timer = 3;
		i.timer_at = over->wait.expires_at;
		put_line(l, &i, "");
	}
}

void inet_show_tcp(struct lx_netns *ns, struct pseudo_buf *b)
{
	static const char header[] = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt"
				     "   uid  timeout inode";
	struct listing l = { .b = b, .now = rt_now_ns() };

	pseudo_printf(b, "%s%*s\n", header, LINE_WIDTH - (int)sizeof(header) + 1, "");
	inet_ports_for_each(ns->inet->tables, INET_PORTS_TCP, show_listener, &l);
	inet_connections_for_each(ns->inet->tables, show_connection, &l);
}

/* What connections count is shown with what IP's users count. */
static const struct { uint8_t from; uint16_t to; } counters[] = {
#define TO(name)	offsetof(struct inet_mib, name) / sizeof(uint64_t)
	{ TCP_C_ACTIVE_OPENS, TO(tcp[TCP_MIB_ACTIVEOPENS]) },
	{ TCP_C_PASSIVE_OPENS, TO(tcp[TCP_MIB_PASSIVEOPENS]) },
	{ TCP_C_ATTEMPT_FAILS, TO(tcp[TCP_MIB_ATTEMPTFAILS]) },
	{ TCP_C_ESTAB_RESETS, TO(tcp[TCP_MIB_ESTABRESETS]) },
	{ TCP_C_RETRANS_SEGS, TO(tcp[TCP_MIB_RETRANSSEGS]) },
	{ TCP_C_OUT_RSTS, TO(tcp[TCP_MIB_OUTRSTS]) },
	{ TCP_C_SYNCOOKIES_SENT, TO(ext[LINUX_MIB_SYNCOOKIESSENT]) },
	{ TCP_C_SYNCOOKIES_RECV, TO(ext[LINUX_MIB_SYNCOOKIESRECV]) },
	{ TCP_C_SYNCOOKIES_FAILED, TO(ext[LINUX_MIB_SYNCOOKIESFAILED]) },
	{ TCP_C_PAWS_ESTAB, TO(ext[LINUX_MIB_PAWSESTABREJECTED]) },
	{ TCP_C_DELAYED_ACKS, TO(ext[LINUX_MIB_DELAYEDACKS]) },
	{ TCP_C_CHALLENGE_ACK, TO(ext[LINUX_MIB_TCPCHALLENGEACK]) },
	{ TCP_C_SYN_CHALLENGE, TO(ext[LINUX_MIB_TCPSYNCHALLENGE]) },
	{ TCP_C_TIMEOUTS, TO(ext[LINUX_MIB_TCPTIMEOUTS]) },
	{ TCP_C_LOSS_PROBES, TO(ext[LINUX_MIB_TCPLOSSPROBES]) },
	{ TCP_C_FAST_RETRANS, TO(ext[LINUX_MIB_TCPFASTRETRANS]) },
	{ TCP_C_DSACK_RECV, TO(ext[LINUX_MIB_TCPDSACKRECV]) },
	{ TCP_C_DSACK_SENT, TO(ext[LINUX_MIB_TCPDSACKOLDSENT]) },
	{ TCP_C_OFO_QUEUE, TO(ext[LINUX_MIB_TCPOFOQUEUE]) },
	{ TCP_C_OFO_DROP, TO(ext[LINUX_MIB_TCPOFODROP]) },
	{ TCP_C_OFO_PRUNED, TO(ext[LINUX_MIB_OFOPRUNED]) },
	{ TCP_C_RCV_PRUNED, TO(ext[LINUX_MIB_RCVPRUNED]) },
	{ TCP_C_ABORT_ON_DATA, TO(ext[LINUX_MIB_TCPABORTONDATA]) },
	{ TCP_C_ABORT_ON_CLOSE, TO(ext[LINUX_MIB_TCPABORTONCLOSE]) },
	{ TCP_C_ABORT_ON_MEMORY, TO(ext[LINUX_MIB_TCPABORTONMEMORY]) },
	{ TCP_C_ABORT_ON_TIMEOUT, TO(ext[LINUX_MIB_TCPABORTONTIMEOUT]) },
	{ TCP_C_ABORT_ON_LINGER, TO(ext[LINUX_MIB_TCPABORTONLINGER]) },
	{ TCP_C_KEEPALIVE, TO(ext[LINUX_MIB_TCPKEEPALIVE]) },
	{ TCP_C_ZERO_WINDOW_DROP, TO(ext[LINUX_MIB_TCPZEROWINDOWDROP]) },
	{ TCP_C_RENEGING, TO(ext[LINUX_MIB_TCPSACKRENEGING]) },
	{ TCP_C_TW_RECYCLED, TO(ext[LINUX_MIB_TIMEWAITRECYCLED]) },
#undef TO
};

static void count_established(struct inet_entry *e, void *arg)
{
	uint64_t *n = arg;
	uint8_t state;

	if (e->kind != INET_SOCKET || e->protocol != IPPROTO_TCP)
		return;
	state = tcp_sock_of(inet_sock_of(e))->conn.state;
	*n += state == TCP_ESTABLISHED || state == TCP_CLOSE_WAIT;
}

void tcp_publish_counters(struct inet *inet)
{
	_Atomic(uint64_t) *to = (_Atomic(uint64_t) *)&inet->mib[0];
	struct tcp_context *x = &inet->tcp->context;
	uint64_t established = 0;

	for (size_t i = 0; i < ARRAY_SIZE(counters); i++)
		atomic_store_explicit(&to[counters[i].to],
				      atomic_load_explicit(&x->counter[counters[i].from],
							   memory_order_relaxed),
				      memory_order_relaxed);
	inet_connections_for_each(inet->tables, count_established, &established);
	atomic_store_explicit(&inet->mib[0].tcp[TCP_MIB_CURRESTAB], established,
			      memory_order_relaxed);
}

void tcp_show_sockstat(struct inet *inet, struct pseudo_buf *b)
{
	struct tcp_ns *tns = inet->tcp;
	int users = atomic_load_explicit(&inet->tables->sockets[INET_PORTS_TCP], memory_order_relaxed);
	int over = (int)atomic_load_explicit(&tns->nr_over, memory_order_relaxed);
	int64_t bytes = atomic_load_explicit(&tns->context.memory, memory_order_relaxed);

	pseudo_printf(b, "TCP: inuse %d orphan %u tw %d alloc %d mem %lld\n", MAX(users - over, 0),
		      atomic_load_explicit(&tns->orphans, memory_order_relaxed), over,
		      atomic_load_explicit(&tns->nr_sockets, memory_order_relaxed),
		      (long long)(MAX(bytes, 0) + 4095) / 4096);
}
