/* SPDX-License-Identifier: MIT */
/*
 * TCP's sockets: what is between struct lx_socket_ops and connections (tcp.h).
 *
 * A socket is one of
 *
 *	idle		no entry in connections; conn is in CLOSE
 *	a listener	`listen` is there; in the table of listeners
 *	a connection	conn is in another state than CLOSE; in connections
 *
 * References (inet_sock): the file's, which is the accept queue's before accept(2); a table's.
 * What the program has closed but is not over (an orphan) is kept by that of the table, until
 * TCP_EV_CLOSED takes it out.
 *
 * Half-open connections and those that are over are entries of their own in connections.  The
 * former belong to their listener, and are read and written with its lock held; packets for them go
 * to the listener's backlog if that is not free.  The latter belong to the namespace (struct
 * tcp_ns).
 *
 * Every function that has called one of tcp.h with the time calls tcp_settle() before it lets go
 * of the lock, and whoever lets go of the lock delivers (lx_net_deliver()) before it returns to the
 * program or sleeps.
 */
#pragma once

#include <linux/in.h>

#include "inet/inet.h"
#include "inet/socket.h"
#include "inet/tcp/tcp.h"
#include "lx/timer.h"

/* Bits of inet_sock_signal(). */
#define TCP_SIGNAL_TIMER	1u	/* the deadline of a connection */
#define TCP_SIGNAL_HALF_OPEN	2u	/* that of a listener's half-open connections */

/* How far connect(2) is; what Linux keeps in struct socket. */
enum tcp_phase { TCP_UNCONNECTED, TCP_CONNECTING, TCP_CONNECTED };

struct tcp_sock;

/* What a listener has besides.  All but the constants: the listener's lock. */
struct tcp_queues {
	struct tcp_sock *owner;		/* constant */
	struct rb_tree half_open;	/* of tcp_half_open.node, by request.at */
	uint32_t nr_half_open;
	uint32_t max;			/* min(backlog, somaxconn) */
	struct list accepted;		/* of tcp_sock.accept_link: oldest first */
	struct lx_timer timer;		/* for the first of half_open */
	uint64_t timer_at;		/* TCP_NEVER: not set */
	uint64_t cookies_at;		/* a cookie was sent last; 0: never */
};

struct tcp_sock {
	struct inet_sock is;		/* first */
	struct tcp_conn conn;		/* lock */
	struct tcp_queues *listen;	/* lock to write, read at any time; NULL: no listener */
	struct list accept_link;	/* the listener's lock: until it is accepted */
	struct lx_timer timer;
	uint64_t timer_at;		/* lock; TCP_NEVER: not set */
	uint32_t defer_accept;		/* s, TCP_DEFER_ACCEPT; lock */
	uint32_t nr_waiting;		/* connections to be accepted; the lock to write */
	uint8_t phase;			/* enum tcp_phase; lock */
	bool is_done;			/* lock: it was connected, so reading gives end of file */
	bool is_orphan;			/* lock: no file any more; counted in tcp_ns.orphans */
	bool timer_used;		/* lock: the timer was set once */
	bool want_inq;			/* TCP_INQ; any time */
};

struct tcp_half_open {
	struct inet_entry entry;	/* first */
	struct tcp_sock *listener;	/* constant; a reference */
	struct rb_node node;		/* the listener's lock, as all that follows */
	struct tcp_request request;
};

struct tcp_over {
	struct inet_owner owner;	/* first */
	struct tcp_ns *ns;		/* constant */
	struct rb_node node;		/* ns->lock, as all that follows */
	struct list link;		/* of ns->replaced */
	struct tcp_timewait wait;
};

/* Sysctls of this layer; the rest is in tcp_context.conf. */
struct tcp_sock_conf {
	_Atomic(int32_t) syncookies, abort_on_overflow;
	_Atomic(uint32_t) max_syn_backlog, somaxconn, max_tw_buckets, max_orphans;
};

