/* SPDX-License-Identifier: MIT */
/*
 * Neighbours as programs see and set them: RTM_NEWNEIGH, RTM_DELNEIGH, RTM_GETNEIGH (ip-neighbour(8)), and
 * ioctl(2) of arp(7).
 */
#include <linux/capability.h>
#include <linux/if_arp.h>
#include <linux/in.h>
#include <linux/sockios.h>

#include "inet/addr.h"
#include "inet/ioctl.h"
#include "inet/neigh.h"
#include "inet/rtnl.h"
#include "lx/cred.h"
#include "lx/task.h"

#define HAS_ADDRESS	(NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT | NUD_NOARP)

/* -- describing */

static uint32_t ticks(uint64_t ns)
{
	return (uint32_t)(ns / 10000000);	/* USER_HZ */
}

static bool describe(struct netlink_msg *m, const struct inet_neighbour_info *n, uint16_t flags,
		     uint32_t seq, uint32_t portid)
{
	struct nda_cacheinfo cache = {
		.ndm_confirmed = ticks(n->confirmed_ns), .ndm_used = ticks(n->used_ns),
		.ndm_updated = ticks(n->updated_ns),
	};
	uint32_t start = m->len;
	struct ndmsg *h = netlink_begin(m, RTM_NEWNEIGH, flags, seq, portid, sizeof(*h));

	if (h) {
		h->ndm_family = AF_INET;
		h->ndm_ifindex = n->ifindex;
		h->ndm_state = n->state;
		h->ndm_type = RTN_UNICAST;
	}
	netlink_put_u32(m, NDA_DST, n->addr_be);
	if (n->state & HAS_ADDRESS)
		netlink_put(m, NDA_LLADDR, n->mac, 6);
	netlink_put(m, NDA_CACHEINFO, &cache, sizeof(cache));
	netlink_put_u32(m, NDA_PROBES, n->probes);
	return netlink_end(m, start);
}

/* netlink_dump.fill: state counts entries; filter: the device's number, or 0. */
static void fill(struct netlink_dump *dump, struct netlink_msg *m)
{
	uint16_t flags = NLM_F_MULTI | (dump->filter[0] ? NLM_F_DUMP_FILTERED : 0);
	struct inet_neighbour_info n;

	while (inet_neighbour_nth(dump->ns->inet, (unsigned int)dump->state, &n)) {
		if ((!dump->filter[0] || n.ifindex == (int)dump->filter[0]) &&
		    !describe(m, &n, flags, dump->seq, dump->portid))
			return;
		dump->state++;
	}
}

static void fill_nothing(struct netlink_dump *dump, struct netlink_msg *m)
{
}

int rtnl_dump_neighbours(const struct netlink_request *r)
{
	uint32_t filter[NETLINK_FILTER] = { 0 };
	struct rtnl_attrs attrs;
	struct ndmsg h;
	int err = 0;

	if (r->len < sizeof(h) || rtnl_parse(r, &h, sizeof(h), &attrs)) {
		h.ndm_family = r->payload[0];
		memset(&attrs, 0, sizeof(attrs));
		h.ndm_flags = 0;
	}
	if ((h.ndm_family && h.ndm_family != AF_INET) || h.ndm_flags & NTF_PROXY)
		return netlink_start_dump(r, fill_nothing);
	(void)rtnl_u32(&attrs, NDA_IFINDEX, &filter[0], &err);
	return err ? err : netlink_start_dump_of(r, fill, filter);
}

/* -- one */

struct wanted {
	struct ndmsg h;
	uint32_t addr_be;
	uint8_t mac[LX_NETDEV_ADDR];
	bool has_mac;
	struct lx_netdev *dev;		/* a reference */
};

static int get_wanted(const struct netlink_request *r, struct wanted *w)
{
	struct rtnl_attrs attrs;
	int err = rtnl_parse(r, &w->h, sizeof(w->h), &attrs);
	const struct nlattr *mac;

	w->dev = NULL;
	w->has_mac = false;
	if (err)
		return err;
	if (w->h.ndm_family != AF_INET)
		return -EAFNOSUPPORT;
	if (!rtnl_u32(&attrs, NDA_DST, &w->addr_be, &err))
		return -EINVAL;
	w->dev = lx_netdev_by_index(r->ns, w->h.ndm_ifindex);
	if (!w->dev)
		return -ENODEV;
	mac = attrs.of[NDA_LLADDR];
	if (!mac)
		return 0;
	if (mac->nla_len < NLA_HDRLEN + w->dev->addr_len)
		return -EINVAL;
	memset(w->mac, 0, sizeof(w->mac));
	memcpy(w->mac, (const uint8_t *)mac + NLA_HDRLEN, w->dev->addr_len);
	w->has_mac = true;
	return 0;
}

static int get_one(const struct netlink_request *r, struct lx_netdev *dev, uint32_t addr_be)
{
	struct inet_neighbour_info n;
	struct netlink_msg *m;

	if (!inet_neighbour_find(r->ns->inet, dev, addr_be, &n))
		return -ENOENT;
	m = netlink_msg_alloc(512);
	if (!m)
		return -ENOBUFS;
	(void)describe(m, &n, 0, r->h->nlmsg_seq, atomic_load(&r->nl->portid));
	netlink_queue(r->nl, m);
	return 0;
}

int rtnl_get_neighbour(const struct netlink_request *r)
{
	struct wanted w;
	int err = get_wanted(r, &w);

	if (!err)
		err = get_one(r, w.dev, w.addr_be);
	lx_netdev_put(w.dev);
	return err;
}

