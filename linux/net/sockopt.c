/* SPDX-License-Identifier: MIT */
/*
 * Socket options: setsockopt(2) and getsockopt(2) at SOL_SOCKET (socket(7)).
 *
 * But for SO_LINGER an option is one word that is read without a lock where it matters, so
 * that setting one acts from the next look on.  What is plainly on or off is a bit of
 * lx_socket.options; a family adds options of its own (lx_socket_ops.getopt).
 */
#include <linux/capability.h>

#include "net_priv.h"
#include "lx/syscall.h"

#define SNDBUF_MIN		4608
#define RCVBUF_MIN		2304

#define PLAIN_FLAGS	(BIT(SO_DEBUG) | BIT(SO_REUSEADDR) | BIT(SO_DONTROUTE) | BIT(SO_BROADCAST) | \
			 BIT(SO_KEEPALIVE) | BIT(SO_OOBINLINE) | BIT(SO_NO_CHECK) | BIT(SO_REUSEPORT))

static bool is_plain_flag(int name)
{
	return name > 0 && name < 24 && PLAIN_FLAGS >> name & 1;
}

static void set_flag(struct lx_socket *s, uint32_t flag, bool on)
{
	if (on)
		atomic_fetch_or(&s->options, flag);
	else
		atomic_fetch_and(&s->options, ~flag);
}

static int set_timeout(_Atomic(uint64_t) *timeo, uaddr_t value, int length)
{
	struct { int64_t sec, usec; } tv;

	if (length < (int)sizeof(tv))
		return -EINVAL;
	if (lx_copy_from_user(&tv, value, sizeof(tv)))
		return -EFAULT;
	if (tv.usec < 0 || tv.usec >= 1000000)
		return -EDOM;
	/* Negative: do not wait at all; that is the shortest timeout there is. */
	if (tv.sec < 0)
		*timeo = 1;
	else if (tv.sec > INT64_MAX / 2000000000)
		*timeo = 0;
	else
		*timeo = (uint64_t)tv.sec * 1000000000ull + (uint64_t)tv.usec * 1000;
	return 0;
}

/* Linux doubles what it is told, for its own overhead, and programs see that. */
static int buffer_size(int value, int min)
{
	value = CLAMP(value, 0, SOCKET_BUF_MAX) * 2;
	return MAX(value, min);
}

static int set_linger(struct lx_socket *s, uaddr_t value, int length)
{
	struct { int onoff, seconds; } l;

	if (length < (int)sizeof(l))
		return -EINVAL;
	if (lx_copy_from_user(&l, value, sizeof(l)))
		return -EFAULT;
	s->linger.onoff = !!l.onoff;
	s->linger.seconds = l.onoff ? l.seconds : s->linger.seconds;
	return 0;
}

static int set_option(struct lx_task *self, struct lx_socket *s, int name, uaddr_t value, int length)
{
	int v;

	if (name == SO_LINGER)
		return set_linger(s, value, length);
	if (name == SO_BINDTODEVICE)	/* a name of any length */
		return s->ops->setopt ? s->ops->setopt(s, SOL_SOCKET, name, value, length) : -ENOPROTOOPT;
	if (name == SO_RCVTIMEO_OLD || name == SO_RCVTIMEO_NEW)
		return set_timeout(&s->rcvtimeo_ns, value, length);
	if (name == SO_SNDTIMEO_OLD || name == SO_SNDTIMEO_NEW)
		return set_timeout(&s->sndtimeo_ns, value, length);
	if (length < (int)sizeof(v))
		return -EINVAL;
	if (lx_copy_from_user(&v, value, sizeof(v)))
		return -EFAULT;
	if (is_plain_flag(name)) {
		set_flag(s, SOCKET_FLAG(name), v);
		return 0;
	}
	switch (name) {
	case SO_PASSCRED:
		set_flag(s, SOCKET_PASSCRED, v);
		return 0;
	case SO_SNDBUF:
		s->sndbuf = buffer_size(v, SNDBUF_MIN);
		return 0;
	case SO_RCVBUF:
		s->rcvbuf = buffer_size(v, RCVBUF_MIN);
		return 0;
	case SO_SNDBUFFORCE:
	case SO_RCVBUFFORCE:
		if (!lx_capable(self, CAP_NET_ADMIN))
			return -EPERM;
		v = MAX(v, 0) > 0x3fffffff ? 0x7ffffffe : MAX(v, 0) * 2;
		if (name == SO_SNDBUFFORCE)
			s->sndbuf = MAX(v, SNDBUF_MIN);
		else
			s->rcvbuf = MAX(v, RCVBUF_MIN);
		return 0;
	case SO_PEEK_OFF:
		if (s->family != AF_UNIX)
			return -EOPNOTSUPP;
		atomic_store(&s->peek_off, v);
		return 0;
	case SO_RCVLOWAT:
		s->rcvlowat = v < 0 ? 0x7fffffff : MAX(v, 1);
		return 0;
	case SO_PRIORITY:
		if ((v < 0 || v > 6) && !lx_capable(self, CAP_NET_ADMIN))
			return -EPERM;
		s->priority = v;
		return 0;
	case SO_MARK:
		if (!lx_capable(self, CAP_NET_ADMIN))
			return -EPERM;
		s->mark = v;
		return 0;
	case SO_TYPE:
	case SO_PROTOCOL:
	case SO_DOMAIN:
	case SO_ERROR:
		return -ENOPROTOOPT;
	case SO_TIMESTAMP_OLD:
	case SO_TIMESTAMPNS_OLD:
	case SO_TIMESTAMP_NEW:
	case SO_TIMESTAMPNS_NEW:
		atomic_store(&s->timestamp, v ? name : 0);
		return 0;
	case SO_RXQ_OVFL:
		set_flag(s, SOCKET_RXQ_OVFL, v);
		return 0;
	default:
		return s->ops->setopt ? s->ops->setopt(s, SOL_SOCKET, name, value, length) : -ENOPROTOOPT;
	}
}

