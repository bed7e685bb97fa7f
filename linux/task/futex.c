/* SPDX-License-Identifier: MIT */
/*
 * Futexes: Linux's operations on the kernel's waiting words.  A private futex is
 * keyed by the address in its space, a shared one by the memory object; the kernel
 * does both.
 *
 * Robust futexes: a list in the program's memory names the locks that a thread
 * holds; when it ends, each is marked FUTEX_OWNER_DIED and one waiter is woken.
 * The list is the program's, so it may be garbage or endless.
 */

#include <linux/futex.h>
#include <linux/time.h>

#include "abi/calls.h"
#include "lx/lock_rank.h"
#include "lx/mm.h"
#include "lx/ptrace.h"
#include "lx/pidfd.h"
#include "lx/syscall.h"
#include "lx/task.h"
#include "lx/timer.h"
#include "rt/time.h"
#include "task/task_impl.h"

#define ROBUST_LIMIT 2048

static int64_t key_errno(k_status_t st)
{
	switch (st) {
	case K_ERR_BAD_ADDRESS:
	case K_ERR_NOT_FOUND:
	case K_ERR_ACCESS:
	case K_ERR_BEYOND_END:
		return -EFAULT;
	case K_ERR_BAD_ARGUMENT:
		return -EINVAL;
	}
	return lx_errno(st);
}

static uint32_t wait_flags(int op)
{
	return op & FUTEX_PRIVATE_FLAG ? 0 : K_WAIT_SHARED;
}

/* -- wait ------------------------------------------------------------------------ */

static k_status_t wait_word(struct lx_task *self, uint64_t addr, uint32_t val, uint32_t bitset,
			    uint64_t deadline, uint32_t flags)
{
	k_status_t st;

	atomic_store_explicit(&self->state, LX_SLEEPING, memory_order_relaxed);
	st = k_wait(K_HANDLE_NONE, addr, val, bitset, deadline,
		    flags | K_WAIT_INTERRUPTIBLE | K_WAIT_PROGRAM);
	atomic_store_explicit(&self->state, LX_RUNNING, memory_order_relaxed);
	return st;
}

static long futex_wait(struct lx_task *self, uint64_t addr, uint32_t val, uint32_t bitset,
		       uint64_t deadline, uint32_t flags)
{
	k_status_t st;

	if (!bitset)
		return -EINVAL;
	if (addr & 3)
		return -EINVAL;
	for (;;) {
		if (lx_signal_pending(self))
			return -LX_ERESTARTSYS;
		st = wait_word(self, addr, val, bitset, deadline, flags);
		switch (st) {
		case K_OK:
			return 0;
		case K_ERR_CHANGED:
			return -EAGAIN;
		case K_ERR_TIMED_OUT:
			return -ETIMEDOUT;
		case K_ERR_KICKED:
			continue;	/* perhaps for a signal that is not ours */
		case K_ERR_NEED_PAGE:
		case K_ERR_BAD_ADDRESS:
			if (lx_fault_in(self, uaddr(addr), 4, false))
				return -EFAULT;
			continue;
		default:
			return key_errno(st);
		}
	}
}

/* A relative wait goes on with the rest of its time. */
static long wait_restart(struct lx_task *self)
{
	uint64_t *a = self->restart.args;
	long ret = futex_wait(self, a[0], (uint32_t)a[1], (uint32_t)a[2], a[3], (uint32_t)a[4]);

	return ret == -LX_ERESTARTSYS ? -LX_ERESTART_BLOCK : ret;
}

static long do_wait(struct lx_task *self, uint64_t addr, uint32_t val, uint32_t bitset,
		    uint64_t deadline, int op)
{
	long ret = futex_wait(self, addr, val, bitset, deadline, wait_flags(op));

	if (ret == -LX_ERESTARTSYS && deadline != K_DEADLINE_NEVER) {
		self->restart = (struct lx_restart_block){
			.fn = wait_restart,
			.args = { addr, val, bitset, deadline, wait_flags(op) },
		};
		return -LX_ERESTART_BLOCK;
	}
	return ret;
}

/* -- wake, requeue ------------------------------------------------------------------- */

static long futex_wake(struct lx_task *self, uint64_t addr, int count, uint32_t bitset,
		       uint32_t flags)
{
	uint64_t woken;
	k_status_t st;

	if (!bitset)
		return -EINVAL;
	if (addr & 3)
		return -EINVAL;
	if (count < 1)
		count = 1;
	st = k_wake(K_HANDLE_NONE, addr, (uint32_t)count, bitset, flags | K_WAIT_PROGRAM, &woken);
	if (st == K_ERR_NOT_FOUND && !(flags & K_WAIT_SHARED))
		return 0;
	return st == K_OK ? (long)woken : key_errno(st);
}

