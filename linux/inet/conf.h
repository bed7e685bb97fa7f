/* SPDX-License-Identifier: MIT */
/*
 * What /proc/sys/net/ipv4 and parts of net/core set: a word each, per namespace.  There is nothing
 * here that is not honoured.
 *
 * INET_CONF(name, default, least, most): inet.conf.name, shown as net/ipv4/name.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#define INET_CONF_WORDS(INET_CONF) \
	INET_CONF(ip_default_ttl, 64, 1, 255) \
	INET_CONF(ip_forward, 0, 0, 0) \
	INET_CONF(ip_no_pmtu_disc, 0, 0, 1) \
	INET_CONF(ip_nonlocal_bind, 0, 0, 1) \
	INET_CONF(ip_unprivileged_port_start, 1024, 0, 65535) \
	INET_CONF(icmp_echo_ignore_all, 0, 0, 1) \
	INET_CONF(icmp_echo_ignore_broadcasts, 1, 0, 1) \
	INET_CONF(icmp_ratelimit, 1000, 0, INT32_MAX) \
	INET_CONF(icmp_ratemask, 6168, 0, INT32_MAX) \
	INET_CONF(icmp_msgs_per_sec, 1000, 0, INT32_MAX) \
	INET_CONF(icmp_msgs_burst, 50, 0, INT32_MAX) \
	INET_CONF(ipfrag_high_thresh, 4194304, 0, INT32_MAX) \
	INET_CONF(ipfrag_time, 30, 1, 3600)

struct inet_conf {
#define INET_CONF(name, value, least, most)	_Atomic(int32_t) name;
	INET_CONF_WORDS(INET_CONF)
#undef INET_CONF
	/* Shown by other names and in other forms (show.c). */
	_Atomic(int32_t) ping_group_low, ping_group_high;	/* ping_group_range: 1 0, nobody */
	_Atomic(uint32_t) port_range;	/* ip_local_port_range: the highest in the upper half */
	_Atomic(int32_t) neigh_retrans_ms, neigh_reachable_ms, neigh_stale_s, neigh_delay_s;
	_Atomic(int32_t) neigh_ucast_probes, neigh_mcast_probes, neigh_queue_bytes;
	_Atomic(int32_t) neigh_gc_thresh3;
};

static inline int32_t inet_conf(const _Atomic(int32_t) *word)
{
	return atomic_load_explicit(word, memory_order_relaxed);
}
