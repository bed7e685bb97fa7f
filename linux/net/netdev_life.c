/* SPDX-License-Identifier: MIT */
/*
 * Network devices: making, registering, finding them.
 *
 *	allocated --lx_netdev_register--> registered --lx_netdev_unregister--> gone --last reference--> freed
 *
 * A registered device has a name and a number of its own in its namespace, and the table holds a
 * reference.  Who finds it later may have it for as long as it likes; it is then of no use when
 * the device is gone: xmit says -ENETDOWN, since a queue that does not run is never started again.
 */
#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>

#include "base/format.h"
#include "base/parse.h"
#include "base/string.h"
#include "net/netdev_priv.h"

#define QUEUES_MAX	64u
#define PATTERN_MAX	1024u		/* numbers tried for a %d */
#define QUEUE_LEN	1000u		/* tx_queue_len of Ethernet, as on Linux */

static size_t private_offset(unsigned int nr_queues)
{
	return ALIGN_UP(offsetof(struct lx_netdev, queue) +
			nr_queues * sizeof(struct lx_netdev_queue), 16);
}

static void queue_init(struct lx_netdev_queue *q)
{
	rt_mutex_init(&q->lock, LX_LOCK_NETDEV_QUEUE);
	list_init(&q->backlog);
}

struct lx_netdev *lx_netdev_alloc(const char *name, const struct lx_netdev_ops *ops, size_t size,
				  unsigned int nr_queues)
{
	struct lx_netdev *dev;

	if (!nr_queues || nr_queues > QUEUES_MAX || strlen(name) >= LX_IFNAMSIZ)
		return NULL;
	dev = rt_zalloc(private_offset(nr_queues) + size);
	if (!dev)
		return NULL;
	dev->ops = ops;
	dev->type = ARPHRD_ETHER;
	dev->addr_len = 6;
	dev->header_len = ETHERNET_HEADER;
	dev->mtu_min = 68;
	dev->mtu_max = 1500;
	dev->broadcast = 0xffffffffffffull;
	dev->nr_queues = nr_queues;
	list_init(&dev->link);
	strlcpy(dev->name, name, sizeof(dev->name));
	atomic_init(&dev->refs, 1);
	atomic_init(&dev->flags, IFF_BROADCAST | IFF_MULTICAST);
	atomic_init(&dev->mtu, 1500);
	atomic_init(&dev->tx_queue_len, QUEUE_LEN);
	for (unsigned int i = 0; i < nr_queues; i++)
		queue_init(&dev->queue[i]);
	return dev;
}

void *lx_netdev_private(struct lx_netdev *dev)
{
	return (uint8_t *)dev + private_offset(dev->nr_queues);
}

struct lx_netdev *lx_netdev_get(struct lx_netdev *dev)
{
	atomic_fetch_add_explicit(&dev->refs, 1, memory_order_relaxed);
	return dev;
}

void lx_netdev_put(struct lx_netdev *dev)
{
	if (!dev || atomic_fetch_sub_explicit(&dev->refs, 1, memory_order_acq_rel) != 1)
		return;
	if (dev->ops->release)
		dev->ops->release(dev);
	rt_free(dev);
}

/* -- the table */

/* devices_lock or config_lock held. */
static struct lx_netdev *find_name(struct lx_netns *ns, const char *name)
{
	struct lx_netdev *dev;

	list_for_each_entry(dev, &ns->devices, link)
		if (str_equal(dev->name, name))
			return dev;
	return NULL;
}

struct lx_netdev *lx_netdev_by_name(struct lx_netns *ns, const char *name)
{
	struct lx_netdev *dev;

	rt_read_lock(&ns->devices_lock);
	dev = find_name(ns, name);
	if (dev)
		lx_netdev_get(dev);
	rt_read_unlock(&ns->devices_lock);
	return dev;
}

struct lx_netdev *lx_netdev_after(struct lx_netns *ns, int ifindex)
{
	struct lx_netdev *dev, *found = NULL;

	rt_read_lock(&ns->devices_lock);
	list_for_each_entry(dev, &ns->devices, link)
		if (dev->ifindex > ifindex) {
			found = lx_netdev_get(dev);
			break;
		}
	rt_read_unlock(&ns->devices_lock);
	return found;
}

struct lx_netdev *lx_netdev_by_index(struct lx_netns *ns, int ifindex)
{
	struct lx_netdev *dev = ifindex > 0 ? lx_netdev_after(ns, ifindex - 1) : NULL;

	if (!dev || dev->ifindex == ifindex)
		return dev;
	lx_netdev_put(dev);
	return NULL;
}

/* -- names: config_lock held */

bool netdev_name_is_valid(const char *name)
{
	if (!*name || strlen(name) >= LX_IFNAMSIZ || str_equal(name, ".") || str_equal(name, ".."))
		return false;
	for (const char *c = name; *c; c++)
		if (*c == '/' || *c == ':' || char_is_space(*c))
			return false;
	return true;
}

/* @name with the first number for its %d that is free. */
static int number_name(struct lx_netns *ns, const char *pattern, const char *percent,
		       char name[LX_IFNAMSIZ])
{
	size_t n = (size_t)(percent - pattern);

	for (unsigned int i = 0; i < PATTERN_MAX; i++) {
		char full[2 * LX_IFNAMSIZ];

		memcpy(full, pattern, n);
		snprintf(full + n, sizeof(full) - n, "%u%s", i, percent + 2);
		if (strlen(full) >= LX_IFNAMSIZ)
			return -ENFILE;
		if (!find_name(ns, full)) {
			strlcpy(name, full, LX_IFNAMSIZ);
			return 0;
		}
	}
	return -ENFILE;
}