static long futex_requeue(struct lx_task *self, uint64_t from, uint64_t to, int wake, int move,
			  const uint32_t *expected, uint32_t flags)
{
	struct k_requeue r = {
		.from = from, .to = to, .wake = (uint32_t)wake, .move = (uint32_t)move,
		.compare = expected != NULL, .expected = expected ? *expected : 0, .flags = flags,
	};
	k_status_t st;

	if (wake < 0 || move < 0)
		return -EINVAL;
	if ((from | to) & 3)
		return -EINVAL;
	for (;;) {
		st = k_requeue(self->mm->space, &r);
		if (st != K_ERR_NEED_PAGE && st != K_ERR_BAD_ADDRESS)
			break;
		if (lx_fault_in(self, uaddr(from), 4, false) || lx_fault_in(self, uaddr(to), 4, false))
			return -EFAULT;
	}
	return st == K_OK ? (long)(r.woken + r.moved) : key_errno(st);
}

static int32_t sign_extend_12(uint32_t v)
{
	return (int32_t)(v << 20) >> 20;
}

/* Change *@word as @op says; *@old is what it was. */
static int apply_op(struct lx_task *self, uint64_t word, uint32_t op, uint32_t *old)
{
	uint32_t kind = op >> 28 & 7, seen, next, cur;
	uint32_t arg = (uint32_t)sign_extend_12(op >> 12 & 0xfff);

	if (op >> 28 & FUTEX_OP_OPARG_SHIFT)
		arg = 1u << (arg & 31);
	if (lx_copy_from_user(&cur, uaddr(word), sizeof(cur)))
		return -EFAULT;
	for (;;) {
		switch (kind) {
		case FUTEX_OP_SET:
			next = arg;
			break;
		case FUTEX_OP_ADD:
			next = cur + arg;
			break;
		case FUTEX_OP_OR:
			next = cur | arg;
			break;
		case FUTEX_OP_ANDN:
			next = cur & ~arg;
			break;
		case FUTEX_OP_XOR:
			next = cur ^ arg;
			break;
		default:
			return -ENOSYS;
		}
		if (!rt_cmpxchg_user_u32(uaddr(word), cur, next, &seen)) {
			if (lx_fault_in(self, uaddr(word), 4, true))
				return -EFAULT;
			continue;
		}
		if (seen == cur)
			break;
		cur = seen;
	}
	*old = cur;
	return 0;
}

static int op_compares(uint32_t op, uint32_t old)
{
	int32_t a = (int32_t)old, b = sign_extend_12(op & 0xfff);

	switch (op >> 24 & 15) {
	case FUTEX_OP_CMP_EQ:
		return a == b;
	case FUTEX_OP_CMP_NE:
		return a != b;
	case FUTEX_OP_CMP_LT:
		return a < b;
	case FUTEX_OP_CMP_GE:
		return a >= b;
	case FUTEX_OP_CMP_LE:
		return a <= b;
	case FUTEX_OP_CMP_GT:
		return a > b;
	}
	return -ENOSYS;
}

static long futex_wake_op(struct lx_task *self, uint64_t addr, uint64_t addr2, int wake, int wake2,
			  uint32_t op, uint32_t flags)
{
	uint32_t old;
	long n, m;
	int ret;

	if ((addr | addr2) & 3)
		return -EINVAL;
	ret = apply_op(self, addr2, op, &old);
	if (ret)
		return ret;
	ret = op_compares(op, old);
	if (ret < 0)
		return ret;
	n = futex_wake(self, addr, wake, K_WAIT_ANY_BITS, flags);
	if (n < 0 || !ret)
		return n;
	m = futex_wake(self, addr2, wake2, K_WAIT_ANY_BITS, flags);
	return m < 0 ? m : n + m;
}

/* -- locks that the kernel hands over (PI) ------------------------------------------------ */

