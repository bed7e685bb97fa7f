/* SPDX-License-Identifier: MIT */
/*
 * madvise, mlock, msync, mincore and other calls about ranges of mapped memory,
 * and access to the memory of other processes.
 */

#include <asm/mman.h>
#include <linux/capability.h>
#include <linux/mempolicy.h>
#include <linux/mman.h>
#include <linux/ptrace.h>
#include <linux/resource.h>

#include "abi/calls.h"
#include "lx/file.h"
#include "lx/iter.h"
#include "lx/lock_rank.h"
#include "lx/pid.h"
#include "lx/pidfd.h"
#include "lx/syscall.h"
#include "lx/system.h"
#include "lx/task.h"
#include "mm/mm_impl.h"

#define PAGE_MASK (~(uint64_t)(K_PAGE_SIZE - 1))

static uint64_t page_up(uint64_t n)
{
	return (n + K_PAGE_SIZE - 1) & PAGE_MASK;
}

/* Check [addr, addr + length): page aligned start, no overflow.  *@length is rounded up. */
static int check_range(uint64_t addr, uint64_t *length, int overflow)
{
	if (addr & ~PAGE_MASK)
		return -EINVAL;
	if (page_up(*length) < *length)
		return overflow;
	*length = page_up(*length);
	if (addr + *length < addr)
		return overflow;
	return 0;
}

/*
 * Call @fn for each region in [start, end), cut to it.  -ENOMEM at the end if there
 * were gaps; what @fn returns stops at once.
 */
static int for_each_region(k_handle_t space, uint64_t start, uint64_t end,
			   int (*fn)(const struct k_region *r, uint64_t start, uint64_t end, void *arg),
			   void *arg)
{
	struct k_region r;
	bool gap = false;
	int err;

	while (start < end) {
		if (k_space_query(space, start, 0, &r) != K_OK || r.start >= end) {
			gap = true;
			break;
		}
		if (r.start > start) {
			gap = true;
			start = r.start;
		}
		err = fn(&r, start, MIN(r.end, end), arg);
		if (err)
			return err;
		start = r.end;
	}
	return gap ? -ENOMEM : 0;
}

static int advise_errno(k_status_t st)
{
	return st == K_ERR_NOT_FOUND ? -ENOMEM : lx_errno(st);
}

/* -- madvise --------------------------------------------------------------------------- */

static int check_anonymous(const struct k_region *r, uint64_t start, uint64_t end, void *arg)
{
	return r->memory_koid || (r->flags & K_MAP_SHARED) ? -EINVAL : 0;
}

static int check_not_locked(const struct k_region *r, uint64_t start, uint64_t end, void *arg)
{
	return r->flags & K_MAP_LOCKED ? -EINVAL : 0;
}

/* MADV_REMOVE: a hole in what the shared mapping maps. */
static int punch(const struct k_region *r, uint64_t start, uint64_t end, void *arg)
{
	struct lx_file *f;
	int err = -EINVAL;

	if (!(r->flags & K_MAP_SHARED))
		return -EINVAL;
	if (!(r->max_prot & K_PROT_WRITE))
		return -EACCES;
	f = lx_backing_file(r->cookie);
	if (!f)
		return -EINVAL;
	if (f->ops->fallocate)
		err = f->ops->fallocate(f, 3 /* KEEP_SIZE | PUNCH_HOLE */,
					(lx_off_t)(r->offset + (start - r->start)),
					(lx_off_t)(end - start));
	lx_file_put(f);
	return err;
}

static int exists(const struct k_region *r, uint64_t start, uint64_t end, void *arg)
{
	return 0;
}

static int kernel_advice(struct lx_mm *mm, uint64_t addr, uint64_t length, enum k_advice advice)
{
	return advise_errno(k_space_advise(mm->space, addr, length, advice));
}

/* In bytes that have to be supplied: read them, as far as there are any. */
static int populate(struct lx_task *self, uint64_t addr, uint64_t length, bool write)
{
	uint64_t at;

	for (at = addr; at < addr + length; at += K_PAGE_SIZE) {
		if (lx_fatal_signal_pending(self))
			return -EINTR;
		if (lx_fault_in(self, uaddr(at), 1, write))
			return -EFAULT;
	}
	return 0;
}