struct tcp_ns {
	struct inet *inet;		/* constant */
	struct tcp_context context;
	struct tcp_sock_conf conf;
	_Atomic(uint32_t) orphans;
	_Atomic(int32_t) nr_sockets;	/* in memory */

	/* Connections that are over: TIME_WAIT, and FIN_WAIT2 of orphans. */
	struct rt_mutex lock;		/* rank LX_LOCK_INET_QUEUE */
	struct rb_tree over;		/* lock: of tcp_over.node, by wait.expires_at */
	struct list replaced;		/* lock: of tcp_over.link, until tcp_over_reap() */
	_Atomic(uint32_t) nr_over;	/* lock to write */
	struct lx_timer timer;		/* for the first of them */
	uint64_t timer_at;		/* lock */
};

static inline struct tcp_sock *tcp_sock(struct lx_socket *s)
{
	return container_of(s, struct tcp_sock, is.base);
}

static inline struct tcp_sock *tcp_sock_of(struct inet_sock *is)
{
	return container_of(is, struct tcp_sock, is);
}

static inline struct tcp_ns *tcp_ns_of(const struct tcp_sock *ts)
{
	return ts->is.base.ns->inet->tcp;
}

static inline struct inet *tcp_inet(const struct tcp_sock *ts)
{
	return ts->is.base.ns->inet;
}

/* As /proc/net/tcp numbers states: enum tcp_state. */
static inline uint8_t tcp_sock_state(const struct tcp_sock *ts)
{
	return READ_ONCE(ts->listen) ? TCP_LISTEN : ts->conn.state;
}

/* -- socket.c */

/* A socket of namespace @ns, idle; NULL: no memory. */
struct tcp_sock *tcp_sock_alloc(struct lx_netns *ns, lx_uid_t uid);
/* Lock held: what conn has left behind becomes wake-ups, its timer, and the end of its entry. */
void tcp_settle(struct tcp_sock *ts);
/*
 * Sleep, lock held before and after, until @ready (with the lock held) or as inet_sock_wait().
 * What was sent is delivered before.
 */
int tcp_wait(struct tcp_sock *ts, bool (*ready)(struct inet_sock *is, void *arg), void *arg,
	     uint64_t deadline);
/* Lock held: the way to the peer, in is.dst, as conn has to know it.  0 or as inet_route_output(). */
int tcp_sock_route(struct tcp_sock *ts, const struct inet_addr *dst, struct tcp_path *path);
/*
 * Lock held, not in connections: both ends of what is to be one.  A port that it does not have is
 * chosen later.
 */
void tcp_set_ends(struct tcp_sock *ts, const struct inet_addr *local, const struct inet_addr *remote,
		  uint16_t remote_port_be);
/* Lock held, not in connections any more: what the program has not bound itself is given up. */
void tcp_clear_ends(struct tcp_sock *ts);
void tcp_path_of(const struct inet_dst *d, uint16_t ip_options, struct tcp_path *path);
/* Wake with POLL* bits; who waits exclusively: one, or for a change of state all. */
void tcp_wake(struct tcp_sock *ts, uint32_t events);
void tcp_wake_all(struct tcp_sock *ts, uint32_t events);

/* -- demux.c */
/* Send @p, which is taken over, from @key->local to @key->remote, for no socket. */
void tcp_send_for_nobody(struct inet *inet, const struct inet_tuple *key, struct lx_pbuf *p,
			 uint8_t tos, uint32_t mark);
/* Both ends of a packet that was received (its header is linear), seen from here. */
void tcp_tuple_of(struct lx_pbuf *p, struct inet_tuple *key);
/* Answer @p, which is taken over, with a RST. */
void tcp_refuse(struct inet *inet, struct lx_pbuf *p);
/* Find who @p is for and give it to them; it is taken over.  @isn: see tcp_rx. */
void tcp_demux(struct inet *inet, struct lx_pbuf *p);

