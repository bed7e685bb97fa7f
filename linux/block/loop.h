/* SPDX-License-Identifier: MIT */
/*
 * Loop devices: files as disks (loop(4)).
 *
 * A device is unbound (size 0), or bound to a file.  What binds and unbinds, and all of that
 * state, is under the disk's lock.  Requests are done by a thread of the device, never by who makes
 * them: that may be a file system with its locks held, and the file has locks of the
 * same ranks.
 *
 *	loop.c		the thread and its requests
 *	loop_bind.c	binding, unbinding, status
 *	loop_control.c	which devices there are
 *
 * A device that is open is not unbound, LOOP_CLR_FD only says that it will be when the last
 * opener closes it, so that what is behind an open device stays.
 */
#pragma once

#include <linux/loop.h>

#include "block/disk.h"
#include "lx/file.h"

#define LOOP_MAJOR 7u

struct loop {
	/* Constant. */
	struct lx_disk *disk;
	uint32_t number;

	/* The disk's lock. */
	struct lx_file *file;		/* a reference; NULL: unbound */
	uint32_t flags;			/* LO_FLAGS_* */
	uint64_t limit;			/* bytes, 0: to the end of the file */
	struct loop_info64 info;	/* names, as they were told */

	/*
	 * The thread's.  file_now and offset are what it works on, for requests that it takes from
	 * the queue afterwards.
	 */
	struct rt_mutex queue_lock;	/* rank LX_LOCK_WAITQ: what follows */
	struct list queue;		/* of struct loop_request */
	struct lx_file *file_now;	/* NULL: requests fail */
	uint64_t offset;
	bool running;			/* there is a thread */
	/* Count up when there is something to do, and when something was done: to wait on. */
	_Atomic(uint32_t) posted, completed;

	struct list link;		/* loop_control.c's lock */
	struct loop_file *files;	/* in /sys; the disk's lock */
	bool removed;			/* loop_control.c's lock: out of the system, may come again */
};

static inline struct loop *loop_of(struct lx_disk *d)
{
	return d->private;
}

/* -- loop.c */
extern const struct lx_disk_ops loop_ops;
void loop_init_queue(struct loop *l);
/* The thread begins to work on @file, whose reference stays the caller's: -ENOMEM. */
int loop_start(struct loop *l, struct lx_file *file, uint64_t offset);
/* It ends; all requests are done when this returns. */
void loop_stop(struct loop *l);
/* It works from another place in the file on. */
void loop_move(struct loop *l, uint64_t offset);

/* -- loop_bind.c */
long loop_ioctl(struct lx_disk *d, struct lx_file *f, unsigned int cmd, uint64_t arg);
void loop_idle(struct lx_disk *d);
/* Bound?  (For LOOP_CTL_GET_FREE; may have changed when this returns.) */
bool loop_is_bound(struct loop *l);

/* -- loop_control.c */
int loop_sysfs_add(struct loop *l);
void loop_sysfs_remove(struct loop *l);