static int advise(struct lx_task *self, struct lx_mm *mm, uint64_t addr, uint64_t length, int advice)
{
	uint64_t end = addr + length;
	int err;

	switch (advice) {
	case MADV_NORMAL:
	case MADV_RANDOM:
	case MADV_SEQUENTIAL:
	case MADV_WILLNEED:
	case MADV_COLD:
	case MADV_PAGEOUT:
		/* Hints: nothing to do but to say whether there is something. */
		return for_each_region(mm->space, addr, end, exists, NULL);
	case MADV_DONTNEED:
		err = for_each_region(mm->space, addr, end, check_not_locked, NULL);
		if (err == -EINVAL)
			return err;
		return kernel_advice(mm, addr, length, K_ADVISE_DISCARD) ?: err;
	case MADV_FREE:
		/* "May be freed at any time": now. */
		err = for_each_region(mm->space, addr, end, check_anonymous, NULL);
		return err ? err : kernel_advice(mm, addr, length, K_ADVISE_DISCARD);
	case MADV_REMOVE:
		return for_each_region(mm->space, addr, end, punch, NULL);
	case MADV_DONTFORK:
		return kernel_advice(mm, addr, length, K_ADVISE_DONT_FORK);
	case MADV_DOFORK:
		return kernel_advice(mm, addr, length, K_ADVISE_DO_FORK);
	case MADV_WIPEONFORK:
		err = for_each_region(mm->space, addr, end, check_anonymous, NULL);
		return err ? err : kernel_advice(mm, addr, length, K_ADVISE_WIPE_ON_FORK);
	case MADV_KEEPONFORK:
		return kernel_advice(mm, addr, length, K_ADVISE_KEEP_ON_FORK);
	case MADV_DONTDUMP:
		return kernel_advice(mm, addr, length, K_ADVISE_DONT_DUMP);
	case MADV_DODUMP:
		return kernel_advice(mm, addr, length, K_ADVISE_DO_DUMP);
	case MADV_POPULATE_READ:
	case MADV_POPULATE_WRITE:
		err = for_each_region(mm->space, addr, end, exists, NULL);
		return err ? err : populate(self, addr, length, advice == MADV_POPULATE_WRITE);
	}
	return -EINVAL;
}

static bool known_advice(int advice)
{
	return (advice >= MADV_NORMAL && advice <= MADV_DONTNEED) ||
	       (advice >= MADV_FREE && advice <= MADV_DOFORK) ||
	       (advice >= MADV_DONTDUMP && advice <= MADV_POPULATE_WRITE);
}

long lx_sys_madvise(struct lx_task *self, uint64_t addr, size_t length, int advice)
{
	uint64_t n = length;
	int err;

	if (!known_advice(advice))
		return -EINVAL;
	err = check_range(addr, &n, -EINVAL);
	if (err || !n)
		return err;
	return advise(self, self->mm, addr, n, advice);
}

/* -- mlock ------------------------------------------------------------------------------- */

static int may_lock(struct lx_task *self, uint64_t more)
{
	uint64_t limit = lx_rlimit(self, RLIMIT_MEMLOCK);
	struct k_space_info info;

	if (lx_capable(self, CAP_IPC_LOCK) || limit == ~0ull)
		return 0;
	if (!limit)
		return -EPERM;
	if (k_space_info(self->mm->space, &info) != K_OK)
		return 0;
	return more > limit || info.locked_bytes > limit - more ? -ENOMEM : 0;
}

static long do_mlock(struct lx_task *self, uint64_t addr, uint64_t length, bool on_fault)
{
	uint64_t start = addr & PAGE_MASK, n = page_up(length + (addr - start));
	int err;

	if (n < length || start + n < start)
		return -EINVAL;
	if (!n)
		return 0;
	err = may_lock(self, n);
	if (!err)
		err = for_each_region(self->mm->space, start, start + n, exists, NULL);
	if (!err)
		err = kernel_advice(self->mm, start, n, K_ADVISE_LOCK);
	if (!err && !on_fault && populate(self, start, n, false) == -EFAULT)
		return -ENOMEM;
	return err;
}

long lx_sys_mlock(struct lx_task *self, uint64_t addr, size_t length)
{
	return do_mlock(self, addr, length, false);
}

long lx_sys_mlock2(struct lx_task *self, uint64_t addr, size_t length, unsigned int flags)
{
	if (flags & ~(unsigned int)MLOCK_ONFAULT)
		return -EINVAL;
	return do_mlock(self, addr, length, flags & MLOCK_ONFAULT);
}

long lx_sys_munlock(struct lx_task *self, uint64_t addr, size_t length)
{
	uint64_t start = addr & PAGE_MASK, n = page_up(length + (addr - start));
	int err;

	if (n < length || start + n < start)
		return -EINVAL;
	if (!n)
		return 0;
	err = for_each_region(self->mm->space, start, start + n, exists, NULL);
	return err ? err : kernel_advice(self->mm, start, n, K_ADVISE_UNLOCK);
}

