/* SPDX-License-Identifier: MIT */
/*
 * Process numbers: see lx/pid.h.  Numbers are given out in ascending order and
 * reused after a full round, as on Linux, where shell scripts rely on that more
 * than they should.
 */

#include "lx/pid.h"

#include "lx/lock_rank.h"
#include "lx/task.h"

/* The first number after a wrap: Linux keeps those below for its daemons. */
#define RESERVED_PIDS 300

struct lx_pidns lx_init_pidns = {
	.refs = 1,
	.ino = 0xeffffffcu,
	.lock = RT_MUTEX_INIT(LX_LOCK_TASKS),
	.table = RB_TREE_INIT,
	.pid_max = 32768,
	.threads_max = 32768,
};

struct lx_pid lx_no_pid = {
	.refs = 1,
	.uses = 1,
	.pgrp = LIST_INIT(lx_no_pid.pgrp),
	.session = LIST_INIT(lx_no_pid.session),
	.exit_wait = { .lock = RT_MUTEX_INIT(LX_LOCK_WAITQ),
		       .entries = LIST_INIT(lx_no_pid.exit_wait.entries) },
};

void lx_pidns_limits(const struct k_system_info *info)
{
	/* As Linux: an eighth of memory for the stacks of tasks, 16 KiB each. */
	uint64_t threads = info->memory_bytes / 8 / 16384;

	atomic_store(&lx_init_pidns.threads_max, (uint32_t)CLAMP(threads, 20ull, 4194304ull));
	atomic_store(&lx_init_pidns.pid_max, MAX(32768u, 1024 * info->cpus));
}

struct lx_pid *lx_pid_get(struct lx_pid *pid)
{
	atomic_fetch_add_explicit(&pid->refs, 1, memory_order_relaxed);
	return pid;
}

void lx_pid_put(struct lx_pid *pid)
{
	if (pid && atomic_fetch_sub(&pid->refs, 1) == 1)
		rt_free(pid);
}

static struct lx_pid *entry_of(struct rb_node *node)
{
	return rb_entry(node, struct lx_pid, node);
}

struct lx_pid *lx_pid_next(struct lx_pidns *ns, lx_pid_t nr)
{
	struct rb_node *node = ns->table.root;
	struct lx_pid *best = NULL;

	while (node) {
		struct lx_pid *pid = entry_of(node);

		if (pid->nr >= nr) {
			best = pid;
			node = node->left;
		} else {
			node = node->right;
		}
	}
	return best;
}

struct lx_pid *lx_pid_lookup(struct lx_pidns *ns, lx_pid_t nr)
{
	struct lx_pid *pid = lx_pid_next(ns, nr);

	return pid && pid->nr == nr ? pid : NULL;
}

static void insert(struct lx_pidns *ns, struct lx_pid *pid)
{
	struct rb_node **link = &ns->table.root, *parent = NULL;

	while (*link) {
		parent = *link;
		link = pid->nr < entry_of(parent)->nr ? &parent->left : &parent->right;
	}
	rb_insert(&ns->table, &pid->node, parent, link);
}

/* The first free number in [from, max), or 0. */
static lx_pid_t free_number(struct lx_pidns *ns, lx_pid_t from, lx_pid_t max)
{
	struct lx_pid *pid = lx_pid_next(ns, from);

	while (from < max && pid && pid->nr == from) {
		from++;
		pid = entry_of(rb_next(&pid->node));
	}
	return from < max ? from : 0;
}

int lx_pid_alloc(struct lx_pidns *ns, struct lx_pid **out)
{
	struct lx_pid *pid = rt_zalloc(sizeof(*pid));
	lx_pid_t max;

	if (!pid)
		return -ENOMEM;
	atomic_init(&pid->refs, 1);
	pid->uses = 1;
	list_init(&pid->pgrp);
	list_init(&pid->session);
	lx_waitq_init(&pid->exit_wait);

	rt_mutex_lock(&ns->lock);
	max = (lx_pid_t)atomic_load(&ns->pid_max);
	pid->nr = free_number(ns, ns->last + 1, max);
	if (!pid->nr)
		pid->nr = free_number(ns, RESERVED_PIDS, max);
	if (pid->nr) {
		ns->last = pid->nr;
		insert(ns, pid);
	}
	rt_mutex_unlock(&ns->lock);

	if (!pid->nr) {
		rt_free(pid);
		return -EAGAIN;
	}
	*out = pid;
	return 0;
}

void lx_pid_unuse(struct lx_pidns *ns, struct lx_pid *pid)
{
	rt_assert(pid->uses > 0);
	if (--pid->uses == 0)
		rb_remove(&ns->table, &pid->node);
}

struct lx_pid *lx_pid_find(struct lx_task *self, lx_pid_t nr)
{
	struct lx_pidns *ns = &lx_init_pidns;
	struct lx_pid *pid;

	rt_mutex_lock(&ns->lock);
	pid = lx_pid_lookup(ns, nr);
	if (pid)
		lx_pid_get(pid);
	rt_mutex_unlock(&ns->lock);
	return pid;
}

struct lx_task *lx_pid_task(struct lx_pid *pid)
{
	struct lx_task *t;

	rt_mutex_lock(&lx_init_pidns.lock);
	t = pid->task ? lx_task_get(pid->task) : NULL;
	rt_mutex_unlock(&lx_init_pidns.lock);
	return t;
}

struct lx_group *lx_pid_group(struct lx_pid *pid)
{
	struct lx_group *g;

	rt_mutex_lock(&lx_init_pidns.lock);
	g = pid->group ? lx_group_get(pid->group) : NULL;
	rt_mutex_unlock(&lx_init_pidns.lock);
	return g;
}

struct lx_task *lx_task_find(struct lx_task *self, lx_pid_t tid)
{
	struct lx_pid *pid;
	struct lx_task *t = NULL;

	rt_mutex_lock(&lx_init_pidns.lock);
	pid = lx_pid_lookup(&lx_init_pidns, tid);
	if (pid && pid->task)
		t = lx_task_get(pid->task);
	rt_mutex_unlock(&lx_init_pidns.lock);
	return t;
}

struct lx_group *lx_group_find(struct lx_task *self, lx_pid_t nr)
{
	struct lx_pid *pid;
	struct lx_group *g = NULL;

	rt_mutex_lock(&lx_init_pidns.lock);
	pid = lx_pid_lookup(&lx_init_pidns, nr);
	if (pid && pid->group)
		g = lx_group_get(pid->group);
	rt_mutex_unlock(&lx_init_pidns.lock);
	return g;
}

struct lx_group *lx_group_next(struct lx_task *self, lx_pid_t nr)
{
	struct lx_pid *pid;
	struct lx_group *g = NULL;

	rt_mutex_lock(&lx_init_pidns.lock);
	for (pid = lx_pid_next(&lx_init_pidns, nr); pid && !pid->group;
	     pid = entry_of(rb_next(&pid->node)))
		;
	if (pid)
		g = lx_group_get(pid->group);
	rt_mutex_unlock(&lx_init_pidns.lock);
	return g;
}
