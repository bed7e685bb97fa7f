/* SPDX-License-Identifier: MIT */
/*
 * What a file of a tmpfs counts for.
 *
 * Limits: blocks are pages.  A file written from front to back, as nearly all
 * are, has all pages below dense_end and none above: its charge is dense_end.  A
 * file with holes, or one that was mapped (pages appear by touching them), is
 * counted page by page in the memory object when it matters.
 */
#include "abi/calls.h"
#include "fs/tmpfs/tmpfs_impl.h"

bool tmpfs_take(_Atomic(uint64_t) *used, uint64_t max, uint64_t n)
{
	uint64_t old = atomic_load(used);

	do {
		if (max && (old > max || n > max - old))
			return false;
	} while (!atomic_compare_exchange_weak(used, &old, old + n));
	return true;
}

/* The charge of @inode becomes @pages; what is too much was noticed too late to refuse. */
static void set_charge(struct lx_inode *inode, uint64_t pages)
{
	struct tmpfs_node *n = tmpfs_node(inode);

	atomic_fetch_add(&tmpfs_super(inode->sb)->used_blocks, pages - n->charged);
	n->charged = pages;
	inode->blocks = pages * (PAGE / 512);
}

/* Pages appeared or went in ways that were not counted one by one. */
static void recount(struct lx_inode *inode)
{
	struct tmpfs_node *n = tmpfs_node(inode);

	if (n->sparse || (inode->iflags & LX_INODE_MAPPED))
		set_charge(inode, lx_pages_resident(inode));
}

static uint64_t missing_pages(struct lx_inode *inode, uint64_t first, uint64_t last)
{
	uint64_t missing = 0, off = first * PAGE, end = (last + 1) * PAGE;

	if (!atomic_load(&inode->has_pages))
		return last + 1 - first;
	while (off < end) {
		uint64_t data, hole;

		if (k_memory_next(inode->pages.handle, off, K_NEXT_DATA, &data) != K_OK)
			data = end;
		missing += (MIN(data, end) - off) / PAGE;
		if (data >= end || k_memory_next(inode->pages.handle, data, K_NEXT_HOLE, &hole) != K_OK)
			break;
		off = MAX(hole, data + PAGE);
	}
	return missing;
}

static int prepare_write(struct lx_inode *inode, uint64_t off, uint64_t len)
{
	struct tmpfs_super *s = tmpfs_super(inode->sb);
	struct tmpfs_node *n = tmpfs_node(inode);
	uint64_t first = off / PAGE, last, need;

	if (!len)
		return 0;
	last = (off + len - 1) / PAGE;
	if (last < n->dense_end)
		return 0;
	if (!n->sparse && first <= n->dense_end && !(inode->iflags & LX_INODE_MAPPED)) {
		need = last + 1 - n->dense_end;
	} else {
		n->sparse = true;
		need = missing_pages(inode, first, last);
	}
	if (need && lx_reclaim_room(need))
		return -ENOSPC;
	if (!tmpfs_take(&s->used_blocks, s->max_blocks, need))
		return -ENOSPC;
	n->charged += need;
	inode->blocks = n->charged * (PAGE / 512);
	if (!n->sparse)
		n->dense_end = last + 1;
	n->prepared = n->sparse ? need : 0;
	return 0;
}

/* Without this, a write that is tried again would pay again.  Below dense_end none does. */
static void write_short(struct lx_inode *inode, uint64_t off, uint64_t len)
{
	struct tmpfs_node *n = tmpfs_node(inode);
	uint64_t back = n->prepared ? missing_pages(inode, off / PAGE, (off + len - 1) / PAGE) : 0;

	set_charge(inode, n->charged - MIN(back, n->prepared));
	n->prepared = 0;
}

static void hole_punched(struct lx_inode *inode, uint64_t off, uint64_t len)
{
	struct tmpfs_node *n = tmpfs_node(inode);

	n->dense_end = MIN(n->dense_end, DIV_ROUND_UP(off, PAGE));
	n->sparse = true;
	recount(inode);
}

static int tmpfs_truncate(struct lx_inode *inode, uint64_t size)
{
	struct tmpfs_node *n = tmpfs_node(inode);
	int err = lx_pages_truncate(inode, size);

	if (err)
		return err;
	n->dense_end = MIN(n->dense_end, DIV_ROUND_UP(size, PAGE));
	if (!size)
		n->sparse = false;
	if (n->sparse || (inode->iflags & LX_INODE_MAPPED))
		recount(inode);
	else
		set_charge(inode, n->dense_end);
	return 0;
}

static int tmpfs_getattr(struct lx_inode *inode, struct lx_kstat *st)
{
	if (inode->iflags & LX_INODE_MAPPED) {
		rt_mutex_lock(&inode->lock);
		recount(inode);
		st->blocks = inode->blocks;
		rt_mutex_unlock(&inode->lock);
	}
	return 0;
}

const struct lx_inode_ops tmpfs_reg_iops = {
	.getattr = tmpfs_getattr,
	.truncate = tmpfs_truncate,
	.prepare_write = prepare_write,
	.write_short = write_short,
	.hole_punched = hole_punched,
	TMPFS_XATTR_OPS, TMPFS_FLAG_OPS, .set_acl = tmpfs_set_acl,
};
