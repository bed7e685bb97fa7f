/* SPDX-License-Identifier: MIT */
/* Counts per user; see task/user.c. */
#pragma once

#include "base/rbtree.h"
#include "lx/types.h"

struct lx_user {
	lx_uid_t uid;			/* constant */
	_Atomic(uint32_t) refs;		/* the first and the last one: under users_lock */
	struct rb_node node;		/* users_lock */
	_Atomic(uint32_t) processes;	/* tasks with this real uid */
	_Atomic(uint32_t) sigpending;	/* queued signals */
	_Atomic(uint64_t) mqueue_bytes;	/* POSIX message queues */
};

struct lx_user *lx_user_get_uid(lx_uid_t uid);		/* NULL: no memory */
struct lx_user *lx_user_get(struct lx_user *u);
void lx_user_put(struct lx_user *u);
