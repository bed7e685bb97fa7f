/* SPDX-License-Identifier: MIT */
/*
 * setsockopt(2) and getsockopt(2) at IPPROTO_TCP, and what options of SOL_SOCKET mean to a connection.
 *
 * Not there, as on a Linux that was built without: MD5 signatures, Fast Open, upper-layer protocols,
 * repair; and saved SYNs and zero-copy receiving.
 */
#include "inet/tcp/abi.h"
#include "inet/tcp/sock.h"

#include <asm/poll.h>

#define MSS_MIN		88
#define MSS_MAX		32767
#define KEEP_MAX	32767		/* s */
#define KEEP_PROBES_MAX	127
#define SYN_RETRIES_MAX	127
#define FIN_WAIT_MAX	120		/* s */
#define WINDOW_MIN	1152u
#define CC_NAME_MAX	16

/* -- TCP_DEFER_ACCEPT is counted in retransmissions of 1, 2, 4 seconds and so on */

static uint32_t deferred_seconds(int wanted)
{
	uint32_t timeout = 1, period = 1;

	if (wanted <= 0)
		return 0;
	while ((uint32_t)wanted > period && period < 255 * 120) {
		timeout = MIN(timeout * 2, 120u);
		period += timeout;
	}
	return period;
}

/* -- setting; lock held */

static int set_range(uint16_t *to, int v, int least, int most)
{
	if (v < least || v > most)
		return -EINVAL;
	*to = (uint16_t)v;
	return 0;
}

static int set_range8(uint8_t *to, int v, int least, int most)
{
	if (v < least || v > most)
		return -EINVAL;
	*to = (uint8_t)v;
	return 0;
}

static int set_keepalive_time(struct tcp_sock *ts, uint16_t *to, int v)
{
	int err = set_range(to, v, 1, KEEP_MAX);

	if (!err)
		tcp_set_keepalive(&ts->conn, ts->conn.set.keepalive, rt_now_ns());
	return err;
}

static int set_window_clamp(struct tcp_sock *ts, int v)
{
	if (!v && (ts->conn.state != TCP_CLOSE || ts->listen))
		return -EINVAL;
	ts->conn.set.window_clamp = v ? MAX((uint32_t)v, WINDOW_MIN) : 0;
	return 0;
}

static void set_linger2(struct tcp_settings *set, int v)
{
	set->linger2 = v < 0 ? -1 : MIN(v, FIN_WAIT_MAX);
}

static int set_int(struct tcp_sock *ts, int name, int v)
{
	struct tcp_conn *c = &ts->conn;
	struct tcp_settings *set = &c->set;

	switch (name) {
	case TCP_MAXSEG:
		return v ? set_range(&set->maxseg, v, MSS_MIN, MSS_MAX) : ((set->maxseg = 0), 0);
	case TCP_NODELAY:
		set->nodelay = v;
		if (v)
			tcp_send_push(c, 0, rt_now_ns());
		return 0;
	case TCP_CORK:
		set->cork = v;
		if (!v)
			tcp_send_push(c, 0, rt_now_ns());
		return 0;
	case TCP_KEEPIDLE:
		return set_keepalive_time(ts, &set->keep_idle, v);
	case TCP_KEEPINTVL:
		return set_range(&set->keep_interval, v, 1, KEEP_MAX);
	case TCP_KEEPCNT:
		return set_range8(&set->keep_probes, v, 1, KEEP_PROBES_MAX);
	case TCP_SYNCNT:
		return set_range8(&set->syn_retries, v, 1, SYN_RETRIES_MAX);
	case TCP_LINGER2:
		set_linger2(set, v);
		return 0;
	case TCP_DEFER_ACCEPT:
		ts->defer_accept = deferred_seconds(v);
		return 0;
	case TCP_WINDOW_CLAMP:
		return set_window_clamp(ts, v);
	case TCP_QUICKACK:
		tcp_set_quickack(c, v & 1, rt_now_ns());
		return 0;
	case TCP_USER_TIMEOUT:
		if (v < 0)
			return -EINVAL;
		set->user_timeout = (uint32_t)v;
		return 0;
	case TCP_NOTSENT_LOWAT:
		set->notsent_lowat = (uint32_t)v;
		if (tcp_is_writable(c))
			tcp_wake(ts, POLLOUT | POLLWRNORM | POLLWRBAND | LX_WAKE_SPACE);
		return 0;
	case TCP_INQ:
		if (v != 0 && v != 1)
			return -EINVAL;
		ts->want_inq = v;
		return 0;
	case TCP_THIN_DUPACK:		/* as on Linux: nothing */
		return v == 0 || v == 1 ? 0 : -EINVAL;
	case TCP_TIMESTAMP:
	case TCP_REPAIR:
		return -EPERM;
	default:
		return -ENOPROTOOPT;
	}
}