static int lock_one(const struct k_region *r, uint64_t start, uint64_t end, void *arg)
{
	struct lx_task *self = lx_self();

	(void)!k_space_advise(self->mm->space, start, end - start, *(uint32_t *)arg);
	return 0;
}

long lx_sys_mlockall(struct lx_task *self, unsigned int flags)
{
	uint32_t advice = K_ADVISE_LOCK;
	struct k_space_info info;
	int err;

	if (!flags || flags & ~(unsigned int)(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) ||
	    flags == MCL_ONFAULT)
		return -EINVAL;
	if (k_space_info(self->mm->space, &info) != K_OK)
		return -ENOMEM;
	err = may_lock(self, flags & MCL_CURRENT ? info.mapped_bytes - info.locked_bytes : 0);
	if (err)
		return err;
	rt_mutex_lock(&self->mm->lock);
	self->mm->def_flags = flags & MCL_FUTURE ? K_MAP_LOCKED : 0;
	rt_mutex_unlock(&self->mm->lock);
	if (flags & MCL_CURRENT)
		(void)for_each_region(self->mm->space, 0, K_PROGRAM_MAX, lock_one, &advice);
	return 0;
}

long lx_sys_munlockall(struct lx_task *self)
{
	uint32_t advice = K_ADVISE_UNLOCK;

	rt_mutex_lock(&self->mm->lock);
	self->mm->def_flags = 0;
	rt_mutex_unlock(&self->mm->lock);
	(void)for_each_region(self->mm->space, 0, K_PROGRAM_MAX, lock_one, &advice);
	return 0;
}

/* -- msync, mincore --------------------------------------------------------------------------- */

static int sync_one(const struct k_region *r, uint64_t start, uint64_t end, void *arg)
{
	unsigned int flags = *(unsigned int *)arg;
	struct lx_file *f;
	lx_off_t at;
	int err = 0;

	if ((flags & MS_INVALIDATE) && (r->flags & K_MAP_LOCKED))
		return -EBUSY;
	if (!(flags & MS_SYNC) || !(r->flags & K_MAP_SHARED))
		return 0;
	f = lx_backing_file(r->cookie);
	if (!f)
		return 0;
	at = (lx_off_t)(r->offset + (start - r->start));
	if (f->ops->fsync)
		err = f->ops->fsync(f, at, at + (lx_off_t)(end - start) - 1, true);
	lx_file_put(f);
	return err;
}

long lx_sys_msync(struct lx_task *self, uint64_t addr, size_t length, unsigned int flags)
{
	uint64_t n = length;
	int err;

	if (flags & ~(unsigned int)(MS_ASYNC | MS_INVALIDATE | MS_SYNC) ||
	    (flags & (MS_ASYNC | MS_SYNC)) == (MS_ASYNC | MS_SYNC))
		return -EINVAL;
	err = check_range(addr, &n, -ENOMEM);
	if (err || !n)
		return err;
	return for_each_region(self->mm->space, addr, addr + n, sync_one, &flags);
}

long lx_sys_mincore(struct lx_task *self, uint64_t addr, size_t length, uaddr_t vec)
{
	uint64_t pages = page_up(length) / K_PAGE_SIZE, i, n;
	uint8_t map[256];
	k_status_t st;

	if (addr & ~PAGE_MASK)
		return -EINVAL;
	if (page_up(length) < length || addr + page_up(length) > K_PROGRAM_MAX ||
	    addr + page_up(length) < addr)
		return -ENOMEM;
	for (i = 0; i < pages; i += n) {
		n = MIN(pages - i, sizeof(map));
		st = k_space_resident(self->mm->space, addr + i * K_PAGE_SIZE, n * K_PAGE_SIZE, map,
				      n);
		if (st != K_OK)
			return advise_errno(st);
		if (lx_copy_to_user(uaddr_add(vec, i), map, n))
			return -EFAULT;
	}
	return 0;
}

/* -- memory of other processes -------------------------------------------------------------------- */

struct segments { struct lx_seg *seg; unsigned long nr; };

static int import(struct segments *s, uaddr_t iov, unsigned long nr)
{
	struct lx_seg *seg;
	unsigned long i;

	s->seg = NULL;
	s->nr = nr;
	if (nr > 1024)
		return -EINVAL;
	if (!nr)
		return 0;
	seg = rt_alloc(nr * sizeof(*seg));
	if (!seg)
		return -ENOMEM;
	if (lx_copy_from_user(seg, iov, nr * sizeof(*seg))) {
		rt_free(seg);
		return -EFAULT;
	}
	for (i = 0; i < nr; i++) {
		if ((int64_t)seg[i].len < 0) {
			rt_free(seg);
			return -EINVAL;
		}
	}
	s->seg = seg;
	return 0;
}

