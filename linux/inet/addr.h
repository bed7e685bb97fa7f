/* SPDX-License-Identifier: MIT */
/*
 * Addresses of a namespace's devices, and the groups of multicast that devices receive.
 *
 * Lists are written with config_lock and inet->lock held, and read with either.
 */
#pragma once

#include "inet/inet.h"

/* An address of IPv4.  Constant while it is in a list, but for what says otherwise. */
struct inet_address {
	struct list link;		/* of inet_dev.addresses */
	uint32_t local_be, peer_be;	/* the same, but on links between two */
	uint32_t broadcast_be;		/* 0: none */
	uint8_t prefix_len;		/* of the peer's network: 0 to 32 */
	uint8_t scope;			/* RT_SCOPE_* */
	uint8_t proto;			/* IFAPROT_*, whatever a program said */
	uint32_t flags;			/* IFA_F_*; config_lock */
	uint32_t metric;		/* of the network's route */
	uint32_t valid_s, preferred_s;	/* config_lock; UINT32_MAX: for ever.  From updated_ns on */
	uint64_t created_ns, updated_ns;	/* config_lock */
	char label[LX_IFNAMSIZ];
};

/* A group that somebody on this machine receives by a device. */
struct inet_group {
	struct list link;		/* of inet_dev.groups */
	uint32_t addr_be;
	uint32_t users;			/* config_lock */
};

/* A device that has, or had, an address, or a group. */
struct inet_dev {
	struct list link;		/* of inet.devices */
	struct lx_netdev *dev;		/* a reference */
	struct list addresses;		/* primary ones before the secondary ones of their network */
	struct list groups;		/* of inet_group.link */
	_Atomic(uint64_t) igmp_due_ns;	/* when its groups are to be reported; 0: nobody asked */
	_Atomic(bool) igmp_v2;		/* the last question was of version 2 */
};

static inline uint32_t inet_mask_be(unsigned int prefix_len)
{
	return prefix_len ? BE32(~0u << (32 - prefix_len)) : 0;
}

static inline bool ip4_is_loopback(uint32_t be)
{
	return (BE32(be) >> 24) == 127;
}

static inline bool ip4_is_zeronet(uint32_t be)
{
	return (BE32(be) >> 24) == 0;
}

static inline bool ip4_is_multicast(uint32_t be)
{
	return (BE32(be) >> 28) == 14;
}

#define IP4_BROADCAST	0xffffffffu

/* NULL: it has none.  Either lock held. */
struct inet_dev *inet_dev_find(struct inet *inet, int ifindex);

/*
 * Give @dev a copy of @a, with the routes that come of it.  config_lock held.  -EEXIST: it has it;
 * -EINVAL: another scope than its network's; -ENOMEM.
 */
int inet_address_add(struct inet *inet, struct lx_netdev *dev, const struct inet_address *a);
/* Take @a away, its routes, and the secondary addresses of its network.  config_lock held. */
void inet_address_remove(struct inet *inet, struct inet_dev *d, struct inet_address *a);

/*
 * The address to send from by @dev: one of the network of @to_be (0: any), of @scope or wider;
 * another device's if it has none.  0: there is none at all.  Either lock held.
 */
uint32_t inet_address_select(struct inet *inet, struct lx_netdev *dev, uint32_t to_be,
			     uint8_t scope);
/* The device that has exactly this address, with a reference; NULL: none. */
struct lx_netdev *inet_address_device(struct inet *inet, uint32_t be);
/* Does a program of this machine want the group by @dev? */
bool inet_is_member(struct inet *inet, struct lx_netdev *dev, uint32_t group_be);

/* Of a namespace: lx_netdev_listener.event. */
void inet_device_event(struct lx_netdev_listener *l, struct lx_netdev *dev,
		       enum lx_netdev_event e);

/* -- rtnl_addr.c: tell RTNLGRP_IPV4_IFADDR.  config_lock held. */
void rtnl_address_event(struct inet *inet, uint16_t type, struct lx_netdev *dev,
			const struct inet_address *a, uint32_t seq, uint32_t portid);
