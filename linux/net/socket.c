/* SPDX-License-Identifier: MIT */
/*
 * The socket system calls, and sockets as files.  What a family does is in its
 * struct lx_socket_ops; here are arguments, addresses, options and descriptors.
 */

#include <asm/ioctls.h>
#include <asm/poll.h>
#include <linux/capability.h>
#include <linux/stat.h>

#include "net_priv.h"
#include "lx/async.h"
#include "lx/syscall.h"

#define SOCKET_BUF_DEFAULT	212992
#define SOCKET_BUF_MAX		212992		/* net.core.{r,w}mem_max */
#define SNDBUF_MIN		4608
#define RCVBUF_MIN		2304
#define MMSG_MAX		1024u		/* UIO_MAXIOV messages per call */

static const struct lx_file_ops socket_file_ops;

void socket_init(struct lx_socket *s, const struct lx_socket_ops *ops, int family, int type,
		 int protocol)
{
	s->ops = ops;
	s->family = family;
	s->type = type;
	s->protocol = protocol;
	atomic_init(&s->peek_off, -1);
	atomic_init(&s->sndbuf, SOCKET_BUF_DEFAULT);
	atomic_init(&s->rcvbuf, SOCKET_BUF_DEFAULT);
	atomic_init(&s->rcvlowat, 1);
}

struct lx_socket *socket_of(struct lx_file *f)
{
	return f->ops == &socket_file_ops ? f->private : NULL;
}

/* The file of @fd with a reference, and its socket; NULL: *@err is -EBADF or -ENOTSOCK. */
static struct lx_file *socket_get(struct lx_task *self, int fd, struct lx_socket **s, int *err)
{
	struct lx_file *f = lx_fd_get(self, fd);

	*err = -EBADF;
	if (!f)
		return NULL;
	*s = socket_of(f);
	if (*s)
		return f;
	*err = -ENOTSOCK;
	lx_file_put(f);
	return NULL;
}

static bool is_nonblock(const struct lx_file *f)
{
	return atomic_load_explicit(&f->flags, memory_order_relaxed) & O_NONBLOCK;
}

static struct lx_file *socket_file(struct lx_socket *s, unsigned int flags)
{
	struct lx_file *f = lx_file_anon_mode("socket", &socket_file_ops, s,
					      O_RDWR | (flags & SOCK_NONBLOCK),
					      LX_FMODE_READ | LX_FMODE_WRITE, S_IFSOCK | 0777);

	if (f)
		s->ops->attach(s, f);
	return f;
}

void socket_peek_moved(struct lx_socket *s, unsigned int flags, int64_t n)
{
	int32_t off = atomic_load(&s->peek_off), next;

	do {
		if (off < 0)
			return;
		next = flags & MSG_PEEK ? off + (int32_t)n : (int32_t)MAX(off - n, (int64_t)0);
	} while (!atomic_compare_exchange_weak(&s->peek_off, &off, next));
}

/* -- addresses --------------------------------------------------------------------------------- */

static int load_address(uint8_t addr[NET_NAME_MAX], uaddr_t from, int len)
{
	if (len < 0 || len > NET_NAME_MAX)
		return -EINVAL;
	memset(addr, 0, NET_NAME_MAX);
	return len ? lx_copy_from_user(addr, from, (size_t)len) : 0;
}

/* As much as the program has room for, and how long it really is. */
static int store_address(const uint8_t *addr, int len, uaddr_t to, uaddr_t ulen)
{
	int room;

	if (lx_copy_from_user(&room, ulen, sizeof(room)))
		return -EFAULT;
	if (room < 0)
		return -EINVAL;
	room = MIN(room, len);
	if (room && lx_copy_to_user(to, addr, (size_t)room))
		return -EFAULT;
	return lx_copy_to_user(ulen, &len, sizeof(len));
}

/* -- files ---------------------------------------------------------------------------------------- */