static int set_congestion(struct tcp_sock *ts, uaddr_t value, int length)
{
	char name[CC_NAME_MAX] = "";
	const struct tcp_cc_ops *cc;

	if (length < 1)
		return -EINVAL;
	if (lx_copy_from_user(name, value, MIN((size_t)length, sizeof(name) - 1)))
		return -EFAULT;
	cc = tcp_cc_find(name);
	if (!cc)
		return -ENOENT;
	inet_sock_lock(&ts->is);
	tcp_set_cc(&ts->conn, cc);
	tcp_settle(ts);
	inet_sock_leave(&ts->is);
	return 0;
}

int tcp_sock_setopt(struct lx_socket *s, int level, int name, uaddr_t value, int length)
{
	struct tcp_sock *ts = tcp_sock(s);
	int v, err;

	if (level != IPPROTO_TCP)
		return inet_setopt(s, level, name, value, length);
	if (name == TCP_CONGESTION)
		return set_congestion(ts, value, length);
	if (name == TCP_ULP)
		return -ENOENT;
	if (length < (int)sizeof(v))
		return -EINVAL;
	if (lx_copy_from_user(&v, value, sizeof(v)))
		return -EFAULT;
	inet_sock_lock(&ts->is);
	err = set_int(ts, name, v);
	tcp_settle(ts);
	inet_sock_leave(&ts->is);
	return err;
}

static void set_buffers(struct tcp_sock *ts, int name)
{
	struct tcp_settings *set = &ts->conn.set;
	uint32_t sndbuf = set->sndbuf, rcvbuf = set->rcvbuf;

	if (name == SO_SNDBUF || name == SO_SNDBUFFORCE) {
		sndbuf = (uint32_t)atomic_load(&ts->is.base.sndbuf);
		set->sndbuf_locked = true;
	} else {
		rcvbuf = (uint32_t)atomic_load(&ts->is.base.rcvbuf);
		set->rcvbuf_locked = true;
	}
	tcp_set_buffers(&ts->conn, sndbuf, rcvbuf, rt_now_ns());
}

void tcp_sock_option_set(struct lx_socket *s, int name)
{
	struct tcp_sock *ts = tcp_sock(s);

	inet_sock_lock(&ts->is);
	switch (name) {
	case SO_KEEPALIVE:
		tcp_set_keepalive(&ts->conn, socket_has(s, SOCKET_FLAG(SO_KEEPALIVE)), rt_now_ns());
		break;
	case SO_OOBINLINE:
		ts->conn.set.oobinline = socket_has(s, SOCKET_FLAG(SO_OOBINLINE));
		break;
	case SO_SNDBUF:
	case SO_SNDBUFFORCE:
	case SO_RCVBUF:
	case SO_RCVBUFFORCE:
		set_buffers(ts, name);
		break;
	case SO_RCVLOWAT:
		if (tcp_is_readable(ts))
			tcp_wake(ts, POLLIN | POLLRDNORM);
		break;
	}
	tcp_settle(ts);
	inet_sock_leave(&ts->is);
}

/* -- getting; lock held */

static int conf_or(uint32_t own, const _Atomic(uint32_t) *conf)
{
	return (int)(own ? own : atomic_load_explicit(conf, memory_order_relaxed));
}

static int get_maxseg(const struct tcp_sock *ts)
{
	const struct tcp_conn *c = &ts->conn;

	if (c->set.maxseg && (c->state == TCP_CLOSE || ts->listen))
		return c->set.maxseg;
	return c->mss && c->state != TCP_CLOSE ? c->mss : TCP_MSS_DEFAULT;
}