static int set_one(const struct netlink_request *r, const struct wanted *w)
{
	uint16_t how = r->h->nlmsg_flags, state = w->h.ndm_state;
	struct inet_neighbour_info old;
	bool exists = inet_neighbour_find(r->ns->inet, w->dev, w->addr_be, &old);

	if (!lx_netdev_is_up(w->dev))
		return -ENETDOWN;
	if (!exists && !(how & NLM_F_CREATE))
		return -ENOENT;
	if (exists && how & NLM_F_EXCL)
		return -EEXIST;
	if (!w->has_mac && !(exists && old.state & HAS_ADDRESS))
		return state & HAS_ADDRESS ? -EINVAL : 0;
	if (!(state & HAS_ADDRESS))
		return inet_neighbour_remove(r->ns->inet, w->dev, w->addr_be);
	if (state & (NUD_DELAY | NUD_PROBE))
		state = NUD_STALE;	/* it is asked when somebody sends */
	return inet_neighbour_update(r->ns->inet, w->dev, w->addr_be, w->has_mac ? w->mac : old.mac,
				     state, NEIGHBOUR_ADMIN | NEIGHBOUR_OVERRIDE | NEIGHBOUR_CREATE);
}

int rtnl_new_neighbour(const struct netlink_request *r)
{
	struct wanted w;
	int err = get_wanted(r, &w);

	if (!err)
		err = set_one(r, &w);
	lx_netdev_put(w.dev);
	return err;
}

int rtnl_del_neighbour(const struct netlink_request *r)
{
	struct wanted w;
	int err = get_wanted(r, &w);

	if (!err)
		err = inet_neighbour_remove(r->ns->inet, w.dev, w.addr_be);
	lx_netdev_put(w.dev);
	return err;
}

/* -- arp(7) */

static uint32_t addr_of(const struct sockaddr *s)
{
	struct sockaddr_in in;

	memcpy(&in, s, sizeof(in));
	return in.sin_addr.s_addr;
}

static int arp_get(struct inet *inet, struct lx_netdev *dev, uint32_t be, struct arpreq *r)
{
	struct inet_neighbour_info n;

	if (!inet_neighbour_find(inet, dev, be, &n) || !(n.state & HAS_ADDRESS))
		return -ENXIO;
	memset(&r->arp_ha, 0, sizeof(r->arp_ha));
	r->arp_ha.sa_family = dev->type;
	memcpy(r->arp_ha.sa_data, n.mac, dev->addr_len);
	r->arp_flags = ATF_COM | (n.state & NUD_PERMANENT ? ATF_PERM : 0);
	return 0;
}

static int arp_set(struct inet *inet, struct lx_netdev *dev, uint32_t be, const struct arpreq *r)
{
	uint16_t state = r->arp_flags & ATF_PERM ? NUD_PERMANENT : NUD_STALE;
	uint8_t mac[LX_NETDEV_ADDR] = { 0 };

	if (r->arp_ha.sa_family != dev->type)
		return -EINVAL;
	memcpy(mac, r->arp_ha.sa_data, dev->addr_len);
	return inet_neighbour_update(inet, dev, be, mac, state,
				     NEIGHBOUR_ADMIN | NEIGHBOUR_OVERRIDE | NEIGHBOUR_CREATE);
}

/* By its name, or the one by which the neighbour is reached; a reference, or NULL. */
static struct lx_netdev *arp_device(struct lx_netns *ns, uint32_t be, const struct arpreq *r)
{
	struct inet_flow flow = { .dst = inet_addr_v4(be), .direct = true };
	struct inet_dst d;

	if (r->arp_dev[0])
		return lx_netdev_by_name(ns, r->arp_dev);
	return inet_route_output(ns->inet, &flow, &d) ? NULL : d.dev;
}

static int arp_do(struct lx_netns *ns, unsigned int cmd, struct lx_netdev *dev, uint32_t be,
		  struct arpreq *r)
{
	switch (cmd) {
	case SIOCGARP:
		return arp_get(ns->inet, dev, be, r);
	case SIOCSARP:
		return arp_set(ns->inet, dev, be, r);
	default:
		return inet_neighbour_remove(ns->inet, dev, be) ? -ENXIO : 0;
	}
}

long arp_ioctl(struct lx_netns *ns, unsigned int cmd, uaddr_t arg)
{
	struct lx_netdev *dev;
	struct arpreq r;
	uint32_t be;
	int err;

	if (cmd != SIOCGARP && !lx_capable(lx_self(), CAP_NET_ADMIN))
		return -EPERM;
	if (lx_copy_from_user(&r, arg, sizeof(r)))
		return -EFAULT;
	if (r.arp_pa.sa_family != AF_INET)
		return -EPFNOSUPPORT;
	if (r.arp_flags & ATF_PUBL)
		return -EOPNOTSUPP;	/* answers for others: nobody forwards */
	r.arp_dev[sizeof(r.arp_dev) - 1] = '\0';
	be = addr_of(&r.arp_pa);
	dev = arp_device(ns, be, &r);
	if (!dev)
		return r.arp_dev[0] ? -ENODEV : -ENXIO;
	err = arp_do(ns, cmd, dev, be, &r);
	lx_netdev_put(dev);
	lx_net_deliver(ns);
	return err || cmd != SIOCGARP ? err : lx_copy_to_user(arg, &r, sizeof(r));
}
