/* SPDX-License-Identifier: MIT */
/* Filters of sockets on what they receive: SO_ATTACH_FILTER (socket(7)), classic BPF. */
#pragma once

#include "lx/netdev.h"

struct packet_filter;

/*
 * A checked copy of the program's filter (struct sock_fprog).  0; -EFAULT; -EINVAL: it is none, or
 * asks for what is not there; -ENOMEM.
 */
int packet_filter_load(uaddr_t fprog, struct packet_filter **out);
void packet_filter_free(struct packet_filter *f);	/* NULL is fine */
/*
 * How many bytes the filter lets through of @p as a socket sees it; 0: none.  @place: where what the
 * socket sees begins (as lx_pbuf_place()), perhaps before the packet's first byte, in its first block.
 */
uint32_t packet_filter_run(const struct packet_filter *f, const struct lx_pbuf *p, uint16_t place,
			   const struct lx_netdev *dev, uint8_t pkttype);
