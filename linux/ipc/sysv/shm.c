/* SPDX-License-Identifier: MIT */
/*
 * System V shared memory: segments.  See shmget(2), shmctl(2).
 *
 * A segment that is removed (IPC_RMID) while it is attached loses its key, is marked
 * SHM_DEST, and goes with its last attachment.
 */

#include "ipc/sysv/shm.h"

#include <linux/capability.h>
#include <linux/resource.h>
#include <linux/shm.h>

#include "abi/calls.h"
#include "base/format.h"
#include "lx/ipc.h"
#include "lx/mm.h"
#include "lx/pid.h"
#include "lx/syscall.h"
#include "vfs/vfs_priv.h"

/* Bits of shm_perm.mode beside the permissions. */
#define SHM_DEST	01000u
#define SHM_LOCKED	02000u

uint64_t shm_attachments(const struct shm_segment *s)
{
	struct lx_inode *inode = s->file->inode;
	struct k_memory_info info;

	if (!atomic_load(&inode->has_pages) ||
	    k_memory_info(inode->pages.handle, &info) != K_OK)
		return s->attaching;
	return s->attaching + info.mappings;
}

uint64_t shm_resident(const struct shm_segment *s)
{
	return lx_pages_resident(s->file->inode);
}

/* -- making one */

static int shm_check(struct ipc_object *o, const struct ipc_get *get)
{
	return get->size > shm_of(o)->size ? -EINVAL : 0;
}

static int shm_admit(struct lx_ipcns *ns, const struct ipc_get *get)
{
	uint64_t pages = DIV_ROUND_UP(get->size, (uint64_t)K_PAGE_SIZE);
	uint64_t max = atomic_load(&ns->shmall);

	return pages > max || ns->shm_pages > max - pages ? -ENOSPC : 0;
}

static void shm_count(struct lx_ipcns *ns, const struct ipc_get *get)
{
	ns->shm_pages += DIV_ROUND_UP(get->size, (uint64_t)K_PAGE_SIZE);
}

static int shm_max(struct lx_ipcns *ns)
{
	return (int)atomic_load(&ns->shmmni);
}

/* Before memory is made; shmall is looked at again under the table's lock. */
static int check_new(struct lx_task *self, struct lx_ipcns *ns, const struct ipc_get *get)
{
	int err;

	if (!get->size || get->size > atomic_load(&ns->shmmax))
		return -EINVAL;
	if (get->size > UINT64_MAX - K_PAGE_SIZE)
		return -ENOSPC;
	err = shm_admit(ns, get);
	if (err)
		return err;
	if (get->flags & SHM_HUGETLB)
		return lx_capable(self, CAP_IPC_LOCK) ? -ENOMEM : -EPERM;	/* none are set aside */
	if (get->size > INT64_MAX)
		return -EINVAL;
	return !(get->flags & SHM_NORESERVE) && lx_overcommits(get->size) ? -ENOMEM : 0;
}

static struct ipc_object *shm_create(struct lx_task *self, const struct ipc_get *get, int *err)
{
	struct lx_ipcns *ns = self->ns->ipc;
	struct shm_segment *s;

	*err = check_new(self, ns, get);
	if (*err)
		return NULL;
	*err = -ENOMEM;
	s = rt_zalloc(sizeof(*s));
	if (!s)
		return NULL;
	snprintf(s->name, sizeof(s->name), "/SYSV%08x", (unsigned int)get->key);
	*err = lx_tmpfs_anon_file(s->name, get->size, O_RDWR, &s->file);
	if (*err) {
		rt_free(s);
		return NULL;
	}
	s->file->inode->fops = &shm_file_ops;
	s->file->ops = &shm_file_ops;
	ipc_object_init(&s->obj, ns, IPC_SHM, get->key, get->flags);
	s->size = get->size;
	s->creator = lx_pid_get(self->pid);
	s->cpid = self->group->pid;
	s->ctime = ipc_now();
	return &s->obj;
}

void shm_free(struct ipc_object *o)
{
	struct shm_segment *s = shm_of(o);

	lx_file_put(s->file);
	lx_pid_put(s->creator);
	rt_free(s);
}