static int64_t read_with_flags(struct lx_file *f, struct lx_iter *to, unsigned int flags)
{
	struct lx_socket *s = f->private;
	struct net_msg m;
	int64_t n;

	if (!to->count)
		return 0;
	m.iter = to;
	m.namelen = 0;
	m.flags = flags;
	m.out_flags = 0;
	m.scm = (struct scm){ .files = NULL };
	m.want_name = false;
	n = s->ops->recv(s, &m);
	/* Files that came with the bytes are lost to a plain read(2). */
	scm_files_free(m.scm.files);
	return n;
}

static int64_t socket_read(struct lx_file *f, struct lx_iter *to, lx_off_t *pos)
{
	return read_with_flags(f, to, is_nonblock(f) ? MSG_DONTWAIT : 0);
}

int64_t lx_socket_read_nonblock(struct lx_file *f, struct lx_iter *to)
{
	return read_with_flags(f, to, MSG_DONTWAIT);
}

static int64_t socket_write(struct lx_file *f, struct lx_iter *from, lx_off_t *pos)
{
	struct lx_socket *s = f->private;
	struct net_msg m;

	m.iter = from;
	m.namelen = 0;
	m.flags = is_nonblock(f) ? MSG_DONTWAIT : 0;
	m.scm = (struct scm){ .files = NULL };
	return s->ops->send(s, &m);
}

static uint32_t socket_poll(struct lx_file *f, struct lx_poll *p)
{
	struct lx_socket *s = f->private;

	return s->ops->poll(s, f, p);
}

static long socket_ioctl(struct lx_file *f, unsigned int cmd, uint64_t arg)
{
	struct lx_socket *s = f->private;
	long ret = lx_async_ioctl(lx_self(), f, cmd, uaddr(arg));

	return ret == -ENOTTY ? s->ops->ioctl(s, cmd, arg) : ret;
}

static void socket_release(struct lx_file *f)
{
	struct lx_socket *s = f->private;

	s->ops->release(s);
}

static const struct lx_file_ops socket_file_ops = {
	.read = socket_read,
	.write = socket_write,
	.poll = socket_poll,
	.async = lx_async_no_owner,
	.ioctl = socket_ioctl,
	.release = socket_release,
};

/* -- making sockets ----------------------------------------------------------------------------------- */

static int socket_create(int family, unsigned int type, int protocol, struct lx_socket **out)
{
	if (family < 0 || family >= AF_MAX)
		return -EAFNOSUPPORT;
	if ((type & SOCK_TYPE_MASK) > 10)
		return -EINVAL;
	if (family != AF_UNIX)
		return -EAFNOSUPPORT;
	return unix_create((int)(type & SOCK_TYPE_MASK), protocol, out);
}

static bool type_flags_valid(unsigned int type)
{
	return !(type & ~(SOCK_TYPE_MASK | SOCK_CLOEXEC | SOCK_NONBLOCK));
}

long lx_sys_socket(struct lx_task *self, int family, unsigned int type, int protocol)
{
	struct lx_socket *s;
	struct lx_file *f;
	int err, fd;

	if (!type_flags_valid(type))
		return -EINVAL;
	err = socket_create(family, type, protocol, &s);
	if (err)
		return err;
	f = socket_file(s, type);
	if (!f) {
		s->ops->release(s);
		return -ENOMEM;
	}
	fd = lx_fd_install(self, f, 0, type & SOCK_CLOEXEC);
	if (fd < 0)
		lx_file_put(f);
	return fd;
}

/* Two connected sockets as files; on failure nothing is left. */
static int pair_files(int family, unsigned int type, int protocol, struct lx_file *f[2])
{
	struct lx_socket *s[2];
	int err = socket_create(family, type, protocol, &s[0]);

	if (err)
		return err;
	err = socket_create(family, type, protocol, &s[1]);
	if (err)
		goto release_first;
	err = unix_pair(s[0], s[1]);
	if (err)
		goto release_both;
	err = -ENOMEM;
	f[0] = socket_file(s[0], type);
	if (!f[0])
		goto release_both;
	f[1] = socket_file(s[1], type);
	if (f[1])
		return 0;
	lx_file_put(f[0]);
	s[1]->ops->release(s[1]);
	return err;

release_both:
	s[1]->ops->release(s[1]);
release_first:
	s[0]->ops->release(s[0]);
	return err;
}