static int get_int(struct tcp_sock *ts, int name, int *v)
{
	const struct tcp_conn *c = &ts->conn;
	const struct tcp_settings *set = &c->set;
	const struct tcp_conf *conf = &c->context->conf;

	switch (name) {
	case TCP_MAXSEG:
		*v = get_maxseg(ts);
		return 0;
	case TCP_NODELAY:
		*v = set->nodelay;
		return 0;
	case TCP_CORK:
		*v = set->cork;
		return 0;
	case TCP_KEEPIDLE:
		*v = conf_or(set->keep_idle, &conf->keepalive_time);
		return 0;
	case TCP_KEEPINTVL:
		*v = conf_or(set->keep_interval, &conf->keepalive_intvl);
		return 0;
	case TCP_KEEPCNT:
		*v = conf_or(set->keep_probes, &conf->keepalive_probes);
		return 0;
	case TCP_SYNCNT:
		*v = conf_or(set->syn_retries, &conf->syn_retries);
		return 0;
	case TCP_LINGER2:
		*v = set->linger2 < 0 ? -1 : conf_or((uint32_t)set->linger2, &conf->fin_timeout);
		return 0;
	case TCP_DEFER_ACCEPT:
		*v = (int)ts->defer_accept;
		return 0;
	case TCP_WINDOW_CLAMP:
		*v = (int)set->window_clamp;
		return 0;
	case TCP_QUICKACK:
		*v = tcp_quickack(c);
		return 0;
	case TCP_USER_TIMEOUT:
		*v = (int)set->user_timeout;
		return 0;
	case TCP_NOTSENT_LOWAT:
		*v = (int)set->notsent_lowat;
		return 0;
	case TCP_INQ:
		*v = ts->want_inq;
		return 0;
	case TCP_THIN_DUPACK:
		*v = 0;
		return 0;
	case TCP_TIMESTAMP:
		*v = (int)((uint32_t)(rt_now_ns() / 1000000) + c->stamp_offset);
		return 0;
	default:
		return -ENOPROTOOPT;
	}
}

/* SO_MEMINFO: what the socket has of memory. */
static void get_meminfo(struct tcp_sock *ts, uint32_t v[9])
{
	const struct tcp_conn *c = &ts->conn;

	memset(v, 0, 9 * sizeof(v[0]));
	v[0] = c->rcv_charge;
	v[1] = c->set.rcvbuf;
	v[3] = c->set.sndbuf;
	v[5] = c->snd_charge;
	v[7] = ts->is.backlog.bytes;
}

static int getopt_locked(struct tcp_sock *ts, int name, void *buf, int *len)
{
	struct tcp_info info;
	int v, err;

	_Static_assert(sizeof(info) <= SOCKET_OPTION_MAX, "getopt's room");
	if (name == TCP_INFO) {
		tcp_sock_info(ts, &info);
		memcpy(buf, &info, sizeof(info));
		*len = sizeof(info);
		return 0;
	}
	if (name == TCP_CONGESTION) {
		memset(buf, 0, CC_NAME_MAX);
		strlcpy(buf, ts->conn.set.cc->name, CC_NAME_MAX);
		*len = CC_NAME_MAX;
		return 0;
	}
	err = get_int(ts, name, &v);
	memcpy(buf, &v, err ? 0 : sizeof(v));
	*len = sizeof(v);
	return err;
}

int tcp_sock_getopt(struct lx_socket *s, int level, int name, void *buf, int *len)
{
	struct tcp_sock *ts = tcp_sock(s);
	bool meminfo = level == SOL_SOCKET && name == SO_MEMINFO;
	int err = 0;

	if (level != IPPROTO_TCP && !meminfo)
		return inet_getopt(s, level, name, buf, len);
	inet_sock_lock(&ts->is);
	if (meminfo) {
		get_meminfo(ts, buf);
		*len = 9 * sizeof(uint32_t);
	} else {
		err = getopt_locked(ts, name, buf, len);
	}
	inet_sock_leave(&ts->is);
	return err;
}
