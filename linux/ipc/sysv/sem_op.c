/* SPDX-License-Identifier: MIT */
/*
 * Semaphore operations: semop(2), semtimedop(2).  See sem.h for who waits where.
 *
 * The operations of one call are done all at once or not at all, in their order.
 * Waiters are tried in the order of their arrival, also across semaphores that
 * changed together, so that nobody is overtaken by a later one that wants the same.
 */

#include <asm/poll.h>

#include "ipc/sysv/sem.h"
#include "ipc/timeout_priv.h"
#include "lx/mm.h"
#include "lx/ns.h"
#include "lx/syscall.h"
#include "lx/task.h"

#define OPS_ON_STACK	32

/* -- doing them */

static int adjust_of(const struct sembuf *op, const struct sem_undo *undo)
{
	return undo->adjust[op->sem_num] - op->sem_op;
}

/* One operation: 0, SEM_WAITING, -EAGAIN, -ERANGE. */
static int do_one(struct sem_set *set, const struct sembuf *op, struct sem_undo *undo)
{
	struct semaphore *s = &set->sem[op->sem_num];
	int value = s->value + op->sem_op;

	if (op->sem_op ? value < 0 : s->value != 0)
		return op->sem_flg & IPC_NOWAIT ? -EAGAIN : SEM_WAITING;
	if (value > SEMVMX)
		return -ERANGE;
	if (op->sem_flg & SEM_UNDO) {
		if (adjust_of(op, undo) < -SEMAEM - 1 || adjust_of(op, undo) > SEMAEM)
			return -ERANGE;
		undo->adjust[op->sem_num] = (int16_t)adjust_of(op, undo);
	}
	s->value = value;
	return 0;
}

static void undo_one(struct sem_set *set, const struct sembuf *op, struct sem_undo *undo)
{
	set->sem[op->sem_num].value -= op->sem_op;
	if (op->sem_flg & SEM_UNDO)
		undo->adjust[op->sem_num] = (int16_t)(undo->adjust[op->sem_num] + op->sem_op);
}

/* All or none: 0, SEM_WAITING (w->blocking says for what), -EAGAIN, -ERANGE. */
static int do_all(struct sem_set *set, struct sem_waiter *w, struct sem_changes *changes)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < w->nr_ops && !ret; i++)
		ret = do_one(set, &w->ops[i], w->undo);
	if (ret) {
		w->blocking = --i;
		while (i-- > 0)
			undo_one(set, &w->ops[i], w->undo);
		return ret;
	}
	for (i = 0; i < w->nr_ops; i++) {
		struct semaphore *s = &set->sem[w->ops[i].sem_num];

		s->pid = w->pid;
		if (w->ops[i].sem_op)
			sem_changed(changes, s);
	}
	set->otime = ipc_now();
	return 0;
}

/* -- waiting */

static void enqueue(struct sem_set *set, struct sem_waiter *w)
{
	struct list *waiters = &set->sem[w->ops[w->blocking].sem_num].waiters, *at;

	/* From the end: nearly always the place. */
	for (at = waiters->prev; at != waiters; at = at->prev)
		if (container_of(at, struct sem_waiter, link)->arrival < w->arrival)
			break;
	list_add_first(at, &w->link);
}

static void finish(struct sem_waiter *w, int result)
{
	struct lx_task *task = lx_task_get(w->task);

	list_remove(&w->link);
	atomic_store_explicit(&w->result, result, memory_order_release);
	/* @w may be gone; the task we hold. */
	lx_task_wake(task);
	lx_task_put(task);
}

void sem_fail_waiters(struct sem_set *set, int result)
{
	struct sem_waiter *w;

	for (unsigned int i = 0; i < set->count; i++)
		while ((w = list_first_entry(&set->sem[i].waiters, struct sem_waiter, link)))
			finish(w, result);
}

int sem_count_waiters(const struct semaphore *s, bool zero)
{
	struct sem_waiter *w;
	int n = 0;

	list_for_each_entry(w, &s->waiters, link)
		n += (w->ops[w->blocking].sem_op == 0) == zero;
	return n;
}

void sem_changed(struct sem_changes *c, struct semaphore *s)
{
	s->cursor = s->waiters.next;
	if (list_is_empty(&s->changed_link) && !list_is_empty(&s->waiters))
		list_add_last(&c->list, &s->changed_link);
}

/* Of the waiters that are to be tried, the one that came first; or NULL. */
static struct sem_waiter *next_to_try(struct sem_changes *c, struct semaphore **at)
{
	struct sem_waiter *best = NULL;
	struct semaphore *s, *tmp;

	list_for_each_entry_safe(s, tmp, &c->list, changed_link) {
		struct sem_waiter *w = container_of(s->cursor, struct sem_waiter, link);

		if (s->cursor == &s->waiters) {
			list_remove(&s->changed_link);
		} else if (!best || w->arrival < best->arrival) {
			best = w;
			*at = s;
		}
	}
	return best;
}