static int choose_name(struct lx_netns *ns, const char *wanted, char name[LX_IFNAMSIZ])
{
	const char *percent = strchr(wanted, '%');

	if (!netdev_name_is_valid(wanted))
		return -EINVAL;
	if (percent && (percent[1] != 'd' || strchr(percent + 2, '%')))
		return -EINVAL;
	if (percent)
		return number_name(ns, wanted, percent, name);
	if (find_name(ns, wanted))
		return -EEXIST;
	strlcpy(name, wanted, LX_IFNAMSIZ);
	return 0;
}

int lx_netdev_change_name(struct lx_netdev *dev, const char *wanted)
{
	struct lx_netns *ns = dev->ns;
	char name[LX_IFNAMSIZ];
	int err;

	if (str_equal(wanted, dev->name))
		return 0;
	err = choose_name(ns, wanted, name);
	if (err)
		return err;
	netdev_sysfs_remove(dev);
	rt_write_lock(&ns->devices_lock);
	strlcpy(dev->name, name, sizeof(dev->name));
	rt_write_unlock(&ns->devices_lock);
	err = netdev_sysfs_add(dev);
	if (err)
		rt_log(RT_LOG_WARNING, "%s: no memory for its files in sysfs", dev->name);
	netdev_notify(dev, LX_NETDEV_CHANGED);
	return 0;
}

/* -- coming and going */

void netdev_notify(struct lx_netdev *dev, enum lx_netdev_event e)
{
	struct lx_netdev_listener *l;

	list_for_each_entry(l, &dev->ns->listeners, link)
		l->event(l, dev, e);
}

static int register_locked(struct lx_netns *ns, struct lx_netdev *dev)
{
	char name[LX_IFNAMSIZ];
	int err = choose_name(ns, dev->name, name);

	if (err)
		return err;
	strlcpy(dev->name, name, sizeof(dev->name));
	dev->ns = ns;
	dev->ifindex = ++ns->next_ifindex;
	err = netdev_sysfs_add(dev);
	if (err)
		return err;
	dev->registered = true;
	lx_netdev_get(dev);
	rt_write_lock(&ns->devices_lock);
	list_add_last(&ns->devices, &dev->link);
	rt_write_unlock(&ns->devices_lock);
	netdev_notify(dev, LX_NETDEV_REGISTERED);
	return 0;
}

int lx_netdev_register(struct lx_netns *ns, struct lx_netdev *dev)
{
	int err;

	rt_mutex_lock(&ns->config_lock);
	err = register_locked(ns, dev);
	rt_mutex_unlock(&ns->config_lock);
	return err;
}

void lx_netdev_unregister(struct lx_netdev *dev)
{
	struct lx_netns *ns = dev->ns;

	rt_mutex_lock(&ns->config_lock);
	netdev_close(dev);
	dev->registered = false;
	rt_write_lock(&ns->devices_lock);
	list_remove(&dev->link);
	rt_write_unlock(&ns->devices_lock);
	netdev_notify(dev, LX_NETDEV_UNREGISTERED);
	netdev_sysfs_remove(dev);
	rt_mutex_unlock(&ns->config_lock);
	lx_netdev_put(dev);		/* the table's */
}

/* -- what it is */

void lx_netdev_address(const struct lx_netdev *dev, uint8_t address[LX_NETDEV_ADDR])
{
	uint64_t a = atomic_load_explicit(&dev->address, memory_order_relaxed);

	for (unsigned int i = 0; i < LX_NETDEV_ADDR; i++)
		address[i] = (uint8_t)(a >> 8 * i);
}

void lx_netdev_set_address(struct lx_netdev *dev, const uint8_t *address)
{
	uint64_t a = 0;

	for (unsigned int i = 0; i < dev->addr_len; i++)
		a |= (uint64_t)address[i] << 8 * i;
	atomic_store_explicit(&dev->address, a, memory_order_relaxed);
}

static uint64_t get(const _Atomic(uint64_t) *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

void lx_netdev_stats(struct lx_netdev *dev, struct rtnl_link_stats64 *out)
{
	memset(out, 0, sizeof(*out));
	for (unsigned int i = 0; i < dev->nr_queues; i++) {
		const struct lx_netdev_stats *s = &dev->queue[i].stats;

		out->rx_packets += get(&s->rx_packets);
		out->rx_bytes += get(&s->rx_bytes);
		out->rx_errors += get(&s->rx_errors);
		out->rx_dropped += get(&s->rx_dropped);
		out->rx_nohandler += get(&s->rx_nohandler);
		out->multicast += get(&s->multicast);
		out->tx_packets += get(&s->tx_packets);
		out->tx_bytes += get(&s->tx_bytes);
		out->tx_errors += get(&s->tx_errors);
		out->tx_dropped += get(&s->tx_dropped);
		out->rx_length_errors += get(&s->rx_length_errors);
		out->rx_over_errors += get(&s->rx_over_errors);
		out->rx_frame_errors += get(&s->rx_frame_errors);
		out->tx_carrier_errors += get(&s->tx_carrier_errors);
	}
}
