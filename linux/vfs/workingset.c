/* SPDX-License-Identifier: MIT */
/*
 * The working set of files: which pages come back after they were given up.
 *
 * Reclaim cannot tell by what it gives up whether that was worth keeping: the pages of a
 * stream that is read once and those of a program that runs look the same until somebody
 * wants one again.  So it is remembered what was read, for longer than it stays.  Time is
 * counted in pages given up (lx_reclaim_evicted()): that is how much farther the clock of
 * reclaim has to reach for a page to survive, and does not depend on how fast anything is.
 * A page that is read again when D pages went since it was last read would have stayed, had
 * there been room for D more or less:
 *
 *   D is less than all of memory	it is only not there because programs' own memory has
 *					the room (a refault: mm/thrash.c asks how many are)
 *   D is less than twice the cache	it was used again within about one turn of the hand: it
 *					counts as used often, and stays a turn longer than what
 *					was read once
 *
 * One entry is for a block of 16 pages, the size of a read for a fault, with a bit for
 * each.  They are in a table of fixed size, for as many pages as memory has, in sets of four:
 * the oldest goes.  An entry is found by a hash of the file and the place; two that look
 * alike cost a wrong count, nothing else.  (Linux keeps "shadow entries" in the page cache
 * itself, and bounds them likewise: mm/workingset.c.)
 */
#include "abi/calls.h"
#include "base/hash.h"
#include "vfs/pages_priv.h"

#define BLOCK_PAGES	16u
#define BLOCK		(BLOCK_PAGES * PAGE)
#define WAYS		4u
#define SETS_MAX	(1u << 18)	/* 16 MiB of entries */

struct shadow {
	uint32_t tag;			/* of the hash; 0: free */
	uint32_t evicted;		/* lx_reclaim_evicted() when it was last read; wraps */
	uint32_t pages;			/* a bit for each that was read */
};

static struct {
	struct rt_mutex lock;		/* rank LX_LOCK_LEAF */
	struct shadow (*sets)[WAYS];	/* lock; the table: constant after start */
	uint32_t count;			/* of sets, a power of two; constant after start */
	uint64_t memory_pages;		/* constant after start */
	_Atomic(uint64_t) refaults, activations;	/* pages, ever */
} workingset = { .lock = RT_MUTEX_INIT(LX_LOCK_LEAF) };

int lx_workingset_start(uint64_t memory)
{
	uint64_t want = memory / BLOCK / WAYS;
	uint32_t count = 1;

	while (count < want && count < SETS_MAX)
		count *= 2;
	workingset.sets = rt_zalloc(count * sizeof(*workingset.sets));
	if (!workingset.sets)
		return -ENOMEM;
	workingset.count = count;
	workingset.memory_pages = memory / PAGE;
	return 0;
}

uint64_t lx_workingset_refaults(void)
{
	return atomic_load_explicit(&workingset.refaults, memory_order_relaxed);
}

uint64_t lx_workingset_activations(void)
{
	return atomic_load_explicit(&workingset.activations, memory_order_relaxed);
}

/* The entry for @tag in @set, or the one that is to be its: cleared then.  Lock held. */
static struct shadow *shadow_of(struct shadow set[WAYS], uint32_t tag, uint32_t now)
{
	struct shadow *oldest = set;

	for (unsigned int i = 0; i < WAYS; i++) {
		if (set[i].tag == tag)
			return &set[i];
		if (!set[i].tag || (oldest->tag && now - set[i].evicted > now - oldest->evicted))
			oldest = &set[i];
	}
	*oldest = (struct shadow){ .tag = tag };
	return oldest;
}

/* @pages of the block at @off were read: those that had been before; D in *@distance. */
static uint32_t remember(const struct lx_inode *inode, uint64_t off, uint32_t pages,
			 uint32_t *distance)
{
	uint64_t hash = hash_u64(off / BLOCK, hash_u64(inode->ino, inode->sb->dev));
	uint32_t now = (uint32_t)lx_reclaim_evicted(), again;
	struct shadow *s;

	rt_mutex_lock(&workingset.lock);
	s = shadow_of(workingset.sets[hash & (workingset.count - 1)],
		      (uint32_t)(hash >> 32) | 1, now);
	again = s->pages & pages;
	*distance = now - s->evicted;
	s->pages |= pages;
	s->evicted = now;
	rt_mutex_unlock(&workingset.lock);
	return again;
}

/* To the kernel a page is used often that was looked up twice; whoever wants it does so once. */
static void activate(struct lx_inode *inode, uint64_t off, uint32_t pages)
{
	uint8_t byte;
	size_t done;

	for (; pages; pages >>= 1, off += PAGE)
		if (pages & 1)
			(void)!rt_memory_read(&inode->pages, off, &byte, 1, &done);
}

uint64_t lx_workingset_filled(struct lx_inode *inode, uint64_t off, uint64_t n)
{
	uint64_t end = off + n, next, refaults = 0;
	struct k_system_info info;

	if (!workingset.count)
		return 0;
	for (; off < end; off = next) {
		uint64_t block = ALIGN_DOWN(off, BLOCK);
		uint32_t pages, distance;

		next = MIN(block + BLOCK, end);
		pages = ((1u << ((next - off) / PAGE)) - 1) << (off - block) / PAGE;
		pages = remember(inode, off, pages, &distance);
		if (!pages || distance >= workingset.memory_pages)
			continue;
		refaults += popcount_u64(pages);
		if (k_system_info(&info) == K_OK && distance < 2 * info.cached_bytes / PAGE) {
			activate(inode, block, pages);
			atomic_fetch_add_explicit(&workingset.activations, popcount_u64(pages),
						  memory_order_relaxed);
		}
	}
	atomic_fetch_add_explicit(&workingset.refaults, refaults, memory_order_relaxed);
	return refaults;
}
