/* SPDX-License-Identifier: MIT */
/*
 * Netlink sockets: names (ports and groups), queues, options.
 *
 * A program talks to the kernel's end, port 0; sockets of programs cannot write to each other here
 * (-ECONNREFUSED).  What is sent is a request, done while send(2) runs; answers and
 * notifications are in the queue.  Who does not read loses messages, and is told so: ENOBUFS.
 *
 * There are NETLINK_ROUTE and NETLINK_SOCK_DIAG.
 */
#include <asm/poll.h>
#include <linux/capability.h>

#include "lx/pid.h"
#include "net/netlink.h"

#define GROUPS_MAX	64u
#define MSG_OVERHEAD	256u		/* charged for a message besides its room */

#define FLAG_OPTIONS	(BIT(NETLINK_PKTINFO) | BIT(NETLINK_BROADCAST_ERROR) | BIT(NETLINK_NO_ENOBUFS) | \
			 BIT(NETLINK_LISTEN_ALL_NSID) | BIT(NETLINK_CAP_ACK) | BIT(NETLINK_EXT_ACK) | \
			 BIT(NETLINK_GET_STRICT_CHK))

static const struct lx_socket_ops netlink_ops;

/* -- names */

/* lock of the namespace's sockets held. */
static bool is_port_used(struct netlink_ns *ns, uint32_t portid)
{
	struct netlink_sock *nl;

	list_for_each_entry(nl, &ns->sockets, ns_link)
		if (atomic_load(&nl->portid) == portid)
			return true;
	return false;
}

/* The process's number, or, if another socket has that, one that no process has. */
static uint32_t free_port(struct netlink_ns *ns)
{
	uint32_t portid = (uint32_t)lx_self()->group->pid;

	while (!portid || is_port_used(ns, portid))
		portid = --ns->next_portid | 0x80000000u;
	return portid;
}

static int set_port(struct netlink_sock *nl, uint32_t portid)
{
	struct netlink_ns *ns = nl->base.ns->netlink;
	uint32_t own;
	int err = 0;

	rt_mutex_lock(&ns->lock);
	own = atomic_load(&nl->portid);
	if (own)
		err = portid && portid != own ? -EINVAL : 0;
	else if (portid && is_port_used(ns, portid))
		err = -EADDRINUSE;
	else
		atomic_store(&nl->portid, portid ? portid : free_port(ns));
	rt_mutex_unlock(&ns->lock);
	return err;
}

int netlink_autobind(struct netlink_sock *nl)
{
	return atomic_load(&nl->portid) ? 0 : set_port(nl, 0);
}

static int load_address(struct sockaddr_nl *a, const uint8_t *addr, int len)
{
	memcpy(a, addr, sizeof(*a));
	return len < (int)sizeof(*a) || a->nl_family != AF_NETLINK ? -EINVAL : 0;
}

/* A name with a port fits, or is got, once; one with port 0 only if there is none yet. */
static int netlink_bind(struct lx_socket *s, const uint8_t *addr, int len)
{
	struct netlink_sock *nl = netlink_of(s);
	struct sockaddr_nl a;
	uint64_t groups;
	int err = load_address(&a, addr, len);

	if (!err && atomic_load(&nl->portid) && a.nl_pid != atomic_load(&nl->portid))
		err = -EINVAL;
	if (!err)
		err = set_port(nl, a.nl_pid);
	if (err)
		return err;
	/* the first 32 are what the address says, others stay */
	groups = atomic_load(&nl->groups);
	while (!atomic_compare_exchange_weak(&nl->groups, &groups, (groups & ~0xffffffffull) | a.nl_groups))
		;
	return 0;
}

static int netlink_connect(struct lx_socket *s, const uint8_t *addr, int len, bool nonblock)
{
	struct netlink_sock *nl = netlink_of(s);
	struct sockaddr_nl a = { .nl_family = AF_UNSPEC };

	if (len < (int)sizeof(a.nl_family))
		return -EINVAL;
	memcpy(&a, addr, sizeof(a));
	if (a.nl_family != AF_UNSPEC && load_address(&a, addr, len))
		return -EINVAL;
	if (a.nl_family == AF_UNSPEC)
		a.nl_pid = a.nl_groups = 0;
	else if (a.nl_groups && !lx_capable(lx_self(), CAP_NET_ADMIN))
		return -EPERM;
	atomic_store(&nl->peer_portid, a.nl_pid);
	atomic_store(&nl->peer_groups, a.nl_groups);
	return a.nl_family == AF_UNSPEC ? 0 : set_port(nl, 0);
}

