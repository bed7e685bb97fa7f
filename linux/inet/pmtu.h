/* SPDX-License-Identifier: MIT */
/*
 * What is known of the largest packet that passes on the way to an address (RFC 1191): ten minutes
 * long, for a bounded number of addresses of IPv4.
 */
#pragma once

#include "inet/inet.h"

int inet_pmtu_create(struct inet *inet);	/* 0 or -ENOMEM */
void inet_pmtu_destroy(struct inet *inet);

/* @mtu, or less if a smaller one is known. */
uint32_t inet_pmtu_limit(struct inet *inet, uint32_t dst_be, uint32_t mtu);
/* Line @n of what is known: false after the last place.  @mtu is 0 for an empty one. */
bool inet_pmtu_show(struct inet *inet, unsigned int n, uint32_t *dst_be, uint32_t *mtu,
		    uint32_t *seconds);