/* Between the caller's memory and that of @mm, a buffer at a time; both lists are consumed. */
static int64_t transfer(struct lx_mm *mm, struct segments *l, struct segments *r, bool write)
{
	const size_t size = 16384;
	uint8_t *buf = rt_alloc(size);
	unsigned long i = 0, j = 0;
	int64_t total = 0, n = 0;

	if (!buf)
		return -ENOMEM;
	while (i < l->nr && j < r->nr) {
		struct lx_seg *a = &l->seg[i], *b = &r->seg[j];

		if (!a->len) {
			i++;
			continue;
		}
		if (!b->len) {
			j++;
			continue;
		}
		n = (int64_t)MIN(MIN(a->len, b->len), size);
		if (write && lx_copy_from_user(buf, uaddr(a->base), (size_t)n))
			n = -EFAULT;
		else
			n = lx_mm_access(mm, b->base, buf, (size_t)n, write);
		if (n <= 0)
			break;
		if (!write && lx_copy_to_user(uaddr(a->base), buf, (size_t)n)) {
			n = -EFAULT;
			break;
		}
		total += n;
		a->base += (uint64_t)n;
		a->len -= (uint64_t)n;
		b->base += (uint64_t)n;
		b->len -= (uint64_t)n;
	}
	rt_free(buf);
	return total ? total : MIN(n, 0);
}

static long process_vm(struct lx_task *self, int pid, uaddr_t local, unsigned long nlocal,
		       uaddr_t remote, unsigned long nremote, unsigned long flags, bool write)
{
	struct segments l = { 0 }, r = { 0 };
	struct lx_task *t = NULL;
	struct lx_mm *mm = NULL;
	int64_t ret;

	if (flags)
		return -EINVAL;
	ret = import(&l, local, nlocal);
	if (!ret)
		ret = import(&r, remote, nremote);
	if (!ret && !(t = lx_task_find(self, pid)))
		ret = -ESRCH;
	if (!ret)
		ret = lx_ptrace_may_access(self, t);
	if (!ret && !(mm = lx_task_mm_get(t)))
		ret = -ESRCH;
	if (!ret)
		ret = transfer(mm, &l, &r, write);
	if (mm)
		lx_mm_put(mm);
	if (t)
		lx_task_put(t);
	rt_free(l.seg);
	rt_free(r.seg);
	return ret;
}

long lx_sys_process_vm_readv(struct lx_task *self, int pid, uaddr_t local, unsigned long nlocal,
			     uaddr_t remote, unsigned long nremote, unsigned long flags)
{
	return process_vm(self, pid, local, nlocal, remote, nremote, flags, false);
}

long lx_sys_process_vm_writev(struct lx_task *self, int pid, uaddr_t local, unsigned long nlocal,
			      uaddr_t remote, unsigned long nremote, unsigned long flags)
{
	return process_vm(self, pid, local, nlocal, remote, nremote, flags, true);
}

/* -- memory policies: one node, so that all of them are the default -------------------------------- */

long lx_sys_get_mempolicy(struct lx_task *self, uaddr_t mode, uaddr_t nodes, unsigned long maxnode,
			  uint64_t addr, unsigned int flags)
{
	uint32_t zero = 0;
	uint64_t mask = flags & MPOL_F_MEMS_ALLOWED ? 1 : 0;

	if (flags & ~(unsigned int)(MPOL_F_NODE | MPOL_F_ADDR | MPOL_F_MEMS_ALLOWED))
		return -EINVAL;
	if (mode.v && lx_copy_to_user(mode, &zero, sizeof(zero)))
		return -EFAULT;
	if (nodes.v && maxnode && lx_copy_to_user(nodes, &mask, sizeof(mask)))
		return -EFAULT;
	return 0;
}

long lx_sys_set_mempolicy(struct lx_task *self, int mode, uaddr_t nodes, unsigned long maxnode)
{
	int kind = mode & ~MPOL_MODE_FLAGS;

	return kind < MPOL_DEFAULT || kind > MPOL_LOCAL ? -EINVAL : 0;
}

long lx_sys_mbind(struct lx_task *self, uint64_t addr, size_t length, int mode, uaddr_t nodes,
		  unsigned long maxnode, unsigned int flags)
{
	int kind = mode & ~MPOL_MODE_FLAGS;

	return kind < MPOL_DEFAULT || kind > MPOL_LOCAL || addr & ~PAGE_MASK ? -EINVAL : 0;
}