static int netlink_getname(struct lx_socket *s, uint8_t *addr, bool peer)
{
	struct netlink_sock *nl = netlink_of(s);
	struct sockaddr_nl a = {
		.nl_family = AF_NETLINK,
		.nl_pid = atomic_load(peer ? &nl->peer_portid : &nl->portid),
		.nl_groups = peer ? atomic_load(&nl->peer_groups) : (uint32_t)atomic_load(&nl->groups),
	};

	memcpy(addr, &a, sizeof(a));
	return sizeof(a);
}

/* -- queues */

static void lose(struct netlink_sock *nl, struct netlink_msg *m)
{
	rt_free(m);
	if (netlink_has(nl, NETLINK_NO_ENOBUFS))
		return;
	atomic_store(&nl->base.error, ENOBUFS);
	lx_wake(&nl->wait, POLLERR | POLLIN | POLLRDNORM, ~0u);
}

/* An answer may have been built in more room than it needs. */
static struct netlink_msg *fit(struct netlink_msg *m)
{
	struct netlink_msg *small;

	if (m->size - m->len < MSG_OVERHEAD)
		return m;
	small = rt_realloc(m, sizeof(*m) + m->len);
	if (!small)
		return m;
	list_init(&small->link);
	small->size = small->len;
	return small;
}

void netlink_queue(struct netlink_sock *nl, struct netlink_msg *m)
{
	bool fits;

	m = fit(m);
	rt_mutex_lock(&nl->lock);
	fits = (int64_t)atomic_load(&nl->rmem) < atomic_load(&nl->base.rcvbuf);
	if (fits) {
		list_add_last(&nl->queue, &m->link);
		atomic_fetch_add(&nl->rmem, m->size + MSG_OVERHEAD);
	}
	rt_mutex_unlock(&nl->lock);
	if (!fits)
		lose(nl, m);
	else if (!lx_waitq_empty(&nl->wait))
		lx_wake(&nl->wait, POLLIN | POLLRDNORM, 1);
}

static struct netlink_msg *copy_msg(const struct netlink_msg *m, uint32_t group)
{
	struct netlink_msg *c = netlink_msg_alloc(m->len);

	if (!c)
		return NULL;
	c->group = group;
	c->len = m->len;
	memcpy(c->data, m->data, m->len);
	return c;
}

void netlink_multicast(struct lx_netns *ns, uint32_t group, const struct netlink_msg *m)
{
	struct netlink_sock *nl;

	rt_mutex_lock(&ns->netlink->lock);
	list_for_each_entry(nl, &ns->netlink->sockets, ns_link) {
		struct netlink_msg *c;

		/* groups of other protocols have other meanings */
		if (nl->base.protocol != NETLINK_ROUTE || !(atomic_load(&nl->groups) & BIT(group - 1)))
			continue;
		c = copy_msg(m, group);
		if (c)
			netlink_queue(nl, c);
		else
			lose(nl, NULL);
	}
	rt_mutex_unlock(&ns->netlink->lock);
}

static struct netlink_msg *take(struct netlink_sock *nl)
{
	struct netlink_msg *m;

	rt_mutex_lock(&nl->lock);
	m = list_pop_entry(&nl->queue, struct netlink_msg, link);
	if (m)
		atomic_fetch_sub(&nl->rmem, m->size + MSG_OVERHEAD);
	rt_mutex_unlock(&nl->lock);
	return m;
}

static struct netlink_msg *peek(struct netlink_sock *nl, int *err)
{
	struct netlink_msg *m;

	rt_mutex_lock(&nl->lock);
	m = list_first_entry(&nl->queue, struct netlink_msg, link);
	if (m) {
		m = copy_msg(m, m->group);
		*err = m ? 0 : -ENOMEM;
	}
	rt_mutex_unlock(&nl->lock);
	return m;
}

