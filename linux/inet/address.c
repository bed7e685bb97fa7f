/* SPDX-License-Identifier: MIT */
/* Sockets of AF_INET: their two ends, as programs name them, and the way from one to the other. */
#include <linux/capability.h>
#include <linux/in.h>
#include <linux/rtnetlink.h>

#include "inet/socket.h"
#include "lx/cred.h"

int inet_addr_load(const uint8_t *name, int len, bool may_be_any, struct inet_addr *addr,
		   uint16_t *port_be)
{
	struct sockaddr_in a;

	memcpy(&a, name, sizeof(a));
	if (len < (int)sizeof(a))
		return -EINVAL;
	if (a.sin_family != AF_INET &&
	    !(may_be_any && a.sin_family == AF_UNSPEC && !a.sin_addr.s_addr))
		return -EAFNOSUPPORT;
	*addr = (struct inet_addr){ .q = { 0, 0 } };
	if (a.sin_addr.s_addr)
		*addr = inet_addr_v4(a.sin_addr.s_addr);
	*port_be = a.sin_port;
	return 0;
}

int inet_addr_store(uint8_t *name, const struct inet_addr *addr, uint16_t port_be)
{
	struct sockaddr_in a = {
		.sin_family = AF_INET, .sin_port = port_be, .sin_addr.s_addr = inet_addr_to_v4(addr),
	};

	memcpy(name, &a, sizeof(a));
	return sizeof(a);
}

/* -- the local end */

bool inet_may_bind(struct inet_sock *is, const struct inet_addr *addr, bool *is_group)
{
	uint8_t type;

	*is_group = false;
	if (inet_addr_is_any(addr))
		return true;
	type = inet_addr_type(inet_of(is), addr, is->owner.entry.ifindex);
	*is_group = type == RTN_MULTICAST || type == RTN_BROADCAST;
	return *is_group || type == RTN_LOCAL || inet_has(is, INET_FREEBIND | INET_TRANSPARENT) ||
	       inet_conf(&inet_of(is)->conf.ip_nonlocal_bind);
}

void inet_set_ip_flag(struct inet_sock *is, uint32_t flag, bool on)
{
	if (on)
		atomic_fetch_or(&is->ip_flags, flag);
	else
		atomic_fetch_and(&is->ip_flags, ~flag);
}

static int bind_locked(struct inet_sock *is, const struct inet_addr *addr, uint16_t number)
{
	bool is_group;
	int err;

	if (!inet_may_bind(is, addr, &is_group))
		return -EADDRNOTAVAIL;
	if (is_group && is->space == INET_PORTS_PING)
		return -EADDRNOTAVAIL;
	if (number && is->space != INET_PORTS_PING &&
	    number < inet_conf(&inet_of(is)->conf.ip_unprivileged_port_start) &&
	    !lx_capable(lx_self(), CAP_NET_BIND_SERVICE))
		return -EACCES;
	if (is->owner.port || inet_has(is, INET_CONNECTED))
		return -EINVAL;
	if (number || !inet_has(is, INET_BIND_NO_PORT)) {
		err = inet_port_bind(is, addr, number);
		if (err)
			return err;
	} else {
		is->owner.entry.key.local = *addr;
	}
	inet_set_ip_flag(is, INET_BOUND_GROUP, is_group);
	if (!inet_addr_is_any(addr))
		inet_set_ip_flag(is, INET_BOUND_ADDRESS, true);
	if (number)
		inet_set_ip_flag(is, INET_BOUND_PORT, true);
	inet_sock_forget_route(is);
	return 0;
}

int inet_bind(struct lx_socket *s, const uint8_t *name, int len)
{
	struct inet_sock *is = inet_sock(s);
	struct inet_addr addr;
	uint16_t port_be;
	int err = inet_addr_load(name, len, true, &addr, &port_be);

	if (err)
		return err;
	inet_sock_lock(is);
	err = bind_locked(is, &addr, BE16(port_be));
	inet_sock_leave(is);
	return err;
}

int inet_autobind(struct inet_sock *is)
{
	struct inet_addr local = is->owner.entry.key.local;
	int err;

	if (likely(is->owner.port))
		return 0;
	err = inet_port_bind(is, &local, 0);
	return err == -EADDRINUSE ? -EAGAIN : err;
}

int inet_getname(struct lx_socket *s, uint8_t *name, bool peer)
{
	struct inet_sock *is = inet_sock(s);
	struct inet_tuple key;
	bool is_connected;

	inet_sock_lock(is);
	key = is->owner.entry.key;
	is_connected = inet_has(is, INET_CONNECTED);
	inet_sock_leave(is);
	if (!peer)
		return inet_addr_store(name, &key.local, key.local_port);
	if (!is_connected || !key.remote_port)
		return -ENOTCONN;
	return inet_addr_store(name, &key.remote, key.remote_port);
}

int inet_bind_device(struct inet_sock *is, int ifindex)
{
	struct inet_tables *t = inet_tables_of(is);
	struct inet_entry *e = &is->owner.entry;
	uint16_t number;
	int err = 0;

	inet_sock_lock(is);
	number = inet_local_port(is);
	if (e->ifindex && !lx_capable(lx_self(), CAP_NET_RAW)) {
		err = -EPERM;
	} else {
		inet_port_lock(t, is->space, number);
		e->ifindex = ifindex;
		inet_port_unlock(t, is->space, number);
		inet_sock_forget_route(is);
	}
	inet_sock_leave(is);
	return err;
}

