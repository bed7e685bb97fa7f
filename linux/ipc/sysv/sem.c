/* SPDX-License-Identifier: MIT */
/* System V semaphores: sets.  See semget(2), semctl(2); operations are in sem_op.c. */

#include "ipc/sysv/sem.h"

#include "lx/mm.h"
#include "lx/ns.h"
#include "lx/syscall.h"
#include "lx/task.h"

/* -- making and removing sets */

static int sem_check(struct ipc_object *o, const struct ipc_get *get)
{
	return get->size > set_of(o)->count ? -EINVAL : 0;
}

static int sem_admit(struct lx_ipcns *ns, const struct ipc_get *get)
{
	return ns->semaphores + get->size > atomic_load(&ns->semmns) ? -ENOSPC : 0;
}

static void sem_count(struct lx_ipcns *ns, const struct ipc_get *get)
{
	ns->semaphores += get->size;
}

static int sem_max(struct lx_ipcns *ns)
{
	return (int)atomic_load(&ns->semmni);
}

static struct ipc_object *sem_create(struct lx_task *self, const struct ipc_get *get, int *err)
{
	struct sem_set *set;

	*err = get->size ? sem_admit(self->ns->ipc, get) : -EINVAL;
	if (*err)
		return NULL;
	set = rt_zalloc(sizeof(*set) + get->size * sizeof(set->sem[0]));
	if (!set) {
		*err = -ENOMEM;
		return NULL;
	}
	ipc_object_init(&set->obj, self->ns->ipc, IPC_SEM, get->key, get->flags);
	set->count = (unsigned int)get->size;
	set->ctime = ipc_now();
	list_init(&set->undos);
	for (unsigned int i = 0; i < set->count; i++) {
		list_init(&set->sem[i].waiters);
		list_init(&set->sem[i].changed_link);
	}
	return &set->obj;
}

void sem_remove(struct ipc_object *o)
{
	o->ns->semaphores -= set_of(o)->count;
	ipc_object_remove(o);
	sem_fail_waiters(set_of(o), -EIDRM);
}

void sem_free(struct ipc_object *o)
{
	rt_free(set_of(o));
}

long lx_sys_semget(struct lx_task *self, int key, int count, unsigned int flags)
{
	static const struct ipc_get_ops ops = {
		.kind = IPC_SEM, .check = sem_check, .create = sem_create, .admit = sem_admit,
		.count = sem_count, .max = sem_max,
	};
	struct ipc_get get = { .key = key, .flags = flags, .size = (uint64_t)count };

	if (count < 0 || (unsigned int)count > atomic_load(&self->ns->ipc->semmsl))
		return -EINVAL;
	return ipc_get(self, &ops, &get);
}

/* -- semctl: about the set */

static long sem_stat(struct lx_task *self, int id, int cmd, uaddr_t buf)
{
	struct lx_ipcns *ns = self->ns->ipc;
	struct semid64_ds ds = { 0 };
	struct ipc_object *o;
	long ret;

	ret = cmd == IPC_STAT ? ipc_lock(ns, IPC_SEM, id, &o) : ipc_lock_index(ns, IPC_SEM, id, &o);
	if (ret)
		return ret;
	ret = cmd == SEM_STAT_ANY ? 0 : ipc_permission(self, o, IPC_READ);
	if (!ret) {
		ipc_export_perm(o, &ds.sem_perm);
		ds.sem_otime = set_of(o)->otime;
		ds.sem_ctime = set_of(o)->ctime;
		ds.sem_nsems = set_of(o)->count;
		ret = cmd == IPC_STAT ? 0 : o->id;
	}
	ipc_unlock_put(o);
	if (ret >= 0 && lx_copy_to_user(buf, &ds, sizeof(ds)))
		return -EFAULT;
	return ret;
}

static long sem_change(struct lx_task *self, int id, int cmd, uaddr_t buf)
{
	struct semid64_ds ds;
	struct ipc_object *o;
	long err;

	if (cmd == IPC_SET && lx_copy_from_user(&ds, buf, sizeof(ds)))
		return -EFAULT;
	err = ipc_lock_owned(self, IPC_SEM, id, &o);
	if (err)
		return err;
	if (cmd == IPC_RMID) {
		sem_remove(o);
	} else {
		err = ipc_set_perm(o, &ds.sem_perm);
		if (!err)
			set_of(o)->ctime = ipc_now();
	}
	ipc_release_owned(o);
	return err;
}

static long sem_info(struct lx_ipcns *ns, int cmd, uaddr_t buf)
{
	struct ipc_ids *ids = &ns->ids[IPC_SEM];
	struct seminfo info = {
		.semmap = SEMMAP,
		.semmni = (int)atomic_load(&ns->semmni),
		.semmns = (int)atomic_load(&ns->semmns),
		.semmnu = SEMMNU,
		.semmsl = (int)atomic_load(&ns->semmsl),
		.semopm = (int)atomic_load(&ns->semopm),
		.semume = SEMUME,
		.semusz = SEMUSZ,
		.semvmx = SEMVMX,
		.semaem = SEMAEM,
	};
	int max;

	rt_read_lock(&ids->lock);
	max = ipc_max_index(ids);
	if (cmd == SEM_INFO) {
		info.semusz = ids->used;
		info.semaem = (int)ns->semaphores;
	}
	rt_read_unlock(&ids->lock);
	return lx_copy_to_user(buf, &info, sizeof(info)) ? -EFAULT : max;
}

