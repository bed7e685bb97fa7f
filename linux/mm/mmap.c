/* SPDX-License-Identifier: MIT */
/*
 * mmap and its kind: Linux's rules in front of the kernel's region calls.
 */

#include <asm/mman.h>
#include <linux/capability.h>
#include <linux/memfd.h>
#include <linux/mman.h>
#include <linux/resource.h>

#include "base/util.h"
#include "abi/calls.h"
#include "lx/file.h"
#include "lx/ipc.h"
#include "lx/lock_rank.h"
#include "lx/syscall.h"
#include "lx/system.h"
#include "lx/task.h"
#include "lx/vfs.h"
#include "mm/mm_impl.h"

_Atomic(uint32_t) lx_overcommit_memory = 0, lx_overcommit_ratio = 50;
_Atomic(uint64_t) lx_mmap_min_addr = 65536;

#define INFINITY_LIMIT (~0ull)
#define TASK_SIZE K_PROGRAM_MAX

uint32_t lx_prot_to_kernel(uint32_t prot)
{
	uint32_t k = 0;

	if (prot & (PROT_READ | PROT_EXEC))
		k |= K_PROT_READ;	/* x86: what can be executed can be read */
	if (prot & PROT_WRITE)
		k |= K_PROT_READ | K_PROT_WRITE;
	if (prot & PROT_EXEC)
		k |= K_PROT_EXEC;
	return k;
}

static uint64_t page_up(uint64_t n)
{
	return (n + K_PAGE_SIZE - 1) & ~(uint64_t)(K_PAGE_SIZE - 1);
}

static bool page_aligned(uint64_t n)
{
	return (n & (K_PAGE_SIZE - 1)) == 0;
}

/* How Linux names what a region call refused. */
static int map_errno(k_status_t st)
{
	switch (st) {
	case K_ERR_EXISTS:
		return -EEXIST;
	case K_ERR_ACCESS:
		return -EACCES;
	case K_ERR_NOT_FOUND:
	case K_ERR_NO_SPACE:
	case K_ERR_LIMIT:
		return -ENOMEM;
	case K_ERR_BAD_ARGUMENT:
		return -EINVAL;
	}
	return lx_errno(st);
}

/* -- limits ----------------------------------------------------------------------------- */

/* Heuristic overcommit: only what could never be there is refused. */
bool lx_overcommits(uint64_t bytes)
{
	uint32_t mode = atomic_load(&lx_overcommit_memory);
	uint64_t total = lx_system.info.memory_bytes;

	if (mode == 1)
		return false;
	if (mode == 2)
		return bytes > total / 100 * atomic_load(&lx_overcommit_ratio);
	return bytes > total;
}

/* May @mm grow by @length, of which @data counts as private writable? */
static int check_limits(struct lx_task *self, struct lx_mm *mm, uint64_t length, bool data)
{
	uint64_t as = lx_rlimit(self, RLIMIT_AS), max_data = lx_rlimit(self, RLIMIT_DATA);
	struct k_space_info info;

	if (data && lx_overcommits(length))
		return -ENOMEM;
	if (as == INFINITY_LIMIT && (!data || max_data == INFINITY_LIMIT))
		return 0;
	if (k_space_info(mm->space, &info) != K_OK)
		return 0;
	if (as != INFINITY_LIMIT && (length > as || info.mapped_bytes > as - length))
		return -ENOMEM;
	if (data && max_data != INFINITY_LIMIT &&
	    (length > max_data || info.private_writable_bytes > max_data - length))
		return -ENOMEM;
	return 0;
}

static int check_locked(struct lx_task *self, struct lx_mm *mm, uint64_t length)
{
	uint64_t max = lx_rlimit(self, RLIMIT_MEMLOCK);
	struct k_space_info info;

	if (max == INFINITY_LIMIT || lx_capable(self, CAP_IPC_LOCK))
		return 0;
	if (max == 0)
		return -EPERM;
	if (k_space_info(mm->space, &info) != K_OK)
		return 0;
	return length > max || info.locked_bytes > max - length ? -EAGAIN : 0;
}

