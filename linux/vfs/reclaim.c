/* SPDX-License-Identifier: MIT */
/*
 * Getting memory back: pages of files that can be read again, names and inodes that
 * nobody uses.
 *
 * Inodes whose page cache can be had again (PAGED memory objects) are on one list, the
 * ring of a clock.  The hand is the first inode on it and an offset in that; a step
 * lets the kernel look at some pages there and give up the clean ones that were not
 * used lately (K_EVICT_COLD: the bits of the clock are with the pages).  An inode that
 * was looked through goes to the end.  After two turns of the hand everything that was
 * not used in between is gone; a last turn takes what is clean, used or not.  Dirty
 * pages stay until they have been written back; when there is too little that is clean,
 * the flushers are asked to do so (vfs/dirty.c).
 *
 * Who asks:
 *
 *   kswapd0	before memory runs out (mm/kswapd.c): a choosy turn at a time, with a pause when
 *		that brought nothing, so that what is in use can be used in between
 *		(lx_reclaim_cold)
 *   anybody	whose access or read fails for want of memory, before a program has to
 *		be ended for it (lx_reclaim); also in the middle of filling a page cache,
 *		pages only (lx_reclaim_pages)
 *
 * Files that are memory and nothing else (tmpfs) end where kswapd is content: what they take
 * cannot be taken back, and programs need room for pages of their own files to run at
 * all, if only to remove something (lx_reclaim_room).
 *
 * The lock is held while the kernel evicts a slice, so that an inode cannot leave in the
 * meantime: lx_pages_close() takes it off the list first.  Write-back first makes pages
 * clean and then writes them; they may not go in between.  So its counter changes under
 * the lock, too (lx_reclaim_count_writeback()), and inodes where it is odd are passed over.
 */
#include "abi/calls.h"
#include "vfs/vfs_priv.h"

#define SLICE		512u			/* pages looked at with the lock held */
#define LOOK_EVERY	16u			/* pages of memory-only files between looks */
#define NAMES_PER_PAGE	8u			/* with their inodes, more or less */
#define TURNS		3u			/* of the hand, the last one not choosy */

static struct {
	struct rt_mutex lock;		/* rank LX_LOCK_LEAF */
	struct list ring;		/* lock: struct lx_inode.reclaim_link */
	uint64_t inodes;		/* lock: on it */
	_Atomic(uint64_t) evicted;	/* pages, ever */
	_Atomic(uint64_t) unseen;	/* pages of memory-only files since the last look */
} reclaim = { .lock = RT_MUTEX_INIT(LX_LOCK_LEAF), .ring = LIST_INIT(reclaim.ring) };

void lx_reclaim_add(struct lx_inode *inode)
{
	rt_mutex_lock(&reclaim.lock);
	inode->reclaim_hand = 0;
	list_add_last(&reclaim.ring, &inode->reclaim_link);
	reclaim.inodes++;
	rt_mutex_unlock(&reclaim.lock);
}

void lx_reclaim_remove(struct lx_inode *inode)
{
	/* What goes with the last name in memory of a file that stays may be wanted again as well. */
	if (atomic_load_explicit(&inode->nlink, memory_order_relaxed))
		atomic_fetch_add_explicit(&reclaim.evicted, lx_pages_resident(inode), memory_order_relaxed);
	rt_mutex_lock(&reclaim.lock);
	list_remove(&inode->reclaim_link);
	reclaim.inodes--;
	rt_mutex_unlock(&reclaim.lock);
}

uint64_t lx_reclaim_evicted(void)
{
	return atomic_load_explicit(&reclaim.evicted, memory_order_relaxed);
}

void lx_reclaim_count_writeback(struct lx_inode *inode)
{
	rt_mutex_lock(&reclaim.lock);
	atomic_fetch_add(&inode->writeback_seq, 1);
	rt_mutex_unlock(&reclaim.lock);
}

/* With the lock: the kernel's statuses, or BAD_STATE while clean pages are on their way to the disk. */
static k_status_t evict_locked(struct lx_inode *inode, struct k_evict *evict)
{
	if (atomic_load(&inode->writeback_seq) & 1)
		return K_ERR_BAD_STATE;
	return k_memory_evict(inode->pages.handle, evict);
}

