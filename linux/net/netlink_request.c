/* SPDX-License-Identifier: MIT */
/*
 * Netlink requests and their answers (netlink(7), and the kernel's Documentation/userspace-api/netlink).
 *
 * A list (NLM_F_DUMP) is not made at once: each part is when the one before was read, so that a
 * program which does not read costs one message.
 */
#include <linux/capability.h>

#include "inet/rtnl.h"
#include "net/netlink.h"

/* -- building */

struct netlink_msg *netlink_msg_alloc(uint32_t size)
{
	struct netlink_msg *m = rt_alloc(sizeof(*m) + size);

	if (!m)
		return NULL;
	list_init(&m->link);
	m->group = 0;
	m->size = size;
	m->len = 0;
	m->is_full = false;
	return m;
}

/* Room for @n bytes and what aligns them, zeros; or NULL. */
static void *extend(struct netlink_msg *m, uint32_t n)
{
	uint32_t aligned = NLMSG_ALIGN(n);
	void *p = m->data + m->len;

	if (m->is_full || aligned > m->size - m->len) {
		m->is_full = true;
		return NULL;
	}
	memset(p, 0, aligned);
	m->len += aligned;
	return p;
}

void *netlink_begin(struct netlink_msg *m, uint16_t type, uint16_t flags, uint32_t seq,
		    uint32_t portid, uint32_t n)
{
	struct nlmsghdr *h = extend(m, NLMSG_HDRLEN + n);

	if (!h)
		return NULL;
	h->nlmsg_type = type;
	h->nlmsg_flags = flags;
	h->nlmsg_seq = seq;
	h->nlmsg_pid = portid;
	return (uint8_t *)h + NLMSG_HDRLEN;
}

void netlink_put(struct netlink_msg *m, uint16_t type, const void *data, uint32_t n)
{
	struct nlattr *a = extend(m, NLA_HDRLEN + n);

	if (!a)
		return;
	a->nla_type = type;
	a->nla_len = (uint16_t)(NLA_HDRLEN + n);
	memcpy((uint8_t *)a + NLA_HDRLEN, data, n);
}

void netlink_put_u8(struct netlink_msg *m, uint16_t type, uint8_t v)
{
	netlink_put(m, type, &v, sizeof(v));
}

void netlink_put_u32(struct netlink_msg *m, uint16_t type, uint32_t v)
{
	netlink_put(m, type, &v, sizeof(v));
}

void netlink_put_string(struct netlink_msg *m, uint16_t type, const char *s)
{
	netlink_put(m, type, s, (uint32_t)strlen(s) + 1);
}

bool netlink_end(struct netlink_msg *m, uint32_t start)
{
	struct nlmsghdr *h = (struct nlmsghdr *)(m->data + start);

	if (m->is_full) {
		m->len = start;
		return false;
	}
	h->nlmsg_len = m->len - start;
	return true;
}

/* -- lists */

static void end_dump(struct netlink_sock *nl, struct netlink_msg *m)
{
	const int32_t fine = 0;
	void *p = netlink_begin(m, NLMSG_DONE, NLM_F_MULTI, nl->dump.seq, nl->dump.portid, sizeof(fine));

	memcpy(p, &fine, sizeof(fine));
	(void)netlink_end(m, 0);
	atomic_store(&nl->is_dumping, false);
}

/* request_lock held. */
static void dump_part(struct netlink_sock *nl)
{
	struct netlink_msg *m = netlink_msg_alloc(NETLINK_MSG_SIZE);

	if (!m) {
		/* the reader has to ask again, and hears that there is something missing */
		atomic_store(&nl->is_dumping, false);
		atomic_store(&nl->base.error, ENOBUFS);
		return;
	}
	nl->dump.fill(&nl->dump, m);
	if (!m->len) {
		m->is_full = false;
		end_dump(nl, m);
	}
	netlink_queue(nl, m);
}

void netlink_dump_more(struct netlink_sock *nl)
{
	if (!atomic_load(&nl->is_dumping))
		return;
	rt_mutex_lock(&nl->request_lock);
	if (atomic_load(&nl->is_dumping) &&
	    (int64_t)atomic_load(&nl->rmem) * 2 <= atomic_load(&nl->base.rcvbuf))
		dump_part(nl);
	rt_mutex_unlock(&nl->request_lock);
}

int netlink_start_dump(const struct netlink_request *r,
		       void (*fill)(struct netlink_dump *dump, struct netlink_msg *m))
{
	static const uint32_t none[NETLINK_FILTER];

	return netlink_start_dump_of(r, fill, none);
}

