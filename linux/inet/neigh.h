/* SPDX-License-Identifier: MIT */
/*
 * Neighbours: which address of the link an address of IP has (ARP).  States and times are those of RFC
 * 4861, 7.3.2, as Linux uses them for IPv4, too.
 */
#pragma once

#include <linux/neighbour.h>

#include "inet/inet.h"

int inet_neighbours_create(struct inet *inet);	/* 0 or -ENOMEM */
void inet_neighbours_destroy(struct inet *inet);

/*
 * Send @p, which begins with its IP header, to @hop_be on the link of @dev; taken over.  If the
 * address is not known it is asked for, and the packet waits.  Locks below LX_LOCK_NEIGHBOUR may be
 * held.  0; -ENOBUFS (no room for one more neighbour), or what lx_netdev_xmit() says.
 */
int inet_neighbour_send(struct inet *inet, struct lx_netdev *dev, uint32_t hop_be, struct lx_pbuf *p);
/* What was sent to @hop_be was answered (MSG_CONFIRM, an ACK): it is reachable.  The same locks. */
void inet_neighbour_confirm(struct inet *inet, struct lx_netdev *dev, uint32_t hop_be);
/* All of a device, which is down, or of every one (NULL); what waits is freed. */
void inet_neighbours_flush(struct inet *inet, struct lx_netdev *dev);

/* Of what was heard: how much it says. */
#define NEIGHBOUR_OVERRIDE	1u	/* another address than the one that is known counts */
#define NEIGHBOUR_CREATE	2u	/* who is not known becomes so */
#define NEIGHBOUR_ADMIN		4u	/* a program says so: counts whatever the state is */

/*
 * @mac is the address of @be, which is now in @state (NUD_*).  0; -ENOENT: it is not known, and is not
 * made; -ENOBUFS, -ENOMEM.
 */
int inet_neighbour_update(struct inet *inet, struct lx_netdev *dev, uint32_t be, const uint8_t *mac,
			  uint16_t state, unsigned int how);
/* 0 or -ENOENT. */
int inet_neighbour_remove(struct inet *inet, struct lx_netdev *dev, uint32_t be);

/* What is shown of one. */
struct inet_neighbour_info {
	uint32_t addr_be;
	int ifindex;
	uint16_t state;			/* NUD_* */
	uint8_t mac[LX_NETDEV_ADDR];
	uint32_t probes;
	uint64_t used_ns, confirmed_ns, updated_ns;	/* ago */
};

/* Number @n in the order of the table; false: there are not as many. */
bool inet_neighbour_nth(struct inet *inet, unsigned int n, struct inet_neighbour_info *out);
bool inet_neighbour_find(struct inet *inet, struct lx_netdev *dev, uint32_t be,
			 struct inet_neighbour_info *out);
