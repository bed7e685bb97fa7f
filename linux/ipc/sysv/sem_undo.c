/* SPDX-License-Identifier: MIT */
/*
 * SEM_UNDO: what a process did to semaphores is taken back when it ends.
 *
 * Adjustments belong to the set of tasks that share them (CLONE_SYSVSEM), and are
 * made by the first operation that asks for them.  One for a set that was removed is
 * freed when its owner looks for another, or ends.  That a sem_undo found under its
 * set's lock stays as long as the lock is held and the set not removed follows: only
 * those of removed sets are freed before the end.
 */

#include "ipc/sysv/sem.h"
#include "lx/ipc.h"
#include "lx/task.h"

static struct lx_sem_undos *undos_create(void)
{
	struct lx_sem_undos *u = rt_alloc(sizeof(*u));

	if (!u)
		return NULL;
	atomic_init(&u->refs, 1);
	rt_mutex_init(&u->lock, LX_LOCK_LEAF);
	list_init(&u->list);
	return u;
}

int lx_sem_clone(struct lx_task *self, struct lx_task *child, bool share)
{
	if (!share)
		return 0;
	if (!self->sem_undos) {
		self->sem_undos = undos_create();
		if (!self->sem_undos)
			return -ENOMEM;
	}
	atomic_fetch_add_explicit(&self->sem_undos->refs, 1, memory_order_relaxed);
	child->sem_undos = self->sem_undos;
	return 0;
}

static void undo_free(struct sem_undo *u)
{
	rt_mutex_lock(&u->set->obj.lock);
	list_remove(&u->set_link);
	rt_mutex_unlock(&u->set->obj.lock);
	ipc_object_put(&u->set->obj);
	rt_free(u);
}

struct sem_undo *sem_undo_find(struct lx_task *self, struct sem_set *set)
{
	struct lx_sem_undos *undos = self->sem_undos;
	struct sem_undo *u, *found = NULL;

	if (!undos)
		return NULL;
	rt_mutex_lock(&undos->lock);
	list_for_each_entry(u, &undos->list, task_link) {
		if (u->set == set) {
			found = u;
			break;
		}
	}
	rt_mutex_unlock(&undos->lock);
	return found;
}

/* Those for sets that are gone. */
static void prune(struct lx_sem_undos *undos)
{
	struct sem_undo *u, *tmp;
	struct list dead;

	list_init(&dead);
	rt_mutex_lock(&undos->lock);
	list_for_each_entry_safe(u, tmp, &undos->list, task_link) {
		if (!atomic_load(&u->set->obj.removed))
			continue;
		list_remove(&u->task_link);
		list_add_last(&dead, &u->task_link);
	}
	rt_mutex_unlock(&undos->lock);
	list_for_each_entry_safe(u, tmp, &dead, task_link) {
		list_remove(&u->task_link);
		undo_free(u);
	}
}

int sem_undo_create(struct lx_task *self, struct sem_set *set)
{
	struct lx_sem_undos *undos = self->sem_undos;
	struct sem_undo *u;

	if (!undos) {
		undos = self->sem_undos = undos_create();
		if (!undos)
			return -ENOMEM;
	}
	prune(undos);
	u = rt_zalloc(sizeof(*u) + set->count * sizeof(u->adjust[0]));
	if (!u)
		return -ENOMEM;
	u->set = set;
	list_init(&u->task_link);
	list_init(&u->set_link);
	rt_mutex_lock(&set->obj.lock);
	/* Another thread may have been faster; a removed set gets no more of them. */
	if (!atomic_load(&set->obj.removed) && !sem_undo_find(self, set)) {
		ipc_object_get(&set->obj);
		list_add_last(&set->undos, &u->set_link);
		rt_mutex_lock(&undos->lock);
		list_add_last(&undos->list, &u->task_link);
		rt_mutex_unlock(&undos->lock);
		u = NULL;
	}
	rt_mutex_unlock(&set->obj.lock);
	rt_free(u);
	return 0;
}

void sem_undo_clear(struct sem_set *set, unsigned int num)
{
	struct sem_undo *u;

	list_for_each_entry(u, &set->undos, set_link)
		u->adjust[num] = 0;
}

static void apply(struct lx_task *self, struct sem_undo *u)
{
	struct sem_set *set = u->set;
	struct sem_changes changes;

	sem_changes_init(&changes);
	rt_mutex_lock(&set->obj.lock);
	if (!atomic_load(&set->obj.removed)) {
		for (unsigned int i = 0; i < set->count; i++) {
			struct semaphore *s = &set->sem[i];

			if (!u->adjust[i])
				continue;
			/* As far as it goes: another process may have changed it since. */
			s->value = MIN(MAX(s->value + u->adjust[i], 0), SEMVMX);
			s->pid = self->group->pid;
			sem_changed(&changes, s);
		}
		set->otime = ipc_now();
		sem_wake_waiters(set, &changes);
	}
	rt_mutex_unlock(&set->obj.lock);
}

void lx_sem_exit(struct lx_task *self)
{
	struct lx_sem_undos *undos = self->sem_undos;
	struct sem_undo *u;

	self->sem_undos = NULL;
	if (!undos || atomic_fetch_sub(&undos->refs, 1) != 1)
		return;
	/* Nobody else can see the list any more. */
	while ((u = list_pop_entry(&undos->list, struct sem_undo, task_link))) {
		apply(self, u);
		undo_free(u);
	}
	rt_free(undos);
}
