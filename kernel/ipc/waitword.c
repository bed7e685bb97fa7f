/* SPDX-License-Identifier: MIT */
/*
 * Waiting words: the kernel half of locks that live in memory.
 *
 * A thread waits on the word at an address as long as the word holds the value it
 * expects; others change the word and wake.  That no wake-up is lost rests on one
 * thing: the value is compared under the lock of the bucket that the word's key
 * hashes to, and wakers take the same lock.
 *
 * A key is where the word lies: (space, address), or for words in shared mappings
 * that asked for it (memory object, offset), or for a personality in the kernel
 * image (NULL, kernel address).  Keys are compared, never followed, so they hold no
 * references: a waiter's own space lives as long as it waits, and a word whose
 * object is unmapped meanwhile just finds no waker.
 *
 * Invariants, under a bucket's lock:
 *
 *   (1) Every waiter on the bucket's list has a key of that bucket, and is queued.
 *   (2) A waiter that is not queued was woken and its thread has been told.
 *
 * waiter->bucket can change (requeue), under the locks of both buckets; the owner
 * locks whatever it reads there and looks again.  The waiter is on its thread's
 * stack: who finds itself queued after its wait takes the bucket's lock before the
 * waiter goes away; who is not queued need not, because wakers are done with waiter
 * and thread by then.
 */

#include "kernel/waitword.h"

#include "arch/ucopy.h"
#include "base/hash.h"
#include "base/list.h"
#include "kernel/fault.h"
#include "kernel/lock.h"
#include "kernel/panic.h"
#include "kernel/sched.h"
#include "kernel/space.h"
#include "kernel/thread.h"
#include "kernel/ucopy.h"

#define BUCKET_BITS	8
#define BUCKETS		(1u << BUCKET_BITS)
#define SETTLE_TRIES	64u

struct bucket {
	struct spinlock lock;		/* rank LOCK_WAITWORD, irqsave */
	struct list waiters;		/* lock; struct word_waiter, oldest first */
};

struct word_waiter {
	struct thread *thread;		/* constant */
	uint32_t bitset;		/* constant */

	_Atomic(struct bucket *) bucket;	/* changed under both buckets' locks */
	struct list link;		/* bucket's lock */
	struct space_key key;		/* bucket's lock */
	_Atomic(bool) queued;		/* bucket's lock; cleared by release as the last thing that a
					 * waker does with it: pairs with waitword_wait() */
};

static struct bucket buckets[BUCKETS];
static uint64_t seed;

void waitword_start(void)
{
	if (!arch_random(&seed))
		seed = arch_cycles();
	for (unsigned int i = 0; i < BUCKETS; i++) {
		spinlock_init(&buckets[i].lock, LOCK_WAITWORD);
		list_init(&buckets[i].waiters);
	}
}

static struct bucket *bucket_of(const struct space_key *key)
{
	return &buckets[hash_u64((uint64_t)(uintptr_t)key->object ^ key->offset, seed) >>
			(64 - BUCKET_BITS)];
}

static bool same_key(const struct space_key *a, const struct space_key *b)
{
	return a->offset == b->offset && a->object == b->object;
}

/* -- reaching the word ------------------------------------------------------------------ */

static bool address_ok(struct space *space, uint64_t addr)
{
	if (addr % 4)
		return false;
	return !space || user_range_ok(addr, 4) ||
	       (space == current_thread()->own_space && caller_range_ok(addr, 4));
}

static k_status_t find_key(struct space *space, uint64_t addr, uint32_t flags,
			   struct space_key *key)
{
	if ((flags & ~(K_WAIT_INTERRUPTIBLE | K_WAIT_SHARED)) || !address_ok(space, addr))
		return K_ERR_BAD_ARGUMENT;
	if (space && (flags & K_WAIT_SHARED))
		return space_key(space, addr, true, key) == K_OK ? K_OK : K_ERR_BAD_ADDRESS;
	*key = (struct space_key){ .object = space, .offset = addr };
	return K_OK;
}

/* Whether user addresses mean @space now. */
static bool is_loaded(const struct space *space)
{
	const struct thread *self = current_thread();

	return !space || space == self->space || space == self->own_space;
}

