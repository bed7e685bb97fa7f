/* SPDX-License-Identifier: MIT */
/* What the files of IPv4's ioctl(2) share. */
#pragma once

#include "inet/inet.h"

/* SIOCSARP, SIOCGARP, SIOCDARP: arp(7). */
long arp_ioctl(struct lx_netns *ns, unsigned int cmd, uaddr_t arg);
