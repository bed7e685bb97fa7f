/* SPDX-License-Identifier: MIT */
/*
 * Calls on bells, timers and waiting words.
 */

#include "kernel/bell.h"
#include "kernel/handle.h"
#include "kernel/kcalls.h"
#include "kernel/process.h"
#include "kernel/thread.h"
#include "kernel/timer_object.h"
#include "kernel/waitword.h"

k_status_t kcall_bell_create(struct thread *self, struct new_handle *bell)
{
	struct bell *fresh;
	k_status_t st = bell_create(self->process->object.group, &fresh);

	if (st == K_OK)
		bell->object = &fresh->object;
	return st;
}

k_status_t kcall_bell_ring(struct thread *self, struct bell *bell, uint64_t bits)
{
	if (!bits)
		return K_ERR_BAD_ARGUMENT;
	bell_ring(bell, bits);
	return K_OK;
}

k_status_t kcall_bell_wait(struct thread *self, struct bell *bell, uint64_t mask,
			   uint64_t deadline, uint32_t flags, uint64_t *bits)
{
	*bits = 0;
	if (!mask || (flags & ~K_WAIT_INTERRUPTIBLE))
		return K_ERR_BAD_ARGUMENT;
	return bell_wait(bell, mask, deadline, flags & K_WAIT_INTERRUPTIBLE, bits);
}

k_status_t kcall_bell_chain(struct thread *self, struct bell *bell, struct bell *parent,
			    uint64_t bits)
{
	if (parent && !bits)
		return K_ERR_BAD_ARGUMENT;
	return bell_chain(bell, parent, bits);
}

k_status_t kcall_timer_create(struct thread *self, struct bell *bell, uint64_t bits,
			      struct new_handle *timer)
{
	struct timer_object *fresh;
	k_status_t st;

	if (!bits)
		return K_ERR_BAD_ARGUMENT;
	st = timer_object_create(self->process->object.group, bell, bits, &fresh);
	if (st == K_OK)
		timer->object = &fresh->object;
	return st;
}

k_status_t kcall_timer_set(struct thread *self, struct timer_object *timer, uint64_t deadline,
			   uint64_t slack)
{
	timer_object_set(timer, deadline, slack);
	return K_OK;
}

/* Carry K_WAIT_PROGRAM out.  The thread keeps its program's space for as long as it is bound. */
static bool program_space(struct thread *self, struct space **space, uint32_t *flags)
{
	if (!(*flags & K_WAIT_PROGRAM))
		return true;
	*flags &= ~K_WAIT_PROGRAM;
	if (!self->space || *space != self->process->space)
		return false;
	*space = self->space;
	return true;
}

k_status_t kcall_wait(struct thread *self, struct space *space, uint64_t addr, uint32_t expected,
		      uint32_t bitset, uint64_t deadline, uint32_t flags)
{
	if (!program_space(self, &space, &flags))
		return K_ERR_BAD_ARGUMENT;
	return waitword_wait(space, addr, expected, bitset, deadline, flags);
}

k_status_t kcall_wake(struct thread *self, struct space *space, uint64_t addr, uint32_t count,
		      uint32_t bitset, uint32_t flags, uint64_t *woken)
{
	if (!program_space(self, &space, &flags))
		return K_ERR_BAD_ARGUMENT;
	return waitword_wake(space, addr, count, bitset, flags, woken);
}

k_status_t kcall_requeue(struct thread *self, struct space *space, struct k_requeue *requeue)
{
	return waitword_requeue(space, requeue);
}