static int set_family_option(struct lx_socket *s, int level, int name, uaddr_t value, int length)
{
	return s->ops->setopt ? s->ops->setopt(s, level, name, value, length) : -EOPNOTSUPP;
}

long lx_sys_setsockopt(struct lx_task *self, int fd, int level, int name, uaddr_t value, int length)
{
	struct lx_socket *s;
	struct lx_file *f;
	int err;

	if (length < 0)
		return -EINVAL;
	f = socket_get(self, fd, &s, &err);
	if (!f)
		return err;
	err = level == SOL_SOCKET ? set_option(self, s, name, value, length) :
				    set_family_option(s, level, name, value, length);
	if (!err && level == SOL_SOCKET && s->ops->option_set)
		s->ops->option_set(s, name);
	lx_file_put(f);
	return err;
}

void socket_add_timestamp(struct lx_socket *s, struct net_msg *m, uint64_t arrival_ns)
{
	int name = atomic_load_explicit(&s->timestamp, memory_order_relaxed);
	uint64_t ns = arrival_ns ? arrival_ns : name ? rt_realtime_ns() : 0;
	int64_t time[2] = { (int64_t)(ns / 1000000000), (int64_t)(ns % 1000000000) };

	if (!name)
		return;
	if (name == SO_TIMESTAMP_OLD || name == SO_TIMESTAMP_NEW)
		time[1] /= 1000;
	net_msg_add(m, SOL_SOCKET, name, time, sizeof(time));
}

static int get_timeout(uint64_t ns, void *buf, int *len)
{
	int64_t tv[2] = { (int64_t)(ns / 1000000000), (int64_t)(ns % 1000000000 / 1000) };

	memcpy(buf, tv, sizeof(tv));
	*len = sizeof(tv);
	return 0;
}

/* Into @buf, which has room for any option; *@len becomes its size. */
static int get_option(struct lx_socket *s, int name, void *buf, int *len)
{
	int v;

	if (is_plain_flag(name)) {
		v = socket_has(s, SOCKET_FLAG(name));
		v = v != 0;
	} else {
		switch (name) {
		case SO_TYPE:
			v = s->type;
			break;
		case SO_DOMAIN:
			v = s->family;
			break;
		case SO_PROTOCOL:
			v = s->protocol;
			break;
		case SO_ERROR:
			v = -socket_take_error(s);
			break;
		case SO_SNDBUF:
			v = s->sndbuf;
			break;
		case SO_RCVBUF:
			v = s->rcvbuf;
			break;
		case SO_RCVLOWAT:
			v = s->rcvlowat;
			break;
		case SO_PEEK_OFF:
			if (s->family != AF_UNIX)
				return -EOPNOTSUPP;
			v = atomic_load(&s->peek_off);
			break;
		case SO_SNDLOWAT:
			v = 1;
			break;
		case SO_PRIORITY:
			v = s->priority;
			break;
		case SO_MARK:
			v = s->mark;
			break;
		case SO_PASSCRED:
			v = socket_has(s, SOCKET_PASSCRED);
			break;
		case SO_ACCEPTCONN:
			v = socket_has(s, SOCKET_LISTENING) != 0;
			break;
		case SO_TIMESTAMP_OLD:
		case SO_TIMESTAMPNS_OLD:
		case SO_TIMESTAMP_NEW:
		case SO_TIMESTAMPNS_NEW:
			v = atomic_load(&s->timestamp) == name;
			break;
		case SO_RXQ_OVFL:
			v = socket_has(s, SOCKET_RXQ_OVFL) != 0;
			break;
		case SO_RCVTIMEO_OLD:
		case SO_RCVTIMEO_NEW:
			return get_timeout(s->rcvtimeo_ns, buf, len);
		case SO_SNDTIMEO_OLD:
		case SO_SNDTIMEO_NEW:
			return get_timeout(s->sndtimeo_ns, buf, len);
		case SO_LINGER:
			memcpy(buf, &s->linger, sizeof(s->linger));
			*len = sizeof(s->linger);
			return 0;
		default:
			return s->ops->getopt(s, SOL_SOCKET, name, buf, len);
		}
	}
	memcpy(buf, &v, sizeof(v));
	*len = sizeof(v);
	return 0;
}

long lx_sys_getsockopt(struct lx_task *self, int fd, int level, int name, uaddr_t value, uaddr_t ulen)
{
	uint8_t buf[SOCKET_OPTION_MAX];
	struct lx_socket *s;
	struct lx_file *f;
	int err, len, room;

	f = socket_get(self, fd, &s, &err);
	if (!f)
		return err;
	err = -EFAULT;
	if (lx_copy_from_user(&room, ulen, sizeof(room)))
		goto put;
	err = -EINVAL;
	if (room < 0)
		goto put;
	len = room;
	err = level == SOL_SOCKET ? get_option(s, name, buf, &len) :
				    s->ops->getopt(s, level, name, buf, &len);
	if (err)
		goto put;
	len = MIN(len, room);
	if (lx_copy_to_user(value, buf, (size_t)len) || lx_copy_to_user(ulen, &len, sizeof(len)))
		err = -EFAULT;
put:
	lx_file_put(f);
	return err;
}
