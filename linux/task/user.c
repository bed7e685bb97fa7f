/* SPDX-License-Identifier: MIT */
/*
 * What is counted per user: processes (RLIMIT_NPROC) and queued signals
 * (RLIMIT_SIGPENDING).  A user exists while something is counted.
 */

#include "lx/user.h"

#include "lx/lock_rank.h"
#include "lx/ref.h"

static struct rt_mutex users_lock = RT_MUTEX_INIT(LX_LOCK_LEAF);
static struct rb_tree users = RB_TREE_INIT;	/* users_lock; of lx_user.node, by uid */

struct lx_user *lx_user_get_uid(lx_uid_t uid)
{
	struct rb_node **link = &users.root, *parent = NULL;
	struct lx_user *u;

	rt_mutex_lock(&users_lock);
	while (*link) {
		parent = *link;
		u = rb_entry(parent, struct lx_user, node);
		if (u->uid == uid) {
			atomic_fetch_add(&u->refs, 1);
			goto out;
		}
		link = uid < u->uid ? &parent->left : &parent->right;
	}
	u = rt_zalloc(sizeof(*u));
	if (u) {
		u->uid = uid;
		atomic_init(&u->refs, 1);
		rb_insert(&users, &u->node, parent, link);
	}
out:
	rt_mutex_unlock(&users_lock);
	return u;
}

struct lx_user *lx_user_get(struct lx_user *u)
{
	atomic_fetch_add_explicit(&u->refs, 1, memory_order_relaxed);
	return u;
}

void lx_user_put(struct lx_user *u)
{
	if (!u || lx_ref_drop_shared(&u->refs))
		return;
	rt_mutex_lock(&users_lock);
	if (atomic_fetch_sub(&u->refs, 1) == 1)
		rb_remove(&users, &u->node);
	else
		u = NULL;
	rt_mutex_unlock(&users_lock);
	rt_free(u);
}
