/* SPDX-License-Identifier: MIT */
/*
 * Sockets as files, and the system calls that make and connect them.  What a family
 * does is in its struct lx_socket_ops; here are arguments, addresses and descriptors.
 * (Messages: msg.c; options: sockopt.c.)
 *
 * A call has the socket's file for as long as it runs (socket_get), so a socket goes
 * when no descriptor and no call has it any more: release() runs alone.
 */

#include <asm/ioctls.h>
#include <linux/stat.h>

#include "net_priv.h"
#include "inet/inet.h"
#include "lx/async.h"
#include "lx/ns.h"
#include "lx/syscall.h"

static const struct lx_file_ops socket_file_ops;

void socket_init_in(struct lx_socket *s, struct lx_netns *ns, const struct lx_socket_ops *ops,
		    int family, int type, int protocol)
{
	s->ops = ops;
	s->family = family;
	s->type = type;
	s->protocol = protocol;
	atomic_init(&s->peek_off, -1);
	atomic_init(&s->sndbuf, SOCKET_BUF_DEFAULT);
	atomic_init(&s->rcvbuf, SOCKET_BUF_DEFAULT);
	atomic_init(&s->rcvlowat, 1);
	s->ns = lx_netns_get(ns);
	if (s->ns)
		atomic_fetch_add_explicit(&s->ns->sockets, 1, memory_order_relaxed);
}

void socket_init(struct lx_socket *s, const struct lx_socket_ops *ops, int family, int type,
		 int protocol)
{
	socket_init_in(s, lx_self()->ns->net, ops, family, type, protocol);
}

void socket_fini(struct lx_socket *s)
{
	if (s->ns)
		atomic_fetch_sub_explicit(&s->ns->sockets, 1, memory_order_relaxed);
	lx_netns_put(s->ns);
}

struct lx_socket *socket_of(struct lx_file *f)
{
	return f->ops == &socket_file_ops ? f->private : NULL;
}

struct lx_file *socket_get(struct lx_task *self, int fd, struct lx_socket **s, int *err)
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

int socket_load_address(uint8_t addr[NET_NAME_MAX], uaddr_t from, int len)
{
	if (len < 0 || len > NET_NAME_MAX)
		return -EINVAL;
	memset(addr, 0, NET_NAME_MAX);
	return len ? lx_copy_from_user(addr, from, (size_t)len) : 0;
}

int socket_store_address(const uint8_t *addr, int len, uaddr_t to, uaddr_t ulen)
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
	net_msg_init(&m, to, flags);
	n = s->ops->recv(s, &m);
	/* Files that came with the bytes are lost to a plain read(2). */
	scm_files_free(m.scm.files);
	return n;
}

static int64_t socket_read(struct lx_file *f, struct lx_iter *to, lx_off_t *pos)
{
	return read_with_flags(f, to, socket_is_nonblock(f) ? MSG_DONTWAIT : 0);
}

int64_t lx_socket_read_nonblock(struct lx_file *f, struct lx_iter *to)
{
	return read_with_flags(f, to, MSG_DONTWAIT);
}

static int64_t socket_write(struct lx_file *f, struct lx_iter *from, lx_off_t *pos)
{
	struct lx_socket *s = f->private;
	struct net_msg m;

	net_msg_init(&m, from, socket_is_nonblock(f) ? MSG_DONTWAIT : 0);
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

	if (ret == -ENOTTY)
		ret = s->ops->ioctl(s, cmd, arg);
	if (ret == -ENOTTY && (s->family == AF_INET || s->family == AF_PACKET))
		ret = inet_ioctl(s->ns, cmd, uaddr(arg));
	return ret == -ENOTTY ? netdev_ioctl(s->ns, cmd, uaddr(arg)) : ret;
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
	switch (family) {
	case AF_UNIX:
		return unix_create((int)(type & SOCK_TYPE_MASK), protocol, out);
	case AF_INET:
		return inet_socket_create((int)(type & SOCK_TYPE_MASK), protocol, out);
	case AF_NETLINK:
		return netlink_create((int)(type & SOCK_TYPE_MASK), protocol, out);
	case AF_PACKET:
		return packet_create((int)(type & SOCK_TYPE_MASK), protocol, out);
	}
	return -EAFNOSUPPORT;
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
	err = family == AF_UNIX ? unix_pair(s[0], s[1]) : -EOPNOTSUPP;
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
	err = socket_load_address(addr, uaddr_, len);
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
	err = socket_load_address(addr, uaddr_, len);
	if (!err)
		err = s->ops->connect(s, addr, len, socket_is_nonblock(f));
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
	unsigned int tries = 0;
	int err, len;

	err = s->ops->accept(s, nonblock, &n);
	if (err)
		return err;
	/* The connection is off the list: to fail now would be to lose it. */
	do {
		f = socket_file(n, flags);
	} while (!f && lx_find_memory("accept", false, &tries));
	if (!f) {
		n->ops->release(n);
		return -ENOMEM;
	}
	if (uaddr_.v) {
		len = n->ops->getname(n, addr, true);
		err = len < 0 ? -ECONNABORTED : socket_store_address(addr, len, uaddr_, ulen);
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
		err = accept_file(s, socket_is_nonblock(f), flags, uaddr_, ulen, &accepted);
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
	err = len < 0 ? len : socket_store_address(addr, len, uaddr_, ulen);
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