/* -- mmap ------------------------------------------------------------------------------------ */

#define LEGACY_FLAGS (MAP_SHARED | MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS | MAP_DENYWRITE | \
		      MAP_EXECUTABLE | MAP_UNINITIALIZED | MAP_GROWSDOWN | MAP_LOCKED | \
		      MAP_NORESERVE | MAP_POPULATE | MAP_NONBLOCK | MAP_STACK | MAP_HUGETLB | \
		      MAP_32BIT | MAP_FIXED_NOREPLACE | 0x3f << MAP_HUGE_SHIFT)

static int check_file(struct lx_file *f, uint32_t prot, uint32_t flags, uint32_t *max_prot)
{
	uint32_t fmode = f->mode;

	*max_prot = K_PROT_READ | K_PROT_WRITE | K_PROT_EXEC;
	if (f->path.mnt && (atomic_load(&f->path.mnt->flags) & LX_MNT_NOEXEC)) {
		if (prot & PROT_EXEC)
			return -EPERM;
		*max_prot &= ~K_PROT_EXEC;
	}
	switch (flags & MAP_TYPE) {
	case MAP_SHARED_VALIDATE:
		if (flags & ~(uint32_t)(LEGACY_FLAGS | MAP_SHARED_VALIDATE))
			return -EOPNOTSUPP;
		FALLTHROUGH;
	case MAP_SHARED:
		if (!(fmode & LX_FMODE_WRITE)) {
			if (prot & PROT_WRITE)
				return -EACCES;
			*max_prot &= ~K_PROT_WRITE;
		}
		if ((prot & PROT_WRITE) && (f->inode->iflags & LX_INODE_APPEND))
			return -EACCES;
		FALLTHROUGH;
	case MAP_PRIVATE:
		if (!(fmode & (LX_FMODE_READ | LX_FMODE_EXEC)))
			return -EACCES;
		if (!f->ops->mmap)
			return -ENODEV;
		if (flags & MAP_GROWSDOWN)
			return -EINVAL;
		return 0;
	}
	return -EINVAL;
}

static int check_anonymous(uint32_t flags)
{
	switch (flags & MAP_TYPE) {
	case MAP_SHARED:
	case MAP_SHARED_VALIDATE:
		return flags & MAP_GROWSDOWN ? -EINVAL : 0;
	case MAP_PRIVATE:
		return 0;
	}
	return -EINVAL;
}

static k_status_t map_object(struct lx_mm *mm, struct lx_file *f, struct lx_mmap *m,
			     struct k_map *map)
{
	k_handle_t memory;
	k_status_t st;

	if (f && m->memory)
		return lx_backing_map(mm->space, f, m->memory, map);
	if (f || !(m->flags & MAP_SHARED))
		return k_space_map(mm->space, map);
	/* Shared anonymous memory: an object that only its regions hold. */
	st = k_memory_create(lx_system.group, map->length, 0, &memory);
	if (st != K_OK)
		return st;
	map->memory = memory;
	map->tag = LX_TAG_SHARED_ANON;
	st = k_space_map(mm->space, map);
	(void)!k_handle_close(memory);
	return st;
}

/* Where to look: top down below the stack, then anywhere above. */
static k_status_t place(struct lx_mm *mm, struct lx_file *f, struct lx_mmap *m, struct k_map *map)
{
	uint64_t hint = map->addr;
	k_status_t st;

	if (m->flags & (MAP_FIXED | MAP_FIXED_NOREPLACE))
		return map_object(mm, f, m, map);
	map->min = atomic_load(&lx_mmap_min_addr);
	map->max = mm->mmap_top;
	map->flags |= K_MAP_TOP_DOWN;
	if (m->flags & MAP_32BIT) {
		map->flags &= ~K_MAP_TOP_DOWN;
		map->min = 0x40000000;
		map->max = 0x80000000;
	}
	st = map_object(mm, f, m, map);
	if (st == K_ERR_NO_SPACE && !(m->flags & MAP_32BIT)) {
		map->addr = hint;
		map->flags &= ~K_MAP_TOP_DOWN;
		map->max = TASK_SIZE;
		st = map_object(mm, f, m, map);
	}
	return st;
}

