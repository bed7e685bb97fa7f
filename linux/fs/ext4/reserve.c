/* SPDX-License-Identifier: MIT */
/*
 * Delayed allocation: a write to pages that have no blocks yet takes none, it only
 * makes sure that there will be some.  The places are chosen when the pages are
 * written, for all of a run at once.
 *
 * The pages that wait are ranges in a tree of the inode (e4_inode.reserved); each
 * counts all its blocks in e4_super.reserved, so that what is free and not promised
 * is known.  A little more is kept for the trees that the new blocks need.
 */
#include <linux/capability.h>

#include "fs/ext4/journal.h"
#include "fs/ext4/write.h"

#define PAGE ((uint64_t)K_PAGE_SIZE)

struct range {
	struct rb_node node;
	uint64_t first, end;		/* pages */
};

static struct range *range_of(struct rb_node *n)
{
	return rb_entry(n, struct range, node);
}

/* The last range that begins at or before @page. */
static struct range *find(struct e4_inode *e, uint64_t page)
{
	struct rb_node *n = e->reserved.root;
	struct range *best = NULL;

	while (n) {
		struct range *r = range_of(n);

		if (r->first <= page) {
			best = r;
			n = n->right;
		} else {
			n = n->left;
		}
	}
	return best;
}

static void link_range(struct e4_inode *e, struct range *r)
{
	struct rb_node **link = &e->reserved.root, *parent = NULL;

	while (*link) {
		parent = *link;
		link = r->first < range_of(parent)->first ? &parent->left : &parent->right;
	}
	rb_insert(&e->reserved, &r->node, parent, link);
}

bool e4_is_reserved(struct lx_inode *inode, uint64_t page)
{
	const struct range *r = find(e4_inode(inode), page);

	return r && page < r->end;
}

uint64_t e4_next_reserved(struct lx_inode *inode, uint64_t page)
{
	struct range *r = find(e4_inode(inode), page);

	if (r && page < r->end)
		return page;
	r = r ? range_of(rb_next(&r->node)) : range_of(rb_first(&e4_inode(inode)->reserved));
	return r ? r->first : UINT64_MAX;
}

static uint32_t blocks_per_page(const struct e4_super *s)
{
	return (uint32_t)(PAGE >> s->block_bits);
}

/* -- promising */

/* Take @n blocks from what is free. */
static bool promise(struct e4_super *s, uint64_t n)
{
	uint64_t now = atomic_load(&s->reserved), free, keep;
	struct lx_task *self = lx_self();

	do {
		free = atomic_load(&s->free_blocks);
		keep = now + n + (now + n) / 64 + 16;
		if (!self || !self->cred || !lx_capable(self, CAP_SYS_RESOURCE))
			keep += s->reserved_blocks;
		if (keep > free)
			return false;
	} while (!atomic_compare_exchange_weak(&s->reserved, &now, now + n));
	return true;
}

/* Add one page; map_lock is held for writing. */
static int add_page(struct lx_inode *inode, uint64_t page)
{
	struct e4_super *s = e4_super_of(inode);
	struct e4_inode *e = e4_inode(inode);
	struct range *r = find(e, page), *next;

	if (r && page < r->end)
		return 0;
	if (!promise(s, blocks_per_page(s)))
		return -ENOSPC;
	if (r && r->end == page) {
		r->end++;
		e->reserved_pages++;
		next = range_of(rb_next(&r->node));
		if (next && next->first == r->end) {
			r->end = next->end;
			rb_remove(&e->reserved, &next->node);
			rt_free(next);
		}
		return 0;
	}
	r = rt_alloc(sizeof(*r));
	if (!r) {
		atomic_fetch_sub(&s->reserved, blocks_per_page(s));
		return -ENOMEM;
	}
	r->first = page;
	r->end = page + 1;
	link_range(e, r);
	e->reserved_pages++;
	return 0;
}

void e4_unreserve(struct lx_inode *inode, uint64_t first, uint64_t end)
{
	struct e4_super *s = e4_super_of(inode);
	struct e4_inode *e = e4_inode(inode);
	uint64_t n = 0;

	for (;;) {
		uint64_t at = e4_next_reserved(inode, first), stop;
		struct range *r, *tail;

		if (at >= end)
			break;
		r = find(e, at);
		stop = MIN(r->end, end);
		if (at > r->first && stop < r->end) {
			tail = rt_alloc(sizeof(*tail));
			if (!tail)
				break;	/* it stays promised until the inode goes */
			*tail = (struct range){ .first = stop, .end = r->end };
			r->end = at;
			link_range(e, tail);
		} else if (at > r->first) {
			r->end = at;
		} else if (stop < r->end) {
			r->first = stop;
		} else {
			rb_remove(&e->reserved, &r->node);
			rt_free(r);
		}
		n += stop - at;
		first = stop;
	}
	e->reserved_pages -= n;
	atomic_fetch_sub(&s->reserved, n * blocks_per_page(s));
}

/* Has the page all its blocks?  map_lock held. */
static bool page_mapped(struct lx_inode *inode, uint64_t page)
{
	struct e4_super *s = e4_super_of(inode);
	uint32_t lblock = (uint32_t)(page << (K_PAGE_SHIFT - s->block_bits));
	uint32_t left = blocks_per_page(s);
	struct e4_map map;

	while (left) {
		int err = e4_inode(inode)->flags & E4_FL_EXTENTS
				  ? e4_ext_map(inode, lblock, left, &map)
				  : e4_ind_map(inode, lblock, left, &map);

		if (err || !map.block)
			return false;
		left -= map.len;
		lblock += map.len;
	}
	return true;
}

static int reserve(struct lx_inode *inode, uint64_t off, uint64_t n)
{
	struct e4_inode *e = e4_inode(inode);
	int err = 0;

	rt_write_lock(&e->map_lock);
	for (uint64_t page = off / PAGE; !err && page * PAGE < off + n; page++) {
		if (e4_is_reserved(inode, page) || page_mapped(inode, page))
			continue;
		err = e->flags & E4_FL_EXTENTS ? add_page(inode, page) : -EOPNOTSUPP;
	}
	rt_write_unlock(&e->map_lock);
	return err;
}

int e4_prepare_write(struct lx_inode *inode, uint64_t off, uint64_t n)
{
	struct e4_super *s = e4_super_of(inode);
	int err = 0;

	if (!s->journal || atomic_load(&s->journal->aborted))
		return -EROFS;
	if (!n)
		return 0;
	e4_direct_drain(inode);
	if (off > inode->size)
		err = e4_zero_tail(inode);
	if (!err)
		err = reserve(inode, off, n);
	if (err == -ENOSPC) {
		/* blocks that were freed, and trees that are not written yet */
		(void)!e4_writeback(inode);
		(void)!e4_commit(s->journal, e4_current_tid(s->journal));
		err = reserve(inode, off, n);
	}
	if (err)
		return err;
	e4_mark_dirty(inode);
	lx_dirty_add(inode, n);
	/* who is too far ahead of the disk writes, too: what is his, then what is not */
	if (likely(!lx_dirty_is_too_much(inode)))
		return 0;
	err = e4_writeback(inode);
	e4_mark_dirty(inode);
	if (!err && lx_dirty_is_too_much(inode))
		e4_write_some(s);
	return err == -ENOSPC || err == -EIO ? err : 0;
}