/* -- the remote end of those without connections */

/* lock held.  Packets may look at the key at the same time, so the port's lock is taken, too. */
static void set_key(struct inet_sock *is, const struct inet_tuple *key, bool connected)
{
	struct inet_tables *t = inet_tables_of(is);
	uint16_t number = is->owner.port ? is->owner.port->number : 0;

	inet_port_lock(t, is->space, number);
	is->owner.entry.key = *key;
	inet_set_ip_flag(is, INET_CONNECTED, connected);
	inet_port_unlock(t, is->space, number);
}

void inet_dgram_disconnect(struct inet_sock *is)
{
	struct inet_tuple key = is->owner.entry.key;

	if (!inet_has(is, INET_BOUND_ADDRESS))
		key.local = (struct inet_addr){ .q = { 0, 0 } };
	key.remote = (struct inet_addr){ .q = { 0, 0 } };
	key.remote_port = 0;
	set_key(is, &key, false);
	/* what it was given for its connection it gives back (raw sockets keep their protocol) */
	if (!inet_has(is, INET_BOUND_PORT) && is->space != INET_PORTS_RAW)
		inet_port_release(inet_tables_of(is), &is->owner);
	inet_sock_forget_route(is);
}

static int connect_locked(struct inet_sock *is, const struct inet_addr *to, uint16_t port_be)
{
	struct inet_tuple key = is->owner.entry.key;
	struct inet_flow flow;
	int err = inet_autobind(is);

	if (err)
		return err;
	inet_sock_forget_route(is);
	inet_sock_flow(is, to, &flow);
	err = inet_sock_route(is, &flow);
	if (err)
		return err;
	if (is->dst.type == RTN_BROADCAST && !socket_has(&is->base, SOCKET_FLAG(SO_BROADCAST))) {
		inet_sock_forget_route(is);
		return -EACCES;
	}
	key.local_port = is->owner.entry.key.local_port;
	if (inet_addr_is_any(&key.local))
		key.local = is->dst.src;
	key.remote = flow.dst;
	key.remote_port = port_be;
	set_key(is, &key, true);
	inet_sock_forget_route(is);	/* for a flow whose source was not known yet */
	return 0;
}

int inet_dgram_connect(struct lx_socket *s, const uint8_t *name, int len, bool nonblock)
{
	struct inet_sock *is = inet_sock(s);
	struct inet_addr to;
	uint16_t port_be, family;
	int err = 0;

	memcpy(&family, name, sizeof(family));
	if (len < (int)sizeof(family))
		return -EINVAL;
	if (family != AF_UNSPEC)
		err = inet_addr_load(name, len, false, &to, &port_be);
	if (err)
		return err;
	inet_sock_lock(is);
	if (family == AF_UNSPEC)
		inet_dgram_disconnect(is);
	else
		err = connect_locked(is, &to, port_be);
	inet_sock_leave(is);
	return err;
}

/* -- the way */

void inet_sock_forget_route(struct inet_sock *is)
{
	inet_dst_release(&is->dst);
}

void inet_sock_flow(struct inet_sock *is, const struct inet_addr *dst, struct inet_flow *out)
{
	struct inet_extra *extra = atomic_load_explicit(&is->extra, memory_order_acquire);
	bool is_multicast = inet_addr_is_multicast(dst);

	*out = (struct inet_flow){
		.dst = *dst, .src = is->owner.entry.key.local, .oif = is->owner.entry.ifindex,
		.mark = (uint32_t)atomic_load_explicit(&is->base.mark, memory_order_relaxed),
		.tos = atomic_load_explicit(&is->tos, memory_order_relaxed),
		.protocol = is->owner.entry.protocol,
		.direct = socket_has(&is->base, SOCKET_FLAG(SO_DONTROUTE)) != 0,
	};
	if (inet_has(is, INET_BOUND_GROUP))
		out->src = (struct inet_addr){ .q = { 0, 0 } };
	/* nobody is this machine */
	if (inet_addr_is_any(dst))
		out->dst = inet_addr_is_any(&out->src) ? inet_addr_v4(BE32(INADDR_LOOPBACK)) : out->src;
	if (is_multicast && extra) {
		if (!out->oif)
			out->oif = atomic_load_explicit(&extra->mc_ifindex, memory_order_relaxed);
		if (inet_addr_is_any(&out->src))
			out->src = extra->mc_addr;
	} else if (!is_multicast && !out->oif) {
		out->oif = atomic_load_explicit(&is->unicast_ifindex, memory_order_relaxed);
	}
}

static bool is_same_flow(const struct inet_flow *a, const struct inet_flow *b)
{
	return inet_addr_equal(&a->dst, &b->dst) && inet_addr_equal(&a->src, &b->src) &&
	       a->oif == b->oif && a->mark == b->mark && a->tos == b->tos && a->protocol == b->protocol &&
	       a->direct == b->direct;
}

int inet_sock_route(struct inet_sock *is, const struct inet_flow *flow)
{
	struct inet *inet = inet_of(is);
	int err;

	if (is->dst.dev && is_same_flow(&is->dst_flow, flow) && inet_dst_is_valid(inet, &is->dst))
		return 0;
	inet_sock_forget_route(is);
	err = inet_route_output(inet, flow, &is->dst);
	if (!err)
		is->dst_flow = *flow;
	return err;
}
