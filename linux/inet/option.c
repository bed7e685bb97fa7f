/* SPDX-License-Identifier: MIT */
/*
 * Options of AF_INET sockets: those of IP (ip(7)), and those of SOL_SOCKET that the common code
 * does not know. What has no effect here is not there (-ENOPROTOOPT).
 */
#include <linux/capability.h>
#include <linux/in.h>
#include <linux/rtnetlink.h>

#include "inet/dgram.h"
#include "lx/cred.h"
#include "net/filter.h"

#ifndef IP_LOCAL_PORT_RANGE
#define IP_LOCAL_PORT_RANGE	51
#endif

/* -- what few sockets have */

struct inet_extra *inet_extra_make(struct inet_sock *is)
{
	struct inet_extra *extra = atomic_load_explicit(&is->extra, memory_order_acquire);
	struct inet_extra *none = NULL;

	if (extra)
		return extra;
	extra = rt_zalloc(sizeof(*extra));
	if (!extra)
		return NULL;
	list_init(&extra->memberships);
	rt_rwlock_init(&extra->memberships_lock, LX_LOCK_INET_QUEUE);
	if (atomic_compare_exchange_strong(&is->extra, &none, extra))
		return extra;
	rt_free(extra);
	return none;
}

void inet_extra_free(struct inet_sock *is)
{
	struct inet_extra *extra = atomic_load(&is->extra);

	if (!extra)
		return;
	packet_filter_free(extra->filter);
	rt_free(extra);
}

/* -- filters */

static int replace_filter(struct inet_sock *is, struct packet_filter *f)
{
	struct inet_extra *extra = inet_extra_make(is);
	struct packet_filter *old;

	if (!extra) {
		packet_filter_free(f);
		return -ENOMEM;
	}
	rt_write_lock(&extra->memberships_lock);
	old = extra->filter;
	extra->filter = f;
	rt_write_unlock(&extra->memberships_lock);
	packet_filter_free(old);
	return f || old ? 0 : -ENOENT;
}

static int set_filter(struct inet_sock *is, int name, uaddr_t value, int length)
{
	struct packet_filter *f = NULL;
	int err = 0;

	if (name == SO_ATTACH_FILTER && length != 16)	/* sizeof(struct sock_fprog) */
		return -EINVAL;
	if (socket_has(&is->base, SOCKET_FILTER_LOCKED))
		return -EPERM;
	if (name == SO_ATTACH_FILTER)
		err = packet_filter_load(value, &f);
	return err ? err : replace_filter(is, f);
}

bool inet_filter_accepts(struct inet_sock *is, struct lx_netdev *dev, struct lx_pbuf *p,
			 uint32_t keep)
{
	struct inet_extra *extra = atomic_load_explicit(&is->extra, memory_order_acquire);
	uint32_t n = UINT32_MAX;

	if (likely(!extra))
		return true;
	rt_read_lock(&extra->memberships_lock);
	if (extra->filter)
		n = packet_filter_run(extra->filter, p, lx_pbuf_place(p), dev, p->pkttype);
	rt_read_unlock(&extra->memberships_lock);
	if (n && MAX(n, keep) < p->len)
		lx_pbuf_trim(p, MAX(n, keep));
	return n;
}

static int lock_filter(struct inet_sock *is, bool on)
{
	if (socket_has(&is->base, SOCKET_FILTER_LOCKED) && !on)
		return -EPERM;
	if (on)
		atomic_fetch_or(&is->base.options, SOCKET_FILTER_LOCKED);
	return 0;
}

/* -- SOL_SOCKET */

static int set_device_by_name(struct inet_sock *is, uaddr_t value, int length)
{
	char name[LX_IFNAMSIZ] = "";
	struct lx_netdev *dev;
	int ifindex;

	if (lx_copy_from_user(name, value, (size_t)MIN(length, LX_IFNAMSIZ - 1)))
		return -EFAULT;
	if (!name[0])
		return inet_bind_device(is, 0);
	dev = lx_netdev_by_name(is->base.ns, name);
	if (!dev)
		return -ENODEV;
	ifindex = dev->ifindex;
	lx_netdev_put(dev);
	return inet_bind_device(is, ifindex);
}

static int set_socket_option(struct inet_sock *is, int name, uaddr_t value, int length)
{
	int v;

	switch (name) {
	case SO_BINDTODEVICE:
		return set_device_by_name(is, value, length);
	case SO_ATTACH_FILTER:
	case SO_DETACH_FILTER:
		return set_filter(is, name, value, length);
	case SO_BINDTOIFINDEX:
	case SO_LOCK_FILTER:
		if (lx_copy_from_user(&v, value, sizeof(v)))
			return -EFAULT;
		if (name == SO_LOCK_FILTER)
			return lock_filter(is, v);
		return v < 0 ? -EINVAL : inet_bind_device(is, v);
	}
	return -ENOPROTOOPT;
}