long lx_sys_socketpair(struct lx_task *self, int family, unsigned int type, int protocol,
		       uaddr_t fds)
{
	struct lx_file *f[2];
	int fd[2], err;

	if (!type_flags_valid(type))
		return -EINVAL;
	err = fd[0] = lx_fd_reserve(self, 0, type & SOCK_CLOEXEC);
	if (err < 0)
		return err;
	err = fd[1] = lx_fd_reserve(self, 0, type & SOCK_CLOEXEC);
	if (err < 0)
		goto unreserve_first;
	err = lx_copy_to_user(fds, fd, sizeof(fd));
	if (err)
		goto unreserve_both;
	err = pair_files(family, type, protocol, f);
	if (err)
		goto unreserve_both;
	lx_fd_publish(self, fd[0], f[0]);
	lx_fd_publish(self, fd[1], f[1]);
	return 0;

unreserve_both:
	lx_fd_unreserve(self, fd[1]);
unreserve_first:
	lx_fd_unreserve(self, fd[0]);
	return err;
}

/* -- bind, connect, listen, accept ----------------------------------------------------------------------- */

long lx_sys_bind(struct lx_task *self, int fd, uaddr_t uaddr_, int len)
{
	uint8_t addr[NET_NAME_MAX];
	struct lx_socket *s;
	struct lx_file *f;
	int err;

	f = socket_get(self, fd, &s, &err);
	if (!f)
		return err;
	err = load_address(addr, uaddr_, len);
	if (!err)
		err = s->ops->bind(s, addr, len);
	lx_file_put(f);
	return err;
}

long lx_sys_connect(struct lx_task *self, int fd, uaddr_t uaddr_, int len)
{
	uint8_t addr[NET_NAME_MAX];
	struct lx_socket *s;
	struct lx_file *f;
	int err;

	f = socket_get(self, fd, &s, &err);
	if (!f)
		return err;
	err = load_address(addr, uaddr_, len);
	if (!err)
		err = s->ops->connect(s, addr, len, is_nonblock(f));
	lx_file_put(f);
	return err;
}

long lx_sys_listen(struct lx_task *self, int fd, int backlog)
{
	struct lx_socket *s;
	struct lx_file *f;
	int err;

	f = socket_get(self, fd, &s, &err);
	if (!f)
		return err;
	err = s->ops->listen(s, (unsigned int)backlog > SOMAXCONN ? SOMAXCONN : backlog);
	lx_file_put(f);
	return err;
}

/* Accept on @s into a file; the peer's address goes to the program first. */
static int accept_file(struct lx_socket *s, bool nonblock, unsigned int flags, uaddr_t uaddr_,
		       uaddr_t ulen, struct lx_file **out)
{
	uint8_t addr[NET_NAME_MAX];
	struct lx_socket *n;
	struct lx_file *f;
	int err, len;

	err = s->ops->accept(s, nonblock, &n);
	if (err)
		return err;
	f = socket_file(n, flags);
	if (!f) {
		n->ops->release(n);
		return -ENOMEM;
	}
	if (uaddr_.v) {
		len = n->ops->getname(n, addr, true);
		err = len < 0 ? -ECONNABORTED : store_address(addr, len, uaddr_, ulen);
		if (err) {
			lx_file_put(f);
			return err;
		}
	}
	*out = f;
	return 0;
}

long lx_sys_accept4(struct lx_task *self, int fd, uaddr_t uaddr_, uaddr_t ulen, unsigned int flags)
{
	struct lx_file *f, *accepted;
	struct lx_socket *s;
	int err, newfd;

	if (flags & ~(SOCK_CLOEXEC | SOCK_NONBLOCK))
		return -EINVAL;
	f = socket_get(self, fd, &s, &err);
	if (!f)
		return err;
	newfd = lx_fd_reserve(self, 0, flags & SOCK_CLOEXEC);
	if (newfd >= 0) {
		err = accept_file(s, is_nonblock(f), flags, uaddr_, ulen, &accepted);
		if (err) {
			lx_fd_unreserve(self, newfd);
			newfd = err;
		} else {
			lx_fd_publish(self, newfd, accepted);
		}
	}
	lx_file_put(f);
	return newfd;
}