long lx_sys_shmget(struct lx_task *self, int key, size_t size, unsigned int flags)
{
	static const struct ipc_get_ops ops = {
		.kind = IPC_SHM, .check = shm_check, .create = shm_create, .admit = shm_admit,
		.count = shm_count, .max = shm_max,
	};
	struct ipc_get get = { .key = key, .flags = flags, .size = size };
	struct ipc_object *o;
	long id = ipc_get(self, &ops, &get);

	/* The file is known by the segment's id: in /proc/PID/maps, and nowhere else. */
	if (id >= 0 && !ipc_lock(self->ns->ipc, IPC_SHM, (int)id, &o)) {
		shm_of(o)->file->inode->ino = (uint64_t)id;
		ipc_unlock_put(o);
	}
	return id;
}

/* -- removing one */

void shm_remove(struct ipc_object *o)
{
	o->ns->shm_pages -= shm_pages(shm_of(o));
	ipc_object_remove(o);
}

/* Nobody can have it attached: with both locks. */
static void remove_or_mark(struct shm_segment *s)
{
	if (shm_attachments(s)) {
		s->obj.mode |= SHM_DEST;
		ipc_object_forget_key(&s->obj);
	} else {
		shm_remove(&s->obj);
	}
}

static bool is_unused(struct shm_segment *s)
{
	return !atomic_load(&s->obj.removed) && !shm_attachments(s) &&
	       ((s->obj.mode & SHM_DEST) || atomic_load(&s->obj.ns->shm_rmid_forced));
}

void shm_check_unused(struct shm_segment *s)
{
	struct ipc_ids *ids;
	bool unused;

	/* Most are not; then the table is left alone. */
	rt_mutex_lock(&s->obj.lock);
	unused = is_unused(s);
	rt_mutex_unlock(&s->obj.lock);
	if (!unused)
		return;
	ids = &s->obj.ns->ids[IPC_SHM];
	rt_write_lock(&ids->lock);
	rt_mutex_lock(&s->obj.lock);
	unused = is_unused(s);
	if (unused)
		shm_remove(&s->obj);
	rt_mutex_unlock(&s->obj.lock);
	rt_write_unlock(&ids->lock);
	if (unused)
		ipc_object_put(&s->obj);	/* the table's */
}

/* Those that @gone made (NULL: that nobody alive made) and nobody has attached. */
static void remove_made_by(struct lx_ipcns *ns, struct lx_pid *gone)
{
	struct ipc_object *o;
	int index;

	for (index = 0; (o = ipc_next(ns, IPC_SHM, &index)); index++) {
		struct lx_pid *creator = shm_of(o)->creator;

		if (gone ? creator == gone : !READ_ONCE(creator->task))
			shm_check_unused(shm_of(o));
		ipc_object_put(o);
	}
}

void shm_remove_orphans(struct lx_ipcns *ns)
{
	remove_made_by(ns, NULL);
}

void lx_shm_task_exit(struct lx_task *self)
{
	if (atomic_load(&self->ns->ipc->shm_rmid_forced))
		remove_made_by(self->ns->ipc, self->pid);
}

/* -- shmctl */

static void export(const struct shm_segment *s, struct shmid64_ds *ds)
{
	*ds = (struct shmid64_ds){
		.shm_segsz = s->size,
		.shm_atime = s->atime,
		.shm_dtime = s->dtime,
		.shm_ctime = s->ctime,
		.shm_cpid = s->cpid,
		.shm_lpid = s->lpid,
		.shm_nattch = shm_attachments(s),
	};
	ipc_export_perm(&s->obj, &ds->shm_perm);
}

static long shm_stat(struct lx_task *self, int id, int cmd, uaddr_t buf)
{
	struct lx_ipcns *ns = self->ns->ipc;
	struct shmid64_ds ds;
	struct ipc_object *o;
	long ret;

	ret = cmd == IPC_STAT ? ipc_lock(ns, IPC_SHM, id, &o) : ipc_lock_index(ns, IPC_SHM, id, &o);
	if (ret)
		return ret;
	ret = cmd == SHM_STAT_ANY ? 0 : ipc_permission(self, o, IPC_READ);
	if (!ret) {
		export(shm_of(o), &ds);
		ret = cmd == IPC_STAT ? 0 : o->id;
	}
	ipc_unlock_put(o);
	if (ret >= 0 && lx_copy_to_user(buf, &ds, sizeof(ds)))
		return -EFAULT;
	return ret;
}

