/* SPDX-License-Identifier: MIT */
/*
 * The life of an lx_mm: made by exec, cloned by fork, shared by CLONE_VM, gone
 * with its last reference.  The handle of the kernel's space is owned by it; the
 * space's regions go with the handle, and with them the references to files
 * (mm/backing.c).
 */

#include "lx/mm.h"

#include "abi/calls.h"
#include "lx/file.h"
#include "lx/ipc.h"
#include "lx/lock_rank.h"
#include "lx/system.h"
#include "lx/task.h"

static struct lx_mm *mm_alloc(void)
{
	struct lx_mm *mm = rt_zalloc(sizeof(*mm));

	if (!mm)
		return NULL;
	atomic_init(&mm->refs, 1);
	rt_mutex_init(&mm->lock, LX_LOCK_MM);
	mm->dumpable = true;
	return mm;
}

struct lx_mm *lx_mm_create(void)
{
	struct lx_mm *mm = mm_alloc();

	if (mm && k_space_create(lx_system.group, K_SPACE_PROGRAM, &mm->space) != K_OK) {
		rt_memory_refused();
		rt_free(mm);
		mm = NULL;
	}
	return mm;
}

struct lx_mm *lx_mm_clone(struct lx_mm *from)
{
	struct lx_mm *mm = mm_alloc();

	if (!mm)
		return NULL;
	rt_mutex_lock(&from->lock);
	mm->start_brk = from->start_brk;
	mm->brk = from->brk;
	mm->start_code = from->start_code;
	mm->end_code = from->end_code;
	mm->start_data = from->start_data;
	mm->end_data = from->end_data;
	mm->start_stack = from->start_stack;
	mm->arg_start = from->arg_start;
	mm->arg_end = from->arg_end;
	mm->env_start = from->env_start;
	mm->env_end = from->env_end;
	mm->mmap_top = from->mmap_top;
	mm->vdso = from->vdso;
	mm->dumpable = from->dumpable;
	atomic_init(&mm->sysv_shm, atomic_load(&from->sysv_shm));
	memcpy(mm->saved_auxv, from->saved_auxv, sizeof(mm->saved_auxv));
	if (k_space_clone(from->space, &mm->space) == K_OK) {
		if (from->exe)
			mm->exe = lx_file_get(from->exe);
	} else {
		rt_memory_refused();
		rt_free(mm);
		mm = NULL;
	}
	rt_mutex_unlock(&from->lock);
	if (mm && atomic_load(&mm->sysv_shm))
		lx_shm_fork(lx_self(), mm);
	return mm;
}

struct lx_mm *lx_mm_get(struct lx_mm *mm)
{
	atomic_fetch_add_explicit(&mm->refs, 1, memory_order_relaxed);
	return mm;
}

void lx_mm_put(struct lx_mm *mm)
{
	if (!mm || atomic_fetch_sub(&mm->refs, 1) != 1)
		return;
	(void)!k_handle_close(mm->space);
	if (mm->exe)
		lx_file_put(mm->exe);
	rt_free(mm);
	lx_backing_reap();
}

void lx_mm_leave(struct lx_task *self, struct lx_mm *mm)
{
	if (atomic_fetch_sub(&mm->users, 1) == 1 && atomic_load(&mm->sysv_shm))
		lx_shm_mm_exit(self, mm);
	lx_mm_put(mm);
}

void lx_mm_use(struct lx_task *self, struct lx_mm *mm)
{
	struct lx_mm *old = self->mm;
	k_status_t st;

	if (mm)
		atomic_fetch_add(&mm->users, 1);
	rt_mutex_lock(&self->group->lock);
	self->mm = mm;
	rt_mutex_unlock(&self->group->lock);
	st = k_thread_use_space(mm ? mm->space : K_HANDLE_NONE);
	if (st != K_OK)
		rt_panic("a thread cannot change its program's space: %d", st);
	if (old)
		lx_mm_leave(self, old);
}

void lx_stack_limit_changed(struct lx_task *t, uint64_t limit)
{
	struct lx_mm *mm = lx_task_mm_get(t);

	if (!mm)
		return;
	limit = MIN(limit, K_PROGRAM_MAX / 6 * 5) & ~(uint64_t)(K_PAGE_SIZE - 1);
	if (mm->start_stack)
		(void)!k_space_advise(mm->space, mm->start_stack & ~(uint64_t)(K_PAGE_SIZE - 1), limit,
				      K_ADVISE_GROW_LIMIT);
	lx_mm_put(mm);
}
