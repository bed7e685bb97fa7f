/* SPDX-License-Identifier: MIT */
/*
 * Process numbers.  A struct lx_pid is a number while anybody uses it: as the
 * number of a task, of a process, of a process group or of a session.  It stays in
 * the table, so that the number is not given out again, until the last of these
 * uses ended; the struct itself lives as long as there are references (a pidfd
 * holds one, and finds out that the process is gone by task being NULL).
 */
#pragma once

#include "base/rbtree.h"
#include "lx/types.h"
#include "lx/wait.h"

struct lx_pid {
	lx_pid_t nr;			/* constant */
	_Atomic(uint32_t) refs;

	/* Protected by lx_pidns.lock. */
	unsigned int uses;		/* why the number is in the table */
	struct rb_node node;
	struct lx_task *task;		/* the thread of this number, until it is released */
	struct lx_group *group;		/* the process of this number, until it is reaped */
	struct list pgrp;		/* of lx_group.pgrp_link */
	struct list session;		/* of lx_group.session_link */

	struct lx_waitq exit_wait;	/* pidfd: woken when the process becomes a zombie or is reaped */
};

struct lx_pidns {
	_Atomic(uint32_t) refs;
	uint64_t ino;			/* of /proc/PID/ns/pid */
	struct rt_mutex lock;		/* rank LX_LOCK_TASKS */

	/* Protected by lock. */
	struct rb_tree table;		/* of lx_pid.node, by number */
	lx_pid_t last;			/* given out last */
	struct lx_group *init;		/* adopts orphans; NULL before it exists */
	unsigned int tasks;		/* all of them, zombies included */

	_Atomic(uint64_t) forks;	/* since boot: /proc/stat */
	_Atomic(uint32_t) pid_max, threads_max;	/* sysctls */
};

extern struct lx_pidns lx_init_pidns;
/* Number 0: the session and process group of process 1. */
extern struct lx_pid lx_no_pid;
/* pid_max and threads-max from the size of the machine. */
void lx_pidns_limits(const struct k_system_info *info);

struct lx_pid *lx_pid_get(struct lx_pid *pid);
void lx_pid_put(struct lx_pid *pid);
/* A reference to a number that is in use, or NULL. */
struct lx_pid *lx_pid_find(struct lx_task *self, lx_pid_t nr);
/* References to what the number names now, or NULL. */
struct lx_task *lx_pid_task(struct lx_pid *pid);
struct lx_group *lx_pid_group(struct lx_pid *pid);

/* -- for linux/task */
/* The next free number with one use and one reference: 0, -EAGAIN, -ENOMEM. */
int lx_pid_alloc(struct lx_pidns *ns, struct lx_pid **out);
struct lx_pid *lx_pid_lookup(struct lx_pidns *ns, lx_pid_t nr);	/* with the lock; no reference */
void lx_pid_unuse(struct lx_pidns *ns, struct lx_pid *pid);	/* with the lock; the last one leaves the table */
struct lx_pid *lx_pid_next(struct lx_pidns *ns, lx_pid_t nr);	/* with the lock: first number >= nr in use */

/* Is there no member with a parent in another group of the same session? (with lx_pidns.lock not held) */
bool lx_pgrp_is_orphaned(lx_pid_t pgid);
/* Call @fn for each process of the group, with lx_pidns.lock held. */
void lx_pgrp_for_each(struct lx_pid *pgrp, void (*fn)(struct lx_group *g, void *arg), void *arg);
bool lx_pgrp_is_empty(struct lx_pid *pgrp);
bool lx_pgrp_in_session(lx_pid_t pgid, lx_pid_t sid);