static uint32_t kernel_flags(struct lx_mm *mm, uint32_t flags)
{
	uint32_t k = (uint32_t)mm->def_flags;

	if (flags & MAP_SHARED)
		k |= K_MAP_SHARED;	/* MAP_SHARED_VALIDATE has the bit too */
	if (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE))
		k |= K_MAP_FIXED;
	if (flags & MAP_FIXED_NOREPLACE)
		k |= K_MAP_NO_REPLACE;
	if (flags & MAP_GROWSDOWN)
		k |= K_MAP_GROWS_DOWN;
	if (flags & MAP_NORESERVE)
		k |= K_MAP_NO_RESERVE;
	if (flags & MAP_LOCKED)
		k |= K_MAP_LOCKED;
	return k;
}

/* The order of the checks is Linux's: programs see which error wins. */
static int64_t do_mmap(struct lx_task *self, struct lx_mm *mm, struct lx_file *f, uint64_t addr,
		       uint64_t length, uint32_t prot, uint32_t flags, uint64_t offset)
{
	bool fixed = flags & (MAP_FIXED | MAP_FIXED_NOREPLACE);
	bool data = !(flags & MAP_SHARED) && (prot & PROT_WRITE) && !(flags & MAP_NORESERVE);
	struct lx_mmap m = { .addr = addr, .prot = prot, .flags = flags, .offset = offset };
	uint32_t max_prot = K_PROT_READ | K_PROT_WRITE | K_PROT_EXEC;
	struct k_map map;
	k_status_t st;
	int err;

	if (!length)
		return -EINVAL;
	if ((self->personality & 0x0400000) && (prot & PROT_READ) &&
	    !(f && f->path.mnt && (atomic_load(&f->path.mnt->flags) & LX_MNT_NOEXEC)))
		prot |= PROT_EXEC;	/* READ_IMPLIES_EXEC */
	if (page_up(length) < length)
		return -ENOMEM;
	length = m.length = page_up(length);
	if (f && offset + length < offset)
		return -EOVERFLOW;
	if (length > TASK_SIZE)
		return -ENOMEM;
	if (fixed) {
		if (!page_aligned(addr))
			return -EINVAL;
		if (addr > TASK_SIZE - length)
			return -ENOMEM;
		if (addr < atomic_load(&lx_mmap_min_addr) &&
		    (addr < K_PROGRAM_MIN || !lx_capable(self, CAP_SYS_RAWIO)))
			return -EPERM;
	} else {
		addr = page_up(addr);
		if (addr && addr < atomic_load(&lx_mmap_min_addr))
			addr = page_up(atomic_load(&lx_mmap_min_addr));
		if (addr > TASK_SIZE - length)
			addr = 0;
	}
	if (flags & MAP_HUGETLB)
		return -ENOMEM;		/* no huge pages are set aside */
	err = f ? check_file(f, prot, flags, &max_prot) : check_anonymous(flags);
	if (err)
		return err;
	if (flags & MAP_LOCKED) {
		err = check_locked(self, mm, length);
		if (err)
			return err;
	}
	err = check_limits(self, mm, length, data);
	if (err)
		return err;

	m.prot = prot;
	m.addr = addr;
	m.max_prot = max_prot;
	if (f) {
		err = f->ops->mmap(f, &m);
		if (err)
			return err;
	}
	map = (struct k_map){
		.addr = addr,
		.length = length,
		.prot = lx_prot_to_kernel(prot),
		.max_prot = m.max_prot,
		.flags = kernel_flags(mm, flags),
		.offset = f ? m.offset : 0,
		.tag = m.tag,
		.limit = flags & MAP_GROWSDOWN ? MAX(lx_rlimit(self, RLIMIT_STACK), length) : 0,
	};
	if ((flags & MAP_POPULATE) && !(flags & MAP_NONBLOCK) && !m.memory)
		map.flags |= K_MAP_POPULATE;
	rt_mutex_lock(&mm->lock);
	st = place(mm, f, &m, &map);
	rt_mutex_unlock(&mm->lock);
	if (st != K_OK)
		return map_errno(st);
	if (map.reap)
		lx_backing_reap();
	return (int64_t)map.addr;
}

