/* SPDX-License-Identifier: MIT */
/*
 * What the files of IPv4 share.
 */
#pragma once

#include <linux/ip.h>

#include "inet/addr.h"
#include "inet/route.h"

#define IP4_HEADER	20u
#define IP4_HEADER_MAX	60u
#define IP4_MAX		65535u		/* bytes of a packet */
#define IP4_DF		0x4000u		/* of frag_off */
#define IP4_MF		0x2000u
#define IP4_OFFSET	0x1fffu		/* in units of 8 bytes */

/* -- ip4_in.c */
/* Takes @p over, which begins with the IP header. */
void ip4_receive(struct inet *inet, struct lx_netdev *dev, struct lx_pbuf *p);
/* The protocol of a number, or NULL. */
const struct inet_protocol *ip4_protocol(uint8_t number);

/* -- ip4_options.c */
struct ip4_options {
	bool source_route, router_alert;
	uint8_t bad_at;			/* of a broken one: its byte, from the start of the options */
};
/* 0, or -EINVAL: broken. */
int ip4_options_parse(const uint8_t *options, unsigned int len, struct ip4_options *out);

/* -- ip4_frag.c */
int ip4_fragments_create(struct inet *inet);	/* 0 or -ENOMEM */
void ip4_fragments_destroy(struct inet *inet);
/*
 * A fragment, which begins with its IP header: taken over.  The whole datagram, if this was the last one
 * missing, with the header of the first fragment; or NULL.
 */
struct lx_pbuf *ip4_reassemble(struct inet *inet, struct lx_netdev *dev, struct lx_pbuf *p);
/* What is under way: datagrams, and bytes. */
void ip4_fragments_count(struct inet *inet, uint32_t *datagrams, uint64_t *bytes);
/*
 * Cut a packet, which begins with its IP header, into ones of at most @mtu bytes, and send each: taken
 * over.  0, or the first error.
 */
int ip4_fragment(struct inet *inet, const struct inet_dst *d, struct lx_pbuf *p, uint32_t mtu);

/* -- ip4_out.c */
/* One that has its header and is no larger than the link takes: to the link.  Taken over. */
int ip4_xmit(struct inet *inet, const struct inet_dst *d, struct lx_pbuf *p);
void ip4_header_csum(struct iphdr *h);

/* -- icmp4.c, icmp4_limit.c */
int icmp4_limits_create(struct inet *inet);	/* 0 or -ENOMEM */
void icmp4_limits_destroy(struct inet *inet);
/* One of our own is sent: for raw and ping sockets, too. */
void icmp4_count_out(struct inet *inet, uint8_t type);
/* May an error of @type be sent to @dst_be now? */
bool icmp4_may_send(struct inet *inet, uint8_t type, uint32_t dst_be);
/* A packet of ours that begins with its IP header could not be delivered to its neighbour. */
void icmp4_host_unreachable(struct inet *inet, struct lx_pbuf *p);
