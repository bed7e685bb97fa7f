/* SPDX-License-Identifier: MIT */
/*
 * Mutexes and reader-writer locks on waiting words, the same source in both
 * placements (rt/lock.h).
 *
 * Mutex: word is FREE, HELD, or CONTENDED (held, and somebody may sleep).  Who
 * finds it taken sets CONTENDED and sleeps while it is CONTENDED; who wakes takes
 * it as CONTENDED, as others may sleep still.  Unlocking wakes one sleeper if the
 * word was CONTENDED.  No lost wake-up: a sleeper's wait returns at once if the
 * word is not CONTENDED any more.
 *
 * Reader-writer lock: state counts readers, has WRITER while one writes, and
 * WANTED while somebody may sleep.  WANTED without WRITER is set by waiting writers
 * only, and holds new readers back; the writer that gets the lock keeps the bit,
 * so that its unlock, which clears it, wakes all.  Sleepers wait for seq to change;
 * it is read before the state is looked at, and unlocking changes it after the
 * state was, so a change in between ends the wait at once.
 *
 * Ranks (CONFIG_CHECKS): the locks that a thread holds are a short list, sorted by
 * rank, that rt_held() gives (placement's), so that a lock to be taken is compared
 * with the last one only.  Locks of rank 0 are left out.
 */
#include <stddef.h>

#include "base/util.h"
#include "rt/lock.h"
#include "rt/held.h"
#include "rt/log.h"
#include "rt/thread.h"

enum { FREE, HELD, CONTENDED };

#define WRITER	(1u << 31)
#define WANTED	(1u << 30)

/* -- rank checks ---------------------------------------------------------------- */

/* The caller's list, if locks of @rank are checked. */
static inline struct rt_held *checked(uint32_t rank)
{
	return CONFIG_CHECKS && rank ? rt_held() : NULL;
}

/* The last entry has the highest rank.  Where it is not below @rank: */
static void __attribute__((noinline)) check_equal(const struct rt_held *h, const void *lock,
						  uint32_t rank, bool equal_allowed)
{
	uint32_t last = h->rank[h->count - 1];

	if (last > rank || !equal_allowed)
		rt_panic("lock order: taking rank %u at %p while holding rank %u at %p", rank, lock,
			 last, h->lock[h->count - 1]);
}

static void __attribute__((noinline, cold)) too_many(void)
{
	rt_panic("lock order: more than %u locks held", RT_HELD_MAX);
}

static inline void check_take(const struct rt_held *h, const void *lock, uint32_t rank,
			      bool equal_allowed)
{
	if (!h || !h->count)
		return;
	if (unlikely(h->rank[h->count - 1] >= rank))
		check_equal(h, lock, rank, equal_allowed);
	if (unlikely(h->count == RT_HELD_MAX))
		too_many();
}

/* At the end, which check_take() has made sure of. */
static inline void note_taken(struct rt_held *h, const void *lock, uint32_t rank)
{
	uint32_t i;

	if (!h)
		return;
	i = h->count;
	h->rank[i] = rank;
	h->lock[i] = lock;
	h->count = i + 1;
}

/* What trylock took can belong anywhere. */
static void note_tried(struct rt_held *h, const void *lock, uint32_t rank)
{
	uint32_t i;

	if (!h)
		return;
	if (h->count == RT_HELD_MAX)
		too_many();
	for (i = h->count; i && h->rank[i - 1] > rank; i--) {
		h->rank[i] = h->rank[i - 1];
		h->lock[i] = h->lock[i - 1];
	}
	h->rank[i] = rank;
	h->lock[i] = lock;
	h->count++;
}

static void __attribute__((noinline)) release_inner(struct rt_held *h, const void *lock, uint32_t rank)
{
	uint32_t i = h->count;

	do {
		if (!i)
			rt_panic("lock at %p (rank %u) released by a thread that does not hold it",
				 lock, rank);
	} while (h->lock[--i] != lock);
	h->count--;
	for (; i < h->count; i++) {
		h->lock[i] = h->lock[i + 1];
		h->rank[i] = h->rank[i + 1];
	}
}

static inline void note_released(struct rt_held *h, const void *lock, uint32_t rank)
{
	if (!h)
		return;
	if (likely(h->count && h->lock[h->count - 1] == lock))
		h->count--;
	else
		release_inner(h, lock, rank);
}

/* An uninterruptible sleep: the word says whether to go on, so statuses do not matter. */
static void sleep_while(_Atomic(uint32_t) *word, uint32_t value)
{
	(void)!rt_wait(word, value, K_DEADLINE_NEVER, false);
}

/* @state is what *@word was seen as.  True: WANTED is set in it. */
static bool set_wanted(_Atomic(uint32_t) *word, uint32_t state)
{
	return (state & WANTED) ||
	       atomic_compare_exchange_strong_explicit(word, &state, state | WANTED,
						       memory_order_relaxed,
						       memory_order_relaxed);
}

/* -- mutex ----------------------------------------------------------------------- */

void rt_mutex_init(struct rt_mutex *m, uint32_t rank)
{
	atomic_store_explicit(&m->word, FREE, memory_order_relaxed);
	m->rank = rank;
	atomic_store_explicit(&m->owner, NULL, memory_order_relaxed);
}

/* Who a mutex belongs to while the caller, whose list is @h, holds it. */
static inline void *owner(struct rt_held *h)
{
	return h ? h : rt_thread_token();
}

static inline void set_owner(struct rt_mutex *m, void *to)
{
	atomic_store_explicit(&m->owner, to, memory_order_relaxed);
}