int64_t lx_mmap_file(struct lx_task *self, struct lx_mm *mm, struct lx_file *f, uint64_t addr,
		     uint64_t length, uint32_t prot, uint32_t flags, uint64_t offset)
{
	return do_mmap(self, mm, f, addr, length, prot, flags, offset);
}

long lx_sys_mmap(struct lx_task *self, uint64_t addr, size_t length, uint64_t prot, uint64_t flags,
		 int fd, uint64_t offset)
{
	struct lx_file *f = NULL;
	int64_t ret;

	if (!page_aligned(offset))
		return -EINVAL;
	if (!(flags & MAP_ANONYMOUS)) {
		f = lx_fd_get(self, fd);
		if (!f)
			return -EBADF;
	}
	ret = do_mmap(self, self->mm, f, addr, length, (uint32_t)prot, (uint32_t)flags, offset);
	if (ret >= 0 && f && (flags & MAP_POPULATE) && !(flags & MAP_NONBLOCK))
		(void)lx_fault_in(self, uaddr((uint64_t)ret), length, false);
	if (f)
		lx_file_put(f);
	return ret;
}

/* -- munmap, mprotect, mremap --------------------------------------------------------------- */

long lx_sys_munmap(struct lx_task *self, uint64_t addr, size_t length)
{
	uint64_t reap;
	k_status_t st;

	if (!page_aligned(addr) || addr > TASK_SIZE || length > TASK_SIZE - addr || !length)
		return -EINVAL;
	length = page_up(length);
	if (length > TASK_SIZE - addr)
		return -EINVAL;
	if (atomic_load(&self->mm->sysv_shm))
		lx_shm_unmap(self, self->mm, addr, addr + length);
	st = k_space_unmap(self->mm->space, addr, length, &reap);
	if (st != K_OK)
		return map_errno(st);
	if (reap)
		lx_backing_reap();
	return 0;
}

long lx_sys_mprotect(struct lx_task *self, uint64_t addr, size_t length, uint64_t prot)
{
	uint64_t grows = prot & (PROT_GROWSDOWN | PROT_GROWSUP);
	struct k_region r;

	prot &= ~(uint64_t)(PROT_GROWSDOWN | PROT_GROWSUP);
	if (grows == (PROT_GROWSDOWN | PROT_GROWSUP))
		return -EINVAL;
	if (!page_aligned(addr))
		return -EINVAL;
	if (!length)
		return 0;
	if (page_up(length) < length || addr + page_up(length) <= addr)
		return -ENOMEM;
	length = page_up(length);
	if (prot & ~(uint64_t)(PROT_READ | PROT_WRITE | PROT_EXEC | PROT_SEM))
		return -EINVAL;
	if ((self->personality & 0x0400000) && (prot & PROT_READ))
		prot |= PROT_EXEC;
	if (grows) {
		if (k_space_query(self->mm->space, addr, 0, &r) != K_OK)
			return -ENOMEM;
		if (grows == PROT_GROWSUP || !(r.flags & K_MAP_GROWS_DOWN))
			return -EINVAL;
		length += addr - r.start;
		addr = r.start;
	}
	return map_errno(k_space_protect(self->mm->space, addr, length,
					 lx_prot_to_kernel((uint32_t)prot)));
}

long lx_sys_pkey_mprotect(struct lx_task *self, uint64_t addr, size_t length, uint64_t prot,
			  int pkey)
{
	return pkey == -1 ? lx_sys_mprotect(self, addr, length, prot) : -EINVAL;
}

