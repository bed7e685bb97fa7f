/* SPDX-License-Identifier: MIT */
/*
 * Extent trees: moving everything behind a block.
 *
 * The order of extents stays, so that only numbers change, where they are: in leaves, and in the keys that
 * lead to them.  Nothing is allocated.  A leaf is moved with its keys in one handle, and the leaves in
 * such an order that the tree is sound between them: from the first one when they go down, into a hole, and from
 * the last one when they go up.  What has been moved is told from what has not by its number alone.
 */
#include "fs/ext4/extpath.h"

/* Move entries [first, end) of the leaf. */
static int move_entries(struct e4_path *p, int first, int end, int64_t by)
{
	struct e4_level *l = &p->l[p->depth];
	int err = e4_path_join(p, p->depth);

	if (err)
		return err;
	for (int i = first; i < end; i++) {
		struct e4_ext *x = e4_level_entry(l, i);

		put_le32(x->block, (uint32_t)(get_le32(x->block) + by));
	}
	e4_path_seal(p, p->depth);
	return first ? 0 : e4_path_fix_keys(p, p->depth);
}

/* Where the leaf behind that of @p begins; UINT64_MAX: there is none. */
static uint64_t next_leaf(const struct e4_path *p)
{
	for (unsigned int i = p->depth; i-- > 0;) {
		const struct e4_level *l = &p->l[i];

		if ((uint32_t)(l->at + 1) < e4_level_entries(l))
			return get_le32(e4_level_entry(l, l->at + 1)->block);
	}
	return UINT64_MAX;
}

/* One leaf: *@from is behind what was moved, or where there is more; UINT64_MAX: nowhere. */
static int lower_leaf(struct e4_path *p, uint64_t *from, uint32_t n)
{
	struct e4_level *l = &p->l[p->depth];
	int first = l->at, end = (int)e4_level_entries(l);
	uint64_t next = next_leaf(p), last;

	if (next <= *from)
		return e4_ext_bad(p->inode, "keys are not in order");
	if (first < 0 || get_le32(e4_level_entry(l, first)->block) < *from)
		first++;
	if (first == end) {
		*from = next;
		return 0;
	}
	if (get_le32(e4_level_entry(l, first)->block) < n)
		return e4_ext_bad(p->inode, "no hole to move into");
	last = get_le32(e4_level_entry(l, end - 1)->block);
	if (last < *from)
		return e4_ext_bad(p->inode, "entries are not in order");
	if (!e4_extend(p->h, E4_CREDITS_SHIFT))
		return -EAGAIN;
	*from = last + 1;
	return move_entries(p, first, end, -(int64_t)n);
}

int e4_ext_lower(struct e4_handle *h, struct lx_inode *inode, uint64_t *from, uint32_t n)
{
	int err = 0;

	while (!err && *from <= E4_MAX_LBLOCK) {
		struct e4_path p;

		err = e4_path_walk(h, inode, (uint32_t)*from, &p);
		if (err)
			break;
		err = lower_leaf(&p, from, n);
		e4_path_put(&p);
	}
	return err;
}

/* One leaf: *@to is the first block that was moved, or @at if that was all. */
static int raise_leaf(struct e4_path *p, uint32_t at, uint64_t *to, uint32_t n)
{
	struct e4_level *l = &p->l[p->depth];
	int end = l->at + 1, first = end;
	uint64_t begin;

	while (first && get_le32(e4_level_entry(l, first - 1)->block) >= at)
		first--;
	if (first == end) {
		*to = at;
		return 0;
	}
	begin = get_le32(e4_level_entry(l, first)->block);
	if (begin >= *to)
		return e4_ext_bad(p->inode, "entries are not in order");
	if (!e4_extend(p->h, E4_CREDITS_SHIFT))
		return -EAGAIN;
	*to = begin;
	return move_entries(p, first, end, n);
}

int e4_ext_raise(struct e4_handle *h, struct lx_inode *inode, uint32_t at, uint64_t *to, uint32_t n)
{
	int err = 0;

	while (!err && *to > at) {
		struct e4_path p;

		err = e4_path_walk(h, inode, (uint32_t)MIN(*to - 1, (uint64_t)E4_MAX_LBLOCK), &p);
		if (err)
			break;
		err = raise_leaf(&p, at, to, n);
		e4_path_put(&p);
	}
	return err;
}

int e4_ext_end(struct lx_inode *inode, uint64_t *end)
{
	struct e4_level *l;
	struct e4_path p;
	int err = e4_path_walk(NULL, inode, E4_MAX_LBLOCK, &p);

	if (err)
		return err;
	l = &p.l[p.depth];
	*end = 0;
	if (l->at >= 0)
		*end = (uint64_t)get_le32(e4_level_entry(l, l->at)->block) + e4_ext_len(e4_level_entry(l, l->at));
	e4_path_put(&p);
	return 0;
}
