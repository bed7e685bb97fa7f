/* SPDX-License-Identifier: MIT */
/*
 * The life of a network namespace.  Tasks hold references through their lx_nsproxy, and so do
 * sockets and mounts of sysfs, whose devices it has.
 */
#include "inet/inet.h"
#include "inet/sysctl.h"
#include "lx/ns.h"
#include "lx/ref.h"
#include "lx/system.h"
#include "net/netdev_priv.h"

/* Of the machine's memory, what one namespace's packets may take. */
#define POOL_SHARE	8u
#define POOL_MIN	(4ull << 20)

struct lx_netns *lx_init_netns;

/* Everything goes but the devices that are not its own, of which it has none. */
static void destroy(struct lx_netns *ns)
{
	if (ns->loopback)
		loopback_end(ns);
	inet_destroy(ns->inet);
	rt_free(ns->netlink);
	lx_pbuf_pool_put(ns->pool);
	rt_free(ns);
}

static struct lx_netns *create(uint64_t ino)
{
	uint64_t share = lx_system.info.memory_bytes / POOL_SHARE;
	struct lx_netns *ns = rt_zalloc(sizeof(*ns));

	if (!ns)
		return NULL;
	atomic_init(&ns->refs, 1);
	ns->ino = ino;
	rt_mutex_init(&ns->config_lock, LX_LOCK_NET_CONFIG);
	list_init(&ns->listeners);
	list_init(&ns->packet_sockets);
	rt_rwlock_init(&ns->devices_lock, LX_LOCK_NETDEVS);
	list_init(&ns->devices);
	rt_rwlock_init(&ns->taps_lock, LX_LOCK_NET_TAPS);
	list_init(&ns->taps);
	ns->pool = lx_pbuf_pool_create(MAX(share, POOL_MIN));
	ns->inet = inet_create(ns);
	if (!ns->pool || !ns->inet || loopback_create(ns)) {
		destroy(ns);
		return NULL;
	}
	return ns;
}

struct lx_netns *lx_netns_create(void)
{
	return create(lx_ns_number_next());
}

int lx_net_init(void)
{
	lx_init_netns = create(4026531840u);
	if (!lx_init_netns)
		return -ENOMEM;
	netdev_sysfs_init();
	return inet_sysctl_init();
}

struct lx_netns *lx_netns_get(struct lx_netns *ns)
{
	if (ns)
		atomic_fetch_add_explicit(&ns->refs, 1, memory_order_relaxed);
	return ns;
}

struct lx_netns *lx_netns_get_unless_ending(struct lx_netns *ns)
{
	return lx_ref_get_unless_zero(&ns->refs) ? ns : NULL;
}

void lx_netns_put(struct lx_netns *ns)
{
	if (ns && atomic_fetch_sub_explicit(&ns->refs, 1, memory_order_acq_rel) == 1)
		destroy(ns);
}
