/* SPDX-License-Identifier: MIT */
/*
 * What /proc shows of System V IPC: the objects (sysvipc/) and the limits
 * (sys/kernel/), always those of the reader's namespace.
 */

#include <linux/capability.h>
#include <linux/ipc.h>

#include "base/parse.h"
#include "fs/pseudo/pseudo.h"
#include "ipc/ipcns.h"
#include "ipc/sysv/msg.h"
#include "ipc/sysv/sem.h"
#include "ipc/sysv/shm.h"

typedef unsigned long long ull;

/* -- sysvipc/ */

static void show_shm(struct pseudo_buf *b, struct ipc_object *o)
{
	struct shm_segment *s = shm_of(o);

	pseudo_printf(b, "%10d %10d  %4o %21llu %5d %5d  %5llu %5u %5u %5u %5u %10lld %10lld %10lld "
		      "%21llu %21u\n", o->key, o->id, o->mode, (ull)s->size, s->cpid, s->lpid,
		      (ull)shm_attachments(s), o->uid, o->gid, o->cuid, o->cgid,
		      (long long)s->atime, (long long)s->dtime, (long long)s->ctime,
		      (ull)(shm_resident(s) * K_PAGE_SIZE), 0);
}

static void show_sem(struct pseudo_buf *b, struct ipc_object *o)
{
	struct sem_set *s = set_of(o);

	pseudo_printf(b, "%10d %10d  %4o %10u %5u %5u %5u %5u %10lld %10lld\n", o->key, o->id, o->mode,
		      s->count, o->uid, o->gid, o->cuid, o->cgid, (long long)s->otime,
		      (long long)s->ctime);
}

static void show_msg(struct pseudo_buf *b, struct ipc_object *o)
{
	struct msg_queue *q = queue_of(o);

	pseudo_printf(b, "%10d %10d  %4o  %10llu %10llu %5d %5d %5u %5u %5u %5u %10lld %10lld %10lld\n",
		      o->key, o->id, o->mode, (ull)q->bytes, (ull)q->count, q->lspid, q->lrpid,
		      o->uid, o->gid, o->cuid, o->cgid, (long long)q->stime, (long long)q->rtime,
		      (long long)q->ctime);
}

static const struct {
	const char *path, *header;
	void (*show)(struct pseudo_buf *b, struct ipc_object *o);
} listings[IPC_KINDS] = {
	[IPC_SHM] = { "sysvipc/shm",
		"       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid"
		"  cgid      atime      dtime      ctime                   rss                  swap\n",
		show_shm },
	[IPC_SEM] = { "sysvipc/sem",
		"       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n",
		show_sem },
	[IPC_MSG] = { "sysvipc/msg",
		"       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid"
		"      stime      rtime      ctime\n",
		show_msg },
};

static int show_objects(struct pseudo_buf *b, void *arg)
{
	enum ipc_kind kind = (enum ipc_kind)(uintptr_t)arg;
	struct ipc_object *o;
	int index;

	pseudo_puts(b, listings[kind].header);
	for (index = 0; (o = ipc_next(lx_self()->ns->ipc, kind, &index)); index++) {
		if (!ipc_relock(o)) {
			listings[kind].show(b, o);
			rt_mutex_unlock(&o->lock);
		}
		ipc_object_put(o);
	}
	return 0;
}

/* -- sys/kernel/: limits are named by where they are in a namespace */

static const struct limit {
	const char *path;
	size_t offset;
	bool wide;			/* 64 bits */
	uint64_t max;
} limits[] = {
	{ "sys/kernel/shmmax", offsetof(struct lx_ipcns, shmmax), true, UINT64_MAX },
	{ "sys/kernel/shmall", offsetof(struct lx_ipcns, shmall), true, UINT64_MAX },
	{ "sys/kernel/shmmni", offsetof(struct lx_ipcns, shmmni), false, IPC_MNI },
	{ "sys/kernel/shm_rmid_forced", offsetof(struct lx_ipcns, shm_rmid_forced), false, 1 },
	{ "sys/kernel/msgmax", offsetof(struct lx_ipcns, msgmax), false, INT32_MAX },
	{ "sys/kernel/msgmnb", offsetof(struct lx_ipcns, msgmnb), false, INT32_MAX },
	{ "sys/kernel/msgmni", offsetof(struct lx_ipcns, msgmni), false, IPC_MNI },
};

static void *field(const struct limit *l)
{
	return (char *)lx_self()->ns->ipc + l->offset;
}

