/* SPDX-License-Identifier: MIT */
/*
 * What init says to the personality over its bootstrap channel (the handle that
 * its entry, lx_main(), is started with).
 *
 * The first message is a struct linux_start, its command line follows in further
 * messages only if it does not fit.  Then come, at any time, struct linux_link
 * messages, one for each link that the description grants ("uses CLASS from
 * COMPONENT") as soon as its device was found; and one LINUX_SETTLED when all
 * devices present at boot were reported.  A link may be used before its driver
 * has started: requests wait in the ring.
 *
 * When a device is to be unplugged, or has been, init says LINUX_LINK_REMOVE of its link.  The personality
 * finishes what it wants to finish, which fails at once if the device has gone already, stops using the link
 * for good, and answers with LINUX_LINK_REMOVED.
 *
 * Each message starts with its kind; a receiver skips kinds that it does not know.
 */
#pragma once

#include <stdint.h>

#include "abi/link.h"
#include "abi/types.h"

enum linux_message_kind {
	LINUX_START = 1,
	LINUX_LINK,
	LINUX_SETTLED,			/* no payload */
	LINUX_LINK_REMOVE,		/* struct linux_link_removal */
	LINUX_LINK_REMOVED,		/* personality -> init: the same struct */
};

/*
 * Handles of LINUX_START, in this order.  A message holds only those that are
 * granted (bit i of linux_start.granted); link_bus_receive() puts each at its place.
 */
enum linux_start_handle {
	LINUX_HANDLE_PROCESS,		/* the personality's own process */
	LINUX_HANDLE_GROUP,		/* charge everything to it */
	LINUX_HANDLE_INITRD,		/* memory: READ */
	LINUX_HANDLE_POWER,
	LINUX_HANDLE_LOG,		/* READ */
	LINUX_HANDLE_SPACE,		/* its own space (placement process) */
	LINUX_HANDLE_CONTROL,		/* channel to init: abi/control.h */
	LINUX_START_HANDLES
};

struct linux_start {
	uint32_t kind;			/* LINUX_START */
	uint32_t version;		/* 1 */
	uint64_t initrd_length;		/* bytes, 0: none */
	uint32_t placement;		/* enum linux_placement */
	uint32_t granted;		/* bit i: handle i of enum linux_start_handle is there */
	char name[32];			/* of the instance: "main" */
	char command_line[768];		/* the whole line as the kernel got it */
};

enum linux_placement { LINUX_PLACEMENT_KERNEL, LINUX_PLACEMENT_PROCESS };

/* Handles of LINUX_LINK, in this order. */
enum linux_link_handle {
	LINUX_LINK_CONTROL,		/* memory: READ WRITE MAP */
	LINUX_LINK_DATA,		/* memory: READ WRITE MAP */
	LINUX_LINK_CLIENT_BELL,		/* WAIT */
	LINUX_LINK_SERVER_BELL,		/* SIGNAL */
	LINUX_LINK_HANDLES
};

struct linux_link {
	uint32_t kind;			/* LINUX_LINK */
	uint32_t index;			/* as in geometry */
	struct link_geometry geometry;
};

struct linux_link_removal {
	uint32_t kind;			/* LINUX_LINK_REMOVE, LINUX_LINK_REMOVED */
	uint32_t class_id, index;	/* the link's, as in its geometry */
	uint32_t pad;
};
