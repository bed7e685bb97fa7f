/* SPDX-License-Identifier: MIT */
/* What /proc/net shows of IPv4 (proc(5)). */
#pragma once

#include "inet/inet.h"

struct pseudo_buf;

/* -- show_mib.c */
void inet_show_snmp(struct lx_netns *ns, struct pseudo_buf *b);
void inet_show_netstat(struct lx_netns *ns, struct pseudo_buf *b);

/* -- show.c */
void inet_show_routes(struct lx_netns *ns, struct pseudo_buf *b);
void inet_show_arp(struct lx_netns *ns, struct pseudo_buf *b);
void inet_show_igmp(struct lx_netns *ns, struct pseudo_buf *b);
void inet_show_dev_mcast(struct lx_netns *ns, struct pseudo_buf *b);

/* -- tcp/show.c */
void inet_show_tcp(struct lx_netns *ns, struct pseudo_buf *b);
/* Before counters are shown: those of connections are put where the others are. */
void tcp_publish_counters(struct inet *inet);
void tcp_show_sockstat(struct inet *inet, struct pseudo_buf *b);

/* -- socket_show.c */
void inet_show_udp(struct lx_netns *ns, struct pseudo_buf *b);
void inet_show_icmp(struct lx_netns *ns, struct pseudo_buf *b);
void inet_show_raw(struct lx_netns *ns, struct pseudo_buf *b);
void inet_show_sockstat(struct lx_netns *ns, struct pseudo_buf *b);
