/* SPDX-License-Identifier: MIT */
/*
 * Dirty memory: how much of the page caches is newer than the disks, and who is told when
 * that becomes too much.
 *
 * A file system that writes back counts what becomes dirty, per inode and altogether, and
 * takes it off when it was written.  What counts is bytes written: a page that is written twice
 * counts twice, until somebody looks.  That is done only beyond the first limit, and costs a
 * kernel call then.
 *
 *   background limit	a tenth of memory: flushers are woken
 *   limit		a fifth: whoever makes more pages dirty has to write some first
 *
 * Reclaim that finds nothing clean wakes the flushers, too, and who would have to end a program
 * for want of memory waits for them (lx_dirty_wait()).
 */
#include "abi/calls.h"
#include "rt/time.h"
#include "vfs/vfs_priv.h"

#define LEAST		(4ull << 20)		/* of the limit */
#define LOOK_SLACK	(256ull << 10)		/* what the writer is about to make dirty */

static struct {
	_Atomic(uint64_t) bytes;		/* the sum of lx_inode.dirty_bytes, and what is being written */
	_Atomic(uint64_t) background, limit;	/* set once at start */
	_Atomic(uint32_t) written;		/* changes when a write-back has come to its end */
	struct rt_mutex lock;			/* rank LX_LOCK_LEAF */
	struct list flushers;			/* lock: of lx_flusher.link */
} dirty = {
	.background = LEAST / 2, .limit = LEAST, .lock = RT_MUTEX_INIT(LX_LOCK_LEAF),
	.flushers = LIST_INIT(dirty.flushers),
};

void lx_dirty_start(uint64_t memory_bytes)
{
	uint64_t limit = MAX(memory_bytes / 5, LEAST);

	atomic_store(&dirty.limit, limit);
	atomic_store(&dirty.background, limit / 2);
}

uint64_t lx_dirty_bytes(void)
{
	return atomic_load_explicit(&dirty.bytes, memory_order_relaxed);
}

/* -- counting */

void lx_dirty_add(struct lx_inode *inode, uint64_t n)
{
	atomic_fetch_add_explicit(&inode->dirty_bytes, n, memory_order_relaxed);
	atomic_fetch_add_explicit(&dirty.bytes, n, memory_order_relaxed);
}

uint64_t lx_dirty_take(struct lx_inode *inode)
{
	return atomic_exchange_explicit(&inode->dirty_bytes, 0, memory_order_relaxed);
}

void lx_dirty_written(uint64_t n)
{
	atomic_fetch_sub_explicit(&dirty.bytes, n, memory_order_relaxed);
	/* whoever waits looks at memory afterwards, not at these counts */
	atomic_fetch_add(&dirty.written, 1);
	rt_wake(&dirty.written, UINT32_MAX);
}

/* Pages that were written twice, cut off or dropped were counted too often. */
static void look(struct lx_inode *inode)
{
	uint64_t counted = atomic_load_explicit(&inode->dirty_bytes, memory_order_relaxed), is;
	struct k_memory_info info;

	if (!atomic_load(&inode->has_pages) || k_memory_info(inode->pages.handle, &info) != K_OK)
		return;
	is = info.dirty_pages * K_PAGE_SIZE + LOOK_SLACK;
	while (is < counted) {
		if (atomic_compare_exchange_weak_explicit(&inode->dirty_bytes, &counted, is,
							  memory_order_relaxed, memory_order_relaxed)) {
			atomic_fetch_sub_explicit(&dirty.bytes, counted - is, memory_order_relaxed);
			break;
		}
	}
}

bool lx_dirty_is_too_much(struct lx_inode *inode)
{
	if (likely(lx_dirty_bytes() <= atomic_load_explicit(&dirty.background, memory_order_relaxed)))
		return false;
	look(inode);
	if (lx_dirty_bytes() > atomic_load_explicit(&dirty.background, memory_order_relaxed))
		lx_flushers_wake();
	return lx_dirty_bytes() > atomic_load_explicit(&dirty.limit, memory_order_relaxed);
}

/* -- flushers */

void lx_flusher_add(struct lx_flusher *f)
{
	rt_mutex_lock(&dirty.lock);
	list_add_last(&dirty.flushers, &f->link);
	rt_mutex_unlock(&dirty.lock);
}

void lx_flusher_remove(struct lx_flusher *f)
{
	rt_mutex_lock(&dirty.lock);
	list_remove(&f->link);
	rt_mutex_unlock(&dirty.lock);
}

void lx_flushers_wake(void)
{
	struct lx_flusher *f;

	rt_mutex_lock(&dirty.lock);
	list_for_each_entry(f, &dirty.flushers, link)
		f->wake(f);
	rt_mutex_unlock(&dirty.lock);
}

bool lx_dirty_wait(uint64_t most_ns)
{
	uint32_t seen = atomic_load(&dirty.written);

	if (!lx_dirty_bytes())
		return false;
	lx_flushers_wake();
	(void)!rt_wait(&dirty.written, seen, rt_now_ns() + most_ns, true);
	return atomic_load(&dirty.written) != seen;
}
