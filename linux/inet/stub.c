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