/* The word's value; with a spinlock held, hence no fault is settled: false if one is needed. */
static bool load_word(const struct space *space, uint64_t addr, uint32_t *value)
{
	if (space)
		return arch_load_user_u32(addr, value);
	*value = atomic_load_explicit((_Atomic(uint32_t) *)(uintptr_t)addr, memory_order_relaxed);
	return true;
}

/* Make the word accessible, without locks. */
static k_status_t settle(struct space *space, uint64_t addr)
{
	k_status_t st = fault_handle(space, addr, K_PROT_READ, NULL);

	if (st == K_OK || st == K_ERR_NEED_PAGE || st == K_ERR_NO_MEMORY)
		return st;
	return K_ERR_BAD_ADDRESS;
}

/* -- queues ------------------------------------------------------------------------------ */

static void enqueue(struct bucket *b, struct word_waiter *w)
{
	assert_spin_held(&b->lock);
	atomic_store_explicit(&w->bucket, b, memory_order_relaxed);
	list_add_last(&b->waiters, &w->link);
	atomic_store_explicit(&w->queued, true, memory_order_relaxed);
}

/* Lock the bucket that @w is on, or was last. */
static struct bucket *lock_waiter(struct word_waiter *w, arch_irqflags_t *flags)
{
	for (;;) {
		struct bucket *b = atomic_load_explicit(&w->bucket, memory_order_relaxed);

		*flags = spin_lock_irqsave(&b->lock);
		if (b == atomic_load_explicit(&w->bucket, memory_order_relaxed))
			return b;
		spin_unlock_irqrestore(&b->lock, *flags);
	}
}

/* Compare and queue in one critical section.  OK: queued, the thread is BLOCKING. */
static k_status_t queue_if_equal(struct space *space, uint64_t addr, uint32_t expected,
				 struct word_waiter *w, uint32_t block_flags)
{
	struct bucket *b = bucket_of(&w->key);

	for (unsigned int tries = 0; tries < SETTLE_TRIES; tries++) {
		arch_irqflags_t flags = spin_lock_irqsave(&b->lock);
		uint32_t value;
		bool loaded = load_word(space, addr, &value);
		k_status_t st;

		if (loaded && value == expected) {
			enqueue(b, w);
			sched_prepare(block_flags);
		}
		spin_unlock_irqrestore(&b->lock, flags);
		if (loaded)
			return value == expected ? K_OK : K_ERR_CHANGED;
		st = settle(space, addr);
		if (st != K_OK)
			return st;
	}
	return K_ERR_BAD_ADDRESS;	/* somebody unmaps it as fast as we map it */
}

k_status_t waitword_wait(struct space *space, uint64_t addr, uint32_t expected, uint32_t bitset,
			 uint64_t deadline_ns, uint32_t flags)
{
	uint32_t block_flags = BLOCK_KILLABLE |
			       (flags & K_WAIT_INTERRUPTIBLE ? BLOCK_KICKABLE : 0);
	struct word_waiter w = { .thread = current_thread(), .bitset = bitset };
	struct bucket *b;
	arch_irqflags_t irq;
	bool woken;
	k_status_t st;

	if (!bitset || !is_loaded(space))
		return K_ERR_BAD_ARGUMENT;
	st = find_key(space, addr, flags, &w.key);
	if (st == K_OK)
		st = queue_if_equal(space, addr, expected, &w, block_flags);
	if (st != K_OK)
		return st;
	for (;;) {
		st = sched_block(deadline_ns);
		if (likely(!atomic_load_explicit(&w.queued, memory_order_acquire)))
			return K_OK;
		b = lock_waiter(&w, &irq);
		woken = !atomic_load_explicit(&w.queued, memory_order_relaxed);
		if (woken || st != K_OK)
			break;
		/* A left-over wake-up of an earlier wait. */
		sched_prepare(block_flags);
		spin_unlock_irqrestore(&b->lock, irq);
	}
	if (!woken)
		list_remove(&w.link);
	spin_unlock_irqrestore(&b->lock, irq);
	return woken ? K_OK : st;
}

