/* SPDX-License-Identifier: MIT */
/*
 * The protocols of one network namespace: what hangs from lx_netns.inet.
 *
 * Made with the namespace and freed with it.  Parts that are somebody else's (TCP, UDP and raw
 * sockets) have a pointer here, and a line in the table of inet.c, whose functions make and free
 * what it points to.
 */
#pragma once

#include <linux/snmp.h>

#include "inet/conf.h"
#include "inet/ip.h"
#include "inet/port.h"
#include "inet/route_table.h"
#include "inet/tuple.h"
#include "lx/netdev.h"

struct inet_neighbours;
struct inet_fragments;
struct inet_pmtus;
struct inet_limits;
struct inet_igmp;
struct tcp_ns;
struct inet_tables;

/*
 * Counters of /proc/net/snmp and netstat: indices are those of linux/snmp.h.  A group is for some of
 * the threads, so that CPUs seldom meet in a line; the sum is what is shown.
 */
struct inet_mib {
	_Atomic(uint64_t) ip[__IPSTATS_MIB_MAX], icmp[__ICMP_MIB_MAX];
	_Atomic(uint64_t) icmp_in[20], icmp_out[20];	/* by type of ICMP, IcmpMsg */
	_Atomic(uint64_t) tcp[__TCP_MIB_MAX], udp[__UDP_MIB_MAX], udplite[__UDP_MIB_MAX];
	_Atomic(uint64_t) ext[__LINUX_MIB_MAX];		/* TcpExt */
};

#define INET_MIB_GROUPS	4u

/* Routes of one number. */
#define INET_TABLES	3u		/* local, main, default: in the order in which they are asked */

/*
 * What is remembered of types of addresses (inet_addr_type() for any device), so that a packet
 * takes no lock: the address, 24 bits of the generation at which it was so, and the type.
 */
#define INET_TYPE_CACHE	256u

struct inet {
	/* Constant. */
	struct lx_netns *ns;		/* whose it is; no reference */
	struct inet_secret secret;
	struct inet_neighbours *neighbours;	/* neigh.c */
	struct inet_fragments *fragments;	/* ip4_frag.c */
	struct inet_pmtus *pmtus;	/* pmtu.c */
	struct inet_limits *limits;	/* icmp4_limit.c */
	struct inet_igmp *igmp;		/* igmp.c */
	struct tcp_ns *tcp;
	struct inet_tables *tables;	/* hash.h: sockets, connections and ports */

	struct inet_conf conf;
	struct inet_port_counters ports;	/* where inet_port_choose() goes on */

	/*
	 * Addresses and routes.  Written with the namespace's config_lock held, too, so that either
	 * is enough to read.  Rank LX_LOCK_INET_ROUTE.
	 */
	struct rt_rwlock lock;
	struct list devices;		/* of inet_dev.link (addr.h), by ascending ifindex */
	struct route_table table[INET_TABLES];	/* of struct route (route.h) */
	/* Of all that look-ups depend on: it changes afterwards.  Read at any time. */
	_Atomic(uint32_t) generation;
	_Atomic(uint64_t) types[INET_TYPE_CACHE];

	struct lx_netdev_listener listener;
	_Atomic(uint32_t) ident;	/* of the next datagram; mixed with its addresses */
	struct inet_mib mib[INET_MIB_GROUPS];
};

/* NULL: no memory.  The namespace has no devices yet. */
struct inet *inet_create(struct lx_netns *ns);
/* The namespace has no devices any more, no sockets and no tasks.  NULL is fine. */
void inet_destroy(struct inet *inet);

/*
 * A frame without its link header, of a protocol of ours: taken over.  False: it is none, and the
 * packet stays the caller's.
 */
bool inet_receive(struct lx_netdev *dev, struct lx_pbuf *p);

/* TCP's part (tcp/over.c), after the tables of sockets: 0 or -ENOMEM. */
int tcp_ns_create(struct inet *inet);
void tcp_ns_destroy(struct inet *inet);

static inline struct inet_mib *inet_mib(struct inet *inet)
{
	/* a thread's stack is its own, and lies where others' do not */
	return &inet->mib[(uintptr_t)__builtin_frame_address(0) / 65536 % INET_MIB_GROUPS];
}

/* inet_count(inet, udp[UDP_MIB_INDATAGRAMS]) */
#define inet_count(inet, counter)	inet_count_n(inet, counter, 1)
#define inet_count_n(inet, counter, n)	lx_netdev_count(&inet_mib(inet)->counter, n)

/* Somebody changed what look-ups depend on.  config_lock held, inet->lock not. */
static inline void inet_changed(struct inet *inet)
{
	atomic_fetch_add_explicit(&inet->generation, 1, memory_order_release);
}

static inline uint32_t inet_generation(const struct inet *inet)
{
	return atomic_load_explicit(&((struct inet *)inet)->generation, memory_order_acquire);
}

static inline struct inet_port_range inet_port_range(const struct inet *inet)
{
	uint32_t word = atomic_load_explicit(&((struct inet *)inet)->conf.port_range,
					     memory_order_relaxed);

	return (struct inet_port_range){ .low = (uint16_t)word, .high = (uint16_t)(word >> 16) };
}

/*
 * Requests of ioctl(2) that are about addresses, routes and neighbours: netdevice(7), rtentry,
 * arp(7).  -ENOTTY: it is none of them.
 */
long inet_ioctl(struct lx_netns *ns, unsigned int cmd, uaddr_t arg);
/* SIOCGIFCONF. */
long inet_list_addresses(struct lx_netns *ns, uaddr_t arg);
