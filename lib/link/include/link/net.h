/* SPDX-License-Identifier: MIT */
/*
 * Network cards over a link (virtio network device protocol, virtio 1.1, 5.1): Ethernet frames there
 * and back, and what is left to the other side to do about them.
 *
 * One thread of the library serves a card: it calls the functions of struct net_ops, one at a
 * time, and they may use all functions here.  net_send() may be called by any thread and never
 * sleeps for room.
 *
 * A received frame is copied once, out of link memory into memory that the user provides; what
 * the header before it says was checked against the frame's length and what was negotiated
 * before the user sees it.  The frame's bytes are whatever the network sent.
 *
 * A driver that dies is followed by another, with all frames in flight; nothing is to be done about that.
 */
#pragma once

#include "link/link.h"

struct net;

#define NET_ADDRESS		6u
/* An Ethernet header with a VLAN tag, and the longest IP packet: what segmentation makes pieces of. */
#define NET_FRAME_MAX		(18u + 65535u)
#define NET_FRAME_MIN		14u
#define NET_MTU_MAX		65535u
/* Pieces of memory that a received frame can be put into. */
#define NET_PIECES		20u

/* What the card does: for frames that are sent, */
#define NET_CAN_CHECKSUM	(1u << 0)
#define NET_CAN_TSO4		(1u << 1)	/* TCP over IPv4, over IPv6: cut into segments */
#define NET_CAN_TSO6		(1u << 2)
/* ... and for those that are received. */
#define NET_CAN_VERIFY		(1u << 3)	/* is_verified, needs_checksum */
#define NET_CAN_MERGE		(1u << 4)	/* gso: several segments may come as one frame */

/* Events. */
#define NET_LINK_UP		(1u << 0)	/* the cable was plugged in, or out; also after open if it is out */
#define NET_LINK_DOWN		(1u << 1)
#define NET_RESTARTED		(1u << 2)	/* the driver died, and another one serves it */
#define NET_DEAD		(1u << 3)	/* ... no other one: the last call for this card */

enum net_gso { NET_GSO_NONE, NET_GSO_TCPV4, NET_GSO_TCPV6 };

/*
 * What is left to do about a frame.  Sent: wishes.  Received: the frame comes from the same host, or
 * was put together from several; nothing to do unless it is sent on.
 */
struct net_offload {
	/*
	 * The checksum at csum_start + csum_offset is that of the pseudo header alone; that from
	 * csum_start to the frame's end is to be added.
	 */
	bool needs_checksum;
	bool is_verified;		/* received: the checksums are known to be right */
	uint8_t gso;			/* enum net_gso; not NONE only with needs_checksum */
	uint16_t csum_start, csum_offset;
	uint16_t gso_size;		/* payload of each segment, bytes */
	uint16_t header_length;		/* sent: of all headers, copied before each segment; received: 0 */
};

struct net_info {
	uint8_t address[NET_ADDRESS];
	bool has_address;		/* else the user makes one up */
	uint32_t mtu, mtu_max;		/* to begin with; at most */
	uint32_t can;			/* NET_CAN_* */
};

struct net_piece {
	void *base;
	size_t length;
};

struct net_ops {
	/*
	 * A frame of @length bytes has come: where is it to go?  At most NET_PIECES of memory that only
	 * the user can write, @length bytes or more in all, in @pieces; returns how many, and
	 * sets *@frame.  0: nowhere, it is dropped.  Does not sleep for long: the card waits.
	 */
	unsigned int (*room)(void *user, const struct net_offload *o, size_t length,
			     struct net_piece *pieces, void **frame);
	/* It is there now.  Always called after a room() that gave some. */
	void (*received)(void *user, void *frame, size_t length, const struct net_offload *o);
	/* A frame was thrown away, as its length or what came with it made no sense. */
	void (*spoiled)(void *user);
	/* net_send() has room again for what it had none for, or net_has_room() for any frame. */
	void (*writable)(void *user);
	void (*event)(void *user, uint32_t events);
};

/*
 * Take the card on @l: sleeps until the driver is ready (at most until @deadline_ns:
 * TIMED_OUT), then starts the thread; callbacks may come before this returns, with @user.  The link belongs
 * to it from then on, also on failure.  CLOSED: the driver found no device.  NOT_SUPPORTED: the
 * link is too small.  NO_MEMORY.  The card is there as long as the personality is.
 */
k_status_t net_open(struct link *l, const struct net_ops *ops, void *user, uint64_t deadline_ns,
		    struct net **out);

/* Constant. */
const struct net_info *net_info(const struct net *n);
const char *net_name(const struct net *n);	/* "virtio-net.0" */
uint32_t net_index(const struct net *n);	/* n-th card of this personality: eth0 is 0 */

bool net_is_up(const struct net *n);	/* the cable is plugged in */
bool net_is_dead(const struct net *n);

/*
 * Queue the frame that lies in @count pieces, headers first, with its wishes (NULL: none).  It is copied:
 * the memory is the caller's again.  @more: another call follows at once, so that the driver need not
 * hear of this one yet.  Sleeps for the card's lock only.  Statuses: SHOULD_WAIT, no room:
 * ops->writable() follows; CLOSED, the card is dead; BAD_ARGUMENT, shorter than NET_FRAME_MIN, longer
 * than NET_FRAME_MAX, or wishes that do not fit the frame or what the card can do.
 */
k_status_t net_send(struct net *n, const struct net_piece *pieces, unsigned int count,
		    const struct net_offload *wishes, bool more);
/*
 * Whether there is room for a frame of any length.  False: ops->writable() follows when there is, and the driver
 * hears of all frames now, whatever was said to follow them.  A dead card has room.
 */
bool net_has_room(struct net *n);