/* 1: taken; 0: *@seen is how it stands now, with FUTEX_WAITERS; or a negative errno. */
static int try_lock(struct lx_task *self, uint64_t addr, bool mark, bool contended, uint32_t *seen)
{
	uint32_t cur, next, got;

	if (lx_copy_from_user(&cur, uaddr(addr), sizeof(cur)))
		return -EFAULT;
	for (;;) {
		bool is_free = !(cur & FUTEX_TID_MASK);

		if ((cur & FUTEX_TID_MASK) == (uint32_t)self->tid)
			return -EDEADLK;
		if (is_free)
			next = (cur & (FUTEX_OWNER_DIED)) | (uint32_t)self->tid |
			       (contended || (cur & FUTEX_WAITERS) ? FUTEX_WAITERS : 0);
		else if (mark)
			next = cur | FUTEX_WAITERS;
		else
			return 0;
		if (!rt_cmpxchg_user_u32(uaddr(addr), cur, next, &got)) {
			if (lx_fault_in(self, uaddr(addr), 4, true))
				return -EFAULT;
			continue;
		}
		if (got == cur) {
			*seen = next;
			return is_free;
		}
		cur = got;
	}
}

/* Whether the owner of the lock at @addr, which was seen as @word, ended without unlocking it. */
static bool owner_is_lost(struct lx_task *self, uint64_t addr, uint32_t word)
{
	struct lx_task *t = lx_task_find(self, (lx_pid_t)(word & FUTEX_TID_MASK));
	bool alive = t && !t->exiting;
	uint32_t now;

	if (t)
		lx_task_put(t);
	/* It may have unlocked since, and ended then. */
	return !alive && !lx_copy_from_user(&now, uaddr(addr), sizeof(now)) &&
	       (now & FUTEX_TID_MASK) == (word & FUTEX_TID_MASK);
}

/* @contended: others may wait already, who must not be forgotten. */
static long futex_lock_pi(struct lx_task *self, uint64_t addr, uint64_t deadline, bool wait,
			  bool contended, uint32_t flags)
{
	uint32_t word;
	long ret;

	if (addr & 3)
		return -EINVAL;
	for (;;) {
		int got = try_lock(self, addr, wait, contended, &word);

		if (got)
			return got < 0 ? got : 0;
		if (!wait)
			return -EAGAIN;
		if (owner_is_lost(self, addr, word))
			return -ESRCH;
		contended = true;
		ret = futex_wait(self, addr, word, K_WAIT_ANY_BITS, deadline, flags);
		if (ret == -LX_ERESTARTSYS)
			return -LX_ERESTARTNOINTR;
		if (ret && ret != -EAGAIN)
			return ret;
	}
}

static long futex_unlock_pi(struct lx_task *self, uint64_t addr, uint32_t flags)
{
	uint32_t cur, seen;
	long ret;

	if (addr & 3)
		return -EINVAL;
	if (lx_copy_from_user(&cur, uaddr(addr), sizeof(cur)))
		return -EFAULT;
	for (;;) {
		if ((cur & FUTEX_TID_MASK) != (uint32_t)self->tid)
			return -EPERM;
		if (!rt_cmpxchg_user_u32(uaddr(addr), cur, 0, &seen)) {
			if (lx_fault_in(self, uaddr(addr), 4, true))
				return -EFAULT;
			continue;
		}
		if (seen == cur)
			break;
		cur = seen;
	}
	/* The one that wakes marks the lock contended again: more may be waiting. */
	ret = futex_wake(self, addr, 1, K_WAIT_ANY_BITS, flags);
	return ret < 0 ? ret : 0;
}

/* -- condition variables with such a lock ------------------------------------------------- */

/*
 * Wait on @addr to be moved to the lock @lock, and return holding it.  Whoever is moved sleeps
 * in the queue of the lock's own waiters, and is woken as one of them.
 */
static long futex_wait_requeue_pi(struct lx_task *self, uint64_t addr, uint32_t val, uint64_t lock,
				  uint64_t deadline, uint32_t flags)
{
	long ret;

	if (addr == lock || (lock & 3))
		return -EINVAL;
	ret = futex_wait(self, addr, val, K_WAIT_ANY_BITS, deadline, flags);
	if (ret == -LX_ERESTARTSYS)
		return -LX_ERESTARTNOINTR;
	if (ret)
		return ret;
	ret = futex_lock_pi(self, lock, deadline, true, true, flags);
	/* It has been woken for @addr: waiting again there would miss that. */
	return ret == -LX_ERESTARTNOINTR ? -EAGAIN : ret;
}

/* Have the owner of the lock at @addr come here when it unlocks; *@word as it stands then. */
static int mark_contended(struct lx_task *self, uint64_t addr, uint32_t *word)
{
	uint32_t cur, seen;

	if (lx_copy_from_user(&cur, uaddr(addr), sizeof(cur)))
		return -EFAULT;
	while ((cur & FUTEX_TID_MASK) && !(cur & FUTEX_WAITERS)) {
		if (!rt_cmpxchg_user_u32(uaddr(addr), cur, cur | FUTEX_WAITERS, &seen)) {
			if (lx_fault_in(self, uaddr(addr), 4, true))
				return -EFAULT;
		} else if (seen == cur) {
			cur |= FUTEX_WAITERS;
		} else {
			cur = seen;
		}
	}
	*word = cur;
	return 0;
}

