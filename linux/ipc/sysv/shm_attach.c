/* SPDX-License-Identifier: MIT */
/*
 * System V shared memory: attaching and detaching.  See shmat(2), shmdt(2).
 *
 * Regions of attachments carry the tag LX_TAG_SYSV_SHM.  Programs that never attach
 * anything pay a look at mm->sysv_shm; for the others, fork, munmap and exit walk
 * the regions to keep the times and process numbers that shmctl(2) shows.
 */

#include <linux/mman.h>
#include <linux/shm.h>
#include <asm/mman.h>

#include "abi/calls.h"
#include "ipc/sysv/shm.h"
#include "lx/ipc.h"
#include "lx/mm.h"
#include "lx/syscall.h"
#include "vfs/vfs_priv.h"

#define PAGE ((uint64_t)K_PAGE_SIZE)
#define SHMLBA_MASK (PAGE - 1)

/* -- the open file of an attachment: private is the segment */

static int shm_file_open(struct lx_inode *inode, struct lx_file *f)
{
	return 0;			/* do_attach() fills it in */
}

static int shm_file_mmap(struct lx_file *f, struct lx_mmap *m)
{
	int err = lx_pages_mmap(f, f->inode, m);

	if (!err)
		m->tag = LX_TAG_SYSV_SHM;
	return err;
}

static void shm_file_release(struct lx_file *f)
{
	struct shm_segment *s = f->private;
	struct lx_ipcns *ns;

	if (!s)
		return;			/* the segment's own file */
	ns = s->obj.ns;
	shm_check_unused(s);
	ipc_object_put(&s->obj);
	lx_ipcns_put(ns);
}

const struct lx_file_ops shm_file_ops = {
	.open = shm_file_open,
	.mmap = shm_file_mmap,
	.release = shm_file_release,
};

/* The segment of a region with a reference to its file, or NULL. */
static struct shm_segment *segment_of(const struct k_region *r, struct lx_file **file)
{
	struct lx_file *f = r->tag == LX_TAG_SYSV_SHM ? lx_backing_file(r->cookie) : NULL;

	if (f && f->ops == &shm_file_ops && f->private) {
		*file = f;
		return f->private;
	}
	if (f)
		lx_file_put(f);
	return NULL;
}

/* -- shmat */

struct attach {
	uint64_t addr;
	uint32_t prot, map_flags, fmode;
	int o_flags;
	unsigned int want;
};

static int decode_attach(uint64_t addr, unsigned int flags, struct attach *a)
{
	*a = (struct attach){
		.addr = addr,
		.prot = PROT_READ | PROT_WRITE,
		.map_flags = MAP_SHARED,
		.fmode = LX_FMODE_READ | LX_FMODE_WRITE,
		.o_flags = O_RDWR,
		.want = IPC_READ | IPC_WRITE,
	};
	if (addr & SHMLBA_MASK) {
		if (!(flags & SHM_RND))
			return -EINVAL;
		a->addr &= ~SHMLBA_MASK;
		if (!a->addr && (flags & SHM_REMAP))
			return -EINVAL;
	}
	if (addr)
		a->map_flags |= flags & SHM_REMAP ? MAP_FIXED : MAP_FIXED_NOREPLACE;
	else if (flags & SHM_REMAP)
		return -EINVAL;
	if (flags & SHM_RDONLY) {
		a->prot = PROT_READ;
		a->fmode = LX_FMODE_READ;
		a->o_flags = O_RDONLY;
		a->want = IPC_READ;
	}
	if (flags & SHM_EXEC) {
		a->prot |= PROT_EXEC;
		a->want |= 0111;
	}
	return 0;
}

/* A file for one more attachment; it holds the segment and the namespace. */
static int open_attachment(struct lx_task *self, struct shm_segment *s, const struct attach *a,
			   struct lx_file **out)
{
	struct lx_path path = { .dentry = lx_dentry_get(s->file->path.dentry) };
	int err = lx_file_open_path(self, &path, a->o_flags, a->fmode, out);

	if (err) {
		lx_path_put(&path);
		return err;
	}
	ipc_object_get(&s->obj);
	lx_ipcns_get(s->obj.ns);
	(*out)->private = s;
	return 0;
}

/* The segment counts as attached from here until end_attach(). */
static int begin_attach(struct lx_task *self, int id, const struct attach *a,
			struct shm_segment **out)
{
	struct ipc_object *o;
	int err = ipc_lock(self->ns->ipc, IPC_SHM, id, &o);

	if (err)
		return err;
	err = ipc_permission(self, o, a->want);
	if (err) {
		ipc_unlock_put(o);
		return err;
	}
	*out = shm_of(o);
	(*out)->attaching++;
	rt_mutex_unlock(&o->lock);
	return 0;
}