static int show_limit(struct pseudo_buf *b, void *arg)
{
	const struct limit *l = arg;

	pseudo_printf(b, "%llu\n", (ull)(l->wide ? atomic_load((_Atomic(uint64_t) *)field(l))
						 : atomic_load((_Atomic(uint32_t) *)field(l))));
	return 0;
}

/* The next number of @text, which moves on; false: there is none. */
static bool next_number(const char **text, size_t *n, int64_t *value)
{
	size_t used;

	while (*n && char_is_space(**text)) {
		++*text;
		--*n;
	}
	used = parse_i64(*text, *n, 10, value);
	if (!used || (used < *n && !char_is_space((*text)[used])))
		return false;
	*text += used;
	*n -= used;
	return true;
}

static int store_limit(const char *text, size_t n, void *arg)
{
	const struct limit *l = arg;
	uint64_t value;

	if (!pseudo_parse_u64(text, n, &value) || value > l->max)
		return -EINVAL;
	if (l->wide)
		atomic_store((_Atomic(uint64_t) *)field(l), value);
	else
		atomic_store((_Atomic(uint32_t) *)field(l), (uint32_t)value);
	if (l->offset == offsetof(struct lx_ipcns, shm_rmid_forced) && value)
		shm_remove_orphans(lx_self()->ns->ipc);
	return 0;
}

static int show_sem_limits(struct pseudo_buf *b, void *arg)
{
	struct lx_ipcns *ns = lx_self()->ns->ipc;

	pseudo_printf(b, "%u\t%u\t%u\t%u\n", atomic_load(&ns->semmsl), atomic_load(&ns->semmns),
		      atomic_load(&ns->semopm), atomic_load(&ns->semmni));
	return 0;
}

/* As many of the four as are given. */
static int store_sem_limits(const char *text, size_t n, void *arg)
{
	struct lx_ipcns *ns = lx_self()->ns->ipc;
	_Atomic(uint32_t) *const to[] = { &ns->semmsl, &ns->semmns, &ns->semopm, &ns->semmni };
	int64_t values[ARRAY_SIZE(to)];
	size_t count;

	for (count = 0; count < ARRAY_SIZE(to); count++) {
		if (!next_number(&text, &n, &values[count]))
			break;
		if (values[count] < 0 || values[count] > INT32_MAX)
			return -EINVAL;
	}
	if (!count || (count == ARRAY_SIZE(to) && values[3] > IPC_MNI))
		return -EINVAL;
	for (size_t i = 0; i < count; i++)
		atomic_store(to[i], (uint32_t)values[i]);
	return 0;
}

static int show_next_id(struct pseudo_buf *b, void *arg)
{
	struct ipc_ids *ids = &lx_self()->ns->ipc->ids[(uintptr_t)arg];

	pseudo_printf(b, "%d\n", READ_ONCE(ids->next_id));
	return 0;
}

static int store_next_id(const char *text, size_t n, void *arg)
{
	struct ipc_ids *ids = &lx_self()->ns->ipc->ids[(uintptr_t)arg];
	int64_t value;

	if (!lx_capable(lx_self(), CAP_SYS_ADMIN) &&
	    !lx_capable(lx_self(), CAP_CHECKPOINT_RESTORE))
		return -EPERM;
	if (!next_number(&text, &n, &value) || value < 0 || value > INT32_MAX)
		return -EINVAL;
	rt_write_lock(&ids->lock);
	ids->next_id = (int)value;
	rt_write_unlock(&ids->lock);
	return 0;
}

int ipc_proc_init(void)
{
	static const char *const next_id[IPC_KINDS] = {
		[IPC_SHM] = "sys/kernel/shm_next_id", [IPC_SEM] = "sys/kernel/sem_next_id",
		[IPC_MSG] = "sys/kernel/msg_next_id",
	};
	int err = pseudo_file(lx_proc_tree, "sys/kernel/sem", 0644, show_sem_limits,
			      store_sem_limits, NULL);

	for (size_t i = 0; i < ARRAY_SIZE(limits) && !err; i++)
		err = pseudo_file(lx_proc_tree, limits[i].path, 0644, show_limit, store_limit,
				  (void *)(uintptr_t)&limits[i]);
	for (uintptr_t i = 0; i < IPC_KINDS && !err; i++) {
		err = pseudo_file(lx_proc_tree, listings[i].path, 0444, show_objects, NULL, (void *)i);
		if (!err)
			err = pseudo_file(lx_proc_tree, next_id[i], 0644, show_next_id,
					  store_next_id, (void *)i);
	}
	return err;
}
