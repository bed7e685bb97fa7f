/* SPDX-License-Identifier: MIT */
/* ARP (RFC 826, 5227): questions and answers of Ethernet. */
#pragma once

#include "inet/inet.h"

/* Takes @p over, which begins with ARP's header. */
void arp_receive(struct inet *inet, struct lx_netdev *dev, struct lx_pbuf *p);
/* Who has @target_be?  @to: whom to ask, or NULL for all.  Locks up to LX_LOCK_NEIGHBOUR may be held. */
void arp_ask(struct inet *inet, struct lx_netdev *dev, uint32_t target_be, uint32_t src_be,
	     const uint8_t *to);