/* One slice at the hand; what was freed.  True in *@passed: the hand went on to the next inode. */
static uint64_t step(uint32_t flags, bool *passed)
{
	struct k_evict evict = { .scan = SLICE, .flags = flags };
	struct lx_inode *inode;

	*passed = true;
	rt_mutex_lock(&reclaim.lock);
	inode = list_first_entry(&reclaim.ring, struct lx_inode, reclaim_link);
	if (inode) {
		evict.offset = inode->reclaim_hand;
		evict.length = INT64_MAX - evict.offset;
		if (evict_locked(inode, &evict) != K_OK)
			evict.freed = evict.length = 0;
		*passed = !evict.length;
		inode->reclaim_hand = *passed ? 0 : evict.offset;
		if (*passed) {
			list_remove(&inode->reclaim_link);
			list_add_last(&reclaim.ring, &inode->reclaim_link);
		}
	}
	rt_mutex_unlock(&reclaim.lock);
	return evict.freed;
}

/* At most one turn of the hand. */
static uint64_t turn(uint64_t want, uint32_t flags)
{
	uint64_t freed = 0, left;
	bool passed;

	rt_mutex_lock(&reclaim.lock);
	left = reclaim.inodes;
	rt_mutex_unlock(&reclaim.lock);
	while (left && freed < want) {
		freed += step(flags, &passed);
		left -= passed;
	}
	atomic_fetch_add_explicit(&reclaim.evicted, freed, memory_order_relaxed);
	return freed;
}

static uint64_t turns(uint64_t want, unsigned int choosy, unsigned int others)
{
	uint64_t freed = 0;

	for (unsigned int i = 0; i < choosy + others && freed < want; i++)
		freed += turn(want - freed, i < choosy ? K_EVICT_COLD : 0);
	if (freed < want && lx_dirty_bytes())
		lx_flushers_wake();
	return freed;
}

uint64_t lx_reclaim_pages(uint64_t want)
{
	return turns(want, TURNS - 1, 1);
}

uint64_t lx_reclaim_names(uint64_t want)
{
	return lx_dcache_shrink((unsigned int)MIN(want * NAMES_PER_PAGE, 1024u)) / NAMES_PER_PAGE;
}

uint64_t lx_reclaim(uint64_t want)
{
	uint64_t freed = lx_reclaim_pages(want);

	/* Names cost little, and what they lead to may have pages. */
	return freed < want ? freed + lx_reclaim_names(want - freed) : freed;
}

uint64_t lx_reclaim_cold(uint64_t want)
{
	uint64_t freed = turns(want, 1, 0);

	/* The files of programs that were run just now have no other users, and lose all their pages. */
	return freed ? freed : lx_reclaim_names(want);
}

int lx_reclaim_room(uint64_t pages)
{
	/* Looking is a kernel call or two: not for every page. */
	if (atomic_fetch_add_explicit(&reclaim.unseen, pages, memory_order_relaxed) + pages < LOOK_EVERY)
		return 0;
	atomic_store_explicit(&reclaim.unseen, 0, memory_order_relaxed);
	if (lx_memory_has_room())
		return 0;
	if (!lx_cache_is_least())
		(void)lx_reclaim_pages(MAX(pages, (uint64_t)LOOK_EVERY));
	if (lx_memory_has_room())
		return 0;
	/* Whoever comes next, with a smaller piece perhaps, has to look as well. */
	atomic_store_explicit(&reclaim.unseen, LOOK_EVERY, memory_order_relaxed);
	return -ENOSPC;
}

static void drop_super(struct lx_super *sb, void *arg)
{
	lx_dcache_drop_super(sb);
}

void lx_reclaim_drop(bool pages, bool names)
{
	if (names)
		lx_for_each_super(drop_super, NULL);
	if (pages)
		(void)turn(UINT64_MAX, K_EVICT_UNMAPPED);
}

void lx_pages_drop(struct lx_inode *inode, uint64_t start, uint64_t end, bool mapped)
{
	struct k_evict evict = { .offset = ALIGN_UP(start, (uint64_t)K_PAGE_SIZE),
				 .flags = mapped ? 0 : K_EVICT_UNMAPPED };

	end = MIN(end, (uint64_t)INT64_MAX);
	/* The last page goes if it is meant whole, or as far as the file does. */
	if (end < inode->size)
		end = ALIGN_DOWN(end, (uint64_t)K_PAGE_SIZE);
	if (end <= evict.offset || !atomic_load(&inode->has_pages))
		return;
	evict.length = end - evict.offset;
	/* BAD_ARGUMENT: the pages cannot be had again. */
	rt_mutex_lock(&reclaim.lock);
	(void)!evict_locked(inode, &evict);
	rt_mutex_unlock(&reclaim.lock);
}
