/* SPDX-License-Identifier: MIT */
/*
 * membarrier(2): order the memory accesses of other threads, so that they need no fences of
 * their own.  The kernel interrupts the processors that run them.
 */
#include <linux/membarrier.h>

#include "abi/calls.h"
#include "lx/lock_rank.h"
#include "lx/mm.h"
#include "lx/syscall.h"
#include "lx/task.h"

#define COMMANDS (MEMBARRIER_CMD_GLOBAL | MEMBARRIER_CMD_GLOBAL_EXPEDITED | \
		  MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED | \
		  MEMBARRIER_CMD_PRIVATE_EXPEDITED | \
		  MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED | \
		  MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE | \
		  MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE | \
		  MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ | \
		  MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ)

static long barrier(struct lx_task *self, bool everywhere)
{
	k_status_t st;

	atomic_thread_fence(memory_order_seq_cst);
	st = k_space_barrier(self->mm->space, everywhere);
	atomic_thread_fence(memory_order_seq_cst);
	return lx_errno(st);
}

/*
 * The threads' restartable sequences end, too.  A kick is seen on the way back from the
 * interrupt that the barrier waits for.
 */
static void kick_threads(struct lx_task *self)
{
	struct lx_task *t;

	rt_mutex_lock(&self->group->lock);
	list_for_each_entry(t, &self->group->tasks, group_link)
		if (t != self && t->rseq.v && atomic_load(&t->thread))
			(void)!k_thread_kick(atomic_load(&t->thread));
	rt_mutex_unlock(&self->group->lock);
}

static long private_barrier(struct lx_task *self, int cmd, uint32_t registered)
{
	if (!(atomic_load(&self->mm->membarrier) & registered))
		return -EPERM;
	if (cmd == MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ)
		kick_threads(self);
	return barrier(self, false);
}

long lx_sys_membarrier(struct lx_task *self, int cmd, unsigned int flags, int cpu)
{
	/* That one processor is enough is a hint: all are not wrong. */
	if (flags && (flags != MEMBARRIER_CMD_FLAG_CPU ||
		      cmd != MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ))
		return -EINVAL;
	switch (cmd) {
	case MEMBARRIER_CMD_QUERY:
		return COMMANDS;
	case MEMBARRIER_CMD_GLOBAL:
	case MEMBARRIER_CMD_GLOBAL_EXPEDITED:
		return barrier(self, true);
	case MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED:
	case MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED:
	case MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE:
	case MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ:
		atomic_fetch_or(&self->mm->membarrier, (uint32_t)cmd);
		return 0;
	case MEMBARRIER_CMD_PRIVATE_EXPEDITED:
		return private_barrier(self, cmd, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);
	case MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE:
		return private_barrier(self, cmd,
				       MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE);
	case MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ:
		return private_barrier(self, cmd, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ);
	}
	return -EINVAL;
}
