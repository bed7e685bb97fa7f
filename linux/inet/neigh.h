/* SPDX-License-Identifier: MIT */
/*
 * Neighbours: which address of the link an address of IP has (ARP).  States and times are those of RFC
 * 4861, 7.3.2, as Linux uses them for IPv4, too.
 */
#pragma once

#include "inet/inet.h"

int inet_neighbours_create(struct inet *inet);	/* 0 or -ENOMEM */
void inet_neighbours_destroy(struct inet *inet);

/*
 * Send @p, which begins with its IP header, to @hop_be on the link of @dev; taken over.  If the address is
 * not known it is asked for, and the packet waits.  Locks up to LX_LOCK_INET_ROUTE may be held.
 * 0; -ENOBUFS (no room for one more neighbour), or what lx_netdev_xmit() says.
 */
int inet_neighbour_send(struct inet *inet, struct lx_netdev *dev, uint32_t hop_be, struct lx_pbuf *p);
/* A reply came from @hop_be over what was sent there (MSG_CONFIRM, an ACK): it is reachable. */
void inet_neighbour_confirm(struct inet *inet, struct lx_netdev *dev, uint32_t hop_be);
/* All of a device, which is down; what waits is freed.  config_lock held. */
void inet_neighbours_flush(struct inet *inet, struct lx_netdev *dev);
