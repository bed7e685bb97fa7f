/* SPDX-License-Identifier: MIT */
/*
 * Bells: the smallest way for anything to wake a thread.
 *
 * A bell is a set of pending bits and a queue of threads that each want some of
 * them.  Ringing adds bits; waiting takes the wanted ones away.  Bits are
 * level-like on purpose: ringing a bit twice before it is taken is one ring.
 * Counting rings would need memory that a flooding sender controls.
 *
 * A bell can be chained to a parent: ringing it then also rings some bits there,
 * so that one thread can wait for thousands of bells.  A bell's own bits stay
 * pending for whoever looks at them later.
 *
 * Invariants (check_bell() checks them wherever a bell's lock is about to drop):
 *
 *   (1) No queued waiter wants a pending bit: a grant happens in the same critical
 *       section that made it possible.
 *   (2) Chains have no loop and at most BELL_LEVELS bells: heights grow strictly
 *       from child to parent (bell_chain).
 *
 * A waiter is idle, then queued, then granted [ring_one] or withdrawn [bell_wait];
 * it never goes back.  Granted waiters are woken with the bell's lock still held:
 * the lock is what keeps a waiter, which lives on its thread's stack, alive until
 * the wake-up is done.  At most 64 can be granted by one ring.  (To collect them and
 * wake after unlocking would need a reference on each thread, and interrupt handlers
 * that can drop the last one.)
 *
 * Locks: a parent's inside its child's, which (2) keeps free of deadlock.  Chaining
 * is serialised by a mutex.
 */

#include "kernel/bell.h"

#include "kernel/kmem.h"
#include "kernel/panic.h"
#include "kernel/sched.h"
#include "kernel/thread.h"

static struct kmutex chains = KMUTEX_INIT(chains, LOCK_CHAINS);

static void check_bell(const struct bell *bell)
{
	const struct bell_waiter *w;

	assert_spin_held(&bell->lock);
	if (CONFIG_CHECKS)
		list_for_each_entry(w, &bell->waiters, link)
			kassert(!(w->mask & bell->pending));
	kassert_checks(!bell->parent || bell->parent->height > bell->height);
}

static uint64_t take_bits(struct bell *bell, uint64_t mask)
{
	uint64_t got = bell->pending & mask;

	bell->pending &= ~got;
	return got;
}

k_status_t bell_create(struct group *group, struct bell **out)
{
	struct bell *bell = kzalloc(sizeof(*bell));
	k_status_t st;

	if (!bell)
		return K_ERR_NO_MEMORY;
	st = object_init(&bell->object, K_TYPE_BELL, group, sizeof(*bell));
	if (st != K_OK) {
		kfree(bell);
		return st;
	}
	spinlock_init(&bell->lock, LOCK_BELL);
	list_init(&bell->waiters);
	*out = bell;
	return K_OK;
}

void bell_destroy(struct object *object)
{
	struct bell *bell = container_of(object, struct bell, object);

	kassert_checks(list_is_empty(&bell->waiters));
	if (bell->parent)
		object_put(&bell->parent->object);
	kfree(bell);
}

/* Add @bits to one bell and wake whom they satisfy. */
static void ring_one(struct bell *bell, uint64_t bits)
{
	struct bell_waiter *w, *next;

	assert_spin_held(&bell->lock);
	bell->pending |= bits;
	list_for_each_entry_safe(w, next, &bell->waiters, link) {
		w->granted = take_bits(bell, w->mask);
		if (w->granted) {
			list_remove(&w->link);
			sched_wake(w->thread);
		}
		if (!bell->pending)
			break;
	}
	check_bell(bell);
}

/* Interrupts disabled, @bell locked: ring it and those it is chained to. */
static void ring_locked(struct bell *bell, uint64_t bits)
{
	struct bell *parent = bell->parent;

	ring_one(bell, bits);
	if (!parent)
		return;
	spin_lock_irqoff_nested(&parent->lock);
	ring_locked(parent, bell->parent_bits);		/* BELL_LEVELS deep at the most */
	spin_unlock_irqoff(&parent->lock);
}

void bell_ring(struct bell *bell, uint64_t bits)
{
	arch_irqflags_t flags = spin_lock_irqsave(&bell->lock);

	ring_locked(bell, bits);
	spin_unlock_irqrestore(&bell->lock, flags);
}

k_status_t bell_wait(struct bell *bell, uint64_t mask, uint64_t deadline_ns, bool interruptible,
		     uint64_t *bits)
{
	struct bell_waiter w = { .thread = current_thread(), .mask = mask };
	k_status_t st = K_ERR_SHOULD_WAIT;
	arch_irqflags_t flags;

	flags = spin_lock_irqsave(&bell->lock);
	w.granted = take_bits(bell, mask);
	if (w.granted || deadline_ns == 0) {
		spin_unlock_irqrestore(&bell->lock, flags);
		*bits = w.granted;
		return w.granted ? K_OK : st;
	}
	list_add_last(&bell->waiters, &w.link);
	do {
		sched_prepare(BLOCK_KILLABLE | (interruptible ? BLOCK_KICKABLE : 0));
		spin_unlock_irqrestore(&bell->lock, flags);
		st = sched_block(deadline_ns);
		flags = spin_lock_irqsave(&bell->lock);
		/* An OK without a grant is a left-over of an earlier wait. */
	} while (st == K_OK && !w.granted);
	list_remove(&w.link);			/* off it already if granted */
	check_bell(bell);
	spin_unlock_irqrestore(&bell->lock, flags);

	/* Bits that were granted while a kick or the deadline came are not lost. */
	*bits = w.granted;
	return w.granted ? K_OK : st;
}

/* Bells from @bell upwards, itself included. */
static uint32_t levels_above(const struct bell *bell)
{
	uint32_t n = 0;

	for (; bell; bell = bell->parent)
		n++;
	return n;
}

static bool is_above(const struct bell *bell, const struct bell *wanted)
{
	for (; bell; bell = bell->parent)
		if (bell == wanted)
			return true;
	return false;
}

static void raise_heights(struct bell *bell, uint32_t height)
{
	for (; bell; bell = bell->parent, height++)
		bell->height = MAX(bell->height, height);
}

k_status_t bell_chain(struct bell *bell, struct bell *parent, uint64_t bits)
{
	struct bell *old;
	arch_irqflags_t flags;

	kmutex_lock(&chains);
	/* Heights only grow, so a bell once used deep in a chain stays so: refusing a chain
	 * that would be possible by now is better than searching children. */
	if (parent && (is_above(parent, bell) ||
		       bell->height + 1 + levels_above(parent) > BELL_LEVELS)) {
		kmutex_unlock(&chains);
		return K_ERR_BAD_ARGUMENT;
	}
	raise_heights(parent, bell->height + 1);
	if (parent)
		object_get(&parent->object);
	flags = spin_lock_irqsave(&bell->lock);
	old = bell->parent;
	bell->parent = parent;
	bell->parent_bits = bits;
	if (parent && bell->pending)
		ring_locked(bell, 0);
	spin_unlock_irqrestore(&bell->lock, flags);
	kmutex_unlock(&chains);
	if (old)
		object_put(&old->object);
	return K_OK;
}