static long shm_set(struct lx_task *self, int id, uaddr_t buf)
{
	struct shmid64_ds ds;
	struct ipc_object *o;
	long err;

	if (lx_copy_from_user(&ds, buf, sizeof(ds)))
		return -EFAULT;
	err = ipc_lock_owned(self, IPC_SHM, id, &o);
	if (err)
		return err;
	err = ipc_set_perm(o, &ds.shm_perm);
	if (!err)
		shm_of(o)->ctime = ipc_now();
	ipc_release_owned(o);
	return err;
}

static long shm_rmid(struct lx_task *self, int id)
{
	struct ipc_object *o;
	long err = ipc_lock_owned(self, IPC_SHM, id, &o);

	if (err)
		return err;
	remove_or_mark(shm_of(o));
	ipc_release_owned(o);
	return 0;
}

/* There is no swap, so all that locking does is to be shown. */
static long shm_lock(struct lx_task *self, int id, bool lock)
{
	struct ipc_object *o;
	long err = ipc_lock(self->ns->ipc, IPC_SHM, id, &o);

	if (err)
		return err;
	if (!lx_capable(self, CAP_IPC_LOCK)) {
		if (self->cred->euid != o->uid && self->cred->euid != o->cuid)
			err = -EPERM;
		else if (lock && !lx_rlimit(self, RLIMIT_MEMLOCK))
			err = -EPERM;
		else if (lock && shm_of(o)->size > lx_rlimit(self, RLIMIT_MEMLOCK))
			err = -ENOMEM;
	}
	if (!err)
		o->mode = lock ? o->mode | SHM_LOCKED : o->mode & ~SHM_LOCKED;
	ipc_unlock_put(o);
	return err;
}

static int max_index(struct lx_ipcns *ns)
{
	int max;

	rt_read_lock(&ns->ids[IPC_SHM].lock);
	max = ipc_max_index(&ns->ids[IPC_SHM]);
	rt_read_unlock(&ns->ids[IPC_SHM].lock);
	return max;
}

static long shm_ipc_info(struct lx_ipcns *ns, uaddr_t buf)
{
	struct shminfo64 info = {
		.shmmax = atomic_load(&ns->shmmax),
		.shmmin = SHMMIN,
		.shmmni = atomic_load(&ns->shmmni),
		.shmseg = atomic_load(&ns->shmmni),
		.shmall = atomic_load(&ns->shmall),
	};

	return lx_copy_to_user(buf, &info, sizeof(info)) ? -EFAULT : max_index(ns);
}

static long shm_info(struct lx_ipcns *ns, uaddr_t buf)
{
	struct ipc_ids *ids = &ns->ids[IPC_SHM];
	struct shm_info info = { 0 };
	struct ipc_object *o;
	int index;

	for (index = 0; (o = ipc_next(ns, IPC_SHM, &index)); index++) {
		info.shm_rss += shm_resident(shm_of(o));
		ipc_object_put(o);
	}
	rt_read_lock(&ids->lock);
	info.used_ids = ids->used;
	info.shm_tot = ns->shm_pages;
	rt_read_unlock(&ids->lock);
	return lx_copy_to_user(buf, &info, sizeof(info)) ? -EFAULT : max_index(ns);
}

long lx_sys_shmctl(struct lx_task *self, int id, int cmd, uaddr_t buf)
{
	if (cmd < 0 || id < 0)
		return -EINVAL;
	switch (cmd) {
	case IPC_INFO:
		return shm_ipc_info(self->ns->ipc, buf);
	case SHM_INFO:
		return shm_info(self->ns->ipc, buf);
	case IPC_STAT:
	case SHM_STAT:
	case SHM_STAT_ANY:
		return shm_stat(self, id, cmd, buf);
	case IPC_SET:
		return shm_set(self, id, buf);
	case IPC_RMID:
		return shm_rmid(self, id);
	case SHM_LOCK:
	case SHM_UNLOCK:
		return shm_lock(self, id, cmd == SHM_LOCK);
	}
	return -EINVAL;
}