/* Wake one waiter, if it finds the lock free, and move up to @move others to the lock. */
static long futex_requeue_pi(struct lx_task *self, uint64_t from, uint64_t lock, int wake, int move,
			     uint32_t expected, uint32_t flags)
{
	bool is_free;
	uint32_t word;
	long ret;
	int err;

	if (wake != 1 || move < 0 || from == lock || (lock & 3))
		return -EINVAL;
	err = mark_contended(self, lock, &word);
	if (err)
		return err;
	is_free = !(word & FUTEX_TID_MASK);
	if (!is_free && owner_is_lost(self, lock, word))
		return -ESRCH;
	/* The one that is not woken is moved with the others. */
	ret = futex_requeue(self, from, lock, is_free, is_free || move == INT32_MAX ? move : move + 1,
			    &expected, flags);
	/*
	 * The owner may have unlocked before they were moved, and found nobody to wake; and
	 * somebody else may have locked since then.
	 */
	if (ret > 0 && !mark_contended(self, lock, &word) && !(word & FUTEX_TID_MASK))
		(void)futex_wake(self, lock, 1, K_WAIT_ANY_BITS, flags);
	return ret;
}

/* -- the call ------------------------------------------------------------------------------- */

static bool has_timeout(int cmd)
{
	return cmd == FUTEX_WAIT || cmd == FUTEX_LOCK_PI || cmd == FUTEX_LOCK_PI2 ||
	       cmd == FUTEX_WAIT_BITSET || cmd == FUTEX_WAIT_REQUEUE_PI;
}

/* From an absolute time of @realtime or the monotonic clock. */
uint64_t lx_deadline_from(uint64_t ns, bool realtime)
{
	uint64_t now;

	if (!realtime)
		return ns;
	now = rt_realtime_ns();
	return ns <= now ? 1 : lx_deadline_after(ns - now);
}

long lx_sys_futex(struct lx_task *self, uaddr_t word, int op, unsigned int val, uint64_t timeout,
		  uint64_t word2, unsigned int val3)
{
	int cmd = op & FUTEX_CMD_MASK, err;
	uint64_t ns, deadline = K_DEADLINE_NEVER;
	uint32_t flags = wait_flags(op);

	if ((op & FUTEX_CLOCK_REALTIME) && cmd != FUTEX_WAIT_BITSET && cmd != FUTEX_LOCK_PI2 &&
	    cmd != FUTEX_WAIT_REQUEUE_PI)
		return -ENOSYS;
	if (has_timeout(cmd) && timeout) {
		err = lx_timespec_from_user(&ns, uaddr(timeout));
		if (err)
			return err;
		if (cmd == FUTEX_WAIT)
			deadline = lx_deadline_after(ns);
		else
			deadline = lx_deadline_from(ns, cmd == FUTEX_LOCK_PI ||
							(op & FUTEX_CLOCK_REALTIME));
	}
	switch (cmd) {
	case FUTEX_WAIT:
		return do_wait(self, word.v, val, K_WAIT_ANY_BITS, deadline, op);
	case FUTEX_WAIT_BITSET:
		return do_wait(self, word.v, val, val3, deadline, op);
	case FUTEX_WAKE:
		return futex_wake(self, word.v, (int)val, K_WAIT_ANY_BITS, flags);
	case FUTEX_WAKE_BITSET:
		return futex_wake(self, word.v, (int)val, val3, flags);
	case FUTEX_REQUEUE:
		return futex_requeue(self, word.v, word2, (int)val, (int)timeout, NULL, flags);
	case FUTEX_CMP_REQUEUE:
		return futex_requeue(self, word.v, word2, (int)val, (int)timeout, &val3, flags);
	case FUTEX_WAKE_OP:
		return futex_wake_op(self, word.v, word2, (int)val, (int)timeout, val3, flags);
	case FUTEX_LOCK_PI:
	case FUTEX_LOCK_PI2:
		return futex_lock_pi(self, word.v, deadline, true, false, flags);
	case FUTEX_TRYLOCK_PI:
		return futex_lock_pi(self, word.v, 0, false, false, flags);
	case FUTEX_UNLOCK_PI:
		return futex_unlock_pi(self, word.v, flags);
	case FUTEX_WAIT_REQUEUE_PI:
		return futex_wait_requeue_pi(self, word.v, val, word2, deadline, flags);
	case FUTEX_CMP_REQUEUE_PI:
		return futex_requeue_pi(self, word.v, word2, (int)val, (int)timeout, val3, flags);
	}
	return -ENOSYS;
}

