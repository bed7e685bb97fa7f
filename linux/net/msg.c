/* SPDX-License-Identifier: MIT */
/*
 * Sending and receiving: send*, recv* and their vectors (sendmmsg, recvmmsg).
 *
 * What the program gives (a buffer, or a struct msghdr with an iovec, an address and
 * control data) becomes a struct net_msg for the family.  Everything of the program's is
 * read before anything is sent; what is received is handed over afterwards, and if that
 * fails the message is lost, as on Linux.
 */
#include "net_priv.h"
#include "lx/syscall.h"

#define MMSG_MAX		1024u		/* UIO_MAXIOV messages per call */

static unsigned int msg_flags(const struct lx_file *f, unsigned int flags)
{
	return flags | (socket_is_nonblock(f) ? MSG_DONTWAIT : 0);
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
	net_msg_init(&m, &iter, msg_flags(f, flags & ~MSG_CMSG_COMPAT));
	ret = 0;
	if (uaddr_.v) {
		ret = socket_load_address(m.name, uaddr_, len);
		m.namelen = len;
	}
	if (!ret)
		ret = s->ops->send(s, &m);
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
	net_msg_init(&m, &iter, msg_flags(f, flags & ~MSG_CMSG_COMPAT));
	m.namelen = h.namelen;
	ret = socket_load_address(m.name, uaddr(h.name), h.namelen);
	if (!ret)
		ret = lx_iter_import(&iter, uaddr(h.iov), h.iovlen);
	if (ret)
		return ret;
	if (h.control && h.controllen && s->family == AF_INET) {
		m.control = uaddr(h.control);
		m.controllen = h.controllen;
	} else if (h.control && h.controllen) {
		ret = scm_load(self, &m.scm, uaddr(h.control), h.controllen);
	}
	if (!ret)
		ret = s->ops->send(s, &m);
	scm_files_free(m.scm.files);
	lx_iter_free(&iter);
	return ret;
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
	net_msg_init(&m, &iter, msg_flags(f, flags));
	m.want_name = uaddr_.v != 0;
	ret = s->ops->recv(s, &m);
	scm_files_free(m.scm.files);
	if (ret >= 0 && uaddr_.v) {
		err = socket_store_address(m.name, m.namelen, uaddr_, ulen);
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

	used = scm_store(self, m, socket_has(s, SOCKET_PASSCRED), uaddr(h->control), h->controllen,
			 &out_flags);
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
	net_msg_init(&m, &iter, msg_flags(f, flags));
	m.want_name = h.name != 0;
	ret = s->ops->recv(s, &m);
	if (ret >= 0) {
		err = store_msghdr(self, s, &m, &h, umsg);
		if (err)
			ret = err;
	}
	scm_files_free(m.scm.files);
	lx_iter_free(&iter);
	return ret;
}

/* send_msghdr or recv_msghdr */
typedef int64_t msghdr_fn(struct lx_task *self, struct lx_file *f, struct lx_socket *s,
			  uaddr_t umsg, unsigned int flags);

static long one_msghdr(struct lx_task *self, int fd, uaddr_t umsg, unsigned int flags,
		       msghdr_fn *transfer)
{
	struct lx_socket *s;
	struct lx_file *f;
	int64_t ret;
	int err;

	f = socket_get(self, fd, &s, &err);
	if (!f)
		return err;
	ret = transfer(self, f, s, umsg, flags);
	lx_file_put(f);
	return ret;
}

long lx_sys_sendmsg(struct lx_task *self, int fd, uaddr_t umsg, unsigned int flags)
{
	return one_msghdr(self, fd, umsg, flags, send_msghdr);
}

long lx_sys_recvmsg(struct lx_task *self, int fd, uaddr_t umsg, unsigned int flags)
{
	return one_msghdr(self, fd, umsg, flags, recv_msghdr);
}

/* struct mmsghdr: a msghdr and the length of the message. */
#define MMSG_SIZE	64u
_Static_assert(sizeof(struct net_msghdr) == 56, "the ABI's msghdr");

/* Message @i of the vector @msgs: 0 once its length is in its mmsghdr. */
static int64_t one_mmsg(struct lx_task *self, struct lx_file *f, struct lx_socket *s,
			uaddr_t msgs, unsigned int i, unsigned int flags, msghdr_fn *transfer)
{
	uaddr_t at = uaddr_add(msgs, (uint64_t)i * MMSG_SIZE);
	int64_t n = transfer(self, f, s, at, flags);
	uint32_t len = (uint32_t)n;

	if (n < 0)
		return n;
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
		ret = one_mmsg(self, f, s, msgs, done, flags, send_msghdr);
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
		ret = one_mmsg(self, f, s, msgs, done, flags & ~MSG_WAITFORONE, recv_msghdr);
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