static int get_device(struct inet_sock *is, char *buf, int *len)
{
	int ifindex = READ_ONCE(is->owner.entry.ifindex);
	struct lx_netdev *dev;

	if (!ifindex) {
		*len = 0;
		return 0;
	}
	if (*len < LX_IFNAMSIZ)
		return -EINVAL;
	dev = lx_netdev_by_index(is->base.ns, ifindex);
	if (!dev)
		return -ENODEV;
	rt_read_lock(&is->base.ns->devices_lock);
	memcpy(buf, dev->name, LX_IFNAMSIZ);
	rt_read_unlock(&is->base.ns->devices_lock);
	lx_netdev_put(dev);
	*len = (int)strlen(buf) + 1;
	return 0;
}

static int put(void *buf, int *len, const void *value, int n)
{
	memcpy(buf, value, (size_t)n);
	*len = n;
	return 0;
}

void inet_sock_memory(struct inet_sock *is, uint32_t v[9])
{
	memset(v, 0, 9 * sizeof(v[0]));
	v[1] = (uint32_t)atomic_load(&is->base.rcvbuf);
	v[2] = inet_sock_queued(is);
	v[3] = (uint32_t)atomic_load(&is->base.sndbuf);
	if (is->space != INET_PORTS_TCP) {
		v[0] = atomic_load(&inet_dgram_of(is)->rmem);
		v[8] = atomic_load(&inet_dgram_of(is)->drops);
	}
}

static int get_socket_option(struct inet_sock *is, int name, void *buf, int *len)
{
	const struct net_ucred nobody = { 0, UINT32_MAX, UINT32_MAX };
	uint32_t memory[9];
	uint64_t cookie;
	int v;

	switch (name) {
	case SO_BINDTODEVICE:
		return get_device(is, buf, len);
	case SO_BINDTOIFINDEX:
		v = READ_ONCE(is->owner.entry.ifindex);
		return put(buf, len, &v, sizeof(v));
	case SO_LOCK_FILTER:
		v = socket_has(&is->base, SOCKET_FILTER_LOCKED) != 0;
		return put(buf, len, &v, sizeof(v));
	case SO_COOKIE:
		if (*len < (int)sizeof(cookie))
			return -EINVAL;
		cookie = atomic_load(&is->ino);
		return put(buf, len, &cookie, sizeof(cookie));
	case SO_MEMINFO:
		inet_sock_memory(is, memory);
		return put(buf, len, memory, sizeof(memory));
	case SO_PEERCRED:
		return put(buf, len, &nobody, sizeof(nobody));
	case SO_PEERNAME:
		v = is->base.ops->getname(&is->base, buf, true);
		if (v < 0 || v < *len)
			return v < 0 ? v : -EINVAL;
		*len = v;
		return 0;
	}
	return -ENOPROTOOPT;
}

/* -- IPPROTO_IP: those that are on or off */

static uint32_t switch_of(int name)
{
	switch (name) {
	case IP_PKTINFO:
		return INET_PKTINFO;
	case IP_RECVTTL:
		return INET_RECVTTL;
	case IP_RECVTOS:
		return INET_RECVTOS;
	case IP_RECVOPTS:
		return INET_RECVOPTS;
	case IP_RECVORIGDSTADDR:
		return INET_RECVORIGDSTADDR;
	case IP_RECVERR:
		return INET_RECVERR;
	case IP_FREEBIND:
		return INET_FREEBIND;
	case IP_TRANSPARENT:
		return INET_TRANSPARENT;
	case IP_HDRINCL:
		return INET_HDRINCL;
	case IP_MULTICAST_LOOP:
		return INET_MC_LOOP;
	case IP_MULTICAST_ALL:
		return INET_MC_ALL;
	case IP_BIND_ADDRESS_NO_PORT:
		return INET_BIND_NO_PORT;
	}
	return 0;
}

static int set_switch(struct inet_sock *is, int name, int v)
{
	if (name == IP_HDRINCL && is->base.type != SOCK_RAW)
		return -ENOPROTOOPT;
	if (name == IP_MULTICAST_ALL && v != 0 && v != 1)
		return -EINVAL;
	if (name == IP_TRANSPARENT && v && !lx_capable(lx_self(), CAP_NET_RAW) &&
	    !lx_capable(lx_self(), CAP_NET_ADMIN))
		return -EPERM;
	inet_set_ip_flag(is, switch_of(name), v);
	if (name == IP_RECVERR && !v)
		inet_forget_errors(is);
	return 0;
}

/* -- the others */

