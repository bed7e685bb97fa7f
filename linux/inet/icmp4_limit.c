/* SPDX-License-Identifier: MIT */
/*
 * How many ICMP errors may be sent (RFC 1812, 4.3.2.8): icmp_msgs_per_sec of all, and icmp_ratelimit
 * to one address, with bursts.  What is known of addresses has a place by a keyed hash, and
 * is forgotten when another one needs it: the limit of all bounds what that gives away.
 */
#include "inet/ip4.h"
#include "rt/time.h"

#define PLACES		256u
#define BURST		6u		/* to one address */

struct bucket {
	uint32_t addr_be;
	uint64_t full_ns;		/* when it has its whole burst again */
};

struct inet_limits {
	struct rt_mutex lock;		/* rank LX_LOCK_LEAF */
	uint64_t all_full_ns;		/* lock; as of a bucket */
	struct bucket place[PLACES];	/* lock */
};

int icmp4_limits_create(struct inet *inet)
{
	inet->limits = rt_zalloc(sizeof(*inet->limits));
	if (!inet->limits)
		return -ENOMEM;
	rt_mutex_init(&inet->limits->lock, LX_LOCK_LEAF);
	return 0;
}

void icmp4_limits_destroy(struct inet *inet)
{
	rt_free(inet->limits);
}

/* One more, of which there are @burst at once and one each @each_ns? */
static bool take(uint64_t *full_ns, uint64_t now, uint64_t each_ns, uint64_t burst)
{
	uint64_t from = MAX(*full_ns, now);

	if (from - now + each_ns > each_ns * burst)
		return false;
	*full_ns = from + each_ns;
	return true;
}

static bool take_of_all(struct inet *inet, uint64_t now)
{
	uint64_t rate = (uint64_t)inet_conf(&inet->conf.icmp_msgs_per_sec);

	if (!rate)
		return false;
	return take(&inet->limits->all_full_ns, now, 1000000000 / rate,
		    (uint64_t)inet_conf(&inet->conf.icmp_msgs_burst));
}

static bool take_of_one(struct inet *inet, uint32_t dst_be, uint64_t now)
{
	uint64_t key = dst_be, each = (uint64_t)inet_conf(&inet->conf.icmp_ratelimit) * 1000000;
	struct bucket *b = &inet->limits->place[siphash(&inet->secret.table, &key, 1) % PLACES];

	if (b->addr_be != dst_be)
		*b = (struct bucket){ .addr_be = dst_be };
	return take(&b->full_ns, now, each, BURST);
}

bool icmp4_may_send(struct inet *inet, uint8_t type, uint32_t dst_be)
{
	uint64_t now = rt_now_ns();
	bool all, one;

	if (type > 31 || !(inet_conf(&inet->conf.icmp_ratemask) >> type & 1))
		return true;
	rt_mutex_lock(&inet->limits->lock);
	all = take_of_all(inet, now);
	one = all && take_of_one(inet, dst_be, now);
	rt_mutex_unlock(&inet->limits->lock);
	if (!all)
		inet_count(inet, icmp[ICMP_MIB_RATELIMITGLOBAL]);
	else if (!one)
		inet_count(inet, icmp[ICMP_MIB_RATELIMITHOST]);
	return one;
}