static int wait_for_message(struct netlink_sock *nl, unsigned int flags, struct netlink_msg **out)
{
	uint64_t deadline = flags & MSG_DONTWAIT ? 0 : socket_deadline(nl->base.rcvtimeo_ns);

	for (;;) {
		int err = socket_take_error(&nl->base);

		if (err)
			return err;
		*out = flags & MSG_PEEK ? peek(nl, &err) : take(nl);
		if (err || *out)
			return err;
		if (flags & MSG_DONTWAIT)
			return -EAGAIN;
		/* whoever adds a message changes rmem before it wakes */
		err = lx_wait_event(lx_self(), &nl->wait,
				    atomic_load(&nl->rmem) || atomic_load(&nl->base.error), deadline,
				    LX_WAIT_INTERRUPTIBLE);
		if (err)
			return socket_wait_errno(err, deadline);
	}
}

static int copy_out(const struct netlink_msg *m, struct lx_iter *to, size_t n)
{
	size_t done = 0;

	while (done < n) {
		done += lx_iter_put(to, m->data + done, n - done);
		if (done < n && lx_iter_fault_in(to, true))
			return -EFAULT;
	}
	return 0;
}

static void add_name(struct netlink_sock *nl, struct net_msg *m, const struct netlink_msg *msg)
{
	struct sockaddr_nl a = {
		.nl_family = AF_NETLINK,
		.nl_groups = msg->group && msg->group <= 32 ? 1u << (msg->group - 1) : 0,
	};
	struct nl_pktinfo info = { .group = msg->group };

	memcpy(m->name, &a, sizeof(a));
	m->namelen = sizeof(a);
	if (netlink_has(nl, NETLINK_PKTINFO))
		net_msg_add(m, SOL_NETLINK, NETLINK_PKTINFO, &info, sizeof(info));
}

static int64_t netlink_recv(struct lx_socket *s, struct net_msg *m)
{
	struct netlink_sock *nl = netlink_of(s);
	struct netlink_msg *msg;
	int64_t ret;
	size_t n;

	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	ret = wait_for_message(nl, m->flags, &msg);
	if (ret)
		return ret;
	n = MIN((uint64_t)msg->len, m->iter->count);
	ret = copy_out(msg, m->iter, n);
	if (!ret) {
		if (n < msg->len)
			m->out_flags |= MSG_TRUNC;
		add_name(nl, m, msg);
		ret = m->flags & MSG_TRUNC ? msg->len : (int64_t)n;
	}
	rt_free(msg);
	netlink_dump_more(nl);
	return ret;
}

static uint32_t netlink_poll(struct lx_socket *s, struct lx_file *f, struct lx_poll *p)
{
	struct netlink_sock *nl = netlink_of(s);
	uint32_t mask = POLLOUT | POLLWRNORM | POLLWRBAND;

	lx_poll_wait(p, f, &nl->wait);
	if (atomic_load(&s->error))
		mask |= POLLERR;
	if (atomic_load(&nl->rmem))
		mask |= POLLIN | POLLRDNORM;
	return mask;
}

/* -- options */

static int change_membership(struct netlink_sock *nl, uint32_t group, bool on)
{
	if (!group || group > GROUPS_MAX)
		return -EINVAL;
	if (on)
		atomic_fetch_or(&nl->groups, BIT(group - 1));
	else
		atomic_fetch_and(&nl->groups, ~BIT(group - 1));
	return 0;
}

static int netlink_setopt(struct lx_socket *s, int level, int name, uaddr_t value, int length)
{
	struct netlink_sock *nl = netlink_of(s);
	uint32_t v = 0;

	if (level != SOL_NETLINK)
		return -ENOPROTOOPT;
	if (length >= (int)sizeof(v) && lx_copy_from_user(&v, value, sizeof(v)))
		return -EFAULT;
	if (name == NETLINK_ADD_MEMBERSHIP || name == NETLINK_DROP_MEMBERSHIP)
		return change_membership(nl, v, name == NETLINK_ADD_MEMBERSHIP);
	if (name <= 0 || name >= 32 || !(FLAG_OPTIONS & BIT(name)))
		return -ENOPROTOOPT;
	if (name == NETLINK_LISTEN_ALL_NSID && !lx_capable(lx_self(), CAP_NET_BROADCAST))
		return -EPERM;
	if (v)
		atomic_fetch_or(&nl->netlink_options, (uint32_t)BIT(name));
	else
		atomic_fetch_and(&nl->netlink_options, ~(uint32_t)BIT(name));
	return 0;
}