/* -- semctl: about all semaphores */

static long get_all(struct lx_task *self, int id, uaddr_t array)
{
	struct ipc_object *o;
	struct sem_set *set;
	uint16_t *values;
	long err = ipc_lock(self->ns->ipc, IPC_SEM, id, &o);

	if (err)
		return err;
	set = set_of(o);
	err = ipc_permission(self, o, IPC_READ);
	rt_mutex_unlock(&o->lock);
	values = err ? NULL : rt_alloc(set->count * sizeof(*values));
	if (!err && !values)
		err = -ENOMEM;
	if (!err)
		err = ipc_relock(o);
	if (!err) {
		for (unsigned int i = 0; i < set->count; i++)
			values[i] = (uint16_t)set->sem[i].value;
		rt_mutex_unlock(&o->lock);
		if (lx_copy_to_user(array, values, set->count * sizeof(*values)))
			err = -EFAULT;
	}
	rt_free(values);
	ipc_object_put(o);
	return err;
}

static void set_value(struct lx_task *self, struct sem_set *set, unsigned int num, int value,
		      struct sem_changes *changes)
{
	set->sem[num].value = value;
	set->sem[num].pid = self->group->pid;
	sem_undo_clear(set, num);
	sem_changed(changes, &set->sem[num]);
}

/* The values of a set of @count semaphores; rt_free(). */
static int load_values(uaddr_t array, unsigned int count, uint16_t **out)
{
	uint16_t *values = rt_alloc(count * sizeof(*values));
	int err = 0;

	if (!values)
		return -ENOMEM;
	if (lx_copy_from_user(values, array, count * sizeof(*values)))
		err = -EFAULT;
	for (unsigned int i = 0; i < count && !err; i++)
		if (values[i] > SEMVMX)
			err = -ERANGE;
	if (err)
		rt_free(values);
	else
		*out = values;
	return err;
}

static long set_all(struct lx_task *self, int id, uaddr_t array)
{
	struct sem_changes changes;
	uint16_t *values = NULL;
	struct ipc_object *o;
	struct sem_set *set;
	long err = ipc_lock(self->ns->ipc, IPC_SEM, id, &o);

	if (err)
		return err;
	set = set_of(o);
	err = ipc_permission(self, o, IPC_WRITE);
	rt_mutex_unlock(&o->lock);
	if (!err)
		err = load_values(array, set->count, &values);
	if (!err)
		err = ipc_relock(o);
	if (!err) {
		sem_changes_init(&changes);
		for (unsigned int i = 0; i < set->count; i++)
			set_value(self, set, i, values[i], &changes);
		set->ctime = ipc_now();
		sem_wake_waiters(set, &changes);
		rt_mutex_unlock(&o->lock);
	}
	rt_free(values);
	ipc_object_put(o);
	return err;
}

/* -- semctl: about one semaphore */

static long get_one(const struct semaphore *s, int cmd)
{
	switch (cmd) {
	case GETVAL:
		return s->value;
	case GETPID:
		return s->pid;
	default:
		return sem_count_waiters(s, cmd == GETZCNT);
	}
}

static long sem_one(struct lx_task *self, int id, int num, int cmd, int value)
{
	struct sem_changes changes;
	struct ipc_object *o;
	struct sem_set *set;
	long ret;

	if (cmd == SETVAL && (value < 0 || value > SEMVMX))
		return -ERANGE;
	ret = ipc_lock(self->ns->ipc, IPC_SEM, id, &o);
	if (ret)
		return ret;
	set = set_of(o);
	/* Linux looks at the number first for SETVAL only. */
	if (cmd == SETVAL && (num < 0 || (unsigned int)num >= set->count))
		ret = -EINVAL;
	else
		ret = ipc_permission(self, o, cmd == SETVAL ? IPC_WRITE : IPC_READ);
	if (!ret && (num < 0 || (unsigned int)num >= set->count))
		ret = -EINVAL;
	if (!ret && cmd == SETVAL) {
		sem_changes_init(&changes);
		set_value(self, set, (unsigned int)num, value, &changes);
		set->ctime = ipc_now();
		sem_wake_waiters(set, &changes);
	} else if (!ret) {
		ret = get_one(&set->sem[num], cmd);
	}
	ipc_unlock_put(o);
	return ret;
}

long lx_sys_semctl(struct lx_task *self, int id, int num, int cmd, uint64_t arg)
{
	if (id < 0)
		return -EINVAL;
	switch (cmd) {
	case IPC_INFO:
	case SEM_INFO:
		return sem_info(self->ns->ipc, cmd, uaddr(arg));
	case IPC_STAT:
	case SEM_STAT:
	case SEM_STAT_ANY:
		return sem_stat(self, id, cmd, uaddr(arg));
	case IPC_SET:
	case IPC_RMID:
		return sem_change(self, id, cmd, uaddr(arg));
	case GETALL:
		return get_all(self, id, uaddr(arg));
	case SETALL:
		return set_all(self, id, uaddr(arg));
	case GETVAL:
	case GETPID:
	case GETNCNT:
	case GETZCNT:
	case SETVAL:
		return sem_one(self, id, num, cmd, (int)arg);
	}
	return -EINVAL;
}