long lx_sys_accept(struct lx_task *self, int fd, uaddr_t uaddr_, uaddr_t ulen)
{
	return lx_sys_accept4(self, fd, uaddr_, ulen, 0);
}

static long get_name(struct lx_task *self, int fd, uaddr_t uaddr_, uaddr_t ulen, bool peer)
{
	uint8_t addr[NET_NAME_MAX];
	struct lx_socket *s;
	struct lx_file *f;
	int err, len;

	f = socket_get(self, fd, &s, &err);
	if (!f)
		return err;
	len = s->ops->getname(s, addr, peer);
	err = len < 0 ? len : store_address(addr, len, uaddr_, ulen);
	lx_file_put(f);
	return err;
}

long lx_sys_getsockname(struct lx_task *self, int fd, uaddr_t uaddr_, uaddr_t ulen)
{
	return get_name(self, fd, uaddr_, ulen, false);
}

long lx_sys_getpeername(struct lx_task *self, int fd, uaddr_t uaddr_, uaddr_t ulen)
{
	return get_name(self, fd, uaddr_, ulen, true);
}

long lx_sys_shutdown(struct lx_task *self, int fd, int how)
{
	struct lx_socket *s;
	struct lx_file *f;
	int err;

	f = socket_get(self, fd, &s, &err);
	if (!f)
		return err;
	if (how < SHUT_RD || how > SHUT_RDWR)
		err = -EINVAL;
	else
		err = s->ops->shutdown(s, (unsigned int)how + 1);	/* RD 1, WR 2, both 3 */
	lx_file_put(f);
	return err;
}

/* -- send and receive ---------------------------------------------------------------------------------------- */

static int64_t do_send(struct lx_file *f, struct lx_socket *s, struct net_msg *m)
{
	m->out_flags = 0;
	if (is_nonblock(f))
		m->flags |= MSG_DONTWAIT;
	return s->ops->send(s, m);
}

long lx_sys_sendto(struct lx_task *self, int fd, uaddr_t buf, size_t count, unsigned int flags,
		   uaddr_t uaddr_, int len)
{
	struct lx_socket *s;
	struct lx_iter iter;
	struct net_msg m;
	struct lx_file *f;
	int64_t ret;
	int err;

	f = socket_get(self, fd, &s, &err);
	if (!f)
		return err;
	lx_iter_init_user(&iter, buf, MIN(count, (size_t)0x7ffff000));
	m.iter = &iter;
	m.namelen = 0;
	m.flags = flags & ~MSG_CMSG_COMPAT;
	m.scm = (struct scm){ .files = NULL };
	ret = 0;
	if (uaddr_.v) {
		ret = load_address(m.name, uaddr_, len);
		m.namelen = len;
	}
	if (!ret)
		ret = do_send(f, s, &m);
	lx_file_put(f);
	return ret;
}

static int load_msghdr(struct net_msghdr *h, uaddr_t from)
{
	if (lx_copy_from_user(h, from, sizeof(*h)))
		return -EFAULT;
	if (h->namelen < 0)
		return -EINVAL;
	if (!h->name)
		h->namelen = 0;
	h->namelen = MIN(h->namelen, NET_NAME_MAX);
	if (h->iovlen > 1024)
		return -EMSGSIZE;
	return 0;
}

static int64_t send_msghdr(struct lx_task *self, struct lx_file *f, struct lx_socket *s,
			   uaddr_t umsg, unsigned int flags)
{
	struct net_msghdr h;
	struct lx_iter iter;
	struct net_msg m;
	int64_t ret = load_msghdr(&h, umsg);

	if (ret)
		return ret;
	if (h.controllen > 0x7fffffff)
		return -ENOBUFS;
	m.iter = &iter;
	m.namelen = h.namelen;
	m.flags = flags & ~MSG_CMSG_COMPAT;
	m.scm = (struct scm){ .files = NULL };
	ret = load_address(m.name, uaddr(h.name), h.namelen);
	if (!ret)
		ret = lx_iter_import(&iter, uaddr(h.iov), h.iovlen);
	if (ret)
		return ret;
	if (h.control && h.controllen)
		ret = scm_load(self, &m.scm, uaddr(h.control), h.controllen);
	if (!ret)
		ret = do_send(f, s, &m);
	scm_files_free(m.scm.files);
	lx_iter_free(&iter);
	return ret;
}

