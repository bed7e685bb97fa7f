/* SPDX-License-Identifier: MIT */
/*
 * What protocols that are not there yet say.  Whoever writes one takes its lines out of here.
 */
#include "inet/ip.h"

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

/* -- ip */
const struct inet_protocol icmp4_protocol;
int inet_route_output(struct inet *inet, const struct inet_flow *flow, struct inet_dst *out)
{
	return -ENETUNREACH;
}

bool inet_dst_is_valid(struct inet *inet, const struct inet_dst *d)
{
	return false;
}

void inet_dst_release(struct inet_dst *d)
{
}

uint8_t inet_addr_type(struct inet *inet, const struct inet_addr *a, int ifindex)
{
	return 1;
}

int ip_send(struct inet *inet, const struct inet_dst *d, struct lx_pbuf *p, const struct ip_tx *t)
{
	lx_pbuf_free(p);
	return -ENETUNREACH;
}

int ip4_options_check(const uint8_t *options, unsigned int len)
{
	return -EINVAL;
}

uint32_t ip_pseudo_csum(const struct inet_addr *src, const struct inet_addr *dst, uint8_t protocol,
			uint32_t len)
{
	return 0;
}

void icmp4_send_error(struct inet *inet, struct lx_netdev *dev, struct lx_pbuf *p, uint8_t type,
		      uint8_t code, uint32_t info_be)
{
}

int inet_multicast_join(struct inet *inet, struct lx_netdev *dev, const struct inet_addr *group)
{
	return -EOPNOTSUPP;
}

void inet_multicast_leave(struct inet *inet, struct lx_netdev *dev, const struct inet_addr *group)
{
}

long inet_ioctl(struct lx_netns *ns, unsigned int cmd, uaddr_t arg)
{
	return -ENOTTY;
}