/* -- robust lists ---------------------------------------------------------------------------------- */

long lx_sys_set_robust_list(struct lx_task *self, uint64_t head, size_t length)
{
	if (length != sizeof(struct robust_list_head))
		return -EINVAL;
	self->robust_list = uaddr(head);
	return 0;
}

long lx_sys_get_robust_list(struct lx_task *self, int pid, uaddr_t uhead, uaddr_t ulength)
{
	uint64_t length = sizeof(struct robust_list_head), head;
	struct lx_task *t;
	int err = 0;

	t = pid ? lx_task_find(self, pid) : lx_task_get(self);
	if (!t)
		return -ESRCH;
	if (t != self)
		err = lx_ptrace_may_access(self, t);
	head = t->robust_list.v;
	lx_task_put(t);
	if (err)
		return err;
	if (lx_copy_to_user(ulength, &length, sizeof(length)) ||
	    lx_copy_to_user(uhead, &head, sizeof(head)))
		return -EFAULT;
	return 0;
}

/* The caller dies holding the lock at @addr, or just before or after taking it (@pending). */
static int owner_died(struct lx_task *self, uint64_t addr, bool pi, bool pending)
{
	uint32_t cur, next, seen;

	if (addr & 3 || lx_copy_from_user(&cur, uaddr(addr), sizeof(cur)))
		return -EFAULT;
	for (;;) {
		if (pending && !pi && !cur) {
			(void)futex_wake(self, addr, 1, K_WAIT_ANY_BITS, K_WAIT_SHARED);
			return 0;
		}
		if ((cur & FUTEX_TID_MASK) != (uint32_t)self->tid)
			return 0;
		next = (cur & FUTEX_WAITERS) | FUTEX_OWNER_DIED;
		if (!rt_cmpxchg_user_u32(uaddr(addr), cur, next, &seen)) {
			if (lx_fault_in(self, uaddr(addr), 4, true))
				return -EFAULT;
			continue;
		}
		if (seen == cur)
			break;
		cur = seen;
	}
	if (cur & FUTEX_WAITERS) {
		(void)futex_wake(self, addr, 1, K_WAIT_ANY_BITS, K_WAIT_SHARED);
		(void)futex_wake(self, addr, 1, K_WAIT_ANY_BITS, 0);
	}
	return 0;
}

static void walk_robust_list(struct lx_task *self)
{
	struct robust_list_head head;
	uint64_t entry, next, pending, start = self->robust_list.v;
	unsigned int limit = ROBUST_LIMIT;

	if (lx_copy_from_user(&head, self->robust_list, sizeof(head)))
		return;
	pending = (uint64_t)(uintptr_t)head.list_op_pending;
	entry = (uint64_t)(uintptr_t)head.list.next;
	while ((entry & ~1ull) != start && limit--) {
		int err = lx_copy_from_user(&next, uaddr(entry & ~1ull), sizeof(next));

		/* Fetch the next one first: the owner may free this one once it is unlocked. */
		if ((entry & ~1ull) != (pending & ~1ull) &&
		    owner_died(self, (entry & ~1ull) + (uint64_t)head.futex_offset, entry & 1, false))
			return;
		if (err)
			return;
		entry = next;
	}
	if (pending)
		(void)owner_died(self, (pending & ~1ull) + (uint64_t)head.futex_offset, pending & 1,
				 true);
}

void lx_mm_release(struct lx_task *self)
{
	uint32_t zero = 0;

	if (!self->mm)
		return;
	if (self->robust_list.v) {
		walk_robust_list(self);
		self->robust_list = UADDR_NULL;
	}
	if (self->clear_child_tid.v) {
		if (atomic_load(&self->mm->users) > 1 &&
		    !lx_copy_to_user(self->clear_child_tid, &zero, sizeof(zero))) {
			(void)futex_wake(self, self->clear_child_tid.v, 1, K_WAIT_ANY_BITS,
					 K_WAIT_SHARED);
		}
		self->clear_child_tid = UADDR_NULL;
	}
}

long lx_sys_set_tid_address(struct lx_task *self, uint64_t addr)
{
	self->clear_child_tid = uaddr(addr);
	return self->tid;
}