static int set_multicast_device(struct inet_sock *is, uaddr_t value, int length)
{
	struct inet_addr address, none = { .q = { 0, 0 } };
	struct ip_mreqn mr = { .imr_ifindex = 0 };
	struct inet_extra *extra = inet_extra_make(is);
	int bound = READ_ONCE(is->owner.entry.ifindex), ifindex = 0;
	struct lx_netdev *dev;

	if (is->base.type == SOCK_STREAM || length < (int)sizeof(mr.imr_address))
		return -EINVAL;
	if (length >= (int)sizeof(struct ip_mreq) ?
	    lx_copy_from_user(&mr, value,
			      length >= (int)sizeof(mr) ? sizeof(mr) : sizeof(struct ip_mreq)) :
	    lx_copy_from_user(&mr.imr_address, value, sizeof(mr.imr_address)))
		return -EFAULT;
	if (!extra)
		return -ENOMEM;
	address = mr.imr_address.s_addr ? inet_addr_v4(mr.imr_address.s_addr) : none;
	if (mr.imr_ifindex || mr.imr_address.s_addr) {
		dev = inet_multicast_device(is, &none, mr.imr_ifindex, &address);
		if (!dev)
			return -EADDRNOTAVAIL;
		ifindex = dev->ifindex;
		lx_netdev_put(dev);
		if (bound && bound != ifindex)
			return -EINVAL;
	}
	inet_sock_lock(is);
	atomic_store(&extra->mc_ifindex, ifindex);
	extra->mc_addr = address;
	inet_sock_leave(is);
	return 0;
}

static int set_ip_options(struct inet_sock *is, uaddr_t value, int length)
{
	struct inet_extra *extra;
	uint8_t options[40] = { 0 };
	unsigned int len = ALIGN_UP((unsigned int)length, 4u);
	int err;

	if (length > (int)sizeof(options))
		return -EINVAL;
	if (lx_copy_from_user(options, value, (size_t)length))
		return -EFAULT;
	err = length ? ip4_options_check(options, len) : 0;
	if (err)
		return err;
	extra = inet_extra_make(is);
	if (!extra)
		return -ENOMEM;
	inet_sock_lock(is);
	memcpy(extra->options, options, sizeof(options));
	extra->options_len = (uint8_t)len;
	inet_sock_leave(is);
	return 0;
}

static int set_unicast_device(struct inet_sock *is, int v)
{
	int ifindex = (int)BE32((uint32_t)v), bound = READ_ONCE(is->owner.entry.ifindex);
	struct lx_netdev *dev = ifindex ? lx_netdev_by_index(is->base.ns, ifindex) : NULL;

	if (ifindex && !dev)
		return -EADDRNOTAVAIL;
	lx_netdev_put(dev);
	if (ifindex && bound && bound != ifindex)
		return -EINVAL;
	atomic_store(&is->unicast_ifindex, ifindex);
	return 0;
}

static int set_port_range(struct inet_sock *is, int v)
{
	uint16_t low = (uint16_t)v, high = (uint16_t)((uint32_t)v >> 16);

	if (low && high && low > high)
		return -EINVAL;
	atomic_store(&is->port_range, (uint32_t)v);
	return 0;
}

static int set_number(struct inet_sock *is, int name, int v, int length)
{
	switch (name) {
	case IP_TOS:
		if (is->base.type == SOCK_STREAM)	/* ECN's bits are the connection's */
			v = (v & ~3) | (atomic_load(&is->tos) & 3);
		atomic_store(&is->tos, (uint8_t)v);
		return 0;
	case IP_TTL:
		if (length < 1 || (v != -1 && (v < 1 || v > 255)))
			return -EINVAL;
		atomic_store(&is->ttl, (int16_t)v);
		return 0;
	case IP_MULTICAST_TTL:
		if (is->base.type == SOCK_STREAM || length < 1 || v < -1 || v > 255)
			return -EINVAL;
		atomic_store(&is->mc_ttl, (uint8_t)(v == -1 ? 1 : v));
		return 0;
	case IP_MTU_DISCOVER:
		if (v < IP_PMTUDISC_DONT || v > IP_PMTUDISC_OMIT)
			return -EINVAL;
		atomic_store(&is->pmtudisc, (uint8_t)v);
		return 0;
	case IP_MINTTL:
		if (length < 1 || v < 0 || v > 255)
			return -EINVAL;
		atomic_store(&is->min_ttl, (uint8_t)v);
		return 0;
	case IP_UNICAST_IF:
		return length == sizeof(v) ? set_unicast_device(is, v) : -EINVAL;
	case IP_LOCAL_PORT_RANGE:
		return length == sizeof(v) ? set_port_range(is, v) : -EINVAL;
	}
	return -ENOPROTOOPT;
}

