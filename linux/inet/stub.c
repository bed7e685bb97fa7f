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

/* -- fragments */
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
