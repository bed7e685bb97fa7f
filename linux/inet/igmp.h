/* SPDX-License-Identifier: MIT */
/*
 * IGMP (RFC 3376, 2236): tell the routers and switches of a link which groups are received here.
 */
#pragma once

#include "inet/addr.h"

int igmp_create(struct inet *inet);	/* 0 or -ENOMEM */
void igmp_destroy(struct inet *inet);

/* @d has begun to receive a group, or ceased.  config_lock held. */
void igmp_joined(struct inet *inet, struct inet_dev *d, uint32_t group_be);
void igmp_left(struct inet *inet, struct inet_dev *d, uint32_t group_be);
/* It has gone up: what is received by it is to be told. */
void igmp_up(struct inet *inet, struct inet_dev *d);

/* IPPROTO_IGMP: what routers ask. */
extern const struct inet_protocol igmp_protocol;