static int set_ip_option(struct inet_sock *is, int name, uaddr_t value, int length)
{
	uint8_t byte;
	int v = 0;

	switch (name) {
	case IP_ADD_MEMBERSHIP:
	case IP_DROP_MEMBERSHIP:
	case MCAST_JOIN_GROUP:
	case MCAST_LEAVE_GROUP:
		return inet_set_membership(is, name, value, length);
	case IP_MULTICAST_IF:
		return set_multicast_device(is, value, length);
	case IP_OPTIONS:
		return set_ip_options(is, value, length);
	}
	/* a number may be a byte */
	if (length >= (int)sizeof(v) ? lx_copy_from_user(&v, value, sizeof(v)) :
				       length >= 1 && lx_copy_from_user(&byte, value, 1))
		return -EFAULT;
	if (length >= 1 && length < (int)sizeof(v))
		v = byte;
	return switch_of(name) ? set_switch(is, name, v) : set_number(is, name, v, length);
}

/* The way's MTU, of a socket that has one. */
static int path_mtu(struct inet_sock *is)
{
	struct inet_flow flow;
	int mtu = -ENOTCONN;

	inet_sock_lock(is);
	if (inet_has(is, INET_CONNECTED)) {
		inet_sock_flow(is, &is->owner.entry.key.remote, &flow);
		if (!inet_sock_route(is, &flow))
			mtu = (int)is->dst.mtu;
	}
	inet_sock_leave(is);
	return mtu;
}

static int get_number(struct inet_sock *is, int name, int *v)
{
	switch (name) {
	case IP_TOS:
		*v = atomic_load(&is->tos);
		return 0;
	case IP_TTL:
		*v = atomic_load(&is->ttl);
		if (*v < 0)
			*v = inet_conf(&inet_of(is)->conf.ip_default_ttl);
		return 0;
	case IP_MULTICAST_TTL:
		*v = atomic_load(&is->mc_ttl);
		return 0;
	case IP_MTU_DISCOVER:
		*v = atomic_load(&is->pmtudisc);
		return 0;
	case IP_MINTTL:
		*v = atomic_load(&is->min_ttl);
		return 0;
	case IP_UNICAST_IF:
		*v = (int)BE32((uint32_t)atomic_load(&is->unicast_ifindex));
		return 0;
	case IP_LOCAL_PORT_RANGE:
		*v = (int)atomic_load(&is->port_range);
		return 0;
	case IP_MTU:
		*v = path_mtu(is);
		return *v < 0 ? *v : 0;
	}
	if (!switch_of(name))
		return -ENOPROTOOPT;
	*v = inet_has(is, switch_of(name)) != 0;
	return 0;
}

static int get_ip_options(struct inet_sock *is, void *buf, int *len)
{
	struct inet_extra *extra = atomic_load(&is->extra);

	*len = 0;
	if (!extra)
		return 0;
	inet_sock_lock(is);
	*len = extra->options_len;
	memcpy(buf, extra->options, extra->options_len);
	inet_sock_leave(is);
	return 0;
}

static int get_multicast_address(struct inet_sock *is, void *buf, int *len)
{
	struct inet_extra *extra = atomic_load(&is->extra);
	uint32_t be = 0;

	if (extra) {
		inet_sock_lock(is);
		be = inet_addr_to_v4(&extra->mc_addr);
		inet_sock_leave(is);
	}
	return put(buf, len, &be, sizeof(be));
}

static int get_ip_option(struct inet_sock *is, int name, void *buf, int *len)
{
	uint8_t byte;
	int v, err;

	if (name == IP_OPTIONS)
		return get_ip_options(is, buf, len);
	if (name == IP_MULTICAST_IF)
		return get_multicast_address(is, buf, len);
	err = get_number(is, name, &v);
	if (err)
		return err;
	byte = (uint8_t)v;
	/* who has room for a byte only gets one */
	if (*len > 0 && *len < (int)sizeof(v) && v >= 0 && v <= 255)
		return put(buf, len, &byte, 1);
	return put(buf, len, &v, sizeof(v));
}

int inet_setopt(struct lx_socket *s, int level, int name, uaddr_t value, int length)
{
	if (level == SOL_SOCKET)
		return set_socket_option(inet_sock(s), name, value, length);
	if (level != IPPROTO_IP)
		return -ENOPROTOOPT;
	return set_ip_option(inet_sock(s), name, value, length);
}

int inet_getopt(struct lx_socket *s, int level, int name, void *buf, int *len)
{
	if (level == SOL_SOCKET)
		return get_socket_option(inet_sock(s), name, buf, len);
	return level == IPPROTO_IP ? get_ip_option(inet_sock(s), name, buf, len) : -ENOPROTOOPT;
}