/* In the cb of a packet that is received, until tcp_receive() has it. */
struct tcp_rx {
	struct ip_rx ip;
	uint32_t isn;			/* begin with this number: a SYN to what was in TIME_WAIT; 0: any */
};
_Static_assert(sizeof(struct tcp_rx) <= 48, "in lx_pbuf.cb");

static inline struct tcp_rx *tcp_rx(struct lx_pbuf *p)
{
	return (struct tcp_rx *)p->cb;
}

/* -- connect.c */
int tcp_sock_connect(struct lx_socket *s, const uint8_t *name, int len, bool nonblock);
/* Lock held: idle again. */
void tcp_sock_disconnect(struct tcp_sock *ts);

/* -- accept.c */
int tcp_sock_listen(struct lx_socket *s, int backlog);
int tcp_sock_accept(struct lx_socket *s, bool nonblock, struct lx_socket **out);
/* Lock held: no listener any more; connections that were not accepted are reset. */
void tcp_stop_listening(struct tcp_sock *ts);
static inline bool tcp_accept_queue_full(const struct tcp_queues *q)
{
	return q->owner->nr_waiting > q->max;
}

/* -- half_open.c: the listener's lock held */
void tcp_listener_receive(struct tcp_sock *ts, struct lx_pbuf *p);
void tcp_half_open_timers(struct tcp_sock *ts);
void tcp_half_open_drop_all(struct tcp_sock *ts);
void tcp_half_open_timer(struct lx_timer *t);
/*
 * child.c: a connection of what was asked for: @h, whose place it takes, or with NULL a cookie.
 * @p is the segment that made it so, and is taken over.
 */
void tcp_make_child(struct tcp_sock *ts, struct tcp_half_open *h, const struct tcp_request *r,
		    const struct tcp_path *path, const struct inet_tuple *key, struct lx_pbuf *p,
		    uint64_t now);

/* -- end.c */
int tcp_sock_shutdown(struct lx_socket *s, unsigned int how);
void tcp_sock_release(struct lx_socket *s);
/* A child's lock held, and let go: out of the tables, and the reference of the accept queue goes. */
void tcp_drop_child(struct tcp_sock *child);
/* Lock held: the connection is out of the table; @timewait: an entry takes its place. */
void tcp_sock_ended(struct tcp_sock *ts, bool timewait);

/* -- over.c */
/*
 * Lock of @ts held: an entry takes the place of @ts in connections.  False: there is no memory, or
 * there are too many.
 */
bool tcp_over_put(struct tcp_sock *ts);
/* A packet for it: taken over. */
void tcp_over_receive(struct tcp_over *o, struct lx_pbuf *p);
/*
 * May a connection with its key begin?  Then its queue does not have it any more; who asked takes it
 * out of the table, and calls tcp_over_reap() when it holds no lock of a table.
 */
bool tcp_over_may_connect(struct inet_entry *e, uint32_t *isn);
void tcp_over_reap(struct tcp_ns *tns);

/* -- send.c recv.c poll.c */
int64_t tcp_sock_send(struct lx_socket *s, struct net_msg *m);
int64_t tcp_sock_recv(struct lx_socket *s, struct net_msg *m);
uint32_t tcp_sock_poll(struct lx_socket *s, struct lx_file *f, struct lx_poll *p);
long tcp_sock_ioctl(struct lx_socket *s, unsigned int cmd, uint64_t arg);
/* Lock held: bytes for SO_RCVLOWAT are there. */
bool tcp_is_readable(struct tcp_sock *ts);

/* -- sockopt.c info.c */
int tcp_sock_setopt(struct lx_socket *s, int level, int name, uaddr_t value, int length);
int tcp_sock_getopt(struct lx_socket *s, int level, int name, void *buf, int *len);
void tcp_sock_option_set(struct lx_socket *s, int name);
struct tcp_info;
void tcp_sock_info(struct tcp_sock *ts, struct tcp_info *i);	/* lock held */