static inline bool is_owner(const struct rt_mutex *m, struct rt_held *h)
{
	return atomic_load_explicit(&m->owner, memory_order_relaxed) == owner(h);
}

static inline void took(struct rt_mutex *m, struct rt_held *h)
{
	note_taken(h, m, m->rank);
	if (CONFIG_CHECKS)
		set_owner(m, owner(h));
}

static void lock_contended(struct rt_mutex *m, struct rt_held *h)
{
	if (CONFIG_CHECKS && is_owner(m, h))
		rt_panic("mutex at %p (rank %u) taken twice by a thread", (void *)m, m->rank);
	/* acquire: pairs with the release in rt_mutex_unlock() */
	while (atomic_exchange_explicit(&m->word, CONTENDED, memory_order_acquire) != FREE)
		sleep_while(&m->word, CONTENDED);
}

static inline bool take_free(struct rt_mutex *m)
{
	uint32_t seen = FREE;

	return atomic_compare_exchange_strong_explicit(&m->word, &seen, HELD, memory_order_acquire,
						       memory_order_relaxed);
}

static inline void lock(struct rt_mutex *m, bool equal_allowed)
{
	struct rt_held *h = checked(m->rank);

	check_take(h, m, m->rank, equal_allowed);
	if (unlikely(!take_free(m)))
		lock_contended(m, h);
	took(m, h);
}

void rt_mutex_lock(struct rt_mutex *m)
{
	lock(m, false);
}

void rt_mutex_lock_nested(struct rt_mutex *m)
{
	lock(m, true);
}

bool rt_mutex_trylock(struct rt_mutex *m)
{
	struct rt_held *h;

	if (!take_free(m))
		return false;
	h = checked(m->rank);
	note_tried(h, m, m->rank);
	if (CONFIG_CHECKS)
		m->owner = owner(h);
	return true;
}

void rt_mutex_unlock(struct rt_mutex *m)
{
	struct rt_held *h = checked(m->rank);

	if (CONFIG_CHECKS) {
		if (unlikely(!is_owner(m, h)))
			rt_panic("mutex at %p (rank %u) released by another thread than its holder",
				 (void *)m, m->rank);
		set_owner(m, NULL);
	}
	note_released(h, m, m->rank);
	if (unlikely(atomic_exchange_explicit(&m->word, FREE, memory_order_release) == CONTENDED))
		rt_wake(&m->word, 1);
}

bool rt_mutex_held(const struct rt_mutex *m)
{
	if (atomic_load_explicit(&m->word, memory_order_relaxed) == FREE)
		return false;
	return !CONFIG_CHECKS || is_owner(m, checked(m->rank));
}

/* -- reader-writer lock ------------------------------------------------------------ */

void rt_rwlock_init(struct rt_rwlock *l, uint32_t rank)
{
	atomic_store_explicit(&l->state, 0, memory_order_relaxed);
	atomic_store_explicit(&l->seq, 0, memory_order_relaxed);
	l->rank = rank;
}

/* Wake all who sleep: readers and writers alike look again. */
static void rwlock_changed(struct rt_rwlock *l)
{
	atomic_fetch_add_explicit(&l->seq, 1, memory_order_release);
	rt_wake(&l->seq, UINT32_MAX);
}

void rt_read_lock(struct rt_rwlock *l)
{
	struct rt_held *h = checked(l->rank);

	check_take(h, l, l->rank, false);
	for (;;) {
		uint32_t seq = atomic_load_explicit(&l->seq, memory_order_acquire);
		uint32_t state = atomic_load_explicit(&l->state, memory_order_relaxed);

		if (state & (WRITER | WANTED)) {
			if (set_wanted(&l->state, state))
				sleep_while(&l->seq, seq);
			continue;
		}
		if (atomic_compare_exchange_weak_explicit(&l->state, &state, state + 1,
							  memory_order_acquire,
							  memory_order_relaxed))
			break;
	}
	note_taken(h, l, l->rank);
}

void rt_read_unlock(struct rt_rwlock *l)
{
	uint32_t old;

	note_released(checked(l->rank), l, l->rank);
	old = atomic_fetch_sub_explicit(&l->state, 1, memory_order_release);
	if (CONFIG_CHECKS && !(old & ~(WRITER | WANTED)))
		rt_panic("rwlock at %p (rank %u) has no reader to release", (void *)l, l->rank);
	if (old == (1 | WANTED))
		rwlock_changed(l);
}

void rt_write_lock(struct rt_rwlock *l)
{
	struct rt_held *h = checked(l->rank);

	check_take(h, l, l->rank, false);
	for (;;) {
		uint32_t seq = atomic_load_explicit(&l->seq, memory_order_acquire);
		uint32_t state = atomic_load_explicit(&l->state, memory_order_relaxed);

		if (state & ~WANTED) {
			if (set_wanted(&l->state, state))
				sleep_while(&l->seq, seq);
			continue;
		}
		if (atomic_compare_exchange_weak_explicit(&l->state, &state, state | WRITER,
							  memory_order_acquire,
							  memory_order_relaxed))
			break;
	}
	note_taken(h, l, l->rank);
}

void rt_write_unlock(struct rt_rwlock *l)
{
	uint32_t old;

	note_released(checked(l->rank), l, l->rank);
	old = atomic_exchange_explicit(&l->state, 0, memory_order_release);
	if (CONFIG_CHECKS && !(old & WRITER))
		rt_panic("rwlock at %p (rank %u) is not held for writing", (void *)l, l->rank);
	if (old & WANTED)
		rwlock_changed(l);
}