void sem_wake_waiters(struct sem_set *set, struct sem_changes *c)
{
	struct sem_waiter *w;
	struct semaphore *s;

	while ((w = next_to_try(c, &s))) {
		int ret;

		s->cursor = w->link.next;
		list_remove(&w->link);
		ret = do_all(set, w, c);
		if (ret != SEM_WAITING) {
			finish(w, ret);
			continue;
		}
		/*
		 * It waits again, perhaps for another semaphore.  If that one changed too
		 * and its cursor is beyond, nothing is lost: it was just looked at.
		 */
		enqueue(set, w);
	}
}

/* Sleep until somebody has done it for us: the result of the call. */
static int wait(struct lx_task *self, struct sem_set *set, struct sem_waiter *w, uint64_t deadline)
{
	int err = 0, result;

	do {
		lx_wait_prepare(self);
		result = atomic_load_explicit(&w->result, memory_order_acquire);
		if (result != SEM_WAITING)
			return result;
		err = lx_wait_block(self, deadline, LX_WAIT_INTERRUPTIBLE);
	} while (!err);
	rt_mutex_lock(&set->obj.lock);
	result = atomic_load_explicit(&w->result, memory_order_acquire);
	if (result == SEM_WAITING) {
		list_remove(&w->link);
		result = err == -ETIMEDOUT ? -EAGAIN : -EINTR;
	}
	rt_mutex_unlock(&set->obj.lock);
	return result;
}

/* -- the calls */

static int check_ops(const struct sem_set *set, const struct sem_waiter *w, unsigned int *want,
		     bool *undo)
{
	*want = IPC_READ;
	*undo = false;
	for (unsigned int i = 0; i < w->nr_ops; i++) {
		if (w->ops[i].sem_num >= set->count)
			return -EFBIG;
		if (w->ops[i].sem_op)
			*want = IPC_WRITE;
		if (w->ops[i].sem_flg & SEM_UNDO)
			*undo = true;
	}
	return 0;
}

/* The set locked, everything checked, w->undo there if it is needed. */
static int begin(struct lx_task *self, int id, struct sem_waiter *w, struct sem_set **out)
{
	struct ipc_object *o;
	unsigned int want;
	bool undo;
	int err = ipc_lock(self->ns->ipc, IPC_SEM, id, &o);

	if (err)
		return err;
	*out = set_of(o);
	err = check_ops(*out, w, &want, &undo);
	if (!err)
		err = ipc_permission(self, o, want);
	if (err) {
		ipc_unlock_put(o);
		return err;
	}
	while (undo && !(w->undo = sem_undo_find(self, *out))) {
		rt_mutex_unlock(&o->lock);
		err = sem_undo_create(self, *out);
		if (!err)
			err = ipc_relock(o);
		if (err) {
			ipc_object_put(o);
			return err;
		}
	}
	return 0;
}

static long do_semop(struct lx_task *self, int id, const struct sembuf *ops, unsigned int nr_ops,
		     uint64_t deadline)
{
	struct sem_waiter w = {
		.task = self, .pid = self->group->pid, .ops = ops, .nr_ops = nr_ops,
		.result = SEM_WAITING,
	};
	struct sem_changes changes;
	struct sem_set *set;
	int ret;

	list_init(&w.link);
	sem_changes_init(&changes);
	ret = begin(self, id, &w, &set);
	if (ret)
		return ret;
	ret = do_all(set, &w, &changes);
	if (!ret)
		sem_wake_waiters(set, &changes);
	if (ret == SEM_WAITING) {
		w.arrival = ++set->arrivals;
		enqueue(set, &w);
	}
	rt_mutex_unlock(&set->obj.lock);
	if (ret == SEM_WAITING)
		ret = wait(self, set, &w, deadline);
	ipc_object_put(&set->obj);
	return ret;
}

long lx_sys_semtimedop(struct lx_task *self, int id, uaddr_t uops, unsigned int nr_ops,
		       uaddr_t utimeout)
{
	struct sembuf small[OPS_ON_STACK], *ops = small;
	struct timeout_spec ts = { 0 };
	uint64_t deadline = K_DEADLINE_NEVER;
	long ret = 0;

	if (utimeout.v && lx_copy_from_user(&ts, utimeout, sizeof(ts)))
		return -EFAULT;
	if (nr_ops > atomic_load(&self->ns->ipc->semopm))
		return -E2BIG;
	if (!nr_ops || id < 0)
		return -EINVAL;
	if (nr_ops > OPS_ON_STACK) {
		ops = rt_alloc(nr_ops * sizeof(*ops));
		if (!ops)
			return -ENOMEM;
	}
	if (lx_copy_from_user(ops, uops, nr_ops * sizeof(*ops)))
		ret = -EFAULT;
	else if (utimeout.v &&
		 (ts.sec < 0 || ts.nsec < 0 || ts.nsec >= (int64_t)NS_PER_SEC))
		ret = -EINVAL;
	else if (utimeout.v)
		deadline = timeout_deadline((uint64_t)ts.sec, (uint64_t)ts.nsec);
	if (!ret)
		ret = do_semop(self, id, ops, nr_ops, deadline);
	if (ops != small)
		rt_free(ops);
	return ret;
}

long lx_sys_semop(struct lx_task *self, int id, uaddr_t ops, unsigned int nr_ops)
{
	return lx_sys_semtimedop(self, id, ops, nr_ops, UADDR_NULL);
}
