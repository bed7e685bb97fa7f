/* SPDX-License-Identifier: MIT */
/*
 * NETLINK_SOCK_DIAG (sock_diag(7)): lists of UDP and raw sockets, which ss(8) asks for.  For what
 * is not listed here it reads /proc/net, as it does where Linux lacks the module.
 *
 * Not there: filters in the request (INET_DIAG_REQ_BYTECODE), which programs apply themselves as
 * well; a question about one socket; SOCK_DESTROY.
 */
#include <linux/in.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>

#include "inet/dgram.h"
#include "inet/rtnl.h"
#include "net/netlink.h"

enum { FILTER_SPACE, FILTER_STATES, FILTER_PORTS, FILTER_EXT };	/* of netlink_dump.filter */

struct listing {
	struct netlink_dump *dump;
	struct netlink_msg *m;
	int nr;				/* sockets seen */
};

/* As /proc/net/udp has it: connected, or not. */
static uint8_t state_of(struct inet_sock *is)
{
	return inet_has(is, INET_CONNECTED) ? 1 : 7;
}

static bool is_asked_for(struct inet_sock *is, const struct netlink_dump *dump)
{
	const struct inet_tuple *key = &is->owner.entry.key;
	uint16_t from_be = (uint16_t)(dump->filter[FILTER_PORTS] >> 16), to_be = (uint16_t)dump->filter[FILTER_PORTS];

	return dump->filter[FILTER_STATES] >> state_of(is) & 1 &&
	       (!from_be || from_be == key->local_port) && (!to_be || to_be == key->remote_port);
}

static void put_memory(struct netlink_msg *m, struct inet_sock *is)
{
	uint32_t v[9];

	inet_sock_memory(is, v);
	netlink_put(m, INET_DIAG_SKMEMINFO, v, sizeof(v));
}

static void put_socket(struct listing *l, struct inet_sock *is)
{
	const struct inet_tuple *key = &is->owner.entry.key;
	uint64_t ino = atomic_load(&is->ino);
	uint32_t start = l->m->len;
	struct inet_diag_msg *d;

	d = netlink_begin(l->m, SOCK_DIAG_BY_FAMILY, NLM_F_MULTI, l->dump->seq, l->dump->portid,
			  sizeof(*d));
	if (d) {
		*d = (struct inet_diag_msg){
			.idiag_family = AF_INET, .idiag_state = state_of(is),
			.id = { .idiag_sport = key->local_port, .idiag_dport = key->remote_port,
				.idiag_src[0] = inet_addr_to_v4(&key->local),
				.idiag_dst[0] = inet_addr_to_v4(&key->remote),
				.idiag_if = (uint32_t)is->owner.entry.ifindex,
				.idiag_cookie = { (uint32_t)ino, (uint32_t)(ino >> 32) } },
			.idiag_rqueue = atomic_load(&inet_dgram_of(is)->rmem),
			.idiag_wqueue = inet_sock_queued(is), .idiag_uid = is->owner.uid,
			.idiag_inode = (uint32_t)ino,
		};
		netlink_put_u8(l->m, INET_DIAG_SHUTDOWN, (uint8_t)atomic_load(&is->shutdown));
		if (l->dump->filter[FILTER_EXT] & BIT(INET_DIAG_TOS - 1))
			netlink_put_u8(l->m, INET_DIAG_TOS, atomic_load(&is->tos));
		if (l->dump->filter[FILTER_EXT] & BIT(INET_DIAG_SKMEMINFO - 1))
			put_memory(l->m, is);
	}
	if (netlink_end(l->m, start))
		l->dump->state = l->nr;
}

/* The next ones go on behind those that were put: dump->state counts them.  Port locked. */
static void show(struct inet_owner *o, void *arg)
{
	struct listing *l = arg;

	if (l->nr++ < l->dump->state || l->m->is_full)
		return;
	if (is_asked_for(inet_sock_of(&o->entry), l->dump))
		put_socket(l, inet_sock_of(&o->entry));
}

static void fill(struct netlink_dump *dump, struct netlink_msg *m)
{
	struct listing l = { .dump = dump, .m = m };

	inet_ports_for_each(dump->ns->inet->tables, (enum inet_space)dump->filter[FILTER_SPACE],
			    show, &l);
}

static void fill_nothing(struct netlink_dump *dump, struct netlink_msg *m)
{
}

int sock_diag_request(const struct netlink_request *r)
{
	uint32_t filter[NETLINK_FILTER] = { 0 };
	struct inet_diag_req_v2 q;

	if (r->h->nlmsg_type != SOCK_DIAG_BY_FAMILY)
		return -EINVAL;
	if (r->len < sizeof(q))
		return r->len && r->payload[0] != AF_INET ? -ENOENT : -EINVAL;
	memcpy(&q, r->payload, sizeof(q));
	if (q.sdiag_family != AF_INET && q.sdiag_family != 10)	/* AF_INET6 */
		return -ENOENT;
	if (q.sdiag_protocol != IPPROTO_UDP && q.sdiag_protocol != IPPROTO_RAW)
		return -ENOENT;
	if (!(r->h->nlmsg_flags & NLM_F_DUMP))
		return -EOPNOTSUPP;
	if (q.sdiag_family != AF_INET)
		return netlink_start_dump(r, fill_nothing);
	filter[FILTER_SPACE] = q.sdiag_protocol == IPPROTO_UDP ? INET_PORTS_UDP : INET_PORTS_RAW;
	filter[FILTER_STATES] = q.idiag_states;
	filter[FILTER_PORTS] = (uint32_t)q.id.idiag_sport << 16 | q.id.idiag_dport;
	filter[FILTER_EXT] = q.idiag_ext;
	return netlink_start_dump_of(r, fill, filter);
}