static int netlink_getopt(struct lx_socket *s, int level, int name, void *buf, int *len)
{
	struct netlink_sock *nl = netlink_of(s);
	uint64_t groups = atomic_load(&nl->groups);
	int v;

	if (level != SOL_NETLINK)
		return -ENOPROTOOPT;
	if (name == NETLINK_LIST_MEMBERSHIPS) {
		memcpy(buf, &groups, sizeof(groups));
		*len = sizeof(groups);
		return 0;
	}
	if (name <= 0 || name >= 32 || !(FLAG_OPTIONS & BIT(name)))
		return -ENOPROTOOPT;
	v = netlink_has(nl, (unsigned int)name);
	memcpy(buf, &v, sizeof(v));
	*len = sizeof(v);
	return 0;
}

/* -- what it cannot do */

static int netlink_listen(struct lx_socket *s, int backlog)
{
	return -EOPNOTSUPP;
}

static int netlink_accept(struct lx_socket *s, bool nonblock, struct lx_socket **out)
{
	return -EOPNOTSUPP;
}

static int netlink_shutdown(struct lx_socket *s, unsigned int how)
{
	return -EOPNOTSUPP;
}

static long netlink_ioctl(struct lx_socket *s, unsigned int cmd, uint64_t arg)
{
	return -ENOTTY;
}

/* -- life */

/* The namespace's sockets, made for the first of them.  config_lock held.  0 or -ENOMEM. */
static int prepare(struct lx_netns *ns)
{
	struct netlink_ns *n;

	if (ns->netlink)
		return 0;
	n = rt_zalloc(sizeof(*n));
	if (!n)
		return -ENOMEM;
	rt_mutex_init(&n->lock, LX_LOCK_NETLINK_TABLE);
	list_init(&n->sockets);
	n->listener.event = rtnetlink_device_event;
	ns->netlink = n;
	list_add_last(&ns->listeners, &n->listener.link);
	return 0;
}

static int enter(struct netlink_sock *nl)
{
	struct lx_netns *ns = nl->base.ns;
	int err;

	rt_mutex_lock(&ns->config_lock);
	err = prepare(ns);
	rt_mutex_unlock(&ns->config_lock);
	if (err)
		return err;
	rt_mutex_lock(&ns->netlink->lock);
	list_add_last(&ns->netlink->sockets, &nl->ns_link);
	rt_mutex_unlock(&ns->netlink->lock);
	return 0;
}

int netlink_create(int type, int protocol, struct lx_socket **out)
{
	struct netlink_sock *nl;
	int err;

	if (type != SOCK_RAW && type != SOCK_DGRAM)
		return -ESOCKTNOSUPPORT;
	if (protocol != NETLINK_ROUTE && protocol != NETLINK_SOCK_DIAG)
		return -EPROTONOSUPPORT;
	nl = rt_zalloc(sizeof(*nl));
	if (!nl)
		return -ENOMEM;
	socket_init(&nl->base, &netlink_ops, AF_NETLINK, type, protocol);
	lx_waitq_init(&nl->wait);
	rt_mutex_init(&nl->request_lock, LX_LOCK_NETLINK_REQUEST);
	rt_mutex_init(&nl->lock, LX_LOCK_NETLINK);
	list_init(&nl->queue);
	err = enter(nl);
	if (err) {
		socket_fini(&nl->base);
		rt_free(nl);
		return err;
	}
	*out = &nl->base;
	return 0;
}

static void netlink_attach(struct lx_socket *s, struct lx_file *f)
{
}

static void netlink_release(struct lx_socket *s)
{
	struct netlink_sock *nl = netlink_of(s);
	struct netlink_msg *m;

	rt_mutex_lock(&s->ns->netlink->lock);
	list_remove(&nl->ns_link);
	rt_mutex_unlock(&s->ns->netlink->lock);
	while ((m = take(nl)))
		rt_free(m);
	socket_fini(s);
	rt_free(nl);
}

static const struct lx_socket_ops netlink_ops = {
	.attach = netlink_attach,
	.bind = netlink_bind,
	.connect = netlink_connect,
	.listen = netlink_listen,
	.accept = netlink_accept,
	.getname = netlink_getname,
	.send = netlink_send,
	.recv = netlink_recv,
	.shutdown = netlink_shutdown,
	.poll = netlink_poll,
	.ioctl = netlink_ioctl,
	.getopt = netlink_getopt,
	.setopt = netlink_setopt,
	.release = netlink_release,
};
