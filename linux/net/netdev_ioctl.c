/* SPDX-License-Identifier: MIT */
/*
 * Network devices as ioctl(2) of any socket shows and changes them: netdevice(7).
 *
 * Addresses (SIOCGIFADDR and its relatives) are asked of sockets of the protocol, or of packets:
 * inet_ioctl().
 */
#include <linux/capability.h>
#include <linux/if.h>
#include <linux/sockios.h>

#include "inet/inet.h"
#include "net/net_priv.h"
#include "net/netdev_priv.h"

/* -- asking */

static int get_name(struct lx_netns *ns, struct ifreq *r)
{
	struct lx_netdev *dev;

	rt_mutex_lock(&ns->config_lock);
	dev = lx_netdev_by_index(ns, r->ifr_ifindex);
	if (dev)
		memcpy(r->ifr_name, dev->name, sizeof(r->ifr_name));
	rt_mutex_unlock(&ns->config_lock);
	lx_netdev_put(dev);
	return dev ? 0 : -ENODEV;
}

static void get_address(struct lx_netdev *dev, struct ifreq *r)
{
	uint8_t own[LX_NETDEV_ADDR];

	lx_netdev_address(dev, own);
	memset(&r->ifr_hwaddr, 0, sizeof(r->ifr_hwaddr));
	r->ifr_hwaddr.sa_family = dev->type;
	memcpy(r->ifr_hwaddr.sa_data, own, dev->addr_len);
}

static int get(struct lx_netdev *dev, unsigned int cmd, struct ifreq *r)
{
	switch (cmd) {
	case SIOCGIFFLAGS:
		r->ifr_flags = (short)lx_netdev_flags(dev);
		return 0;
	case SIOCGIFMETRIC:
		r->ifr_metric = 0;
		return 0;
	case SIOCGIFMTU:
		r->ifr_mtu = (int)atomic_load(&dev->mtu);
		return 0;
	case SIOCGIFHWADDR:
		get_address(dev, r);
		return 0;
	case SIOCGIFMAP:
		memset(&r->ifr_map, 0, sizeof(r->ifr_map));
		return 0;
	case SIOCGIFINDEX:
		r->ifr_ifindex = dev->ifindex;
		return 0;
	case SIOCGIFTXQLEN:
		r->ifr_qlen = (int)atomic_load(&dev->tx_queue_len);
		return 0;
	default:			/* SIOCGIFSLAVE */
		return -EINVAL;
	}
}

/* -- changing: config_lock held */

static int set_address(struct lx_netdev *dev, const struct ifreq *r)
{
	if (r->ifr_hwaddr.sa_family != dev->type)
		return -EINVAL;
	return lx_netdev_change_address(dev, (const uint8_t *)r->ifr_hwaddr.sa_data);
}

/* Flags are 16 bits here: those above stay. */
static int set_flags(struct lx_netdev *dev, const struct ifreq *r)
{
	return lx_netdev_change_flags(dev, (uint16_t)r->ifr_flags, UINT16_MAX);
}

static int set(struct lx_netdev *dev, unsigned int cmd, struct ifreq *r)
{
	switch (cmd) {
	case SIOCSIFFLAGS:
		return set_flags(dev, r);
	case SIOCSIFMTU:
		return lx_netdev_change_mtu(dev, r->ifr_mtu);
	case SIOCSIFHWADDR:
		return set_address(dev, r);
	case SIOCSIFTXQLEN:
		return lx_netdev_change_tx_queue_len(dev, r->ifr_qlen);
	case SIOCSIFNAME:
		r->ifr_newname[IFNAMSIZ - 1] = '\0';
		return lx_netdev_change_name(dev, r->ifr_newname);
	case SIOCSIFMETRIC:
	case SIOCSIFMAP:
		return -EOPNOTSUPP;
	default:			/* SIOCADDMULTI, SIOCDELMULTI, SIOCSIFHWBROADCAST */
		return -EINVAL;
	}
}

/* -- requests */

static int ask(struct lx_netns *ns, unsigned int cmd, struct ifreq *r)
{
	struct lx_netdev *dev = lx_netdev_by_name(ns, r->ifr_name);
	int err = dev ? get(dev, cmd, r) : -ENODEV;

	lx_netdev_put(dev);
	return err;
}

static int change(struct lx_netns *ns, unsigned int cmd, struct ifreq *r)
{
	struct lx_netdev *dev;
	int err = -ENODEV;

	if (!lx_capable(lx_self(), CAP_NET_ADMIN))
		return -EPERM;
	rt_mutex_lock(&ns->config_lock);
	dev = lx_netdev_by_name(ns, r->ifr_name);
	if (dev)
		err = set(dev, cmd, r);
	rt_mutex_unlock(&ns->config_lock);
	lx_netdev_put(dev);
	return err;
}

/* No driver here is asked anything by ethtool(8) yet: each request is one that it does not know. */
static long ethtool(struct lx_netns *ns, struct ifreq *r)
{
	struct lx_netdev *dev = lx_netdev_by_name(ns, r->ifr_name);
	uint32_t request;

	if (!dev)
		return -ENODEV;
	lx_netdev_put(dev);
	if (lx_copy_from_user(&request, uaddr((uintptr_t)r->ifr_data), sizeof(request)))
		return -EFAULT;
	return -EOPNOTSUPP;
}

long netdev_ioctl(struct lx_netns *ns, unsigned int cmd, uaddr_t arg)
{
	struct ifreq r;
	long err;

	if (cmd == SIOCGIFCONF)
		return inet_list_addresses(ns, arg);
	if (cmd < SIOCGIFNAME || cmd > SIOCSIFMAP)
		return -ENOTTY;
	if (lx_copy_from_user(&r, arg, sizeof(r)))
		return -EFAULT;
	r.ifr_name[IFNAMSIZ - 1] = '\0';
	switch (cmd) {
	case SIOCGIFNAME:
		err = get_name(ns, &r);
		break;
	case SIOCGIFFLAGS:
	case SIOCGIFMETRIC:
	case SIOCGIFMTU:
	case SIOCGIFHWADDR:
	case SIOCGIFSLAVE:
	case SIOCGIFMAP:
	case SIOCGIFINDEX:
	case SIOCGIFTXQLEN:
		err = ask(ns, cmd, &r);
		break;
	case SIOCETHTOOL:
		return ethtool(ns, &r);
	case SIOCSIFFLAGS:
	case SIOCSIFMETRIC:
	case SIOCSIFMTU:
	case SIOCSIFHWADDR:
	case SIOCSIFMAP:
	case SIOCSIFNAME:
	case SIOCSIFTXQLEN:
	case SIOCSIFHWBROADCAST:
	case SIOCADDMULTI:
	case SIOCDELMULTI:
		return change(ns, cmd, &r);
	default:
		return -ENOTTY;
	}
	return err ? err : lx_copy_to_user(arg, &r, sizeof(r));
}
