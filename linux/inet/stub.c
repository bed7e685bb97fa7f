/* SPDX-License-Identifier: MIT */
/*
 * What protocols that are not there yet say.  Whoever writes one takes its lines out of here.
 */
#include "inet/ip4.h"
#include "inet/neigh.h"

/* -- udp */
const struct inet_protocol udp_protocol;

/* -- tcp */
const struct inet_protocol tcp_protocol;

/* -- raw */
bool raw_receive(struct inet *inet, struct lx_netdev *dev, const struct lx_pbuf *p)
{
	return false;
}

void raw_error(struct inet *inet, const struct ip_error *e)
{
}

/* -- ping */
bool ping_receive(struct inet *inet, struct lx_netdev *dev, const struct lx_pbuf *p)
{
	return false;
}

void ping_error(struct inet *inet, const struct ip_error *e)
{
}

/* -- neighbours, fragments, what netlink hears */
int inet_neighbours_create(struct inet *inet)
{
	return 0;
}

void inet_neighbours_destroy(struct inet *inet)
{
}

int inet_neighbour_send(struct inet *inet, struct lx_netdev *dev, uint32_t hop_be, struct lx_pbuf *p)
{
	lx_pbuf_free(p);
	return -EHOSTUNREACH;
}

void inet_neighbour_confirm(struct inet *inet, struct lx_netdev *dev, uint32_t hop_be)
{
}

void inet_neighbours_flush(struct inet *inet, struct lx_netdev *dev)
{
}

int ip4_fragments_create(struct inet *inet)
{
	return 0;
}

void ip4_fragments_destroy(struct inet *inet)
{
}

struct lx_pbuf *ip4_reassemble(struct inet *inet, struct lx_netdev *dev, struct lx_pbuf *p)
{
	lx_pbuf_free(p);
	return NULL;
}

int ip4_fragment(struct inet *inet, const struct inet_dst *d, struct lx_pbuf *p, uint32_t mtu)
{
	lx_pbuf_free(p);
	return -EMSGSIZE;
}

void rtnl_address_event(struct inet *inet, uint16_t type, struct lx_netdev *dev,
			const struct inet_address *a, uint32_t seq, uint32_t portid)
{
}

void rtnl_route_event(struct inet *inet, uint16_t type, const struct route *r, uint16_t flags,
		      uint32_t seq, uint32_t portid)
{
}

long inet_ioctl(struct lx_netns *ns, unsigned int cmd, uaddr_t arg)
{
	return -ENOTTY;
}