long lx_sys_sendmsg(struct lx_task *self, int fd, uaddr_t umsg, unsigned int flags)
{
	struct lx_socket *s;
	struct lx_file *f;
	int64_t ret;
	int err;

	f = socket_get(self, fd, &s, &err);
	if (!f)
		return err;
	ret = send_msghdr(self, f, s, umsg, flags);
	lx_file_put(f);
	return ret;
}

static int64_t do_recv(struct lx_file *f, struct lx_socket *s, struct net_msg *m,
		       unsigned int flags)
{
	m->flags = flags;
	m->out_flags = 0;
	m->namelen = 0;
	m->scm = (struct scm){ .files = NULL };
	if (is_nonblock(f))
		m->flags |= MSG_DONTWAIT;
	return s->ops->recv(s, m);
}

long lx_sys_recvfrom(struct lx_task *self, int fd, uaddr_t buf, size_t count, unsigned int flags,
		     uaddr_t uaddr_, uaddr_t ulen)
{
	struct lx_socket *s;
	struct lx_iter iter;
	struct net_msg m;
	struct lx_file *f;
	int64_t ret;
	int err;

	f = socket_get(self, fd, &s, &err);
	if (!f)
		return err;
	lx_iter_init_user(&iter, buf, MIN(count, (size_t)0x7ffff000));
	m.iter = &iter;
	m.want_name = uaddr_.v != 0;
	ret = do_recv(f, s, &m, flags);
	scm_files_free(m.scm.files);
	if (ret >= 0 && uaddr_.v) {
		err = store_address(m.name, m.namelen, uaddr_, ulen);
		if (err)
			ret = err;
	}
	lx_file_put(f);
	return ret;
}

/* What goes back into the program's struct msghdr. */
static int store_msghdr(struct lx_task *self, struct lx_socket *s, struct net_msg *m,
			const struct net_msghdr *h, uaddr_t umsg)
{
	unsigned int out_flags = m->out_flags | (m->flags & MSG_CMSG_CLOEXEC);
	uint64_t used;

	used = scm_store(self, &m->scm, socket_has(s, SOCKET_PASSCRED), uaddr(h->control),
			 h->controllen, m->flags, &out_flags);
	if (h->name) {
		int n = MIN(m->namelen, h->namelen);

		if (n && lx_copy_to_user(uaddr(h->name), m->name, (size_t)n))
			return -EFAULT;
		if (lx_copy_to_user(uaddr_add(umsg, offsetof(struct net_msghdr, namelen)),
				    &m->namelen, sizeof(m->namelen)))
			return -EFAULT;
	}
	if (lx_copy_to_user(uaddr_add(umsg, offsetof(struct net_msghdr, flags)), &out_flags,
			    sizeof(out_flags)) ||
	    lx_copy_to_user(uaddr_add(umsg, offsetof(struct net_msghdr, controllen)), &used,
			    sizeof(used)))
		return -EFAULT;
	return 0;
}

static int64_t recv_msghdr(struct lx_task *self, struct lx_file *f, struct lx_socket *s,
			   uaddr_t umsg, unsigned int flags)
{
	struct net_msghdr h;
	struct lx_iter iter;
	struct net_msg m;
	int64_t ret = load_msghdr(&h, umsg);
	int err;

	if (!ret)
		ret = lx_iter_import(&iter, uaddr(h.iov), h.iovlen);
	if (ret)
		return ret;
	m.iter = &iter;
	m.want_name = h.name != 0;
	ret = do_recv(f, s, &m, flags);
	if (ret >= 0) {
		err = store_msghdr(self, s, &m, &h, umsg);
		if (err)
			ret = err;
	}
	scm_files_free(m.scm.files);
	lx_iter_free(&iter);
	return ret;
}