long lx_sys_mremap(struct lx_task *self, uint64_t addr, size_t old_length, size_t new_length,
		   unsigned int flags, uint64_t new_addr)
{
	struct lx_mm *mm = self->mm;
	struct k_move move;
	k_status_t st;
	int err;

	if (flags & ~(unsigned int)(MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP))
		return -EINVAL;
	if ((flags & MREMAP_FIXED) && !(flags & MREMAP_MAYMOVE))
		return -EINVAL;
	if ((flags & MREMAP_DONTUNMAP) &&
	    (!(flags & MREMAP_MAYMOVE) || old_length != new_length))
		return -EINVAL;
	if (!page_aligned(addr) || page_up(new_length) < new_length)
		return -EINVAL;
	old_length = page_up(old_length);
	new_length = page_up(new_length);
	if (!new_length)
		return -EINVAL;
	if (flags & MREMAP_FIXED) {
		if (!page_aligned(new_addr) || new_length > TASK_SIZE ||
		    new_addr > TASK_SIZE - new_length)
			return -EINVAL;
		if (addr + old_length > new_addr && new_addr + new_length > addr)
			return -EINVAL;
		if (new_addr < atomic_load(&lx_mmap_min_addr))
			return -EPERM;
	}
	if (new_length > old_length) {
		err = check_limits(self, mm, new_length - old_length, true);
		if (err)
			return err;
	}
	move = (struct k_move){
		.old_addr = addr,
		.old_length = old_length,
		.new_length = new_length,
		.new_addr = flags & (MREMAP_FIXED | MREMAP_DONTUNMAP) ? new_addr : 0,
		.flags = (flags & MREMAP_MAYMOVE ? K_MOVE_MAY_MOVE : 0) |
			 (flags & MREMAP_FIXED ? K_MOVE_FIXED : 0) |
			 (flags & MREMAP_DONTUNMAP ? K_MOVE_DONT_UNMAP : 0),
		.min = atomic_load(&lx_mmap_min_addr),
		.max = mm->mmap_top,
	};
	rt_mutex_lock(&mm->lock);
	st = k_space_move(mm->space, &move);
	rt_mutex_unlock(&mm->lock);
	if (st == K_ERR_NOT_FOUND)
		return -EFAULT;
	if (st != K_OK)
		return map_errno(st);
	if (move.reap)
		lx_backing_reap();
	return (long)move.new_addr;
}

/* -- brk ---------------------------------------------------------------------------------------- */

static bool grow_brk(struct lx_task *self, struct lx_mm *mm, uint64_t from, uint64_t to)
{
	struct k_map map = {
		.addr = from,
		.length = to - from,
		.prot = K_PROT_READ | K_PROT_WRITE,
		.max_prot = K_PROT_READ | K_PROT_WRITE | K_PROT_EXEC,
		.flags = K_MAP_FIXED | K_MAP_NO_REPLACE | (uint32_t)mm->def_flags,
		.tag = LX_TAG_HEAP,
	};

	if (self->personality & 0x0400000)
		map.prot |= K_PROT_EXEC;
	if (check_limits(self, mm, to - from, true))
		return false;
	return k_space_map(mm->space, &map) == K_OK;
}

long lx_sys_brk(struct lx_task *self, uint64_t brk)
{
	struct lx_mm *mm = self->mm;
	uint64_t old_end, new_end, reap, max = lx_rlimit(self, RLIMIT_DATA);
	long ret;

	rt_mutex_lock(&mm->lock);
	if (brk < mm->start_brk || brk >= TASK_SIZE)
		goto out;
	if (max != INFINITY_LIMIT &&
	    brk - mm->start_brk + (mm->end_data - mm->start_data) > max)
		goto out;
	old_end = page_up(mm->brk);
	new_end = page_up(brk);
	if (new_end < old_end) {
		if (k_space_unmap(mm->space, new_end, old_end - new_end, &reap) != K_OK)
			goto out;
	} else if (new_end > old_end) {
		if (!grow_brk(self, mm, old_end, new_end))
			goto out;
	}
	mm->brk = brk;
out:
	ret = (long)mm->brk;
	rt_mutex_unlock(&mm->lock);
	return ret;
}
