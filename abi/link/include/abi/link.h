/* SPDX-License-Identifier: MIT */
/*
 * Links: what lies in the memory that a client (the personality) and a server (a
 * driver) share.  abi/link/README.md has the theory.  No logic here.
 *
 * A link is two memory objects and two bells:
 *
 *   control	header, rings, slots; mapped by both sides
 *   data	payload; mapped by the client, and by servers whose manifest says
 *		"data mapped"; others only point their device at it
 *   client bell	the server rings, the client waits
 *   server bell	the client rings, the server waits
 *
 * Both sides learn class, queue count and queue size from init (struct
 * link_geometry in the message that brings the handles), compute the offsets by
 * the rules below, and never read a size or an offset from shared memory.
 *
 * Control memory, all offsets in bytes; n queues of size q (a power of two, at
 * most LINK_QUEUE_SIZE_MAX):
 *
 *   0				struct link_header		one page
 *   LINK_RINGS + i * S		queue i, where S = ALIGN(16q + 4 + 2q + 2, 64)
 *				+ ALIGN(4 + 8q + 2, 64):
 *				  +0	descriptors, 16 bytes each, then the available ring
 *				  then	the used ring, aligned to 64
 *   ALIGN(end of rings, 4096)	slots: n * q of LINK_SLOT_SIZE bytes, slot (i * q + d)
 *				belongs to descriptor d of queue i: headers, status
 *   the end is aligned to 4096
 *
 * Rings have the format of the virtio 1.1 specification, 2.6 ("split"), little
 * endian.  A descriptor's address is an offset: into control memory, or, from
 * LINK_DATA on, into data memory.  Indirect descriptors are not offered.
 */
#pragma once

#include <stdint.h>

#define LINK_VERSION		2u
#define LINK_MAGIC		0x4b4e4c43u	/* "CLNK" */
#define LINK_RINGS		4096u
#define LINK_SLOT_SIZE		64u
#define LINK_DATA		(1ull << 40)	/* first address of data memory */
#define LINK_QUEUES_MAX		18u
#define LINK_QUEUE_SIZE_MAX	256u
#define LINK_CONFIG_MAX		256u

/* Bits of both bells: bit i (i < LINK_QUEUES_MAX) says "look at queue i". */
#define LINK_BELL_STATE		(1ull << 62)	/* a state, or the configuration, changed */

/* Classes are device numbers of the virtio specification. */
#define LINK_CLASS_NET		1u
#define LINK_CLASS_BLOCK	2u
#define LINK_CLASS_CONSOLE	3u
#define LINK_CLASS_ENTROPY	4u
#define LINK_CLASS_9P		9u
#define LINK_CLASS_MAX		9u

enum link_server_state {
	LINK_SERVER_STARTING,		/* as init leaves it: requests may be queued already */
	LINK_SERVER_READY,		/* features and configuration are valid */
	LINK_SERVER_CLOSED,		/* written by init: the server ended, no other follows;
					 * requests in flight fail */
};

enum link_client_state {
	LINK_CLIENT_ABSENT,
	LINK_CLIENT_OPEN,		/* client_features are valid, queues may be served */
	LINK_CLIENT_CLOSED,		/* the client is gone: nothing of it needs an answer */
};

struct link_header {
	/* Written by init before anybody else sees the link. */
	uint32_t magic, version;
	uint32_t class_id, queue_count, queue_size;	/* for people and tools; see above */
	uint32_t incarnation;		/* init: which server this is, from 1; others follow a restart */
	_Atomic(uint32_t) epoch;	/* init, while there is no server: rings of an older epoch are void;
					 * then LINK_BELL_STATE */

	/* Written by the server (CLOSED: by init). */
	_Alignas(64) _Atomic(uint32_t) server_state;
	uint32_t config_length;
	_Atomic(uint32_t) config_generation;	/* odd while config changes; then LINK_BELL_STATE */
	_Atomic(uint32_t) resets;	/* how often the device lost its state; then LINK_BELL_STATE */
	uint64_t server_features;	/* virtio feature bits on offer; constant once READY */
	uint8_t config[LINK_CONFIG_MAX];	/* the device's configuration space */

	/* Written by the client. */
	_Alignas(64) _Atomic(uint32_t) client_state;
	_Atomic(uint32_t) round;	/* tests of restarts: a change restarts their count (drv/die.h) */
	uint64_t client_features;	/* subset of server_features; constant once OPEN */
	_Atomic(uint32_t) accusations;	/* how often the server broke the protocol */
	_Atomic(uint32_t) client_epoch;	/* of its rings: all that is in flight is in them again */
};

/* What init says about a link to both of its sides. */
struct link_geometry {
	uint32_t version;		/* LINK_VERSION */
	uint32_t class_id;
	uint32_t queue_count, queue_size;
	uint64_t data_length;		/* multiple of the page size */
	uint32_t index;			/* to the client: n-th link of its class that it has (vda is 0) */
	uint32_t instance;		/* number of the component's instance: 0 of "uart.0" */
	char name[32];			/* component and instance, "virtio-blk.0" */
};