long lx_sys_recvmsg(struct lx_task *self, int fd, uaddr_t umsg, unsigned int flags)
{
	struct lx_socket *s;
	struct lx_file *f;
	int64_t ret;
	int err;

	f = socket_get(self, fd, &s, &err);
	if (!f)
		return err;
	ret = recv_msghdr(self, f, s, umsg, flags);
	lx_file_put(f);
	return ret;
}

/* struct mmsghdr: a msghdr and the length of the message. */
#define MMSG_SIZE	64u
_Static_assert(sizeof(struct net_msghdr) == 56, "the ABI's msghdr");

static int store_mmsg_len(uaddr_t at, int64_t n)
{
	uint32_t len = (uint32_t)n;

	return lx_copy_to_user(uaddr_add(at, sizeof(struct net_msghdr)), &len, sizeof(len));
}

long lx_sys_sendmmsg(struct lx_task *self, int fd, uaddr_t msgs, unsigned int count,
		     unsigned int flags)
{
	unsigned int done = 0;
	struct lx_socket *s;
	struct lx_file *f;
	int64_t ret = 0;
	int err;

	f = socket_get(self, fd, &s, &err);
	if (!f)
		return err;
	for (; done < MIN(count, MMSG_MAX); done++) {
		uaddr_t at = uaddr_add(msgs, (uint64_t)done * MMSG_SIZE);

		ret = send_msghdr(self, f, s, at, flags);
		if (ret >= 0)
			ret = store_mmsg_len(at, ret);
		if (ret < 0)
			break;
	}
	lx_file_put(f);
	return done ? (long)done : ret;
}

long lx_sys_recvmmsg(struct lx_task *self, int fd, uaddr_t msgs, unsigned int count,
		     unsigned int flags, uaddr_t timeout)
{
	uint64_t ns = 0, deadline = K_DEADLINE_NEVER;
	unsigned int done = 0;
	struct lx_socket *s;
	struct lx_file *f;
	int64_t ret = 0;
	int err;

	if (timeout.v) {
		err = lx_timespec_from_user(&ns, timeout);
		if (err)
			return err;
		deadline = lx_deadline_after(ns);
	}
	f = socket_get(self, fd, &s, &err);
	if (!f)
		return err;
	ret = socket_take_error(s);
	for (; !ret && done < MIN(count, MMSG_MAX); done++) {
		uaddr_t at = uaddr_add(msgs, (uint64_t)done * MMSG_SIZE);

		ret = recv_msghdr(self, f, s, at, flags & ~MSG_WAITFORONE);
		if (ret >= 0)
			ret = store_mmsg_len(at, ret);
		if (ret < 0)
			break;
		/* The timeout is looked at between messages only, as on Linux. */
		if (flags & MSG_WAITFORONE)
			flags |= MSG_DONTWAIT;
		if (rt_now_ns() >= deadline) {
			done++;
			break;
		}
	}
	if (timeout.v && done) {
		uint64_t now = rt_now_ns();

		lx_timespec_to_user(timeout, deadline > now ? deadline - now : 0);
	}
	/* An error after the first message is kept for the next call. */
	if (done && ret < 0 && ret != -EAGAIN && ret != -LX_ERESTARTSYS && ret != -EINTR)
		atomic_store(&s->error, (int)-ret);
	lx_file_put(f);
	return done ? (long)done : ret;
}

/* -- options ------------------------------------------------------------------------------------------------------ */

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
		return 0;		/* kept by nobody: unix messages carry no time */
	default:
		return -ENOPROTOOPT;
	}
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
	err = level == SOL_SOCKET ? set_option(self, s, name, value, length) : -EOPNOTSUPP;
	lx_file_put(f);
	return err;
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
			v = 0;
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
	uint8_t buf[NET_NAME_MAX];
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
	err = level == SOL_SOCKET ? get_option(s, name, buf, &len) : -EOPNOTSUPP;
	if (err)
		goto put;
	len = MIN(len, room);
	if (lx_copy_to_user(value, buf, (size_t)len) || lx_copy_to_user(ulen, &len, sizeof(len)))
		err = -EFAULT;
put:
	lx_file_put(f);
	return err;
}