int netlink_start_dump_of(const struct netlink_request *r,
			  void (*fill)(struct netlink_dump *dump, struct netlink_msg *m),
			  const uint32_t filter[NETLINK_FILTER])
{
	struct netlink_sock *nl = r->nl;

	if (atomic_load(&nl->is_dumping))
		return -EBUSY;
	nl->dump = (struct netlink_dump){
		.fill = fill, .ns = r->ns, .seq = r->h->nlmsg_seq, .portid = atomic_load(&nl->portid),
	};
	memcpy(nl->dump.filter, filter, sizeof(nl->dump.filter));
	atomic_store(&nl->is_dumping, true);
	dump_part(nl);
	return 1;
}

/* -- requests */

static void acknowledge(struct netlink_sock *nl, const struct nlmsghdr *h, int err)
{
	bool is_capped = !err || netlink_has(nl, NETLINK_CAP_ACK);
	uint32_t echoed = is_capped ? NLMSG_HDRLEN : h->nlmsg_len;
	struct netlink_msg *m = netlink_msg_alloc(NLMSG_HDRLEN + 4 + NLMSG_ALIGN(echoed));
	int32_t code = err;
	uint8_t *p;

	if (!m) {
		atomic_store(&nl->base.error, ENOBUFS);
		return;
	}
	p = netlink_begin(m, NLMSG_ERROR, is_capped ? NLM_F_CAPPED : 0, h->nlmsg_seq,
			  atomic_load(&nl->portid), 4 + echoed);
	memcpy(p, &code, sizeof(code));
	memcpy(p + sizeof(code), h, echoed);
	(void)netlink_end(m, 0);
	netlink_queue(nl, m);
}

/* request_lock held. */
static void handle(struct netlink_sock *nl, const struct nlmsghdr *h)
{
	const struct netlink_request r = {
		.nl = nl, .ns = nl->base.ns, .h = h, .payload = (const uint8_t *)h + NLMSG_HDRLEN,
		.len = h->nlmsg_len - NLMSG_HDRLEN,
	};
	int err = 0;

	if (h->nlmsg_flags & NLM_F_REQUEST && h->nlmsg_type >= NLMSG_MIN_TYPE)
		err = nl->base.protocol == NETLINK_SOCK_DIAG ? sock_diag_request(&r) : rtnetlink_request(&r);
	if (err < 0 || (!err && h->nlmsg_flags & NLM_F_ACK))
		acknowledge(nl, h, err);
}

/* Messages one behind the other; what is broken, and all behind it, is passed over as on Linux. */
static void handle_all(struct netlink_sock *nl, const uint8_t *data, uint32_t len)
{
	rt_mutex_lock(&nl->request_lock);
	while (len >= NLMSG_HDRLEN) {
		const struct nlmsghdr *h = (const struct nlmsghdr *)data;
		uint32_t step;

		if (h->nlmsg_len < NLMSG_HDRLEN || h->nlmsg_len > len)
			break;
		handle(nl, h);
		step = MIN(NLMSG_ALIGN(h->nlmsg_len), len);
		data += step;
		len -= step;
	}
	rt_mutex_unlock(&nl->request_lock);
}

/* To the kernel's end? */
static int check_destination(struct netlink_sock *nl, const struct net_msg *m)
{
	struct sockaddr_nl a = {
		.nl_pid = atomic_load(&nl->peer_portid), .nl_groups = atomic_load(&nl->peer_groups),
	};

	if (m->namelen) {
		memcpy(&a, m->name, sizeof(a));
		if (m->namelen < (int)sizeof(a) || a.nl_family != AF_NETLINK)
			return -EINVAL;
	}
	if (a.nl_groups && !lx_capable(lx_self(), CAP_NET_ADMIN))
		return -EPERM;
	return a.nl_pid ? -ECONNREFUSED : 0;
}

static int copy_in(uint8_t *data, struct lx_iter *from, size_t n)
{
	size_t done = 0;

	while (done < n) {
		done += lx_iter_get(from, data + done, n - done);
		if (done < n && lx_iter_fault_in(from, false))
			return -EFAULT;
	}
	return 0;
}

int64_t netlink_send(struct lx_socket *s, struct net_msg *m)
{
	struct netlink_sock *nl = netlink_of(s);
	uint64_t len = m->iter->count;
	uint8_t *data;
	int err;

	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (!len)
		return -ENODATA;
	err = check_destination(nl, m);
	if (!err)
		err = netlink_autobind(nl);
	if (err)
		return err;
	if ((int64_t)len > atomic_load(&s->sndbuf) - 32)
		return -EMSGSIZE;
	data = rt_alloc(len);
	if (!data)
		return -ENOBUFS;
	err = copy_in(data, m->iter, len);
	if (!err)
		handle_all(nl, data, (uint32_t)len);
	rt_free(data);
	lx_net_deliver(s->ns);
	return err ? err : (int64_t)len;
}