/* Wake up to @count waiters of @key on @b. */
static uint64_t wake_locked(struct bucket *b, const struct space_key *key, uint32_t count,
			    uint32_t bitset)
{
	struct word_waiter *w, *next;
	uint64_t woken = 0;

	assert_spin_held(&b->lock);
	list_for_each_entry_safe(w, next, &b->waiters, link) {
		if (woken == count)
			break;
		if (!same_key(&w->key, key) || !(w->bitset & bitset))
			continue;
		list_remove(&w->link);
		sched_wake(w->thread);
		atomic_store_explicit(&w->queued, false, memory_order_release);
		woken++;
	}
	return woken;
}

k_status_t waitword_wake(struct space *space, uint64_t addr, uint32_t count, uint32_t bitset,
			 uint32_t flags, uint64_t *woken)
{
	struct space_key key;
	struct bucket *b;
	arch_irqflags_t irq;
	k_status_t st;

	*woken = 0;
	if (!bitset)
		return K_ERR_BAD_ARGUMENT;
	st = find_key(space, addr, flags, &key);
	if (st != K_OK)
		return st;
	b = bucket_of(&key);
	irq = spin_lock_irqsave(&b->lock);
	*woken = wake_locked(b, &key, count, bitset);
	spin_unlock_irqrestore(&b->lock, irq);
	return K_OK;
}

/* -- requeue ------------------------------------------------------------------------------- */

static arch_irqflags_t lock_two(struct bucket *a, struct bucket *b)
{
	struct bucket *low = a < b ? a : b, *high = a < b ? b : a;
	arch_irqflags_t irq = spin_lock_irqsave(&low->lock);

	if (high != low)
		spin_lock_irqoff_nested(&high->lock);
	return irq;
}

static void unlock_two(struct bucket *a, struct bucket *b, arch_irqflags_t irq)
{
	struct bucket *low = a < b ? a : b, *high = a < b ? b : a;

	if (high != low)
		spin_unlock_irqoff(&high->lock);
	spin_unlock_irqrestore(&low->lock, irq);
}

static uint64_t move_locked(struct bucket *from, const struct space_key *from_key,
			    struct bucket *to, const struct space_key *to_key, uint32_t count)
{
	struct list moving = LIST_INIT(moving);
	struct word_waiter *w, *next;
	uint64_t moved = 0;

	list_for_each_entry_safe(w, next, &from->waiters, link) {
		if (moved == count)
			break;
		if (!same_key(&w->key, from_key))
			continue;
		list_remove(&w->link);
		list_add_last(&moving, &w->link);
		w->key = *to_key;
		atomic_store_explicit(&w->bucket, to, memory_order_relaxed);
		moved++;
	}
	list_splice_last(&to->waiters, &moving);
	return moved;
}

k_status_t waitword_requeue(struct space *space, struct k_requeue *r)
{
	struct space_key from_key, to_key;
	struct bucket *from, *to;
	k_status_t st;

	r->woken = r->moved = 0;
	if ((r->compare && !is_loaded(space)) || (r->flags & ~K_WAIT_SHARED))
		return K_ERR_BAD_ARGUMENT;
	st = find_key(space, r->from, r->flags, &from_key);
	if (st == K_OK)
		st = find_key(space, r->to, r->flags, &to_key);
	if (st != K_OK)
		return st;
	from = bucket_of(&from_key);
	to = bucket_of(&to_key);
	for (unsigned int tries = 0; tries < SETTLE_TRIES; tries++) {
		arch_irqflags_t irq = lock_two(from, to);
		uint32_t value = r->expected;
		bool loaded = !r->compare || load_word(space, r->from, &value);

		if (loaded && value == r->expected) {
			r->woken = wake_locked(from, &from_key, r->wake, K_WAIT_ANY_BITS);
			if (!same_key(&from_key, &to_key))
				r->moved = move_locked(from, &from_key, to, &to_key, r->move);
		}
		unlock_two(from, to, irq);
		if (loaded)
			return value == r->expected ? K_OK : K_ERR_CHANGED;
		st = settle(space, r->from);
		if (st != K_OK)
			return st;
	}
	return K_ERR_BAD_ADDRESS;
}