static void end_attach(struct lx_task *self, struct shm_segment *s, bool attached)
{
	rt_mutex_lock(&s->obj.lock);
	s->attaching--;
	if (attached) {
		s->lpid = self->group->pid;
		s->atime = ipc_now();
	}
	rt_mutex_unlock(&s->obj.lock);
	shm_check_unused(s);
	ipc_object_put(&s->obj);
}

static int64_t map(struct lx_task *self, struct shm_segment *s, struct lx_file *f,
		   const struct attach *a)
{
	int64_t ret;

	if ((a->map_flags & MAP_FIXED_NOREPLACE) && a->addr + s->size < a->addr)
		return -EINVAL;
	/* Before it is mapped: somebody may unmap it at once. */
	atomic_store(&self->mm->sysv_shm, true);
	ret = lx_mmap_file(self, self->mm, f, a->addr, s->size, a->prot, a->map_flags, 0);
	return ret == -EEXIST ? -EINVAL : ret;
}

long lx_sys_shmat(struct lx_task *self, int id, uint64_t addr, unsigned int flags)
{
	struct shm_segment *s;
	struct lx_file *f;
	struct attach a;
	int64_t ret;

	if (id < 0)
		return -EINVAL;
	ret = decode_attach(addr, flags, &a);
	if (ret)
		return ret;
	ret = begin_attach(self, id, &a, &s);
	if (ret)
		return ret;
	ret = open_attachment(self, s, &a, &f);
	if (!ret) {
		ret = map(self, s, f, &a);
		lx_file_put(f);
	}
	end_attach(self, s, ret >= 0);
	return ret;
}

/* -- detaching */

static void note_detach(struct lx_task *self, struct shm_segment *s)
{
	rt_mutex_lock(&s->obj.lock);
	s->lpid = self->group->pid;
	s->dtime = ipc_now();
	rt_mutex_unlock(&s->obj.lock);
}

/* Unmap a region, or the part of it in [from, to). */
static int detach_region(struct lx_task *self, struct lx_mm *mm, struct shm_segment *s,
			 uint64_t from, uint64_t to)
{
	uint64_t reap;

	if (k_space_unmap(mm->space, from, to - from, &reap) != K_OK)
		return -ENOMEM;
	note_detach(self, s);
	shm_check_unused(s);
	return 0;
}

void lx_shm_unmap(struct lx_task *self, struct lx_mm *mm, uint64_t from, uint64_t to)
{
	uint64_t addr = from;
	struct shm_segment *s;
	struct lx_file *f;
	struct k_region r;

	while (addr < to && k_space_query(mm->space, addr, 0, &r) == K_OK && r.start < to) {
		s = segment_of(&r, &f);
		if (s) {
			(void)detach_region(self, mm, s, MAX(r.start, from), MIN(r.end, to));
			lx_file_put(f);
		}
		addr = r.end;
	}
}

void lx_shm_mm_exit(struct lx_task *self, struct lx_mm *mm)
{
	lx_shm_unmap(self, mm, 0, K_PROGRAM_MAX);
}

void lx_shm_fork(struct lx_task *self, struct lx_mm *mm)
{
	struct shm_segment *s;
	struct lx_file *f;
	struct k_region r;
	uint64_t addr = 0;

	while (addr < K_PROGRAM_MAX && k_space_query(mm->space, addr, 0, &r) == K_OK) {
		s = segment_of(&r, &f);
		if (s) {
			rt_mutex_lock(&s->obj.lock);
			s->lpid = self->group->pid;
			s->atime = ipc_now();
			rt_mutex_unlock(&s->obj.lock);
			lx_file_put(f);
		}
		addr = r.end;
	}
}

/*
 * An attachment may have been cut to pieces by munmap and mprotect, and its start
 * may be gone: the first piece that lies where an attachment at @addr would have it
 * decides which attachment is meant; all pieces of that go.
 */
long lx_sys_shmdt(struct lx_task *self, uint64_t addr)
{
	struct lx_mm *mm = self->mm;
	uint64_t at = addr, end = K_PROGRAM_MAX;
	struct lx_file *attached = NULL, *f;
	struct shm_segment *s;
	struct k_region r;
	long err = -EINVAL;

	if ((addr & (PAGE - 1)) || !atomic_load(&mm->sysv_shm))
		return -EINVAL;
	while (at < end && k_space_query(mm->space, at, 0, &r) == K_OK && r.start < end) {
		at = r.end;
		if (r.start < addr || r.start - addr != r.offset)
			continue;
		s = segment_of(&r, &f);
		if (!s)
			continue;
		if (!attached) {
			attached = lx_file_get(f);
			end = addr + shm_pages(s) * PAGE;
			err = 0;
		}
		if (f == attached && !err)
			err = detach_region(self, mm, s, r.start, r.end);
		lx_file_put(f);
	}
	if (attached)
		lx_file_put(attached);
	lx_backing_reap();
	return err;
}
