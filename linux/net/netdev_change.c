/* SPDX-License-Identifier: MIT */
/*
 * Network devices: up and down, settings, carrier.  All but the carrier with config_lock held, so
 * that a driver hears of one change at a time.  What Linux allows and refuses: netdevice(7), and
 * what it was seen to do.
 */
#include <linux/if.h>

#include "net/netdev_priv.h"

/* What SIOCSIFFLAGS may set as it likes, besides IFF_UP, IFF_PROMISC and IFF_ALLMULTI. */
#define FREE_FLAGS	(IFF_DEBUG | IFF_NOTRAILERS | IFF_NOARP | IFF_DYNAMIC | IFF_MULTICAST | \
			 IFF_PORTSEL | IFF_AUTOMEDIA)
#define ASKED_FLAGS	(IFF_PROMISC | IFF_ALLMULTI)

static uint32_t flags_of(const struct lx_netdev *dev)
{
	return atomic_load_explicit(&dev->flags, memory_order_relaxed);
}

static void set_flags(struct lx_netdev *dev, uint32_t flags)
{
	atomic_store_explicit(&dev->flags, flags, memory_order_relaxed);
}

bool lx_netdev_has_carrier(const struct lx_netdev *dev)
{
	return dev->is_virtual || atomic_load_explicit(&dev->carrier, memory_order_relaxed);
}

uint8_t lx_netdev_operstate(const struct lx_netdev *dev)
{
	if (dev->is_virtual)
		return IF_OPER_UNKNOWN;
	return lx_netdev_is_up(dev) && lx_netdev_has_carrier(dev) ? IF_OPER_UP : IF_OPER_DOWN;
}

uint32_t lx_netdev_flags(const struct lx_netdev *dev)
{
	uint32_t flags = (flags_of(dev) & ~ASKED_FLAGS) | READ_ONCE(dev->asked_flags);

	if (flags & IFF_UP && lx_netdev_has_carrier(dev))
		flags |= IFF_RUNNING | IFF_LOWER_UP;
	return flags;
}

/* -- which frames are wanted */

static void rx_mode_changed(struct lx_netdev *dev)
{
	if (lx_netdev_is_up(dev) && dev->ops->set_rx_mode)
		dev->ops->set_rx_mode(dev);
}

/* Count in *@count; @flag (or 0) is there while anybody is. */
static void count_wish(struct lx_netdev *dev, uint32_t *count, uint32_t flag, int change)
{
	uint32_t before = *count;

	*count += (uint32_t)change;
	if (!before == !*count)
		return;
	if (*count)
		set_flags(dev, flags_of(dev) | flag);
	else
		set_flags(dev, flags_of(dev) & ~flag);
	rx_mode_changed(dev);
}

void lx_netdev_promiscuity(struct lx_netdev *dev, int change)
{
	count_wish(dev, &dev->promiscuity, IFF_PROMISC, change);
}

void lx_netdev_allmulti(struct lx_netdev *dev, int change)
{
	count_wish(dev, &dev->allmulti, IFF_ALLMULTI, change);
}

void lx_netdev_multicast(struct lx_netdev *dev, int change)
{
	count_wish(dev, &dev->multicast, 0, change);
}

/* -- up and down */

static int netdev_open(struct lx_netdev *dev)
{
	int err;

	if (!dev->registered)
		return -ENODEV;
	err = dev->ops->open(dev);
	if (err)
		return err;
	netdev_queues_start(dev);
	set_flags(dev, flags_of(dev) | IFF_UP);
	rx_mode_changed(dev);
	netdev_notify(dev, LX_NETDEV_UP);
	return 0;
}

void netdev_close(struct lx_netdev *dev)
{
	if (!lx_netdev_is_up(dev))
		return;
	set_flags(dev, flags_of(dev) & ~(uint32_t)IFF_UP);
	netdev_queues_stop(dev);
	dev->ops->stop(dev);
	netdev_notify(dev, LX_NETDEV_DOWN);
}

/* A program's own wish for @flag has become @flags & @flag. */
static void ask(struct lx_netdev *dev, uint32_t flags, uint32_t flag,
		void (*count)(struct lx_netdev *dev, int change))
{
	if (!((dev->asked_flags ^ flags) & flag))
		return;
	WRITE_ONCE(dev->asked_flags, dev->asked_flags ^ flag);
	count(dev, flags & flag ? 1 : -1);
}

int lx_netdev_change_flags(struct lx_netdev *dev, uint32_t flags, uint32_t mask)
{
	uint32_t old = lx_netdev_flags(dev), free = FREE_FLAGS & mask;
	int err = 0;

	flags = (flags & mask) | (old & ~mask);
	set_flags(dev, (flags_of(dev) & ~free) | (flags & free));
	if ((old ^ flags) & IFF_UP) {
		if (flags & IFF_UP)
			err = netdev_open(dev);
		else
			netdev_close(dev);
	}
	ask(dev, flags, IFF_PROMISC, lx_netdev_promiscuity);
	ask(dev, flags, IFF_ALLMULTI, lx_netdev_allmulti);
	/* going up and down was told of already, with what comes of it */
	if ((old ^ lx_netdev_flags(dev)) & ~(uint32_t)(IFF_UP | IFF_RUNNING | IFF_LOWER_UP))
		netdev_notify(dev, LX_NETDEV_CHANGED);
	return err;
}

/* -- settings */

int lx_netdev_change_mtu(struct lx_netdev *dev, int mtu)
{
	int err = 0;

	if (mtu == (int)atomic_load(&dev->mtu))
		return 0;
	if (mtu < 0 || (uint32_t)mtu < dev->mtu_min || (dev->mtu_max && (uint32_t)mtu > dev->mtu_max))
		return -EINVAL;
	if (dev->ops->set_mtu)
		err = dev->ops->set_mtu(dev, (uint32_t)mtu);
	if (err)
		return err;
	atomic_store_explicit(&dev->mtu, (uint32_t)mtu, memory_order_relaxed);
	netdev_notify(dev, LX_NETDEV_CHANGED);
	return 0;
}

int lx_netdev_change_address(struct lx_netdev *dev, const uint8_t *address)
{
	int err;

	if (!dev->ops->set_address)
		return -EOPNOTSUPP;
	err = dev->ops->set_address(dev, address);
	if (err)
		return err;
	lx_netdev_set_address(dev, address);
	netdev_notify(dev, LX_NETDEV_CHANGED);
	return 0;
}

int lx_netdev_change_tx_queue_len(struct lx_netdev *dev, int packets)
{
	if (packets < 0)
		return -EINVAL;
	atomic_store_explicit(&dev->tx_queue_len, (uint32_t)packets, memory_order_relaxed);
	return 0;
}

void lx_netdev_set_carrier(struct lx_netdev *dev, bool carrier)
{
	struct lx_netns *ns = dev->ns;

	if (atomic_exchange(&dev->carrier, carrier) == carrier)
		return;
	if (!ns)
		return;			/* it is not registered yet */
	atomic_fetch_add_explicit(&dev->carrier_changes, 1, memory_order_relaxed);
	rt_mutex_lock(&ns->config_lock);
	if (dev->registered)
		netdev_notify(dev, LX_NETDEV_CARRIER);
	rt_mutex_unlock(&ns->config_lock);
}
