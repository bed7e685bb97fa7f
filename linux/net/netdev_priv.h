/* SPDX-License-Identifier: MIT */
/* What the files of network devices share. */
#pragma once

#include "lx/netdev.h"

/* -- netdev_life.c */
void netdev_notify(struct lx_netdev *dev, enum lx_netdev_event e);	/* config_lock held */
/* May it be a name of a device?  (Linux: not empty, no slash, colon or space, not "." or "..") */
bool netdev_name_is_valid(const char *name);

/* -- netdev_xmit.c */
/* xmit may be called, or not any more (what waits is freed).  config_lock held. */
void netdev_queues_start(struct lx_netdev *dev);
void netdev_queues_stop(struct lx_netdev *dev);
/* What lx_netdev_receive() does after the frame was counted. */
void netdev_receive_counted(struct lx_netdev *dev, struct lx_netdev_stats *stats, struct lx_pbuf *p);

/* -- ethernet.c */
#define ETHERNET_HEADER	14u
/*
 * Read the header of a frame that came in, and take it off: protocol, pkttype and the places are set.
 * False: too short, or no memory to look at it.
 */
bool ethernet_receive(const struct lx_netdev *dev, struct lx_pbuf *p);
/* lx_netdev_ops.set_address of devices that take any station's address; -EADDRNOTAVAIL: it is none. */
int ethernet_set_address(struct lx_netdev *dev, const uint8_t *address);
/* What a frame with this header carries: ETH_P_*.  @header: 14 bytes; @payload: the 2 behind them, or NULL. */
uint16_t ethernet_protocol(const uint8_t *header, const uint8_t *payload);

/* -- loopback.c */
/* A new namespace's lo, registered.  0 or -ENOMEM. */
int loopback_create(struct lx_netns *ns);
/* The namespace goes, and nobody is left who sends. */
void loopback_end(struct lx_netns *ns);

/* -- netdev_change.c */
/* Take IFF_UP away.  config_lock held. */
void netdev_close(struct lx_netdev *dev);

/* -- netdev_sysfs.c */
void netdev_sysfs_init(void);
/* config_lock held. */
int netdev_sysfs_add(struct lx_netdev *dev);
void netdev_sysfs_remove(struct lx_netdev *dev);
